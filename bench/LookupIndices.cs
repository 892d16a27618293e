namespace EmbeddingKernels.Bench;

/// <summary>Row numbers for look-up benchmarks.</summary>
internal static class LookupIndices
{
    /// <summary>Each row as likely as any other.</summary>
    public static void Uniform(Span<int> destination, int rows, Random random)
    {
        foreach (ref int index in destination)
            index = random.Next(rows);
    }

    /// <summary>
    /// Rank r = 1, 2, ... with probability in proportion to r^-<paramref name="exponent"/>, by rejection-inversion (Hörmann and
    /// Derflinger 1996). Ranks are spread over the table, so rows that are often wanted share neither lines nor pages.
    /// </summary>
    public static void Zipf(Span<int> destination, int rows, double exponent, Random random)
    {
        double oneLess = 1 - exponent;
        double Integral(double x) => (Math.Pow(x, oneLess) - 1) / oneLess;
        double Inverse(double y) => Math.Pow(1 + (y * oneLess), 1 / oneLess);

        double low = Integral(1.5) - 1;
        double high = Integral(rows + 0.5);
        long spread = Spread(rows);
        foreach (ref int index in destination)
        {
            while (true)
            {
                double u = high + (random.NextDouble() * (low - high));
                double x = Inverse(u);
                double rank = Math.Clamp(Math.Round(x), 1, rows);
                if (u >= Integral(rank + 0.5) - Math.Pow(rank, -exponent))
                {
                    index = (int)((long)rank * spread % rows);
                    break;
                }
            }
        }
    }

    // A step near the golden section of the table that has no factor in common with its size reaches every row.
    private static long Spread(int rows)
    {
        long step = (long)(rows * 0.6180339887);
        while (step > 1 && Gcd(step, rows) != 1)
            step--;
        return Math.Max(step, 1);
    }

    private static long Gcd(long a, long b) => b == 0 ? a : Gcd(b, a % b);
}
