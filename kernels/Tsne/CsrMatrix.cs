using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// A sparse matrix in compressed rows: the non-zeros of row i are <c>Values[RowOffsets[i]..RowOffsets[i + 1]]</c> in the
/// columns <c>ColumnIndices[...]</c> of the same range. SciPy's <c>csr_matrix</c> calls the three arrays <c>indptr</c>,
/// <c>indices</c> and <c>data</c>.
/// </summary>
/// <remarks>Immutable and thread-safe. At most 2^31 - 100 non-zeros. The memory is the garbage collector's, and does not move.</remarks>
public sealed unsafe class CsrMatrix
{
    /// <summary>
    /// Elements behind the last one that kernels may read: they take the end of a row in whole vectors, whose last lanes
    /// hold the next row's elements (valid columns) at weight 0.
    /// </summary>
    internal const int Padding = 16;

    /// <summary>The most non-zeros that a matrix can hold.</summary>
    internal const long MostNonZeros = int.MaxValue - 100;

    private readonly long[] _rowOffsets;
    private readonly int[] _columnIndices;
    private readonly float[] _values;

    /// <summary>Copies a matrix from its three arrays.</summary>
    /// <param name="columns">Number of columns, 0 or more.</param>
    /// <param name="rowOffsets">Rows + 1 offsets, from 0, never falling, up to the number of non-zeros.</param>
    /// <param name="columnIndices">The column of each non-zero, 0 to <paramref name="columns"/> - 1, in any order within a row.</param>
    /// <param name="values">The non-zeros.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="columns"/> is negative.</exception>
    /// <exception cref="ArgumentException">The arrays do not make a matrix; the message says where.</exception>
    public CsrMatrix(int columns, ReadOnlySpan<long> rowOffsets, ReadOnlySpan<int> columnIndices, ReadOnlySpan<float> values)
        : this(columns, CheckedRows(rowOffsets, columnIndices.Length), CheckedCount(columns, columnIndices, values))
    {
        rowOffsets.CopyTo(_rowOffsets);
        columnIndices.CopyTo(_columnIndices);
        values.CopyTo(_values);
    }

    /// <summary>Room for a matrix that the caller fills through the pointers; rows and columns are in range.</summary>
    internal CsrMatrix(int columns, int rows, long count)
    {
        if (count > MostNonZeros)
            throw new ArgumentOutOfRangeException(nameof(count), count, $"A sparse matrix holds at most {MostNonZeros} non-zeros.");
        Columns = columns;
        Rows = rows;
        Count = (int)count;
        _rowOffsets = GC.AllocateArray<long>(rows + 1, pinned: true);
        _columnIndices = GC.AllocateUninitializedArray<int>((int)count + Padding, pinned: true);
        _values = GC.AllocateUninitializedArray<float>((int)count + Padding, pinned: true);
        _columnIndices.AsSpan((int)count).Clear();
        _values.AsSpan((int)count).Clear();
    }

    /// <summary>Number of rows.</summary>
    public int Rows { get; }

    /// <summary>Number of columns.</summary>
    public int Columns { get; }

    /// <summary>Number of elements that are stored.</summary>
    public int Count { get; }

    /// <summary>Where each row begins, and the end of the last: Rows + 1 numbers (SciPy: indptr).</summary>
    public ReadOnlySpan<long> RowOffsets => _rowOffsets;

    /// <summary>The column of each element (SciPy: indices).</summary>
    public ReadOnlySpan<int> ColumnIndices => _columnIndices.AsSpan(0, Count);

    /// <summary>The elements (SciPy: data).</summary>
    public ReadOnlySpan<float> Values => _values.AsSpan(0, Count);

    // The arrays are pinned; whoever uses a pointer keeps the matrix alive.
    internal long* OffsetsPointer => (long*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_rowOffsets));

    internal int* ColumnsPointer => (int*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_columnIndices));

    internal float* ValuesPointer => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_values));

    /// <summary>
    /// Copies the rows in another order, and names the columns by their places in it. Within a row the elements keep theirs.
    /// </summary>
    /// <param name="order">For each row of the result the row here.</param>
    /// <param name="ranks">The inverse: for each column here its number in the result.</param>
    /// <param name="destination">A matrix of this size, overwritten.</param>
    /// <param name="pool">Threads to work on.</param>
    internal void CopyOrdered(int* order, int* ranks, CsrMatrix destination, WorkerPool pool)
    {
        long place = 0;
        for (int row = 0; row < Rows; row++)
        {
            destination._rowOffsets[row] = place;
            place += _rowOffsets[order[row] + 1] - _rowOffsets[order[row]];
        }

        destination._rowOffsets[Rows] = place;
        OrderBody body = new(this, order, ranks, destination);
        pool.For(Rows, 512, ref body);
        GC.KeepAlive(this);
        GC.KeepAlive(destination);
    }

    private static int CheckedRows(ReadOnlySpan<long> rowOffsets, int count)
    {
        if (rowOffsets.IsEmpty || rowOffsets[0] != 0)
            throw new ArgumentException(rowOffsets.IsEmpty ? "There must be rows + 1 offsets." : $"The first offset must be 0 and is {rowOffsets[0]}.", nameof(rowOffsets));
        for (int i = 1; i < rowOffsets.Length; i++)
        {
            if (rowOffsets[i] < rowOffsets[i - 1])
                throw new ArgumentException($"Offset {i} is {rowOffsets[i]}, below {rowOffsets[i - 1]} before it.", nameof(rowOffsets));
        }

        if (rowOffsets[^1] != count)
            throw new ArgumentException($"The last offset must be the number of column indices, {count}, and is {rowOffsets[^1]}.", nameof(rowOffsets));
        return rowOffsets.Length - 1;
    }

    private static long CheckedCount(int columns, ReadOnlySpan<int> columnIndices, ReadOnlySpan<float> values)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        if (values.Length != columnIndices.Length)
            throw new ArgumentException($"There are {values.Length} values for {columnIndices.Length} column indices.", nameof(values));
        for (int i = 0; i < columnIndices.Length; i++)
        {
            if ((uint)columnIndices[i] >= (uint)columns)
                throw new ArgumentException($"Column index {i} is {columnIndices[i]}, outside 0..{columns - 1}.", nameof(columnIndices));
        }

        return columnIndices.Length;
    }

    private readonly struct OrderBody(CsrMatrix source, int* order, int* ranks, CsrMatrix destination) : IRangeBody
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            for (nint row = start; row < end; row++)
            {
                long first = source.OffsetsPointer[order[row]], count = source.OffsetsPointer[order[row] + 1] - first;
                long place = destination.OffsetsPointer[row];
                int* from = source.ColumnsPointer + first, to = destination.ColumnsPointer + place;
                for (long t = 0; t < count; t++)
                    to[t] = ranks[from[t]];
                Buffer.MemoryCopy(source.ValuesPointer + first, destination.ValuesPointer + place, count * sizeof(float), count * sizeof(float));
            }
        }
    }
}
