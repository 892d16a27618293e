using BenchmarkDotNet.Attributes;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// The look-up kernels alone: 256 bags of 32 rows, and as many rows copied, from a table inside L2 (1,000 rows) and from one
/// far beyond the caches. <see cref="LookupComparison"/> sets them beside a C loop.
/// </summary>
[ShortRunJob]
public sealed class LookupBenchmarks : IDisposable
{
    private const int Bags = 256;
    private const int BagSize = 32;

    private readonly int[] _indices = new int[Bags * BagSize];
    private readonly int[] _offsets = [.. Enumerable.Range(0, Bags).Select(b => b * BagSize)];
    private AlignedBuffer<float>? _table;
    private AlignedBuffer<float>? _bags;
    private AlignedBuffer<float>? _rows;

    [Params(1_000, 2_000_000)]
    public int Rows { get; set; }

    [Params(64, 100)]
    public int Columns { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _table = new((nint)Rows * Columns);
        _bags = new((nint)Bags * Columns);
        _rows = new((nint)_indices.Length * Columns);
        for (nint i = 0; i < _table.Length; i++)
            _table[i] = i & 1023;
        LookupIndices.Uniform(_indices, Rows, new Random(1));
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _table?.Dispose();
        _bags?.Dispose();
        _rows?.Dispose();
    }

    [Benchmark]
    public void Gather() => EmbeddingLookup.Gather(View(_table), _indices, View(_rows));

    [Benchmark]
    public void Sum() => EmbeddingLookup.Bag(View(_table), _indices, _offsets, BagMode.Sum, View(_bags));

    [Benchmark]
    public void Max() => EmbeddingLookup.Bag(View(_table), _indices, _offsets, BagMode.Max, View(_bags));

    private unsafe MatrixView<float> View(AlignedBuffer<float>? buffer) => new(buffer!.Pointer, buffer.Length / Columns, Columns);
}
