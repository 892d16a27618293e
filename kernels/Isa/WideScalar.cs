using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>One lane: <see cref="IsaLevel.Scalar"/>.</summary>
internal unsafe struct WideScalar(float value) : IWide<WideScalar>
{
    private float _v = value;

    public static int Lanes => 1;

    public static int Registers => 16;

    public static WideScalar Zero => default;

    public static WideScalar Ramp => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar Broadcast(float value) => new(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar BroadcastFrom(float* source) => new(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar Load(float* source) => new(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* destination, WideScalar value) => *destination = value._v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreStreaming(float* destination, WideScalar value) => *destination = value._v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar LoadFirst(float* source, int count) => count > 0 ? new(*source) : default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(float* destination, WideScalar value, int count)
    {
        if (count > 0)
            *destination = value._v;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar LoadHalf(ushort* source) => new((float)BitConverter.UInt16BitsToHalf(*source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar LoadBFloat16(ushort* source) => new(BitConverter.Int32BitsToSingle(*source << 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar LoadInt8(sbyte* source) => new(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar LoadUInt8(byte* source) => new(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar Gather(float* source, int* indices) => new(source[indices[0]]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GatherPairs(float* pairs, int* indices, out WideScalar x, out WideScalar y)
    {
        float* pair = pairs + (2 * (nint)indices[0]);
        x = new(pair[0]);
        y = new(pair[1]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar operator +(WideScalar a, WideScalar b) => new(a._v + b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar operator -(WideScalar a, WideScalar b) => new(a._v - b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar operator *(WideScalar a, WideScalar b) => new(a._v * b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar operator /(WideScalar a, WideScalar b) => new(a._v / b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar MultiplyAdd(WideScalar a, WideScalar b, WideScalar c) => new((a._v * b._v) + c._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate(ref WideScalar sum, WideScalar a, WideScalar b) => sum._v = (a._v * b._v) + sum._v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar NegatedMultiplyAdd(WideScalar a, WideScalar b, WideScalar c) => new(c._v - (a._v * b._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar Min(WideScalar a, WideScalar b) => a._v < b._v ? a : b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar Max(WideScalar a, WideScalar b) => a._v > b._v ? a : b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar MaxOrNaN(WideScalar a, WideScalar b) => a._v > b._v || float.IsNaN(a._v) ? a : b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar Abs(WideScalar a) => new(MathF.Abs(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar Sqrt(WideScalar a) => new(MathF.Sqrt(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar Round(WideScalar a) => new(MathF.Round(a._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar Reciprocal(WideScalar a) => new(1f / a._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar ScaleByPowerOfTwo(WideScalar a, WideScalar n) =>
        new(a._v * BitConverter.Int32BitsToSingle(((int)n._v + 127) << 23));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar SplitExponent(WideScalar a, out WideScalar e)
    {
        int bits = BitConverter.SingleToInt32Bits(a._v);
        e = new((bits >> 23) - 126);
        return new(BitConverter.Int32BitsToSingle((bits & 0x007FFFFF) | 0x3F000000));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint GreaterThan(WideScalar a, WideScalar b) => a._v > b._v ? 1u : 0u;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideScalar SelectLess(WideScalar a, WideScalar b, WideScalar x, WideScalar y) => a._v < b._v ? x : y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(WideScalar a) => a._v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sum4(WideScalar a, WideScalar b, WideScalar c, WideScalar d) =>
        Vector128.Create(a._v, b._v, c._v, d._v);
}
