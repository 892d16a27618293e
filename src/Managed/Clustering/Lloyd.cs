using System.Numerics;
using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>One run of Lloyd's iteration (Least squares quantization in PCM, 1982).</summary>
internal sealed unsafe class Lloyd : IDisposable
{
    // Columns that one thread adds up at a time: a cache line of floats.
    private const int LineColumns = 16;

    private readonly KMeansData _data;
    private readonly int _clusters;
    private readonly AlignedBuffer<double> _sums;
    private readonly long[] _counts;
    private readonly double[] _weights;
    private readonly AlignedBuffer<float> _distances;
    private readonly AlignedBuffer<long> _ids;

    /// <summary>A run that begins with centres which the caller fills in.</summary>
    public Lloyd(KMeansData data, int clusters)
    {
        _data = data;
        _clusters = clusters;
        Centers = new FloatMatrix(clusters, data.Rows.Columns);
        Labels = new int[data.Rows.Rows];
        _sums = new AlignedBuffer<double>(clusters * data.Rows.Columns);
        _counts = new long[clusters];
        _weights = new double[data.BlockRows];
        _distances = new AlignedBuffer<float>(data.Rows.Rows);
        _ids = new AlignedBuffer<long>(data.BlockRows);
    }

    /// <summary>Belongs to whoever reads it: <see cref="Dispose"/> leaves it alone.</summary>
    public FloatMatrix Centers { get; }

    /// <summary>The number of each row's nearest centre.</summary>
    public int[] Labels { get; }

    /// <summary>The sum of squared distances to the nearest centres.</summary>
    public double Inertia { get; private set; }

    public int Iterations { get; private set; }

    /// <summary>Moves the centres until they stay, and leaves labels and inertia that belong to them.</summary>
    /// <param name="options">When to end.</param>
    /// <param name="variance">The mean of the columns' variances; null where the rows are to be scaled to length 1 first.</param>
    /// <param name="moved">Is told of each iteration and the inertia before it.</param>
    public void Run(KMeansOptions options, double? variance, Action<int, double>? moved)
    {
        if (_data.Spherical)
        {
            for (int c = 0; c < _clusters; c++)
                Scale(Centers.View.Row(c), Centers.View.Row(c));
        }

        Array.Fill(Labels, -1);
        while (Iterations < options.MaxIterations)
        {
            bool changed = Assign(update: true);
            Iterations++;
            moved?.Invoke(Iterations, Inertia);
            if (!changed)
                return;
            variance ??= DirectionVariance();
            FillEmpty();
            if (Update() <= options.Tolerance * variance)
                break;
        }

        Assign(update: false);
    }

    public void Dispose()
    {
        _sums.Dispose();
        _distances.Dispose();
        _ids.Dispose();
    }

    /// <summary>Finds each row's nearest centre; returns whether any row's is another than before.</summary>
    /// <param name="update">Add up the rows of each cluster as well.</param>
    private bool Assign(bool update)
    {
        if (update)
        {
            for (nint i = 0; i < _sums.Length; i += 1 << 20)
                new Span<double>(_sums.Pointer + i, (int)Math.Min(1 << 20, _sums.Length - i)).Clear();
            Array.Clear(_counts);
        }

        bool changed = false;
        Inertia = 0;
        for (int b = 0; b < _data.Blocks; b++)
        {
            MatrixView<float> block = _data.Block(b);
            nint start = (nint)b * _data.BlockRows;
            float* distances = _distances.Pointer + start;
            _data.Nearest(block, Centers.View, _ids.Pointer, distances);
            for (nint i = 0; i < block.Rows; i++)
            {
                int label = (int)_ids.Pointer[i];
                changed |= Labels[start + i] != label;
                Labels[start + i] = label;
                Inertia += distances[i];
                _counts[label] += update ? 1 : 0;
            }

            if (update)
                Add(block, start);
        }

        return changed;
    }

    /// <summary>
    /// Adds rows to the sums of their clusters. Threads share the columns, so each sum is taken in the order of the rows.
    /// </summary>
    private void Add(MatrixView<float> block, nint start)
    {
        int threads = _data.Pool.Threads;
        if (_data.Spherical)
        {
            _data.Pool.For(block.Rows, 256, (_, first, end) =>
            {
                for (nint i = first; i < end; i++)
                    _weights[i] = Weight(block.Row(i));
            });
        }
        else
        {
            Array.Fill(_weights, 1);
        }

        nint lines = (block.Columns + LineColumns - 1) / LineColumns;
        _data.Pool.For(lines, (lines + threads - 1) / threads, (_, first, end) =>
        {
            nint column = first * LineColumns;
            int width = (int)(Math.Min(end * LineColumns, block.Columns) - column);
            for (nint i = 0; i < block.Rows; i++)
                Add(block.Row(i) + column, _weights[i], _sums.Pointer + (Labels[start + i] * block.Columns) + column, width);
        });
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add(float* row, double weight, double* sums, int count)
    {
        Vector<double> factor = new(weight);
        int j = 0;
        for (; j <= count - Vector<float>.Count; j += Vector<float>.Count)
        {
            Vector.Widen(Vector.Load(row + j), out Vector<double> low, out Vector<double> high);
            (Vector.Load(sums + j) + (low * factor)).Store(sums + j);
            (Vector.Load(sums + j + Vector<double>.Count) + (high * factor)).Store(sums + j + Vector<double>.Count);
        }

        for (; j < count; j++)
            sums[j] += row[j] * weight;
    }

    /// <summary>What a row counts in the sum of its cluster: 1, or 1 / |row| where only directions count.</summary>
    private double Weight(float* row)
    {
        if (!_data.Spherical)
            return 1;
        double squares = 0;
        for (nint j = 0; j < _data.Rows.Columns; j++)
            squares += (double)row[j] * row[j];
        return squares > 0 ? 1 / Math.Sqrt(squares) : 0;
    }

    private void Scale(float* row, float* destination)
    {
        double weight = Weight(row);
        for (nint j = 0; j < _data.Rows.Columns; j++)
            destination[j] = (float)(row[j] * weight);
    }

    /// <summary>The mean of the columns' variances of the rows scaled to length 1, from the sums of the clusters.</summary>
    private double DirectionVariance()
    {
        nint rows = _data.Rows.Rows, columns = _data.Rows.Columns;
        double squares = 0;
        for (nint j = 0; j < columns; j++)
        {
            double sum = 0;
            for (int c = 0; c < _clusters; c++)
                sum += _sums.Pointer[(c * columns) + j];
            squares += sum / rows * (sum / rows);
        }

        return Math.Max(1 - squares, 0) / columns;
    }

    /// <summary>
    /// Moves the rows that are farthest from their centres into clusters without rows (scikit-learn's rule), but never the
    /// last row of a cluster, and none that lies on its centre.
    /// </summary>
    private void FillEmpty()
    {
        int[] empty = [.. Enumerable.Range(0, _clusters).Where(c => _counts[c] == 0)];
        if (empty.Length == 0)
            return;

        // Of each cluster one row at most is refused for being its last.
        int wanted = empty.Length + _clusters;
        PriorityQueue<int, (float Distance, int Order)> farthest = new();
        for (int i = 0; i < Labels.Length; i++)
        {
            float distance = _distances.Pointer[i];
            if (!(distance > 0))
                continue;
            if (farthest.Count < wanted)
                farthest.Enqueue(i, (distance, -i));
            else if (farthest.TryPeek(out _, out (float Distance, int Order) least) && distance > least.Distance)
                farthest.EnqueueDequeue(i, (distance, -i));
        }

        int[] rows = new int[farthest.Count];
        for (int i = rows.Length - 1; i >= 0; i--)
            rows[i] = farthest.Dequeue();

        using FloatMatrix row = new(1, _data.Rows.Columns);
        int next = 0;
        foreach (int i in rows)
        {
            int old = Labels[i];
            if (_counts[old] == 1)
                continue;
            _data.CopyRow(i, row.View.Data);
            double weight = Weight(row.View.Data);
            Add(row.View.Data, -weight, _sums.Pointer + (old * row.Columns), (int)row.Columns);
            Add(row.View.Data, weight, _sums.Pointer + (empty[next] * row.Columns), (int)row.Columns);
            _counts[old]--;
            _counts[empty[next]]++;
            if (++next == empty.Length)
                break;
        }
    }

    /// <summary>Puts each centre into the middle of its rows; returns the sum of the squares of the distances moved.</summary>
    private double Update()
    {
        double shift = 0;
        nint columns = _data.Rows.Columns;
        for (int c = 0; c < _clusters; c++)
        {
            double* sum = _sums.Pointer + (c * columns);
            double divisor = _counts[c];
            if (_data.Spherical)
            {
                double squares = 0;
                for (nint j = 0; j < columns; j++)
                    squares += sum[j] * sum[j];
                divisor = Math.Sqrt(squares);
            }

            // A cluster that stays empty, or whose directions cancel out, keeps its centre.
            if (!(divisor > 0))
                continue;
            float* center = Centers.View.Row(c);
            for (nint j = 0; j < columns; j++)
            {
                float moved = (float)(sum[j] / divisor);
                shift += ((double)moved - center[j]) * ((double)moved - center[j]);
                center[j] = moved;
            }
        }

        return shift;
    }
}
