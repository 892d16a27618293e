using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class BarnesHutTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly int[] Sizes = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 67, 130, 257, 1023, 1025];

    [Test]
    public void AtAngleZeroItIsExact([Values(1, 2, 3)] int dimensions, [Values(1e-4, 1.0, 100.0)] double scale)
    {
        foreach (int points in Sizes)
        {
            using TestMap map = TestMap.Random(dimensions, points, scale, seed: points);
            (double force, double sum) = Errors(map, theta: 0);
            Assert.That(force, Is.LessThan(1e-5), $"{points} points");
            Assert.That(sum, Is.LessThan(1e-6), $"{points} points");
        }
    }

    // Maps as they are at the start, in the middle and at the end of a run: 30 clusters in a disk of this radius.
    [Test]
    public void TheErrorIsWithinItsBound([Values(2, 3)] int dimensions, [Values(1e-4, 5, 50)] double radius, [Values(1, 0.5, 3)] double nu)
    {
        using TestMap map = TsneTestData.Blobs(dimensions, 3001, radius);
        (double force, double sum) = Errors(map, 0.5, nu);
        TestContext.Out.WriteLine($"{dimensions} axes, radius {radius}, nu {nu}: force {force:E2}, sum {sum:E2}");
        Assert.That(force, Is.LessThan(1e-2));
        Assert.That(sum, Is.LessThan(2e-3));
    }

    [Test]
    public void SmallerAnglesAreMoreAccurate([Values(1, 2, 3)] int dimensions)
    {
        using TestMap map = TsneTestData.Blobs(dimensions, 3001, 30);
        double last = double.PositiveInfinity;
        foreach (double theta in new[] { 1, 0.5, 0.25, 0.1 })
        {
            double error = Errors(map, theta).Force;
            Assert.That(error, Is.LessThan(Math.Min(last / 1.5, (dimensions == 1 ? 0.06 : 0.02) * theta)), $"theta {theta}");
            last = error;
        }
    }

    [Test]
    public void ThreadsDoNotChangeTheBits([Values(1, 2, 3)] int dimensions)
    {
        const int Points = 7001;
        using TestMap map = TsneTestData.Blobs(dimensions, Points, 30), one = new(dimensions, Points), many = new(dimensions, Points);
        using BarnesHutRepulsion repulsion = new(Points, dimensions);
        double wanted = repulsion.Compute(map.View, one.View);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            Assert.That(repulsion.Compute(map.View, many.View, pool), Is.EqualTo(wanted));
            Assert.That(many.Values(), Is.EqualTo(one.Values()));
        }
    }

    [Test]
    public void WhatWasComputedBeforeDoesNotMatter()
    {
        const int Points = 3000;
        using TestMap first = TsneTestData.Blobs(2, Points, 30), other = TestMap.Random(2, Points, 8), wanted = new(2, Points), force = new(2, Points);
        using BarnesHutRepulsion repulsion = new(Points, 2);
        double sum = repulsion.Compute(first.View, wanted.View);
        repulsion.Compute(other.View, force.View);
        Assert.That(repulsion.Compute(first.View, force.View), Is.EqualTo(sum));
        Assert.That(force.Values(), Is.EqualTo(wanted.Values()));
    }

    [Test]
    public void NothingOutsideTheMapIsTouched()
    {
        for (int points = 1; points <= 80; points++)
        {
            using GuardedBuffer<float> map = new(2 * points), force = new(2 * points);
            for (int i = 0; i < map.Length; i++)
                map.Pointer[i] = i * 37 % 101;
            using BarnesHutRepulsion repulsion = new(points, 2);
            double sum = repulsion.Compute(new(map.Pointer, 2, points), new(force.Pointer, 2, points));
            Assert.That(double.IsFinite(sum) && force.Span.ToArray().All(float.IsFinite), $"{points} points");
        }
    }

    [Test]
    public void PointsAtOnePlacePushNothing([Values(1, 2, 17, 5000)] int points, [Values(0, 3.3f, 1e6f)] float place)
    {
        using TestMap map = new(2, points), force = new(2, points);
        map.View.RowSpan(0).Fill(place);
        using BarnesHutRepulsion repulsion = new(points, 2);
        Assert.That(repulsion.Compute(map.View, force.View), Is.EqualTo((double)points * (points - 1)).Within(1e-6).Percent);
        Assert.That(force.Values(), Is.All.EqualTo(0f));
    }

    [Test]
    public void ManyEqualPointsAmongOthers([Values(0, 0.5)] double theta)
    {
        // Half of the points on three places, one of them at the edge of the map.
        using TestMap map = TsneTestData.Blobs(2, 4000, 20);
        for (int i = 0; i < 4000; i += 2)
            (map[0, i], map[1, i]) = i % 3 == 0 ? (0, 0) : i % 3 == 1 ? (5.25f, 1f) : (-40f, 0f);
        (double force, double sum) = Errors(map, theta);
        Assert.That(force, Is.LessThan(theta == 0 ? 1e-5 : 1e-2));
        Assert.That(sum, Is.LessThan(theta == 0 ? 1e-6 : 2e-3));
    }

    [Test]
    public void CollinearPoints([Values(2, 3)] int dimensions, [Values(0, 0.3f)] float slope)
    {
        using TestMap map = TestMap.Random(dimensions, 3000, 60);
        for (int axis = 1; axis < dimensions; axis++)
        {
            for (int i = 0; i < map.Points; i++)
                map[axis, i] = slope * map[0, i];
        }

        Assert.That(Errors(map, 0.5).Force, Is.LessThan(2e-2));
    }

    [Test]
    public void AFarOutlierLeavesTheOthersAlone([Values(1, 2, 3)] int dimensions, [Values(1e6f, -1e6f, 1e12f)] float place)
    {
        using TestMap map = TsneTestData.Blobs(dimensions, 3000, 30);
        double before = Errors(map, 0.5).Force;
        map[0, 77] = place;
        (double force, double sum) = Errors(map, 0.5);
        Assert.That(force, Is.LessThan(1.3 * before));
        Assert.That(sum, Is.LessThan(2e-3));
    }

    [Test]
    public void FarPointsKeepTheirDigits()
    {
        // w of each pair is about 1e-20: a sum that held the points' own w of 1 would lose all of it.
        using TestMap map = new(2, 3), force = new(2, 3);
        (map[0, 1], map[1, 2]) = (1e10f, 1e10f);
        using BarnesHutRepulsion repulsion = new(3, 2);
        double sum = repulsion.Compute(map.View, force.View);
        Assert.That(sum, Is.EqualTo(TsneGradientReference.SumQ(map.ToDouble())).Within(1e-4).Percent);
        Assert.That(force.Values(), Is.All.Matches<float>(float.IsFinite));
    }

    [Test]
    public void LostMapsEndAndShow([Values(float.NaN, float.PositiveInfinity)] float lost)
    {
        using TestMap map = TsneTestData.Blobs(2, 2000, 30), force = new(2, 2000);
        map[1, 500] = lost;
        using BarnesHutRepulsion repulsion = new(2000, 2);
        repulsion.Compute(map.View, force.View);
        Assert.That(float.IsFinite(force[1, 500]), Is.False);
    }

    [Test]
    public void WrongArgumentsAreNamed()
    {
        using BarnesHutRepulsion repulsion = new(5, 2, 0.3, 2);
        using TestMap right = new(2, 5), wrong = new(2, 6), deep = new(3, 5);
        Assert.Multiple(() =>
        {
            Assert.That((repulsion.Points, repulsion.Dimensions, repulsion.Theta, repulsion.DegreesOfFreedom), Is.EqualTo((5, 2, 0.3, 2.0)));
            Assert.That(() => repulsion.Compute(wrong.View, right.View), Throws.ArgumentException.With.Message.Contains("2 x 5 and is 2 x 6"));
            Assert.That(() => repulsion.Compute(right.View, deep.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("force"));
            Assert.That(() => new BarnesHutRepulsion(5, 4), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => new BarnesHutRepulsion(-1, 2), Throws.InstanceOf<ArgumentOutOfRangeException>());
            foreach (double theta in new[] { -0.1, 1.1, double.NaN })
                Assert.That(() => new BarnesHutRepulsion(5, 2, theta), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("theta"));
            Assert.That(() => new BarnesHutRepulsion(5, 2, 0.5, 0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("degreesOfFreedom"));
        });
    }

    [Test]
    public void DisposedIsSaid()
    {
        BarnesHutRepulsion repulsion = new(5, 2);
        using TestMap map = new(2, 5);
        repulsion.Dispose();
        Assert.That(() => repulsion.Compute(map.View, map.View), Throws.InstanceOf<ObjectDisposedException>());
    }

    /// <summary>
    /// Relative errors of the forces (L2 over the coordinates of up to 400 points, against doubles) and of the sum of weights
    /// (against doubles up to 400 points, beyond against the exact method, whose own error is below 1e-6).
    /// </summary>
    private static (double Force, double Sum) Errors(TestMap map, double theta, double nu = 1)
    {
        using TestMap force = new(map.Dimensions, map.Points);
        using BarnesHutRepulsion repulsion = new(map.Points, map.Dimensions, theta, nu);
        double sum = repulsion.Compute(map.View, force.View);
        int step = Math.Max(1, map.Points / 400);
        int[] sample = [.. Enumerable.Range(0, map.Points).Where(i => i % step == 0)];
        double[][] all = map.ToDouble();
        (double[][] wanted, double[] sums) = TsneGradientReference.Field(all, [.. all.Select(axis => sample.Select(i => axis[i]).ToArray())], nu);
        double wantedSum = sums.Sum() - sample.Length;
        if (step > 1)
        {
            using TestMap exactForce = new(map.Dimensions, map.Points);
            using ExactRepulsion exact = new(map.Points, map.Dimensions, nu);
            wantedSum = exact.Compute(map.View, exactForce.View);
        }

        return (TsneTestData.SquareError(force, sample, wanted), map.Points > 1 ? Math.Abs((sum / wantedSum) - 1) : Math.Abs(sum));
    }
}

/// <summary>The order of the points along the curve.</summary>
public sealed unsafe class CurveOrderTests
{
    [Test]
    public void EveryPointStandsOnce([Values(1, 2, 3)] int dimensions, [Values(0, 1, 2, 7, 100, 2047, 2048, 5000, 140_000)] int points)
    {
        using TestMap map = TestMap.Random(dimensions, points, 7);
        int[] order = Order(map, null);
        Assert.That(order.Order(), Is.EqualTo(Enumerable.Range(0, points)));
        using WorkerPool pool = new(3);
        Assert.That(Order(map, pool), Is.EqualTo(order));
    }

    // A Hilbert curve never jumps: on a grid of 2^k x 2^k points each is a neighbour of the last.
    [Test]
    public void StepsOnAGridAreOfLengthOne([Values(2, 3)] int dimensions)
    {
        int side = dimensions == 2 ? 64 : 16, points = (int)Math.Pow(side, dimensions);
        using TestMap map = new(dimensions, points);
        for (int i = 0; i < points; i++)
        {
            for (int axis = 0, rest = i * 1237 % points; axis < dimensions; axis++, rest /= side)
                map[axis, i] = rest % side;
        }

        int[] order = Order(map, null);
        for (int i = 1; i < points; i++)
        {
            int a = order[i - 1], b = order[i];
            Assert.That(Enumerable.Range(0, dimensions).Sum(axis => Math.Abs(map[axis, a] - map[axis, b])), Is.EqualTo(1), $"step {i}");
        }
    }

    [Test]
    public void OneAxisIsSorted()
    {
        using TestMap map = TestMap.Random(1, 3000, 5);
        float[] sorted = [.. Order(map, null).Select(i => map[0, i])];
        Assert.That(sorted.Zip(sorted.Skip(1)).Max(pair => pair.First - pair.Second), Is.LessThan(1e-6));
    }

    [Test]
    public void PointsBesideAFarOutlierAreToldApart()
    {
        // All but one share the first cells; their order must still follow a curve through them.
        using TestMap map = TestMap.Random(2, 4097, 10);
        (map[0, 5], map[1, 5]) = (1e9f, -1e9f);
        int[] order = [.. Order(map, null).Where(i => i != 5)];
        double length = 0;
        for (int i = 1; i < order.Length; i++)
            length += Math.Sqrt(Math.Pow(map[0, order[i]] - map[0, order[i - 1]], 2) + Math.Pow(map[1, order[i]] - map[1, order[i - 1]], 2));
        Assert.That(length / order.Length, Is.LessThan(2 * 10 / Math.Sqrt(order.Length)));
    }

    [Test]
    public void EqualPointsStandInTheirOrder()
    {
        using TestMap map = new(2, 5000);
        for (int i = 0; i < map.Points; i++)
            map[0, i] = i % 2;
        int[] order = Order(map, null);
        Assert.That(order.Take(2500), Is.EqualTo(Enumerable.Range(0, 2500).Select(i => 2 * i)));
    }

    private static int[] Order(TestMap map, WorkerPool? pool)
    {
        using CurveOrder order = new(map.Points);
        order.Sort(map.View, pool ?? WorkerPool.Serial);
        int[] result = new int[map.Points];
        for (int i = 0; i < result.Length; i++)
            result[i] = (int)(uint)order.Entries[i];
        return result;
    }
}
