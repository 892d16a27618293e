namespace EmbeddingKernels.Tests;

/// <summary>Lloyd's iteration in double, as plain as it can be.</summary>
internal static class KMeansReference
{
    public static (int[] Labels, double Inertia, double[][] Centers, int Iterations) Fit(FloatMatrix data, FloatMatrix start, int maxIterations = 300, double tolerance = 1e-4)
    {
        double[][] x = Rows(data), centers = Rows(start);
        double limit = tolerance * Enumerable.Range(0, (int)data.Columns).Average(j =>
        {
            double mean = x.Average(row => row[j]);
            return x.Average(row => (row[j] - mean) * (row[j] - mean));
        });
        int[] labels = [.. Enumerable.Repeat(-1, x.Length)];
        for (int iteration = 1; ; iteration++)
        {
            int[] nearest = [.. x.Select(row => Nearest(row, centers))];
            bool same = nearest.SequenceEqual(labels);
            labels = nearest;
            if (same || iteration > maxIterations)
                return (labels, Inertia(x, labels, centers), centers, iteration);
            double shift = 0;
            for (int c = 0; c < centers.Length; c++)
            {
                double[] mean = new double[data.Columns];
                int[] members = [.. Enumerable.Range(0, x.Length).Where(i => labels[i] == c)];
                if (members.Length == 0)
                    throw new InvalidOperationException("The reference has no rule for clusters without rows.");
                for (int j = 0; j < mean.Length; j++)
                    mean[j] = members.Sum(i => x[i][j]) / members.Length;
                shift += Distance(mean, centers[c]);
                centers[c] = mean;
            }

            if (shift <= limit)
            {
                labels = [.. x.Select(row => Nearest(row, centers))];
                return (labels, Inertia(x, labels, centers), centers, iteration);
            }
        }
    }

    public static double Inertia(FloatMatrix data, ReadOnlySpan<int> labels, FloatMatrix centers) => Inertia(Rows(data), labels.ToArray(), Rows(centers));

    public static double[][] Rows(FloatMatrix matrix) =>
        [.. Enumerable.Range(0, (int)matrix.Rows).Select(i => Array.ConvertAll(matrix.Row(i).ToArray(), value => (double)value))];

    public static double Distance(double[] a, double[] b) => a.Zip(b, (p, q) => (p - q) * (p - q)).Sum();

    public static int Nearest(double[] row, double[][] centers)
    {
        int best = 0;
        for (int c = 1; c < centers.Length; c++)
        {
            if (Distance(row, centers[c]) < Distance(row, centers[best]))
                best = c;
        }

        return best;
    }

    private static double Inertia(double[][] x, int[] labels, double[][] centers) => x.Select((row, i) => Distance(row, centers[labels[i]])).Sum();
}
