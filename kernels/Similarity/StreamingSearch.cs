namespace EmbeddingKernels.Core;

/// <summary>
/// A top-k search over data that comes block by block, of which none is kept: the result is that of
/// <see cref="Similarity.TopK(MatrixView{float}, RowsView, int, SimilarityMetric, MatrixView{long}, MatrixView{float}, bool, WorkerPool?)"/>
/// over all blocks together, whatever their sizes.
/// </summary>
/// <remarks>Memory grows with queries x (k x threads + d). Not for use by several threads at once.</remarks>
public sealed unsafe class StreamingSearch : IDisposable
{
    private readonly MatrixView<float> _queries;
    private readonly int _k;
    private readonly SimilarityMetric _metric;
    private readonly SearchOptions _options;
    private readonly WorkerPool _pool;
    private ISearchRun? _run;
    private bool _disposed;

    /// <summary>Begins a search.</summary>
    /// <param name="queries">m x d; must stay as they are until <see cref="Finish"/>.</param>
    /// <param name="k">Rows wanted per query, at least 1.</param>
    /// <param name="metric">What closest means.</param>
    /// <param name="options">Further choices, or null; norms are not among them.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="k"/> is below 1 or <paramref name="metric"/> is no defined metric.</exception>
    /// <exception cref="ArgumentException">The options have norms.</exception>
    public StreamingSearch(MatrixView<float> queries, int k, SimilarityMetric metric, SearchOptions? options = null, WorkerPool? pool = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        _options = options ?? SearchOptions.Default;
        if (!_options.Norms.IsEmpty)
            throw new ArgumentException("Blocks have no norms of their own.", nameof(options));
        Similarity.CheckInputs(queries, queries, metric);
        Similarity.CheckOptions(_options, queries);
        _queries = queries;
        _k = k;
        _metric = metric;
        _pool = pool ?? WorkerPool.Serial;
    }

    /// <summary>Rows that were shown so far; the next block's first row has this index.</summary>
    public nint Rows { get; private set; }

    /// <summary>Shows the next block. Its memory is not needed afterwards.</summary>
    /// <param name="block">Any number of rows with as many columns as the queries, of any element type.</param>
    /// <exception cref="ArgumentException">The columns differ.</exception>
    public void Add(RowsView block)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Similarity.CheckInputs(_queries, block, _metric, nameof(block));
        if (_queries.Rows > 0 && block.Rows > 0)
        {
            _run ??= Begin(block);
            _run.Add(block, Rows);
        }

        Rows += block.Rows;
    }

    /// <summary>Writes the result, and ends the search.</summary>
    /// <param name="ids">m x k, overwritten; row indices over all blocks, <see cref="Similarity.NoId"/> where there is none.</param>
    /// <param name="scores">m x k, overwritten.</param>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    public void Finish(MatrixView<long> ids, MatrixView<float> scores)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Similarity.CheckShape(ids.Rows, ids.Columns, _queries.Rows, _k, nameof(ids));
        Similarity.CheckShape(scores.Rows, scores.Columns, _queries.Rows, _k, nameof(scores));
        if (_queries.Rows > 0)
        {
            _run ??= Begin(new RowsView(null, ElementType.Float32, 0, _queries.Columns, _queries.Columns * sizeof(float)));
            _run.Finish(ids, scores);
        }

        Dispose();
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _disposed = true;
        _run?.Dispose();
        _run = null;
    }

    private ISearchRun Begin(RowsView block)
    {
        BeginAction action = new(new(_queries, block, _k, null, _metric, _options.ZeroVectors, _options.ExcludeSelf ? 0 : SearchProblem.NoSelf, 0), _pool);
        Isa.Dispatch(ref action);
        return action.Run!;
    }

    private struct BeginAction(SearchProblem search, WorkerPool pool) : IWideAction
    {
        private readonly SearchProblem _search = search;

        public ISearchRun? Run { get; private set; }

        void IWideAction.Run<TWide>() => Run = new SearchRunBox<TWide>(_search, pool);
    }
}
