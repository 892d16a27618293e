using EmbeddingKernels.TestSupport;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class ScoresTests(IsaLevel level) : IsaFixture(level)
{
    public sealed record Setting(int M, int N, int Dimension, SimilarityMetric Metric, int Gap, float Offset, float Scale, int Seed);

    private static readonly Gen<Setting> Settings =
        from m in Gen.Frequency((3, Gen.Choose(0, 12)), (2, Gen.Choose(13, 60)))
        from n in Gen.Frequency((3, Gen.Choose(0, 40)), (1, Gen.Choose(100, 600)))
        from d in Gen.Frequency((4, Gen.Choose(0, 40)), (1, Gen.Choose(250, 530)))
        from metric in Gen.Elements(Enum.GetValues<SimilarityMetric>())
        from gap in Gen.Choose(0, 3)
        from offset in Gen.Elements(0f, 0f, 3f, 1e4f)
        from scale in Gen.Elements(1f, 1e-10f, 1e10f, 1e25f)
        from seed in Gen.Choose(0, int.MaxValue)
        select new Setting(m, n, d, metric, gap, offset, scale, seed);

    [Test]
    public void RandomSettingsAreWithinTheStatedError() =>
        Prop.ForAll(Settings.ToArbitrary(), s =>
        {
            Random random = new(s.Seed);
            using Rows queries = new(s.M, s.Dimension, s.Gap), data = new(s.N, s.Dimension, s.Gap), scores = new(s.M, s.N, s.Gap);
            queries.Fill(() => s.Scale * (s.Offset + (float)random.NextDouble()));
            data.Fill(() => s.Scale * (s.Offset + (float)random.NextDouble()));

            // Near and exact duplicates of queries, and zero rows.
            for (int j = 0; j < Math.Min(s.M, s.N); j += 3)
            {
                queries.View.RowSpan(j).CopyTo(data.View.RowSpan(j));
                if (j % 2 == 0 && s.Dimension > 0)
                    data.View.RowSpan(j)[0] *= 1.001f;
                if (j % 5 == 0)
                    data.View.RowSpan(j).Clear();
            }

            Similarity.Scores(queries.View, data.View, s.Metric, scores.View);
            AssertClose(queries.View, data.View, s.Metric, scores.View, s.ToString());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(100));

    [Test]
    public void SpecialValuesGiveWhatDoublePrecisionGives([Values] SimilarityMetric metric, [Values(3, 30)] int m)
    {
        float[] special = [0f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, 1e38f, -1e38f, 1e-20f, 1e-45f, 1f];
        Random random = new(5);
        using Rows queries = new(m, 5), data = new(90, 5), scores = new(m, 90);
        for (int i = 0; i < 90; i++)
        {
            data.View.RowSpan(i).Fill(special[i % special.Length]);
            data.View.RowSpan(i)[i % 5] = special[random.Next(special.Length)];
            if (i < m)
                data.View.RowSpan(i).CopyTo(queries.View.RowSpan(i));
        }

        Similarity.Scores(queries.View, data.View, metric, scores.View);
        AssertClose(queries.View, data.View, metric, scores.View, "special values");
    }

    [Test]
    public void AnyNumberOfThreadsGivesTheSameBits([Values] SimilarityMetric metric, [Values(4, 100)] int m)
    {
        Random random = new(9);
        using Rows queries = new(m, 40), data = new(3000, 40), serial = new(m, 3000), parallel = new(m, 3000);
        queries.Fill(() => (float)random.NextDouble());
        data.Fill(() => (float)random.NextDouble());
        Similarity.Scores(queries.View, data.View, metric, serial.View);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            parallel.Fill(() => -1f);
            Similarity.Scores(queries.View, data.View, metric, parallel.View, pool);
            for (int i = 0; i < m; i++)
                Assert.That(parallel.View.RowSpan(i).SequenceEqual(serial.View.RowSpan(i)), Is.True, $"row {i}, {threads} threads");
        }
    }

    [Test]
    public void NothingOutsideTheRowsIsTouched()
    {
        for (int dimension = 0; dimension <= 70; dimension++)
        {
            foreach (int m in new[] { 2, 13 })
            {
                int n = 1 + (dimension % 37);
                using GuardedBuffer<float> queries = new(m * dimension), data = new(n * dimension), scores = new(m * n);
                Random random = new(dimension);
                foreach (ref float value in queries.Span)
                    value = random.NextSingle();
                foreach (ref float value in data.Span)
                    value = random.NextSingle();
                foreach (SimilarityMetric metric in Enum.GetValues<SimilarityMetric>())
                {
                    MatrixView<float> q = new(queries.Pointer, m, dimension), x = new(data.Pointer, n, dimension), s = new(scores.Pointer, m, n);
                    Similarity.Scores(q, x, metric, s);
                    AssertClose(q, x, metric, s, $"{metric} {m} {dimension}");
                }
            }
        }
    }

    [Test]
    public void SpansAndViewsAgree()
    {
        float[] queries = [1, 2, 3, 4], data = [0, 1, 2, 2, -3, 5], scores = new float[6];
        Similarity.Scores(queries, data, 2, SimilarityMetric.SquaredEuclidean, scores);
        Assert.That(scores, Is.EqualTo(new float[] { 2, 1, 25, 18, 5, 37 }));
    }

    private static void AssertClose(MatrixView<float> queries, MatrixView<float> data, SimilarityMetric metric, MatrixView<float> scores, string what)
    {
        double e = ((2 * queries.Columns) + 40) / (double)(1 << 24);
        for (nint i = 0; i < queries.Rows; i++)
        {
            for (nint j = 0; j < data.Rows; j++)
            {
                float* q = queries.Row(i), x = data.Row(j);
                double wanted = SimilarityReference.Score(q, x, queries.Columns, metric);
                float rounded = (float)wanted, score = scores.Row(i)[j];
                double allowed = metric switch
                {
                    SimilarityMetric.Dot => e * Norm(q) * Norm(x),
                    SimilarityMetric.Cosine => e,
                    SimilarityMetric.SquaredEuclidean => 32 * e * wanted,
                    _ => 16 * e * wanted,
                };
                bool good = float.IsFinite(rounded)
                    ? Math.Abs(score - wanted) <= allowed + 1e-44
                    : score.Equals(rounded) || (float.IsInfinity(rounded) && Math.Abs(score) > 3e38f);
                if (!good)
                    Assert.Fail($"{what}: ({i}, {j}) is {score:R} and should be {wanted:R}, with {allowed:R} allowed");
            }
        }

        double Norm(float* row) => Math.Sqrt(SimilarityReference.Score(row, row, queries.Columns, SimilarityMetric.Dot));
    }
}
