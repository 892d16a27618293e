using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>4 lanes: <see cref="IsaLevel.Portable"/>.</summary>
internal unsafe struct Wide128(Vector128<float> value) : IWide<Wide128>
{
    private Vector128<float> _v = value;

    public static int Lanes => 4;

    public static int Registers => 16;

    public static Wide128 Zero => new(Vector128<float>.Zero);

    public static Wide128 Ramp => new(Vector128.CreateSequence(0f, 1f));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 Broadcast(float value) => new(Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 BroadcastFrom(float* source) => new(Vector128.Create(*source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 Load(float* source) => new(Vector128.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* destination, Wide128 value) => value._v.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreStreaming(float* destination, Wide128 value) => value._v.StoreAlignedNonTemporal(destination);

    // Masked loads and stores do not exist below AVX. Pairs and single floats are picked by constant lane numbers, because
    // a variable one or a call would send vectors through the stack.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 LoadFirst(float* source, int count)
    {
        if (count >= 4)
            return Load(source);
        if (count <= 0)
            return Zero;
        if (count == 1)
            return new(Vector128.CreateScalar(*source));

        Vector128<float> pair = Vector128.CreateScalar(*(double*)source).AsSingle();
        return new(count == 2 ? pair : pair.WithElement(2, source[2]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(float* destination, Wide128 value, int count)
    {
        if (count >= 4)
        {
            value._v.Store(destination);
        }
        else if (count >= 2)
        {
            *(double*)destination = value._v.AsDouble().ToScalar();
            if (count == 3)
                destination[2] = value._v.GetElement(2);
        }
        else if (count == 1)
        {
            *destination = value._v.ToScalar();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 LoadHalf(ushort* source)
    {
        // A product moves the exponent, which is exact and makes subnormal halves normal; infinity and NaN keep theirs.
        Vector128<int> bits = Widen(source);
        Vector128<int> magnitude = bits & Vector128.Create(0x7FFF);
        Vector128<int> moved = ((magnitude << 13).AsSingle() * Vector128.Create(5.192296858534828e33f)).AsInt32();
        Vector128<int> special = Vector128.GreaterThan(magnitude, Vector128.Create(0x7BFF)) & Vector128.Create(0x7F800000);
        return new((moved | special | ((bits & Vector128.Create(0x8000)) << 16)).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 LoadBFloat16(ushort* source) => new((Widen(source) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 LoadInt8(sbyte* source) => new(Vector128.ConvertToSingle(Widen(source)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 LoadUInt8(byte* source) => new(Vector128.ConvertToSingle(Widen(source)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Widen(ushort* source) => Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)source).AsUInt16()).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Widen(sbyte* source) => Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(uint*)source).AsSByte()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Widen(byte* source) =>
        Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(uint*)source).AsByte())).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 Gather(float* source, int* indices) =>
        new(Vector128.Create(source[indices[0]], source[indices[1]], source[indices[2]], source[indices[3]]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GatherPairs(float* pairs, int* indices, out Wide128 x, out Wide128 y)
    {
        float* a = pairs + (2 * (nint)indices[0]), b = pairs + (2 * (nint)indices[1]);
        float* c = pairs + (2 * (nint)indices[2]), d = pairs + (2 * (nint)indices[3]);
        x = new(Vector128.Create(a[0], b[0], c[0], d[0]));
        y = new(Vector128.Create(a[1], b[1], c[1], d[1]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 operator +(Wide128 a, Wide128 b) => new(a._v + b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 operator -(Wide128 a, Wide128 b) => new(a._v - b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 operator *(Wide128 a, Wide128 b) => new(a._v * b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 operator /(Wide128 a, Wide128 b) => new(a._v / b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 MultiplyAdd(Wide128 a, Wide128 b, Wide128 c) => new(Vector128.MultiplyAddEstimate(a._v, b._v, c._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate(ref Wide128 sum, Wide128 a, Wide128 b) => sum._v = Vector128.MultiplyAddEstimate(a._v, b._v, sum._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 NegatedMultiplyAdd(Wide128 a, Wide128 b, Wide128 c) => new(Vector128.MultiplyAddEstimate(-a._v, b._v, c._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 Min(Wide128 a, Wide128 b) => new(Vector128.ConditionalSelect(Vector128.LessThan(a._v, b._v), a._v, b._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 Max(Wide128 a, Wide128 b) => new(Vector128.ConditionalSelect(Vector128.GreaterThan(a._v, b._v), a._v, b._v));

    // Max gives b where either is NaN, so only a's own NaN is left to keep: all bits set is a NaN, too.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 MaxOrNaN(Wide128 a, Wide128 b) => new(Max(a, b)._v | ~Vector128.Equals(a._v, a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 Abs(Wide128 a) => new(Vector128.Abs(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 Sqrt(Wide128 a) => new(Vector128.Sqrt(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 Round(Wide128 a) => new(Vector128.Round(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 Reciprocal(Wide128 a) => new(Vector128<float>.One / a._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 ScaleByPowerOfTwo(Wide128 a, Wide128 n) =>
        new(a._v * ((Vector128.ConvertToInt32Native(n._v) + Vector128.Create(127)) << 23).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 SplitExponent(Wide128 a, out Wide128 e)
    {
        Vector128<int> bits = a._v.AsInt32();
        e = new(Vector128.ConvertToSingle((bits >> 23) - Vector128.Create(126)));
        return new(((bits & Vector128.Create(0x007FFFFF)) | Vector128.Create(0x3F000000)).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint GreaterThan(Wide128 a, Wide128 b) => (uint)Vector128.GreaterThan(a._v, b._v).ExtractMostSignificantBits();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Wide128 SelectLess(Wide128 a, Wide128 b, Wide128 x, Wide128 y) =>
        new(Vector128.ConditionalSelect(Vector128.LessThan(a._v, b._v), x._v, y._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Wide128 a) => Vector128.Sum(a._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sum4(Wide128 a, Wide128 b, Wide128 c, Wide128 d) => Transpose4.Sum(a._v, b._v, c._v, d._v);
}
