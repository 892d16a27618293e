using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The k nearest neighbours of each row of a matrix among its other rows: what t-SNE, UMAP and clustering of graphs begin
/// with. Ids are 32-bit (a million points with 90 neighbours take 720 MB with their scores).
/// </summary>
/// <remarks>
/// <para>Exact graphs compare all pairs of rows (single precision with bounds of its error, in double precision what these do not
/// decide), near ones first, so that most pairs end after a part of their columns. Approximate graphs come from NN-descent
/// (Dong, Moses and Li, WWW 2011), started from random-projection trees.</para>
/// <para>For one set of options a graph depends neither on the number of threads nor on timing. An approximate one may depend
/// on the processor's vector width.</para>
/// <para>Memory while it is made: the graph, a copy of the data, and for approximate graphs 12 bytes per row and
/// <see cref="NeighborOptions.Samples"/>: a million rows of 50 columns with 90 neighbours stay below 1.5 GB.</para>
/// <para>Immutable and thread-safe. Holds memory outside the garbage-collected heap: dispose it, or let the collector do so later.</para>
/// </remarks>
public sealed unsafe class NeighborGraph : IDisposable
{
    // Where NN-descent, which loses some neighbours, begins to win time: at 70,000 x 50 it takes about as long as the exact search.
    private const int LargestExact = 100_000;

    // Fewer are searched exactly in no time.
    private const int FewestApproximate = 2048;

    // Pairs between two looks at the cancellation token while recall is measured.
    private const long RecallProducts = 1L << 31;

    // What measuring takes of the progress bar.
    private const double ShareOfRecall = 0.05;

    private readonly AlignedBuffer<int> _ids;
    private readonly AlignedBuffer<float> _scores;

    private NeighborGraph(int points, int neighbors, SimilarityMetric metric, NeighborMethod method)
    {
        Points = points;
        Neighbors = neighbors;
        Metric = metric;
        Method = method;
        _ids = new AlignedBuffer<int>((nint)points * neighbors);
        _scores = new AlignedBuffer<float>((nint)points * neighbors);
    }

    /// <summary>Rows of the data.</summary>
    public int Points { get; }

    /// <summary>Neighbours of each point: as many as were asked for, or all others where there are not so many.</summary>
    public int Neighbors { get; }

    /// <summary>What nearest means.</summary>
    public SimilarityMetric Metric { get; }

    /// <summary>How the neighbours were found: <see cref="NeighborMethod.Exact"/> or <see cref="NeighborMethod.Approximate"/>.</summary>
    public NeighborMethod Method { get; }

    /// <summary>
    /// The share of the true neighbours that the graph has: 1 where it is exact, else measured on a sample of the points, whose
    /// neighbours were searched for exactly (a neighbour counts if it is no farther than the true last one). NaN where it was
    /// not measured.
    /// </summary>
    public double Recall { get; private set; } = 1;

    /// <summary>Points x Neighbors: the rows nearest to each row, the nearest first, ties by the lower id, never the row itself.</summary>
    /// <remarks>Valid until <see cref="Dispose"/>; keep a reference to the graph while it is in use.</remarks>
    /// <exception cref="ObjectDisposedException">The graph was disposed.</exception>
    public MatrixView<int> Ids => new(_ids.Pointer, Points, Neighbors);

    /// <summary>
    /// Points x Neighbors: the metric of each point and neighbour, computed in double precision. Distances ascend along a row;
    /// cosines and dot products, of which the larger is the nearer, descend.
    /// </summary>
    /// <inheritdoc cref="Ids" path="/remarks"/>
    /// <exception cref="ObjectDisposedException">The graph was disposed.</exception>
    public MatrixView<float> Scores => new(_scores.Pointer, Points, Neighbors);

    /// <summary>The neighbours of the rows of a matrix.</summary>
    /// <param name="data">N x D, finite.</param>
    /// <param name="k">Neighbours wanted, at least 1.</param>
    /// <param name="metric">What nearest means.</param>
    /// <param name="method">
    /// How to find them: <see cref="NeighborMethod.Auto"/> is exact up to 100,000 rows. Sets of few rows (below 2,048, or four times
    /// the neighbours), and such with rows of norms above 10^15, are searched exactly even where that is not asked for.
    /// </param>
    /// <param name="options">Further choices; null for the defaults.</param>
    /// <param name="progress">Is told now and then how much is done.</param>
    /// <param name="cancellationToken">Stops the work within about a tenth of a second.</param>
    /// <exception cref="ArgumentException">The data has an element that is not finite, or more rows than an int counts.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="k"/> is below 1, or another argument is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static NeighborGraph Build(
        MatrixView<float> data,
        int k,
        SimilarityMetric metric = SimilarityMetric.Euclidean,
        NeighborMethod method = NeighborMethod.Auto,
        NeighborOptions? options = null,
        IProgress<NeighborProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        options ??= new NeighborOptions();
        options.Validate();
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        DataChecks.Defined(metric, nameof(metric));
        DataChecks.Defined(method, nameof(method));
        if (data.Rows > int.MaxValue)
            throw new ArgumentException($"There may be {int.MaxValue} rows at most and there are {data.Rows}.", nameof(data));
        DataChecks.Finite(data, nameof(data));
        int neighbors = (int)Math.Clamp(data.Rows - 1, 0, k);
        using WorkerPool pool = new(options.Threads);
        bool fewRows = neighbors == 0 || data.Rows / neighbors < NeighborDescent.FewestRowsPerNeighbor || data.Rows < FewestApproximate || data.Columns == 0;
        if (method == NeighborMethod.Auto)
            method = data.Rows <= LargestExact ? NeighborMethod.Exact : NeighborMethod.Approximate;
        return (method == NeighborMethod.Approximate && !fewRows ? BuildApproximate(data, neighbors, metric, options, pool, progress, cancellationToken) : null)
            ?? BuildExact(data, neighbors, metric, pool, progress, cancellationToken);
    }

    /// <inheritdoc cref="Build(MatrixView{float}, int, SimilarityMetric, NeighborMethod, NeighborOptions?, IProgress{NeighborProgress}?, CancellationToken)"/>
    public static NeighborGraph Build(
        FloatMatrix data,
        int k,
        SimilarityMetric metric = SimilarityMetric.Euclidean,
        NeighborMethod method = NeighborMethod.Auto,
        NeighborOptions? options = null,
        IProgress<NeighborProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        NeighborGraph graph = Build(data.View, k, metric, method, options, progress, cancellationToken);
        GC.KeepAlive(data);
        return graph;
    }

    /// <summary>The neighbours of row <paramref name="point"/>, the nearest first.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="point"/> is none.</exception>
    public ReadOnlySpan<int> IdsOf(int point) => Ids.RowSpan(point);

    /// <summary>Their scores.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="point"/> is none.</exception>
    public ReadOnlySpan<float> ScoresOf(int point) => Scores.RowSpan(point);

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        _ids.Dispose();
        _scores.Dispose();
    }

    private static NeighborGraph BuildExact(
        MatrixView<float> data, int neighbors, SimilarityMetric metric, WorkerPool pool, IProgress<NeighborProgress>? progress, CancellationToken cancellationToken)
    {
        NeighborGraph graph = new((int)data.Rows, neighbors, metric, NeighborMethod.Exact);
        try
        {
            Action<double>? report = progress is null ? null : fraction => progress.Report(new(NeighborMethod.Exact, fraction));
            if (neighbors == 0)
                report?.Invoke(1);
            else
                Similarity.NeighborGraph(data, neighbors, metric, graph.Ids, graph.Scores, pool, report, cancellationToken);
            return graph;
        }
        catch
        {
            graph.Dispose();
            throw;
        }
    }

    private static NeighborGraph? BuildApproximate(
        MatrixView<float> data,
        int neighbors,
        SimilarityMetric metric,
        NeighborOptions options,
        WorkerPool pool,
        IProgress<NeighborProgress>? progress,
        CancellationToken cancellationToken)
    {
        NeighborGraph graph = new((int)data.Rows, neighbors, metric, NeighborMethod.Approximate);
        bool done = false;
        try
        {
            double share = options.RecallSample > 0 ? ShareOfRecall : 0;
            Action<double>? report = progress is null ? null : fraction => progress.Report(new(NeighborMethod.Approximate, fraction));
            Action<double>? search = report is null ? null : fraction => report((1 - share) * fraction);
            DescentPlan plan = new(options.Trees, options.Samples, options.Iterations, options.Delta, options.Seed);
            done = NeighborDescent.Run(data, metric, graph.Ids, graph.Scores, plan, pool, search, cancellationToken);
            if (!done)
                return null;
            graph.Recall = options.RecallSample == 0 ? double.NaN : graph.MeasureRecall(data, options, pool, report, cancellationToken);
            report?.Invoke(1);
            return graph;
        }
        catch
        {
            done = false;
            throw;
        }
        finally
        {
            if (!done)
                graph.Dispose();
        }
    }

    private double MeasureRecall(MatrixView<float> data, NeighborOptions options, WorkerPool pool, Action<double>? report, CancellationToken cancellationToken)
    {
        int sampled = Math.Min(options.RecallSample, Points), wanted = Neighbors + 1;
        int block = (int)Math.Clamp(RecallProducts * pool.Threads / ((long)Points * data.Columns), 16, 512);
        using FloatMatrix queries = new(block, data.Columns), scores = new(block, wanted);
        using AlignedBuffer<long> ids = new((nint)block * wanted);
        SplitMix64 random = new(options.Seed);
        int[] rows = new int[block];
        long hits = 0;
        for (int first = 0; first < sampled; first += block)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int count = Math.Min(block, sampled - first);
            for (int i = 0; i < count; i++)
            {
                rows[i] = sampled == Points ? first + i : (int)random.NextBelow((uint)Points);
                data.RowSpan(rows[i]).CopyTo(queries.Row(i));
            }

            // One more than are wanted, because the row finds itself.
            MatrixView<long> found = new(ids.Pointer, count, wanted);
            Similarity.TopK(queries.View.Slice(0, count), data, wanted, Metric, found, scores.View.Slice(0, count), pool: pool);
            for (int i = 0; i < count; i++)
            {
                bool foundSelf = found.RowSpan(i)[..Neighbors].Contains(rows[i]);
                float last = scores[i, foundSelf ? Neighbors : Neighbors - 1];
                foreach (float score in ScoresOf(rows[i]))
                    hits += (Metric.IsDistance() ? score <= last : score >= last) ? 1 : 0;
            }

            report?.Invoke(1 - ShareOfRecall + (ShareOfRecall * 0.99 * (first + count) / sampled));
        }

        return hits / ((double)sampled * Neighbors);
    }
}
