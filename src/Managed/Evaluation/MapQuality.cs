using System.Numerics;
using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>How well a map shows the neighbourhoods of the data that it was made of.</summary>
/// <remarks>
/// Data and map are matrices of a row per point. Work grows with the square of the number of points, or with the points times
/// the sample where one is asked for: the measure is then the mean over that many points, drawn by the seed, against all
/// others. No result depends on the number of threads. Neighbours at equal distance count in the order of their rows.
/// </remarks>
public static unsafe class MapQuality
{
    // Floats of a block of distances: 64 MiB.
    private const nint BlockLength = 1 << 24;
    private const int MostRows = 256;

    /// <summary>
    /// Trustworthiness (Venna and Kaski 2001), as scikit-learn's manifold.trustworthiness: 1 - 2 / (N k (2 N - 3 k - 1)) times the sum, over points i
    /// and those of their k nearest on the map that are not among their k nearest in the data, of (rank in the data - k). 1 is
    /// best; a map at random has about 0.5. With data and map exchanged it is the continuity.
    /// </summary>
    /// <param name="data">N x D, finite.</param>
    /// <param name="map">N x any number of axes, finite.</param>
    /// <param name="neighbors">k, at least 1 and below N / 2 (n_neighbors).</param>
    /// <param name="metric">Which distance ranks the data.</param>
    /// <param name="sample">How many points to take the mean over; null for all.</param>
    /// <param name="seed">Seed of the sample.</param>
    /// <param name="threads">Threads that work, or null for one per processor.</param>
    /// <param name="cancellationToken">Stops the work soon.</param>
    /// <exception cref="ArgumentException">The matrices differ in rows, or hold an element that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static double Trustworthiness(
        MatrixView<float> data,
        MatrixView<float> map,
        int neighbors = 5,
        TsneMetric metric = TsneMetric.Euclidean,
        int? sample = null,
        long seed = 1,
        int? threads = null,
        CancellationToken cancellationToken = default)
    {
        DataChecks.Defined(metric, nameof(metric));
        Check(data.Rows, map, sample);
        DataChecks.Finite(data, nameof(data));
        SimilarityMetric similarity = TsneAffinities.SearchMetric(metric);
        return Trustworthiness(
            map,
            neighbors,
            sample,
            seed,
            threads,
            (rows, scores, pool) =>
            {
                using FloatMatrix queries = Gather(data, rows);
                Similarity.Scores(queries.View, data, similarity, scores, pool);
                if (metric != TsneMetric.Euclidean)
                    Negate(scores, pool);
            },
            cancellationToken);
    }

    /// <inheritdoc cref="Trustworthiness(MatrixView{float}, MatrixView{float}, int, TsneMetric, int?, long, int?, CancellationToken)"/>
    public static double Trustworthiness(
        FloatMatrix data,
        FloatMatrix map,
        int neighbors = 5,
        TsneMetric metric = TsneMetric.Euclidean,
        int? sample = null,
        long seed = 1,
        int? threads = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(map);
        double result = Trustworthiness(data.View, map.View, neighbors, metric, sample, seed, threads, cancellationToken);
        GC.KeepAlive(data);
        GC.KeepAlive(map);
        return result;
    }

    /// <summary>Trustworthiness with respect to given distances (scikit-learn's metric "precomputed").</summary>
    /// <param name="distances">N x N, without NaN: row i holds the distances from point i, squared or not.</param>
    /// <inheritdoc cref="Trustworthiness(MatrixView{float}, MatrixView{float}, int, TsneMetric, int?, long, int?, CancellationToken)"/>
    /// <param name="map">N x any number of axes, finite.</param>
    /// <param name="neighbors">k, at least 1 and below N / 2 (n_neighbors).</param>
    /// <param name="sample">How many points to take the mean over; null for all.</param>
    /// <param name="seed">Seed of the sample.</param>
    /// <param name="threads">Threads that work, or null for one per processor.</param>
    /// <param name="cancellationToken">Stops the work soon.</param>
    public static double TrustworthinessOfDistances(
        MatrixView<float> distances,
        MatrixView<float> map,
        int neighbors = 5,
        int? sample = null,
        long seed = 1,
        int? threads = null,
        CancellationToken cancellationToken = default)
    {
        if (distances.Rows != distances.Columns)
            throw new ArgumentException($"A matrix of distances is square, and this is {distances.Rows} x {distances.Columns}.", nameof(distances));
        Check(distances.Rows, map, sample);
        for (nint i = 0; i < distances.Rows; i++)
        {
            foreach (float distance in distances.RowSpan(i))
            {
                if (float.IsNaN(distance))
                    throw new ArgumentException($"A distance from point {i} is NaN.", nameof(distances));
            }
        }

        return Trustworthiness(
            map,
            neighbors,
            sample,
            seed,
            threads,
            (rows, scores, _) =>
            {
                for (int i = 0; i < rows.Length; i++)
                    distances.RowSpan(rows[i]).CopyTo(scores.RowSpan(i));
            },
            cancellationToken);
    }

    /// <summary>
    /// The share of the k nearest neighbours in the data that are among the k nearest on the map, the mean over points: 1 is
    /// best; a map at random has k / (N - 1).
    /// </summary>
    /// <param name="data">N x D, finite.</param>
    /// <param name="map">N x any number of axes, finite.</param>
    /// <param name="neighbors">k, 1 to N - 1.</param>
    /// <param name="metric">Which distance makes neighbours in the data.</param>
    /// <param name="sample">How many points to take the mean over; null for all.</param>
    /// <param name="seed">Seed of the sample.</param>
    /// <param name="threads">Threads that work, or null for one per processor.</param>
    /// <param name="cancellationToken">Stops the work soon.</param>
    /// <inheritdoc cref="Trustworthiness(MatrixView{float}, MatrixView{float}, int, TsneMetric, int?, long, int?, CancellationToken)" path="/exception"/>
    public static double NeighborPreservation(
        MatrixView<float> data,
        MatrixView<float> map,
        int neighbors = 10,
        TsneMetric metric = TsneMetric.Euclidean,
        int? sample = null,
        long seed = 1,
        int? threads = null,
        CancellationToken cancellationToken = default)
    {
        DataChecks.Defined(metric, nameof(metric));
        Check(data.Rows, map, sample);
        if (neighbors < 1 || neighbors >= data.Rows)
            throw new ArgumentOutOfRangeException(nameof(neighbors), neighbors, $"There must be 1 to {data.Rows - 1} neighbours of {data.Rows} points.");
        DataChecks.Finite(data, nameof(data));
        using WorkerPool pool = TsneAffinities.Pool(threads);
        int[] points = Sample((int)data.Rows, sample, seed);
        long hits = 0;
        for (int start = 0; start < points.Length; start += MostRows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int[] rows = points[start..Math.Min(start + MostRows, points.Length)];
            long[] near = Nearest(data, rows, neighbors, TsneAffinities.SearchMetric(metric), pool);
            long[] shown = Nearest(map, rows, neighbors, SimilarityMetric.Euclidean, pool);
            HashSet<long> wanted = [];
            for (int i = 0; i < rows.Length; i++)
            {
                wanted.Clear();
                wanted.UnionWith(near.AsSpan(i * neighbors, neighbors).ToArray());
                foreach (long id in shown.AsSpan(i * neighbors, neighbors))
                    hits += wanted.Contains(id) ? 1 : 0;
            }
        }

        return (double)hits / neighbors / points.Length;
    }

    /// <inheritdoc cref="NeighborPreservation(MatrixView{float}, MatrixView{float}, int, TsneMetric, int?, long, int?, CancellationToken)"/>
    public static double NeighborPreservation(
        FloatMatrix data,
        FloatMatrix map,
        int neighbors = 10,
        TsneMetric metric = TsneMetric.Euclidean,
        int? sample = null,
        long seed = 1,
        int? threads = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(map);
        double result = NeighborPreservation(data.View, map.View, neighbors, metric, sample, seed, threads, cancellationToken);
        GC.KeepAlive(data);
        GC.KeepAlive(map);
        return result;
    }

    /// <summary>KL(P || Q) of a map in nats, from all pairs of points: what t-SNE makes small, by whatever method or program the map was made.</summary>
    /// <param name="affinities">P, of N points.</param>
    /// <param name="map">N x 1, 2 or 3, finite.</param>
    /// <param name="degreesOfFreedom">nu of the map's kernel: see <see cref="TsneOptions.DegreesOfFreedom"/>.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <exception cref="ArgumentException">The map is none of these points, or has coordinates that are not finite or beyond 1e9.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    public static double KlDivergence(TsneAffinities affinities, MatrixView<float> map, double degreesOfFreedom = 1, int? threads = null) =>
        new TsneEmbedding(affinities, map, TsneMethod.Exact, threads, degreesOfFreedom).KlDivergence;

    /// <inheritdoc cref="KlDivergence(TsneAffinities, MatrixView{float}, double, int?)"/>
    public static double KlDivergence(TsneAffinities affinities, FloatMatrix map, double degreesOfFreedom = 1, int? threads = null) =>
        new TsneEmbedding(affinities, map, TsneMethod.Exact, threads, degreesOfFreedom).KlDivergence;

    private delegate void FillDistances(int[] rows, MatrixView<float> distances, WorkerPool pool);

    private static double Trustworthiness(
        MatrixView<float> map, int neighbors, int? sample, long seed, int? threads, FillDistances fill, CancellationToken cancellationToken)
    {
        nint n = map.Rows;
        if (neighbors < 1 || neighbors >= (n + 1) / 2)
            throw new ArgumentOutOfRangeException(nameof(neighbors), neighbors, $"There must be 1 neighbour at least and fewer than half of the {n} points.");
        using WorkerPool pool = TsneAffinities.Pool(threads);
        int[] points = Sample((int)n, sample, seed);
        int block = (int)Math.Clamp(BlockLength / n, 1, Math.Min(MostRows, points.Length));
        using FloatMatrix distances = new(block, n);
        long[] penalties = new long[block];
        double sum = 0;
        for (int start = 0; start < points.Length; start += block)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int[] rows = points[start..Math.Min(start + block, points.Length)];
            MatrixView<float> part = distances.View.Slice(0, rows.Length);
            fill(rows, part, pool);
            long[] shown = Nearest(map, rows, neighbors, SimilarityMetric.Euclidean, pool);
            pool.For(rows.Length, 1, (_, first, end) =>
            {
                for (nint i = first; i < end; i++)
                {
                    Span<float> row = part.RowSpan(i);
                    row[rows[i]] = float.PositiveInfinity;
                    penalties[i] = 0;
                    for (int j = 0; j < neighbors; j++)
                        penalties[i] += Math.Max(0, Rank(row, (int)shown[(i * neighbors) + j]) - neighbors);
                }
            });
            for (int i = 0; i < rows.Length; i++)
                sum += penalties[i];
        }

        return 1 - (sum * 2 / ((double)points.Length * neighbors * ((2.0 * n) - (3.0 * neighbors) - 1)));
    }

    /// <summary>The place of a point in a row of distances, from 1; of equal ones the first comes first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Rank(ReadOnlySpan<float> distances, int point)
    {
        float mine = distances[point];
        Vector<float> mines = new(mine);
        Vector<int> less = default;
        long rank = 1;
        int i = 0;
        for (; i <= distances.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            // True is -1; before the point ties count as well. The vector that holds it is left to the loop below.
            Vector<float> these = new(distances[i..]);
            if (i + Vector<float>.Count <= point)
                less -= Vector.LessThanOrEqual(these, mines);
            else if (i > point)
                less -= Vector.LessThan(these, mines);
            else
                rank += Count(distances, i, i + Vector<float>.Count, point, mine);
        }

        return rank + Vector.Sum(less) + Count(distances, i, distances.Length, point, mine);
    }

    private static int Count(ReadOnlySpan<float> distances, int start, int end, int point, float mine)
    {
        int count = 0;
        for (int i = start; i < end; i++)
            count += distances[i] < mine || (distances[i] == mine && i < point) ? 1 : 0;
        return count;
    }

    /// <summary>The nearest other rows of some rows of a matrix.</summary>
    private static long[] Nearest(MatrixView<float> matrix, int[] rows, int k, SimilarityMetric metric, WorkerPool pool)
    {
        using FloatMatrix queries = Gather(matrix, rows), scores = new(rows.Length, k + 1);
        using AlignedBuffer<long> ids = new((nint)rows.Length * (k + 1));
        Similarity.TopK(queries.View, matrix, k + 1, metric, new MatrixView<long>(ids.Pointer, rows.Length, k + 1), scores.View, pool: pool);
        long[] nearest = new long[rows.Length * k];
        for (int i = 0; i < rows.Length; i++)
        {
            int place = 0;
            foreach (long id in ids.AsSpan((nint)i * (k + 1), k + 1))
            {
                if (id != rows[i] && place < k)
                    nearest[(i * k) + place++] = id;
            }
        }

        return nearest;
    }

    private static FloatMatrix Gather(MatrixView<float> matrix, int[] rows)
    {
        FloatMatrix gathered = new(rows.Length, matrix.Columns);
        for (int i = 0; i < rows.Length; i++)
            matrix.RowSpan(rows[i]).CopyTo(gathered.Row(i));
        return gathered;
    }

    private static void Negate(MatrixView<float> scores, WorkerPool pool) =>
        pool.For(scores.Rows, 1, (_, start, end) =>
        {
            for (nint i = start; i < end; i++)
            {
                foreach (ref float score in scores.RowSpan(i))
                    score = -score;
            }
        });

    private static int[] Sample(int points, int? sample, long seed)
    {
        int[] order = [.. Enumerable.Range(0, points)];
        if (sample is not { } wanted || wanted >= points)
            return order;
        SplitMix64 random = new(seed);
        for (int i = 0; i < wanted; i++)
        {
            int other = i + (int)random.NextBelow((uint)(points - i));
            (order[i], order[other]) = (order[other], order[i]);
        }

        Array.Sort(order, 0, wanted);
        return order[..wanted];
    }

    private static void Check(nint points, MatrixView<float> map, int? sample)
    {
        if (points > int.MaxValue)
            throw new ArgumentException($"There may be {int.MaxValue} points at most and there are {points}.", nameof(map));
        if (map.Rows != points)
            throw new ArgumentException($"The data has {points} rows and the map {map.Rows}.", nameof(map));
        if (sample is < 1)
            throw new ArgumentOutOfRangeException(nameof(sample), sample, "A sample has 1 point at least; null for all.");
        DataChecks.Finite(map, nameof(map));
    }
}
