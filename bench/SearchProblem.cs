using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>Made-up rows and queries, room for the results, and who searches them.</summary>
internal sealed unsafe class SearchProblem : IDisposable
{
    /// <summary>Room for results: this many rows for each query.</summary>
    public const int LargestK = 100;

    private readonly AlignedBuffer<float> _data;
    private readonly AlignedBuffer<float> _queries;
    private readonly AlignedBuffer<long> _ids;
    private readonly AlignedBuffer<float> _scores;

    public SearchProblem(int rows, int dimension, int queries)
    {
        _data = BenchData.Random((nint)rows * dimension, 3);
        _queries = BenchData.Random((nint)queries * dimension, 4);
        _ids = new((nint)queries * LargestK);
        _scores = new((nint)queries * LargestK);
        _ids.AsSpan().Fill(-2);
        _scores.AsSpan().Fill(1f);
        Data = new(_data.Pointer, rows, dimension);
        Queries = new(_queries.Pointer, queries, dimension);
    }

    public MatrixView<float> Data { get; }

    public MatrixView<float> Queries { get; }

    /// <summary>GFLOP of the products for so many queries.</summary>
    public double Work(int queries) => 2e-9 * queries * Data.Rows * Data.Columns;

    /// <summary>Seconds below which no search of these rows can be: arithmetic at the peak, or reading the rows once.</summary>
    public double Least(int queries, double peak, double bandwidth) =>
        Math.Max(Work(queries) / peak, 4e-9 * Data.Rows * Data.Columns / bandwidth);

    /// <summary>Our search for the first <paramref name="count"/> queries.</summary>
    public Contestant Ours(SimilarityMetric metric, int count, int k, WorkerPool pool) => new("ours", () =>
        Similarity.TopK(Queries.Slice(0, count), Data, k, metric, new(_ids.Pointer, count, k), new(_scores.Pointer, count, k), excludeSelf: false, pool));

    /// <summary>How many of the ids of our latest search the peer found too.</summary>
    public string SameIds(long[] peers, int k) => SameIds(_ids, peers, k);

    /// <summary>How many of our ids the peer found too; single precision may swap near-equal rows.</summary>
    public static string SameIds(AlignedBuffer<long> ours, long[] peers, int k)
    {
        int same = 0;
        for (int i = 0; i < peers.Length; i += k)
            same += ours.AsSpan(i, k).ToArray().Intersect(peers[i..(i + k)]).Count();
        return string.Create(CultureInfo.InvariantCulture, $"{100.0 * same / peers.Length:F2}%");
    }

    public void Dispose()
    {
        _data.Dispose();
        _queries.Dispose();
        _ids.Dispose();
        _scores.Dispose();
    }
}
