namespace EmbeddingKernels.Core;

/// <summary>The perplexity search in double precision by bisection alone.</summary>
internal static class PerplexitySearchReference
{
    public static double[] Conditional(ReadOnlySpan<float> squaredDistances, double perplexity)
    {
        double nearest = double.MaxValue;
        foreach (float distance in squaredDistances)
            nearest = Math.Min(nearest, distance);

        // In ln(beta): the entropy falls all the way.
        double low = -300, high = 300;
        for (int i = 0; i < 200; i++)
        {
            double middle = (low + high) / 2;
            if (Entropy(Weights(squaredDistances, nearest, Math.Exp(middle))) > Math.Log(perplexity))
                low = middle;
            else
                high = middle;
        }

        return Weights(squaredDistances, nearest, Math.Exp(high));
    }

    public static double Entropy(ReadOnlySpan<double> p)
    {
        double entropy = 0;
        foreach (double value in p)
            entropy -= value > 0 ? value * Math.Log(value) : 0;
        return entropy;
    }

    private static double[] Weights(ReadOnlySpan<float> squaredDistances, double nearest, double beta)
    {
        double[] p = new double[squaredDistances.Length];
        double sum = 0;
        for (int j = 0; j < p.Length; j++)
        {
            p[j] = Math.Exp(-beta * (squaredDistances[j] - nearest));
            sum += p[j];
        }

        for (int j = 0; j < p.Length; j++)
            p[j] /= sum;
        return p;
    }
}
