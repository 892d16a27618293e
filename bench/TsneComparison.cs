using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// t-SNE of MNIST: steps on affinities that all are given, whole runs, and the error of the gradient. Peers are FIt-SNE
/// (program, FIT_SNE), oneDAL (driver program, ONEDAL_TSNE), openTSNE and scikit-learn (Python modules).
/// </summary>
public static class TsneComparison
{
    private const int EarlySteps = 250;
    private const int AllSteps = 750;

    /// <summary>Measures and writes Markdown tables.</summary>
    /// <param name="output">Where to write.</param>
    /// <param name="quick">2,000 points and 350 steps, once, instead of 70,000 and 10,000 and 750.</param>
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        List<string> missing = [];
        ITsnePeer? fitSne = Found(FitSne.TryFind(out string why), "FIt-SNE", why), oneDal = Found(OneDalTsne.TryFind(out why), "oneDAL", why);
        ITsnePeer? openTsne = Found(PythonTsne.TryFindOpenTsne(out why), "openTSNE", why);
        ITsnePeer? scikitLearn = Found(PythonTsne.TryFindScikitLearn(out why), "scikit-learn", why);

        output.WriteLine("## t-SNE: MNIST, 50 principal components, perplexity 30, exaggeration 12, start by PCA");
        output.WriteLine();
        output.WriteLine("All are given the same points and start, take turns, and run at their own learning rate and momentum. KL: exact, in double, over all");
        output.WriteLine("pairs, on one set of affinities. Kept: the share of the 10 nearest neighbours that are among the 10 nearest in the map. Ratios: medians of");
        output.WriteLine("how much longer a run took than the first row's in the same round. The steps include the divergence every 50 steps.");
        foreach (string one in missing)
            output.WriteLine($"{one}.");
        output.WriteLine();

        using TsneProblem? small = TsneProblem.Mnist10K(quick ? 2000 : 10_000, out why);
        if (small is null)
        {
            output.WriteLine($"Left out: {why}. EMBEDDING_KERNELS_DATA names the folder with the reference data.");
            return;
        }

        OwnTsne.Warm(small);
        using TsneProblem? large = quick ? null : TsneProblem.Mnist70K(out why);
        int[] threadCounts = Environment.ProcessorCount > 1 ? [2, 1] : [1];
        int most = threadCounts[0], early = quick ? 250 : EarlySteps, steps = quick ? 350 : AllSteps;
        ITsnePeer[] fast = [.. OwnTsne.All.Where(one => one.Method != TsneMethod.Exact).DefaultIfEmpty(OwnTsne.All[0])];
        if (!quick && large is null)
            output.WriteLine($"70,000 points left out: {why}.");
        if (large is not null || quick)
        {
            TsneProblem problem = large ?? small;
            foreach (int threads in threadCounts)
                Table(output, "steps on the same affinities", problem, new(Given: true, threads, early, steps), quick, [.. fast, fitSne, oneDal]);
            Table(output, "whole runs: neighbours, perplexity, steps", problem, new(Given: false, most, early, steps), quick, [fast[0], fitSne, openTsne]);
        }

        if (!quick || scikitLearn is not null)
            Table(output, "whole runs", small, new(Given: false, most, early, steps), quick, [.. OwnTsne.All, scikitLearn]);
        TsneGradientError.Run(output, large ?? small, early, steps);

        T? Found<T>(T? peer, string name, string reason)
            where T : class
        {
            if (peer is null)
                missing.Add($"{name} is missing: {reason}");
            return peer;
        }
    }

    private static void Table(TextWriter output, string what, TsneProblem problem, TsneTask task, bool quick, ITsnePeer?[] contestants)
    {
        ITsnePeer[] peers = [.. contestants.OfType<ITsnePeer>()];
        List<TsneRun>[] runs = [.. peers.Select(_ => new List<TsneRun>())];
        Dictionary<string, string> failures = [];
        Duel duel = new(new(Budget: 1e9, Rounds: quick ? 1 : 2, Turn: 0, Warm: false), [.. peers.Select((peer, i) => new Contestant(peer.Name, _ => Enter(peer, runs[i])))]);

        output.WriteLine($"### {problem.Points.ToString("N0", CultureInfo.InvariantCulture)} points, {task.Early} + {task.Steps - task.Early} steps, {task.Threads} thread{(task.Threads > 1 ? "s" : "")}: {what}");
        output.WriteLine();
        output.WriteLine(task.Given
            ? "| | ms per early step | ms per late step | all steps s | ratio | CPU s | ratio | KL | kept |"
            : "| | affinities s | ms per early step | ms per late step | total s | ratio | CPU s | ratio | KL | kept |");
        output.WriteLine(task.Given ? "|---|---|---|---|---|---|---|---|---|" : "|---|---|---|---|---|---|---|---|---|---|");
        using WorkerPool pool = new(Environment.ProcessorCount);
        for (int i = 0; i < peers.Length; i++)
        {
            if (runs[i].Count == 0)
                continue;
            TsneRun last = runs[i][^1];
            string affinities = task.Given ? "" : $" {Number(runs[i].Average(run => run.Affinities), 2)} |";
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {peers[i].Name} |{affinities} {Number(runs[i].Average(run => run.Early), 2)} | {Number(runs[i].Average(run => run.Late), 2)} | {duel.Wall(i):F2} | {duel.Ratio(i):F2} | {duel.Cpu(i):F1} | {duel.CpuRatio(i):F2} | {TsneJudge.Divergence(problem, last.Map, pool):F4} | {TsneJudge.Preservation(problem, last.Map, pool):F4} |"));
        }

        foreach ((string name, string message) in failures)
            output.WriteLine($"{name} failed: {message}");
        output.WriteLine();
        output.Flush();

        Seconds Enter(ITsnePeer peer, List<TsneRun> taken)
        {
            if (failures.ContainsKey(peer.Name))
                return new(double.NaN, double.NaN);
            try
            {
                TsneRun run = peer.Run(problem, task);
                if (taken.Count > 0)
                    taken[^1].Map.Dispose();
                taken.Add(run);
                return task.Given ? run.Steps : run.Total;
            }
            catch (InvalidOperationException exception)
            {
                failures.Add(peer.Name, exception.Message);
                return new(double.NaN, double.NaN);
            }
        }
    }

    private static string Number(double value, int digits) => double.IsNaN(value) ? "" : value.ToString($"F{digits}", CultureInfo.InvariantCulture);
}
