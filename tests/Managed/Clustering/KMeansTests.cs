using System.Globalization;
using EmbeddingKernels.Core;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Tests;

public sealed unsafe class KMeansTests
{
    [TestCase(500, 3, 4, 1)]
    [TestCase(2000, 17, 10, 2)]
    [TestCase(9000, 33, 7, 3, Description = "more than one block of rows")]
    [TestCase(60, 1, 5, 4)]
    public void FromTheSameStartItIsTheReference(int rows, int columns, int clusters, int seed)
    {
        using FloatMatrix data = TsneSamples.Clusters(rows, columns, clusters + 3, distance: 2, seed);
        using FloatMatrix start = First(data, clusters);
        KMeans found = KMeans.Fit(data, new KMeansOptions { Clusters = clusters, InitialCenters = start, Tolerance = 1e-6 });
        (int[] labels, double inertia, double[][] centers, int iterations) = KMeansReference.Fit(data, start, tolerance: 1e-6);
        Assert.That(found.Labels.ToArray(), Is.EqualTo(labels));
        Assert.That(found.Inertia, Is.EqualTo(inertia).Within(1e-4).Percent);
        Assert.That(found.Iterations, Is.EqualTo(iterations));
        for (int c = 0; c < clusters; c++)
            Assert.That(Array.ConvertAll(found.Centers.Row(c).ToArray(), value => (double)value), Is.EqualTo(centers[c]).Within(1e-4), $"centre {c}");
    }

    [Test]
    public void PointsOfSeparateCloudsStayTogether([Values] KMeansStart start)
    {
        using FloatMatrix data = TsneSamples.Clusters(1000, 8, 5, distance: 30);
        KMeans found = KMeans.Fit(data, new KMeansOptions { Clusters = 5, Start = start, Initializations = start == KMeansStart.Random ? 20 : 1 });
        for (int i = 0; i < 1000; i++)
            Assert.That(found.Labels[i], Is.EqualTo(found.Labels[i % 5]), $"row {i}");
        Assert.That(found.Labels[..5].ToArray(), Is.Unique);
        Assert.That(found.Inertia, Is.EqualTo(KMeansReference.Inertia(data, found.Labels, found.Centers)).Within(1e-4).Percent);
    }

    /// <summary>The inertia never rises, the labels are of the nearest centres, and each centre is the mean of its rows.</summary>
    [Test]
    public void NoIterationMakesItWorse() =>
        Prop.ForAll(
            (from n in Gen.Choose(1, 120)
             from d in Gen.Choose(1, 9)
             from k in Gen.Choose(1, n)
             from values in Gen.Elements(1, 3, 1000)
             from start in Gen.Elements(Enum.GetValues<KMeansStart>())
             from spherical in Gen.Elements(false, true)
             from seed in Gen.Choose(0, int.MaxValue)
             select (n, d, k, values, start, spherical, seed)).ToArbitrary(),
            c =>
            {
                Random random = new(c.seed);
                using FloatMatrix data = new(c.n, c.d);
                for (int i = 0; i < c.n * c.d; i++)
                    data.View.Data[i] = random.Next(-c.values, c.values + 1) / 8f;
                Told told = new();
                KMeansOptions options = new() { Clusters = c.k, Start = c.start, Seed = c.seed, Tolerance = 0, Spherical = c.spherical };
                KMeans found = KMeans.Fit(data, options, progress: told);
                double[] inertias = [.. told.Reports.Where(r => r.Stage == KMeansStage.Iterations).Select(r => r.Inertia), found.Inertia];
                double scale = inertias[0] + c.n;
                for (int i = 1; i < inertias.Length; i++)
                    Assert.That(inertias[i], Is.LessThanOrEqualTo(inertias[i - 1] + (1e-6 * scale)), $"{c}: {string.Join(' ', inertias)}");
                Assert.That(found.Predict(data), Is.EqualTo(found.Labels.ToArray()), $"{c}");
                if (!c.spherical)
                    Assert.That(found.Inertia, Is.EqualTo(KMeansReference.Inertia(data, found.Labels, found.Centers)).Within(1e-6 * scale), $"{c}");
            }).Check(Config.QuickThrowOnFailure.WithMaxTest(100));

    [Test]
    public void ThreadsAndLevelsDoNotChangeTheBits([Values] bool spherical)
    {
        using FloatMatrix data = TsneSamples.Clusters(9000, 19, 12, distance: 1);
        using FloatMatrix start = First(data, 12);
        KMeansOptions chosen = new() { Clusters = 12, MaxIterations = 20, Spherical = spherical, Seed = 3 };
        KMeans first = KMeans.Fit(data, chosen);
        foreach (int threads in (int[])[2, 3, 7])
        {
            using WorkerPool pool = new(threads);
            AssertSame(KMeans.Fit(data, chosen, pool), first, $"{threads} threads");
        }

        KMeans given = KMeans.Fit(data, chosen with { InitialCenters = start });
        foreach (IsaLevel level in Isa.Available)
        {
            using IsaScope scope = Isa.Use(level);
            AssertSame(KMeans.Fit(data, chosen with { InitialCenters = start }), given, $"{level}");
        }
    }

    [TestCase("f2")]
    [TestCase("u1")]
    [TestCase("fvecs")]
    public void RowsOfAFileAreClusteredWhereTheyLie(string type)
    {
        using TemporaryFolder folder = new();
        using FloatMatrix data = new(3000, 12);
        Random random = new(5);
        for (int i = 0; i < 3000 * 12; i++)
            data.View.Data[i] = random.Next(60) + (60 * (i / 12 % 4));
        string path = folder["a.npy"];
        if (type == "fvecs")
            Vecs.Write(path = folder["a.fvecs"], data);
        else
            WriteNpy(path, data, type);
        using MappedRows mapped = type == "fvecs" ? Vecs.Map(path) : Npy.Map(path);
        using WorkerPool pool = new(2);
        KMeansOptions options = new() { Clusters = 6 };
        KMeans found = KMeans.Fit(mapped.View, options, pool);
        AssertSame(found, KMeans.Fit(data, options), type);
        Assert.That(found.Predict(mapped.View), Is.EqualTo(found.Labels.ToArray()));
    }

    [Test]
    public void AnEmptyClusterGetsTheFarthestRow()
    {
        // The third centre is nobody's nearest; row 5 is farthest from its own.
        using FloatMatrix data = FloatMatrix.FromRows([0, 1, 2, 10, 11, 19], 1);
        using FloatMatrix start = FloatMatrix.FromRows([1, 11, 1000], 1);
        KMeans found = KMeans.Fit(data, new KMeansOptions { Clusters = 3, InitialCenters = start });
        Assert.That(found.Labels.ToArray(), Is.EqualTo(new[] { 0, 0, 0, 1, 1, 2 }));
        Assert.That(new[] { found.Centers[0, 0], found.Centers[1, 0], found.Centers[2, 0] }, Is.EqualTo(new[] { 1f, 10.5f, 19f }));
        Assert.That(found.Inertia, Is.EqualTo(2.5).Within(1e-6));
    }

    [Test]
    public void ManyEmptyClustersAreAllFilled()
    {
        using FloatMatrix data = TsneSamples.Clusters(200, 3, 1);
        using FloatMatrix start = new(50, 3); // equal centres: the first one gets every row
        KMeans found = KMeans.Fit(data, new KMeansOptions { Clusters = 50, InitialCenters = start });
        Assert.That(found.Labels.ToArray().Distinct().Count(), Is.EqualTo(50));
    }

    [Test]
    public void DuplicatesAreNoTrouble([Values] KMeansStart start)
    {
        // Three different rows and eight clusters.
        using FloatMatrix data = FloatMatrix.FromRows([.. Enumerable.Range(0, 100).SelectMany(i => new float[] { i % 3, -(i % 3) })], 2);
        KMeans found = KMeans.Fit(data, new KMeansOptions { Clusters = 8, Start = start });
        Assert.That(found.Inertia, Is.Zero);
        for (int i = 0; i < 100; i++)
            Assert.That(found.Labels[i], Is.EqualTo(found.Labels[i % 3]));
        Assert.That(found.Labels[..3].ToArray(), Is.Unique);
        using FloatMatrix equal = new(5, 2);
        Assert.That(KMeans.Fit(equal, new KMeansOptions { Clusters = 5, Start = start }).Labels.ToArray(), Is.All.EqualTo(0));
    }

    [Test]
    public void AsManyClustersAsRowsLeaveNothing([Values] KMeansStart start)
    {
        using FloatMatrix data = TsneSamples.Clusters(40, 3, 2);
        KMeans found = KMeans.Fit(data, new KMeansOptions { Clusters = 40, Start = start });
        Assert.That(found.Labels.ToArray(), Is.Unique);
        Assert.That(found.Inertia, Is.Zero);
    }

    [Test]
    public void OneClusterIsTheMean()
    {
        using FloatMatrix data = TsneSamples.Clusters(300, 6, 3);
        KMeans found = KMeans.Fit(data, new KMeansOptions { Clusters = 1 });
        double[][] rows = KMeansReference.Rows(data);
        Assert.That(found.Labels.ToArray(), Is.All.Zero);
        for (int j = 0; j < 6; j++)
            Assert.That(found.Centers[0, j], Is.EqualTo(rows.Average(row => row[j])).Within(1e-5));
    }

    [Test]
    public void SphericalClustersGoByDirectionAlone()
    {
        // Two directions, lengths from 1e-3 to 1e3, and a zero row.
        Random random = new(1);
        float[] values = new float[2 * 101];
        for (int i = 0; i < 100; i++)
        {
            double length = Math.Pow(10, (6 * random.NextDouble()) - 3), angle = (i % 2 == 0 ? 0.3 : 1.3) + (0.1 * random.NextDouble());
            (values[2 * i], values[(2 * i) + 1]) = ((float)(length * Math.Cos(angle)), (float)(length * Math.Sin(angle)));
        }

        using FloatMatrix data = FloatMatrix.FromRows(values, 2);
        KMeans found = KMeans.Fit(data, new KMeansOptions { Clusters = 2, Spherical = true, Initializations = 3 });
        for (int i = 0; i < 100; i++)
            Assert.That(found.Labels[i], Is.EqualTo(found.Labels[i % 2]), $"row {i}");
        Assert.That(found.Labels[0], Is.Not.EqualTo(found.Labels[1]));
        for (int c = 0; c < 2; c++)
            Assert.That(Math.Sqrt((found.Centers[c, 0] * found.Centers[c, 0]) + (found.Centers[c, 1] * found.Centers[c, 1])), Is.EqualTo(1).Within(1e-6));
        using FloatMatrix distances = found.Transform(data);
        double sum = Enumerable.Range(0, 101).Sum(i => Math.Pow(distances[i, found.Labels[i]], 2));
        Assert.That(found.Inertia, Is.EqualTo(sum).Within(1e-5));
    }

    [Test]
    public void TransformGivesDistances()
    {
        using FloatMatrix data = TsneSamples.Clusters(100, 7, 3);
        KMeans found = KMeans.Fit(data, new KMeansOptions { Clusters = 4 });
        using FloatMatrix distances = found.Transform(data);
        double[][] rows = KMeansReference.Rows(data), centers = KMeansReference.Rows(found.Centers);
        for (int i = 0; i < 100; i++)
        {
            for (int c = 0; c < 4; c++)
                Assert.That(distances[i, c], Is.EqualTo(Math.Sqrt(KMeansReference.Distance(rows[i], centers[c]))).Within(1e-4));
        }
    }

    [Test]
    public void MoreRunsAreNeverWorse()
    {
        using FloatMatrix data = TsneSamples.Clusters(400, 2, 20, distance: 4);
        KMeansOptions options = new() { Clusters = 20, Start = KMeansStart.Random };
        double one = KMeans.Fit(data, options).Inertia, ten = KMeans.Fit(data, options with { Initializations = 10 }).Inertia;
        Assert.That(ten, Is.LessThanOrEqualTo(one));
    }

    [Test]
    public void AgreesWithScikitLearnOnDigits()
    {
        (FloatMatrix data, _) = TsneSamples.Digits();
        using (data)
        using (TemporaryFolder folder = new())
        {
            Npy.Write(folder["x.npy"], data);
            using FloatMatrix start = First(data, 10);
            string[] theirs = Python.Run("sklearn", """
                import numpy as np, sys
                from sklearn.cluster import KMeans
                x = np.load(sys.argv[1]).astype(np.float64)
                k = KMeans(n_clusters=10, init=x[:10], n_init=1).fit(x)
                best = min(KMeans(n_clusters=10, init='k-means++', n_init=1, random_state=s).fit(x).inertia_ for s in range(10))
                print(repr(float(k.inertia_)), k.n_iter_, repr(float(best)), np.bincount(k.labels_).tolist())
                """, folder["x.npy"]).Split(' ', 4);
            KMeans ours = KMeans.Fit(data, new KMeansOptions { Clusters = 10, InitialCenters = start });
            double inertia = double.Parse(theirs[0], CultureInfo.InvariantCulture), best = double.Parse(theirs[2], CultureInfo.InvariantCulture);
            TestContext.Out.WriteLine($"scikit-learn {inertia} after {theirs[1]} iterations, ours {ours.Inertia} after {ours.Iterations}; best of ten {best}");
            Assert.That(ours.Inertia, Is.EqualTo(inertia).Within(0.01).Percent);
            KMeans ten = KMeans.Fit(data, new KMeansOptions { Clusters = 10, Initializations = 10 });
            TestContext.Out.WriteLine($"best of our ten {ten.Inertia}");
            Assert.That(ten.Inertia, Is.LessThan(best * 1.01), "as good as their best of ten");
        }
    }

    [Test]
    public void TheStartSpreadsAsScikitLearnsDoes()
    {
        // The inertia right after the start, averaged over seeds: far below that of random rows.
        (FloatMatrix data, _) = TsneSamples.Digits();
        using (data)
        {
            double Mean(KMeansStart start) => Enumerable.Range(1, 10).Average(seed =>
            {
                Told told = new();
                KMeans.Fit(data, new KMeansOptions { Clusters = 30, Start = start, Seed = seed, MaxIterations = 1 }, progress: told);
                return told.Reports.First(r => r.Stage == KMeansStage.Iterations).Inertia;
            });
            double spread = Mean(KMeansStart.KMeansPlusPlus), random = Mean(KMeansStart.Random);
            TestContext.Out.WriteLine($"k-means++ {spread:F0}, random {random:F0}");
            Assert.That(spread, Is.LessThan(0.95 * random));
        }
    }

    [Test]
    public void CancellationEndsItAndProgressIsTold()
    {
        using FloatMatrix data = TsneSamples.Clusters(500, 4, 3);
        using CancellationTokenSource source = new();
        Told told = new(r =>
        {
            if (r.Stage == KMeansStage.Iterations)
                source.Cancel();
        });
        Assert.That(() => KMeans.Fit(data, new KMeansOptions { Clusters = 9 }, null, told, source.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(told.Reports.Take(9).Select(r => (r.Stage, r.Step, r.Steps)), Is.EqualTo(Enumerable.Range(1, 9).Select(i => (KMeansStage.Start, i, 9))));
        Assert.That(told.Reports, Has.Count.EqualTo(10));
    }

    [Test]
    public void BadArgumentsAreNamed()
    {
        using FloatMatrix data = TsneSamples.Clusters(20, 3, 2), flat = new(4, 0), wrong = new(8, 2), holes = new(8, 3);
        holes[7, 2] = float.PositiveInfinity;
        Assert.Multiple(() =>
        {
            Assert.That(() => KMeans.Fit(data, new KMeansOptions { Clusters = 21 }), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("20 rows"));
            Assert.That(() => KMeans.Fit(data, new KMeansOptions { Clusters = 0 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => KMeans.Fit(data, new KMeansOptions { Initializations = 0 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => KMeans.Fit(data, new KMeansOptions { MaxIterations = 0 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => KMeans.Fit(data, new KMeansOptions { Tolerance = double.NaN }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => KMeans.Fit(data, new KMeansOptions { Start = (KMeansStart)7 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => KMeans.Fit(flat), Throws.ArgumentException.With.Message.Contains("4 x 0"));
            Assert.That(() => KMeans.Fit(data, new KMeansOptions { InitialCenters = wrong }), Throws.ArgumentException.With.Message.Contains("8 x 2"));
            Assert.That(() => KMeans.Fit(data, new KMeansOptions { InitialCenters = holes }), Throws.ArgumentException.With.Message.Contains("row 7 and column 2"));
            Assert.That(() => KMeans.Fit(holes, new KMeansOptions { Clusters = 2 }), Throws.ArgumentException.With.Message.Contains("row 7 and column 2"));
            KMeans found = KMeans.Fit(data, new KMeansOptions { Clusters = 2 });
            Assert.That(() => found.Predict(wrong), Throws.ArgumentException.With.Message.Contains("3 columns"));
            Assert.That(() => found.Transform(data.View, wrong.View), Throws.ArgumentException.With.Message.Contains("20 x 2"));
        });
    }

    private static FloatMatrix First(FloatMatrix data, int rows)
    {
        FloatMatrix first = new(rows, data.Columns);
        for (int i = 0; i < rows; i++)
            data.Row(i).CopyTo(first.Row(i));
        return first;
    }

    private static void AssertSame(KMeans found, KMeans wanted, string what)
    {
        Assert.That(found.Labels.SequenceEqual(wanted.Labels), what);
        Assert.That((found.Inertia, found.Iterations), Is.EqualTo((wanted.Inertia, wanted.Iterations)), what);
        for (int c = 0; c < (int)wanted.Centers.Rows; c++)
            Assert.That(found.Centers.Row(c).SequenceEqual(wanted.Centers.Row(c)), $"{what}, centre {c}");
    }

    /// <summary>An array of f2 or u1, which the library itself does not write.</summary>
    private static void WriteNpy(string path, FloatMatrix data, string type)
    {
        using FileStream file = File.Create(path);
        file.Write(new NpyHeader(type == "f2" ? NpyKind.Float : NpyKind.Unsigned, type[1] - '0', false, false, [data.Rows, data.Columns]).ToBytes());
        for (nint i = 0; i < data.Rows; i++)
        {
            foreach (float value in data.Row(i))
                file.Write(type == "f2" ? BitConverter.GetBytes((Half)value) : [(byte)value]);
        }
    }

    private sealed class Told(Action<KMeansProgress>? then = null) : IProgress<KMeansProgress>
    {
        public List<KMeansProgress> Reports { get; } = [];

        public void Report(KMeansProgress value)
        {
            Reports.Add(value);
            then?.Invoke(value);
        }
    }
}
