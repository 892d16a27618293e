namespace EmbeddingKernels.Core;

/// <summary>
/// A two-dimensional convolution with its weights packed for this processor:
/// destination = activation(convolution(source) + bias + residual); <see cref="ConvolutionShape"/> has the formula.
/// </summary>
/// <remarks>
/// <para>One-dimensional convolutions have height 1. The cross-correlation of all deep-learning frameworks: the window is not
/// mirrored. Any batch and any size of map that the window fits.</para>
/// <para>Results do not depend on the number of threads. Error of <see cref="ConvolutionAlgorithm.Direct"/> and
/// <see cref="ConvolutionAlgorithm.Depthwise"/>: below (products of a sum + 2) * 2^-24 * sum |w||x|; of the Winograd forms:
/// see <see cref="ConvolutionAlgorithm"/>. A NaN or infinity in the input shows in all outputs whose window covers it, with
/// a Winograd form in their tile too, and with groups that share 16 or 32 output channels in those of all of these groups.</para>
/// <para>Thread-safe once constructed, but for <see cref="Dispose"/>. The instruction-set level in force at construction is
/// the layer's for good.</para>
/// </remarks>
public sealed class Convolution2D : IDisposable
{
    private readonly IConvolutionKernel _kernel;

    /// <summary>Packs a layer.</summary>
    /// <param name="shape">What it is.</param>
    /// <param name="weights">[output channel][input channel of the group][row][column].</param>
    /// <param name="bias">A number for each output channel, or nothing for zeros.</param>
    /// <param name="activation">What follows it.</param>
    /// <param name="outputHeight">Rows of a typical output, by which <see cref="ConvolutionAlgorithm.Auto"/> chooses.</param>
    /// <param name="outputWidth">Columns of a typical output, likewise.</param>
    /// <param name="algorithm">How to compute it.</param>
    /// <exception cref="ArgumentException">The number of weights or biases does not fit the shape, or the algorithm cannot compute it.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number of the shape is out of range, or <paramref name="algorithm"/> is undefined.</exception>
    public Convolution2D(
        ConvolutionShape shape,
        ReadOnlySpan<float> weights,
        ReadOnlySpan<float> bias,
        Activation activation,
        int outputHeight,
        int outputWidth,
        ConvolutionAlgorithm algorithm = ConvolutionAlgorithm.Auto)
    {
        ArgumentNullException.ThrowIfNull(shape);
        shape.Check();
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(outputHeight);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(outputWidth);
        if (weights.Length != shape.WeightCount)
            throw new ArgumentException($"There are {weights.Length} weights and the shape has {shape.WeightCount}.", nameof(weights));
        if (!bias.IsEmpty && bias.Length != shape.OutputChannels)
            throw new ArgumentException($"There are {bias.Length} biases and {shape.OutputChannels} output channels.", nameof(bias));
        if (!Enum.IsDefined(activation.Kind))
            throw new ArgumentOutOfRangeException(nameof(activation), activation.Kind, "Not an activation.");
        if (!Enum.IsDefined(algorithm))
            throw new ArgumentOutOfRangeException(nameof(algorithm), algorithm, "Not an algorithm.");
        if (!ConvolutionChoice.Computes(algorithm, shape))
            throw new ArgumentException($"{algorithm} cannot compute a convolution of {shape}.", nameof(algorithm));

        Shape = shape;
        Activation = activation;
        Algorithm = algorithm == ConvolutionAlgorithm.Auto ? ConvolutionChoice.Fastest(shape, outputHeight, outputWidth) : algorithm;
        _kernel = Algorithm switch
        {
            ConvolutionAlgorithm.Direct => new DirectConvolution(shape, weights, bias, activation),
            ConvolutionAlgorithm.Depthwise => new DepthwiseConvolution(shape, weights, bias, activation),
            ConvolutionAlgorithm.Winograd2 => new WinogradConvolution(shape, weights, bias, activation, 2),
            ConvolutionAlgorithm.Winograd4 => new WinogradConvolution(shape, weights, bias, activation, 4),
            _ => new WinogradConvolution(shape, weights, bias, activation, 6),
        };
    }

    /// <summary>What the layer computes.</summary>
    public ConvolutionShape Shape { get; }

    /// <summary>What is applied to the sums.</summary>
    public Activation Activation { get; }

    /// <summary>How it is computed.</summary>
    public ConvolutionAlgorithm Algorithm { get; }

    /// <summary>Bytes of the packed weights.</summary>
    public long WeightBytes => _kernel.WeightBytes;

    /// <summary>What the halo of a source must cover at least: the padding where the algorithm reads it there, else nothing.</summary>
    public Margins Halo => Algorithm is ConvolutionAlgorithm.Direct or ConvolutionAlgorithm.Depthwise ? Shape.Padding : default;

    /// <summary>Whether a source of at most 4 channels may stand without surplus lanes.</summary>
    public bool AcceptsInterleaved => Algorithm == ConvolutionAlgorithm.Direct && Shape.InputChannels <= BlockedImages.MostInterleaved;

    /// <summary>destination = activation(convolution(source) + bias).</summary>
    /// <param name="source">The input; its halo is zero and covers <see cref="Halo"/>.</param>
    /// <param name="destination">The output, overwritten; its halo is left alone. Must not overlap <paramref name="source"/>.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The maps do not fit the shape or each other.</exception>
    public void Run(in BlockedImages source, in BlockedImages destination, WorkerPool? pool = null) =>
        Run(source, null, destination, pool);

    /// <summary>destination = activation(convolution(source) + bias + residual).</summary>
    /// <param name="source">The input; its halo is zero and covers <see cref="Halo"/>.</param>
    /// <param name="residual">What is added, of the destination's shape; may be the destination itself.</param>
    /// <param name="destination">The output, overwritten; its halo is left alone. Must not overlap <paramref name="source"/>.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The maps do not fit the shape or each other.</exception>
    public void Run(in BlockedImages source, in BlockedImages residual, in BlockedImages destination, WorkerPool? pool = null) =>
        Run(source, (BlockedImages?)residual, destination, pool);

    /// <summary>Frees the packed weights.</summary>
    public void Dispose() => _kernel.Dispose();

    private void Run(in BlockedImages source, in BlockedImages? residual, in BlockedImages destination, WorkerPool? pool)
    {
        if (source.Channels != Shape.InputChannels)
            throw new ArgumentException($"The source has {source.Channels} channels and the layer takes {Shape.InputChannels}.", nameof(source));
        if (source.Lanes != BlockedImages.Block && !AcceptsInterleaved)
            throw new ArgumentException($"The source has {source.Lanes} channels to a block; {Algorithm} takes {BlockedImages.Block}.", nameof(source));
        if (!source.Halo.Cover(Halo))
            throw new ArgumentException($"The source's halo {source.Halo} does not cover {Halo}.", nameof(source));
        int height = Shape.OutputHeight(source.Height), width = Shape.OutputWidth(source.Width);
        if (height < 1 || width < 1)
            throw new ArgumentException($"The window does not fit a source of {source.Height} x {source.Width}.", nameof(source));
        CheckOutput(source, destination, height, width, nameof(destination));
        if (residual is { } added)
            CheckOutput(source, added, height, width, nameof(residual));
        if (source.Images > 0)
            _kernel.Run(source, residual, destination, pool ?? WorkerPool.Serial);
    }

    private void CheckOutput(in BlockedImages source, in BlockedImages output, int height, int width, string name)
    {
        if (output.Images != source.Images || output.Channels != Shape.OutputChannels || output.Height != height || output.Width != width)
        {
            throw new ArgumentException(
                $"The shape must be {source.Images} x {Shape.OutputChannels} x {height} x {width} and is {output.Images} x {output.Channels} x {output.Height} x {output.Width}.", name);
        }

        if (output.Lanes != BlockedImages.Block)
            throw new ArgumentException($"Outputs have {BlockedImages.Block} channels to a block; this has {output.Lanes}.", name);
    }
}
