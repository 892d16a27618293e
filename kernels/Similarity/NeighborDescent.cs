using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>How the approximate graph of a set is looked for.</summary>
internal readonly record struct DescentPlan(int Trees, int Samples, int Iterations, double Delta, long Seed);

/// <summary>
/// NN-descent (Dong, Moses and Li, WWW 2011): a graph of near neighbours gets better by comparing each row with the
/// neighbours of its neighbours, in either direction, until few entries change. It starts from random-projection trees, as
/// PyNNDescent does.
/// </summary>
/// <remarks>
/// <para>The joins are made by blocks: the rows of a leaf of a tree, which are near each other, meet the union of their
/// candidates as one matrix product, and each row takes from it what is nearer than its own worst neighbour. A pair
/// is computed from both of its sides, but a block's candidates serve all its rows, and each list has one writer: the result
/// does not depend on the number of threads. As in the paper only sampled neighbours are joined, and of two old ones none.</para>
/// <para>Lists stand in the result's memory while they are made: ids hold 2 * place + 1 for a new entry, 2 * place for one that
/// was joined; scores hold q.x + start(x) as in <see cref="GraphData"/>, the best first.</para>
/// </remarks>
internal static class NeighborDescent
{
    /// <summary>Fewer rows than this many lists' worth make no sense to approximate.</summary>
    public const int FewestRowsPerNeighbor = 4;

    /// <summary>Looks for the graph.</summary>
    /// <param name="data">The rows, n x d.</param>
    /// <param name="metric">What nearest means.</param>
    /// <param name="ids">n x k, overwritten; k at most a quarter of n.</param>
    /// <param name="scores">n x k, overwritten by scores in double precision.</param>
    /// <param name="plan">How to look.</param>
    /// <param name="pool">Threads.</param>
    /// <param name="progress">Is told the share that is done, on the caller's thread.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>Whether it was done: not where single precision does not carry a row.</returns>
    public static bool Run(
        MatrixView<float> data,
        SimilarityMetric metric,
        MatrixView<int> ids,
        MatrixView<float> scores,
        in DescentPlan plan,
        WorkerPool pool,
        Action<double>? progress,
        CancellationToken cancellationToken)
    {
        DescentAction action = new(data, metric, ids, scores, plan, pool, progress, cancellationToken);
        Isa.Dispatch(ref action);
        cancellationToken.ThrowIfCancellationRequested();
        return action.Done;
    }

    private struct DescentAction(
        MatrixView<float> data,
        SimilarityMetric metric,
        MatrixView<int> ids,
        MatrixView<float> scores,
        DescentPlan plan,
        WorkerPool pool,
        Action<double>? progress,
        CancellationToken cancellationToken) : IWideAction
    {
        private readonly MatrixView<float> _data = data;
        private readonly MatrixView<int> _ids = ids;
        private readonly MatrixView<float> _scores = scores;

        public bool Done { get; private set; }

        void IWideAction.Run<TWide>()
        {
            bool clean = GraphData.Prepare<TWide>(_data, metric, staged: false, pool, cancellationToken, out GraphData graph);
            try
            {
                if (!clean)
                    return;
                using DescentRun<TWide> run = new(_data, graph, _ids, _scores, plan, pool, progress, cancellationToken);
                run.Go();
                Done = true;
            }
            finally
            {
                graph.Dispose();
            }
        }
    }
}

/// <summary>One search for an approximate graph.</summary>
internal sealed unsafe class DescentRun<TWide> : IDisposable
    where TWide : unmanaged, IWide<TWide>
{
    /// <summary>Rows of a random tree's leaves, all pairs of which are compared; grows with the neighbours wanted.</summary>
    private const int FewestLeafRows = 192;

    private const int RowGrain = 1024;

    // A block's candidates: as many at one time as fit this, and their products with the block's rows.
    private const nint CandidateBytes = 4 << 20;
    private const nint MostCandidates = 8192;

    // Share of the work that the trees are, for those who wait.
    private const double ShareOfTrees = 0.3;

    private readonly MatrixView<float> _data;
    private readonly GraphData _graph;
    private readonly MatrixView<int> _ids;
    private readonly MatrixView<float> _scores;
    private readonly DescentPlan _plan;
    private readonly WorkerPool _pool;
    private readonly Action<double>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly int _k;
    private readonly nint _leafRows;
    private readonly nint _candidates;
    private readonly Scratch<int> _sampled;
    private readonly DescentWorker[] _workers;
    private long _changes;
    private long _done;
    private double _told;
    private double _from;
    private double _to;

    public DescentRun(
        MatrixView<float> data,
        in GraphData graph,
        MatrixView<int> ids,
        MatrixView<float> scores,
        in DescentPlan plan,
        WorkerPool pool,
        Action<double>? progress,
        CancellationToken cancellation)
    {
        _data = data;
        _graph = graph;
        _ids = ids;
        _scores = scores;
        _plan = plan;
        _pool = pool;
        _progress = progress;
        _cancellation = cancellation;
        _k = (int)ids.Columns;
        _leafRows = Math.Min(GemmBlocking.RoundUp(Math.Max(FewestLeafRows, 3 * (nint)_k / 2), GraphData.LeafRows), GemmBlocking.RoundUp(graph.Rows, GraphData.LeafRows));
        _candidates = Math.Max(_leafRows, Math.Clamp(CandidateBytes / (sizeof(float) * graph.Columns), 512, MostCandidates));
        _sampled = new(graph.Rows * Slots);
        _workers = new DescentWorker[pool.Threads];
        for (int i = 0; i < _workers.Length; i++)
            _workers[i] = new DescentWorker(graph.Columns, _leafRows, _candidates, _k);
    }

    // Own samples, new and old, and others' of which this row is one.
    private int Slots => 3 * _plan.Samples;

    private MatrixView<float> Rows => new(_graph.StageRows(0), _graph.Rows, _graph.Columns);

    public void Dispose()
    {
        _sampled.Dispose();
        foreach (DescentWorker worker in _workers)
            worker.Dispose();
    }

    public void Go()
    {
        nint n = _graph.Rows;
        ClearBody clear = new(this);
        _pool.For(n, RowGrain, ref clear);
        using (Scratch<int> order = new(n))
        {
            for (int tree = 0; tree < _plan.Trees; tree++)
            {
                Part(ShareOfTrees * tree / _plan.Trees, ShareOfTrees * (tree + 1) / _plan.Trees);

                // The first tree is the one that the places come from.
                if (tree == 0)
                {
                    for (nint i = 0; i < n; i++)
                        order.Pointer[i] = (int)i;
                }
                else
                {
                    RowTree.Order<TWide>(Rows, null, _leafRows, _leafRows, _plan.Seed + tree, false, order.Pointer, _pool, _cancellation);
                }

                TreeBody leaves = new(this, order.Pointer, GemmBlocking.Panels(n, _leafRows));
                _pool.For(leaves.Count, 1, ref leaves);
                _cancellation.ThrowIfCancellationRequested();
            }
        }

        for (int round = 0; round < _plan.Iterations; round++)
        {
            // Rounds are worth less and less, and it is not known how many there will be.
            Part(1 - ((1 - ShareOfTrees) * Math.Pow(0.6, round)), 1 - ((1 - ShareOfTrees) * Math.Pow(0.6, round + 1)));
            _changes = 0;
            SampleBody sample = new(this, round, backward: false);
            _pool.For(n, RowGrain, ref sample);
            SampleBody backward = new(this, round, backward: true);
            _pool.For(n, GemmBlocking.Panels(n, _pool.Threads), ref backward);
            JoinBody join = new(this);
            _pool.For(_graph.Leaves, 1, ref join);
            _cancellation.ThrowIfCancellationRequested();
            if (_changes <= _plan.Delta * n * _k)
                break;
        }

        FinishBody finish = new(this);
        _pool.For(n, RowGrain, ref finish);
    }

    private void Part(double from, double to)
    {
        (_from, _to) = (from, to);
        _done = 0;
    }

    // Worker 0 is the caller.
    private void Tell(int worker, nint all)
    {
        long done = Interlocked.Increment(ref _done);
        if (worker != 0 || _progress is null)
            return;
        double share = _from + ((_to - _from) * done / all);
        if (share >= _told + 0.01 && share < 1)
        {
            _told = share;
            _progress(share);
        }
    }

    private int* List(nint place) => _ids.Row(_graph.Order[place]);

    private float* ListScores(nint place) => _scores.Row(_graph.Order[place]);

    /// <summary>Products of a block's rows with candidates, and what each row takes of them.</summary>
    private void Compare(DescentWorker worker, int* places, nint count, int* candidates, nint candidateCount)
    {
        nint d = _graph.Columns;
        for (nint i = 0; i < count; i++)
            Copy(places[i], worker.Rows + (i * d));
        for (nint i = 0; i < candidateCount; i++)
        {
            Copy(candidates[i], worker.Candidates + (i * d));
            worker.Starts[i] = _graph.Starts[candidates[i]];
        }

        MatrixView<float> products = new(worker.Products, count, candidateCount);
        Gemm.Multiply(
            1f,
            new MatrixView<float>(worker.Rows, count, d),
            false,
            new MatrixView<float>(worker.Candidates, candidateCount, d),
            true,
            new ReadOnlySpan<float>(worker.Starts, (int)candidateCount),
            GemmActivation.None,
            products,
            WorkerPool.Serial);
        long changes = 0;
        for (nint i = 0; i < count; i++)
            changes += worker.Take(List(places[i]), ListScores(places[i]), _k, places[i], candidates, products.Row(i), candidateCount);
        Interlocked.Add(ref _changes, changes);
    }

    private void Copy(int place, float* target) =>
        Buffer.MemoryCopy(_graph.StageRows(0) + (place * _graph.Columns), target, _graph.Columns * sizeof(float), _graph.Columns * sizeof(float));

    private readonly struct ClearBody(DescentRun<TWide> run) : IRangeBody
    {
        public void Invoke(int worker, nint start, nint end)
        {
            for (nint i = start; i < end; i++)
            {
                new Span<int>(run._ids.Row(i), run._k).Fill(-1);
                new Span<float>(run._scores.Row(i), run._k).Fill(float.NegativeInfinity);
            }
        }
    }

    /// <summary>All pairs within the leaves of a tree.</summary>
    private readonly struct TreeBody(DescentRun<TWide> run, int* order, nint count) : IRangeBody
    {
        public nint Count => count;

        public void Invoke(int worker, nint start, nint end)
        {
            for (nint leaf = start; leaf < end && !run._cancellation.IsCancellationRequested; leaf++)
            {
                nint first = leaf * run._leafRows, rows = Math.Min(run._leafRows, run._graph.Rows - first);

                // The last leaf may be small: its rows meet those before it, too.
                nint window = Math.Max(0, Math.Min(first, run._graph.Rows - run._leafRows));
                run.Compare(run._workers[worker], order + first, rows, order + window, Math.Min(run._leafRows, run._graph.Rows));
                run.Tell(worker, count);
            }
        }
    }

    /// <summary>
    /// Samples of each list: forward its own entries, of which new ones are joined at most once; backward the rows that
    /// have sampled it. Which ones are kept follows from numbers that are made from the pair, not from the order of work.
    /// </summary>
    private readonly struct SampleBody(DescentRun<TWide> run, int round, bool backward) : IRangeBody
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            if (backward)
                Backward(start, end);
            else
                Forward(start, end);
        }

        private uint Lot(nint from, nint to)
        {
            SplitMix64 random = new(run._plan.Seed + round + (from << 32) + (to << 6));
            return (uint)(random.Next() >> 32);
        }

        private void Forward(nint start, nint end)
        {
            int samples = run._plan.Samples, k = run._k;
            ulong* lots = stackalloc ulong[2 * samples];
            for (nint i = start; i < end; i++)
            {
                int* list = run.List(i), target = run._sampled.Pointer + (i * run.Slots);
                new Span<int>(target, run.Slots).Fill(-1);
                int news = 0, olds = 0;
                for (int j = 0; j < k && list[j] != -1; j++)
                {
                    ulong lot = ((ulong)Lot(i, list[j] >>> 1) << 32) | (uint)j;
                    if ((list[j] & 1) != 0)
                        Keep(lots, samples, ref news, lot);
                    else
                        Keep(lots + samples, samples, ref olds, lot);
                }

                for (int s = 0; s < news; s++)
                {
                    int place = (int)(uint)lots[s];
                    target[s] = list[place];
                    list[place] &= ~1;
                }

                for (int s = 0; s < olds; s++)
                    target[samples + s] = list[(int)(uint)lots[samples + s]];
            }
        }

        // The smallest lots, in order.
        private static void Keep(ulong* lots, int most, ref int count, ulong lot)
        {
            int hole = count;
            if (count < most)
                count++;
            else if (lot < lots[most - 1])
                hole--;
            else
                return;
            for (; hole > 0 && lots[hole - 1] > lot; hole--)
                lots[hole] = lots[hole - 1];
            lots[hole] = lot;
        }

        // Each worker looks at all samples for those of its own rows: reading is cheap, and each row has one writer.
        private void Backward(nint start, nint end)
        {
            int samples = run._plan.Samples, slots = run.Slots;
            int* sampled = run._sampled.Pointer;
            for (nint i = 0; i < run._graph.Rows; i++)
            {
                int* own = sampled + (i * slots);
                for (int s = 0; s < 2 * samples; s++)
                {
                    nint to = own[s] >> 1;
                    if (to < start || to >= end)
                        continue;
                    uint lot = Lot(i, to);
                    int* slot = sampled + (to * slots) + (2 * samples) + (lot % (uint)samples);
                    if (*slot == -1 || lot / (uint)samples < Lot(*slot >>> 1, to) / (uint)samples)
                        *slot = (int)(i << 1) | (own[s] & 1);
                }
            }
        }
    }

    /// <summary>Each leaf's rows against the neighbours of their neighbours, as far as one of the two steps is new.</summary>
    private readonly struct JoinBody(DescentRun<TWide> run) : IRangeBody
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            for (nint leaf = start; leaf < end && !run._cancellation.IsCancellationRequested; leaf++)
            {
                Leaf(run._workers[worker], leaf);
                run.Tell(worker, run._graph.Leaves);
            }
        }

        private void Leaf(DescentWorker worker, nint leaf)
        {
            nint first = leaf * GraphData.LeafRows;
            int count = run._graph.LeafCount(leaf), slots = run.Slots;
            int* sampled = run._sampled.Pointer;
            worker.Places.Clear();
            worker.Steps.Clear();
            for (int i = 0; i < count; i++)
                worker.Own[i] = (int)(first + i);
            for (nint e = first * slots; e < (first + count) * slots; e++)
            {
                if (sampled[e] != -1)
                    worker.Steps.Add(sampled[e]);
            }

            // A step that one row has as new and another as old is there twice: the new one serves both.
            for (int step = 0; step < worker.Steps.Count; step++)
            {
                int edge = worker.Steps[step];
                if (step + 2 < worker.Steps.Count)
                    Prefetch.ToL1(sampled + ((worker.Steps[step + 2] >>> 1) * (nint)slots));
                int* next = sampled + ((edge >>> 1) * (nint)slots);
                for (int s = 0; s < slots; s++)
                {
                    if (next[s] == -1 || ((edge | next[s]) & 1) == 0)
                        continue;
                    worker.Places.Add(next[s] >>> 1);
                    if (worker.Places.Count == run._candidates)
                        Flush(worker, count);
                }
            }

            Flush(worker, count);
        }

        private void Flush(DescentWorker worker, int count)
        {
            if (worker.Places.Count > 0)
                run.Compare(worker, worker.Own, count, worker.Places.Values, worker.Places.Count);
            worker.Places.Clear();
        }
    }

    /// <summary>Places become ids, and scores those of double precision.</summary>
    private readonly struct FinishBody(DescentRun<TWide> run) : IRangeBody
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            if (run._cancellation.IsCancellationRequested)
                return;
            int k = run._k;
            ExactScorer scorer = new(run._graph.Metric, run._data.Columns, ZeroVectorRule.ScoreZero);
            using Scratch<float> exact = new(k);
            using Scratch<long> numbers = new(2 * k);
            for (nint i = start; i < end; i++)
            {
                nint row = run._graph.Order[i];
                int* list = run.List(i);
                float* query = run._data.Row(row);
                double term = scorer.QueryTerm(query);
                TopKHeap heap = new(exact.Pointer, numbers.Pointer, k);
                for (int j = 0; j < k && list[j] != -1; j++)
                {
                    int id = run._graph.Order[list[j] >>> 1];
                    heap.Push(scorer.Closeness(query, term, run._data.Row(id), 1), id);
                }

                int count = (int)heap.Count;
                Span<long> ids = new(numbers.Pointer + k, k);
                Span<float> scores = new(run.ListScores(i), k);
                heap.WriteBestFirst(ids, scores);
                for (int j = 0; j < count; j++)
                {
                    list[j] = (int)ids[j];
                    scores[j] = scorer.IsDistance ? -scores[j] : scores[j];
                }

                for (int j = count; j < k; j++)
                    (list[j], scores[j]) = ((int)Similarity.NoId, scorer.IsDistance ? float.PositiveInfinity : float.NegativeInfinity);
            }
        }
    }
}
