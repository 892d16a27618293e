using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// A vector of bytes for integer and bit work: the sibling of <see cref="IWide{TSelf}"/>. Some operations read it as unsigned
/// 16-bit words or 64-bit numbers. It consists of 128-bit parts (<c>Count / 16</c> of them).
/// </summary>
/// <remarks>
/// There is none for <see cref="IsaLevel.Scalar"/>: work on bits takes 64 of them at a time there, in general registers. The
/// runtime has no population count of vectors (.NET 10 keeps AVX-512's VPOPCNTDQ and BITALG to itself), so counting is by
/// <see cref="LookUp"/>.
/// </remarks>
internal unsafe interface IWideBytes<TSelf>
    where TSelf : unmanaged, IWideBytes<TSelf>
{
    /// <summary>Bytes.</summary>
    static abstract int Count { get; }

    static abstract TSelf Zero { get; }

    static abstract TSelf Broadcast(byte value);

    static abstract TSelf BroadcastWord(ushort value);

    static abstract TSelf Load(byte* source);

    /// <summary>The same 16 bytes in each part.</summary>
    static abstract TSelf LoadTable(byte* table);

    /// <summary>Part i holds the 16 bytes at <paramref name="source"/> + i * <paramref name="stride"/>.</summary>
    static abstract TSelf LoadParts(byte* source, nint stride);

    static abstract void Store(byte* destination, TSelf value);

    static abstract TSelf operator &(TSelf a, TSelf b);

    static abstract TSelf operator |(TSelf a, TSelf b);

    static abstract TSelf operator ^(TSelf a, TSelf b);

    static abstract TSelf AddBytes(TSelf a, TSelf b);

    static abstract TSelf AddWords(TSelf a, TSelf b);

    static abstract TSelf AddLongs(TSelf a, TSelf b);

    /// <summary>table[index] for each byte, within its part; indices 0 to 15.</summary>
    static abstract TSelf LookUp(TSelf table, TSelf indices);

    /// <summary>The upper four bits of each byte.</summary>
    static abstract TSelf HighNibbles(TSelf a);

    /// <summary>Bytes 0, 2, 4, ... as words.</summary>
    static abstract TSelf EvenBytes(TSelf a);

    /// <summary>Bytes 1, 3, 5, ... as words.</summary>
    static abstract TSelf OddBytes(TSelf a);

    /// <summary>a0 b0 a1 b1 ... a7 b7 of each part.</summary>
    static abstract TSelf InterleaveLow(TSelf a, TSelf b);

    /// <summary>a8 b8 a9 b9 ... a15 b15 of each part.</summary>
    static abstract TSelf InterleaveHigh(TSelf a, TSelf b);

    /// <summary>The upper 16 bits of the products of unsigned words.</summary>
    static abstract TSelf MultiplyHigh(TSelf a, TSelf b);

    /// <summary>All bits of each word where a &gt; b, both read as signed.</summary>
    static abstract TSelf GreaterThanWords(TSelf a, TSelf b);

    static abstract bool IsZero(TSelf a);

    /// <summary>Bit 2i is the top bit of word i of <paramref name="even"/>, bit 2i + 1 that of word i of <paramref name="odd"/>.</summary>
    static abstract ulong InterleavedTopBits(TSelf even, TSelf odd);

    /// <summary>The sum of each 8 bytes, as a 64-bit number.</summary>
    static abstract TSelf SumBytes(TSelf a);

    /// <summary>The sums of the 64-bit numbers of a, b, c and d, each below 2^31.</summary>
    static abstract Vector128<int> Total4(TSelf a, TSelf b, TSelf c, TSelf d);
}

/// <summary>Work that is compiled once for each width of <see cref="IWideBytes{TSelf}"/>; see <see cref="Isa.DispatchBytes"/>.</summary>
internal interface IWideBytesAction
{
    /// <summary>Without vectors.</summary>
    void RunScalar();

    void Run<TBytes>()
        where TBytes : unmanaged, IWideBytes<TBytes>;
}
