using BenchmarkDotNet.Attributes;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>The parts of one t-SNE step on a map 160 wide, as MNIST's are in the end, 1 and 2 threads.</summary>
[ShortRunJob]
public class TsneBenchmarks
{
    private const int Neighbors = 90;

    // Map and force. Benchmark classes are derived from and may not be disposable, so what they own stands in arrays.
    private AlignedBuffer<float>[] _buffers = [];
    private ITsneRepulsion[] _repulsions = [];
    private WorkerPool[] _pools = [];
    private CsrMatrix _affinities = null!;

    [Params(10_000, 70_000)]
    public int Points { get; set; }

    [Params(1, 2)]
    public int Threads { get; set; }

    private unsafe MatrixView<float> Map => new(_buffers[0].Pointer, 2, Points);

    private unsafe MatrixView<float> Force => new(_buffers[1].Pointer, 2, Points);

    [GlobalSetup]
    public unsafe void Setup()
    {
        _pools = [new WorkerPool(Threads)];
        _buffers = [new(2 * (nint)Points), new(2 * (nint)Points)];
        _repulsions = [new ExactRepulsion(Points, 2), new FftRepulsion(Points, 2), new BarnesHutRepulsion(Points, 2)];
        Random random = new(1);
        foreach (ref float coordinate in _buffers[0].AsSpan())
            coordinate = (float)(160 * (random.NextDouble() - 0.5));

        // Neighbours near in memory and far, as those of shuffled data are.
        using AlignedBuffer<long> ids = new((nint)Points * Neighbors);
        using AlignedBuffer<float> weights = new((nint)Points * Neighbors);
        for (int i = 0; i < Points; i++)
        {
            for (int j = 0; j < Neighbors; j++)
            {
                ids[((nint)i * Neighbors) + j] = (i + 1 + random.Next(Points - 1)) % Points;
                weights[((nint)i * Neighbors) + j] = 1f / Neighbors;
            }
        }

        _affinities = JointAffinities.Symmetrize(new MatrixView<long>(ids.Pointer, Points, Neighbors), new(weights.Pointer, Points, Neighbors), _pools[0]);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        IDisposable[] owned = [.. _pools, .. _repulsions, .. _buffers];
        foreach (IDisposable one in owned)
            one.Dispose();
    }

    [Benchmark]
    public double ExactRepulsion() => _repulsions[0].Compute(Map, Force, _pools[0]);

    [Benchmark]
    public double FftRepulsion() => _repulsions[1].Compute(Map, Force, _pools[0]);

    [Benchmark]
    public double BarnesHutRepulsion() => _repulsions[2].Compute(Map, Force, _pools[0]);

    [Benchmark]
    public void Attraction() => TsneGradient.Attraction(_affinities, Map, Force, 1, _pools[0]);

    [Benchmark]
    public double KullbackLeibler() => TsneGradient.KullbackLeibler(_affinities, Map, 1e5, 0, 1, _pools[0]);
}
