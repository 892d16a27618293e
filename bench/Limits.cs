using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>What this machine allows at best: fused multiply-adds in registers, and reading memory from end to end.</summary>
public static unsafe class Limits
{
    /// <summary>Prints the limits as Markdown.</summary>
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        int[] threadCounts = Environment.ProcessorCount > 1 ? [1, Environment.ProcessorCount] : [1];
        output.WriteLine("### Limits");
        output.WriteLine();
        output.WriteLine("Best of several runs. GFLOP/s: 12 independent accumulators, nothing loaded. GB/s: a sum over a buffer far beyond the caches, each thread its own parts, one, two or four streams at a time.");
        output.WriteLine();
        output.WriteLine("| what | threads | best |");
        output.WriteLine("|---|---|---|");
        foreach (int threads in threadCounts)
        {
            using WorkerPool pool = new(threads);
            foreach (IsaLevel level in Isa.Available)
            {
                using (Isa.Use(level))
                    Line(output, $"| multiply-add, level {level} | {threads} | {FmaPeak(pool, quick):F1} GFLOP/s |");
            }

            Line(output, $"| stream read, {ReadBytes(quick) >> 20} MiB | {threads} | {ReadBandwidth(pool, quick):F1} GB/s |");
        }
    }

    /// <summary>GFLOP/s of all threads of <paramref name="pool"/> together at the level in force: the best of several runs.</summary>
    public static double FmaPeak(WorkerPool? pool = null, bool quick = false)
    {
        pool ??= WorkerPool.Serial;
        using Scratch<float> sums = new(pool.Threads); // written so that the loops cannot be left out
        FmaAction action = new(pool, sums.Pointer, quick ? 1_000_000 : 8_000_000);
        double best = 0;
        for (int run = 0; run < (quick ? 4 : 10); run++)
        {
            long start = Stopwatch.GetTimestamp();
            Isa.Dispatch(ref action);
            best = Math.Max(best, action.Flops / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9);
        }

        return best;
    }

    /// <summary>
    /// GB/s read from memory by all threads of <paramref name="pool"/> together: the best of several runs, each thread reading
    /// one stream at a time or several side by side, which some processors fetch ahead of faster.
    /// </summary>
    public static double ReadBandwidth(WorkerPool? pool = null, bool quick = false)
    {
        pool ??= WorkerPool.Serial;
        using AlignedBuffer<float> memory = new(ReadBytes(quick) / sizeof(float));
        memory.AsSpan().Fill(1f);
        double best = 0;
        using Scratch<float> sums = new(pool.Threads);
        // On Zen 3 one stream reaches 24 GB/s, two or more 30.
        foreach (int streams in (int[])[1, 2, 4])
        {
            ReadAction action = new(pool, sums.Pointer, memory.Pointer, memory.Length, streams);
            for (int run = 0; run < (quick ? 2 : 5); run++)
            {
                long start = Stopwatch.GetTimestamp();
                Isa.Dispatch(ref action);
                best = Math.Max(best, memory.Length * sizeof(float) / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9);
            }
        }

        return best;
    }

    private static nint ReadBytes(bool quick) => quick ? 256 << 20 : 1 << 30;

    private static void Line(TextWriter output, FormattableString line) => output.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    private struct FmaAction(WorkerPool pool, float* sums, long steps) : IWideAction
    {
        private const int Accumulators = 12;

        public double Flops { get; private set; }

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            Body<TWide> body = new(sums, steps);
            pool.For(pool.Threads, 1, ref body);
            Flops = 2.0 * Accumulators * TWide.Lanes * steps * pool.Threads;
        }

        private readonly struct Body<TWide>(float* sums, long steps) : IRangeBody
            where TWide : unmanaged, IWide<TWide>
        {
            public void Invoke(int worker, nint start, nint end)
            {
                for (nint i = start; i < end; i++)
                    sums[worker] = Loop<TWide>(steps);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float Loop<TWide>(long steps)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide a = TWide.Broadcast(0.999f), b = TWide.Broadcast(0.001f);
        TWide c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, c9 = a, cA = a, cB = a;
        for (long i = 0; i < steps; i++)
        {
            c0 = TWide.MultiplyAdd(c0, a, b);
            c1 = TWide.MultiplyAdd(c1, a, b);
            c2 = TWide.MultiplyAdd(c2, a, b);
            c3 = TWide.MultiplyAdd(c3, a, b);
            c4 = TWide.MultiplyAdd(c4, a, b);
            c5 = TWide.MultiplyAdd(c5, a, b);
            c6 = TWide.MultiplyAdd(c6, a, b);
            c7 = TWide.MultiplyAdd(c7, a, b);
            c8 = TWide.MultiplyAdd(c8, a, b);
            c9 = TWide.MultiplyAdd(c9, a, b);
            cA = TWide.MultiplyAdd(cA, a, b);
            cB = TWide.MultiplyAdd(cB, a, b);
        }

        return TWide.Sum(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + cA + cB);
    }

    private readonly struct ReadAction(WorkerPool pool, float* sums, float* data, nint length, int streams) : IWideAction
    {
        private const int ChunkLength = 1 << 20;

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            Body<TWide> body = new(sums, data, streams);
            pool.For(length, ChunkLength, ref body); // the length is a multiple of it
        }

        private readonly struct Body<TWide>(float* sums, float* data, int streams) : IRangeBody
            where TWide : unmanaged, IWide<TWide>
        {
            public void Invoke(int worker, nint start, nint end) => sums[worker] = Read<TWide>(data + start, (end - start) / streams, streams);
        }
    }

    /// <summary>The sum of <paramref name="streams"/> streams that lie one behind the other, four vectors of each in turn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float Read<TWide>(float* data, nint length, int streams)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide s0 = TWide.Zero, s1 = TWide.Zero, s2 = TWide.Zero, s3 = TWide.Zero;
        for (nint i = 0; i <= length - (4 * TWide.Lanes); i += 4 * TWide.Lanes)
        {
            float* at = data + i;
            for (int stream = 0; stream < streams; stream++)
            {
                s0 += TWide.Load(at);
                s1 += TWide.Load(at + TWide.Lanes);
                s2 += TWide.Load(at + (2 * TWide.Lanes));
                s3 += TWide.Load(at + (3 * TWide.Lanes));
                at += length;
            }
        }

        return TWide.Sum(s0 + s1 + s2 + s3);
    }
}
