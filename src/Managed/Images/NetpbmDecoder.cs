namespace EmbeddingKernels;

/// <summary>Netpbm's PBM, PGM and PPM, as text (P1 to P3) and as bytes (P4 to P6); the first picture of a file.</summary>
internal static class NetpbmDecoder
{
    public static bool Is(ReadOnlySpan<byte> start) =>
        start.Length >= 3 && start[0] == 'P' && start[1] is >= (byte)'1' and <= (byte)'6' && (IsSpace(start[2]) || start[2] == '#');

    public static Picture Decode(ImageBytes bytes)
    {
        int kind = bytes.Data[1] - '0', at = 2;
        bool text = kind <= 3, bitmap = kind is 1 or 4;
        int channels = kind is 3 or 6 ? 3 : 1;
        int width = Number(bytes, ref at, "the width"), height = Number(bytes, ref at, "the height");
        bytes.CheckSize(2, width, height);
        int most = bitmap ? 1 : Number(bytes, ref at, "the largest value");
        if (most is < 1 or > 65535)
            throw bytes.Fail(at, $"a largest value of {most}");

        // One white-space byte ends the header of the byte formats; text takes a digit for each value at least.
        int sample = most > 255 ? 2 : 1;
        long rowBytes = kind == 4 ? (width + 7) / 8 : (long)width * channels * sample;
        if (!text)
            at++;
        bytes.CheckPossible(at, text ? (long)width * height * channels : rowBytes * height, Math.Max(0, bytes.Length - at));
        byte[] scaled = Scale(most);
        Picture picture = new(width, height);
        byte[] row = new byte[width * channels];
        for (int y = 0; y < height; y++)
        {
            for (int i = 0; i < row.Length; i++)
            {
                int value = kind switch
                {
                    1 => Bit(bytes, ref at),
                    2 or 3 => Number(bytes, ref at, "the pixels"),
                    4 => (bytes.Data[at + (i >> 3)] >> (7 - (i & 7))) & 1,
                    _ when sample == 2 => (bytes.Data[at + 2 * i] << 8) | bytes.Data[at + 2 * i + 1],
                    _ => bytes.Data[at + i],
                };

                // Values above the largest are wrong, but common; they count as the largest. In a bitmap 1 is black.
                row[i] = scaled[Math.Min(bitmap ? 1 - value : value, most)];
            }

            if (!text)
                at += (int)rowBytes;
            Span<byte> rgb = picture.Row(y);
            if (channels == 3)
            {
                row.CopyTo(rgb);
                continue;
            }

            for (int x = 0; x < width; x++)
                rgb.Slice(3 * x, 3).Fill(row[x]);
        }

        return picture;
    }

    private static byte[] Scale(int most)
    {
        byte[] scaled = new byte[most + 1];
        for (int i = 0; i <= most; i++)
            scaled[i] = (byte)Math.Round(255.0 * i / most);
        return scaled;
    }

    private static int Number(ImageBytes bytes, ref int at, string what)
    {
        SkipSpace(bytes, ref at, what);
        int start = at;
        long value = 0;
        for (; at < bytes.Length && char.IsAsciiDigit((char)bytes.Data[at]); at++)
        {
            value = value * 10 + bytes.Data[at] - '0';
            if (value > int.MaxValue)
                throw bytes.Fail(start, $"{what} is too large");
        }

        return at > start ? (int)value : throw bytes.Fail(at, $"{what} is no number");
    }

    /// <summary>Digits of a text bitmap may stand together.</summary>
    private static int Bit(ImageBytes bytes, ref int at)
    {
        SkipSpace(bytes, ref at, "the pixels");
        int value = bytes.Data[at] - '0';
        return value is 0 or 1 ? (at++, value).value : throw bytes.Fail(at, "a pixel is neither 0 nor 1");
    }

    private static void SkipSpace(ImageBytes bytes, ref int at, string what)
    {
        bool comment = false;
        for (; at < bytes.Length; at++)
        {
            byte b = bytes.Data[at];
            comment = b == '#' || (comment && b is not ((byte)'\n' or (byte)'\r'));
            if (!comment && !IsSpace(b))
                break;
        }

        if (at >= bytes.Length)
            throw bytes.Fail(at, $"the file ends before {what}");
    }

    private static bool IsSpace(byte b) => b is (byte)' ' or (>= 9 and <= 13);
}
