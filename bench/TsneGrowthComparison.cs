using System.Diagnostics;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// Whole t-SNE runs of ten thousand to a million made-up points: the time of each part, how it grows, and the memory. Each
/// size runs in a process of its own, so that its highest memory is its own.
/// </summary>
public static class TsneGrowthComparison
{
    private const int Dimension = 50;
    private const int Clusters = 100;

    // Between centres there are some 40 standard deviations of a cluster's one coordinate: clusters do not touch.
    private const float CentreDeviation = 4;

    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        int[] sizes = quick ? [2000, 5000] : [10_000, 30_000, 100_000, 300_000, 1_000_000];
        int threads = Math.Min(2, Environment.ProcessorCount), early = quick ? 50 : 250, steps = quick ? 100 : 750;
        output.WriteLine($"## t-SNE by the number of points: {Clusters} Gaussian clusters in {Dimension} dimensions, perplexity 30, {early} + {steps - early} steps, {threads} threads");
        output.WriteLine();
        output.WriteLine("Memory: the highest resident set of the whole process, with the points themselves. Growth: the exponent of N from the size before.");
        output.WriteLine();
        output.WriteLine("| points | neighbours s | recall | perplexity s | ms per early step | ms per late step | growth | whole run s | memory MB, affinities | memory MB | KL |");
        output.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|");
        List<double[]> rows = [];
        foreach (int size in sizes)
        {
            // recall, neighbours, perplexity, early ms, late ms, total s, peak MB so far and in all, divergence
            string answer = MachineCode.Dotnet(
                typeof(TsneGrowthComparison).Assembly.Location,
                ["growth", .. new[] { size, threads, early, steps }.Select(number => number.ToString(CultureInfo.InvariantCulture))],
                new Dictionary<string, string>());
            double[] row = [size, .. PeerProgram.LastLine(answer)];
            string growth = rows.Count == 0 ? "" : (Math.Log(row[5] / rows[^1][5]) / Math.Log(row[0] / rows[^1][0])).ToString("F2", CultureInfo.InvariantCulture);
            rows.Add(row);
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {size:N0} | {row[2]:F2} | {row[1]:F3} | {row[3]:F2} | {row[4]:F2} | {row[5]:F2} | {growth} | {row[6]:F1} | {row[7]:N0} | {row[8]:N0} | {row[9]:F3} |"));
            output.Flush();
        }

        if (output is TeeWriter { Folder: { } folder })
        {
            const string Name = "tsne-growth.svg";
            File.WriteAllText(Path.Combine(folder, Name), LogLogPlot.Draw(
                $"t-SNE by the number of points, {threads} threads, {MachineInfo.Cpu}", "points", "seconds",
                [
                    Series("whole run", row => row[6]), Series("neighbours", row => row[2]), Series("perplexity", row => row[3]),
                    Series("a late step", row => row[5] / 1e3), Series("an early step", row => row[4] / 1e3),
                ]));
            output.WriteLine();
            output.WriteLine($"![Seconds by the number of points]({Name})");
        }

        PlotSeries Series(string name, Func<double[], double> value) => new(name, [.. rows.Select(row => (row[0], value(row)))]);
    }

    /// <summary>What the process of one size does; its last line is what <see cref="Run"/> reads.</summary>
    internal static void RunOne(int points, int threads, int early, int steps)
    {
        using FloatMatrix data = Points(points);
        Warm(data, threads);
        Stopwatch clock = Stopwatch.StartNew();
        LastNeighbors progress = new(clock);
        TsneAffinities affinities = TsneAffinities.FromData(data, TsneProblem.Perplexity, threads: threads, progress: progress);
        double made = clock.Elapsed.TotalSeconds, neighbors = progress.Seconds, affinityMemory = PeakMemory();
        using FloatMatrix start = TsneInitialization.Pca(data, threads: threads);
        TsneEmbedding map = new(affinities, start, TsneMethod.Auto, threads);
        double begun = clock.Elapsed.TotalSeconds;
        map.Optimize(early, (float)TsneTask.Exaggeration, 0.5f);
        double middle = clock.Elapsed.TotalSeconds;
        map.Optimize(steps - early);
        double end = clock.Elapsed.TotalSeconds;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{affinities.Recall} {neighbors} {made - neighbors} {1e3 * (middle - begun) / early} {1e3 * (end - middle) / (steps - early)} {end} {affinityMemory} {PeakMemory()} {map.KlDivergence}"));
    }

    /// <summary>Compiles what will be measured.</summary>
    private static void Warm(FloatMatrix data, int threads)
    {
        using FloatMatrix few = TsneProblem.First(data, 1000);
        using FloatMatrix start = TsneInitialization.Pca(few, threads: threads);
        new TsneEmbedding(TsneAffinities.FromData(few, TsneProblem.Perplexity, threads: threads), start, TsneMethod.Auto, threads).Optimize(60);
    }

    /// <summary>Megabytes that the process had in memory at most.</summary>
    private static double PeakMemory()
    {
        using Process process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64 / 1e6;
    }

    private static FloatMatrix Points(int points)
    {
        SplitMix64 random = new(7);
        using FloatMatrix centres = new(Clusters, Dimension);
        for (int c = 0; c < Clusters; c++)
        {
            foreach (ref float coordinate in centres.Row(c))
                coordinate = CentreDeviation * (float)random.NextGaussian();
        }

        FloatMatrix data = new(points, Dimension);
        for (int i = 0; i < points; i++)
        {
            Span<float> row = data.Row(i), centre = centres.Row((int)random.NextBelow(Clusters));
            for (int axis = 0; axis < Dimension; axis++)
                row[axis] = centre[axis] + (float)random.NextGaussian();
        }

        return data;
    }

    /// <summary>When the search for neighbours last reported: at its end.</summary>
    private sealed class LastNeighbors(Stopwatch clock) : IProgress<TsneProgress>
    {
        public double Seconds { get; private set; }

        public void Report(TsneProgress value)
        {
            if (value.Stage == TsneStage.Neighbors)
                Seconds = clock.Elapsed.TotalSeconds;
        }
    }
}
