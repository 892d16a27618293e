using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Elementary functions over any vector width. The tests measure their errors over millions of floats, and
/// <c>dotnet run -c Release --project bench -- accuracy</c> over all of them.
/// </summary>
internal static class WideMath
{
    // The result is normal from the first on; at the second n rounds to 127, the last exponent that ScaleByPowerOfTwo takes.
    private const float ExpLowest = -87.336544f;
    private const float ExpHighest = 88.3762626647949f;

    /// <summary>
    /// e^x, relative error below 1e-7 for x in [-87.33, 88.37] (8.5e-8 measured over all floats). Outside, infinities
    /// included, it stays at the value of the nearer end (1.2e-38, 2.4e38), so it is positive and finite. NaN gives NaN.
    /// </summary>
    /// <remarks>Cody-Waite reduction by ln 2 in two parts and the degree-5 minimax polynomial of Cephes' expf.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Exp<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide>
    {
        x = TWide.Max(TWide.Broadcast(ExpLowest), TWide.Min(TWide.Broadcast(ExpHighest), x)); // in this order NaN passes
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

    /// <summary>
    /// 1 / (1 + e^-x), absolute error below 3.5e-7 for all x and relative error below 4e-7 for x at least -87; infinities
    /// give 0 and 1 within that, NaN gives NaN. Measured over all floats: 9e-8 absolute and 1.5e-7 relative where
    /// <see cref="IWide{TSelf}.Reciprocal"/> divides, 2.1e-7 and 2.5e-7 with the 12-bit estimate of AVX on a Zen 3.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Sigmoid<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> =>
        TWide.Reciprocal(TWide.Broadcast(1f) + Exp(TWide.Zero - x));

    /// <summary>tanh x, relative error below 5e-7 for all x; infinities give -1 and 1, NaN gives NaN.</summary>
    /// <remarks>Below 0.625 the polynomial of Cephes' tanhf, from there on 1 - 2 / (1 + e^2|x|), which cancels nothing there.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Tanh<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide one = TWide.Broadcast(1f), magnitude = TWide.Abs(x), z = x * x;
        TWide large = TWide.Reciprocal(one + Exp(magnitude + magnitude));
        large = one - (large + large);
        large = TWide.SelectLess(x, TWide.Zero, TWide.Zero - large, large);
        TWide p = TWide.Broadcast(-5.70498872745e-3f);
        p = TWide.MultiplyAdd(p, z, TWide.Broadcast(2.06390887954e-2f));
        p = TWide.MultiplyAdd(p, z, TWide.Broadcast(-5.37397155531e-2f));
        p = TWide.MultiplyAdd(p, z, TWide.Broadcast(1.33314422036e-1f));
        p = TWide.MultiplyAdd(p, z, TWide.Broadcast(-3.33332819422e-1f));
        return TWide.SelectLess(magnitude, TWide.Broadcast(0.625f), TWide.MultiplyAdd(p * z, x, x), large);
    }

    /// <summary>
    /// Natural logarithm of normal positive x, relative error below 1e-7 (8.2e-8 measured over all of them); 1 gives 0.
    /// Other inputs are the caller's to avoid: 0 and positive subnormals give a number near -88, positive infinity and NaN
    /// one near 89, negative ones a meaningless number.
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
