namespace EmbeddingKernels.Cli.Commands;

/// <summary>Rows of a file, with their words if the file has them.</summary>
internal sealed class VectorFile : IDisposable
{
    private readonly KeyedVectors? _vectors;

    private VectorFile(FloatMatrix matrix, KeyedVectors? vectors)
    {
        Matrix = matrix;
        _vectors = vectors;
    }

    public FloatMatrix Matrix { get; }

    public IReadOnlyList<string>? Words => _vectors?.Words;

    /// <summary>NumPy's format by the name (.npy, .npy.gz), else word2vec's.</summary>
    public static VectorFile Load(string path)
    {
        if (path.EndsWith(".npy", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".npy.gz", StringComparison.OrdinalIgnoreCase))
            return new VectorFile(Npy.ReadMatrix(path), null);
        KeyedVectors vectors = KeyedVectors.Load(path);
        return new VectorFile(vectors.Vectors, vectors);
    }

    public void Dispose()
    {
        Matrix.Dispose();
        _vectors?.Dispose();
    }
}
