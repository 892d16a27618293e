using System.Diagnostics;

namespace EmbeddingKernels.Bench;

/// <summary>This library's t-SNE by one method.</summary>
internal sealed class OwnTsne(TsneMethod method) : ITsnePeer
{
    private const int WarmPoints = 500;

    /// <summary>The methods of this build, the fastest for many points first.</summary>
    public static OwnTsne[] All { get; } = [.. Enum.GetValues<TsneMethod>().Where(method => method != TsneMethod.Auto).OrderDescending().Select(method => new OwnTsne(method))];

    public TsneMethod Method => method;

    public string Name => $"ours, {method switch { TsneMethod.Exact => "exact", TsneMethod.BarnesHut => "Barnes-Hut", TsneMethod.Fft => "FFT", _ => $"{method}" }}";

    /// <summary>Compiles what will be measured.</summary>
    public static void Warm(TsneProblem problem)
    {
        using FloatMatrix data = TsneProblem.First(problem.Data, WarmPoints), start = TsneProblem.First(problem.Start, WarmPoints);
        TsneAffinities affinities = TsneAffinities.FromData(data, TsneProblem.Perplexity);
        foreach (OwnTsne one in All)
        {
            TsneEmbedding map = new(affinities, start, one.Method);
            map.Optimize(60, 12f, 0.5f, progress: new Progress());
        }
    }

    public TsneRun Run(TsneProblem problem, TsneTask task)
    {
        double cpu = CpuTime.OfThisProcess;
        Stopwatch clock = Stopwatch.StartNew();
        TsneAffinities affinities = task.Given ? problem.Affinities : TsneAffinities.FromData(problem.Data, TsneProblem.Perplexity, threads: task.Threads);
        double made = clock.Elapsed.TotalSeconds, cpuMade = CpuTime.OfThisProcess;
        TsneEmbedding map = new(affinities, problem.Start, method, task.Threads);

        // The others compute the divergence every 50 steps, and so does this.
        Progress progress = new();
        map.Optimize(task.Early, (float)TsneTask.Exaggeration, 0.5f, progress: progress);
        double early = clock.Elapsed.TotalSeconds;
        map.Optimize(task.Steps - task.Early, progress: progress);
        double all = clock.Elapsed.TotalSeconds, cpuAll = CpuTime.OfThisProcess;
        return new(
            task.Given ? 0 : made, 1e3 * (early - made) / task.Early, 1e3 * (all - early) / (task.Steps - task.Early),
            new(all - made, cpuAll - cpuMade), new(all, cpuAll - cpu), map.ToMatrix());
    }

    private sealed class Progress : IProgress<TsneProgress>
    {
        public void Report(TsneProgress value)
        {
        }
    }
}
