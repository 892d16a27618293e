using System.Numerics;
using System.Runtime.InteropServices;

namespace EmbeddingKernels.Core.Tests;

/// <summary>A random look-up problem on guarded memory, and its answer by the reference.</summary>
internal sealed unsafe class LookupCase : IDisposable
{
    private readonly TestSupport.GuardedBuffer<float> _table;

    public LookupCase(int rows, int columns, int stride, int seed, float scale = 1f)
    {
        Random random = new(seed);
        _table = new(rows == 0 ? 0 : ((rows - 1) * stride) + columns);
        foreach (ref float value in _table.Span)
            value = ((random.NextSingle() * 2) - 1) * scale;
        Table = new(_table.Pointer, rows, columns, stride);
    }

    public MatrixView<float> Table { get; }

    public Span<float> Elements => _table.Span;

    public long[] Indices { get; set; } = [];

    /// <summary>The end of each bag.</summary>
    public long[] Ends { get; set; } = [];

    public long? Padding { get; set; }

    /// <summary>Bags of 0 to <paramref name="longest"/> entries, about one in seven of them padding if there is a padding index.</summary>
    public LookupCase WithBags(int bags, int longest, long? padding, int seed)
    {
        Random random = new(seed);
        List<long> indices = [];
        Ends = new long[bags];
        for (int b = 0; b < bags; b++)
        {
            int length = random.Next(longest + 1);
            for (int i = 0; i < length; i++)
                indices.Add(padding is { } skip && random.Next(7) == 0 ? skip : random.NextInt64(Table.Rows));
            Ends[b] = indices.Count;
        }

        Indices = [.. indices];
        Padding = padding;
        return this;
    }

    /// <summary>The offsets as the call wants them.</summary>
    public long[] Offsets(bool includeLast) =>
        includeLast ? [0, .. Ends] : [.. Ends.Select((_, b) => b == 0 ? 0 : Ends[b - 1])];

    public float[] Gather<TIndex>(WorkerPool? pool = null, PrefetchPlan? plan = null, bool? streaming = null)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        using TestSupport.GuardedBuffer<float> destination = new(Indices.Length * (int)Table.Columns);
        using TestSupport.GuardedBuffer<TIndex> indices = Guard<TIndex>(Indices);
        destination.Span.Fill(float.NegativeZero);
        EmbeddingLookup.GatherRows<TIndex>(
            Table, indices.Span, new(destination.Pointer, Indices.Length, Table.Columns), Padding, pool, plan, streaming);
        return destination.Span.ToArray();
    }

    public float[] Bag<TIndex>(BagMode mode, bool includeLast = false, WorkerPool? pool = null, PrefetchPlan? plan = null)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        using TestSupport.GuardedBuffer<float> destination = new(Ends.Length * (int)Table.Columns);
        using TestSupport.GuardedBuffer<TIndex> indices = Guard<TIndex>(Indices);
        using TestSupport.GuardedBuffer<TIndex> offsets = Guard<TIndex>(Offsets(includeLast));
        destination.Span.Fill(1234f);
        EmbeddingLookup.ReduceBags<TIndex>(
            Table, indices.Span, offsets.Span, mode, new(destination.Pointer, Ends.Length, Table.Columns), Padding, includeLast, pool, plan);
        return destination.Span.ToArray();
    }

    /// <summary>Fails unless each element is within the bound that the docs of <see cref="EmbeddingLookup"/> state.</summary>
    public void AssertBag(float[] actual, BagMode mode)
    {
        double[,] expected = EmbeddingLookupReference.Bag(Table, Indices, Ends, mode, Padding ?? -1);
        for (int b = 0; b < Ends.Length; b++)
        {
            long[] rows = [.. Indices[(int)(b == 0 ? 0 : Ends[b - 1])..(int)Ends[b]].Where(index => index != Padding)];
            for (int c = 0; c < Table.Columns; c++)
            {
                double absolute = 0;
                foreach (long row in rows)
                    absolute += Math.Abs((double)Table.Row((nint)row)[c]);
                const double Unit = 1.0 / (1 << 24);
                double bound = Math.Max(0, rows.Length - 1) * Unit * (1 + (rows.Length * Unit)) * absolute;
                if (mode == BagMode.Mean)
                    bound = rows.Length == 0 ? 0 : (bound + (Unit * absolute)) / rows.Length;
                if (mode == BagMode.Max)
                    bound = 0;
                float value = actual[(b * Table.Columns) + c];
                if (!(Math.Abs(value - expected[b, c]) <= bound) && !value.Equals((float)expected[b, c]))
                    Assert.Fail($"{mode}, bag {b} of {rows.Length} rows, column {c} of {Table.Columns}: {value:R} for {expected[b, c]:R}, bound {bound:R}");
            }
        }
    }

    /// <summary>Fails unless all elements are the bits of the reference's.</summary>
    public void AssertGather(float[] actual)
    {
        double[,] expected = EmbeddingLookupReference.Gather(Table, Indices, Padding ?? -1);
        float[] rounded = new float[expected.Length];
        for (int i = 0; i < rounded.Length; i++)
            rounded[i] = (float)expected[i / (int)Table.Columns, i % (int)Table.Columns];
        AssertSameBits(actual, rounded, "gather");
    }

    public static void AssertSameBits(float[] actual, float[] expected, string what)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length), what);
        int same = MemoryMarshal.Cast<float, int>(actual).CommonPrefixLength(MemoryMarshal.Cast<float, int>(expected));
        if (same < actual.Length)
            Assert.Fail($"{what}: element {same} is {actual[same]:R} for {expected[same]:R}");
    }

    public static int[] Bits(float[] values) => [.. values.Select(BitConverter.SingleToInt32Bits)];

    public void Dispose() => _table.Dispose();

    private static TestSupport.GuardedBuffer<TIndex> Guard<TIndex>(long[] values)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        TestSupport.GuardedBuffer<TIndex> buffer = new(values.Length);
        for (int i = 0; i < values.Length; i++)
            buffer.Span[i] = TIndex.CreateChecked(values[i]);
        return buffer;
    }
}
