namespace EmbeddingKernels.Core;

/// <summary>
/// What a two-dimensional convolution is, but for its weights:
/// y[o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[g C + c, i StrideY + u DilationY - Padding.Top, j StrideX + v DilationX - Padding.Left],
/// where C = InputChannels / Groups, g is o's group, and x is 0 outside the map. A one-dimensional one has height 1.
/// </summary>
public sealed record ConvolutionShape
{
    /// <summary>Channels of the input.</summary>
    public required int InputChannels { get; init; }

    /// <summary>Channels of the output.</summary>
    public required int OutputChannels { get; init; }

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

    /// <summary>Zeros around the map.</summary>
    public Margins Padding { get; init; }

    /// <summary>Groups: input and output channels are divided among them evenly.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>Channels of the input that an output channel sees.</summary>
    public int GroupInputs => InputChannels / Groups;

    /// <summary>Output channels of a group.</summary>
    public int GroupOutputs => OutputChannels / Groups;

    /// <summary>Each channel is convolved by itself.</summary>
    public bool IsDepthwise => Groups == InputChannels && Groups == OutputChannels && Groups > 1;

    /// <summary>Weights, in the order [output channel][input channel of the group][row][column].</summary>
    public long WeightCount => (long)OutputChannels * GroupInputs * KernelHeight * KernelWidth;

    /// <summary>Rows that an input of <paramref name="height"/> rows gives; 0 or less where the window does not fit.</summary>
    public int OutputHeight(int height) => Outputs(height, Padding.Top + Padding.Bottom, KernelHeight, StrideY, DilationY);

    /// <summary>Columns that an input of <paramref name="width"/> columns gives; 0 or less where the window does not fit.</summary>
    public int OutputWidth(int width) => Outputs(width, Padding.Left + Padding.Right, KernelWidth, StrideX, DilationX);

    /// <summary>Multiply-adds per image.</summary>
    internal double Products(int outputHeight, int outputWidth) => (double)WeightCount * outputHeight * outputWidth;

    /// <summary>Throws where a number is out of range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An extent, stride, dilation or padding is out of range, or groups do not divide the channels.</exception>
    internal void Check()
    {
        AtLeast(1, InputChannels, nameof(InputChannels));
        AtLeast(1, OutputChannels, nameof(OutputChannels));
        AtLeast(1, KernelHeight, nameof(KernelHeight));
        AtLeast(1, KernelWidth, nameof(KernelWidth));
        AtLeast(1, StrideY, nameof(StrideY));
        AtLeast(1, StrideX, nameof(StrideX));
        AtLeast(1, DilationY, nameof(DilationY));
        AtLeast(1, DilationX, nameof(DilationX));
        AtLeast(0, Padding.Top, nameof(Padding));
        AtLeast(0, Padding.Left, nameof(Padding));
        AtLeast(0, Padding.Bottom, nameof(Padding));
        AtLeast(0, Padding.Right, nameof(Padding));
        AtLeast(1, Groups, nameof(Groups));
        if (InputChannels % Groups != 0 || OutputChannels % Groups != 0)
            throw new ArgumentOutOfRangeException(nameof(Groups), Groups, $"Must divide {InputChannels} input and {OutputChannels} output channels.");
    }

    private static void AtLeast(int least, int value, string name)
    {
        if (value < least || value > 1 << 24)
            throw new ArgumentOutOfRangeException(name, value, $"Must be {least} or more (and at most {1 << 24}).");
    }

    private static int Outputs(int extent, int padding, int kernel, int stride, int dilation)
    {
        long room = (long)extent + padding - (((long)kernel - 1) * dilation) - 1;
        return room < 0 ? 0 : (int)((room / stride) + 1);
    }
}
