namespace EmbeddingKernels.Core;

/// <summary>
/// Padding that is given by a rule instead of numbers: ONNX's auto_pad SAME_UPPER and SAME_LOWER (TensorFlow's and Keras'
/// "same" is SAME_UPPER). An odd pixel falls behind the map with SAME_UPPER and before it with SAME_LOWER.
/// </summary>
public static class AutoPadding
{
    /// <summary>The padding with which an extent of n gives ceil(n / stride) windows, of a convolution or a pooling.</summary>
    /// <param name="extent">Rows or columns of the input.</param>
    /// <param name="kernel">Rows or columns of the window.</param>
    /// <param name="stride">From window to window.</param>
    /// <param name="dilation">Within the window.</param>
    /// <param name="lower">SAME_LOWER instead of SAME_UPPER.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1.</exception>
    public static (int Before, int After) Same(int extent, int kernel, int stride, int dilation, bool lower)
    {
        Check(extent, kernel, stride, dilation);
        long windows = ((long)extent + stride - 1) / stride;
        return Split(Math.Max(0, ((windows - 1) * stride) + (((long)kernel - 1) * dilation) + 1 - extent), lower);
    }

    /// <summary>The same for rows and columns at once.</summary>
    /// <inheritdoc cref="Same(int, int, int, int, bool)"/>
    public static Margins Same(
        int height, int width, int kernelHeight, int kernelWidth, int strideY, int strideX, int dilationY = 1, int dilationX = 1, bool lower = false)
    {
        (int top, int bottom) = Same(height, kernelHeight, strideY, dilationY, lower);
        (int left, int right) = Same(width, kernelWidth, strideX, dilationX, lower);
        return new(top, left, bottom, right);
    }

    /// <summary>The padding with which a transposed convolution gives <paramref name="output"/> rows or columns (usually extent times stride).</summary>
    /// <param name="extent">Rows or columns of the input.</param>
    /// <param name="kernel">Rows or columns of the window.</param>
    /// <param name="stride">Of the output, from one of the input's to the next.</param>
    /// <param name="dilation">Within the window.</param>
    /// <param name="outputPadding">What is added behind the output.</param>
    /// <param name="output">Rows or columns that are wanted; where even no padding gives too few, the padding is 0.</param>
    /// <param name="lower">SAME_LOWER instead of SAME_UPPER.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below 1, or the output padding negative.</exception>
    public static (int Before, int After) SameTransposed(int extent, int kernel, int stride, int dilation, int outputPadding, int output, bool lower)
    {
        Check(extent, kernel, stride, dilation);
        ArgumentOutOfRangeException.ThrowIfNegative(outputPadding);
        ArgumentOutOfRangeException.ThrowIfLessThan(output, 1);
        return Split(Math.Max(0, (((long)extent - 1) * stride) + (((long)kernel - 1) * dilation) + 1 + outputPadding - output), lower);
    }

    private static (int Before, int After) Split(long total, bool lower)
    {
        int half = checked((int)(total / 2)), rest = checked((int)(total - half));
        return lower ? (rest, half) : (half, rest);
    }

    private static void Check(int extent, int kernel, int stride, int dilation)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(extent, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(kernel, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(stride, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(dilation, 1);
    }
}
