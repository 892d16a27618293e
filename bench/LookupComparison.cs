using System.Diagnostics;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// The look-up kernels against a plain C loop on the same memory: bags summed and rows gathered from tables far beyond the
/// caches, the two in turn several times, and sweeps over the prefetch target and distance and over the size of the table.
/// </summary>
public static unsafe class LookupComparison
{
    private const int BagSize = 32;
    private const int Bags = 4096;

    /// <summary>Prints the comparison as Markdown. It takes 4 GiB of memory (1 GiB if quick) and some minutes.</summary>
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        using LookupNative? native = LookupNative.TryLoad(out string peer);
        nint elements = quick ? (nint)1 << 28 : (nint)1 << 30;
        using AlignedBuffer<float> memory = new(elements);
        using WorkerPool two = new(2);
        Fill(memory, two);
        Bench bench = new(output, memory, native, quick);

        output.WriteLine("### Embedding look-up");
        output.WriteLine();
        Line(output, $"fp32, {Bags} bags of {BagSize}, {bench.Batches} batches a measurement, {bench.Rounds} measurements of each in turn, {(elements * 4L) >> 30} GiB of tables on huge pages, level {Isa.Level}. Peer: a C loop with prefetcht1 as many rows ahead as ours ({peer}). GB counts the bytes of the rows asked for: per second of wall clock (medians), and per second of CPU time of all threads (totals). Ratios are ours / C: the median over the rounds (lowest to highest), and of the CPU totals.");
        bench.Compare(WorkerPool.Serial, two);
        bench.SweepPrefetch();
        bench.SweepTableSize();
    }

    private static void Fill(AlignedBuffer<float> memory, WorkerPool pool)
    {
        float* data = memory.Pointer;
        pool.For(memory.Length, 1 << 20, (_, start, end) =>
        {
            uint state = (uint)(start >> 10) | 1;
            for (nint i = start; i < end; i++)
            {
                state = (state * 1664525) + 1013904223;
                data[i] = ((int)state >> 8) * (1f / (1 << 23));
            }
        });
    }

    private static void Line(TextWriter output, FormattableString line) => output.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private readonly record struct Timing(double Wall, double Cpu)
    {
        public static Timing Of(Action work)
        {
            double cpu = CpuTime.OfThisProcess;
            long start = Stopwatch.GetTimestamp();
            work();
            double wall = Stopwatch.GetElapsedTime(start).TotalSeconds;
            return new(wall, CpuTime.OfThisProcess - cpu);
        }
    }

    private sealed class Bench(TextWriter output, AlignedBuffer<float> memory, LookupNative? native, bool quick)
    {
        public int Rounds { get; } = quick ? 3 : 7;

        public int Batches { get; } = quick ? 2 : 24;

        private const int BatchIndices = Bags * BagSize;

        public void Compare(params WorkerPool[] pools)
        {
            output.WriteLine();
            output.WriteLine("| operation | table | indices | threads | C, GB/s | ours, GB/s | ratio | C, GB/CPU s | ours, GB/CPU s | CPU ratio |");
            output.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
            foreach (int columns in (int[])[64, 128])
            {
                MatrixView<float> table = Table(columns);
                foreach (bool zipf in (bool[])[false, true])
                {
                    using AlignedBuffer<int> indices = Indices(table, zipf, Batches);
                    foreach (WorkerPool pool in pools)
                    {
                        foreach (BagMode? mode in (BagMode?[])[BagMode.Sum, null])
                            CompareOne(table, indices, zipf ? "Zipf 1.05" : "uniform", mode, pool);
                    }
                }
            }
        }

        /// <summary>The defaults of <see cref="PrefetchPlan"/> come from this table.</summary>
        public void SweepPrefetch()
        {
            int[] distances = quick ? [8, 16, 32, 64] : [4, 8, 16, 24, 32, 48, 64];
            PrefetchPlan[] plans =
            [
                PrefetchPlan.Off,
                .. from target in (PrefetchTarget[])[PrefetchTarget.L1, PrefetchTarget.L2]
                   from distance in distances
                   select new PrefetchPlan(target, distance),
            ];
            output.WriteLine();
            output.WriteLine("Sum, uniform, 1 thread, best GB/s by prefetch target and distance (ours, C):");
            output.WriteLine();
            output.WriteLine($"| table | {string.Join(" | ", plans.Select(p => p.Target == PrefetchTarget.None ? "none" : $"{p.Target}, {p.Distance}"))} |");
            output.WriteLine($"|---|{string.Concat(plans.Select(_ => "---|"))}");
            foreach (int columns in (int[])[16, 32, 64, 128, 256])
            {
                MatrixView<float> table = Table(columns);
                using AlignedBuffer<int> indices = Indices(table, zipf: false, Math.Max(2, Batches * 64 / columns));
                using Job job = new(table, indices, BagMode.Sum, WorkerPool.Serial);
                double[] ours = new double[plans.Length];
                double[] theirs = new double[plans.Length];
                for (int round = 0; round < Rounds; round++)
                {
                    for (int p = 0; p < plans.Length; p++)
                    {
                        ours[p] = Math.Max(ours[p], job.Rate(() => job.Ours(plans[p])));
                        if (native is not null)
                            theirs[p] = Math.Max(theirs[p], job.Rate(() => job.Theirs(native, plans[p])));
                    }
                }

                IEnumerable<string> cells = plans.Select((_, p) => Cell(ours[p], native is null ? null : theirs[p]));
                Line(output, $"| {Name(table)} | {string.Join(" | ", cells)} |");
            }
        }

        /// <summary>Where prefetching begins to pay; <see cref="PrefetchPlan"/> has its threshold from here.</summary>
        public void SweepTableSize()
        {
            PrefetchPlan plan = PrefetchPlan.For(nint.MaxValue, 64 * sizeof(float));
            output.WriteLine();
            Line(output, $"Sum, uniform, 64 columns, 1 thread, best GB/s by table size; prefetch to L2 {plan.Distance} rows ahead. Caches: L2 {CacheSizes.L2 >> 10} KiB, L3 {CacheSizes.L3 >> 10} KiB.");
            output.WriteLine();
            output.WriteLine("| table, KiB | no prefetch | prefetch | by default |");
            output.WriteLine("|---|---|---|---|");
            PrefetchPlan?[] plans = [PrefetchPlan.Off, plan, null];
            for (int kilobytes = 64; kilobytes <= 256 << 10; kilobytes *= 2)
            {
                MatrixView<float> table = new(memory.Pointer, (nint)kilobytes * 1024 / (64 * sizeof(float)), 64);
                using AlignedBuffer<int> indices = Indices(table, zipf: false, Batches);
                using Job job = new(table, indices, BagMode.Sum, WorkerPool.Serial);
                double[] best = new double[plans.Length];
                for (int round = 0; round < Rounds; round++)
                {
                    for (int p = 0; p < plans.Length; p++)
                        best[p] = Math.Max(best[p], job.Rate(() => job.Ours(plans[p])));
                }

                Line(output, $"| {kilobytes} | {best[0]:F1} | {best[1]:F1} | {best[2]:F1} |");
            }
        }

        private void CompareOne(MatrixView<float> table, AlignedBuffer<int> indices, string distribution, BagMode? mode, WorkerPool pool)
        {
            using Job job = new(table, indices, mode, pool);
            PrefetchPlan plan = PrefetchPlan.For(table.Rows * table.Columns * sizeof(float), table.Columns * sizeof(float));
            List<Timing> ours = [];
            List<Timing> theirs = [];
            job.Ours(plan: null);
            for (int round = 0; round < Rounds; round++)
            {
                bool oursFirst = round % 2 == 1;
                if (oursFirst)
                    ours.Add(Timing.Of(() => job.Ours(plan: null)));
                if (native is not null)
                    theirs.Add(Timing.Of(() => job.Theirs(native, plan)));
                if (!oursFirst)
                    ours.Add(Timing.Of(() => job.Ours(plan: null)));
            }

            double Wall(List<Timing> timings) => job.RowBytes / Median(timings.Select(t => t.Wall)) / 1e9;
            double Cpu(List<Timing> timings) => job.RowBytes * timings.Count / timings.Sum(t => t.Cpu) / 1e9;
            FormattableString start = $"| {(mode is null ? "gather" : "sum")} | {Name(table)} | {distribution} | {pool.Threads} |";
            output.Write(start.ToString(CultureInfo.InvariantCulture));
            if (native is null)
            {
                Line(output, $" | {Wall(ours):F1} | | | {Cpu(ours):F1} | |");
                return;
            }

            double[] ratios = [.. ours.Zip(theirs, (o, t) => t.Wall / o.Wall)];
            Line(output, $" {Wall(theirs):F1} | {Wall(ours):F1} | {Median(ratios):F2} ({ratios.Min():F2}-{ratios.Max():F2}) | {Cpu(theirs):F1} | {Cpu(ours):F1} | {Cpu(ours) / Cpu(theirs):F2} |");
        }

        private MatrixView<float> Table(int columns) =>
            new(memory.Pointer, Math.Min(memory.Length / columns, columns == 64 ? 10_000_000 : int.MaxValue), columns);

        private static AlignedBuffer<int> Indices(MatrixView<float> table, bool zipf, int batches)
        {
            AlignedBuffer<int> indices = new((nint)batches * BatchIndices);
            Random random = new(42);
            if (zipf)
                LookupIndices.Zipf(indices.AsSpan(), (int)table.Rows, 1.05, random);
            else
                LookupIndices.Uniform(indices.AsSpan(), (int)table.Rows, random);
            return indices;
        }

        private static string Name(MatrixView<float> table) =>
            string.Create(CultureInfo.InvariantCulture, $"{table.Rows / 1e6:F1}M x {table.Columns}");

        private static string Cell(double ours, double? theirs) =>
            string.Create(CultureInfo.InvariantCulture, $"{ours:F1}{(theirs is null ? "" : ", ")}{theirs:F1}");
    }

    /// <summary>One measurement: all batches, each into the same destination.</summary>
    private sealed class Job : IDisposable
    {
        private const int BatchIndices = Bags * BagSize;
        private readonly MatrixView<float> _table;
        private readonly AlignedBuffer<int> _indices;
        private readonly AlignedBuffer<float> _destination;
        private readonly AlignedBuffer<int> _offsets = new(Bags + 1);
        private readonly BagMode? _mode;
        private readonly WorkerPool _pool;

        public Job(MatrixView<float> table, AlignedBuffer<int> indices, BagMode? mode, WorkerPool pool)
        {
            _table = table;
            _indices = indices;
            _mode = mode;
            _pool = pool;
            _destination = new((nint)(mode is null ? BatchIndices : Bags) * table.Columns);
            // Its pages are wanted before the first measurement.
            _destination.AsSpan().Clear();
            for (int b = 0; b <= Bags; b++)
                _offsets[b] = b * BagSize;
        }

        public void Dispose()
        {
            _destination.Dispose();
            _offsets.Dispose();
        }

        public double RowBytes => (double)_indices.Length * _table.Columns * sizeof(float);

        /// <summary>GB/s of one run of <paramref name="work"/>.</summary>
        public double Rate(Action work) => RowBytes / Timing.Of(work).Wall / 1e9;

        private MatrixView<float> Destination => new(_destination.Pointer, _mode is null ? BatchIndices : Bags, _table.Columns);

        public void Ours(PrefetchPlan? plan)
        {
            for (nint start = 0; start < _indices.Length; start += BatchIndices)
            {
                ReadOnlySpan<int> indices = _indices.AsSpan(start, BatchIndices);
                if (_mode is { } mode)
                    EmbeddingLookup.ReduceBags(_table, indices, _offsets.AsSpan(), mode, Destination, null, includeLastOffset: true, _pool, plan);
                else
                    EmbeddingLookup.GatherRows(_table, indices, Destination, null, _pool, plan);
            }
        }

        public void Theirs(LookupNative native, PrefetchPlan plan)
        {
            nint rowBytes = _table.Columns * sizeof(float);
            for (nint start = 0; start < _indices.Length; start += BatchIndices)
            {
                int* indices = _indices.Pointer + start;
                if (_mode is null)
                    native.Gather(_table, indices, Destination, plan, EmbeddingLookup.Grain(_pool, BatchIndices, 1, rowBytes), _pool);
                else
                    native.BagSum(_table, indices, _offsets.Pointer, Destination, plan, EmbeddingLookup.Grain(_pool, Bags, BagSize, rowBytes), _pool);
            }
        }
    }
}
