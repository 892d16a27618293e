using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>Convolutions and fully connected layers, each by itself, against oneDNN and XNNPACK; and our algorithms among each other.</summary>
public static class ConvComparison
{
    private static readonly ConvolutionAlgorithm[] Winograds = [ConvolutionAlgorithm.Winograd2, ConvolutionAlgorithm.Winograd4, ConvolutionAlgorithm.Winograd6];

    /// <summary>Prints the comparison as Markdown; some minutes, some seconds if quick.</summary>
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        OneDnnConvolution[] oneDnn = OneDnnConvolution.TryLoad();
        XnnPack? xnnPack = XnnPack.TryLoad();
        output.WriteLine("### Convolution, single precision, batch 1");
        output.WriteLine();
        output.WriteLine($"Level {Isa.Level}. Each in the layout that it likes best: 16 channels to a block (ours), what it chooses (oneDNN), NHWC (XNNPACK).");
        if (oneDnn.Length == 0)
            output.WriteLine("oneDNN 2: not found; `apt-get install libdnnl2`");
        if (xnnPack is null)
            output.WriteLine(XnnPack.Missing);
        output.WriteLine("All in turn, round after round: medians of wall clock in GFLOP/s of the plain sum. In brackets how many times faster ours was, by wall clock and by CPU time (above 1: ours is faster). The peak of multiply-adds in registers is measured before and after each row.");
        foreach (int threads in Environment.ProcessorCount > 1 ? (int[])[1, 2] : [1])
        {
            using WorkerPool pool = new(threads);
            ConvolutionLayer[] layers = quick ? ConvolutionLayer.Quick : ConvolutionLayer.All;
            IConvolutionPeer?[] peers = [oneDnn.ElementAtOrDefault(0), xnnPack];
            Plain(output, layers, [.. peers.OfType<IConvolutionPeer>()], pool, quick);
            Algorithms(output, layers, oneDnn.ElementAtOrDefault(1), pool, quick);
            FullyConnected(output, [.. peers.OfType<IConvolutionPeer>()], pool, quick);
        }

        Errors(output, [.. quick ? ConvolutionLayer.Quick : ConvolutionLayer.All, .. ConvolutionLayer.FullyConnected(quick)], [.. oneDnn, .. xnnPack is null ? [] : new IConvolutionPeer[] { xnnPack }]);
        if (Environment.ProcessorCount > 1)
            BusyNeighbour(output, [.. new IConvolutionPeer?[] { oneDnn.ElementAtOrDefault(0), xnnPack }.OfType<IConvolutionPeer>()], quick);
    }

    /// <summary>The plain sum, which all compute: no algorithm with fewer products.</summary>
    private static void Plain(TextWriter output, ConvolutionLayer[] layers, IConvolutionPeer[] peers, WorkerPool pool, bool quick)
    {
        output.WriteLine();
        output.WriteLine($"#### The plain sum, {Threads(pool)}");
        output.WriteLine();
        output.WriteLine($"| layer | peak | ours | of the peak | ours per CPU s | {string.Concat(peers.Select(peer => $"{peer.Name} | "))}against the faster |");
        output.WriteLine($"|---|---|---|---|---|{string.Concat(peers.Select(_ => "---|"))}---|");
        foreach (ConvolutionLayer layer in layers)
        {
            using ConvolutionProblem problem = new(layer);
            OwnConvolution ours = new(layer.Groups > 1 ? ConvolutionAlgorithm.Auto : ConvolutionAlgorithm.Direct, pool);
            using Runs runs = new(problem, pool.Threads, [ours, .. peers]);
            double before = Limits.FmaPeak(pool, quick: true);
            Duel duel = runs.Duel(Plan(quick));
            double peak = Math.Max(before, Limits.FmaPeak(pool, quick: true));
            double[] ratios = [.. Enumerable.Range(1, peers.Length).Select(duel.Ratio).Where(ratio => !double.IsNaN(ratio))];
            string cells = string.Concat(peers.Select((_, i) => Rate(layer, duel, i + 1)));
            Line(output, $"| {layer.Name} | {peak:F0} | {layer.Work / duel.Wall():F1} | {100 * layer.Work / duel.Wall() / peak:F0}% | {layer.Work / duel.Cpu():F1} |{cells} {(ratios.Length > 0 ? ratios.Min() : double.NaN):F2} |");
        }
    }

    /// <summary>What is chosen by itself, and all that can be forced.</summary>
    private static void Algorithms(TextWriter output, ConvolutionLayer[] layers, OneDnnConvolution? winograd, WorkerPool pool, bool quick)
    {
        OwnConvolution[] forced = [.. new[] { ConvolutionAlgorithm.Direct }.Concat(Winograds).Select(algorithm => new OwnConvolution(algorithm, pool))];
        output.WriteLine();
        output.WriteLine($"#### Algorithms, {Threads(pool)}: GFLOP/s of the plain sum; in brackets how many times faster the chosen one was (oneDNN has Winograd's for AVX-512 only)");
        output.WriteLine();
        output.WriteLine($"| layer | chosen | ours | {string.Concat(forced.Select(one => $"{one.Name} | "))}{winograd?.Name ?? "oneDNN Winograd"} |");
        output.WriteLine($"|---|---|---|{string.Concat(forced.Select(_ => "---|"))}---|");
        foreach (ConvolutionLayer layer in layers.Where(layer => layer.IsWinograd))
        {
            using ConvolutionProblem problem = new(layer);
            using Runs runs = new(problem, pool.Threads, [new OwnConvolution(ConvolutionAlgorithm.Auto, pool), .. forced, winograd]);
            Duel duel = runs.Duel(Plan(quick));
            string cells = string.Concat(Enumerable.Range(1, forced.Length + 1).Select(i => Rate(layer, duel, i)));
            Line(output, $"| {layer.Name} | {runs.Detail(0)} | {layer.Work / duel.Wall():F0} |{cells}");
        }
    }

    /// <summary>Weights far beyond the caches: for one row, reading them is all that costs.</summary>
    private static void FullyConnected(TextWriter output, IConvolutionPeer[] peers, WorkerPool pool, bool quick)
    {
        double bandwidth = Limits.ReadBandwidth(pool, quick);
        output.WriteLine();
        Line(output, $"#### Fully connected, {Threads(pool)}: ms and GB/s of the weights; read bandwidth measured just before {bandwidth:F1} GB/s");
        output.WriteLine();
        output.WriteLine($"| layer | ours ms | GB/s | of the bandwidth | {string.Join(" | ", peers.Select(peer => peer.Name))} |");
        output.WriteLine($"|---|---|---|---|{string.Concat(peers.Select(_ => "---|"))}");
        foreach (ConvolutionLayer layer in ConvolutionLayer.FullyConnected(quick))
        {
            using ConvolutionProblem problem = new(layer);
            using Runs runs = new(problem, pool.Threads, [new OwnConvolution(ConvolutionAlgorithm.Auto, pool), .. peers]);
            Duel duel = runs.Duel(Plan(quick));
            double bytes = 4e-9 * layer.WeightLength;
            string cells = string.Concat(peers.Select((_, i) => Cell($"{duel.Wall(i + 1) * 1e3:F2} ({duel.Ratio(i + 1):F2}; {duel.CpuRatio(i + 1):F2})", duel.Wall(i + 1))));
            Line(output, $"| {layer.Name} | {duel.Wall() * 1e3:F2} | {bytes / duel.Wall():F1} | {100 * bytes / duel.Wall() / bandwidth:F0}% |{cells}");
        }
    }

    private static void Errors(TextWriter output, ConvolutionLayer[] layers, IConvolutionPeer[] peers)
    {
        IConvolutionPeer[] all =
        [
            new OwnConvolution(ConvolutionAlgorithm.Direct, WorkerPool.Serial),
            new OwnConvolution(ConvolutionAlgorithm.Depthwise, WorkerPool.Serial),
            .. Winograds.Select(algorithm => new OwnConvolution(algorithm, WorkerPool.Serial)),
            .. peers,
        ];
        output.WriteLine();
        output.WriteLine("#### Errors against double at 20,000 places or fewer: largest and root mean square, relative to the output's root mean square");
        output.WriteLine();
        output.WriteLine($"| layer | {string.Join(" | ", all.Select(peer => peer.Name))} |");
        output.WriteLine($"|---|{string.Concat(all.Select(_ => "---|"))}");
        foreach (ConvolutionLayer layer in layers)
        {
            using ConvolutionProblem problem = new(layer);
            using Runs runs = new(problem, 1, all);
            string cells = string.Concat(Enumerable.Range(0, all.Length).Select(i =>
                runs.Error(i) is { } error ? Cell($"{error.Largest:0.0E+0}, {error.Rms:0.0E+0}", error.Rms) : " |"));
            Line(output, $"| {layer.Name} |{cells}");
        }
    }

    /// <summary>Two threads where something else wants one core all the time.</summary>
    private static void BusyNeighbour(TextWriter output, IConvolutionPeer[] peers, bool quick)
    {
        using WorkerPool pool = new(2);
        IConvolutionPeer[] all = [new OwnConvolution(ConvolutionAlgorithm.Direct, pool), new OwnConvolution(ConvolutionAlgorithm.Auto, pool), .. peers];
        output.WriteLine();
        output.WriteLine("#### 2 threads while another program keeps core 0 busy: GFLOP/s, and the share of the speed without it");
        output.WriteLine();
        output.WriteLine($"| layer | ours, direct | ours, chosen | {string.Join(" | ", peers.Select(peer => peer.Name))} |");
        output.WriteLine($"|---|---|---|{string.Concat(peers.Select(_ => "---|"))}");
        foreach (ConvolutionLayer layer in quick ? ConvolutionLayer.Quick[1..2] : ConvolutionLayer.All[3..5])
        {
            using ConvolutionProblem problem = new(layer);
            using Runs runs = new(problem, 2, all);
            Duel quiet = runs.Duel(Plan(quick)), busy;
            using (new BusyCore(0))
                busy = runs.Duel(Plan(quick));
            string cells = string.Concat(all.Select((_, i) => Cell($"{layer.Work / busy.Wall(i):F0} ({100 * quiet.Wall(i) / busy.Wall(i):F0}%)", busy.Wall(i))));
            Line(output, $"| {layer.Name} |{cells}");
        }
    }

    private static DuelPlan Plan(bool quick) => quick
        ? new(Budget: 0.5, Rounds: 3, Turn: 0.01, Fewest: 2)
        : new(Budget: 6, Rounds: 15, Turn: 0.05, Fewest: 5);

    private static string Threads(WorkerPool pool) => $"{pool.Threads} thread{(pool.Threads > 1 ? "s" : "")}";

    private static string Rate(ConvolutionLayer layer, Duel duel, int contestant) =>
        Cell($"{layer.Work / duel.Wall(contestant):F1} ({duel.Ratio(contestant):F2}; {duel.CpuRatio(contestant):F2})", duel.Wall(contestant));

    private static string Cell(FormattableString text, double value) => double.IsNaN(value) ? " |" : $" {text.ToString(CultureInfo.InvariantCulture)} |";

    private static void Line(TextWriter output, FormattableString line)
    {
        output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
        output.Flush();
    }

    /// <summary>One layer made ready by several; those who do not have it keep an empty place.</summary>
    private sealed class Runs : IDisposable
    {
        private readonly ConvolutionProblem _problem;
        private readonly IConvolutionPeer?[] _peers;
        private readonly IConvolutionRun?[] _runs;

        public Runs(ConvolutionProblem problem, int threads, IConvolutionPeer?[] peers)
        {
            _problem = problem;
            _peers = peers;
            _runs = [.. peers.Select(peer => peer?.Prepare(problem, threads))];
        }

        public string Detail(int peer) => _runs[peer]?.Detail ?? "";

        public (double Largest, double Rms)? Error(int peer) => _runs[peer] is { } run ? _problem.Error(run) : null;

        public Duel Duel(DuelPlan plan) =>
            new(plan, [.. _runs.Select((run, i) => run is null ? null : new Contestant(_peers[i]!.Name, run.Run))]);

        public void Dispose()
        {
            foreach (IConvolutionRun? run in _runs)
                run?.Dispose();
        }
    }
}
