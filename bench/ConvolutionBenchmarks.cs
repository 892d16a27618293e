using BenchmarkDotNet.Attributes;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>Layers of VGG16 and ResNet-50 by themselves, one thread. <see cref="ConvComparison"/> sets them beside other libraries.</summary>
[ShortRunJob]
public class ConvolutionBenchmarks : IDisposable
{
    private ConvolutionProblem? _problem;
    private IConvolutionRun? _run;

    [Params("3x3 64>64 @224", "3x3 256>256 @56", "1x1 512>128 @28")]
    public string Layer { get; set; } = "";

    [Params(ConvolutionAlgorithm.Auto, ConvolutionAlgorithm.Direct)]
    public ConvolutionAlgorithm Algorithm { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _problem = new(ConvolutionLayer.All.Single(layer => layer.Name == Layer));
        _run = new OwnConvolution(Algorithm, WorkerPool.Serial).Prepare(_problem, 1);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _run?.Dispose();
        _problem?.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark]
    public void Run() => _run!.Run();
}
