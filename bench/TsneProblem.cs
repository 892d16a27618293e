using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// A t-SNE problem that all contestants are given: points, where the map starts, joint affinities and the true neighbours that
/// a map is judged by, in memory and as .npy files in one folder.
/// </summary>
/// <remarks>
/// The folder holds x.npy (N x D), start.npy (N x 2) and the sparse matrix of affinities, indptr.npy and indices.npy (int64)
/// and data.npy (float32). What takes long to make stays in the system's folder for temporary files.
/// </remarks>
internal sealed unsafe class TsneProblem : IDisposable
{
    /// <summary>Neighbours that preservation is judged by.</summary>
    public const int JudgedNeighbors = 10;

    public const double Perplexity = 30;
    public const int NeighborsPerPoint = 90;
    private const int Components = 50;
    private readonly bool _temporary;

    private TsneProblem(string folder, bool temporary, FloatMatrix data, FloatMatrix start, TsneAffinities affinities, long[] neighbors)
    {
        Folder = folder;
        _temporary = temporary;
        Data = data;
        Start = start;
        Affinities = affinities;
        Neighbors = neighbors;
    }

    /// <summary>Where the files are.</summary>
    public string Folder { get; }

    public int Points => (int)Data.Rows;

    public FloatMatrix Data { get; }

    public FloatMatrix Start { get; }

    public TsneAffinities Affinities { get; }

    /// <summary>The nearest <see cref="JudgedNeighbors"/> others of each point.</summary>
    public long[] Neighbors { get; }

    public string X => Path.Combine(Folder, "x.npy");

    public string StartFile => Path.Combine(Folder, "start.npy");

    private string Offsets => Path.Combine(Folder, "indptr.npy");

    private string Columns => Path.Combine(Folder, "indices.npy");

    private string Values => Path.Combine(Folder, "data.npy");

    /// <summary>All 70,000 digits of MNIST: pixels / 255, 50 principal components and affinities by this library.</summary>
    public static TsneProblem? Mnist70K(out string why)
    {
        string source = BenchData.Path("tsne/mnist70k_u8.npy.gz");
        why = $"there is no {source}";
        if (!File.Exists(source))
            return null;
        string folder = Path.Combine(Path.GetTempPath(), "embedding-kernels-bench", "mnist-70000-50-p30");
        string[] names = ["x.npy", "start.npy", "indptr.npy", "indices.npy", "data.npy", "neighbors.npy"];
        if (names.All(name => File.Exists(Path.Combine(folder, name))))
        {
            return new(
                folder, temporary: false, Npy.ReadMatrix(Path.Combine(folder, "x.npy")), Npy.ReadMatrix(Path.Combine(folder, "start.npy")),
                ReadAffinities(folder), Npy.ReadInt64(Path.Combine(folder, "neighbors.npy")));
        }

        using WorkerPool pool = new(Environment.ProcessorCount);
        using FloatMatrix pixels = Npy.ReadMatrix(source);
        foreach (ref float pixel in new Span<float>(pixels.View.Data, checked((int)(pixels.Rows * pixels.Columns))))
            pixel /= 255;
        FloatMatrix data = Pca.Fit(pixels, new PcaOptions { Components = Components }, pool).Transform(pixels.View, pool);
        return Make(folder, temporary: false, data, TsneInitialization.Pca(data), null);
    }

    /// <summary>The first of the 10,000 digits whose affinities were computed elsewhere; all of them keep those affinities.</summary>
    public static TsneProblem? Mnist10K(int points, out string why)
    {
        why = $"there is no {BenchData.Path("tsne/mnist_pca50_10k.npy.gz")}";
        if (!File.Exists(BenchData.Path("tsne/mnist_pca50_10k.npy.gz")))
            return null;
        using FloatMatrix all = Npy.ReadMatrix(BenchData.Path("tsne/mnist_pca50_10k.npy.gz"));
        using FloatMatrix starts = Npy.ReadMatrix(BenchData.Path("tsne/init_10k.npy"));
        TsneAffinities? affinities = points < all.Rows ? null : TsneAffinities.FromSparse(
            Npy.ReadInt64(BenchData.Path("tsne/P_10k_indptr.npy")),
            Array.ConvertAll(Npy.ReadInt64(BenchData.Path("tsne/P_10k_indices.npy.gz")), i => (int)i),
            Array.ConvertAll(Npy.ReadDouble(BenchData.Path("tsne/P_10k_data.npy.gz")), p => (float)p));
        return Make(Directory.CreateTempSubdirectory("tsne-").FullName, temporary: true, First(all, points), First(starts, points), affinities);
    }

    /// <summary>A copy of the first rows of a matrix.</summary>
    public static FloatMatrix First(FloatMatrix matrix, int rows)
    {
        FloatMatrix first = new(rows, matrix.Columns);
        for (int i = 0; i < rows; i++)
            matrix.Row(i).CopyTo(first.Row(i));
        return first;
    }

    public void Dispose()
    {
        Data.Dispose();
        Start.Dispose();
        if (_temporary)
            Directory.Delete(Folder, recursive: true);
    }

    private static TsneProblem Make(string folder, bool temporary, FloatMatrix data, FloatMatrix start, TsneAffinities? affinities)
    {
        int n = (int)data.Rows;
        using AlignedBuffer<long> ids = new((nint)n * JudgedNeighbors);
        using (FloatMatrix distances = new(n, JudgedNeighbors))
        using (WorkerPool pool = new(Environment.ProcessorCount))
        {
            MatrixView<long> view = new(ids.Pointer, n, JudgedNeighbors);
            Similarity.TopK(data.View, data.View, JudgedNeighbors, SimilarityMetric.Euclidean, view, distances.View, excludeSelf: true, pool: pool);
        }

        // Whoever reads a half-written folder would be given another problem: the folder gets its name when it is whole.
        string making = temporary ? folder : $"{folder}.{Environment.ProcessId}";
        Directory.CreateDirectory(making);
        TsneProblem problem = new(
            making, temporary, data, start, affinities ?? TsneAffinities.FromData(data, Perplexity), ids.AsSpan().ToArray());
        problem.Write();
        if (temporary)
            return problem;
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        Directory.Move(making, folder);
        return new(folder, temporary, data, start, problem.Affinities, problem.Neighbors);
    }

    private static TsneAffinities ReadAffinities(string folder)
    {
        using FloatMatrix values = Npy.ReadMatrix(Path.Combine(folder, "data.npy"));
        return TsneAffinities.FromSparse(
            Npy.ReadInt64(Path.Combine(folder, "indptr.npy")),
            Array.ConvertAll(Npy.ReadInt64(Path.Combine(folder, "indices.npy")), i => (int)i),
            new ReadOnlySpan<float>(values.View.Data, (int)(values.Rows * values.Columns)));
    }

    private void Write()
    {
        Npy.Write(X, Data);
        Npy.Write(StartFile, Start);
        Npy.Write(Offsets, Affinities.Joint.RowOffsets);
        Npy.Write(Columns, Array.ConvertAll(Affinities.Joint.ColumnIndices.ToArray(), column => (long)column));
        Npy.Write(Values, Affinities.Joint.Values);
        Npy.Write(Path.Combine(Folder, "neighbors.npy"), Neighbors);
    }
}
