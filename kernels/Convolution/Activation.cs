namespace EmbeddingKernels.Core;

/// <summary>The functions that follow a layer.</summary>
public enum ActivationKind
{
    /// <summary>x.</summary>
    None = 0,

    /// <summary>min(max(x, A), B); ReLU is A = 0 and B infinite, ReLU6 A = 0 and B = 6.</summary>
    Clip = 1,

    /// <summary>x for x at or above 0, else A x.</summary>
    LeakyRelu = 2,

    /// <summary>1 / (1 + e^-x).</summary>
    Sigmoid = 3,

    /// <summary>min(max(A x + B, 0), 1).</summary>
    HardSigmoid = 4,

    /// <summary>x min(max(x / 6 + 1 / 2, 0), 1).</summary>
    HardSwish = 5,

    /// <summary>x / (1 + e^-x), also called swish.</summary>
    Silu = 6,

    /// <summary>tanh x.</summary>
    Tanh = 7,
}

/// <summary>A function that is applied to each element where a layer stores it. NaN stays NaN.</summary>
/// <param name="Kind">Which.</param>
/// <param name="A">Its first number, where it has one.</param>
/// <param name="B">Its second.</param>
public readonly record struct Activation(ActivationKind Kind, float A = 0f, float B = 0f)
{
    /// <summary>x.</summary>
    public static Activation None => default;

    /// <summary>max(x, 0).</summary>
    public static Activation Relu => Clip(0f, float.PositiveInfinity);

    /// <summary>min(max(x, 0), 6).</summary>
    public static Activation Relu6 => Clip(0f, 6f);

    /// <summary>x / (1 + e^-x).</summary>
    public static Activation Silu => new(ActivationKind.Silu);

    /// <summary>1 / (1 + e^-x).</summary>
    public static Activation Sigmoid => new(ActivationKind.Sigmoid);

    /// <summary>x min(max(x / 6 + 1 / 2, 0), 1).</summary>
    public static Activation HardSwish => new(ActivationKind.HardSwish);

    /// <summary>tanh x.</summary>
    public static Activation Tanh => new(ActivationKind.Tanh);

    /// <summary>Whether it is a clip or nothing: short enough to be applied in the registers of any kernel.</summary>
    internal bool IsClip => Kind is ActivationKind.None or ActivationKind.Clip;

    /// <summary>The bounds that a kernel applies in its registers: no bound where the function is not a clip.</summary>
    internal (float Low, float High) Bounds => Kind == ActivationKind.Clip ? (A, B) : (float.NegativeInfinity, float.PositiveInfinity);

    /// <summary>min(max(x, low), high).</summary>
    public static Activation Clip(float low, float high) => new(ActivationKind.Clip, low, high);

    /// <summary>x for x at or above 0, else slope x.</summary>
    public static Activation LeakyRelu(float slope) => new(ActivationKind.LeakyRelu, slope);

    /// <summary>min(max(slope x + offset, 0), 1).</summary>
    public static Activation HardSigmoid(float slope = 0.2f, float offset = 0.5f) => new(ActivationKind.HardSigmoid, slope, offset);
}
