using System.Numerics;
using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;
using DenseMatrix = MathNet.Numerics.LinearAlgebra.Double.DenseMatrix;
using Symmetricity = MathNet.Numerics.LinearAlgebra.Symmetricity;

namespace EmbeddingKernels;

/// <summary>
/// The leading eigenvectors of the random walk D^-1 A on a symmetric graph of weights, less the constant one (spectral
/// embedding, diffusion map): eigenvectors of D^-1/2 A D^-1/2, times D^-1/2.
/// </summary>
/// <remarks>
/// Block Lanczos with thick restarts and full orthogonalisation, in double; a block is as wide as the number of axes, so that
/// equal eigenvalues (parts of the graph that are not connected) are all found. Graphs of up to 200 points are decomposed
/// whole. The result is the same for any number of threads.
/// </remarks>
internal sealed unsafe class SpectralAxes : IDisposable
{
    private const int MostPointsDense = 200;
    private const int MostVectors = 32;
    private const int KeptVectors = 14;

    // Of the length of a vector of length 1 under the matrix: below, nothing new is left of it.
    private const double Nothing = 1e-10;
    private const int Grain = 4096;

    private readonly CsrMatrix _graph;
    private readonly WorkerPool _pool;
    private readonly int _n;
    private readonly AlignedBuffer<double> _roots; // the square roots of 1 / degree; 0 for a point without edges
    private readonly AlignedBuffer<double> _constant; // the eigenvector of eigenvalue 1 that every graph has
    private readonly AlignedBuffer<double> _scaled;

    public SpectralAxes(CsrMatrix graph, WorkerPool pool)
    {
        _graph = graph;
        _pool = pool;
        _n = graph.Rows;
        _roots = new AlignedBuffer<double>(_n);
        _constant = new AlignedBuffer<double>(_n);
        _scaled = new AlignedBuffer<double>(_n);
        double total = 0;
        for (int i = 0; i < _n; i++)
        {
            double degree = 0;
            foreach (float weight in graph.Values[(int)graph.RowOffsets[i]..(int)graph.RowOffsets[i + 1]])
                degree += weight;
            _roots.Pointer[i] = degree > 0 ? 1 / Math.Sqrt(degree) : 0;
            _constant.Pointer[i] = Math.Sqrt(degree);
            total += degree;
        }

        for (int i = 0; i < _n; i++)
            _constant.Pointer[i] /= Math.Sqrt(total);
    }

    /// <summary>
    /// The <paramref name="count"/> largest eigenvalues after the constant vector's, and their vectors, each times its
    /// eigenvalue; fewer where there are not so many. The largest element of a vector is positive.
    /// </summary>
    /// <param name="count">1 or more.</param>
    /// <param name="seed">Seed of the first block.</param>
    /// <param name="tolerance">The length that may be left of A u - lambda u for u of length 1.</param>
    /// <param name="mostProducts">Products of the graph with a vector after which the best so far is returned.</param>
    /// <param name="cancellationToken">Stops the work between two restarts.</param>
    public (double[] Values, double[][] Vectors) Leading(int count, long seed, double tolerance, int mostProducts, CancellationToken cancellationToken)
    {
        count = Math.Min(count, _n - 1);
        if (count < 1)
            return ([], []);
        (double[] values, double[][] vectors) = _n <= MostPointsDense ? Dense(count) : Sparse(count, seed, tolerance, mostProducts, cancellationToken);
        for (int k = 0; k < count; k++)
        {
            double[] vector = vectors[k];
            int largest = 0;
            for (int i = 0; i < _n; i++)
            {
                vector[i] *= _roots.Pointer[i] * values[k];
                largest = Math.Abs(vector[i]) > Math.Abs(vector[largest]) ? i : largest;
            }

            if (vector[largest] < 0)
            {
                for (int i = 0; i < _n; i++)
                    vector[i] = -vector[i];
            }
        }

        return (values, vectors);
    }

    public void Dispose()
    {
        _roots.Dispose();
        _constant.Dispose();
        _scaled.Dispose();
    }

    private (double[] Values, double[][] Vectors) Dense(int count)
    {
        // The constant vector's eigenvalue becomes -1, below all others.
        double* u = _constant.Pointer, roots = _roots.Pointer;
        DenseMatrix matrix = DenseMatrix.Create(_n, _n, (i, j) => -2 * u[i] * u[j]);
        for (int i = 0; i < _n; i++)
        {
            for (int t = (int)_graph.RowOffsets[i]; t < _graph.RowOffsets[i + 1]; t++)
                matrix[i, _graph.ColumnIndices[t]] += roots[i] * roots[_graph.ColumnIndices[t]] * _graph.Values[t];
        }

        var decomposition = matrix.Evd(Symmetricity.Symmetric); // ascending
        double[] values = [.. Enumerable.Range(1, count).Select(k => decomposition.EigenValues[_n - k].Real)];
        double[][] vectors = [.. Enumerable.Range(1, count).Select(k => decomposition.EigenVectors.Column(_n - k).ToArray())];
        return (values, vectors);
    }

    private (double[] Values, double[][] Vectors) Sparse(int count, long seed, double tolerance, int mostProducts, CancellationToken cancellationToken)
    {
        using AlignedBuffer<double> vectorMemory = new((nint)(MostVectors + count) * _n), imageMemory = new((nint)MostVectors * _n);
        MatrixView<double> vectors = new(vectorMemory.Pointer, MostVectors + count, _n), images = new(imageMemory.Pointer, MostVectors, _n);
        SplitMix64 random = new(seed);
        for (int k = 0; k < count; k++)
            Orthonormalize(vectors, k, ref random, renew: true);
        int size = 0, products = 0;
        while (true)
        {
            // Rows from size on are the next block: orthonormal, and orthogonal to those before.
            for (; size + count <= MostVectors; size += count)
            {
                cancellationToken.ThrowIfCancellationRequested();
                for (int k = size; k < size + count; k++, products++)
                    Multiply(vectors.Row(k), images.Row(k));
                for (int k = 0; k < count; k++)
                {
                    new Span<double>(images.Row(size + k), _n).CopyTo(new Span<double>(vectors.Row(size + count + k), _n));
                    Orthonormalize(vectors, size + count + k, ref random, renew: false);
                }
            }

            (double[] values, double[,] turn) = Ritz(vectors, images, size);
            bool good = products >= mostProducts;
            if (!good)
            {
                good = true;
                for (int k = 0; k < count && good; k++)
                    good = Residual(vectors, images, turn, k, size, values[k]) <= tolerance;
            }

            int kept = good ? count : KeptVectors;
            Turn(vectors, turn, kept, size);
            if (good)
                return (values[..count], [.. Enumerable.Range(0, count).Select(k => new Span<double>(vectors.Row(k), _n).ToArray())]);
            Turn(images, turn, kept, size);
            for (int k = 0; k < count; k++)
            {
                // The block moves up behind those that are kept.
                new Span<double>(vectors.Row(size + k), _n).CopyTo(new Span<double>(vectors.Row(kept + k), _n));
            }

            size = kept;
        }
    }

    /// <summary>y = D^-1/2 A D^-1/2 x.</summary>
    private void Multiply(double* x, double* y)
    {
        double* roots = _roots.Pointer, scaled = _scaled.Pointer;
        long* offsets = _graph.OffsetsPointer;
        int* columns = _graph.ColumnsPointer;
        float* values = _graph.ValuesPointer;
        _pool.For(_n, Grain, (_, start, end) =>
        {
            for (nint i = start; i < end; i++)
                scaled[i] = roots[i] * x[i];
        });
        _pool.For(_n, 256, (_, start, end) => Rows(offsets, columns, values, roots, scaled, y, start, end));
        GC.KeepAlive(_graph);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows(long* offsets, int* columns, float* values, double* roots, double* x, double* y, nint start, nint end)
    {
        for (nint i = start; i < end; i++)
        {
            double a = 0, b = 0;
            long t = offsets[i], last = offsets[i + 1];
            for (; t + 1 < last; t += 2)
            {
                a += values[t] * x[columns[t]];
                b += values[t + 1] * x[columns[t + 1]];
            }

            if (t < last)
                a += values[t] * x[columns[t]];
            y[i] = roots[i] * (a + b);
        }
    }

    /// <summary>Makes a row orthogonal to the constant vector and to the rows before it, of length 1; a random one where nothing is left of it.</summary>
    private void Orthonormalize(MatrixView<double> vectors, int row, ref SplitMix64 random, bool renew)
    {
        double* x = vectors.Row(row);
        while (true)
        {
            if (renew)
            {
                for (int i = 0; i < _n; i++)
                    x[i] = random.NextGaussian();
                Scale(x);
            }

            // What little is left of a vector holds much rounding error: once more, now of length 1.
            double least = Nothing;
            while (true)
            {
                Subtract(_constant.Pointer, x);
                for (int k = 0; k < row; k++)
                    Subtract(vectors.Row(k), x);
                double length = Scale(x);
                if (length > 0.7)
                    return;
                if (!(length > least))
                    break;
                least = 0.1;
            }

            renew = true;
        }
    }

    /// <summary>Makes a vector one of length 1; the length that it had.</summary>
    private double Scale(double* x)
    {
        double length = Math.Sqrt(Dot(x, x)), unit = length > 0 ? 1 / length : 0;
        for (int i = 0; i < _n; i++)
            x[i] *= unit;
        return length;
    }

    private void Subtract(double* unit, double* from)
    {
        double factor = Dot(unit, from);
        _pool.For(_n, Grain, (_, start, end) => Subtract(factor, unit, from, start, end));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Subtract(double factor, double* x, double* from, nint start, nint end)
    {
        Vector<double> factors = new(factor);
        nint i = start;
        for (; i <= end - Vector<double>.Count; i += Vector<double>.Count)
            (Vector.Load(from + i) - (factors * Vector.Load(x + i))).Store(from + i);
        for (; i < end; i++)
            from[i] -= factor * x[i];
    }

    /// <summary>The scalar product, in parts that do not depend on the threads.</summary>
    private double Dot(double* x, double* y)
    {
        double* parts = stackalloc double[64];
        nint grain = Math.Max(Grain, (_n + 63) / 64);
        _pool.For(_n, grain, (_, start, end) => parts[start / grain] = Dot(x + start, y + start, end - start));
        double sum = 0;
        for (nint i = 0; i < (_n + grain - 1) / grain; i++)
            sum += parts[i];
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Dot(double* x, double* y, nint length)
    {
        Vector<double> a = default, b = default;
        nint i = 0;
        for (; i <= length - (2 * Vector<double>.Count); i += 2 * Vector<double>.Count)
        {
            a += Vector.Load(x + i) * Vector.Load(y + i);
            b += Vector.Load(x + i + Vector<double>.Count) * Vector.Load(y + i + Vector<double>.Count);
        }

        double sum = Vector.Sum(a + b);
        for (; i < length; i++)
            sum += x[i] * y[i];
        return sum;
    }

    /// <summary>Eigenvalues, largest first, and eigenvectors (as rows) of the matrix within the span of the vectors.</summary>
    private (double[] Values, double[,] Turn) Ritz(MatrixView<double> vectors, MatrixView<double> images, int size)
    {
        DenseMatrix small = DenseMatrix.Create(size, size, 0);
        for (int i = 0; i < size; i++)
        {
            for (int j = i; j < size; j++)
                small[i, j] = small[j, i] = Dot(vectors.Row(i), images.Row(j));
        }

        var decomposition = small.Evd(Symmetricity.Symmetric); // ascending
        double[] values = new double[size];
        double[,] turn = new double[size, size];
        for (int k = 0; k < size; k++)
        {
            values[k] = decomposition.EigenValues[size - 1 - k].Real;
            for (int j = 0; j < size; j++)
                turn[k, j] = decomposition.EigenVectors[j, size - 1 - k];
        }

        return (values, turn);
    }

    private double Residual(MatrixView<double> vectors, MatrixView<double> images, double[,] turn, int k, int size, double value)
    {
        double* left = _scaled.Pointer;
        new Span<double>(left, _n).Clear();
        for (int j = 0; j < size; j++)
        {
            double factor = turn[k, j];
            double* x = vectors.Row(j), image = images.Row(j);
            _pool.For(_n, Grain, (_, start, end) =>
            {
                Subtract(-factor, image, left, start, end);
                Subtract(factor * value, x, left, start, end);
            });
        }

        return Math.Sqrt(Dot(left, left));
    }

    /// <summary>The first rows become combinations of the rows.</summary>
    private void Turn(MatrixView<double> rows, double[,] turn, int kept, int size) =>
        _pool.For(_n, 512, (_, start, end) =>
        {
            int length = (int)(end - start);
            double[] part = new double[kept * length];
            fixed (double* first = part)
            {
                for (int k = 0; k < kept; k++)
                {
                    for (int j = 0; j < size; j++)
                        Subtract(-turn[k, j], rows.Row(j) + start, first + (k * length), 0, length);
                }

                for (int k = 0; k < kept; k++)
                    new Span<double>(first + (k * length), length).CopyTo(new Span<double>(rows.Row(k) + start, length));
            }
        });
}
