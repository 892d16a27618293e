using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// The rows of a set as the search for its neighbour graph wants them: near rows together (<see cref="RowTree"/>), the
/// columns in which they vary most first, their middle taken off (distances) or their norm made 1 (cosines), cut into
/// stages of columns, with what bounds need.
/// </summary>
/// <remarks>
/// Score in the unit of <see cref="SearchBounds"/>: v = q.x + start(x), start = -|x|^2 / 2 for distances and 0 otherwise. After
/// the columns of the first stages q.x is at most their part plus |q_rest| |x_rest|, by the inequality of Cauchy and Schwarz.
/// </remarks>
internal unsafe struct GraphData : IDisposable
{
    /// <summary>Rows of a leaf: a multiple of all tile sizes, and of the vectors' lanes.</summary>
    public const int LeafRows = 96;

    // Within a leaf rows of one tile are near each other, too, so that they are refused together.
    private const int CellRows = 6;

    /// <summary>Stages at most.</summary>
    public const int MostStages = 5;

    // Rows that tell in which columns the data varies.
    private const int SampledRows = 4096;

    private const int RowGrain = 512;

    // Norms are rounded up by more than the roundings of a sum of squares of so many columns as memory holds.
    private const float Up = 1.0001f;

    private readonly Scratch<byte> _memory;

    private GraphData(MatrixView<float> data, SimilarityMetric metric, bool staged)
    {
        Rows = data.Rows;
        Columns = data.Columns;
        Leaves = GemmBlocking.Panels(Rows, LeafRows);
        Metric = metric;
        nint places = Leaves * LeafRows;
        Stages = staged ? GraphStages.Cut(Columns) : GraphStages.Whole(Columns);
        nint floats = (places * (Columns + 2 + Stages.Count)) + (Leaves * (Columns + 3)) + Columns + (16 * (MostStages + 10));
        _memory = new((floats * sizeof(float)) + ((places + Columns) * sizeof(int)));
        float* next = (float*)_memory.Pointer;
        for (int s = 0; s < Stages.Count; s++)
            _stageRows[s] = (nint)Take(ref next, places * Stages.Width(s));
        for (int s = 0; s < Stages.Count; s++)
            _rests[s] = (nint)Take(ref next, places);
        Starts = Take(ref next, places);
        Squares = Take(ref next, places);
        Centres = Take(ref next, Leaves * Columns);
        CentreSquares = Take(ref next, Leaves);
        Radii = Take(ref next, Leaves);
        Largest = Take(ref next, Leaves);
        Middle = Take(ref next, Columns);
        Order = (int*)Take(ref next, places);
        ColumnOrder = (int*)next;
    }

    private fixed long _stageRows[MostStages];
    private fixed long _rests[MostStages];

    public nint Rows { get; }

    public nint Columns { get; }

    public nint Leaves { get; }

    public SimilarityMetric Metric { get; }

    public GraphStages Stages { get; }

    /// <summary>What the sums of each place begin at; NaN, which passes nothing, past the last row.</summary>
    public float* Starts { get; }

    /// <summary>The squared norm of each place's row.</summary>
    public float* Squares { get; }

    /// <summary>For each leaf the mean of its rows, its square, the distance of the farthest row from it, and the largest norm (squared for distances).</summary>
    public float* Centres { get; }

    /// <inheritdoc cref="Centres"/>
    public float* CentreSquares { get; }

    /// <inheritdoc cref="Centres"/>
    public float* Radii { get; }

    /// <inheritdoc cref="Centres"/>
    public float* Largest { get; }

    /// <summary>The row that stands at each place.</summary>
    public int* Order { get; }

    private float* Middle { get; }

    private int* ColumnOrder { get; }

    public bool IsDistance => Metric.IsDistance();

    /// <summary>The columns of a stage: Width(s) floats for each place.</summary>
    public readonly float* StageRows(int stage) => (float*)_stageRows[stage];

    /// <summary>For each place the norm of the columns after a stage, rounded up.</summary>
    public readonly float* Rests(int stage) => (float*)_rests[stage];

    public readonly int LeafCount(nint leaf) => (int)Math.Min(LeafRows, Rows - (leaf * LeafRows));

    /// <summary>The rows of some places with the columns of all stages side by side.</summary>
    public readonly void CopyRows(nint first, nint count, float* target)
    {
        nint from = 0;
        for (int s = 0; s < Stages.Count; s++)
        {
            nint width = Stages.Width(s);
            float* source = StageRows(s) + (first * width);
            for (nint i = 0; i < count; i++)
                new ReadOnlySpan<float>(source + (i * width), (int)width).CopyTo(new Span<float>(target + (i * Columns) + from, (int)width));
            from += width;
        }
    }

    /// <summary>Prepares the rows.</summary>
    /// <param name="data">The rows.</param>
    /// <param name="metric">The metric.</param>
    /// <param name="staged">Whether columns are cut into stages, else there is one of all.</param>
    /// <param name="pool">Threads.</param>
    /// <param name="cancellationToken">Looked at now and then.</param>
    /// <param name="graph">The rows prepared; to be disposed in any case.</param>
    /// <returns>Whether single precision carries all rows.</returns>
    public static bool Prepare<TWide>(
        MatrixView<float> data, SimilarityMetric metric, bool staged, WorkerPool pool, CancellationToken cancellationToken, out GraphData graph)
        where TWide : unmanaged, IWide<TWide>
    {
        graph = new GraphData(data, metric, staged);
        nint d = data.Columns;
        if (metric.IsDistance())
            Centre.Find<TWide>(data, graph.Middle);
        else
            new Span<float>(graph.Middle, (int)d).Clear();
        using Scratch<float> scales = new(data.Rows);
        NormBody<TWide> norms = new(data, metric, graph.Middle, scales.Pointer);
        using Scratch<byte> flags = new(data.Rows);
        norms.Flags = flags.Pointer;
        pool.For(data.Rows, RowGrain, ref norms);
        if (new ReadOnlySpan<byte>(flags.Pointer, checked((int)data.Rows)).Contains((byte)1))
            return false;
        float* factors = metric == SimilarityMetric.Cosine ? scales.Pointer : null;
        RowTree.Order<TWide>(data, factors, LeafRows, CellRows, 1, true, graph.Order, pool, cancellationToken);
        graph.OrderColumns(data, factors);
        using Scratch<float> rows = new(pool.Threads * LeafRows * d);
        CopyBody<TWide> copy = new(data, factors, rows.Pointer, graph);
        pool.For(graph.Leaves, 1, ref copy);
        return true;
    }

    public readonly void Dispose() => _memory.Dispose();

    private static float* Take(ref float* next, nint count)
    {
        float* taken = next;
        next += GemmBlocking.RoundUp(count, 16);
        return taken;
    }

    private readonly void OrderColumns(MatrixView<float> data, float* factors)
    {
        nint d = data.Columns, sampled = Math.Min(data.Rows, SampledRows);
        double[] squares = new double[d];
        int[] columns = new int[d];
        for (nint s = 0; s < sampled; s++)
        {
            nint row = (nint)((Int128)s * data.Rows / sampled);
            float* x = data.Row(row);
            float factor = factors is null ? 1f : factors[row];
            for (nint j = 0; j < d; j++)
            {
                double value = factor * (x[j] - Middle[j]);
                squares[j] += value * value;
            }
        }

        for (int j = 0; j < d; j++)
            (columns[j], squares[j]) = (j, -squares[j]);
        Array.Sort(squares, columns);
        columns.CopyTo(new Span<int>(ColumnOrder, (int)d));
    }

    /// <summary>Norms, and whether single precision carries each row.</summary>
    private struct NormBody<TWide>(MatrixView<float> data, SimilarityMetric metric, float* middle, float* scales) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        private readonly MatrixView<float> _data = data;

        public byte* Flags;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Invoke(int worker, nint start, nint end)
        {
            nint d = _data.Columns;
            for (nint i = start; i < end; i++)
            {
                float* row = _data.Row(i);
                float square = metric.IsDistance()
                    ? RowKernels.One<TWide, Float32Element, SquaredDifferenceSum>(middle, (byte*)row, d)
                    : RowKernels.SquaredNorm<TWide>(row, d);
                bool carried = square <= SafeRange.LargestSquare;
                scales[i] = 1f / MathF.Sqrt(square);
                if (metric == SimilarityMetric.Cosine && !(square >= SafeRange.SmallestSquare))
                {
                    // The zero vector's products are all 0, as its cosines are.
                    carried &= !new ReadOnlySpan<float>(row, checked((int)d)).ContainsAnyExcept(0f);
                    scales[i] = 0;
                }

                Flags[i] = carried ? (byte)0 : (byte)1;
            }
        }
    }

    private struct CopyBody<TWide>(MatrixView<float> data, float* factors, float* scratch, GraphData graph) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        private readonly MatrixView<float> _data = data;
        private GraphData _graph = graph;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            float* rows = scratch + (worker * LeafRows * _data.Columns);
            for (nint leaf = start; leaf < end; leaf++)
                Leaf(leaf, rows);
        }

        private void Leaf(nint leaf, float* rows)
        {
            nint d = _data.Columns;
            int count = _graph.LeafCount(leaf);
            nint first = leaf * LeafRows;
            float largest = 0;
            for (nint i = 0; i < LeafRows; i++)
            {
                float* target = rows + (i * d);
                if (i < count)
                    Gather(_graph.Order[first + i], target);
                else
                    new Span<float>(target, (int)d).Clear();
                float square = RowKernels.SquaredNorm<TWide>(target, d);
                _graph.Squares[first + i] = square;
                _graph.Starts[first + i] = i >= count ? float.NaN : _graph.IsDistance ? -0.5f * square : 0f;
                largest = MathF.Max(largest, square);
                nint from = 0;
                for (int s = 0; s < _graph.Stages.Count; s++)
                {
                    nint width = _graph.Stages.Width(s);
                    Buffer.MemoryCopy(target + from, _graph.StageRows(s) + ((first + i) * width), width * sizeof(float), width * sizeof(float));
                    from += width;
                    _graph.Rests(s)[first + i] = from < d ? Up * MathF.Sqrt(RowKernels.SquaredNorm<TWide>(target + from, d - from)) : 0f;
                }
            }

            _graph.Largest[leaf] = _graph.IsDistance ? largest : MathF.Max(MathF.Sqrt(largest), SafeRange.SmallestNorm);
            float* centre = _graph.Centres + (leaf * d);
            new Span<float>(centre, (int)d).Clear();
            for (nint i = 0; i < count; i++)
            {
                for (nint j = 0; j < d; j++)
                    centre[j] += rows[(i * d) + j];
            }

            for (nint j = 0; j < d; j++)
                centre[j] /= count;
            float radius = 0;
            for (nint i = 0; i < count; i++)
                radius = MathF.Max(radius, RowKernels.One<TWide, Float32Element, SquaredDifferenceSum>(centre, (byte*)(rows + (i * d)), d));
            _graph.Radii[leaf] = Up * MathF.Sqrt(radius);
            _graph.CentreSquares[leaf] = RowKernels.SquaredNorm<TWide>(centre, d);
        }

        private readonly void Gather(nint row, float* target)
        {
            float* source = _data.Row(row);
            float factor = factors is null ? 1f : factors[row];
            for (nint j = 0; j < _data.Columns; j++)
            {
                nint column = _graph.ColumnOrder[j];
                target[j] = factor * (source[column] - _graph.Middle[column]);
            }
        }
    }
}

/// <summary>How many columns each stage of a graph search has.</summary>
internal unsafe struct GraphStages
{
    private fixed int _widths[GraphData.MostStages];

    public int Count { get; private set; }

    public readonly int Width(int stage) => _widths[stage];

    /// <summary>One stage.</summary>
    public static GraphStages Whole(nint columns)
    {
        GraphStages stages = new() { Count = 1 };
        stages._widths[0] = checked((int)columns);
        return stages;
    }

    /// <summary>
    /// The first 20 columns decide most pairs of rows whose variance lies in few columns, as after PCA; each stage after them
    /// is some three times as deep as all before.
    /// </summary>
    public static GraphStages Cut(nint columns)
    {
        const int First = 20;
        GraphStages stages = default;
        nint from = 0;
        while (from < columns)
        {
            nint end = from == 0 ? First : 4 * from;
            if (end + (end / 2) > columns || stages.Count == GraphData.MostStages - 1)
                end = columns;
            stages._widths[stages.Count++] = checked((int)(end - from));
            from = end;
        }

        return stages;
    }
}
