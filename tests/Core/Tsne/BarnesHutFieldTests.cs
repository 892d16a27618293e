using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class BarnesHutFieldTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void AtAngleZeroItIsExact([Values(1, 2, 3)] int dimensions, [Values(0, 1, 3, 4, 15, 16, 17, 66, 300)] int references)
    {
        using TestMap reference = TestMap.Random(dimensions, references, 20, 3);
        foreach (int points in new[] { 0, 1, 5, 33, 200 })
        {
            using TestMap map = TestMap.Random(dimensions, points, 30, 4);
            (double force, double sums) = Errors(reference, map, 0, 1);
            Assert.That(force, Is.LessThan(1e-5), $"{points} points");
            Assert.That(sums, Is.LessThan(1e-5), $"{points} points");
        }
    }

    [Test]
    public void TheErrorIsWithinItsBound([Values(2, 3)] int dimensions, [Values(1e-4, 5, 50)] double radius, [Values(1, 3)] double nu, [Values(30, 2000)] int points)
    {
        using TestMap reference = TsneTestData.Blobs(dimensions, 3001, radius), map = TsneTestData.Blobs(dimensions, points, radius, seed: 2);
        (double force, double sums) = Errors(reference, map, 0.5, nu);
        Assert.That(force, Is.LessThan(1e-2));
        Assert.That(sums, Is.LessThan(nu == 1 ? 1e-2 : 3e-2));
    }

    [Test]
    public void ThreadsDoNotChangeTheBits()
    {
        using TestMap reference = TsneTestData.Blobs(2, 3001, 30), map = TsneTestData.Blobs(2, 2000, 30, seed: 2), one = new(2, 2000), many = new(2, 2000);
        double[] wanted = new double[2000], sums = new double[2000];
        using BarnesHutReferenceField field = new(reference.View);
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
    public void PointsOnReferencePointsAndFarAway()
    {
        using TestMap reference = TsneTestData.Blobs(2, 500, 30), map = new(2, 6), force = new(2, 6);
        for (int i = 0; i < 3; i++)
            (map[0, i], map[1, i]) = (reference[0, 7], reference[1, 7]);
        (map[0, 4], map[1, 5]) = (1e6f, -1e12f);
        Assert.That(Errors(reference, map, 0.5, 1).Force, Is.LessThan(1e-2));
        double[] sums = new double[6];
        using BarnesHutReferenceField field = new(reference.View);
        field.Compute(map.View, force.View, sums);
        Assert.That(sums[0], Is.GreaterThan(1));
        Assert.That(sums[4], Is.EqualTo(500e-12).Within(1).Percent);
    }

    [Test]
    public void EqualReferencePointsAreOne()
    {
        using TestMap reference = new(2, 3000), map = TestMap.Random(2, 40, 3);
        reference.View.RowSpan(1).Fill(1.1f);
        (double force, double sums) = Errors(reference, map, 0.5, 1);
        Assert.That(force, Is.LessThan(1e-5));
        Assert.That(sums, Is.LessThan(1e-5));
    }

    [Test]
    public void WrongArgumentsAreNamed()
    {
        using TestMap map = TestMap.Random(2, 10, 1), short9 = new(2, 9), deep = new(3, 10), wide = new(4, 10);
        BarnesHutReferenceField field = new(map.View, 0.25, 2);
        Assert.Multiple(() =>
        {
            Assert.That((field.ReferencePoints, field.Dimensions, field.Theta, field.DegreesOfFreedom), Is.EqualTo((10, 2, 0.25, 2.0)));
            Assert.That(() => field.Compute(deep.View, deep.View, new double[10]), Throws.ArgumentException.With.Message.Contains("2 axes"));
            Assert.That(() => field.Compute(map.View, short9.View, new double[10]), Throws.ArgumentException.With.Property("ParamName").EqualTo("force"));
            Assert.That(() => field.Compute(map.View, map.View, new double[9]), Throws.ArgumentException.With.Message.Contains("there are 9"));
            Assert.That(() => new BarnesHutReferenceField(map.View, -1), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("theta"));
            Assert.That(() => new BarnesHutReferenceField(map.View, 0.5, -1), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("degreesOfFreedom"));
            Assert.That(() => new BarnesHutReferenceField(wide.View), Throws.ArgumentException.With.Message.Contains("4 rows"));
        });
        field.Dispose();
        Assert.That(() => field.Compute(map.View, map.View, new double[10]), Throws.InstanceOf<ObjectDisposedException>());
    }

    /// <summary>The relative error of the forces (L2), and the largest of the sums.</summary>
    private static (double Force, double Sums) Errors(TestMap reference, TestMap map, double theta, double nu)
    {
        using TestMap force = new(map.Dimensions, map.Points);
        double[] sums = new double[map.Points];
        using BarnesHutReferenceField field = new(reference.View, theta, nu);
        field.Compute(map.View, force.View, sums);
        int step = Math.Max(1, map.Points / 200);
        int[] sample = [.. Enumerable.Range(0, map.Points).Where(i => i % step == 0)];
        (double[][] wanted, double[] wantedSums) =
            TsneGradientReference.Field(reference.ToDouble(), [.. map.ToDouble().Select(axis => sample.Select(i => axis[i]).ToArray())], nu);
        double worst = 0;
        for (int i = 0; i < sample.Length; i++)
            worst = Math.Max(worst, Math.Abs(sums[sample[i]] - wantedSums[i]) / Math.Max(wantedSums[i], 1e-300));
        return (TsneTestData.SquareError(force, sample, wanted), worst);
    }
}
