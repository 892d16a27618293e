namespace EmbeddingKernels.Tests;

public sealed class TsneEmbeddingTests
{
    private readonly TsneAffinities _affinities = TsneAffinities.FromNeighbors(Ring(300, 9), [.. Enumerable.Repeat(1f, 300 * 9).Select((d, i) => d + (i % 9))], 9, 4);

    [Test]
    public void ResumingEqualsOneRun()
    {
        TsneEmbedding whole = NewMap(), parts = NewMap();
        whole.Optimize(30, 12, 0.5f);
        whole.Optimize(70);
        parts.Optimize(13, 12, 0.5f);
        parts.Optimize(0, 12, 0.5f);
        parts.Optimize(17, 12, 0.5f);
        parts.Optimize(1);
        parts.Optimize(69);
        Assert.Multiple(() =>
        {
            Assert.That(parts.Iteration, Is.EqualTo(100));
            Assert.That(TsneSamples.Values(parts), Is.EqualTo(TsneSamples.Values(whole)));
            Assert.That(parts.KlDivergence, Is.EqualTo(whole.KlDivergence));
            Assert.That(parts.GradientNorm, Is.EqualTo(whole.GradientNorm));
        });
    }

    [Test]
    public void ResumingFromASavedStateEqualsOneRun()
    {
        TsneEmbedding whole = NewMap(), first = NewMap();
        whole.Optimize(60, 4);
        first.Optimize(25, 4);
        TsneEmbedding second = new(_affinities, first.GetState());
        second.Optimize(35, 4);
        Assert.That(second.Iteration, Is.EqualTo(60));
        Assert.That(TsneSamples.Values(second), Is.EqualTo(TsneSamples.Values(whole)));
    }

    [Test]
    public void ThreadsDoNotChangeTheBits([Values(1, 2, 3)] int dimensions)
    {
        float[]? wanted = null;
        double divergence = 0;
        foreach (int threads in new[] { 1, 2, 3, 7 })
        {
            TsneEmbedding map = NewMap(dimensions, threads);
            map.Optimize(50, 12, 0.5f);
            map.Optimize(50);
            if (wanted is null)
                (wanted, divergence) = (TsneSamples.Values(map), map.KlDivergence);
            Assert.That(TsneSamples.Values(map), Is.EqualTo(wanted), $"{threads} threads");
            Assert.That(map.KlDivergence, Is.EqualTo(divergence), $"{threads} threads");
        }
    }

    [Test]
    public void ProgressTellsTheDivergenceOfTheMapAsItWas()
    {
        TsneEmbedding map = NewMap(), twin = NewMap();
        TsneSamples.Told progress = new();
        map.Optimize(120, 12, 0.5f, progress: progress);
        Assert.That(progress.Reports.Select(r => r.Iteration), Is.EqualTo(new[] { 50, 100, 120 }));
        foreach (TsneProgress report in progress.Reports)
        {
            twin.Optimize(report.Iteration - twin.Iteration, 12, 0.5f);
            Assert.Multiple(() =>
            {
                Assert.That(report.KlDivergence, Is.EqualTo(twin.KlDivergence));
                Assert.That(report.GradientNorm, Is.EqualTo(twin.GradientNorm));
                Assert.That(report.Iterations, Is.EqualTo(120));
                Assert.That(report.Stage, Is.EqualTo(TsneStage.Optimization));
                Assert.That(report.IterationsPerSecond, Is.GreaterThan(0));
            });
        }
    }

    [Test]
    public void ACancelledRunStopsWithinAStepAndGoesOn()
    {
        TsneEmbedding map = NewMap(), twin = NewMap();
        using CancellationTokenSource source = new();
        TsneSamples.Told progress = new(_ => source.Cancel());
        Assert.That(
            () => map.Optimize(1000, 12, 0.5f, progress: progress, cancellationToken: source.Token),
            Throws.InstanceOf<OperationCanceledException>().With.Property("CancellationToken").EqualTo(source.Token));

        // The report of step 50 comes in the middle of step 51, which is still made.
        Assert.That(map.Iteration, Is.EqualTo(51));
        twin.Optimize(51, 12, 0.5f);
        Assert.That(TsneSamples.Values(map), Is.EqualTo(TsneSamples.Values(twin)));
        Assert.That(map.KlDivergence, Is.EqualTo(twin.KlDivergence));
        map.Optimize(20);
        twin.Optimize(20);
        Assert.That(TsneSamples.Values(map), Is.EqualTo(TsneSamples.Values(twin)));
    }

    [Test]
    public void ATokenThatIsCancelledAlreadyMovesNothing()
    {
        TsneEmbedding map = NewMap();
        float[] before = TsneSamples.Values(map);
        Assert.That(() => map.Optimize(5, cancellationToken: new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(TsneSamples.Values(map), Is.EqualTo(before));
        Assert.That(map.Iteration, Is.Zero);
    }

    // scikit-learn's test_optimization_minimizes_kl_divergence, restated.
    [Test]
    public void LongerRunsHaveSmallerDivergence()
    {
        TsneEmbedding map = NewMap();
        map.Optimize(100, 12, 0.5f);
        double last = map.KlDivergence;
        foreach (int steps in new[] { 50, 100, 200 })
        {
            map.Optimize(steps);
            Assert.That(map.KlDivergence, Is.LessThan(last));
            last = map.KlDivergence;
        }
    }

    [Test]
    public void TheMapStaysCentred()
    {
        TsneEmbedding map = NewMap();
        map.Optimize(150);
        for (int axis = 0; axis < 2; axis++)
            Assert.That(map.Axis(axis).ToArray().Average(), Is.EqualTo(0).Within(1e-4));
    }

    [Test]
    public void NoLearningRateGivesNaN([Values(1e-6f, 1f, 1e6f, 1e30f)] float rate)
    {
        TsneEmbedding map = NewMap();
        map.Optimize(60, 12, 0.5f, rate);
        map.Optimize(60, 1, 0.99f, rate);
        Assert.That(TsneSamples.Values(map), Is.All.Matches<float>(float.IsFinite));
        Assert.That(double.IsFinite(map.KlDivergence));
    }

    [Test]
    public void CoordinatesReadTheSameEveryWay()
    {
        TsneEmbedding map = NewMap(3);
        map.Optimize(3);
        using FloatMatrix matrix = map.ToMatrix();
        float[] values = TsneSamples.Values(map);
        for (int i = 0; i < map.Points; i++)
        {
            for (int axis = 0; axis < 3; axis++)
                Assert.That((map[i, axis], matrix[i, axis], values[(3 * i) + axis]), Is.EqualTo((map.Axis(axis)[i], map.Axis(axis)[i], map.Axis(axis)[i])));
        }
    }

    [Test]
    public void BadArgumentsAreNamed()
    {
        TsneEmbedding map = NewMap();
        TsneState state = map.GetState();
        using FloatMatrix few = new(299, 2), deep = new(300, 4), lost = new(300, 2), zeros = new(300, 2);
        lost[5, 1] = float.NaN;
        zeros[3, 0] = -1;
        Assert.Multiple(() =>
        {
            Assert.That(() => new TsneEmbedding(_affinities, few), Throws.ArgumentException.With.Message.Contains("300 points").And.Message.Contains("299 rows"));
            Assert.That(() => new TsneEmbedding(_affinities, deep), Throws.ArgumentException.With.Message.Contains("4 columns"));
            Assert.That(() => new TsneEmbedding(_affinities, lost), Throws.ArgumentException.With.Message.Contains("Point 5 has NaN on axis 1"));
            Assert.That(() => new TsneEmbedding(_affinities, few, (TsneMethod)7), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => new TsneEmbedding(_affinities, state with { Gains = zeros }), Throws.ArgumentException.With.Message.Contains("Gains of point 3"));
            Assert.That(() => new TsneEmbedding(_affinities, state with { Velocity = few }), Throws.ArgumentException.With.Message.Contains("Velocity must be 300 x 2"));
            Assert.That(() => new TsneEmbedding(_affinities, state with { Iteration = -1 }), Throws.ArgumentException.With.Message.Contains("-1"));
            Assert.That(() => map.Optimize(-1), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => map.Optimize(1, 0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("exaggeration"));
            Assert.That(() => map.Optimize(1, 1, 1), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("momentum"));
            Assert.That(() => map.Optimize(1, 1, 0.5f, -3), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("learningRate"));
            Assert.That(() => map[300, 0], Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => map[0, 2], Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => map.CopyTo(new float[5]), Throws.ArgumentException.With.Message.Contains("600"));
        });
    }

    private TsneEmbedding NewMap(int dimensions = 2, int? threads = null)
    {
        using FloatMatrix start = TsneInitialization.Random(300, dimensions);
        return new TsneEmbedding(_affinities, start, threads: threads);
    }

    /// <summary>Points on a ring, each a neighbour of the next ones.</summary>
    private static long[] Ring(int points, int neighbors) =>
        [.. from i in Enumerable.Range(0, points) from j in Enumerable.Range(1, neighbors) select (long)((i + j) % points)];
}
