using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// One call of <see cref="BitSimilarity"/>: cuts the queries into batches, and for each lets all threads scan the data once, handing
/// the rows that pass a query's limit to a sink.
/// </summary>
internal readonly unsafe struct BitScan(MatrixView<byte> queries, MatrixView<byte> data, BitMetric metric, WorkerPool pool)
{
    // What the kept rows of a batch of queries may take on all threads together, and its packed queries.
    private const nint BatchBytes = 16 << 20;

    private readonly MatrixView<byte> _queries = queries;
    private readonly MatrixView<byte> _data = data;

    public void Scores(MatrixView<float> scores)
    {
        nint batch = Batch(0);
        using Scratch<BitLimit> limits = new(batch);
        new Span<BitLimit>(limits.Pointer, (int)batch).Fill(BitLimit.None);
        for (nint first = 0; first < _queries.Rows; first += batch)
            Scan(first, Math.Min(batch, _queries.Rows - first), new BitScoreSink(limits.Pointer, first, scores));
    }

    public void TopK(MatrixView<long> ids, MatrixView<float> scores, bool excludeSelf)
    {
        nint kept = Math.Min(ids.Columns, _data.Rows);
        nint perHeap = kept * (sizeof(long) + sizeof(float));
        nint batch = Batch(perHeap + sizeof(TopKHeap) + sizeof(BitLimit));
        nint all = pool.Threads * batch;
        using Scratch<long> heapIds = new(checked(all * kept));
        using Scratch<float> heapScores = new(all * kept);
        using Scratch<TopKHeap> heaps = new(all);
        using Scratch<BitLimit> limits = new(all);
        for (nint first = 0; first < _queries.Rows; first += batch)
        {
            for (nint i = 0; i < all; i++)
            {
                heaps.Pointer[i] = new TopKHeap(heapScores.Pointer + (i * kept), heapIds.Pointer + (i * kept), kept);
                limits.Pointer[i] = BitLimit.None;
            }

            nint count = Math.Min(batch, _queries.Rows - first);
            Scan(first, count, new BitTopKSink(metric, heaps.Pointer, limits.Pointer, batch, first, excludeSelf));
            BitTopKFinishBody body = new(metric, heaps.Pointer, batch, pool.Threads, first, ids, scores);
            pool.For(count, 8, ref body);
        }
    }

    public RangeResult Range(float radius, bool excludeSelf)
    {
        List<RangeHit>[] lists = new List<RangeHit>[pool.Threads];
        for (int worker = 0; worker < lists.Length; worker++)
            lists[worker] = [];
        nint batch = Batch(0);
        using Scratch<BitLimit> limits = new(batch);
        new Span<BitLimit>(limits.Pointer, (int)batch).Fill(BitLimit.Within(metric, radius));
        for (nint first = 0; first < _queries.Rows; first += batch)
            Scan(first, Math.Min(batch, _queries.Rows - first), new BitRangeSink(metric, radius, limits.Pointer, lists, first, excludeSelf));

        List<RangeHit> hits = lists[0];
        foreach (List<RangeHit> more in lists.AsSpan(1))
            hits.AddRange(more);
        hits.Sort();
        return new RangeResult(checked((int)_queries.Rows), hits, metric == BitMetric.Hamming);
    }

    private nint Batch(nint bytesPerQueryAndThread)
    {
        nint perQuery = (pool.Threads * bytesPerQueryAndThread) + (2 * _data.Columns) + sizeof(BitLimit);
        return Math.Clamp(BatchBytes / perQuery, 1, Math.Max(_queries.Rows, 1));
    }

    private void Scan<TSink>(nint first, nint count, TSink sink)
        where TSink : struct, IBitSink
    {
        if (_data.Rows == 0)
            return;
        BitScanAction<TSink> action = new(_queries.Slice(first, count), _data, metric, sink, pool);
        Isa.DispatchBytes(ref action);
    }
}

/// <summary>A scan of the data by one batch of queries: row by row where they are few or rows are long, else by packed panels.</summary>
internal readonly unsafe struct BitScanAction<TSink>(
    MatrixView<byte> queries, MatrixView<byte> data, BitMetric metric, TSink sink, WorkerPool pool) : IWideBytesAction
    where TSink : struct, IBitSink
{
    // Packing costs a row about as much as three queries do row by row.
    private const nint MostStreamed = 3;

    private readonly MatrixView<byte> _queries = queries;
    private readonly MatrixView<byte> _data = data;
    private readonly TSink _sink = sink;

    public void RunScalar() => Stream<BitWordCounter>();

    public void Run<TBytes>()
        where TBytes : unmanaged, IWideBytes<TBytes>
    {
        nint bytes = _data.Columns;
        if (_queries.Rows > MostStreamed && bytes is > 0 and <= BitPanels.MostRowBytes && _data.Rows >= TBytes.Count)
            Pack<TBytes>();
        else if (TBytes.Count == 64 && bytes < 256 && bytes % 64 >= 32)
            Stream<BitVectorCounter<WideBytes256>>(); // leaves nothing, or less, to general registers
        else
            Stream<BitVectorCounter<TBytes>>();
    }

    private void Stream<TCounter>()
        where TCounter : struct, IBitCounter
    {
        using Scratch<byte> zeros = new(_data.Columns);
        new Span<byte>(zeros.Pointer, (int)_data.Columns).Clear();
        using Scratch<int> queryBits = new(_queries.Rows);
        CountQueries(queryBits.Pointer);
        nint grain = (256 << 10) / Math.Max(_data.Columns, 1);
        grain = Math.Max(Math.Min(grain, _data.Rows / (8 * pool.Threads)) / BitStream.BlockRows, 1) * BitStream.BlockRows;
        if (metric == BitMetric.Hamming)
        {
            BitStreamBody<TCounter, BitXor, TSink> body = new(_queries, _data, metric, queryBits.Pointer, zeros.Pointer, _sink);
            pool.For(_data.Rows, grain, ref body);
        }
        else
        {
            BitStreamBody<TCounter, BitAnd, TSink> body = new(_queries, _data, metric, queryBits.Pointer, zeros.Pointer, _sink);
            pool.For(_data.Rows, grain, ref body);
        }
    }

    private void Pack<TBytes>()
        where TBytes : unmanaged, IWideBytes<TBytes>
    {
        using Scratch<int> queryBits = new(_queries.Rows);
        CountQueries(queryBits.Pointer);
        using Scratch<byte> tables = new(BitPanels.TableBytes);
        BitPanels.FillTables(metric, tables.Pointer);
        nint nibbles = 2 * _data.Columns;
        using Scratch<byte> offsets = new((_queries.Rows + 1) * nibbles);
        for (nint i = 0; i < _queries.Rows; i++)
            BitPanels.FillOffsets(_queries.Row(i), _data.Columns, offsets.Pointer + (i * nibbles));
        new Span<byte>(offsets.Pointer + (_queries.Rows * nibbles), (int)nibbles).Fill(15 * 16);

        using Scratch<byte> memory = new(pool.Threads * BitPanels.WorkerBytes<TBytes>(_data.Columns));
        nint panelRows = BitPanels.Rows<TBytes>();
        nint grain = Math.Max(Math.Min(16384, _data.Rows / (4 * pool.Threads)) / panelRows, 1) * panelRows;
        BitPanelBody<TBytes, TSink> body = new(_data, _queries.Rows, metric, queryBits.Pointer, tables.Pointer, offsets.Pointer, memory.Pointer, _sink);
        pool.For(_data.Rows, grain, ref body);
    }

    private void CountQueries(int* bits)
    {
        for (nint i = 0; i < _queries.Rows; i++)
            bits[i] = BitWords.Count<BitAnd>(_queries.Row(i), _queries.Row(i), 0, _queries.Columns);
    }
}

/// <summary>
/// What a pair must reach to be looked at. A filter only: it lets through all pairs whose score is better than the one it was made from,
/// and few others.
/// </summary>
internal readonly struct BitLimit(int below, uint share, bool isOpen)
{
    /// <summary>Hamming: more than the highest count that passes.</summary>
    public readonly int Below = below;

    /// <summary>Jaccard: more than this part (of 2^32) of |q| + |x| must be common.</summary>
    public readonly uint Share = share;

    /// <summary>Jaccard: everything passes.</summary>
    public readonly bool IsOpen = isOpen;

    /// <summary>Everything passes.</summary>
    public static BitLimit None => new(int.MaxValue, 0, true);

    /// <summary>For scores better than <paramref name="score"/>, which is a count or a similarity from 0 to 1.</summary>
    /// <remarks>
    /// c / (s - c) > w, with c common bits and s = |q| + |x|, says c > s w / (1 + w). The share is rounded down by more than
    /// its error; a quotient that rounds to more than w is itself more than w.
    /// </remarks>
    public static BitLimit BetterThan(BitMetric metric, float score) => metric == BitMetric.Hamming
        ? new((int)score, 0, false)
        : new(0, (uint)Math.Max((score / (1.0 + score) * 4294967296.0) - 1, 0), false);

    /// <summary>For scores as good as <paramref name="radius"/> or better.</summary>
    public static BitLimit Within(BitMetric metric, float radius)
    {
        if (metric == BitMetric.Hamming)
            return new(radius < 0 ? 0 : (int)Math.Min(Math.Floor(radius), 1 << 25) + 1, 0, false);
        return radius <= 0 ? None : BetterThan(metric, Math.Min(MathF.BitDecrement(radius), 1f));
    }

    /// <summary>Whether a pair may have a better score. For Jaccard, <paramref name="sum"/> is |q| + |x|; two empty rows pass.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Passes(BitMetric metric, int count, int sum) =>
        metric == BitMetric.Hamming ? count < Below : IsOpen || sum == 0 || (int)(((ulong)(uint)sum * Share) >> 32) < count;
}

internal static class BitScore
{
    /// <summary>The score, from the count of differing or of common bits; <paramref name="sum"/> is |q| + |x|.</summary>
    /// <remarks>Quotients of numbers below 2^25, rounded to double and then to float, are as if rounded once.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Of(BitMetric metric, int count, int sum)
    {
        if (metric == BitMetric.Hamming)
            return count;
        return sum == 0 ? 1f : (float)((double)count / (sum - count));
    }
}

/// <summary>What becomes of the rows that pass. Queries are numbered within the batch.</summary>
internal unsafe interface IBitSink
{
    /// <summary>The limits of the batch's queries on this worker. <see cref="Take"/> may tighten them.</summary>
    BitLimit* Limits(int worker);

    /// <summary>A row that passed the query's limit. A worker gives a query's rows in ascending order.</summary>
    void Take(int worker, nint query, nint row, float score);
}

internal readonly unsafe struct BitScoreSink(BitLimit* limits, nint firstQuery, MatrixView<float> scores) : IBitSink
{
    private readonly MatrixView<float> _scores = scores;

    public BitLimit* Limits(int worker) => limits;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Take(int worker, nint query, nint row, float score) => _scores.Row(firstQuery + query)[row] = score;
}

internal readonly unsafe struct BitTopKSink(BitMetric metric, TopKHeap* heaps, BitLimit* limits, nint batch, nint firstQuery, bool excludeSelf)
    : IBitSink
{
    public BitLimit* Limits(int worker) => limits + (worker * batch);

    public void Take(int worker, nint query, nint row, float score)
    {
        if (excludeSelf && row == firstQuery + query)
            return;
        TopKHeap* heap = heaps + (worker * batch) + query;
        float sign = metric == BitMetric.Hamming ? -1f : 1f; // the heap's larger is better
        heap->Push(sign * score, row);

        // Rows come in ascending order, so one with the worst score kept would lose the tie.
        if (heap->IsFull)
            limits[(worker * batch) + query] = BitLimit.BetterThan(metric, sign * heap->Worst);
    }
}

/// <summary>Brings each query's heaps of all workers together and writes its result.</summary>
internal readonly unsafe struct BitTopKFinishBody(
    BitMetric metric, TopKHeap* heaps, nint batch, int workers, nint firstQuery, MatrixView<long> ids, MatrixView<float> scores) : IRangeBody
{
    private readonly MatrixView<long> _ids = ids;
    private readonly MatrixView<float> _scores = scores;

    public void Invoke(int worker, nint start, nint end)
    {
        float sign = metric == BitMetric.Hamming ? -1f : 1f;
        for (nint query = start; query < end; query++)
        {
            TopKHeap* heap = heaps + query;
            for (int other = 1; other < workers; other++)
            {
                TopKHeap* more = heap + (other * batch);
                for (nint i = 0; i < more->Count; i++)
                    heap->Push(more->Score(i), more->Id(i));
            }

            heap->SortBestFirst();
            long* id = _ids.Row(firstQuery + query);
            float* score = _scores.Row(firstQuery + query);
            for (nint i = 0; i < _ids.Columns; i++)
            {
                bool found = i < heap->Count;
                id[i] = found ? heap->Id(i) : Similarity.NoId;
                score[i] = sign * (found ? heap->Score(i) : float.NegativeInfinity) + 0f; // + 0: no negative zero
            }
        }
    }
}

internal readonly unsafe struct BitRangeSink(
    BitMetric metric, float radius, BitLimit* limits, List<RangeHit>[] lists, nint firstQuery, bool excludeSelf) : IBitSink
{
    public BitLimit* Limits(int worker) => limits;

    public void Take(int worker, nint query, nint row, float score)
    {
        bool within = metric == BitMetric.Hamming ? score <= radius : score >= radius;
        if (within && !(excludeSelf && row == firstQuery + query))
            lists[worker].Add(new RangeHit(firstQuery + query, row, metric == BitMetric.Hamming ? -score : score));
    }
}
