using System.Globalization;
using EmbeddingKernels.Core;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

public sealed class RandomizedPcaTests
{
    [TestCase(2000, 300, 20)]
    [TestCase(300, 2000, 20)]
    [TestCase(5000, 600, 1)]
    [TestCase(40, 5000, 40, Description = "all of the smaller side")]
    public void IsTheExactSolutionWhereTheSpectrumFalls(int rows, int columns, int components)
    {
        using FloatMatrix data = Falling(rows, columns, 0.9);
        using WorkerPool pool = new(2);
        PcaOptions options = new() { Components = components };
        Pca exact = Pca.Fit(data, options with { Solver = PcaSolver.Exact }, pool);
        Pca random = Pca.Fit(data, options with { Solver = PcaSolver.Randomized }, pool);
        int sure = Math.Min(components, Math.Min(rows, columns) - 1); // centring takes the last direction of as many rows
        AssertClose(random, exact, sure, variance: 1e-4, sine: 2e-3);
        AssertOrthonormal(random, sure);
        Assert.That(random.ExplainedVarianceRatio.Sum(), Is.EqualTo(exact.ExplainedVarianceRatio.Sum()).Within(1e-4));
    }

    [Test]
    public void IsTheExactSolutionOnMnist()
    {
        using TemporaryFolder folder = new();
        using MappedRows digits = Mnist(folder);
        RowsView some = digits.View.Slice(0, 4000);
        PcaOptions options = new() { Components = 50 };
        Pca exact = Pca.Fit(some, options with { Solver = PcaSolver.Exact });
        Pca random = Pca.Fit(some, options);
        AssertClose(random, exact, 50, variance: 1e-3, sine: 0.3); // neighbours in the spectrum differ by 1% at its end
        AssertClose(random, exact, 20, variance: 1e-4, sine: 1e-2);
        AssertOrthonormal(random, 50);
    }

    [TestCase(4000)]
    [TestCase(600)]
    public void AgreesWithScikitLearn(int rows)
    {
        using TemporaryFolder folder = new();
        using MappedRows digits = Mnist(folder);
        double[] theirs = [.. Python.Run("sklearn", """
            import numpy as np, sys
            from sklearn.decomposition import PCA
            x = np.load(sys.argv[1], mmap_mode='r')[:int(sys.argv[2])].astype(np.float64)
            full = PCA(30, svd_solver='full').fit(x)
            fast = PCA(30, svd_solver='randomized', random_state=1).fit(x)
            print(*full.explained_variance_, *full.explained_variance_ratio_, np.abs(fast.explained_variance_ / full.explained_variance_ - 1).max(), *np.abs(full.components_[:5]).ravel())
            """, folder["mnist.npy"], rows.ToString(CultureInfo.InvariantCulture)).Split(' ').Select(n => double.Parse(n, CultureInfo.InvariantCulture))];
        Pca ours = Pca.Fit(digits.View.Slice(0, rows), new PcaOptions { Components = 30, Solver = PcaSolver.Randomized });
        double worst = 0;
        for (int k = 0; k < 30; k++)
        {
            worst = Math.Max(worst, Math.Abs((ours.ExplainedVariance[k] / theirs[k]) - 1));
            Assert.That(ours.ExplainedVarianceRatio[k], Is.EqualTo(theirs[30 + k]).Within(0.1).Percent, $"component {k}");
        }

        TestContext.Out.WriteLine($"largest relative error of a variance: ours {worst:E1}, scikit-learn's randomised {theirs[60]:E1}");
        Assert.That(worst, Is.LessThan(1e-3));
        for (int k = 0; k < 5; k++)
        {
            for (int j = 0; j < 784; j++)
                Assert.That(Math.Abs(ours.Components[k, j]), Is.EqualTo(theirs[61 + (784 * k) + j]).Within(1e-3), $"component {k}, column {j}");
        }
    }

    [TestCase(6000, 90)]
    [TestCase(90, 6000)]
    public void ThreadsDoNotChangeTheBits(int rows, int columns)
    {
        using FloatMatrix data = Falling(rows, columns, 0.95);
        PcaOptions options = new() { Components = 7, Solver = PcaSolver.Randomized, Seed = 5 };
        Pca one = Pca.Fit(data, options);
        foreach (int threads in (int[])[2, 3, 7])
        {
            using WorkerPool pool = new(threads);
            Pca many = Pca.Fit(data, options, pool);
            for (int k = 0; k < 7; k++)
                Assert.That(many.Components.Row(k).SequenceEqual(one.Components.Row(k)), $"{threads} threads, component {k}");
            Assert.That(many.ExplainedVariance.SequenceEqual(one.ExplainedVariance), $"{threads} threads");
            Assert.That(many.ExplainedVarianceRatio, Is.EqualTo(one.ExplainedVarianceRatio));
        }
    }

    [TestCase(500, 100)]
    [TestCase(100, 500)]
    public void DirectionsThatTheDataLacksAreZero(int rows, int columns)
    {
        // Rank 3 without rounding: small integers.
        Random random = new(1);
        int[,] left = new int[rows, 3], right = new int[3, columns];
        for (int i = 0; i < rows * 3; i++)
            left[i / 3, i % 3] = random.Next(-4, 5);
        for (int i = 0; i < columns * 3; i++)
            right[i % 3, i / 3] = random.Next(-4, 5);
        using FloatMatrix data = new(rows, columns);
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
                data[i, j] = (left[i, 0] * right[0, j]) + (left[i, 1] * right[1, j]) + (left[i, 2] * right[2, j]);
        }

        Pca pca = Pca.Fit(data, new PcaOptions { Components = 6, Solver = PcaSolver.Randomized });
        Assert.That(pca.ExplainedVarianceRatio[..3].Sum(), Is.EqualTo(1).Within(1e-5));
        for (int k = 3; k < 6; k++)
            Assert.That(pca.ExplainedVariance[k], Is.LessThan(1e-6 * pca.ExplainedVariance[0]));
        AssertOrthonormal(pca, 3);
        using FloatMatrix equal = new(600, 600);
        Pca none = Pca.Fit(equal, new PcaOptions { Components = 3, Solver = PcaSolver.Randomized });
        Assert.That(none.ExplainedVariance.ToArray(), Is.All.Zero);
        Assert.That(none.ExplainedVarianceRatio, Is.All.Zero);
    }

    [TestCase(PcaSolver.Exact)]
    [TestCase(PcaSolver.Randomized)]
    public void WhitenedCoordinatesHaveVarianceOneAndGoBack(PcaSolver solver)
    {
        using FloatMatrix data = Falling(800, 12, 0.7);
        Pca pca = Pca.Fit(data, new PcaOptions { Components = 12, Solver = solver, Whiten = true });
        using FloatMatrix coordinates = pca.Transform(data.View);
        for (int k = 0; k < 12; k++)
            Assert.That(Enumerable.Range(0, 800).Sum(i => coordinates[i, k] * coordinates[i, k]) / 799, Is.EqualTo(1).Within(1e-3), $"component {k}");
        using FloatMatrix back = pca.InverseTransform(coordinates.View);
        Pca plain = Pca.Fit(data, new PcaOptions { Components = 12, Solver = solver });
        using FloatMatrix plainCoordinates = plain.Transform(data.View);
        using FloatMatrix plainBack = plain.InverseTransform(plainCoordinates.View);
        for (int i = 0; i < 800; i++)
        {
            Assert.That(back.Row(i).ToArray(), Is.EqualTo(data.Row(i).ToArray()).Within(1e-4f));
            Assert.That(plainBack.Row(i).ToArray(), Is.EqualTo(data.Row(i).ToArray()).Within(1e-4f));
        }
    }

    [Test]
    public void FarFromTheOriginNothingIsLost()
    {
        using FloatMatrix data = Falling(3000, 40, 0.8), moved = data.Copy();
        for (int i = 0; i < 3000; i++)
        {
            foreach (ref float element in moved.Row(i))
                element = MathF.Round(element * 64) / 64;
            moved.Row(i).CopyTo(data.Row(i));
            foreach (ref float element in moved.Row(i))
                element += 100_000; // exact: sixty-fourths up to 2^17
        }

        PcaOptions options = new() { Components = 5, Solver = PcaSolver.Randomized };
        AssertClose(Pca.Fit(moved, options), Pca.Fit(data, options), 5, variance: 1e-5, sine: 1e-4);
    }

    [Test]
    public void BadOptionsAreNamed()
    {
        using FloatMatrix data = new(10, 4);
        Assert.Multiple(() =>
        {
            Assert.That(() => Pca.Fit(data, new PcaOptions { Components = 0 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Pca.Fit(data, new PcaOptions { Components = 5 }), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("1 to 4"));
            Assert.That(() => Pca.Fit(data, new PcaOptions { Oversampling = -1 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Pca.Fit(data, new PcaOptions { PowerIterations = -1 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => Pca.Fit(data, new PcaOptions { Solver = (PcaSolver)9 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            using CancellationTokenSource source = new();
            source.Cancel();
            Assert.That(() => Pca.Fit(data, new PcaOptions(), null, source.Token), Throws.InstanceOf<OperationCanceledException>());
            Pca pca = Pca.Fit(data, 2);
            Assert.That(() => pca.InverseTransform(data.View), Throws.ArgumentException.With.Message.Contains("2 columns"));
        });
    }

    private static void AssertClose(Pca found, Pca wanted, int components, double variance, double sine)
    {
        double worst = 0;
        for (int k = 0; k < components; k++)
        {
            // Both know a variance to about 1e-7 of the largest only.
            double tolerance = (variance * wanted.ExplainedVariance[k]) + (5e-7 * wanted.ExplainedVariance[0]);
            Assert.That(found.ExplainedVariance[k], Is.EqualTo(wanted.ExplainedVariance[k]).Within(tolerance), $"variance {k}");

            // What of the component lies outside of the other's span is the sine of the angle to it.
            double[] rest = Array.ConvertAll(found.Components.Row(k).ToArray(), value => (double)value);
            for (int other = 0; other < wanted.Components.Rows; other++)
            {
                float[] axis = wanted.Components.Row(other).ToArray();
                double along = axis.Zip(rest, (a, b) => a * b).Sum();
                for (int j = 0; j < rest.Length; j++)
                    rest[j] -= along * axis[j];
            }

            worst = Math.Max(worst, Math.Sqrt(rest.Sum(value => value * value)));
        }

        TestContext.Out.WriteLine($"largest sine of an angle to the other's span, of {components}: {worst:E1}");
        Assert.That(worst, Is.LessThan(sine));
    }

    private static void AssertOrthonormal(Pca pca, int components)
    {
        for (int a = 0; a < components; a++)
        {
            for (int b = 0; b <= a; b++)
            {
                double product = pca.Components.Row(a).ToArray().Zip(pca.Components.Row(b).ToArray(), (x, y) => (double)x * y).Sum();
                Assert.That(product, Is.EqualTo(a == b ? 1 : 0).Within(1e-6), $"{a} and {b}");
            }
        }
    }

    /// <summary>Random rows whose spread falls by a factor from direction to direction, seen from turned axes.</summary>
    private static FloatMatrix Falling(int rows, int columns, double decay)
    {
        SplitMix64 random = new(17);
        FloatMatrix data = new(rows, columns);
        for (int i = 0; i < rows; i++)
        {
            double spread = 1;
            for (int j = 0; j < columns; j++, spread = Math.Max(spread * decay, 1e-3))
                data[i, j] = (float)(spread * random.NextGaussian());
        }

        // Reflections keep the spectrum: each takes a random direction to its opposite.
        for (int turn = 0; turn < 3; turn++)
        {
            double[] direction = [.. Enumerable.Range(0, columns).Select(_ => random.NextGaussian())];
            double squares = direction.Sum(value => value * value);
            for (int i = 0; i < rows; i++)
            {
                Span<float> row = data.Row(i);
                double along = 0;
                for (int j = 0; j < columns; j++)
                    along += row[j] * direction[j];
                for (int j = 0; j < columns; j++)
                    row[j] -= (float)(2 * along / squares * direction[j]);
            }
        }

        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
                data[i, j] += j % 7;
        }

        return data;
    }

    private static MappedRows Mnist(TemporaryFolder folder)
    {
        using (Stream packed = SharedData.Open("tsne/mnist70k_u8.npy.gz"))
        using (FileStream file = File.Create(folder["mnist.npy"]))
            packed.CopyTo(file);
        return Npy.Map(folder["mnist.npy"]);
    }
}
