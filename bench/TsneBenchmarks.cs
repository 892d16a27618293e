using BenchmarkDotNet.Attributes;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>The parts of one t-SNE step on a map of 10,000 points spread as MNIST's is, 1 and 2 threads.</summary>
[ShortRunJob]
public class TsneBenchmarks
{
    private const int Points = 10_000;
    private const int Neighbors = 90;

    private readonly AlignedBuffer<float> _map = new(2 * Points);
    private readonly AlignedBuffer<float> _force = new(2 * Points);
    private readonly ExactRepulsion _repulsion = new(Points, 2);
    private CsrMatrix _affinities = null!;
    private WorkerPool _pool = null!;

    [Params(1, 2)]
    public int Threads { get; set; }

    private unsafe MatrixView<float> Map => new(_map.Pointer, 2, Points);

    private unsafe MatrixView<float> Force => new(_force.Pointer, 2, Points);

    [GlobalSetup]
    public unsafe void Setup()
    {
        _pool = new WorkerPool(Threads);
        Random random = new(1);
        foreach (ref float coordinate in _map.AsSpan())
            coordinate = (float)(160 * (random.NextDouble() - 0.5));

        // Neighbours near in memory and far, as those of shuffled data are.
        using AlignedBuffer<long> ids = new(Points * Neighbors);
        using AlignedBuffer<float> weights = new(Points * Neighbors);
        for (int i = 0; i < Points; i++)
        {
            for (int j = 0; j < Neighbors; j++)
            {
                ids[(i * Neighbors) + j] = (i + 1 + random.Next(Points - 1)) % Points;
                weights[(i * Neighbors) + j] = 1f / Neighbors;
            }
        }

        _affinities = JointAffinities.Symmetrize(new MatrixView<long>(ids.Pointer, Points, Neighbors), new(weights.Pointer, Points, Neighbors), _pool);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _pool.Dispose();
        _repulsion.Dispose();
        _map.Dispose();
        _force.Dispose();
    }

    [Benchmark]
    public double ExactRepulsion() => _repulsion.Compute(Map, Force, _pool);

    [Benchmark]
    public void Attraction() => TsneGradient.Attraction(_affinities, Map, Force, _pool);

    [Benchmark]
    public double KullbackLeibler() => TsneGradient.KullbackLeibler(_affinities, Map, 1e5, 0, _pool);
}
