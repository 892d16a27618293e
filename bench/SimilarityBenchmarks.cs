using BenchmarkDotNet.Attributes;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// Similarity search alone, one thread, 20,000 rows of 128: one query, a small batch, a large one.
/// <see cref="SimilarityComparison"/> sets it beside other libraries.
/// </summary>
[ShortRunJob]
public unsafe class SimilarityBenchmarks : IDisposable
{
    private const int Rows = 20_000;
    private const int Dimension = 128;
    private const int K = 10;

    private AlignedBuffer<float>? _data;
    private AlignedBuffer<float>? _queries;
    private AlignedBuffer<float>? _scores;
    private AlignedBuffer<long>? _ids;

    [Params(1, 12, 256)]
    public int Queries { get; set; }

    [Params(SimilarityMetric.Dot, SimilarityMetric.Cosine, SimilarityMetric.Euclidean)]
    public SimilarityMetric Metric { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _data = new((nint)Rows * Dimension);
        _queries = new((nint)Queries * Dimension);
        _scores = new((nint)Queries * Rows);
        _ids = new((nint)Queries * K);
        Random random = new(1);
        foreach (ref float value in _data.AsSpan())
            value = random.NextSingle() - 0.5f;
        foreach (ref float value in _queries.AsSpan())
            value = random.NextSingle() - 0.5f;
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _data?.Dispose();
        _queries?.Dispose();
        _scores?.Dispose();
        _ids?.Dispose();
    }

    [Benchmark]
    public void TopK() => Similarity.TopK(QueryView, DataView, K, Metric, new(_ids!.Pointer, Queries, K), new(_scores!.Pointer, Queries, K));

    [Benchmark]
    public void Scores() => Similarity.Scores(QueryView, DataView, Metric, new(_scores!.Pointer, Queries, Rows));

    private MatrixView<float> QueryView => new(_queries!.Pointer, Queries, Dimension);

    private MatrixView<float> DataView => new(_data!.Pointer, Rows, Dimension);
}
