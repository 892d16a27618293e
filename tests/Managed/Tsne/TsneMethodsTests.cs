namespace EmbeddingKernels.Tests;

/// <summary>What must hold whichever method computes the repulsive forces.</summary>
public sealed class TsneMethodsTests
{
    private static readonly (TsneMethod Method, int Dimensions)[] All =
    [
        (TsneMethod.Auto, 1), (TsneMethod.Auto, 2), (TsneMethod.Auto, 3),
        (TsneMethod.Exact, 1), (TsneMethod.Exact, 2), (TsneMethod.Exact, 3),
        (TsneMethod.Fft, 1), (TsneMethod.Fft, 2),
        (TsneMethod.BarnesHut, 2), (TsneMethod.BarnesHut, 3),
    ];

    [TestCaseSource(nameof(All))]
    public void FarClustersStayApart((TsneMethod Method, int Dimensions) how)
    {
        using FloatMatrix data = TsneSamples.Clusters(240);
        TsneEmbedding map = Fit(data, how, new TsneOptions { Perplexity = 20, Iterations = 400, EarlyExaggerationIterations = 150 });
        Assert.That(TsneSamples.NearestNeighborAgreement(map, [.. Enumerable.Range(0, 240).Select(i => i % 4)]), Is.GreaterThan(how.Dimensions == 1 ? 0.98 : 0.999));
        Assert.That(map.Method, Is.Not.EqualTo(TsneMethod.Auto));
    }

    // scikit-learn's test_bh_match_exact and openTSNE's likewise: the same map within what approximation does to it.
    [TestCase(TsneMethod.Fft)]
    [TestCase(TsneMethod.BarnesHut)]
    public void DigitsHaveTheDivergenceOfTheExactMap(TsneMethod method)
    {
        (FloatMatrix data, int[] labels) = TsneSamples.Digits();
        using (data)
        {
            TsneAffinities affinities = TsneAffinities.FromData(data);
            using FloatMatrix start = TsneInitialization.Pca(data);
            TsneOptions options = new() { InitialPositions = start };
            TsneEmbedding exact = Tsne.Fit(affinities, options with { Method = TsneMethod.Exact }), map = Tsne.Fit(affinities, options with { Method = method });
            using FloatMatrix positions = map.ToMatrix();
            Assert.Multiple(() =>
            {
                Assert.That(MapQuality.KlDivergence(affinities, positions), Is.EqualTo(exact.KlDivergence).Within(2).Percent);
                Assert.That(map.KlDivergence, Is.EqualTo(MapQuality.KlDivergence(affinities, positions)).Within(0.01));
                Assert.That(TsneSamples.NearestNeighborAgreement(map, labels), Is.GreaterThan(0.97));
            });
        }
    }

    [TestCaseSource(nameof(All))]
    public void ResumingAndThreadsDoNotChangeTheMap((TsneMethod Method, int Dimensions) how)
    {
        using FloatMatrix data = TsneSamples.Clusters(300);
        TsneAffinities affinities = TsneAffinities.FromData(data, 10);
        using FloatMatrix start = TsneInitialization.Random(300, how.Dimensions);
        TsneEmbedding whole = new(affinities, start, how.Method, 1), parallel = new(affinities, start, how.Method, 3), parts = new(affinities, start, how.Method, 3);
        whole.Optimize(60, 4);
        parallel.Optimize(60, 4);
        Assert.That(TsneSamples.Values(parallel), Is.EqualTo(TsneSamples.Values(whole)));

        // A grid depends on the steps before.
        double error = whole.Method == TsneMethod.Fft ? 1e-2 : 0;
        parts.Optimize(25, 4);
        TsneEmbedding resumed = new(affinities, parts.GetState(), how.Method, 2);
        parts.Optimize(35, 4);
        resumed.Optimize(35, 4);
        Assert.That(TsneSamples.Values(parts), Is.EqualTo(TsneSamples.Values(whole)).Within(error));
        Assert.That(TsneSamples.Values(resumed), Is.EqualTo(TsneSamples.Values(whole)).Within(error));
    }

    [TestCaseSource(nameof(All))]
    public void DuplicatesLinesAndOutliersGiveNumbers((TsneMethod Method, int Dimensions) how)
    {
        TsneOptions options = new() { Perplexity = 10, Iterations = 100, EarlyExaggerationIterations = 50 };
        using FloatMatrix same = new(80, 4), line = new(120, 3), outlier = TsneSamples.Clusters(150);
        for (int i = 0; i < 120; i++)
            line.Row(i).Fill(i);
        outlier.Row(17).Fill(1e6f);
        foreach (FloatMatrix data in new[] { same, line, outlier })
            AssertFinite(Fit(data, how, options));

        // A start in which one point is a million away, and one in which all lie in two places.
        TsneAffinities affinities = TsneAffinities.FromData(outlier, 10);
        using FloatMatrix far = TsneInitialization.Random(150, how.Dimensions), twice = new(150, how.Dimensions);
        far.Row(3).Fill(1e6f);
        for (int i = 0; i < 75; i++)
            twice.Row(i).Fill(1);
        foreach (FloatMatrix start in new[] { far, twice })
        {
            TsneEmbedding map = new(affinities, start, how.Method, 2);
            map.Optimize(10, 12, 0.5f);
            map.Optimize(10);
            AssertFinite(map);
        }
    }

    [TestCaseSource(nameof(All))]
    public void FewPointsGiveAMapOrSayWhyNot((TsneMethod Method, int Dimensions) how)
    {
        for (int points = 1; points <= 20; points++)
        {
            using FloatMatrix data = TsneSamples.Clusters(points, 3, 2);
            Assert.That(() => Fit(data, how, new TsneOptions()), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains($"there are {points}"));
            foreach (double perplexity in new[] { 1.0, (points - 1) / 3.0, points - 1 })
            {
                if (perplexity >= 1 && perplexity <= points - 1)
                    AssertFinite(Fit(data, how, new TsneOptions { Perplexity = perplexity, Iterations = 50, EarlyExaggerationIterations = 25 }));
            }
        }
    }

    [TestCaseSource(nameof(All))]
    public void NoLearningRateGivesNaN((TsneMethod Method, int Dimensions) how)
    {
        using FloatMatrix data = TsneSamples.Clusters(60);
        foreach (float rate in new[] { 1e-6f, 1e4f, 1e30f })
            AssertFinite(Fit(data, how, new TsneOptions { Perplexity = 8, Iterations = 60, EarlyExaggerationIterations = 20, LearningRate = rate }));
    }

    [Test]
    public void AutoIsExactForFewPointsAndFastForMany()
    {
        Assert.Multiple(() =>
        {
            Assert.That(TsneMethods.Choose(TsneMethod.Auto, 1000, 2), Is.EqualTo(TsneMethod.Exact));
            Assert.That(TsneMethods.Choose(TsneMethod.Auto, 1000, 3), Is.EqualTo(TsneMethod.Exact));
            Assert.That(TsneMethods.Choose(TsneMethod.Auto, 3000, 2), Is.EqualTo(TsneMethod.Fft));
            Assert.That(TsneMethods.Choose(TsneMethod.Auto, 2000, 3), Is.EqualTo(TsneMethod.BarnesHut));
            Assert.That(TsneMethods.Choose(TsneMethod.Auto, 70_000, 1), Is.EqualTo(TsneMethod.Fft));
            Assert.That(TsneMethods.Choose(TsneMethod.Auto, 70_000, 2), Is.EqualTo(TsneMethod.Fft));
            Assert.That(TsneMethods.Choose(TsneMethod.Auto, 70_000, 3), Is.EqualTo(TsneMethod.BarnesHut));
        });
    }

    // openTSNE's test_fft_with_n_components_gt_2.
    [Test]
    public void MethodsWithoutAFormForTheAxesSaySo()
    {
        using FloatMatrix data = TsneSamples.Clusters(50);
        TsneOptions options = new() { Perplexity = 5, Iterations = 1 };
        Assert.That(() => Fit(data, (TsneMethod.Fft, 3), options), Throws.ArgumentException.With.Message.Contains("BarnesHut"));
        Assert.That(() => Fit(data, (TsneMethod.BarnesHut, 1), options), Throws.ArgumentException.With.Message.Contains("Fft"));
    }

    private static TsneEmbedding Fit(FloatMatrix data, (TsneMethod Method, int Dimensions) how, TsneOptions options) =>
        Tsne.Fit(data, options with { Method = how.Method, Dimensions = how.Dimensions, Threads = 2 });

    private static void AssertFinite(TsneEmbedding map)
    {
        Assert.That(TsneSamples.Values(map), Is.All.Matches<float>(float.IsFinite));
        Assert.That(double.IsFinite(map.KlDivergence));
    }
}
