using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

#pragma warning disable RS0030 // This is the one place that asks what the processor has.

namespace EmbeddingKernels.Core;

/// <summary>
/// Sums of products of 16-bit and 8-bit integers in 32 bits, exact as long as they fit.
/// </summary>
/// <remarks>
/// Two products and their sum in one instruction (multiply-add of adjacent pairs), twice the arithmetic of a
/// single-precision multiply-add, and the sum added in the same instruction where there is AVX-VNNI. .NET 10 does not offer
/// the 8-bit and 512-bit VNNI instructions, which would double it again. One row at a time takes about a cycle for 16 bytes:
/// half the time in which they come from memory.
/// </remarks>
internal static unsafe class ByteDots
{
    /// <summary>Whether the level of <typeparamref name="TWide"/> has these instructions; else <see cref="Four"/> must not be called.</summary>
    public static bool Has<TWide>()
        where TWide : unmanaged, IWide<TWide> => TWide.Lanes >= Vector256<float>.Count && Avx2.IsSupported;

    /// <summary>Elements of a row must be a multiple of this.</summary>
    public const int Multiple = 16;

    /// <summary>
    /// q . x for four rows of bytes, and with <typeparamref name="TNorms"/> also x . x.
    /// </summary>
    /// <param name="q">The query, each product of which with a byte fits 24 bits.</param>
    /// <param name="x">The first row.</param>
    /// <param name="stride">Bytes to the next of the four.</param>
    /// <param name="dimension">Elements, a multiple of <see cref="Multiple"/>.</param>
    /// <param name="sums">Gets four sums.</param>
    /// <param name="norms">Gets four squared norms.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Four<TByte, TNorms>(short* q, byte* x, nint stride, nint dimension, out Vector128<int> sums, out Vector128<int> norms)
        where TByte : unmanaged
        where TNorms : struct, IFlag
    {
        Vector256<int> s0 = default, s1 = default, s2 = default, s3 = default;
        Vector256<int> n0 = default, n1 = default, n2 = default, n3 = default;
        byte* x1 = x + stride;
        byte* x2 = x1 + stride;
        byte* x3 = x2 + stride;
        for (nint i = 0; i < dimension; i += Multiple)
        {
            Vector256<short> wide = Vector256.Load(q + i);
            Step<TByte, TNorms>(wide, x + i, ref s0, ref n0);
            Step<TByte, TNorms>(wide, x1 + i, ref s1, ref n1);
            Step<TByte, TNorms>(wide, x2 + i, ref s2, ref n2);
            Step<TByte, TNorms>(wide, x3 + i, ref s3, ref n3);
        }

        sums = Sum4(s0, s1, s2, s3);
        norms = TNorms.Value ? Sum4(n0, n1, n2, n3) : default;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step<TByte, TNorms>(Vector256<short> q, byte* x, ref Vector256<int> sum, ref Vector256<int> norm)
        where TByte : unmanaged
        where TNorms : struct, IFlag
    {
        Vector256<short> wide = typeof(TByte) == typeof(sbyte) ? Avx2.ConvertToVector256Int16((sbyte*)x) : Avx2.ConvertToVector256Int16(x);
        sum = Add(sum, q, wide);
        if (TNorms.Value)
            norm = Add(norm, wide, wide);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Add(Vector256<int> sum, Vector256<short> a, Vector256<short> b) =>
        AvxVnni.IsSupported ? AvxVnni.MultiplyWideningAndAdd(sum, a, b) : sum + Avx2.MultiplyAddAdjacent(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Sum4(Vector256<int> a, Vector256<int> b, Vector256<int> c, Vector256<int> d)
    {
        Vector256<int> sums = Avx2.HorizontalAdd(Avx2.HorizontalAdd(a, b), Avx2.HorizontalAdd(c, d));
        return sums.GetLower() + sums.GetUpper();
    }
}
