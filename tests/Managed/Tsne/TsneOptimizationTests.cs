using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

/// <summary>How a map is optimised: the gradient, ends, callbacks and settings of scikit-learn's and openTSNE's tests, restated.</summary>
public sealed unsafe class TsneOptimizationTests
{
    private readonly TsneAffinities _affinities = Affinities();

    // scikit-learn's test_gradient: the step is along the slope of the divergence.
    [Test]
    public void TheGradientIsTheSlopeOfTheDivergence([Values(0.5, 1, 2)] double degreesOfFreedom, [Values(1, 2, 3)] int dimensions)
    {
        using FloatMatrix start = TsneInitialization.Rescale(TsneInitialization.Random(100, dimensions, 3), 1.5);
        TsneEmbedding map = new(_affinities, start, TsneMethod.Exact, 2, degreesOfFreedom);
        using FloatMatrix before = map.ToMatrix();

        // The first step has gain 0.8 and no momentum; the mean of the gradients is 0.
        map.Optimize(new TsneOptimization { Iterations = 1, LearningRate = 1, Momentum = 0, MaxStepNorm = float.PositiveInfinity });
        const float Width = 1f / 64;
        double largest = Enumerable.Range(0, 100).Max(i => Math.Abs(map[i, 0] - before[i, 0])) / 0.8;
        double mean = Enumerable.Range(0, 100).Average(i => (double)before[i, 0]);
        for (int i = 0; i < 100; i += 9)
        {
            float middle = before[i, 0];
            before[i, 0] = middle + Width;
            double above = MapQuality.KlDivergence(_affinities, before, degreesOfFreedom);
            before[i, 0] = middle - Width;
            double slope = (above - MapQuality.KlDivergence(_affinities, before, degreesOfFreedom)) / (2 * Width);
            before[i, 0] = middle;
            Assert.That((middle - mean - map[i, 0]) / 0.8, Is.EqualTo(slope).Within(0.01 * largest), $"point {i}");
        }
    }

    // test_gradient_descent_stops: gradient norm.
    [Test]
    public void ASmallGradientEndsTheRun()
    {
        TsneEmbedding map = NewMap();
        TsneSamples.Told progress = new();
        Assert.That(map.Optimize(new TsneOptimization { Iterations = 500, MinGradientNorm = 1e3 }, progress), Is.EqualTo(TsneStop.GradientNorm));
        Assert.Multiple(() =>
        {
            Assert.That(map.Stop, Is.EqualTo(TsneStop.GradientNorm));
            Assert.That(map.Iteration, Is.EqualTo(50), "every 50th step is looked at");
            Assert.That(progress.Reports.Select(r => (r.Iteration, r.Iterations)), Is.EqualTo(new[] { (50, 50) }));
        });
        Assert.That(map.Optimize(new TsneOptimization { Iterations = 70 }), Is.EqualTo(TsneStop.Iterations));
        Assert.That(map.Iteration, Is.EqualTo(120));
    }

    // test_min_grad_norm: the norm is below the limit once at most, because the run ends there.
    [Test]
    public void TheGradientIsSmallOnceAtMost()
    {
        TsneEmbedding map = NewMap();
        TsneSamples.Told progress = new();
        map.Optimize(250, 12, 0.5f);
        map.Optimize(new TsneOptimization { Iterations = 3000, MinGradientNorm = 2e-4 }, progress);
        Assert.That(map.Stop, Is.EqualTo(TsneStop.GradientNorm));
        Assert.That(progress.Reports.Count(r => r.GradientNorm <= 2e-4), Is.EqualTo(1));
    }

    // test_gradient_descent_stops, test_n_iter_without_progress: a learning rate at which nothing converges.
    [Test]
    public void NoProgressEndsTheRun()
    {
        TsneEmbedding map = NewMap();
        Assert.That(map.Optimize(new TsneOptimization { Iterations = 2000, LearningRate = 1e8f, IterationsWithoutProgress = 100 }), Is.EqualTo(TsneStop.NoProgress));
        Assert.That(map.Iteration, Is.GreaterThan(100).And.LessThan(2000));
        Assert.That(map.Iteration % 50, Is.Zero);
    }

    // test_init_ndarray: where all points are one, there is no gradient.
    [Test]
    public void AStartWithoutWidthStays()
    {
        using FloatMatrix data = new(100, 5), zeros = new(100, 2);
        TsneEmbedding map = Tsne.Fit(data, new TsneOptions { InitialPositions = zeros });
        Assert.That(TsneSamples.Values(map), Is.All.EqualTo(0));
        Assert.That(map.Stop, Is.EqualTo(TsneStop.GradientNorm));
        Assert.That(() => Tsne.Fit(data, new TsneOptions { InitialPositions = zeros, Dimensions = 3 }), Throws.ArgumentException.With.Message.Contains("100 x 3"));
    }

    // openTSNE's VerifyExaggerationError: what a callback is told is the divergence without exaggeration.
    [Test]
    public void CallbacksAreToldTheDivergenceOfTheMapTheySee([Values(1, 4)] float exaggeration)
    {
        TsneEmbedding map = NewMap(), twin = NewMap();
        List<int> calls = [];
        map.Optimize(new TsneOptimization
        {
            Iterations = 40,
            Exaggeration = exaggeration,
            CallbackInterval = 7,
            Callback = (seen, progress) =>
            {
                calls.Add(progress.Iteration);
                twin.Optimize(7, exaggeration);
                using FloatMatrix positions = seen.ToMatrix();
                Assert.That(seen, Is.SameAs(map));
                Assert.That(TsneSamples.Values(seen), Is.EqualTo(TsneSamples.Values(twin)));
                Assert.That(progress.KlDivergence, Is.EqualTo(MapQuality.KlDivergence(_affinities, positions)).Within(1e-9));
                return true;
            },
        });
        Assert.That(calls, Is.EqualTo(new[] { 7, 14, 21, 28, 35 }));
        Assert.That(map.Stop, Is.EqualTo(TsneStop.Iterations));
    }

    // openTSNE's OptimizationInterrupt.
    [Test]
    public void ACallbackEndsTheRun()
    {
        TsneEmbedding map = NewMap(), twin = NewMap();
        TsneSamples.Told progress = new();
        TsneOptimization settings = new() { Iterations = 200, CallbackInterval = 20, Callback = (_, seen) => seen.Iteration < 60 };
        Assert.That(map.Optimize(settings, progress), Is.EqualTo(TsneStop.Callback));
        twin.Optimize(60);
        Assert.Multiple(() =>
        {
            Assert.That(TsneSamples.Values(map), Is.EqualTo(TsneSamples.Values(twin)));
            Assert.That(progress.Reports.Select(r => r.Iteration), Is.EqualTo(new[] { 50, 60 }));
        });

        using FloatMatrix data = TsneSamples.Clusters(60);
        TsneEmbedding early = Tsne.Fit(data, new TsneOptions { Perplexity = 10, CallbackInterval = 1, Callback = (_, seen) => seen.Iteration < 3 });
        Assert.That((early.Iteration, early.Stop), Is.EqualTo((3, TsneStop.Callback)), "neither phase goes on");
        TsneEmbedding one = NewMap();
        int calls = 0;
        one.Optimize(new TsneOptimization { Iterations = 1, CallbackInterval = 1, Callback = (_, _) => ++calls > 0 });
        Assert.That(calls, Is.EqualTo(1));
    }

    // test_early_exaggeration_used, and openTSNE's exaggeration of the second phase.
    [Test]
    public void ExaggerationIsUsedInBothPhases([Values] bool late)
    {
        using FloatMatrix data = TsneSamples.Clusters(120);
        TsneOptions options = new() { Perplexity = 10, EarlyExaggerationIterations = 50, Iterations = 150, EarlyExaggeration = 4 };
        TsneEmbedding plain = Tsne.Fit(data, options);
        TsneEmbedding other = Tsne.Fit(data, late ? options with { Exaggeration = 3 } : options with { EarlyExaggeration = 1 });
        Assert.That(TsneSamples.Values(other), Is.Not.EqualTo(TsneSamples.Values(plain)).Within(1e-3));
        if (late)
            Assert.That(other.KlDivergence, Is.GreaterThan(plain.KlDivergence));
        Assert.That(plain.Iteration, Is.EqualTo(150));
    }

    [Test]
    public void SettingsOfTheStepAreUsed()
    {
        TsneEmbedding map = NewMap(), bounded = NewMap(), gained = NewMap();
        map.Optimize(60, learningRate: 100);
        bounded.Optimize(new TsneOptimization { Iterations = 60, LearningRate = 100, MaxStepNorm = 0.01f });
        gained.Optimize(new TsneOptimization { Iterations = 60, LearningRate = 100, MinGain = 0.5f });
        Assert.That(TsneSamples.Values(bounded).Max(Math.Abs), Is.LessThan(0.01 * 60 * 1.1).And.LessThan(TsneSamples.Values(map).Max(Math.Abs)));
        Assert.That(TsneSamples.Values(gained), Is.Not.EqualTo(TsneSamples.Values(map)));

        TsneEmbedding wild = NewMap();
        wild.Optimize(new TsneOptimization { Iterations = 100, LearningRate = 1e30f, MaxStepNorm = float.PositiveInfinity });
        Assert.That(TsneSamples.Values(wild), Is.All.Matches<float>(float.IsFinite));
    }

    // openTSNE's TestTSNECorrectnessUsingNonStandardDof.
    [Test]
    public void OtherDegreesOfFreedomKeepClustersApart([Values(0.5, 0.8, 2, 100)] double degreesOfFreedom, [Values(TsneMethod.Exact, TsneMethod.Fft)] TsneMethod method)
    {
        using FloatMatrix data = TsneSamples.Clusters(240);
        TsneEmbedding map = Tsne.Fit(data, new TsneOptions
        {
            Perplexity = 20,
            Iterations = 400,
            EarlyExaggerationIterations = 150,
            DegreesOfFreedom = degreesOfFreedom,
            Method = method,
        });
        using FloatMatrix positions = map.ToMatrix();
        Assert.Multiple(() =>
        {
            Assert.That(map.DegreesOfFreedom, Is.EqualTo(degreesOfFreedom));
            Assert.That(TsneSamples.NearestNeighborAgreement(map, [.. Enumerable.Range(0, 240).Select(i => i % 4)]), Is.EqualTo(1));
            Assert.That(map.KlDivergence, Is.EqualTo(MapQuality.KlDivergence(map.Affinities, positions, degreesOfFreedom)).Within(1).Percent);
        });
    }

    // openTSNE's test_pca_init_with_only_affinities_passed, test_precomputed_dist_matrix_doesnt_override_valid_inits.
    [Test]
    public void AffinitiesAloneStartSpectrally()
    {
        TsneOptions none = new() { Iterations = 0 };
        using FloatMatrix spectral = TsneInitialization.Spectral(_affinities), random = TsneInitialization.Random(100);
        using FloatMatrix given = Tsne.Fit(_affinities, none).ToMatrix(), asked = Tsne.Fit(_affinities, none with { Initialization = TsneStart.Random }).ToMatrix();
        using FloatMatrix own = Tsne.Fit(_affinities, none with { InitialPositions = random }).ToMatrix();
        for (int i = 0; i < 100; i++)
        {
            Assert.That(given.Row(i).ToArray(), Is.EqualTo(spectral.Row(i).ToArray()));
            Assert.That(asked.Row(i).ToArray(), Is.EqualTo(random.Row(i).ToArray()));
            Assert.That(own.Row(i).ToArray(), Is.EqualTo(random.Row(i).ToArray()));
        }

        using FloatMatrix data = TsneSamples.Clusters(20);
        Assert.That(() => Tsne.Initialize(data.View, new TsneOptions { Initialization = TsneStart.Spectral }), Throws.ArgumentException.With.Message.Contains("affinities"));
        Assert.That(
            () => Tsne.Fit(_affinities, cancellationToken: new CancellationToken(canceled: true)),
            Throws.InstanceOf<TsneCanceledException>().With.Property("Embedding").Null);
    }

    // scikit-learn's test_preserve_trustworthiness_approximately, with and without precomputed distances.
    [Test]
    public void NeighborhoodsAreKept([Values(1, 2, 3)] long seed)
    {
        SplitMix64 random = new(seed);
        using FloatMatrix data = new(80, 2), distances = new(80, 80);
        for (int i = 0; i < 80; i++)
            (data[i, 0], data[i, 1]) = ((float)random.NextGaussian(), (float)random.NextGaussian());
        Similarity.Scores(data.View, data.View, SimilarityMetric.Euclidean, distances.View);
        TsneEmbedding map = Tsne.Fit(
            TsneAffinities.FromDistances(distances.View, 5),
            new TsneOptions { EarlyExaggeration = 2, LearningRate = 100, Iterations = 500, Initialization = TsneStart.Random, Seed = seed });
        using FloatMatrix positions = map.ToMatrix();
        Assert.That(MapQuality.TrustworthinessOfDistances(distances.View, positions.View, 1), Is.GreaterThan(0.95));
        using FloatMatrix pca = Tsne.Fit(data, new TsneOptions { Perplexity = 20, Iterations = 700 }).ToMatrix();
        Assert.That(MapQuality.Trustworthiness(data, pca, 1), Is.GreaterThan(0.85));
    }

    [Test]
    public void BadSettingsAreNamed()
    {
        TsneEmbedding map = NewMap();
        (TsneOptimization Settings, string Name)[] bad =
        [
            (new() { Iterations = -1 }, "Iterations"),
            (new() { Exaggeration = 0 }, "Exaggeration"),
            (new() { Momentum = 1 }, "Momentum"),
            (new() { LearningRate = 0 }, "LearningRate"),
            (new() { MinGain = 0 }, "MinGain"),
            (new() { MaxStepNorm = 0 }, "MaxStepNorm"),
            (new() { MinGradientNorm = double.NaN }, "MinGradientNorm"),
            (new() { IterationsWithoutProgress = -1 }, "IterationsWithoutProgress"),
            (new() { CallbackInterval = 0 }, "CallbackInterval"),
        ];
        Assert.Multiple(() =>
        {
            foreach ((TsneOptimization settings, string name) in bad)
                Assert.That(() => map.Optimize(settings), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo(name), name);
        });
    }

    private static TsneAffinities Affinities()
    {
        using FloatMatrix data = TsneSamples.Clusters(100, distance: 2);
        return TsneAffinities.FromData(data, 10);
    }

    private TsneEmbedding NewMap()
    {
        using FloatMatrix start = TsneInitialization.Random(100, 2, 5);
        return new TsneEmbedding(_affinities, start, TsneMethod.Exact, 2);
    }
}
