using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>What a file of the vecs family holds: its name's ending says it, not its content.</summary>
public enum VecsKind
{
    /// <summary>float32 (.fvecs).</summary>
    Floats = 0,

    /// <summary>Bytes, 0 to 255 (.bvecs).</summary>
    Bytes = 1,

    /// <summary>int32, usually row numbers of true neighbours (.ivecs).</summary>
    Integers = 2,
}

/// <summary>
/// The .fvecs, .bvecs and .ivecs files of the nearest-neighbour benchmarks (SIFT1M, GIST1M, SIFT1B ...). A path that ends in
/// .gz is unpacked and packed on the way.
/// </summary>
/// <remarks>
/// <para>Each row is its dimension as an int32 and then that many elements, all little-endian. There is no header, so an
/// empty file has no dimension and is refused.</para>
/// <para>NaN and infinite values are kept. A row of another dimension than the first, a dimension below 1 or above
/// <see cref="MaximumDimension"/>, or a last row that is cut short is an error; memory is taken for rows that the source can have only.</para>
/// <para>Source: corpus-texmex.irisa.fr.</para>
/// </remarks>
public static unsafe class Vecs
{
    /// <summary>The largest dimension that is believed.</summary>
    public const int MaximumDimension = 1 << 20;

    // Rows whose dimension is looked at when a file is mapped; looking at all would read the whole file.
    private const int LookedAt = 1024;

    /// <summary>What a file holds by its name; null where the name is none of this family.</summary>
    public static VecsKind? KindOf(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        string name = AtomicFile.IsGzip(path) ? path[..^3] : path;
        return Path.GetExtension(name).ToLowerInvariant() switch
        {
            ".fvecs" => VecsKind.Floats,
            ".bvecs" => VecsKind.Bytes,
            ".ivecs" => VecsKind.Integers,
            _ => null,
        };
    }

    /// <summary>Reads a .fvecs or .bvecs file as floats.</summary>
    /// <exception cref="ArgumentException">The name ends in neither.</exception>
    /// <exception cref="DataFormatException">The file is damaged, cut short, or of another kind.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static FloatMatrix ReadMatrix(string path)
    {
        VecsKind kind = VectorKind(path);
        using FormatReader reader = new(path);
        return ReadMatrix(reader, kind);
    }

    /// <summary>Reads rows to the end of a stream as floats.</summary>
    /// <param name="stream">Is left open.</param>
    /// <param name="kind"><see cref="VecsKind.Floats"/> or <see cref="VecsKind.Bytes"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="kind"/> is neither.</exception>
    /// <exception cref="DataFormatException">The data is damaged, cut short, or of another kind.</exception>
    public static FloatMatrix ReadMatrix(Stream stream, VecsKind kind)
    {
        if (kind is not (VecsKind.Floats or VecsKind.Bytes))
            throw new ArgumentOutOfRangeException(nameof(kind), kind, "Floats or bytes are read as a matrix of floats.");
        using FormatReader reader = new(stream);
        return ReadMatrix(reader, kind);
    }

    /// <summary>Reads a .ivecs file, row after row.</summary>
    /// <param name="path">The file; only its content counts, not its name.</param>
    /// <param name="columns">Numbers per row.</param>
    /// <exception cref="DataFormatException">The file is damaged, cut short, or has more numbers than an array holds.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static long[] ReadInt64(string path, out int columns)
    {
        using FormatReader reader = new(path);
        return ReadInt64(reader, out columns);
    }

    /// <inheritdoc cref="ReadInt64(string, out int)"/>
    /// <param name="stream">Is read to its end and left open.</param>
    /// <param name="columns">Numbers per row.</param>
    public static long[] ReadInt64(Stream stream, out int columns)
    {
        using FormatReader reader = new(stream);
        return ReadInt64(reader, out columns);
    }

    /// <summary>
    /// Maps a .fvecs or .bvecs file into memory: nothing is read until it is touched, so the file may be larger than memory.
    /// </summary>
    /// <remarks>
    /// The file's length and the dimensions of up to 1,024 rows spread over it are checked; reading a whole file checks
    /// those of all rows.
    /// </remarks>
    /// <exception cref="ArgumentException">The name ends in neither.</exception>
    /// <exception cref="DataFormatException">The file is damaged, packed, cut short, or of another kind.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static MappedRows Map(string path)
    {
        VecsKind kind = VectorKind(path);
        int dimension;
        nint rowBytes, count;
        using (FormatReader reader = new(path))
        {
            if (AtomicFile.IsGzip(path))
                reader.Throw("a packed file cannot be mapped; unpack it, or read it with ReadMatrix");
            if (!BitConverter.IsLittleEndian || reader.RemainingAtMost is not long length)
                throw reader.Fail("neither a file without a length nor one in another byte order than the machine's can be mapped; read it with ReadMatrix");
            dimension = FirstDimension(reader);
            rowBytes = RowBytes(kind, dimension);
            if (length % rowBytes != 0)
                reader.Throw($"rows of dimension {dimension} have {rowBytes} bytes, and the file's {length} are no multiple of it: it is cut short or of another kind");
            count = checked((nint)(length / rowBytes));
        }

        MappedRows rows = MappedRows.Open(path, sizeof(int), kind == VecsKind.Floats ? ElementType.Float32 : ElementType.UInt8, count, dimension, rowBytes);
        try
        {
            nint looks = Math.Min(count, LookedAt);
            for (nint i = 0; i < looks; i++)
            {
                nint row = looks == 1 ? 0 : (nint)((Int128)i * (count - 1) / (looks - 1));
                int found = Unsafe.ReadUnaligned<int>(rows.View.Row(row) - sizeof(int));
                if (found != dimension)
                    throw new DataFormatException(path, (long)row * rowBytes, row, OtherDimension(found, dimension));
            }

            return rows;
        }
        catch
        {
            rows.Dispose();
            throw;
        }
    }

    /// <summary>Writes rows of float32 (.fvecs).</summary>
    /// <remarks>The file appears under its name only when it is complete.</remarks>
    /// <param name="path">The file.</param>
    /// <param name="matrix">At least one column.</param>
    /// <exception cref="ArgumentException">The matrix has no columns, or more than <see cref="MaximumDimension"/>.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string path, MatrixView<float> matrix) => WriteRows(path, matrix);

    /// <inheritdoc cref="Write(string, MatrixView{float})"/>
    public static void Write(string path, FloatMatrix matrix)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        Write(path, matrix.View);
        GC.KeepAlive(matrix);
    }

    /// <summary>Writes rows of bytes (.bvecs).</summary>
    /// <inheritdoc cref="Write(string, MatrixView{float})"/>
    public static void Write(string path, MatrixView<byte> matrix) => WriteRows(path, matrix);

    /// <summary>Writes rows of int32 (.ivecs).</summary>
    /// <inheritdoc cref="Write(string, MatrixView{float})"/>
    public static void Write(string path, MatrixView<int> matrix) => WriteRows(path, matrix);

    /// <summary>Writes rows of row numbers as int32 (.ivecs).</summary>
    /// <exception cref="ArgumentException">
    /// The matrix has no columns, more than <see cref="MaximumDimension"/>, or a number that int32 does not hold; no file is left.
    /// </exception>
    /// <inheritdoc cref="Write(string, MatrixView{float})"/>
    public static void Write(string path, MatrixView<long> matrix)
    {
        CheckColumns(matrix);
        int[] row = new int[matrix.Columns];
        AtomicFile.Write(path, stream =>
        {
            for (nint i = 0; i < matrix.Rows; i++)
            {
                for (int j = 0; j < row.Length; j++)
                {
                    long value = matrix.Row(i)[j];
                    if (value is < int.MinValue or > int.MaxValue)
                        throw new ArgumentException($"Number {j} of row {i} is {value}, which int32 does not hold.", nameof(matrix));
                    row[j] = (int)value;
                }

                WriteRow<int>(stream, row);
            }
        });
    }

    private static void WriteRows<T>(string path, MatrixView<T> matrix)
        where T : unmanaged
    {
        CheckColumns(matrix);
        AtomicFile.Write(path, stream =>
        {
            for (nint i = 0; i < matrix.Rows; i++)
                WriteRow<T>(stream, matrix.RowSpan(i));
        });
    }

    private static void CheckColumns<T>(MatrixView<T> matrix)
        where T : unmanaged
    {
        if (matrix.Columns is < 1 or > MaximumDimension)
            throw new ArgumentException($"Rows of {matrix.Columns} elements cannot be written; there must be 1 to {MaximumDimension}.", nameof(matrix));
    }

    private static void WriteRow<T>(Stream stream, ReadOnlySpan<T> row)
        where T : unmanaged
    {
        Span<byte> dimension = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(dimension, row.Length);
        stream.Write(dimension);
        if (BitConverter.IsLittleEndian || sizeof(T) == 1)
        {
            stream.Write(MemoryMarshal.AsBytes(row));
            return;
        }

        int[] turned = new int[row.Length];
        BinaryPrimitives.ReverseEndianness(MemoryMarshal.Cast<T, int>(row), turned);
        stream.Write(MemoryMarshal.AsBytes<int>(turned));
    }

    private static VecsKind VectorKind(string path) => KindOf(path) is VecsKind kind and not VecsKind.Integers
        ? kind
        : throw new ArgumentException($"The name must end in .fvecs or .bvecs, as nothing else tells what '{path}' holds.", nameof(path));

    private static nint RowBytes(VecsKind kind, int dimension) => sizeof(int) + ((nint)dimension * (kind == VecsKind.Bytes ? 1 : 4));

    private static FloatMatrix ReadMatrix(FormatReader reader, VecsKind kind)
    {
        using GrowingBuffer<float> data = ReadRows<float>(reader, kind, nint.MaxValue / sizeof(float), out nint rows, out int columns);
        return new FloatMatrix(data.Detach(), rows, columns);
    }

    private static long[] ReadInt64(FormatReader reader, out int columns)
    {
        using GrowingBuffer<long> data = ReadRows<long>(reader, VecsKind.Integers, Array.MaxLength, out nint rows, out columns);
        return new ReadOnlySpan<long>(data.Pointer, (int)rows * columns).ToArray();
    }

    private static GrowingBuffer<T> ReadRows<T>(FormatReader reader, VecsKind kind, nint mostElements, out nint rows, out int dimension)
        where T : unmanaged
    {
        dimension = FirstDimension(reader);
        int rowBytes = (int)RowBytes(kind, dimension);
        nint mostRows = mostElements / dimension;
        nint claimed = (nint)Math.Min(reader.RemainingAtMost / rowBytes ?? mostRows, mostRows);
        GrowingBuffer<T> data = new(claimed * dimension, reader.LengthIsExact);
        try
        {
            byte[] row = new byte[rowBytes];
            for (rows = 0; !reader.Buffered.IsEmpty || reader.Fill(); rows++)
            {
                if (rows == mostRows)
                    reader.Throw($"there are more rows than fit: {mostElements} numbers at most", rows);
                if (reader.Buffered.Length < rowBytes)
                    reader.Fill();
                reader.ReadExactly(row, "the row", rows);
                int found = BinaryPrimitives.ReadInt32LittleEndian(row);
                if (found != dimension)
                    reader.Throw(OtherDimension(found, dimension), rows);
                data.Reserve((rows + 1) * dimension);
                Convert(row.AsSpan(sizeof(int)), kind, data.Pointer + (rows * dimension));
            }

            return data;
        }
        catch
        {
            data.Dispose();
            throw;
        }
    }

    private static void Convert<T>(Span<byte> row, VecsKind kind, T* destination)
        where T : unmanaged
    {
        if (!BitConverter.IsLittleEndian && kind != VecsKind.Bytes)
        {
            Span<int> words = MemoryMarshal.Cast<byte, int>(row);
            BinaryPrimitives.ReverseEndianness(words, words);
        }

        switch (kind)
        {
            case VecsKind.Floats:
                row.CopyTo(new Span<byte>(destination, row.Length));
                break;
            case VecsKind.Bytes:
                for (int j = 0; j < row.Length; j++)
                    ((float*)destination)[j] = row[j];
                break;
            default:
                ReadOnlySpan<int> integers = MemoryMarshal.Cast<byte, int>(row);
                for (int j = 0; j < integers.Length; j++)
                    ((long*)destination)[j] = integers[j];
                break;
        }
    }

    /// <summary>Looks at the first row's dimension without taking it.</summary>
    private static int FirstDimension(FormatReader reader)
    {
        while (reader.Buffered.Length < sizeof(int) && reader.Fill())
        {
        }

        if (reader.Buffered.Length < sizeof(int))
            throw reader.Fail(reader.Buffered.IsEmpty ? "the file is empty, so it has no dimension" : "the data ends inside the first row's dimension", 0);
        int dimension = BinaryPrimitives.ReadInt32LittleEndian(reader.Buffered);
        if (dimension is < 1 or > MaximumDimension)
            throw reader.Fail($"the first row claims dimension {dimension}; 1 to {MaximumDimension} are believed", 0);
        return dimension;
    }

    private static string OtherDimension(int found, int dimension) => $"the row claims dimension {found}, and the first row has {dimension}";
}
