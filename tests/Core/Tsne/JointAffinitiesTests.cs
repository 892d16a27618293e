namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class JointAffinitiesTests
{
    [Test]
    public void TheyAreTheSymmetricPartOfTheGraph([Values(2, 3, 50)] int points, [Values(1, 2, 7)] int k)
    {
        k = Math.Min(k, points - 1);
        (long[] ids, float[] weights) = TsneTestData.Graph(points, k, 11);
        double[,] dense = new double[points, points];
        for (int i = 0; i < ids.Length; i++)
            dense[i / k, ids[i]] += weights[i];
        AssertIsSymmetricPart(Symmetrize(ids, weights, k), dense);
    }

    [Test]
    public void ThousandsOfRowsInParallelAreTheSame()
    {
        // More than 100,000 elements: transposed in eight parts.
        const int Points = 2500, K = 60;
        (long[] ids, float[] weights) = TsneTestData.Graph(Points, K, 3);
        CsrMatrix one = Symmetrize(ids, weights, K);
        double[,] dense = new double[Points, Points];
        for (int i = 0; i < ids.Length; i++)
            dense[i / K, ids[i]] += weights[i];
        AssertIsSymmetricPart(one, dense);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            CsrMatrix many = Symmetrize(ids, weights, K, pool);
            Assert.Multiple(() =>
            {
                Assert.That(many.RowOffsets.SequenceEqual(one.RowOffsets));
                Assert.That(many.ColumnIndices.SequenceEqual(one.ColumnIndices));
                Assert.That(many.Values.SequenceEqual(one.Values));
            });
        }
    }

    [Test]
    public void ANeighbourListedTwiceCountsTwice()
    {
        CsrMatrix joint = Symmetrize([1, 1, 0, 2, 0, 1], [0.25f, 0.25f, 0.5f, 0.5f, 0.75f, 0.25f], 2);
        AssertIsSymmetricPart(joint, new double[,] { { 0, 0.5, 0 }, { 0.5, 0, 0.5 }, { 0.75, 0.25, 0 } });
    }

    [Test]
    public void ADiagonalIsLeftOutAndASymmetricMatrixOnlyScaled()
    {
        CsrMatrix given = new(3, [0, 3, 5, 6], [2, 0, 1, 0, 1, 0], [3f, 9f, 1f, 1f, 9f, 3f]);
        CsrMatrix joint = JointAffinities.Symmetrize(given);
        Assert.Multiple(() =>
        {
            Assert.That(joint.RowOffsets.ToArray(), Is.EqualTo(new long[] { 0, 2, 3, 4 }));
            Assert.That(joint.ColumnIndices.ToArray(), Is.EqualTo(new[] { 1, 2, 0, 0 }));
            Assert.That(joint.Values.ToArray(), Is.EqualTo(new[] { 0.125f, 0.375f, 0.125f, 0.375f }).Within(1e-7f));
        });
    }

    [Test]
    public void EmptyGraphsGiveEmptyMatrices() => Assert.That(JointAffinities.Symmetrize(new CsrMatrix(0, [0], [], [])).Count, Is.Zero);

    [Test]
    public void BadGraphsAreNamed()
    {
        Assert.Multiple(() =>
        {
            Assert.That(() => Symmetrize([1, 3, 0], [1, 1, 1], 1), Throws.ArgumentException.With.Message.Contains("Neighbour 0 of point 1 is 3"));
            Assert.That(() => Symmetrize([1, -1, 0], [1, 1, 1], 1), Throws.ArgumentException.With.Message.Contains("is -1"));
            Assert.That(() => Symmetrize([1, 1, 0], [1, 1, 1], 1), Throws.ArgumentException.With.Message.Contains("the point itself"));
            Assert.That(() => Symmetrize([1, 0], [1, float.NaN], 1), Throws.ArgumentException.With.Message.Contains("NaN"));
            Assert.That(() => Symmetrize([1, 0], [1, -0.5f], 1), Throws.ArgumentException.With.Message.Contains("-0.5"));
            Assert.That(() => Symmetrize([1, 0], [0, 0], 1), Throws.ArgumentException.With.Message.Contains("All affinities"));
            Assert.That(() => JointAffinities.Symmetrize(new CsrMatrix(3, [0, 0], [], [])), Throws.ArgumentException.With.Message.Contains("1 x 3"));
        });
    }

    private static CsrMatrix Symmetrize(long[] ids, float[] weights, int k, WorkerPool? pool = null)
    {
        fixed (long* i = ids)
        fixed (float* w = weights)
            return JointAffinities.Symmetrize(new(i, ids.Length / k, k), new MatrixView<float>(w, ids.Length / k, k), pool);
    }

    private static void AssertIsSymmetricPart(CsrMatrix joint, double[,] dense)
    {
        double total = dense.Cast<double>().Sum();
        int n = dense.GetLength(0), count = 0;
        double sum = 0;
        for (int i = 0; i < n; i++)
        {
            int before = -1;
            for (int t = (int)joint.RowOffsets[i]; t < joint.RowOffsets[i + 1]; t++, count++)
            {
                int j = joint.ColumnIndices[t];
                Assert.That(j, Is.GreaterThan(before).And.Not.EqualTo(i), "columns ascend and leave out the diagonal");
                before = j;
                Assert.That(joint.Values[t], Is.EqualTo((dense[i, j] + dense[j, i]) / (2 * total)).Within(1e-7).Percent.Or.EqualTo((float)((dense[i, j] + dense[j, i]) / (2 * total))).Within(1e-9));
                sum += joint.Values[t];
            }
        }

        int wanted = (from i in Enumerable.Range(0, n) from j in Enumerable.Range(0, n) where i != j && dense[i, j] + dense[j, i] > 0 select 1).Count();
        Assert.That(count, Is.EqualTo(wanted));
        Assert.That(sum, Is.EqualTo(1).Within(1e-5));
    }
}

public sealed class CsrMatrixTests
{
    [Test]
    public void BadArraysAreNamed()
    {
        Assert.Multiple(() =>
        {
            Assert.That(() => new CsrMatrix(2, [], [], []), Throws.ArgumentException.With.Property("ParamName").EqualTo("rowOffsets"));
            Assert.That(() => new CsrMatrix(2, [1, 1], [0], [1]), Throws.ArgumentException.With.Message.Contains("is 1"));
            Assert.That(() => new CsrMatrix(2, [0, 2, 1], [0], [1]), Throws.ArgumentException.With.Message.Contains("Offset 2 is 1"));
            Assert.That(() => new CsrMatrix(2, [0, 1], [0, 1], [1, 2]), Throws.ArgumentException.With.Message.Contains("2"));
            Assert.That(() => new CsrMatrix(2, [0, 1], [2], [1]), Throws.ArgumentException.With.Message.Contains("Column index 0 is 2"));
            Assert.That(() => new CsrMatrix(2, [0, 1], [-1], [1]), Throws.ArgumentException.With.Message.Contains("-1"));
            Assert.That(() => new CsrMatrix(2, [0, 1], [0], []), Throws.ArgumentException.With.Property("ParamName").EqualTo("values"));
            Assert.That(() => new CsrMatrix(-1, [0], [], []), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
    }
}
