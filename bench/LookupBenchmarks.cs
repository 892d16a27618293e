using BenchmarkDotNet.Attributes;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// The look-up kernels alone: 256 bags of 32 rows, and as many rows copied, from a table inside L2 (1,000 rows) and from one
/// far beyond the caches. <see cref="LookupComparison"/> sets them beside a C loop.
/// </summary>
[ShortRunJob]
public class LookupBenchmarks
{
    private const int Bags = 256;
    private const int BagSize = 32;

    private readonly int[] _indices = new int[Bags * BagSize];
    private readonly int[] _offsets = [.. Enumerable.Range(0, Bags).Select(b => b * BagSize)];
    private AlignedBuffer<float>[] _buffers = [];

    [Params(1_000, 2_000_000)]
    public int Rows { get; set; }

    [Params(64, 100)]
    public int Columns { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _buffers = [.. ((int[])[Rows, Bags, _indices.Length]).Select(rows => new AlignedBuffer<float>((nint)rows * Columns))];
        AlignedBuffer<float> table = _buffers[0];
        for (nint i = 0; i < table.Length; i++)
            table[i] = i & 1023;
        LookupIndices.Uniform(_indices, Rows, new Random(1));
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        foreach (AlignedBuffer<float> buffer in _buffers)
            buffer.Dispose();
    }

    private MatrixView<float> Table => View(_buffers[0]);

    [Benchmark]
    public void Gather() => EmbeddingLookup.Gather(Table, _indices, View(_buffers[2]));

    [Benchmark]
    public void Sum() => EmbeddingLookup.Bag(Table, _indices, _offsets, BagMode.Sum, View(_buffers[1]));

    [Benchmark]
    public void Max() => EmbeddingLookup.Bag(Table, _indices, _offsets, BagMode.Max, View(_buffers[1]));

    private unsafe MatrixView<float> View(AlignedBuffer<float> buffer) => new(buffer.Pointer, buffer.Length / Columns, Columns);
}
