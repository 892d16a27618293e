using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels;

/// <summary>What reading and writing PNG share, and the writer.</summary>
internal static class Png
{
    public const uint Ihdr = 0x49484452;
    public const uint Plte = 0x504C5445;
    public const uint Idat = 0x49444154;
    public const uint Iend = 0x49454E44;

    private static readonly uint[] Tables = MakeTables();

    public static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    public static string NameOf(uint type)
    {
        Span<char> name = stackalloc char[4];
        for (int i = 0; i < 4; i++)
        {
            char c = (char)((type >> (24 - 8 * i)) & 0xFF);
            name[i] = char.IsAsciiLetter(c) ? c : '?';
        }

        return new string(name);
    }

    /// <summary>CRC-32 (ISO-HDLC, the one of zip and Ethernet), eight bytes a step.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static uint Checksum(ReadOnlySpan<byte> data)
    {
        uint[] t = Tables;
        uint crc = ~0u;
        for (; data.Length >= 8; data = data[8..])
        {
            uint low = crc ^ BinaryPrimitives.ReadUInt32LittleEndian(data), high = BinaryPrimitives.ReadUInt32LittleEndian(data[4..]);
            crc = t[1792 + (byte)low] ^ t[1536 + (byte)(low >> 8)] ^ t[1280 + (byte)(low >> 16)] ^ t[1024 + (low >> 24)]
                ^ t[768 + (byte)high] ^ t[512 + (byte)(high >> 8)] ^ t[256 + (byte)(high >> 16)] ^ t[high >> 24];
        }

        foreach (byte b in data)
            crc = t[(byte)crc ^ b] ^ (crc >> 8);
        return ~crc;
    }

    /// <summary>
    /// Writes a picture as 8-bit RGB, each row with the filter whose differences are smallest in sum, as libpng's default has it.
    /// </summary>
    public static void Write(Stream stream, Picture picture)
    {
        using MemoryStream packed = new();
        using (ZLibStream deflate = new(packed, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            int length = 3 * picture.Width;
            byte[] best = new byte[length + 1], tried = new byte[length + 1], nothing = new byte[length];
            for (int y = 0; y < picture.Height; y++)
            {
                ReadOnlySpan<byte> row = picture.Row(y), above = y == 0 ? nothing : picture.Row(y - 1);
                long smallest = long.MaxValue;
                for (int filter = 0; filter < 5; filter++)
                {
                    long sum = Filter(filter, row, above, tried);
                    if (sum >= smallest)
                        continue;
                    smallest = sum;
                    (best, tried) = (tried, best);
                }

                deflate.Write(best);
            }
        }

        Span<byte> header = stackalloc byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, picture.Width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], picture.Height);
        header[8] = 8;
        header[9] = 2;
        header[10..].Clear();
        stream.Write(Signature);
        WriteChunk(stream, Ihdr, header);
        WriteChunk(stream, Idat, packed.GetBuffer().AsSpan(0, (int)packed.Length));
        WriteChunk(stream, Iend, []);
    }

    public static void WriteChunk(Stream stream, uint type, ReadOnlySpan<byte> data)
    {
        byte[] chunk = new byte[data.Length + 12];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(4), type);
        data.CopyTo(chunk.AsSpan(8));
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(data.Length + 8), Checksum(chunk.AsSpan(4, data.Length + 4)));
        stream.Write(chunk);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte Paeth(int left, int up, int corner)
    {
        int toLeft = Math.Abs(up - corner), toUp = Math.Abs(left - corner), toCorner = Math.Abs(left + up - 2 * corner);
        return (byte)(toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner);
    }

    private static long Filter(int filter, ReadOnlySpan<byte> row, ReadOnlySpan<byte> above, byte[] filtered)
    {
        filtered[0] = (byte)filter;
        long sum = 0;
        for (int i = 0; i < row.Length; i++)
        {
            int left = i < 3 ? 0 : row[i - 3], corner = i < 3 ? 0 : above[i - 3];
            int guess = filter switch { 0 => 0, 1 => left, 2 => above[i], 3 => (left + above[i]) >> 1, _ => Paeth(left, above[i], corner) };
            byte difference = (byte)(row[i] - guess);
            filtered[i + 1] = difference;
            sum += Math.Abs((int)(sbyte)difference);
        }

        return sum;
    }

    private static uint[] MakeTables()
    {
        uint[] tables = new uint[8 * 256];
        for (uint i = 0; i < 256; i++)
        {
            uint c = i;
            for (int k = 0; k < 8; k++)
                c = (c & 1) != 0 ? 0xEDB88320 ^ (c >> 1) : c >> 1;
            tables[i] = c;
        }

        for (int i = 256; i < tables.Length; i++)
            tables[i] = tables[(byte)tables[i - 256]] ^ (tables[i - 256] >> 8);
        return tables;
    }
}
