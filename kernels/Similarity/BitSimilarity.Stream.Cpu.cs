using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>How two bits are combined before counting.</summary>
internal interface IBitOperation
{
    static abstract ulong Apply(ulong a, ulong b);

    static abstract TBytes Apply<TBytes>(TBytes a, TBytes b)
        where TBytes : unmanaged, IWideBytes<TBytes>;
}

internal readonly struct BitXor : IBitOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply(ulong a, ulong b) => a ^ b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TBytes Apply<TBytes>(TBytes a, TBytes b)
        where TBytes : unmanaged, IWideBytes<TBytes> => a ^ b;
}

internal readonly struct BitAnd : IBitOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Apply(ulong a, ulong b) => a & b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TBytes Apply<TBytes>(TBytes a, TBytes b)
        where TBytes : unmanaged, IWideBytes<TBytes> => a & b;
}

/// <summary>Counts of one query with some rows, and whether any of them is worth a look.</summary>
internal unsafe interface IBitCounter
{
    /// <summary>counts[i] = bits set in (query op row i), for <paramref name="count"/> rows.</summary>
    static abstract void Count<TOperation>(byte* query, byte* rows, nint stride, int count, nint bytes, int* counts)
        where TOperation : struct, IBitOperation;

    /// <summary>Whether any pair may pass for Jaccard, given the common bits and the rows' own.</summary>
    static abstract bool AnyAbove(int* common, int* rowBits, int count, int queryBits, BitLimit limit);
}

/// <summary>64 bits at a time.</summary>
internal static unsafe class BitWords
{
    /// <summary>Bits set in bytes <paramref name="from"/> to <paramref name="bytes"/> - 1 of (a op b).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Count<TOperation>(byte* a, byte* b, nint from, nint bytes)
        where TOperation : struct, IBitOperation
    {
        int count = 0;
        nint i = from;
        for (; i + 8 <= bytes; i += 8)
            count += BitOperations.PopCount(TOperation.Apply(Unsafe.ReadUnaligned<ulong>(a + i), Unsafe.ReadUnaligned<ulong>(b + i)));
        return i == bytes ? count : count + BitOperations.PopCount(TOperation.Apply(Last(a, i, bytes), Last(b, i, bytes)));
    }

    /// <summary>Bytes <paramref name="from"/> to <paramref name="bytes"/> - 1, fewer than 8, without reading any other memory than the row's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Last(byte* row, nint from, nint bytes)
    {
        if (bytes >= 8)
            return Unsafe.ReadUnaligned<ulong>(row + bytes - 8) >> (int)(8 * (8 - (bytes - from)));
        ulong word = 0;
        for (nint i = bytes - 1; i >= from; i--)
            word = (word << 8) | row[i];
        return word;
    }
}

internal readonly unsafe struct BitWordCounter : IBitCounter
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Count<TOperation>(byte* query, byte* rows, nint stride, int count, nint bytes, int* counts)
        where TOperation : struct, IBitOperation
    {
        for (int i = 0; i < count; i++, rows += stride)
            counts[i] = BitWords.Count<TOperation>(query, rows, 0, bytes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool AnyAbove(int* common, int* rowBits, int count, int queryBits, BitLimit limit)
    {
        for (int i = 0; i < count; i++)
        {
            if (limit.Passes(BitMetric.Jaccard, common[i], queryBits + rowBits[i]))
                return true;
        }

        return false;
    }
}

/// <summary>
/// Whole vectors by looking up nibbles' counts (Mula's method), four rows at a time; the rest of a row 64 bits at a time.
/// </summary>
/// <remarks>
/// Per row and vector: a load with the operation, two masks, a shift, two look-ups and two additions. On Zen 3 that is
/// some 3.5 cycles per 256 bits with the sum and the store, so one query is near the speed of memory; carry-save adders
/// (Harley-Seal) would help long rows only, and less than <see cref="BitPanelBody{TBytes, TSink}"/> does.
/// </remarks>
internal readonly unsafe struct BitVectorCounter<TBytes> : IBitCounter
    where TBytes : unmanaged, IWideBytes<TBytes>
{
    // A byte of an accumulator grows by at most 8 a vector.
    private const int MostVectors = 31;

    // In the assembly's own memory, so the pointer stays good.
    private static byte* Table => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(Counts));

    private static ReadOnlySpan<byte> Counts => [0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4];

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Count<TOperation>(byte* query, byte* rows, nint stride, int count, nint bytes, int* counts)
        where TOperation : struct, IBitOperation
    {
        nint whole = bytes & -TBytes.Count;
        TBytes table = TBytes.LoadTable(Table);
        TBytes nibble = TBytes.Broadcast(15);
        int i = 0;
        if (whole == TBytes.Count)
        {
            TBytes q = TBytes.Load(query);
            byte* row = rows;
            for (; i <= count - 4; i += 4, row += 4 * stride)
            {
                TBytes.Total4(
                    Single<TOperation>(table, nibble, q, row),
                    Single<TOperation>(table, nibble, q, row + stride),
                    Single<TOperation>(table, nibble, q, row + (2 * stride)),
                    Single<TOperation>(table, nibble, q, row + (3 * stride))).Store(counts + i);
            }
        }
        else if (whole > 0)
        {
            byte* row = rows;
            for (; i <= count - 4; i += 4, row += 4 * stride)
                Vectors<TOperation>(table, nibble, query, row, row + stride, row + (2 * stride), row + (3 * stride), whole).Store(counts + i);
        }

        // What is left of the rows, and the rows that are left.
        if (whole > 0 && whole < bytes)
        {
            for (int j = 0; j < i; j++)
                counts[j] += BitWords.Count<TOperation>(query, rows + (j * stride), whole, bytes);
        }

        for (; i < count; i++)
            counts[i] = BitWords.Count<TOperation>(query, rows + (i * stride), 0, bytes);
    }

    /// <remarks>
    /// In floats. The sum, the share and their product are rounded three times, by 2^-24 of their size each, which the
    /// share's own 2^-21 less outweighs: the bound is never too high.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool AnyAbove(int* common, int* rowBits, int count, int queryBits, BitLimit limit)
    {
        int i = 0;
        Vector128<float> share = Vector128.Create(limit.Share / 4294967296f * (1f - (1f / (1 << 21))));
        Vector128<int> bits = Vector128.Create(queryBits), passed = Vector128.Create(limit.IsOpen ? -1 : 0);
        for (; i <= count - 4; i += 4)
        {
            Vector128<int> sums = bits + Vector128.Load(rowBits + i);
            Vector128<float> bounds = share * Vector128.ConvertToSingle(sums);
            passed |= Vector128.GreaterThan(Vector128.ConvertToSingle(Vector128.Load(common + i)), bounds).AsInt32() | Vector128.Equals(sums, Vector128<int>.Zero);
        }

        return passed != Vector128<int>.Zero || (i < count && BitWordCounter.AnyAbove(common + i, rowBits + i, count - i, queryBits, limit));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TBytes Single<TOperation>(TBytes table, TBytes nibble, TBytes query, byte* row)
        where TOperation : struct, IBitOperation
    {
        TBytes bits = TOperation.Apply(query, TBytes.Load(row));
        return TBytes.SumBytes(TBytes.AddBytes(TBytes.LookUp(table, bits & nibble), TBytes.LookUp(table, TBytes.HighNibbles(bits))));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Vectors<TOperation>(
        TBytes table, TBytes nibble, byte* query, byte* row0, byte* row1, byte* row2, byte* row3, nint whole)
        where TOperation : struct, IBitOperation
    {
        TBytes total0 = TBytes.Zero, total1 = TBytes.Zero, total2 = TBytes.Zero, total3 = TBytes.Zero;
        nint i = 0;
        while (i < whole)
        {
            nint end = Math.Min(whole, i + (MostVectors * TBytes.Count));
            TBytes sum0 = TBytes.Zero, sum1 = TBytes.Zero, sum2 = TBytes.Zero, sum3 = TBytes.Zero;
            for (; i < end; i += TBytes.Count)
            {
                TBytes q = TBytes.Load(query + i);
                sum0 = Add(sum0, table, nibble, TOperation.Apply(q, TBytes.Load(row0 + i)));
                sum1 = Add(sum1, table, nibble, TOperation.Apply(q, TBytes.Load(row1 + i)));
                sum2 = Add(sum2, table, nibble, TOperation.Apply(q, TBytes.Load(row2 + i)));
                sum3 = Add(sum3, table, nibble, TOperation.Apply(q, TBytes.Load(row3 + i)));
            }

            total0 = TBytes.AddLongs(total0, TBytes.SumBytes(sum0));
            total1 = TBytes.AddLongs(total1, TBytes.SumBytes(sum1));
            total2 = TBytes.AddLongs(total2, TBytes.SumBytes(sum2));
            total3 = TBytes.AddLongs(total3, TBytes.SumBytes(sum3));
        }

        return TBytes.Total4(total0, total1, total2, total3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TBytes Add(TBytes sum, TBytes table, TBytes nibble, TBytes bits) =>
        TBytes.AddBytes(sum, TBytes.AddBytes(TBytes.LookUp(table, bits & nibble), TBytes.LookUp(table, TBytes.HighNibbles(bits))));
}

internal static class BitStream
{
    /// <summary>Rows that a query is counted with at one go.</summary>
    public const int BlockRows = 64;

    /// <summary>What a block of rows may take, so that the second query finds it in L1.</summary>
    public const int BlockBytes = 24 << 10;
}

/// <summary>A scan of rows as they lie: each block is counted with every query, then compared with the limits.</summary>
internal readonly unsafe struct BitStreamBody<TCounter, TOperation, TSink>(
    MatrixView<byte> queries, MatrixView<byte> data, BitMetric metric, int* queryBits, byte* zeros, TSink sink) : IRangeBody
    where TCounter : struct, IBitCounter
    where TOperation : struct, IBitOperation
    where TSink : struct, IBitSink
{
    private readonly MatrixView<byte> _queries = queries;
    private readonly MatrixView<byte> _data = data;
    private readonly TSink _sink = sink;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        int* counts = stackalloc int[BitStream.BlockRows];
        int* rowBits = stackalloc int[BitStream.BlockRows];
        nint bytes = _data.Columns;
        nint block = Math.Clamp(BitStream.BlockBytes / Math.Max(bytes, 1) / 4 * 4, 4, BitStream.BlockRows);
        BitLimit* limits = _sink.Limits(worker);
        for (nint row = start; row < end; row += block)
        {
            int count = (int)Math.Min(block, end - row);
            if (metric == BitMetric.Jaccard)
                TCounter.Count<BitXor>(zeros, _data.Row(row), _data.Stride, count, bytes, rowBits);
            for (nint query = 0; query < _queries.Rows; query++)
            {
                TCounter.Count<TOperation>(_queries.Row(query), _data.Row(row), _data.Stride, count, bytes, counts);
                bool any = metric == BitMetric.Hamming
                    ? AnyBelow(counts, count, limits[query].Below)
                    : TCounter.AnyAbove(counts, rowBits, count, queryBits[query], limits[query]);
                if (!any)
                    continue;
                for (int i = 0; i < count; i++)
                {
                    int sum = queryBits[query] + rowBits[i];
                    if (limits[query].Passes(metric, counts[i], sum))
                        _sink.Take(worker, query, row + i, BitScore.Of(metric, counts[i], sum));
                }
            }
        }
    }

    // Without branches, because most blocks have no row that passes: the sign of a difference tells.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool AnyBelow(int* counts, int count, int below)
    {
        int signs = 0, i = 0;
        for (; i + 4 <= count; i += 4)
            signs |= (counts[i] - below) | (counts[i + 1] - below) | (counts[i + 2] - below) | (counts[i + 3] - below);
        for (; i < count; i++)
            signs |= counts[i] - below;
        return signs < 0;
    }
}
