using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>How the elements of stored rows are kept. Arithmetic on all of them is in single precision or exact integers.</summary>
public enum ElementType
{
    /// <summary>IEEE single precision, 4 bytes.</summary>
    Float32 = 0,

    /// <summary>IEEE half precision, 2 bytes: 11 significant bits, up to 65,504.</summary>
    Float16 = 1,

    /// <summary>The upper half of a single, 2 bytes: 8 significant bits, the range of a single.</summary>
    BFloat16 = 2,

    /// <summary>Signed bytes, -128 to 127.</summary>
    Int8 = 3,

    /// <summary>Unsigned bytes, 0 to 255, as in .bvecs files.</summary>
    UInt8 = 4,
}

/// <summary>
/// Rows of any <see cref="ElementType"/> in memory that somebody else owns. Element j of row i is what is stored at byte
/// <c>i * StrideBytes + j * size</c>, times <c>Scales[i]</c> where there are scales.
/// </summary>
/// <remarks>The view keeps nothing alive and checks nothing but its own shape; its maker answers for the memory.</remarks>
public readonly unsafe struct RowsView
{
    /// <summary>The first element.</summary>
    public readonly byte* Data;

    /// <summary>How elements are stored.</summary>
    public readonly ElementType Type;

    /// <summary>Number of rows.</summary>
    public readonly nint Rows;

    /// <summary>Number of columns.</summary>
    public readonly nint Columns;

    /// <summary>Bytes from the start of a row to the start of the next.</summary>
    public readonly nint StrideBytes;

    /// <summary>A factor for each row, or null where all are 1.</summary>
    public readonly float* Scales;

    /// <summary>A view of rows.</summary>
    /// <param name="data">The first element; may be null only where there are no elements.</param>
    /// <param name="type">How elements are stored.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns.</param>
    /// <param name="strideBytes">Bytes from row to row.</param>
    /// <param name="scales">A finite factor for each row; only for bytes. Null for none.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A size is negative, the type undefined, the stride below the columns' bytes, or the extent overflows.
    /// </exception>
    /// <exception cref="ArgumentNullException"><paramref name="data"/> is null though there are elements.</exception>
    /// <exception cref="ArgumentException">There are scales for a floating-point type.</exception>
    public RowsView(void* data, ElementType type, nint rows, nint columns, nint strideBytes, float* scales = null)
    {
        if (!Enum.IsDefined(type))
            throw new ArgumentOutOfRangeException(nameof(type), type, "Not an element type.");
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        if (columns > nint.MaxValue / 4 || strideBytes < columns * SizeOf(type))
            throw new ArgumentOutOfRangeException(nameof(strideBytes), strideBytes, $"The stride must be at least the {columns} columns of {SizeOf(type)} bytes.");
        if (strideBytes > 0 && rows > nint.MaxValue / strideBytes)
            throw new ArgumentOutOfRangeException(nameof(rows), rows, $"{rows} rows of {strideBytes} bytes overflow the address space.");
        if (data is null && rows > 0 && columns > 0)
            throw new ArgumentNullException(nameof(data));
        if (scales is not null && type is not (ElementType.Int8 or ElementType.UInt8))
            throw new ArgumentException($"Only rows of bytes have scales; these are {type}.", nameof(scales));
        Data = (byte*)data;
        Type = type;
        Rows = rows;
        Columns = columns;
        StrideBytes = strideBytes;
        Scales = scales;
    }

    /// <summary>A matrix of floats as rows.</summary>
    public static implicit operator RowsView(MatrixView<float> matrix) =>
        new(matrix.Data, ElementType.Float32, matrix.Rows, matrix.Columns, matrix.Stride * sizeof(float));

    /// <summary>Bytes of one element.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="type"/> is undefined.</exception>
    public static int SizeOf(ElementType type) => type switch
    {
        ElementType.Float32 => 4,
        ElementType.Float16 or ElementType.BFloat16 => 2,
        ElementType.Int8 or ElementType.UInt8 => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not an element type."),
    };

    /// <summary>The first byte of row <paramref name="index"/>, unchecked.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Row(nint index) => Data + (index * StrideBytes);

    /// <summary>Rows <paramref name="start"/> to <paramref name="start"/> + <paramref name="count"/> - 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They are not all there.</exception>
    public RowsView Slice(nint start, nint count)
    {
        if (start < 0 || start > Rows)
            throw new ArgumentOutOfRangeException(nameof(start), start, $"There are {Rows} rows.");
        if (count < 0 || count > Rows - start)
            throw new ArgumentOutOfRangeException(nameof(count), count, $"There are {Rows - start} rows from row {start} on.");
        return new(Data + (start * StrideBytes), Type, count, Columns, StrideBytes, Scales is null ? null : Scales + start);
    }
}
