namespace EmbeddingKernels.Core;

/// <summary>
/// A search at one vector width: queries with their lists, to which blocks of data are shown one after the other.
/// </summary>
/// <remarks>
/// Few queries stream the data row by row (<see cref="SearchStreamBody{TWide}"/>); more multiply it tile by tile
/// (<see cref="SearchBody{TWide, TScaled}"/>), the data's rows as they stand, the queries packed.
/// </remarks>
internal unsafe struct SearchRun<TWide> : IDisposable
    where TWide : unmanaged, IWide<TWide>
{
    private readonly WorkerPool _pool;
    private readonly nint _first;
    private readonly nint _count;
    private readonly bool _streams;
    private readonly bool _centred;
    private readonly Scratch<byte> _own;
    private readonly SearchProblem* _search;
    private readonly SearchWorker* _workers;
    private readonly float* _centre;
    private readonly SearchQueries<TWide> _queries;
    private readonly SearchLists _lists;

    /// <param name="search">The search; its data, the first block, tells the centre.</param>
    /// <param name="first">The first query.</param>
    /// <param name="count">Queries of this run.</param>
    /// <param name="pool">Threads to work on.</param>
    public SearchRun(in SearchProblem search, nint first, nint count, WorkerPool pool)
    {
        _pool = pool;
        _first = first;
        _count = count;
        nint depth = search.Queries.Columns;
        _streams = count <= SearchStream.MostQueries;
        _own = new(sizeof(SearchProblem) + (pool.Threads * (sizeof(SearchWorker) + (depth * sizeof(float)))) + (depth * sizeof(float)));
        _search = (SearchProblem*)_own.Pointer;
        *_search = search;
        _workers = (SearchWorker*)(_search + 1);
        float* floats = (float*)(_workers + pool.Threads);
        for (int i = 0; i < pool.Threads; i++, floats += depth)
            _workers[i] = new SearchWorker { Row = floats };
        _centre = floats;
        _queries = new(count, depth);
        _lists = new(search, pool.Threads, first, count);
        _centred = !_streams && search.Scorer.IsDistance && Centre.Find<TWide>(search.Data, _centre);
        if (_streams)
            PrepareStream();
        else
            PrepareTiles();
        SetThresholds();
    }

    private readonly float* CentreOrNull => _centred ? _centre : null;

    private readonly void PrepareTiles()
    {
        nint depth = _search->Queries.Columns;

        // Blocks of depth go on from each other's sums, so a sum is one chain of the whole depth.
        _queries.Prepare(*_search, _first, _count, CentreOrNull, SearchBounds.RelativeError(depth), _pool);
    }

    private readonly void PrepareStream()
    {
        float error = SearchBounds.RelativeError(RowKernels.SumTerms<TWide>(_search->Queries.Columns));
        SearchStream.Prepare<TWide>(*_search, _first, _count, error, _queries.Fixed, _queries.RadiusThreshold);
    }

    private readonly void SetThresholds()
    {
        for (nint i = 0; i < _count; i++)
        {
            for (int worker = 0; worker < _lists.Workers; worker++)
            {
                if (float.IsNaN(_queries.Fixed[i]))
                    _lists.List(worker, i)->RefuseBounds();
                else if (_search->Radius is not null)
                    _lists.List(worker, i)->Raise(_queries.RadiusThreshold[i]);
            }

            _lists.Shared[i] = float.NegativeInfinity;
        }
    }

    /// <summary>Shows a block of data. The memory may go afterwards.</summary>
    /// <param name="data">Rows.</param>
    /// <param name="norms">Their norms, or null.</param>
    /// <param name="firstId">The id of its first row.</param>
    public readonly void Add(in RowsView data, float* norms, nint firstId)
    {
        *_search = _search->WithData(data, firstId);
        if (data.Rows > 0)
        {
            if (_streams)
                Stream(norms);
            else if (_search->Metric == SimilarityMetric.Cosine)
                Multiply<Yes>(norms);
            else
                Multiply<No>(norms);
        }

        SettleBody settle = new(_search, _lists, _workers);
        _pool.For(_count, 8, ref settle);
    }

    private readonly void Stream(float* norms)
    {
        using SearchBytes<TWide> bytes = SearchBytes<TWide>.Fits(*_search) ? new(*_search, _first, _count) : new(*_search, _first, 0);
        SearchStreamBody<TWide> body = new(_search, _lists, _workers, _queries.Fixed, bytes, norms, _count);
        _pool.For(_search->Data.Rows, SearchStream.Grain(_search->Data, _pool.Threads), ref body);
    }

    private readonly void Multiply<TScaled>(float* norms)
        where TScaled : struct, IFlag
    {
        SearchPlan plan = SearchPlan.Create<TWide>(_search->Data, _count, _centred, _pool.Threads);
        using Scratch<byte> scratch = new(plan.WorkerBytes * _pool.Threads);
        SearchBody<TWide, TScaled> body = new(plan, _search, _lists, _workers, _queries, _count, norms, CentreOrNull, scratch.Pointer);
        _pool.For(body.Count, 1, ref body);
    }

    /// <summary>Writes the results of a top-k search.</summary>
    public readonly void Finish(MatrixView<long> ids, MatrixView<float> scores)
    {
        FinishBody body = new(_search, _lists, _first, ids, scores);
        _pool.For(_count, 64, ref body);
    }

    /// <summary>The hits of a range search by worker.</summary>
    public readonly ReadOnlySpan<SearchWorker> Workers => new(_workers, _pool.Threads);

    public readonly void Dispose()
    {
        for (int i = 0; i < _pool.Threads; i++)
            _workers[i].FreeHits();
        _lists.Dispose();
        _queries.Dispose();
        _own.Dispose();
    }

    /// <summary>Brings the workers' lists of each query together and decides what is left.</summary>
    private readonly struct SettleBody(SearchProblem* search, SearchLists lists, SearchWorker* workers) : IRangeBody
    {
        private readonly SearchLists _lists = lists;

        public void Invoke(int worker, nint start, nint end)
        {
            for (nint i = start; i < end; i++)
            {
                CandidateList* list = _lists.List(0, i);
                for (int other = 1; other < _lists.Workers; other++)
                    list->Merge(*search, workers + worker, ref *_lists.List(other, i));
                list->Settle(*search, workers + worker);
            }
        }
    }

    private readonly struct FinishBody(SearchProblem* search, SearchLists lists, nint first, MatrixView<long> ids, MatrixView<float> scores) : IRangeBody
    {
        private readonly SearchLists _lists = lists;
        private readonly MatrixView<long> _ids = ids;
        private readonly MatrixView<float> _scores = scores;

        public void Invoke(int worker, nint start, nint end)
        {
            for (nint i = start; i < end; i++)
                _lists.List(0, i)->Finish(*search, _ids.RowSpan(first + i), _scores.RowSpan(first + i));
        }
    }
}

/// <summary>Lists of candidates for a run's queries, one of each for each worker, and the thresholds they share.</summary>
internal readonly unsafe struct SearchLists : IDisposable
{
    private readonly Scratch<byte> _memory;
    private readonly CandidateList* _lists;
    private readonly nint _capacity;

    /// <param name="search">The search.</param>
    /// <param name="workers">Threads.</param>
    /// <param name="firstQuery">The run's first query.</param>
    /// <param name="capacity">The run's queries.</param>
    public SearchLists(in SearchProblem search, int workers, nint firstQuery, nint capacity)
    {
        Workers = workers;
        FirstQuery = firstQuery;
        _capacity = capacity;
        _memory = new(checked((CandidateList.Bytes(search) * workers * capacity) + (GemmBlocking.RoundUp(capacity, 64) * sizeof(float))));
        Shared = (float*)_memory.Pointer;
        _lists = (CandidateList*)(Shared + GemmBlocking.RoundUp(capacity, 64));
        Start(search);
    }

    public int Workers { get; }

    public nint FirstQuery { get; }

    /// <summary>For each query the highest threshold of any worker, now or a little while ago.</summary>
    public float* Shared { get; }

    public CandidateList* List(int worker, nint query) => _lists + (worker * _capacity) + query;

    private void Start(in SearchProblem search)
    {
        for (int worker = 0; worker < Workers; worker++)
        {
            for (nint i = 0; i < _capacity; i++)
                Start(search, worker, i, FirstQuery + i);
        }
    }

    /// <summary>Makes an empty list for row <paramref name="query"/> of the queries in place of a worker's list number <paramref name="place"/>.</summary>
    public void Start(in SearchProblem search, int worker, nint place, nint query)
    {
        nint all = Workers * _capacity, pending = search.Pending, kept = search.Kept;
        long* heapIds = (long*)(_lists + all);
        nint* rows = (nint*)(heapIds + (all * kept));
        float* bounds = (float*)(rows + (all * pending));
        float* heapScores = bounds + (all * ((2 * pending) + kept));
        nint list = (worker * _capacity) + place;
        _lists[list] = new CandidateList(
            search, query, rows + (list * pending), bounds + (list * ((2 * pending) + kept)), heapScores + (list * kept), heapIds + (list * kept));
    }

    public void Dispose() => _memory.Dispose();
}
