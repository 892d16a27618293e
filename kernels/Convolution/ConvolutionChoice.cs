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

    // A tile of the product has at least so many rows.
    private const int FewestRows = 4;

    // Winograd's transforms cost as much as so many of their products, measured for 64 channels.
    private const double TransformShare = 1.5;

    // With fewer channels than a block has, the transforms work on lanes that hold nothing.
    private const int FewestChannels = BlockedImages.Block;

    /// <summary>The fastest by measurement, among those whose error is below 1e-5 of the output's rms.</summary>
    public static ConvolutionAlgorithm Fastest(ConvolutionShape shape, int outputHeight, int outputWidth)
    {
        if (shape.IsDepthwise)
            return ConvolutionAlgorithm.Depthwise;
        if (!Computes(ConvolutionAlgorithm.Winograd4, shape) || Math.Min(shape.InputChannels, shape.OutputChannels) < FewestChannels)
            return ConvolutionAlgorithm.Direct;

        double direct = 9 * Math.Max((double)outputHeight * outputWidth, FewestRows);
        double two = TransformShare * Products(2), four = TransformShare * Products(4);

        // Transformed weights that no cache keeps from image to image are read at memory's speed: where each meets but a few
        // tiles, the smaller ones are as fast (512 channels at 7 x 7: 1.5 against 1.7 ms), and two threads have room to be faster.
        bool streamed = shape.WeightCount / 9 * 36 * sizeof(float) > CacheSizes.L3 / 4 && Tiles(4) <= FewestRows;
        if (!streamed && four <= two && four < direct)
            return ConvolutionAlgorithm.Winograd4;
        return two < direct ? ConvolutionAlgorithm.Winograd2 : ConvolutionAlgorithm.Direct;

        double Products(int outputs) => (outputs + 2) * (outputs + 2) * Math.Max(Tiles(outputs), FewestRows);

        double Tiles(int outputs) => Math.Ceiling((double)outputHeight / outputs) * Math.Ceiling((double)outputWidth / outputs);
    }
}
