namespace EmbeddingKernels.Core;

/// <summary>
/// What a two-dimensional transposed convolution (PyTorch's ConvTranspose2d, ONNX's ConvTranspose) is, but for its weights:
/// y[g O + o, p, q] = b[g O + o] + sum of w[g C + c, o, u, v] x[g C + c, i, j] over all c, i, j, u, v with
/// p = i StrideY + u DilationY - Padding.Top and q = j StrideX + v DilationX - Padding.Left,
/// where C = InputChannels / Groups and O = OutputChannels / Groups.
/// </summary>
public sealed record TransposedConvolutionShape
{
    /// <summary>Channels of the input.</summary>
    public required int InputChannels { get; init; }

    /// <summary>Channels of the output.</summary>
    public required int OutputChannels { get; init; }

    /// <summary>Rows of the window.</summary>
    public required int KernelHeight { get; init; }

    /// <summary>Columns of the window.</summary>
    public required int KernelWidth { get; init; }

    /// <summary>Rows of the output from one row of the input to the next.</summary>
    public int StrideY { get; init; } = 1;

    /// <summary>Columns of the output from one column of the input to the next.</summary>
    public int StrideX { get; init; } = 1;

    /// <summary>Rows from one of the window's rows to the next.</summary>
    public int DilationY { get; init; } = 1;

    /// <summary>Columns from one of the window's columns to the next.</summary>
    public int DilationX { get; init; } = 1;

    /// <summary>Rows and columns that are cut off the output.</summary>
    public Margins Padding { get; init; }

    /// <summary>Rows that the output has below those (PyTorch's and ONNX's output padding).</summary>
    public int OutputPaddingY { get; init; }

    /// <summary>Columns that the output has after those.</summary>
    public int OutputPaddingX { get; init; }

    /// <summary>Groups: input and output channels are divided among them evenly.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>Output channels of a group.</summary>
    public int GroupOutputs => OutputChannels / Groups;

    /// <summary>Input channels of a group.</summary>
    public int GroupInputs => InputChannels / Groups;

    /// <summary>Weights, in the order [input channel][output channel of the group][row][column].</summary>
    public long WeightCount => (long)InputChannels * GroupOutputs * KernelHeight * KernelWidth;

    /// <summary>Rows that an input of <paramref name="height"/> rows gives; 0 or less where the padding leaves none.</summary>
    public int OutputHeight(int height) =>
        Outputs(height, Padding.Top + Padding.Bottom, KernelHeight, StrideY, DilationY, OutputPaddingY);

    /// <summary>Columns that an input of <paramref name="width"/> columns gives; 0 or less where the padding leaves none.</summary>
    public int OutputWidth(int width) =>
        Outputs(width, Padding.Left + Padding.Right, KernelWidth, StrideX, DilationX, OutputPaddingX);

    /// <summary>The convolution that this one transposes: from this one's output to its input.</summary>
    internal ConvolutionShape Forward => new()
    {
        InputChannels = OutputChannels,
        OutputChannels = InputChannels,
        KernelHeight = KernelHeight,
        KernelWidth = KernelWidth,
        StrideY = StrideY,
        StrideX = StrideX,
        DilationY = DilationY,
        DilationX = DilationX,
        Padding = Padding,
        Groups = Groups,
    };

    /// <summary>Throws where a number is out of range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An extent, stride, dilation or padding is out of range, or groups do not divide the channels.</exception>
    internal void Check()
    {
        // Only the groups' message names both numbers of channels, so it is made here, the right way round.
        if (Groups >= 1 && (InputChannels % Groups != 0 || OutputChannels % Groups != 0))
            throw new ArgumentOutOfRangeException(nameof(Groups), Groups, $"Must divide {InputChannels} input and {OutputChannels} output channels.");
        Forward.Check();
        CheckOutputPadding(OutputPaddingY, StrideY, DilationY, nameof(OutputPaddingY));
        CheckOutputPadding(OutputPaddingX, StrideX, DilationX, nameof(OutputPaddingX));
    }

    private static void CheckOutputPadding(int padding, int stride, int dilation, string name)
    {
        if (padding < 0 || padding >= Math.Max(stride, dilation))
            throw new ArgumentOutOfRangeException(name, padding, $"Must be 0 or more and below the stride or the dilation ({stride}, {dilation}).");
    }

    private static int Outputs(int extent, int padding, int kernel, int stride, int dilation, int outputPadding)
    {
        long outputs = (((long)extent - 1) * stride) + (((long)kernel - 1) * dilation) + 1 + outputPadding - padding;
        return (int)Math.Clamp(outputs, 0, int.MaxValue);
    }
}
