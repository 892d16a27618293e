using EmbeddingKernels.TestSupport;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

/// <summary>
/// Searches over rows of every element type, ids and bits of scores against double precision over the decoded numbers.
/// Stored numbers are small integers or multiples of 1/64 unless a test says otherwise, so sums are exact in any order.
/// </summary>
public sealed unsafe class StoredRowsSearchTests(IsaLevel level) : IsaFixture(level)
{
    public sealed record Setting(
        ElementType Type, bool Scaled, int M, int N, int Dimension, int K, SimilarityMetric Metric, bool ExcludeSelf, int Gap, int Values, int Threads, int Seed);

    private static readonly float[] ScaleChoices = [1f, 0.5f, 0f, -0.25f, 3f, -1f, -0f, 0.03125f];

    // Queries: few stream the data, then narrow tiles (at most a vector of them), wide ones, and both.
    private static readonly Gen<Setting> Cases =
        from type in Gen.Elements(Enum.GetValues<ElementType>())
        from scaled in Gen.Elements(false, true)
        from m in Gen.Frequency((3, Gen.Choose(1, 4)), (4, Gen.Choose(5, 40)))
        from n in Gen.Frequency((2, Gen.Choose(0, 40)), (3, Gen.Choose(60, 400)))
        from d in Gen.Frequency((4, Gen.Choose(1, 40)), (3, Gen.Choose(1, 6).Select(x => 16 * x)), (1, Gen.Choose(250, 600)), (1, Gen.Elements(256, 512, 576)))
        from k in Gen.Frequency((4, Gen.Choose(1, 12)), (1, Gen.Choose(13, 420)))
        from metric in Gen.Elements(Enum.GetValues<SimilarityMetric>())
        from self in Gen.Elements(false, true)
        from gap in Gen.Elements(0, 0, 4, 3, 12)
        from values in Gen.Elements(1, 3, 120)
        from threads in Gen.Elements(1, 1, 1, 3)
        from seed in Gen.Choose(0, int.MaxValue)
        select new Setting(type, scaled && type is ElementType.Int8 or ElementType.UInt8, m, n, d, k, metric, self, gap, values, threads, seed);

    [Test]
    public void RandomCasesAreExactlyTheReference() =>
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            Random random = new(c.Seed);
            using Rows queries = new(c.M, c.Dimension, c.Gap % 4);
            queries.Fill(() => random.Next(-c.Values, c.Values + 1) / 4f);
            using StoredRows data = Random(random, c.Type, c.N, c.Dimension, c.Gap, c.Scaled, c.Values);
            using WorkerPool pool = new(c.Threads);
            (long[] Ids, float[] Scores) result = Searches.TopK(queries.View, data.View, c.K, c.Metric, new SearchOptions { ExcludeSelf = c.ExcludeSelf }, pool);
            Searches.AssertIsTopK(result, Searches.Ranked(queries.View, data.Decoded(), c.Metric, c.ExcludeSelf), c.K, c.Metric, c.ToString());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(110));

    [Test]
    public void EveryNumberOfQueriesFindsTheSame([Values] ElementType type, [Values] SimilarityMetric metric)
    {
        // From one query to several panels of them, over rows of two blocks of depth with an odd end.
        const int N = 150, Dimension = 259, K = 4;
        Random random = new(7);
        using Rows queries = new(40, Dimension);
        queries.Fill(() => random.Next(-9, 10));
        using StoredRows data = Random(random, type, N, Dimension, 5, type is ElementType.Int8 or ElementType.UInt8, 9);
        (float, long)[][] ranked = Searches.Ranked(queries.View, data.Decoded(), metric);
        for (int m = 1; m <= 40; m++)
            Searches.AssertIsTopK(Searches.TopK(queries.View.Slice(0, m), data.View, K, metric), ranked[..m], K, metric, $"{m} queries");
    }

    [Test]
    public void ConstantScalesOfZeroAndBelow([Values(ElementType.Int8, ElementType.UInt8)] ElementType type, [Values] SimilarityMetric metric, [Values(3, 20)] int m)
    {
        Random random = new(3);
        foreach (float scale in new[] { 0f, -0f, -2f, 1e-20f, -1e-30f, 1e18f, -1e30f })
        {
            foreach (int dimension in new[] { 32, 37 })
            {
                using Rows queries = new(m, dimension);
                queries.Fill(() => random.Next(-9, 10));
                using StoredRows data = Random(random, type, 90, dimension, 0, false, 9);
                using StoredRows scaled = new(type, 90, dimension, 0, scaled: true);
                scaled.Fill(i => i % 7);
                for (int i = 0; i < 90; i++)
                {
                    Buffer.MemoryCopy(data.View.Row(i), scaled.View.Row(i), dimension, dimension);
                    scaled.SetScale(i, i % 5 == 4 ? 1f : scale);
                }

                // Scores that round: a double's last bit could tip one over, but does not for these numbers.
                Searches.AssertIsTopK(
                    Searches.TopK(queries.View, scaled.View, 100, metric), Searches.Ranked(queries.View, scaled.Decoded(), metric), 100, metric, $"scale {scale}, {dimension}");
            }
        }
    }

    [Test]
    public void SpecialNumbersAmongHalves(
        [Values(ElementType.Float16, ElementType.BFloat16, ElementType.Float32)] ElementType type, [Values] SimilarityMetric metric, [Values(2, 21)] int m, [Values(16, 19)] int dimension)
    {
        float[] special = [0f, -0f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, MathF.ScaleB(1, -24), type == ElementType.Float16 ? 65504f : MathF.ScaleB(255, 120), 1f];
        Random random = new(5);
        using Rows queries = new(m, dimension);
        queries.Fill(() => random.Next(-9, 10));
        queries.View.RowSpan(m - 1)[3] = float.PositiveInfinity;
        using StoredRows data = new(type, 240, dimension, 6);
        for (int i = 0; i < 240; i++)
        {
            float value = special[random.Next(special.Length)];
            for (int j = 0; j < dimension; j++)
                data.Set(i, j, i % 3 == 0 ? value : random.Next(-99, 100));
            if (i % 3 == 1)
                data.Set(i, i % dimension, value);
        }

        (float, long)[][] ranked = Searches.Ranked(queries.View, data.Decoded(), metric);
        Searches.AssertIsTopK(Searches.TopK(queries.View, data.View, 10, metric), ranked, 10, metric, "few");
        Searches.AssertIsTopK(Searches.TopK(queries.View, data.View, 250, metric), ranked, 250, metric, "all");
    }

    [Test]
    public void FloatsAtAnyByteAreReadRight([Values] SimilarityMetric metric, [Values(2, 12, 40)] int m, [Values(1, 2, 7)] int gap)
    {
        // Rows whose distance is no multiple of a float's size, as in files with odd headers.
        Random random = new(11);
        using Rows queries = new(m, 21);
        queries.Fill(() => random.Next(-9, 10));
        using StoredRows data = Random(random, ElementType.Float32, 130, 21, gap, false, 9);
        Searches.AssertIsTopK(Searches.TopK(queries.View, data.View, 6, metric), Searches.Ranked(queries.View, data.Decoded(), metric), 6, metric, "odd stride");
    }

    [Test]
    public void RowsFarFromTheOriginAreCentred([Values] ElementType type, [Values(SimilarityMetric.SquaredEuclidean, SimilarityMetric.Euclidean)] SimilarityMetric metric)
    {
        // Numbers around 100: for distances the middle is taken off first.
        Random random = new(19);
        using Rows queries = new(30, 48);
        queries.Fill(() => 100 + random.Next(-4, 5));
        using StoredRows data = new(type, 500, 48);
        data.Fill(_ => 100 + random.Next(-4, 5));
        Searches.AssertIsTopK(Searches.TopK(queries.View, data.View, 9, metric), Searches.Ranked(queries.View, data.Decoded(), metric), 9, metric, "centred");
    }

    [Test]
    public void BytesOfEverySizeAgainstQueriesThatIntegersCannotHold(
        [Values(ElementType.Int8, ElementType.UInt8)] ElementType type,
        [Values] SimilarityMetric metric,
        [Values(16, 48, 8192, 8208)] int dimension,
        [Values] bool scaled)
    {
        // Few queries are rounded to 16 bits: one that is, one with a number that hides the others, one whose parts are
        // far below a step, and one that only the exact sums can carry. The numbers of rows leave a rest of any size.
        int n = dimension > 1000 ? 22 : 203;
        Random random = new(dimension);
        using Rows queries = new(4, dimension);
        for (int j = 0; j < dimension; j++)
        {
            queries.View.Row(0)[j] = random.Next(-127, 128);
            queries.View.Row(1)[j] = j == dimension / 2 ? 1 << 20 : random.Next(-8, 9) / 64f;
            queries.View.Row(2)[j] = (random.Next(2) * 2048) - 1024 + (random.Next(-8, 9) / 1024f);
            queries.View.Row(3)[j] = random.Next(-8, 9) * MathF.ScaleB(1f, -110);
        }

        using StoredRows data = new(type, n, dimension, 3, scaled);
        data.Fill(_ => type == ElementType.Int8 ? random.Next(-128, 128) : random.Next(256));
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; i % 9 < 4 && j < dimension; j++)
                data.Set(i, j, (i % 9) switch { 0 => 0, 1 => type == ElementType.Int8 ? -128 : 255, 2 => j == dimension / 2 ? 1 : 0, _ => j % 2 });
            if (scaled)
                data.SetScale(i, ScaleChoices[random.Next(ScaleChoices.Length)]);
        }

        (float Score, long)[][] ranked = Searches.Ranked(queries.View, data.Decoded(), metric);
        for (int m = 1; m <= 4; m++)
        {
            foreach (int rows in new[] { n, n - 1, n - 2, n - 3, 2 })
            {
                (float, long Id)[][] wanted = [.. ranked[..m].Select(r => r.Where(x => x.Item2 < rows).ToArray())];
                Searches.AssertIsTopK(Searches.TopK(queries.View.Slice(0, m), data.View.Slice(0, rows), 5, metric), wanted, 5, metric, $"{m} queries, {rows} rows");
            }
        }

        for (int i = 0; i < 4; i++)
        {
            float radius = ranked[i][n / 3].Score;
            RangeResult within = Similarity.Range(queries.View.Slice(i, 1), data.View, radius, metric);
            Assert.That(within.Ids.ToArray(), Is.EqualTo(ranked[i].Where(x => metric.IsDistance() ? x.Score <= radius : x.Score >= radius).Select(x => x.Item2)), $"query {i}");
        }
    }

    private static StoredRows Random(Random random, ElementType type, int rows, int columns, int gap, bool scaled, int values)
    {
        StoredRows data = new(type, rows, columns, gap, scaled);
        bool bytes = type is ElementType.Int8 or ElementType.UInt8;
        data.Fill(_ => random.Next(type == ElementType.UInt8 ? 0 : -values, values + 1) / (bytes ? 1f : 64f));
        for (int i = 0; scaled && i < rows; i++)
            data.SetScale(i, ScaleChoices[random.Next(ScaleChoices.Length)]);

        // A few rows of zeros, which cosines treat apart.
        for (int i = 7; i < rows; i += 31)
        {
            for (int j = 0; j < columns; j++)
                data.Set(i, j, 0f);
        }

        return data;
    }
}
