using EmbeddingKernels.TestSupport;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

/// <summary>
/// Each way that a product may take: operands in place or packed, columns packed by the job, the product turned, the narrow
/// tile, vectors, several passes over what is packed; and what all of them share, bias and activation.
/// </summary>
public sealed unsafe class GemmPathTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly int[] Threads = [2, 3, 7];

    // Sizes that lie on either side of a tile, of two panels, of a block of rows; gaps that make strides of 512 n, too.
    private static readonly Gen<int> Sides =
        Gen.Frequency((1, Gen.Constant(1)), (4, Gen.Choose(2, 16)), (3, Gen.Choose(17, 70)), (2, Gen.Choose(80, 190)), (1, Gen.Choose(380, 420)));

    private static readonly Gen<GemmShape> Shapes =
        from m in Sides
        from n in Sides
        from k in Gen.Frequency((1, Gen.Choose(0, 3)), (4, Gen.Choose(4, 100)), (2, Gen.Choose(250, 300)), (2, Gen.Choose(500, 530)))
        from ta in Gen.Elements(false, true)
        from tb in Gen.Elements(false, true)
        from alpha in Gen.Elements(1f, 1f, 0.03f, 0f)
        from beta in Gen.Elements(0f, 1f, 0.75f)
        from gap in Gen.Elements(0, 0, 1, 3, 8, 512 - (k % 512))
        from seed in Gen.Choose(0, int.MaxValue)
        select new GemmShape(m, n, k, ta, tb, alpha, beta, gap, seed);

    private static int StepFor(GemmShape shape) => 1 + (int)((long)shape.M * shape.N * shape.K / 200_000);

    [Test]
    public void RandomShapesOnAllPaths() =>
        Prop.ForAll(Shapes.ToArbitrary(), Gen.Choose(0, 4).Select(t => t < 4 ? 1 : 3).ToArbitrary(), (shape, threads) =>
        {
            using GemmProblem problem = new(shape);
            using WorkerPool pool = new(threads);
            problem.Multiply(pool);
            problem.AssertClose(StepFor(shape));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(60));

    [Test]
    public void RandomShapesWithBiasAndActivation() =>
        Prop.ForAll(Shapes.ToArbitrary(), Gen.Elements(Enum.GetValues<GemmActivation>()).ToArbitrary(), Gen.Elements(false, true, true).ToArbitrary(), (shape, activation, bias) =>
        {
            // e^x of sums of hundreds would overflow.
            shape = shape with { Alpha = shape.Alpha == 1f && activation is GemmActivation.Exp or GemmActivation.Sigmoid ? 0.02f : shape.Alpha };
            using GemmProblem problem = new(shape);
            problem.Multiply(bias, activation, null);
            problem.AssertClose(bias, activation, StepFor(shape));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(60));

    [Test]
    public void AllPathsToAProductOfMatricesGiveTheSameBits() =>
        Prop.ForAll(Shapes.Where(s => s.M > 1 && s.N > 1).ToArbitrary(), shape =>
        {
            // Other transpositions, strides and neighbours lead along other paths.
            using GemmProblem plain = new(shape with { TransposeA = false, TransposeB = false });
            plain.Multiply(null);
            foreach ((bool ta, bool tb, int gap) in new[] { (false, true, shape.Gap), (true, false, shape.Gap + 1), (true, true, 512) })
            {
                using GemmProblem other = new(shape with { TransposeA = ta, TransposeB = tb, Gap = gap });
                Copy(plain.ViewA, other.ViewA, ta);
                Copy(plain.ViewB, other.ViewB, tb);
                using GemmProblem before = new(shape with { TransposeA = false, TransposeB = false });
                Copy(before.ViewC, other.ViewC, false);
                other.Multiply(null);
                for (int i = 0; i < shape.M; i++)
                {
                    if (!other.ViewC.RowSpan(i).SequenceEqual(plain.ViewC.RowSpan(i)))
                        Assert.Fail($"row {i} of {shape} is another with A{(ta ? "'" : "")} B{(tb ? "'" : "")}, gap {gap}");
                }
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(30));

    // The path each goes is said at 8 lanes and 512 KiB of L2; at other sizes the neighbours go there.
    private static readonly GemmShape[] Paths =
    [
        new(50, 64, 100, false, false, 1f, 0f, 0, 1), // both in place
        new(150, 150, 200, false, false, 1f, 1f, 1, 2), // rows in place, columns packed by the job
        new(168, 150, 300, true, false, 1f, 1f, 1, 3), // as many rows as a block has, packed
        new(169, 150, 300, true, false, 1f, 0.5f, 1, 4), // one more: columns packed before
        new(400, 300, 70, false, false, 1f, 0f, 0, 5), // rows packed, for there are more than 16 panels of columns
        new(400, 256, 70, false, true, 1f, 0f, 0, 6), // the most panels with rows in place
        new(6, 300, 80, false, false, 1f, 1f, 0, 7), // one panel of rows, columns in place
        new(7, 300, 80, false, false, 1f, 0f, 0, 8), // two
        new(20, 300, 520, false, true, 1f, 1f, 0, 9), // turned, wide tile
        new(32, 129, 520, false, true, 1f, 0f, 3, 10), // the largest that is turned
        new(33, 140, 520, false, true, 1f, 0f, 3, 11), // not any more
        new(8, 90, 520, false, true, 0.5f, 0.5f, 0, 12), // turned, narrow tile
        new(90, 8, 520, false, false, 1f, 1f, 0, 13), // narrow tile
        new(90, 9, 520, true, false, 1f, 1f, 0, 14), // wide tile, of which half is padding
        new(90, 3, 520, true, true, -2f, 0f, 0, 15),
        new(190, 64, 512, false, true, 1f, 0f, 512, 16), // rows that start at the same place of their pages
        new(190, 17, 1024, false, false, 1f, 1f, 1024, 17),
        new(200, 200, 1024, true, true, 1f, 1f, 312, 18),
        new(65, 66, 67, false, true, 1f, 1f, 15, 19), // C at odd places
    ];

    [TestCaseSource(nameof(Paths))]
    public void APathAgreesWithTheReferenceAndWithItselfOnAnyThreads(GemmShape shape)
    {
        using GemmProblem problem = new(shape);
        problem.Multiply(null);
        problem.AssertClose(StepFor(shape));
        AssertSameOnThreads(problem, shape, () => problem.Multiply(null), problem.Multiply);
        foreach (GemmActivation activation in new[] { GemmActivation.Relu, GemmActivation.Sigmoid })
        {
            problem.Restore();
            problem.Multiply(true, activation, null);
            problem.AssertClose(true, activation, 2 * StepFor(shape));
            AssertSameOnThreads(problem, shape, () => problem.Multiply(true, activation, null), pool => problem.Multiply(true, activation, pool), 3);
        }
    }

    [Test]
    public void MoreRowsOrColumnsThanArePackedAtOnce([Values] bool rows, [Values] bool transposed)
    {
        int extent = GemmBlocking.PackedExtent;
        foreach ((int beyond, int other, int k) in new[] { (0, 3, 5), (1, 40, 4), (13, 2, 260) })
        {
            int large = extent + beyond;
            GemmShape shape = new(rows ? large : other, rows ? other : large, k, transposed, transposed, 1f, 1f, 1, beyond);
            using GemmProblem problem = new(shape);
            problem.Multiply(null);
            problem.AssertClose(StepFor(shape));
            using WorkerPool pool = new(3);
            float[] serial = problem.C.AsSpan().ToArray();
            problem.Restore();
            problem.Multiply(pool);
            Assert.That(problem.C.AsSpan().SequenceEqual(serial), Is.True, $"{shape}");
        }

        // Enough panels on the other side, and k above a block, that everything is packed.
        GemmShape packed = new(rows ? extent + 7 : 330, rows ? 330 : extent + 7, 258, transposed, !transposed, 1f, 0f, 0, 3);
        if (Level == IsaLevel.Scalar)
            return; // a second of work, which the scalar level has in the other shapes
        using GemmProblem everything = new(packed);
        everything.Multiply(null);
        everything.AssertClose(997);
    }

    [TestCase(1, 1)]
    [TestCase(7, 255)]
    [TestCase(2048, 256)]
    [TestCase(2047, 257)]
    [TestCase(2049, 300)]
    [TestCase(3, 2049)]
    [TestCase(4100, 1)]
    [TestCase(17, 5001)]
    [TestCase(1, 70000)]
    [TestCase(2051, 515)]
    public void ProductsWithVectors(int lanes, int k)
    {
        foreach (bool rowVector in new[] { false, true })
        {
            foreach ((bool ta, bool tb, int gap) in new[] { (false, false, 0), (false, true, 1), (true, false, 3), (true, true, 0) })
            {
                GemmShape shape = new(rowVector ? 1 : lanes, rowVector ? lanes : 1, k, ta, tb, lanes % 2 == 0 ? 1f : 0.01f, lanes % 3 == 0 ? 0f : 0.5f, gap, k);
                using GemmProblem problem = new(shape);
                int step = 1 + (lanes * k / 60_000);
                problem.Multiply(null);
                problem.AssertClose(step);
                AssertSameOnThreads(problem, shape, () => problem.Multiply(null), problem.Multiply, 3);
                problem.Restore();
                problem.Multiply(true, GemmActivation.Relu, null);
                problem.AssertClose(true, GemmActivation.Relu, step);
            }
        }
    }

    [Test]
    public void NaNStaysNaNThroughEveryActivation([Values] GemmActivation activation, [Values(1, 3, 8, 20, 200)] int m, [Values(1, 5, 40)] int n, [Values(3, 300)] int k)
    {
        using GemmProblem problem = new(new GemmShape(m, n, k, false, false, 1f, 0f, 0, m));
        problem.ViewA.Row(m - 1)[k - 1] = float.NaN;
        problem.ViewA.Row(0)[0] = float.NaN;
        problem.Multiply(true, activation, null);
        for (int i = 0; i < m; i++)
        {
            foreach (float value in problem.ViewC.RowSpan(i))
            {
                if (float.IsNaN(value) != (i == 0 || i == m - 1))
                    Assert.Fail($"{value} in row {i}");
            }
        }
    }

    [Test]
    public void BiasWithoutAProduct([Values] GemmActivation activation, [Values(1, 3, 20)] int m, [Values(1, 5, 40)] int n)
    {
        // k = 0, and alpha = 0 with factors that must not be read: the function of the bias is left.
        foreach (int k in new[] { 0, 7 })
        {
            using GemmProblem problem = new(new GemmShape(m, n, k, false, false, 0f, 0f, 1, 5));
            using GemmProblem nothing = new(new GemmShape(m, n, 0, false, false, 1f, 0f, 1, 5));
            problem.Multiply(true, activation, null);
            problem.AssertClose(true, activation);
            if (k > 0)
                problem.ViewA.Row(0)[0] = problem.ViewB.Row(0)[0] = float.NaN;
            problem.Multiply(false, activation, null);
            Assert.That(problem.ViewC.Row(m - 1)[n - 1], Is.EqualTo(activation switch { GemmActivation.Sigmoid => 0.5f, GemmActivation.Exp => 1f, _ => 0f }).Within(1e-6f));
            nothing.Multiply(false, activation, null);
            nothing.AssertClose(false, activation);
        }
    }

    [Test]
    public void NothingOutsideTheOperandsIsTouchedWithBias()
    {
        Random random = new(6);
        for (int trial = 0; trial < 80; trial++)
        {
            int m = random.Next(1, 41), n = random.Next(1, 41), k = random.Next(1, 41);
            bool ta = random.Next(2) == 0, tb = random.Next(2) == 0;
            using GuardedBuffer<float> a = new(m * k), b = new(k * n), c = new(m * n), bias = new(n);
            GemmProblem.Fill(random, a.Span);
            GemmProblem.Fill(random, b.Span);
            GemmProblem.Fill(random, bias.Span);
            MatrixView<float> viewA = ta ? new(a.Pointer, k, m) : new(a.Pointer, m, k), viewB = tb ? new(b.Pointer, n, k) : new(b.Pointer, k, n);
            Gemm.Multiply(1f, viewA, ta, viewB, tb, bias.Span, GemmActivation.Relu, new(c.Pointer, m, n));
            for (int i = 0; i < m * n; i++)
            {
                double sum = GemmReference.Element(1f, viewA, ta, viewB, tb, 0f, 0f, i / n, i % n, out double magnitude) + bias.Span[i % n];
                if (!(Math.Abs(c.Span[i] - Math.Max(sum, 0)) <= ((magnitude + 2) * 44 / (1 << 24)) + 1e-37))
                    Assert.Fail($"{m} x {n} x {k}, {ta} {tb}: element {i} is {c.Span[i]:R}");
            }
        }
    }

    [Test]
    public void ArgumentsOfTheOverloadWithBiasAreNamed()
    {
        using AlignedBuffer<float> memory = new(64);
        MatrixView<float> View(int rows, int columns) => new(memory.Pointer, rows, columns);
        void Multiply(int aRows, int bRows, int cColumns, int bias, GemmActivation activation) =>
            Gemm.Multiply(1f, View(aRows, 3), false, View(bRows, 4), false, new float[bias], activation, View(2, cColumns));
        Assert.Multiple(() =>
        {
            Assert.That(() => Multiply(2, 3, 4, 3, GemmActivation.None), Throws.ArgumentException.With.Property("ParamName").EqualTo("bias"));
            Assert.That(() => Multiply(2, 3, 4, 5, GemmActivation.None), Throws.ArgumentException.With.Property("ParamName").EqualTo("bias"));
            Assert.That(() => Multiply(2, 2, 4, 4, GemmActivation.None), Throws.ArgumentException.With.Property("ParamName").EqualTo("b"));
            Assert.That(() => Multiply(3, 3, 4, 4, GemmActivation.None), Throws.ArgumentException.With.Property("ParamName").EqualTo("c"));
            Assert.That(() => Multiply(2, 3, 5, 0, GemmActivation.None), Throws.ArgumentException.With.Property("ParamName").EqualTo("c"));
            Assert.That(() => Multiply(2, 3, 4, 4, (GemmActivation)4), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("activation"));
            Assert.That(() => Multiply(2, 3, 4, 0, GemmActivation.Exp), Throws.Nothing);
        });
    }

    private static void Copy(MatrixView<float> from, MatrixView<float> to, bool transpose)
    {
        for (nint i = 0; i < from.Rows; i++)
        {
            for (nint j = 0; j < from.Columns; j++)
                *(transpose ? to.Row(j) + i : to.Row(i) + j) = from.Row(i)[j];
        }
    }

    private static void AssertSameOnThreads(GemmProblem problem, GemmShape shape, Action serial, Action<WorkerPool> parallel, params int[] threads)
    {
        problem.Restore();
        serial();
        float[] wanted = problem.C.AsSpan().ToArray();
        foreach (int count in threads.Length > 0 ? threads : Threads)
        {
            using WorkerPool pool = new(count);
            problem.Restore();
            parallel(pool);
            Assert.That(problem.C.AsSpan().SequenceEqual(wanted), Is.True, $"{shape}, {count} threads");
        }
    }
}
