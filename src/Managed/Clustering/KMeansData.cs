using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The rows that are clustered, in blocks of floats. The blocks depend on the shape alone, so that nothing computed over
/// them depends on the number of threads.
/// </summary>
internal sealed unsafe class KMeansData : IDisposable
{
    // A block of rows is assigned while it is in the cache, then added up while it still is; many rows to a block spread
    // the cost of packing the centres.
    private const nint BlockElements = 4 << 20;
    private const int LeastRows = 1024;
    private const int MostRows = 8192;

    private readonly FloatMatrix? _buffer;

    public KMeansData(RowsView rows, bool spherical, WorkerPool pool, CancellationToken cancellationToken)
    {
        Rows = rows;
        Spherical = spherical;
        Pool = pool;
        CancellationToken = cancellationToken;
        BlockRows = (int)Math.Min(Math.Clamp(BlockElements / Math.Max(rows.Columns, 1), LeastRows, MostRows), Math.Max(rows.Rows, 1));
        Blocks = checked((int)((rows.Rows + BlockRows - 1) / BlockRows));
        _buffer = RowConversion.AreFloats(rows) ? null : new FloatMatrix(BlockRows, rows.Columns);
    }

    public RowsView Rows { get; }

    public bool Spherical { get; }

    public WorkerPool Pool { get; }

    public CancellationToken CancellationToken { get; }

    public int BlockRows { get; }

    public int Blocks { get; }

    /// <summary>Block number <paramref name="index"/>; valid until the next call.</summary>
    public MatrixView<float> Block(int index)
    {
        CancellationToken.ThrowIfCancellationRequested();
        nint start = (nint)index * BlockRows;
        return RowConversion.Floats(Rows.Slice(start, Math.Min(BlockRows, Rows.Rows - start)), _buffer, Pool);
    }

    public void CopyRow(nint index, float* destination) => RowConversion.ToFloats(Rows, index, destination);

    public void Dispose() => _buffer?.Dispose();

    /// <summary>The nearest centre of each row of a block, and its squared distance.</summary>
    public void Nearest(MatrixView<float> block, MatrixView<float> centers, long* ids, float* distances)
    {
        SimilarityMetric metric = Spherical ? SimilarityMetric.Cosine : SimilarityMetric.SquaredEuclidean;
        Similarity.TopK(block, centers, 1, metric, new MatrixView<long>(ids, block.Rows, 1), new MatrixView<float>(distances, block.Rows, 1), pool: Pool);
        if (Spherical)
            ToSquaredChords(distances, block.Rows);
    }

    /// <summary>The squared distances of each row of one matrix from each of another.</summary>
    public void Distances(MatrixView<float> from, MatrixView<float> to, MatrixView<float> distances)
    {
        Similarity.Scores(from, to, Spherical ? SimilarityMetric.Cosine : SimilarityMetric.SquaredEuclidean, distances, Pool);
        if (Spherical)
            Pool.For(from.Rows, 1, (_, start, end) => ToSquaredChords(distances, start, end));
    }

    // Between vectors scaled to length 1.
    private static void ToSquaredChords(float* cosines, nint count)
    {
        for (nint i = 0; i < count; i++)
            cosines[i] = Math.Max(2 - (2 * cosines[i]), 0);
    }

    private static void ToSquaredChords(MatrixView<float> cosines, nint start, nint end)
    {
        for (nint i = start; i < end; i++)
            ToSquaredChords(cosines.Row(i), cosines.Columns);
    }
}
