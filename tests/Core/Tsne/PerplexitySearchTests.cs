using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class PerplexitySearchTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void EntropyAndAffinitiesFollowTheReference([Values(2, 3, 7, 8, 9, 16, 31, 90, 91, 256, 3000)] int k, [Values(1e-12f, 1f, 1e20f)] float scale)
    {
        const int Rows = 7;
        double perplexity = 1 + ((k - 1) * 0.4);
        float[] distances = RandomDistances(Rows * k, scale, seed: k);
        (float[] p, _) = Search(distances, k, perplexity);
        for (int row = 0; row < Rows; row++)
        {
            double[] wanted = PerplexitySearchReference.Conditional(distances.AsSpan(row * k, k), perplexity);
            double[] actual = [.. p.Skip(row * k).Take(k).Select(v => (double)v)];
            Assert.That(actual.Sum(), Is.EqualTo(1).Within(1e-5));
            Assert.That(PerplexitySearchReference.Entropy(actual), Is.EqualTo(Math.Log(perplexity)).Within(1e-5));
            for (int j = 0; j < k; j++)
                Assert.That(actual[j], Is.EqualTo(wanted[j]).Within((1e-4 * wanted[j]) + 1e-30), $"row {row}, neighbour {j}");
        }
    }

    [Test]
    public void NothingOutsideTheRowsIsTouched()
    {
        for (int k = 1; k <= 70; k++)
        {
            using GuardedBuffer<float> distances = new(k), p = new(k);
            RandomDistances(k, 3f, k).CopyTo(distances.Span);
            PerplexitySearch.Conditional(new(distances.Pointer, 1, k), 1 + ((k - 1) / 2.0), new MatrixView<float>(p.Pointer, 1, k));
            Assert.That(p.Span.ToArray().Sum(), Is.EqualTo(1f).Within(1e-5));
        }
    }

    [Test]
    public void ItMayRunInPlace()
    {
        float[] distances = RandomDistances(5 * 33, 1f, 3);
        (float[] apart, _) = Search(distances, 33, 11);
        fixed (float* d = distances)
            PerplexitySearch.Conditional(new(d, 5, 33), 11, new MatrixView<float>(d, 5, 33));
        Assert.That(distances, Is.EqualTo(apart));
    }

    [Test]
    public void BetaReproducesTheAffinities()
    {
        const int K = 40;
        float[] distances = RandomDistances(K, 50f, 4);
        (float[] p, float[] beta) = Search(distances, K, 12);
        double[] weights = [.. distances.Select(d => Math.Exp(-beta[0] * (double)d))];
        for (int j = 0; j < K; j++)
            Assert.That(p[j], Is.EqualTo(weights[j] / weights.Sum()).Within(1e-5));
    }

    [Test]
    public void DuplicatesShareEqually()
    {
        // 5 neighbours at the same place as the point, or 5 at one distance: perplexity 3 cannot be met.
        foreach (float nearest in new[] { 0f, 2.5f, 1e30f })
        {
            float[] distances = [nearest, nearest, nearest * 3, nearest, nearest, (nearest * 2) + 1, nearest, (nearest * 3) + 5];
            if (nearest == 0)
                distances[2] = 7;
            (float[] p, float[] beta) = Search(distances, 8, 3);
            Assert.That(p, Is.EqualTo(new[] { 0.2f, 0.2f, 0f, 0.2f, 0.2f, 0f, 0.2f, 0f }).Within(1e-7), $"nearest {nearest}");
            Assert.That(beta[0], Is.EqualTo(float.PositiveInfinity));
        }
    }

    [Test]
    public void AllAtOneDistanceShareEqually([Values(0f, 1e-40f, 1f, 1e38f)] float distance)
    {
        (float[] p, float[] beta) = Search([.. Enumerable.Repeat(distance, 10)], 10, 4);
        Assert.That(p, Is.All.EqualTo(0.1f));
        Assert.That(beta[0], Is.EqualTo(0f));
    }

    [Test]
    public void ThePerplexityMayBeTheNumberOfNeighbours([Values(1, 5, 20)] int k)
    {
        (float[] p, _) = Search(RandomDistances(k, 9f, 1), k, k);
        Assert.That(p, Is.All.EqualTo(1f / k).Within(1e-7));
    }

    [Test]
    public void FewDuplicatesBelowThePerplexityAreNoObstacle()
    {
        float[] distances = [0, 0, 0, .. RandomDistances(57, 4f, 8)];
        (float[] p, _) = Search(distances, 60, 20);
        Assert.That(PerplexitySearchReference.Entropy([.. p.Select(v => (double)v)]), Is.EqualTo(Math.Log(20)).Within(1e-5));
    }

    [Test]
    public void AnOutlierAmongTheNeighboursIsLeftOut()
    {
        float[] distances = [.. RandomDistances(89, 1f, 2), 1e30f];
        (float[] p, _) = Search(distances, 90, 30);
        Assert.That(p[^1], Is.EqualTo(0f));
        Assert.That(PerplexitySearchReference.Entropy([.. p.Select(v => (double)v)]), Is.EqualTo(Math.Log(30)).Within(1e-5));
    }

    [Test]
    public void AnyFiniteInputGivesProbabilities()
    {
        Random random = new(77);
        float[] extremes = [0f, float.Epsilon, 1e-40f, 1.2e-38f, 1e-20f, 1f, 1.0000001f, 1e20f, 3e38f, float.MaxValue];
        for (int round = 0; round < 3000; round++)
        {
            int k = random.Next(1, 20);
            float[] distances = [.. Enumerable.Range(0, k).Select(_ => extremes[random.Next(extremes.Length)])];
            double perplexity = 1 + (random.NextDouble() * (k - 1));
            (float[] p, _) = Search(distances, k, perplexity);
            Assert.That(p.All(v => v >= 0 && v <= 1.00001f) && Math.Abs(p.Sum() - 1) < 1e-4, $"{string.Join(' ', distances)} at {perplexity}: {string.Join(' ', p)}");
        }
    }

    // scikit-learn's test_binary_search, restated: the mean perplexity of 50 points in 5 dimensions is the wanted one.
    [Test]
    public void MeanPerplexityIsTheWantedOne()
    {
        const int Points = 50;
        const double Wanted = 25;
        float[] distances = SquaredDistances(Points, 5, 0);
        (float[] p, _) = Search(distances, Points - 1, Wanted);
        double mean = Enumerable.Range(0, Points)
            .Average(i => Math.Exp(PerplexitySearchReference.Entropy([.. p.Skip(i * (Points - 1)).Take(Points - 1).Select(v => (double)v)])));
        Assert.That(mean, Is.EqualTo(Wanted).Within(1e-3));
    }

    // scikit-learn's test_binary_search_underflow: distances of thousands, whose weights underflow at beta = 1.
    [Test]
    public void DistancesWhoseWeightsUnderflowAreFine()
    {
        float[] distances = [.. Enumerable.Range(0, 60).Select(i => 1e4f + (900f * i))];
        (float[] p, _) = Search(distances, 60, 30);
        Assert.That(PerplexitySearchReference.Entropy([.. p.Select(v => (double)v)]), Is.EqualTo(Math.Log(30)).Within(1e-5));
    }

    [Test]
    public void ThreadsDoNotChangeTheBits()
    {
        const int Rows = 700, K = 37;
        float[] distances = RandomDistances(Rows * K, 10f, 9);
        float[] one = Search(distances, K, 12).P;
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            Assert.That(Search(distances, K, 12, pool).P, Is.EqualTo(one));
        }
    }

    private static (float[] P, float[] Beta) Search(float[] distances, int k, double perplexity, WorkerPool? pool = null)
    {
        float[] p = new float[distances.Length], beta = new float[distances.Length / k];
        fixed (float* d = distances, q = p)
            PerplexitySearch.Conditional(new(d, beta.Length, k), perplexity, new MatrixView<float>(q, beta.Length, k), beta, pool);
        return (p, beta);
    }

    private static float[] RandomDistances(int count, float scale, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => scale * (0.2f + random.NextSingle() + (3 * random.NextSingle() * random.NextSingle())))];
    }

    /// <summary>For each point the squared distances to all others.</summary>
    private static float[] SquaredDistances(int points, int dimensions, int seed)
    {
        Random random = new(seed);
        double[] x = [.. Enumerable.Range(0, points * dimensions).Select(_ => random.NextDouble())];
        return
        [
            .. from i in Enumerable.Range(0, points)
               from j in Enumerable.Range(0, points)
               where i != j
               select (float)Enumerable.Range(0, dimensions).Sum(d => Math.Pow(x[(i * dimensions) + d] - x[(j * dimensions) + d], 2)),
        ];
    }
}

public sealed unsafe class PerplexitySearchArgumentTests
{
    [Test]
    public void BadArgumentsAreNamedBeforeAnyWrite()
    {
        float[] good = [1, 2, 3, 4, 5, 6], result = new float[6];
        Assert.Multiple(() =>
        {
            Fails<ArgumentOutOfRangeException>(good, result, 3, 3.5, "perplexity", "3.5");
            Fails<ArgumentOutOfRangeException>(good, result, 3, 0.9, "perplexity", "0.9");
            Fails<ArgumentOutOfRangeException>(good, result, 3, double.NaN, "perplexity", "NaN");
            Fails<ArgumentException>([1, 2, 3, 4, float.NaN, 6], result, 3, 2, "squaredDistances", "NaN");
            Fails<ArgumentException>([1, 2, 3, -1, 5, 6], result, 3, 2, "squaredDistances", "-1");
            Fails<ArgumentException>([1, 2, float.PositiveInfinity, 4, 5, 6], result, 3, 2, "squaredDistances", "row 0");
            Assert.That(result, Is.All.EqualTo(0f));
        });
    }

    [Test]
    public void ShapesMustFit()
    {
        float[] a = new float[6], b = new float[4];
        fixed (float* p = a, q = b)
        {
            MatrixView<float> distances = new(p, 2, 3), other = new(q, 2, 2), same = new(p, 2, 3);
            Assert.That(() => PerplexitySearch.Conditional(distances, 2, other), Throws.ArgumentException.With.Property("ParamName").EqualTo("conditional"));
            Assert.That(() => PerplexitySearch.Conditional(distances, 2, same, new float[3]), Throws.ArgumentException.With.Property("ParamName").EqualTo("betas"));
        }
    }

    [Test]
    public void NoRowsAreNoWork() => Assert.That(() => PerplexitySearch.Conditional(default, 30, default), Throws.Nothing);

    private static void Fails<TException>(float[] distances, float[] result, int k, double perplexity, string parameter, string value)
        where TException : ArgumentException
    {
        fixed (float* d = distances, r = result)
        {
            MatrixView<float> from = new(d, distances.Length / k, k), to = new(r, distances.Length / k, k);
            TException? exception = Assert.Throws<TException>(() => PerplexitySearch.Conditional(from, perplexity, to));
            Assert.That(exception!.ParamName, Is.EqualTo(parameter));
            Assert.That(exception.Message, Does.Contain(value));
        }
    }
}
