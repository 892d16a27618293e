using BenchmarkDotNet.Attributes;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>The matrix product alone, one thread. <see cref="GemmComparison"/> sets it beside other libraries.</summary>
[ShortRunJob]
public unsafe class GemmBenchmarks : IDisposable
{
    private AlignedBuffer<float>? _a;
    private AlignedBuffer<float>? _b;
    private AlignedBuffer<float>? _c;

    [Params(64, 256, 1024)]
    public int Size { get; set; }

    [Params(false, true)]
    public bool TransposeB { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        nint length = (nint)Size * Size;
        _a = new(length);
        _b = new(length);
        _c = new(length);
        _a.AsSpan().Fill(0.5f);
        _b.AsSpan().Fill(0.25f);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _a?.Dispose();
        _b?.Dispose();
        _c?.Dispose();
    }

    [Benchmark]
    public void Multiply() => Gemm.Multiply(1f, View(_a), false, View(_b), TransposeB, 0f, View(_c));

    private MatrixView<float> View(AlignedBuffer<float>? buffer) => new(buffer!.Pointer, Size, Size);
}
