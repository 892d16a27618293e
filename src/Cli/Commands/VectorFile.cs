using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>
/// Rows of a file, with their words if the file has them. What can be mapped into memory is mapped, not read, so such a file may
/// be larger than memory.
/// </summary>
internal sealed class VectorFile : IDisposable
{
    /// <summary>The kinds of file that are understood, for help texts.</summary>
    public const string Kinds = ".npy (rows), .fvecs, .bvecs, or word2vec";

    private readonly MappedRows? _mapped;
    private FloatMatrix? _matrix;

    private VectorFile(MappedRows? mapped, FloatMatrix? matrix, KeyedVectors? vectors)
    {
        _mapped = mapped;
        _matrix = matrix ?? vectors?.Vectors;
        Vectors = vectors;
    }

    /// <summary>The rows as the file stores them, or as floats where they had to be read.</summary>
    public RowsView Rows => _mapped?.View ?? _matrix!.View;

    /// <summary>The rows as floats: where they lie if they are, else read into memory.</summary>
    public unsafe MatrixView<float> Floats => Rows is { Type: ElementType.Float32 } rows && rows.StrideBytes % sizeof(float) == 0
        ? new MatrixView<float>((float*)rows.Data, rows.Rows, rows.Columns, rows.StrideBytes / sizeof(float))
        : Matrix.View;

    /// <summary>The rows as floats, read into memory now if they were not yet.</summary>
    public FloatMatrix Matrix => _matrix ??= _mapped!.Copy();

    /// <summary>The rows with their words, or null where there are none.</summary>
    public KeyedVectors? Vectors { get; }

    public IReadOnlyList<string>? Words => Vectors?.Words;

    /// <summary>By the name (.npy, .fvecs, .bvecs, packed as .gz or not) or NumPy's signature, else word2vec's.</summary>
    public static VectorFile Open(string path)
    {
        bool packed = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase);
        if (Vecs.KindOf(path) is VecsKind kind)
        {
            if (kind == VecsKind.Integers)
                throw new InvalidDataException($"{path} holds row numbers, not vectors; .fvecs and .bvecs do.");
            return packed ? new VectorFile(null, Vecs.ReadMatrix(path), null) : new VectorFile(Vecs.Map(path), null, null);
        }

        if (IsNpy(path))
            return !packed && Npy.TryMap(path, out MappedRows? mapped) ? new VectorFile(mapped, null, null) : new VectorFile(null, Npy.ReadMatrix(path), null);
        return new VectorFile(null, null, KeyedVectors.Load(path));
    }

    public void Dispose()
    {
        _matrix?.Dispose();
        _mapped?.Dispose();
        Vectors?.Dispose();
    }

    private static bool IsNpy(string path)
    {
        if (path.EndsWith(".npy", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".npy.gz", StringComparison.OrdinalIgnoreCase))
            return true;
        using FileStream file = File.OpenRead(path);
        if (!file.CanSeek)
            return false; // what is read from a pipe to find out would be missing later
        byte[] start = new byte[6];
        return file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length && start[0] == 0x93 && start.AsSpan(1).SequenceEqual("NUMPY"u8);
    }
}
