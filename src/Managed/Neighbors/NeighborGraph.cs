using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The k nearest neighbours of each row of a matrix among its other rows: what t-SNE, UMAP and clustering of graphs begin
/// with. Ids are 32-bit (a million points with 90 neighbours take 720 MB with their scores).
/// </summary>
/// <remarks>
/// Immutable and thread-safe. Holds memory outside the garbage-collected heap: dispose it, or let the collector do so later.
/// </remarks>
public sealed unsafe class NeighborGraph : IDisposable
{
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
    /// neighbours were searched for exactly. NaN where it was not measured.
    /// </summary>
    public double Recall { get; private init; } = 1;

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
    /// <param name="method">How to find them.</param>
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
        TsneOptions.CheckDefined(metric, nameof(metric));
        TsneOptions.CheckDefined(method, nameof(method));
        if (data.Rows > int.MaxValue)
            throw new ArgumentException($"There may be {int.MaxValue} rows at most and there are {data.Rows}.", nameof(data));
        DataChecks.Finite(data, nameof(data));
        int neighbors = (int)Math.Clamp(data.Rows - 1, 0, k);
        using WorkerPool pool = new(options.Threads);
        return BuildExact(data, neighbors, metric, pool, progress, cancellationToken);
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
}
