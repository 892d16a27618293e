using EmbeddingKernels.TestSupport;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

/// <summary>
/// Against the double reference, ids and bits of scores. Values are multiples of 1/64 unless a test says otherwise, so sums
/// are exact in double in any order and ties are plenty.
/// </summary>
public sealed unsafe class TopKTests(IsaLevel level) : IsaFixture(level)
{
    public sealed record Setting(int M, int N, int Dimension, int K, SimilarityMetric Metric, bool ExcludeSelf, int Gap, int Values, int Threads, int Seed);

    private static readonly Gen<Setting> Cases =
        from m in Gen.Frequency((3, Gen.Choose(0, 12)), (2, Gen.Choose(13, 40)), (1, Gen.Choose(97, 130)))
        from n in Gen.Frequency((3, Gen.Choose(0, 40)), (3, Gen.Choose(100, 700)))
        from d in Gen.Frequency((4, Gen.Choose(0, 40)), (1, Gen.Choose(250, 300)))
        from k in Gen.Frequency((4, Gen.Choose(1, 12)), (1, Gen.Choose(13, 800)))
        from metric in Gen.Elements(Enum.GetValues<SimilarityMetric>())
        from self in Gen.Elements(false, true)
        from gap in Gen.Choose(0, 3)
        from values in Gen.Elements(1, 3, 200)
        from threads in Gen.Elements(1, 1, 1, 3)
        from seed in Gen.Choose(0, int.MaxValue)
        select new Setting(m, n, d, k, metric, self, gap, values, threads, seed);

    [Test]
    public void RandomCasesAreExactlyTheReference() =>
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            Random random = new(c.Seed);
            using Rows queries = new(c.M, c.Dimension, c.Gap), data = new(c.N, c.Dimension, c.Gap);
            queries.Fill(() => random.Next(-c.Values, c.Values + 1) / 64f);
            data.Fill(() => random.Next(-c.Values, c.Values + 1) / 64f);
            using WorkerPool pool = new(c.Threads);
            AssertIsReference(queries, data, c.K, c.Metric, c.ExcludeSelf, pool, c.ToString());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(100));

    [Test]
    public void SpecialValuesAreExactlyTheReference([Values] SimilarityMetric metric, [Values(3, 30)] int m)
    {
        float[] special = [0f, -0f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, 1e38f, -1e38f, 3e20f, 1e-20f, 1e-38f, 1e-45f, 1f];
        Random random = new(5);
        using Rows queries = new(m, 5), data = new(300, 5);
        // Rows of ordinary values, rows with one special value, and rows of one special value throughout.
        for (int i = 0; i < 300; i++)
        {
            float value = special[random.Next(special.Length)];
            foreach (ref float x in data.View.RowSpan(i))
                x = i % 3 == 0 ? value : random.Next(-200, 201) / 64f;
            if (i % 3 == 1)
                data.View.RowSpan(i)[i % 5] = value;
            if (i < m)
                data.View.RowSpan(299 - i).CopyTo(queries.View.RowSpan(i));
        }

        AssertIsReference(queries, data, 20, metric, false, null, "special values");
        AssertIsReference(queries, data, 400, metric, false, null, "special values, all rows");
        AssertIsReference(data, data, 20, metric, true, null, "special values, not itself");
    }

    [Test]
    public void OffsetsAndNearDuplicatesKeepTheirOrder(
        [Values(SimilarityMetric.SquaredEuclidean, SimilarityMetric.Euclidean)] SimilarityMetric metric, [Values(2, 40)] int m)
    {
        // Clusters of near duplicates far from each other and from the origin: no common centre helps.
        Random random = new(7);
        using Rows data = new(900, 24);
        for (int i = 0; i < 900; i++)
        {
            Span<float> row = data.View.RowSpan(i);
            for (int j = 0; j < row.Length; j++)
                row[j] = (i % 3 * 10_000f) + ((j + (i % 3)) % 7 * 1000f) + (random.Next(-8, 9) / 512f);
            if (i % 90 == 45)
                data.View.RowSpan(i - 3).CopyTo(row);
        }

        using Rows queries = new(m, 24);
        for (int i = 0; i < m; i++)
            data.View.RowSpan((i * 22) + 1).CopyTo(queries.View.RowSpan(i));
        (long[] ids, float[] scores) = AssertIsReference(queries, data, 15, metric, false, null, "clusters");
        for (int i = 0; i < m; i++)
        {
            long self = (i * 22) + 1;
            Assert.That((ids[i * 15], scores[i * 15]), Is.EqualTo((self % 90 == 45 ? self - 3 : self, 0f)));
        }
    }

    [Test]
    public void QueriesFarFromTheDataAreRankedRight([Values] SimilarityMetric metric, [Values(3, 40)] int m)
    {
        // All rows are almost equally far: what tells them apart is far below the rounding of a squared norm.
        Random random = new(17);
        using Rows data = new(600, 40), queries = new(m, 40);
        data.Fill(() => random.Next(-64, 65) / 64f);
        queries.Fill(() => (random.Next(2) * 200_000) - 100_000 + (random.Next(-64, 65) / 64f));
        AssertIsReference(queries, data, 15, metric, false, null, "far queries");
        AssertIsReference(data, queries, 2, metric, false, null, "far data");
    }

    [Test]
    public void NormsThatUnderflowKeepEveryRow([Values] SimilarityMetric metric, [Values(3, 30)] int m)
    {
        // Squares of such numbers are zero in single precision, and their products may not be.
        Random random = new(59);
        using Rows queries = new(m, 21), data = new(60, 21);
        foreach (int queryExponent in new[] { 0, -50, -80, -100, -120 })
        {
            foreach (int dataExponent in new[] { 0, -20, -80, -100 })
            {
                queries.Fill(() => MathF.ScaleB(random.Next(-9, 10), queryExponent));
                data.Fill(() => MathF.ScaleB(random.Next(-9, 10), dataExponent));
                AssertIsReference(queries, data, 5, metric, false, null, $"2^{queryExponent}, 2^{dataExponent}");
                AssertIsReference(queries, data, 80, metric, false, null, $"2^{queryExponent}, 2^{dataExponent}, all rows");
            }
        }
    }

    [Test]
    public void IdenticalRowsHaveDistanceZeroAndTheLowestIndicesWin([Values(1, 50)] int m)
    {
        using Rows data = new(1000, 33), queries = new(m, 33);
        Random random = new(3);
        float[] row = Enumerable.Range(0, 33).Select(_ => (float)random.NextDouble() * 1e4f).ToArray();
        data.Fill(row);
        queries.Fill(row);
        (long[] ids, float[] scores) = AssertIsReference(queries, data, 7, SimilarityMetric.Euclidean, false, null, "all the same");
        Assert.Multiple(() =>
        {
            Assert.That(ids[..7], Is.EqualTo(new long[] { 0, 1, 2, 3, 4, 5, 6 }));
            Assert.That(scores, Is.All.Zero);
        });
        AssertIsReference(queries, data, 7, SimilarityMetric.Euclidean, true, null, "all the same but itself");
        AssertIsReference(queries, data, 7, SimilarityMetric.Cosine, true, null, "all the same but itself");
    }

    [Test]
    public void ZeroVectorsHaveCosineZero([Values(2, 20)] int m)
    {
        using Rows data = new(200, 9), queries = new(m, 9);
        Random random = new(1);
        data.Fill(() => random.Next(-5, 6) / 64f);
        for (int i = 0; i < 200; i += 2)
            data.View.RowSpan(i).Clear();
        (long[] ids, float[] scores) = AssertIsReference(queries, data, 5, SimilarityMetric.Cosine, false, null, "zero queries");
        Assert.Multiple(() =>
        {
            Assert.That(ids[..5], Is.EqualTo(new long[] { 0, 1, 2, 3, 4 }));
            Assert.That(scores, Is.All.Zero);
        });
        queries.Fill(() => random.Next(-5, 6) / 64f);
        AssertIsReference(queries, data, 150, SimilarityMetric.Cosine, false, null, "zero rows");
    }

    [Test]
    public void ThreadsBatchesAndLevelsDoNotChangeAnything([Values] SimilarityMetric metric)
    {
        // Ordinary floats: scores round, and still everything is the same.
        Random random = new(11);
        using Rows data = new(5000, 50), queries = new(150, 50);
        data.Fill(() => (float)random.NextDouble() - 0.4f);
        queries.Fill(() => (float)random.NextDouble() - 0.4f);
        (long[] ids, float[] scores) = Search(queries.View, data, 10, metric, false, null);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            AssertSame(Search(queries.View, data, 10, metric, false, pool), ids, scores, $"{threads} threads");
            AssertSame(Search(queries.View.Slice(0, 5), data, 10, metric, false, pool), ids[..50], scores[..50], $"5 queries, {threads} threads");
            AssertSame(Search(queries.View.Slice(0, 20), data, 10, metric, false, pool), ids[..200], scores[..200], $"20 queries, {threads} threads");
        }

        for (int i = 0; i < 150; i += 37)
            AssertSame(Search(queries.View.Slice(i, 1), data, 10, metric, false, null), ids[(i * 10)..((i * 10) + 10)], scores[(i * 10)..((i * 10) + 10)], $"query {i} alone");
        using (Isa.Use(IsaLevel.Scalar))
            AssertSame(Search(queries.View.Slice(0, 30), data, 10, metric, false, null), ids[..300], scores[..300], "scalar level");
    }

    [Test]
    public void SeveralPartsOfTheDataAndSeveralBatchesOfQueries()
    {
        // Rows so long that 96 of them make a batch of queries, and 32 of them a part of the data.
        Random random = new(13);
        using Rows data = new(70, 40_000), queries = new(110, 40_000);
        data.Fill(() => random.Next(-200, 201) / 64f);
        queries.Fill(() => random.Next(-200, 201) / 64f);
        (long[] ids, float[] scores) = Search(queries.View, data, 3, SimilarityMetric.SquaredEuclidean, false, null);
        for (int i = 0; i < 110; i += 9)
        {
            long[] wantedIds = new long[3];
            float[] wantedScores = new float[3];
            fixed (long* pi = wantedIds)
            fixed (float* ps = wantedScores)
                SimilarityReference.TopK(queries.View.Slice(i, 1), data.View, 3, SimilarityMetric.SquaredEuclidean, new(pi, 1, 3), new(ps, 1, 3), false);
            AssertSame((ids[(i * 3)..((i * 3) + 3)], scores[(i * 3)..((i * 3) + 3)]), wantedIds, wantedScores, $"query {i}");
        }
    }

    [Test]
    public void NothingOutsideTheRowsIsRead()
    {
        for (int dimension = 0; dimension <= 70; dimension++)
        {
            foreach (int m in new[] { 1, 14 })
            {
                int n = 3 + (dimension % 5);
                using GuardedBuffer<float> queries = new(m * dimension), data = new(n * dimension), scores = new(m * 2);
                using GuardedBuffer<long> ids = new(m * 2);
                Random random = new(dimension);
                foreach (ref float value in queries.Span)
                    value = random.Next(-9, 10);
                foreach (ref float value in data.Span)
                    value = random.Next(-9, 10);
                foreach (SimilarityMetric metric in Enum.GetValues<SimilarityMetric>())
                {
                    MatrixView<float> q = new(queries.Pointer, m, dimension), x = new(data.Pointer, n, dimension);
                    Similarity.TopK(q, x, 2, metric, new(ids.Pointer, m, 2), new(scores.Pointer, m, 2));
                    long[] wantedIds = new long[m * 2];
                    float[] wantedScores = new float[m * 2];
                    fixed (long* pi = wantedIds)
                    fixed (float* ps = wantedScores)
                        SimilarityReference.TopK(q, x, 2, metric, new(pi, m, 2), new(ps, m, 2), false);
                    Assert.That(ids.Span.SequenceEqual(wantedIds) && scores.Span.SequenceEqual(wantedScores), Is.True, $"{metric} {dimension} {m}");
                }
            }
        }
    }

    [Test]
    public void ARepeatedCallAllocatesNothing([Values(4, 40)] int m)
    {
        Random random = new(2);
        using Rows data = new(500, 30), queries = new(m, 30);
        data.Fill(() => (float)random.NextDouble());
        queries.Fill(() => (float)random.NextDouble());
        using AlignedBuffer<long> ids = new(m * 5);
        using AlignedBuffer<float> scores = new(m * 5);
        long Allocated()
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Similarity.TopK(queries.View, data.View, 5, SimilarityMetric.Euclidean, new(ids.Pointer, m, 5), new(scores.Pointer, m, 5));
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        // Scratch memory finds its place in the pool within a few calls.
        for (int i = 0; i < 4; i++)
            Allocated();
        Assert.That(Allocated(), Is.Zero);
    }

    private static (long[] Ids, float[] Scores) AssertIsReference(
        Rows queries, Rows data, int k, SimilarityMetric metric, bool excludeSelf, WorkerPool? pool, string what)
    {
        (long[] ids, float[] scores) = Search(queries.View, data, k, metric, excludeSelf, pool);
        long[] wantedIds = new long[ids.Length];
        float[] wantedScores = new float[ids.Length];
        fixed (long* pi = wantedIds)
        fixed (float* ps = wantedScores)
            SimilarityReference.TopK(queries.View, data.View, k, metric, new(pi, queries.View.Rows, k), new(ps, queries.View.Rows, k), excludeSelf);
        AssertSame((ids, scores), wantedIds, wantedScores, what);
        return (ids, scores);
    }

    private static (long[] Ids, float[] Scores) Search(MatrixView<float> queries, Rows data, int k, SimilarityMetric metric, bool excludeSelf, WorkerPool? pool)
    {
        long[] ids = new long[queries.Rows * k];
        float[] scores = new float[queries.Rows * k];
        fixed (long* pi = ids)
        fixed (float* ps = scores)
            Similarity.TopK(queries, data.View, k, metric, new(pi, queries.Rows, k), new(ps, queries.Rows, k), excludeSelf, pool);
        return (ids, scores);
    }

    private static void AssertSame((long[] Ids, float[] Scores) result, long[] ids, float[] scores, string what)
    {
        for (int i = 0; i < ids.Length; i++)
        {
            if (result.Ids[i] != ids[i] || result.Scores[i] != scores[i])
                Assert.Fail($"{what}: slot {i} is ({result.Ids[i]}, {result.Scores[i]:R}) and should be ({ids[i]}, {scores[i]:R})");
        }
    }
}
