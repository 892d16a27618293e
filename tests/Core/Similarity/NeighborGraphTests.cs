using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class NeighborGraphTests(IsaLevel level) : IsaFixture(level)
{
    public enum Shape
    {
        Clusters,
        FewValues,
        OneOutlier,
        FarFromTheOrigin,
        Line,
    }

    [Test]
    public void TheGraphIsThatOfAllPairsInDoublePrecision([Values] SimilarityMetric metric)
    {
        using Rows data = Make(Shape.FewValues, 1100, 9);
        double[][] decoded = [.. Enumerable.Range(0, 1100).Select(i => data.View.RowSpan(i).ToArray().Select(x => (double)x).ToArray())];
        Searches.AssertIsTopK(Graph(data.View, 20, metric), Searches.Ranked(data.View, decoded, metric, excludeSelf: true), 20, metric, "graph");
    }

    [Test]
    public void TheGraphIsTheSearchWithoutItself([Values] SimilarityMetric metric, [Values] Shape shape)
    {
        foreach ((int n, int d, int k) in new[] { (1024, 3, 5), (1153, 60, 90) })
        {
            using Rows data = Make(shape, n, d);
            Searches.AssertSame(
                Graph(data.View, k, metric), Searches.TopK(data.View, data.View, k, metric, SearchOptions.NotSelf), $"{n} rows, {k} neighbours");
        }
    }

    [Test]
    public void RowsOfManyColumnsGoThroughAllStages([Values(1, 20, 21, 400)] int d)
    {
        using Rows data = Make(Shape.Clusters, 1100, d);
        foreach (SimilarityMetric metric in new[] { SimilarityMetric.Euclidean, SimilarityMetric.Dot })
            Searches.AssertSame(Graph(data.View, 12, metric), Searches.TopK(data.View, data.View, 12, metric, SearchOptions.NotSelf), metric.ToString());
    }

    [Test]
    public void RowsThatSinglePrecisionDoesNotCarryChangeNothingElse([Values] SimilarityMetric metric)
    {
        foreach (float strange in new[] { float.NaN, float.PositiveInfinity, 1e25f, 1e-22f })
        {
            using Rows data = Make(Shape.Clusters, 1030, 11);
            data.View.RowSpan(500).Fill(strange);
            data.View.RowSpan(77)[3] = strange;
            data.View.RowSpan(78).Clear();
            Searches.AssertSame(
                Graph(data.View, 15, metric), Searches.TopK(data.View, data.View, 15, metric, SearchOptions.NotSelf), $"{metric}, {strange}");
        }
    }

    [Test]
    public void ThreadsDoNotChangeTheBits([Values] SimilarityMetric metric)
    {
        using Rows data = Make(Shape.Clusters, 1500, 23);
        (long[], float[]) wanted = Graph(data.View, 30, metric);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            Searches.AssertSame(Graph(data.View, 30, metric, pool), wanted, $"{threads} threads");
        }
    }

    [Test]
    public void IdsOfBothSizesAreTheSame()
    {
        foreach (int n in new[] { 300, 1200 })
        {
            using Rows data = Make(Shape.FewValues, n, 5);
            (long[] ids, float[] scores) = Graph(data.View, 17, SimilarityMetric.Cosine);
            int[] small = new int[n * 17];
            float[] smallScores = new float[n * 17];
            fixed (int* i = small)
            fixed (float* s = smallScores)
                Similarity.NeighborGraph(data.View, 17, SimilarityMetric.Cosine, new MatrixView<int>(i, n, 17), new(s, n, 17));
            Assert.That(small.Select(i => (long)i), Is.EqualTo(ids));
            Assert.That(smallScores, Is.EqualTo(scores));
        }
    }

    [Test]
    public void FewRows([Values] SimilarityMetric metric, [Values(0, 1, 2, 5)] int n, [Values(1, 4, 5, 9)] int k)
    {
        using Rows data = Make(Shape.FewValues, n, 4);
        (long[] ids, float[] scores) = Graph(data.View, k, metric);
        Searches.AssertSame((ids, scores), Searches.TopK(data.View, data.View, k, metric, SearchOptions.NotSelf), "graph");
        for (int i = 0; i < n; i++)
            Assert.That(ids.AsSpan(i * k, k).Count(Similarity.NoId), Is.EqualTo(Math.Max(0, k - n + 1)));
    }

    [Test]
    public void EqualRowsHaveTheFirstOthersForNeighbours([Values] SimilarityMetric metric)
    {
        using Rows data = new(1100, 6);
        data.Fill(() => 2.5f);
        (long[] ids, float[] scores) = Graph(data.View, 8, metric);
        for (int i = 0; i < 1100; i++)
            Assert.That(ids.AsSpan(i * 8, 8).ToArray(), Is.EqualTo(Enumerable.Range(0, 9).Where(j => j != i).Take(8).Select(j => (long)j)), $"row {i}");
        Assert.That(scores, Is.All.EqualTo(metric switch { SimilarityMetric.Dot => 37.5f, SimilarityMetric.Cosine => 1f, _ => 0f }));
    }

    [Test]
    public void ProgressRisesToOne([Values(700, 3000)] int n, [Values(1, 3)] int threads)
    {
        using Rows data = Make(Shape.Clusters, n, 8);
        List<double> told = [];
        int caller = Environment.CurrentManagedThreadId;
        using WorkerPool pool = new(threads);
        Graph(data.View, 10, SimilarityMetric.Euclidean, pool, share =>
        {
            Assert.That(Environment.CurrentManagedThreadId, Is.EqualTo(caller));
            told.Add(share);
        });
        Assert.That(told, Is.Ordered);
        Assert.That(told, Is.Unique);
        Assert.That(told[^1], Is.EqualTo(1));
        Assert.That(told, Is.All.GreaterThan(0));
        if (threads == 1)
            Assert.That(told, Has.Count.GreaterThan(n == 3000 ? 10 : 0));
    }

    [Test]
    public void ItStopsWhereItIsCancelled([Values(1, 2)] int threads)
    {
        using Rows data = Make(Shape.Clusters, 3000, 8);
        using WorkerPool pool = new(threads);
        using CancellationTokenSource before = new();
        before.Cancel();
        Assert.That(() => Graph(data.View, 10, SimilarityMetric.Dot, pool, null, before.Token), Throws.InstanceOf<OperationCanceledException>());
        using CancellationTokenSource during = new();
        double last = 0;
        Assert.That(
            () => Graph(
                data.View,
                10,
                SimilarityMetric.Dot,
                WorkerPool.Serial,
                share =>
                {
                    last = share;
                    during.Cancel();
                },
                during.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(last, Is.InRange(0.001, 0.5));
    }

    [Test]
    public void ArgumentsAreNamed()
    {
        using Rows data = new(5, 3);
        long* ids = stackalloc long[10];
        float* scores = stackalloc float[10];
        MatrixView<float> view = data.View;
        Assert.Multiple(() =>
        {
            Assert.That(() => Call(view, 2, SimilarityMetric.Dot, 5, 1), Throws.ArgumentException.With.Property("ParamName").EqualTo("ids"));
            Assert.That(() => Call(view, 2, SimilarityMetric.Dot, 4, 2), Throws.ArgumentException.With.Property("ParamName").EqualTo("ids"));
            Assert.That(() => Call(view, 0, SimilarityMetric.Dot, 5, 0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("k"));
            Assert.That(() => Call(view, 2, (SimilarityMetric)9, 5, 2), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("metric"));
        });

        void Call(MatrixView<float> rows, int k, SimilarityMetric metric, int n, int columns) =>
            Similarity.NeighborGraph(rows, k, metric, new MatrixView<long>(ids, n, columns), new(scores, n, columns));
    }

    private static (long[] Ids, float[] Scores) Graph(
        MatrixView<float> data, int k, SimilarityMetric metric, WorkerPool? pool = null, Action<double>? progress = null, CancellationToken cancellationToken = default)
    {
        long[] ids = new long[data.Rows * k];
        float[] scores = new float[data.Rows * k];
        fixed (long* pi = ids)
        fixed (float* ps = scores)
            Similarity.NeighborGraph(data, k, metric, new MatrixView<long>(pi, data.Rows, k), new(ps, data.Rows, k), pool, progress, cancellationToken);
        return (ids, scores);
    }

    private static Rows Make(Shape shape, int n, int d)
    {
        SplitMix64 random = new(n + (17 * d) + (int)shape);
        Rows data = new(n, d, 3);
        for (int i = 0; i < n; i++)
        {
            int cluster = (int)random.NextBelow(7);
            double along = random.NextGaussian();
            Span<float> row = data.View.RowSpan(i);
            for (int j = 0; j < d; j++)
            {
                row[j] = shape switch
                {
                    Shape.FewValues => random.NextBelow(3) - 1f,
                    Shape.FarFromTheOrigin => 1000f + (float)random.NextGaussian(),
                    Shape.Line => (float)(along * (j + 1)),
                    _ => (float)(random.NextGaussian() / (1 + (j / 4))) + (cluster * ((j + cluster) % 5)),
                };
            }
        }

        if (shape == Shape.OneOutlier)
            data.View.RowSpan(n / 3).Fill(1e6f);
        return data;
    }
}
