using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Kernels with other degrees of freedom than 1, in every place that has them.</summary>
public sealed class DegreesOfFreedomTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly double[] Degrees = [0.1, 0.5, 1, 2, 3, 30, 1e4];

    [Test]
    public void RepulsionFollowsTheReference([Values(1, 2, 3)] int dimensions, [Values(1e-4, 1.0, 100.0)] double scale)
    {
        foreach (double nu in Degrees)
        {
            foreach (int points in new[] { 0, 1, 2, 3, 9, 130, 257 })
            {
                using TestMap map = TestMap.Random(dimensions, points, scale, seed: points), force = new(dimensions, points);
                using ExactRepulsion repulsion = new(points, dimensions, nu);
                double sum = repulsion.Compute(map.View, force.View);
                double[][] exact = map.ToDouble();
                double wanted = TsneGradientReference.SumQ(exact, nu);
                Assert.That(repulsion.DegreesOfFreedom, Is.EqualTo(nu));
                Assert.That(sum, Is.EqualTo(wanted).Within((1e-5 * wanted) + (2e-38 * points * points)), $"{points} points, nu {nu}");
                if (points > 1 && wanted > 1e-25)
                    Assert.That(TsneTestData.RelativeError(force, TsneGradientReference.Repulsion(exact, nu)), Is.LessThan(2e-5), $"{points} points, nu {nu}");
            }
        }
    }

    [Test]
    public void AttractionFollowsTheReference([Values(1, 2, 3)] int dimensions, [Values(1e-4, 50.0)] double scale)
    {
        CsrMatrix affinities = TsneTestData.Affinities(60, 13);
        using TestMap map = TestMap.Random(dimensions, 60, scale), force = new(dimensions, 60);
        foreach (double nu in Degrees)
        {
            TsneGradient.Attraction(affinities, map.View, force.View, nu);
            Assert.That(TsneTestData.RelativeError(force, TsneGradientReference.Attraction(affinities, map.ToDouble(), nu)), Is.LessThan(1e-5), $"nu {nu}");
        }
    }

    [Test]
    public void DivergenceFollowsTheReference([Values(1, 2, 3)] int dimensions, [Values(1e-4, 3.0, 1e4)] double scale)
    {
        CsrMatrix affinities = TsneTestData.Affinities(200, 20);
        using TestMap map = TestMap.Random(dimensions, 200, scale);
        double[][] exact = map.ToDouble();
        foreach (double nu in Degrees)
        {
            double wanted = TsneGradientReference.KullbackLeibler(affinities, exact, nu), sumQ = TsneGradientReference.SumQ(exact, nu);
            if (sumQ == 0)
                continue; // underflows even in double
            double actual = TsneGradient.KullbackLeibler(affinities, map.View, sumQ, TsneGradient.NegativeEntropy(affinities), nu);
            Assert.That(actual, Is.EqualTo(wanted).Within(1e-6 * (1 + Math.Abs(wanted) + Math.Abs(Math.Log(sumQ)))), $"nu {nu}");
        }
    }

    [Test]
    public void FarPointsStayFinite()
    {
        using TestMap map = new(3, 4), force = new(3, 4);
        (map[0, 1], map[1, 2], map[2, 3]) = (1e12f, -1e12f, 1e6f);
        foreach (double nu in new[] { 1e-6, 0.5, 3, 1e6 })
        {
            using ExactRepulsion repulsion = new(4, 3, nu);
            double sum = repulsion.Compute(map.View, force.View);
            Assert.That(sum > 0 && double.IsFinite(sum), $"nu {nu}: {sum}");
            Assert.That(force.Values(), Is.All.Matches<float>(float.IsFinite), $"nu {nu}");
        }
    }

    [Test]
    public void TheStepHasTheFactorOfItsDegrees()
    {
        using TestMap map = new(2, 8), velocity = new(2, 8), gains = new(2, 8), attraction = TestMap.Random(2, 8, 1), none = new(2, 8);
        double squares = attraction.Values().Sum(v => (double)v * v);
        foreach (double nu in Degrees)
        {
            double norm = TsneOptimizer.Step(map.View, velocity.View, gains.View, attraction.View, none.View, 1, new TsneStep { DegreesOfFreedom = nu, Exaggeration = 3 });
            Assert.That(norm, Is.EqualTo(2 * (nu + 1) / nu * 3 * Math.Sqrt(squares)).Within(1e-4).Percent, $"nu {nu}");
        }
    }

    [Test]
    public void ExactFieldFollowsTheReference([Values(1, 2, 3)] int dimensions, [Values(0, 1, 7, 700, 1500)] int references)
    {
        using TestMap reference = TestMap.Random(dimensions, references, 20, 3);
        foreach (int points in new[] { 0, 1, 5, 33, 70 })
        {
            using TestMap map = TestMap.Random(dimensions, points, 30, 4), force = new(dimensions, points);
            foreach (double nu in new[] { 0.5, 1, 3 })
            {
                double[] sums = new double[points];
                using ExactReferenceField field = new(reference.View, nu);
                field.Compute(map.View, force.View, sums);
                (double[][] wanted, double[] wantedSums) = TsneGradientReference.Field(reference.ToDouble(), map.ToDouble(), nu);
                Assert.That((field.ReferencePoints, field.Dimensions, field.DegreesOfFreedom), Is.EqualTo((references, dimensions, nu)));
                if (points * references > 0)
                    Assert.That(TsneTestData.RelativeError(force, wanted), Is.LessThan(1e-5));
                for (int i = 0; i < points; i++)
                    Assert.That(sums[i], Is.EqualTo(wantedSums[i]).Within(5e-6 * wantedSums[i]));
            }
        }
    }

    [Test]
    public void ExactFieldIsTheSameForAnyThreads()
    {
        using TestMap reference = TestMap.Random(2, 800, 20, 3), map = TestMap.Random(2, 900, 30, 4), one = new(2, 900), many = new(2, 900);
        double[] wanted = new double[900], sums = new double[900];
        using ExactReferenceField field = new(reference.View);
        field.Compute(map.View, one.View, wanted);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            field.Compute(map.View, many.View, sums, pool);
            Assert.That(sums, Is.EqualTo(wanted));
            Assert.That(many.Values(), Is.EqualTo(one.Values()));
        }
    }

    [Test]
    public void AttractionToAReferenceFollowsTheReference([Values(1, 2, 3)] int dimensions)
    {
        // 50 new points with 0 to 12 neighbours among 80.
        const int Points = 50, References = 80;
        Random random = new(8);
        List<long> offsets = [0];
        List<int> columns = [];
        for (int i = 0; i < Points; i++)
        {
            columns.AddRange(Enumerable.Range(0, i % 13).Select(_ => random.Next(References)));
            offsets.Add(columns.Count);
        }

        CsrMatrix affinities = new(References, [.. offsets], [.. columns], [.. columns.Select(_ => random.NextSingle())]);
        using TestMap reference = TestMap.Random(dimensions, References, 10, 1), points = TestMap.Random(dimensions, Points, 10, 2), force = new(dimensions, Points);
        foreach (double nu in new[] { 0.5, 1, 3 })
        {
            TsneGradient.Attraction(affinities, reference.View, points.View, force.View, nu);
            double[][] wanted = TsneGradientReference.Attraction(affinities, reference.ToDouble(), points.ToDouble(), nu);
            Assert.That(TsneTestData.RelativeError(force, wanted), Is.LessThan(1e-5), $"nu {nu}");
        }
    }

    [Test]
    public void BadDegreesAndShapesAreNamed()
    {
        CsrMatrix affinities = TsneTestData.Affinities(10, 3);
        using TestMap map = TestMap.Random(2, 10, 1), force = new(2, 10), short9 = new(2, 9), deep = new(3, 10);
        using ExactReferenceField field = new(map.View);
        Assert.Multiple(() =>
        {
            foreach (double nu in new[] { 0, -1, 1e-7, 1e7, double.NaN, double.PositiveInfinity })
            {
                Assert.That(() => new ExactRepulsion(5, 2, nu), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ActualValue").EqualTo(nu));
                Assert.That(() => new ExactReferenceField(map.View, nu), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("degreesOfFreedom"));
                Assert.That(() => TsneGradient.Attraction(affinities, map.View, force.View, nu), Throws.InstanceOf<ArgumentOutOfRangeException>());
                Assert.That(() => TsneGradient.KullbackLeibler(affinities, map.View, 1, 0, nu), Throws.InstanceOf<ArgumentOutOfRangeException>());
                Assert.That(
                    () => TsneOptimizer.Step(map.View, map.View, map.View, map.View, map.View, 1, new TsneStep { DegreesOfFreedom = nu }),
                    Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("DegreesOfFreedom"));
            }

            Assert.That(() => field.Compute(deep.View, deep.View, new double[10]), Throws.ArgumentException.With.Message.Contains("2 axes"));
            Assert.That(() => field.Compute(map.View, short9.View, new double[10]), Throws.ArgumentException.With.Property("ParamName").EqualTo("force"));
            Assert.That(() => field.Compute(map.View, force.View, new double[9]), Throws.ArgumentException.With.Message.Contains("10 points and there are 9"));
            Assert.That(() => TsneGradient.Attraction(affinities, short9.View, map.View, force.View), Throws.ArgumentException.With.Message.Contains("10 x 9 and are 10 x 10"));
            Assert.That(() => TsneGradient.Attraction(affinities, deep.View, map.View, force.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("points"));
        });
    }
}
