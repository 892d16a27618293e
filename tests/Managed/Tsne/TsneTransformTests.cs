using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

/// <summary>New points in a finished map: openTSNE's tests of transform and prepare_partial, restated.</summary>
public sealed unsafe class TsneTransformTests
{
    private FloatMatrix _data = null!;
    private FloatMatrix _points = null!;
    private TsneEmbedding _map = null!;

    [OneTimeSetUp]
    public void FitTheMap()
    {
        // Every eighth of the points is new.
        using FloatMatrix all = TsneSamples.Clusters(400, 6, 5, distance: 3);
        _data = Part(all, i => i % 8 != 0);
        _points = Part(all, i => i % 8 == 0);
        _map = Tsne.Fit(_data, new TsneOptions { Perplexity = 15, Iterations = 300, EarlyExaggerationIterations = 100 });
    }

    [OneTimeTearDown]
    public void FreeTheData()
    {
        _data.Dispose();
        _points.Dispose();
    }

    // test_basic_flow, test_inplace_partial_embedding_optimization_doesnt_change_embedding.
    [Test]
    public void TheMapDoesNotMoveAndNewPointsGoToTheirOwn([Values] TsnePartialStart start)
    {
        float[] before = TsneSamples.Values(_map);
        TsnePartialEmbedding placed = _map.Transform(_points, new TsneTransformOptions { Initialization = start, Iterations = start == TsnePartialStart.Random ? 1000 : 250 });
        Assert.Multiple(() =>
        {
            Assert.That(TsneSamples.Values(_map), Is.EqualTo(before));
            Assert.That(Values(placed), Is.All.Matches<float>(float.IsFinite));
            Assert.That(placed.Points, Is.EqualTo(50));
            Assert.That(double.IsFinite(placed.KlDivergence));
            if (start != TsnePartialStart.Random)
                Assert.That(Agreement(placed), Is.GreaterThan(0.95));
        });
    }

    // test_iris_bh_transform_equivalency_with_one_by_one: here to the bit, where the push is exact.
    [Test]
    public void PointsLandInTheSamePlaceAloneAndAmongOthers()
    {
        TsneTransformOptions options = new() { Iterations = 100, Method = TsneMethod.Exact };
        using FloatMatrix start = _map.PreparePartial(_data.View, _points.View, options).ToMatrix(), together = _map.Transform(_points, options).ToMatrix();
        using FloatMatrix turned = Part(_points, _ => true, reverse: true), backwards = _map.Transform(turned, options).ToMatrix();
        Assert.That(together.Row(0).ToArray(), Is.Not.EqualTo(start.Row(0).ToArray()), "the points have moved");
        for (int i = 0; i < 50; i++)
        {
            int only = i;
            Assert.That(backwards.Row(49 - i).ToArray(), Is.EqualTo(together.Row(i).ToArray()), $"point {i} in another order");
            if (i % 7 != 0)
                continue;
            using FloatMatrix one = Part(_points, j => j == only), alone = _map.Transform(one, options).ToMatrix();
            Assert.That(alone.Row(0).ToArray(), Is.EqualTo(together.Row(i).ToArray()), $"point {i} alone");
        }
    }

    // test_iris_fft_transform_equivalency_with_one_by_one: to two decimals.
    [TestCase(TsneMethod.Fft)]
    [TestCase(TsneMethod.BarnesHut)]
    public void ApproximatePushesPlaceAlike(TsneMethod method)
    {
        TsneTransformOptions options = new() { Method = method };
        TsnePartialEmbedding exact = _map.Transform(_points, options with { Method = TsneMethod.Exact }), placed = _map.Transform(_points, options);
        Assert.That(placed.Method, Is.EqualTo(method));
        Assert.That(Values(placed), Is.EqualTo(Values(exact)).Within(0.3));
        Assert.That(placed.KlDivergence, Is.EqualTo(exact.KlDivergence).Within(0.01));
        using FloatMatrix together = placed.ToMatrix();
        for (int i = 0; i < 50; i += 11)
        {
            int only = i;
            using FloatMatrix one = Part(_points, j => j == only), alone = _map.Transform(one, options).ToMatrix();
            Assert.That(alone.Row(0).ToArray(), Is.EqualTo(together.Row(i).ToArray()).Within(0.05), $"point {i}");
        }
    }

    // test_same_unoptimized_initializations_for_transform, test_bh_transform_with_point_subsets_using_perplexity_nn.
    [Test]
    public void StartsAreTheSameEachTimeAndForSubsets([Values] TsnePartialStart start)
    {
        TsneTransformOptions options = new() { Initialization = start, Iterations = 0 };
        using FloatMatrix first = Part(_points, i => i < 25);
        using FloatMatrix one = _map.Transform(_points, options).ToMatrix(), two = _map.PreparePartial(_data.View, _points.View, options with { Threads = 1 }).ToMatrix();
        using FloatMatrix half = _map.Transform(first, options).ToMatrix();
        for (int i = 0; i < 50; i++)
        {
            Assert.That(two.Row(i).ToArray(), Is.EqualTo(one.Row(i).ToArray()));
            if (i < 25)
                Assert.That(half.Row(i).ToArray(), Is.EqualTo(one.Row(i).ToArray()));
        }
    }

    [Test]
    public void ThreadsAndResumingDoNotChangeTheBits([Values(TsneMethod.Exact, TsneMethod.Fft)] TsneMethod method)
    {
        TsneTransformOptions options = new() { Method = method, Threads = 1, Iterations = 100, Exaggeration = 1.5f };
        float[] wanted = Values(_map.Transform(_points, options));
        foreach (int threads in new[] { 2, 7 })
            Assert.That(Values(_map.Transform(_points, options with { Threads = threads })), Is.EqualTo(wanted), $"{threads} threads");
        TsnePartialEmbedding parts = _map.PreparePartial(_data.View, _points.View, options);
        parts.Optimize(new TsnePartialOptimization { Iterations = 30 });
        parts.Optimize(new TsnePartialOptimization { Iterations = 70 });
        Assert.That(parts.Iteration, Is.EqualTo(100));
        Assert.That(Values(parts), Is.EqualTo(wanted));
    }

    // test_that_to_new_transform_matrix_treats_each_datapoint_separately, with every kernel of affinities.
    [Test]
    public void EachPointHasItsOwnDistribution()
    {
        AffinityKernel[] kernels =
        [
            AffinityKernel.Perplexity(5), AffinityKernel.Multiscale(3, 8), AffinityKernel.MultiscaleMixture(3, 8),
            AffinityKernel.Uniform(7), AffinityKernel.FixedSigma(2, 10),
        ];
        foreach (AffinityKernel kernel in kernels)
        {
            CsrMatrix affinities = _map.Transform(_points, new TsneTransformOptions { Affinities = kernel, Iterations = 20 }).Affinities;
            Assert.That((affinities.Rows, affinities.Columns), Is.EqualTo((50, 350)));
            for (int i = 0; i < 50; i++)
            {
                double sum = 0;
                for (int t = (int)affinities.RowOffsets[i]; t < affinities.RowOffsets[i + 1]; t++)
                    sum += affinities.Values[t];
                Assert.That(sum, Is.EqualTo(1).Within(1e-5), $"{kernel}");
            }
        }
    }

    [Test]
    public void TheGradientIsTheSlopeOfTheDivergence([Values(0.5, 1, 2)] double degreesOfFreedom)
    {
        using FloatMatrix positions = _map.ToMatrix();
        TsneEmbedding reference = new(_map.Affinities, positions, TsneMethod.Exact, 2, degreesOfFreedom);
        TsnePartialEmbedding prepared = reference.PreparePartial(_data.View, _points.View);
        using FloatMatrix start = prepared.ToMatrix();
        TsnePartialEmbedding moved = new(reference, prepared.Affinities, start.View, TsneMethod.Exact);
        moved.Optimize(new TsnePartialOptimization { Iterations = 1, Exaggeration = 1, Momentum = 0, LearningRate = 1, MaxGradientNorm = float.PositiveInfinity });
        const float Width = 1f / 64;
        for (int i = 0; i < 50; i += 7)
        {
            float middle = start[i, 1];
            start[i, 1] = middle + Width;
            double above = new TsnePartialEmbedding(reference, prepared.Affinities, start.View, TsneMethod.Exact).KlDivergence;
            start[i, 1] = middle - Width;
            double below = new TsnePartialEmbedding(reference, prepared.Affinities, start.View, TsneMethod.Exact).KlDivergence;
            start[i, 1] = middle;

            // The divergence is the mean over 50 points; the first step has gain 0.8.
            Assert.That((middle - moved[i, 1]) / 0.8, Is.EqualTo(50 * (above - below) / (2 * Width)).Within(2e-3), $"point {i}");
        }
    }

    [Test]
    public void StepsMakeTheDivergenceSmallerAndKeepTheirBounds()
    {
        TsnePartialEmbedding placed = _map.PreparePartial(_data.View, _points.View);
        using FloatMatrix start = placed.ToMatrix();
        double before = placed.KlDivergence;
        TsneSamples.Told progress = new();
        placed.Optimize(new TsnePartialOptimization { Iterations = 120, Exaggeration = 1 }, progress);
        Assert.Multiple(() =>
        {
            Assert.That(placed.KlDivergence, Is.LessThan(before));
            Assert.That(progress.Reports.Select(r => r.Iteration), Is.EqualTo(new[] { 50, 100, 120 }));
            Assert.That(progress.Reports[^1].KlDivergence, Is.EqualTo(placed.KlDivergence));
        });

        TsnePartialEmbedding bounded = new(_map, placed.Affinities, start.View, TsneMethod.Exact), shortened = new(_map, placed.Affinities, start.View, TsneMethod.Exact);
        bounded.Optimize(new TsnePartialOptimization { Iterations = 10, LearningRate = 100, MaxStepNorm = 0.01f });
        shortened.Optimize(new TsnePartialOptimization { Iterations = 1, LearningRate = 1, MaxGradientNorm = 0.001f });
        for (int i = 0; i < 50; i++)
        {
            Assert.That(Math.Sqrt(Math.Pow(bounded[i, 0] - start[i, 0], 2) + Math.Pow(bounded[i, 1] - start[i, 1], 2)), Is.LessThan(0.101));
            Assert.That(Math.Sqrt(Math.Pow(shortened[i, 0] - start[i, 0], 2) + Math.Pow(shortened[i, 1] - start[i, 1], 2)), Is.LessThan(0.0008 + 1e-5));
        }
    }

    [Test]
    public void KnownRowsLandOnTheirOwn()
    {
        // A new row equal to an old one has it for a neighbour at distance 0.
        using FloatMatrix known = Part(_data, i => i % 10 == 0), placed = _map.Transform(known).ToMatrix();
        double[] off = [.. Enumerable.Range(0, 35).Select(i => Math.Sqrt(Math.Pow(placed[i, 0] - _map[10 * i, 0], 2) + Math.Pow(placed[i, 1] - _map[10 * i, 1], 2))).Order()];
        double width = _map.Axis(0).ToArray().Max() - _map.Axis(0).ToArray().Min();
        Assert.That(off[17], Is.LessThan(0.1 * width));
    }

    [Test]
    public void FarAndEqualPointsGiveNumbers([Values(TsneMethod.Exact, TsneMethod.Fft, TsneMethod.BarnesHut)] TsneMethod method)
    {
        using FloatMatrix odd = new(6, 6), far = new(6, 2);
        odd.Row(0).Fill(1e6f);
        odd.Row(1).Fill(-1e18f);
        far.Row(2).Fill(1e8f);
        foreach (TsneTransformOptions options in new[] { new TsneTransformOptions(), new TsneTransformOptions { InitialPositions = far }, new TsneTransformOptions { LearningRate = 1e30f, MaxGradientNorm = float.PositiveInfinity } })
        {
            TsnePartialEmbedding placed = _map.Transform(odd, options with { Method = method, Iterations = 20 });
            Assert.That(Values(placed), Is.All.Matches<float>(float.IsFinite));
            Assert.That(double.IsFinite(placed.KlDivergence));
        }

        using FloatMatrix none = new(0, 6);
        Assert.That(_map.Transform(none, new TsneTransformOptions { Method = method }).Points, Is.Zero);
    }

    // TestTSNECallbackParams, and interruption.
    [Test]
    public void CallbacksSeeThePointsAndCanEndTheRun()
    {
        List<int> calls = [];
        TsnePartialEmbedding placed = _map.Transform(_points, new TsneTransformOptions
        {
            CallbackInterval = 20,
            Callback = (seen, progress) =>
            {
                calls.Add(progress.Iteration);
                return seen.Iteration < 60;
            },
        });
        Assert.That(calls, Is.EqualTo(new[] { 20, 40, 60 }));
        Assert.That((placed.Iteration, placed.Stop), Is.EqualTo((60, TsneStop.Callback)));
        Assert.That(Values(_map.Transform(_points, new TsneTransformOptions { Iterations = 60 })), Is.EqualTo(Values(placed)));
        using CancellationTokenSource source = new();
        TsneSamples.Told progress = new(_ => source.Cancel());
        Assert.That(() => _map.Transform(_points, null, progress, source.Token), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void BothPhasesAreUsed()
    {
        TsneTransformOptions options = new() { EarlyExaggerationIterations = 20, Iterations = 50, EarlyExaggeration = 6, InitialMomentum = 0.5f };
        TsnePartialEmbedding placed = _map.Transform(_points, options), stepped = _map.PreparePartial(_data.View, _points.View);
        stepped.Optimize(new TsnePartialOptimization { Iterations = 20, Exaggeration = 6, Momentum = 0.5f });
        stepped.Optimize(new TsnePartialOptimization { Iterations = 30 });
        Assert.That(Values(placed), Is.EqualTo(Values(stepped)));
    }

    [Test]
    public void ANewPointOfDigitsLandsAmongItsKind()
    {
        (FloatMatrix all, int[] labels) = TsneSamples.Digits();
        using (all)
        {
            using FloatMatrix data = Part(all, i => i % 4 != 0), points = Part(all, i => i % 4 == 0);
            int[] known = [.. labels.Where((_, i) => i % 4 != 0)], wanted = [.. labels.Where((_, i) => i % 4 == 0)];
            TsneEmbedding map = Tsne.Fit(data, new TsneOptions { Iterations = 500 });
            TsnePartialEmbedding placed = map.Transform(points);
            int right = 0;
            for (int i = 0; i < placed.Points; i++)
            {
                int nearest = Enumerable.Range(0, map.Points).MinBy(j => Math.Pow(map[j, 0] - placed[i, 0], 2) + Math.Pow(map[j, 1] - placed[i, 1], 2));
                right += known[nearest] == wanted[i] ? 1 : 0;
            }

            Assert.That((double)right / placed.Points, Is.GreaterThan(0.95));
        }
    }

    // test_mismatching_embedding_dimensions_simple_api, and the rest.
    [Test]
    public void BadArgumentsAreNamed()
    {
        using FloatMatrix positions = _map.ToMatrix(), few = new(49, 2), deep = new(50, 3), narrow = new(50, 5), lost = _points.Copy(), gone = _data.Copy();
        lost[4, 2] = float.NaN;
        TsneEmbedding stranger = new(_map.Affinities, positions);
        TsneEmbedding orphan = Tsne.Fit(gone, new TsneOptions { Perplexity = 5, Iterations = 1 });
        gone.Dispose();
        (TsneTransformOptions Options, string Name)[] bad =
        [
            (new() { Perplexity = 0.5 }, "Perplexity"),
            (new() { Metric = (TsneMetric)9 }, "Metric"),
            (new() { Initialization = (TsnePartialStart)9 }, "Initialization"),
            (new() { StartNeighbors = 0 }, "StartNeighbors"),
            (new() { EarlyExaggeration = 0 }, "EarlyExaggeration"),
            (new() { EarlyExaggerationIterations = -1 }, "EarlyExaggerationIterations"),
            (new() { Exaggeration = float.NaN }, "Exaggeration"),
            (new() { Iterations = -1 }, "Iterations"),
            (new() { LearningRate = 0 }, "LearningRate"),
            (new() { InitialMomentum = 1 }, "InitialMomentum"),
            (new() { FinalMomentum = -1 }, "FinalMomentum"),
            (new() { MaxGradientNorm = 0 }, "MaxGradientNorm"),
            (new() { MaxStepNorm = 0 }, "MaxStepNorm"),
            (new() { MinGain = 0 }, "MinGain"),
            (new() { CallbackInterval = 0 }, "CallbackInterval"),
            (new() { Method = (TsneMethod)9 }, "Method"),
            (new() { Theta = 2 }, "Theta"),
            (new() { Threads = 0 }, "Threads"),
        ];
        Assert.Multiple(() =>
        {
            foreach ((TsneTransformOptions options, string name) in bad)
                Assert.That(() => _map.Transform(_points, options), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo(name), name);
            Assert.That(() => stranger.Transform(_points), Throws.InvalidOperationException.With.Message.Contains("does not know the data"));
            Assert.That(() => stranger.Transform(_data.View, _points.View, new TsneTransformOptions { Iterations = 1 }), Throws.Nothing);
            Assert.That(() => orphan.Transform(_points), Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => _map.Transform(narrow), Throws.ArgumentException.With.Message.Contains("6 columns").And.Message.Contains("5"));
            Assert.That(() => _map.Transform(lost), Throws.ArgumentException.With.Message.Contains("row 4 and column 2"));
            Assert.That(() => _map.Transform(_points.View, _points.View), Throws.ArgumentException.With.Message.Contains("350 points and the reference 50"));
            Assert.That(() => _map.Transform(_points, new TsneTransformOptions { InitialPositions = few }), Throws.ArgumentException.With.Message.Contains("50 x 2"));
            Assert.That(() => _map.Transform(_points, new TsneTransformOptions { InitialPositions = deep }), Throws.ArgumentException.With.Message.Contains("50 x 3"));
            Assert.That(() => _map.Transform(_points, new TsneTransformOptions { Perplexity = 351 }), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("there are 350"));
            Assert.That(() => new TsnePartialEmbedding(_map, new CsrMatrix(7, [0, 1], [0], [1]), few.View), Throws.ArgumentException.With.Message.Contains("350 columns"));
            Assert.That(() => new TsnePartialEmbedding(_map, new CsrMatrix(350, [0, 1], [0], [-1]), new MatrixView<float>(few.View.Data, 1, 2)), Throws.ArgumentException.With.Message.Contains("-1"));
            Assert.That(() => new TsnePartialEmbedding(_map, new CsrMatrix(350, [0, 1], [0], [1]), few.View), Throws.ArgumentException.With.Message.Contains("1 x 2"));
        });
    }

    /// <summary>The share of the new points whose nearest old one is of their cluster: old and new point i are of cluster i % 5 in the whole.</summary>
    private double Agreement(TsnePartialEmbedding placed)
    {
        int[] old = [.. Enumerable.Range(0, 400).Where(i => i % 8 != 0).Select(i => i % 5)], kind = [.. Enumerable.Range(0, 400).Where(i => i % 8 == 0).Select(i => i % 5)];
        return Enumerable.Range(0, placed.Points).Average(i => old[Enumerable.Range(0, old.Length)
            .MinBy(j => Math.Pow(_map[j, 0] - placed[i, 0], 2) + Math.Pow(_map[j, 1] - placed[i, 1], 2))] == kind[i] ? 1.0 : 0);
    }

    private static FloatMatrix Part(FloatMatrix matrix, Func<int, bool> wanted, bool reverse = false)
    {
        int[] rows = [.. Enumerable.Range(0, (int)matrix.Rows).Where(wanted)];
        if (reverse)
            Array.Reverse(rows);
        FloatMatrix part = new(rows.Length, matrix.Columns);
        for (int i = 0; i < rows.Length; i++)
            matrix.Row(rows[i]).CopyTo(part.Row(i));
        return part;
    }

    private static float[] Values(TsnePartialEmbedding placed)
    {
        float[] values = new float[placed.Points * placed.Dimensions];
        placed.CopyTo(values);
        return values;
    }
}
