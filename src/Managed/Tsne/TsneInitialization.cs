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

    private static void CheckDimensions(int dimensions)
    {
        if (dimensions is < 1 or > 3)
            throw new ArgumentOutOfRangeException(nameof(dimensions), dimensions, "A map has 1 to 3 axes.");
    }

    /// <summary>The standard deviation of a column (divided by the number of rows).</summary>
    private static double Deviation(FloatMatrix matrix, int column)
    {
        double sum = 0, squares = 0;
        for (nint i = 0; i < matrix.Rows; i++)
            sum += matrix[i, column];
        double mean = sum / matrix.Rows;
        for (nint i = 0; i < matrix.Rows; i++)
            squares += (matrix[i, column] - mean) * (matrix[i, column] - mean);
        return Math.Sqrt(squares / matrix.Rows);
    }
}
