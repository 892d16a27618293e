using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Applies an activation to numbers that stand in L1: what kernels call, on their own thread, for the functions that are
/// too long for their registers. <see cref="ActivationKernel"/> states the errors.
/// </summary>
internal static unsafe class ActivationRows
{
    /// <summary>values[i] = activation(values[i]) for <paramref name="count"/> floats, aligned or not.</summary>
    public static void Apply<TWide>(in Activation activation, float* values, nint count)
        where TWide : unmanaged, IWide<TWide> => Apply<TWide>(activation, values, values, count);

    /// <summary>destination[i] = activation(source[i]); both may be the same.</summary>
    public static void Apply<TWide>(in Activation activation, float* source, float* destination, nint count)
        where TWide : unmanaged, IWide<TWide>
    {
        (float a, float b) = (activation.A, activation.B);
        switch (activation.Kind)
        {
            case ActivationKind.Clip:
                Loop<TWide, ClipFunction>(a, b, source, destination, count);
                break;
            case ActivationKind.LeakyRelu:
                Loop<TWide, LeakyReluFunction>(a, b, source, destination, count);
                break;
            case ActivationKind.Sigmoid:
                Loop<TWide, SigmoidFunction>(a, b, source, destination, count);
                break;
            case ActivationKind.HardSigmoid:
                Loop<TWide, HardSigmoidFunction>(a, b, source, destination, count);
                break;
            case ActivationKind.HardSwish:
                Loop<TWide, HardSwishFunction>(a, b, source, destination, count);
                break;
            case ActivationKind.Silu:
                Loop<TWide, SiluFunction>(a, b, source, destination, count);
                break;
            case ActivationKind.Tanh:
                Loop<TWide, TanhFunction>(a, b, source, destination, count);
                break;
            default:
                if (source != destination)
                    Unsafe.CopyBlockUnaligned(destination, source, checked((uint)(count * sizeof(float))));
                break;
        }
    }

    /// <summary>Throws where the activation is not defined, or a number of it is NaN.</summary>
    public static void Check(in Activation activation, string name)
    {
        if (!Enum.IsDefined(activation.Kind))
            throw new ArgumentOutOfRangeException(name, activation.Kind, "Not an activation.");
        if (float.IsNaN(activation.A) || float.IsNaN(activation.B))
            throw new ArgumentOutOfRangeException(name, activation, "A number of it is not a number.");
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Loop<TWide, TFunction>(float a, float b, float* source, float* destination, nint count)
        where TWide : unmanaged, IWide<TWide>
        where TFunction : struct, IActivationFunction
    {
        TWide first = TWide.Broadcast(a), second = TWide.Broadcast(b);
        nint i = 0;
        for (nint end = count - TWide.Lanes; i <= end; i += TWide.Lanes)
            TWide.Store(destination + i, TFunction.Apply(TWide.Load(source + i), first, second));
        int left = (int)(count - i);
        if (left > 0)
            TWide.StoreFirst(destination + i, TFunction.Apply(TWide.LoadFirst(source + i, left), first, second), left);
    }
}

/// <summary>A function of a vector and two numbers that are the same for all lanes.</summary>
internal interface IActivationFunction
{
    static abstract TWide Apply<TWide>(TWide x, TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide>;
}

// Min and Max give their second operand where either is NaN: x stands second, so NaN stays.
internal readonly struct ClipFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x, TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> => TWide.Min(b, TWide.Max(a, x));
}

internal readonly struct LeakyReluFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x, TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> => TWide.SelectLess(x, TWide.Zero, x * a, x);
}

internal readonly struct SigmoidFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x, TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> => WideMath.Sigmoid(x);
}

internal readonly struct HardSigmoidFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x, TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> =>
        TWide.Min(TWide.Broadcast(1f), TWide.Max(TWide.Zero, TWide.MultiplyAdd(x, a, b)));
}

internal readonly struct HardSwishFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x, TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> =>
        x * HardSigmoidFunction.Apply(x, TWide.Broadcast(1f / 6f), TWide.Broadcast(0.5f));
}

internal readonly struct SiluFunction : IActivationFunction
{
    // The sigmoid does not fall below e^-87.3, so that a large negative x must not be multiplied by it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x, TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> => TWide.Max(TWide.Broadcast(-100f), x) * WideMath.Sigmoid(x);
}

internal readonly struct TanhFunction : IActivationFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x, TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> => WideMath.Tanh(x);
}
