using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>
/// What the test suites of scikit-learn (manifold/tests/test_t_sne.py) and openTSNE (tests/test_correctness.py) assert of
/// gradients and of approximate methods, restated for the kernels.
/// </summary>
public sealed class OtherSuitesTests(IsaLevel level) : IsaFixture(level)
{
    // scikit-learn: test_barnes_hut_angle, with its degrees of freedom, axes - 1.
    [Test]
    public void AtAngleZeroDivergenceAndGradientAreThoseOfTheExactMethod([Values(2, 3)] int dimensions)
    {
        const int Points = 100;
        double nu = dimensions - 1;
        CsrMatrix affinities = TsneTestData.Affinities(Points, 30);
        using TestMap map = Gaussian(dimensions, Points, 3);
        (double exactKl, double[] exactGradient) = Evaluate(affinities, map, new ExactRepulsion(Points, dimensions, nu));
        (double kl, double[] gradient) = Evaluate(affinities, map, new BarnesHutRepulsion(Points, dimensions, 0, nu));
        Assert.That(kl, Is.EqualTo(exactKl).Within(1e-6));
        Assert.That(Difference(gradient, exactGradient), Is.LessThan(1e-5));
    }

    // scikit-learn: test_gradient, through the kernels in single precision and with each method.
    [Test]
    public void GradientsOfBothMethodsAreTheDerivative([Values(0.5, 1, 3)] double nu, [Values(1, 12)] double exaggeration)
    {
        const int Points = 50;
        CsrMatrix affinities = TsneTestData.Affinities(Points, 25);
        using TestMap map = Gaussian(2, Points, 7);
        double[] wanted = [.. TsneGradientReference.Gradient(affinities, map.ToDouble(), nu, exaggeration).SelectMany(axis => axis)];
        Assert.That(Difference(Evaluate(affinities, map, new ExactRepulsion(Points, 2, nu), exaggeration).Gradient, wanted), Is.LessThan(1e-5));
        Assert.That(Difference(Evaluate(affinities, map, new BarnesHutRepulsion(Points, 2, 0, nu), exaggeration).Gradient, wanted), Is.LessThan(1e-5));
        Assert.That(Difference(Evaluate(affinities, map, new BarnesHutRepulsion(Points, 2, 0.5, nu), exaggeration).Gradient, wanted), Is.LessThan(1e-2));
    }

    // scikit-learn: test_bh_match_exact, the same map step after step at angle 0.
    [Test]
    public void AtAngleZeroARunEndsWhereTheExactOneDoes()
    {
        const int Points = 30;
        CsrMatrix affinities = TsneTestData.Affinities(Points, Points - 1);
        using TestMap exact = Run(affinities, new ExactRepulsion(Points, 2)), tree = Run(affinities, new BarnesHutRepulsion(Points, 2, 0));
        Assert.That(Difference(tree.Values().Select(v => (double)v), exact.Values().Select(v => (double)v)), Is.LessThan(5e-4)); // rounding grows from step to step
    }

    // scikit-learn: test_uniform_grid asks that equal distances give an even map; here that a grid's symmetry stays in the forces.
    [Test]
    public void TheForcesOfAGridAreSymmetric([Values(0, 0.5)] double theta)
    {
        const int Side = 10;
        using TestMap map = new(2, Side * Side), force = new(2, Side * Side);
        for (int i = 0; i < Side * Side; i++)
            (map[0, i], map[1, i]) = ((i % Side) - 4.5f, (i / Side) - 4.5f);
        using BarnesHutRepulsion repulsion = new(Side * Side, 2, theta);
        repulsion.Compute(map.View, force.View);
        float largest = force.Values().Max();
        for (int i = 0; i < Side * Side; i++)
        {
            Assert.That(force[0, i], Is.EqualTo(-force[0, (Side * Side) - 1 - i]).Within((theta == 0 ? 1e-5 : 0.03) * largest));
            Assert.That(force[0, i], Is.EqualTo(force[1, (i / Side) + (i % Side * Side)]).Within((theta == 0 ? 1e-5 : 0.03) * largest));
        }
    }

    // openTSNE: test_iris_bh_transform_equivalency_with_one_by_one.
    [Test]
    public void NewPointsGetTheSameTogetherAndOneByOne([Values(0, 0.5)] double theta)
    {
        using TestMap reference = TsneTestData.Blobs(2, 1000, 30), points = TsneTestData.Blobs(2, 100, 30, seed: 9), together = new(2, 100);
        double[] sums = new double[100];
        using BarnesHutReferenceField field = new(reference.View, theta);
        field.Compute(points.View, together.View, sums);
        double[] one = new double[200];
        for (int i = 0; i < 100; i++)
        {
            using TestMap point = new(2, 1), force = new(2, 1);
            double[] sum = new double[1];
            (point[0, 0], point[1, 0]) = (points[0, i], points[1, i]);
            field.Compute(point.View, force.View, sum);
            (one[i], one[100 + i]) = (force[0, 0], force[1, 0]);
            Assert.That(sums[i], Is.EqualTo(sum[0]).Within((theta == 0 ? 1e-5 : 1e-2) * sum[0]));
        }

        Assert.That(Difference(together.Values().Select(v => (double)v), one), Is.LessThan(theta == 0 ? 1e-5 : 1.5e-2));
    }

    // openTSNE: exact, Barnes-Hut and interpolated gradients of one map, as its gradient checks compare them.
    [Test]
    public void AllMethodsAgree([Values(1, 2)] int dimensions, [Values(0.5, 1)] double nu)
    {
        const int Points = 2000;
        using TestMap map = TsneTestData.Blobs(dimensions, Points, 20);
        CsrMatrix affinities = TsneTestData.Affinities(Points, 30);
        (double exactKl, double[] exact) = Evaluate(affinities, map, new ExactRepulsion(Points, dimensions, nu));
        (double treeKl, double[] tree) = Evaluate(affinities, map, new BarnesHutRepulsion(Points, dimensions, 0.2, nu));
        (double fftKl, double[] fft) = Evaluate(affinities, map, new FftRepulsion(Points, dimensions, nu));
        Assert.Multiple(() =>
        {
            Assert.That(treeKl, Is.EqualTo(exactKl).Within(1e-3));
            Assert.That(fftKl, Is.EqualTo(exactKl).Within(1e-3));
            Assert.That(Difference(tree, exact), Is.LessThan(5e-3));
            Assert.That(Difference(fft, exact), Is.LessThan(5e-3));
        });
    }

    /// <summary>KL and gradient of a map as a run takes them, by a method that is disposed.</summary>
    private static (double Kl, double[] Gradient) Evaluate(CsrMatrix affinities, TestMap map, ITsneRepulsion method, double exaggeration = 1)
    {
        using (method)
        {
            using TestMap attraction = new(map.Dimensions, map.Points), repulsion = new(map.Dimensions, map.Points);
            double nu = method.DegreesOfFreedom, sum = method.Compute(map.View, repulsion.View);
            TsneGradient.Attraction(affinities, map.View, attraction.View, nu);
            double kl = TsneGradient.KullbackLeibler(affinities, map.View, sum, TsneGradient.NegativeEntropy(affinities), nu);
            return (kl, [.. attraction.Values().Zip(repulsion.Values(), (a, r) => 2 * (nu + 1) / nu * ((exaggeration * a) - (r / sum)))]);
        }
    }

    private static TestMap Run(CsrMatrix affinities, ITsneRepulsion method)
    {
        using (method)
        {
            int points = method.Points;
            TestMap map = Gaussian(2, points, 2);
            using TestMap velocity = new(2, points), gains = new(2, points), attraction = new(2, points), repulsion = new(2, points);
            gains.View.RowSpan(0).Fill(1);
            gains.View.RowSpan(1).Fill(1);
            for (int step = 0; step < 251; step++)
            {
                double sum = method.Compute(map.View, repulsion.View);
                TsneGradient.Attraction(affinities, map.View, attraction.View);
                TsneOptimizer.Step(
                    map.View, velocity.View, gains.View, attraction.View, repulsion.View, sum, new TsneStep { LearningRate = 1, Exaggeration = step < 100 ? 12 : 1 });
            }

            return map;
        }
    }

    private static TestMap Gaussian(int dimensions, int points, int seed)
    {
        TestMap map = new(dimensions, points);
        Random random = new(seed);
        for (int i = 0; i < dimensions * points; i++)
            map[i % dimensions, i / dimensions] = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        return map;
    }

    private static double Difference(IEnumerable<double> actual, IEnumerable<double> wanted) =>
        Math.Sqrt(actual.Zip(wanted, (a, b) => (a - b) * (a - b)).Sum() / wanted.Sum(b => b * b));
}
