namespace EmbeddingKernels.Core;

/// <summary>The windows of a pooling: window i covers the rows i StrideY + u DilationY - Padding.Top of the map, and likewise its columns.</summary>
public sealed record PoolingShape
{
    /// <summary>Rows of the window.</summary>
    public required int KernelHeight { get; init; }

    /// <summary>Columns of the window.</summary>
    public required int KernelWidth { get; init; }

    /// <summary>Rows from window to window.</summary>
    public int StrideY { get; init; } = 1;

    /// <summary>Columns from window to window.</summary>
    public int StrideX { get; init; } = 1;

    /// <summary>Rows from one of the window's rows to the next.</summary>
    public int DilationY { get; init; } = 1;

    /// <summary>Columns from one of the window's columns to the next.</summary>
    public int DilationX { get; init; } = 1;

    /// <summary>Rows and columns around the map where windows may reach.</summary>
    public Margins Padding { get; init; }

    /// <summary>Rows that an input of <paramref name="height"/> rows gives; 0 where the window does not fit.</summary>
    /// <param name="height">Rows of the input.</param>
    /// <param name="ceilMode">See <see cref="Outputs"/>.</param>
    public int OutputHeight(int height, bool ceilMode = false) =>
        Outputs(height, Padding.Top, Padding.Bottom, KernelHeight, StrideY, DilationY, ceilMode);

    /// <summary>Columns that an input of <paramref name="width"/> columns gives; 0 where the window does not fit.</summary>
    /// <param name="width">Columns of the input.</param>
    /// <param name="ceilMode">See <see cref="Outputs"/>.</param>
    public int OutputWidth(int width, bool ceilMode = false) =>
        Outputs(width, Padding.Left, Padding.Right, KernelWidth, StrideX, DilationX, ceilMode);

    /// <summary>Windows along one axis, of any number of dimensions.</summary>
    /// <param name="extent">Of the input.</param>
    /// <param name="before">Padding before it.</param>
    /// <param name="after">Padding behind it.</param>
    /// <param name="kernel">Extent of the window.</param>
    /// <param name="stride">From window to window.</param>
    /// <param name="dilation">Within the window.</param>
    /// <param name="ceilMode">
    /// Also a last window that reaches past the padding, unless it would start behind the input (the rule of PyTorch and ONNX).
    /// </param>
    public static int Outputs(int extent, int before, int after, int kernel, int stride, int dilation, bool ceilMode)
    {
        long room = (long)extent + before + after - (((long)kernel - 1) * dilation) - 1;
        if (room < 0)
            return 0;
        long outputs = ((room + (ceilMode ? stride - 1 : 0)) / stride) + 1;
        if (ceilMode && (outputs - 1) * stride >= (long)extent + before)
            outputs--;
        return (int)outputs;
    }

    /// <summary>Throws where a number is out of range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An extent, stride, dilation or padding is out of range.</exception>
    internal void Check() => new ConvolutionShape
    {
        InputChannels = 1,
        OutputChannels = 1,
        KernelHeight = KernelHeight,
        KernelWidth = KernelWidth,
        StrideY = StrideY,
        StrideX = StrideX,
        DilationY = DilationY,
        DilationX = DilationX,
        Padding = Padding,
    }.Check();
}
