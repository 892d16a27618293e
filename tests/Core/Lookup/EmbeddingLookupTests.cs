using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed class EmbeddingLookupTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly BagMode[] Modes = [BagMode.Sum, BagMode.Mean, BagMode.Max];

    private static readonly PrefetchPlan[] Plans =
    [
        PrefetchPlan.Off,
        new(PrefetchTarget.L1, 1),
        new(PrefetchTarget.L2, 7),
        new(PrefetchTarget.L2, 1000),
    ];

    [Test]
    public void RowsOfAllLengthsUpTo256EndAtTheirEnd()
    {
        for (int columns = 0; columns <= 256; columns++)
        {
            using LookupCase lookup = new(rows: 5, columns, stride: columns, seed: columns);
            lookup.WithBags(bags: 4, longest: 5, padding: columns % 3 == 0 ? 2 : null, seed: columns);
            PrefetchPlan plan = columns % 2 == 0 ? PrefetchPlan.Off : new(PrefetchTarget.L2, 3);
            lookup.AssertGather(lookup.Gather<int>(plan: plan));
            foreach (BagMode mode in Modes)
                lookup.AssertBag(lookup.Bag<int>(mode, plan: plan), mode);
        }
    }

    [Test]
    public void StridesAndIndexTypesAndLastOffsets(
        [Values(1, 3, 15, 64, 129, 300)] int columns, [Values(0, 5)] int gap, [Values] bool longs, [Values] bool padded)
    {
        using LookupCase lookup = new(rows: 97, columns, stride: columns + gap, seed: 1, scale: 1e3f);
        lookup.WithBags(bags: 23, longest: 40, padding: padded ? 13 : null, seed: 2);
        foreach (BagMode mode in Modes)
        {
            foreach (bool includeLast in (bool[])[false, true])
                lookup.AssertBag(longs ? lookup.Bag<long>(mode, includeLast) : lookup.Bag<int>(mode, includeLast), mode);
        }

        lookup.AssertGather(longs ? lookup.Gather<long>() : lookup.Gather<int>());
    }

    [Test]
    public void ThreadsLevelsAndPlansGiveTheSameBits([Values(5, 64, 150)] int columns, [Values(1, 2, 3, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        using LookupCase lookup = new(rows: 301, columns, stride: columns, seed: 3);

        // Enough rows for several pieces of work, one bag that holds most of the first, and a long run of empty ones.
        lookup.WithBags(bags: 700, longest: 8, padding: 17, seed: 4);
        Random random = new(5);
        int more = 1_200_000 / (4 * columns);
        lookup.Indices = [.. Enumerable.Range(0, more).Select(_ => random.NextInt64(301)), .. lookup.Indices];
        lookup.Ends = [more, .. Enumerable.Repeat((long)more, 300), .. lookup.Ends.Select(end => end + more)];

        float[] gathered = lookup.Gather<int>(pool);
        lookup.AssertGather(gathered);
        foreach (BagMode mode in (BagMode[])[BagMode.Mean, BagMode.Max])
        {
            IsaLevel? here = Isa.Override;
            Isa.Override = IsaLevel.Scalar;
            float[] scalar = lookup.Bag<int>(mode);
            Isa.Override = here;
            foreach (PrefetchPlan plan in Plans)
                LookupCase.AssertSameBits(lookup.Bag<int>(mode, pool: pool, plan: plan), scalar, $"{mode}, {plan}");
        }
    }

    [Test]
    public void RandomProblems()
    {
        for (int seed = 0; seed < 40; seed++)
        {
            Random random = new(seed);
            int rows = random.Next(1, 50);
            int columns = random.Next(0, 200);
            using LookupCase lookup = new(rows, columns, columns + random.Next(4), seed, MathF.Pow(10, random.Next(-30, 30)));
            lookup.WithBags(random.Next(30), random.Next(60), random.Next(2) == 0 ? random.Next(rows) : null, seed);
            foreach (BagMode mode in Modes)
                lookup.AssertBag(lookup.Bag<int>(mode, random.Next(2) == 0, plan: Plans[random.Next(Plans.Length)]), mode);
            lookup.AssertGather(lookup.Gather<long>(plan: Plans[random.Next(Plans.Length)]));
        }
    }

    [Test]
    public void StreamingStoresWriteTheSame([Values(1, 4, 16, 24, 48, 64, 80, 100, 192, 256)] int columns, [Values(1, 3)] int threads)
    {
        using WorkerPool pool = new(threads);
        using LookupCase lookup = new(rows: 40, columns, stride: columns, seed: 6);
        lookup.WithBags(bags: 30, longest: 60, padding: 3, seed: 7);

        // The guarded destination ends at a page's end; a number of rows that is a multiple of 16 puts its start on a line.
        lookup.Indices = lookup.Indices[..(lookup.Indices.Length & -16)];
        lookup.AssertGather(lookup.Gather<int>(pool, streaming: true));
        lookup.Indices = lookup.Indices[1..];
        lookup.AssertGather(lookup.Gather<int>(pool, streaming: true));
    }

    [Test]
    public void GatherKeepsAllBits()
    {
        using LookupCase lookup = new(rows: 64, columns: 21, stride: 21, seed: 8);
        Random random = new(9);
        foreach (ref float value in lookup.Elements)
            value = BitConverter.Int32BitsToSingle((int)random.NextInt64(int.MinValue, int.MaxValue) | 0x7F800000);
        lookup.Indices = [.. Enumerable.Range(0, 64).Select(i => (long)i)];
        LookupCase.AssertSameBits(lookup.Gather<int>(), lookup.Elements.ToArray(), "gather");
    }

    [Test]
    public void GapsOfTheDestinationStayAsTheyAre()
    {
        const int Columns = 37;
        const int Stride = 41;
        using LookupCase lookup = new(rows: 10, Columns, Columns, seed: 10);
        float[] gathered = new float[6 * Stride];
        float[] summed = new float[2 * Stride];
        Array.Fill(gathered, 7f);
        Array.Fill(summed, 7f);
        unsafe
        {
            fixed (float* g = gathered, s = summed)
            {
                EmbeddingLookup.Gather(lookup.Table, [3, 1, 4, 1, 5, 9], new MatrixView<float>(g, 6, Columns, Stride), paddingIndex: 1);
                EmbeddingLookup.Bag(lookup.Table, [3, 1, 4, 1, 5, 9], [0, 4], BagMode.Sum, new MatrixView<float>(s, 2, Columns, Stride));
            }
        }

        foreach (float[] result in (float[][])[gathered, summed])
        {
            for (int i = 0; i < result.Length; i++)
                Assert.That(result[i] == 7f, Is.EqualTo(i % Stride >= Columns), $"element {i}");
        }
    }

    [Test]
    public void EmptyBagsAndBagsOfPaddingAreZero([Values] BagMode mode, [Values(1, 12, 64, 100)] int columns)
    {
        using LookupCase lookup = new(rows: 5, columns, columns, seed: 11);
        lookup.Elements.Fill(-3f);
        lookup.Indices = [2, 2, 2, 0];
        lookup.Ends = [0, 3, 3, 4, 4];
        lookup.Padding = 2;
        float[] result = lookup.Bag<int>(mode);
        for (int b = 0; b < 5; b++)
        {
            int expected = BitConverter.SingleToInt32Bits(b == 3 ? -3f : 0f);
            Assert.That(LookupCase.Bits(result)[(b * columns)..((b + 1) * columns)], Is.All.EqualTo(expected), $"bag {b}");
        }
    }

    [Test]
    public void NothingToDoIsFine()
    {
        using LookupCase noRows = new(rows: 0, columns: 8, stride: 8, seed: 0);
        Assert.That(noRows.Gather<int>(), Is.Empty);
        Assert.That(noRows.Bag<int>(BagMode.Max, includeLast: true), Is.Empty);
        noRows.Ends = [0, 0];
        Assert.That(noRows.Bag<long>(BagMode.Mean), Is.All.EqualTo(0f));

        using LookupCase noColumns = new(rows: 3, columns: 0, stride: 0, seed: 0);
        noColumns.Indices = [2, 0];
        noColumns.Ends = [1, 2];
        Assert.That(noColumns.Gather<int>(), Is.Empty);
        Assert.That(noColumns.Bag<int>(BagMode.Sum), Is.Empty);

        using LookupCase noIndices = new(rows: 3, columns: 9, stride: 9, seed: 0);
        Assert.That(noIndices.Gather<int>(), Is.Empty);
        Assert.That(noIndices.Bag<int>(BagMode.Sum), Is.Empty);
    }

    [Test]
    public void IndicesAfterTheLastOffsetBelongToNoBag()
    {
        using LookupCase lookup = new(rows: 3, columns: 1, stride: 1, seed: 0);
        lookup.Elements[0] = 1;
        lookup.Elements[1] = 5;
        lookup.Elements[2] = 9;
        lookup.Indices = [0, 1, 2];
        lookup.Ends = [2];
        Assert.That(lookup.Bag<int>(BagMode.Sum, includeLast: true), Is.EqualTo((float[])[6]));
        Assert.That(lookup.Bag<int>(BagMode.Mean, includeLast: true), Is.EqualTo((float[])[3]));
        Assert.That(lookup.Bag<int>(BagMode.Max, includeLast: true), Is.EqualTo((float[])[5]));
        Assert.That(lookup.Bag<int>(BagMode.Sum), Is.EqualTo((float[])[15]), "without the last offset the last bag ends with the indices");
        lookup.Ends = [];
        Assert.That(lookup.Bag<int>(BagMode.Sum, includeLast: true), Is.Empty);
    }

    [Test]
    public void NaNGoesThroughEveryModeWhereverItIs([Values] BagMode mode, [Values(0, 1, 2)] int position, [Values(1, 7, 64, 90)] int columns)
    {
        for (int column = 0; column < columns; column++)
        {
            using LookupCase lookup = new(rows: 3, columns, columns, seed: 12);
            lookup.Elements[(position * columns) + column] = float.NaN;
            lookup.Indices = [0, 1, 2];
            lookup.Ends = [3];
            float[] result = lookup.Bag<int>(mode);
            for (int c = 0; c < columns; c++)
                Assert.That(float.IsNaN(result[c]), Is.EqualTo(c == column), $"NaN in column {column}, column {c}");
        }
    }

    [Test]
    public void InfinitiesAndOverflow()
    {
        using LookupCase lookup = new(rows: 4, columns: 1, stride: 1, seed: 0);
        float[] rows = [float.PositiveInfinity, float.NegativeInfinity, float.MaxValue, float.MaxValue];
        rows.CopyTo(lookup.Elements);
        lookup.Indices = [0, 1, 1, 1, 2, 3, 0, 2];
        lookup.Ends = [2, 4, 6, 8];
        Assert.That(lookup.Bag<int>(BagMode.Sum), Is.EqualTo((float[])[float.NaN, float.NegativeInfinity, float.PositiveInfinity, float.PositiveInfinity]));
        Assert.That(lookup.Bag<int>(BagMode.Max), Is.EqualTo((float[])[float.PositiveInfinity, float.NegativeInfinity, float.MaxValue, float.PositiveInfinity]));
    }

    [Test]
    public unsafe void TablesBeyondTwoToThe31Elements()
    {
        if (!Pages.Supported)
            Assert.Ignore("skipped: sparse mappings are made with mmap");

        long elements = (1L << 31) + (1L << 22);
        using AlignedBuffer<float> memory = new((nint)elements);
        memory[(nint)elements - 1] = 3f;
        memory[(nint)elements - 64] = 2f;

        const int Columns = 64;
        using AlignedBuffer<float> result = new(Columns);
        MatrixView<float> wide = new(memory.Pointer, (nint)(elements / Columns), Columns);
        MatrixView<float> destination = new(result.Pointer, 1, Columns);
        int last = (int)wide.Rows - 1;
        EmbeddingLookup.Gather(wide, [last], destination);
        Assert.That((result[0], result[1], result[63]), Is.EqualTo((2f, 0f, 3f)));
        EmbeddingLookup.Bag(wide, [last, 0, last], [0], BagMode.Sum, destination);
        Assert.That((result[0], result[1], result[63]), Is.EqualTo((4f, 0f, 6f)));
        Assert.That(() => EmbeddingLookup.Gather(wide, [last + 1], destination), Throws.TypeOf<ArgumentOutOfRangeException>());

        MatrixView<float> narrow = new(memory.Pointer, (nint)elements, 1);
        destination = new(result.Pointer, 2, 1);
        EmbeddingLookup.Gather(narrow, [elements - 1, elements - 64], destination);
        Assert.That((result[0], result[1]), Is.EqualTo((3f, 2f)));
        EmbeddingLookup.Bag(narrow, [elements - 1, elements - 64, elements - 1, 1], [0, 2], BagMode.Max, destination, paddingIndex: elements - 1);
        Assert.That((result[0], result[1]), Is.EqualTo((2f, 0f)));
        EmbeddingLookup.Gather(narrow, [int.MaxValue, 0], destination);
        Assert.That((result[0], result[1]), Is.EqualTo((0f, 0f)));
        Assert.That(() => EmbeddingLookup.Gather(narrow, [0L, elements], destination), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void CallsFromManyThreadsAtOnce()
    {
        using LookupCase lookup = new(rows: 200, columns: 72, stride: 72, seed: 13);
        lookup.WithBags(bags: 100, longest: 30, padding: null, seed: 14);
        using WorkerPool shared = new(2);
        float[] expected = lookup.Bag<int>(BagMode.Mean);
        IsaLevel here = Level;
        Parallel.For(0, 16, i =>
        {
            Isa.Override = here;
            float[] result = lookup.Bag<int>(BagMode.Mean, pool: i % 2 == 0 ? shared : null);
            Isa.Override = null;
            LookupCase.AssertSameBits(result, expected, $"call {i}");
        });
        Isa.Override = here;
    }

    [Test]
    public void SpansOfWholeRows()
    {
        float[] table = [1, 2, 3, 10, 20, 30, 100, 200, 300];
        float[] destination = new float[9];
        EmbeddingLookup.Gather(table, 3, [2, 0, 2], destination);
        Assert.That(destination, Is.EqualTo((float[])[100, 200, 300, 1, 2, 3, 100, 200, 300]));
        EmbeddingLookup.Gather(table, 3, [1L, 0L, 1L], destination, paddingIndex: 0);
        Assert.That(destination, Is.EqualTo((float[])[10, 20, 30, 0, 0, 0, 10, 20, 30]));
        float[] bags = new float[6];
        EmbeddingLookup.Bag(table, 3, [2, 0, 1], [0, 2], BagMode.Mean, bags);
        Assert.That(bags, Is.EqualTo((float[])[50.5f, 101, 151.5f, 10, 20, 30]));
        EmbeddingLookup.Bag(table, 3, [2L, 0L, 1L], [0L, 1L, 3L], BagMode.Sum, bags, paddingIndex: 1, includeLastOffset: true);
        Assert.That(bags, Is.EqualTo((float[])[100, 200, 300, 1, 2, 3]));
        EmbeddingLookup.Gather([], 3, ReadOnlySpan<int>.Empty, []);
    }

    [Test]
    public unsafe void NothingIsAllocated()
    {
        using LookupCase lookup = new(rows: 50, columns: 70, stride: 70, seed: 15);
        int[] indices = [1, 2, 3, 4, 5, 6, 7];
        int[] offsets = [0, 3];
        float[] destination = new float[7 * 70];
        long Allocated()
        {
            fixed (float* d = destination)
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                EmbeddingLookup.Gather(lookup.Table, indices, new MatrixView<float>(d, 7, 70), paddingIndex: 2);
                EmbeddingLookup.Bag(lookup.Table, indices, offsets, BagMode.Mean, new MatrixView<float>(d, 2, 70), paddingIndex: 2);
                return GC.GetAllocatedBytesForCurrentThread() - before;
            }
        }

        Allocated();
        Assert.That(Allocated(), Is.Zero);
    }
}
