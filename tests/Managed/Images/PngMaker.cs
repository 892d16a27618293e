using System.Buffers.Binary;
using System.IO.Compression;

namespace EmbeddingKernels.Tests.Images;

/// <summary>Writes PNG files of every kind, plainly: samples are put bit by bit, and each row gets the filter that a number names.</summary>
internal sealed record PngMaker(int Width, int Height, int Depth, int Type, bool Interlaced, Func<int, int, int, int> Sample)
{
    private static readonly (int X, int Y, int StepX, int StepY)[] Passes =
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

    /// <summary>Red, green, blue of each colour.</summary>
    public byte[]? Palette { get; init; }

    public int Parts { get; init; } = 1;

    public Func<int, int> Filter { get; init; } = row => row % 5;

    public int Channels => Type switch { 0 or 3 => 1, 4 => 2, 2 => 3, _ => 4 };

    public byte[] Make()
    {
        MemoryStream raw = new();
        foreach ((int x, int y, int stepX, int stepY) in Interlaced ? Passes : [(0, 0, 1, 1)])
            WritePass(raw, x, y, stepX, stepY);
        return Wrap(Header(), Palette, Pack(raw.ToArray()), Parts);
    }

    public static byte[] Pack(byte[] raw)
    {
        MemoryStream packed = new();
        using (ZLibStream deflate = new(packed, CompressionLevel.Optimal, leaveOpen: true))
            deflate.Write(raw);
        return packed.ToArray();
    }

    public static byte[] Wrap(byte[] header, byte[]? palette, byte[] packed, int parts = 1)
    {
        MemoryStream file = new();
        file.Write([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]);
        Chunk(file, "IHDR", header);
        Chunk(file, "teST", [1, 2, 3]);
        if (palette is not null)
            Chunk(file, "PLTE", palette);
        int step = (packed.Length + parts - 1) / parts;
        for (int i = 0; i < packed.Length; i += step)
            Chunk(file, "IDAT", packed[i..Math.Min(packed.Length, i + step)]);
        Chunk(file, "IEND", []);
        return file.ToArray();
    }

    public static void Chunk(Stream file, string name, byte[] data)
    {
        byte[] chunk = new byte[12 + data.Length];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        for (int i = 0; i < 4; i++)
            chunk[4 + i] = (byte)name[i];
        data.CopyTo(chunk, 8);
        uint crc = uint.MaxValue;
        foreach (byte b in chunk.AsSpan(4, data.Length + 4))
        {
            crc ^= b;
            for (int k = 0; k < 8; k++)
                crc = (crc & 1) != 0 ? 0xEDB88320 ^ (crc >> 1) : crc >> 1;
        }

        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(8 + data.Length), ~crc);
        file.Write(chunk);
    }

    public byte[] Header()
    {
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, Width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), Height);
        (header[8], header[9], header[12]) = ((byte)Depth, (byte)Type, (byte)(Interlaced ? 1 : 0));
        return header;
    }

    private void WritePass(MemoryStream raw, int x0, int y0, int stepX, int stepY)
    {
        int columns = (Width - x0 + stepX - 1) / stepX, rows = (Height - y0 + stepY - 1) / stepY;
        if (columns <= 0 || rows <= 0)
            return;
        int bytes = (columns * Channels * Depth + 7) / 8, unit = Math.Max(1, Channels * Depth / 8);
        byte[] above = new byte[bytes];
        for (int row = 0; row < rows; row++)
        {
            byte[] plain = new byte[bytes];
            for (int column = 0, bit = 0; column < columns; column++)
            {
                for (int c = 0; c < Channels; c++)
                {
                    int value = Sample(x0 + column * stepX, y0 + row * stepY, c);
                    for (int b = Depth - 1; b >= 0; b--, bit++)
                        plain[bit / 8] |= (byte)(((value >> b) & 1) << (7 - bit % 8));
                }
            }

            int filter = Filter(row);
            raw.WriteByte((byte)filter);
            for (int i = 0; i < bytes; i++)
            {
                int a = i < unit ? 0 : plain[i - unit], b = above[i], c = i < unit ? 0 : above[i - unit];
                int p = a + b - c, pa = Math.Abs(p - a), pb = Math.Abs(p - b), pc = Math.Abs(p - c);
                int paeth = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
                raw.WriteByte((byte)(plain[i] - filter switch { 0 => 0, 1 => a, 2 => b, 3 => (a + b) / 2, _ => paeth }));
            }

            above = plain;
        }
    }
}
