using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>A layer that is compared: square maps, windows and padding. A fully connected one has maps and a window of one pixel.</summary>
/// <param name="Name">What the tables call it.</param>
/// <param name="Inputs">Channels of the input.</param>
/// <param name="Outputs">Channels of the output.</param>
/// <param name="Size">Rows and columns of the input.</param>
/// <param name="Kernel">Rows and columns of the window.</param>
/// <param name="Stride">Pixels from window to window.</param>
/// <param name="Groups">1, or the channels where each is by itself.</param>
/// <param name="Batch">Images.</param>
internal sealed record ConvolutionLayer(string Name, int Inputs, int Outputs, int Size, int Kernel, int Stride = 1, int Groups = 1, int Batch = 1)
{
    /// <summary>Layers of VGG16, ResNet-50 and MobileNet at 224 x 224.</summary>
    public static ConvolutionLayer[] All { get; } =
    [
        new("3x3 3>64 @224", 3, 64, 224, 3),
        new("3x3 64>64 @224", 64, 64, 224, 3),
        new("3x3 128>128 @112", 128, 128, 112, 3),
        new("3x3 256>256 @56", 256, 256, 56, 3),
        new("3x3 512>512 @28", 512, 512, 28, 3),
        new("3x3 512>512 @14", 512, 512, 14, 3),
        new("7x7 stride 2 3>64 @224", 3, 64, 224, 7, Stride: 2),
        new("1x1 64>256 @56", 64, 256, 56, 1),
        new("1x1 512>128 @28", 512, 128, 28, 1),
        new("1x1 512>2048 @7", 512, 2048, 7, 1),
        new("depthwise 3x3 32 @112", 32, 32, 112, 3, Groups: 32),
        new("depthwise 3x3 512 @14", 512, 512, 14, 3, Groups: 512),
    ];

    /// <summary>Some of the same kinds in small.</summary>
    public static ConvolutionLayer[] Quick { get; } =
    [
        new("3x3 3>64 @56", 3, 64, 56, 3),
        new("3x3 64>64 @56", 64, 64, 56, 3),
        new("7x7 stride 2 3>64 @56", 3, 64, 56, 7, Stride: 2),
        All[9],
        All[11],
    ];

    /// <summary>VGG16's first fully connected layer, or a smaller one.</summary>
    public static ConvolutionLayer[] FullyConnected(bool quick) =>
        [.. ((int[])[1, 8]).Select(batch => quick
            ? new ConvolutionLayer($"4096>4096, batch {batch}", 4096, 4096, 1, 1, Batch: batch)
            : new ConvolutionLayer($"25088>4096, batch {batch}", 25088, 4096, 1, 1, Batch: batch))];

    /// <summary>Zeros on each side.</summary>
    public int Padding => Kernel / 2;

    /// <summary>Rows and columns of the output.</summary>
    public int OutputSize => ((Size + (2 * Padding) - Kernel) / Stride) + 1;

    /// <summary>Channels of the input that an output channel sees.</summary>
    public int GroupInputs => Inputs / Groups;

    /// <summary>Products of an output.</summary>
    public int Depth => GroupInputs * Kernel * Kernel;

    /// <summary>Maps and window are single pixels.</summary>
    public bool IsFullyConnected => Size == 1 && Kernel == 1;

    /// <summary>Winograd's algorithms can compute it.</summary>
    public bool IsWinograd => Kernel == 3 && Stride == 1 && Groups == 1;

    /// <summary>GFLOP of the plain sum.</summary>
    public double Work => 2e-9 * Batch * Outputs * OutputSize * OutputSize * Depth;

    /// <summary>Floats of the input.</summary>
    public nint InputLength => (nint)Batch * Inputs * Size * Size;

    /// <summary>Floats of the weights.</summary>
    public nint WeightLength => (nint)Outputs * Depth;

    /// <summary>Floats of the output.</summary>
    public nint OutputLength => (nint)Batch * Outputs * OutputSize * OutputSize;

    /// <summary>The same in the library's words.</summary>
    public ConvolutionShape Shape => new()
    {
        InputChannels = Inputs,
        OutputChannels = Outputs,
        KernelHeight = Kernel,
        KernelWidth = Kernel,
        StrideY = Stride,
        StrideX = Stride,
        Padding = new(Padding),
        Groups = Groups,
    };
}
