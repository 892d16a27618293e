using EmbeddingKernels.TestSupport;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Range searches against brute force in double precision: the same rows in the same order with the same bits.</summary>
public sealed unsafe class RangeTests(IsaLevel level) : IsaFixture(level)
{
    public sealed record Setting(
        ElementType Type, int M, int N, int Dimension, SimilarityMetric Metric, bool ExcludeSelf, int Values, double Quantile, bool Between, int Threads, int Seed);

    private static readonly Gen<Setting> Cases =
        from type in Gen.Frequency((2, Gen.Constant(ElementType.Float32)), (1, Gen.Elements(Enum.GetValues<ElementType>())))
        from m in Gen.Frequency((1, Gen.Choose(1, 4)), (1, Gen.Choose(5, 40)))
        from n in Gen.Frequency((1, Gen.Choose(0, 40)), (2, Gen.Choose(60, 400)))
        from d in Gen.Frequency((4, Gen.Choose(0, 40)), (1, Gen.Choose(250, 300)))
        from metric in Gen.Elements(Enum.GetValues<SimilarityMetric>())
        from self in Gen.Elements(false, true)
        from values in Gen.Elements(1, 3, 100)
        from quantile in Gen.Elements(0.0, 0.01, 0.1, 0.5, 1.0)
        from between in Gen.Elements(false, false, true)
        from threads in Gen.Elements(1, 1, 1, 3)
        from seed in Gen.Choose(0, int.MaxValue)
        select new Setting(type, m, n, d, metric, self, values, quantile, between, threads, seed);

    [Test]
    public void RandomCasesAreExactlyTheReference() =>
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            Random random = new(c.Seed);
            using Rows queries = new(c.M, c.Dimension);
            queries.Fill(() => random.Next(-c.Values, c.Values + 1));
            using StoredRows data = new(c.Type, c.N, c.Dimension, 4);
            data.Fill(_ => random.Next(c.Type == ElementType.UInt8 ? 0 : -c.Values, c.Values + 1));
            (float Score, long Id)[][] ranked = Searches.Ranked(queries.View, data.Decoded(), c.Metric, c.ExcludeSelf);

            // A score that occurs, as a rule of many rows, or the float after it.
            float[] scores = [.. ranked.SelectMany(r => r.Select(x => x.Score)).Order()];
            float radius = scores.Length == 0 ? 1f : scores[(int)(c.Quantile * (scores.Length - 1))];
            radius = c.Between ? MathF.BitIncrement(radius) : radius;
            using WorkerPool pool = new(c.Threads);
            AssertIs(Similarity.Range(queries.View, data.View, radius, c.Metric, c.ExcludeSelf, pool), ranked, radius, c.Metric, c.ToString());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(100));

    [Test]
    public void AnyRadiusThatIsFiniteWillDo([Values] SimilarityMetric metric, [Values(2, 30)] int m)
    {
        Random random = new(23);
        using Rows queries = new(m, 12), data = new(150, 12);
        queries.Fill(() => random.Next(-9, 10));
        data.Fill(() => random.Next(-9, 10));
        double[][] decoded = Decoded(data);
        (float, long)[][] ranked = Searches.Ranked(queries.View, decoded, metric);
        foreach (float radius in new[] { 0f, -0f, -1f, -300f, 1f, 20f, 400f, float.MaxValue, float.MinValue, float.Epsilon, -float.Epsilon, 1e20f, -1e20f })
            AssertIs(Similarity.Range(queries.View, data.View, radius, metric), ranked, radius, metric, $"radius {radius}");
    }

    [Test]
    public void SpecialValuesAreExactlyTheReference([Values] SimilarityMetric metric, [Values(3, 30)] int m)
    {
        float[] special = [0f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, 1e38f, -1e38f, 1e-20f, 1e-45f, 1f];
        Random random = new(5);
        using Rows queries = new(m, 5), data = new(200, 5);
        for (int i = 0; i < 200; i++)
        {
            data.View.RowSpan(i).Fill(special[i % special.Length]);
            if (i % 2 == 0)
                data.View.RowSpan(i)[i % 5] = random.Next(-9, 10);
            if (i < m)
                data.View.RowSpan(i).CopyTo(queries.View.RowSpan(i));
        }

        (float, long)[][] ranked = Searches.Ranked(queries.View, Decoded(data), metric);
        foreach (float radius in new[] { 0f, 0.5f, -0.5f, 3f, 1e38f, -1e38f })
            AssertIs(Similarity.Range(queries.View, data.View, radius, metric), ranked, radius, metric, $"radius {radius}");
    }

    [Test]
    public void ThreadsDoNotChangeTheOrder([Values] SimilarityMetric metric, [Values(3, 60)] int m)
    {
        Random random = new(29);
        using Rows queries = new(m, 20), data = new(3000, 20);
        queries.Fill(() => (float)random.NextDouble() - 0.3f);
        data.Fill(() => (float)random.NextDouble() - 0.3f);
        float radius = metric switch
        {
            SimilarityMetric.Dot => 2f,
            SimilarityMetric.Cosine => 0.6f,
            SimilarityMetric.SquaredEuclidean => 2f,
            _ => 1.4f,
        };
        RangeResult serial = Similarity.Range(queries.View, data.View, radius, metric);
        Assert.That(serial.Ids.Length, Is.GreaterThan(100));
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            RangeResult parallel = Similarity.Range(queries.View, data.View, radius, metric, pool: pool);
            Assert.That(parallel.Offsets.SequenceEqual(serial.Offsets) && parallel.Ids.SequenceEqual(serial.Ids) && parallel.Scores.SequenceEqual(serial.Scores), Is.True, $"{threads} threads");
        }
    }

    [Test]
    public void SeveralBatchesOfQueriesFollowEachOther()
    {
        // Rows so long that a batch has few queries.
        const int Dimension = 120_000;
        using Rows queries = new(40, Dimension), data = new(45, Dimension);
        for (int i = 0; i < 45; i++)
        {
            data.View.RowSpan(i)[i] = 1f;
            if (i < 40)
                queries.View.RowSpan(i)[i] = queries.View.RowSpan(i)[i + 5] = 1f;
        }

        RangeResult result = Similarity.Range(queries.View, data.View, 1f, SimilarityMetric.Dot);
        Assert.That(result.Ids.ToArray(), Is.EqualTo(Enumerable.Range(0, 40).SelectMany(i => new long[] { i, i + 5 })));
        Assert.That(result.Offsets.ToArray(), Is.EqualTo(Enumerable.Range(0, 41).Select(i => 2 * i)));
    }

    [Test]
    public void NoDataAndNoQueriesGiveNothing()
    {
        using Rows queries = new(3, 2), none = new(0, 2);
        foreach (SimilarityMetric metric in Enum.GetValues<SimilarityMetric>())
        {
            RangeResult result = Similarity.Range(queries.View, none.View, 1f, metric);
            Assert.That(result.Offsets.ToArray(), Is.EqualTo(new int[4]));
            Assert.That(result.Ids.Length + result.Scores.Length, Is.Zero);
            Assert.That(result.OfQuery(2).Ids.Length, Is.Zero);
            Assert.That(Similarity.Range(none.View, queries.View, 1f, metric).Offsets.ToArray(), Is.EqualTo(new int[1]));
        }
    }

    [Test]
    public void ArgumentsAreNamed()
    {
        using Rows queries = new(3, 2), data = new(4, 3), same = new(4, 2);
        Assert.Multiple(() =>
        {
            Assert.That(() => Similarity.Range(queries.View, data.View, 1f, SimilarityMetric.Dot), Throws.ArgumentException.With.Property("ParamName").EqualTo("data"));
            Assert.That(() => Similarity.Range(queries.View, same.View, 1f, (SimilarityMetric)4), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("metric"));
            foreach (float radius in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
                Assert.That(() => Similarity.Range(queries.View, same.View, radius, SimilarityMetric.Dot), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("radius"));
            RangeResult result = Similarity.Range(queries.View, same.View, 1f, SimilarityMetric.Dot);
            foreach (int query in new[] { -1, 3 })
                Assert.That(() => result.OfQuery(query), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("query"));
        });
    }

    private static double[][] Decoded(Rows rows) =>
        [.. Enumerable.Range(0, (int)rows.View.Rows).Select(i => rows.View.RowSpan(i).ToArray().Select(x => (double)x).ToArray())];

    private static void AssertIs(RangeResult result, (float Score, long Id)[][] ranked, float radius, SimilarityMetric metric, string what)
    {
        Assert.That(result.Offsets.Length, Is.EqualTo(ranked.Length + 1), what);
        for (int i = 0; i < ranked.Length; i++)
        {
            (float Score, long Id)[] wanted = [.. ranked[i].Where(x => metric.IsDistance() ? x.Score <= radius : x.Score >= radius)];
            (ReadOnlyMemory<long> ids, ReadOnlyMemory<float> scores) = result.OfQuery(i);
            bool same = result.Offsets[i + 1] - result.Offsets[i] == wanted.Length && ids.Length == wanted.Length && scores.Length == wanted.Length;
            for (int r = 0; same && r < wanted.Length; r++)
                same = ids.Span[r] == wanted[r].Id && scores.Span[r] == wanted[r].Score && result.Ids[result.Offsets[i] + r] == wanted[r].Id;
            if (!same)
                Assert.Fail($"{what}, radius {radius:R}: query {i} has {ids.Length} rows ({string.Join(' ', ids[..Math.Min(5, ids.Length)].ToArray())}...), expected {wanted.Length} ({string.Join(' ', wanted.Take(5))}...)");
        }
    }
}
