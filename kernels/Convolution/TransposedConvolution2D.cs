using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// A two-dimensional transposed convolution with its weights packed for this processor:
/// destination = activation(transposed convolution(source) + bias); <see cref="TransposedConvolutionShape"/> has the formula.
/// </summary>
/// <remarks>
/// <para>The outputs whose rows and columns leave the same remainders by the strides see the same weights: they are an ordinary
/// convolution of stride 1 with some of the window's numbers, mirrored. Each of these runs as a <see cref="Convolution2D"/>
/// (no product with a stuffed zero) and its output is then put between the others'; with stride 1 there is but one, and nothing
/// to put. One-dimensional ones have height 1.</para>
/// <para>Errors and threads as <see cref="Convolution2D"/> has them. Thread-safe once constructed, but for <see cref="Dispose"/>.</para>
/// </remarks>
public sealed unsafe class TransposedConvolution2D : IDisposable
{
    // Scratch of a run: a few images at a time where each is small, and one where it is not.
    private const nint ScratchFloats = 1 << 20;

    private readonly List<TransposedPhase> _phases = [];
    private readonly float[] _empty; // what outputs that see no weight get, blocks of channels

    /// <summary>Packs a layer.</summary>
    /// <param name="shape">What it is.</param>
    /// <param name="weights">[input channel][output channel of the group][row][column].</param>
    /// <param name="bias">A number for each output channel, or nothing for zeros.</param>
    /// <param name="activation">What follows it.</param>
    /// <param name="outputHeight">Rows of a typical output, by which <see cref="ConvolutionAlgorithm.Auto"/> chooses.</param>
    /// <param name="outputWidth">Columns of a typical output, likewise.</param>
    /// <param name="algorithm"><see cref="ConvolutionAlgorithm.Auto"/> or <see cref="ConvolutionAlgorithm.Direct"/>.</param>
    /// <exception cref="ArgumentException">The number of weights or biases does not fit the shape.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number of the shape is out of range, or an argument undefined.</exception>
    public TransposedConvolution2D(
        TransposedConvolutionShape shape,
        ReadOnlySpan<float> weights,
        ReadOnlySpan<float> bias,
        Activation activation,
        int outputHeight,
        int outputWidth,
        ConvolutionAlgorithm algorithm = ConvolutionAlgorithm.Auto)
    {
        ArgumentNullException.ThrowIfNull(shape);
        shape.Check();
        ActivationRows.Check(activation, nameof(activation));
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(outputHeight);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(outputWidth);
        if (weights.Length != shape.WeightCount)
            throw new ArgumentException($"There are {weights.Length} weights and the shape has {shape.WeightCount}.", nameof(weights));
        if (!bias.IsEmpty && bias.Length != shape.OutputChannels)
            throw new ArgumentException($"There are {bias.Length} biases and {shape.OutputChannels} output channels.", nameof(bias));
        if (algorithm is not (ConvolutionAlgorithm.Auto or ConvolutionAlgorithm.Direct))
            throw new ArgumentOutOfRangeException(nameof(algorithm), algorithm, "Must be Auto or Direct.");

        Shape = shape;
        Activation = activation;
        _empty = new float[(shape.OutputChannels + BlockedImages.Block - 1) / BlockedImages.Block * BlockedImages.Block];
        bias.CopyTo(_empty);
        ActivationKernel.Apply(activation, _empty);
        for (int y = 0; y < shape.StrideY; y++)
        {
            TransposedAxis rows = new(shape.KernelHeight, shape.StrideY, shape.DilationY, shape.Padding.Top, shape.Padding.Bottom, shape.OutputPaddingY, y);
            for (int x = 0; x < shape.StrideX; x++)
            {
                TransposedAxis columns = new(shape.KernelWidth, shape.StrideX, shape.DilationX, shape.Padding.Left, shape.Padding.Right, shape.OutputPaddingX, x);
                _phases.Add(new(rows, columns, MakeConvolution(rows, columns, weights, bias, outputHeight, outputWidth, algorithm)));
            }
        }
    }

    /// <summary>What the layer computes.</summary>
    public TransposedConvolutionShape Shape { get; }

    /// <summary>What is applied to the sums.</summary>
    public Activation Activation { get; }

    /// <summary>Bytes of the packed weights.</summary>
    public long WeightBytes => _phases.Sum(phase => phase.Convolution?.WeightBytes ?? 0);

    /// <summary>What the halo of a source must cover at least.</summary>
    public Margins Halo => _phases.Aggregate(default(Margins), (halo, phase) => halo.Union(phase.Convolution?.Halo ?? default));

    /// <summary>Whether a source of at most 4 channels may stand without surplus lanes.</summary>
    public bool AcceptsInterleaved => _phases.All(phase => phase.Convolution?.AcceptsInterleaved ?? true);

    /// <summary>destination = activation(transposed convolution(source) + bias).</summary>
    /// <param name="source">The input; its halo is zero and covers <see cref="Halo"/>.</param>
    /// <param name="destination">The output, overwritten; its halo is left alone. Must not overlap <paramref name="source"/>.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The maps do not fit the shape or each other.</exception>
    public void Run(in BlockedImages source, in BlockedImages destination, WorkerPool? pool = null)
    {
        if (source.Channels != Shape.InputChannels)
            throw new ArgumentException($"The source has {source.Channels} channels and the layer takes {Shape.InputChannels}.", nameof(source));
        if (source.Lanes != BlockedImages.Block && !AcceptsInterleaved)
            throw new ArgumentException($"The source has {source.Lanes} channels to a block; the layer takes {BlockedImages.Block}.", nameof(source));
        if (!source.Halo.Cover(Halo))
            throw new ArgumentException($"The source's halo {source.Halo} does not cover {Halo}.", nameof(source));
        int height = Shape.OutputHeight(source.Height), width = Shape.OutputWidth(source.Width);
        if (height < 1 || width < 1)
            throw new ArgumentException($"The padding leaves nothing of a source of {source.Height} x {source.Width}.", nameof(source));
        if (destination.Images != source.Images || destination.Channels != Shape.OutputChannels || destination.Height != height || destination.Width != width
            || destination.Lanes != BlockedImages.Block)
        {
            throw new ArgumentException(
                $"The shape must be {source.Images} x {Shape.OutputChannels} x {height} x {width} (16 lanes) and is {MapChecks.Shape(destination)}.", nameof(destination));
        }

        foreach (TransposedPhase phase in _phases)
            Run(phase, source, destination, pool ?? WorkerPool.Serial);
    }

    /// <summary>Frees the packed weights.</summary>
    public void Dispose()
    {
        foreach (TransposedPhase phase in _phases)
            phase.Convolution?.Dispose();
    }

    private Convolution2D? MakeConvolution(
        TransposedAxis rows,
        TransposedAxis columns,
        ReadOnlySpan<float> weights,
        ReadOnlySpan<float> bias,
        int outputHeight,
        int outputWidth,
        ConvolutionAlgorithm algorithm)
    {
        if (rows.Taps.Length == 0 || columns.Taps.Length == 0)
            return null;
        ConvolutionShape shape = new()
        {
            InputChannels = Shape.InputChannels,
            OutputChannels = Shape.OutputChannels,
            KernelHeight = rows.Taps.Length,
            KernelWidth = columns.Taps.Length,
            DilationY = rows.Dilation,
            DilationX = columns.Dilation,
            Padding = new(rows.Before, columns.Before, rows.After, columns.After),
            Groups = Shape.Groups,
        };
        float[] own = new float[shape.WeightCount];
        int i = 0;
        for (int output = 0; output < Shape.OutputChannels; output++)
        {
            (int group, int inGroup) = Math.DivRem(output, Shape.GroupOutputs);
            for (int c = 0; c < Shape.GroupInputs; c++)
            {
                long window = (((((long)group * Shape.GroupInputs) + c) * Shape.GroupOutputs) + inGroup) * Shape.KernelHeight * Shape.KernelWidth;
                foreach (int u in rows.Taps)
                {
                    foreach (int v in columns.Taps)
                        own[i++] = weights[(int)(window + ((long)u * Shape.KernelWidth) + v)];
                }
            }
        }

        return new(
            shape, own, bias, Activation, Math.Max(1, outputHeight / Shape.StrideY), Math.Max(1, outputWidth / Shape.StrideX), algorithm);
    }

    private void Run(TransposedPhase phase, in BlockedImages source, in BlockedImages destination, WorkerPool pool)
    {
        int rows = phase.Rows.Count(destination.Height), columns = phase.Columns.Count(destination.Width);
        if (rows == 0 || columns == 0 || source.Images == 0)
            return;
        if (phase.Convolution is null)
        {
            fixed (float* empty = _empty)
                Put(phase, null, empty, destination, rows, columns, pool);
            return;
        }

        int height = phase.Convolution.Shape.OutputHeight(source.Height), width = phase.Convolution.Shape.OutputWidth(source.Width);
        if (Shape.StrideY == 1 && Shape.StrideX == 1 && height == destination.Height && width == destination.Width)
        {
            phase.Convolution.Run(source, destination, pool);
            return;
        }

        nint image = BlockedImages.Length(1, destination.Channels, height, width);
        int atOnce = (int)Math.Clamp(ScratchFloats / image, 1, source.Images);
        using Scratch<float> scratch = new(BlockedImages.Length(atOnce, destination.Channels, height, width));
        for (int first = 0; first < source.Images; first += atOnce)
        {
            int count = Math.Min(atOnce, source.Images - first);
            BlockedImages part = new(scratch.Pointer, count, destination.Channels, height, width);
            phase.Convolution.Run(source.SliceImages(first, count), part, pool);
            Put(phase, part, null, destination.SliceImages(first, count), rows, columns, pool);
        }
    }

    private static void Put(
        TransposedPhase phase, in BlockedImages? source, float* empty, in BlockedImages destination, int rows, int columns, WorkerPool pool)
    {
        PutAction action = new(phase.Rows, phase.Columns, source, empty, destination, rows, columns, pool);
        Isa.Dispatch(ref action);
    }

    private sealed record TransposedPhase(TransposedAxis Rows, TransposedAxis Columns, Convolution2D? Convolution);

    private readonly struct PutAction(
        TransposedAxis rowAxis, TransposedAxis columnAxis, in BlockedImages? source, float* empty, in BlockedImages destination, int rows, int columns, WorkerPool pool)
        : IWideAction
    {
        private readonly BlockedImages? _source = source;
        private readonly BlockedImages _destination = destination;

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            PutBody<TWide> body = new(rowAxis, columnAxis, _source, empty, _destination, rows, columns);
            pool.For((nint)_destination.Images * _destination.Blocks * rows, Math.Max(1, 32768 / ((nint)columns * BlockedImages.Block)), ref body);
        }
    }

    /// <summary>Puts the rows of one convolution, or one pixel, between those of the others.</summary>
    private readonly struct PutBody<TWide>(
        TransposedAxis rowAxis, TransposedAxis columnAxis, in BlockedImages? source, float* empty, in BlockedImages destination, int rows, int columns) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        private readonly BlockedImages? _source = source;
        private readonly BlockedImages _destination = destination;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            nint step = (nint)columnAxis.Stride * BlockedImages.Block;
            for (nint index = start; index < end; index++)
            {
                (nint map, nint row) = Math.DivRem(index, rows);
                (int image, int block) = ((int)(map / _destination.Blocks), (int)(map % _destination.Blocks));
                float* to = _destination.At(image, block, rowAxis.Place(row), columnAxis.Place(0));
                float* from = _source is { } maps ? maps.At(image, block, rowAxis.First + row, columnAxis.First) : empty + (block * BlockedImages.Block);
                LayoutKernels<TWide>.CopyPixels(from, _source is null ? 0 : BlockedImages.Block, to, step, BlockedImages.Block, columns);
            }
        }
    }
}

/// <summary>
/// The outputs of a transposed convolution along one axis whose place p has (p + before) mod stride = phase: the convolution
/// of stride 1 that gives them.
/// </summary>
internal sealed class TransposedAxis
{
    private readonly int _start; // p of the first
    private readonly int _stride;

    public TransposedAxis(int kernel, int stride, int dilation, int before, int after, int outputPadding, int phase)
    {
        // p + before = stride i + dilation u: with p + before = stride t + phase, i = t - e(u), where e(u) = (dilation u - phase) / stride.
        _stride = stride;
        List<int> taps = [], shifts = [];
        for (int u = kernel - 1; u >= 0; u--)
        {
            long distance = ((long)u * dilation) - phase;
            if (distance % stride == 0)
            {
                taps.Add(u);
                shifts.Add((int)(distance / stride));
            }
        }

        Taps = [.. taps];
        int first = before <= phase ? 0 : (before - phase + stride - 1) / stride; // t of the first output
        _start = (first * stride) + phase - before;
        if (Taps.Length == 0)
            return;

        // Outputs from t = min(first, e) on, so that the padding is not negative; those before the first are left out.
        int largest = shifts[0], begin = Math.Min(first, largest);
        Dilation = shifts.Count > 1 ? shifts[0] - shifts[1] : 1;
        First = first - begin;
        Before = largest - begin;
        long lastWithoutExtent = (long)Math.Floor((((kernel - 1.0) * dilation) + outputPadding - after - phase) / stride);
        After = (int)Math.Max(0, lastWithoutExtent - begin - Before + ((shifts.Count - 1L) * Dilation));
    }

    /// <summary>From output to output.</summary>
    public int Stride => _stride;

    /// <summary>The window's numbers that these outputs see, in the order in which they meet the input's.</summary>
    public int[] Taps { get; }

    /// <summary>Between them.</summary>
    public int Dilation { get; } = 1;

    /// <summary>Padding before the input.</summary>
    public int Before { get; }

    /// <summary>Padding behind it.</summary>
    public int After { get; }

    /// <summary>The convolution's output that is the first of these.</summary>
    public int First { get; }

    /// <summary>How many of <paramref name="extent"/> outputs are these.</summary>
    public int Count(int extent) => _start >= extent ? 0 : ((extent - 1 - _start) / _stride) + 1;

    /// <summary>Where the one with the given number stands.</summary>
    public nint Place(nint index) => _start + (index * _stride);
}
