using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class TsneAttractionTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void TheOrderDoesNotShowInTheBits([Values(1, 2, 3)] int dimensions, [Values(200, 21_003)] int points, [Values(1.0, 2.0)] double degrees)
    {
        CsrMatrix affinities = TsneTestData.Affinities(points, 4);
        using TestMap map = TestMap.Random(dimensions, points, 50), force = new(dimensions, points), wanted = new(dimensions, points);
        using TsneAttraction attraction = new(affinities, degrees);
        using WorkerPool pool = new(3);
        for (int call = 0; call < 3; call++)
        {
            for (int i = 0; i < points; i++)
                map[0, i] += 0.5f * (i % 3);
            attraction.Compute(map.View, force.View, call == 1 ? pool : null);
            TsneGradient.Attraction(affinities, map.View, wanted.View, degrees);
            Assert.That(force.Values(), Is.EqualTo(wanted.Values()), $"call {call}");
        }
    }

    [Test]
    public void RowsOfAllLengthsAreShared()
    {
        // One point that attracts all others, points that attract none, and ranges that end anywhere.
        const int Points = 30_000;
        long[] offsets = new long[Points + 1];
        for (int i = 0; i < Points; i++)
            offsets[i + 1] = offsets[i] + (i == 7 ? Points - 1 : i % 5 == 0 ? 0 : 2);
        int[] columns = [.. Enumerable.Range(0, (int)offsets[^1]).Select(t => (int)((t * 7919L) % Points))];
        float[] values = [.. Enumerable.Range(0, columns.Length).Select(t => 1f / (1 + (t % 11)))];
        CsrMatrix affinities = new(Points, offsets, columns, values);
        using TestMap map = TestMap.Random(2, Points, 20), force = new(2, Points);
        using TsneAttraction attraction = new(affinities);
        using WorkerPool pool = new(2);
        attraction.Compute(map.View, force.View, pool);
        Assert.That(TsneTestData.RelativeError(force, TsneGradientReference.Attraction(affinities, map.ToDouble(), map.ToDouble(), 1)), Is.LessThan(1e-5));
    }

    [Test]
    public void WrongShapesAreNamed()
    {
        CsrMatrix affinities = TsneTestData.Affinities(30, 4), wide = new(2, [0, 1], [1], [1f]);
        using TsneAttraction attraction = new(affinities);
        using TestMap map = new(2, 31), force = new(2, 31);
        Assert.Multiple(() =>
        {
            Assert.That(() => attraction.Compute(map.View, force.View), Throws.ArgumentException);
            Assert.That(() => new TsneAttraction(wide), Throws.ArgumentException.With.Message.Contains("1 x 2"));
            Assert.That(() => new TsneAttraction(affinities, -1), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("degreesOfFreedom"));
        });
    }
}
