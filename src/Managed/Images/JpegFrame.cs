namespace EmbeddingKernels;

/// <summary>One colour of a JPEG picture.</summary>
internal sealed class JpegComponent(int id, int horizontal, int vertical, int table)
{
    public int Id { get; } = id;

    public int Horizontal { get; } = horizontal;

    public int Vertical { get; } = vertical;

    /// <summary>The number of its quantisation table.</summary>
    public int Table { get; } = table;

    /// <summary>Samples of a row that belong to the picture.</summary>
    public int Width { get; set; }

    /// <summary>Rows that belong to the picture.</summary>
    public int Height { get; set; }

    /// <summary>Blocks of a row, with those that only fill up the last unit.</summary>
    public int BlocksWide { get; set; }

    public int BlocksHigh { get; set; }

    public int Stride => 8 * BlocksWide;

    /// <summary>Samples, <see cref="Stride"/> bytes a row.</summary>
    public byte[] Plane { get; set; } = [];

    /// <summary>Coefficients of all blocks, where several scans add to them; else empty.</summary>
    public short[] Coefficients { get; set; } = [];

    /// <summary>The quantisation steps as they were when the component's first scan began, row after row; null before.</summary>
    public ushort[]? Steps { get; set; }

    /// <summary>The lowest bit of each coefficient that is known; above 13 while nothing is.</summary>
    public byte[] KnownBits { get; } = [.. Enumerable.Repeat(byte.MaxValue, 64)];

    public int Prediction { get; set; }

    public JpegHuffman? Dc { get; set; }

    public JpegHuffman? Ac { get; set; }
}

/// <summary>What a frame header says: size, components, how they are coded.</summary>
internal sealed class JpegFrame
{
    private JpegFrame(int width, int height, bool progressive, JpegComponent[] components)
    {
        Width = width;
        Height = height;
        Progressive = progressive;
        Components = components;
        MostHorizontal = components.Max(c => c.Horizontal);
        MostVertical = components.Max(c => c.Vertical);
        UnitsWide = CeilingDivide(width, 8 * MostHorizontal);
        UnitsHigh = CeilingDivide(height, 8 * MostVertical);
        foreach (JpegComponent c in components)
        {
            c.Width = CeilingDivide(width * c.Horizontal, MostHorizontal);
            c.Height = CeilingDivide(height * c.Vertical, MostVertical);
            c.BlocksWide = UnitsWide * c.Horizontal;
            c.BlocksHigh = UnitsHigh * c.Vertical;
        }
    }

    public int Width { get; }

    public int Height { get; }

    public bool Progressive { get; }

    public JpegComponent[] Components { get; }

    public int MostHorizontal { get; }

    public int MostVertical { get; }

    public int UnitsWide { get; }

    public int UnitsHigh { get; }

    public static JpegFrame Read(ImageBytes bytes, int at, int marker, ReadOnlySpan<byte> data)
    {
        string? kind = marker switch
        {
            0xC0 or 0xC1 or 0xC2 => null,
            0xC3 => "lossless",
            0xC5 or 0xC6 or 0xC7 => "hierarchical",
            _ => "arithmetic-coded",
        };
        if (kind is not null)
            throw bytes.Fail(at, $"a JPEG of the {kind} kind is not read; baseline, extended and progressive Huffman are");
        if (data.Length < 6)
            throw bytes.Fail(at, $"a frame header of {data.Length} bytes");
        int precision = data[0], height = (data[1] << 8) | data[2], width = (data[3] << 8) | data[4], count = data[5];
        if (precision != 8)
            throw bytes.Fail(at, $"samples of {precision} bits are not read; those of 8 are");
        if (height == 0)
            throw bytes.Fail(at, "the height is left open (DNL), which is not read");
        bytes.CheckSize(at, width, height);
        if (count is not (1 or 3 or 4) || data.Length != 6 + 3 * count)
            throw bytes.Fail(at, $"{count} components in a frame header of {data.Length} bytes");
        JpegComponent[] components = new JpegComponent[count];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> c = data[(6 + 3 * i)..];
            int id = c[0], horizontal = c[1] >> 4, vertical = c[1] & 15;
            if (horizontal is < 1 or > 4 || vertical is < 1 or > 4 || c[2] > 3 || components.Take(i).Any(other => other.Id == id))
                throw bytes.Fail(at, $"component {id}: sampling {horizontal} x {vertical}, table {c[2]}");

            // Sampling factors are ratios; of a single component there is nothing to compare them with.
            components[i] = count == 1 ? new JpegComponent(id, 1, 1, c[2]) : new JpegComponent(id, horizontal, vertical, c[2]);
        }

        JpegFrame frame = new(width, height, marker == 0xC2, components);
        foreach (JpegComponent c in components)
        {
            if (frame.MostHorizontal % c.Horizontal != 0 || frame.MostVertical % c.Vertical != 0)
                throw bytes.Fail(at, $"component {c.Id} is sampled at {c.Horizontal} of {frame.MostHorizontal} x {c.Vertical} of {frame.MostVertical}, which are no whole ratios");
        }

        // Each block takes a bit at least, for its mean; where scans are not progressive another one, for its end.
        long blocks = components.Sum(c => (long)CeilingDivide(c.Width, 8) * CeilingDivide(c.Height, 8));
        bytes.CheckPossible(at, blocks * (frame.Progressive ? 1 : 2) / 8, bytes.Length - at);
        return frame;
    }

    public static int CeilingDivide(int value, int by) => (value + by - 1) / by;
}
