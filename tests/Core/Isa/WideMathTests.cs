using EmbeddingKernels.Bench;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Elementary functions: errors over some 10 million floats of every magnitude, and what stands in the docs about the rest.</summary>
public sealed class WideMathTests(IsaLevel level) : IsaFixture(level)
{
    // A prime, so that the mantissas visited differ from one exponent to the next.
    private const int Stride = 433;

    [Test]
    public void ExpErrorIsBelow1e7() => AssertWorst<ExpRelative>(1e-7);

    [Test]
    public void SigmoidAbsoluteErrorIsBelow35e8() => AssertWorst<SigmoidAbsolute>(3.5e-7);

    [Test]
    public void SigmoidRelativeErrorIsBelow4e7() => AssertWorst<SigmoidRelative>(4e-7);

    [Test]
    public void TanhRelativeErrorIsBelow5e7() => AssertWorst<TanhRelative>(5e-7);

    [Test]
    public void TanhIsOneAtItsEndsAndPassesNaN()
    {
        Assert.Multiple(() =>
        {
            foreach (float x in new[] { 20f, 45f, 100f, float.MaxValue, float.PositiveInfinity })
            {
                Assert.That(One<TanhRelative>(x), Is.EqualTo(1f), $"tanh({x})");
                Assert.That(One<TanhRelative>(-x), Is.EqualTo(-1f), $"tanh({-x})");
            }

            Assert.That(One<TanhRelative>(0f), Is.Zero);
            Assert.That(One<TanhRelative>(float.Epsilon), Is.EqualTo(float.Epsilon));
            Assert.That(One<TanhRelative>(float.NaN), Is.NaN);
        });
    }

    [Test]
    public void LogErrorIsBelow1e7() => AssertWorst<LogRelative>(1e-7);

    [Test]
    public void ReciprocalErrorIsBelowTwoToTheMinus21() => AssertWorst<ReciprocalRelative>(Math.ScaleB(1, -21));

    [Test]
    public void ExpStaysAtItsEnds()
    {
        float lowest = Exp(-87.336544f);
        float highest = Exp(88.3762626647949f);
        Assert.Multiple(() =>
        {
            Assert.That(lowest, Is.EqualTo(Math.Exp(-87.336544f)).Within(1e-5).Percent.And.GreaterThanOrEqualTo(1.17549435e-38f));
            Assert.That(highest, Is.EqualTo(Math.Exp(88.3762626647949f)).Within(1e-5).Percent.And.LessThan(float.PositiveInfinity));
            foreach (float x in new[] { -87.34f, -88f, -104f, -1e30f, float.MinValue, float.NegativeInfinity })
                Assert.That(Exp(x), Is.EqualTo(lowest), $"exp({x})");
            foreach (float x in new[] { 88.38f, 88.8f, 1e30f, float.MaxValue, float.PositiveInfinity })
                Assert.That(Exp(x), Is.EqualTo(highest), $"exp({x})");
            Assert.That(Exp(0f), Is.EqualTo(1f));
            Assert.That(Exp(-0f), Is.EqualTo(1f));
            Assert.That(Exp(float.Epsilon), Is.EqualTo(1f));
            Assert.That(Exp(float.NaN), Is.NaN);
        });
    }

    [Test]
    public void SigmoidIsBetweenZeroAndOneAndPassesNaN()
    {
        Assert.Multiple(() =>
        {
            foreach (float x in TestFloats.Special.Where(x => !float.IsNaN(x)).Concat([-104f, -88.5f, -87.5f, 20f, 90f]))
                Assert.That(Sigmoid(x), Is.EqualTo(1 / (1 + Math.Exp(-(double)x))).Within(3.5e-7).And.InRange(0f, 1f), $"sigmoid({x})");
            Assert.That(Sigmoid(float.NaN), Is.NaN);
        });
    }

    [Test]
    public void LogIsFiniteWhateverTheInput()
    {
        Assert.Multiple(() =>
        {
            Assert.That(Log(1f), Is.Zero);
            foreach (float x in new[] { 0f, float.Epsilon, 1.17549421e-38f })
                Assert.That(Log(x), Is.InRange(-89f, -87f), $"log({x})");
            foreach (float x in new[] { float.PositiveInfinity, BitConverter.Int32BitsToSingle(0x7FC00000) })
                Assert.That(Log(x), Is.InRange(88f, 90f), $"log({x})");
            foreach (float x in TestFloats.Special)
                Assert.That(float.IsFinite(Log(x)), $"log({x})");
        });
    }

    private static unsafe float One<TFunction>(float x)
        where TFunction : struct, IApproximation
    {
        float result;
        AccuracySweep.Evaluate<TFunction>(Isa.Level, &x, &result, 1);
        return result;
    }

    private static float Exp(float x) => One<ExpRelative>(x);

    private static float Sigmoid(float x) => One<SigmoidAbsolute>(x);

    private static float Log(float x) => One<LogRelative>(x);

    private void AssertWorst<TFunction>(double bound)
        where TFunction : struct, IApproximation
    {
        using WorkerPool pool = new(2);
        WorstError worst = AccuracySweep.Run<TFunction>([Level], Stride, pool)[0];
        TestContext.Out.WriteLine($"{TFunction.Name} at {Level}: {worst.Error:E2} at {worst.At:R} over {worst.Inputs} floats ({TFunction.Measure})");
        Assert.That(worst.Error, Is.LessThan(bound), $"{TFunction.Name} at {worst.At:R}");
        Assert.That(worst.Inputs, Is.GreaterThan(4_000_000));
    }
}
