using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

#pragma warning disable RS0030 // This is the one place that asks what the processor has.

namespace EmbeddingKernels.Core;

/// <summary>16 bytes: <see cref="IsaLevel.Portable"/>.</summary>
internal readonly unsafe struct WideBytes128(Vector128<byte> value) : IWideBytes<WideBytes128>
{
    private readonly Vector128<byte> _v = value;

    public static int Count => 16;

    public static WideBytes128 Zero => new(Vector128<byte>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 Broadcast(byte value) => new(Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 BroadcastWord(ushort value) => new(Vector128.Create(value).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 Load(byte* source) => new(Vector128.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 LoadTable(byte* table) => Load(table);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 LoadParts(byte* source, nint stride) => Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* destination, WideBytes128 value) => value._v.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 operator &(WideBytes128 a, WideBytes128 b) => new(a._v & b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 operator |(WideBytes128 a, WideBytes128 b) => new(a._v | b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 operator ^(WideBytes128 a, WideBytes128 b) => new(a._v ^ b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 AddBytes(WideBytes128 a, WideBytes128 b) => new(a._v + b._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 AddWords(WideBytes128 a, WideBytes128 b) => new((a._v.AsUInt16() + b._v.AsUInt16()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 AddLongs(WideBytes128 a, WideBytes128 b) => new((a._v.AsUInt64() + b._v.AsUInt64()).AsByte());

    // The native form: indices are below 16, where all processors agree.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 LookUp(WideBytes128 table, WideBytes128 indices) => new(Vector128.ShuffleNative(table._v, indices._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 HighNibbles(WideBytes128 a) => new((a._v.AsUInt16() >>> 4).AsByte() & Vector128.Create((byte)15));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 EvenBytes(WideBytes128 a) => new(a._v & Vector128.Create((ushort)0x00FF).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 OddBytes(WideBytes128 a) => new((a._v.AsUInt16() >>> 8).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 InterleaveLow(WideBytes128 a, WideBytes128 b)
    {
        if (Sse2.IsSupported)
            return new(Sse2.UnpackLow(a._v, b._v));
        if (AdvSimd.Arm64.IsSupported)
            return new(AdvSimd.Arm64.ZipLow(a._v, b._v));
        return new((Vector128.WidenLower(a._v) | (Vector128.WidenLower(b._v) << 8)).AsByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 InterleaveHigh(WideBytes128 a, WideBytes128 b)
    {
        if (Sse2.IsSupported)
            return new(Sse2.UnpackHigh(a._v, b._v));
        if (AdvSimd.Arm64.IsSupported)
            return new(AdvSimd.Arm64.ZipHigh(a._v, b._v));
        return new((Vector128.WidenUpper(a._v) | (Vector128.WidenUpper(b._v) << 8)).AsByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 MultiplyHigh(WideBytes128 a, WideBytes128 b)
    {
        Vector128<ushort> x = a._v.AsUInt16(), y = b._v.AsUInt16();
        if (Sse2.IsSupported)
            return new(Sse2.MultiplyHigh(x, y).AsByte());
        return new(Vector128.Narrow(
            (Vector128.WidenLower(x) * Vector128.WidenLower(y)) >>> 16,
            (Vector128.WidenUpper(x) * Vector128.WidenUpper(y)) >>> 16).AsByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 GreaterThanWords(WideBytes128 a, WideBytes128 b) =>
        new(Vector128.GreaterThan(a._v.AsInt16(), b._v.AsInt16()).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsZero(WideBytes128 a) => a._v == Vector128<byte>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong InterleavedTopBits(WideBytes128 even, WideBytes128 odd) =>
        (OddBytes(even)._v | (odd._v & Vector128.Create((ushort)0xFF00).AsByte())).ExtractMostSignificantBits();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideBytes128 SumBytes(WideBytes128 a)
    {
        if (Sse2.IsSupported)
            return new(Sse2.SumAbsoluteDifferences(a._v, Vector128<byte>.Zero).AsByte());
        Vector128<ushort> words = EvenBytes(a)._v.AsUInt16() + OddBytes(a)._v.AsUInt16();
        Vector128<uint> pairs = (words.AsUInt32() & Vector128.Create(0xFFFFu)) + (words.AsUInt32() >>> 16);
        return new(((pairs.AsUInt64() & Vector128.Create(0xFFFFFFFFul)) + (pairs.AsUInt64() >>> 32)).AsByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Total4(WideBytes128 a, WideBytes128 b, WideBytes128 c, WideBytes128 d)
    {
        // c and d go to the upper halves of the 64-bit numbers of a and b, which are zero.
        Vector128<int> ac = (a._v.AsUInt64() | (c._v.AsUInt64() << 32)).AsInt32(); // a0 c0 a1 c1
        Vector128<int> bd = (b._v.AsUInt64() | (d._v.AsUInt64() << 32)).AsInt32();
        if (Sse2.IsSupported)
            return Sse2.UnpackLow(ac, bd) + Sse2.UnpackHigh(ac, bd);
        ac += Vector128.Shuffle(ac, Vector128.Create(2, 3, 0, 1));
        bd += Vector128.Shuffle(bd, Vector128.Create(2, 3, 0, 1));
        return Vector128.ConditionalSelect(
            Vector128.Create(-1, 0, -1, 0), Vector128.Shuffle(ac, Vector128.Create(0, 0, 1, 1)), Vector128.Shuffle(bd, Vector128.Create(0, 0, 1, 1)));
    }
}
