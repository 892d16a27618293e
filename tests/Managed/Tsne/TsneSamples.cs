using System.Globalization;
using EmbeddingKernels.Core;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

/// <summary>Data that the t-SNE tests share.</summary>
internal static class TsneSamples
{
    /// <summary>Gaussian clusters of equal size, far apart; point i belongs to cluster i % clusters.</summary>
    public static FloatMatrix Clusters(int points, int dimensions = 10, int clusters = 4, double distance = 10, long seed = 1)
    {
        SplitMix64 random = new(seed);
        double[,] centres = new double[clusters, dimensions];
        for (int c = 0; c < clusters; c++)
        {
            for (int d = 0; d < dimensions; d++)
                centres[c, d] = distance * random.NextGaussian();
        }

        FloatMatrix data = new(points, dimensions);
        for (int i = 0; i < points; i++)
        {
            for (int d = 0; d < dimensions; d++)
                data[i, d] = (float)(centres[i % clusters, d] + random.NextGaussian());
        }

        return data;
    }

    /// <summary>scikit-learn's 1,797 digits of 8 x 8 pixels, and which digit each is.</summary>
    public static (FloatMatrix Data, int[] Labels) Digits()
    {
        using StreamReader reader = new(SharedData.Open("tsne/digits.csv.gz"));
        List<float> pixels = [];
        List<int> labels = [];
        while (reader.ReadLine() is { } line)
        {
            float[] numbers = [.. line.Split(',').Select(n => float.Parse(n, CultureInfo.InvariantCulture))];
            pixels.AddRange(numbers[..64]);
            labels.Add((int)numbers[64]);
        }

        return (FloatMatrix.FromRows([.. pixels], 64), [.. labels]);
    }

    /// <summary>The first rows of UCI's letter recognition set, which has many equal rows.</summary>
    public static FloatMatrix Letters(int rows) => FloatMatrix.FromRows(
        [.. File.ReadLines(SharedData.Path("tsne/letter-recognition.data")).Take(rows).SelectMany(line => line.Split(',').Skip(1)).Select(n => float.Parse(n, CultureInfo.InvariantCulture))], 16);

    /// <summary>The share of points whose nearest other point on the map has the same label.</summary>
    public static double NearestNeighborAgreement(TsneEmbedding map, IReadOnlyList<int> labels)
    {
        int agree = 0;
        for (int i = 0; i < map.Points; i++)
        {
            int nearest = -1;
            double best = double.MaxValue;
            for (int j = 0; j < map.Points; j++)
            {
                double distance = 0;
                for (int axis = 0; axis < map.Dimensions; axis++)
                    distance += Math.Pow(map.Axis(axis)[i] - map.Axis(axis)[j], 2);
                if (j != i && distance < best)
                    (best, nearest) = (distance, j);
            }

            agree += labels[nearest] == labels[i] ? 1 : 0;
        }

        return (double)agree / map.Points;
    }

    public static float[] Values(TsneEmbedding map)
    {
        float[] values = new float[map.Points * map.Dimensions];
        map.CopyTo(values);
        return values;
    }

    /// <summary>Progress that is told at once, on the same thread.</summary>
    public sealed class Told(Action<TsneProgress>? then = null) : IProgress<TsneProgress>
    {
        public List<TsneProgress> Reports { get; } = [];

        public void Report(TsneProgress value)
        {
            Reports.Add(value);
            then?.Invoke(value);
        }
    }
}
