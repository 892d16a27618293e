using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class ExactRepulsionTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly int[] Sizes = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 127, 128, 129, 143, 255, 256, 257, 301, 511];

    [Test]
    public void ForcesAndSumFollowTheReference([Values(1, 2, 3)] int dimensions, [Values(1e-4, 1.0, 100.0)] double scale)
    {
        foreach (int points in Sizes)
        {
            using TestMap map = TestMap.Random(dimensions, points, scale, seed: points);
            using TestMap force = new(dimensions, points);
            using ExactRepulsion repulsion = new(points, dimensions);
            double sum = repulsion.Compute(map.View, force.View);
            double[][] exact = map.ToDouble();
            Assert.That(sum, Is.EqualTo(TsneGradientReference.SumQ(exact)).Within(1e-6).Percent.Or.EqualTo(TsneGradientReference.SumQ(exact)).Within(1e-6 * sum), $"{points} points");
            if (points > 1)
                Assert.That(TsneTestData.RelativeError(force, TsneGradientReference.Repulsion(exact)), Is.LessThan(1e-5), $"{points} points");
        }
    }

    [Test]
    public void SeveralBlocksFollowTheReference()
    {
        // 4,000 points: blocks of 176, the last one shorter and odd.
        using TestMap map = TestMap.Random(2, 4001, 60, 2), force = new(2, 4001);
        using ExactRepulsion repulsion = new(4001, 2);
        double sum = repulsion.Compute(map.View, force.View);
        double[][] exact = map.ToDouble();
        Assert.Multiple(() =>
        {
            Assert.That(sum / TsneGradientReference.SumQ(exact), Is.EqualTo(1).Within(1e-6));
            Assert.That(TsneTestData.RelativeError(force, TsneGradientReference.Repulsion(exact)), Is.LessThan(1e-5));
        });
    }

    [Test]
    public void ThreadsDoNotChangeTheBits()
    {
        const int Points = 1500;
        using TestMap map = TestMap.Random(2, Points, 30, 4), one = new(2, Points), many = new(2, Points);
        using ExactRepulsion repulsion = new(Points, 2);
        double wanted = repulsion.Compute(map.View, one.View);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            Assert.That(repulsion.Compute(map.View, many.View, pool), Is.EqualTo(wanted));
            Assert.That(many.Values(), Is.EqualTo(one.Values()));
        }
    }

    [Test]
    public void NothingOutsideTheMapIsTouched()
    {
        for (int points = 1; points <= 80; points++)
        {
            // The last axis ends at an unreadable page.
            using GuardedBuffer<float> map = new(2 * points), force = new(2 * points);
            for (int i = 0; i < map.Length; i++)
                map.Pointer[i] = i;
            using ExactRepulsion repulsion = new(points, 2);
            double sum = repulsion.Compute(new(map.Pointer, 2, points), new(force.Pointer, 2, points));
            Assert.That(double.IsFinite(sum) && force.Span.ToArray().All(float.IsFinite), $"{points} points");
        }
    }

    [Test]
    public void PointsAtOnePlacePushNothing()
    {
        using TestMap map = new(2, 100), force = new(2, 100);
        using ExactRepulsion repulsion = new(100, 2);
        Assert.That(repulsion.Compute(map.View, force.View), Is.EqualTo(100 * 99));
        Assert.That(force.Values(), Is.All.EqualTo(0f));
    }

    [Test]
    public void FarPointsKeepTheirDigits()
    {
        // q of each pair is about 1e-20: a sum that held the points' own q of 1 would lose all of it.
        using TestMap map = new(2, 3), force = new(2, 3);
        (map[0, 1], map[1, 2]) = (1e10f, 1e10f);
        using ExactRepulsion repulsion = new(3, 2);
        double sum = repulsion.Compute(map.View, force.View);
        Assert.That(sum, Is.EqualTo(TsneGradientReference.SumQ(map.ToDouble())).Within(1e-4).Percent);
        Assert.That(force.Values(), Is.All.Matches<float>(float.IsFinite));
    }

    [Test]
    public void WrongShapesAreNamed()
    {
        using ExactRepulsion repulsion = new(5, 2);
        using TestMap right = new(2, 5), wrong = new(2, 6), deep = new(3, 5);
        Assert.Multiple(() =>
        {
            Assert.That(() => repulsion.Compute(wrong.View, right.View), Throws.ArgumentException.With.Message.Contains("2 x 5 and is 2 x 6"));
            Assert.That(() => repulsion.Compute(right.View, deep.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("force"));
            Assert.That(() => new ExactRepulsion(5, 4), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => new ExactRepulsion(-1, 2), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
    }

    [Test]
    public void EveryPairOfBlocksIsOneTile([Values(0, 1, 128, 3000, 9999, 70000, 1_000_000)] int points)
    {
        ExactRepulsionPlan plan = new(points, 2);
        HashSet<(int, int)> seen = [];
        for (int i = 0; i < plan.Tiles; i++)
        {
            (int row, int column) = plan.Tile(i);
            Assert.That(row >= 0 && row <= column && column < plan.Blocks && seen.Add((row, column)));
        }

        Assert.That(((long)plan.Blocks * plan.Block) >= points && plan.Block % 16 == 0 && plan.Blocks <= 64);
    }
}
