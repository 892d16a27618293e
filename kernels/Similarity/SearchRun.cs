using System.Runtime.CompilerServices;

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
        _lists.Start(*_search);
        _centred = !_streams && search.Scorer.IsDistance && Centre.Find<TWide>(search.Data, _centre);
        if (_streams)
            PrepareStream();
        else
            PrepareTiles();
    }

    private readonly float* CentreOrNull => _centred ? _centre : null;

    private readonly void PrepareTiles()
    {
        nint depth = _search->Queries.Columns;

        // Blocks of depth go on from each other's sums, so a sum is one chain of the whole depth.
        _queries.Prepare(*_search, _first, _count, CentreOrNull, SearchBounds.RelativeError(depth), _pool);
        SetThresholds();
    }

    private readonly void PrepareStream()
    {
        float error = SearchBounds.RelativeError(RowKernels.SumTerms<TWide>(_search->Queries.Columns));
        SearchStream.Prepare<TWide>(*_search, _first, _count, error, _queries.Fixed, _queries.RadiusThreshold);
        SetThresholds();
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
    }

    public int Workers { get; }

    public nint FirstQuery { get; }

    /// <summary>For each query the highest threshold of any worker, now or a little while ago.</summary>
    public float* Shared { get; }

    public CandidateList* List(int worker, nint query) => _lists + (worker * _capacity) + query;

    /// <summary>Empties the lists.</summary>
    public void Start(in SearchProblem search)
    {
        nint all = Workers * _capacity, pending = search.Pending, kept = search.Kept;
        long* heapIds = (long*)(_lists + all);
        nint* rows = (nint*)(heapIds + (all * kept));
        float* bounds = (float*)(rows + (all * pending));
        float* heapScores = bounds + (all * ((2 * pending) + kept));
        for (int worker = 0; worker < Workers; worker++)
        {
            for (nint i = 0; i < _capacity; i++)
            {
                nint list = (worker * _capacity) + i;
                _lists[list] = new CandidateList(
                    search, FirstQuery + i, rows + (list * pending), bounds + (list * ((2 * pending) + kept)), heapScores + (list * kept), heapIds + (list * kept));
            }
        }
    }

    public void Dispose() => _memory.Dispose();
}

/// <summary>How a block of data is cut for the tile path.</summary>
/// <param name="BlockRows">Rows whose tiles are computed at one go, from L2.</param>
/// <param name="GroupColumns">Queries that meet a block of rows at one go; a multiple of the wide tile.</param>
/// <param name="JobRows">Rows of a job; a multiple of BlockRows.</param>
/// <param name="Copies">Rows are copied to floats: they are stored otherwise, or have their centre taken off.</param>
/// <param name="WorkerBytes">Scratch memory of each worker.</param>
internal readonly record struct SearchPlan(nint BlockRows, nint GroupColumns, nint JobRows, bool Copies, nint WorkerBytes)
{
    /// <summary>
    /// How far ahead of their use rows are fetched into L2: the time of a few dozen tiles, far longer than memory takes.
    /// </summary>
    public const nint AheadBytes = 96 << 10;

    /// <summary>Places past a block's last row in the terms of its rows: a tile's rows, or a vector's lanes.</summary>
    public const int RowTermPadding = 16;

    // A block of rows and a group's packed queries share L2 with the sums between blocks of depth.
    private const int ShareOfL2 = 4;

    // With a panel or two of queries a block goes to L1 beside them: its norms are taken first, and leave it there.
    private const int FewPanels = 2;
    private const int ShareOfL1 = 3;

    private const int MostGroupColumns = 512;

    // Rows of a job: enough that its end costs nothing, few enough that all threads end together.
    private const nint JobFlops = 1 << 25;

    public static SearchPlan Create<TWide>(in RowsView data, nint queries, bool centred, int threads)
        where TWide : unmanaged, IWide<TWide>
    {
        nint depth = Math.Max(data.Columns, 1), blockDepth = Math.Min(depth, GemmBlocking.Depth);
        bool few = queries <= FewPanels * WideTile.Columns<TWide>();
        nint cache = few ? CacheSizes.L1 / ShareOfL1 : CacheSizes.L2 / ShareOfL2;
        nint blockRows = Math.Clamp(cache / (sizeof(float) * depth) / 12 * 12, 12, 384);
        nint groups = GemmBlocking.Panels(queries, MostGroupColumns);
        if (threads > 1 && data.Rows < threads * 4 * blockRows)
            groups = Math.Max(groups, 4 * threads); // so few rows that queries have to be shared out
        int wide = WideTile.Columns<TWide>();
        nint group = Math.Max(GemmBlocking.RoundUp(GemmBlocking.Panels(queries, groups), wide), wide);
        bool copies = data.Type != ElementType.Float32 || centred;
        nint jobRows = GemmBlocking.RoundUp(Math.Max(JobFlops / (2 * depth * group), 1), blockRows);
        jobRows = Math.Min(jobRows, GemmBlocking.RoundUp(GemmBlocking.Panels(data.Rows, 8 * threads), blockRows));
        nint floats = (copies ? blockRows : 12) * depth; // at the data's end at least one tile is copied
        floats += depth > blockDepth ? (blockRows + 12) * group : 0;
        floats += (3 * (blockRows + RowTermPadding)) + (2 * group) + 64;
        return new(blockRows, group, jobRows, copies, GemmBlocking.RoundUp(floats, 16) * sizeof(float));
    }
}

/// <summary>Jobs of the tile path: a range of rows and a group of queries each.</summary>
internal readonly unsafe struct SearchBody<TWide, TScaled>(
    SearchPlan plan, SearchProblem* search, SearchLists lists, SearchWorker* workers, SearchQueries<TWide> queries, nint count, float* norms, float* centre, byte* scratch)
    : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TScaled : struct, IFlag
{
    private readonly SearchPlan _plan = plan;
    private readonly SearchLists _lists = lists;
    private readonly SearchQueries<TWide> _queries = queries;

    public nint Count => GemmBlocking.Panels(search->Data.Rows, _plan.JobRows) * Groups;

    private nint Groups => GemmBlocking.Panels(count, _plan.GroupColumns);

    public void Invoke(int worker, nint start, nint end)
    {
        nint depth = search->Data.Columns;
        float* copies = (float*)(scratch + (worker * _plan.WorkerBytes));
        float* starts = copies + ((_plan.Copies ? _plan.BlockRows : 12) * depth);
        float* scales = starts + _plan.BlockRows + SearchPlan.RowTermPadding;
        float* squares = scales + _plan.BlockRows + SearchPlan.RowTermPadding;
        float* cuts = squares + _plan.BlockRows + SearchPlan.RowTermPadding;
        float* widths = cuts + _plan.GroupColumns;
        float* sums = widths + _plan.GroupColumns;
        for (nint job = start; job < end; job++)
        {
            nint group = job % Groups * _plan.GroupColumns;
            nint columns = Math.Min(_plan.GroupColumns, count - group);
            nint first = job / Groups * _plan.JobRows;
            nint last = Math.Min(first + _plan.JobRows, search->Data.Rows);
            float largestNorm = float.NegativeInfinity;
            bool queriesBounded = true;
            for (nint row = first; row < last; row += _plan.BlockRows)
            {
                nint rows = Math.Min(_plan.BlockRows, last - row);
                SearchBlock block = Block(row, rows, copies, starts, scales, squares);

                // The bounds of a block hold for any with shorter rows; the lists raise the cuts as they fill.
                if (block.LargestNorm > largestNorm)
                {
                    largestNorm = block.LargestNorm;
                    queriesBounded = Cuts(worker, group, columns, largestNorm, cuts, widths);
                }

                bool allBounded = queriesBounded && block.AllBounded;
                Multiply(worker, block, group, columns, cuts, widths, sums, copies);
                if (!allBounded)
                    Exact(worker, block, group, columns);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private SearchBlock Block(nint first, nint count, float* copies, float* starts, float* scales, float* squares)
    {
        nint depth = search->Data.Columns;
        float* rows = copies;
        nint stride = depth;
        if (_plan.Copies)
        {
            RowElements.ToFloats<TWide>(search->Data, first, count, centre, scaled: true, copies);
        }
        else
        {
            rows = (float*)search->Data.Row(first);
            stride = search->Data.StrideBytes / sizeof(float);
        }

        // Given norms are of the rows as they stand.
        if (norms is null || centre is not null)
        {
            RowKernels.Many<TWide, Float32Element, SquareSum, No>(rows, (byte*)rows, stride * sizeof(float), count, depth, squares, squares);
        }
        else
        {
            for (nint i = 0; i < count; i++)
                squares[i] = norms[first + i] * norms[first + i];
        }

        bool distance = search->Scorer.IsDistance;
        float largest = Terms(distance, count, squares, starts, scales, out bool all);
        if (TScaled.Value)
        {
            for (nint i = 0; i < count; i++)
            {
                if (squares[i] < SafeRange.SmallestSquare)
                {
                    (starts[i], scales[i]) = (Small(rows + (i * stride)), 1);
                    all &= !float.IsNaN(starts[i]);
                }
            }
        }

        for (nint i = count; i < count + 12; i++)
            (starts[i], scales[i]) = (0, 1); // a tile that reaches past the end
        return new((nint)rows, stride, first, count, (nint)starts, (nint)scales, distance ? largest : MathF.Sqrt(largest), all);
    }

    /// <summary>The rows' terms from their squared norms, and the largest of these that single precision carries.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Terms(bool distance, nint count, float* squares, float* starts, float* scales, out bool all)
    {
        TWide limit = TWide.Broadcast(SafeRange.LargestSquare), none = TWide.Broadcast(float.NaN);
        TWide factor = TWide.Broadcast(distance ? -0.5f : 0f), largest = TWide.Zero, broken = TWide.Zero;
        for (nint i = count; i < GemmBlocking.RoundUp(count, TWide.Lanes); i++)
            squares[i] = 0;
        for (nint i = 0; i < count; i += TWide.Lanes)
        {
            TWide square = TWide.Load(squares + i);
            TWide start = TWide.SelectLess(limit, square, none, square * factor);
            TWide.Store(starts + i, start);
            TWide.Store(scales + i, TScaled.Value ? TWide.Sqrt(square) : TWide.Broadcast(1f));
            largest = TWide.Max(TWide.SelectLess(limit, square, TWide.Zero, square), largest); // in this order NaN is left out
            broken += start * TWide.Zero;
        }

        float most = 0;
        float* lanes = stackalloc float[TWide.Lanes];
        TWide.Store(lanes, largest);
        for (int lane = 0; lane < TWide.Lanes; lane++)
            most = Math.Max(most, lanes[lane]);
        all = !float.IsNaN(TWide.Sum(broken));
        return most;
    }

    // A row too short for its cosine: the zero vector's products are all 0, as its cosine is, if it has one.
    private float Small(float* row) =>
        search->ZeroVectors == ZeroVectorRule.ScoreZero && !new ReadOnlySpan<float>(row, checked((int)search->Data.Columns)).ContainsAnyExcept(0f) ? 0f : float.NaN;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool Cuts(int worker, nint group, nint columns, float largestNorm, float* cuts, float* widths)
    {
        bool all = true;
        for (nint j = 0; j < columns; j++)
        {
            CandidateList* list = _lists.List(worker, group + j);
            if (_lists.Workers > 1)
                list->Raise(Volatile.Read(ref _lists.Shared[group + j]));
            float width = _queries.Fixed[group + j] + (_queries.PerNorm[group + j] * largestNorm);
            widths[j] = width;
            cuts[j] = list->Threshold - width;
            all &= !float.IsNaN(width);
        }

        for (nint j = columns; j < _plan.GroupColumns; j++)
            cuts[j] = float.PositiveInfinity;
        return all;
    }

    private void Multiply(int worker, in SearchBlock block, nint group, nint columns, float* cuts, float* widths, float* sums, float* copies)
    {
        nint wide = Math.Clamp(SearchQueries<TWide>.WideColumns(count) - group, 0, columns);
        if (wide > 0)
            Shape<WideTile>(worker, block, group, 0, wide, cuts, widths, sums, copies);
        if (columns > wide)
            Shape<NarrowTile>(worker, block, group, wide, columns - wide, cuts, widths, sums, copies);
    }

    private void Shape<TShape>(int worker, in SearchBlock block, nint group, nint column, nint columns, float* cuts, float* widths, float* sums, float* copies)
        where TShape : struct, ITileShape
    {
        // The last rows of the data may be fewer than a tile's, which would read past their end: these are copied.
        int tileRows = TShape.Rows<TWide>();
        nint whole = block.First + block.Count == search->Data.Rows || _plan.Copies ? block.Count / tileRows * tileRows : block.Count;
        if (whole > 0)
            Tiles<TShape>(worker, block, 0, whole, group, column, columns, cuts, widths, sums);
        if (whole == block.Count)
            return;
        float* tail = copies + (_plan.Copies ? whole * block.Stride : 0);
        nint depth = search->Data.Columns;
        if (!_plan.Copies)
        {
            for (nint i = whole; i < block.Count; i++)
                Buffer.MemoryCopy((float*)block.Rows + (i * block.Stride), tail + ((i - whole) * depth), depth * sizeof(float), depth * sizeof(float));
        }

        SearchBlock rest = block with
        {
            Rows = (nint)tail,
            Stride = depth,
            First = block.First + whole,
            Count = block.Count - whole,
            Starts = block.Starts + (whole * sizeof(float)),
            Scales = block.Scales + (whole * sizeof(float)),
        };
        Tiles<TShape>(worker, rest, 0, rest.Count, group, column, columns, cuts, widths, sums);
    }

    private void Tiles<TShape>(int worker, in SearchBlock block, nint row, nint rows, nint group, nint column, nint columns, float* cuts, float* widths, float* sums)
        where TShape : struct, ITileShape
    {
        nint depth = search->Data.Columns;
        nint k = 0;

        // Columns past the last query are zeros that no cut lets through, so that all tiles are whole.
        columns = GemmBlocking.RoundUp(columns, TShape.Columns<TWide>());
        GemmPanels panels = new((float*)block.Rows, TShape.Rows<TWide>() * block.Stride, block.Stride);
        GemmPanels Queries(nint k, nint blockDepth, in SearchQueries<TWide> queries) => queries.Panels(k, blockDepth, group + column, TShape.Columns<TWide>());
        for (; k + GemmBlocking.Depth < depth; k += GemmBlocking.Depth)
        {
            GemmPanels columnPanels = Queries(k, GemmBlocking.Depth, _queries);
            if (k == 0)
            {
                SearchSums<No> keep = new(sums, (float*)block.Starts);
                GemmBlock.Multiply<TWide, TShape, PlainTileRows, SearchSums<No>>(panels, columnPanels, GemmBlocking.Depth, rows, columns, row, column, ref keep);
            }
            else
            {
                SearchSums<Yes> keep = new(sums, (float*)block.Starts);
                GemmBlock.Multiply<TWide, TShape, PlainTileRows, SearchSums<Yes>>(panels.At(k), columnPanels, GemmBlocking.Depth, rows, columns, row, column, ref keep);
            }
        }

        if (k == 0)
            Last<TShape, No>(worker, block, panels, Queries(0, depth, _queries), depth, row, rows, group, column, columns, cuts, widths, sums);
        else
            Last<TShape, Yes>(worker, block, panels.At(k), Queries(k, depth - k, _queries), depth - k, row, rows, group, column, columns, cuts, widths, sums);
    }

    private void Last<TShape, TContinues>(
        int worker, in SearchBlock block, in GemmPanels panels, in GemmPanels columnPanels, nint depth, nint row, nint rows, nint group, nint column, nint columns, float* cuts, float* widths, float* sums)
        where TShape : struct, ITileShape
        where TContinues : struct, IFlag
    {
        nint ahead = _plan.Copies ? 0 : SearchPlan.AheadBytes;
        SearchTiles<TScaled, TContinues> tiles = new(
            search, workers + worker, _lists.List(worker, group), _lists.Shared + group, cuts, widths, block, sums, ahead);
        GemmBlock.Multiply<TWide, TShape, PlainTileRows, SearchTiles<TScaled, TContinues>>(panels, columnPanels, depth, rows, columns, row, column, ref tiles);
    }

    // Pairs with a row or a query that single precision cannot carry: usually none.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Exact(int worker, in SearchBlock block, nint group, nint columns)
    {
        for (nint i = 0; i < block.Count; i++)
        {
            bool bounded = !float.IsNaN(((float*)block.Starts)[i]);
            for (nint j = 0; j < columns; j++)
            {
                if (!bounded || float.IsNaN(_queries.Fixed[group + j]))
                    _lists.List(worker, group + j)->AddExact(*search, workers + worker, block.First + i);
            }
        }
    }
}
