using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>One step of a sum over the elements of two rows.</summary>
internal interface IPairSum
{
    static abstract TWide Add<TWide>(TWide q, TWide x, TWide sum)
        where TWide : unmanaged, IWide<TWide>;
}

/// <summary>sum of q x.</summary>
internal readonly struct ProductSum : IPairSum
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Add<TWide>(TWide q, TWide x, TWide sum)
        where TWide : unmanaged, IWide<TWide> => TWide.MultiplyAdd(q, x, sum);
}

/// <summary>sum of (q - x)^2.</summary>
internal readonly struct SquaredDifferenceSum : IPairSum
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Add<TWide>(TWide q, TWide x, TWide sum)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide difference = q - x;
        return TWide.MultiplyAdd(difference, difference, sum);
    }
}

/// <summary>sum of x^2; q is not used.</summary>
internal readonly struct SquareSum : IPairSum
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Add<TWide>(TWide q, TWide x, TWide sum)
        where TWide : unmanaged, IWide<TWide> => TWide.MultiplyAdd(x, x, sum);
}

/// <summary>Whether squared norms are summed beside: a constant for the compiler.</summary>
internal interface IFlag
{
    static abstract bool Value { get; }
}

internal readonly struct Yes : IFlag
{
    public static bool Value => true;
}

internal readonly struct No : IFlag
{
    public static bool Value => false;
}

/// <summary>Sums over pairs of rows in single precision, straight from the rows.</summary>
/// <remarks>
/// The partial sums are as many as a vector has lanes, so the relative error (to the sum of absolute terms) is below
/// <see cref="SumTerms{TWide}"/> * 2^-24.
/// </remarks>
internal static unsafe class RowKernels
{
    /// <summary>Roundings that one sum can collect: those of its lane, and those of adding the lanes.</summary>
    public static double SumTerms<TWide>(nint dimension)
        where TWide : unmanaged, IWide<TWide> => (dimension / (double)TWide.Lanes) + TWide.Lanes + 2;

    /// <summary>
    /// The sums of one row q with the four rows x, x + stride, ..., and with <typeparamref name="TNorms"/> the squared norms
    /// of those four, which costs no more while the rows come from memory.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Four<TWide, TSum, TNorms>(float* q, float* x, nint stride, nint dimension, float* sums, float* norms)
        where TWide : unmanaged, IWide<TWide>
        where TSum : struct, IPairSum
        where TNorms : struct, IFlag
    {
        TWide s0 = TWide.Zero, s1 = TWide.Zero, s2 = TWide.Zero, s3 = TWide.Zero;
        TWide n0 = TWide.Zero, n1 = TWide.Zero, n2 = TWide.Zero, n3 = TWide.Zero;
        float* x1 = x + stride;
        float* x2 = x1 + stride;
        float* x3 = x2 + stride;
        nint i = 0;
        for (; i <= dimension - TWide.Lanes; i += TWide.Lanes)
        {
            TWide wide = TWide.Load(q + i);
            Step<TWide, TSum, TNorms>(wide, TWide.Load(x + i), ref s0, ref n0);
            Step<TWide, TSum, TNorms>(wide, TWide.Load(x1 + i), ref s1, ref n1);
            Step<TWide, TSum, TNorms>(wide, TWide.Load(x2 + i), ref s2, ref n2);
            Step<TWide, TSum, TNorms>(wide, TWide.Load(x3 + i), ref s3, ref n3);
        }

        if (i < dimension)
        {
            int rest = (int)(dimension - i);
            TWide wide = TWide.LoadFirst(q + i, rest);
            Step<TWide, TSum, TNorms>(wide, TWide.LoadFirst(x + i, rest), ref s0, ref n0);
            Step<TWide, TSum, TNorms>(wide, TWide.LoadFirst(x1 + i, rest), ref s1, ref n1);
            Step<TWide, TSum, TNorms>(wide, TWide.LoadFirst(x2 + i, rest), ref s2, ref n2);
            Step<TWide, TSum, TNorms>(wide, TWide.LoadFirst(x3 + i, rest), ref s3, ref n3);
        }

        TWide.Sum4(s0, s1, s2, s3).Store(sums);
        if (TNorms.Value)
            TWide.Sum4(n0, n1, n2, n3).Store(norms);
    }

    /// <summary>The same with one row x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float One<TWide, TSum>(float* q, float* x, nint dimension)
        where TWide : unmanaged, IWide<TWide>
        where TSum : struct, IPairSum
    {
        TWide sum = TWide.Zero;
        nint i = 0;
        for (; i <= dimension - TWide.Lanes; i += TWide.Lanes)
            sum = TSum.Add(TWide.Load(q + i), TWide.Load(x + i), sum);
        if (i < dimension)
            sum = TSum.Add(TWide.LoadFirst(q + i, (int)(dimension - i)), TWide.LoadFirst(x + i, (int)(dimension - i)), sum);

        // The sum that Four takes: a row's value must not depend on whether it came in a group.
        return TWide.Sum4(sum, TWide.Zero, TWide.Zero, TWide.Zero).ToScalar();
    }

    /// <summary>The sums of q with <paramref name="count"/> rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Many<TWide, TSum, TNorms>(float* q, float* x, nint stride, nint count, nint dimension, float* sums, float* norms)
        where TWide : unmanaged, IWide<TWide>
        where TSum : struct, IPairSum
        where TNorms : struct, IFlag
    {
        nint row = 0;
        for (; row <= count - 4; row += 4)
            Four<TWide, TSum, TNorms>(q, x + (row * stride), stride, dimension, sums + row, norms + row);
        for (; row < count; row++)
        {
            sums[row] = One<TWide, TSum>(q, x + (row * stride), dimension);
            if (TNorms.Value)
                norms[row] = One<TWide, SquareSum>(q, x + (row * stride), dimension);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step<TWide, TSum, TNorms>(TWide q, TWide x, ref TWide sum, ref TWide norm)
        where TWide : unmanaged, IWide<TWide>
        where TSum : struct, IPairSum
        where TNorms : struct, IFlag
    {
        sum = TSum.Add(q, x, sum);
        if (TNorms.Value)
            norm = TWide.MultiplyAdd(x, x, norm);
    }
}
