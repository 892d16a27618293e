using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// NumPy's .npy files: what <c>numpy.load</c> and <c>numpy.save</c> read and write. Versions 1, 2 and 3 of the format are
/// read, version 1 is written. A path that ends in .gz is unpacked and packed on the way.
/// </summary>
/// <remarks>
/// <para>Arrays of any number of axes are read: rows are the first axis, columns the product of the others, so a vector of n
/// numbers is n x 1. Column-major ("Fortran") order is read for up to two axes. Element types: b1, i1 to i8, u1 to u8, f2,
/// f4, f8 in either byte order.</para>
/// <para>NaN and infinite values are kept: they are ordinary array elements.</para>
/// <para>A file may not hold more than its one array. A stream is left standing behind the array, so that several can be
/// read one after the other. A claimed shape is compared with the source's length before memory is taken.</para>
/// <para>Source: NumPy's format specification, numpy.lib.format.</para>
/// </remarks>
public static unsafe class Npy
{
    private const int ChunkElements = 8192;

    /// <summary>Reads an array as floats. Numbers that float32 does not hold are rounded to the nearest.</summary>
    /// <exception cref="DataFormatException">The file is damaged, or of a kind that is not read.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static FloatMatrix ReadMatrix(string path)
    {
        using FormatReader reader = new(path);
        FloatMatrix matrix = ReadMatrix(reader);
        try
        {
            reader.ExpectEnd("the array");
            return matrix;
        }
        catch
        {
            matrix.Dispose();
            throw;
        }
    }

    /// <inheritdoc cref="ReadMatrix(string)"/>
    /// <param name="stream">Is left open, standing behind the array.</param>
    public static FloatMatrix ReadMatrix(Stream stream)
    {
        using FormatReader reader = new(stream);
        return ReadMatrix(reader);
    }

    /// <summary>Reads an array of integers or truth values, row after row.</summary>
    /// <exception cref="DataFormatException">
    /// The file is damaged, holds floating-point numbers, has a number above 2^63 - 1, or more numbers than an array holds.
    /// </exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static long[] ReadInt64(string path) => ReadInt64(path, out _);

    /// <inheritdoc cref="ReadInt64(string)"/>
    /// <param name="stream">Is left open, standing behind the array.</param>
    public static long[] ReadInt64(Stream stream)
    {
        using FormatReader reader = new(stream);
        return ReadArray<long>(reader, out _);
    }

    /// <summary>Reads an array of numbers as doubles, row after row.</summary>
    /// <exception cref="DataFormatException">The file is damaged, or has more numbers than an array holds.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static double[] ReadDouble(string path)
    {
        using FormatReader reader = new(path);
        double[] values = ReadArray<double>(reader, out _);
        reader.ExpectEnd("the array");
        return values;
    }

    /// <inheritdoc cref="ReadDouble(string)"/>
    /// <param name="stream">Is left open, standing behind the array.</param>
    public static double[] ReadDouble(Stream stream)
    {
        using FormatReader reader = new(stream);
        return ReadArray<double>(reader, out _);
    }

    /// <summary>Reads an array of integers or truth values, row after row.</summary>
    /// <param name="path">The file.</param>
    /// <param name="columns">Numbers per row: the product of all axes but the first.</param>
    /// <inheritdoc cref="ReadInt64(string)"/>
    public static long[] ReadInt64(string path, out int columns)
    {
        using FormatReader reader = new(path);
        long[] values = ReadArray<long>(reader, out nint wide);
        reader.ExpectEnd("the array");
        columns = (int)Math.Min(wide, int.MaxValue); // more only where there are no rows
        return values;
    }

    /// <summary>
    /// Maps an array in row order into memory: nothing is read until it is touched, so the file may be larger than memory.
    /// Elements may be f4, f2, i1 or u1 (float32, float16, signed and unsigned bytes); they stay as they are.
    /// </summary>
    /// <exception cref="DataFormatException">The file is damaged, packed, or not of those types in this machine's byte order and row order.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static MappedRows Map(string path) => Map(path, must: true)!;

    /// <summary>Maps an array into memory as <see cref="Map(string)"/> does; false where it is one that can only be read.</summary>
    /// <exception cref="DataFormatException">The file is damaged.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static bool TryMap(string path, [NotNullWhen(true)] out MappedRows? rows)
    {
        rows = Map(path, must: false);
        return rows is not null;
    }

    private static MappedRows? Map(string path, bool must)
    {
        using FormatReader reader = new(path);
        NpyHeader header = NpyHeader.Read(reader);
        long offset = reader.Position;
        ElementType? type = Stored(header);
        string? obstacle = AtomicFile.IsGzip(path) ? "a packed file cannot be mapped; unpack it"
            : type is null || !header.NativeOrder || NeedsTranspose(reader, header)
                ? $"only f4, f2, i1 and u1 in row order can be mapped, and this is {header.Description}{(header.FortranOrder ? " in column order" : "")}"
            : offset % header.ItemBytes != 0 ? $"the data does not begin at a multiple of {header.ItemBytes} bytes, so it cannot be mapped"
            : null;
        if (obstacle is not null)
            return must ? throw reader.Fail(obstacle + "; read it with ReadMatrix") : null;
        return MappedRows.Open(path, (nint)offset, type!.Value, header.Rows, header.Columns, header.Columns * header.ItemBytes);
    }

    /// <summary>Writes a matrix of float32 as an array of two axes.</summary>
    /// <remarks>The file appears under its name only when it is complete.</remarks>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string path, MatrixView<float> matrix) => WriteView(path, matrix, NpyKind.Float);

    /// <inheritdoc cref="Write(string, MatrixView{float})"/>
    public static void Write(string path, FloatMatrix matrix)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        Write(path, matrix.View);
        GC.KeepAlive(matrix);
    }

    /// <summary>Writes a matrix of float64 as an array of two axes.</summary>
    /// <inheritdoc cref="Write(string, MatrixView{float})"/>
    public static void Write(string path, MatrixView<double> matrix) => WriteView(path, matrix, NpyKind.Float);

    /// <summary>Writes a matrix of int64 as an array of two axes.</summary>
    /// <inheritdoc cref="Write(string, MatrixView{float})"/>
    public static void Write(string path, MatrixView<long> matrix) => WriteView(path, matrix, NpyKind.Signed);

    /// <summary>Writes float32 numbers as an array of one axis.</summary>
    /// <inheritdoc cref="Write(string, MatrixView{float})"/>
    public static void Write(string path, ReadOnlySpan<float> values) => WriteSpan(path, values, NpyKind.Float);

    /// <summary>Writes float64 numbers as an array of one axis.</summary>
    /// <inheritdoc cref="Write(string, MatrixView{float})"/>
    public static void Write(string path, ReadOnlySpan<double> values) => WriteSpan(path, values, NpyKind.Float);

    /// <summary>Writes int64 numbers as an array of one axis.</summary>
    /// <inheritdoc cref="Write(string, MatrixView{float})"/>
    public static void Write(string path, ReadOnlySpan<long> values) => WriteSpan(path, values, NpyKind.Signed);

    private static FloatMatrix ReadMatrix(FormatReader reader)
    {
        NpyHeader header = NpyHeader.Read(reader);
        bool transpose = NeedsTranspose(reader, header);
        using GrowingBuffer<float> data = ReadElements<float>(reader, header);
        if (!transpose)
            return new FloatMatrix(data.Detach(), header.Rows, header.Columns);
        FloatMatrix matrix = new(header.Rows, header.Columns);
        Transpose(data.Pointer, matrix.View);
        return matrix;
    }

    private static T[] ReadArray<T>(FormatReader reader, out nint columns)
        where T : unmanaged, INumberBase<T>
    {
        NpyHeader header = NpyHeader.Read(reader);
        columns = header.Columns;
        if (typeof(T) == typeof(long) && header.Kind == NpyKind.Float)
            reader.Throw($"the elements are {header.Description}, not integers");
        bool transpose = NeedsTranspose(reader, header);
        nint count = header.Rows * header.Columns;
        if (count > Array.MaxLength)
            reader.Throw($"{count} numbers are more than an array holds ({Array.MaxLength})");
        using GrowingBuffer<T> data = ReadElements<T>(reader, header);
        T[] values = new T[count];
        fixed (T* destination = values)
        {
            if (transpose)
                Transpose(data.Pointer, new MatrixView<T>(destination, header.Rows, header.Columns));
            else
                Buffer.MemoryCopy(data.Pointer, destination, (long)count * sizeof(T), (long)count * sizeof(T));
        }

        return values;
    }

    private static ElementType? Stored(NpyHeader header) => (header.Kind, header.ItemBytes) switch
    {
        (NpyKind.Float, 4) => ElementType.Float32,
        (NpyKind.Float, 2) => ElementType.Float16,
        (NpyKind.Signed, 1) => ElementType.Int8,
        (NpyKind.Unsigned, 1) => ElementType.UInt8,
        _ => null,
    };

    private static bool NeedsTranspose(FormatReader reader, NpyHeader header)
    {
        if (!header.FortranOrder || header.Shape.Length < 2)
            return false;
        if (header.Shape.Length > 2)
            reader.Throw($"column-major order is read for up to two axes, and this array has {header.Shape.Length}");
        return header.Rows > 1 && header.Columns > 1;
    }

    private static GrowingBuffer<T> ReadElements<T>(FormatReader reader, NpyHeader header)
        where T : unmanaged, INumberBase<T>
    {
        nint count = header.Rows * header.Columns;
        GrowingBuffer<T> data = new(count, reader.LengthIsExact);
        try
        {
            bool direct = header.NativeOrder && header.ItemBytes == sizeof(T)
                && header.Kind == (typeof(T) == typeof(long) ? NpyKind.Signed : NpyKind.Float);
            byte[] chunk = direct ? [] : new byte[ChunkElements * header.ItemBytes];
            int step = direct ? 1 << 20 : ChunkElements;
            for (nint done = 0; done < count;)
            {
                int now = (int)Math.Min(step, count - done);
                data.Reserve(done + now);
                Span<T> destination = new(data.Pointer + done, now);
                if (direct)
                {
                    reader.ReadExactly(MemoryMarshal.AsBytes(destination), "the elements");
                }
                else
                {
                    Span<byte> bytes = chunk.AsSpan(0, now * header.ItemBytes);
                    reader.ReadExactly(bytes, "the elements");
                    Convert(reader, header, bytes, destination);
                }

                done += now;
            }

            return data;
        }
        catch
        {
            data.Dispose();
            throw;
        }
    }

    private static void Convert<T>(FormatReader reader, NpyHeader header, Span<byte> bytes, Span<T> destination)
        where T : unmanaged, INumberBase<T>
    {
        if (!header.NativeOrder)
        {
            for (int i = 0; i < bytes.Length; i += header.ItemBytes)
                bytes.Slice(i, header.ItemBytes).Reverse();
        }

        switch (header.Kind, header.ItemBytes)
        {
            case (NpyKind.Boolean or NpyKind.Unsigned, 1):
                Cast<byte, T>(reader, bytes, destination);
                break;
            case (NpyKind.Unsigned, 2):
                Cast<ushort, T>(reader, bytes, destination);
                break;
            case (NpyKind.Unsigned, 4):
                Cast<uint, T>(reader, bytes, destination);
                break;
            case (NpyKind.Unsigned, _):
                Cast<ulong, T>(reader, bytes, destination);
                break;
            case (NpyKind.Signed, 1):
                Cast<sbyte, T>(reader, bytes, destination);
                break;
            case (NpyKind.Signed, 2):
                Cast<short, T>(reader, bytes, destination);
                break;
            case (NpyKind.Signed, 4):
                Cast<int, T>(reader, bytes, destination);
                break;
            case (NpyKind.Signed, _):
                Cast<long, T>(reader, bytes, destination);
                break;
            case (NpyKind.Float, 2):
                Cast<Half, T>(reader, bytes, destination);
                break;
            case (NpyKind.Float, 4):
                Cast<float, T>(reader, bytes, destination);
                break;
            default:
                Cast<double, T>(reader, bytes, destination);
                break;
        }
    }

    private static void Cast<TFrom, TTo>(FormatReader reader, ReadOnlySpan<byte> bytes, Span<TTo> destination)
        where TFrom : unmanaged, INumberBase<TFrom>
        where TTo : unmanaged, INumberBase<TTo>
    {
        ReadOnlySpan<TFrom> source = MemoryMarshal.Cast<byte, TFrom>(bytes);
        try
        {
            for (int i = 0; i < destination.Length; i++)
                destination[i] = TTo.CreateChecked(source[i]);
        }
        catch (OverflowException exception)
        {
            throw reader.Fail("a number is above 2^63 - 1", null, exception);
        }
    }

    /// <summary>Copies an array in column-major order, whose columns stand in memory as rows.</summary>
    private static void Transpose<T>(T* source, MatrixView<T> destination)
        where T : unmanaged
    {
        const int Block = 16; // sixteen lines of either side fit the first-level cache
        for (nint row = 0; row < destination.Rows; row += Block)
        {
            for (nint column = 0; column < destination.Columns; column += Block)
            {
                nint rowEnd = Math.Min(row + Block, destination.Rows);
                nint columnEnd = Math.Min(column + Block, destination.Columns);
                for (nint i = row; i < rowEnd; i++)
                {
                    for (nint j = column; j < columnEnd; j++)
                        destination.Row(i)[j] = source[(j * destination.Rows) + i];
                }
            }
        }
    }

    private static void WriteView<T>(string path, MatrixView<T> matrix, NpyKind kind)
        where T : unmanaged =>
        AtomicFile.Write(path, stream =>
        {
            WriteHeader<T>(stream, kind, [matrix.Rows, matrix.Columns]);
            bool whole = matrix.Stride == matrix.Columns;
            nint runs = whole ? 1 : matrix.Rows;
            nint length = whole ? matrix.Rows * matrix.Columns : matrix.Columns;
            for (nint i = 0; i < runs; i++)
                WriteRun(stream, matrix.Row(i), length);
        });

    private static void WriteSpan<T>(string path, ReadOnlySpan<T> values, NpyKind kind)
        where T : unmanaged
    {
        fixed (T* pointer = values)
        {
            nint address = (nint)pointer;
            int length = values.Length;
            AtomicFile.Write(path, stream =>
            {
                WriteHeader<T>(stream, kind, [length]);
                WriteRun(stream, (T*)address, length);
            });
        }
    }

    private static void WriteHeader<T>(Stream stream, NpyKind kind, long[] shape)
        where T : unmanaged =>
        stream.Write(new NpyHeader(kind, sizeof(T), !BitConverter.IsLittleEndian, FortranOrder: false, shape).ToBytes());

    private static void WriteRun<T>(Stream stream, T* values, nint count)
        where T : unmanaged
    {
        const int Step = 1 << 20;
        for (nint done = 0; done < count; done += Step)
            stream.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(values + done, (int)Math.Min(Step, count - done))));
    }
}
