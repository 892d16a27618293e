namespace EmbeddingKernels;

/// <summary>How a network is loaded.</summary>
public sealed record NetworkOptions
{
    /// <summary>
    /// The built-in architecture of a .safetensors file: "vgg11", "vgg13", "vgg16", "vgg19" (each also with "_bn"),
    /// "resnet18", "resnet34", "resnet50", "resnet101", "cifar_resnet20" and so on. None means: recognised from the
    /// tensors' names and shapes.
    /// </summary>
    public string? Architecture { get; init; }

    /// <summary>
    /// The most memory that values between layers may take, in bytes, and the most that one constant which a model computes may
    /// take: a file can claim any shape. Running needs less than that, or fails with a message.
    /// </summary>
    public long MaximumMemory { get; init; } = 8L << 30;

    /// <summary>
    /// Whether values are computed by the packed kernels. Without, each operator runs by itself as a plain loop: slow, for
    /// comparison.
    /// </summary>
    public bool Optimize { get; init; } = true;

    /// <summary>How convolutions are computed; <see cref="Core.ConvolutionAlgorithm.Auto"/> chooses for each.</summary>
    public Core.ConvolutionAlgorithm Algorithm { get; init; } = Core.ConvolutionAlgorithm.Auto;
}
