using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed class TsneGradientTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void AttractionFollowsTheReference([Values(1, 2, 3)] int dimensions, [Values(2, 9, 40, 300)] int points, [Values(1e-4, 50.0)] double scale)
    {
        CsrMatrix affinities = TsneTestData.Affinities(points, Math.Min(points - 1, 13));
        using TestMap map = TestMap.Random(dimensions, points, scale), force = new(dimensions, points);
        TsneGradient.Attraction(affinities, map.View, force.View);
        Assert.That(TsneTestData.RelativeError(force, TsneGradientReference.Attraction(affinities, map.ToDouble())), Is.LessThan(1e-5));
    }

    [Test]
    public void RowsOfEveryLengthAreWhole()
    {
        // Row i has i neighbours before it, plus those behind it: all lengths of tails at every width.
        for (int points = 2; points < 70; points++)
        {
            long[] offsets = [.. Enumerable.Range(0, points + 1).Select(i => (long)i * (i - 1) / 2)];
            int[] columns = [.. Enumerable.Range(0, points).SelectMany(i => Enumerable.Range(0, i))];
            CsrMatrix triangle = new(points, offsets, columns, [.. columns.Select((c, i) => 1f + (c % 3) + (i % 5))]);
            using TestMap map = TestMap.Random(2, points, 4, points), force = new(2, points);
            TsneGradient.Attraction(triangle, map.View, force.View);
            Assert.That(TsneTestData.RelativeError(force, TsneGradientReference.Attraction(triangle, map.ToDouble())), Is.LessThan(1e-5), $"{points} points");
        }
    }

    [Test]
    public void DivergenceFollowsTheReference([Values(1, 2, 3)] int dimensions, [Values(2, 30, 700)] int points, [Values(1e-4, 3.0, 1e4)] double scale)
    {
        CsrMatrix affinities = TsneTestData.Affinities(points, Math.Min(points - 1, 20));
        using TestMap map = TestMap.Random(dimensions, points, scale);
        double[][] exact = map.ToDouble();
        double wanted = TsneGradientReference.KullbackLeibler(affinities, exact);
        double actual = TsneGradient.KullbackLeibler(affinities, map.View, TsneGradientReference.SumQ(exact), TsneGradient.NegativeEntropy(affinities));
        Assert.That(actual, Is.EqualTo(wanted).Within(1e-6 * (1 + Math.Abs(wanted))));
    }

    [Test]
    public void ZeroAffinitiesAreNoNaN()
    {
        CsrMatrix affinities = new(3, [0, 2, 4, 6], [1, 2, 0, 2, 0, 1], [0.5f, 0f, 0.5f, 0f, 0f, 0f]);
        using TestMap map = TestMap.Random(2, 3, 1);
        double sumQ = TsneGradientReference.SumQ(map.ToDouble());
        Assert.That(TsneGradient.KullbackLeibler(affinities, map.View, sumQ, TsneGradient.NegativeEntropy(affinities)), Is.Not.NaN);
    }

    [Test]
    public void ThreadsDoNotChangeTheBits()
    {
        CsrMatrix affinities = TsneTestData.Affinities(1500, 30);
        using TestMap map = TestMap.Random(2, 1500, 10), one = new(2, 1500), many = new(2, 1500);
        TsneGradient.Attraction(affinities, map.View, one.View);
        double divergence = TsneGradient.KullbackLeibler(affinities, map.View, 1e5, 0);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            TsneGradient.Attraction(affinities, map.View, many.View, 1, pool);
            Assert.That(many.Values(), Is.EqualTo(one.Values()));
            Assert.That(TsneGradient.KullbackLeibler(affinities, map.View, 1e5, 0, 1, pool), Is.EqualTo(divergence));
        }
    }

    [Test]
    public void WrongShapesAreNamed()
    {
        CsrMatrix affinities = TsneTestData.Affinities(10, 3);
        using TestMap right = new(2, 10), short9 = new(2, 9), deep = new(4, 10);
        Assert.Multiple(() =>
        {
            Assert.That(() => TsneGradient.Attraction(affinities, short9.View, short9.View), Throws.ArgumentException.With.Message.Contains("9 x 9 and are 10 x 10"));
            Assert.That(() => TsneGradient.Attraction(affinities, right.View, short9.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("force"));
            Assert.That(() => TsneGradient.Attraction(affinities, deep.View, deep.View), Throws.ArgumentException.With.Message.Contains("4 rows"));
            Assert.That(() => TsneGradient.KullbackLeibler(null!, right.View, 1, 0), Throws.ArgumentNullException);
        });
    }
}

public sealed class TsneGradientFormulaTests
{
    // scikit-learn's test_gradient, restated: the gradient is the derivative of the divergence, by central differences. With
    // exaggerated affinities e p it is that of e (KL - ln Z) + ln Z, up to a constant.
    [Test]
    public void TheGradientIsTheDerivativeOfTheDivergence([Values(1, 2, 3)] int dimensions, [Values(0.5, 1, 3)] double nu, [Values(1, 12)] double exaggeration)
    {
        const int Points = 40;
        const double H = 1e-5;
        CsrMatrix affinities = TsneTestData.Affinities(Points, 9);
        using TestMap map = TestMap.Random(dimensions, Points, 3, 21);
        double[][] exact = map.ToDouble();
        double[][] gradient = TsneGradientReference.Gradient(affinities, exact, nu, exaggeration);
        for (int axis = 0; axis < dimensions; axis++)
        {
            for (int i = 0; i < Points; i++)
            {
                double here = exact[axis][i];
                exact[axis][i] = here + H;
                double above = Objective();
                exact[axis][i] = here - H;
                double below = Objective();
                exact[axis][i] = here;

                // The affinities are floats whose sum is 1 only to 1e-7, which is the derivative's own error.
                Assert.That(gradient[axis][i], Is.EqualTo((above - below) / (2 * H)).Within(1e-7 * exaggeration));
            }
        }

        double Objective()
        {
            double logSum = Math.Log(TsneGradientReference.SumQ(exact, nu));
            return (exaggeration * (TsneGradientReference.KullbackLeibler(affinities, exact, nu) - logSum)) + logSum;
        }
    }
}

public sealed unsafe class GatherTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void LanesComeFromTheirIndices()
    {
        GatherAction action = default;
        Isa.Dispatch(ref action);
        Assert.That(action.Result, Is.EqualTo(action.Wanted));
        Assert.That(action.PairX, Is.EqualTo(action.Wanted.Select(v => 100 + (2 * (v - 100)))));
        Assert.That(action.PairY, Is.EqualTo(action.PairX.Select(v => v + 1)));
    }

    private struct GatherAction : IWideAction
    {
        public float[] Result { get; private set; }

        public float[] Wanted { get; private set; }

        public float[] PairX { get; private set; }

        public float[] PairY { get; private set; }

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            float* source = stackalloc float[100];
            int* indices = stackalloc int[16];
            for (int i = 0; i < 100; i++)
                source[i] = 100 + i;
            for (int i = 0; i < 16; i++)
                indices[i] = (i * 37) % 50;
            TWide.GatherPairs(source, indices, out TWide x, out TWide y);
            (Result, PairX, PairY) = (Stored(TWide.Gather(source, indices)), Stored(x), Stored(y));
            Wanted = [.. Enumerable.Range(0, TWide.Lanes).Select(i => 100f + (i * 37 % 50))];

            static float[] Stored(TWide value)
            {
                float[] result = new float[TWide.Lanes];
                fixed (float* r = result)
                    TWide.Store(r, value);
                return result;
            }
        }
    }
}
