namespace EmbeddingKernels.Tests;

public sealed class TsneFitTests
{
    [Test]
    public void DigitsFormTheirClusters()
    {
        (FloatMatrix data, int[] labels) = TsneSamples.Digits();
        using (data)
        {
            TsneSamples.Told progress = new();
            TsneEmbedding map = Tsne.Fit(data, progress: progress);
            Assert.Multiple(() =>
            {
                Assert.That(map.Iteration, Is.EqualTo(750));
                Assert.That(map.KlDivergence, Is.LessThan(0.77));
                Assert.That(TsneSamples.NearestNeighborAgreement(map, labels), Is.GreaterThan(0.97));
                Assert.That(progress.Reports.Count(r => r.Stage == TsneStage.Optimization), Is.EqualTo(15));
                Assert.That(progress.Reports[^1].KlDivergence, Is.EqualTo(map.KlDivergence));
                Assert.That(progress.Reports.Where(r => r.Stage == TsneStage.Optimization), Is.All.Matches<TsneProgress>(r => r.Iterations == 750));
            });
        }
    }

    // scikit-learn and openTSNE reach 1.835 from the same start on the same affinities.
    [Test]
    public void MnistReachesTheDivergenceOfTheOthers()
    {
        TsneAffinities affinities = TsneAffinities.FromSparse(
            Npy.ReadInt64(TestSupport.SharedData.Path("tsne/P_10k_indptr.npy")),
            Array.ConvertAll(Npy.ReadInt64(TestSupport.SharedData.Path("tsne/P_10k_indices.npy.gz")), i => (int)i),
            Array.ConvertAll(Npy.ReadDouble(TestSupport.SharedData.Path("tsne/P_10k_data.npy.gz")), p => (float)p));
        using FloatMatrix start = Npy.ReadMatrix(TestSupport.SharedData.Path("tsne/init_10k.npy"));
        TsneEmbedding map = new(affinities, start);
        map.Optimize(250, 12, 0.5f);
        map.Optimize(500);
        Assert.That(map.KlDivergence, Is.LessThan(1.835));
    }

    [Test]
    public void OneCallIsTheThreeSteps()
    {
        using FloatMatrix data = TsneSamples.Clusters(200);
        TsneEmbedding fitted = Tsne.Fit(data, new TsneOptions { Perplexity = 15, EarlyExaggerationIterations = 40, Iterations = 90, Threads = 2 });
        TsneAffinities affinities = TsneAffinities.FromData(data, 15);
        using FloatMatrix start = TsneInitialization.Pca(data);
        TsneEmbedding stepped = new(affinities, start, TsneMethod.Exact, threads: 1);
        stepped.Optimize(40, 12, 0.5f, 50);
        stepped.Optimize(50, 1, 0.8f, 50);
        Assert.That(TsneSamples.Values(fitted), Is.EqualTo(TsneSamples.Values(stepped)));
    }

    [Test]
    public void OneSeedGivesOneMap([Values] TsneStart start, [Values(1, 2, 3)] int dimensions)
    {
        using FloatMatrix data = TsneSamples.Clusters(150);
        TsneOptions options = new() { Initialization = start, Dimensions = dimensions, Perplexity = 10, Iterations = 60, EarlyExaggerationIterations = 20, Seed = 5 };
        float[] one = TsneSamples.Values(Tsne.Fit(data, options with { Threads = 1 }));
        float[] two = TsneSamples.Values(Tsne.Fit(data, options with { Threads = 3 }));
        float[] other = TsneSamples.Values(Tsne.Fit(data, options with { Seed = 6 }));
        Assert.That(two, Is.EqualTo(one));
        if (start == TsneStart.Pca)
            Assert.That(other, Is.EqualTo(one));
        else
            Assert.That(other, Is.Not.EqualTo(one));
    }

    [Test]
    public void FarClustersStayApart([Values] TsneMetric metric, [Values] TsneStart start)
    {
        using FloatMatrix data = TsneSamples.Clusters(240);
        TsneEmbedding map = Tsne.Fit(data, new TsneOptions { Perplexity = 20, Iterations = 400, EarlyExaggerationIterations = 150, Metric = metric, Initialization = start });
        Assert.That(TsneSamples.NearestNeighborAgreement(map, [.. Enumerable.Range(0, 240).Select(i => i % 4)]), Is.EqualTo(1));
    }

    // scikit-learn's test_uniform_grid, restated: a uniform grid becomes neither clumps nor holes.
    [Test]
    public void AUniformGridStaysUniform([Values(1, 2)] long seed)
    {
        using FloatMatrix data = new(100, 2);
        for (int i = 0; i < 100; i++)
            (data[i, 0], data[i, 1]) = (i % 10 / 9f, i / 10 / 9f);
        TsneEmbedding map = Tsne.Fit(data, new TsneOptions { Initialization = TsneStart.Random, Seed = seed, Perplexity = 20, Iterations = 1500 });
        double[] nearest = [.. Enumerable.Range(0, 100).Select(i => Enumerable.Range(0, 100).Where(j => j != i)
            .Min(j => Math.Sqrt(Math.Pow(map[i, 0] - map[j, 0], 2) + Math.Pow(map[i, 1] - map[j, 1], 2))))];
        Assert.Multiple(() =>
        {
            Assert.That(nearest.Min(), Is.GreaterThan(0.1));
            Assert.That(nearest.Min() / nearest.Average(), Is.GreaterThan(0.5));
            Assert.That(nearest.Max() / nearest.Average(), Is.LessThan(2));
        });
    }

    [Test]
    public void DuplicatesAreNoObstacle()
    {
        // 20,000 letters, of which 1,332 are equal to another; and 200 points that are all one point.
        using FloatMatrix letters = TsneSamples.Letters(20_000);
        Assert.That(Enumerable.Range(0, 20_000).Select(i => string.Join(',', letters.Row(i).ToArray())).Distinct().Count(), Is.EqualTo(20_000 - 1332));
        AssertFinite(Tsne.Fit(letters, new TsneOptions { Iterations = 20, EarlyExaggerationIterations = 10 }));
        using FloatMatrix same = new(200, 5);
        TsneEmbedding map = Tsne.Fit(same, new TsneOptions { Iterations = 100, EarlyExaggerationIterations = 50 });
        AssertFinite(map);
        Assert.That(TsneSamples.Values(map).Distinct().Count(), Is.GreaterThan(200), "equal points are spread by their start");
    }

    [Test]
    public void PointsOnALineAreNoObstacle()
    {
        using FloatMatrix line = new(300, 3), column = new(300, 1);
        for (int i = 0; i < 300; i++)
        {
            line.Row(i).Fill(i);
            column[i, 0] = i;
        }

        foreach (FloatMatrix data in new[] { line, column })
        {
            TsneEmbedding map = Tsne.Fit(data, new TsneOptions { Iterations = 200, EarlyExaggerationIterations = 100 });
            AssertFinite(map);
            Assert.That(map.Axis(1).ToArray().Max(Math.Abs), Is.GreaterThan(1), "the map uses its second axis");
        }
    }

    [Test]
    public void AnOutlierIsNoObstacle()
    {
        using FloatMatrix data = TsneSamples.Clusters(200);
        data.Row(17).Fill(1e6f);
        TsneEmbedding map = Tsne.Fit(data, new TsneOptions { Iterations = 200, EarlyExaggerationIterations = 100, Perplexity = 10 });
        AssertFinite(map);

        // The others are not disturbed.
        int[] labels = [.. Enumerable.Range(0, 200).Select(i => i % 4)];
        Assert.That(TsneSamples.NearestNeighborAgreement(map, labels), Is.GreaterThan(0.98));
    }

    [Test]
    public void FewPointsGiveAMapOrSayWhyNot([Range(1, 20)] int points)
    {
        using FloatMatrix data = TsneSamples.Clusters(points, 3, 2);
        Assert.That(
            () => Tsne.Fit(data),
            Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("30").And.Message.Contains($"there are {points}"));
        foreach (double perplexity in new[] { 1.0, (points - 1) / 3.0, points - 1 })
        {
            TsneOptions options = new() { Perplexity = perplexity, Iterations = 300, EarlyExaggerationIterations = 100 };
            if (perplexity < 1 || perplexity > points - 1)
                Assert.That(() => Tsne.Fit(data, options), Throws.InstanceOf<ArgumentOutOfRangeException>());
            else
                AssertFinite(Tsne.Fit(data, options));
        }
    }

    [Test]
    public void ACancelledFitKeepsTheMap()
    {
        using FloatMatrix data = TsneSamples.Clusters(300);
        using CancellationTokenSource source = new();
        TsneSamples.Told progress = new(p =>
        {
            if (p.Stage == TsneStage.Optimization && p.Iteration == 300)
                source.Cancel();
        });
        TsneCanceledException late = Assert.Throws<TsneCanceledException>(() => Tsne.Fit(data, null, progress, source.Token))!;
        TsneCanceledException early = Assert.Throws<TsneCanceledException>(() => Tsne.Fit(data, null, null, new CancellationToken(canceled: true)))!;
        Assert.Multiple(() =>
        {
            Assert.That(late.Embedding!.Iteration, Is.EqualTo(301));
            Assert.That(late.Message, Does.Contain("301"));
            Assert.That(late.CancellationToken, Is.EqualTo(source.Token));
            Assert.That(early.Embedding, Is.Null);
        });
        late.Embedding!.Optimize(10);
        AssertFinite(late.Embedding);
    }

    [Test]
    public void SpansAreTakenToo()
    {
        using FloatMatrix data = TsneSamples.Clusters(50, 4);
        TsneOptions options = new() { Perplexity = 5, Iterations = 20 };
        float[] flat = [.. Enumerable.Range(0, 50).SelectMany(i => data.Row(i).ToArray())];
        Assert.That(TsneSamples.Values(Tsne.Fit(flat, 4, options)), Is.EqualTo(TsneSamples.Values(Tsne.Fit(data, options))));
        Assert.That(() => Tsne.Fit(flat, 7, options), Throws.ArgumentException.With.Message.Contains("7"));
        Assert.That(() => Tsne.Fit(flat, 0, options), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void BadOptionsAreNamed()
    {
        using FloatMatrix data = TsneSamples.Clusters(50);
        (TsneOptions Options, string Name)[] bad =
        [
            (new() { Dimensions = 4 }, nameof(TsneOptions.Dimensions)),
            (new() { Perplexity = 0.5 }, nameof(TsneOptions.Perplexity)),
            (new() { EarlyExaggeration = 0 }, nameof(TsneOptions.EarlyExaggeration)),
            (new() { EarlyExaggerationIterations = -1 }, nameof(TsneOptions.EarlyExaggerationIterations)),
            (new() { Iterations = -1 }, nameof(TsneOptions.Iterations)),
            (new() { LearningRate = 0 }, nameof(TsneOptions.LearningRate)),
            (new() { LearningRate = float.NaN }, nameof(TsneOptions.LearningRate)),
            (new() { FinalLearningRate = -1 }, nameof(TsneOptions.FinalLearningRate)),
            (new() { InitialMomentum = 1 }, nameof(TsneOptions.InitialMomentum)),
            (new() { FinalMomentum = -0.1f }, nameof(TsneOptions.FinalMomentum)),
            (new() { Exaggeration = 0 }, nameof(TsneOptions.Exaggeration)),
            (new() { DegreesOfFreedom = 0 }, nameof(TsneOptions.DegreesOfFreedom)),
            (new() { DegreesOfFreedom = double.NaN }, nameof(TsneOptions.DegreesOfFreedom)),
            (new() { MinGain = 0 }, nameof(TsneOptions.MinGain)),
            (new() { MaxStepNorm = float.NaN }, nameof(TsneOptions.MaxStepNorm)),
            (new() { MinGradientNorm = -1 }, nameof(TsneOptions.MinGradientNorm)),
            (new() { IterationsWithoutProgress = -1 }, nameof(TsneOptions.IterationsWithoutProgress)),
            (new() { CallbackInterval = 0 }, nameof(TsneOptions.CallbackInterval)),
            (new() { Neighbors = (NeighborMethod)5 }, nameof(TsneOptions.Neighbors)),
            (new() { Theta = -1e-6 }, nameof(TsneOptions.Theta)),
            (new() { Theta = 1 + 1e-6 }, nameof(TsneOptions.Theta)),
            (new() { Initialization = (TsneStart)5 }, nameof(TsneOptions.Initialization)),
            (new() { Metric = (TsneMetric)5 }, nameof(TsneOptions.Metric)),
            (new() { Method = (TsneMethod)5 }, nameof(TsneOptions.Method)),
            (new() { Threads = 0 }, nameof(TsneOptions.Threads)),
        ];
        Assert.Multiple(() =>
        {
            foreach ((TsneOptions options, string name) in bad)
                Assert.That(() => Tsne.Fit(data, options), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo(name), name);
        });
    }

    [Test]
    public void TheSecondPhaseMayHaveItsOwnLearningRate()
    {
        using FloatMatrix data = TsneSamples.Clusters(150);
        TsneOptions options = new() { Perplexity = 10, Iterations = 60, EarlyExaggerationIterations = 30, LearningRate = 20, MinGradientNorm = 0 };
        TsneEmbedding fitted = Tsne.Fit(data, options with { FinalLearningRate = 90 });
        using FloatMatrix start = Tsne.Initialize(data.View, options);
        TsneEmbedding stepped = new(TsneAffinities.FromData(data, 10), start);
        stepped.Optimize(30, 12, 0.5f, 20);
        stepped.Optimize(30, 1, 0.8f, 90);
        Assert.That(TsneSamples.Values(fitted), Is.EqualTo(TsneSamples.Values(stepped)));
        Assert.That(TsneSamples.Values(Tsne.Fit(data, options)), Is.Not.EqualTo(TsneSamples.Values(stepped)));
    }

    [TestCase(10, 12, 50)]
    [TestCase(10_000, 12, 10_000 / 48.0)]
    [TestCase(70_000, 4, 70_000 / 16.0)]
    public void TheAutomaticLearningRateIsScikitLearns(int points, double exaggeration, double wanted) =>
        Assert.That(Tsne.AutoLearningRate(points, exaggeration), Is.EqualTo(wanted).Within(1e-9));

    private static void AssertFinite(TsneEmbedding map)
    {
        Assert.That(TsneSamples.Values(map), Is.All.Matches<float>(float.IsFinite));
        Assert.That(double.IsFinite(map.KlDivergence));
    }
}
