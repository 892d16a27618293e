using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels;

/// <summary>
/// PNG (ISO/IEC 15948): all colour types, bit depths and Adam7. Alpha and transparent colours are dropped, not blended, and of
/// 16-bit samples the upper byte is kept. Colour profiles and gamma are ignored. Checksums of the chunks that are used are checked.
/// </summary>
internal static class PngDecoder
{
    // Inflate gives at most 258 bytes for two bits, as FormatReader has it.
    private const long MaximumInflation = 1032;

    private static ReadOnlySpan<byte> AdamX => [0, 4, 0, 2, 0, 1, 0];

    private static ReadOnlySpan<byte> AdamY => [0, 0, 4, 0, 2, 0, 1];

    private static ReadOnlySpan<byte> AdamStepX => [8, 8, 4, 4, 2, 2, 1];

    private static ReadOnlySpan<byte> AdamStepY => [8, 8, 8, 4, 4, 2, 2];

    public static bool Is(ReadOnlySpan<byte> start) => start.StartsWith(Png.Signature);

    public static Picture Decode(ImageBytes bytes)
    {
        int at = Png.Signature.Length;
        Header? header = null;
        byte[] palette = [];
        List<Range> parts = [];
        long packed = 0;
        while (true)
        {
            ReadOnlySpan<byte> start = bytes.Slice(at, 8, "a chunk's header");
            uint length = BinaryPrimitives.ReadUInt32BigEndian(start);
            if (length > int.MaxValue)
                throw bytes.Fail(at, $"a chunk of {length} bytes");
            uint type = BinaryPrimitives.ReadUInt32BigEndian(start[4..]);
            if (length > bytes.Length - at - 8L - 4)
                throw bytes.Fail(bytes.Length, $"the file ends inside the chunk {Png.NameOf(type)}: {length + 12 - (bytes.Length - at)} of its {length + 12} bytes are missing");
            ReadOnlySpan<byte> data = bytes.Data.AsSpan(at + 8, (int)length);
            bool critical = (type & 0x20000000) == 0;
            uint claimed = BinaryPrimitives.ReadUInt32BigEndian(bytes.Data.AsSpan(at + 8 + (int)length));
            if (critical && Png.Checksum(bytes.Data.AsSpan(at + 4, (int)length + 4)) != claimed)
                throw bytes.Fail(at, $"the checksum of the chunk {Png.NameOf(type)} is wrong");
            if (header is null && type != Png.Ihdr)
                throw bytes.Fail(at, $"the first chunk is {Png.NameOf(type)}, not IHDR");
            switch (type)
            {
                case Png.Ihdr when header is not null:
                    throw bytes.Fail(at, "a second IHDR");
                case Png.Ihdr:
                    header = Header.Read(bytes, at + 8, data);
                    break;
                case Png.Plte:
                    if (length % 3 != 0 || length > 768)
                        throw bytes.Fail(at, $"a palette of {length} bytes");
                    palette = data.ToArray();
                    break;
                case Png.Idat:
                    if (parts.Count > 0 && parts[^1].End.Value + 4 != at)
                        throw bytes.Fail(at, "the chunks IDAT do not follow one another");
                    parts.Add((at + 8)..(at + 8 + (int)length));
                    packed += length;
                    break;
                case Png.Iend:
                    return Unpack(bytes, header!, palette, parts, packed, at);
                default:
                    if (critical)
                        throw bytes.Fail(at, $"the chunk {Png.NameOf(type)} is not known and must not be ignored");
                    break;
            }

            at += 12 + (int)length;
        }
    }

    private static Picture Unpack(ImageBytes bytes, Header header, byte[] palette, List<Range> parts, long packed, int at)
    {
        if (header.Type == 3 && palette.Length == 0)
            throw bytes.Fail(at, "the palette is missing");
        bytes.CheckPossible(at, header.RawBytes / MaximumInflation, packed);
        Picture picture = new(header.Width, header.Height);
        using PartsStream source = new(bytes.Data, parts);
        using ZLibStream inflated = new(source, CompressionMode.Decompress);
        try
        {
            if (header.Interlaced)
            {
                for (int pass = 0; pass < 7; pass++)
                    Pass(bytes, header, palette, inflated, picture, AdamX[pass], AdamY[pass], AdamStepX[pass], AdamStepY[pass], at);
            }
            else
            {
                Pass(bytes, header, palette, inflated, picture, 0, 0, 1, 1, at);
            }

            // To the end of the data, where its own checksum is compared.
            Span<byte> rest = stackalloc byte[64];
            _ = inflated.Read(rest);
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException) // zlib alone: all bytes are in memory
        {
            throw bytes.Fail(at, $"the packed pixels are damaged: {exception.Message}", exception);
        }

        return picture;
    }

    private static void Pass(ImageBytes bytes, Header header, byte[] palette, Stream inflated, Picture picture, int x0, int y0, int stepX, int stepY, int at)
    {
        int columns = (header.Width - x0 + stepX - 1) / stepX;
        int rows = (header.Height - y0 + stepY - 1) / stepY;
        if (columns <= 0 || rows <= 0)
            return;
        int rowBytes = (int)header.RowBytes(columns);
        int unit = Math.Max(1, header.BitsPerPixel / 8);

        // Rows lie behind one filter byte; two of them take turns.
        byte[] current = new byte[rowBytes + 1], above = new byte[rowBytes + 1];
        byte[] rgb = stepX == 1 ? [] : new byte[columns * 3];
        for (int row = 0; row < rows; row++)
        {
            int read = inflated.ReadAtLeast(current, current.Length, throwOnEndOfStream: false);
            if (read < current.Length)
                throw bytes.Fail(at, $"the pixels end in row {y0 + row * stepY} of {header.Height}");
            Unfilter(bytes, current, above, unit, at);
            Span<byte> target = picture.Row(y0 + row * stepY);
            if (stepX == 1)
            {
                header.ToRgb(current.AsSpan(1), palette, target);
            }
            else
            {
                header.ToRgb(current.AsSpan(1), palette, rgb);
                for (int i = 0; i < columns; i++)
                    rgb.AsSpan(3 * i, 3).CopyTo(target[(3 * (x0 + i * stepX))..]);
            }

            (current, above) = (above, current);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Unfilter(ImageBytes bytes, byte[] current, byte[] above, int unit, int at)
    {
        Span<byte> row = current.AsSpan(1);
        ReadOnlySpan<byte> up = above.AsSpan(1, row.Length);
        int first = Math.Min(unit, row.Length);
        switch (current[0])
        {
            case 0:
                break;
            case 1:
                for (int i = first; i < row.Length; i++)
                    row[i] += row[i - unit];
                break;
            case 2:
                for (int i = 0; i < row.Length; i++)
                    row[i] += up[i];
                break;
            case 3:
                for (int i = 0; i < first; i++)
                    row[i] += (byte)(up[i] >> 1);
                for (int i = first; i < row.Length; i++)
                    row[i] += (byte)((row[i - unit] + up[i]) >> 1);
                break;
            case 4:
                for (int i = 0; i < first; i++)
                    row[i] += up[i];
                for (int i = first; i < row.Length; i++)
                    row[i] += Png.Paeth(row[i - unit], up[i], up[i - unit]);
                break;
            default:
                throw bytes.Fail(at, $"a row of filter type {current[0]}");
        }
    }

    private sealed record Header(int Width, int Height, int Depth, int Type, bool Interlaced)
    {
        public int BitsPerPixel { get; } = Depth * Type switch { 0 or 3 => 1, 4 => 2, 2 => 3, _ => 4 };

        /// <summary>Bytes that the pixels and filter bytes take unpacked, at least.</summary>
        public long RawBytes => Interlaced ? ((long)Width * Height * BitsPerPixel + 7) / 8 : (RowBytes(Width) + 1) * Height;

        public static Header Read(ImageBytes bytes, int at, ReadOnlySpan<byte> data)
        {
            if (data.Length != 13)
                throw bytes.Fail(at, $"an IHDR of {data.Length} bytes");
            uint width = BinaryPrimitives.ReadUInt32BigEndian(data), height = BinaryPrimitives.ReadUInt32BigEndian(data[4..]);
            int depth = data[8], type = data[9];
            bool known = (type, depth) is (0, 1 or 2 or 4 or 8 or 16) or (3, 1 or 2 or 4 or 8) or (2 or 4 or 6, 8 or 16);
            if (!known)
                throw bytes.Fail(at, $"colour type {type} with {depth} bits");
            if (data[10] != 0 || data[11] != 0 || data[12] > 1)
                throw bytes.Fail(at, $"packing {data[10]}, filter method {data[11]} and interlace method {data[12]} are not known");
            bytes.CheckSize(at, width, height);
            return new Header((int)width, (int)height, depth, type, data[12] == 1);
        }

        public long RowBytes(int columns) => ((long)columns * BitsPerPixel + 7) / 8;

        public void ToRgb(ReadOnlySpan<byte> row, byte[] palette, Span<byte> rgb)
        {
            int step = Depth == 16 ? 2 : 1;
            switch (Type)
            {
                case 2 when Depth == 8:
                    row[..rgb.Length].CopyTo(rgb);
                    break;
                case 2:
                    for (int i = 0; i < rgb.Length; i++)
                        rgb[i] = row[2 * i];
                    break;
                case 6:
                    for (int i = 0, s = 0; i + 2 < rgb.Length; i += 3, s += 4 * step)
                        (rgb[i], rgb[i + 1], rgb[i + 2]) = (row[s], row[s + step], row[s + 2 * step]);
                    break;
                case 4:
                    Grey(row, 2 * step, rgb);
                    break;
                default:
                    if (Depth >= 8 && Type == 0)
                        Grey(row, step, rgb);
                    else
                        Indexed(row, palette, rgb);
                    break;
            }
        }

        private static void Grey(ReadOnlySpan<byte> row, int step, Span<byte> rgb)
        {
            for (int i = 0, s = 0; i + 2 < rgb.Length; i += 3, s += step)
                rgb[i] = rgb[i + 1] = rgb[i + 2] = row[s];
        }

        /// <summary>Palettes, and grey of fewer than 8 bits. Indices beyond the palette are black.</summary>
        private void Indexed(ReadOnlySpan<byte> row, byte[] palette, Span<byte> rgb)
        {
            int mask = (1 << Depth) - 1;
            for (int i = 0, bit = 0; i + 2 < rgb.Length; i += 3, bit += Depth)
            {
                int value = (row[bit >> 3] >> (8 - Depth - (bit & 7))) & mask;
                if (Type == 0)
                    rgb[i] = rgb[i + 1] = rgb[i + 2] = (byte)(value * 255 / mask);
                else if (3 * value < palette.Length)
                    palette.AsSpan(3 * value, 3).CopyTo(rgb[i..]);
                else
                    rgb.Slice(i, 3).Clear();
            }
        }
    }

    /// <summary>The data of the IDAT chunks, one after the other.</summary>
    private sealed class PartsStream(byte[] data, List<Range> parts) : ForwardStream
    {
        private int _part;
        private int _taken;

        public override int Read(Span<byte> buffer)
        {
            while (_part < parts.Count)
            {
                ReadOnlySpan<byte> rest = data.AsSpan(parts[_part])[_taken..];
                int count = Math.Min(rest.Length, buffer.Length);
                if (count > 0 || buffer.IsEmpty)
                {
                    rest[..count].CopyTo(buffer);
                    _taken += count;
                    return count;
                }

                _part++;
                _taken = 0;
            }

            return 0;
        }
    }
}
