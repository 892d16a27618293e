using System.Diagnostics;
using System.Numerics;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The first step of t-SNE: how much each pair of points attracts, p_ij, symmetric with sum 1. Made from data, from a graph
/// of neighbours, or given. Immutable and thread-safe; one instance serves any number of maps.
/// </summary>
public sealed unsafe class TsneAffinities
{
    // Rows whose affinities are computed at once: small beside the graph, enough for many threads.
    private const int CalibratedRows = 8192;

    private TsneAffinities(CsrMatrix joint, AffinityKernel? kernel, double recall, WorkerPool pool)
    {
        Joint = joint;
        Kernel = kernel;
        Recall = recall;
        NegativeEntropy = SumOfLogarithms(joint, pool);
    }

    /// <summary>The affinities p_ij, N x N: symmetric, sum 1, without a diagonal.</summary>
    public CsrMatrix Joint { get; }

    /// <summary>How they were made from distances; null where they were given.</summary>
    public AffinityKernel? Kernel { get; }

    /// <summary>The perplexity that they were made for; NaN where it was not one or they were given.</summary>
    public double Perplexity => Kernel?.OnlyPerplexity ?? double.NaN;

    /// <summary>The share of the true nearest neighbours that the search found: 1 where it was exact; NaN where neighbours or affinities were given.</summary>
    public double Recall { get; }

    /// <summary>Number of points.</summary>
    public int Points => Joint.Rows;

    /// <summary>Sum of p_ij ln p_ij: the constant part of the divergence of every map.</summary>
    internal double NegativeEntropy { get; }

    /// <summary>
    /// Affinities of the rows of a matrix: their min(N - 1, 3 perplexity) nearest neighbours, found exactly, and a bandwidth
    /// per row by the search for the perplexity (scikit-learn takes one neighbour more, openTSNE the same number).
    /// </summary>
    /// <param name="data">N x D, finite.</param>
    /// <param name="perplexity">Roughly how many neighbours count, 1 to N - 1.</param>
    /// <param name="metric">Which distance makes neighbours.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <param name="progress">Is told how many rows are done.</param>
    /// <param name="cancellationToken">Stops the search within a block of 2,048 rows.</param>
    /// <exception cref="ArgumentException">The data has an element that is not finite, or distances overflow.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The perplexity is below 1 or too large for the number of points, or another argument is out of its range.
    /// </exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static TsneAffinities FromData(
        MatrixView<float> data,
        double perplexity = 30,
        TsneMetric metric = TsneMetric.Euclidean,
        int? threads = null,
        IProgress<TsneProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        FromData(data, AffinityKernel.Perplexity(perplexity), metric, NeighborMethod.Auto, threads, progress, cancellationToken);

    /// <summary>Affinities of the rows of a matrix by any kernel, over their nearest neighbours.</summary>
    /// <param name="data">N x D, finite.</param>
    /// <param name="kernel">How distances become affinities.</param>
    /// <param name="metric">Which distance makes neighbours.</param>
    /// <param name="neighbors">How the neighbours are found; <see cref="Recall"/> tells what an approximate search found.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <param name="progress">Is told how many rows are done; of an approximate search the share of the work, in rows.</param>
    /// <param name="cancellationToken">Stops the search soon.</param>
    /// <exception cref="ArgumentException">The data has an element that is not finite, or distances overflow.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are too few points for the kernel, or an argument is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static TsneAffinities FromData(
        MatrixView<float> data,
        AffinityKernel kernel,
        TsneMetric metric = TsneMetric.Euclidean,
        NeighborMethod neighbors = NeighborMethod.Auto,
        int? threads = null,
        IProgress<TsneProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        DataChecks.Defined(metric, nameof(metric));
        kernel.CheckPoints(data.Rows - 1, data.Rows);
        NeighborOptions options = new() { Threads = CheckedThreads(threads) };
        NeighborGraph graph = NeighborGraph.Build(
            data,
            kernel.Neighbors(data.Rows - 1),
            SearchMetric(metric),
            neighbors,
            options,
            progress is null ? null : new SearchProgress(progress, (int)data.Rows),
            cancellationToken);
        return FromGraph(graph, kernel, threads, lastUse: true);
    }

    /// <inheritdoc cref="FromData(MatrixView{float}, double, TsneMetric, int?, IProgress{TsneProgress}?, CancellationToken)"/>
    public static TsneAffinities FromData(
        FloatMatrix data,
        double perplexity = 30,
        TsneMetric metric = TsneMetric.Euclidean,
        int? threads = null,
        IProgress<TsneProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        TsneAffinities affinities = FromData(data.View, perplexity, metric, threads, progress, cancellationToken);
        GC.KeepAlive(data);
        return affinities;
    }

    /// <inheritdoc cref="FromData(MatrixView{float}, AffinityKernel, TsneMetric, NeighborMethod, int?, IProgress{TsneProgress}?, CancellationToken)"/>
    public static TsneAffinities FromData(
        FloatMatrix data,
        AffinityKernel kernel,
        TsneMetric metric = TsneMetric.Euclidean,
        NeighborMethod neighbors = NeighborMethod.Auto,
        int? threads = null,
        IProgress<TsneProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        TsneAffinities affinities = FromData(data.View, kernel, metric, neighbors, threads, progress, cancellationToken);
        GC.KeepAlive(data);
        return affinities;
    }

    /// <summary>Affinities of a graph of neighbours. All its neighbours are used.</summary>
    /// <param name="graph">The graph, by any metric but the Hamming and Jaccard ones; see <see cref="TsneMetric"/> for the distances. It is not disposed of.</param>
    /// <param name="kernel">How distances become affinities.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <exception cref="ArgumentException">A distance is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are too few neighbours for the kernel, or <paramref name="threads"/> is out of its range.</exception>
    public static TsneAffinities FromGraph(NeighborGraph graph, AffinityKernel kernel, int? threads = null)
    {
        ArgumentNullException.ThrowIfNull(graph);
        ArgumentNullException.ThrowIfNull(kernel);
        kernel.CheckNeighbors(graph.Neighbors);
        return FromGraph(graph, kernel, threads, lastUse: false);
    }

    /// <summary>Affinities of a graph of neighbours that was found elsewhere.</summary>
    /// <param name="ids">N x k: the neighbours of each point, 0 to N - 1, without the point itself, in any order.</param>
    /// <param name="distances">N x k: their distances (not squared), finite, 0 or more.</param>
    /// <param name="perplexity">Roughly how many neighbours count, 1 to k; k of 3 times the perplexity is usual.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <exception cref="ArgumentException">The shapes differ, an id is no other point, or a distance is no distance.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="perplexity"/> is not in 1..k, or <paramref name="threads"/> is out of its range.</exception>
    public static TsneAffinities FromNeighbors(MatrixView<long> ids, MatrixView<float> distances, double perplexity = 30, int? threads = null) =>
        FromNeighbors(ids, distances, AffinityKernel.Perplexity(perplexity), threads);

    /// <summary>Affinities, by any kernel, of a graph of neighbours that was found elsewhere. All k neighbours are used.</summary>
    /// <param name="ids">N x k: the neighbours of each point, 0 to N - 1, without the point itself, in any order.</param>
    /// <param name="distances">N x k: their distances (not squared), finite, 0 or more.</param>
    /// <param name="kernel">How distances become affinities.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <exception cref="ArgumentException">The shapes differ, an id is no other point, or a distance is no distance.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are too few neighbours for the kernel, or <paramref name="threads"/> is out of its range.</exception>
    public static TsneAffinities FromNeighbors(MatrixView<long> ids, MatrixView<float> distances, AffinityKernel kernel, int? threads = null)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        if (distances.Rows != ids.Rows || distances.Columns != ids.Columns)
            throw new ArgumentException($"The shape must be that of the ids, {ids.Rows} x {ids.Columns}, and is {distances.Rows} x {distances.Columns}.", nameof(distances));
        kernel.CheckNeighbors(ids.Columns);
        using WorkerPool pool = Pool(threads);
        return Calibrate(ids, distances, SimilarityMetric.Euclidean, kernel, double.NaN, nameof(distances), null, pool);
    }

    /// <inheritdoc cref="FromNeighbors(MatrixView{long}, MatrixView{float}, double, int?)"/>
    /// <param name="ids">The neighbours of each point, <paramref name="neighbors"/> for each in turn.</param>
    /// <param name="distances">Their distances.</param>
    /// <param name="neighbors">Neighbours per point, k.</param>
    /// <param name="perplexity">Roughly how many neighbours count, 1 to k.</param>
    /// <param name="threads">Threads that work, or null for one per processor.</param>
    public static TsneAffinities FromNeighbors(
        ReadOnlySpan<long> ids, ReadOnlySpan<float> distances, int neighbors, double perplexity = 30, int? threads = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(neighbors, 1);
        if (ids.Length % neighbors != 0)
            throw new ArgumentException($"{ids.Length} ids do not make whole rows of {neighbors} neighbours.", nameof(ids));
        if (distances.Length != ids.Length)
            throw new ArgumentException($"There are {distances.Length} distances for {ids.Length} ids.", nameof(distances));
        fixed (long* i = ids)
        fixed (float* d = distances)
            return FromNeighbors(new MatrixView<long>(i, ids.Length / neighbors, neighbors), new(d, ids.Length / neighbors, neighbors), perplexity, threads);
    }

    /// <summary>Affinities from the distances between all points (scikit-learn's and openTSNE's metric "precomputed").</summary>
    /// <param name="distances">N x N: distances (not squared), finite, 0 or more; row i holds those from point i. The diagonal is not looked at.</param>
    /// <param name="perplexity">Roughly how many neighbours count, 1 to N - 1.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <exception cref="ArgumentException">The matrix is not square, or a distance is no distance.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="perplexity"/> is not in 1..N - 1, or <paramref name="threads"/> is out of its range.</exception>
    public static TsneAffinities FromDistances(MatrixView<float> distances, double perplexity = 30, int? threads = null) =>
        FromDistances(distances, AffinityKernel.Perplexity(perplexity), threads);

    /// <summary>Affinities, by any kernel, from the distances between all points.</summary>
    /// <param name="distances">N x N: distances (not squared), finite, 0 or more; row i holds those from point i. The diagonal is not looked at.</param>
    /// <param name="kernel">How distances become affinities.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <exception cref="ArgumentException">The matrix is not square, or a distance is no distance.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are too few points for the kernel, or <paramref name="threads"/> is out of its range.</exception>
    public static TsneAffinities FromDistances(MatrixView<float> distances, AffinityKernel kernel, int? threads = null)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        if (distances.Rows != distances.Columns || distances.Rows > int.MaxValue)
            throw new ArgumentException($"A matrix of distances is square, and this is {distances.Rows} x {distances.Columns}.", nameof(distances));
        kernel.CheckPoints(distances.Rows - 1, distances.Rows);
        using WorkerPool pool = Pool(threads);
        int k = kernel.Neighbors(distances.Rows - 1);
        using AlignedBuffer<int> ids = new(distances.Rows * k);
        using FloatMatrix nearest = new(distances.Rows, k);
        MatrixView<int> idView = new(ids.Pointer, distances.Rows, k);
        MatrixView<float> nearestView = nearest.View;
        pool.For(distances.Rows, 16, (_, start, end) =>
        {
            ulong[] order = new ulong[distances.Rows - 1];
            for (nint i = start; i < end; i++)
                Nearest(distances.RowSpan(i), (int)i, order, idView.RowSpan(i), nearestView.RowSpan(i));
        });
        return Calibrate(idView, nearestView, SimilarityMetric.Euclidean, kernel, double.NaN, nameof(distances), null, pool);
    }

    /// <summary>Affinities that were made elsewhere, as the three arrays of a sparse matrix (SciPy's csr_matrix).</summary>
    /// <remarks>
    /// They are made symmetric and scaled to sum 1, so conditional affinities and unscaled similarities may be given as
    /// well as joint ones. A diagonal is left out.
    /// </remarks>
    /// <param name="indptr">N + 1 offsets of the rows.</param>
    /// <param name="indices">The column of each element.</param>
    /// <param name="data">The elements, finite, 0 or more, not all 0.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <exception cref="ArgumentException">The arrays do not make a square matrix of affinities; the message says where.</exception>
    public static TsneAffinities FromSparse(ReadOnlySpan<long> indptr, ReadOnlySpan<int> indices, ReadOnlySpan<float> data, int? threads = null)
    {
        CsrMatrix given = new(Math.Max(indptr.Length - 1, 0), indptr, indices, data);
        using WorkerPool pool = Pool(threads);
        return new TsneAffinities(JointAffinities.Symmetrize(given, pool), null, double.NaN, pool);
    }

    internal static WorkerPool Pool(int? threads) => new(CheckedThreads(threads));

    /// <summary>The metric of the search that finds neighbours.</summary>
    internal static SimilarityMetric SearchMetric(TsneMetric metric) => metric switch
    {
        TsneMetric.Cosine => SimilarityMetric.Cosine,
        TsneMetric.Dot => SimilarityMetric.Dot,
        _ => SimilarityMetric.Euclidean,
    };

    private static int CheckedThreads(int? threads)
    {
        DataChecks.Threads(threads ?? Environment.ProcessorCount, nameof(threads));
        return threads ?? Environment.ProcessorCount;
    }

    /// <summary>Affinities of a graph, which is disposed of as soon as it is not needed any more where this is its last use.</summary>
    private static TsneAffinities FromGraph(NeighborGraph graph, AffinityKernel kernel, int? threads, bool lastUse)
    {
        try
        {
            using WorkerPool pool = Pool(threads);
            return Calibrate(
                graph.Ids, graph.Scores, graph.Metric, kernel, graph.Recall, nameof(graph), lastUse ? graph.Dispose : () => GC.KeepAlive(graph), pool);
        }
        finally
        {
            if (lastUse)
                graph.Dispose();
        }
    }

    /// <summary>
    /// Joint affinities from the scores of neighbours. <paramref name="free"/> is called when ids and scores are not needed any
    /// more, before the largest arrays are made.
    /// </summary>
    private static TsneAffinities Calibrate<TId>(
        MatrixView<TId> ids, MatrixView<float> scores, SimilarityMetric metric, AffinityKernel kernel, double recall, string name, Action? free, WorkerPool pool)
        where TId : unmanaged, IBinaryInteger<TId>
    {
        if (ids.Columns > 0 && ids.Rows > CsrMatrix.MostNonZeros / ids.Columns)
            throw new ArgumentException($"{ids.Rows} x {ids.Columns} neighbours are more than a sparse matrix holds ({CsrMatrix.MostNonZeros}).", nameof(ids));
        pool.For(ids.Rows, 1024, (_, start, end) => JointAffinities.CheckIds(ids, start, end));
        using WeightedGraph graph = new((int)ids.Rows, (int)ids.Columns);
        using (FloatMatrix block = new(Math.Min(CalibratedRows, ids.Rows), ids.Columns))
        {
            for (nint start = 0; start < ids.Rows; start += CalibratedRows)
            {
                nint first = start;
                MatrixView<float> part = block.View.Slice(0, Math.Min(CalibratedRows, ids.Rows - start));
                Distances(scores.Slice(start, part.Rows), metric, part, start, name, pool);
                kernel.Conditional(part, pool);
                pool.For(part.Rows, 256, (_, from, to) =>
                {
                    for (nint i = from; i < to; i++)
                        graph.SetRow(first + i, ids.Row(first + i), part.Row(i));
                });
            }
        }

        free?.Invoke();
        CsrMatrix joint = graph.Symmetrize(name, pool);
        if (kernel.AllEqual)
            new Span<float>(joint.ValuesPointer, joint.Count).Fill(1f / joint.Count);
        return new TsneAffinities(joint, kernel, recall, pool);
    }

    /// <summary>Distances, finite and 0 or more, from the scores of a metric; see <see cref="TsneMetric"/>.</summary>
    internal static void Distances(MatrixView<float> scores, SimilarityMetric metric, MatrixView<float> distances, nint firstPoint, string name, WorkerPool pool) =>
        pool.For(scores.Rows, 256, (_, start, end) =>
        {
            for (nint i = start; i < end; i++)
            {
                ReadOnlySpan<float> row = scores.RowSpan(i);
                Span<float> destination = distances.RowSpan(i);
                float largest = float.NegativeInfinity;
                foreach (float score in row)
                    largest = Math.Max(largest, score);
                for (int j = 0; j < row.Length; j++)
                {
                    float distance = metric switch
                    {
                        SimilarityMetric.Cosine => Math.Max(0f, 1f - row[j]),
                        SimilarityMetric.Dot => (float)Math.Sqrt((double)largest - row[j]),
                        SimilarityMetric.SquaredEuclidean => MathF.Sqrt(row[j]),
                        _ => row[j],
                    };
                    if (!(distance >= 0 && distance <= float.MaxValue))
                        throw new ArgumentException($"Distance {j} of point {firstPoint + i} is {distance}; distances are finite and 0 or more.", name);
                    destination[j] = distance;
                }
            }
        });

    /// <summary>The nearest other points by a row of distances, ties by the lower id.</summary>
    private static void Nearest(ReadOnlySpan<float> distances, int point, ulong[] order, Span<int> ids, Span<float> nearest)
    {
        int count = 0;
        for (int j = 0; j < distances.Length; j++)
        {
            if (j == point)
                continue;
            if (!(distances[j] >= 0 && distances[j] <= float.MaxValue))
                throw new ArgumentException($"Distance {j} of point {point} is {distances[j]}; distances are finite and 0 or more.", nameof(distances));

            // The bits of floats that are not negative are in the order of the floats; + 0 turns -0 into 0.
            order[count++] = ((ulong)BitConverter.SingleToUInt32Bits(distances[j] + 0f) << 32) | (uint)j;
        }

        Array.Sort(order);
        for (int j = 0; j < ids.Length; j++)
        {
            ids[j] = (int)(uint)order[j];
            nearest[j] = BitConverter.UInt32BitsToSingle((uint)(order[j] >> 32));
        }
    }

    /// <summary>Sum of p ln p, the same for any number of threads.</summary>
    private static double SumOfLogarithms(CsrMatrix joint, WorkerPool pool)
    {
        const int Grain = 65536;
        double[] parts = new double[(joint.Count + Grain - 1) / Grain];
        pool.For(joint.Count, Grain, (_, start, end) =>
        {
            double sum = 0;
            foreach (float p in joint.Values.Slice((int)start, (int)(end - start)))
                sum += p > 0 ? p * Math.Log(p) : 0;
            parts[start / Grain] = sum;
        });
        return parts.Sum();
    }

    private sealed class SearchProgress(IProgress<TsneProgress> progress, int rows) : IProgress<NeighborProgress>
    {
        private readonly long _started = Stopwatch.GetTimestamp();

        public void Report(NeighborProgress value)
        {
            double done = value.Fraction * rows, seconds = Stopwatch.GetElapsedTime(_started).TotalSeconds;
            progress.Report(new TsneProgress(TsneStage.Neighbors, (int)done, rows, double.NaN, double.NaN, seconds > 0 ? done / seconds : 0));
        }
    }
}
