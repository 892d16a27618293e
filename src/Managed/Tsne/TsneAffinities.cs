using System.Diagnostics;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The first step of t-SNE: how much each pair of points attracts, p_ij, symmetric with sum 1. Made from data, from a graph
/// of neighbours, or given. Immutable and thread-safe; one instance serves any number of maps.
/// </summary>
public sealed unsafe class TsneAffinities
{
    // Queries between two looks at the cancellation token: a few hundredths of a second for 10,000 points.
    private const int SearchRows = 2048;

    // Neighbours beyond this multiple of the perplexity have next to no weight.
    private const double NeighborsPerPerplexity = 3;

    private TsneAffinities(CsrMatrix joint, double perplexity)
    {
        Joint = joint;
        Perplexity = perplexity;
        NegativeEntropy = TsneGradient.NegativeEntropy(joint);
    }

    /// <summary>The affinities p_ij, N x N: symmetric, sum 1, without a diagonal.</summary>
    public CsrMatrix Joint { get; }

    /// <summary>The perplexity that they were made for; NaN where they were given.</summary>
    public double Perplexity { get; }

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
        CancellationToken cancellationToken = default)
    {
        TsneOptions.CheckDefined(metric, nameof(metric));
        if (data.Rows > int.MaxValue)
            throw new ArgumentException($"There may be {int.MaxValue} rows at most and there are {data.Rows}.", nameof(data));
        CheckPerplexity(perplexity, data.Rows);
        DataChecks.Finite(data, nameof(data));
        using WorkerPool pool = Pool(threads);
        int k = (int)Math.Min(data.Rows - 1, NeighborsPerPerplexity * perplexity);
        using AlignedBuffer<long> ids = new(data.Rows * k);
        using FloatMatrix distances = new(data.Rows, k);
        MatrixView<long> idView = new(ids.Pointer, data.Rows, k);
        Search(data, metric, idView, distances.View, pool, progress, cancellationToken);
        return Calibrate(idView, distances.View, perplexity, pool);
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

    /// <summary>Affinities of a graph of neighbours that was found elsewhere.</summary>
    /// <param name="ids">N x k: the neighbours of each point, 0 to N - 1, without the point itself, in any order.</param>
    /// <param name="distances">N x k: their distances (not squared), finite, 0 or more.</param>
    /// <param name="perplexity">Roughly how many neighbours count, 1 to k; k of 3 times the perplexity is usual.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <exception cref="ArgumentException">The shapes differ, an id is no other point, or a distance is no distance.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="perplexity"/> is not in 1..k, or <paramref name="threads"/> is out of its range.</exception>
    public static TsneAffinities FromNeighbors(MatrixView<long> ids, MatrixView<float> distances, double perplexity = 30, int? threads = null)
    {
        if (distances.Rows != ids.Rows || distances.Columns != ids.Columns)
            throw new ArgumentException($"The shape must be that of the ids, {ids.Rows} x {ids.Columns}, and is {distances.Rows} x {distances.Columns}.", nameof(distances));
        if (!(perplexity >= 1 && perplexity <= ids.Columns))
        {
            throw new ArgumentOutOfRangeException(
                nameof(perplexity), perplexity, $"The perplexity must be at least 1 and at most the number of neighbours per point, {ids.Columns}; a third of that is usual.");
        }

        using WorkerPool pool = Pool(threads);
        using FloatMatrix copy = new(distances.Rows, distances.Columns);
        for (nint i = 0; i < distances.Rows; i++)
            distances.RowSpan(i).CopyTo(copy.Row(i));
        return Calibrate(ids, copy.View, perplexity, pool);
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
        return new TsneAffinities(JointAffinities.Symmetrize(given, pool), double.NaN);
    }

    internal static WorkerPool Pool(int? threads)
    {
        DataChecks.Threads(threads ?? Environment.ProcessorCount, nameof(threads));
        return new WorkerPool(threads ?? Environment.ProcessorCount);
    }

    internal static void CheckPerplexity(double perplexity, nint points)
    {
        if (!(perplexity >= 1 && double.IsFinite(perplexity)))
            throw new ArgumentOutOfRangeException(nameof(perplexity), perplexity, "The perplexity must be at least 1.");
        if (perplexity > points - 1)
        {
            string advice = points > 1
                ? $"use {points - 1} at most; {Math.Max(1, (points - 1) / NeighborsPerPerplexity):F1} leaves 3 neighbours for each that counts."
                : "a map needs 2 points at least.";
            throw new ArgumentOutOfRangeException(
                nameof(perplexity), perplexity, $"A perplexity of {perplexity} needs more than {perplexity} points, and there are {points}: {advice}");
        }
    }

    /// <summary>
    /// The nearest other rows of each row. Blocks of queries ask for one more and drop themselves, because only that can
    /// be cut into blocks; ties go to the lower index, so the result is that of one search.
    /// </summary>
    private static void Search(
        MatrixView<float> data,
        TsneMetric metric,
        MatrixView<long> ids,
        MatrixView<float> distances,
        WorkerPool pool,
        IProgress<TsneProgress>? progress,
        CancellationToken cancellationToken)
    {
        int k = (int)ids.Columns;
        nint block = Math.Min(SearchRows, data.Rows);
        using AlignedBuffer<long> foundIds = new(block * (k + 1));
        using FloatMatrix foundScores = new(block, k + 1);
        SimilarityMetric similarity = metric == TsneMetric.Cosine ? SimilarityMetric.Cosine : SimilarityMetric.Euclidean;
        long started = Stopwatch.GetTimestamp();
        for (nint start = 0; start < data.Rows; start += block)
        {
            cancellationToken.ThrowIfCancellationRequested();
            nint rows = Math.Min(block, data.Rows - start);
            MatrixView<long> found = new(foundIds.Pointer, rows, k + 1);
            MatrixView<float> scores = foundScores.View.Slice(0, rows);
            Similarity.TopK(data.Slice(start, rows), data, k + 1, similarity, found, scores, pool: pool);
            for (nint i = 0; i < rows; i++)
            {
                int place = 0;
                for (int j = 0; j <= k && place < k; j++)
                {
                    if (found.Row(i)[j] == start + i)
                        continue;
                    ids.Row(start + i)[place] = found.Row(i)[j];
                    float score = scores.Row(i)[j];
                    distances.Row(start + i)[place] = metric == TsneMetric.Cosine ? Math.Max(0f, 1f - score) : score;
                    place++;
                }
            }

            double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            progress?.Report(new TsneProgress(
                TsneStage.Neighbors, (int)(start + rows), (int)data.Rows, double.NaN, double.NaN, seconds > 0 ? (start + rows) / seconds : 0));
        }
    }

    /// <summary>Affinities from distances, which are overwritten.</summary>
    private static TsneAffinities Calibrate(MatrixView<long> ids, MatrixView<float> distances, double perplexity, WorkerPool pool)
    {
        for (nint i = 0; i < distances.Rows; i++)
        {
            // Each row's affinities depend on ratios of distances alone; a power of two keeps the squares from overflowing.
            Span<float> row = distances.RowSpan(i);
            float largest = 0;
            for (int j = 0; j < row.Length; j++)
            {
                if (!(row[j] >= 0 && row[j] <= float.MaxValue))
                    throw new ArgumentException($"Distance {j} of point {i} is {row[j]}; distances are finite and 0 or more.", nameof(distances));
                largest = Math.Max(largest, row[j]);
            }

            int exponent = largest > 0 ? -Math.ILogB(largest) : 0;
            for (int j = 0; j < row.Length; j++)
            {
                float scaled = (float)Math.ScaleB((double)row[j], exponent);
                row[j] = scaled * scaled;
            }
        }

        PerplexitySearch.Conditional(distances, perplexity, distances, pool: pool);
        return new TsneAffinities(JointAffinities.Symmetrize(ids, distances, pool), perplexity);
    }
}
