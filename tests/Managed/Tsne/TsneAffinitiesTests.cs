using EmbeddingKernels.Core;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

public sealed unsafe class TsneAffinitiesTests
{
    [Test]
    public void NeighborsOfMnistGiveTheReferenceAffinities()
    {
        long[] ids = Npy.ReadInt64(SharedData.Path("tsne/knn90_10k.npy.gz"));
        float[] distances = [.. Npy.ReadDouble(SharedData.Path("tsne/knn90d_10k.npy.gz")).Select(d => (float)d)];
        AssertIsReference(TsneAffinities.FromNeighbors(ids, distances, 90, 30).Joint);
    }

    [Test]
    public void DataOfMnistGivesTheReferenceAffinities()
    {
        using FloatMatrix data = Npy.ReadMatrix(SharedData.Path("tsne/mnist_pca50_10k.npy.gz"));
        TsneSamples.Told progress = new();
        AssertIsReference(TsneAffinities.FromData(data, 30, progress: progress).Joint);
        Assert.That(progress.Reports.Select(r => r.Iteration), Is.Ordered);
        Assert.That(progress.Reports[^1].Iteration, Is.EqualTo(10_000));
        Assert.That(progress.Reports, Is.All.Matches<TsneProgress>(r => r.Stage == TsneStage.Neighbors && r.Iterations == 10_000));
    }

    [Test]
    public void GivenAffinitiesAreScaledOnly()
    {
        (long[] indptr, int[] indices, double[] data) = Reference();
        AssertIsReference(TsneAffinities.FromSparse(indptr, indices, [.. data.Select(p => (float)(p * 12345))]).Joint);
    }

    [Test]
    public void DataGivesWhatItsNeighborsGive([Values(10, 500, 3000)] int points)
    {
        // Whole numbers in few places: many ties and duplicates.
        SplitMix64 random = new(3);
        using FloatMatrix data = new(points, 2);
        for (int i = 0; i < points; i++)
        {
            data[i, 0] = random.Next() % 40;
            data[i, 1] = random.Next() % 40;
        }

        const int K = 9;
        long[] ids = new long[points * K];
        float[] distances = new float[points * K];
        fixed (long* i = ids)
        fixed (float* d = distances)
            Similarity.TopK(data.View, data.View, K, SimilarityMetric.Euclidean, new(i, points, K), new(d, points, K), excludeSelf: true);
        CsrMatrix wanted = TsneAffinities.FromNeighbors(ids, distances, K, 3).Joint, actual = TsneAffinities.FromData(data, 3).Joint;
        Assert.Multiple(() =>
        {
            Assert.That(actual.ColumnIndices.SequenceEqual(wanted.ColumnIndices));
            Assert.That(actual.Values.SequenceEqual(wanted.Values));
        });
    }

    [Test]
    public void CosineIgnoresLengths()
    {
        using FloatMatrix data = TsneSamples.Clusters(100), scaled = data.Copy();
        for (int i = 0; i < 100; i++)
        {
            foreach (ref float value in scaled.Row(i))
                value *= 1 << (i % 7);
        }

        CsrMatrix one = TsneAffinities.FromData(data, 10, TsneMetric.Cosine).Joint, other = TsneAffinities.FromData(scaled, 10, TsneMetric.Cosine).Joint;
        Assert.That(other.Values.SequenceEqual(one.Values) && other.ColumnIndices.SequenceEqual(one.ColumnIndices));
    }

    [Test]
    public void ThreadsDoNotChangeTheBits()
    {
        using FloatMatrix data = TsneSamples.Clusters(700);
        CsrMatrix one = TsneAffinities.FromData(data, 20, threads: 1).Joint;
        foreach (int threads in new[] { 2, 3, 7 })
        {
            CsrMatrix many = TsneAffinities.FromData(data, 20, threads: threads).Joint;
            Assert.That(many.Values.SequenceEqual(one.Values) && many.ColumnIndices.SequenceEqual(one.ColumnIndices), $"{threads} threads");
        }
    }

    [Test]
    public void HugeAndTinyDataIsAsGoodAsAny([Values(1e-30, 1e-6, 1e17)] double scale)
    {
        using FloatMatrix data = TsneSamples.Clusters(60);
        CsrMatrix plain = TsneAffinities.FromData(data, 8).Joint;
        for (int i = 0; i < 60; i++)
        {
            foreach (ref float value in data.Row(i))
                value = (float)(value * scale);
        }

        CsrMatrix scaled = TsneAffinities.FromData(data, 8).Joint;
        Assert.That(scaled.ColumnIndices.SequenceEqual(plain.ColumnIndices));
        for (int t = 0; t < plain.Count; t++)
            Assert.That(scaled.Values[t], Is.EqualTo(plain.Values[t]).Within(1e-6));
    }

    [Test]
    public void BadInputIsNamed()
    {
        using FloatMatrix data = TsneSamples.Clusters(20), broken = TsneSamples.Clusters(20);
        broken[7, 3] = float.PositiveInfinity;
        Assert.Multiple(() =>
        {
            Assert.That(() => TsneAffinities.FromData(data, 30), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("30 needs more than 30 points, and there are 20: use 19 at most"));
            Assert.That(() => TsneAffinities.FromData(data, 0.5), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("at least 1"));
            Assert.That(() => TsneAffinities.FromData(data, double.NaN), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => TsneAffinities.FromData(data, 5, (TsneMetric)9), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => TsneAffinities.FromData(data, 5, threads: 0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("threads"));
            Assert.That(() => TsneAffinities.FromData(broken, 5), Throws.ArgumentException.With.Message.Contains("row 7 and column 3"));
            Assert.That(() => TsneAffinities.FromNeighbors([1, 0], [1, 1], 1, 2), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("per point, 1"));
            Assert.That(() => TsneAffinities.FromNeighbors([1, 0], [1, float.NaN], 1, 1), Throws.ArgumentException.With.Message.Contains("point 1 is NaN"));
            Assert.That(() => TsneAffinities.FromNeighbors([1, 0, 1], [1, 1, 1], 2, 1), Throws.ArgumentException.With.Property("ParamName").EqualTo("ids"));
            Assert.That(() => TsneAffinities.FromNeighbors([1, 0], [1], 1, 1), Throws.ArgumentException.With.Property("ParamName").EqualTo("distances"));
            Assert.That(() => TsneAffinities.FromNeighbors([0, 1], [1, 1], 1, 1), Throws.ArgumentException.With.Message.Contains("the point itself"));
            Assert.That(() => TsneAffinities.FromSparse([0, 1, 2], [1, 5], [1, 1]), Throws.ArgumentException.With.Message.Contains("5"));
        });
    }

    [Test]
    public void ACancelledSearchStops()
    {
        using FloatMatrix data = TsneSamples.Clusters(5000);
        using CancellationTokenSource source = new();
        TsneSamples.Told progress = new(_ => source.Cancel());
        Assert.That(() => TsneAffinities.FromData(data, 30, progress: progress, cancellationToken: source.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(progress.Reports[^1].Iteration, Is.LessThan(5000));
    }

    private static (long[] Indptr, int[] Indices, double[] Data) Reference() =>
        (Npy.ReadInt64(SharedData.Path("tsne/P_10k_indptr.npy")),
        [.. Npy.ReadInt64(SharedData.Path("tsne/P_10k_indices.npy.gz")).Select(i => (int)i)],
        Npy.ReadDouble(SharedData.Path("tsne/P_10k_data.npy.gz")));

    private static void AssertIsReference(CsrMatrix joint)
    {
        (long[] indptr, int[] indices, double[] data) = Reference();
        double largest = data.Max(), worst = 0, sum = 0;
        int missing = 0;
        for (int i = 0; i < joint.Rows; i++)
        {
            Dictionary<int, double> row = [];
            for (long t = indptr[i]; t < indptr[i + 1]; t++)
                row[indices[t]] = data[t];
            for (int t = (int)joint.RowOffsets[i]; t < joint.RowOffsets[i + 1]; t++)
            {
                sum += joint.Values[t];

                // A tie for the 90th place may go to another point; its weight is next to nothing.
                double wanted = row.GetValueOrDefault(joint.ColumnIndices[t]);
                missing += wanted == 0 ? 1 : 0;
                worst = Math.Max(worst, Math.Abs(joint.Values[t] - wanted) / (wanted + (1e-5 * largest)));
            }
        }

        Assert.Multiple(() =>
        {
            Assert.That(joint.Rows, Is.EqualTo(10_000));
            Assert.That(joint.Count, Is.EqualTo(indices.Length).Within(20));
            Assert.That(missing, Is.LessThan(20));
            Assert.That(worst, Is.LessThan(1e-4));
            Assert.That(sum, Is.EqualTo(1).Within(1e-5));
        });
    }
}
