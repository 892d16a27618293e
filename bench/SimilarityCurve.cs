using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>The time of a search by the number of its queries, from 1 to 10,000: where it falls off what the machine allows.</summary>
internal static class SimilarityCurve
{
    private const int K = 10;
    private const double LongestPeer = 8; // seconds of one call that are worth waiting for

    private static readonly int[] Counts = [1, 2, 3, 4, 8, 12, 16, 17, 24, 32, 48, 64, 100, 128, 256, 512, 1000, 2000, 10_000];

    public static void Run(TextWriter output, SearchProblem problem, List<ISearchPeer> peers, bool quick)
    {
        int[] threadCounts = Environment.ProcessorCount > 1 ? [1, 2] : [1];
        double[] peaks = new double[threadCounts.Length], bandwidths = new double[threadCounts.Length];
        for (int i = 0; i < threadCounts.Length; i++)
        {
            using WorkerPool pool = new(threadCounts[i]);
            peaks[i] = Limits.FmaPeak(pool, quick);
            bandwidths[i] = Limits.ReadBandwidth(pool, quick);
        }

        output.WriteLine();
        Line(output, $"#### By the number of queries: {problem.Data.Rows:N0} x {problem.Data.Columns}, dot product, k = {K}, ms for all queries");
        output.WriteLine();
        Line(output, $"The limit is the longer of arithmetic at the peak and reading the rows once at the bandwidth. A dash: it would have taken over {LongestPeer} s. One thread where nothing else is said.");
        output.WriteLine();
        for (int i = 0; i < threadCounts.Length; i++)
            Line(output, $"- {threadCounts[i]} thread{(i > 0 ? "s" : "")}: peak {peaks[i]:F1} GFLOP/s, bandwidth {bandwidths[i]:F1} GB/s");
        output.WriteLine();
        output.WriteLine($"| queries | ours | of the limit |{string.Concat(peers.Select(peer => $" {peer.Name} | ratio |"))}{(threadCounts.Length > 1 ? " ours, 2 threads | of the limit |" : "")}");
        output.WriteLine($"|---|---|---|{string.Concat(peers.Select(_ => "---|---|"))}{(threadCounts.Length > 1 ? "---|---|" : "")}");

        double[] secondsPerQuery = new double[peers.Count];
        int previous = 0;
        foreach (int count in Counts.Where(count => count <= problem.Queries.Rows && (!quick || count is 1 or 4 or 16 or 64 or 100)))
        {
            // FAISS turns to a matrix product at a certain size of the batch (128,000 elements, in newer versions): there it may
            // be fast again after it was slow.
            bool turns = count * problem.Data.Columns >= 128_000 && previous * problem.Data.Columns < 128_000;
            bool[] worth = [.. secondsPerQuery.Select(seconds => count <= 2000 && (turns || count * seconds < LongestPeer))];
            DuelPlan plan = quick ? new(Budget: 0.3, Rounds: 3, Fewest: 1) : new(Budget: 2.5, Rounds: 7, Fewest: count < 32 ? 3 : 1, Warm: count < 32);
            peers.ForEach(peer => peer.SetThreads(1));
            Duel duel = new(
                plan,
                [problem.Ours(SimilarityMetric.Dot, count, K, WorkerPool.Serial), .. peers.Select((peer, i) => worth[i] ? peer.Contestant(SimilarityMetric.Dot, count, K) : null)]);
            string row = string.Create(CultureInfo.InvariantCulture, $"| {count:N0} | {duel.Wall() * 1e3:F1} | {100 * problem.Least(count, peaks[0], bandwidths[0]) / duel.Wall():F0}% |");
            for (int i = 0; i < peers.Count; i++)
            {
                row += worth[i] ? string.Create(CultureInfo.InvariantCulture, $" {duel.Wall(i + 1) * 1e3:F1} | {duel.Ratio(i + 1):F2} |") : " - | |";
                if (worth[i])
                    secondsPerQuery[i] = duel.Wall(i + 1) / count;
            }

            if (threadCounts.Length > 1)
            {
                using WorkerPool pool = new(2);
                double two = new Duel(plan, problem.Ours(SimilarityMetric.Dot, count, K, pool)).Wall();
                row += string.Create(CultureInfo.InvariantCulture, $" {two * 1e3:F1} | {100 * problem.Least(count, peaks[1], bandwidths[1]) / two:F0}% |");
            }

            output.WriteLine(row);
            output.Flush();
            previous = count;
        }
    }

    private static void Line(TextWriter output, FormattableString line) => output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}
