using System.Runtime.InteropServices;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Neighbours of real data against those that another system found by brute force in double precision.</summary>
public sealed unsafe class RealDataTests
{
    [Test]
    public void NeighboursOfDigitImagesAreThoseOfTheReference()
    {
        const int N = 10_000, Dimension = 50, K = 90;
        double[] points = ReadNpy<double>("tsne/mnist_pca50_10k.npy.gz", N * Dimension);
        int[] wantedIds = ReadNpy<int>("tsne/knn90_10k.npy.gz", N * K);
        double[] wantedDistances = ReadNpy<double>("tsne/knn90d_10k.npy.gz", N * K);
        using Rows data = new(N, Dimension);
        for (int i = 0; i < points.Length; i++)
            data.View.Row(i / Dimension)[i % Dimension] = (float)points[i];

        using AlignedBuffer<long> ids = new(N * K);
        using AlignedBuffer<float> distances = new(N * K);
        using WorkerPool pool = new(2);
        Similarity.TopK(data.View, data.View, K, SimilarityMetric.Euclidean, new(ids.Pointer, N, K), new(distances.Pointer, N, K), excludeSelf: true, pool);

        // The reference saw doubles and we their roundings to float: neighbours at almost the same distance may swap.
        int swapped = 0;
        for (int i = 0; i < N * K; i++)
        {
            Assert.That(distances[i], Is.EqualTo(wantedDistances[i]).Within(1e-6 * wantedDistances[i]), $"point {i / K}, neighbour {i % K}");
            swapped += ids[i] == wantedIds[i] ? 0 : 1;
        }

        Assert.That(swapped, Is.LessThan(N * K / 2000));
    }

    [Test]
    public void DuplicatesInRealDataHaveDistanceZero()
    {
        string[] lines = File.ReadAllLines(SharedData.Path("tsne/letter-recognition.data"));
        float[][] letters = [.. lines.Where(l => l.Length > 1 && l[1] == ',' && char.IsDigit(l[2])).Select(l => l.Split(',')[1..].Select(float.Parse).ToArray())];
        using Rows data = new(letters.Length, 16);
        Dictionary<string, int> seen = [];
        for (int i = 0; i < letters.Length; i++)
        {
            letters[i].CopyTo(data.View.RowSpan(i));
            string key = string.Join(' ', letters[i]);
            seen[key] = seen.GetValueOrDefault(key) + 1;
        }

        using AlignedBuffer<long> ids = new(letters.Length);
        using AlignedBuffer<float> distances = new(letters.Length);
        Similarity.TopK(
            data.View, data.View, 1, SimilarityMetric.SquaredEuclidean, new(ids.Pointer, letters.Length, 1), new(distances.Pointer, letters.Length, 1), excludeSelf: true);
        for (int i = 0; i < letters.Length; i++)
        {
            bool duplicate = seen[string.Join(' ', letters[i])] > 1;
            Assert.That(distances[i] == 0, Is.EqualTo(duplicate), $"row {i}: nearest is {ids[i]} at {distances[i]}");
        }
    }

    private static T[] ReadNpy<T>(string relative, int length)
        where T : unmanaged
    {
        using Stream stream = SharedData.Open(relative);
        Span<byte> prefix = stackalloc byte[10];
        stream.ReadExactly(prefix);
        byte[] header = new byte[BitConverter.ToUInt16(prefix[8..])];
        stream.ReadExactly(header);
        T[] values = new T[length];
        stream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
