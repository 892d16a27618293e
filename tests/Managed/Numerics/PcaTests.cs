using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

public sealed class PcaTests
{
    [Test]
    public void AnEllipseKnownByHand()
    {
        // Spread 3 along (0.6, 0.8), spread 1 across it, around (10, -20).
        float[] points = new float[2 * 200];
        for (int i = 0; i < 200; i++)
        {
            double angle = 2 * Math.PI * i / 200, along = 3 * Math.Cos(angle), across = Math.Sin(angle);
            points[2 * i] = (float)(10 + (0.6 * along) - (0.8 * across));
            points[(2 * i) + 1] = (float)(-20 + (0.8 * along) + (0.6 * across));
        }

        using FloatMatrix data = FloatMatrix.FromRows(points, 2);
        Pca pca = Pca.Fit(data, 2);
        double unit = 200.0 / 199;
        Assert.Multiple(() =>
        {
            Assert.That(pca.Mean.ToArray(), Is.EqualTo(new[] { 10.0, -20.0 }).Within(1e-6));
            Assert.That(pca.Components.Row(0).ToArray(), Is.EqualTo(new[] { 0.6f, 0.8f }).Within(1e-5));
            Assert.That(pca.Components.Row(1).ToArray(), Is.EqualTo(new[] { 0.8f, -0.6f }).Within(1e-5));
            Assert.That(pca.ExplainedVariance.ToArray(), Is.EqualTo(new[] { 4.5 * unit, 0.5 * unit }).Within(1e-4));
            Assert.That(pca.ExplainedVarianceRatio, Is.EqualTo(new[] { 0.9, 0.1 }).Within(1e-5));
        });
        using FloatMatrix coordinates = pca.Transform(data.View);
        for (int i = 0; i < 200; i++)
        {
            Assert.That(coordinates[i, 0], Is.EqualTo(3 * Math.Cos(2 * Math.PI * i / 200)).Within(1e-4));
            Assert.That(coordinates[i, 1], Is.EqualTo(-Math.Sin(2 * Math.PI * i / 200)).Within(1e-4));
        }
    }

    [Test]
    public void RowsAndColumnsGiveTheSameComponents()
    {
        // 30 x 40 goes by the Gram matrix; the same rows three times over, 90 x 40, by the covariance.
        using FloatMatrix few = Noise(30, 40, 3, decay: 0.8);
        using FloatMatrix many = new(90, 40);
        for (int i = 0; i < 90; i++)
            few.Row(i % 30).CopyTo(many.Row(i));
        Pca byRows = Pca.Fit(few, 5), byColumns = Pca.Fit(many, 5);
        for (int k = 0; k < 5; k++)
        {
            Assert.That(byRows.Components.Row(k).ToArray(), Is.EqualTo(byColumns.Components.Row(k).ToArray()).Within(2e-4f), $"component {k}");
            Assert.That(byRows.ExplainedVariance[k] * 29 / 30, Is.EqualTo(byColumns.ExplainedVariance[k] * 89 / 90).Within(1e-3).Percent);
        }
    }

    [TestCase(600, 3)] // by iteration
    [TestCase(60, 20)] // by the whole decomposition
    public void VariancesAreThoseAlongTheComponents(int columns, int components)
    {
        const int Rows = 1000;
        using FloatMatrix data = Noise(Rows, columns, 5, decay: 0.9);
        using WorkerPool pool = new(2);
        Pca pca = Pca.Fit(data, components, pool);
        using FloatMatrix coordinates = pca.Transform(data.View, pool);
        for (int k = 0; k < components; k++)
        {
            for (int other = 0; other <= k; other++)
            {
                // Coordinates are uncorrelated, components orthonormal.
                double covariance = Enumerable.Range(0, Rows).Sum(i => (double)coordinates[i, k] * coordinates[i, other]) / (Rows - 1);
                double product = 0;
                for (int j = 0; j < columns; j++)
                    product += (double)pca.Components[k, j] * pca.Components[other, j];
                Assert.That(covariance, Is.EqualTo(k == other ? pca.ExplainedVariance[k] : 0).Within(1e-5 * pca.ExplainedVariance[0]), $"{k} and {other}");
                Assert.That(product, Is.EqualTo(k == other ? 1 : 0).Within(1e-5), $"{k} and {other}");
            }
        }

        Assert.That(pca.ExplainedVariance.ToArray(), Is.Ordered.Descending);
    }

    [Test]
    public void ThreadsDoNotChangeTheBits()
    {
        using FloatMatrix data = Noise(500, 70, 6, decay: 0.9);
        Pca one = Pca.Fit(data, 4);
        using WorkerPool pool = new(3);
        Pca three = Pca.Fit(data, 4, pool);
        for (int k = 0; k < 4; k++)
            Assert.That(three.Components.Row(k).SequenceEqual(one.Components.Row(k)));
    }

    [TestCase(1e-25)]
    [TestCase(1e18)]
    public void NoScaleOverflows(double scale)
    {
        using FloatMatrix data = Noise(50, 6, 7, decay: 0.5);
        Pca plain = Pca.Fit(data, 2);
        for (int i = 0; i < 50; i++)
        {
            for (int j = 0; j < 6; j++)
                data[i, j] = (float)(data[i, j] * scale);
        }

        Pca scaled = Pca.Fit(data, 2);
        for (int k = 0; k < 2; k++)
            Assert.That(scaled.Components.Row(k).ToArray(), Is.EqualTo(plain.Components.Row(k).ToArray()).Within(1e-4f));
        Assert.That(scaled.ExplainedVariance[0], Is.EqualTo(plain.ExplainedVariance[0] * scale * scale).Within(1e-3).Percent);
    }

    [Test]
    public void EqualRowsHaveNoVariance()
    {
        using FloatMatrix data = new(5, 3);
        for (int i = 0; i < 5; i++)
            data.Row(i).Fill(7);
        Pca pca = Pca.Fit(data, 2);
        Assert.That(pca.ExplainedVariance.ToArray(), Is.All.EqualTo(0.0));
        Assert.That(pca.ExplainedVarianceRatio, Is.All.EqualTo(0.0));
    }

    [Test]
    public void BadArgumentsAreNamed()
    {
        using FloatMatrix data = new(4, 3), empty = new(0, 3);
        Pca pca = Pca.Fit(data, 2);
        data[2, 1] = float.NaN;
        Assert.Multiple(() =>
        {
            Assert.That(() => Pca.Fit(data, 2), Throws.ArgumentException.With.Message.Contains("row 2 and column 1"));
            Assert.That(() => Pca.Fit(empty, 1), Throws.ArgumentException.With.Message.Contains("0 x 3"));
            Assert.That(() => Pca.Fit(data, 4), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("1 to 3"));
            Assert.That(() => Pca.Fit(data, 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => pca.Transform(new FloatMatrix(4, 2).View), Throws.ArgumentException.With.Message.Contains("3 columns"));
        });
    }

    /// <summary>Normal noise whose spread falls from column to column, mixed by a rotation of neighbours.</summary>
    private static FloatMatrix Noise(int rows, int columns, long seed, double decay)
    {
        SplitMix64 random = new(seed);
        FloatMatrix data = new(rows, columns);
        for (int i = 0; i < rows; i++)
        {
            double spread = 1, last = 0;
            for (int j = 0; j < columns; j++, spread = Math.Max(spread * decay, 1e-3))
            {
                double value = spread * random.NextGaussian();
                data[i, j] = (float)((0.8 * value) + (0.6 * last) + (j % 5));
                last = value;
            }
        }

        return data;
    }
}
