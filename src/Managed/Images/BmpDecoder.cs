using System.Buffers.Binary;
using System.Numerics;

namespace EmbeddingKernels;

/// <summary>
/// Windows and OS/2 bitmaps: 1, 4, 8, 16, 24 and 32 bits, palettes, bit masks, both row orders, RLE8 and RLE4. Alpha is dropped.
/// </summary>
internal static class BmpDecoder
{
    private const int Plain = 0, Rle8 = 1, Rle4 = 2, Fields = 3, AlphaFields = 6;

    public static bool Is(ReadOnlySpan<byte> start) => start.StartsWith("BM"u8);

    public static Picture Decode(ImageBytes bytes)
    {
        int headerBytes = I32(bytes, 14, "the header");
        if (headerBytes != 12 && headerBytes is < 40 or > 1024)
            throw bytes.Fail(14, $"a header of {headerBytes} bytes");
        _ = bytes.Slice(14, headerBytes, "the header");
        bool core = headerBytes == 12;
        long width = core ? U16(bytes, 18) : I32(bytes, 18, "the header");
        long signedHeight = core ? U16(bytes, 20) : I32(bytes, 22, "the header");
        int bits = U16(bytes, core ? 24 : 28);
        int packing = core ? Plain : I32(bytes, 30, "the header");
        long height = Math.Abs(signedHeight);
        bytes.CheckSize(18, width, height);
        bool known = (packing, bits) is (Plain, 1 or 4 or 8 or 16 or 24 or 32) or (Rle8, 8) or (Rle4, 4) or (Fields or AlphaFields, 16 or 32);
        if (!known)
            throw bytes.Fail(28, $"a bitmap of {bits} bits with packing {packing} is not read");
        bool packed = packing is Rle8 or Rle4;
        if (packed && signedHeight < 0)
            throw bytes.Fail(22, "a packed bitmap from the top down");

        int pixels = I32(bytes, 10, "the header");
        Span<uint> masks = [0x7C00, 0x3E0, 0x1F];
        if (bits == 32)
            masks = [0xFF0000, 0xFF00, 0xFF];
        int paletteAt = 14 + headerBytes;
        if (packing is Fields or AlphaFields)
        {
            for (int i = 0; i < 3; i++)
                masks[i] = (uint)I32(bytes, 54 + 4 * i, "the bit masks");
            if (headerBytes == 40)
                paletteAt += packing == Fields ? 12 : 16;
        }

        byte[] palette = bits > 8 ? [] : Palette(bytes, paletteAt, bits, core, core ? 0 : I32(bytes, 46, "the header"));
        if (pixels < 14 + headerBytes || pixels > bytes.Length)
            throw bytes.Fail(10, $"the pixels are said to begin at byte {pixels} of {bytes.Length}");
        if (packed)
            return Unpack(bytes, pixels, (int)width, (int)height, bits, palette);

        long stride = (width * bits + 31) / 32 * 4;
        long last = (width * bits + 7) / 8; // some writers leave the last row's padding out
        bytes.CheckPossible(pixels, stride * (height - 1) + last, bytes.Length - pixels);
        Picture picture = new((int)width, (int)height);
        Field red = new(masks[0]), green = new(masks[1]), blue = new(masks[2]);
        for (int y = 0; y < height; y++)
        {
            ReadOnlySpan<byte> row = bytes.Data.AsSpan(pixels + (int)(stride * y), (int)last);
            Span<byte> rgb = picture.Row(signedHeight < 0 ? y : (int)height - 1 - y);
            for (int i = 0, x = 0; x < width; i += 3, x++)
            {
                switch (bits)
                {
                    case 24:
                        (rgb[i], rgb[i + 1], rgb[i + 2]) = (row[i + 2], row[i + 1], row[i]);
                        break;
                    case 16 or 32:
                        uint value = bits == 16 ? BinaryPrimitives.ReadUInt16LittleEndian(row[(2 * x)..]) : BinaryPrimitives.ReadUInt32LittleEndian(row[(4 * x)..]);
                        (rgb[i], rgb[i + 1], rgb[i + 2]) = (red.Of(value), green.Of(value), blue.Of(value));
                        break;
                    default:
                        int bit = x * bits;
                        int index = (row[bit >> 3] >> (8 - bits - (bit & 7))) & ((1 << bits) - 1);
                        palette.AsSpan(3 * index, 3).CopyTo(rgb[i..]);
                        break;
                }
            }
        }

        return picture;
    }

    /// <summary>Runs and literal stretches, from the bottom row up; what is left out stays in the palette's first colour.</summary>
    private static Picture Unpack(ImageBytes bytes, int at, int width, int height, int bits, byte[] palette)
    {
        // A run of 255 pixels takes two bytes. Jumps could leave out more, which is believed of pictures of ordinary size only.
        bytes.CheckPossible(at, (long)width * height / 128 - (1 << 16), bytes.Length - at);
        Picture picture = new(width, height);
        for (int i = 0; i < width; i++)
            palette.AsSpan(0, 3).CopyTo(picture.Row(0)[(3 * i)..]);
        for (int i = 1; i < height; i++)
            picture.Row(0).CopyTo(picture.Row(i));

        int x = 0, y = 0;
        while (y < height)
        {
            ReadOnlySpan<byte> pair = bytes.Slice(at, 2, "the packed pixels");
            at += 2;
            (int count, int value) = (pair[0], pair[1]);
            if (count > 0)
            {
                for (int i = 0; i < count; i++)
                    Put(Nibble(value, i));
                continue;
            }

            switch (value)
            {
                case 0:
                    (x, y) = (0, y + 1);
                    break;
                case 1:
                    return picture;
                case 2:
                    ReadOnlySpan<byte> jump = bytes.Slice(at, 2, "the packed pixels");
                    at += 2;
                    (x, y) = (x + jump[0], y + jump[1]);
                    break;
                default:
                    int length = (value * bits + 7) / 8;
                    ReadOnlySpan<byte> literal = bytes.Slice(at, length, "the packed pixels");
                    at += (length + 1) & ~1;
                    for (int i = 0; i < value; i++)
                        Put(bits == 8 ? literal[i] : Nibble(literal[i / 2], i));
                    break;
            }
        }

        return picture;

        int Nibble(int value, int i) => bits == 8 ? value : (i & 1) == 0 ? value >> 4 : value & 15;

        void Put(int index)
        {
            if (x < width)
                palette.AsSpan(3 * index, 3).CopyTo(picture.Row(height - 1 - y)[(3 * x)..]);
            x++;
        }
    }

    /// <summary>As RGB, filled up with black to as many colours as the bits can name.</summary>
    private static byte[] Palette(ImageBytes bytes, int at, int bits, bool core, int used)
    {
        int most = 1 << bits, entry = core ? 3 : 4;
        if (used < 0 || used > 65536)
            throw bytes.Fail(46, $"a palette of {used} colours");
        int count = used == 0 ? most : Math.Min(used, most);
        ReadOnlySpan<byte> stored = bytes.Slice(at, count * entry, "the palette");
        byte[] palette = new byte[3 * most];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> bgr = stored[(i * entry)..];
            (palette[3 * i], palette[3 * i + 1], palette[3 * i + 2]) = (bgr[2], bgr[1], bgr[0]);
        }

        return palette;
    }

    private static int U16(ImageBytes bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes.Slice(at, 2, "the header"));

    private static int I32(ImageBytes bytes, int at, string what) => BinaryPrimitives.ReadInt32LittleEndian(bytes.Slice(at, 4, what));

    /// <summary>One colour's bits of a pixel, brought to 0..255.</summary>
    private readonly struct Field(uint mask)
    {
        private readonly int _shift = mask == 0 ? 0 : BitOperations.TrailingZeroCount(mask);

        public byte Of(uint pixel)
        {
            ulong most = mask >> _shift, value = (pixel & mask) >> _shift;
            return most == 0 ? (byte)0 : (byte)(value * 255 / most);
        }
    }
}
