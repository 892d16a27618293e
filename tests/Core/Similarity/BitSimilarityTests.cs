using EmbeddingKernels.TestSupport;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class BitSimilarityTests(IsaLevel level) : IsaFixture(level)
{
    public sealed record Setting(int M, int N, int Bits, int K, BitMetric Metric, int Gap, double Density, bool ExcludeSelf, int Threads, int Seed);

    private WorkerPool[] _pools = [];

    private static readonly Gen<Setting> Settings =
        from m in Gen.Frequency((3, Gen.Choose(0, 8)), (2, Gen.Choose(9, 70)))
        from n in Gen.Frequency((3, Gen.Choose(0, 70)), (2, Gen.Choose(100, 600)))
        from bits in Gen.Frequency((3, Gen.Choose(0, 130)), (2, Gen.Choose(240, 560)), (1, Gen.Choose(2000, 4200)))
        from k in Gen.Frequency((4, Gen.Choose(1, 20)), (1, Gen.Choose(100, 700)))
        from metric in Gen.Elements(Enum.GetValues<BitMetric>())
        from gap in Gen.Choose(0, 3)
        from density in Gen.Elements(0.0, 0.02, 0.5, 0.98)
        from excludeSelf in Gen.Elements(false, true)
        from threads in Gen.Choose(0, 3)
        from seed in Gen.Choose(0, int.MaxValue)
        select new Setting(m, n, bits, k, metric, gap, density, excludeSelf, threads, seed);

    [OneTimeSetUp]
    public void StartPools() => _pools = [new(1), new(2), new(3), new(7)];

    [OneTimeTearDown]
    public void EndPools()
    {
        foreach (WorkerPool pool in _pools)
            pool.Dispose();
    }

    [Test]
    public void RandomSettingsAgreeWithTheReference() =>
        Prop.ForAll(Settings.ToArbitrary(), s =>
        {
            Random random = new(s.Seed);
            using BitRows queries = new(s.M, s.Bits, s.Gap), data = new(s.N, s.Bits, s.Gap);
            queries.Fill(random, s.Density);
            data.Fill(random, s.Density);
            for (int i = 0; i < Math.Min(s.M, s.N); i += 3)
            {
                queries.View.RowSpan(i).CopyTo(data.View.RowSpan(s.N - 1 - i));
                if (i % 2 == 0)
                    data.View.RowSpan(i).Clear();
                if (i % 4 == 0)
                    queries.View.RowSpan(i).Clear();
            }

            AssertAllAgree(queries.View, data.View, s.K, s.Metric, s.ExcludeSelf, _pools[s.Threads], s.ToString());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(120));

    [Test]
    public void EveryRowLengthOnGuardedMemory([Values] BitMetric metric, [Values(1, 2, 5, 9)] int m)
    {
        // Fewer rows than a panel, and a few more.
        const int N = 67;
        Random random = new(m);
        for (int bytes = 0; bytes <= 260; bytes += bytes < 140 ? 1 : 7)
        {
            using GuardedBuffer<byte> queries = new(m * bytes), data = new(N * bytes);
            random.NextBytes(queries.Span);
            random.NextBytes(data.Span);
            AssertAllAgree(new(queries.Pointer, m, bytes), new(data.Pointer, N, bytes), 5, metric, false, WorkerPool.Serial, $"{bytes} bytes");
        }
    }

    [Test]
    public void LongRows([Values] BitMetric metric, [Values(1, 5)] int m, [Values(4095, 4096, 10_001)] int bytes, [Values(0.5, 1.0)] double density)
    {
        // All bits set and nearly: the largest counts that words and bytes must carry.
        using BitRows queries = new(m, 8 * bytes, 1), data = new(68, 8 * bytes, 1);
        Random random = new(3);
        queries.Fill(random, density);
        data.Fill(random, density);
        data.View.RowSpan(1).Clear();
        data.View.RowSpan(2)[0] = 0;
        queries.View.RowSpan(m - 1).Clear();
        AssertAllAgree(queries.View, data.View, 3, metric, false, WorkerPool.Serial, $"{bytes} bytes");
    }

    [Test]
    public void ResultsDependNeitherOnThreadsNorOnTheSplitOfQueries([Values] BitMetric metric, [Values(1, 10, 300)] int k)
    {
        // Few bits, so that nearly everything is a tie.
        const int M = 45, N = 5000;
        using BitRows queries = new(M, 21, 0), data = new(N, 21, 0);
        Random random = new(11);
        queries.Fill(random, 0.5);
        data.Fill(random, 0.5);
        long[] wantedIds = new long[M * k], ids = new long[M * k];
        float[] wantedScores = new float[M * k], scores = new float[M * k];
        fixed (long* w = wantedIds, i = ids)
        fixed (float* ws = wantedScores, s = scores)
        {
            BitSimilarityReference.TopK(queries.View, data.View, k, metric, new(w, M, k), new(ws, M, k), excludeSelf: false);
            foreach (WorkerPool pool in _pools)
            {
                foreach (int batch in (int[])[M, 20, 4, 1])
                {
                    Array.Clear(ids);
                    Array.Clear(scores);
                    for (int first = 0; first < M; first += batch)
                    {
                        int count = Math.Min(batch, M - first);
                        BitSimilarity.TopK(
                            queries.View.Slice(first, count), data.View, k, metric, new(i + (first * k), count, k), new(s + (first * k), count, k), pool: pool);
                    }

                    AssertSame<long>(ids, wantedIds, $"{pool.Threads} threads, batches of {batch}");
                    AssertSame<float>(scores, wantedScores, $"{pool.Threads} threads, batches of {batch}");
                }
            }
        }
    }

    [Test]
    public void ManyNeighbours([Values] BitMetric metric)
    {
        // Lists so long that a batch holds few queries, and longer than the data.
        const int M = 9, N = 3000, K = 2048;
        using BitRows queries = new(M, 64, 0), data = new(N, 64, 0);
        Random random = new(12);
        queries.Fill(random, 0.5);
        data.Fill(random, 0.5);
        AssertAllAgree(queries.View, data.View, K, metric, false, _pools[1], "k = 2048");
        AssertAllAgree(queries.View.Slice(0, 5), data.View.Slice(0, 130), K, metric, true, _pools[2], "k > n");
    }

    private static void AssertAllAgree(
        MatrixView<byte> queries, MatrixView<byte> data, int k, BitMetric metric, bool excludeSelf, WorkerPool pool, string what)
    {
        int m = (int)queries.Rows, n = (int)data.Rows;
        float[] wanted = new float[m * n], scores = new float[m * n];
        long[] wantedIds = new long[m * k], ids = new long[m * k];
        float[] wantedBest = new float[m * k], best = new float[m * k];
        fixed (float* w = wanted, s = scores, wb = wantedBest, b = best)
        fixed (long* wi = wantedIds, i = ids)
        {
            BitSimilarityReference.Scores(queries, data, metric, new(w, m, n));
            BitSimilarity.Scores(queries, data, metric, new MatrixView<float>(s, m, n), pool);
            BitSimilarityReference.TopK(queries, data, k, metric, new(wi, m, k), new(wb, m, k), excludeSelf);
            BitSimilarity.TopK(queries, data, k, metric, new(i, m, k), new(b, m, k), excludeSelf, pool);
        }

        AssertSame<float>(scores, wanted, what);
        AssertSame<float>(best, wantedBest, what);
        AssertSame<long>(ids, wantedIds, what);

        // Radii that a score lies on and just beside it.
        float score = wanted.Length == 0 ? 0.5f : wanted[wanted.Length / 3];
        foreach (float radius in (float[])[score, MathF.BitDecrement(score), MathF.BitIncrement(score)])
        {
            RangeResult expected = BitSimilarityReference.Range(queries, data, radius, metric, excludeSelf);
            RangeResult found = BitSimilarity.Range(queries, data, radius, metric, excludeSelf, pool);
            AssertSame(found.Offsets, expected.Offsets, what);
            AssertSame(found.Ids, expected.Ids, what);
            AssertSame(found.Scores, expected.Scores, what);
        }
    }

    // NUnit's comparison of arrays takes more time than the search.
    private static void AssertSame<T>(ReadOnlySpan<T> actual, ReadOnlySpan<T> wanted, string what)
        where T : IEquatable<T>
    {
        if (!actual.SequenceEqual(wanted))
            Assert.That(actual.ToArray(), Is.EqualTo(wanted.ToArray()), what);
    }

    /// <summary>Rows of bits whose gaps hold ones, and whose first row begins at an odd address.</summary>
    private sealed class BitRows : IDisposable
    {
        private readonly AlignedBuffer<byte> _memory;
        private readonly int _bits;

        public BitRows(int rows, int bits, int gap)
        {
            int bytes = (bits + 7) / 8;
            _bits = bits;
            _memory = new(((nint)rows * (bytes + gap)) + 1);
            _memory.AsSpan().Fill(0xFF);
            View = new(_memory.Pointer + 1, rows, bytes, bytes + gap);
        }

        public MatrixView<byte> View { get; }

        public void Fill(Random random, double density)
        {
            for (int i = 0; i < View.Rows; i++)
            {
                Span<byte> row = View.RowSpan(i);
                row.Clear();
                for (int bit = 0; bit < _bits; bit++)
                {
                    if (random.NextDouble() < density)
                        row[bit / 8] |= (byte)(1 << (bit % 8));
                }
            }
        }

        public void Dispose() => _memory.Dispose();
    }
}

public sealed unsafe class BitSimilarityContractTests
{
    // 8 bits each: two of three in common with the first, nothing, itself, empty.
    private static readonly byte[] Rows = [0b0000_0110, 0b1111_0000, 0b0000_0111, 0];

    [TestCase(BitMetric.Hamming, new long[] { 2, 0, 3, 1 }, new float[] { 0, 1, 3, 7 })]
    [TestCase(BitMetric.Jaccard, new long[] { 2, 0, 1, 3 }, new float[] { 1, 2f / 3, 0, 0 })]
    public void TopKOfRowsKnownByHand(BitMetric metric, long[] wantedIds, float[] wantedScores)
    {
        long[] ids = new long[6];
        float[] scores = new float[6];
        BitSimilarity.TopK([0b0000_0111], Rows, 1, 6, metric, ids, scores);
        float worst = metric == BitMetric.Hamming ? float.PositiveInfinity : float.NegativeInfinity;
        Assert.Multiple(() =>
        {
            Assert.That(ids, Is.EqualTo((long[])[.. wantedIds, -1, -1]));
            Assert.That(scores, Is.EqualTo((float[])[.. wantedScores, worst, worst]));
        });
    }

    [Test]
    public void EmptyInputs()
    {
        long[] ids = new long[2];
        float[] scores = new float[2];
        BitSimilarity.TopK(Rows.AsSpan(0, 1), [], 1, 2, BitMetric.Jaccard, ids, scores);
        Assert.Multiple(() =>
        {
            Assert.That(ids, Is.All.EqualTo(-1));
            Assert.That(scores, Is.All.EqualTo(float.NegativeInfinity));
            Assert.That(() => BitSimilarity.TopK([], Rows, 1, 2, BitMetric.Hamming, [], []), Throws.Nothing);
            Assert.That(BitSimilarity.Range(new(null, 0, 4), new(null, 0, 4), 1, BitMetric.Hamming).Offsets.ToArray(), Is.EqualTo(new[] { 0 }));
            Assert.That(BitSimilarity.Range(new(null, 2, 0), new(null, 1, 0), 1, BitMetric.Jaccard).Offsets.ToArray(), Is.EqualTo(new[] { 0, 1, 2 }));
        });
    }

    [TestCase(BitMetric.Hamming, 1f, new long[] { 2, 0 })]
    [TestCase(BitMetric.Hamming, 0.99f, new long[] { 2 })]
    [TestCase(BitMetric.Hamming, -1f, new long[0])]
    [TestCase(BitMetric.Hamming, float.MinValue, new long[0])]
    [TestCase(BitMetric.Hamming, float.MaxValue, new long[] { 2, 0, 3, 1 })]
    [TestCase(BitMetric.Jaccard, 0.5f, new long[] { 2, 0 })]
    [TestCase(BitMetric.Jaccard, 0f, new long[] { 2, 0, 1, 3 })]
    [TestCase(BitMetric.Jaccard, 1f, new long[] { 2 })]
    [TestCase(BitMetric.Jaccard, 1.5f, new long[0])]
    [TestCase(BitMetric.Jaccard, float.MaxValue, new long[0])]
    [TestCase(BitMetric.Jaccard, float.MinValue, new long[] { 2, 0, 1, 3 })]
    public void RangeIncludesItsRadius(BitMetric metric, float radius, long[] wanted)
    {
        byte query = 0b0000_0111;
        fixed (byte* rows = Rows)
            Assert.That(BitSimilarity.Range(new(&query, 1, 1), new(rows, 4, 1), radius, metric).Ids.ToArray(), Is.EqualTo(wanted));
    }

    [Test]
    public void ArgumentsAreNamed()
    {
        long[] ids = new long[4];
        float[] scores = new float[4];
        using AlignedBuffer<byte> memory = new(1);
        byte* one = memory.Pointer;
        MatrixView<byte> row = new(one, 1, 1);
        Assert.Multiple(() =>
        {
            Assert.That(() => BitSimilarity.TopK([1], Rows, 1, 0, BitMetric.Hamming, ids, scores), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("k").And.Message.Contains("0"));
            Assert.That(() => BitSimilarity.TopK([1], Rows, 0, 4, BitMetric.Hamming, ids, scores), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("rowBytes"));
            Assert.That(() => BitSimilarity.TopK([1, 2, 3], Rows, 2, 4, BitMetric.Hamming, ids, scores), Throws.ArgumentException.With.Property("ParamName").EqualTo("queries").And.Message.Contains("3"));
            Assert.That(() => BitSimilarity.TopK([1, 2], Rows.AsSpan(1), 2, 4, BitMetric.Hamming, ids, scores), Throws.ArgumentException.With.Property("ParamName").EqualTo("data"));
            Assert.That(() => BitSimilarity.TopK([1], Rows, 1, 3, BitMetric.Hamming, ids, scores), Throws.ArgumentException.With.Property("ParamName").EqualTo("ids"));
            Assert.That(() => BitSimilarity.TopK([1], Rows, 1, 4, BitMetric.Hamming, ids, new float[3]), Throws.ArgumentException.With.Property("ParamName").EqualTo("scores"));
            Assert.That(() => BitSimilarity.TopK([1], Rows, 1, 4, (BitMetric)7, ids, scores), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("metric").And.Message.Contains("7"));
            Assert.That(() => BitSimilarity.Range(row, row, float.NaN, BitMetric.Hamming), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("radius").And.Message.Contains("NaN"));
            Assert.That(() => BitSimilarity.Range(row, new(one, 1, 0), 1, BitMetric.Hamming), Throws.ArgumentException.With.Property("ParamName").EqualTo("data"));
            Assert.That(() => BitSimilarity.Scores(row, row, BitMetric.Hamming, default), Throws.ArgumentException.With.Property("ParamName").EqualTo("scores"));
            Assert.That(
                () => BitSimilarity.Range(new(null, 0, BitSimilarity.MaxRowBytes + 1), new(null, 0, BitSimilarity.MaxRowBytes + 1), 1, BitMetric.Hamming),
                Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("data").And.Message.Contains("2097153"));
        });
        Assert.That(ids, Is.All.Zero, "nothing is written before the checks");
    }
}
