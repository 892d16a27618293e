using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>What one run of a <see cref="DirectConvolution"/> works on.</summary>
internal unsafe struct DirectConvolutionJob
{
    public ConvolutionShape Shape;
    public Activation Activation;
    public BlockedImages Source;
    public BlockedImages Destination;
    public BlockedImages Residual;
    public bool HasResidual;
    public float* Weights;
    public float* Bias;
    public TileRun* Runs;
    public int RunsOfPart;
}

/// <summary>The loops of a direct convolution at one width.</summary>
internal readonly unsafe struct DirectConvolutionAction(DirectConvolutionJob job, ConvolutionPanel[] panels, PatchPart[] parts, WorkerPool pool) : IWideAction
{
    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        DirectConvolutionBody<TWide> body = new(job, panels, parts, pool.Threads);
        pool.For(body.Count, 1, ref body);
    }
}

/// <summary>
/// Strips of pixels times ranges of panels, handed out one by one. In a strip the sums are taken in passes over the input
/// channels: the weights of a panel for one pass stay in L1 while the strip's tiles pass by, the strip's input for one pass
/// stays in L2 while panels pass by, and the sums wait in the destination.
/// </summary>
internal readonly unsafe struct DirectConvolutionBody<TWide> : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    // Products of a tile in one pass: enough that starting and storing a tile cost little.
    private const int PassDepth = 384;

    // So many jobs for each thread that the last ones to finish cost little, and a core that is busy elsewhere too.
    private const int JobsPerThread = 8;

    private readonly DirectConvolutionJob _job;
    private readonly ConvolutionPanel[] _panels;
    private readonly PatchPart[] _parts;
    private readonly int _partsOfPass;
    private readonly nint _lines;       // lines of pixels in an image: its rows, or one line of all pixels
    private readonly nint _pixels;      // pixels in a line
    private readonly nint _stripLines;  // lines of a strip
    private readonly nint _stripPixels; // pixels of a strip's lines
    private readonly nint _panelsOfJob;

    public DirectConvolutionBody(in DirectConvolutionJob job, ConvolutionPanel[] panels, PatchPart[] parts, int threads)
    {
        (_job, _panels, _parts) = (job, panels, parts);
        ConvolutionShape shape = job.Shape;
        BlockedImages source = job.Source, destination = job.Destination;
        bool flat = shape is { KernelHeight: 1, KernelWidth: 1, StrideX: 1, StrideY: 1 } && OneLine(source) && OneLine(destination)
            && (!job.HasResidual || OneLine(job.Residual));
        (_lines, _pixels) = flat ? (1, (nint)destination.Height * destination.Width) : (destination.Height, destination.Width);

        int window = shape.KernelHeight * shape.KernelWidth;
        int most = 1;
        foreach (ConvolutionPanel panel in panels)
            most = Math.Max(most, panel.Parts);
        _partsOfPass = Math.Clamp(PassDepth / (window * Math.Min(BlockedImages.Block, shape.GroupInputs)), 1, most);
        nint strip = Math.Clamp(CacheSizes.L2 / 2 / (source.Lanes * sizeof(float) * _partsOfPass * shape.StrideX * shape.StrideY), 48, 2048);
        _stripPixels = Math.Min(_pixels, GemmBlocking.RoundUp(strip, WideTile.Rows<TWide>()));
        _stripLines = Math.Clamp(strip / _pixels, 1, _lines);
        _panelsOfJob = panels.Length;
        nint wanted = threads == 1 ? 1 : (nint)JobsPerThread * threads;
        while (Strips * PanelRanges < wanted && _panelsOfJob > 1)
            _panelsOfJob = (_panelsOfJob + 1) / 2;
        while (Strips * PanelRanges < wanted && _stripLines > 1)
            _stripLines = (_stripLines + 1) / 2;
    }

    public nint Count => Strips * PanelRanges;

    private nint Strips => _job.Destination.Images * StripsOfImage;

    private nint StripsOfImage => GemmBlocking.Panels(_lines, _stripLines) * StripsOfLine;

    private nint StripsOfLine => GemmBlocking.Panels(_pixels, _stripPixels);

    private nint PanelRanges => GemmBlocking.Panels(_panels.Length, _panelsOfJob);

    public void Invoke(int worker, nint start, nint end)
    {
        for (nint item = start; item < end; item++)
        {
            // Strips first: neighbouring jobs share weights, which are the larger side where panels are divided.
            nint strip = item % Strips, range = item / Strips;
            int image = (int)(strip / StripsOfImage);
            strip %= StripsOfImage;
            nint line = strip / StripsOfLine * _stripLines, pixel = strip % StripsOfLine * _stripPixels;
            Strip(image, line, Math.Min(_lines, line + _stripLines), pixel, Math.Min(_pixels, pixel + _stripPixels), range * _panelsOfJob, Math.Min(_panels.Length, (range + 1) * _panelsOfJob));
        }
    }

    private static bool OneLine(in BlockedImages images) => images.RowStride == (nint)images.Width * images.Lanes;

    private void Strip(int image, nint line, nint endLine, nint pixel, nint endPixel, nint firstPanel, nint endPanel)
    {
        int passes = 1;
        for (int pass = 0; pass < passes; pass++)
        {
            for (nint p = firstPanel; p < endPanel; p++)
            {
                ref readonly ConvolutionPanel panel = ref _panels[p];
                passes = Math.Max(passes, (panel.Parts + _partsOfPass - 1) / _partsOfPass);
                int part = pass * _partsOfPass;
                if (part >= panel.Parts)
                    continue;
                int endPart = Math.Min(panel.Parts, part + _partsOfPass);
                bool last = endPart == panel.Parts;
                if (part == 0 && _job.HasResidual)
                    AddBias(panel, image, line, endLine, pixel, endPixel);
                if (TWide.Lanes == BlockedImages.Block && panel.Channels <= TWide.Lanes)
                    Panel<NarrowTile, NarrowTile, NarrowTile>(panel, part, endPart, last, image, line, endLine, pixel, endPixel);
                else
                    Panel<WideTile, MediumTile, LowTile>(panel, part, endPart, last, image, line, endLine, pixel, endPixel);
                if (last && !_job.Activation.IsClip)
                    Activate(panel, image, line, endLine, pixel, endPixel);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Panel<TWideTile, TMediumTile, TLowTile>(
        in ConvolutionPanel panel, int part, int endPart, bool last, int image, nint line, nint endLine, nint pixel, nint endPixel)
        where TWideTile : struct, ITileShape
        where TMediumTile : struct, ITileShape
        where TLowTile : struct, ITileShape
    {
        int columns = TWideTile.Columns<TWide>();
        nint before = _parts[panel.FirstPart + part].Before * _job.Shape.KernelHeight * _job.Shape.KernelWidth;
        TileOperands operands = new()
        {
            Depth = (nint)(endPart - part) * _job.RunsOfPart,
            Runs = _job.Runs + ((nint)(panel.FirstPart + part) * _job.RunsOfPart),
            B = _job.Weights + panel.Weights + (before * WideTile.Columns<TWide>()),
            Stride = (nint)_job.Shape.StrideX * _job.Source.Lanes,
            Step = WideTile.Columns<TWide>(),
        };
        ConvolutionTiles tiles = new(_job, panel, columns, continues: part > 0 || _job.HasResidual, last);
        TileHeights heights = new(endPixel - pixel, TWideTile.Rows<TWide>(), TMediumTile.Rows<TWide>(), TLowTile.Rows<TWide>());
        float* tile = stackalloc float[GemmTile.MostFloats<TWide>()];
        for (nint i = line; i < endLine; i++)
        {
            tiles.Place(_job, image, i, pixel);
            operands.A = _job.Source.At(image, 0, (i * _job.Shape.StrideY) - _job.Shape.Padding.Top, (pixel * _job.Shape.StrideX) - _job.Shape.Padding.Left);
            for (nint t = heights.Wide; t != 0; t--)
                Tile<TWideTile>(ref operands, ref tiles, tile);
            for (nint t = heights.Medium; t != 0; t--)
                Tile<TMediumTile>(ref operands, ref tiles, tile);
            for (nint t = heights.Low; t != 0; t--)
                Tile<TLowTile>(ref operands, ref tiles, tile);
            if (heights.Rest > 0)
                Rest<TLowTile>(operands, ref tiles, heights.Rest, tile);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Tile<TShape>(ref TileOperands operands, ref ConvolutionTiles tiles, float* tile)
        where TShape : struct, ITileShape
    {
        if (GemmTile.Multiply<TWide, TShape, PatchTileRows, ConvolutionTiles>(operands, 0, 0, tiles.FromRegisters<TWide>(), tile, ref tiles))
            tiles.Finish<TWide, TShape>(tile, 0, 0, TShape.Rows<TWide>(), TShape.Columns<TWide>());
        operands.A += TShape.Rows<TWide>() * operands.Stride;
        tiles.Advance(TShape.Rows<TWide>());
    }

    // Rows that do not exist are read as well, unless strides are so wide that they lie beyond the readable memory.
    private static void Rest<TShape>(TileOperands operands, ref ConvolutionTiles tiles, int rows, float* tile)
        where TShape : struct, ITileShape
    {
        bool together = TShape.Rows<TWide>() * operands.Stride <= BlockedImages.Slack;
        nint stride = operands.Stride;
        operands.Stride = together ? stride : 0;
        for (int i = 0; i < rows; i += together ? rows : 1)
        {
            GemmTile.Multiply<TWide, TShape, PatchTileRows, ConvolutionTiles>(operands, 0, 0, false, tile, ref tiles);
            tiles.Finish<TWide, TShape>(tile, 0, 0, together ? rows : 1, TShape.Columns<TWide>());
            operands.A += stride;
            tiles.Advance(1);
        }
    }

    /// <summary>destination = residual + bias: what the sums then start from, instead of from the bias alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddBias(in ConvolutionPanel panel, int image, nint line, nint endLine, nint pixel, nint endPixel)
    {
        for (int channel = panel.Channel; channel < panel.Channel + panel.Channels; channel += TWide.Lanes)
        {
            (int block, int lane) = Math.DivRem(channel, BlockedImages.Block);
            TWide bias = TWide.Load(_job.Bias + channel);
            for (nint i = line; i < endLine; i++)
            {
                float* residual = _job.Residual.At(image, block, i, pixel) + lane;
                float* output = _job.Destination.At(image, block, i, pixel) + lane;
                for (nint j = pixel; j < endPixel; j++, residual += BlockedImages.Block, output += BlockedImages.Block)
                    TWide.Store(output, TWide.Load(residual) + bias);
            }
        }
    }

    private void Activate(in ConvolutionPanel panel, int image, nint line, nint endLine, nint pixel, nint endPixel)
    {
        int lanes = Math.Min(panel.Channels, BlockedImages.Block);
        for (int channel = panel.Channel; channel < panel.Channel + panel.Channels; channel += lanes)
        {
            for (nint i = line; i < endLine; i++)
            {
                float* row = _job.Destination.At(image, channel / BlockedImages.Block, i, pixel) + (channel % BlockedImages.Block);
                if (lanes == BlockedImages.Block)
                    ActivationRows.Apply<TWide>(_job.Activation, row, (endPixel - pixel) * lanes);
                for (nint j = pixel; lanes < BlockedImages.Block && j < endPixel; j++, row += BlockedImages.Block)
                    ActivationRows.Apply<TWide>(_job.Activation, row, lanes);
            }
        }
    }
}

/// <summary>How a line of pixels is made up of tiles of three heights.</summary>
internal readonly struct TileHeights
{
    public TileHeights(nint count, int wide, int medium, int low)
    {
        // The fewest tiles: as many of the highest as leave a number that the lower ones make up.
        for (nint over = 0; over < low; over++)
        {
            for (nint most = (count + over) / wide, w = most; w >= 0 && w > most - (medium * low); w--)
            {
                nint rest = count + over - (w * wide);
                for (nint l = 0; l <= rest / low && l < medium; l++)
                {
                    if ((rest - (l * low)) % medium != 0)
                        continue;

                    // Where nothing fits, the lowest tile is computed whole and stored in part.
                    (Wide, Medium, Low) = (w, (rest - (l * low)) / medium, l);
                    if (over == 0)
                        return;
                    if (Low == 0)
                        continue;
                    (Low, Rest) = (Low - 1, (int)(low - over));
                    return;
                }
            }
        }

        throw new System.Diagnostics.UnreachableException("One low tile that is stored in part always fits.");
    }

    public readonly nint Wide;
    public readonly nint Medium;
    public readonly nint Low;
    public readonly int Rest;
}

/// <summary>Starts tiles at the bias or at the sums so far, and stores them into blocked maps.</summary>
internal unsafe struct ConvolutionTiles : ITileEpilogue
{
    private readonly float* _bias;
    private readonly nint _vectorStep; // floats from a tile's first vector to its second, in the destination
    private readonly nint _startStep;
    private readonly nint _startStride;
    private readonly int _block;
    private readonly int _lane;
    private readonly bool _continues;
    private readonly bool _clips;
    private readonly float _low;
    private readonly float _high;
    private float* _output;
    private float* _start; // the bias, the same for all pixels, or the sums so far

    public ConvolutionTiles(in DirectConvolutionJob job, in ConvolutionPanel panel, int columns, bool continues, bool last)
    {
        (_block, _lane) = (panel.Channel / BlockedImages.Block, panel.Channel % BlockedImages.Block);
        _vectorStep = columns > BlockedImages.Block ? job.Destination.BlockStride : columns / 2;
        _bias = job.Bias + panel.Channel;
        _continues = continues;
        _startStep = continues ? _vectorStep : columns / 2;
        _startStride = continues ? BlockedImages.Block : 0;
        (_low, _high) = job.Activation.Bounds;
        _clips = last && job.Activation.Kind == ActivationKind.Clip;
    }

    public static bool Starts => true;

    readonly bool ITileEpilogue.FromRegisters => true;

    /// <summary>Whether sums can be stored from the registers: a tile of 512-bit vectors has too many for anything more.</summary>
    public readonly bool FromRegisters<TWide>()
        where TWide : unmanaged, IWide<TWide> => TWide.Lanes < BlockedImages.Block || !_clips;

    /// <summary>The first pixel of the next tiles.</summary>
    public void Place(in DirectConvolutionJob job, int image, nint line, nint pixel)
    {
        _output = job.Destination.At(image, _block, line, pixel) + _lane;
        _start = _continues ? _output : _bias;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Advance(int pixels)
    {
        _output += pixels * BlockedImages.Block;
        _start += pixels * _startStride;
    }

    public readonly byte* Fetch(nint depth, out nint step)
    {
        step = 0;
        return null;
    }

    public readonly void Begin<TWide, TShape>(nint row, nint column)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Start<TWide>(int i, int v)
        where TWide : unmanaged, IWide<TWide> => TWide.Load(_start + (i * _startStride) + (v * _startStep));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Take<TWide>(int i, int v, TWide sums, TWide picked)
        where TWide : unmanaged, IWide<TWide>
    {
        if (TWide.Lanes < BlockedImages.Block && _clips)
            sums = Clip(sums);
        TWide.Store(_output + (i * BlockedImages.Block) + (v * _vectorStep), sums);
        return picked;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Finish<TWide, TShape>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        for (int i = 0; i < rows; i++)
        {
            for (int v = 0; v < TShape.Vectors; v++)
            {
                TWide sums = TWide.Load(tile + (i * TShape.Columns<TWide>()) + (v * TWide.Lanes));
                TWide.Store(_output + (i * BlockedImages.Block) + (v * _vectorStep), _clips ? Clip(sums) : sums);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly TWide Clip<TWide>(TWide sums)
        where TWide : unmanaged, IWide<TWide> => TWide.Min(TWide.Broadcast(_high), TWide.Max(TWide.Broadcast(_low), sums));
}
