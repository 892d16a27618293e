using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// Principal component analysis: the orthogonal directions in which centred data varies most, as scikit-learn's
/// <c>PCA</c> gives them.
/// </summary>
/// <remarks>
/// <para>Products of the centred data are taken in single precision in blocks of at most 4,096 rows (of columns, where there are
/// fewer rows) and added up in double; small eigenproblems are solved in double. Directions whose variance is below about
/// 1e-7 of the largest are noise. The data may be floats, halves or bytes, in memory or in a mapped file larger than it
/// (<see cref="MappedRows"/>): never more than a block of it is copied.</para>
/// <para>The sign of a component is such that its element of largest magnitude (the first one of equals) is positive, so
/// the result is the same in each run, for any number of threads. Immutable and thread-safe.</para>
/// <para>Names in scikit-learn: <see cref="Components"/> components_, <see cref="Mean"/> mean_,
/// <see cref="ExplainedVariance"/> explained_variance_, <see cref="ExplainedVarianceRatio"/> explained_variance_ratio_.</para>
/// </remarks>
public sealed unsafe class Pca
{
    /// <summary>The smaller side of the data may be this at most for <see cref="PcaSolver.Exact"/>, whose matrix of products then takes 7 GB.</summary>
    public const int LargestExactSide = 30_000;

    // Up to here all eigenvectors take a fraction of a second.
    private const int SmallSide = 512;

    private readonly FloatMatrix _components;
    private readonly double[] _mean;
    private readonly double[] _variance;
    private readonly double _totalVariance;
    private readonly FloatMatrix _forward;
    private readonly FloatMatrix _backward;

    private Pca(FloatMatrix components, double[] mean, double[] variance, double totalVariance, bool whiten)
    {
        _components = components;
        _mean = mean;
        _variance = variance;
        _totalVariance = totalVariance;
        Whiten = whiten;
        _forward = whiten ? Scaled(v => v > 0 ? 1 / Math.Sqrt(v) : 0) : components;
        _backward = whiten ? Scaled(Math.Sqrt) : components;
    }

    /// <summary>
    /// The components, one unit vector per row, largest variance first; 0 where no variance is left, unless the covariance
    /// gave them. Not to be written to.
    /// </summary>
    public FloatMatrix Components => _components;

    /// <summary>The mean of each column, which <see cref="Transform(RowsView, MatrixView{float}, WorkerPool?)"/> takes off.</summary>
    public ReadOnlySpan<double> Mean => _mean;

    /// <summary>The variance along each component (divided by rows - 1).</summary>
    public ReadOnlySpan<double> ExplainedVariance => _variance;

    /// <summary>The share of each component in the variance of the data; 0 where that has none.</summary>
    public double[] ExplainedVarianceRatio => [.. _variance.Select(v => _totalVariance > 0 ? v / _totalVariance : 0)];

    /// <summary>Whether coordinates are scaled to variance 1.</summary>
    public bool Whiten { get; }

    /// <summary>Finds the directions of largest variance.</summary>
    /// <param name="data">N x D, finite.</param>
    /// <param name="options">How many, and how.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <param name="cancellationToken">Ends the work within a block of rows, but not within an eigenproblem.</param>
    /// <exception cref="ArgumentException">The data is empty or has an element that is not finite, or is too large for <see cref="PcaSolver.Exact"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A setting is out of its range; there may be 1 to min(N, D) components.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static Pca Fit(RowsView data, PcaOptions options, WorkerPool? pool = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (data.Rows == 0 || data.Columns == 0)
            throw new ArgumentException($"There is nothing to analyse in a matrix of {data.Rows} x {data.Columns}.", nameof(data));
        nint side = Math.Min(data.Rows, data.Columns);
        if (options.Components > side)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.Components, $"The number of components must be 1 to {side}, the smaller side of the {data.Rows} x {data.Columns} data.");
        }

        bool exact = options.Solver == PcaSolver.Exact
            || (options.Solver == PcaSolver.Auto && side <= LargestExactSide && (side <= SmallSide || options.Components >= side / 5));
        if (exact && side > LargestExactSide)
        {
            throw new ArgumentException(
                $"The smaller side of the data may be {LargestExactSide} at most for the exact solver; the data is {data.Rows} x {data.Columns}.", nameof(data));
        }

        pool ??= WorkerPool.Serial;
        ColumnStatistics statistics = ColumnStatistics.Of(data, nameof(data), pool);
        double scale = Scale(statistics.Largest);
        PrincipalAxes search = new(new CentredData(data, statistics.Means, scale, pool, cancellationToken), data.Rows, data.Columns, pool);
        (double[] values, FloatMatrix axes) = exact ? search.Exact(options.Components) : search.Randomized(options);
        double degrees = Math.Max(data.Rows - 1, 1);
        Orient(axes);
        return new Pca(
            axes, statistics.Means, [.. values.Select(v => v / (scale * scale * degrees))], statistics.Squares(data, pool) / degrees, options.Whiten);
    }

    /// <inheritdoc cref="Fit(RowsView, PcaOptions, WorkerPool?, CancellationToken)"/>
    public static Pca Fit(FloatMatrix data, PcaOptions options, WorkerPool? pool = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        Pca pca = Fit(data.View, options, pool, cancellationToken);
        GC.KeepAlive(data);
        return pca;
    }

    /// <summary>Finds the <paramref name="components"/> directions of largest variance.</summary>
    /// <param name="data">N x D, finite.</param>
    /// <param name="components">1 to min(N, D).</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The data is empty or has an element that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="components"/> is not in 1..min(N, D).</exception>
    public static Pca Fit(RowsView data, int components, WorkerPool? pool = null) => Fit(data, new PcaOptions { Components = components }, pool);

    /// <inheritdoc cref="Fit(RowsView, int, WorkerPool?)"/>
    public static Pca Fit(FloatMatrix data, int components, WorkerPool? pool = null) => Fit(data, new PcaOptions { Components = components }, pool);

    /// <summary>
    /// The coordinates of each row along the components: (data - mean) times the transposed components, each divided by the
    /// square root of its variance where <see cref="Whiten"/> is set (0 where it has none).
    /// </summary>
    /// <param name="data">Any number of rows with as many columns as the data of the fit.</param>
    /// <param name="coordinates">As many rows, one column per component; overwritten. Must not overlap <paramref name="data"/>.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    public void Transform(RowsView data, MatrixView<float> coordinates, WorkerPool? pool = null)
    {
        if (data.Columns != _mean.Length)
            throw new ArgumentException($"The data must have the {_mean.Length} columns of the fit and has {data.Columns}.", nameof(data));
        CheckShape(coordinates, data.Rows, _components.Rows, nameof(coordinates));
        foreach ((MatrixView<float> block, nint start) in new CentredData(data, _mean, 1, pool ?? WorkerPool.Serial, default).Rows())
            Gemm.Multiply(1f, block, false, _forward.View, true, 0f, coordinates.Slice(start, block.Rows), pool);
        GC.KeepAlive(_forward);
    }

    /// <inheritdoc cref="Transform(RowsView, MatrixView{float}, WorkerPool?)"/>
    public FloatMatrix Transform(RowsView data, WorkerPool? pool = null)
    {
        FloatMatrix coordinates = new(data.Rows, _components.Rows);
        Transform(data, coordinates.View, pool);
        return coordinates;
    }

    /// <summary>The points that have these coordinates: mean + coordinates times components; what <see cref="Transform(RowsView, MatrixView{float}, WorkerPool?)"/> dropped is lost.</summary>
    /// <param name="coordinates">Any number of rows, one column per component.</param>
    /// <param name="data">As many rows, with as many columns as the data of the fit; overwritten.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    public void InverseTransform(MatrixView<float> coordinates, MatrixView<float> data, WorkerPool? pool = null)
    {
        if (coordinates.Columns != _components.Rows)
            throw new ArgumentException($"The coordinates must have {_components.Rows} columns and have {coordinates.Columns}.", nameof(coordinates));
        CheckShape(data, coordinates.Rows, _mean.Length, nameof(data));
        Gemm.Multiply(coordinates, _backward.View, data, pool);
        for (nint i = 0; i < data.Rows; i++)
        {
            float* row = data.Row(i);
            for (int j = 0; j < _mean.Length; j++)
                row[j] = (float)(row[j] + _mean[j]);
        }

        GC.KeepAlive(_backward);
    }

    /// <inheritdoc cref="InverseTransform(MatrixView{float}, MatrixView{float}, WorkerPool?)"/>
    public FloatMatrix InverseTransform(MatrixView<float> coordinates, WorkerPool? pool = null)
    {
        FloatMatrix data = new(coordinates.Rows, _mean.Length);
        InverseTransform(coordinates, data.View, pool);
        return data;
    }

    /// <summary>The power of two that brings the largest centred element near 1, so that no square overflows or underflows.</summary>
    private static double Scale(double largest) => largest > 0 ? Math.ScaleB(1, Math.Clamp(-Math.ILogB(largest), -126, 126)) : 1;

    private static void CheckShape(MatrixView<float> matrix, nint rows, nint columns, string name)
    {
        if (matrix.Rows != rows || matrix.Columns != columns)
            throw new ArgumentException($"The shape must be {rows} x {columns} and is {matrix.Rows} x {matrix.Columns}.", name);
    }

    private static void Orient(FloatMatrix axes)
    {
        for (nint k = 0; k < axes.Rows; k++)
        {
            Span<float> row = axes.Row(k);
            int largest = 0;
            for (int j = 0; j < row.Length; j++)
            {
                if (Math.Abs(row[j]) > Math.Abs(row[largest]))
                    largest = j;
            }

            if (row[largest] < 0)
            {
                foreach (ref float element in row)
                    element = -element;
            }
        }
    }

    private FloatMatrix Scaled(Func<double, double> factor)
    {
        FloatMatrix scaled = _components.Copy();
        for (int k = 0; k < _variance.Length; k++)
        {
            float times = (float)factor(_variance[k]);
            foreach (ref float element in scaled.Row(k))
                element *= times;
        }

        return scaled;
    }
}
