using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class SearchOptionsTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void ZeroVectorsFollowTheRule([Values] ZeroVectorRule rule, [Values] SimilarityMetric metric, [Values] ElementType type, [Values(3, 14, 40)] int m)
    {
        Random random = new(1);
        using Rows queries = new(m, 19);
        using StoredRows data = new(type, 160, 19, 4);
        for (int i = 0; i < m; i++)
        {
            foreach (ref float x in queries.View.RowSpan(i))
                x = i % 3 == 1 ? 0f : random.Next(-5, 6);
        }

        // Zero rows, half of them of minus zeros where there are such.
        for (int i = 0; i < 160; i++)
        {
            for (int j = 0; j < 19; j++)
                data.Set(i, j, i % 4 == 0 ? (i % 8 == 0 ? -0f : 0f) : random.Next(type == ElementType.UInt8 ? 0 : -5, 6));
        }

        foreach (int k in new[] { 5, 170 })
        {
            Searches.AssertIsTopK(
                Searches.TopK(queries.View, data.View, k, metric, new SearchOptions { ZeroVectors = rule }),
                Searches.Ranked(queries.View, data.Decoded(), metric, zeroVectors: rule),
                k,
                metric,
                $"k = {k}");
        }
    }

    [Test]
    public void NormsThatAreKnownChangeNothing([Values] SimilarityMetric metric, [Values(1, 7, 40)] int m, [Values(0f, 50f)] float offset)
    {
        Random random = new(2);
        using Rows queries = new(m, 37), data = new(800, 37, 2);
        queries.Fill(() => offset + (float)random.NextDouble() - 0.4f);
        data.Fill(() => offset + (float)random.NextDouble() - 0.4f);
        data.View.RowSpan(5).Clear();
        data.View.RowSpan(9).Fill(1e20f);
        data.View.RowSpan(11)[3] = float.NaN;
        data.View.RowSpan(13).Fill(1e-22f);
        float[] norms = new float[800];
        for (int i = 0; i < 800; i++)
            norms[i] = (float)Math.Sqrt(SimilarityReference.Score(data.View.Row(i), data.View.Row(i), 37, SimilarityMetric.Dot));
        using WorkerPool pool = new(2);
        foreach (ZeroVectorRule rule in Enum.GetValues<ZeroVectorRule>())
        {
            SearchOptions plain = new() { ZeroVectors = rule };
            (long[], float[]) wanted = Searches.TopK(queries.View, data.View, 25, metric, plain);
            Searches.AssertSame(Searches.TopK(queries.View, data.View, 25, metric, plain with { Norms = norms }), wanted, "norms");
            Searches.AssertSame(Searches.TopK(queries.View, data.View, 25, metric, plain with { Norms = norms }, pool), wanted, "norms, two threads");

            // Right to 2^-20 is enough.
            float[] rough = [.. norms.Select((x, i) => x * (1f + MathF.ScaleB(i % 2 == 0 ? 0.9f : -0.9f, -20)))];
            Searches.AssertSame(Searches.TopK(queries.View, data.View, 25, metric, plain with { Norms = rough }), wanted, "rough norms");
        }
    }

    [Test]
    public void ArgumentsAreNamed()
    {
        using Rows queries = new(2, 3), data = new(5, 3);
        using StoredRows halves = new(ElementType.Float16, 5, 3);
        Assert.Multiple(() =>
        {
            Assert.That(
                () => Searches.TopK(queries.View, data.View, 1, SimilarityMetric.Cosine, new SearchOptions { Norms = new float[4] }),
                Throws.ArgumentException.With.Property("ParamName").EqualTo("options"));
            Assert.That(
                () => Searches.TopK(queries.View, halves.View, 1, SimilarityMetric.Cosine, new SearchOptions { Norms = new float[5] }),
                Throws.ArgumentException.With.Property("ParamName").EqualTo("options"));
            Assert.That(
                () => Searches.TopK(queries.View, data.View, 1, SimilarityMetric.Cosine, new SearchOptions { ZeroVectors = (ZeroVectorRule)(-1) }),
                Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("options"));
            Assert.That(
                () => Similarity.TopK(queries.View, data.View, 1, SimilarityMetric.Cosine, default, default, (SearchOptions)null!),
                Throws.ArgumentNullException.With.Property("ParamName").EqualTo("options"));
        });
    }

    [Test]
    public void TheNeighbourGraphIsTheSearchWithoutItself([Values] SimilarityMetric metric, [Values(1, 5, 89, 95)] int k)
    {
        Random random = new(4);
        using Rows data = new(90, 17, 1);
        data.Fill(() => random.Next(-3, 4));
        data.View.RowSpan(40).CopyTo(data.View.RowSpan(60));
        long[] ids = new long[90 * k];
        float[] scores = new float[90 * k];
        fixed (long* pi = ids)
        fixed (float* ps = scores)
            Similarity.NeighborGraph(data.View, k, metric, new MatrixView<long>(pi, 90, k), new(ps, 90, k));
        Searches.AssertSame((ids, scores), Searches.TopK(data.View, data.View, k, metric, new SearchOptions { ExcludeSelf = true }), "graph");
        for (int i = 0; i < 90; i++)
        {
            Assert.That(ids.AsSpan(i * k, k).Contains(i), Is.False);
            Assert.That(ids.AsSpan(i * k, k).Count(Similarity.NoId), Is.EqualTo(Math.Max(k - 89, 0)));
        }
    }
}
