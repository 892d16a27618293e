namespace EmbeddingKernels;

/// <summary>
/// Cuts a map into regions, to colour points that have no classes: a smoothed count on a grid falls into the basins of its
/// peaks, and basins are joined by Ward's criterion, dearer across a gap than across a bridge, until few remain. So borders run
/// through thin places and regions are of similar extent. Deterministic; about O(points) + 0.1 s at the very most.
/// </summary>
internal static class MapRegions
{
    private const int Side = 128;
    private const int Border = 6;

    // Three boxes of this radius blur by 2% of the map: enough to bridge the gaps between the points of one clump.
    private const int BoxRadius = 2;

    // How much dearer joining gets where there is a gap between two basins.
    private const double GapPenalty = 2.5;

    /// <summary>A region per point, numbered from 0 by falling size, at most <paramref name="most"/> of them.</summary>
    /// <param name="x">Coordinates in -1..1.</param>
    /// <param name="y">Coordinates in -1..1.</param>
    /// <param name="most">Regions wanted at most, at least 1.</param>
    public static int[] Find(ReadOnlySpan<float> x, ReadOnlySpan<float> y, int most)
    {
        int[] cells = new int[x.Length];
        float[] counts = new float[Side * Side];
        for (int i = 0; i < cells.Length; i++)
        {
            cells[i] = Cell(y[i]) * Side + Cell(x[i]);
            counts[cells[i]]++;
        }

        float[] density = Smooth(counts);
        int[] peakOf = Climb(density);
        int[] peaks = [.. cells.Select(c => peakOf[c]).Distinct().Order()];
        int[] basinOf = new int[density.Length];
        Array.Fill(basinOf, -1);
        for (int b = 0; b < peaks.Length; b++)
            basinOf[peaks[b]] = b;
        for (int c = 0; c < basinOf.Length; c++)
            basinOf[c] = basinOf[peakOf[c]];

        Basin[] basins = new Basin[peaks.Length];
        for (int b = 0; b < basins.Length; b++)
            basins[b] = new Basin { Peak = density[peaks[b]], Region = b };
        for (int i = 0; i < cells.Length; i++)
        {
            ref Basin basin = ref basins[basinOf[cells[i]]];
            basin.Mass++;
            basin.X += x[i];
            basin.Y += y[i];
        }

        Join(basins, Saddles(density, basinOf, basins.Length), most);

        // Numbers by falling size.
        int[] size = new int[basins.Length];
        for (int i = 0; i < cells.Length; i++)
            size[basins[basinOf[cells[i]]].Region]++;
        int[] bySize = [.. Enumerable.Range(0, size.Length).OrderByDescending(r => size[r]).ThenBy(r => r)];
        int[] number = new int[size.Length];
        for (int n = 0; n < bySize.Length; n++)
            number[bySize[n]] = n;
        return [.. cells.Select(c => number[basins[basinOf[c]].Region])];
    }

    private static int Cell(float v) => Math.Clamp(Border + (int)((v + 1) * 0.5f * (Side - 2 * Border)), 0, Side - 1);

    private static float[] Smooth(float[] counts)
    {
        float[] from = [.. counts];
        float[] to = new float[counts.Length];
        for (int pass = 0; pass < 3; pass++)
        {
            Box(from, to, 1, Side);
            Box(to, from, Side, 1);
        }

        return from;
    }

    private static void Box(float[] from, float[] to, int step, int line)
    {
        for (int l = 0; l < Side; l++)
        {
            int start = l * line;
            for (int i = 0; i < Side; i++)
            {
                float sum = 0;
                for (int j = Math.Max(0, i - BoxRadius); j <= Math.Min(Side - 1, i + BoxRadius); j++)
                    sum += from[start + j * step];
                to[start + i * step] = sum;
            }
        }
    }

    /// <summary>For each cell the peak that steepest ascent reaches; of equal heights the lower index is the higher.</summary>
    private static int[] Climb(float[] density)
    {
        int[] peakOf = new int[density.Length];
        for (int c = 0; c < density.Length; c++)
        {
            int best = c;
            foreach (int n in Around(c))
            {
                if (density[n] > density[best] || (density[n] == density[best] && n < best))
                    best = n;
            }

            peakOf[c] = best;
        }

        for (int c = 0; c < density.Length; c++)
        {
            int top = c;
            while (peakOf[top] != top)
                top = peakOf[top];
            peakOf[c] = top;
        }

        return peakOf;
    }

    private static IEnumerable<int> Around(int cell)
    {
        int cx = cell % Side, cy = cell / Side;
        for (int y = Math.Max(0, cy - 1); y <= Math.Min(Side - 1, cy + 1); y++)
        {
            for (int x = Math.Max(0, cx - 1); x <= Math.Min(Side - 1, cx + 1); x++)
            {
                if (x != cx || y != cy)
                    yield return y * Side + x;
            }
        }
    }

    // The highest way from one basin to another; 0 where nothing connects them.
    private static float[,] Saddles(float[] density, int[] basinOf, int basins)
    {
        float[,] saddles = new float[basins, basins];
        for (int c = 0; c < density.Length; c++)
        {
            foreach (int n in Around(c))
            {
                int a = basinOf[c], b = basinOf[n];
                if (a >= 0 && b >= 0 && a != b)
                    saddles[a, b] = saddles[b, a] = Math.Max(saddles[a, b], Math.Min(density[c], density[n]));
            }
        }

        return saddles;
    }

    private static void Join(Basin[] basins, float[,] saddles, int most)
    {
        List<int> alive = [.. Enumerable.Range(0, basins.Length)];
        while (alive.Count > most)
        {
            (int keep, int drop) = (0, 0);
            double cheapest = double.MaxValue;
            for (int i = 0; i < alive.Count; i++)
            {
                for (int j = i + 1; j < alive.Count; j++)
                {
                    double cost = Cost(basins[alive[i]], basins[alive[j]], saddles[alive[i], alive[j]]);
                    if (cost < cheapest)
                        (cheapest, keep, drop) = (cost, alive[i], alive[j]);
                }
            }

            basins[keep].Mass += basins[drop].Mass;
            basins[keep].X += basins[drop].X;
            basins[keep].Y += basins[drop].Y;
            basins[keep].Peak = Math.Max(basins[keep].Peak, basins[drop].Peak);
            foreach (int other in alive)
                saddles[keep, other] = saddles[other, keep] = Math.Max(saddles[keep, other], saddles[drop, other]);
            for (int b = 0; b < basins.Length; b++)
            {
                if (basins[b].Region == drop)
                    basins[b].Region = keep;
            }

            alive.Remove(drop);
        }
    }

    private static double Cost(in Basin a, in Basin b, float saddle)
    {
        double dx = a.X / a.Mass - b.X / b.Mass, dy = a.Y / a.Mass - b.Y / b.Mass;
        double ward = a.Mass * b.Mass / (a.Mass + b.Mass) * (dx * dx + dy * dy);
        return ward * (1 + GapPenalty * (1 - saddle / Math.Min(a.Peak, b.Peak)));
    }

    private struct Basin
    {
        public double Mass;
        public double X; // sum of the coordinates
        public double Y;
        public float Peak;
        public int Region;
    }
}
