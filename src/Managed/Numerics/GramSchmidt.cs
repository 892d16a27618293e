using System.Numerics;
using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Orthonormal vectors from any vectors.</summary>
internal static unsafe class GramSchmidt
{
    // A vector of which less is left depends on those before it but for rounding.
    private const double Dependent = 1e-10;

    // Elements below which a thread is not worth waking.
    private const nint Grain = 32768;

    /// <summary>
    /// Makes the rows orthonormal, each within the span of itself and the rows before it; a row that depends on those becomes
    /// 0. Modified Gram-Schmidt in double: for vectors that come from single precision (of condition up to some 10^7) the
    /// result is orthogonal to 10^-9. The same for any number of threads.
    /// </summary>
    /// <returns>The length of each row less its part along the rows before it.</returns>
    public static double[] Orthonormalize(MatrixView<double> rows, WorkerPool pool)
    {
        int count = checked((int)rows.Rows), length = checked((int)rows.Columns);
        double[] left = new double[count];
        double[] whole = new double[count];
        for (int i = 0; i < count; i++)
            whole[i] = Math.Sqrt(Dot(rows.Row(i), rows.Row(i), length));
        for (int i = 0; i < count; i++)
        {
            double* row = rows.Row(i);
            left[i] = Math.Sqrt(Dot(row, row, length));
            if (!(left[i] > Dependent * whole[i]))
            {
                left[i] = 0;
                new Span<double>(row, length).Clear();
                continue;
            }

            double unit = 1 / left[i];
            for (int j = 0; j < length; j++)
                row[j] *= unit;
            int first = i + 1;
            pool.For(count - first, Math.Max(1, Grain / length), (_, start, end) =>
            {
                for (nint k = start; k < end; k++)
                {
                    double* other = rows.Row(first + k);
                    Subtract(Dot(row, other, length), row, other, length);
                }
            });
        }

        return left;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Dot(double* x, double* y, int length)
    {
        Vector<double> a = default, b = default, c = default, d = default;
        int step = Vector<double>.Count, j = 0;
        for (; j <= length - (4 * step); j += 4 * step)
        {
            a += Vector.Load(x + j) * Vector.Load(y + j);
            b += Vector.Load(x + j + step) * Vector.Load(y + j + step);
            c += Vector.Load(x + j + (2 * step)) * Vector.Load(y + j + (2 * step));
            d += Vector.Load(x + j + (3 * step)) * Vector.Load(y + j + (3 * step));
        }

        double sum = Vector.Sum((a + b) + (c + d));
        for (; j < length; j++)
            sum += x[j] * y[j];
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Subtract(double factor, double* x, double* from, int length)
    {
        Vector<double> factors = new(factor);
        int j = 0;
        for (; j <= length - Vector<double>.Count; j += Vector<double>.Count)
            (Vector.Load(from + j) - (factors * Vector.Load(x + j))).Store(from + j);
        for (; j < length; j++)
            from[j] -= factor * x[j];
    }
}
