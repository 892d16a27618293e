using System.Numerics;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Panels of rows whose nibbles lie side by side: vector p * 4 + g of a panel holds nibble p of the rows of group g, one to a
/// byte. Four groups make a panel; nibble 2b is the lower half of byte b.
/// </summary>
/// <remarks>
/// In this layout one look-up gives the counts of one query nibble with a nibble of a whole vector of rows, and one addition
/// adds them up: 2 operations per 128 bits (AVX2), where counting row by row takes 4 and then sums across a vector. AVX-512's
/// population count, were it available, would take 3 operations per 512 bits and the sum; this takes 4. The layout is that of
/// "Quick ADC" (André, Kermarrec, Le Scouarnec 2017) with the 16-entry tables fixed.
/// </remarks>
internal static unsafe class BitPanels
{
    public const int Groups = 4;

    /// <summary>Counts of a row and their sums stay positive as signed words.</summary>
    public const int MostRowBytes = 4095;

    /// <summary>Queries between two looks at one part of a panel: their sums and the part stay in L1.</summary>
    public const int BlockQueries = 32;

    /// <summary>One table of 16 counts for each value of a query's nibble.</summary>
    public const int TableBytes = 16 * 16;

    // A byte grows by at most 4 a nibble, and parts have an even number of nibbles.
    private const nint MostNibbles = 62;

    /// <summary>Rows of a panel.</summary>
    public static int Rows<TBytes>()
        where TBytes : unmanaged, IWideBytes<TBytes> => Groups * TBytes.Count;

    /// <summary>Bytes of a query's sums over the rows of a panel: words, those of even rows of a group before those of odd ones.</summary>
    public static int SumBytes<TBytes>()
        where TBytes : unmanaged, IWideBytes<TBytes> => 2 * Groups * TBytes.Count;

    public static nint PanelBytes<TBytes>(nint rowBytes)
        where TBytes : unmanaged, IWideBytes<TBytes> => 2 * rowBytes * Rows<TBytes>();

    /// <summary>Rows of a group, padded with zeros.</summary>
    public static nint StageBytes<TBytes>(nint rowBytes)
        where TBytes : unmanaged, IWideBytes<TBytes> => Math.Max(rowBytes, 16) * TBytes.Count;

    /// <summary>A panel, sums of a block of queries and of the rows themselves, two squares to transpose in, and a stage.</summary>
    public static nint WorkerBytes<TBytes>(nint rowBytes)
        where TBytes : unmanaged, IWideBytes<TBytes> =>
        (PanelBytes<TBytes>(rowBytes) + ((BlockQueries + 2) * SumBytes<TBytes>()) + (32 * TBytes.Count) + StageBytes<TBytes>(rowBytes) + 4095) & ~4095;

    /// <summary>Nibbles of each part of a panel, the last one apart.</summary>
    public static nint PartNibbles(nint nibbles)
    {
        nint parts = (nibbles + MostNibbles - 1) / MostNibbles;
        return ((nibbles + (2 * parts) - 1) / (2 * parts)) * 2;
    }

    public static void FillTables(BitMetric metric, byte* tables)
    {
        for (int q = 0; q < 16; q++)
        {
            for (int x = 0; x < 16; x++)
                tables[(q * 16) + x] = (byte)BitOperations.PopCount((uint)(metric == BitMetric.Hamming ? q ^ x : q & x));
        }
    }

    /// <summary>Where the table of each nibble of a query begins.</summary>
    public static void FillOffsets(byte* query, nint bytes, byte* offsets)
    {
        for (nint i = 0; i < bytes; i++)
        {
            offsets[2 * i] = (byte)(query[i] << 4);
            offsets[(2 * i) + 1] = (byte)(query[i] & 0xF0);
        }
    }

    /// <summary>Packs <paramref name="count"/> rows from <paramref name="row"/> on; places without a row get zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack<TBytes>(in MatrixView<byte> data, nint row, nint count, byte* panel, byte* squares, byte* stage)
        where TBytes : unmanaged, IWideBytes<TBytes>
    {
        nint bytes = data.Columns, width = Math.Max(bytes, 16);
        for (int group = 0; group < Groups; group++)
        {
            nint have = Math.Clamp(count - (group * TBytes.Count), 0, TBytes.Count);
            byte* source = data.Row(row + (group * TBytes.Count));
            nint stride = data.Stride;
            if (have < TBytes.Count || bytes < 16)
            {
                new Span<byte>(stage, (int)StageBytes<TBytes>(bytes)).Clear();
                for (nint i = 0; i < have; i++)
                    Copy(source + (i * stride), bytes, stage + (i * width));
                source = stage;
                stride = width;
            }

            // The last square overlaps the one before it where a row is no multiple of 16 bytes.
            for (nint first = 0; first < bytes; first += 16)
            {
                nint column = Math.Min(first, width - 16);
                Transpose<TBytes>(source + column, stride, squares);
                byte* target = panel + (((2 * first * Groups) + group) * TBytes.Count);
                nint end = Math.Min(column + 16, bytes);
                for (nint i = first; i < end; i++, target += 2 * Groups * TBytes.Count)
                {
                    TBytes both = TBytes.Load(squares + ((i - column) * TBytes.Count));
                    TBytes.Store(target, both & TBytes.Broadcast(15));
                    TBytes.Store(target + (Groups * TBytes.Count), TBytes.HighNibbles(both));
                }
            }
        }
    }

    /// <summary>
    /// Adds the counts of two queries with the rows of a panel, over <paramref name="nibbles"/> nibbles (an even number), to
    /// their sums, or starts these.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Count<TBytes>(byte* query0, byte* query1, byte* tables, byte* panel, nint nibbles, byte* sums0, byte* sums1, bool start)
        where TBytes : unmanaged, IWideBytes<TBytes>
    {
        TBytes a0 = TBytes.Zero, a1 = TBytes.Zero, a2 = TBytes.Zero, a3 = TBytes.Zero;
        TBytes b0 = TBytes.Zero, b1 = TBytes.Zero, b2 = TBytes.Zero, b3 = TBytes.Zero;

        // Each accumulator is set once in the loop, at its end: otherwise the compiler copies them all every time round.
        for (byte* end = query0 + nibbles; query0 < end; query0 += 2, query1 += 2, panel += 8 * TBytes.Count)
        {
            TBytes table0 = TBytes.LoadTable(tables + query0[0]), table1 = TBytes.LoadTable(tables + query0[1]);
            TBytes table2 = TBytes.LoadTable(tables + query1[0]), table3 = TBytes.LoadTable(tables + query1[1]);
            TBytes x = TBytes.Load(panel), y = TBytes.Load(panel + (4 * TBytes.Count));
            a0 = TBytes.AddBytes(a0, TBytes.AddBytes(TBytes.LookUp(table0, x), TBytes.LookUp(table1, y)));
            b0 = TBytes.AddBytes(b0, TBytes.AddBytes(TBytes.LookUp(table2, x), TBytes.LookUp(table3, y)));
            x = TBytes.Load(panel + TBytes.Count);
            y = TBytes.Load(panel + (5 * TBytes.Count));
            a1 = TBytes.AddBytes(a1, TBytes.AddBytes(TBytes.LookUp(table0, x), TBytes.LookUp(table1, y)));
            b1 = TBytes.AddBytes(b1, TBytes.AddBytes(TBytes.LookUp(table2, x), TBytes.LookUp(table3, y)));
            x = TBytes.Load(panel + (2 * TBytes.Count));
            y = TBytes.Load(panel + (6 * TBytes.Count));
            a2 = TBytes.AddBytes(a2, TBytes.AddBytes(TBytes.LookUp(table0, x), TBytes.LookUp(table1, y)));
            b2 = TBytes.AddBytes(b2, TBytes.AddBytes(TBytes.LookUp(table2, x), TBytes.LookUp(table3, y)));
            x = TBytes.Load(panel + (3 * TBytes.Count));
            y = TBytes.Load(panel + (7 * TBytes.Count));
            a3 = TBytes.AddBytes(a3, TBytes.AddBytes(TBytes.LookUp(table0, x), TBytes.LookUp(table1, y)));
            b3 = TBytes.AddBytes(b3, TBytes.AddBytes(TBytes.LookUp(table2, x), TBytes.LookUp(table3, y)));
        }

        AddWords(sums0, a0, start);
        AddWords(sums0 + (2 * TBytes.Count), a1, start);
        AddWords(sums0 + (4 * TBytes.Count), a2, start);
        AddWords(sums0 + (6 * TBytes.Count), a3, start);
        AddWords(sums1, b0, start);
        AddWords(sums1 + (2 * TBytes.Count), b1, start);
        AddWords(sums1 + (4 * TBytes.Count), b2, start);
        AddWords(sums1 + (6 * TBytes.Count), b3, start);
    }

    /// <summary>Whether any count of a panel is below <paramref name="below"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AnyBelow<TBytes>(byte* sums, int below)
        where TBytes : unmanaged, IWideBytes<TBytes>
    {
        TBytes limit = Limit<TBytes>(below);
        TBytes any = TBytes.GreaterThanWords(limit, TBytes.Load(sums));
        for (int vector = 1; vector < 2 * Groups; vector++)
            any |= TBytes.GreaterThanWords(limit, TBytes.Load(sums + (vector * TBytes.Count)));
        return !TBytes.IsZero(any);
    }

    /// <summary>Whether any count of a panel is above its share of the bits of query and row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AnyAbove<TBytes>(byte* sums, byte* rowSums, int queryBits, uint share)
        where TBytes : unmanaged, IWideBytes<TBytes>
    {
        TBytes part = TBytes.BroadcastWord((ushort)(share >> 16)), bits = TBytes.BroadcastWord((ushort)queryBits);
        TBytes any = TBytes.Zero;
        for (int vector = 0; vector < 2 * Groups; vector++)
            any |= Above(TBytes.Load(sums + (vector * TBytes.Count)), TBytes.Load(rowSums + (vector * TBytes.Count)), bits, part);
        return !TBytes.IsZero(any);
    }

    /// <summary>Whether a panel has a row without a set bit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AnyEmpty<TBytes>(byte* rowSums)
        where TBytes : unmanaged, IWideBytes<TBytes> => AnyBelow<TBytes>(rowSums, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TBytes Limit<TBytes>(int below)
        where TBytes : unmanaged, IWideBytes<TBytes> => TBytes.BroadcastWord((ushort)Math.Min(below, short.MaxValue));

    /// <summary>The words of counts above their share, which is rounded down.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TBytes Above<TBytes>(TBytes counts, TBytes rowBits, TBytes queryBits, TBytes share)
        where TBytes : unmanaged, IWideBytes<TBytes> =>
        TBytes.GreaterThanWords(counts, TBytes.MultiplyHigh(TBytes.AddWords(queryBits, rowBits), share));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddWords<TBytes>(byte* sums, TBytes bytes, bool start)
        where TBytes : unmanaged, IWideBytes<TBytes>
    {
        TBytes even = TBytes.EvenBytes(bytes), odd = TBytes.OddBytes(bytes);
        if (!start)
        {
            even = TBytes.AddWords(even, TBytes.Load(sums));
            odd = TBytes.AddWords(odd, TBytes.Load(sums + TBytes.Count));
        }

        TBytes.Store(sums, even);
        TBytes.Store(sums + TBytes.Count, odd);
    }

    // 16 rows by 16 bytes in each part of the vectors. Interleaving vector i with vector i + 8 turns the eight bits of
    // (row, byte) by one place; after four times they have changed places.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose<TBytes>(byte* source, nint stride, byte* squares)
        where TBytes : unmanaged, IWideBytes<TBytes>
    {
        byte* other = squares + (16 * TBytes.Count);
        for (nint i = 0; i < 8; i++)
        {
            TBytes upper = TBytes.LoadParts(source + (i * stride), 16 * stride);
            TBytes lower = TBytes.LoadParts(source + ((i + 8) * stride), 16 * stride);
            TBytes.Store(other + (2 * i * TBytes.Count), TBytes.InterleaveLow(upper, lower));
            TBytes.Store(other + (((2 * i) + 1) * TBytes.Count), TBytes.InterleaveHigh(upper, lower));
        }

        Interleave<TBytes>(other, squares);
        Interleave<TBytes>(squares, other);
        Interleave<TBytes>(other, squares);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Interleave<TBytes>(byte* from, byte* to)
        where TBytes : unmanaged, IWideBytes<TBytes>
    {
        for (nint i = 0; i < 8; i++)
        {
            TBytes upper = TBytes.Load(from + (i * TBytes.Count)), lower = TBytes.Load(from + ((i + 8) * TBytes.Count));
            TBytes.Store(to + (2 * i * TBytes.Count), TBytes.InterleaveLow(upper, lower));
            TBytes.Store(to + (((2 * i) + 1) * TBytes.Count), TBytes.InterleaveHigh(upper, lower));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Copy(byte* source, nint bytes, byte* target)
    {
        if (bytes == 8)
            Unsafe.WriteUnaligned(target, Unsafe.ReadUnaligned<ulong>(source));
        else
            Unsafe.CopyBlockUnaligned(target, source, (uint)bytes);
    }
}

/// <summary>A scan of the data panel by panel: packs one, counts it with all queries, compares with the limits.</summary>
internal readonly unsafe struct BitPanelBody<TBytes, TSink>(
    MatrixView<byte> data, nint queryCount, BitMetric metric, int* queryBits, byte* tables, byte* offsets, byte* memory, TSink sink) : IRangeBody
    where TBytes : unmanaged, IWideBytes<TBytes>
    where TSink : struct, IBitSink
{
    private readonly MatrixView<byte> _data = data;
    private readonly TSink _sink = sink;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        nint nibbles = 2 * _data.Columns, partNibbles = BitPanels.PartNibbles(nibbles);
        int sumBytes = BitPanels.SumBytes<TBytes>(), panelRows = BitPanels.Rows<TBytes>();
        byte* panel = memory + (worker * BitPanels.WorkerBytes<TBytes>(_data.Columns));
        byte* sums = panel + BitPanels.PanelBytes<TBytes>(_data.Columns);
        byte* rowSums = sums + (BitPanels.BlockQueries * sumBytes);
        byte* squares = rowSums + (2 * sumBytes);
        byte* stage = squares + (32 * TBytes.Count);
        byte* full = offsets + (queryCount * nibbles);
        BitLimit* limits = _sink.Limits(worker);
        for (nint row = start; row < end; row += panelRows)
        {
            nint rows = Math.Min(panelRows, end - row);
            BitPanels.Pack<TBytes>(_data, row, rows, panel, squares, stage);
            for (nint part = 0; metric == BitMetric.Jaccard && part < nibbles; part += partNibbles)
            {
                // A query of ones: the rows' own bits.
                BitPanels.Count<TBytes>(
                    full, full, tables, panel + (part * panelRows), Math.Min(partNibbles, nibbles - part), rowSums, rowSums + sumBytes, part == 0);
            }

            for (nint first = 0; first < queryCount; first += BitPanels.BlockQueries)
            {
                nint count = Math.Min(BitPanels.BlockQueries, queryCount - first);
                byte* block = offsets + (first * nibbles);
                for (nint part = 0; part < nibbles; part += partNibbles)
                {
                    nint length = Math.Min(partNibbles, nibbles - part);
                    for (nint i = 0; i < count; i += 2)
                    {
                        byte* query0 = block + (i * nibbles) + part;
                        byte* query1 = i + 1 < count ? query0 + nibbles : query0;
                        byte* some = sums + (i * sumBytes);
                        BitPanels.Count<TBytes>(query0, query1, tables, panel + (part * panelRows), length, some, some + sumBytes, part == 0);
                    }
                }

                if (metric == BitMetric.Hamming)
                {
                    for (nint i = 0; i < count; i++)
                    {
                        if (BitPanels.AnyBelow<TBytes>(sums + (i * sumBytes), limits[first + i].Below))
                            Take(worker, first + i, row, (int)rows, sums + (i * sumBytes), rowSums);
                    }
                }
                else
                {
                    for (nint i = 0; i < count; i++)
                    {
                        // An empty query has the similarity 1 with empty rows, and 0 with others.
                        int bits = queryBits[first + i];
                        if (limits[first + i].IsOpen
                            || (bits == 0
                                ? BitPanels.AnyEmpty<TBytes>(rowSums)
                                : BitPanels.AnyAbove<TBytes>(sums + (i * sumBytes), rowSums, bits, limits[first + i].Share)))
                            Take(worker, first + i, row, (int)rows, sums + (i * sumBytes), rowSums);
                    }
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Take(int worker, nint query, nint row, int rows, byte* sums, byte* rowSums)
    {
        BitLimit* limit = _sink.Limits(worker) + query;
        int bits = queryBits[query];
        bool all = metric == BitMetric.Jaccard && (limit->IsOpen || bits == 0);
        for (int group = 0; group < BitPanels.Groups && rows > 0; group++, rows -= TBytes.Count)
        {
            int have = Math.Min(rows, TBytes.Count);
            ulong passed = ulong.MaxValue >> (64 - have);
            if (!all)
                passed &= Passed(sums + (2 * group * TBytes.Count), rowSums + (2 * group * TBytes.Count), bits, limit);
            for (; passed != 0; passed &= passed - 1)
            {
                int i = BitOperations.TrailingZeroCount(passed);
                int place = (((2 * group) + (i & 1)) * (TBytes.Count / 2)) + (i >> 1);
                int count = ((ushort*)sums)[place];
                int sum = metric == BitMetric.Jaccard ? bits + ((ushort*)rowSums)[place] : 0;
                if (limit->Passes(metric, count, sum))
                    _sink.Take(worker, query, row + (group * TBytes.Count) + i, BitScore.Of(metric, count, sum));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong Passed(byte* sums, byte* rowSums, int queryBits, BitLimit* limit)
    {
        TBytes even = TBytes.Load(sums), odd = TBytes.Load(sums + TBytes.Count);
        if (metric == BitMetric.Hamming)
        {
            TBytes below = BitPanels.Limit<TBytes>(limit->Below);
            return TBytes.InterleavedTopBits(TBytes.GreaterThanWords(below, even), TBytes.GreaterThanWords(below, odd));
        }

        TBytes bits = TBytes.BroadcastWord((ushort)queryBits), share = TBytes.BroadcastWord((ushort)(limit->Share >> 16));
        return TBytes.InterleavedTopBits(
            BitPanels.Above(even, TBytes.Load(rowSums), bits, share),
            BitPanels.Above(odd, TBytes.Load(rowSums + TBytes.Count), bits, share));
    }
}
