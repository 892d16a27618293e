using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>What is kept of each frequency of a spectrum, while it is in registers.</summary>
internal unsafe interface IFrequency
{
    /// <summary>Vectors of an element.</summary>
    static abstract int Vectors { get; }

    static abstract void Store<TWide>(float* element, TWide re, TWide im)
        where TWide : unmanaged, IWide<TWide>;
}

/// <summary>A vector of real parts, and one of imaginary parts behind it.</summary>
internal readonly unsafe struct ComplexFrequency : IFrequency
{
    public static int Vectors => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TWide>(float* element, TWide re, TWide im)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide.Store(element, re);
        TWide.Store(element + TWide.Lanes, im);
    }
}

/// <summary>|X|^2.</summary>
internal readonly unsafe struct PowerFrequency : IFrequency
{
    public static int Vectors => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TWide>(float* element, TWide re, TWide im)
        where TWide : unmanaged, IWide<TWide> => TWide.Store(element, TWide.MultiplyAdd(re, re, im * im));
}

/// <summary>|X|.</summary>
internal readonly unsafe struct MagnitudeFrequency : IFrequency
{
    public static int Vectors => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TWide>(float* element, TWide re, TWide im)
        where TWide : unmanaged, IWide<TWide> => TWide.Store(element, TWide.Sqrt(TWide.MultiplyAdd(re, re, im * im)));
}
