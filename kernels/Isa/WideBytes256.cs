using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace EmbeddingKernels.Core;

/// <summary>32 bytes: <see cref="IsaLevel.Avx2"/>.</summary>
internal readonly unsafe struct WideBytes256(Vector256<byte> value) : IWideBytes<WideBytes256>
{
    private readonly Vector256<byte> _v = value;

    public static int Count => 32;

    public static WideBytes256 Zero => new(Vector256<byte>.Zero);

    public Vector256<byte> Vector
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _v;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 Broadcast(byte value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 BroadcastWord(ushort value) => new(Vector256.Create(value).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 Load(byte* source) => new(Vector256.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 LoadTable(byte* table) => new(Avx2.BroadcastVector128ToVector256(table));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 LoadParts(byte* source, nint stride) =>
        new(Vector256.Create(Vector128.Load(source), Vector128.Load(source + stride)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, WideBytes256 value) => value._v.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 operator &(WideBytes256 a, WideBytes256 b) => new(a._v & b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 operator |(WideBytes256 a, WideBytes256 b) => new(a._v | b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 operator ^(WideBytes256 a, WideBytes256 b) => new(a._v ^ b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 AddBytes(WideBytes256 a, WideBytes256 b) => new(a._v + b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 AddWords(WideBytes256 a, WideBytes256 b) => new((a._v.AsUInt16() + b._v.AsUInt16()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 AddLongs(WideBytes256 a, WideBytes256 b) => new((a._v.AsUInt64() + b._v.AsUInt64()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 LookUp(WideBytes256 table, WideBytes256 indices) => new(Avx2.Shuffle(table._v, indices._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 HighNibbles(WideBytes256 a) => new((a._v.AsUInt16() >>> 4).AsByte() & Vector256.Create((byte)15));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 EvenBytes(WideBytes256 a) => new(a._v & Vector256.Create((ushort)0x00FF).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 OddBytes(WideBytes256 a) => new((a._v.AsUInt16() >>> 8).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 InterleaveLow(WideBytes256 a, WideBytes256 b) => new(Avx2.UnpackLow(a._v, b._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 InterleaveHigh(WideBytes256 a, WideBytes256 b) => new(Avx2.UnpackHigh(a._v, b._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 MultiplyHigh(WideBytes256 a, WideBytes256 b) =>
        new(Avx2.MultiplyHigh(a._v.AsUInt16(), b._v.AsUInt16()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 GreaterThanWords(WideBytes256 a, WideBytes256 b) =>
        new(Vector256.GreaterThan(a._v.AsInt16(), b._v.AsInt16()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsZero(WideBytes256 a) => a._v == Vector256<byte>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong InterleavedTopBits(WideBytes256 even, WideBytes256 odd) =>
        (OddBytes(even)._v | (odd._v & Vector256.Create((ushort)0xFF00).AsByte())).ExtractMostSignificantBits();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes256 SumBytes(WideBytes256 a) => new(Avx2.SumAbsoluteDifferences(a._v, Vector256<byte>.Zero).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Total4(WideBytes256 a, WideBytes256 b, WideBytes256 c, WideBytes256 d)
    {
        // As with 128 bits; the parts are added last, once for all four.
        Vector256<int> ac = (a._v.AsUInt64() | (c._v.AsUInt64() << 32)).AsInt32();
        Vector256<int> bd = (b._v.AsUInt64() | (d._v.AsUInt64() << 32)).AsInt32();
        Vector256<int> sums = Avx2.UnpackLow(ac, bd) + Avx2.UnpackHigh(ac, bd);
        return sums.GetLower() + sums.GetUpper();
    }
}
