using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed class TsneOptimizerTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void StepsFollowTheReference([Values(1, 2, 3)] int dimensions, [Values(1, 2, 15, 16, 17, 200)] int points)
    {
        Random random = new(points);
        using TestMap map = TestMap.Random(dimensions, points, 2), velocity = new(dimensions, points), gains = new(dimensions, points);
        using TestMap attraction = new(dimensions, points), repulsion = new(dimensions, points);
        Fill(gains, () => 1f);
        double[][] y = map.ToDouble(), v = velocity.ToDouble(), g = gains.ToDouble();
        TsneStep step = new() { Exaggeration = 3f, LearningRate = 20f, Momentum = 0.7f, MaxStepNorm = 4f };
        const double SumQ = 17;
        for (int round = 0; round < 30; round++)
        {
            // Forces of every sign, and some steps above the bound.
            Fill(attraction, () => 0.06f * (random.NextSingle() - 0.5f));
            Fill(repulsion, () => 0.5f * (random.NextSingle() - 0.5f));
            double[][] gradient = attraction.ToDouble(), push = repulsion.ToDouble();
            double squares = 0;
            for (int axis = 0; axis < dimensions; axis++)
            {
                for (int i = 0; i < points; i++)
                {
                    gradient[axis][i] = 4 * ((step.Exaggeration * gradient[axis][i]) - (push[axis][i] / SumQ));
                    squares += gradient[axis][i] * gradient[axis][i];
                }
            }

            double norm = TsneOptimizer.Step(map.View, velocity.View, gains.View, attraction.View, repulsion.View, SumQ, step);
            TsneOptimizerReference.Step(y, v, g, gradient, step);
            Assert.That(norm, Is.EqualTo(Math.Sqrt(squares)).Within(1e-4).Percent);
        }

        // A product of step and gradient that rounds to 0 may change a gain; with these sizes it does not.
        Assert.Multiple(() =>
        {
            Assert.That(TsneTestData.RelativeError(gains, g), Is.LessThan(1e-5));
            Assert.That(TsneTestData.RelativeError(velocity, v), Is.LessThan(1e-4));
            if (points > 1)
                Assert.That(TsneTestData.RelativeError(map, y), Is.LessThan(1e-4));
            else
                Assert.That(map.Values(), Is.All.EqualTo(0f).Within(1e-6));
        });
    }

    [Test]
    public void StepsAreBounded()
    {
        using TestMap map = new(2, 30), velocity = new(2, 30), gains = new(2, 30), force = TestMap.Random(2, 30, 1e6), none = new(2, 30);
        Fill(gains, () => 1f);
        TsneOptimizer.Step(map.View, velocity.View, gains.View, force.View, none.View, 1, new TsneStep { LearningRate = 1e6f });
        for (int i = 0; i < 30; i++)
            Assert.That(Math.Sqrt((velocity[0, i] * velocity[0, i]) + (velocity[1, i] * velocity[1, i])), Is.EqualTo(5).Within(1e-4));
    }

    [Test]
    public void ALostMapShowsInTheNorm()
    {
        using TestMap map = new(2, 20), velocity = new(2, 20), gains = new(2, 20), force = new(2, 20), none = new(2, 20);
        force[1, 7] = float.NaN;
        Assert.That(TsneOptimizer.Step(map.View, velocity.View, gains.View, force.View, none.View, 1, new TsneStep()), Is.NaN);
    }

    [Test]
    public void ThreadsDoNotChangeTheBits()
    {
        const int Points = 10_000;
        float[]? wanted = null;
        double norm = 0;
        foreach (int threads in new[] { 1, 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            using TestMap map = TestMap.Random(2, Points, 5), velocity = TestMap.Random(2, Points, 1, 2), gains = TestMap.Random(2, Points, 1, 3);
            using TestMap attraction = TestMap.Random(2, Points, 1, 4), repulsion = TestMap.Random(2, Points, 1, 5);
            double mine = TsneOptimizer.Step(map.View, velocity.View, gains.View, attraction.View, repulsion.View, 3, new TsneStep(), pool);
            float[] all = [.. map.Values(), .. velocity.Values(), .. gains.Values()];
            if (wanted is null)
                (wanted, norm) = (all, mine);
            Assert.That(all, Is.EqualTo(wanted), $"{threads} threads");
            Assert.That(mine, Is.EqualTo(norm));
        }
    }

    [Test]
    public void BadConstantsAndShapesAreNamed()
    {
        using TestMap map = new(2, 5), other = new(2, 4);
        Assert.Multiple(() =>
        {
            Assert.That(() => Step(map, map, new TsneStep { LearningRate = -1 }), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("LearningRate").And.Message.Contains("-1"));
            Assert.That(() => Step(map, map, new TsneStep { Momentum = float.NaN }), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("Momentum"));
            Assert.That(() => Step(map, map, new TsneStep { MaxStepNorm = 0 }), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("MaxStepNorm"));
            Assert.That(() => Step(map, other, new TsneStep()), Throws.ArgumentException.With.Property("ParamName").EqualTo("gains"));
        });

        static void Step(TestMap map, TestMap gains, TsneStep step) =>
            TsneOptimizer.Step(map.View, map.View, gains.View, map.View, map.View, 1, step);
    }

    private static void Fill(TestMap map, Func<float> value)
    {
        for (int axis = 0; axis < map.Dimensions; axis++)
        {
            for (int i = 0; i < map.Points; i++)
                map[axis, i] = value();
        }
    }
}
