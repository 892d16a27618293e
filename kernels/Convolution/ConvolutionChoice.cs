namespace EmbeddingKernels.Core;

/// <summary>Which algorithms compute a convolution, and which of them is fastest.</summary>
internal static class ConvolutionChoice
{
    /// <summary>Whether <paramref name="algorithm"/> computes convolutions of this shape.</summary>
    public static bool Computes(ConvolutionAlgorithm algorithm, ConvolutionShape shape) => algorithm switch
    {
        ConvolutionAlgorithm.Auto or ConvolutionAlgorithm.Direct => true,
        ConvolutionAlgorithm.Depthwise => shape.IsDepthwise,
        _ => shape is { KernelHeight: 3, KernelWidth: 3, StrideX: 1, StrideY: 1, DilationX: 1, DilationY: 1, Groups: 1 },
    };

    /// <summary>The fastest by measurement.</summary>
    public static ConvolutionAlgorithm Fastest(ConvolutionShape shape, int outputHeight, int outputWidth)
    {
        if (shape.IsDepthwise)
            return ConvolutionAlgorithm.Depthwise;
        return ConvolutionAlgorithm.Direct;
    }
}
