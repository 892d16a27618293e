using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

#pragma warning disable RS0030 // This is the one place that asks what the processor has.

namespace EmbeddingKernels.Core;

/// <summary>8 lanes: <see cref="IsaLevel.Avx2"/>.</summary>
internal unsafe struct Wide256(Vector256<float> value) : IWide<Wide256>
{
    private Vector256<float> _v = value;

    internal Vector256<float> Vector => _v;

    public static int Lanes => 8;

    public static int Registers => 16;

    public static Wide256 Zero => new(Vector256<float>.Zero);

    public static Wide256 Ramp => new(Vector256.CreateSequence(0f, 1f));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 Broadcast(float value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 BroadcastFrom(float* source) => new(Vector256.Create(*source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 Load(float* source) => new(Vector256.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* destination, Wide256 value) => value._v.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreStreaming(float* destination, Wide256 value) => value._v.StoreAlignedNonTemporal(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 LoadFirst(float* source, int count) => new(Avx.MaskLoad(source, FirstLanes(count)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(float* destination, Wide256 value, int count) =>
        Avx.MaskStore(destination, FirstLanes(count), value._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> FirstLanes(int count) =>
        Vector256.LessThan(Vector256.CreateSequence(0, 1), Vector256.Create(count)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 LoadHalf(ushort* source)
    {
        // A product moves the exponent, which is exact and makes subnormal halves normal; infinity and NaN keep theirs.
        Vector256<int> bits = Widen(source);
        Vector256<int> magnitude = bits & Vector256.Create(0x7FFF);
        Vector256<int> moved = ((magnitude << 13).AsSingle() * Vector256.Create(5.192296858534828e33f)).AsInt32();
        Vector256<int> special = Vector256.GreaterThan(magnitude, Vector256.Create(0x7BFF)) & Vector256.Create(0x7F800000);
        return new((moved | special | ((bits & Vector256.Create(0x8000)) << 16)).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 LoadBFloat16(ushort* source) => new((Widen(source) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 LoadInt8(sbyte* source) => new(Vector256.ConvertToSingle(Widen(source)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 LoadUInt8(byte* source) => new(Vector256.ConvertToSingle(Widen(source)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<int> Widen(ushort* source) => Avx2.ConvertToVector256Int32(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<int> Widen(sbyte* source) => Avx2.ConvertToVector256Int32(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<int> Widen(byte* source) => Avx2.ConvertToVector256Int32(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 Gather(float* source, int* indices) =>
        new(Avx2.GatherVector256(source, Vector256.Load(indices), sizeof(float)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GatherPairs(float* pairs, int* indices, out Wide256 x, out Wide256 y)
    {
        Vector256<float> even = Vector256.Create(TwoPairs(pairs, indices), TwoPairs(pairs, indices + 4));
        Vector256<float> odd = Vector256.Create(TwoPairs(pairs, indices + 2), TwoPairs(pairs, indices + 6));
        x = new(Avx.Shuffle(even, odd, 0x88));
        y = new(Avx.Shuffle(even, odd, 0xDD));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> TwoPairs(float* pairs, int* indices) => Sse.LoadHigh(
        Vector128.CreateScalarUnsafe(*(double*)(pairs + (2 * (nint)indices[0]))).AsSingle(), pairs + (2 * (nint)indices[1]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 operator +(Wide256 a, Wide256 b) => new(a._v + b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 operator -(Wide256 a, Wide256 b) => new(a._v - b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 operator *(Wide256 a, Wide256 b) => new(a._v * b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 operator /(Wide256 a, Wide256 b) => new(a._v / b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 MultiplyAdd(Wide256 a, Wide256 b, Wide256 c) => new(Vector256.FusedMultiplyAdd(a._v, b._v, c._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate(ref Wide256 sum, Wide256 a, Wide256 b) => sum._v = Vector256.FusedMultiplyAdd(a._v, b._v, sum._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 NegatedMultiplyAdd(Wide256 a, Wide256 b, Wide256 c) => new(Fma.IsSupported
        ? Fma.MultiplyAddNegated(a._v, b._v, c._v)
        : Vector256.FusedMultiplyAdd(-a._v, b._v, c._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 Min(Wide256 a, Wide256 b) => new(Avx.IsSupported ? Avx.Min(a._v, b._v) : Vector256.ConditionalSelect(Vector256.LessThan(a._v, b._v), a._v, b._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 Max(Wide256 a, Wide256 b) => new(Avx.IsSupported ? Avx.Max(a._v, b._v) : Vector256.ConditionalSelect(Vector256.GreaterThan(a._v, b._v), a._v, b._v));

    // Max gives b where either is NaN, so only a's own NaN is left to keep: all bits set is a NaN, too.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 MaxOrNaN(Wide256 a, Wide256 b) => new(Max(a, b)._v | ~Vector256.Equals(a._v, a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 Abs(Wide256 a) => new(Vector256.Abs(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 Sqrt(Wide256 a) => new(Vector256.Sqrt(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 Round(Wide256 a) => new(Vector256.Round(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 Reciprocal(Wide256 a)
    {
        if (!Avx.IsSupported)
            return new(Vector256<float>.One / a._v);

        Vector256<float> estimate = Avx.Reciprocal(a._v);
        return new(estimate * Vector256.FusedMultiplyAdd(-a._v, estimate, Vector256.Create(2f)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 ScaleByPowerOfTwo(Wide256 a, Wide256 n) =>
        new(a._v * ((Vector256.ConvertToInt32Native(n._v) + Vector256.Create(127)) << 23).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 SplitExponent(Wide256 a, out Wide256 e)
    {
        Vector256<int> bits = a._v.AsInt32();
        e = new(Vector256.ConvertToSingle((bits >> 23) - Vector256.Create(126)));
        return new(((bits & Vector256.Create(0x007FFFFF)) | Vector256.Create(0x3F000000)).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint GreaterThan(Wide256 a, Wide256 b) => (uint)Vector256.GreaterThan(a._v, b._v).ExtractMostSignificantBits();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide256 SelectLess(Wide256 a, Wide256 b, Wide256 x, Wide256 y) =>
        new(Vector256.ConditionalSelect(Vector256.LessThan(a._v, b._v), x._v, y._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Wide256 a) => Vector128.Sum(a._v.GetLower() + a._v.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sum4(Wide256 a, Wide256 b, Wide256 c, Wide256 d)
    {
        Vector256<float> ab = Avx.UnpackLow(a._v, b._v) + Avx.UnpackHigh(a._v, b._v);
        Vector256<float> cd = Avx.UnpackLow(c._v, d._v) + Avx.UnpackHigh(c._v, d._v);
        Vector256<float> abcd = Avx.Shuffle(ab, cd, 0x44) + Avx.Shuffle(ab, cd, 0xEE);
        return abcd.GetLower() + abcd.GetUpper();
    }
}
