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
    /// <remarks>
    /// Four rows far apart are four streams, which Zen 3 reads a quarter faster than one; asking for lines ahead made it
    /// slower. A dimension that is no multiple of the lanes is for floats only.
    /// </remarks>
    /// <param name="q">The row of floats.</param>
    /// <param name="x">The first of four rows.</param>
    /// <param name="stride">Bytes to the next of the four.</param>
    /// <param name="dimension">Elements of a row.</param>
    /// <param name="sums">Gets the sums, <paramref name="place"/> floats from one to the next.</param>
    /// <param name="norms">Gets the squared norms, likewise.</param>
    /// <param name="place">Distance of the four results.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Four<TWide, TElement, TSum, TNorms>(float* q, byte* x, nint stride, nint dimension, float* sums, float* norms, nint place)
        where TWide : unmanaged, IWide<TWide>
        where TElement : struct, IRowElement
        where TSum : struct, IPairSum
        where TNorms : struct, IFlag
    {
        TWide s0 = TWide.Zero, s1 = TWide.Zero, s2 = TWide.Zero, s3 = TWide.Zero;
        TWide n0 = TWide.Zero, n1 = TWide.Zero, n2 = TWide.Zero, n3 = TWide.Zero;
        byte* x1 = x + stride;
        byte* x2 = x1 + stride;
        byte* x3 = x2 + stride;
        nint i = 0;
        for (; i <= dimension - TWide.Lanes; i += TWide.Lanes)
        {
            TWide wide = TWide.Load(q + i);
            Step<TWide, TSum, TNorms>(wide, TElement.Load<TWide>(x, i), ref s0, ref n0);
            Step<TWide, TSum, TNorms>(wide, TElement.Load<TWide>(x1, i), ref s1, ref n1);
            Step<TWide, TSum, TNorms>(wide, TElement.Load<TWide>(x2, i), ref s2, ref n2);
            Step<TWide, TSum, TNorms>(wide, TElement.Load<TWide>(x3, i), ref s3, ref n3);
        }

        if (TElement.Bytes == sizeof(float) && i < dimension)
        {
            int rest = (int)(dimension - i);
            TWide wide = TWide.LoadFirst(q + i, rest);
            Step<TWide, TSum, TNorms>(wide, TWide.LoadFirst((float*)x + i, rest), ref s0, ref n0);
            Step<TWide, TSum, TNorms>(wide, TWide.LoadFirst((float*)x1 + i, rest), ref s1, ref n1);
            Step<TWide, TSum, TNorms>(wide, TWide.LoadFirst((float*)x2 + i, rest), ref s2, ref n2);
            Step<TWide, TSum, TNorms>(wide, TWide.LoadFirst((float*)x3 + i, rest), ref s3, ref n3);
        }

        Scatter(TWide.Sum4(s0, s1, s2, s3), sums, place);
        if (TNorms.Value)
            Scatter(TWide.Sum4(n0, n1, n2, n3), norms, place);
    }

    /// <summary>The same with one row x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float One<TWide, TElement, TSum>(float* q, byte* x, nint dimension)
        where TWide : unmanaged, IWide<TWide>
        where TElement : struct, IRowElement
        where TSum : struct, IPairSum
    {
        TWide sum = TWide.Zero;
        nint i = 0;
        for (; i <= dimension - TWide.Lanes; i += TWide.Lanes)
            sum = TSum.Add(TWide.Load(q + i), TElement.Load<TWide>(x, i), sum);
        if (TElement.Bytes == sizeof(float) && i < dimension)
            sum = TSum.Add(TWide.LoadFirst(q + i, (int)(dimension - i)), TWide.LoadFirst((float*)x + i, (int)(dimension - i)), sum);

        // The sum that Four takes: a row's value must not depend on whether it came in a group.
        return TWide.Sum4(sum, TWide.Zero, TWide.Zero, TWide.Zero).ToScalar();
    }

    /// <summary>The squared norm of a row.</summary>
    public static float SquaredNorm<TWide>(float* x, nint dimension)
        where TWide : unmanaged, IWide<TWide> => One<TWide, Float32Element, SquareSum>(x, (byte*)x, dimension);

    /// <summary>The squares of norms that are known.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Square<TWide>(float* norms, nint count, float* squares)
        where TWide : unmanaged, IWide<TWide>
    {
        nint i = 0;
        for (; i <= count - TWide.Lanes; i += TWide.Lanes)
        {
            TWide norm = TWide.Load(norms + i);
            TWide.Store(squares + i, norm * norm);
        }

        for (; i < count; i++)
            squares[i] = norms[i] * norms[i];
    }

    /// <summary>The sums of q with <paramref name="count"/> rows, four streams of them side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Many<TWide, TElement, TSum, TNorms>(float* q, byte* x, nint stride, nint count, nint dimension, float* sums, float* norms)
        where TWide : unmanaged, IWide<TWide>
        where TElement : struct, IRowElement
        where TSum : struct, IPairSum
        where TNorms : struct, IFlag
    {
        nint quarter = count / 4;
        for (nint row = 0; row < quarter; row++)
            Four<TWide, TElement, TSum, TNorms>(q, x + (row * stride), quarter * stride, dimension, sums + row, norms + row, quarter);
        for (nint row = 4 * quarter; row < count; row++)
        {
            sums[row] = One<TWide, TElement, TSum>(q, x + (row * stride), dimension);
            if (TNorms.Value)
                norms[row] = One<TWide, TElement, SquareSum>(q, x + (row * stride), dimension);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scatter(Vector128<float> values, float* target, nint place)
    {
        target[0] = values[0];
        target[place] = values[1];
        target[2 * place] = values[2];
        target[3 * place] = values[3];
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
