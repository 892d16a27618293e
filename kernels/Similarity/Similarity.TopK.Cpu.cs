namespace EmbeddingKernels.Core;

/// <summary>
/// <see cref="Similarity.TopK(MatrixView{float}, MatrixView{float}, int, SimilarityMetric, MatrixView{long}, MatrixView{float}, bool, WorkerPool?)"/>
/// at one vector width: few queries stream the data once, many multiply it tile by tile.
/// </summary>
internal readonly unsafe struct TopKAction(
    MatrixView<float> queries,
    MatrixView<float> data,
    SimilarityMetric metric,
    MatrixView<long> ids,
    MatrixView<float> scores,
    bool excludeSelf,
    WorkerPool pool) : IWideAction
{
    // Roundings beside those of the sums: of scaling or centring both rows, of norms, of the bounds, and of the score itself.
    private const double FurtherRoundings = 32;
    private const double UnitRoundoff = 1.0 / (1 << 24);

    // What all lists of candidates may take together, and what one batch of them should.
    private const nint MostListBytes = 256 << 20;
    private const nint BatchListBytes = 64 << 20;
    private const nint BatchPackedBytes = 16 << 20;

    // Packing the data costs a batch about as much as ten more queries: beyond this it is nothing.
    private const nint MostBlocks = 20;

    private readonly MatrixView<float> _queries = queries;
    private readonly MatrixView<float> _data = data;
    private readonly MatrixView<long> _ids = ids;
    private readonly MatrixView<float> _scores = scores;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        TopKSearch search = new(_queries, _data, (nint)Math.Min(_ids.Columns, _data.Rows), metric, excludeSelf);
        using Scratch<float> selection = new(pool.Threads * search.Pending);
        if (_queries.Rows <= SimilarityStream.MostQueries)
            Stream<TWide>(&search, selection.Pointer);
        else
            Multiply<TWide>(&search, selection.Pointer);
    }

    private void Stream<TWide>(TopKSearch* search, float* selection)
        where TWide : unmanaged, IWide<TWide>
    {
        using TopKLists lists = new(*search, pool.Threads, _queries.Rows);
        lists.Start(0, _queries.Rows);
        float error = RelativeError(RowKernels.SumTerms<TWide>(_data.Columns));
        float* factors = stackalloc float[SimilarityStream.MostQueries];
        for (nint i = 0; i < _queries.Rows; i++)
            factors[i] = error * (search->Scorer.IsDistance ? 1f : SimilarityStream.QueryNorm<TWide>(metric, _queries.Row(i), _queries.Columns));
        TopKStreamBody<TWide> body = new(search, lists, selection, factors);
        pool.For(_data.Rows, SimilarityStream.Grain(_data, pool.Threads), ref body);
        Finish(search, lists, selection, 0, _queries.Rows);
    }

    private void Multiply<TWide>(TopKSearch* search, float* selection)
        where TWide : unmanaged, IWide<TWide>
    {
        bool distance = search->Scorer.IsDistance;
        nint depth = _data.Columns;
        float error = RelativeError(Math.Min(depth, GemmBlocking.Depth) + (depth / (double)GemmBlocking.Depth));
        float factor = distance ? -(0.5f - error) : 1f;

        // Lists of one query block and one shard of the data belong to one job at a time. There are shards only where query
        // blocks alone would not keep all threads busy.
        nint blockRows = GemmBlocking.BlockRows;
        nint batch = Math.Min(BatchListBytes / TopKLists.BytesPerList(*search), BatchPackedBytes / (sizeof(float) * Math.Max(depth, 1)));
        batch = batch < blockRows ? Math.Max(batch, GemmBlocking.TileRows<TWide>()) : Math.Min(batch / blockRows, MostBlocks) * blockRows;
        batch = Math.Min(batch, _queries.Rows);
        nint queryBlocks = GemmPack.Panels(batch, (int)blockRows);
        nint shards = pool.Threads == 1 ? 1 : ((3 * pool.Threads) + queryBlocks - 1) / queryBlocks;
        shards = Math.Max(Math.Min(shards, MostListBytes / (TopKLists.BytesPerList(*search) * batch)), 1);

        using PackedRows<TWide> rows = new(metric, batch, depth, GemmBlocking.TileRows<TWide>(), 1f);
        using PackedRows<TWide> columns = new(
            metric, Math.Min(_data.Rows, PackedRows<TWide>.ColumnsInCache(depth)), depth, GemmBlocking.TileColumns<TWide>(), factor);
        using Scratch<float> centre = new(depth);
        using Scratch<float> tiles = new(pool.Threads * (nint)GemmBlocking.WorkerFloats);
        using Scratch<float> factors = new(batch);
        using TopKLists lists = new(*search, (int)shards, batch);
        if (distance)
            Centre.Find<TWide>(_data, centre.Pointer);

        for (nint first = 0; first < _queries.Rows; first += batch)
        {
            nint count = Math.Min(batch, _queries.Rows - first);
            rows.Prepare(_queries.Slice(first, count), centre.Pointer, pool);
            lists.Start(first, count);
            for (nint i = 0; i < count; i++)
            {
                float term = rows.Terms[i];
                factors.Pointer[i] = distance ? 1f : error * term;
                for (int shard = 0; shard < shards; shard++)
                {
                    if (float.IsNaN(term))
                        lists.List(shard, i)->RefuseBounds();
                    else if (distance)
                        lists.List(shard, i)->Margin = error * term;
                }
            }

            for (nint start = 0; start < _data.Rows; start += columns.Capacity)
            {
                MatrixView<float> part = _data.Slice(start, Math.Min(columns.Capacity, _data.Rows - start));
                columns.Prepare(part, centre.Pointer, pool);
                float widen = distance ? -2f * error / factor : -2f;
                TopKBlocksBody<TWide> body = new(search, lists, selection, rows, count, factors.Pointer, columns, start, part.Rows, widen, tiles.Pointer);
                pool.For(body.Count, 1, ref body);
            }

            Finish(search, lists, selection, first, count);
        }
    }

    private void Finish(TopKSearch* search, in TopKLists lists, float* selection, nint first, nint count)
    {
        TopKFinishBody body = new(search, lists, selection, first, _ids, _scores);
        pool.For(count, 8, ref body);
    }

    private static float RelativeError(double sumTerms) => (float)(((2 * sumTerms) + FurtherRoundings) * UnitRoundoff * 1.001);
}

/// <summary>Lists of candidates for a batch of queries, once per shard of the data.</summary>
internal readonly unsafe struct TopKLists : IDisposable
{
    private readonly TopKSearch _search;
    private readonly Scratch<byte> _memory;
    private readonly CandidateList* _lists;
    private readonly nint _capacity;

    public TopKLists(in TopKSearch search, int shards, nint capacity)
    {
        _search = search;
        Shards = shards;
        _capacity = capacity;
        _memory = new(checked(BytesPerList(search) * shards * capacity));
        _lists = (CandidateList*)_memory.Pointer;
    }

    public int Shards { get; }

    public static nint BytesPerList(in TopKSearch search) =>
        sizeof(CandidateList) + (search.Pending * (sizeof(long) + (2 * sizeof(float)))) + (search.Kept * (sizeof(long) + sizeof(float)));

    public CandidateList* List(int shard, nint query) => _lists + (shard * _capacity) + query;

    /// <summary>Empties the lists for queries <paramref name="first"/> to <paramref name="first"/> + <paramref name="count"/> - 1.</summary>
    public void Start(nint first, nint count)
    {
        nint all = Shards * _capacity;
        long* ids = (long*)(_lists + all);
        long* heapIds = ids + (all * _search.Pending);
        float* bounds = (float*)(heapIds + (all * _search.Kept));
        float* heapScores = bounds + (2 * all * _search.Pending);
        for (int shard = 0; shard < Shards; shard++)
        {
            for (nint i = 0; i < count; i++)
            {
                nint list = (shard * _capacity) + i;
                _lists[list] = new CandidateList(
                    _search,
                    first + i,
                    ids + (list * _search.Pending),
                    bounds + (2 * list * _search.Pending),
                    heapScores + (list * _search.Kept),
                    heapIds + (list * _search.Kept));
            }
        }
    }

    public void Dispose() => _memory.Dispose();
}

/// <summary>Prepared rows in panels, packed in parallel.</summary>
internal readonly unsafe struct PackedRows<TWide> : IDisposable
    where TWide : unmanaged, IWide<TWide>
{
    // Half of what a core can call its own of a shared L3, so that packed data is read from there by all query blocks.
    private const nint CacheBytes = 4 << 20;

    private readonly SimilarityMetric _metric;
    private readonly int _width;
    private readonly float _factor;
    private readonly Scratch<float> _panels;
    private readonly Scratch<float> _terms;

    public PackedRows(SimilarityMetric metric, nint capacity, nint depth, int width, float factor)
    {
        _metric = metric;
        _width = width;
        _factor = factor;
        Capacity = GemmPack.Panels(capacity, width) * width;
        _panels = new(Capacity * depth);
        _terms = new(Capacity);
    }

    /// <summary>Rows that fit, a multiple of the width.</summary>
    public nint Capacity { get; }

    public float* Panels => _panels.Pointer;

    /// <summary>One term per row (<see cref="PrepareBody{TWide}"/>), NaN for places without a row.</summary>
    public float* Terms => _terms.Pointer;

    public static nint ColumnsInCache(nint depth) => Math.Max(CacheBytes / (sizeof(float) * Math.Max(depth, 1)), 1);

    public PrepareBody<TWide> Body(MatrixView<float> rows, float* centre) => new(_metric, rows, centre, _width, _factor, Panels, Terms);

    public void Prepare(MatrixView<float> rows, float* centre, WorkerPool pool)
    {
        PrepareBody<TWide> body = Body(rows, centre);
        pool.For(body.Count, Math.Max(body.Count / (pool.Threads * 4), 1), ref body);
    }

    public void Dispose()
    {
        _panels.Dispose();
        _terms.Dispose();
    }
}
