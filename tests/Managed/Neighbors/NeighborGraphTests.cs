using EmbeddingKernels.Core;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

public sealed unsafe class NeighborGraphTests
{
    private sealed class Told : IProgress<NeighborProgress>
    {
        public List<NeighborProgress> Reports { get; } = [];

        public Action<NeighborProgress>? Then { get; init; }

        public void Report(NeighborProgress value)
        {
            Reports.Add(value);
            Then?.Invoke(value);
        }
    }

    [Test]
    public void TheExactGraphOfMnistIsTheReference()
    {
        using FloatMatrix data = Npy.ReadMatrix(SharedData.Path("tsne/mnist_pca50_10k.npy.gz"));
        long[] wanted = Npy.ReadInt64(SharedData.Path("tsne/knn90_10k.npy.gz"));
        double[] distances = Npy.ReadDouble(SharedData.Path("tsne/knn90d_10k.npy.gz"));
        using NeighborGraph graph = NeighborGraph.Build(data, 90);
        Assert.That((graph.Method, graph.Recall, graph.Points, graph.Neighbors), Is.EqualTo((NeighborMethod.Exact, 1.0, 10_000, 90)));
        int different = 0;
        for (int i = 0; i < 10_000; i++)
        {
            for (int j = 0; j < 90; j++)
            {
                // The reference was computed from numbers of 64 bits: nearly equal distances may have changed places.
                different += graph.IdsOf(i)[j] == wanted[(i * 90) + j] ? 0 : 1;
                Assert.That(graph.ScoresOf(i)[j], Is.EqualTo(distances[(i * 90) + j]).Within(1e-5), $"row {i}, place {j}");
            }
        }

        Assert.That(different, Is.LessThan(200));
    }

    [Test]
    public void TheApproximateGraphOfMnistHasMostOfTheReference()
    {
        using FloatMatrix data = Npy.ReadMatrix(SharedData.Path("tsne/mnist_pca50_10k.npy.gz"));
        long[] wanted = Npy.ReadInt64(SharedData.Path("tsne/knn90_10k.npy.gz"));
        using NeighborGraph graph = NeighborGraph.Build(data, 90, method: NeighborMethod.Approximate);
        long[] found = new long[10_000 * 90];
        for (int i = 0; i < 10_000; i++)
        {
            for (int j = 0; j < 90; j++)
                found[(i * 90) + j] = graph.IdsOf(i)[j];
        }

        double recall = NeighborRecall.AtK(found, 90, wanted, 90, 90);
        Assert.That(graph.Method, Is.EqualTo(NeighborMethod.Approximate));
        Assert.That(recall, Is.GreaterThan(0.97));
        Assert.That(graph.Recall, Is.EqualTo(recall).Within(0.01), "that of the sample");
    }

    [Test]
    public void ApproximateGraphsAreSoundAndGood([Values(SimilarityMetric.Euclidean, SimilarityMetric.Cosine, SimilarityMetric.SquaredEuclidean)] SimilarityMetric metric)
    {
        using FloatMatrix data = Clusters(5000, 20);
        NeighborOptions options = new() { Threads = 1, RecallSample = 5000 };
        using NeighborGraph exact = NeighborGraph.Build(data, 15, metric, NeighborMethod.Exact, options);
        using NeighborGraph graph = NeighborGraph.Build(data, 15, metric, NeighborMethod.Approximate, options);
        AssertIsSound(data, graph);
        Assert.That(graph.Recall, Is.GreaterThan(0.93));
        Assert.That(SharedNeighbors(graph, exact), Is.EqualTo(graph.Recall).Within(0.001));
    }

    [Test]
    public void DotProductsOfRowsOfLikeLengthsAreFound()
    {
        // Where few long rows are everybody's best, no graph search finds much; among rows of one length it does.
        using FloatMatrix data = Clusters(5000, 20);
        for (int i = 0; i < 5000; i++)
        {
            float norm = MathF.Sqrt(data.Row(i).ToArray().Sum(x => x * x));
            foreach (ref float x in data.Row(i))
                x *= (1 + (i % 3 * 0.01f)) / norm;
        }

        using NeighborGraph graph = NeighborGraph.Build(data, 15, SimilarityMetric.Dot, NeighborMethod.Approximate, new NeighborOptions { Threads = 1 });
        AssertIsSound(data, graph);
        Assert.That(graph.Recall, Is.GreaterThan(0.9));
    }

    [Test]
    public void ThreadsDoNotChangeAnApproximateGraph()
    {
        using FloatMatrix data = Clusters(3000, 12);
        using NeighborGraph wanted = NeighborGraph.Build(data, 20, method: NeighborMethod.Approximate, options: new NeighborOptions { Threads = 1 });
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using NeighborGraph graph = NeighborGraph.Build(data, 20, method: NeighborMethod.Approximate, options: new NeighborOptions { Threads = threads });
            for (int i = 0; i < 3000; i++)
            {
                Assert.That(graph.IdsOf(i).SequenceEqual(wanted.IdsOf(i)), $"{threads} threads, row {i}");
                Assert.That(graph.ScoresOf(i).SequenceEqual(wanted.ScoresOf(i)), $"{threads} threads, row {i}");
            }

            Assert.That(graph.Recall, Is.EqualTo(wanted.Recall));
        }
    }

    [Test]
    public void MoreWorkFindsMore()
    {
        using FloatMatrix data = Clusters(6000, 30);
        double Recall(NeighborOptions options) =>
            NeighborGraph.Build(data, 25, method: NeighborMethod.Approximate, options: options with { RecallSample = 2000 }).Recall;
        double least = Recall(new NeighborOptions { Trees = 2, Iterations = 0 }), more = Recall(new NeighborOptions { Trees = 2, Samples = 3, Iterations = 2 });
        double most = Recall(new NeighborOptions { Trees = 8, Samples = 12, Iterations = 8 });
        Assert.That(more, Is.GreaterThan(least + 0.05));
        Assert.That(most, Is.GreaterThan(0.98).And.GreaterThan(more));
        Assert.That(Recall(new NeighborOptions()), Is.GreaterThan(0.9));
        using NeighborGraph unmeasured = NeighborGraph.Build(data, 25, method: NeighborMethod.Approximate, options: new NeighborOptions { RecallSample = 0 });
        Assert.That(unmeasured.Recall, Is.NaN);
    }

    [Test]
    public void EqualRowsAndDuplicatesAreNeighbours()
    {
        using FloatMatrix equal = new(2500, 7);
        using NeighborGraph all = NeighborGraph.Build(equal, 12, method: NeighborMethod.Approximate);
        AssertIsSound(equal, all);
        Assert.That(all.Recall, Is.EqualTo(1));
        using FloatMatrix pairs = Clusters(3000, 9);
        for (int i = 0; i < 3000; i += 2)
            pairs.Row(i).CopyTo(pairs.Row(i + 1));
        using NeighborGraph graph = NeighborGraph.Build(pairs, 10, method: NeighborMethod.Approximate);
        AssertIsSound(pairs, graph);
        for (int i = 0; i < 3000; i++)
            Assert.That((graph.IdsOf(i)[0], graph.ScoresOf(i)[0]), Is.EqualTo((i ^ 1, 0f)), $"row {i}");
    }

    [Test]
    public void FewRowsAreSearchedExactly([Values(0, 1, 2, 3, 20, 400)] int n, [Values] NeighborMethod method)
    {
        using FloatMatrix data = Clusters(n, 4);
        using NeighborGraph graph = NeighborGraph.Build(data, 30, method: method);
        int neighbors = Math.Clamp(n - 1, 0, 30);
        Assert.That((graph.Method, graph.Points, graph.Neighbors, graph.Recall), Is.EqualTo((NeighborMethod.Exact, n, neighbors, 1.0)));
        AssertIsSound(data, graph);
    }

    [Test]
    public void RowsOfHugeNormsAreSearchedExactly()
    {
        using FloatMatrix data = Clusters(2500, 4);
        data.Row(77).Fill(1e18f);
        using NeighborGraph graph = NeighborGraph.Build(data, 5, method: NeighborMethod.Approximate);
        Assert.That(graph.Method, Is.EqualTo(NeighborMethod.Exact));
        AssertIsSound(data, graph);
    }

    [Test]
    public void OneOutlierDoesNoHarm([Values(NeighborMethod.Exact, NeighborMethod.Approximate)] NeighborMethod method)
    {
        using FloatMatrix data = Clusters(3000, 10);
        data.Row(1234).Fill(1e6f);
        using NeighborGraph graph = NeighborGraph.Build(data, 10, method: method);
        AssertIsSound(data, graph);
        Assert.That(graph.Recall, Is.GreaterThan(0.9));
    }

    [Test]
    public void ProgressRisesToOne([Values(NeighborMethod.Exact, NeighborMethod.Approximate)] NeighborMethod method)
    {
        using FloatMatrix data = Clusters(4000, 10);
        Told told = new();
        using NeighborGraph graph = NeighborGraph.Build(data, 10, method: method, options: new NeighborOptions { Threads = 1 }, progress: told);
        Assert.That(told.Reports.Select(r => r.Fraction), Is.Ordered);
        Assert.That(told.Reports, Has.Count.GreaterThan(10));
        Assert.That(told.Reports.Count(r => r.Fraction == 1), Is.EqualTo(1));
        Assert.That(told.Reports[^1].Fraction, Is.EqualTo(1));
        Assert.That(told.Reports, Is.All.Matches<NeighborProgress>(r => r.Method == method && r.Fraction > 0));
    }

    [Test]
    public void ItStopsWhereItIsCancelled([Values(NeighborMethod.Exact, NeighborMethod.Approximate)] NeighborMethod method, [Values(0.01, 0.2, 0.6, 0.9)] double when)
    {
        using FloatMatrix data = Clusters(4000, 10);
        using CancellationTokenSource source = new();
        Told told = new()
        {
            Then = report =>
            {
                if (report.Fraction >= when)
                    source.Cancel();
            },
        };
        NeighborOptions options = new() { Threads = 1, RecallSample = 4000 };
        Assert.That(
            () => NeighborGraph.Build(data, 10, method: method, options: options, progress: told, cancellationToken: source.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(told.Reports.Count(r => r.Fraction >= when), Is.EqualTo(1), "nothing is done after it");
    }

    [Test]
    public void ArgumentsAreNamed()
    {
        using FloatMatrix data = Clusters(10, 3), broken = Clusters(10, 3);
        broken[3, 1] = float.NaN;
        Assert.Multiple(() =>
        {
            Assert.That(() => NeighborGraph.Build((FloatMatrix)null!, 3), Throws.ArgumentNullException);
            Assert.That(() => NeighborGraph.Build(data, 0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("k"));
            Assert.That(() => NeighborGraph.Build(broken, 3), Throws.ArgumentException.With.Message.Contains("row 3 and column 1"));
            Assert.That(() => NeighborGraph.Build(data, 3, (SimilarityMetric)7), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => NeighborGraph.Build(data, 3, method: (NeighborMethod)7), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
        foreach (NeighborOptions options in new NeighborOptions[]
        {
            new() { Threads = 0 }, new() { Trees = 1 }, new() { Samples = 0 }, new() { Samples = 65 }, new() { Iterations = -1 },
            new() { Delta = double.NaN }, new() { Delta = 1 }, new() { RecallSample = -1 },
        })
        {
            Assert.That(() => NeighborGraph.Build(data, 3, options: options), Throws.InstanceOf<ArgumentOutOfRangeException>(), options.ToString());
        }

        NeighborGraph graph = NeighborGraph.Build(data, 3);
        Assert.That(() => graph.IdsOf(10), Throws.InstanceOf<ArgumentOutOfRangeException>());
        graph.Dispose();
        Assert.That(() => graph.Ids, Throws.InstanceOf<ObjectDisposedException>());
    }

    // Right scores, in order, of different others.
    private static void AssertIsSound(FloatMatrix data, NeighborGraph graph)
    {
        bool distance = graph.Metric is SimilarityMetric.Euclidean or SimilarityMetric.SquaredEuclidean;
        for (int i = 0; i < graph.Points; i++)
        {
            ReadOnlySpan<int> ids = graph.IdsOf(i);
            ReadOnlySpan<float> scores = graph.ScoresOf(i);
            HashSet<int> seen = [i];
            for (int j = 0; j < ids.Length; j++)
            {
                if (!seen.Add(ids[j]) || ids[j] < 0 || ids[j] >= graph.Points)
                    Assert.Fail($"row {i} has {ids[j]} in place {j}");
                if (Math.Abs(scores[j] - Score(data.Row(i), data.Row(ids[j]), graph.Metric)) > 1e-6 * Math.Abs(scores[j]))
                    Assert.Fail($"row {i}, place {j}: the score is {scores[j]}");
                bool ordered = j == 0 || (distance ? scores[j - 1] < scores[j] : scores[j - 1] > scores[j]) || (scores[j - 1] == scores[j] && ids[j - 1] < ids[j]);
                if (!ordered)
                    Assert.Fail($"row {i}, place {j} is out of order");
            }
        }
    }

    private static double Score(ReadOnlySpan<float> a, ReadOnlySpan<float> b, SimilarityMetric metric)
    {
        double dot = 0, aa = 0, bb = 0, squares = 0;
        for (int j = 0; j < a.Length; j++)
        {
            dot += (double)a[j] * b[j];
            aa += (double)a[j] * a[j];
            bb += (double)b[j] * b[j];
            squares += ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
        }

        return metric switch
        {
            SimilarityMetric.Dot => dot,
            SimilarityMetric.Cosine => aa * bb == 0 ? 0 : dot / Math.Sqrt(aa * bb),
            SimilarityMetric.SquaredEuclidean => squares,
            _ => Math.Sqrt(squares),
        };
    }

    private static double SharedNeighbors(NeighborGraph graph, NeighborGraph exact)
    {
        long shared = 0;
        for (int i = 0; i < graph.Points; i++)
            shared += graph.IdsOf(i).ToArray().Intersect(exact.IdsOf(i).ToArray()).Count();
        return (double)shared / ((long)graph.Points * graph.Neighbors);
    }

    private static FloatMatrix Clusters(int n, int d)
    {
        SplitMix64 random = new(n + d);
        FloatMatrix data = new(n, d);
        for (int i = 0; i < n; i++)
        {
            int cluster = (int)random.NextBelow(10);
            for (int j = 0; j < d; j++)
                data[i, j] = (float)(random.NextGaussian() / (1 + (j / 5.0))) + (2 * ((cluster * (j + 3)) % 4));
        }

        return data;
    }
}
