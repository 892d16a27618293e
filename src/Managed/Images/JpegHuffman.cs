using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels;

/// <summary>One Huffman table of a JPEG file (ITU-T T.81, annex C and F.2.2.3).</summary>
internal sealed class JpegHuffman
{
    private const int FastBits = 9;

    // Length above, symbol below, for codes of up to FastBits bits; 0 for longer ones.
    private readonly ushort[] _fast = new ushort[1 << FastBits];

    // The first code of more bits than each length, brought to 16 bits.
    private readonly int[] _end = new int[18];
    private readonly int[] _offset = new int[17];
    private readonly byte[] _symbols;

    private JpegHuffman(byte[] symbols) => _symbols = symbols;

    /// <summary>Null where the lengths make no prefix code.</summary>
    public static JpegHuffman? Create(ReadOnlySpan<byte> counts, ReadOnlySpan<byte> symbols)
    {
        JpegHuffman table = new(symbols.ToArray());
        int code = 0, index = 0;
        for (int length = 1; length <= 16; length++)
        {
            table._offset[length] = index - code;
            for (int i = 0; i < counts[length - 1]; i++, code++, index++)
            {
                if (code >= 1 << length)
                    return null;
                if (length <= FastBits)
                    table._fast.AsSpan(code << (FastBits - length), 1 << (FastBits - length)).Fill((ushort)((length << 8) | symbols[index]));
            }

            table._end[length] = code << (16 - length);
            code <<= 1;
        }

        table._end[17] = int.MaxValue;
        return table;
    }

    /// <summary>The next symbol; -1 where the bits are no code.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Next(ref JpegBits bits)
    {
        bits.Fill();
        int fast = _fast[bits.Peek(FastBits)];
        if (fast == 0)
            return Long(ref bits);
        bits.Skip(fast >> 8);
        return fast & 0xFF;
    }

    private int Long(ref JpegBits bits)
    {
        int next = bits.Peek(16), length = FastBits + 1;
        while (next >= _end[length])
            length++;
        if (length > 16)
            return -1;
        bits.Skip(length);
        return _symbols[(next >> (16 - length)) + _offset[length]];
    }
}

/// <summary>
/// The bits of entropy-coded data up to the next marker. Beyond it come zeros, which <see cref="Overrun"/> tells of, so that the decoding of
/// a stretch of blocks needs no check for each.
/// </summary>
internal struct JpegBits(byte[] data, int position)
{
    private ulong _bits;
    private int _count;
    private int _padding;

    /// <summary>Where reading goes on; never past a marker.</summary>
    public int Position { get; private set; } = position;

    /// <summary>Whether more bits were taken than there are.</summary>
    public readonly bool Overrun => _padding > _count;

    /// <summary>Makes 32 bits available: a code and the bits behind it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Fill()
    {
        if (_count < 32)
            FillMore();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly int Peek(int count) => (int)(_bits >> (64 - count));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Skip(int count)
    {
        _bits <<= count;
        _count -= count;
    }

    /// <summary>Up to 16 bits as a number; 0 of none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Take(int count)
    {
        int value = (int)(_bits >> 1 >> (63 - count));
        Skip(count);
        return value;
    }

    /// <summary>A number of the category <paramref name="size"/>: its upper half is positive (F.2.2.1).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Signed(int size)
    {
        int value = Take(size);
        return value < (1 << size) >> 1 ? value - (1 << size) + 1 : value;
    }

    /// <summary>Drops what is left before the next marker and moves behind it.</summary>
    /// <returns>The marker's second byte; -1 at the end of the file.</returns>
    public int NextMarker()
    {
        ReadOnlySpan<byte> rest = data.AsSpan(Position);
        int at = 0;
        while (at + 1 < rest.Length && (rest[at] != 0xFF || rest[at + 1] is 0 or 0xFF))
        {
            int step = rest[(at + 1)..].IndexOf((byte)0xFF);
            at = step < 0 ? rest.Length : at + 1 + step;
        }

        (_bits, _count, _padding) = (0, 0, 0);
        if (at + 1 >= rest.Length)
        {
            Position = data.Length;
            return -1;
        }

        Position += at + 2;
        return rest[at + 1];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FillMore()
    {
        if (Position <= data.Length - 8)
        {
            ulong next = BinaryPrimitives.ReadUInt64BigEndian(data.AsSpan(Position));
            // No byte of 255 among the eight: then no stuffing and no marker.
            if (((~next - 0x0101010101010101) & next & 0x8080808080808080) == 0)
            {
                _bits |= next >> _count;
                Position += (63 - _count) >> 3;
                _count |= 56;
                return;
            }
        }

        while (_count <= 56)
        {
            uint value = 0;
            if (_padding == 0 && Position < data.Length && (value = data[Position]) != 0xFF)
            {
                Position++;
            }
            else if (value == 0xFF && Position + 1 < data.Length && data[Position + 1] == 0)
            {
                Position += 2;
            }
            else
            {
                value = 0;
                _padding += 8;
            }

            _bits |= (ulong)value << (56 - _count);
            _count += 8;
        }
    }
}
