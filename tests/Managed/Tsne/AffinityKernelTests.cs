using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

/// <summary>openTSNE's test_affinities.py and the affinities of scikit-learn's test_t_sne.py, restated.</summary>
public sealed unsafe class AffinityKernelTests
{
    private static readonly AffinityKernel[] Kernels =
    [
        AffinityKernel.Perplexity(12.5),
        AffinityKernel.Multiscale(10, 20),
        AffinityKernel.MultiscaleMixture(10, 20),
        AffinityKernel.Uniform(5, AffinitySymmetry.Mean),
        AffinityKernel.Uniform(5, AffinitySymmetry.Max),
        AffinityKernel.FixedSigma(1, 30),
    ];

    [TestCaseSource(nameof(Kernels))]
    public void AffinitiesAddUpToOne(AffinityKernel kernel)
    {
        using FloatMatrix data = Normal(150, 4);
        TsneAffinities affinities = TsneAffinities.FromData(data, kernel);
        double[,] p = Dense(affinities.Joint);
        Assert.That(p.Cast<double>().Sum(), Is.EqualTo(1).Within(1e-5));
        Assert.That(affinities.Kernel, Is.EqualTo(kernel));
        Assert.That(affinities.Recall, Is.EqualTo(1));
        for (int i = 0; i < 150; i++)
        {
            for (int j = 0; j < i; j++)
                Assert.That(p[i, j], Is.EqualTo(p[j, i]));
        }
    }

    // test_affinity_matrix_matches_precomputed_distance_affinity_matrix_random.
    [TestCaseSource(nameof(Kernels))]
    public void DistancesOfAllPairsGiveTheSame(AffinityKernel kernel)
    {
        using FloatMatrix data = Normal(200, 5), distances = new(200, 200);
        Similarity.Scores(data.View, data.View, SimilarityMetric.Euclidean, distances.View);
        for (int i = 0; i < 200; i++)
            distances[i, i] = float.NaN;
        double[,] wanted = Dense(TsneAffinities.FromData(data, kernel).Joint), actual = Dense(TsneAffinities.FromDistances(distances.View, kernel).Joint);
        Assert.That(actual, Is.EqualTo(wanted).Within(1e-7));
    }

    [TestCaseSource(nameof(Kernels))]
    public void ThreadsDoNotChangeTheBits(AffinityKernel kernel)
    {
        using FloatMatrix data = Normal(400, 6);
        CsrMatrix one = TsneAffinities.FromData(data, kernel, threads: 1).Joint, many = TsneAffinities.FromData(data, kernel, threads: 3).Joint;
        Assert.That(many.Values.SequenceEqual(one.Values) && many.ColumnIndices.SequenceEqual(one.ColumnIndices));
    }

    [TestCaseSource(nameof(Kernels))]
    public void DuplicatesAndOutliersGiveNumbers(AffinityKernel kernel)
    {
        using FloatMatrix data = Normal(120, 3);
        for (int i = 0; i < 70; i++)
            data.Row(i).Clear();
        data.Row(119).Fill(1e6f);
        Assert.That(TsneAffinities.FromData(data, kernel).Joint.Values.ToArray(), Is.All.Matches<float>(p => p is >= 0 and <= 1));
    }

    // test_single_perplexity_produces_same_result_as_perplexity_based_nn.
    [Test]
    public void OneScaleIsThePerplexity([Values(5, 17.5, 30)] double perplexity)
    {
        using FloatMatrix data = Normal(91, 4);
        CsrMatrix wanted = TsneAffinities.FromData(data, perplexity).Joint;
        foreach (AffinityKernel kernel in new[] { AffinityKernel.Multiscale(perplexity), AffinityKernel.MultiscaleMixture(perplexity) })
            Assert.That(TsneAffinities.FromData(data, kernel).Joint.Values.ToArray(), Is.EqualTo(wanted.Values.ToArray()));
        Assert.That(TsneAffinities.FromData(data, perplexity).Perplexity, Is.EqualTo(perplexity));
        Assert.That(TsneAffinities.FromData(data, AffinityKernel.Multiscale(5, 10)).Perplexity, Is.NaN);
    }

    [Test]
    public void SeveralScalesAreTheMeanOfEach()
    {
        (long[] ids, float[] distances) = Graph(80, 60);
        double[,] few = Conditional(ids, distances, 60, AffinityKernel.Perplexity(5)), many = Conditional(ids, distances, 60, AffinityKernel.Perplexity(20));
        double[,] both = Conditional(ids, distances, 60, AffinityKernel.Multiscale(5, 20));
        for (int i = 0; i < 80; i++)
        {
            for (int j = 0; j < 80; j++)
                Assert.That(both[i, j], Is.EqualTo((few[i, j] + many[i, j]) / 2).Within(1e-7));
        }
    }

    // openTSNE's compute_gaussian_perplexity in double: sum over scales of sqrt(beta) exp(-beta d^2), beta by bisection.
    [Test]
    public void MixturesAreThoseOfTheDensities()
    {
        (long[] ids, float[] distances) = Graph(50, 40);
        double[,] actual = Conditional(ids, distances, 40, AffinityKernel.MultiscaleMixture(4, 15));
        for (int i = 0; i < 50; i++)
        {
            double[] squares = [.. distances.Skip(i * 40).Take(40).Select(d => (double)d * d)];
            double[] betas = [Beta(squares, 4), Beta(squares, 15)];
            double[] density = [.. squares.Select(s => betas.Sum(b => Math.Sqrt(b) * Math.Exp(-b * s)))];
            double sum = density.Sum();
            for (int j = 0; j < 40; j++)
                Assert.That(actual[i, ids[(i * 40) + j]], Is.EqualTo(density[j] / sum).Within(2e-5).Percent.Or.EqualTo(density[j] / sum).Within(2e-6));
        }
    }

    // test_symmetrize_mean_has_two_distinct_values, test_symmetrize_max_has_one_distinct_value.
    [Test]
    public void UniformAffinitiesHaveOneValueOrTwo()
    {
        using FloatMatrix data = Normal(91, 4);
        float[] mean = [.. TsneAffinities.FromData(data, AffinityKernel.Uniform(10, AffinitySymmetry.Mean)).Joint.Values.ToArray().Distinct().Order()];
        float[] max = [.. TsneAffinities.FromData(data, AffinityKernel.Uniform(10)).Joint.Values.ToArray().Distinct()];
        Assert.That(mean, Has.Length.EqualTo(2));
        Assert.That(mean[1], Is.EqualTo(2 * mean[0]).Within(1e-6).Percent);
        Assert.That(max, Has.Length.EqualTo(1));
    }

    [Test]
    public void AFixedWidthIsTheGaussian()
    {
        (long[] ids, float[] distances) = Graph(40, 12);
        double[,] actual = Conditional(ids, distances, 12, AffinityKernel.FixedSigma(0.7, 12));
        for (int i = 0; i < 40; i++)
        {
            double[] weights = [.. distances.Skip(i * 12).Take(12).Select(d => Math.Exp(-(double)d * d / (2 * 0.7 * 0.7)))];
            for (int j = 0; j < 12; j++)
                Assert.That(actual[i, ids[(i * 12) + j]], Is.EqualTo(weights[j] / weights.Sum()).Within(1e-6));
        }

        // Far below any distance, and far above.
        Assert.That(Conditional(ids, distances, 12, AffinityKernel.FixedSigma(1e-200, 12)).Cast<double>().Count(p => p == 1), Is.EqualTo(40));
        Assert.That(Conditional(ids, distances, 12, AffinityKernel.FixedSigma(1e200, 12)).Cast<double>().Where(p => p > 0), Is.All.EqualTo(1 / 12.0).Within(1e-7));
    }

    [Test]
    public void AffinitiesOfDotProductsAreASoftmax()
    {
        using FloatMatrix data = Normal(60, 5);
        double[,] p = Conditional(data, TsneMetric.Dot, 59, 10);
        for (int i = 0; i < 60; i++)
        {
            double[] dots = [.. Enumerable.Range(0, 60).Select(j => Enumerable.Range(0, 5).Sum(d => (double)data[i, d] * data[j, d]))];
            int[] others = [.. Enumerable.Range(0, 60).Where(j => j != i).OrderByDescending(j => dots[j])];

            // ln p is linear in the dot product.
            double slope = (Math.Log(p[i, others[0]]) - Math.Log(p[i, others[20]])) / (dots[others[0]] - dots[others[20]]);
            Assert.That(slope, Is.GreaterThan(0));
            for (int j = 1; j < 20; j++)
                Assert.That(Math.Log(p[i, others[j]]), Is.EqualTo(Math.Log(p[i, others[0]]) - (slope * (dots[others[0]] - dots[others[j]]))).Within(2e-4));
        }
    }

    // scikit-learn's test_binary_search: the mean perplexity to 3 decimals; here of each row.
    [Test]
    public void EachRowHasThePerplexityAskedFor([Values(2, 25)] double perplexity)
    {
        using FloatMatrix data = Normal(50, 5);
        double[,] p = Conditional(data, TsneMetric.Euclidean, 49, perplexity);
        for (int i = 0; i < 50; i++)
        {
            double entropy = -Enumerable.Range(0, 50).Sum(j => p[i, j] > 0 ? p[i, j] * Math.Log(p[i, j]) : 0);
            Assert.That(entropy, Is.EqualTo(Math.Log(perplexity)).Within(1e-5));
        }
    }

    // test_precomputed_affinity_matches, test_precomputed_affinity_normalization.
    [Test]
    public void GivenAffinitiesAreTakenAtAnyScale()
    {
        using FloatMatrix data = Normal(100, 4);
        CsrMatrix wanted = TsneAffinities.FromData(data, 10).Joint;
        TsneAffinities actual = TsneAffinities.FromSparse(wanted.RowOffsets, wanted.ColumnIndices, Array.ConvertAll(wanted.Values.ToArray(), p => 2 * p));
        Assert.That(actual.Joint.Values.ToArray(), Is.EqualTo(wanted.Values.ToArray()).Within(1e-4).Percent);
        Assert.That(actual.Kernel, Is.Null);
        Assert.That(actual.Recall, Is.NaN);
    }

    [Test]
    public void AGraphGivesWhatItsDataGives([Values] TsneMetric metric)
    {
        using FloatMatrix data = Normal(300, 7);
        using NeighborGraph graph = NeighborGraph.Build(data, 30, TsneAffinities.SearchMetric(metric), NeighborMethod.Exact);
        CsrMatrix wanted = TsneAffinities.FromData(data, 10, metric).Joint;
        Assert.That(TsneAffinities.FromGraph(graph, AffinityKernel.Perplexity(10)).Joint.Values.ToArray(), Is.EqualTo(wanted.Values.ToArray()));
        Assert.That((int)graph.Ids.Rows, Is.EqualTo(300), "the graph is not disposed of");
        Assert.That(
            () => TsneAffinities.FromGraph(graph, AffinityKernel.Perplexity(31)),
            Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("per point, 30"));
    }

    // test_bad_precomputed_distances, test_high_perplexity_precomputed_sparse_distances.
    [Test]
    public void BadArgumentsAreNamed()
    {
        using FloatMatrix data = Normal(30, 3), oblong = new(2, 1), negative = FloatMatrix.FromRows([0, -1, 1, 0], 2);
        Assert.Multiple(() =>
        {
            Assert.That(() => AffinityKernel.Perplexity(0.9), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("perplexity"));
            Assert.That(() => AffinityKernel.Multiscale(), Throws.ArgumentException.With.Property("ParamName").EqualTo("perplexities"));
            Assert.That(() => AffinityKernel.Multiscale(3, double.NaN), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => AffinityKernel.Uniform(0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("neighbors"));
            Assert.That(() => AffinityKernel.Uniform(3, (AffinitySymmetry)7), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("symmetry"));
            Assert.That(() => AffinityKernel.FixedSigma(0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("sigma"));
            Assert.That(() => TsneAffinities.FromData(data, AffinityKernel.Multiscale(5, 40)), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("40"));
            Assert.That(() => TsneAffinities.FromData(data, AffinityKernel.Uniform(30)), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("there are 30"));
            Assert.That(() => TsneAffinities.FromDistances(oblong.View, 1), Throws.ArgumentException.With.Message.Contains("square"));
            Assert.That(() => TsneAffinities.FromDistances(negative.View, 1), Throws.ArgumentException.With.Message.Contains("-1"));
            Assert.That(() => TsneAffinities.FromDistances(negative.View, 2), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("there are 2"));
        });
    }

    private static FloatMatrix Normal(int points, int columns)
    {
        SplitMix64 random = new(7);
        FloatMatrix data = new(points, columns);
        for (int i = 0; i < points; i++)
        {
            foreach (ref float value in data.Row(i))
                value = (float)random.NextGaussian();
        }

        return data;
    }

    private static (long[] Ids, float[] Distances) Graph(int points, int k)
    {
        using FloatMatrix data = Normal(points, 4);
        using NeighborGraph graph = NeighborGraph.Build(data, k, method: NeighborMethod.Exact);
        return ([.. Enumerable.Range(0, points).SelectMany(i => graph.IdsOf(i).ToArray()).Select(i => (long)i)],
            [.. Enumerable.Range(0, points).SelectMany(i => graph.ScoresOf(i).ToArray())]);
    }

    /// <summary>Conditional affinities, from the kernel itself.</summary>
    private static double[,] Conditional(long[] ids, float[] distances, int k, AffinityKernel kernel)
    {
        int n = ids.Length / k;
        float[] copy = [.. distances];
        fixed (float* first = copy)
            kernel.Conditional(new MatrixView<float>(first, n, k), WorkerPool.Serial);
        double[,] p = new double[n, n];
        for (int t = 0; t < ids.Length; t++)
            p[t / k, ids[t]] = copy[t];
        return p;
    }

    private static double[,] Conditional(FloatMatrix data, TsneMetric metric, int k, double perplexity)
    {
        using NeighborGraph graph = NeighborGraph.Build(data, k, TsneAffinities.SearchMetric(metric), NeighborMethod.Exact);
        using FloatMatrix distances = new(data.Rows, k);
        TsneAffinities.Distances(graph.Scores, graph.Metric, distances.View, 0, "data", WorkerPool.Serial);
        return Conditional(
            [.. Enumerable.Range(0, (int)data.Rows).SelectMany(i => graph.IdsOf(i).ToArray()).Select(i => (long)i)],
            [.. Enumerable.Range(0, (int)data.Rows).SelectMany(i => distances.Row(i).ToArray())],
            k,
            AffinityKernel.Perplexity(perplexity));
    }

    private static double Beta(double[] squares, double perplexity)
    {
        double low = -30, high = 30;
        for (int step = 0; step < 200; step++)
        {
            double beta = Math.Exp((low + high) / 2), sum = squares.Sum(s => Math.Exp(-beta * s));
            double entropy = -squares.Sum(s => Math.Exp(-beta * s) / sum * ((-beta * s) - Math.Log(sum)));
            if (entropy > Math.Log(perplexity))
                low = (low + high) / 2;
            else
                high = (low + high) / 2;
        }

        return Math.Exp(low);
    }

    private static double[,] Dense(CsrMatrix matrix)
    {
        double[,] dense = new double[matrix.Rows, matrix.Columns];
        for (int i = 0; i < matrix.Rows; i++)
        {
            for (int t = (int)matrix.RowOffsets[i]; t < matrix.RowOffsets[i + 1]; t++)
                dense[i, matrix.ColumnIndices[t]] = matrix.Values[t];
        }

        return dense;
    }
}
