using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>What all queries of one search share.</summary>
internal readonly unsafe struct SearchProblem(
    MatrixView<float> queries, RowsView data, nint kept, float? radius, SimilarityMetric metric, ZeroVectorRule zeroVectors, nint self, nint firstId)
{
    /// <summary>In place of the id that query 0 must not find (query 1 the next, and so on): no query is excluded.</summary>
    public const nint NoSelf = -1;

    // With so few, the k-th best lower bound is kept up to date with each candidate.
    private const int FewKept = 16;

    public readonly MatrixView<float> Queries = queries;
    public readonly RowsView Data = data;
    public readonly ExactScorer Scorer = new(metric, queries.Columns, zeroVectors);

    /// <summary>A range search's radius: rows are hits or not, and none is kept in a list.</summary>
    public readonly float? Radius = radius;

    /// <summary>The id of row 0 of <see cref="Data"/>.</summary>
    public readonly nint FirstId = firstId;

    /// <summary>Rows wanted of each query.</summary>
    public nint Kept => kept;

    public bool KeepsFew => kept <= FewKept;

    /// <summary>
    /// Candidates that a list holds before it is thinned out. Twice k keeps selection cheap against collection; the constant
    /// gives small k room for the first rows, which all pass.
    /// </summary>
    public nint Pending => (2 * kept) + 48;

    public SimilarityMetric Metric => metric;

    public ZeroVectorRule ZeroVectors => zeroVectors;

    /// <summary>The row that a query must not return, or one that does not exist.</summary>
    public long Excluded(nint query) => self < 0 ? -1 : self + query;

    /// <summary>Closeness of a query and a row of <see cref="Data"/>.</summary>
    /// <param name="query">The query's row.</param>
    /// <param name="queryTerm">Its term.</param>
    /// <param name="row">The row.</param>
    /// <param name="scratch">Room for the row as floats.</param>
    public float Closeness(nint query, double queryTerm, nint row, float* scratch)
    {
        if (Data.Type == ElementType.Float32)
            return Scorer.Closeness(Queries.Row(query), queryTerm, (float*)Data.Row(row), 1);
        RowElements.ToFloats<Wide128>(Data, row, 1, null, scaled: false, scratch);
        return Scorer.Closeness(Queries.Row(query), queryTerm, scratch, Data.Scales is null ? 1 : Data.Scales[row]);
    }

    public SearchProblem WithData(RowsView data, nint firstId) => new(Queries, data, kept, Radius, metric, zeroVectors, self, firstId);
}

/// <summary>A row within the radius of a range search; sorted by query, then the closest first, then the lower index.</summary>
internal readonly struct RangeHit(nint query, long id, float closeness) : IComparable<RangeHit>
{
    public readonly nint Query = query;
    public readonly long Id = id;
    public readonly float Closeness = closeness;

    public int CompareTo(RangeHit other)
    {
        if (Query != other.Query)
            return Query.CompareTo(other.Query);
        return Closeness != other.Closeness ? other.Closeness.CompareTo(Closeness) : Id.CompareTo(other.Id);
    }
}

/// <summary>What one worker of a search has to itself.</summary>
internal unsafe struct SearchWorker
{
    /// <summary>Room for a row as floats.</summary>
    public float* Row;

    /// <summary>The hits of a range search, in memory that grows.</summary>
    public RangeHit* Hits;

    public nint HitCount;

    private nint _hitCapacity;

    public void AddHit(nint query, long id, float closeness)
    {
        if (HitCount == _hitCapacity)
        {
            _hitCapacity = Math.Max(2 * _hitCapacity, 1024);
            Hits = (RangeHit*)NativeMemory.Realloc(Hits, checked((nuint)_hitCapacity * (nuint)sizeof(RangeHit)));
        }

        Hits[HitCount++] = new(query, id, closeness);
    }

    public readonly void FreeHits() => NativeMemory.Free(Hits);
}

/// <summary>
/// The candidates of one query among the rows that one worker sees. Single-precision scores come with bounds; a row whose
/// upper bound is not above <see cref="Threshold"/> cannot be among the k best. The others are collected and at last
/// scored in double precision, so the k best are exact whatever computed the bounds.
/// </summary>
/// <remarks>
/// <para>Why it is exact: the threshold is at most the k-th largest lower bound of rows seen. Bounds are of the true score and wider
/// by more than the rounding of a score to float (and by <see cref="Slack"/>, where scores are 0), so k rows seen have a rounded score
/// strictly better than that of any row refused: it cannot even win a tie by its index. A threshold may be taken over from
/// another worker's list of the same query: its rows are rows seen.</para>
/// <para>Where data is such that bounds decide little (many rows closer to each other than single precision can tell
/// apart), the list fills up with undecided candidates; they are then scored in double precision and the k best kept in a heap.
/// Time grows, results stay.</para>
/// </remarks>
internal unsafe struct CandidateList
{
    /// <summary>Absolute room for sums that underflow; lost in any score of normal size.</summary>
    public const float Slack = 1e-37f;

    private readonly nint* _rows;
    private readonly float* _lowers;
    private readonly float* _uppers;
    private readonly float* _best; // the few largest lower bounds, largest first, where few are kept
    private readonly nint _query;
    private readonly double _queryTerm;
    private TopKHeap _exact;
    private nint _pending;
    private nint _bestCount;

    /// <param name="search">The search.</param>
    /// <param name="query">The query's row.</param>
    /// <param name="rows"><see cref="SearchProblem.Pending"/> places.</param>
    /// <param name="bounds">Twice as many, and <see cref="SearchProblem.Kept"/> more.</param>
    /// <param name="heapScores"><see cref="SearchProblem.Kept"/> places.</param>
    /// <param name="heapIds">As many.</param>
    public CandidateList(in SearchProblem search, nint query, nint* rows, float* bounds, float* heapScores, long* heapIds)
    {
        _rows = rows;
        _lowers = bounds;
        _uppers = bounds + search.Pending;
        _best = _uppers + search.Pending;
        _query = query;
        _queryTerm = search.Scorer.QueryTerm(search.Queries.Row(query));
        _exact = new(heapScores, heapIds, search.Kept);
        Threshold = float.NegativeInfinity;
    }

    public static nint Bytes(in SearchProblem search) =>
        sizeof(CandidateList) + (search.Pending * (sizeof(nint) + (2 * sizeof(float)))) + (search.Kept * (sizeof(long) + (2 * sizeof(float))));

    /// <summary>Rows whose upper bound is not above this are out; NaN refuses all.</summary>
    public float Threshold { get; private set; }

    /// <summary>Refuses all candidates from bounds: the query is one that single precision cannot carry.</summary>
    public void RefuseBounds() => Threshold = float.NaN;

    /// <summary>Takes over a threshold that rows seen by another worker have set, or that a radius sets.</summary>
    public void Raise(float threshold)
    {
        if (threshold > Threshold)
            Threshold = threshold;
    }

    /// <summary>Takes a row with bounds of its closeness, in any unit that the rows of this query share.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(in SearchProblem search, SearchWorker* worker, nint row, float lower, float upper)
    {
        if (!(upper > Threshold) || search.FirstId + row == search.Excluded(_query))
            return;

        if (search.Radius is not null)
        {
            AddExact(search, worker, row);
            return;
        }

        _rows[_pending] = row;
        _lowers[_pending] = lower;
        _uppers[_pending] = upper;
        _pending++;
        if (search.KeepsFew)
            KeepBest(search.Kept, lower);
        if (_pending == search.Pending)
            Thin(search, worker);
    }

    /// <summary>
    /// Takes many rows at once, whose scores are known and are all off by less than <paramref name="width"/>: the threshold is
    /// raised before the first is collected. The query itself may be among them.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void AddMany(in SearchProblem search, SearchWorker* worker, int* rows, float* scores, nint count, float width)
    {
        // One more than are wanted, because one may be the query.
        if (count > search.Kept)
            Raise(Selection.NearKthLargest(scores, count, search.Kept + 1) - width - Slack);
        nint i = 0;
        for (; i <= count - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            Vector256<float> above = Vector256.GreaterThan(Vector256.Load(scores + i), Vector256.Create(Threshold - width));
            for (uint passed = above.ExtractMostSignificantBits(); passed != 0; passed &= passed - 1)
            {
                nint place = i + BitOperations.TrailingZeroCount(passed);
                Add(search, worker, rows[place], scores[place] - width, scores[place] + width);
            }
        }

        for (; i < count; i++)
            Add(search, worker, rows[i], scores[i] - width, scores[i] + width);
    }

    /// <summary>Scores a row in double precision, for pairs that have no bounds.</summary>
    public void AddExact(in SearchProblem search, SearchWorker* worker, nint row)
    {
        long id = search.FirstId + row;
        if (id == search.Excluded(_query))
            return;
        float closeness = search.Closeness(_query, _queryTerm, row, worker->Row);
        if (search.Radius is not float radius)
            _exact.Push(closeness, id);
        else if (closeness >= (search.Scorer.IsDistance ? -radius : radius))
            worker->AddHit(_query, id, closeness);
    }

    /// <summary>Takes over the candidates of another worker's list of the same query.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Merge(in SearchProblem search, SearchWorker* worker, ref CandidateList other)
    {
        Raise(other.Threshold);
        for (nint i = 0; i < other._pending; i++)
            Add(search, worker, other._rows[i], other._lowers[i], other._uppers[i]);
        for (nint i = 0; i < other._exact.Count; i++)
            _exact.Push(other._exact.Score(i), other._exact.Id(i));
        other._pending = 0;
        other._exact.Clear();
    }

    /// <summary>Decides all candidates, so that nothing refers to the data any more.</summary>
    public void Settle(in SearchProblem search, SearchWorker* worker)
    {
        if (search.KeepsFew)
            Refuse();
        else if (_pending > search.Kept)
            RaiseThreshold(search);
        Resolve(search, worker);
    }

    /// <summary>Writes the k best, best first, and padding. All candidates are decided.</summary>
    public void Finish(in SearchProblem search, Span<long> ids, Span<float> scores)
    {
        int count = (int)_exact.Count;
        bool distance = search.Scorer.IsDistance;
        _exact.WriteBestFirst(ids, scores);
        if (distance)
        {
            for (int i = 0; i < count; i++)
                scores[i] = -scores[i];
        }

        ids[count..].Fill(Similarity.NoId);
        scores[count..].Fill(distance ? float.PositiveInfinity : float.NegativeInfinity);
    }

    // Insertion into a sorted handful; its last member, once it is full, is the threshold.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void KeepBest(nint kept, float lower)
    {
        nint hole = _bestCount;
        if (hole < kept)
            _bestCount++;
        else if (lower > _best[hole - 1])
            hole--;
        else
            return;
        for (; hole > 0 && _best[hole - 1] < lower; hole--)
            _best[hole] = _best[hole - 1];
        _best[hole] = lower;
        if (_bestCount == kept)
            Raise(_best[kept - 1] - Slack);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Thin(in SearchProblem search, SearchWorker* worker)
    {
        if (search.KeepsFew)
            Refuse();
        else
            RaiseThreshold(search);

        // Too little room won: decide now, or the next candidates would thin again and again.
        if (_pending > search.Pending - (search.Kept / 2) - 16)
            Resolve(search, worker);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void RaiseThreshold(in SearchProblem search)
    {
        Raise(Selection.NearKthLargest(_lowers, _pending, search.Kept) - Slack);
        Refuse();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Refuse()
    {
        nint kept = 0;
        float threshold = Threshold;
        for (nint i = 0; i < _pending; i++)
        {
            // Without a branch, which nobody could foresee.
            float upper = _uppers[i];
            _rows[kept] = _rows[i];
            _lowers[kept] = _lowers[i];
            _uppers[kept] = upper;
            kept += upper > threshold ? 1 : 0;
        }

        _pending = kept;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Resolve(in SearchProblem search, SearchWorker* worker)
    {
        const int Ahead = 4;
        nint rowBytes = search.Data.Columns * RowsView.SizeOf(search.Data.Type);
        for (nint i = 0; i < _pending; i++)
        {
            if (i + Ahead < _pending)
                Prefetch.RowToL2(search.Data.Row(_rows[i + Ahead]), rowBytes);
            _exact.Push(search.Closeness(_query, _queryTerm, _rows[i], worker->Row), search.FirstId + _rows[i]);
        }

        _pending = 0;
    }
}
