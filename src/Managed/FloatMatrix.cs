using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// A row-major matrix of floats that owns its memory: zeroed, aligned to 64 bytes, without gaps between rows, of any size
/// that fits the machine (past 2^31 elements too). Dispose it, or let the garbage collector do so later.
/// </summary>
/// <remarks>
/// Reading from several threads is safe; writing needs the caller's own order. Keep a reference to the matrix while a
/// <see cref="View"/> or <see cref="Row"/> of it is in use.
/// </remarks>
public sealed unsafe class FloatMatrix : IDisposable
{
    private readonly AlignedBuffer<float> _buffer;

    /// <summary>A matrix of zeros.</summary>
    /// <param name="rows">Number of rows, 0 or more.</param>
    /// <param name="columns">Number of columns, 0 or more.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is negative, or the product overflows the address space.</exception>
    public FloatMatrix(nint rows, nint columns)
        : this(new AlignedBuffer<float>(ElementCount(rows, columns)), rows, columns)
    {
    }

    /// <summary>Takes over a buffer that holds at least rows x columns elements.</summary>
    internal FloatMatrix(AlignedBuffer<float> buffer, nint rows, nint columns)
    {
        _buffer = buffer;
        Rows = rows;
        Columns = columns;
    }

    /// <summary>A copy of <paramref name="values"/>, row after row.</summary>
    /// <param name="values">The elements; their number must be a multiple of <paramref name="columns"/>.</param>
    /// <param name="columns">Number of columns, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="columns"/> is below 1.</exception>
    /// <exception cref="ArgumentException">The number of elements is no multiple of <paramref name="columns"/>.</exception>
    public static FloatMatrix FromRows(ReadOnlySpan<float> values, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if (values.Length % columns != 0)
            throw new ArgumentException($"{values.Length} elements do not make whole rows of {columns}.", nameof(values));
        FloatMatrix matrix = new(values.Length / columns, columns);
        values.CopyTo(matrix._buffer.AsSpan());
        return matrix;
    }

    /// <summary>A copy of a two-dimensional array.</summary>
    public static FloatMatrix FromArray(float[,] values)
    {
        ArgumentNullException.ThrowIfNull(values);
        FloatMatrix matrix = new(values.GetLength(0), values.GetLength(1));
        fixed (float* source = values)
            Buffer.MemoryCopy(source, matrix._buffer.Pointer, values.LongLength * sizeof(float), values.LongLength * sizeof(float));
        return matrix;
    }

    /// <summary>Number of rows.</summary>
    public nint Rows { get; }

    /// <summary>Number of columns.</summary>
    public nint Columns { get; }

    /// <summary>Elements from the start of a row to the start of the next: always <see cref="Columns"/>.</summary>
    public nint Stride => Columns;

    /// <summary>The matrix as kernels take it. Valid until <see cref="Dispose"/>.</summary>
    /// <exception cref="ObjectDisposedException">The matrix was disposed.</exception>
    public MatrixView<float> View => new(_buffer.Pointer, Rows, Columns);

    /// <summary>The element in row <paramref name="row"/> and column <paramref name="column"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An index is outside the matrix.</exception>
    public ref float this[nint row, nint column]
    {
        get
        {
            if ((nuint)row >= (nuint)Rows)
                throw new ArgumentOutOfRangeException(nameof(row), row, $"The matrix has {Rows} rows.");
            if ((nuint)column >= (nuint)Columns)
                throw new ArgumentOutOfRangeException(nameof(column), column, $"The matrix has {Columns} columns.");
            return ref _buffer.Pointer[(row * Columns) + column];
        }
    }

    /// <summary>Row <paramref name="index"/>. Writing to the span writes to the matrix.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="index"/> is no row.</exception>
    /// <exception cref="ObjectDisposedException">The matrix was disposed.</exception>
    public Span<float> Row(nint index) => View.RowSpan(index);

    /// <summary>A matrix of its own with the same elements.</summary>
    public FloatMatrix Copy()
    {
        FloatMatrix copy = new(Rows, Columns);
        long bytes = (long)Rows * Columns * sizeof(float);
        Buffer.MemoryCopy(_buffer.Pointer, copy._buffer.Pointer, bytes, bytes);
        return copy;
    }

    /// <summary>Frees the memory; views and rows of the matrix must not be used any more.</summary>
    public void Dispose() => _buffer.Dispose();

    private static nint ElementCount(nint rows, nint columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        if (columns > 0 && rows > nint.MaxValue / sizeof(float) / columns)
            throw new ArgumentOutOfRangeException(nameof(rows), rows, $"{rows} rows of {columns} floats overflow the address space.");
        return rows * columns;
    }
}
