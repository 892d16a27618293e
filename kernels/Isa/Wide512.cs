using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

#pragma warning disable RS0030 // This is the one place that asks what the processor has.

namespace EmbeddingKernels.Core;

/// <summary>16 lanes: <see cref="IsaLevel.Avx512"/>.</summary>
internal unsafe struct Wide512(Vector512<float> value) : IWide<Wide512>
{
    private Vector512<float> _v = value;

    public static int Lanes => 16;

    public static int Registers => 32;

    public static Wide512 Zero => new(Vector512<float>.Zero);

    public static Wide512 Ramp => new(Vector512.CreateSequence(0f, 1f));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 Broadcast(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 BroadcastFrom(float* source) => new(Vector512.Create(*source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 Load(float* source) => new(Vector512.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* destination, Wide512 value) => value._v.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreStreaming(float* destination, Wide512 value) => value._v.StoreAlignedNonTemporal(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 LoadFirst(float* source, int count) => new(Avx512F.IsSupported
        ? Avx512F.MaskLoad(source, FirstLanes(count), Vector512<float>.Zero)
        : Vector512.Create(
            Avx.MaskLoad(source, Wide256.FirstLanes(count)),
            Avx.MaskLoad(source + 8, Wide256.FirstLanes(count - 8))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(float* destination, Wide512 value, int count)
    {
        if (Avx512F.IsSupported)
        {
            Avx512F.MaskStore(destination, FirstLanes(count), value._v);
            return;
        }

        Avx.MaskStore(destination, Wide256.FirstLanes(count), value._v.GetLower());
        Avx.MaskStore(destination + 8, Wide256.FirstLanes(count - 8), value._v.GetUpper());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 LoadHalf(ushort* source)
    {
        // A product moves the exponent, which is exact and makes subnormal halves normal; infinity and NaN keep theirs.
        Vector512<int> bits = Widen(source);
        Vector512<int> magnitude = bits & Vector512.Create(0x7FFF);
        Vector512<int> moved = ((magnitude << 13).AsSingle() * Vector512.Create(5.192296858534828e33f)).AsInt32();
        Vector512<int> special = Vector512.GreaterThan(magnitude, Vector512.Create(0x7BFF)) & Vector512.Create(0x7F800000);
        return new((moved | special | ((bits & Vector512.Create(0x8000)) << 16)).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 LoadBFloat16(ushort* source) => new((Widen(source) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 LoadInt8(sbyte* source) => new(Vector512.ConvertToSingle(Widen(source)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 LoadUInt8(byte* source) => new(Vector512.ConvertToSingle(Widen(source)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Widen(ushort* source) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector512Int32(Vector256.Load(source))
        : Vector512.Create(Wide256.Widen(source), Wide256.Widen(source + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Widen(sbyte* source) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector512Int32(Vector128.Load(source))
        : Vector512.Create(Wide256.Widen(source), Wide256.Widen(source + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Widen(byte* source) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector512Int32(Vector128.Load(source))
        : Vector512.Create(Wide256.Widen(source), Wide256.Widen(source + 8));

    // The runtime has no 512-bit gather.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 Gather(float* source, int* indices) => new(Vector512.Create(
        Avx2.GatherVector256(source, Vector256.Load(indices), sizeof(float)),
        Avx2.GatherVector256(source, Vector256.Load(indices + 8), sizeof(float))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GatherPairs(float* pairs, int* indices, out Wide512 x, out Wide512 y)
    {
        Wide256.GatherPairs(pairs, indices, out Wide256 lowX, out Wide256 lowY);
        Wide256.GatherPairs(pairs, indices + 8, out Wide256 highX, out Wide256 highY);
        x = new(Vector512.Create(lowX.Vector, highX.Vector));
        y = new(Vector512.Create(lowY.Vector, highY.Vector));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> FirstLanes(int count) =>
        Vector512.LessThan(Vector512.CreateSequence(0, 1), Vector512.Create(count)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 operator +(Wide512 a, Wide512 b) => new(a._v + b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 operator -(Wide512 a, Wide512 b) => new(a._v - b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 operator *(Wide512 a, Wide512 b) => new(a._v * b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 operator /(Wide512 a, Wide512 b) => new(a._v / b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 MultiplyAdd(Wide512 a, Wide512 b, Wide512 c) => new(Vector512.FusedMultiplyAdd(a._v, b._v, c._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate(ref Wide512 sum, Wide512 a, Wide512 b) => sum._v = Vector512.FusedMultiplyAdd(a._v, b._v, sum._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 NegatedMultiplyAdd(Wide512 a, Wide512 b, Wide512 c) => new(Avx512F.IsSupported
        ? Avx512F.FusedMultiplyAddNegated(a._v, b._v, c._v)
        : Vector512.FusedMultiplyAdd(-a._v, b._v, c._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 Min(Wide512 a, Wide512 b) => new(Avx512F.IsSupported ? Avx512F.Min(a._v, b._v) : Vector512.ConditionalSelect(Vector512.LessThan(a._v, b._v), a._v, b._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 Max(Wide512 a, Wide512 b) => new(Avx512F.IsSupported ? Avx512F.Max(a._v, b._v) : Vector512.ConditionalSelect(Vector512.GreaterThan(a._v, b._v), a._v, b._v));

    // Max gives b where either is NaN, so only a's own NaN is left to keep.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 MaxOrNaN(Wide512 a, Wide512 b) =>
        new(Vector512.ConditionalSelect(Vector512.IsNaN(a._v), a._v, Max(a, b)._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 Abs(Wide512 a) => new(Vector512.Abs(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 Sqrt(Wide512 a) => new(Vector512.Sqrt(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 Round(Wide512 a) => new(Vector512.Round(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 Reciprocal(Wide512 a)
    {
        if (!Avx512F.IsSupported)
            return new(Vector512<float>.One / a._v);

        Vector512<float> estimate = Avx512F.Reciprocal14(a._v);
        return new(estimate * Vector512.FusedMultiplyAdd(-a._v, estimate, Vector512.Create(2f)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 ScaleByPowerOfTwo(Wide512 a, Wide512 n) => new(Avx512F.IsSupported
        ? Avx512F.Scale(a._v, n._v)
        : a._v * ((Vector512.ConvertToInt32Native(n._v) + Vector512.Create(127)) << 23).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 SplitExponent(Wide512 a, out Wide512 e)
    {
        Vector512<int> bits = a._v.AsInt32();
        e = new(Vector512.ConvertToSingle((bits >> 23) - Vector512.Create(126)));
        return new(((bits & Vector512.Create(0x007FFFFF)) | Vector512.Create(0x3F000000)).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint GreaterThan(Wide512 a, Wide512 b) => (uint)Vector512.GreaterThan(a._v, b._v).ExtractMostSignificantBits();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide512 SelectLess(Wide512 a, Wide512 b, Wide512 x, Wide512 y) =>
        new(Vector512.ConditionalSelect(Vector512.LessThan(a._v, b._v), x._v, y._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Wide512 a) => Wide256.Sum(new(a._v.GetLower() + a._v.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sum4(Wide512 a, Wide512 b, Wide512 c, Wide512 d) => Wide256.Sum4(
        new(a._v.GetLower() + a._v.GetUpper()),
        new(b._v.GetLower() + b._v.GetUpper()),
        new(c._v.GetLower() + c._v.GetUpper()),
        new(d._v.GetLower() + d._v.GetUpper()));
}
