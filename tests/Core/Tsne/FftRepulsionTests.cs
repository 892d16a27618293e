using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class FftRepulsionTests(IsaLevel level) : IsaFixture(level)
{
    // Maps as they are in the phases of a run: a speck, a ball of a few units, clusters over a wide disk.
    private static readonly (double Radius, double Deviation)[] Phases = [(1e-4, 2e-5), (1e-2, 2e-3), (0.5, 0.1), (4, 1), (25, 2), (40, 5)];

    [Test]
    public void ForcesAndSumFollowTheReference([Values(1, 2)] int dimensions, [Values] FftInterpolation interpolation, [Values(0.5, 1.0, 3.0)] double degrees)
    {
        const int Points = 801;
        double bound = interpolation == FftInterpolation.Cubic ? 1e-3 : 5e-3;
        using FftRepulsion repulsion = new(Points, dimensions, degrees, interpolation);
        foreach ((double radius, double deviation) in Phases)
        {
            using TestMap map = Clusters(dimensions, Points, radius, deviation), force = new(dimensions, Points);
            double sum = repulsion.Compute(map.View, force.View);
            double[][] exact = map.ToDouble();
            Assert.That(RootMeanSquareError(force, TsneGradientReference.Repulsion(exact, degrees)), Is.LessThan(bound), $"force, radius {radius}");
            Assert.That(sum / TsneGradientReference.SumQ(exact, degrees), Is.EqualTo(1).Within(1e-4), $"sum, radius {radius}");
        }
    }

    [Test]
    public void ThreadsDoNotChangeTheBits([Values(1, 2)] int dimensions)
    {
        const int Points = 9000;
        using TestMap map = Clusters(dimensions, Points, 30, 2), one = new(dimensions, Points), many = new(dimensions, Points);
        using FftRepulsion repulsion = new(Points, dimensions);
        double wanted = repulsion.Compute(map.View, one.View);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            using FftRepulsion other = new(Points, dimensions);
            Assert.That(other.Compute(map.View, many.View, pool), Is.EqualTo(wanted));
            Assert.That(many.Values(), Is.EqualTo(one.Values()));
        }
    }

    [Test]
    public void AGrowingAndShrinkingMapKeepsItsAccuracy()
    {
        // One instance over all of it, so that grids are kept, grown and given up.
        const int Points = 400;
        using FftRepulsion repulsion = new(Points, 2);
        using TestMap shape = Clusters(2, Points, 1, 0.2), map = new(2, Points), force = new(2, Points);
        for (int step = 0; step < 60; step++)
        {
            double scale = 1e-3 * Math.Pow(10, 4.5 * Math.Sin(Math.PI * step / 59));
            for (int i = 0; i < Points; i++)
                (map[0, i], map[1, i]) = ((float)((shape[0, i] * scale) + (3 * step)), (float)(shape[1, i] * scale * 0.3));
            repulsion.Compute(map.View, force.View);
            Assert.That(RootMeanSquareError(force, TsneGradientReference.Repulsion(map.ToDouble(), 1)), Is.LessThan(1e-3), $"scale {scale}");
        }
    }

    [Test]
    public void NothingOutsideTheMapIsTouched()
    {
        for (int points = 0; points <= 70; points++)
        {
            using GuardedBuffer<float> map = new(Math.Max(1, 2 * points)), force = new(Math.Max(1, 2 * points));
            for (int i = 0; i < 2 * points; i++)
                map.Pointer[i] = i % 5;
            using FftRepulsion repulsion = new(points, 2);
            double sum = repulsion.Compute(new(map.Pointer, 2, points), new(force.Pointer, 2, points));
            Assert.That(double.IsFinite(sum) && force.Span.ToArray().All(float.IsFinite), $"{points} points");
        }
    }

    [Test]
    public void PointsAtOnePlacePushNothing()
    {
        using TestMap map = new(2, 100), force = new(2, 100);
        using FftRepulsion repulsion = new(100, 2);
        Assert.That(repulsion.Compute(map.View, force.View), Is.EqualTo(100 * 99).Within(0.1));
        Assert.That(force.Values(), Is.All.EqualTo(0f).Within(1e-4f));
    }

    [Test]
    public void PointsOnALineStayOnIt()
    {
        using TestMap map = new(2, 300), force = new(2, 300);
        for (int i = 0; i < 300; i++)
            map[1, i] = i * 0.1f;
        using FftRepulsion repulsion = new(300, 2);
        repulsion.Compute(map.View, force.View);
        Assert.That(RootMeanSquareError(force, TsneGradientReference.Repulsion(map.ToDouble(), 1)), Is.LessThan(1e-3));
        Assert.That(force.View.RowSpan(0).ToArray(), Is.All.EqualTo(0f).Within(1e-3f));
    }

    [Test]
    public void AnOutlierLeavesNumbersFinite([Values(1, 2)] int dimensions, [Values(1e3f, 1e6f, 1e12f)] float distance)
    {
        using TestMap map = Clusters(dimensions, 200, 10, 1), force = new(dimensions, 200);
        map[0, 17] = distance;
        using FftRepulsion repulsion = new(200, dimensions);
        double sum = repulsion.Compute(map.View, force.View);
        Assert.That(sum > 0 && double.IsFinite(sum) && force.Values().All(float.IsFinite));
    }

    [Test]
    public void NaNAndInfinityTouchNoForeignMemory([Values(float.NaN, float.PositiveInfinity, float.NegativeInfinity)] float bad)
    {
        using TestMap map = Clusters(2, 200, 10, 1), force = new(2, 200);
        map[1, 60] = bad;
        using FftRepulsion repulsion = new(200, 2);
        Assert.That(() => repulsion.Compute(map.View, force.View), Throws.Nothing);
    }

    [Test]
    public void WrongShapesAndSettingsAreNamed()
    {
        using FftRepulsion repulsion = new(5, 2);
        using TestMap right = new(2, 5), wrong = new(2, 6), deep = new(3, 5);
        Assert.Multiple(() =>
        {
            Assert.That(() => repulsion.Compute(wrong.View, right.View), Throws.ArgumentException.With.Message.Contains("2 x 5 and is 2 x 6"));
            Assert.That(() => repulsion.Compute(right.View, deep.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("force"));
            Assert.That(() => new FftRepulsion(5, 3), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("dimensions"));
            Assert.That(() => new FftRepulsion(-1, 2), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("points"));
            Assert.That(() => new FftRepulsion(5, 2, 0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("degreesOfFreedom"));
            Assert.That(() => new FftRepulsion(5, 2, 1, (FftInterpolation)9), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("interpolation"));
        });
    }

    [Test]
    public void ReferenceFieldsPushAsTheReferenceSays([Values(1, 2)] int dimensions, [Values(1.0, 2.0)] double degrees)
    {
        const int New = 57;
        using TestMap reference = Clusters(dimensions, 800, 20, 2), inside = Clusters(dimensions, New, 20, 3, seed: 9), outside = Clusters(dimensions, New, 70, 10, seed: 4);
        using FftReferenceField field = new(reference.View, degrees);
        using ExactReferenceField exact = new(reference.View, degrees);
        foreach (TestMap points in new[] { inside, outside, inside })
        {
            using TestMap force = new(dimensions, New), wanted = new(dimensions, New);
            double[] sums = new double[New], wantedSums = new double[New];
            field.Compute(points.View, force.View, sums);
            exact.Compute(points.View, wanted.View, wantedSums);
            Assert.That(RootMeanSquareError(force, wanted.ToDouble()), Is.LessThan(1e-3));
            double largest = wantedSums.Max();
            for (int i = 0; i < New; i++)
                Assert.That(sums[i], Is.EqualTo(wantedSums[i]).Within((1e-3 * wantedSums[i]) + (1e-4 * largest)), $"point {i}");
        }
    }

    [Test]
    public void ReferenceFieldsDoNotLetPointsSeeEachOther()
    {
        using TestMap reference = Clusters(2, 500, 20, 2), points = Clusters(2, 40, 20, 3, seed: 9), one = new(2, 1), force = new(2, 40), alone = new(2, 1);
        using FftReferenceField field = new(reference.View);
        double[] sums = new double[40], sum = new double[1];
        field.Compute(points.View, force.View, sums);
        (one[0, 0], one[1, 0]) = (points[0, 23], points[1, 23]);
        field.Compute(one.View, alone.View, sum);
        Assert.That((alone[0, 0], alone[1, 0], sum[0]), Is.EqualTo((force[0, 23], force[1, 23], sums[23])));
    }

    [Test]
    public void ReferenceFieldsTakeFarPointsAndNone()
    {
        using TestMap reference = Clusters(2, 100, 20, 2), far = new(2, 2), force = new(2, 2), none = new(2, 0), nothing = new(2, 0), single = new(2, 1);
        (far[0, 0], far[1, 1]) = (1e9f, -1e4f);
        using FftReferenceField field = new(reference.View), point = new(single.View), empty = new(none.View);
        double[] sums = new double[2];
        field.Compute(far.View, force.View, sums);
        Assert.That(sums.All(s => s > 0 && double.IsFinite(s)) && force.Values().All(float.IsFinite));
        Assert.That(() => field.Compute(none.View, nothing.View, []), Throws.Nothing);
        point.Compute(single.View, nothing.Points == 0 ? new TestMap(2, 1).View : force.View, new double[1]);
        empty.Compute(far.View, force.View, sums);
        Assert.That(sums.Concat(force.Values().Select(f => (double)f)), Is.All.EqualTo(0.0));
        Assert.That(() => field.Compute(far.View, force.View, new double[3]), Throws.ArgumentException.With.Property("ParamName").EqualTo("sums"));
    }

    private static TestMap Clusters(int dimensions, int points, double radius, double deviation, int seed = 1)
    {
        TestMap map = new(dimensions, points);
        Random random = new(seed);
        double[][] centres = [.. Enumerable.Range(0, 8).Select(_ => Enumerable.Range(0, dimensions).Select(_ => radius * ((2 * random.NextDouble()) - 1)).ToArray())];
        for (int i = 0; i < points; i++)
        {
            double[] centre = centres[random.Next(centres.Length)];
            for (int axis = 0; axis < dimensions; axis++)
            {
                double normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
                map[axis, i] = (float)(centre[axis] + (deviation * normal));
            }
        }

        return map;
    }

    private static double RootMeanSquareError(TestMap actual, double[][] wanted)
    {
        double error = 0, power = double.Epsilon;
        for (int axis = 0; axis < wanted.Length; axis++)
        {
            for (int i = 0; i < wanted[axis].Length; i++)
            {
                error += Math.Pow(actual[axis, i] - wanted[axis][i], 2);
                power += Math.Pow(wanted[axis][i], 2);
            }
        }

        return Math.Sqrt(error / power);
    }
}
