using EmbeddingKernels.Core;
using DenseMatrix = MathNet.Numerics.LinearAlgebra.Double.DenseMatrix;
using Symmetricity = MathNet.Numerics.LinearAlgebra.Symmetricity;

namespace EmbeddingKernels.Tests;

public sealed class TsneInitializationTests
{
    [Test]
    public void PcaStartsHaveTheFirstAxisOneTenThousandthWide()
    {
        using FloatMatrix data = TsneSamples.Clusters(400, 6);
        using FloatMatrix start = TsneInitialization.Pca(data);
        Assert.Multiple(() =>
        {
            Assert.That(Deviation(start, 0), Is.EqualTo(1e-4).Within(1e-8));
            Assert.That(Deviation(start, 1), Is.LessThan(1e-4).And.GreaterThan(1e-6));
        });
    }

    [Test]
    public void MnistStartsWhereTheReferenceDoes()
    {
        using FloatMatrix data = Npy.ReadMatrix(TestSupport.SharedData.Path("tsne/mnist_pca50_10k.npy.gz"));
        using FloatMatrix wanted = Npy.ReadMatrix(TestSupport.SharedData.Path("tsne/init_10k.npy"));
        using FloatMatrix start = TsneInitialization.Pca(data);
        for (int axis = 0; axis < 2; axis++)
        {
            // The signs are free.
            float sign = Math.Sign(wanted[0, axis]) * Math.Sign(start[0, axis]);
            Assert.That(Enumerable.Range(0, 10_000).Max(i => Math.Abs((sign * start[i, axis]) - wanted[i, axis])), Is.LessThan(1e-8), $"axis {axis}");
        }
    }

    [Test]
    public void RandomStartsAreNormal()
    {
        using FloatMatrix start = TsneInitialization.Random(20_000, 3, 4);
        for (int axis = 0; axis < 3; axis++)
        {
            Assert.That(Deviation(start, axis), Is.EqualTo(1e-4).Within(3).Percent);
            Assert.That(Enumerable.Range(0, 20_000).Average(i => Math.Abs((double)start[i, axis])), Is.EqualTo(1e-4 * Math.Sqrt(2 / Math.PI)).Within(3).Percent);
        }
    }

    private static double Deviation(FloatMatrix matrix, int column)
    {
        double[] values = [.. Enumerable.Range(0, (int)matrix.Rows).Select(i => (double)matrix[i, column])];
        double mean = values.Average();
        return Math.Sqrt(values.Average(v => (v - mean) * (v - mean)));
    }

    // openTSNE's test_spectral_agreement_with_sklearn, restated against a dense decomposition of the random walk.
    [Test]
    public void SpectralStartsAreEigenvectorsOfTheRandomWalk([Values(60, 150, 400)] int points, [Values(1, 3)] int threads)
    {
        using FloatMatrix data = Stretched(points);
        TsneAffinities affinities = TsneAffinities.FromData(data, 10);
        (double[] wanted, double[][] axes) = Dense(affinities.Joint, 3);
        using WorkerPool pool = new(threads);
        using SpectralAxes solver = new(affinities.Joint, pool);
        (double[] values, double[][] vectors) = solver.Leading(3, 5, 1e-9, 3000, default);
        Assert.That(values, Is.EqualTo(wanted).Within(1e-9));
        for (int axis = 0; axis < 3; axis++)
            Assert.That(Math.Abs(Correlation(vectors[axis], axes[axis])), Is.EqualTo(1).Within(1e-9), $"axis {axis}");
    }

    [Test]
    public void PartsOfAGraphThatAreNotConnectedAreToldApart([Values(30, 300)] int perPart)
    {
        // Four rings: the eigenvalue 1 four times over.
        long[] ids = [.. from i in Enumerable.Range(0, 4 * perPart) from j in Enumerable.Range(1, 5) select (long)((i / perPart * perPart) + ((i + j) % perPart))];
        TsneAffinities affinities = TsneAffinities.FromNeighbors(ids, [.. Enumerable.Repeat(1f, ids.Length)], 5, 5);
        using FloatMatrix start = TsneInitialization.Spectral(affinities, 3);
        double[][] means = [.. Enumerable.Range(0, 4).Select(part => Enumerable.Range(0, 3)
            .Select(axis => Enumerable.Range(part * perPart, perPart).Average(i => (double)start[i, axis])).ToArray())];
        for (int i = 0; i < 4 * perPart; i++)
        {
            int nearest = Enumerable.Range(0, 4).MinBy(part => Enumerable.Range(0, 3).Sum(axis => Math.Pow(start[i, axis] - means[part][axis], 2)));
            Assert.That(nearest, Is.EqualTo(i / perPart));
        }
    }

    [Test]
    public void SpectralStartsAreAsWideAsOthers([Values(1, 2, 3)] int dimensions)
    {
        using FloatMatrix data = Stretched(300);
        TsneAffinities affinities = TsneAffinities.FromData(data, 10);
        using FloatMatrix start = TsneInitialization.Spectral(affinities, dimensions, threads: 1), again = TsneInitialization.Spectral(affinities, dimensions, threads: 3);
        Assert.That(Deviation(start, 0), Is.EqualTo(1e-4).Within(1e-7));
        for (int i = 0; i < 300; i++)
            Assert.That(again.Row(i).ToArray(), Is.EqualTo(start.Row(i).ToArray()));
        Assert.That(
            () => TsneInitialization.Spectral(affinities, dimensions, cancellationToken: new CancellationToken(canceled: true)),
            Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void FewPointsAndLonelyOnesHaveASpectralStart([Range(2, 12)] int points)
    {
        // The last point has no affinity.
        long[] indptr = [.. Enumerable.Range(0, points).Select(i => (long)i), points - 1];
        int[] indices = [.. Enumerable.Range(0, points - 1).Select(i => (i + 1) % Math.Max(points - 1, 2))];
        TsneAffinities affinities = TsneAffinities.FromSparse(indptr, indices, [.. Enumerable.Repeat(1f, points - 1)]);
        for (int dimensions = 1; dimensions <= 3; dimensions++)
        {
            using FloatMatrix start = TsneInitialization.Spectral(affinities, dimensions);
            for (int i = 0; i < points; i++)
                Assert.That(start.Row(i).ToArray(), Is.All.Matches<float>(x => Math.Abs(x) < 1e-2f));
        }
    }

    [Test]
    public void RescaledStartsHaveTheWidthAskedFor()
    {
        using FloatMatrix start = TsneInitialization.Random(500, 2), wide = TsneInitialization.Rescale(start, 3), back = TsneInitialization.Rescale(wide), flat = new(5, 2);
        Assert.Multiple(() =>
        {
            Assert.That(Deviation(wide, 0), Is.EqualTo(3).Within(1e-5));
            Assert.That(Deviation(wide, 1) / Deviation(wide, 0), Is.EqualTo(Deviation(start, 1) / Deviation(start, 0)).Within(1e-5));
            Assert.That(Deviation(back, 0), Is.EqualTo(1e-4).Within(1e-9));
            Assert.That(() => TsneInitialization.Rescale(flat), Throws.ArgumentException.With.Message.Contains("width"));
            Assert.That(() => TsneInitialization.Rescale(start, 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
    }

    [Test]
    public unsafe void PointsBetweenNeighborsStartAtTheirMedianOrMean()
    {
        using FloatMatrix map = FloatMatrix.FromRows([0, 10, 1, 20, 2, 30, 100, 40], 2);
        long[] ids = [0, 1, 2, 1, 2, 3], even = [0, 3];
        float[] weights = [1, 2, 1, 0, 0, 5], none = [0, 0, 0, 1, 1, 1];
        fixed (long* i = ids)
        fixed (long* e = even)
        fixed (float* w = weights)
        fixed (float* n = none)
        {
            MatrixView<long> neighbors = new(i, 2, 3);
            using FloatMatrix median = TsneInitialization.Median(map.View, neighbors), middle = TsneInitialization.Median(map.View, new(e, 1, 2));
            using FloatMatrix mean = TsneInitialization.WeightedMean(map.View, neighbors, new(w, 2, 3));
            Assert.Multiple(() =>
            {
                Assert.That(median.Row(0).ToArray(), Is.EqualTo(new[] { 1f, 20 }));
                Assert.That(median.Row(1).ToArray(), Is.EqualTo(new[] { 2f, 30 }));
                Assert.That(middle.Row(0).ToArray(), Is.EqualTo(new[] { 50f, 25 }));
                Assert.That(mean.Row(0).ToArray(), Is.EqualTo(new[] { 1f, 20 }));
                Assert.That(mean.Row(1).ToArray(), Is.EqualTo(new[] { 100f, 40 }));
            });
            MatrixView<float> zeros = new(n, 2, 3);
            Assert.That(() => TsneInitialization.WeightedMean(map.View, neighbors, zeros), Throws.ArgumentException.With.Message.Contains("add up to 0"));
            i[1] = 4;
            Assert.That(() => TsneInitialization.Median(map.View, neighbors), Throws.ArgumentException.With.Message.Contains("is 4"));
        }
    }

    /// <summary>Normal numbers, one column of them five times as wide: the data of openTSNE's test.</summary>
    private static FloatMatrix Stretched(int points)
    {
        SplitMix64 random = new(42);
        FloatMatrix data = new(points, 20);
        for (int i = 0; i < points; i++)
        {
            for (int d = 0; d < 20; d++)
                data[i, d] = (float)(random.NextGaussian() * (d == 0 ? 5 : 1));
        }

        return data;
    }

    /// <summary>Eigenvalues and right eigenvectors of D^-1 A after the first, by a full decomposition.</summary>
    private static (double[] Values, double[][] Vectors) Dense(CsrMatrix joint, int count)
    {
        int n = joint.Rows;
        double[] degrees = [.. Enumerable.Range(0, n).Select(i => joint.Values[(int)joint.RowOffsets[i]..(int)joint.RowOffsets[i + 1]].ToArray().Sum(p => (double)p))];
        DenseMatrix matrix = new(n, n);
        for (int i = 0; i < n; i++)
        {
            for (int t = (int)joint.RowOffsets[i]; t < joint.RowOffsets[i + 1]; t++)
                matrix[i, joint.ColumnIndices[t]] = joint.Values[t] / Math.Sqrt(degrees[i] * degrees[joint.ColumnIndices[t]]);
        }

        var all = matrix.Evd(Symmetricity.Symmetric);
        return ([.. Enumerable.Range(2, count).Select(k => all.EigenValues[n - k].Real)],
            [.. Enumerable.Range(2, count).Select(k => Enumerable.Range(0, n).Select(i => all.EigenVectors[i, n - k] / Math.Sqrt(degrees[i])).ToArray())]);
    }

    private static double Correlation(double[] x, double[] y)
    {
        double meanX = x.Average(), meanY = y.Average();
        double[] a = [.. x.Select(v => v - meanX)], b = [.. y.Select(v => v - meanY)];
        return a.Zip(b, (p, q) => p * q).Sum() / Math.Sqrt(a.Sum(v => v * v) * b.Sum(v => v * v));
    }
}
