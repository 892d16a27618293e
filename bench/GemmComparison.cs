using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>The matrix product in single precision against every peer of this machine, shape by shape, in turn.</summary>
public static unsafe class GemmComparison
{
    // Squares, thin and wide matrices, the products that convolutions of VGG16 and ResNet-50 at 224 x 224 become when their
    // patches are laid out as rows (m = places, n = filters, k = patch), primes, and the two transposes that searches and
    // covariances need.
    private static readonly Shape[] Shapes =
    [
        new("square", 64, 64, 64),
        new("square", 128, 128, 128),
        new("square", 256, 256, 256),
        new("square", 512, 512, 512),
        new("square", 1024, 1024, 1024),
        new("square", 2048, 2048, 2048),
        new("square", 4096, 4096, 4096),
        new("tall and thin", 65536, 32, 128),
        new("wide", 32, 65536, 128),
        new("k = 16", 2048, 2048, 16),
        new("k = 4096", 256, 256, 4096),
        new("VGG16 3x3 64>64 @224", 50176, 64, 576),
        new("VGG16 3x3 256>256 @56", 3136, 256, 2304),
        new("VGG16 3x3 512>512 @14", 196, 512, 4608),
        new("ResNet-50 1x1 64>256 @56", 3136, 256, 64),
        new("ResNet-50 3x3 128>128 @28", 784, 128, 1152),
        new("ResNet-50 1x1 512>2048 @7", 49, 2048, 512),
        new("primes", 1009, 1013, 1019),
        new("A B^T, a search", 1000, 10000, 128, TransposeB: true),
        new("A^T B, a covariance", 512, 512, 10000, TransposeA: true),
    ];

    private static readonly Shape[] QuickShapes = [Shapes[0], Shapes[3], Shapes[8], Shapes[16], new("A B^T, a search", 100, 1000, 128, TransposeB: true), new("A^T B, a covariance", 64, 64, 1000, TransposeA: true)];

    // Peers without blocking take seconds for more.
    private static readonly Shape[] SmallShapes = [Shapes[1], Shapes[2], Shapes[3], new("A B^T", 1000, 1000, 128, TransposeB: true)];

    /// <summary>Prints the comparison as Markdown; some five minutes, some seconds if quick.</summary>
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        List<IProductPeer> libraries = [], others = [];
        List<string> missing = [];
        Add(libraries, OpenBlas.TryLoad(), OpenBlas.Missing);
        Add(libraries, Blis.TryLoad(), Blis.Missing);
        Add(libraries, OneDnn.TryLoad(), OneDnn.Missing);
        others.Add(new TensorsProduct());
        others.Add(new MathNetProduct());
        using NumpyProduct? numpy = NumpyProduct.TryStart(out string noNumpy);
        Add(others, numpy, noNumpy);

        output.WriteLine("### Matrix product, single precision");
        output.WriteLine();
        output.WriteLine($"Level {Isa.Level}. Peers: {string.Join("; ", libraries.Concat(others).Select(peer => peer.Description))}.");
        output.WriteLine();
        foreach (string line in missing)
            output.WriteLine($"- {line}");
        if (missing.Count > 0)
            output.WriteLine();
        output.WriteLine("All in turn, round after round: medians of wall clock in GFLOP/s (2 m n k operations). In brackets how many times faster ours was, by wall clock and by CPU time (above 1: ours is faster). The peak of multiply-adds in registers is measured before and after each row.");

        foreach (int threads in Environment.ProcessorCount > 1 ? (int[])[1, 2] : [1])
        {
            using WorkerPool pool = new(threads);
            Table(output, $"{threads} thread{(threads > 1 ? "s" : "")}", libraries, quick ? QuickShapes : Shapes, pool, quick);
            Table(output, $"{threads} thread{(threads > 1 ? "s" : "")}, managed peers and numpy", others, quick ? SmallShapes[..1] : SmallShapes, pool, quick);
            Vectors(output, libraries, pool, quick);
        }

        void Add(List<IProductPeer> list, IProductPeer? peer, string how)
        {
            if (peer is not null && Disagreement(peer) is { } wrong)
                missing.Add($"{peer.Name}: left out, {wrong}");
            else if (peer is not null)
                list.Add(peer);
            else
                missing.Add(how);
        }
    }

    private static void Table(TextWriter output, string title, List<IProductPeer> peers, Shape[] shapes, WorkerPool pool, bool quick)
    {
        IProductPeer[] able = [.. peers.Where(peer => peer.SetThreads(pool.Threads))];
        output.WriteLine();
        output.WriteLine($"#### {title}");
        output.WriteLine();
        output.WriteLine($"| shape | m | n | k | peak | ours | of the peak | ours per CPU s | {string.Join(" | ", able.Select(peer => peer.Name))} |");
        output.WriteLine($"|---|---|---|---|---|---|---|---|{string.Concat(able.Select(_ => "---|"))}");
        List<double>[] ratios = [.. able.Select(_ => new List<double>())];
        foreach (Shape shape in shapes)
        {
            using Operands operands = new(shape);
            double before = Limits.FmaPeak(pool, quick: true);
            Duel duel = operands.Duel(able, pool, Plan(shape.Work, quick));
            double peak = Math.Max(before, Limits.FmaPeak(pool, quick: true));
            string cells = "";
            for (int i = 0; i < able.Length; i++)
            {
                cells += Cell($"{shape.Work / duel.Wall(i + 1):F1} ({duel.Ratio(i + 1):F2}; {duel.CpuRatio(i + 1):F2})", duel.Wall(i + 1));
                ratios[i].Add(duel.Ratio(i + 1));
            }

            Line(output, $"| {shape.Name} | {shape.M} | {shape.N} | {shape.K} | {peak:F0} | {shape.Work / duel.Wall():F1} | {100 * shape.Work / duel.Wall() / peak:F0}% | {shape.Work / duel.Cpu():F1} |{cells}");
        }

        output.WriteLine();
        for (int i = 0; i < able.Length; i++)
        {
            double[] known = [.. ratios[i].Where(ratio => !double.IsNaN(ratio))];
            if (known.Length > 0)
                Line(output, $"- against {able[i].Name}: {known.Min():F2} to {known.Max():F2} times as fast, geometric mean {Math.Exp(known.Average(Math.Log)):F2}; at least as fast on {known.Count(ratio => ratio >= 1)} of {known.Length}.");
        }
    }

    /// <summary>One row times a matrix far beyond the caches: reading it is all that costs.</summary>
    private static void Vectors(TextWriter output, List<IProductPeer> peers, WorkerPool pool, bool quick)
    {
        IProductPeer[] able = [.. peers.Where(peer => peer.SetThreads(pool.Threads))];
        double bandwidth = Limits.ReadBandwidth(pool, quick);
        output.WriteLine();
        Line(output, $"#### Vector times matrix, {pool.Threads} thread{(pool.Threads > 1 ? "s" : "")}: GB/s of the matrix; read bandwidth measured just before {bandwidth:F1} GB/s");
        output.WriteLine();
        output.WriteLine($"| shape | n | k | ours | of the bandwidth | {string.Join(" | ", able.Select(peer => peer.Name))} |");
        output.WriteLine($"|---|---|---|---|---|{string.Concat(able.Select(_ => "---|"))}");
        int size = quick ? 2048 : 8192;
        foreach (Shape shape in (Shape[])[new("a B", 1, 2 * size, size), new("a B^T", 1, size, 2 * size, TransposeB: true)])
        {
            using Operands operands = new(shape);
            Duel duel = operands.Duel(able, pool, Plan(shape.Work * 20, quick));
            double bytes = 4e-9 * shape.N * shape.K;
            string cells = string.Concat(able.Select((_, i) => Cell($"{bytes / duel.Wall(i + 1):F1} ({duel.Ratio(i + 1):F2}; {duel.CpuRatio(i + 1):F2})", duel.Wall(i + 1))));
            Line(output, $"| {shape.Name} | {shape.N} | {shape.K} | {bytes / duel.Wall():F1} | {100 * bytes / duel.Wall() / bandwidth:F0}% |{cells}");
        }
    }

    private static DuelPlan Plan(double work, bool quick) => quick
        ? new(Budget: 0.5, Rounds: 3, Turn: 0.01, Fewest: 2)
        : new(Budget: Math.Clamp(work, 4, 15), Rounds: 9, Turn: 0.05, Fewest: 3);

    /// <summary>What is wrong with the peer's product of small matrices, or null.</summary>
    private static string? Disagreement(IProductPeer peer)
    {
        foreach ((bool transposeA, bool transposeB) in ((bool, bool)[])[(false, false), (false, true), (true, false)])
        {
            foreach (int m in (int[])[1, 33])
            {
                if (m == 1 && transposeA)
                    continue; // asked of no peer
                Shape shape = new("", m, 45, 57, transposeA, transposeB);
                using Operands operands = new(shape);
                peer.SetThreads(1);
                if (operands.Disagreement(peer) > 1e-4)
                    return $"its product of {m} x 57 and 57 x 45{(transposeA ? ", A transposed" : "")}{(transposeB ? ", B transposed" : "")} is wrong";
            }
        }

        return null;
    }

    private static string Cell(FormattableString text, double value) => double.IsNaN(value) ? " |" : $" {text.ToString(CultureInfo.InvariantCulture)} |";

    private static void Line(TextWriter output, FormattableString line)
    {
        output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
        output.Flush();
    }

    /// <summary>op(A) is m x k and op(B) is k x n.</summary>
    private sealed record Shape(string Name, int M, int N, int K, bool TransposeA = false, bool TransposeB = false)
    {
        /// <summary>GFLOP of one product.</summary>
        public double Work => 2e-9 * M * N * K;
    }

    private sealed class Operands : IDisposable
    {
        private readonly Shape _shape;
        private readonly AlignedBuffer<float> _memoryA;
        private readonly AlignedBuffer<float> _memoryB;
        private readonly AlignedBuffer<float> _memoryOurs;
        private readonly AlignedBuffer<float> _memoryTheirs;
        private readonly MatrixView<float> _a;
        private readonly MatrixView<float> _b;
        private readonly MatrixView<float> _ours;
        private readonly MatrixView<float> _theirs;

        public Operands(Shape shape)
        {
            _shape = shape;
            _memoryA = BenchData.Random((nint)shape.M * shape.K, 1);
            _memoryB = BenchData.Random((nint)shape.K * shape.N, 2);
            _memoryOurs = new((nint)shape.M * shape.N);
            _memoryTheirs = new((nint)shape.M * shape.N);
            _a = shape.TransposeA ? new(_memoryA.Pointer, shape.K, shape.M) : new(_memoryA.Pointer, shape.M, shape.K);
            _b = shape.TransposeB ? new(_memoryB.Pointer, shape.N, shape.K) : new(_memoryB.Pointer, shape.K, shape.N);
            _ours = new(_memoryOurs.Pointer, shape.M, shape.N);
            _theirs = new(_memoryTheirs.Pointer, shape.M, shape.N);
        }

        public Duel Duel(IProductPeer[] peers, WorkerPool pool, DuelPlan plan) => new(
            plan,
            [new Contestant("ours", () => Ours(pool)), .. peers.Select(peer => peer.Contestant(_a, _shape.TransposeA, _b, _shape.TransposeB, _theirs))]);

        /// <summary>The largest difference of the peer's product from ours; 0 from one that does not write it here.</summary>
        public double Disagreement(IProductPeer peer)
        {
            Ours(WorkerPool.Serial);
            _memoryTheirs.AsSpan().Fill(float.NaN);
            if (peer.Contestant(_a, _shape.TransposeA, _b, _shape.TransposeB, _theirs) is not { } contestant)
                return 0;
            contestant.Run(1);
            double largest = 0;
            for (nint i = 0; i < _memoryOurs.Length; i++)
                largest = Math.Max(largest, double.IsNaN(_memoryTheirs[i]) ? double.PositiveInfinity : Math.Abs(_memoryOurs[i] - _memoryTheirs[i]));
            return peer is NumpyProduct ? 0 : largest;
        }

        public void Dispose()
        {
            _memoryA.Dispose();
            _memoryB.Dispose();
            _memoryOurs.Dispose();
            _memoryTheirs.Dispose();
        }

        private void Ours(WorkerPool pool) => Gemm.Multiply(1f, _a, _shape.TransposeA, _b, _shape.TransposeB, 0f, _ours, pool);
    }
}
