using EmbeddingKernels.Core;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.LinearAlgebra.Double;

namespace EmbeddingKernels;

/// <summary>
/// Principal component analysis: the orthogonal directions in which centred data varies most, as scikit-learn's
/// <c>PCA</c> gives them.
/// </summary>
/// <remarks>
/// <para>Products of the centred data are taken in single precision in blocks of 4,096 rows and added up in double; the
/// eigenvectors of the columns' covariance, or of the rows' Gram matrix where there are fewer rows than columns, in
/// double. Directions whose variance is below about 1e-7 of the largest are noise.</para>
/// <para>The sign of a component is such that its element of largest magnitude (the first one of equals) is positive, so
/// the result is the same in each run, for any number of threads. Immutable and thread-safe.</para>
/// <para>Names in scikit-learn: <see cref="Components"/> components_, <see cref="Mean"/> mean_,
/// <see cref="ExplainedVariance"/> explained_variance_, <see cref="ExplainedVarianceRatio"/> explained_variance_ratio_.</para>
/// </remarks>
public sealed unsafe class Pca
{
    // Rows that are centred and multiplied at a time.
    private const int RowBlock = 4096;

    // The square matrix of products then takes 7 GB in double.
    private const int LargestSide = 30_000;

    private readonly FloatMatrix _components;
    private readonly double[] _mean;
    private readonly double[] _variance;
    private readonly double _totalVariance;

    private Pca(FloatMatrix components, double[] mean, double[] variance, double totalVariance)
    {
        _components = components;
        _mean = mean;
        _variance = variance;
        _totalVariance = totalVariance;
    }

    /// <summary>
    /// The components, one unit vector per row, largest variance first; 0 where no variance is left and rows are fewer than
    /// columns. Not to be written to.
    /// </summary>
    public FloatMatrix Components => _components;

    /// <summary>The mean of each column, which <see cref="Transform(MatrixView{float}, MatrixView{float}, WorkerPool?)"/> takes off.</summary>
    public ReadOnlySpan<double> Mean => _mean;

    /// <summary>The variance along each component (divided by rows - 1).</summary>
    public ReadOnlySpan<double> ExplainedVariance => _variance;

    /// <summary>The share of each component in the variance of the data; 0 where that has none.</summary>
    public double[] ExplainedVarianceRatio => [.. _variance.Select(v => _totalVariance > 0 ? v / _totalVariance : 0)];

    /// <summary>Finds the <paramref name="components"/> directions of largest variance.</summary>
    /// <param name="data">N x D, finite.</param>
    /// <param name="components">1 to min(N, D).</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The data is empty or has an element that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="components"/> is not in 1..min(N, D).</exception>
    public static Pca Fit(MatrixView<float> data, int components, WorkerPool? pool = null)
    {
        if (data.Rows == 0 || data.Columns == 0)
            throw new ArgumentException($"There is nothing to analyse in a matrix of {data.Rows} x {data.Columns}.", nameof(data));
        if (components < 1 || components > Math.Min(data.Rows, data.Columns))
        {
            throw new ArgumentOutOfRangeException(
                nameof(components), components, $"The number of components must be 1 to {Math.Min(data.Rows, data.Columns)}, the smaller side of the {data.Rows} x {data.Columns} data.");
        }

        if (Math.Min(data.Rows, data.Columns) > LargestSide)
            throw new ArgumentException($"The smaller side of the data may be {LargestSide} at most; the data is {data.Rows} x {data.Columns}.", nameof(data));
        DataChecks.Finite(data, nameof(data));
        double[] mean = Means(data);
        double scale = Scale(data, mean);
        bool byRows = data.Rows < data.Columns;
        Matrix<double> products = byRows ? Gram(data, mean, scale, pool) : Covariance(data, mean, scale, pool);
        (double[] values, Matrix<double> vectors) = SymmetricEigen.Largest(products, components);
        for (int i = 0; i < components; i++)
            values[i] = Math.Max(values[i], 0);
        if (byRows)
            vectors = ToColumns(data, mean, scale, vectors, values);

        double unit = 1 / (scale * scale * Math.Max(data.Rows - 1, 1));
        return new Pca(Oriented(vectors), mean, [.. values.Select(v => v * unit)], products.Diagonal().Sum() * unit);
    }

    /// <inheritdoc cref="Fit(MatrixView{float}, int, WorkerPool?)"/>
    public static Pca Fit(FloatMatrix data, int components, WorkerPool? pool = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        Pca pca = Fit(data.View, components, pool);
        GC.KeepAlive(data);
        return pca;
    }

    /// <summary>The coordinates of each row along the components: (data - mean) times the transposed components.</summary>
    /// <param name="data">Any number of rows with as many columns as the data of the fit.</param>
    /// <param name="coordinates">As many rows, one column per component; overwritten. Must not overlap <paramref name="data"/>.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    public void Transform(MatrixView<float> data, MatrixView<float> coordinates, WorkerPool? pool = null)
    {
        if (data.Columns != _mean.Length)
            throw new ArgumentException($"The data must have the {_mean.Length} columns of the fit and has {data.Columns}.", nameof(data));
        if (coordinates.Rows != data.Rows || coordinates.Columns != _components.Rows)
            throw new ArgumentException($"The shape must be {data.Rows} x {_components.Rows} and is {coordinates.Rows} x {coordinates.Columns}.", nameof(coordinates));
        foreach ((MatrixView<float> block, nint start) in new CentredBlocks(data, _mean, 1))
            Gemm.Multiply(1f, block, false, _components.View, true, 0f, coordinates.Slice(start, block.Rows), pool);
        GC.KeepAlive(_components);
    }

    /// <inheritdoc cref="Transform(MatrixView{float}, MatrixView{float}, WorkerPool?)"/>
    public FloatMatrix Transform(MatrixView<float> data, WorkerPool? pool = null)
    {
        FloatMatrix coordinates = new(data.Rows, _components.Rows);
        Transform(data, coordinates.View, pool);
        return coordinates;
    }

    private static double[] Means(MatrixView<float> data)
    {
        double[] sums = new double[data.Columns];
        for (nint i = 0; i < data.Rows; i++)
        {
            float* row = data.Row(i);
            for (int j = 0; j < sums.Length; j++)
                sums[j] += row[j];
        }

        for (int j = 0; j < sums.Length; j++)
            sums[j] /= data.Rows;
        return sums;
    }

    /// <summary>The power of two that brings the largest centred element near 1, so that no square overflows or underflows.</summary>
    private static double Scale(MatrixView<float> data, double[] mean)
    {
        double largest = 0;
        for (nint i = 0; i < data.Rows; i++)
        {
            float* row = data.Row(i);
            for (int j = 0; j < mean.Length; j++)
                largest = Math.Max(largest, Math.Abs(row[j] - mean[j]));
        }

        return largest > 0 ? Math.ScaleB(1, -Math.ILogB(largest)) : 1;
    }

    private static DenseMatrix Covariance(MatrixView<float> data, double[] mean, double scale, WorkerPool? pool)
    {
        int columns = mean.Length;
        double[] sums = new double[columns * columns];
        using FloatMatrix product = new(columns, columns);
        foreach ((MatrixView<float> block, _) in new CentredBlocks(data, mean, scale))
        {
            Gemm.Multiply(1f, block, true, block, false, 0f, product.View, pool);
            Add(product, sums);
        }

        return Symmetric(sums, columns);
    }

    private static DenseMatrix Gram(MatrixView<float> data, double[] mean, double scale, WorkerPool? pool)
    {
        // Blocks of columns, as the sums run over them.
        int rows = (int)data.Rows;
        double[] sums = new double[rows * rows];
        using FloatMatrix product = new(rows, rows);
        using FloatMatrix centred = new(rows, Math.Min(data.Columns, RowBlock));
        for (nint start = 0; start < data.Columns; start += RowBlock)
        {
            nint width = Math.Min(RowBlock, data.Columns - start);
            for (int i = 0; i < rows; i++)
            {
                for (nint j = 0; j < width; j++)
                    centred.View.Row(i)[j] = (float)((data.Row(i)[start + j] - mean[start + j]) * scale);
            }

            MatrixView<float> block = new(centred.View.Data, rows, width, centred.Stride);
            Gemm.Multiply(1f, block, false, block, true, 0f, product.View, pool);
            Add(product, sums);
        }

        GC.KeepAlive(centred);
        return Symmetric(sums, rows);
    }

    private static void Add(FloatMatrix product, double[] sums)
    {
        float* elements = product.View.Data;
        for (int i = 0; i < sums.Length; i++)
            sums[i] += elements[i];
        GC.KeepAlive(product);
    }

    // The order of additions in a product may differ between an element and its mirror image.
    private static DenseMatrix Symmetric(double[] sums, int n) => DenseMatrix.Create(n, n, (i, j) => (sums[(i * n) + j] + sums[(j * n) + i]) / 2);

    /// <summary>The components from the eigenvectors u of the Gram matrix: transposed data times u, scaled to length 1.</summary>
    private static DenseMatrix ToColumns(MatrixView<float> data, double[] mean, double scale, Matrix<double> u, double[] values)
    {
        DenseMatrix result = DenseMatrix.Create(mean.Length, u.ColumnCount, 0);
        double[] component = new double[mean.Length];
        for (int k = 0; k < u.ColumnCount; k++)
        {
            // Below this share the direction is rounding error.
            if (!(values[k] > 1e-12 * values[0]))
                continue;
            Array.Clear(component);
            for (nint i = 0; i < data.Rows; i++)
            {
                float* row = data.Row(i);
                double weight = u[(int)i, k] * scale;
                for (int j = 0; j < component.Length; j++)
                    component[j] += weight * (row[j] - mean[j]);
            }

            double length = Math.Sqrt(component.Sum(c => c * c));
            for (int j = 0; j < component.Length; j++)
                result[j, k] = component[j] / length;
        }

        return result;
    }

    private static FloatMatrix Oriented(Matrix<double> vectors)
    {
        FloatMatrix result = new(vectors.ColumnCount, vectors.RowCount);
        for (int k = 0; k < vectors.ColumnCount; k++)
        {
            // Single precision decides, so that the last bits of a double cannot choose between equals.
            Span<float> row = result.Row(k);
            int largest = 0;
            for (int j = 0; j < row.Length; j++)
            {
                row[j] = (float)vectors[j, k];
                if (Math.Abs(row[j]) > Math.Abs(row[largest]))
                    largest = j;
            }

            if (row[largest] < 0)
            {
                for (int j = 0; j < row.Length; j++)
                    row[j] = -row[j];
            }
        }

        return result;
    }

    /// <summary>The data in blocks of rows, centred and scaled.</summary>
    private readonly struct CentredBlocks(MatrixView<float> data, double[] mean, double scale)
    {
        public IEnumerator<(MatrixView<float> Block, nint Start)> GetEnumerator()
        {
            using FloatMatrix buffer = new(Math.Min(data.Rows, RowBlock), data.Columns);
            for (nint start = 0; start < data.Rows; start += RowBlock)
            {
                nint rows = Math.Min(RowBlock, data.Rows - start);
                for (nint i = 0; i < rows; i++)
                    Centre(start + i, buffer.Row(i));
                yield return (buffer.View.Slice(0, rows), start);
            }
        }

        private void Centre(nint index, Span<float> destination)
        {
            float* row = data.Row(index);
            for (int j = 0; j < destination.Length; j++)
                destination[j] = (float)((row[j] - mean[j]) * scale);
        }
    }
}
