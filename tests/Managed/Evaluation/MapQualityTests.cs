using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

public sealed unsafe class MapQualityTests
{
    // The three parts of scikit-learn's test_trustworthiness.
    [Test]
    public void AnAffineMapIsTrustworthyAndAShuffledOneIsNot()
    {
        using FloatMatrix data = Normal(100, 2, 1), affine = new(100, 2), line = new(100, 1), shuffled = new(100, 1);
        SplitMix64 random = new(3);
        for (int i = 0; i < 100; i++)
        {
            (affine[i, 0], affine[i, 1]) = (5 + (data[i, 0] / 8), 5 + (data[i, 1] / 8));
            (line[i, 0], shuffled[i, 0]) = (i, i);
        }

        for (int i = 99; i > 0; i--)
        {
            int other = (int)random.NextBelow((uint)i + 1);
            (shuffled[i, 0], shuffled[other, 0]) = (shuffled[other, 0], shuffled[i, 0]);
        }

        using FloatMatrix five = FloatMatrix.FromRows([0, 1, 2, 3, 4], 1), mixed = FloatMatrix.FromRows([0, 2, 4, 1, 3], 1);
        Assert.Multiple(() =>
        {
            Assert.That(MapQuality.Trustworthiness(data, affine), Is.EqualTo(1));
            Assert.That(MapQuality.Trustworthiness(line, shuffled), Is.LessThan(0.6));
            Assert.That(MapQuality.Trustworthiness(five, mixed, 1), Is.EqualTo(0.2).Within(1e-12));
        });
    }

    [Test]
    public void TrustworthinessIsItsFormula([Values] TsneMetric metric, [Values(1, 5, 40)] int neighbors, [Values(83, 300)] int points)
    {
        using FloatMatrix data = Normal(points, 6, 1), map = Normal(points, 2, 2);

        // Some of the map is right, some equal.
        for (int i = 0; i < points / 2; i++)
            data.Row(i)[..2].CopyTo(map.Row(i));
        for (int i = points - 10; i < points; i++)
            map.Row(i).Fill(0.5f);
        double[,] distances = Distances(data, metric);
        double wanted = Trustworthiness(distances, Distances(map, TsneMetric.Euclidean), neighbors);
        using FloatMatrix given = new(points, points);
        for (int i = 0; i < points; i++)
        {
            for (int j = 0; j < points; j++)
                given[i, j] = (float)distances[i, j];
        }

        Assert.Multiple(() =>
        {
            foreach (int threads in new[] { 1, 3 })
                Assert.That(MapQuality.Trustworthiness(data, map, neighbors, metric, threads: threads), Is.EqualTo(wanted).Within(1e-6));
            Assert.That(MapQuality.TrustworthinessOfDistances(given.View, map.View, neighbors), Is.EqualTo(wanted).Within(1e-6));
            Assert.That(MapQuality.Trustworthiness(data, map, neighbors, metric, sample: points), Is.EqualTo(MapQuality.Trustworthiness(data, map, neighbors, metric)));
        });
    }

    [Test]
    public void ASampleIsNearTheWhole()
    {
        using FloatMatrix data = TsneSamples.Clusters(2000, 8), map = new(2000, 2);
        for (int i = 0; i < 2000; i++)
            data.Row(i)[..2].CopyTo(map.Row(i));
        Assert.Multiple(() =>
        {
            Assert.That(MapQuality.Trustworthiness(data, map, sample: 500), Is.EqualTo(MapQuality.Trustworthiness(data, map)).Within(0.01));
            Assert.That(MapQuality.NeighborPreservation(data, map, sample: 500), Is.EqualTo(MapQuality.NeighborPreservation(data, map)).Within(0.01));
            Assert.That(MapQuality.NeighborPreservation(data, map, sample: 50, seed: 2), Is.Not.EqualTo(MapQuality.NeighborPreservation(data, map, sample: 50, seed: 3)));
        });
    }

    [Test]
    public void PreservationIsTheShareOfNeighborsKept([Values] TsneMetric metric, [Values(1, 10, 99)] int neighbors, [Values(1, 3)] int threads)
    {
        using FloatMatrix data = Normal(100, 5, 1), map = Normal(100, 2, 2);
        for (int i = 0; i < 50; i++)
            data.Row(i)[..2].CopyTo(map.Row(i));
        double[,] near = Distances(data, metric), shown = Distances(map, TsneMetric.Euclidean);
        double wanted = Enumerable.Range(0, 100).Average(i => Order(near, i).Take(neighbors).Intersect(Order(shown, i).Take(neighbors)).Count() / (double)neighbors);
        Assert.That(MapQuality.NeighborPreservation(data, map, neighbors, metric, threads: threads), Is.EqualTo(wanted).Within(1e-3));
        Assert.That(MapQuality.NeighborPreservation(data, data, neighbors), Is.EqualTo(1));
    }

    [Test]
    public void DivergenceIsItsFormula([Values(0.5, 1, 3)] double degreesOfFreedom, [Values(1, 2, 3)] int dimensions)
    {
        using FloatMatrix data = Normal(80, 5, 1), map = Normal(80, dimensions, 2);
        TsneAffinities affinities = TsneAffinities.FromData(data, 10);
        double[,] squares = Distances(map, TsneMetric.Euclidean);
        double Weight(int i, int j) => Math.Pow(1 + (squares[i, j] * squares[i, j] / degreesOfFreedom), -(degreesOfFreedom + 1) / 2);
        double sum = (from i in Enumerable.Range(0, 80) from j in Enumerable.Range(0, 80) where i != j select Weight(i, j)).Sum(), wanted = 0;
        for (int i = 0; i < 80; i++)
        {
            for (int t = (int)affinities.Joint.RowOffsets[i]; t < affinities.Joint.RowOffsets[i + 1]; t++)
            {
                double p = affinities.Joint.Values[t];
                wanted += p * Math.Log(p * sum / Weight(i, affinities.Joint.ColumnIndices[t]));
            }
        }

        Assert.That(MapQuality.KlDivergence(affinities, map, degreesOfFreedom), Is.EqualTo(wanted).Within(2e-5));
    }

    // scikit-learn's test_trustworthiness_n_neighbors_error, and the rest.
    [Test]
    public void BadArgumentsAreNamed()
    {
        using FloatMatrix data = Normal(20, 3, 1), map = Normal(20, 2, 2), few = Normal(19, 2, 2), broken = Normal(20, 2, 2), oblong = new(20, 19);
        broken[3, 1] = float.NaN;
        oblong.Row(0).Fill(1);
        using FloatMatrix unknown = new(20, 20);
        unknown[4, 5] = float.NaN;
        Assert.Multiple(() =>
        {
            Assert.That(() => MapQuality.Trustworthiness(data, map, 10), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("fewer than half of the 20"));
            Assert.That(() => MapQuality.Trustworthiness(data, map, 9), Throws.Nothing);
            Assert.That(() => MapQuality.Trustworthiness(data, map, 0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("neighbors"));
            Assert.That(() => MapQuality.Trustworthiness(data, few), Throws.ArgumentException.With.Message.Contains("20 rows and the map 19"));
            Assert.That(() => MapQuality.Trustworthiness(data, broken), Throws.ArgumentException.With.Message.Contains("row 3 and column 1"));
            Assert.That(() => MapQuality.Trustworthiness(data, map, sample: 0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("sample"));
            Assert.That(() => MapQuality.Trustworthiness(data, map, metric: (TsneMetric)9), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => MapQuality.TrustworthinessOfDistances(oblong.View, map.View), Throws.ArgumentException.With.Message.Contains("20 x 19"));
            Assert.That(() => MapQuality.TrustworthinessOfDistances(unknown.View, map.View), Throws.ArgumentException.With.Message.Contains("point 4"));
            Assert.That(() => MapQuality.NeighborPreservation(data, map, 20), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("1 to 19"));
            Assert.That(() => MapQuality.Trustworthiness(data, map, cancellationToken: new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
            Assert.That(() => MapQuality.NeighborPreservation(data, map, cancellationToken: new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
        });
    }

    private static FloatMatrix Normal(int points, int columns, long seed)
    {
        SplitMix64 random = new(seed);
        FloatMatrix data = new(points, columns);
        for (int i = 0; i < points; i++)
        {
            foreach (ref float value in data.Row(i))
                value = (float)random.NextGaussian();
        }

        return data;
    }

    private static double[,] Distances(FloatMatrix data, TsneMetric metric)
    {
        int n = (int)data.Rows;
        double[,] distances = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double dot = 0, square = 0, a = 0, b = 0;
                for (int d = 0; d < data.Columns; d++)
                {
                    double x = data[i, d], y = data[j, d];
                    dot += x * y;
                    square += (x - y) * (x - y);
                    a += x * x;
                    b += y * y;
                }

                distances[i, j] = metric switch
                {
                    TsneMetric.Cosine => 1 - (dot / Math.Sqrt(a * b)),
                    TsneMetric.Dot => -dot,
                    _ => Math.Sqrt(square),
                };
            }
        }

        return distances;
    }

    private static int[] Order(double[,] distances, int i) =>
        [.. Enumerable.Range(0, distances.GetLength(0)).Where(j => j != i).OrderBy(j => distances[i, j]).ThenBy(j => j)];

    private static double Trustworthiness(double[,] data, double[,] map, int k)
    {
        int n = data.GetLength(0);
        double sum = 0;
        for (int i = 0; i < n; i++)
        {
            int[] order = Order(data, i);
            sum += Order(map, i).Take(k).Sum(j => Math.Max(0, Array.IndexOf(order, j) + 1 - k));
        }

        return 1 - (2 * sum / ((double)n * k * ((2 * n) - (3 * k) - 1)));
    }
}
