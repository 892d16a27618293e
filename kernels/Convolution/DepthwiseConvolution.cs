namespace EmbeddingKernels.Core;

/// <summary>
/// Convolution of each channel by itself, for any window, stride and dilation: up to 8 pixels of a row are summed in
/// registers, for as many channels of a block as a vector has lanes.
/// </summary>
/// <remarks>
/// A sum starts at bias + residual and takes one fused multiply-add for each weight of the window in its order, so results
/// are the same for any number of threads. Error: below (products + 2) * 2^-24 * sum |w||x|.
/// </remarks>
internal sealed unsafe class DepthwiseConvolution : IConvolutionKernel
{
    private readonly ConvolutionShape _shape;
    private readonly Activation _activation;
    private readonly IsaLevel _level = Isa.Level;
    private readonly AlignedBuffer<float> _weights;
    private readonly AlignedBuffer<float> _bias;

    /// <summary>Packs the weights: [block of channels][row][column][channel].</summary>
    /// <param name="shape">A depthwise convolution.</param>
    /// <param name="weights">[channel][row][column].</param>
    /// <param name="bias">A number for each channel, or none.</param>
    /// <param name="activation">What follows.</param>
    public DepthwiseConvolution(ConvolutionShape shape, ReadOnlySpan<float> weights, ReadOnlySpan<float> bias, Activation activation)
    {
        if (shape.Groups != shape.InputChannels || shape.Groups != shape.OutputChannels)
            throw new ArgumentException($"Not a depthwise convolution: {shape}.", nameof(shape));
        (_shape, _activation) = (shape, activation);
        nint channels = GemmBlocking.RoundUp(shape.OutputChannels, BlockedImages.Block);
        int window = shape.KernelHeight * shape.KernelWidth;
        _bias = new(channels);
        bias.CopyTo(_bias.AsSpan());
        _weights = new(channels * window);
        for (int channel = 0; channel < shape.OutputChannels; channel++)
        {
            float* target = _weights.Pointer + ((nint)(channel / BlockedImages.Block) * BlockedImages.Block * window) + (channel % BlockedImages.Block);
            for (int tap = 0; tap < window; tap++)
                target[(nint)tap * BlockedImages.Block] = weights[(channel * window) + tap];
        }
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
        nint window = (nint)_shape.KernelHeight * _shape.KernelWidth;
        using Scratch<nint> taps = new(window);
        for (nint tap = 0; tap < window; tap++)
            taps.Pointer[tap] = (tap / _shape.KernelWidth * _shape.DilationY * source.RowStride) + (tap % _shape.KernelWidth * _shape.DilationX * BlockedImages.Block);
        DepthwiseAction action = new(
            new DepthwiseJob
            {
                Shape = _shape,
                Activation = _activation,
                Source = source,
                Destination = destination,
                Residual = residual ?? destination,
                HasResidual = residual is not null,
                Weights = _weights.Pointer,
                Bias = _bias.Pointer,
                Taps = taps.Pointer,
                Window = window,
            },
            pool);
        Isa.Dispatch(ref action);
        GC.KeepAlive(this);
    }
}
