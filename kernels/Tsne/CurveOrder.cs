using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// The order of a map's points along a Hilbert curve: consecutive points are near each other, so every run of them is a
/// compact cluster. (Along Morton's curve runs that cross a power of two jump across the map.)
/// </summary>
/// <remarks>
/// <para>The bounding box is cut into 2^16 cells per axis (2^10 in three dimensions) and the points are sorted by the cell's
/// place on the curve; cells that many points share, as happens beside a far outlier, are cut again in the same way.
/// Points of one cell stand in the order of their indices. The order depends on the map alone.</para>
/// <para>Source of the curve: Skilling, Programming the Hilbert curve, AIP Conference Proceedings 707 (2004).</para>
/// </remarks>
internal sealed unsafe class CurveOrder : IDisposable
{
    // Bits of the code by which the radix sort sorts; what remains are short runs.
    private const int DigitBits = 11;
    private const int Digits = 1 << DigitBits;

    // Fewer points than this are not worth the histograms.
    private const int SmallestRadix = 2048;

    // Points that may share a cell without being told apart: their order among themselves then matters to nobody.
    private const int LongestRun = 32;

    // Each cut divides the box by 2^10 at least, so this is more than floats have exponents.
    private const int MostCuts = 32;

    private readonly AlignedBuffer<ulong> _entries;
    private readonly AlignedBuffer<ulong> _spare;
    private ulong* _sorted;

    public CurveOrder(int points)
    {
        Points = points;
        _entries = new AlignedBuffer<ulong>(points);
        _spare = new AlignedBuffer<ulong>(points);
        _sorted = _entries.Pointer;
    }

    public int Points { get; }

    /// <summary>After <see cref="Sort"/>: the points' indices in the lower halves, in the curve's order.</summary>
    public ulong* Entries => _sorted;

    public void Dispose()
    {
        _entries.Dispose();
        _spare.Dispose();
    }

    /// <summary>Orders the points of <paramref name="map"/>, which has <see cref="Points"/> columns.</summary>
    public void Sort(MatrixView<float> map, WorkerPool pool)
    {
        ulong* from = _entries.Pointer, to = _spare.Pointer;
        _sorted = from;
        if (Points == 0)
            return;
        Box box = Bounds(map, pool);
        int chunks = Math.Min(pool.Threads == 1 ? 1 : 2 * pool.Threads, (Points / SmallestRadix) + 1);
        nint grain = ((((Points + chunks - 1) / chunks) + 7) / 8) * 8;
        EncodeBody encode = new() { Map = map, Box = box, Entries = from };
        pool.For(Points, grain, ref encode);
        int sortedBits = 0;
        if (Points >= SmallestRadix)
        {
            // As many digits from the top as tell nearly all points apart.
            int passes = Points > 1 << 17 ? 3 : 2;
            sortedBits = passes * DigitBits;
            chunks = (int)((Points + grain - 1) / grain);
            using Scratch<int> counts = new((nint)chunks * Digits);
            for (int pass = 0; pass < passes; pass++)
            {
                int shift = 64 - ((passes - pass) * DigitBits);
                RadixBody radix = new() { From = from, To = to, Counts = counts.Pointer, Grain = grain, Shift = shift };
                pool.For(Points, grain, ref radix);
                Places(counts.Pointer, chunks);
                radix.Scatter = true;
                pool.For(Points, grain, ref radix);
                ulong* last = from;
                from = to;
                to = last;
            }
        }

        FinishBody finish = new() { Map = map, Entries = from, Points = Points, SortedBits = sortedBits };
        pool.For(Points, Points >= SmallestRadix ? 8192 : Points, ref finish);
        _sorted = from;
    }

    private static void Places(int* counts, int chunks)
    {
        int place = 0;
        for (int digit = 0; digit < Digits; digit++)
        {
            for (int chunk = 0; chunk < chunks; chunk++)
            {
                int count = counts[(chunk * Digits) + digit];
                counts[(chunk * Digits) + digit] = place;
                place += count;
            }
        }
    }

    private static Box Bounds(MatrixView<float> map, WorkerPool pool)
    {
        float* bounds = stackalloc float[2 * MapDimensions.Most];
        MapBounds.Compute(map, bounds, pool);
        Box box = default;
        for (int axis = 0; axis < map.Rows; axis++)
            box.Set(axis, bounds[2 * axis], bounds[(2 * axis) + 1], (int)map.Rows);
        return box;
    }

    /// <summary>Where the cells of a map begin, and how many there are per unit.</summary>
    private struct Box
    {
        public float X;
        public float Y;
        public float Z;
        public float ScaleX;
        public float ScaleY;
        public float ScaleZ;

        public readonly bool IsPoint => ScaleX == 0 && ScaleY == 0 && ScaleZ == 0;

        public static int Bits(int axes) => axes switch { 1 => 24, 2 => 16, _ => 10 };

        public void Set(int axis, float least, float most, int axes)
        {
            float scale = ((1 << Bits(axes)) - 1) / (most - least);
            if (!(scale > 0 && float.IsFinite(scale)))
                scale = 0; // a single value, or none that is finite
            switch (axis)
            {
                case 0:
                    (X, ScaleX) = (least, scale);
                    break;
                case 1:
                    (Y, ScaleY) = (least, scale);
                    break;
                default:
                    (Z, ScaleZ) = (least, scale);
                    break;
            }
        }
    }

    /// <summary>Codes in the upper halves, indices in the lower ones.</summary>
    private struct EncodeBody : IRangeBody
    {
        public MatrixView<float> Map;
        public Box Box;
        public ulong* Entries;

        public readonly void Invoke(int worker, nint start, nint end)
        {
            switch (Map.Rows)
            {
                case 1:
                    Encode<Map1>(start, end);
                    break;
                case 2:
                    Encode<Map2>(start, end);
                    break;
                default:
                    Encode<Map3>(start, end);
                    break;
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Encode<TMap>(nint start, nint end)
            where TMap : struct, IMapDimensions
        {
            float* x = Map.Data, y = x + ((TMap.Count > 1 ? 1 : 0) * Map.Stride), z = x + ((TMap.Count > 2 ? 2 : 0) * Map.Stride);
            nint i = start;
            for (; i + 8 <= end; i += 8)
                StoreEntries(Entries + i, Codes<TMap>(Box, Vector256.Load(x + i), Vector256.Load(y + i), Vector256.Load(z + i)), (uint)i);
            if (i == end)
                return;

            float* last = stackalloc float[24];
            ulong* entries = stackalloc ulong[8];
            for (nint j = 0; j < 24; j++)
                last[j] = j % 8 < end - i ? (j / 8 == 0 ? x : j / 8 == 1 ? y : z)[i + (j % 8)] : 0f;
            StoreEntries(entries, Codes<TMap>(Box, Vector256.Load(last), Vector256.Load(last + 8), Vector256.Load(last + 16)), (uint)i);
            new ReadOnlySpan<ulong>(entries, (int)(end - i)).CopyTo(new Span<ulong>(Entries + i, (int)(end - i)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreEntries(ulong* entries, Vector256<uint> codes, uint index)
    {
        (Vector256<ulong> low, Vector256<ulong> high) = Vector256.Widen(codes);
        Vector256<ulong> indices = Vector256.Create((ulong)index) + Vector256.CreateSequence(0UL, 1UL);
        ((low << 32) | indices).Store(entries);
        ((high << 32) | (indices + Vector256.Create(4UL))).Store(entries + 4);
    }

    /// <summary>Places on the curve, from the top bit of 32 down. Integer work: the same at every level of instructions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Codes<TMap>(in Box box, Vector256<float> x, Vector256<float> y, Vector256<float> z)
        where TMap : struct, IMapDimensions
    {
        int bits = Box.Bits(TMap.Count);
        Vector256<uint> a = Cells(x, box.X, box.ScaleX, bits);
        if (TMap.Count == 1)
            return a << 8;

        Vector256<uint> b = Cells(y, box.Y, box.ScaleY, bits), c = TMap.Count > 2 ? Cells(z, box.Z, box.ScaleZ, bits) : b;
        for (int bit = bits - 1; bit > 0; bit--)
        {
            // Where the bit is set the lower bits of the first axis are inverted, else exchanged with this axis's.
            Vector256<uint> q = Vector256.Create(1u << bit), lower = Vector256.Create((1u << bit) - 1);
            a ^= Vector256.Equals(a & q, q) & lower;
            Exchange(q, lower, ref a, ref b);
            if (TMap.Count > 2)
                Exchange(q, lower, ref a, ref c);
        }

        b ^= a;
        if (TMap.Count > 2)
            c ^= b;

        // Each bit of t is the parity of the last axis's bits above it.
        Vector256<uint> t = (TMap.Count > 2 ? c : b) >> 1;
        t ^= t >> 1;
        t ^= t >> 2;
        t ^= t >> 4;
        t ^= t >> 8;
        return TMap.Count == 2
            ? (Spread2(a ^ t) << 1) | Spread2(b ^ t)
            : ((Spread3(a ^ t) << 2) | (Spread3(b ^ t) << 1) | Spread3(c ^ t)) << 2;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Cells(Vector256<float> x, float least, float scale, int bits) =>
        Vector256.ConvertToInt32(Vector256.Min((x - Vector256.Create(least)) * Vector256.Create(scale), Vector256.Create((float)((1 << bits) - 1)))).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Exchange(Vector256<uint> q, Vector256<uint> lower, ref Vector256<uint> first, ref Vector256<uint> axis)
    {
        Vector256<uint> set = Vector256.Equals(axis & q, q);
        Vector256<uint> t = Vector256.AndNot((first ^ axis) & lower, set);
        first ^= t | (set & lower);
        axis ^= t;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Spread2(Vector256<uint> v)
    {
        v = (v | (v << 8)) & Vector256.Create(0x00FF00FFu);
        v = (v | (v << 4)) & Vector256.Create(0x0F0F0F0Fu);
        v = (v | (v << 2)) & Vector256.Create(0x33333333u);
        return (v | (v << 1)) & Vector256.Create(0x55555555u);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Spread3(Vector256<uint> v)
    {
        v = (v | (v << 16)) & Vector256.Create(0x030000FFu);
        v = (v | (v << 8)) & Vector256.Create(0x0300F00Fu);
        v = (v | (v << 4)) & Vector256.Create(0x030C30C3u);
        return (v | (v << 2)) & Vector256.Create(0x09249249u);
    }

    /// <summary>One digit of the radix sort: counts per chunk, then, when these have become places, the scattering.</summary>
    private struct RadixBody : IRangeBody
    {
        public ulong* From;
        public ulong* To;
        public int* Counts;
        public nint Grain;
        public int Shift;
        public bool Scatter;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Invoke(int worker, nint start, nint end)
        {
            int* counts = Counts + (start / Grain * Digits);
            ulong* from = From, to = To;
            int shift = Shift;
            if (Scatter)
            {
                for (nint i = start; i < end; i++)
                {
                    ulong entry = from[i];
                    to[counts[(entry >> shift) & (Digits - 1)]++] = entry;
                }

                return;
            }

            new Span<int>(counts, Digits).Clear();
            for (nint i = start; i < end; i++)
                counts[(from[i] >> shift) & (Digits - 1)]++;
        }
    }

    /// <summary>Sorts the runs that agree in the bits sorted so far, and cuts again the cells that many points share.</summary>
    private struct FinishBody : IRangeBody
    {
        public MatrixView<float> Map;
        public ulong* Entries;
        public nint Points;
        public int SortedBits;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Invoke(int worker, nint start, nint end)
        {
            // Runs belong to the range in which they begin. Without bits sorted so far there is one range and one run.
            nint position = start;
            while (position > 0 && position < end && Agree(position - 1, position))
                position++;
            while (position < end)
            {
                nint last = position + 1;
                while (last < Points && Agree(position, last))
                    last++;
                if (last - position > 1)
                    SortRun(Entries + position, (int)(last - position), 0);
                position = last;
            }
        }

        private readonly bool Agree(nint a, nint b) => SortedBits == 0 || (Entries[a] ^ Entries[b]) >> (64 - SortedBits) == 0;

        private readonly void SortRun(ulong* run, int length, int cuts)
        {
            if (length > 16)
            {
                new Span<ulong>(run, length).Sort();
            }
            else
            {
                for (int i = 1; i < length; i++)
                {
                    ulong entry = run[i];
                    int j = i;
                    for (; j > 0 && run[j - 1] > entry; j--)
                        run[j] = run[j - 1];
                    run[j] = entry;
                }
            }

            if (length <= LongestRun || cuts >= MostCuts)
                return;
            for (int start = 0, end; start < length; start = end)
            {
                end = start + 1;
                while (end < length && run[end] >> 32 == run[start] >> 32)
                    end++;
                if (end - start > LongestRun)
                    CutAgain(run + start, end - start, cuts + 1);
            }
        }

        private readonly void CutAgain(ulong* run, int length, int cuts)
        {
            int axes = (int)Map.Rows;
            Box box = default;
            for (int axis = 0; axis < axes; axis++)
            {
                float* row = Map.Row(axis);
                float least = float.PositiveInfinity, most = float.NegativeInfinity;
                for (int i = 0; i < length; i++)
                {
                    float value = row[(uint)run[i]];
                    least = value < least ? value : least;
                    most = value > most ? value : most;
                }

                box.Set(axis, least, most, axes);
            }

            if (box.IsPoint)
                return; // in the order of indices already

            float* coordinates = stackalloc float[24];
            ulong* entries = stackalloc ulong[8];
            for (int i = 0; i < length; i += 8)
            {
                int count = Math.Min(8, length - i);
                for (int j = 0; j < 24; j++)
                    coordinates[j] = j / 8 < axes && j % 8 < count ? Map.Row(j / 8)[(uint)run[i + (j % 8)]] : 0f;
                Vector256<float> x = Vector256.Load(coordinates), y = Vector256.Load(coordinates + 8), z = Vector256.Load(coordinates + 16);
                StoreEntries(entries, axes == 1 ? Codes<Map1>(box, x, y, z) : axes == 2 ? Codes<Map2>(box, x, y, z) : Codes<Map3>(box, x, y, z), 0);
                for (int j = 0; j < count; j++)
                    run[i + j] = (entries[j] >> 32 << 32) | (uint)run[i + j];
            }

            SortRun(run, length, cuts);
        }
    }
}
