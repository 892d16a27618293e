namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class RowTreeTests
{
    [Test]
    public void TheOrderHasEachRowOnceWhateverTheThreads([Values(1, 2, 95, 96, 97, 1000, 5000)] int n, [Values] bool spread)
    {
        using Rows data = new(n, 5, 1);
        SplitMix64 random = new(n);
        data.Fill(() => (float)random.NextGaussian());
        int[] one = Order(data.View, 96, 6, spread, 1);
        Assert.That(one.Order(), Is.EqualTo(Enumerable.Range(0, n)));
        Assert.That(Order(data.View, 96, 6, spread, 3), Is.EqualTo(one));
        Assert.That(Order(data.View, 96, 6, spread, 7), Is.EqualTo(one));
    }

    [Test]
    public void LeavesAreFarSmallerThanTheSet([Values] bool spread)
    {
        using Rows data = new(4000, 3);
        SplitMix64 random = new(1);
        data.Fill(() => random.NextSingle());
        int[] order = Order(data.View, 50, 50, spread, 1);
        double sum = 0;
        for (int i = 0; i < 4000; i++)
        {
            float* a = data.View.Row(order[i]), b = data.View.Row(order[i / 50 * 50]);
            sum += Math.Sqrt(Enumerable.Range(0, 3).Sum(j => Math.Pow(a[j] - b[j], 2)));
        }

        // Two random points of the cube are 0.66 apart, two of one of 80 equal cubes 0.15.
        Assert.That(sum / 4000, Is.LessThan(spread ? 0.25 : 0.33));
    }

    [Test]
    public void ThePartitionBringsTheSmallestToTheFront([Values(1, 2, 3, 10, 1000)] int n)
    {
        for (int seed = 0; seed < 20; seed++)
        {
            SplitMix64 random = new(seed);
            ulong[] values = new ulong[n];
            for (int i = 0; i < n; i++)
                values[i] = (seed % 4) switch { 0 => random.Next(), 1 => (ulong)i, 2 => (ulong)(n - i), _ => (ulong)((i * 7919) % n) * 2 };
            values = [.. values.Distinct()];
            int wanted = 1 + (int)random.NextBelow((uint)values.Length);
            ulong[] sorted = [.. values.Order()];
            fixed (ulong* v = values)
                RowTree.Partition(v, values.Length, wanted);
            Assert.That(values.Take(wanted).Order(), Is.EqualTo(sorted.Take(wanted)));
        }
    }

    private static int[] Order(MatrixView<float> rows, int leaf, int finest, bool spread, int threads)
    {
        int[] order = new int[rows.Rows];
        using WorkerPool pool = new(threads);
        fixed (int* o = order)
            RowTree.Order<Wide128>(rows, null, leaf, finest, 5, spread, o, pool, default);
        return order;
    }
}
