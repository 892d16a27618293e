using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// The top-k search against the peers of this machine, in turn: large batches, batches of every size, single queries and
/// low precision, and the memory that it takes.
/// </summary>
public static class SimilarityComparison
{
    private static readonly int[] ThreadCounts = Environment.ProcessorCount > 1 ? [1, 2] : [1];

    /// <summary>Prints the comparison as Markdown; some nine minutes, some seconds if quick.</summary>
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        List<ISearchPeer> peers = [];
        List<string> missing = [];
        try
        {
            Add(Faiss.TryLoad(), Faiss.Missing);
            PythonFaiss? python = PythonFaiss.TryStart(out string how);
            Add(python, how);
            if (peers.Count == 0)
                Add(OpenBlas.TryLoad() is { } blas ? new OpenBlasSearch(blas) : null, OpenBlas.Missing);
            USearch? usearch = USearch.TryLoad();
            NumKong? numKong = NumKong.TryLoad();
            if (usearch is null)
                missing.Add(USearch.Missing);
            if (numKong is null)
                missing.Add(NumKong.Missing);

            output.WriteLine("### Similarity search, exact");
            output.WriteLine();
            output.WriteLine($"Level {Isa.Level}. All in turn, round after round: medians of wall clock; ratios are how many times faster ours was in the same round (above 1: ours is faster). The limits are the peak of multiply-adds in registers and the bandwidth of reading memory, measured beside what is set against them.");
            if (missing.Count > 0)
                output.WriteLine();
            foreach (string line in missing)
                output.WriteLine($"- {line}");

            using (SearchProblem problem = quick ? new(20_000, 128, 200) : new(1_000_000, 128, 10_000))
            {
                foreach (ISearchPeer peer in peers)
                    peer.Load(problem.Data, problem.Queries.Slice(0, Math.Min(2000, problem.Queries.Rows)));

                // First, because what a search takes from the system it keeps for the next.
                Memory(output, problem, peers, quick);
                Batches(output, problem, peers, quick);
                SimilarityCurve.Run(output, problem, peers, quick);
                LowPrecisionSearch.Run(output, problem, peers, usearch, numKong, quick);
            }

            using (SearchProblem problem = quick ? new(4_000, 768, 100) : new(100_000, 768, 1000))
            {
                foreach (ISearchPeer peer in peers)
                    peer.Load(problem.Data, problem.Queries);
                Batches(output, problem, peers, quick);
            }
        }
        finally
        {
            foreach (ISearchPeer peer in peers)
                peer.Dispose();
        }

        void Add(ISearchPeer? peer, string how)
        {
            if (peer is not null)
                peers.Add(peer);
            else
                missing.Add(how);
        }
    }

    private static void Batches(TextWriter output, SearchProblem problem, List<ISearchPeer> peers, bool quick)
    {
        int queries = quick ? 100 : 1000;
        foreach (int threads in ThreadCounts)
        {
            using WorkerPool pool = new(threads);
            output.WriteLine();
            Line(output, $"#### {queries:N0} queries on {problem.Data.Rows:N0} x {problem.Data.Columns}, {threads} thread{(threads > 1 ? "s" : "")}: queries/s; peak in GFLOP/s, before and after each row");
            output.WriteLine();
            output.WriteLine($"| metric, k | peak | ours | of the peak | GFLOP per CPU s |{string.Concat(peers.Select(peer => $" {peer.Name} | ratio | by CPU time | same ids |"))}");
            output.WriteLine($"|---|---|---|---|---|{string.Concat(peers.Select(_ => "---|---|---|---|"))}");
            foreach (int k in (int[])[10, 100])
            {
                foreach (SimilarityMetric metric in (SimilarityMetric[])[SimilarityMetric.Dot, SimilarityMetric.SquaredEuclidean])
                {
                    peers.ForEach(peer => peer.SetThreads(threads));
                    double before = Limits.FmaPeak(pool, quick: true);
                    Duel duel = new(
                        quick ? new(Budget: 0.5, Rounds: 2, Fewest: 1) : new(Budget: 15, Rounds: 5, Fewest: 2, Warm: false),
                        [problem.Ours(metric, queries, k, pool), .. peers.Select(peer => peer.Contestant(metric, queries, k))]);
                    string cells = "";
                    for (int i = 0; i < peers.Count; i++)
                        cells += string.Create(CultureInfo.InvariantCulture, $" {queries / duel.Wall(i + 1):F0} | {duel.Ratio(i + 1):F2} | {duel.CpuRatio(i + 1):F2} | {problem.SameIds(peers[i].Ids, k)} |");
                    double work = problem.Work(queries), peak = Math.Max(before, Limits.FmaPeak(pool, quick: true));
                    Line(output, $"| {metric}, {k} | {peak:F0} | {queries / duel.Wall():F0} | {100 * work / duel.Wall() / peak:F0}% | {work / duel.Cpu():F1} |{cells}");
                }
            }
        }
    }

    private static void Memory(TextWriter output, SearchProblem problem, List<ISearchPeer> peers, bool quick)
    {
        if (!OperatingSystem.IsLinux())
            return;

        output.WriteLine();
        Line(output, $"#### Memory beyond rows, queries and results: {problem.Data.Rows:N0} x {problem.Data.Columns}, one search after the other, the largest so far");
        output.WriteLine();
        output.WriteLine("| search | threads | MiB |");
        output.WriteLine("|---|---|---|");
        int queries = quick ? 100 : 1000;
        long before = Status("VmRSS");
        foreach ((int threads, int k) in ((int, int)[])[(1, 10), (ThreadCounts[^1], 10), (ThreadCounts[^1], 100)])
        {
            using WorkerPool pool = new(threads);
            File.WriteAllText("/proc/self/clear_refs", "5"); // forgets the largest size so far
            problem.Ours(SimilarityMetric.SquaredEuclidean, queries, k, pool).Run(1);
            Line(output, $"| ours, {queries:N0} queries, k = {k} | {threads} | {(Status("VmHWM") - before) / 1024.0:F1} |");
        }

        // Another process cannot be measured from here.
        foreach (Faiss peer in peers.OfType<Faiss>())
        {
            peer.SetThreads(ThreadCounts[^1]);
            Contestant search = peer.Contestant(SimilarityMetric.SquaredEuclidean, queries, 100);
            before = Status("VmRSS");
            File.WriteAllText("/proc/self/clear_refs", "5");
            search.Run(1);
            Line(output, $"| {peer.Name}, {queries:N0} queries, k = 100 | {ThreadCounts[^1]} | {(Status("VmHWM") - before) / 1024.0:F1} |");
        }
    }

    /// <summary>A line of /proc/self/status in KiB.</summary>
    private static long Status(string name) => long.Parse(
        File.ReadLines("/proc/self/status").First(line => line.StartsWith(name + ":", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2],
        CultureInfo.InvariantCulture);

    private static void Line(TextWriter output, FormattableString line)
    {
        output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
        output.Flush();
    }
}
