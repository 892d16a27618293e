using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>Elementary functions over any vector width. Errors are measured over all floats by the tests.</summary>
internal static class WideMath
{
    // exp(x) underflows to a subnormal below the first and overflows above the second.
    private const float ExpLowest = -87.336544f;
    private const float ExpHighest = 88.3762626647949f;

    /// <summary>
    /// e^x, relative error below 2e-7 for x in [-87.33, 88.37]; outside it stays at the value of the nearer end, so it
    /// is always finite and positive. NaN gives an end as well: callers that can meet NaN handle it themselves.
    /// </summary>
    /// <remarks>Cody-Waite reduction by ln 2 in two parts and the degree-5 minimax polynomial of Cephes' expf.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Exp<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide>
    {
        x = TWide.Max(TWide.Min(x, TWide.Broadcast(ExpHighest)), TWide.Broadcast(ExpLowest));
        TWide n = TWide.Round(x * TWide.Broadcast(1.44269504088896341f));
        TWide r = TWide.NegatedMultiplyAdd(n, TWide.Broadcast(0.693359375f), x);
        r = TWide.NegatedMultiplyAdd(n, TWide.Broadcast(-2.12194440e-4f), r);
        TWide p = TWide.Broadcast(1.9875691500e-4f);
        p = TWide.MultiplyAdd(p, r, TWide.Broadcast(1.3981999507e-3f));
        p = TWide.MultiplyAdd(p, r, TWide.Broadcast(8.3334519073e-3f));
        p = TWide.MultiplyAdd(p, r, TWide.Broadcast(4.1665795894e-2f));
        p = TWide.MultiplyAdd(p, r, TWide.Broadcast(1.6666665459e-1f));
        p = TWide.MultiplyAdd(p, r, TWide.Broadcast(5.0000001201e-1f));
        p = TWide.MultiplyAdd(p, r * r, r) + TWide.Broadcast(1f);
        return TWide.ScaleByPowerOfTwo(p, n);
    }

    /// <summary>1 / (1 + e^-x), absolute error below 3e-7 for all x; NaN gives a value in (0, 1).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Sigmoid<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> =>
        TWide.Reciprocal(TWide.Broadcast(1f) + Exp(TWide.Zero - x));

    /// <summary>
    /// Natural logarithm of normal positive x, error below 1e-7 absolute near 1 and 2e-7 relative elsewhere; other
    /// inputs (0, negative, infinite, NaN) are the caller's to avoid.
    /// </summary>
    /// <remarks>The polynomial of Cephes' logf on [sqrt(1/2), sqrt(2)).</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Log<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide one = TWide.Broadcast(1f);
        TWide sqrtHalf = TWide.Broadcast(0.707106781186547524f);
        TWide m = TWide.SplitExponent(x, out TWide e);
        e = TWide.SelectLess(m, sqrtHalf, e - one, e);
        m = TWide.SelectLess(m, sqrtHalf, m + m, m) - one;
        TWide z = m * m;
        TWide p = TWide.Broadcast(7.0376836292e-2f);
        p = TWide.MultiplyAdd(p, m, TWide.Broadcast(-1.1514610310e-1f));
        p = TWide.MultiplyAdd(p, m, TWide.Broadcast(1.1676998740e-1f));
        p = TWide.MultiplyAdd(p, m, TWide.Broadcast(-1.2420140846e-1f));
        p = TWide.MultiplyAdd(p, m, TWide.Broadcast(1.4249322787e-1f));
        p = TWide.MultiplyAdd(p, m, TWide.Broadcast(-1.6668057665e-1f));
        p = TWide.MultiplyAdd(p, m, TWide.Broadcast(2.0000714765e-1f));
        p = TWide.MultiplyAdd(p, m, TWide.Broadcast(-2.4999993993e-1f));
        p = TWide.MultiplyAdd(p, m, TWide.Broadcast(3.3333331174e-1f));
        p = p * m * z;
        p = TWide.MultiplyAdd(e, TWide.Broadcast(-2.12194440e-4f), p);
        p = TWide.NegatedMultiplyAdd(z, TWide.Broadcast(0.5f), p);
        return TWide.MultiplyAdd(e, TWide.Broadcast(0.693359375f), m + p);
    }
}
