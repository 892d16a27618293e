using System.Runtime.CompilerServices;

namespace EmbeddingKernels;

/// <summary>Decodes the entropy-coded data of one scan.</summary>
internal sealed unsafe class JpegScan
{
    private readonly ImageBytes _bytes;
    private readonly JpegFrame _frame;
    private readonly JpegComponent[] _components;
    private readonly int _restart;
    private readonly int _first;
    private readonly int _last;
    private readonly int _high;
    private readonly int _low;
    private JpegBits _bits;
    private int _endOfBandRun;

    public JpegScan(ImageBytes bytes, JpegFrame frame, JpegComponent[] components, int at, int restart, int first, int last, int high, int low)
    {
        (_bytes, _frame, _components, _restart) = (bytes, frame, components, restart);
        (_first, _last, _high, _low) = (first, last, high, low);
        _bits = new JpegBits(bytes.Data, at);
    }

    /// <returns>Where the data ends.</returns>
    public int Run()
    {
        Reset();
        bool interleaved = _components.Length > 1;
        JpegComponent only = _components[0];
        int wide = interleaved ? _frame.UnitsWide : JpegFrame.CeilingDivide(only.Width, 8);
        int high = interleaved ? _frame.UnitsHigh : JpegFrame.CeilingDivide(only.Height, 8);
        int left = _restart > 0 ? _restart : int.MaxValue, restarts = 0;
        for (int y = 0; y < high; y++)
        {
            for (int x = 0; x < wide; x++)
            {
                if (left == 0)
                {
                    Restart(restarts++);
                    left = _restart;
                }

                left--;
                if (!interleaved)
                {
                    Block(only, x, y);
                    continue;
                }

                foreach (JpegComponent c in _components)
                {
                    for (int v = 0; v < c.Vertical; v++)
                    {
                        for (int h = 0; h < c.Horizontal; h++)
                            Block(c, x * c.Horizontal + h, y * c.Vertical + v);
                    }
                }
            }

            CheckBits();
        }

        return _bits.Position;
    }

    /// <summary>Turns the coefficients of a component, when all scans are through, into samples.</summary>
    public static void Transform(JpegComponent component)
    {
        fixed (short* blocks = component.Coefficients)
        fixed (ushort* steps = component.Steps)
        fixed (byte* plane = component.Plane)
        {
            for (int y = 0; y < component.BlocksHigh; y++)
            {
                for (int x = 0; x < component.BlocksWide; x++)
                    JpegIdct.Run(blocks + 64L * ((long)y * component.BlocksWide + x), steps, plane + 8L * ((long)y * component.Stride + x), component.Stride);
            }
        }
    }

    private void Reset()
    {
        foreach (JpegComponent c in _components)
            c.Prediction = 0;
        _endOfBandRun = 0;
    }

    private void Restart(int number)
    {
        CheckBits();
        int marker = _bits.NextMarker();
        if (marker != 0xD0 + (number & 7))
            throw _bytes.Fail(_bits.Position, marker < 0 ? "the file ends inside a scan" : $"marker {marker:X2} in place of restart marker {0xD0 + (number & 7):X2}");
        Reset();
    }

    private void CheckBits()
    {
        if (_bits.Overrun)
            throw _bytes.Fail(_bits.Position, "the data of a scan ends too early");
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Symbol(JpegHuffman table)
    {
        int symbol = table.Next(ref _bits);
        return symbol >= 0 ? symbol : throw Damaged("bits that are no Huffman code");
    }

    private DataFormatException Damaged(string reason) => _bytes.Fail(_bits.Position, reason);

    private void Block(JpegComponent c, int x, int y)
    {
        if (_frame.Progressive)
        {
            Span<short> block = c.Coefficients.AsSpan(64 * (y * c.BlocksWide + x), 64);
            if (_first > 0 && _high > 0)
                RefineRest(c.Ac!, block);
            else if (_first > 0)
                FirstOfRest(c.Ac!, block);
            else if (_high > 0)
                RefineMean(block);
            else
                block[0] = (short)(Mean(c) << _low);
            return;
        }

        short* whole = stackalloc short[64];
        Span<short> coefficients = new(whole, 64);
        coefficients.Clear();
        Sequential(c, coefficients);
        fixed (ushort* steps = c.Steps)
        fixed (byte* plane = c.Plane)
            JpegIdct.Run(whole, steps, plane + 8L * ((long)y * c.Stride + x), c.Stride);
    }

    /// <summary>The mean is coded as the difference to that of the block before.</summary>
    private int Mean(JpegComponent c)
    {
        int size = Symbol(c.Dc!);
        c.Prediction = (short)(c.Prediction + _bits.Signed(size));
        return c.Prediction;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Sequential(JpegComponent c, Span<short> block)
    {
        block[0] = (short)Mean(c);
        JpegHuffman table = c.Ac!;
        for (int k = 1; k < 64; k++)
        {
            int symbol = Symbol(table), size = symbol & 15, zeros = symbol >> 4;
            k += zeros;
            if (size == 0)
            {
                if (zeros < 15)
                    return;
                continue;
            }

            if (k > 63)
                throw Damaged("a block of more than 64 coefficients");
            block[JpegDecoder.ZigZag[k]] = (short)_bits.Signed(size);
        }
    }

    private void RefineMean(Span<short> block)
    {
        _bits.Fill();
        block[0] |= (short)(_bits.Take(1) << _low);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FirstOfRest(JpegHuffman table, Span<short> block)
    {
        if (_endOfBandRun > 0)
        {
            _endOfBandRun--;
            return;
        }

        for (int k = _first; k <= _last; k++)
        {
            int symbol = Symbol(table), size = symbol & 15, zeros = symbol >> 4;
            if (size == 0 && zeros < 15)
            {
                _endOfBandRun = (1 << zeros) - 1 + _bits.Take(zeros);
                return;
            }

            k += zeros;
            if (size == 0)
                continue;
            if (k > _last)
                throw Damaged("a band of more coefficients than it has");
            block[JpegDecoder.ZigZag[k]] = (short)(_bits.Signed(size) << _low);
        }
    }

    /// <summary>One more bit of known coefficients, and new ones of that bit alone (G.1.2.3).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RefineRest(JpegHuffman table, Span<short> block)
    {
        int k = _first;
        if (_endOfBandRun == 0)
        {
            for (; k <= _last; k++)
            {
                int symbol = Symbol(table), zeros = symbol >> 4, added = 0;
                switch (symbol & 15)
                {
                    case 0 when zeros < 15:
                        _endOfBandRun = (1 << zeros) + _bits.Take(zeros);
                        break;
                    case 0:
                        break;
                    case 1:
                        added = _bits.Take(1) == 1 ? 1 << _low : -1 << _low;
                        break;
                    default:
                        throw Damaged("a refining scan with a new coefficient of several bits");
                }

                if (_endOfBandRun > 0)
                    break;
                for (; k <= _last; k++)
                {
                    ref short known = ref block[JpegDecoder.ZigZag[k]];
                    if (known != 0)
                        Refine(ref known);
                    else if (zeros-- == 0)
                        break;
                }

                if (added != 0)
                    block[JpegDecoder.ZigZag[k <= _last ? k : throw Damaged("a band of more coefficients than it has")]] = (short)added;
            }
        }

        if (_endOfBandRun == 0)
            return;
        for (; k <= _last; k++)
        {
            ref short known = ref block[JpegDecoder.ZigZag[k]];
            if (known != 0)
                Refine(ref known);
        }

        _endOfBandRun--;
    }

    private void Refine(ref short known)
    {
        _bits.Fill();
        if (_bits.Take(1) == 1 && (known & (1 << _low)) == 0)
            known += (short)(known > 0 ? 1 << _low : -1 << _low);
    }
}
