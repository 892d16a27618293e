using System.Runtime.InteropServices;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>What a result must not depend on: k, the other queries of a call, their order; and what a search costs in memory.</summary>
public sealed unsafe class SearchInvarianceTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void TheFirstOfManyAreTheManyOfFew(
        [Values(SimilarityMetric.Cosine, SimilarityMetric.Euclidean)] SimilarityMetric metric, [Values(3, 9)] int m, [Values(700, 2600)] int n)
    {
        const int Most = 2048;
        Random random = new(37);
        using Rows queries = new(m, 12), data = new(n, 12);
        queries.Fill(() => (float)random.NextDouble() - 0.4f);
        data.Fill(() => (float)random.NextDouble() - 0.4f);
        for (int i = 50; i < n; i += 50)
            data.View.RowSpan(i / 2).CopyTo(data.View.RowSpan(i));
        (long[] Ids, float[] Scores) all = Searches.TopK(queries.View, data.View, Most, metric);
        for (int i = 0; i < m * Most; i++)
        {
            // Best first, ties by the lower index, then padding.
            int place = i % Most;
            Assert.That(all.Ids[i] == Similarity.NoId, Is.EqualTo(place >= n));
            if (place == 0 || place >= n)
                continue;
            bool ordered = all.Scores[i] == all.Scores[i - 1] ? all.Ids[i] > all.Ids[i - 1] : metric.IsDistance() == all.Scores[i] > all.Scores[i - 1];
            if (!ordered)
                Assert.Fail($"({all.Ids[i - 1]}, {all.Scores[i - 1]:R}) stands before ({all.Ids[i]}, {all.Scores[i]:R})");
        }

        foreach (int k in new[] { 1, 2, 3, 9, 15, 16, 17, 18, 48, 100, 255, 600, 699, 701, 1024, 2047 })
        {
            (long[] ids, float[] scores) = Searches.TopK(queries.View, data.View, k, metric);
            for (int i = 0; i < m; i++)
            {
                if (!ids.AsSpan(i * k, k).SequenceEqual(all.Ids.AsSpan(i * Most, k)) || !scores.AsSpan(i * k, k).SequenceEqual(all.Scores.AsSpan(i * Most, k)))
                    Assert.Fail($"query {i}: the first {k} are not those of {Most}");
            }
        }
    }

    [Test]
    public void QueriesDoNotKnowOfEachOther([Values] SimilarityMetric metric)
    {
        const int M = 73, K = 6;
        Random random = new(41);
        using Rows queries = new(M, 33), data = new(1500, 33), shuffled = new(M, 33);
        queries.Fill(() => 2f + (float)random.NextDouble());
        data.Fill(() => 2f + (float)random.NextDouble());
        (long[] Ids, float[] Scores) all = Searches.TopK(queries.View, data.View, K, metric);
        int[] order = [.. Enumerable.Range(0, M)];
        random.Shuffle(order);
        for (int i = 0; i < M; i++)
            queries.View.RowSpan(order[i]).CopyTo(shuffled.View.RowSpan(i));
        using WorkerPool pool = new(3);
        (long[] ids, float[] scores) = Searches.TopK(shuffled.View, data.View, K, metric, pool: pool);
        for (int i = 0; i < M; i++)
        {
            Searches.AssertSame(
                (ids[(i * K)..((i + 1) * K)], scores[(i * K)..((i + 1) * K)]), (all.Ids[(order[i] * K)..((order[i] + 1) * K)], all.Scores[(order[i] * K)..((order[i] + 1) * K)]), $"query {order[i]} at {i}");
        }

        int start = 0;
        foreach (int size in new[] { 1, 2, 4, 5, 8, 9, 16, 17, 11 })
        {
            Searches.AssertSame(
                Searches.TopK(queries.View.Slice(start, size), data.View, K, metric),
                (all.Ids[(start * K)..((start + size) * K)], all.Scores[(start * K)..((start + size) * K)]),
                $"{size} queries from {start}");
            start += size;
        }

        Assert.That(start, Is.EqualTo(M));
    }

    [Test]
    public void AroundTheLargestBatchOfQueries()
    {
        const int K = 1800, N = 1900, Threads = 3;
        Random random = new(43);
        using Rows data = new(N, 6);
        data.Fill(() => random.Next(-99, 100));
        using WorkerPool pool = new(Threads);
        SearchProblem problem = new(new MatrixView<float>(data.View.Data, 1_000_000, 6), data.View, K, null, SimilarityMetric.SquaredEuclidean, ZeroVectorRule.ScoreZero, SearchProblem.NoSelf, 0);
        int batch = (int)SearchBatch.Queries(problem, Threads);
        Assert.That(batch, Is.InRange(32, 2000));
        using Rows queries = new(batch + 17, 6);
        queries.Fill(() => random.Next(-99, 100));
        (long[] Ids, float[] Scores) all = Searches.TopK(queries.View, data.View, K, SimilarityMetric.SquaredEuclidean, pool: pool);
        foreach (int m in new[] { batch - 1, batch, batch + 1 })
            Searches.AssertSame(Searches.TopK(queries.View.Slice(0, m), data.View, K, SimilarityMetric.SquaredEuclidean, pool: pool), (all.Ids[..(m * K)], all.Scores[..(m * K)]), $"{m} queries");
        for (int i = batch - 3; i < batch + 3; i++)
            Searches.AssertSame(Searches.TopK(queries.View.Slice(i, 1), data.View, K, SimilarityMetric.SquaredEuclidean), (all.Ids[(i * K)..((i + 1) * K)], all.Scores[(i * K)..((i + 1) * K)]), $"query {i}");
    }

    /// <summary>
    /// PyTorch's issue 42479: |a|^2 + |b|^2 - 2 ab in single precision gives 0 for two numbers that are 109 apart.
    /// </summary>
    [Test]
    public void NumbersWhoseExpansionCancelsKeepTheirDistance([Values(1, 4, 30)] int m, [Values(1, 3, 60)] int n, [Values(1, 9)] int dimension)
    {
        const float A = 512695, B = 512804;
        Assert.That((A * A) + (B * B) - (2 * A * B), Is.Zero, "the case shows nothing");
        using Rows queries = new(m, dimension), data = new(n, dimension), scores = new(m, n);
        float[] row = new float[dimension];
        row[dimension / 2] = A;
        queries.Fill(row);
        row[dimension / 2] = B;
        data.Fill(row);
        foreach ((SimilarityMetric metric, float distance) in new[] { (SimilarityMetric.Euclidean, 109f), (SimilarityMetric.SquaredEuclidean, 109f * 109f) })
        {
            (long[] ids, float[] found) = Searches.TopK(queries.View, data.View, 1, metric);
            Assert.That(ids, Is.All.Zero);
            Assert.That(found, Is.All.EqualTo(distance));
            Similarity.Scores(queries.View, data.View, metric, scores.View);
            for (int i = 0; i < m; i++)
                Assert.That(scores.View.RowSpan(i).ToArray(), Is.All.EqualTo(distance));
            Assert.That(Similarity.Range(queries.View, data.View, MathF.BitDecrement(distance), metric).Ids.Length, Is.Zero);
            RangeResult within = Similarity.Range(queries.View, data.View, distance, metric);
            Assert.That(within.Ids.Length, Is.EqualTo(m * n));
            Assert.That(within.Scores.ToArray(), Is.All.EqualTo(distance));
        }
    }

    [Test]
    public void ManyNumbersWhoseExpansionCancels([Values(2, 30)] int m)
    {
        // The same with neighbours at every distance, where the expansion would order them by chance.
        using Rows queries = new(m, 1), data = new(400, 1), scores = new(m, 400);
        for (int j = 0; j < 400; j++)
            data.View.Row(j)[0] = 512695 + (j * 151 % 400);
        for (int i = 0; i < m; i++)
            queries.View.Row(i)[0] = 512695 + (i * 7);
        (float Score, long Id)[][] ranked = Searches.Ranked(queries.View, [.. Enumerable.Range(0, 400).Select(j => new double[] { data.View.Row(j)[0] })], SimilarityMetric.Euclidean);
        Searches.AssertIsTopK(Searches.TopK(queries.View, data.View, 40, SimilarityMetric.Euclidean), ranked, 40, SimilarityMetric.Euclidean, "near each other");
        RangeResult within = Similarity.Range(queries.View, data.View, 20f, SimilarityMetric.Euclidean);
        Assert.That(within.Ids.ToArray(), Is.EqualTo(ranked.SelectMany(r => r.Where(x => x.Score <= 20f).Select(x => x.Id))));
        Similarity.Scores(queries.View, data.View, SimilarityMetric.Euclidean, scores.View);
        for (int i = 0; i < m; i++)
        {
            foreach ((float score, long id) in ranked[i])
                Assert.That(scores.View.Row(i)[id], Is.EqualTo(score).Within(1e-4 * score));
        }
    }

    [Test]
    public void ManagedMemoryDoesNotGrowWithTheData([Values(2, 30)] int m, [Values(ElementType.Float32, ElementType.Int8)] ElementType type)
    {
        const int N = 40_000;
        Random random = new(53);
        using Rows queries = new(m, 8), floats = new(N, 8);
        queries.Fill(() => random.Next(-128, 128));
        floats.Fill(() => random.Next(-128, 128));
        sbyte[] bytes = GC.AllocateUninitializedArray<sbyte>(N * 8, pinned: true);
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] = (sbyte)floats.View.Data[i];
        RowsView data = type == ElementType.Int8 ? new RowsView((void*)Marshal.UnsafeAddrOfPinnedArrayElement(bytes, 0), type, N, 8, 8) : floats.View;
        using AlignedBuffer<long> ids = new(m * 4);
        using AlignedBuffer<float> scores = new(m * 4);
        long Allocated()
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Similarity.TopK(queries.View, data, 4, SimilarityMetric.Euclidean, new(ids.Pointer, m, 4), new(scores.Pointer, m, 4));
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        // Scratch memory finds its place in the pool within some calls: more of them, the more sizes other tests left there.
        Assert.That(Enumerable.Range(0, 20).Min(_ => Allocated()), Is.LessThanOrEqualTo(1024));
    }
}
