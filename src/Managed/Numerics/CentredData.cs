using System.Numerics;
using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Data less the means of its columns, times a power of two, as blocks of floats along one of its sides.</summary>
/// <remarks>
/// A mean is taken off in two parts, so an element differs from the exact one by at most 2^-23 of itself (and 2^-49 of the mean).
/// </remarks>
internal sealed unsafe class CentredData
{
    /// <summary>Rows or columns of a block at most: longer sums in a product gain nothing.</summary>
    public const int LongestBlock = 4096;

    // 64 MB.
    private const nint BlockElements = 16 << 20;

    private readonly RowsView _data;
    private readonly float[] _mean;
    private readonly float[] _rest;
    private readonly float _scale;
    private readonly WorkerPool _pool;
    private readonly CancellationToken _cancellationToken;

    public CentredData(RowsView data, double[] means, double scale, WorkerPool pool, CancellationToken cancellationToken)
    {
        _data = data;
        _scale = (float)scale;
        _mean = Array.ConvertAll(means, mean => (float)(mean * scale));
        _rest = [.. means.Zip(_mean, (mean, part) => (float)((mean * scale) - part))];
        _pool = pool;
        _cancellationToken = cancellationToken;
    }

    /// <summary>Blocks of rows, each with all columns, and the first row of each. A block is valid until the next.</summary>
    public IEnumerable<(MatrixView<float> Block, nint Start)> Rows()
    {
        nint step = Step(_data.Columns, _data.Rows);
        using FloatMatrix buffer = new(step, _data.Columns);
        for (nint start = 0; start < _data.Rows; start += step)
        {
            nint rows = Math.Min(step, _data.Rows - start);
            Fill(buffer.View, start, rows, 0, _data.Columns);
            yield return (buffer.View.Slice(0, rows), start);
        }
    }

    /// <summary>Blocks of columns, each with all rows, and the first column of each. A block is valid until the next.</summary>
    public IEnumerable<(MatrixView<float> Block, nint Start)> Columns()
    {
        nint step = Step(_data.Rows, _data.Columns);
        using FloatMatrix buffer = new(_data.Rows, step);
        for (nint start = 0; start < _data.Columns; start += step)
        {
            nint columns = Math.Min(step, _data.Columns - start);
            Fill(buffer.View, 0, _data.Rows, start, columns);
            yield return (FirstColumns(buffer.View, columns), start);
        }
    }

    private static MatrixView<float> FirstColumns(MatrixView<float> matrix, nint columns) => new(matrix.Data, matrix.Rows, columns, matrix.Stride);

    private static nint Step(nint across, nint along) => Math.Min(along, Math.Clamp(BlockElements / Math.Max(across, 1), 64, LongestBlock));

    private void Fill(MatrixView<float> block, nint row, nint rows, nint column, nint columns)
    {
        _cancellationToken.ThrowIfCancellationRequested();
        RowsView part = new(
            _data.Row(row) + (column * RowsView.SizeOf(_data.Type)), _data.Type, rows, columns, _data.StrideBytes, _data.Scales is null ? null : _data.Scales + row);
        _pool.For(rows, Math.Max(1, 16384 / Math.Max(columns, 1)), (_, start, end) =>
        {
            fixed (float* mean = _mean, rest = _rest)
            {
                for (nint i = start; i < end; i++)
                {
                    float* destination = block.Row(i);
                    Centre(RowConversion.Row(part, i, destination), mean + column, rest + column, _scale, destination, columns);
                }
            }
        });
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Centre(float* row, float* mean, float* rest, float scale, float* destination, nint count)
    {
        Vector<float> factor = new(scale);
        nint j = 0;
        for (; j <= count - Vector<float>.Count; j += Vector<float>.Count)
            (((Vector.Load(row + j) * factor) - Vector.Load(mean + j)) - Vector.Load(rest + j)).Store(destination + j);
        for (; j < count; j++)
            destination[j] = ((row[j] * scale) - mean[j]) - rest[j];
    }
}
