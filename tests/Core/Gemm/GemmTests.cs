using System.Runtime.Intrinsics;
using EmbeddingKernels.TestSupport;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class GemmTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly Gen<GemmShape> Shapes =
        from m in Gen.Frequency((6, Gen.Choose(0, 40)), (1, Gen.Choose(90, 230)))
        from n in Gen.Frequency((6, Gen.Choose(0, 40)), (1, Gen.Choose(500, 560)))
        from k in Gen.Frequency((6, Gen.Choose(0, 40)), (1, Gen.Choose(250, 530)))
        from ta in Gen.Elements(false, true)
        from tb in Gen.Elements(false, true)
        from alpha in Gen.Elements(1f, 0f, -2.5f)
        from beta in Gen.Elements(0f, 1f, 0.75f)
        from gap in Gen.Choose(0, 3)
        from seed in Gen.Choose(0, int.MaxValue)
        select new GemmShape(m, n, k, ta, tb, alpha, beta, gap, seed);

    [Test]
    public void RandomShapesAgreeWithTheDoubleReference() =>
        Prop.ForAll(Shapes.ToArbitrary(), shape =>
        {
            using GemmProblem problem = new(shape);
            problem.Multiply(null);
            problem.AssertClose();
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(60));

    [TestCase(13, 17, 255)]
    [TestCase(13, 17, 256)]
    [TestCase(13, 17, 257)]
    [TestCase(97, 521, 513)]
    [TestCase(7, 5, 4099)]
    [TestCase(2053, 3, 2)]
    [TestCase(3, 2053, 2)]
    [TestCase(5, 131, 4500)]
    [TestCase(13, 73, 4500)]
    [TestCase(2, 601, 300)]
    [TestCase(1, 1, 1)]
    public void SizesAroundTheBlockingAgreeWithTheDoubleReference(int m, int n, int k)
    {
        using GemmProblem problem = new(new GemmShape(m, n, k, false, true, 1.5f, 0.5f, 1, 3));
        problem.Multiply(null);
        problem.AssertClose();
    }

    [Test]
    public void AnyNumberOfThreadsGivesTheSameBits([Values(2, 3, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        foreach ((int m, int n, int k) in new[] { (200, 700, 300), (5, 90, 70), (6, 150, 5000), (1, 1, 600), (101, 1, 1) })
        {
            GemmShape shape = new(m, n, k, true, true, 1f, 1f, 0, 5);
            using GemmProblem serial = new(shape);
            using GemmProblem parallel = new(shape);
            serial.Multiply(null);
            parallel.Multiply(pool);
            Assert.That(parallel.C.AsSpan().SequenceEqual(serial.C.AsSpan()), Is.True, $"{m} x {n} x {k}");
        }
    }

    [Test]
    public void TheSumRunsInTheDocumentedOrder()
    {
        // Whether the 128-bit level fuses is the processor's choice: 1 + 2^-23 squared differs in its last place.
        float above = 1f + MathF.ScaleB(1f, -23);
        bool fused = Level != IsaLevel.Scalar
            && Vector128.MultiplyAddEstimate(Vector128.Create(above), Vector128.Create(above), Vector128.Create(-above * above))[0] != 0;
        GemmShape shape = new(9, 20, 700, false, false, 1f, 0f, 2, 11);
        using GemmProblem problem = new(shape);
        problem.Multiply(null);
        for (int i = 0; i < shape.M; i++)
        {
            for (int j = 0; j < shape.N; j++)
            {
                float sum = 0;
                for (int block = 0; block < shape.K; block += 256)
                {
                    float part = 0;
                    for (int k = block; k < Math.Min(block + 256, shape.K); k++)
                    {
                        float a = problem.ViewA.Row(i)[k], b = problem.ViewB.Row(k)[j];
                        part = fused ? MathF.FusedMultiplyAdd(a, b, part) : (a * b) + part;
                    }

                    sum = block == 0 ? part : sum + part;
                }

                Assert.That(problem.ViewC.Row(i)[j], Is.EqualTo(sum), $"({i}, {j})");
            }
        }
    }

    [Test]
    public void NothingOutsideTheOperandsIsTouched()
    {
        Random random = new(2);
        for (int size = 0; size <= 40; size++)
        {
            int m = size, n = random.Next(1, 41), k = random.Next(1, 41);
            foreach (bool transpose in new[] { false, true })
            {
                using GuardedBuffer<float> a = new(m * k), b = new(k * n), c = new(m * n);
                GemmProblem.Fill(random, a.Span);
                GemmProblem.Fill(random, b.Span);
                c.Span.Fill(float.NaN);
                MatrixView<float> viewA = transpose ? new(a.Pointer, k, m) : new(a.Pointer, m, k);
                MatrixView<float> viewB = transpose ? new(b.Pointer, n, k) : new(b.Pointer, k, n);
                Gemm.Multiply(1f, viewA, transpose, viewB, transpose, 0f, new(c.Pointer, m, n));
                for (int i = 0; i < m * n; i++)
                {
                    double wanted = GemmReference.Element(1f, viewA, transpose, viewB, transpose, 0f, 0f, i / n, i % n, out double magnitude);
                    Assert.That(c.Span[i], Is.EqualTo(wanted).Within((magnitude * 44 / (1 << 24)) + 1e-37), $"{m} x {n} x {k}, {i}");
                }
            }
        }
    }

    [Test]
    public void BetaZeroDoesNotReadCAndAlphaZeroDoesNotReadTheFactors()
    {
        float nan = float.NaN;
        float* a = stackalloc float[] { 1, 2, 3, 4 };
        float* c = stackalloc float[] { nan, nan, nan, nan };
        MatrixView<float> square = new(a, 2, 2), result = new(c, 2, 2);
        Gemm.Multiply(square, square, result);
        Assert.That(new Span<float>(c, 4).ToArray(), Is.EqualTo(new float[] { 7, 10, 15, 22 }));
        a[0] = a[3] = float.NaN;
        Gemm.Multiply(0f, square, false, square, true, 2f, result);
        Assert.That(new Span<float>(c, 4).ToArray(), Is.EqualTo(new float[] { 14, 20, 30, 44 }));
    }

    [Test]
    public void NaNAndInfinityReachOnlyTheirRowsAndColumns()
    {
        using GemmProblem problem = new(new GemmShape(14, 40, 20, false, false, 1f, 0f, 0, 8));
        problem.ViewA.Row(6)[3] = float.NaN;
        problem.ViewB.Row(2)[33] = float.PositiveInfinity;
        problem.Multiply(null);
        for (int i = 0; i < 14; i++)
        {
            for (int j = 0; j < 40; j++)
            {
                float value = problem.ViewC.Row(i)[j];
                Assert.That(i == 6 ? float.IsNaN(value) : j == 33 ? float.IsInfinity(value) : float.IsFinite(value), Is.True, $"({i}, {j}) = {value}");
            }
        }
    }

    [Test]
    public void ARepeatedCallAllocatesNothing()
    {
        using GemmProblem problem = new(new GemmShape(50, 60, 300, false, true, 1f, 0f, 0, 4));

        // Scratch memory finds its place in the pool within a few calls.
        for (int i = 0; i < 4; i++)
            problem.Multiply(null);
        long before = GC.GetAllocatedBytesForCurrentThread();
        problem.Multiply(null);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [Test]
    public void ShapesThatDoNotFitAreNamed()
    {
        using AlignedBuffer<float> memory = new(64);
        MatrixView<float> View(int rows, int columns) => new(memory.Pointer, rows, columns);
        Assert.Multiple(() =>
        {
            Assert.That(() => Gemm.Multiply(View(2, 3), View(2, 3), View(2, 3)), Throws.ArgumentException.With.Property("ParamName").EqualTo("b"));
            Assert.That(() => Gemm.Multiply(View(2, 3), View(3, 4), View(2, 3)), Throws.ArgumentException.With.Property("ParamName").EqualTo("c"));
            Assert.That(() => Gemm.Multiply(1f, View(2, 3), true, View(3, 4), false, 0f, View(3, 4)), Throws.ArgumentException.With.Property("ParamName").EqualTo("b"));
        });
    }
}
