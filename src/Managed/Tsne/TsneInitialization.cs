using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The second step of t-SNE: where the points of the map start. A start has a standard deviation near 1e-4, so that no pair
/// is far apart at first; any matrix of points x axes may be used instead of these.
/// </summary>
public static unsafe class TsneInitialization
{
    /// <summary>The standard deviation of a start.</summary>
    public const double StandardDeviation = 1e-4;

    // An axis that the data does not fill gets noise a hundredth as wide as the first, or t-SNE could never leave it.
    private const double NoiseShare = 0.01;

    // Components narrower than this share of the first are rounding error.
    private const double EmptyShare = 1e-5;

    // That of openTSNE; products of the graph with a vector are bounded for graphs whose eigenvalues crowd.
    private const double SpectralTolerance = 1e-4;
    private const int MostSpectralProducts = 600;

    /// <summary>
    /// The first principal components of the data, scaled together so that the first has standard deviation 1e-4
    /// (scikit-learn's and openTSNE's way).
    /// </summary>
    /// <remarks>
    /// Axes that the data does not fill (fewer columns than axes, points on a line) get normally distributed noise, a
    /// hundredth as wide; where all points are equal, of standard deviation 1e-4.
    /// </remarks>
    /// <param name="data">N x D, finite.</param>
    /// <param name="dimensions">Axes of the map, 1 to 3.</param>
    /// <param name="seed">Seed of the noise on empty axes.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <returns>N x dimensions.</returns>
    /// <exception cref="ArgumentException">The data is empty or has an element that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="dimensions"/> or <paramref name="threads"/> is out of its range.</exception>
    public static FloatMatrix Pca(MatrixView<float> data, int dimensions = 2, long seed = 1, int? threads = null)
    {
        CheckDimensions(dimensions);
        using WorkerPool pool = TsneAffinities.Pool(threads);
        int components = (int)Math.Min(dimensions, Math.Min(data.Rows, data.Columns));
        EmbeddingKernels.Pca pca = EmbeddingKernels.Pca.Fit(data, components, pool);
        using FloatMatrix coordinates = pca.Transform(data, pool);
        FloatMatrix map = new(data.Rows, dimensions);
        SplitMix64 random = new(seed);
        double first = Deviation(coordinates, 0);
        for (int axis = 0; axis < dimensions; axis++)
        {
            double deviation = axis < components ? Deviation(coordinates, axis) : 0;
            bool empty = !(deviation > EmptyShare * first);
            double noise = first > 0 ? NoiseShare * StandardDeviation : StandardDeviation;
            for (nint i = 0; i < data.Rows; i++)
                map[i, axis] = (float)(empty ? noise * random.NextGaussian() : coordinates[i, axis] / first * StandardDeviation);
        }

        return map;
    }

    /// <inheritdoc cref="Pca(MatrixView{float}, int, long, int?)"/>
    public static FloatMatrix Pca(FloatMatrix data, int dimensions = 2, long seed = 1, int? threads = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        FloatMatrix map = Pca(data.View, dimensions, seed, threads);
        GC.KeepAlive(data);
        return map;
    }

    /// <summary>Normally distributed coordinates of standard deviation 1e-4.</summary>
    /// <param name="points">Number of points, 0 or more.</param>
    /// <param name="dimensions">Axes of the map, 1 to 3.</param>
    /// <param name="seed">The same seed gives the same coordinates.</param>
    /// <returns>points x dimensions.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    public static FloatMatrix Random(int points, int dimensions = 2, long seed = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(points);
        CheckDimensions(dimensions);
        FloatMatrix map = new(points, dimensions);
        SplitMix64 random = new(seed);
        for (int i = 0; i < points; i++)
        {
            for (int axis = 0; axis < dimensions; axis++)
                map[i, axis] = (float)(StandardDeviation * random.NextGaussian());
        }

        return map;
    }

    /// <summary>
    /// The leading eigenvectors of the random walk on the graph of affinities, each times its eigenvalue (a diffusion map), less
    /// the constant one; scaled together so that the first has standard deviation 1e-4, with noise a hundredth as wide, which
    /// parts points that the graph does not tell apart (openTSNE's initialization.spectral).
    /// </summary>
    /// <remarks>
    /// Takes some hundred products of the affinities with a vector: about as long as a hundred steps of t-SNE, and longer
    /// where eigenvalues crowd near 1. The eigenvectors have residuals below 1e-4 (openTSNE: tol), or the smallest that 600 products give.
    /// Memory: 66 doubles per point while it runs.
    /// </remarks>
    /// <param name="affinities">The affinities.</param>
    /// <param name="dimensions">Axes of the map, 1 to 3.</param>
    /// <param name="seed">Seed of the search and of the noise.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <param name="cancellationToken">Stops the work soon.</param>
    /// <returns>N x dimensions.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="dimensions"/> or <paramref name="threads"/> is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static FloatMatrix Spectral(
        TsneAffinities affinities, int dimensions = 2, long seed = 1, int? threads = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(affinities);
        CheckDimensions(dimensions);
        cancellationToken.ThrowIfCancellationRequested();
        using WorkerPool pool = TsneAffinities.Pool(threads);
        using SpectralAxes axes = new(affinities.Joint, pool);
        (_, double[][] vectors) = axes.Leading(dimensions, seed, SpectralTolerance, MostSpectralProducts, cancellationToken);
        FloatMatrix map = new(affinities.Points, dimensions);
        SplitMix64 random = new(seed);
        double first = vectors.Length == 0 ? 0 : Deviation(vectors[0]);
        double scale = first > 0 ? StandardDeviation / first : 0, noise = first > 0 ? NoiseShare * StandardDeviation : StandardDeviation;
        for (int i = 0; i < affinities.Points; i++)
        {
            Span<float> row = map.Row(i);
            for (int axis = 0; axis < dimensions; axis++)
                row[axis] = (float)((axis < vectors.Length ? vectors[axis][i] * scale : 0) + (noise * random.NextGaussian()));
        }

        return map;
    }

    /// <summary>Scales a start so that its first axis has a given standard deviation (openTSNE's initialization.rescale).</summary>
    /// <param name="positions">N x any number of axes, finite; not changed.</param>
    /// <param name="standardDeviation">The wanted standard deviation, above 0.</param>
    /// <returns>A matrix of the same shape.</returns>
    /// <exception cref="ArgumentException">A position is not finite, or all are equal on the first axis.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="standardDeviation"/> is not above 0.</exception>
    public static FloatMatrix Rescale(FloatMatrix positions, double standardDeviation = StandardDeviation)
    {
        ArgumentNullException.ThrowIfNull(positions);
        TsneOptions.CheckPositive(standardDeviation, nameof(standardDeviation));
        DataChecks.Finite(positions.View, nameof(positions));
        double first = positions.Columns > 0 ? Deviation(positions, 0) : 0;
        if (!(first > 0))
            throw new ArgumentException("The first axis has no width that could be scaled.", nameof(positions));
        FloatMatrix scaled = new(positions.Rows, positions.Columns);
        for (nint i = 0; i < positions.Rows; i++)
        {
            ReadOnlySpan<float> row = positions.Row(i);
            Span<float> destination = scaled.Row(i);
            for (int axis = 0; axis < row.Length; axis++)
                destination[axis] = (float)(row[axis] * (standardDeviation / first));
        }

        return scaled;
    }

    /// <summary>
    /// Where new points start in a finished map: the median, on each axis, of their nearest reference points (openTSNE's
    /// initialization.median, the default of transform). One far neighbour does not draw a point away.
    /// </summary>
    /// <param name="map">N x axes: the finished map.</param>
    /// <param name="neighbors">m x k, k at least 1: the reference points next to each new one.</param>
    /// <returns>m x axes.</returns>
    /// <exception cref="ArgumentException">There are no neighbours, or one is no point of the map.</exception>
    public static FloatMatrix Median(MatrixView<float> map, MatrixView<long> neighbors)
    {
        CheckNeighbors(map, neighbors);
        FloatMatrix start = new(neighbors.Rows, map.Columns);
        float[] values = new float[neighbors.Columns];
        int middle = values.Length / 2;
        for (nint i = 0; i < neighbors.Rows; i++)
        {
            Span<float> destination = start.Row(i);
            for (int axis = 0; axis < destination.Length; axis++)
            {
                for (int j = 0; j < values.Length; j++)
                    values[j] = map.Row((nint)neighbors.Row(i)[j])[axis];
                Array.Sort(values);
                destination[axis] = values.Length % 2 == 1 ? values[middle] : (float)(((double)values[middle - 1] + values[middle]) / 2);
            }
        }

        return start;
    }

    /// <summary>
    /// Where new points start in a finished map: the weighted mean of their nearest reference points. openTSNE's
    /// initialization.weighted_mean takes the distances for weights, which draws points to the farther ones; give affinities here.
    /// </summary>
    /// <param name="map">N x axes: the finished map.</param>
    /// <param name="neighbors">m x k: the reference points next to each new one.</param>
    /// <param name="weights">m x k: 0 or more, not all 0 in a row.</param>
    /// <returns>m x axes.</returns>
    /// <exception cref="ArgumentException">The shapes differ, a neighbour is no point of the map, or weights are no weights.</exception>
    public static FloatMatrix WeightedMean(MatrixView<float> map, MatrixView<long> neighbors, MatrixView<float> weights)
    {
        CheckNeighbors(map, neighbors);
        if (weights.Rows != neighbors.Rows || weights.Columns != neighbors.Columns)
            throw new ArgumentException($"The shape must be that of the neighbours, {neighbors.Rows} x {neighbors.Columns}, and is {weights.Rows} x {weights.Columns}.", nameof(weights));
        FloatMatrix start = new(neighbors.Rows, map.Columns);
        double[] sums = new double[map.Columns];
        for (nint i = 0; i < neighbors.Rows; i++)
        {
            Array.Clear(sums);
            double total = 0;
            for (nint j = 0; j < neighbors.Columns; j++)
            {
                float weight = weights.Row(i)[j];
                if (!(weight >= 0))
                    throw new ArgumentException($"Weight {j} of point {i} is {weight}; weights are 0 or more.", nameof(weights));
                total += weight;
                float* position = map.Row((nint)neighbors.Row(i)[j]);
                for (int axis = 0; axis < sums.Length; axis++)
                    sums[axis] += weight * (double)position[axis];
            }

            if (!(total > 0 && double.IsFinite(total)))
                throw new ArgumentException($"The weights of point {i} add up to {total}.", nameof(weights));
            for (int axis = 0; axis < sums.Length; axis++)
                start.Row(i)[axis] = (float)(sums[axis] / total);
        }

        return start;
    }

    private static void CheckNeighbors(MatrixView<float> map, MatrixView<long> neighbors)
    {
        if (neighbors.Columns < 1)
            throw new ArgumentException("There must be a neighbour at least.", nameof(neighbors));
        for (nint i = 0; i < neighbors.Rows; i++)
        {
            for (nint j = 0; j < neighbors.Columns; j++)
            {
                if ((ulong)neighbors.Row(i)[j] >= (ulong)map.Rows)
                    throw new ArgumentException($"Neighbour {j} of point {i} is {neighbors.Row(i)[j]}, and the map has {map.Rows} points.", nameof(neighbors));
            }
        }
    }

    private static void CheckDimensions(int dimensions)
    {
        if (dimensions is < 1 or > 3)
            throw new ArgumentOutOfRangeException(nameof(dimensions), dimensions, "A map has 1 to 3 axes.");
    }

    /// <summary>The standard deviation of a column (divided by the number of rows).</summary>
    private static double Deviation(FloatMatrix matrix, int column)
    {
        double[] values = new double[matrix.Rows];
        MatrixView<float> view = matrix.View;
        for (int i = 0; i < values.Length; i++)
            values[i] = view.Row(i)[column];
        GC.KeepAlive(matrix);
        return Deviation(values);
    }

    private static double Deviation(double[] values)
    {
        double mean = values.Length == 0 ? 0 : values.Average(), squares = 0;
        foreach (double value in values)
            squares += (value - mean) * (value - mean);
        return values.Length == 0 ? 0 : Math.Sqrt(squares / values.Length);
    }
}
