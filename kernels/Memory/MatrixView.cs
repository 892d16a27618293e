using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// A row-major matrix in memory that somebody else owns: element (i, j) stands at <c>Data[i * Stride + j]</c>. Sizes are
/// native-wide, so tables past 2^31 elements work.
/// </summary>
/// <remarks>The view keeps nothing alive and checks nothing but its own shape; its maker answers for the memory.</remarks>
/// <typeparam name="T">The element type.</typeparam>
public readonly unsafe struct MatrixView<T>
    where T : unmanaged
{
    /// <summary>The first element.</summary>
    public readonly T* Data;

    /// <summary>Number of rows.</summary>
    public readonly nint Rows;

    /// <summary>Number of columns.</summary>
    public readonly nint Columns;

    /// <summary>Elements from the start of a row to the start of the next, at least <see cref="Columns"/>.</summary>
    public readonly nint Stride;

    /// <summary>A view of <paramref name="rows"/> x <paramref name="columns"/> elements without gaps between rows.</summary>
    /// <inheritdoc cref="MatrixView{T}(T*, nint, nint, nint)"/>
    public MatrixView(T* data, nint rows, nint columns)
        : this(data, rows, columns, columns)
    {
    }

    /// <summary>A view of <paramref name="rows"/> x <paramref name="columns"/> elements.</summary>
    /// <param name="data">The first element; may be null only where there are no elements.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns.</param>
    /// <param name="stride">Elements from row to row.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is negative, the stride is below the columns, or the extent overflows.</exception>
    /// <exception cref="ArgumentNullException"><paramref name="data"/> is null though there are elements.</exception>
    public MatrixView(T* data, nint rows, nint columns, nint stride)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        if (stride < columns)
            throw new ArgumentOutOfRangeException(nameof(stride), stride, $"The stride must be at least the {columns} columns.");
        if (stride > 0 && rows > nint.MaxValue / sizeof(T) / stride)
            throw new ArgumentOutOfRangeException(nameof(rows), rows, $"{rows} rows of stride {stride} overflow the address space.");
        if (data is null && rows > 0 && columns > 0)
            throw new ArgumentNullException(nameof(data));
        Data = data;
        Rows = rows;
        Columns = columns;
        Stride = stride;
    }

    /// <summary>The first element of row <paramref name="index"/>, unchecked.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T* Row(nint index) => Data + (index * Stride);

    /// <summary>Row <paramref name="index"/> as a span.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="index"/> is no row.</exception>
    /// <exception cref="OverflowException">The row is longer than a span can be.</exception>
    public Span<T> RowSpan(nint index)
    {
        if ((nuint)index >= (nuint)Rows)
            throw new ArgumentOutOfRangeException(nameof(index), index, $"The matrix has {Rows} rows.");
        return new Span<T>(Row(index), checked((int)Columns));
    }

    /// <summary>The <paramref name="count"/> rows from <paramref name="start"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the matrix.</exception>
    public MatrixView<T> Slice(nint start, nint count)
    {
        if (start < 0 || start > Rows)
            throw new ArgumentOutOfRangeException(nameof(start), start, $"The start must lie in 0..{Rows}.");
        if (count < 0 || count > Rows - start)
            throw new ArgumentOutOfRangeException(nameof(count), count, $"From row {start} there are {Rows - start}.");
        return new MatrixView<T>(Row(start), count, Columns, Stride);
    }
}
