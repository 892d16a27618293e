using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>What one run of a <see cref="WinogradConvolution"/> works on.</summary>
internal unsafe struct WinogradJob
{
    public ConvolutionShape Shape;
    public Activation Activation;
    public BlockedImages Source;
    public BlockedImages Destination;
    public BlockedImages Residual;
    public bool HasResidual;
    public float* Weights;
    public float* Bias;
    public int TilesY;
    public int TilesX;

    public readonly nint Tiles => (nint)Source.Images * TilesY * TilesX;
}

/// <summary>Chooses how the tiles of a run are cut, and runs it at one width.</summary>
internal readonly struct WinogradAction(WinogradJob job, int outputTile, WorkerPool pool) : IWideAction
{
    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        switch (outputTile)
        {
            case 2:
                WinogradLoops<TWide, Winograd2>.Run(job, pool);
                break;
            case 4:
                WinogradLoops<TWide, Winograd4>.Run(job, pool);
                break;
            default:
                WinogradLoops<TWide, Winograd6>.Run(job, pool);
                break;
        }
    }
}

/// <summary>
/// A matrix for each of the positions of a transformed tile: rows are tiles, columns channels.
/// </summary>
/// <param name="data">Position 0, row 0.</param>
/// <param name="stride">Floats from row to row.</param>
/// <param name="rows">Rows.</param>
internal readonly unsafe struct WinogradPlanes(float* data, nint stride, nint rows)
{
    public readonly float* Data = data;
    public readonly nint Stride = stride;

    /// <summary>Floats from position to position.</summary>
    public readonly nint Step = StepOf(stride, rows);

    /// <summary>
    /// An odd number of cache lines: the stores of one tile go to all positions, and would otherwise meet in a few sets of
    /// the caches.
    /// </summary>
    public static nint StepOf(nint stride, nint rows) => ((((stride * rows) + 15) / 16) | 1) * 16;
}

/// <summary>The three stages of a run at one width and tile size, and the two ways to order them.</summary>
internal static unsafe class WinogradLoops<TWide, TTransform>
    where TWide : unmanaged, IWide<TWide>
    where TTransform : struct, IWinogradTransform
{
    private static int Size => TTransform.Outputs + 2;

    private static int Positions => Size * Size;

    public static void Run(in WinogradJob job, WorkerPool pool)
    {
        if (job.Tiles == 0)
            return;
        WinogradPlan plan = new(job, Positions, WideTile.Rows<TWide>(), WideTile.Columns<TWide>(), pool.Threads);
        if (plan.ByStrips)
        {
            using Scratch<float> scratch = new(pool.Threads * (plan.InputFloats + plan.ProductFloats));
            WinogradStrips<TWide, TTransform> strips = new(job, plan, scratch.Pointer);
            pool.For(GemmBlocking.Panels(job.Tiles, plan.Strip), 1, ref strips);
            return;
        }

        using Scratch<float> input = new(plan.InputFloats);
        using Scratch<float> products = new(pool.Threads * plan.ProductFloats);
        for (nint first = 0; first < job.Tiles; first += plan.Group)
        {
            nint end = Math.Min(first + plan.Group, job.Tiles);
            WinogradInputs<TWide, TTransform> inputs = new(job, plan, input.Pointer, first, end);
            pool.For(inputs.Count, 1, ref inputs);
            WinogradProducts<TWide, TTransform> outputs = new(job, plan, input.Pointer, products.Pointer, first, end);
            pool.For(outputs.Count, 1, ref outputs);
        }
    }

    /// <summary>Transforms tiles <paramref name="first"/> to <paramref name="end"/> - 1 to rows of <paramref name="planes"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static void TransformInput(in WinogradJob job, nint first, nint end, float* planes, nint stride, nint step)
    {
        BlockedImages source = job.Source;
        int size = Size;
        float* patch = stackalloc float[8 * 8 * BlockedImages.Block];
        float* columns = stackalloc float[8 * 8 * TWide.Lanes];
        for (int block = 0; block < source.Blocks; block++)
        {
            float* to = planes + (block * BlockedImages.Block);
            for (nint tile = first; tile < end; tile++, to += stride)
            {
                nint line = tile / job.TilesX, image = line / job.TilesY;
                nint y = ((line - (image * job.TilesY)) * TTransform.Outputs) - job.Shape.Padding.Top;
                nint x = ((tile - (line * job.TilesX)) * TTransform.Outputs) - job.Shape.Padding.Left;
                float* from = source.At((int)image, block, y, x);
                nint rowStride = source.RowStride;
                if (y < -source.Halo.Top || x < -source.Halo.Left || y + size > source.Height + source.Halo.Bottom || x + size > source.Width + source.Halo.Right)
                {
                    Clip(source, from, y, x, patch);
                    from = patch;
                    rowStride = size * BlockedImages.Block;
                }

                for (int lane = 0; lane < BlockedImages.Block; lane += TWide.Lanes)
                    TransformTile(from + lane, rowStride, columns, to + lane, step);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransformTile(float* from, nint rowStride, float* columns, float* to, nint step)
    {
        int size = Size;
        for (int x = 0; x < size; x++)
            TTransform.Input<TWide>(from + (x * BlockedImages.Block), rowStride, columns + (x * TWide.Lanes), size * TWide.Lanes);
        for (int y = 0; y < size; y++)
            TTransform.Input<TWide>(columns + (y * size * TWide.Lanes), TWide.Lanes, to + (y * size * step), step);
    }

    // The pixels of the map, and zeros outside it: a tile may reach further than the halo.
    private static void Clip(in BlockedImages source, float* from, nint y, nint x, float* patch)
    {
        for (int i = 0; i < Size; i++)
        {
            for (int j = 0; j < Size; j++, patch += BlockedImages.Block)
            {
                bool inside = y + i >= 0 && y + i < source.Height && x + j >= 0 && x + j < source.Width;
                float* pixel = from + (i * source.RowStride) + (j * BlockedImages.Block);
                for (int lane = 0; lane < BlockedImages.Block; lane += TWide.Lanes)
                    TWide.Store(patch + lane, inside ? TWide.Load(pixel + lane) : TWide.Zero);
            }
        }
    }

    /// <summary>The products of a block of output channels with rows of transformed tiles, for all positions.</summary>
    /// <param name="job">The run.</param>
    /// <param name="channel">The first output channel.</param>
    /// <param name="channels">Output channels, a multiple of the tile's columns.</param>
    /// <param name="input">Transformed tiles.</param>
    /// <param name="inputStride">Floats from tile to tile.</param>
    /// <param name="inputStep">Floats from position to position.</param>
    /// <param name="rows">Tiles, a multiple of the product tile's rows.</param>
    /// <param name="products">Gets the products, <paramref name="channels"/> to a row.</param>
    /// <param name="productStep">Floats from position to position.</param>
    public static void Multiply(
        in WinogradJob job, int channel, int channels, float* input, nint inputStride, nint inputStep, nint rows, float* products, nint productStep)
    {
        int inputs = job.Shape.InputChannels, width = WideTile.Columns<TWide>();
        float* weights = job.Weights + ((nint)channel * inputs * Positions);
        for (int position = 0; position < Positions; position++)
        {
            for (int k = 0; k < inputs; k += WinogradConvolution.DepthBlock)
            {
                int depth = Math.Min(WinogradConvolution.DepthBlock, inputs - k);
                GemmPanels a = new(input + k, WideTile.Rows<TWide>() * inputStride, inputStride);
                GemmPanels b = new(weights + ((nint)k * width), (nint)inputs * width, width);
                WinogradStore store = new(products, channels, add: k > 0);
                GemmBlock.Multiply<TWide, WideTile, PlainTileRows, WinogradStore>(a, b, depth, rows, channels, 0, 0, ref store);
            }

            input += inputStep;
            products += productStep;
            weights += (nint)inputs * channels;
        }
    }

    /// <summary>Transforms products back and stores the outputs of tiles <paramref name="first"/> to <paramref name="end"/> - 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static void TransformOutput(in WinogradJob job, nint first, nint end, int channel, int channels, float* products, nint step)
    {
        BlockedImages destination = job.Destination;
        float* columns = stackalloc float[6 * 8 * TWide.Lanes];
        int endBlock = Math.Min((channel + channels) / BlockedImages.Block, destination.Blocks);
        for (int block = channel / BlockedImages.Block; block < endBlock; block++)
        {
            float* from = products + (block * BlockedImages.Block) - channel;
            for (nint tile = first; tile < end; tile++, from += channels)
            {
                nint line = tile / job.TilesX, image = line / job.TilesY;
                nint y = (line - (image * job.TilesY)) * TTransform.Outputs, x = (tile - (line * job.TilesX)) * TTransform.Outputs;
                int rows = (int)Math.Min(TTransform.Outputs, destination.Height - y);
                WinogradOutput output = new()
                {
                    Destination = destination.At((int)image, block, y, x),
                    Residual = job.HasResidual ? job.Residual.At((int)image, block, y, x) : null,
                    Columns = (int)Math.Min(TTransform.Outputs, destination.Width - x),
                };
                (output.Low, output.High) = job.Activation.Bounds;
                for (int lane = 0; lane < BlockedImages.Block; lane += TWide.Lanes)
                {
                    output.Bias = job.Bias + (block * BlockedImages.Block) + lane;
                    TransformTile(from + lane, step, columns, rows, destination.RowStride, job.Residual.RowStride, output.At(lane));
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransformTile(float* from, nint step, float* columns, int rows, nint rowStride, nint residualStride, WinogradOutput output)
    {
        int size = Size;
        for (int x = 0; x < size; x++)
        {
            WinogradColumn column = new(columns + (x * TWide.Lanes), size * TWide.Lanes);
            TTransform.Output<TWide, WinogradColumn>(from + (x * step), size * step, ref column);
        }

        for (int y = 0; y < rows; y++)
        {
            TTransform.Output<TWide, WinogradOutput>(columns + (y * size * TWide.Lanes), TWide.Lanes, ref output);
            output.Destination += rowStride;
            output.Residual += output.Residual is null ? 0 : residualStride;
        }
    }
}

/// <summary>How the tiles of a run are cut.</summary>
internal readonly struct WinogradPlan
{
    public WinogradPlan(in WinogradJob job, int positions, int tileRows, int tileColumns, int threads)
    {
        Inputs = job.Source.Blocks * BlockedImages.Block;
        Outputs = WinogradConvolution.Channels(job.Shape.OutputChannels, tileColumns);
        int outputBlock = Math.Min(Outputs, WinogradConvolution.OutputBlock);
        ByStrips = Environment.GetEnvironmentVariable("WSTRIP") is { } t ? t == "1" : (long)positions * Inputs * Outputs * 4 < 3 << 20;
        nint strip = int.Parse(Environment.GetEnvironmentVariable("WT") ?? "24");
        Strip = Math.Min(GemmBlocking.RoundUp(strip, tileRows), GemmBlocking.RoundUp(job.Tiles, tileRows));
        Group = ByStrips ? Strip : Math.Min(GemmBlocking.RoundUp(job.Tiles, tileRows), GemmBlocking.RoundUp((8 << 20) / (positions * Inputs * 4), Strip));
        InputStep = WinogradPlanes.StepOf(Inputs, Group);
        ProductStep = WinogradPlanes.StepOf(outputBlock, Strip);
        InputFloats = positions * InputStep;
        ProductFloats = positions * ProductStep;
        TileRows = tileRows;
    }

    public readonly int TileRows;
    public readonly int Inputs;
    public readonly int Outputs;
    public readonly bool ByStrips;
    public readonly nint Strip;
    public readonly nint Group;
    public readonly nint InputStep;
    public readonly nint ProductStep;
    public readonly nint InputFloats;
    public readonly nint ProductFloats;
}

/// <summary>Strips of tiles, all three stages of each in a row: transformed tiles and products stay in the worker's L2.</summary>
internal readonly unsafe struct WinogradStrips<TWide, TTransform>(WinogradJob job, WinogradPlan plan, float* scratch) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TTransform : struct, IWinogradTransform
{
    public void Invoke(int worker, nint start, nint end)
    {
        float* input = scratch + (worker * (plan.InputFloats + plan.ProductFloats));
        float* products = input + plan.InputFloats;
        for (nint strip = start; strip < end; strip++)
        {
            nint first = strip * plan.Strip, last = Math.Min(first + plan.Strip, job.Tiles);
            WinogradLoops<TWide, TTransform>.TransformInput(job, first, last, input, plan.Inputs, plan.InputStep);
            nint rows = GemmBlocking.RoundUp(last - first, plan.TileRows);
            for (int channel = 0; channel < plan.Outputs; channel += WinogradConvolution.OutputBlock)
            {
                int channels = Math.Min(WinogradConvolution.OutputBlock, plan.Outputs - channel);
                WinogradLoops<TWide, TTransform>.Multiply(job, channel, channels, input, plan.Inputs, plan.InputStep, rows, products, plan.ProductStep);
                WinogradLoops<TWide, TTransform>.TransformOutput(job, first, last, channel, channels, products, plan.ProductStep);
            }
        }
    }
}

/// <summary>The first stage for a group of tiles.</summary>
internal readonly unsafe struct WinogradInputs<TWide, TTransform>(WinogradJob job, WinogradPlan plan, float* input, nint first, nint end) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TTransform : struct, IWinogradTransform
{
    private const int TilesAtOnce = 4;

    public nint Count => GemmBlocking.Panels(end - first, TilesAtOnce);

    public void Invoke(int worker, nint start, nint last)
    {
        nint from = first + (start * TilesAtOnce), to = Math.Min(end, first + (last * TilesAtOnce));
        WinogradLoops<TWide, TTransform>.TransformInput(job, from, to, input + ((from - first) * plan.Inputs), plan.Inputs, plan.InputStep);
    }
}

/// <summary>The second and third stage for a group of tiles: blocks of output channels times strips of tiles.</summary>
internal readonly unsafe struct WinogradProducts<TWide, TTransform>(WinogradJob job, WinogradPlan plan, float* input, float* scratch, nint first, nint end) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TTransform : struct, IWinogradTransform
{
    private nint Strips => GemmBlocking.Panels(end - first, plan.Strip);

    public nint Count => Strips * GemmBlocking.Panels(plan.Outputs, WinogradConvolution.OutputBlock);

    public void Invoke(int worker, nint start, nint last)
    {
        float* products = scratch + (worker * plan.ProductFloats);
        for (nint item = start; item < last; item++)
        {
            // Strips first: the weights of a block of channels, which are the larger side, are read from memory once.
            nint tile = first + (item % Strips * plan.Strip), endTile = Math.Min(end, tile + plan.Strip);
            int channel = (int)(item / Strips) * WinogradConvolution.OutputBlock;
            int channels = Math.Min(WinogradConvolution.OutputBlock, plan.Outputs - channel);
            nint rows = GemmBlocking.RoundUp(endTile - tile, plan.TileRows);
            WinogradLoops<TWide, TTransform>.Multiply(
                job, channel, channels, input + ((tile - first) * plan.Inputs), plan.Inputs, plan.InputStep, rows, products, plan.ProductStep);
            WinogradLoops<TWide, TTransform>.TransformOutput(job, tile, endTile, channel, channels, products, plan.ProductStep);
        }
    }
}

/// <summary>Stores tiles of the products: over what stands, or added to it.</summary>
internal unsafe struct WinogradStore(float* products, nint stride, bool add) : ITileEpilogue
{
    private float* _target;

    public readonly bool FromRegisters => true;

    public readonly byte* Fetch(nint depth, out nint step)
    {
        step = 0;
        return null;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Begin<TWide, TShape>(nint row, nint column)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape => _target = products + (row * stride) + column;

    public readonly TWide Start<TWide>(int i, int v)
        where TWide : unmanaged, IWide<TWide> => TWide.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Take<TWide>(int i, int v, TWide sums, TWide picked)
        where TWide : unmanaged, IWide<TWide>
    {
        float* target = _target + (i * stride) + (v * TWide.Lanes);
        TWide.Store(target, add ? sums + TWide.Load(target) : sums);
        return picked;
    }

    public readonly void Finish<TWide, TShape>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape =>
        throw new System.Diagnostics.UnreachableException("Planes have room for whole tiles.");
}

/// <summary>The results of the transform of a column, one below another.</summary>
internal readonly unsafe struct WinogradColumn(float* to, nint step) : IWinogradSink
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Put<TWide>(int i, TWide value)
        where TWide : unmanaged, IWide<TWide> => TWide.Store(to + (i * step), value);
}

/// <summary>A line of a tile's outputs: min(max(value + bias + residual, low), high) into the map, as far as it goes.</summary>
internal unsafe struct WinogradOutput : IWinogradSink
{
    public float* Destination;
    public float* Residual;
    public float* Bias;
    public int Columns;
    public float Low;
    public float High;

    public readonly WinogradOutput At(int lane)
    {
        WinogradOutput at = this;
        at.Destination += lane;
        at.Residual += Residual is null ? 0 : lane;
        return at;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Put<TWide>(int i, TWide value)
        where TWide : unmanaged, IWide<TWide>
    {
        if (i >= Columns)
            return;
        value += TWide.Load(Bias);
        if (Residual is not null)
            value += TWide.Load(Residual + (i * BlockedImages.Block));
        value = TWide.Min(TWide.Broadcast(High), TWide.Max(TWide.Broadcast(Low), value));
        TWide.Store(Destination + (i * BlockedImages.Block), value);
    }
}
