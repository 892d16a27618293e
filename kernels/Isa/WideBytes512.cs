using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

#pragma warning disable RS0030 // This is the one place that asks what the processor has.

namespace EmbeddingKernels.Core;

/// <summary>64 bytes: <see cref="IsaLevel.Avx512"/>. Pairs of 256-bit operations where the processor has no 512-bit ones.</summary>
internal readonly unsafe struct WideBytes512(Vector512<byte> value) : IWideBytes<WideBytes512>
{
    private readonly Vector512<byte> _v = value;

    public static int Count => 64;

    public static WideBytes512 Zero => new(Vector512<byte>.Zero);

    private WideBytes256 Lower
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => new(_v.GetLower());
    }

    private WideBytes256 Upper
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => new(_v.GetUpper());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static WideBytes512 Join(WideBytes256 lower, WideBytes256 upper) => new(Vector512.Create(lower.Vector, upper.Vector));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 Broadcast(byte value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 BroadcastWord(ushort value) => new(Vector512.Create(value).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 Load(byte* source) => new(Vector512.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 LoadTable(byte* table)
    {
        if (Avx512F.IsSupported)
            return new(Avx512F.BroadcastVector128ToVector512((int*)table).AsByte());
        WideBytes256 half = WideBytes256.LoadTable(table);
        return Join(half, half);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 LoadParts(byte* source, nint stride) =>
        Join(WideBytes256.LoadParts(source, stride), WideBytes256.LoadParts(source + (2 * stride), stride));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, WideBytes512 value) => value._v.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 operator &(WideBytes512 a, WideBytes512 b) => new(a._v & b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 operator |(WideBytes512 a, WideBytes512 b) => new(a._v | b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 operator ^(WideBytes512 a, WideBytes512 b) => new(a._v ^ b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 AddBytes(WideBytes512 a, WideBytes512 b) => new(a._v + b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 AddWords(WideBytes512 a, WideBytes512 b) => new((a._v.AsUInt16() + b._v.AsUInt16()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 AddLongs(WideBytes512 a, WideBytes512 b) => new((a._v.AsUInt64() + b._v.AsUInt64()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 LookUp(WideBytes512 table, WideBytes512 indices) => Avx512BW.IsSupported
        ? new(Avx512BW.Shuffle(table._v, indices._v))
        : Join(WideBytes256.LookUp(table.Lower, indices.Lower), WideBytes256.LookUp(table.Upper, indices.Upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 HighNibbles(WideBytes512 a) => new((a._v.AsUInt16() >>> 4).AsByte() & Vector512.Create((byte)15));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 EvenBytes(WideBytes512 a) => new(a._v & Vector512.Create((ushort)0x00FF).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 OddBytes(WideBytes512 a) => new((a._v.AsUInt16() >>> 8).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 InterleaveLow(WideBytes512 a, WideBytes512 b) => Avx512BW.IsSupported
        ? new(Avx512BW.UnpackLow(a._v, b._v))
        : Join(WideBytes256.InterleaveLow(a.Lower, b.Lower), WideBytes256.InterleaveLow(a.Upper, b.Upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 InterleaveHigh(WideBytes512 a, WideBytes512 b) => Avx512BW.IsSupported
        ? new(Avx512BW.UnpackHigh(a._v, b._v))
        : Join(WideBytes256.InterleaveHigh(a.Lower, b.Lower), WideBytes256.InterleaveHigh(a.Upper, b.Upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 MultiplyHigh(WideBytes512 a, WideBytes512 b) => Avx512BW.IsSupported
        ? new(Avx512BW.MultiplyHigh(a._v.AsUInt16(), b._v.AsUInt16()).AsByte())
        : Join(WideBytes256.MultiplyHigh(a.Lower, b.Lower), WideBytes256.MultiplyHigh(a.Upper, b.Upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 GreaterThanWords(WideBytes512 a, WideBytes512 b) =>
        new(Vector512.GreaterThan(a._v.AsInt16(), b._v.AsInt16()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsZero(WideBytes512 a) => a._v == Vector512<byte>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong InterleavedTopBits(WideBytes512 even, WideBytes512 odd) =>
        (OddBytes(even)._v | (odd._v & Vector512.Create((ushort)0xFF00).AsByte())).ExtractMostSignificantBits();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes512 SumBytes(WideBytes512 a) => Avx512BW.IsSupported
        ? new(Avx512BW.SumAbsoluteDifferences(a._v, Vector512<byte>.Zero).AsByte())
        : Join(WideBytes256.SumBytes(a.Lower), WideBytes256.SumBytes(a.Upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Total4(WideBytes512 a, WideBytes512 b, WideBytes512 c, WideBytes512 d) => WideBytes256.Total4(
        WideBytes256.AddLongs(a.Lower, a.Upper),
        WideBytes256.AddLongs(b.Lower, b.Upper),
        WideBytes256.AddLongs(c.Lower, c.Upper),
        WideBytes256.AddLongs(d.Lower, d.Upper));
}
