using System.Numerics;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>What all queries of one top-k search share.</summary>
internal readonly unsafe struct TopKSearch(MatrixView<float> queries, MatrixView<float> data, nint kept, SimilarityMetric metric, bool excludeSelf)
{
    public readonly MatrixView<float> Queries = queries;
    public readonly MatrixView<float> Data = data;
    public readonly ExactScorer Scorer = new(metric, queries.Columns);

    /// <summary>Slots that can be filled: k, or the rows of the data where that is less.</summary>
    public nint Kept => kept;

    /// <summary>
    /// Candidates that a list holds before it is thinned out. Twice k keeps selection cheap against collection; the constant
    /// gives small k room for the first rows, which all pass.
    /// </summary>
    public nint Pending => (2 * kept) + 64;

    public SimilarityMetric Metric => metric;

    /// <summary>The row that a query must not return, or one that does not exist.</summary>
    public long Excluded(nint query) => excludeSelf ? query : -1;
}

/// <summary>
/// The candidates of one query among the rows that one worker sees. Single-precision scores come with bounds; a row whose
/// upper bound is not above <see cref="Threshold"/> cannot be among the k best. The others are collected and at last
/// scored in double precision, so the k best are exact whatever computed the bounds.
/// </summary>
/// <remarks>
/// <para>Why it is exact: the threshold is at most the k-th largest lower bound of rows seen. Bounds are of the true score and wider
/// by more than the rounding of a score to float (and by <see cref="Slack"/>, where scores are 0), so k rows seen have a rounded score
/// strictly better than that of any row refused: it cannot even win a tie by its index.</para>
/// <para>Where data is such that bounds decide little (many rows closer to each other than single precision can tell
/// apart), the list fills up with undecided candidates; they are then scored in double precision and the k best kept in a heap.
/// Time grows, results stay.</para>
/// </remarks>
internal unsafe struct CandidateList
{
    /// <summary>Absolute room for sums that underflow; lost in any score of normal size.</summary>
    public const float Slack = 1e-37f;

    private readonly long* _ids;
    private readonly float* _lowers;
    private readonly float* _uppers;
    private readonly nint _query;
    private readonly double _queryTerm;
    private TopKHeap _exact;
    private nint _pending;

    /// <param name="search">The search.</param>
    /// <param name="query">The query's row.</param>
    /// <param name="ids"><see cref="TopKSearch.Pending"/> places.</param>
    /// <param name="bounds">Twice as many.</param>
    /// <param name="heapScores"><see cref="TopKSearch.Kept"/> places.</param>
    /// <param name="heapIds">As many.</param>
    public CandidateList(in TopKSearch search, nint query, long* ids, float* bounds, float* heapScores, long* heapIds)
    {
        _ids = ids;
        _lowers = bounds;
        _uppers = bounds + search.Pending;
        _query = query;
        _queryTerm = search.Scorer.QueryTerm(search.Queries.Row(query));
        _exact = new(heapScores, heapIds, search.Kept);
        Threshold = float.NegativeInfinity;
    }

    /// <summary>Rows whose upper bound is not above this are out; NaN refuses all.</summary>
    public float Threshold { get; private set; }

    /// <summary>How far a bound may be off by what is the same for all rows of this query; set before the first candidate.</summary>
    public float Margin { get; set; }

    /// <summary>Refuses all candidates from bounds: the query is one that single precision cannot carry.</summary>
    public void RefuseBounds() => Threshold = float.NaN;

    /// <summary>Takes a row with bounds of its closeness, in any unit that the rows of this query share.</summary>
    private void Add(in TopKSearch search, float* scratch, long id, float lower, float upper)
    {
        if (!(upper > Threshold) || id == search.Excluded(_query))
            return;

        _ids[_pending] = id;
        _lowers[_pending] = lower;
        _uppers[_pending] = upper;
        if (++_pending == search.Pending)
            Thin(search, scratch);
    }

    /// <summary>
    /// Takes the rows whose bits are set in <paramref name="passed"/>: those whose upper bound is finite with the lower bound
    /// upper + width * term, the others (overflow, NaN) by their exact score.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Collect(in TopKSearch search, float* scratch, uint passed, float* uppers, float* terms, float width, nint firstId)
    {
        for (; passed != 0; passed &= passed - 1)
        {
            int lane = BitOperations.TrailingZeroCount(passed);
            float upper = uppers[lane];
            if (float.IsFinite(upper))
                Add(search, scratch, firstId + lane, upper + (width * terms[lane]), upper);
            else
                AddExact(search, firstId + lane);
        }
    }

    /// <summary>Scores a row in double precision, for pairs that have no bounds.</summary>
    public void AddExact(in TopKSearch search, long id)
    {
        if (id != search.Excluded(_query))
            _exact.Push(search.Scorer.Closeness(search.Queries.Row(_query), _queryTerm, search.Data.Row((nint)id)), id);
    }

    /// <summary>Takes over the candidates of another worker's list of the same query.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Merge(in TopKSearch search, float* scratch, ref CandidateList other)
    {
        for (nint i = 0; i < other._pending; i++)
            Add(search, scratch, other._ids[i], other._lowers[i], other._uppers[i]);
        for (nint i = 0; i < other._exact.Count; i++)
            _exact.Push(other._exact.Score(i), other._exact.Id(i));
    }

    /// <summary>Writes the k best, best first, and padding.</summary>
    public void Finish(in TopKSearch search, float* scratch, Span<long> ids, Span<float> scores)
    {
        if (_pending > search.Kept)
            RaiseThreshold(search, scratch);
        Resolve(search);
        _exact.SortBestFirst();
        int count = (int)_exact.Count;
        bool distance = search.Scorer.IsDistance;
        for (int i = 0; i < count; i++)
        {
            ids[i] = _exact.Id(i);
            scores[i] = distance ? -_exact.Score(i) : _exact.Score(i);
        }

        ids[count..].Fill(Similarity.NoId);
        scores[count..].Fill(distance ? float.PositiveInfinity : float.NegativeInfinity);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Thin(in TopKSearch search, float* scratch)
    {
        RaiseThreshold(search, scratch);

        // Too little room won: decide now, or the next candidates would thin again and again.
        if (_pending > search.Pending - (search.Kept / 2) - 16)
            Resolve(search);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RaiseThreshold(in TopKSearch search, float* scratch)
    {
        Buffer.MemoryCopy(_lowers, scratch, _pending * sizeof(float), _pending * sizeof(float));
        float bound = Selection.KthLargest(scratch, _pending, search.Kept) - Margin - Slack;
        if (!(bound > Threshold))
            return;

        Threshold = bound;
        nint kept = 0;
        for (nint i = 0; i < _pending; i++)
        {
            if (!(_uppers[i] > bound))
                continue;
            _ids[kept] = _ids[i];
            _lowers[kept] = _lowers[i];
            _uppers[kept++] = _uppers[i];
        }

        _pending = kept;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Resolve(in TopKSearch search)
    {
        const int Ahead = 4;
        float* query = search.Queries.Row(_query);
        nint rowBytes = search.Data.Columns * sizeof(float);
        for (nint i = 0; i < _pending; i++)
        {
            if (i + Ahead < _pending)
                Prefetch.RowToL2(search.Data.Row((nint)_ids[i + Ahead]), rowBytes);
            _exact.Push(search.Scorer.Closeness(query, _queryTerm, search.Data.Row((nint)_ids[i])), _ids[i]);
        }

        _pending = 0;
    }
}
