namespace EmbeddingKernels.Core.Tests;

/// <summary>A map in the layout of the kernels (one row per axis, with a gap behind it) and in that of the references.</summary>
internal sealed unsafe class TestMap : IDisposable
{
    private readonly AlignedBuffer<float> _buffer;

    public TestMap(int dimensions, int points, int gap = 3, int offset = 1)
    {
        Dimensions = dimensions;
        Points = points;
        Stride = points + gap;
        Offset = offset;
        _buffer = new AlignedBuffer<float>((dimensions * Stride) + offset);
    }

    public int Dimensions { get; }

    public int Points { get; }

    public int Stride { get; }

    /// <summary>Floats before the first element, so that nothing is aligned.</summary>
    public int Offset { get; }

    public MatrixView<float> View => new(_buffer.Pointer + Offset, Dimensions, Points, Stride);

    public static TestMap Random(int dimensions, int points, double scale, int seed = 1)
    {
        TestMap map = new(dimensions, points);
        Random random = new(seed);
        for (int axis = 0; axis < dimensions; axis++)
        {
            for (int i = 0; i < points; i++)
                map[axis, i] = (float)(scale * (random.NextDouble() - 0.5));
        }

        return map;
    }

    public ref float this[int axis, int i] => ref View.Row(axis)[i];

    public TestMap Clone()
    {
        TestMap copy = new(Dimensions, Points);
        for (int axis = 0; axis < Dimensions; axis++)
            View.RowSpan(axis).CopyTo(copy.View.RowSpan(axis));
        return copy;
    }

    public double[][] ToDouble() => [.. Enumerable.Range(0, Dimensions).Select(axis => View.RowSpan(axis).ToArray().Select(v => (double)v).ToArray())];

    public float[] Values() => [.. Enumerable.Range(0, Dimensions).SelectMany(axis => View.RowSpan(axis).ToArray())];

    public void Dispose() => _buffer.Dispose();
}

internal static unsafe class TsneTestData
{
    /// <summary>Joint affinities of a random graph of k neighbours with uneven weights.</summary>
    public static CsrMatrix Affinities(int points, int k, int seed = 5)
    {
        (long[] ids, float[] weights) = Graph(points, k, seed);
        fixed (long* i = ids)
        fixed (float* w = weights)
            return JointAffinities.Symmetrize(new(i, points, k), new MatrixView<float>(w, points, k));
    }

    public static (long[] Ids, float[] Weights) Graph(int points, int k, int seed)
    {
        Random random = new(seed);
        long[] ids = new long[points * k];
        float[] weights = new float[points * k];
        for (int i = 0; i < points; i++)
        {
            HashSet<long> seen = [i];
            for (int j = 0; j < k; j++)
            {
                long id;
                do
                    id = random.NextInt64(points);
                while (!seen.Add(id));
                ids[(i * k) + j] = id;
                weights[(i * k) + j] = random.NextSingle() + 0.01f;
            }
        }

        return (ids, weights);
    }

    /// <summary>A map like those of t-SNE: 30 clusters of different sizes in a disk or ball.</summary>
    public static TestMap Blobs(int dimensions, int points, double radius, int seed = 1)
    {
        const int Clusters = 30;
        TestMap map = new(dimensions, points);
        Random random = new(seed);
        double[][] centers = [.. Enumerable.Range(0, Clusters).Select(_ => InBall(random, dimensions))];
        double[] sizes = [.. centers.Select(_ => 0.03 + (0.08 * random.NextDouble()))];
        for (int i = 0; i < points; i++)
        {
            int cluster = random.Next(Clusters);
            for (int axis = 0; axis < dimensions; axis++)
            {
                double gauss = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
                map[axis, i] = (float)(radius * (centers[cluster][axis] + (sizes[cluster] * gauss)));
            }
        }

        return map;
    }

    private static double[] InBall(Random random, int dimensions)
    {
        while (true)
        {
            double[] point = [.. Enumerable.Range(0, dimensions).Select(_ => (2 * random.NextDouble()) - 1)];
            if (point.Sum(v => v * v) <= 1)
                return point;
        }
    }

    /// <summary>The length of the difference from doubles at some points over that of the doubles; 0 where both are 0.</summary>
    public static double SquareError(TestMap actual, int[] points, double[][] wanted)
    {
        double error = 0, scale = 0;
        for (int axis = 0; axis < wanted.Length; axis++)
        {
            for (int i = 0; i < points.Length; i++)
            {
                error += Math.Pow(actual[axis, points[i]] - wanted[axis][i], 2);
                scale += Math.Pow(wanted[axis][i], 2);
            }
        }

        return error == 0 ? 0 : Math.Sqrt(error / scale);
    }

    /// <summary>The largest difference between a float map and a double one, in units of the largest double magnitude.</summary>
    public static double RelativeError(TestMap actual, double[][] wanted)
    {
        double error = 0, scale = double.Epsilon;
        for (int axis = 0; axis < wanted.Length; axis++)
        {
            for (int i = 0; i < wanted[axis].Length; i++)
            {
                error = Math.Max(error, Math.Abs(actual[axis, i] - wanted[axis][i]));
                scale = Math.Max(scale, Math.Abs(wanted[axis][i]));
                if (float.IsNaN(actual[axis, i]))
                    return double.NaN;
            }
        }

        return error / scale;
    }
}
