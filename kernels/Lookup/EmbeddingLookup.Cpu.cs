using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

public static unsafe partial class EmbeddingLookup
{
    // Work is handed to threads in pieces of about this many bytes of rows: long enough that the cold start of a piece's
    // prefetching (its first rows) is a few per cent of it, short enough that 2 MiB of rows already keep 4 threads busy.
    private const nint PieceBytes = 512 << 10;

    /// <summary>An index as a native integer. The size of the type is a constant for the compiler.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nint Read<TIndex>(TIndex* source)
        where TIndex : unmanaged =>
        sizeof(TIndex) == sizeof(int) ? *(int*)source : (nint)(*(long*)source);

    internal static nint Grain(WorkerPool pool, nint count, nint rowsPerItem, nint rowBytes)
    {
        if (pool.Threads == 1)
            return Math.Max(count, 1);
        nint itemBytes = Math.Max(1, rowsPerItem) * Math.Max(1, rowBytes);
        return Math.Max(1, PieceBytes / itemBytes);
    }

    /// <summary>A number of vectors that a loop holds in registers, as a constant for the compiler.</summary>
    private interface IBlock
    {
        /// <summary>0 stands for the first lanes of one vector.</summary>
        static abstract int Vectors { get; }
    }

    private readonly struct Eight : IBlock
    {
        public static int Vectors => 8;
    }

    private readonly struct Four : IBlock
    {
        public static int Vectors => 4;
    }

    private readonly struct Two : IBlock
    {
        public static int Vectors => 2;
    }

    private readonly struct One : IBlock
    {
        public static int Vectors => 1;
    }

    private readonly struct PartOfOne : IBlock
    {
        public static int Vectors => 0;
    }

    /// <summary>
    /// How a row is cut into blocks: as many as fit of the widest one (8, 4, 2 or 1 vectors, or a part of one for a narrower
    /// row), then one of the fewest vectors that hold the rest, moved back to end with the row. Where it overlaps, columns are
    /// done twice with the same result, which costs less than a loop over a tail.
    /// </summary>
    private readonly struct Blocks
    {
        public readonly int Vectors;
        public readonly nint Width;
        public readonly nint Covered;
        public readonly int RestVectors;
        public readonly nint RestStart;

        public Blocks(nint columns, int lanes)
        {
            Vectors = columns >= 8 * lanes ? 8 : columns >= 4 * lanes ? 4 : columns >= 2 * lanes ? 2 : columns >= lanes ? 1 : 0;
            Width = Vectors == 0 ? columns : Vectors * lanes;
            nint rest = columns % Width;
            Covered = columns - rest;
            RestVectors = rest <= lanes ? 1 : rest <= 2 * lanes ? 2 : rest <= 4 * lanes ? 4 : 8;
            RestStart = columns - (RestVectors * lanes);
        }
    }

    private interface IReduction
    {
        static abstract bool IsMaximum { get; }

        static abstract TWide Add<TWide>(TWide sum, TWide row)
            where TWide : unmanaged, IWide<TWide>;
    }

    private readonly struct Summation : IReduction
    {
        public static bool IsMaximum => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TWide Add<TWide>(TWide sum, TWide row)
            where TWide : unmanaged, IWide<TWide> => sum + row;
    }

    private readonly struct Maximum : IReduction
    {
        public static bool IsMaximum => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TWide Add<TWide>(TWide sum, TWide row)
            where TWide : unmanaged, IWide<TWide> => TWide.MaxOrNaN(sum, row);
    }

    private interface IPrefetch
    {
        static abstract bool Active { get; }

        static abstract void Line(void* address);

        /// <summary>All lines of <paramref name="bytes"/> bytes.</summary>
        static abstract void Row(void* address, nint bytes);
    }

    private readonly struct NoPrefetch : IPrefetch
    {
        public static bool Active => false;

        public static void Line(void* address)
        {
        }

        public static void Row(void* address, nint bytes)
        {
        }
    }

    private readonly struct PrefetchToL1 : IPrefetch
    {
        public static bool Active => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Line(void* address) => Prefetch.ToL1(address);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Row(void* address, nint bytes) => Prefetch.RowToL1(address, bytes);
    }

    private readonly struct PrefetchToL2 : IPrefetch
    {
        public static bool Active => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Line(void* address) => Prefetch.ToL2(address);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Row(void* address, nint bytes) => Prefetch.RowToL2(address, bytes);
    }

    /// <summary>All lines of the <paramref name="bytes"/> (a constant, at most 512) from <paramref name="address"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PrefetchBlock<TPrefetch>(byte* address, int bytes, nint lastByte, bool straddles)
        where TPrefetch : struct, IPrefetch
    {
        TPrefetch.Line(address);
        if (bytes > 64)
            TPrefetch.Line(address + 64);
        if (bytes > 128)
            TPrefetch.Line(address + 128);
        if (bytes > 192)
            TPrefetch.Line(address + 192);
        if (bytes > 256)
            TPrefetch.Line(address + 256);
        if (bytes > 320)
            TPrefetch.Line(address + 320);
        if (bytes > 384)
            TPrefetch.Line(address + 384);
        if (bytes > 448)
            TPrefetch.Line(address + 448);
        if (straddles)
            TPrefetch.Line(address + lastByte);
    }

    /// <summary>The rows that a piece of work begins with, which nothing before it has asked for.</summary>
    private static void PrefetchFirst<TIndex, TPrefetch>(MatrixView<float> table, TIndex* indices, nint count)
        where TIndex : unmanaged
        where TPrefetch : struct, IPrefetch
    {
        if (!TPrefetch.Active)
            return;
        for (nint i = 0; i < count; i++)
            TPrefetch.Row(table.Row(Read(indices + i)), table.Columns * sizeof(float));
    }

    /// <summary>Arguments of a bag reduction, checked.</summary>
    private readonly struct BagWork<TIndex>(
        MatrixView<float> table,
        TIndex* indices,
        nint indexCount,
        TIndex* offsets,
        nint offsetCount,
        BagMode mode,
        MatrixView<float> destination,
        nint padding,
        PrefetchPlan plan)
        where TIndex : unmanaged
    {
        public readonly MatrixView<float> Table = table;
        public readonly TIndex* Indices = indices;
        public readonly MatrixView<float> Destination = destination;
        public readonly nint Padding = padding;
        public readonly BagMode Mode = mode;
        public readonly PrefetchPlan Plan = plan;

        public nint Bags => Destination.Rows;

        public nint IndexCount => indexCount;

        public nint Start(nint bag) => bag < offsetCount ? Read(offsets + bag) : indexCount;
    }

    private struct BagAction<TIndex>(BagWork<TIndex> work, WorkerPool pool) : IWideAction
        where TIndex : unmanaged
    {
        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            if (work.Mode == BagMode.Max)
                Run<TWide, Maximum>();
            else
                Run<TWide, Summation>();
        }

        private void Run<TWide, TReduction>()
            where TWide : unmanaged, IWide<TWide>
            where TReduction : struct, IReduction
        {
            switch (work.Plan.Target)
            {
                case PrefetchTarget.L1:
                    Run<TWide, TReduction, PrefetchToL1>();
                    break;
                case PrefetchTarget.L2:
                    Run<TWide, TReduction, PrefetchToL2>();
                    break;
                default:
                    Run<TWide, TReduction, NoPrefetch>();
                    break;
            }
        }

        private void Run<TWide, TReduction, TPrefetch>()
            where TWide : unmanaged, IWide<TWide>
            where TReduction : struct, IReduction
            where TPrefetch : struct, IPrefetch
        {
            BagBody<TWide, TIndex, TReduction, TPrefetch> body = new(work);
            nint rowBytes = work.Table.Columns * sizeof(float);
            pool.For(work.Bags, Grain(pool, work.Bags, work.IndexCount / work.Bags, rowBytes), ref body);
        }
    }

    private readonly struct BagBody<TWide, TIndex, TReduction, TPrefetch>(BagWork<TIndex> work) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
        where TIndex : unmanaged
        where TReduction : struct, IReduction
        where TPrefetch : struct, IPrefetch
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            nint columns = work.Table.Columns;
            Blocks blocks = new(columns, TWide.Lanes);
            nint first = work.Start(start);
            nint last = work.Start(end) - 1;
            PrefetchFirst<TIndex, TPrefetch>(work.Table, work.Indices + first, Math.Min(work.Plan.Distance, last + 1 - first));
            for (nint bag = start; bag < end; bag++)
            {
                nint bagEnd = work.Start(bag + 1);
                float* destination = work.Destination.Row(bag);
                for (nint column = 0; column < blocks.Covered; column += blocks.Width)
                    Reduce(blocks.Vectors, first, bagEnd, last, column, destination);
                if (blocks.Covered < columns)
                    Reduce(blocks.RestVectors, first, bagEnd, last, blocks.RestStart, destination);
                first = bagEnd;
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private void Reduce(int vectors, nint first, nint end, nint last, nint column, float* destination)
        {
            switch (vectors)
            {
                case 8:
                    Reduce<Eight>(first, end, last, column, destination);
                    break;
                case 4:
                    Reduce<Four>(first, end, last, column, destination);
                    break;
                case 2:
                    Reduce<Two>(first, end, last, column, destination);
                    break;
                case 1:
                    Reduce<One>(first, end, last, column, destination);
                    break;
                default:
                    Reduce<PartOfOne>(first, end, last, column, destination);
                    break;
            }
        }

        /// <summary>One bag, one block of columns: positions <paramref name="first"/> to <paramref name="end"/> - 1.</summary>
        /// <remarks>
        /// Eight sums and a row's vector (with NaN's mask for a maximum) fit 16 registers: no loop touches the stack. Each block
        /// asks ahead for its own columns only. In a long bag whole rows would be gone before the second block came; in bags
        /// of 32 rows of two blocks a C loop that asks for whole rows is 5 to 10% slower.
        /// </remarks>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Reduce<TBlock>(nint first, nint end, nint last, nint column, float* destination)
            where TBlock : struct, IBlock
        {
            int lanes = TWide.Lanes;
            int part = (int)work.Table.Columns;
            byte* table = (byte*)(work.Table.Data + column);
            nint stride = work.Table.Stride * sizeof(float);
            nint padding = work.Padding;
            nint distance = work.Plan.Distance;
            TIndex* indices = work.Indices;
            nint lastByte = ((TBlock.Vectors == 0 ? part : TBlock.Vectors * lanes) * sizeof(float)) - 1;
            bool straddles = (((nint)table | stride) & (Prefetch.LineBytes - 1)) != 0;
            nint rows = end - first;

            TWide neutral = TReduction.IsMaximum ? TWide.Broadcast(float.NegativeInfinity) : TWide.Zero;
            TWide s0 = neutral;
            TWide s1 = neutral;
            TWide s2 = neutral;
            TWide s3 = neutral;
            TWide s4 = neutral;
            TWide s5 = neutral;
            TWide s6 = neutral;
            TWide s7 = neutral;
            for (nint i = first; i < end; i++)
            {
                nint index = Read(indices + i);
                if (TPrefetch.Active)
                {
                    nint ahead = i + distance;
                    if (ahead > last)
                        ahead = last;
                    PrefetchBlock<TPrefetch>(table + (Read(indices + ahead) * stride), TBlock.Vectors * lanes * sizeof(float), lastByte, straddles);
                }

                if (index != padding)
                {
                    float* row = (float*)(table + (index * stride));
                    s0 = TReduction.Add(s0, TBlock.Vectors == 0 ? TWide.LoadFirst(row, part) : TWide.Load(row));
                    if (TBlock.Vectors > 1)
                        s1 = TReduction.Add(s1, TWide.Load(row + lanes));
                    if (TBlock.Vectors > 2)
                    {
                        s2 = TReduction.Add(s2, TWide.Load(row + (2 * lanes)));
                        s3 = TReduction.Add(s3, TWide.Load(row + (3 * lanes)));
                    }

                    if (TBlock.Vectors > 4)
                    {
                        s4 = TReduction.Add(s4, TWide.Load(row + (4 * lanes)));
                        s5 = TReduction.Add(s5, TWide.Load(row + (5 * lanes)));
                        s6 = TReduction.Add(s6, TWide.Load(row + (6 * lanes)));
                        s7 = TReduction.Add(s7, TWide.Load(row + (7 * lanes)));
                    }
                }
                else
                {
                    rows--;
                }
            }

            if (TReduction.IsMaximum && rows == 0)
                s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = TWide.Zero;
            if (!TReduction.IsMaximum && work.Mode == BagMode.Mean && rows > 1)
            {
                TWide count = TWide.Broadcast(rows);
                s0 /= count;
                s1 /= count;
                s2 /= count;
                s3 /= count;
                s4 /= count;
                s5 /= count;
                s6 /= count;
                s7 /= count;
            }

            destination += column;
            if (TBlock.Vectors == 0)
                TWide.StoreFirst(destination, s0, part);
            else
                TWide.Store(destination, s0);
            if (TBlock.Vectors > 1)
                TWide.Store(destination + lanes, s1);
            if (TBlock.Vectors > 2)
            {
                TWide.Store(destination + (2 * lanes), s2);
                TWide.Store(destination + (3 * lanes), s3);
            }

            if (TBlock.Vectors > 4)
            {
                TWide.Store(destination + (4 * lanes), s4);
                TWide.Store(destination + (5 * lanes), s5);
                TWide.Store(destination + (6 * lanes), s6);
                TWide.Store(destination + (7 * lanes), s7);
            }
        }
    }

    /// <summary>Arguments of a gather, checked.</summary>
    private readonly struct GatherWork<TIndex>(
        MatrixView<float> table, TIndex* indices, MatrixView<float> destination, nint padding, PrefetchPlan plan, bool streaming)
        where TIndex : unmanaged
    {
        public readonly MatrixView<float> Table = table;
        public readonly TIndex* Indices = indices;
        public readonly MatrixView<float> Destination = destination;
        public readonly nint Padding = padding;
        public readonly PrefetchPlan Plan = plan;

        /// <summary>
        /// Whether vectors of <paramref name="lanes"/> floats go past the caches: where that was asked for and all of them lie
        /// on multiples of their size.
        /// </summary>
        public bool Streams(int lanes)
        {
            nint misaligned = ((nint)Destination.Data / sizeof(float)) | Destination.Stride | Destination.Columns;
            return streaming && lanes > 1 && (misaligned & (lanes - 1)) == 0;
        }
    }

    private struct GatherAction<TIndex>(GatherWork<TIndex> work, WorkerPool pool) : IWideAction
        where TIndex : unmanaged
    {
        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            switch (work.Plan.Target)
            {
                case PrefetchTarget.L1:
                    Run<TWide, PrefetchToL1>();
                    break;
                case PrefetchTarget.L2:
                    Run<TWide, PrefetchToL2>();
                    break;
                default:
                    Run<TWide, NoPrefetch>();
                    break;
            }
        }

        private void Run<TWide, TPrefetch>()
            where TWide : unmanaged, IWide<TWide>
            where TPrefetch : struct, IPrefetch
        {
            if (work.Streams(TWide.Lanes))
                Run<TWide, TPrefetch, StreamingStore>();
            else
                Run<TWide, TPrefetch, CachedStore>();
        }

        private void Run<TWide, TPrefetch, TStore>()
            where TWide : unmanaged, IWide<TWide>
            where TPrefetch : struct, IPrefetch
            where TStore : struct, IStore
        {
            GatherBody<TWide, TIndex, TPrefetch, TStore> body = new(work);
            nint count = work.Destination.Rows;
            pool.For(count, Grain(pool, count, 1, work.Table.Columns * sizeof(float)), ref body);
        }
    }

    private interface IStore
    {
        static abstract bool IsStreaming { get; }

        static abstract void Store<TWide>(float* destination, TWide value)
            where TWide : unmanaged, IWide<TWide>;
    }

    private readonly struct CachedStore : IStore
    {
        public static bool IsStreaming => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store<TWide>(float* destination, TWide value)
            where TWide : unmanaged, IWide<TWide> => TWide.Store(destination, value);
    }

    private readonly struct StreamingStore : IStore
    {
        public static bool IsStreaming => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store<TWide>(float* destination, TWide value)
            where TWide : unmanaged, IWide<TWide> => TWide.StoreStreaming(destination, value);
    }

    private readonly struct GatherBody<TWide, TIndex, TPrefetch, TStore>(GatherWork<TIndex> work) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
        where TIndex : unmanaged
        where TPrefetch : struct, IPrefetch
        where TStore : struct, IStore
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            PrefetchFirst<TIndex, TPrefetch>(work.Table, work.Indices + start, Math.Min(work.Plan.Distance, end - start));
            int vectors = new Blocks(work.Table.Columns, TWide.Lanes).Vectors;

            // A block that moves back would write lines again that have left for memory: take one that divides the row.
            while (TStore.IsStreaming && work.Table.Columns % (vectors * TWide.Lanes) != 0)
                vectors /= 2;
            switch (vectors)
            {
                case 8:
                    Copy<Eight>(start, end);
                    break;
                case 4:
                    Copy<Four>(start, end);
                    break;
                case 2:
                    Copy<Two>(start, end);
                    break;
                case 1:
                    Copy<One>(start, end);
                    break;
                default:
                    Copy<PartOfOne>(start, end);
                    break;
            }

            if (TStore.IsStreaming)
                Interlocked.MemoryBarrier();
        }

        /// <summary>Rows from <paramref name="start"/> to <paramref name="end"/> - 1 in blocks, the last of which moves back to end with the row.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Copy<TBlock>(nint start, nint end)
            where TBlock : struct, IBlock
        {
            nint columns = work.Table.Columns;
            byte* table = (byte*)work.Table.Data;
            nint stride = work.Table.Stride * sizeof(float);
            nint padding = work.Padding;
            nint distance = work.Plan.Distance;
            TIndex* indices = work.Indices;
            nint rowBytes = columns * sizeof(float);
            nint width = TBlock.Vectors * TWide.Lanes;
            for (nint i = start; i < end; i++)
            {
                nint index = Read(indices + i);
                if (TPrefetch.Active)
                {
                    nint ahead = i + distance;
                    if (ahead >= end)
                        ahead = end - 1;
                    TPrefetch.Row(table + (Read(indices + ahead) * stride), rowBytes);
                }

                float* target = work.Destination.Row(i);
                if (index == padding)
                {
                    Clear<TBlock>(target, columns);
                    continue;
                }

                float* row = (float*)(table + (index * stride));
                if (TBlock.Vectors == 0)
                {
                    TWide.StoreFirst(target, TWide.LoadFirst(row, (int)columns), (int)columns);
                    continue;
                }

                nint rest = columns - width;
                for (; rest > 0; rest -= width)
                {
                    CopyBlock<TBlock>(row, target);
                    row += width;
                    target += width;
                }

                CopyBlock<TBlock>(row + rest, target + rest);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Clear<TBlock>(float* target, nint columns)
            where TBlock : struct, IBlock
        {
            if (TBlock.Vectors == 0)
            {
                TWide.StoreFirst(target, TWide.Zero, (int)columns);
                return;
            }

            nint rest = columns - TWide.Lanes;
            for (; rest > 0; rest -= TWide.Lanes)
            {
                TStore.Store(target, TWide.Zero);
                target += TWide.Lanes;
            }

            TStore.Store(target + rest, TWide.Zero);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void CopyBlock<TBlock>(float* source, float* target)
            where TBlock : struct, IBlock
        {
            int lanes = TWide.Lanes;
            TStore.Store(target, TWide.Load(source));
            if (TBlock.Vectors > 1)
                TStore.Store(target + lanes, TWide.Load(source + lanes));
            if (TBlock.Vectors > 2)
            {
                TStore.Store(target + (2 * lanes), TWide.Load(source + (2 * lanes)));
                TStore.Store(target + (3 * lanes), TWide.Load(source + (3 * lanes)));
            }

            if (TBlock.Vectors > 4)
            {
                TStore.Store(target + (4 * lanes), TWide.Load(source + (4 * lanes)));
                TStore.Store(target + (5 * lanes), TWide.Load(source + (5 * lanes)));
                TStore.Store(target + (6 * lanes), TWide.Load(source + (6 * lanes)));
                TStore.Store(target + (7 * lanes), TWide.Load(source + (7 * lanes)));
            }
        }
    }
}
