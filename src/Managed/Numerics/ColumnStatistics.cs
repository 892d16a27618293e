using System.Numerics;
using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>What PCA and k-means want to know of the columns of their data. The same for any number of threads.</summary>
internal sealed unsafe class ColumnStatistics
{
    // Each part of the rows is added up by one thread, and the parts in order; enough parts for any machine, few enough to keep.
    private const int LeastRows = 2048;
    private const int MostParts = 512;

    private ColumnStatistics(double[] means, double largest)
    {
        Means = means;
        Largest = largest;
    }

    /// <summary>The mean of each column.</summary>
    public double[] Means { get; }

    /// <summary>The largest distance of an element from its column's mean.</summary>
    public double Largest { get; }

    /// <summary>Looks at the data once.</summary>
    /// <exception cref="ArgumentException">An element is not finite; the message names the first.</exception>
    public static ColumnStatistics Of(RowsView data, string name, WorkerPool pool)
    {
        int columns = checked((int)data.Columns);
        (nint rows, int parts) = Parts(data.Rows);
        Part[] found = new Part[parts];
        pool.For(parts, 1, (_, start, end) =>
        {
            for (nint part = start; part < end; part++)
            {
                found[part] = new Part(columns);
                found[part].Add(data.Slice(part * rows, Math.Min(rows, data.Rows - (part * rows))));
            }
        });

        double[] means = new double[columns];
        double largest = 0;
        for (int j = 0; j < columns; j++)
        {
            float low = float.PositiveInfinity, high = float.NegativeInfinity;
            foreach (Part part in found)
            {
                means[j] += part.Sums[j];
                low = Math.Min(low, part.Low[j]);
                high = Math.Max(high, part.High[j]);
            }

            // Floats cannot overflow a sum in double, so it is finite exactly where they are.
            if (!double.IsFinite(means[j]))
                ThrowNotFinite(data, name);
            means[j] /= Math.Max(data.Rows, 1);
            largest = data.Rows == 0 ? 0 : Math.Max(largest, Math.Max(high - means[j], means[j] - low));
        }

        return new ColumnStatistics(means, largest);
    }

    /// <summary>The sum over all elements of (x - mean of the column)^2; a second look at the data.</summary>
    public double Squares(RowsView data, WorkerPool pool)
    {
        (nint rows, int parts) = Parts(data.Rows);
        double[] sums = new double[parts];
        pool.For(parts, 1, (_, start, end) =>
        {
            float[] buffer = new float[data.Columns];
            fixed (float* row = buffer)
            fixed (double* means = Means)
            {
                for (nint part = start; part < end; part++)
                {
                    nint last = Math.Min((part + 1) * rows, data.Rows);
                    for (nint i = part * rows; i < last; i++)
                        sums[part] += Squares(RowConversion.Row(data, i, row), means, buffer.Length);
                }
            }
        });
        return sums.Sum();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Squares(float* row, double* means, int columns)
    {
        Vector<double> sum = default;
        int j = 0;
        for (; j <= columns - Vector<float>.Count; j += Vector<float>.Count)
        {
            Vector.Widen(Vector.Load(row + j), out Vector<double> low, out Vector<double> high);
            low -= Vector.Load(means + j);
            high -= Vector.Load(means + j + Vector<double>.Count);
            sum += low * low;
            sum += high * high;
        }

        double total = Vector.Sum(sum);
        for (; j < columns; j++)
            total += (row[j] - means[j]) * (row[j] - means[j]);
        return total;
    }

    private static (nint Rows, int Parts) Parts(nint rows)
    {
        nint each = Math.Max(LeastRows, (rows + MostParts - 1) / MostParts);
        return (each, (int)((rows + each - 1) / each));
    }

    private static void ThrowNotFinite(RowsView data, string name)
    {
        using FloatMatrix row = new(1, data.Columns);
        for (nint i = 0; i < data.Rows; i++)
        {
            float* elements = RowConversion.Row(data, i, row.View.Data);
            for (nint j = 0; j < data.Columns; j++)
            {
                if (!float.IsFinite(elements[j]))
                    throw new ArgumentException($"The element in row {i} and column {j} is {elements[j]}; the data must be finite.", name);
            }
        }
    }

    private sealed class Part(int columns)
    {
        public double[] Sums { get; } = new double[columns];

        public float[] Low { get; } = Filled(columns, float.PositiveInfinity);

        public float[] High { get; } = Filled(columns, float.NegativeInfinity);

        public void Add(RowsView rows)
        {
            float[] buffer = new float[Sums.Length];
            fixed (double* sums = Sums)
            fixed (float* low = Low, high = High, row = buffer)
            {
                for (nint i = 0; i < rows.Rows; i++)
                    Add(RowConversion.Row(rows, i, row), sums, low, high, buffer.Length);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Add(float* row, double* sums, float* low, float* high, int columns)
        {
            int j = 0;
            for (; j <= columns - Vector<float>.Count; j += Vector<float>.Count)
            {
                Vector<float> x = Vector.Load(row + j);
                Vector.Widen(x, out Vector<double> lower, out Vector<double> upper);
                (Vector.Load(sums + j) + lower).Store(sums + j);
                (Vector.Load(sums + j + Vector<double>.Count) + upper).Store(sums + j + Vector<double>.Count);
                Vector.Min(Vector.Load(low + j), x).Store(low + j);
                Vector.Max(Vector.Load(high + j), x).Store(high + j);
            }

            for (; j < columns; j++)
            {
                sums[j] += row[j];
                low[j] = Math.Min(low[j], row[j]);
                high[j] = Math.Max(high[j], row[j]);
            }
        }

        private static float[] Filled(int length, float value)
        {
            float[] values = new float[length];
            values.AsSpan().Fill(value);
            return values;
        }
    }
}
