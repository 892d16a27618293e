using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// One dimension of Winograd's minimal filtering F(m, 3): m outputs of a filter of three weights from m + 2 inputs with m + 2
/// products, y = A^T [(G g) * (B^T d)] (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015). A struct
/// type parameter, so that it is compiled into the loops.
/// </summary>
/// <remarks>
/// <para>The transforms evaluate polynomials at points 0, +-p, ... and infinity. Row j of B^T is the product of (x - q) over
/// the other points q, so that its leading coefficient is 1; G divides by that product at the point itself; A^T holds powers.
/// Points come in pairs of opposite sign, whose rows are the sum and the difference of an even and an odd part.</para>
/// <para>With independent random inputs and weights, the error of the products is amplified at output i by
/// sqrt(sum over j of A_ij^2 |B_j|^2 |G_j|^2 / 3) for each dimension. The points are those that make the largest of these small
/// among those whose coefficients a float holds exactly.</para>
/// </remarks>
internal unsafe interface IWinogradTransform
{
    /// <summary>m.</summary>
    static abstract int Outputs { get; }

    /// <summary>The finite points, 0 first, then pairs +p, -p.</summary>
    static abstract ReadOnlySpan<double> Points { get; }

    /// <summary>B^T d of m + 2 vectors.</summary>
    /// <param name="from">The first vector.</param>
    /// <param name="step">Floats from vector to vector.</param>
    /// <param name="to">Where the first result goes.</param>
    /// <param name="toStep">Floats from result to result.</param>
    static abstract void Input<TWide>(float* from, nint step, float* to, nint toStep)
        where TWide : unmanaged, IWide<TWide>;

    /// <summary>A^T x of m + 2 vectors.</summary>
    /// <param name="from">The first vector.</param>
    /// <param name="step">Floats from vector to vector.</param>
    /// <param name="sink">Gets the m results.</param>
    static abstract void Output<TWide, TSink>(float* from, nint step, ref TSink sink)
        where TWide : unmanaged, IWide<TWide>
        where TSink : struct, IWinogradSink;
}

/// <summary>Takes the results of an output transform from their registers.</summary>
internal interface IWinogradSink
{
    void Put<TWide>(int i, TWide value)
        where TWide : unmanaged, IWide<TWide>;
}

/// <summary>F(2, 3) at 0, +-1: amplifies by 1.3 for each dimension.</summary>
internal readonly unsafe struct Winograd2 : IWinogradTransform
{
    public static int Outputs => 2;

    public static ReadOnlySpan<double> Points => [0, 1, -1];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Input<TWide>(float* from, nint step, float* to, nint toStep)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide d0 = TWide.Load(from), d1 = TWide.Load(from + step), d2 = TWide.Load(from + (2 * step)), d3 = TWide.Load(from + (3 * step));
        TWide.Store(to, d2 - d0);
        TWide.Store(to + toStep, d2 + d1);
        TWide.Store(to + (2 * toStep), d2 - d1);
        TWide.Store(to + (3 * toStep), d3 - d1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Output<TWide, TSink>(float* from, nint step, ref TSink sink)
        where TWide : unmanaged, IWide<TWide>
        where TSink : struct, IWinogradSink
    {
        TWide p = TWide.Load(from + step), n = TWide.Load(from + (2 * step));
        sink.Put(0, TWide.Load(from) + (p + n));
        sink.Put(1, TWide.Load(from + (3 * step)) + (p - n));
    }
}

/// <summary>F(4, 3) at 0, +-11/16, +-47/32: amplifies by 2.2 to 2.7 for each dimension (3.3 to 5.6 at 0, +-1, +-2).</summary>
internal readonly unsafe struct Winograd4 : IWinogradTransform
{
    private const float P = 11f / 16f, Q = 47f / 32f;
    private const float P2 = P * P, Q2 = Q * Q, P3 = P2 * P, Q3 = Q2 * Q;

    public static int Outputs => 4;

    public static ReadOnlySpan<double> Points => [0, P, -P, Q, -Q];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Input<TWide>(float* from, nint step, float* to, nint toStep)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide d1 = TWide.Load(from + step), d2 = TWide.Load(from + (2 * step));
        TWide d3 = TWide.Load(from + (3 * step)), d4 = TWide.Load(from + (4 * step));
        TWide p2 = TWide.Broadcast(P2), q2 = TWide.Broadcast(Q2), p = TWide.Broadcast(P), q = TWide.Broadcast(Q);
        TWide sum = TWide.Broadcast(P2 + Q2), product = TWide.Broadcast(P2 * Q2);

        TWide even = TWide.NegatedMultiplyAdd(q2, d2, d4), odd = TWide.NegatedMultiplyAdd(q2, d1, d3);
        TWide.Store(to + toStep, TWide.MultiplyAdd(p, odd, even));
        TWide.Store(to + (2 * toStep), TWide.NegatedMultiplyAdd(p, odd, even));
        even = TWide.NegatedMultiplyAdd(p2, d2, d4);
        odd = TWide.NegatedMultiplyAdd(p2, d1, d3);
        TWide.Store(to + (3 * toStep), TWide.MultiplyAdd(q, odd, even));
        TWide.Store(to + (4 * toStep), TWide.NegatedMultiplyAdd(q, odd, even));
        TWide.Store(to, TWide.MultiplyAdd(product, TWide.Load(from), TWide.NegatedMultiplyAdd(sum, d2, d4)));
        TWide.Store(to + (5 * toStep), TWide.MultiplyAdd(product, d1, TWide.NegatedMultiplyAdd(sum, d3, TWide.Load(from + (5 * step)))));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Output<TWide, TSink>(float* from, nint step, ref TSink sink)
        where TWide : unmanaged, IWide<TWide>
        where TSink : struct, IWinogradSink
    {
        TWide x1 = TWide.Load(from + step), x2 = TWide.Load(from + (2 * step));
        TWide x3 = TWide.Load(from + (3 * step)), x4 = TWide.Load(from + (4 * step));
        TWide s = x1 + x2, d = x1 - x2, t = x3 + x4, e = x3 - x4;
        sink.Put(0, TWide.Load(from) + s + t);
        sink.Put(1, TWide.MultiplyAdd(TWide.Broadcast(P), d, TWide.Broadcast(Q) * e));
        sink.Put(2, TWide.MultiplyAdd(TWide.Broadcast(P2), s, TWide.Broadcast(Q2) * t));
        sink.Put(3, TWide.MultiplyAdd(TWide.Broadcast(P3), d, TWide.MultiplyAdd(TWide.Broadcast(Q3), e, TWide.Load(from + (5 * step)))));
    }
}

/// <summary>F(6, 3) at 0, +-1/2, +-1, +-2: amplifies by 4.5 to 6.8 for each dimension.</summary>
internal readonly unsafe struct Winograd6 : IWinogradTransform
{
    private const float P = 0.5f, Q = 1f, R = 2f;
    private const float P2 = P * P, Q2 = Q * Q, R2 = R * R;

    public static int Outputs => 6;

    public static ReadOnlySpan<double> Points => [0, P, -P, Q, -Q, R, -R];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Input<TWide>(float* from, nint step, float* to, nint toStep)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide d1 = TWide.Load(from + step), d2 = TWide.Load(from + (2 * step)), d3 = TWide.Load(from + (3 * step));
        TWide d4 = TWide.Load(from + (4 * step)), d5 = TWide.Load(from + (5 * step)), d6 = TWide.Load(from + (6 * step));

        // x^2 (x^2 - s) (x^2 - t) at a point r and x times it at the others: x^6 - (s + t) x^4 + s t x^2, whose odd part is one power lower.
        TWide sum = TWide.Broadcast(Q2 + R2), product = TWide.Broadcast(Q2 * R2), point = TWide.Broadcast(P);
        TWide even = TWide.MultiplyAdd(product, d2, TWide.NegatedMultiplyAdd(sum, d4, d6));
        TWide odd = TWide.MultiplyAdd(product, d1, TWide.NegatedMultiplyAdd(sum, d3, d5));
        TWide.Store(to + toStep, TWide.MultiplyAdd(point, odd, even));
        TWide.Store(to + (2 * toStep), TWide.NegatedMultiplyAdd(point, odd, even));

        sum = TWide.Broadcast(P2 + R2);
        even = TWide.NegatedMultiplyAdd(sum, d4, d6) + d2; // P^2 R^2 = 1
        odd = TWide.NegatedMultiplyAdd(sum, d3, d5) + d1;
        TWide.Store(to + (3 * toStep), even + odd);
        TWide.Store(to + (4 * toStep), even - odd);

        sum = TWide.Broadcast(P2 + Q2);
        product = TWide.Broadcast(P2 * Q2);
        point = TWide.Broadcast(R);
        even = TWide.MultiplyAdd(product, d2, TWide.NegatedMultiplyAdd(sum, d4, d6));
        odd = TWide.MultiplyAdd(product, d1, TWide.NegatedMultiplyAdd(sum, d3, d5));
        TWide.Store(to + (5 * toStep), TWide.MultiplyAdd(point, odd, even));
        TWide.Store(to + (6 * toStep), TWide.NegatedMultiplyAdd(point, odd, even));

        // (x^2 - P^2) (x^2 - Q^2) (x^2 - R^2) = x^6 - 21/4 x^4 + 21/4 x^2 - 1.
        sum = TWide.Broadcast(P2 + Q2 + R2);
        TWide.Store(to, TWide.MultiplyAdd(sum, d2 - d4, d6 - TWide.Load(from)));
        TWide.Store(to + (7 * toStep), TWide.MultiplyAdd(sum, d3 - d5, TWide.Load(from + (7 * step)) - d1));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Output<TWide, TSink>(float* from, nint step, ref TSink sink)
        where TWide : unmanaged, IWide<TWide>
        where TSink : struct, IWinogradSink
    {
        TWide x1 = TWide.Load(from + step), x2 = TWide.Load(from + (2 * step)), x3 = TWide.Load(from + (3 * step));
        TWide x4 = TWide.Load(from + (4 * step)), x5 = TWide.Load(from + (5 * step)), x6 = TWide.Load(from + (6 * step));
        TWide half = x1 + x2, one = x3 + x4, two = x5 + x6;
        sink.Put(0, TWide.Load(from) + half + one + two);
        sink.Put(2, TWide.MultiplyAdd(TWide.Broadcast(0.25f), half, TWide.MultiplyAdd(TWide.Broadcast(4f), two, one)));
        sink.Put(4, TWide.MultiplyAdd(TWide.Broadcast(0.0625f), half, TWide.MultiplyAdd(TWide.Broadcast(16f), two, one)));
        half = x1 - x2;
        one = x3 - x4;
        two = x5 - x6;
        sink.Put(1, TWide.MultiplyAdd(TWide.Broadcast(0.5f), half, TWide.MultiplyAdd(TWide.Broadcast(2f), two, one)));
        sink.Put(3, TWide.MultiplyAdd(TWide.Broadcast(0.125f), half, TWide.MultiplyAdd(TWide.Broadcast(8f), two, one)));
        sink.Put(5, TWide.MultiplyAdd(TWide.Broadcast(0.03125f), half, TWide.MultiplyAdd(TWide.Broadcast(32f), two, one + TWide.Load(from + (7 * step)))));
    }
}
