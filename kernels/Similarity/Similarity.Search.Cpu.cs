namespace EmbeddingKernels.Core;

/// <summary>
/// <see cref="Similarity.TopK(MatrixView{float}, RowsView, int, SimilarityMetric, MatrixView{long}, MatrixView{float}, bool, WorkerPool?)"/>
/// at one vector width: the queries in batches whose memory is bounded.
/// </summary>
internal readonly unsafe struct TopKAction(SearchProblem search, float* norms, MatrixView<long> ids, MatrixView<float> scores, WorkerPool pool) : IWideAction
{
    private readonly SearchProblem _search = search;
    private readonly MatrixView<long> _ids = ids;
    private readonly MatrixView<float> _scores = scores;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        nint batch = SearchBatch.Queries(_search, pool.Threads);
        for (nint first = 0; first < _search.Queries.Rows; first += batch)
        {
            using SearchRun<TWide> run = new(_search, first, Math.Min(batch, _search.Queries.Rows - first), pool);
            run.Add(_search.Data, norms, 0);
            run.Finish(_ids, _scores);
        }
    }
}

/// <summary>
/// <see cref="Similarity.Range(MatrixView{float}, RowsView, float, SimilarityMetric, bool, WorkerPool?)"/> at one vector width.
/// </summary>
internal readonly unsafe struct RangeAction(SearchProblem search, WorkerPool pool, List<RangeHit> hits) : IWideAction
{
    private readonly SearchProblem _search = search;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        nint batch = SearchBatch.Queries(_search, pool.Threads);
        for (nint first = 0; first < _search.Queries.Rows; first += batch)
        {
            using SearchRun<TWide> run = new(_search, first, Math.Min(batch, _search.Queries.Rows - first), pool);
            run.Add(_search.Data, null, 0);
            int start = hits.Count;
            foreach (ref readonly SearchWorker worker in run.Workers)
            {
                for (nint i = 0; i < worker.HitCount; i++)
                    hits.Add(worker.Hits[i]);
            }

            hits.Sort(start, hits.Count - start, null);
        }
    }
}

/// <summary>How many queries are searched for at one time.</summary>
internal static class SearchBatch
{
    // Lists of candidates and packed queries of a batch. Each batch passes over the data once, which is nothing against the
    // arithmetic of hundreds of queries.
    private const nint ListBytes = 32 << 20;
    private const nint PackedBytes = 12 << 20;

    // k-means and the like: many queries, few rows. More at a time would not be faster.
    private const nint Most = 8192;

    public static nint Queries(in SearchProblem search, int threads)
    {
        nint byLists = ListBytes / (CandidateList.Bytes(search) * threads);
        nint byPacked = PackedBytes / (sizeof(float) * Math.Max(search.Queries.Columns, 1));
        nint batch = Math.Clamp(Math.Min(byLists, byPacked), 16, Most);
        return Math.Min(batch / 16 * 16, Math.Max(search.Queries.Rows, 1));
    }
}

/// <summary>A search at one width behind a type that knows none, for data that comes block by block.</summary>
internal interface ISearchRun : IDisposable
{
    void Add(in RowsView data, nint firstId);

    void Finish(MatrixView<long> ids, MatrixView<float> scores);
}

internal sealed unsafe class SearchRunBox<TWide>(SearchProblem search, WorkerPool pool) : ISearchRun
    where TWide : unmanaged, IWide<TWide>
{
    private readonly SearchRun<TWide> _run = new(search, 0, search.Queries.Rows, pool);

    public void Add(in RowsView data, nint firstId) => _run.Add(data, null, firstId);

    public void Finish(MatrixView<long> ids, MatrixView<float> scores) => _run.Finish(ids, scores);

    public void Dispose() => _run.Dispose();
}
