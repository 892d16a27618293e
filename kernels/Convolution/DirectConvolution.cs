namespace EmbeddingKernels.Core;

/// <summary>
/// Convolution as an implicit matrix product on the register tile: a tile's rows are output pixels, its columns output
/// channels, and its depth runs over the patch of the input that a pixel sees, read where it stands. No matrix of patches
/// exists in memory.
/// </summary>
/// <remarks>
/// The sum for an output starts at bias + residual and takes one fused multiply-add per product, in an order that depends on
/// the layer alone: blocks of 16 input channels, in each the rows and columns of the window, at each pixel the channels. So
/// results are the same for any number of threads and any blocking. Error: below (products + 2) * 2^-24 * sum |w||x|.
/// </remarks>
internal sealed unsafe class DirectConvolution : IConvolutionKernel
{
    // Where the last block of input channels has at least so many, its surplus lanes are multiplied by zero, so that the
    // rows of a window stay one run each; with fewer it is cheaper to skip them.
    private const int WorthwhileLanes = 12;

    private readonly ConvolutionShape _shape;
    private readonly Activation _activation;
    private readonly IsaLevel _level = Isa.Level;
    private readonly AlignedBuffer<float> _weights;
    private readonly AlignedBuffer<float> _bias;
    private readonly PatchPart[] _parts;
    private readonly ConvolutionPanel[] _panels;

    /// <summary>Packs the weights for the level in force.</summary>
    public DirectConvolution(ConvolutionShape shape, ReadOnlySpan<float> weights, ReadOnlySpan<float> bias, Activation activation)
    {
        _shape = shape;
        _activation = activation;
        int columns = WideTile.ColumnsInForce();
        (_parts, _panels) = Cut(shape, columns);

        nint window = (nint)shape.KernelHeight * shape.KernelWidth;
        nint depth = 0;
        foreach (ref ConvolutionPanel panel in _panels.AsSpan())
        {
            panel.Weights = depth * columns;
            depth += panel.Depth * window;
        }

        _weights = new(depth * columns);
        _bias = new(_panels.Length * (nint)columns);
        bias.CopyTo(_bias.AsSpan());
        foreach (ConvolutionPanel panel in _panels)
            Pack(panel, weights, columns, _weights.Pointer + panel.Weights);
    }

    public long WeightBytes => (_weights.Length + _bias.Length) * sizeof(float);

    public void Dispose()
    {
        _weights.Dispose();
        _bias.Dispose();
    }

    public void Run(in BlockedImages source, in BlockedImages? residual, in BlockedImages destination, WorkerPool pool)
    {
        using IsaScope scope = new(_level);
        using Scratch<TileRun> runs = new((_parts.Length * (nint)_shape.KernelHeight * _shape.KernelWidth) + 1);
        int runsOfPart = Runs(source, runs.Pointer);
        DirectConvolutionAction action = new(
            new DirectConvolutionJob
            {
                Shape = _shape,
                Activation = _activation,
                Source = source,
                Destination = destination,
                Residual = residual ?? destination,
                HasResidual = residual is not null,
                Weights = _weights.Pointer,
                Bias = _bias.Pointer,
                Runs = runs.Pointer,
                RunsOfPart = runsOfPart,
            },
            _panels,
            _parts,
            pool);
        Isa.Dispatch(ref action);
        GC.KeepAlive(this);
    }

    /// <summary>
    /// Divides the output channels into panels and says which input channels each of them reads: with several groups to a
    /// panel those of all of them, and the weights are zero where a channel belongs to another group.
    /// </summary>
    private static (PatchPart[] Parts, ConvolutionPanel[] Panels) Cut(ConvolutionShape shape, int width)
    {
        int channels = (shape.OutputChannels + BlockedImages.Block - 1) / BlockedImages.Block * BlockedImages.Block;
        ConvolutionPanel[] panels = new ConvolutionPanel[(channels + width - 1) / width];
        List<PatchPart> parts = [];
        for (int p = 0; p < panels.Length; p++)
        {
            int first = p * width, last = Math.Min(first + width, shape.OutputChannels) - 1;
            ref ConvolutionPanel panel = ref panels[p];
            panel = new() { Channel = first, Channels = Math.Min(width, channels - first), FirstPart = parts.Count };
            if (p > 0 && (shape.Groups == 1 || last < first))
            {
                // The same patches as before: of the only group, or of none.
                (panel.FirstPart, panel.Parts, panel.Depth) = (panels[p - 1].FirstPart, panels[p - 1].Parts, panels[p - 1].Depth);
                continue;
            }

            int begin = first / shape.GroupOutputs * shape.GroupInputs, end = ((last / shape.GroupOutputs) + 1) * shape.GroupInputs;
            for (int channel = begin; channel < end;)
            {
                int lane = channel % BlockedImages.Block, count = Math.Min(BlockedImages.Block - lane, end - channel);
                if (shape.InputChannels > BlockedImages.MostInterleaved && lane == 0 && count >= WorthwhileLanes)
                    count = BlockedImages.Block;
                parts.Add(new(channel, count, panel.Depth));
                panel.Depth += count;
                channel += count;
            }

            panel.Parts = parts.Count - panel.FirstPart;
        }

        return ([.. parts], panels);
    }

    private void Pack(in ConvolutionPanel panel, ReadOnlySpan<float> weights, int width, float* target)
    {
        int inputs = _shape.GroupInputs, outputs = _shape.GroupOutputs, window = _shape.KernelHeight * _shape.KernelWidth;
        foreach (PatchPart part in _parts.AsSpan(panel.FirstPart, panel.Parts))
        {
            for (int tap = 0; tap < window; tap++)
            {
                for (int channel = part.Channel; channel < part.Channel + part.Channels; channel++, target += width)
                {
                    for (int column = 0; column < width && panel.Channel + column < _shape.OutputChannels; column++)
                    {
                        int output = panel.Channel + column, input = channel - (output / outputs * inputs);
                        if (input >= 0 && input < inputs)
                            target[column] = weights[checked((int)((((long)output * inputs) + input) * window)) + tap];
                    }
                }
            }
        }
    }

    /// <summary>Where the runs of all parts stand in a source: those of a row of the window are one, where they follow each other.</summary>
    /// <returns>Runs of a part.</returns>
    private int Runs(in BlockedImages source, TileRun* runs)
    {
        bool merged = _shape.DilationX == 1;
        foreach (PatchPart part in _parts)
            merged &= part.Channels == source.Lanes;
        int columns = merged ? 1 : _shape.KernelWidth;
        foreach (PatchPart part in _parts)
        {
            for (int v = 0; v < _shape.KernelHeight; v++)
            {
                for (int u = 0; u < columns; u++)
                {
                    nint offset = (part.Channel / source.Lanes * source.BlockStride) + ((nint)v * _shape.DilationY * source.RowStride)
                        + ((nint)u * _shape.DilationX * source.Lanes) + (part.Channel % source.Lanes);
                    *runs++ = new(offset, (nint)part.Channels * (merged ? _shape.KernelWidth : 1));
                }
            }
        }

        return columns * _shape.KernelHeight;
    }
}

/// <summary>Input channels of one block that patches take together, at all pixels of the window.</summary>
/// <param name="Channel">The first.</param>
/// <param name="Channels">How many; surplus lanes may be among them.</param>
/// <param name="Before">Channels of the panel's parts before this one.</param>
internal readonly record struct PatchPart(int Channel, int Channels, nint Before);

/// <summary>A tile's width of output channels.</summary>
internal record struct ConvolutionPanel
{
    /// <summary>The first output channel.</summary>
    public int Channel;

    /// <summary>Output channels with the surplus lanes of the last block: a tile's width, or at the end a block less.</summary>
    public int Channels;

    /// <summary>The first of the parts that it reads.</summary>
    public int FirstPart;

    /// <summary>How many parts.</summary>
    public int Parts;

    /// <summary>Input channels of all its parts.</summary>
    public nint Depth;

    /// <summary>Floats before its weights.</summary>
    public nint Weights;
}
