namespace EmbeddingKernels;

/// <summary>
/// JPEG (ITU-T T.81): baseline, extended and progressive Huffman coding with 8-bit samples, in grey, YCbCr, RGB, CMYK and YCCK, with
/// restart intervals and chroma at whole ratios. Arithmetic coding, lossless and hierarchical files are refused. Pixels are those of
/// libjpeg-turbo's defaults: see <see cref="JpegIdct"/> and <see cref="JpegColour"/>.
/// </summary>
internal sealed class JpegDecoder
{
    private const int Sos = 0xDA, Eoi = 0xD9;

    private readonly ImageBytes _bytes;
    private readonly ushort[]?[] _steps = new ushort[4][];
    private readonly JpegHuffman?[] _dc = new JpegHuffman[4];
    private readonly JpegHuffman?[] _ac = new JpegHuffman[4];
    private JpegFrame? _frame;
    private int _restart;
    private bool _jfif;
    private int _adobe = -1;

    private JpegDecoder(ImageBytes bytes) => _bytes = bytes;

    /// <summary>Where in a block, row after row, the n-th coefficient stands.</summary>
    public static ReadOnlySpan<byte> ZigZag =>
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];

    public static bool Is(ReadOnlySpan<byte> start) => start.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]);

    public static Picture Decode(ImageBytes bytes) => new JpegDecoder(bytes).Decode();

    private Picture Decode()
    {
        int at = 2;
        while (true)
        {
            int marker = Marker(ref at);
            if (marker is Eoi or < 0)
                break;
            if (marker is 0x01 or (>= 0xD0 and <= 0xD8))
                continue;
            int length = _bytes.U16Big(at, "a segment's length");
            if (length < 2)
                throw _bytes.Fail(at, $"a segment of {length} bytes");
            ReadOnlySpan<byte> data = _bytes.Slice(at, length, "a segment")[2..];
            int from = at;
            at += length;
            switch (marker)
            {
                case 0xC4:
                    ReadHuffman(from, data);
                    break;
                case 0xDB:
                    ReadSteps(from, data);
                    break;
                case 0xDD when data.Length >= 2:
                    _restart = (data[0] << 8) | data[1];
                    break;
                case 0xE0 when data.StartsWith("JFIF\0"u8):
                    _jfif = true;
                    break;
                case 0xEE when data.Length >= 12 && data.StartsWith("Adobe"u8):
                    _adobe = data[11];
                    break;
                case Sos:
                    at = ReadScan(from, data, at);
                    break;
                case >= 0xC0 and <= 0xCF and not 0xC8 and not 0xCC:
                    if (_frame is not null)
                        throw _bytes.Fail(from, "a second frame");
                    _frame = JpegFrame.Read(_bytes, from, marker, data);
                    break;
            }
        }

        JpegFrame frame = _frame ?? throw _bytes.Fail(at, "the file ends before the picture begins");
        foreach (JpegComponent c in frame.Components)
        {
            if (c.Steps is null)
                throw _bytes.Fail(at, $"the file ends before the data of component {c.Id}");
            if (frame.Progressive)
                JpegScan.Transform(c);
        }

        return JpegColour.Assemble(frame, KindOf(frame));
    }

    /// <summary>As libjpeg guesses it: JFIF and Adobe say it, else the names of the components.</summary>
    private JpegColour.Kind KindOf(JpegFrame frame) => frame.Components.Length switch
    {
        1 => JpegColour.Kind.Grey,
        4 => _adobe <= 0 ? JpegColour.Kind.Cmyk : JpegColour.Kind.Ycck,
        _ when _jfif => JpegColour.Kind.YCbCr,
        _ when _adobe >= 0 => _adobe == 0 ? JpegColour.Kind.Rgb : JpegColour.Kind.YCbCr,
        _ => frame.Components is [{ Id: 'R' }, { Id: 'G' }, { Id: 'B' }] ? JpegColour.Kind.Rgb : JpegColour.Kind.YCbCr,
    };

    /// <summary>The next marker, over fill bytes and what stray bytes there are; -1 at the end of the file.</summary>
    private int Marker(ref int at)
    {
        JpegBits bits = new(_bytes.Data, at);
        int marker = bits.NextMarker();
        at = bits.Position;

        // A file that lacks its last marker has lost nothing; one that ends between its scans may have.
        if (marker < 0 && (_frame is not { Progressive: false } frame || frame.Components.Any(c => c.Steps is null)))
            throw _bytes.Fail(_bytes.Length, "the file ends before its end marker");
        return marker;
    }

    private void ReadSteps(int at, ReadOnlySpan<byte> data)
    {
        while (data.Length > 0)
        {
            int precision = data[0] >> 4, number = data[0] & 15, length = 1 + 64 * (precision + 1);
            if (precision > 1 || number > 3 || data.Length < length)
                throw _bytes.Fail(at, $"quantisation table {number} of {data.Length} bytes with precision {precision}");
            ushort[] steps = new ushort[64];
            for (int i = 0; i < 64; i++)
                steps[ZigZag[i]] = precision == 0 ? data[1 + i] : (ushort)((data[1 + 2 * i] << 8) | data[2 + 2 * i]);
            _steps[number] = steps;
            data = data[length..];
        }
    }

    private void ReadHuffman(int at, ReadOnlySpan<byte> data)
    {
        while (data.Length > 0)
        {
            int kind = data[0] >> 4, number = data[0] & 15, count = 0;
            if (data.Length < 17 || kind > 1 || number > 3)
                throw _bytes.Fail(at, $"Huffman table {number} of kind {kind} in {data.Length} bytes");
            foreach (byte n in data.Slice(1, 16))
                count += n;
            if (count > 256 || data.Length < 17 + count)
                throw _bytes.Fail(at, $"a Huffman table of {count} codes in {data.Length} bytes");
            ReadOnlySpan<byte> symbols = data.Slice(17, count);
            if (kind == 0 && symbols.ContainsAnyExceptInRange((byte)0, (byte)15))
                throw _bytes.Fail(at, "a Huffman table of differences with more than 15 bits");
            JpegHuffman table = JpegHuffman.Create(data.Slice(1, 16), symbols) ?? throw _bytes.Fail(at, "a Huffman table with more codes than its lengths allow");
            (kind == 0 ? _dc : _ac)[number] = table;
            data = data[(17 + count)..];
        }
    }

    private int ReadScan(int at, ReadOnlySpan<byte> data, int from)
    {
        JpegFrame frame = _frame ?? throw _bytes.Fail(at, "a scan before the frame");
        int count = data.Length > 0 ? data[0] : 0;
        if (count < 1 || count > frame.Components.Length || data.Length != 4 + 2 * count)
            throw _bytes.Fail(at, $"a scan of {count} components in a header of {data.Length} bytes");
        int first = data[^3], last = data[^2], high = data[^1] >> 4, low = data[^1] & 15;
        if (!frame.Progressive)
            (first, last, high, low) = (0, 63, 0, 0);
        else if (first > last || last > 63 || low > 13 || (high > 0 && high != low + 1) || (first == 0) != (last == 0) || (first > 0 && count > 1))
            throw _bytes.Fail(at, $"a progressive scan of {count} components over coefficients {first} to {last}, bits {high} to {low}");

        JpegComponent[] components = new JpegComponent[count];
        for (int i = 0; i < count; i++)
        {
            int id = data[1 + 2 * i], tables = data[2 + 2 * i], dc = tables >> 4, ac = tables & 15;
            JpegComponent c = Array.Find(frame.Components, c => c.Id == id) ?? throw _bytes.Fail(at, $"a scan of component {id}, which the frame has not");
            if (components.AsSpan(0, i).Contains(c) || dc > 3 || ac > 3)
                throw _bytes.Fail(at, $"a scan with component {id} twice, or Huffman tables {dc} and {ac}");
            c.Dc = _dc[dc];
            c.Ac = _ac[ac];
            bool codesMean = first == 0 && high == 0, codesRest = last > 0;
            if ((codesMean && c.Dc is null) || (codesRest && c.Ac is null))
                throw _bytes.Fail(at, $"the Huffman tables {dc} and {ac} of component {id} are not all there");

            // Each bit of a coefficient may come once only: what libjpeg warns of would let a small file cost any time.
            for (int k = first; k <= last; k++)
            {
                if (high == 0 ? c.KnownBits[k] != byte.MaxValue : c.KnownBits[k] != high)
                    throw _bytes.Fail(at, $"a scan codes coefficient {k} of component {id} a second time or out of order");
                c.KnownBits[k] = (byte)low;
            }

            if (first > 0 && c.KnownBits[0] == byte.MaxValue)
                throw _bytes.Fail(at, $"component {id} has coefficients before its mean");
            c.Steps ??= _steps[c.Table] ?? throw _bytes.Fail(at, $"quantisation table {c.Table} is missing");
            if (c.Plane.Length == 0)
            {
                c.Plane = new byte[64L * c.BlocksWide * c.BlocksHigh];
                if (frame.Progressive)
                    c.Coefficients = new short[64L * c.BlocksWide * c.BlocksHigh];
            }

            components[i] = c;
        }

        if (count > 1 && components.Sum(c => c.Horizontal * c.Vertical) > 10)
            throw _bytes.Fail(at, "a scan with more than 10 blocks in a unit");
        return new JpegScan(_bytes, frame, components, from, _restart, first, last, high, low).Run();
    }
}
