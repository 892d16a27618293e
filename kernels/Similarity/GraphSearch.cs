using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>The exact graph of a set.</summary>
internal static unsafe class GraphSearch
{
    // Fewer rows are searched faster than sorted.
    private const nint FewestTreeRows = 1024;

    // Pairs between two looks at the cancellation token: some hundredths of a second.
    private const nint BlockProducts = 1 << 31;

    private const nint FewestQueries = 64;
    private const nint MostQueries = 2048;

    public static void Run(
        MatrixView<float> data, int k, SimilarityMetric metric, in GraphTarget target, WorkerPool pool, Action<double>? progress, CancellationToken cancellationToken)
    {
        bool done = false;
        if (data.Rows >= FewestTreeRows && data.Rows <= int.MaxValue - GraphData.LeafRows && data.Columns > 0 && k <= data.Rows / 4)
        {
            GraphAction action = new(data, k, metric, target, pool, progress, cancellationToken);
            Isa.Dispatch(ref action);
            done = action.Done;
        }

        if (!done)
            ByBlocks(data, k, metric, target, pool, progress, cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();
    }

    // Searches of blocks of rows: for few rows, and for any that single precision does not carry.
    private static void ByBlocks(
        MatrixView<float> data, int k, SimilarityMetric metric, in GraphTarget target, WorkerPool pool, Action<double>? progress, CancellationToken cancellationToken)
    {
        nint n = data.Rows;
        nint block = Math.Clamp(BlockProducts * pool.Threads / Math.Max(data.Columns, 1) / n, FewestQueries, MostQueries);
        nint kept = (nint)Math.Min(k, n);
        using Scratch<long> ids = new(block * kept);
        using Scratch<float> scores = new(block * kept);
        for (nint first = 0; first < n; first += block)
        {
            nint count = Math.Min(block, n - first);
            SearchProblem search = new(data.Slice(first, count), data, kept, null, metric, ZeroVectorRule.ScoreZero, first, 0);
            MatrixView<long> foundIds = new(ids.Pointer, count, kept);
            MatrixView<float> foundScores = new(scores.Pointer, count, kept);
            TopKAction action = new(search, null, foundIds, foundScores, pool);
            Isa.Dispatch(ref action);
            for (nint i = 0; i < count; i++)
                target.Write(first + i, foundIds.RowSpan(i), foundScores.RowSpan(i), metric.IsDistance());
            cancellationToken.ThrowIfCancellationRequested();
            if (first + count < n)
                progress?.Invoke((double)(first + count) / n);
        }
    }

    private struct GraphAction(
        MatrixView<float> data, int k, SimilarityMetric metric, GraphTarget target, WorkerPool pool, Action<double>? progress, CancellationToken cancellationToken) : IWideAction
    {
        private readonly MatrixView<float> _data = data;
        private readonly GraphTarget _target = target;

        public bool Done { get; private set; }

        void IWideAction.Run<TWide>()
        {
            bool clean = GraphData.Prepare<TWide>(_data, metric, staged: true, pool, cancellationToken, out GraphData graph);
            try
            {
                if (!clean)
                    return;
                SearchProblem search = new(_data, _data, k, null, metric, ZeroVectorRule.ScoreZero, 0, 0);
                using GraphGroups<TWide> groups = new(search, graph, _target, pool.Threads, progress, cancellationToken);
                GraphBody<TWide> body = new(groups);
                pool.For(groups.Count, 1, ref body);
                Done = true;
            }
            finally
            {
                graph.Dispose();
            }
        }
    }

    private readonly struct GraphBody<TWide>(GraphGroups<TWide> groups) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        public void Invoke(int worker, nint start, nint end)
        {
            for (nint group = start; group < end; group++)
                groups.Run(worker, group);
        }
    }
}

/// <summary>
/// The groups of queries of a graph search: each meets the leaves of the set in the order of their distance, so that its
/// thresholds are near their last values after a few leaves, and most tiles after these end with the first stage.
/// </summary>
/// <remarks>
/// A pair of rows is looked at twice, once from each side. Looking once, for both, would halve the arithmetic, but all rows'
/// lists would be open all the time: hundreds of megabytes that candidates come to in any order.
/// </remarks>
internal sealed unsafe class GraphGroups<TWide> : IDisposable
    where TWide : unmanaged, IWide<TWide>
{
    /// <summary>Leaves of queries in a group: one pass over the set serves them all.</summary>
    private const int GroupLeaves = 2;

    private const int GroupRows = GroupLeaves * GraphData.LeafRows;

    // Where more of the tiles go on after the first stage its tests are left out for some leaves.
    private const double MostGoneOn = 0.9;
    private const int LeavesWithoutTests = 4;

    // More than the roundings of distances between centres.
    private const float BoundSlack = 1e-5f;

    private readonly GraphData _graph;
    private readonly GraphTarget _target;
    private readonly Action<double>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly SearchLists _lists;
    private readonly Scratch<byte> _memory;
    private readonly nint _workerBytes;
    private readonly SearchProblem* _search;
    private readonly float _error;
    private long _done;
    private double _told;

    public GraphGroups(in SearchProblem search, in GraphData graph, in GraphTarget target, int threads, Action<double>? progress, CancellationToken cancellation)
    {
        _graph = graph;
        _target = target;
        _progress = progress;
        _cancellation = cancellation;
        _lists = new(search, threads, 0, GroupRows);
        _error = SearchBounds.RelativeError(graph.Columns);
        _workerBytes = Memory.Bytes(graph, search.Kept);
        _memory = new(sizeof(SearchProblem) + 64 + (threads * _workerBytes));
        _search = (SearchProblem*)(_memory.Pointer + (threads * _workerBytes));
        *_search = search;
    }

    public nint Count => GemmBlocking.Panels(_graph.Leaves, GroupLeaves);

    public void Dispose()
    {
        _lists.Dispose();
        _memory.Dispose();
    }

    public void Run(int worker, nint group)
    {
        if (_cancellation.IsCancellationRequested)
            return;
        Memory memory = new(_graph, _search->Kept, _memory.Pointer + (worker * _workerBytes));
        nint first = group * GroupRows;
        int queries = (int)Math.Min(GroupRows, _graph.Rows - first);
        GraphJob* job = memory.Job;
        Begin(memory, worker, first, queries);
        Group about = Middle(memory, group, first, queries);
        nint visited = First(memory, queries);
        Visit(memory, about, queries, visited);
        if (_cancellation.IsCancellationRequested)
            return;
        Finish(memory, first, queries, job);
        long done = Interlocked.Increment(ref _done);

        // Worker 0 is the caller.
        double share = (double)done / Count;
        if (worker == 0 && _progress is not null && done < Count && share >= _told + 0.01)
        {
            _told = share;
            _progress(share);
        }
    }

    private void Begin(in Memory memory, int worker, nint first, int queries)
    {
        GraphJob* job = memory.Job;
        job->Search = _search;
        job->Worker = memory.Worker;
        job->Lists = _lists.List(worker, 0);
        job->Thresholds = memory.Thresholds;
        job->Cuts = memory.Cuts;
        job->Widths = memory.Widths;
        for (int i = 0; i < queries; i++)
        {
            _lists.Start(*_search, worker, i, _graph.Order[first + i]);
            float square = _graph.Squares[first + i];
            (memory.Fixed[i], memory.PerNorm[i]) = _graph.Metric switch
            {
                SimilarityMetric.Dot => (0f, _error * MathF.Max(MathF.Sqrt(square), SafeRange.SmallestNorm)),
                SimilarityMetric.Cosine => (_error, 0f),
                _ => (_error * square / 2, _error),
            };
            memory.Squares[i] = square;
            memory.Thresholds[i] = float.NegativeInfinity;
        }

        // Columns past the last query: no row passes, and no leaf is wanted for them.
        for (int i = queries; i < GroupRows; i++)
            (memory.Fixed[i], memory.PerNorm[i], memory.Squares[i], memory.Thresholds[i]) = (0, 0, 0, float.PositiveInfinity);
        float* panels = memory.Panels;
        for (int s = 0; s < _graph.Stages.Count; s++)
        {
            nint width = _graph.Stages.Width(s);
            int columns = WideTile.Columns<TWide>();
            GemmOperand rows = GemmOperand.OfRows(new MatrixView<float>(_graph.StageRows(s) + (first * width), queries, width));
            GemmPack.Pack(rows, columns, 0, GemmBlocking.Panels(queries, columns), panels);
            job->Panels[s] = (long)panels;
            job->QueryRests[s] = (long)(_graph.Rests(s) + first);
            panels += GroupRows * width;
        }

        _graph.CopyRows(first, queries, memory.Rows);
        MatrixView<float> centres = new(_graph.Centres, _graph.Leaves, _graph.Columns), products = new(memory.Products, _graph.Leaves, queries, GroupRows);
        Gemm.Multiply(1f, centres, false, new MatrixView<float>(memory.Rows, queries, _graph.Columns), true, 0f, products, WorkerPool.Serial);
    }

    // The group's centre, radius and longest row, and the leaves in the order of their centres' closeness to it.
    private Group Middle(in Memory memory, nint group, nint first, int queries)
    {
        nint d = _graph.Columns, leaf = group * GroupLeaves;
        int leaves = (int)Math.Min(GroupLeaves, _graph.Leaves - leaf);
        new Span<float>(memory.Centre, (int)d).Clear();
        for (int i = 0; i < leaves; i++)
        {
            for (nint j = 0; j < d; j++)
                memory.Centre[j] += _graph.Centres[((leaf + i) * d) + j] / leaves;
        }

        float radius = 0, longest = 0;
        for (int i = 0; i < leaves; i++)
        {
            float apart = RowKernels.One<TWide, Float32Element, SquaredDifferenceSum>(memory.Centre, (byte*)(_graph.Centres + ((leaf + i) * d)), d);
            radius = MathF.Max(radius, (1.0001f * MathF.Sqrt(apart)) + _graph.Radii[leaf + i]);
        }

        for (int i = 0; i < queries; i++)
            longest = MathF.Max(longest, memory.Squares[i]);
        RowKernels.Many<TWide, Float32Element, ProductSum, No>(
            memory.Centre, (byte*)_graph.Centres, d * sizeof(float), _graph.Leaves, d, memory.Dots, memory.Dots);
        bool distance = _graph.IsDistance;
        for (nint i = 0; i < _graph.Leaves; i++)
        {
            float far = (distance ? _graph.CentreSquares[i] / 2 : 0f) - memory.Dots[i];
            uint bits = BitConverter.SingleToUInt32Bits(far);
            bits = (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
            memory.Visits[i] = ((ulong)bits << 32) | (uint)i;
        }

        // Its own leaves are the nearest but for ties, where they shall come first, too: they fill the lists.
        for (int i = 0; i < leaves; i++)
            memory.Visits[leaf + i] = (ulong)i << 32 | (uint)(leaf + i);
        new Span<ulong>(memory.Visits, checked((int)_graph.Leaves)).Sort();
        return new(RowKernels.SquaredNorm<TWide>(memory.Centre, d), radius, 1.0001f * MathF.Sqrt(longest));
    }

    /// <summary>
    /// The nearest leaves, all of whose rows would pass: their scores are computed as a matrix, and each query's threshold is
    /// found from all of them at once.
    /// </summary>
    /// <returns>The leaves done, 0 where there are not enough rows to find thresholds.</returns>
    private nint First(in Memory memory, int queries)
    {
        nint leaves = FirstLeaves(_graph, _search->Kept), d = _graph.Columns, rows = 0;
        float largest = 0;
        for (nint visit = 0; visit < leaves; visit++)
        {
            nint leaf = (nint)(uint)memory.Visits[visit], first = leaf * GraphData.LeafRows;
            int count = _graph.LeafCount(leaf);
            _graph.CopyRows(first, count, memory.Near + (rows * d));
            for (int i = 0; i < count; i++)
                (memory.NearStarts[rows + i], memory.NearOrder[rows + i]) = (_graph.Starts[first + i], _graph.Order[first + i]);
            rows += count;
            largest = MathF.Max(largest, _graph.Largest[leaf]);
        }

        if (rows < 2 * _search->Kept)
            return 0;
        MatrixView<float> products = new(memory.NearProducts, queries, rows);
        ReadOnlySpan<float> starts = new(memory.NearStarts, (int)rows);
        Gemm.Multiply(
            1f,
            new MatrixView<float>(memory.Rows, queries, d),
            false,
            new MatrixView<float>(memory.Near, rows, d),
            true,
            starts,
            GemmActivation.None,
            products,
            WorkerPool.Serial);
        GraphJob* job = memory.Job;
        for (int i = 0; i < queries; i++)
        {
            CandidateList* list = job->Lists + i;
            list->AddMany(*_search, job->Worker, memory.NearOrder, products.Row(i), rows, memory.Fixed[i] + (memory.PerNorm[i] * largest));
            memory.Thresholds[i] = list->Threshold;
        }

        return leaves;
    }

    // Four times the rows that are wanted make a good threshold.
    private static nint FirstLeaves(in GraphData graph, nint kept) =>
        Math.Min(graph.Leaves, Math.Clamp(GemmBlocking.Panels(4 * kept, GraphData.LeafRows), 4, 32));

    private void Visit(in Memory memory, Group group, int queries, nint visited)
    {
        GraphJob* job = memory.Job;
        GraphStages stages = _graph.Stages;
        nint panels = GemmBlocking.Panels(queries, WideTile.Columns<TWide>());
        int width = stages.Width(0), withoutTests = 0;
        float wanted = _graph.IsDistance ? float.PositiveInfinity : float.NegativeInfinity; // all leaves are
        GraphTiles<No> epilogue = new(job, stages, 0, null);
        for (nint visit = visited; visit < _graph.Leaves; visit++)
        {
            nint leaf = (nint)(uint)memory.Visits[visit];
            if (IsOut(group, memory, leaf, wanted))
                continue;
            if (_cancellation.IsCancellationRequested)
                return;
            wanted = Cuts(memory, _graph.Largest[leaf]);
            if (!Reached(memory, leaf, panels))
                continue;
            nint first = leaf * GraphData.LeafRows;
            for (int s = 0; s < stages.Count; s++)
            {
                job->Rows[s] = (long)(_graph.StageRows(s) + (first * stages.Width(s)));
                job->Rests[s] = (long)(_graph.Rests(s) + first);
            }

            job->Starts = _graph.Starts + first;
            job->Order = _graph.Order + first;
            job->Tests = withoutTests == 0;
            job->GoneOn = 0;
            GemmPanels rows = new((float*)job->Rows[0], WideTile.Rows<TWide>() * width, width);
            nint tiles = 0;
            for (nint panel = 0; panel < panels; panel++)
            {
                if (memory.Reached[panel] == 0)
                    continue;
                GemmPanels columns = new((float*)job->Panels[0] + (panel * WideTile.Columns<TWide>() * width), 0, WideTile.Columns<TWide>());
                GemmBlock.Multiply<TWide, WideTile, PlainTileRows, GraphTiles<No>>(
                    rows, columns, width, GraphData.LeafRows, WideTile.Columns<TWide>(), 0, panel * WideTile.Columns<TWide>(), ref epilogue);
                tiles += GraphData.LeafRows / WideTile.Rows<TWide>();
            }

            if (withoutTests > 0)
                withoutTests--;
            else if (job->GoneOn > MostGoneOn * tiles)
                withoutTests = LeavesWithoutTests;
        }
    }

    /// <summary>
    /// Whether no row of a leaf can be among the neighbours of any of the group's queries, by the triangle inequality, or
    /// that of Cauchy and Schwarz.
    /// </summary>
    private bool IsOut(in Group group, in Memory memory, nint leaf, float wanted)
    {
        float dot = memory.Dots[leaf], radius = _graph.Radii[leaf], square = _graph.CentreSquares[leaf], slack = BoundSlack * (group.Square + square);
        if (_graph.IsDistance)
        {
            float apart = MathF.Sqrt(MathF.Max(0f, group.Square + square - (2 * dot) - slack)) - ((1 + BoundSlack) * (group.Radius + radius));
            return apart > 0 && apart * apart > wanted + (2 * _error * _graph.Largest[leaf]) + (BoundSlack * MathF.Abs(wanted));
        }

        float best = dot + slack + (1.0001f * ((group.Radius * MathF.Sqrt(square)) + (group.Longest * radius)));
        float perNorm = _graph.Metric == SimilarityMetric.Dot ? _error * MathF.Max(group.Longest, SafeRange.SmallestNorm) * _graph.Largest[leaf] : 0f;
        return best + perNorm < wanted;
    }

    /// <summary>
    /// The same for each query by its own distance to the leaf's centre; finds the panels of queries of which one at least
    /// may have a neighbour there.
    /// </summary>
    /// <returns>Whether there are any.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool Reached(in Memory memory, nint leaf, nint panels)
    {
        int vectors = WideTile.Columns<TWide>() / TWide.Lanes;
        float square = _graph.CentreSquares[leaf], radius = _graph.Radii[leaf] * (1 + BoundSlack);
        float* products = memory.Products + (leaf * GroupRows);
        TWide squares = TWide.Broadcast(square), radii = TWide.Broadcast(radius), zero = TWide.Zero;
        TWide two = TWide.Broadcast(2f), slack = TWide.Broadcast(BoundSlack);
        bool distance = _graph.IsDistance, any = false;
        for (nint panel = 0; panel < panels; panel++)
        {
            uint reached = 0;
            for (int v = 0; v < vectors; v++, products += TWide.Lanes)
            {
                nint i = (panel * WideTile.Columns<TWide>()) + (v * TWide.Lanes);
                TWide cut = TWide.Load(memory.Cuts + i), own = TWide.Load(memory.Squares + i), both = own + squares, product = TWide.Load(products);
                if (distance)
                {
                    // (|q - c|^2 less its rounding) against (radius + distance that is still wanted)^2.
                    TWide apart = TWide.NegatedMultiplyAdd(slack, both, TWide.NegatedMultiplyAdd(two, product, both));
                    TWide wanted = TWide.NegatedMultiplyAdd(two, cut, own);
                    TWide reach = radii + TWide.Sqrt(TWide.Max(TWide.MultiplyAdd(slack, own, wanted), zero));
                    reached |= TWide.GreaterThan(reach * reach, apart);
                }
                else
                {
                    TWide most = TWide.MultiplyAdd(radii, TWide.Sqrt(own), TWide.MultiplyAdd(slack, both, product));
                    reached |= TWide.GreaterThan(TWide.MultiplyAdd(slack, both, most), cut);
                }
            }

            memory.Reached[panel] = reached == 0 ? (byte)0 : (byte)1;
            any |= reached != 0;
        }

        return any;
    }

    /// <summary>
    /// The cuts for a leaf, and what leaves are out by: for distances the largest squared distance that is still wanted, else
    /// the smallest product.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private float Cuts(in Memory memory, float largest)
    {
        bool distance = _graph.IsDistance;
        TWide norm = TWide.Broadcast(largest), two = TWide.Broadcast(2f), none = TWide.Zero;
        TWide wanted = TWide.Broadcast(float.NegativeInfinity);
        for (nint i = 0; i < GroupRows; i += TWide.Lanes)
        {
            TWide constant = TWide.Load(memory.Fixed + i), threshold = TWide.Load(memory.Thresholds + i);
            TWide width = TWide.MultiplyAdd(TWide.Load(memory.PerNorm + i), norm, constant);
            TWide.Store(memory.Widths + i, width);
            TWide.Store(memory.Cuts + i, threshold - width);
            TWide least = threshold - constant;
            wanted = TWide.Max(distance ? TWide.NegatedMultiplyAdd(two, least, TWide.Load(memory.Squares + i)) : none - least, wanted);
        }

        float* lanes = stackalloc float[TWide.Lanes];
        TWide.Store(lanes, wanted);
        float most = lanes[0];
        for (int lane = 1; lane < TWide.Lanes; lane++)
            most = MathF.Max(most, lanes[lane]);
        return distance ? most : -most;
    }

    private void Finish(in Memory memory, nint first, int queries, GraphJob* job)
    {
        int kept = (int)_search->Kept;
        Span<long> ids = new(memory.Ids, kept);
        Span<float> scores = new(memory.Scores, kept);
        for (int i = 0; i < queries; i++)
        {
            CandidateList* list = job->Lists + i;
            list->Settle(*_search, job->Worker);
            list->Finish(*_search, ids, scores);
            _target.Write(_graph.Order[first + i], ids, scores, _graph.IsDistance);
        }
    }

    private readonly record struct Group(float Square, float Radius, float Longest);

    /// <summary>What a worker has to itself.</summary>
    private readonly ref struct Memory
    {
        public Memory(in GraphData graph, nint kept, byte* memory)
        {
            Job = (GraphJob*)memory;
            Worker = (SearchWorker*)(memory + GemmBlocking.RoundUp(sizeof(GraphJob) + GroupRows, 64));
            float* next = (float*)(memory + GemmBlocking.RoundUp(sizeof(GraphJob) + GroupRows, 64) + 64);
            Fixed = next;
            PerNorm = next += GroupRows;
            Squares = next += GroupRows;
            Thresholds = next += GroupRows;
            Cuts = next += GroupRows;
            Widths = next += GroupRows;
            Panels = next += GroupRows;
            Rows = next += GroupRows * graph.Columns;
            Products = next += GroupRows * graph.Columns;
            Near = next += GroupRows * graph.Leaves;
            nint near = FirstLeaves(graph, kept) * GraphData.LeafRows;
            NearStarts = next += near * graph.Columns;
            NearOrder = (int*)(next += near);
            NearProducts = next += near;
            Centre = next += near * GroupRows;
            Dots = next += GemmBlocking.RoundUp(graph.Columns, 16);
            Scores = next += GemmBlocking.RoundUp(graph.Leaves, 16);
            Ids = (long*)(next += GemmBlocking.RoundUp(kept, 16));
            Reached = (byte*)(Job + 1);
            Visits = (ulong*)(Ids + GemmBlocking.RoundUp(kept, 16));
        }

        public GraphJob* Job { get; }

        public SearchWorker* Worker { get; }

        public float* Fixed { get; }

        public float* PerNorm { get; }

        public float* Squares { get; }

        public float* Thresholds { get; }

        public float* Cuts { get; }

        public float* Widths { get; }

        public float* Panels { get; }

        public float* Rows { get; }

        public float* Products { get; }

        public float* Near { get; }

        public float* NearStarts { get; }

        public int* NearOrder { get; }

        public float* NearProducts { get; }

        public byte* Reached { get; }

        public float* Centre { get; }

        public float* Dots { get; }

        public float* Scores { get; }

        public long* Ids { get; }

        public ulong* Visits { get; }

        public static nint Bytes(in GraphData graph, nint kept)
        {
            nint near = FirstLeaves(graph, kept) * GraphData.LeafRows * (graph.Columns + GroupRows + 2);
            nint floats = near + (GroupRows * ((2 * graph.Columns) + graph.Leaves + 6)) + GemmBlocking.RoundUp(graph.Columns, 16) + GemmBlocking.RoundUp(graph.Leaves, 16) + GemmBlocking.RoundUp(kept, 16);
            nint longs = GemmBlocking.RoundUp(kept, 16) + GemmBlocking.RoundUp(graph.Leaves, 16);
            return GemmBlocking.RoundUp(sizeof(GraphJob) + GroupRows, 64) + 64 + (floats * sizeof(float)) + (longs * sizeof(long)) + 128;
        }
    }
}
