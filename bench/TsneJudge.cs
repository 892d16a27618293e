using System.Numerics;
using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// What every map is judged by, whoever drew it: the divergence from all pairs in double, and the share of neighbours that it
/// keeps. Code of its own, so that no kernel is judged by itself.
/// </summary>
internal static unsafe class TsneJudge
{
    private const int RowsPerRange = 64;

    /// <summary>KL(P || Q) with the normaliser of q from all pairs, in double.</summary>
    public static double Divergence(TsneProblem problem, FloatMatrix map, WorkerPool pool)
    {
        double[] x = Axis(map, 0), y = Axis(map, 1);
        double sumQ = Repulsion(x, y, null, null, pool), divergence = 0;
        CsrMatrix joint = problem.Affinities.Joint;
        for (int i = 0; i < joint.Rows; i++)
        {
            for (int t = (int)joint.RowOffsets[i]; t < joint.RowOffsets[i + 1]; t++)
            {
                double p = joint.Values[t], dx = x[i] - x[joint.ColumnIndices[t]], dy = y[i] - y[joint.ColumnIndices[t]];
                if (p > 0)
                    divergence += p * Math.Log(p * sumQ * (1 + (dx * dx) + (dy * dy)));
            }
        }

        return divergence;
    }

    /// <summary>Sum of q over all ordered pairs and, where wanted, the forces: sum over j of q_ij^2 (y_i - y_j).</summary>
    public static double Repulsion(double[] x, double[] y, double[]? forceX, double[]? forceY, WorkerPool pool)
    {
        int n = x.Length;
        double[] sums = new double[n];
        pool.For(n, RowsPerRange, (_, start, end) =>
        {
            for (int i = (int)start; i < end; i++)
                sums[i] = Row(x, y, i, forceX, forceY);
        });

        // Each point met itself once, at distance 0.
        return sums.Sum() - n;
    }

    /// <summary>Sum over j of p_ij q_ij (y_i - y_j) for each point.</summary>
    public static void Attraction(CsrMatrix joint, double[] x, double[] y, double[] forceX, double[] forceY)
    {
        for (int i = 0; i < joint.Rows; i++)
        {
            double sumX = 0, sumY = 0;
            for (int t = (int)joint.RowOffsets[i]; t < joint.RowOffsets[i + 1]; t++)
            {
                int j = joint.ColumnIndices[t];
                double dx = x[i] - x[j], dy = y[i] - y[j], w = joint.Values[t] / (1 + (dx * dx) + (dy * dy));
                sumX += w * dx;
                sumY += w * dy;
            }

            forceX[i] = sumX;
            forceY[i] = sumY;
        }
    }

    /// <summary>The mean share of each point's true neighbours that are among as many nearest ones in the map.</summary>
    public static double Preservation(TsneProblem problem, FloatMatrix map, WorkerPool pool)
    {
        const int K = TsneProblem.JudgedNeighbors;
        int n = problem.Points;
        double[] x = Axis(map, 0), y = Axis(map, 1);
        int[] order = [.. Enumerable.Range(0, n)];
        double[] sorted = (double[])x.Clone();
        Array.Sort(sorted, order);
        long[] kept = new long[n];
        pool.For(n, RowsPerRange, (_, start, end) =>
        {
            Span<double> best = stackalloc double[K];
            Span<int> nearest = stackalloc int[K];
            for (int place = (int)start; place < end; place++)
            {
                // Away from the point to both sides along one axis until that alone is farther than the worst that is kept.
                int i = order[place], left = place - 1, right = place + 1;
                best.Fill(double.PositiveInfinity);
                while (true)
                {
                    double toLeft = left >= 0 ? sorted[place] - sorted[left] : double.PositiveInfinity;
                    double toRight = right < n ? sorted[right] - sorted[place] : double.PositiveInfinity;
                    double along = Math.Min(toLeft, toRight);
                    if (!(along * along < best[K - 1]))
                        break;
                    int j = order[toLeft <= toRight ? left-- : right++];
                    double distance = (along * along) + ((y[i] - y[j]) * (y[i] - y[j]));
                    if (distance < best[K - 1])
                        Insert(best, nearest, distance, j);
                }

                foreach (long neighbor in problem.Neighbors.AsSpan(i * K, K))
                    kept[i] += nearest.Contains((int)neighbor) ? 1 : 0;
            }
        });

        return kept.Sum() / ((double)n * K);
    }

    public static double[] Axis(FloatMatrix map, int axis)
    {
        double[] values = new double[map.Rows];
        for (int i = 0; i < values.Length; i++)
            values[i] = map[i, axis];
        return values;
    }

    private static void Insert(Span<double> best, Span<int> nearest, double distance, int j)
    {
        int place = best.Length - 1;
        for (; place > 0 && best[place - 1] > distance; place--)
        {
            best[place] = best[place - 1];
            nearest[place] = nearest[place - 1];
        }

        best[place] = distance;
        nearest[place] = j;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Row(double[] x, double[] y, int i, double[]? forceX, double[]? forceY)
    {
        Vector<double> one = Vector<double>.One, px = new(x[i]), py = new(y[i]), sum = default, fx = default, fy = default;
        int j = 0, n = x.Length;
        for (; j <= n - Vector<double>.Count; j += Vector<double>.Count)
        {
            Vector<double> dx = px - new Vector<double>(x, j), dy = py - new Vector<double>(y, j);
            Vector<double> q = one / (one + (dx * dx) + (dy * dy));
            sum += q;
            q *= q;
            fx += q * dx;
            fy += q * dy;
        }

        double total = Vector.Sum(sum), totalX = Vector.Sum(fx), totalY = Vector.Sum(fy);
        for (; j < n; j++)
        {
            double dx = x[i] - x[j], dy = y[i] - y[j], q = 1 / (1 + (dx * dx) + (dy * dy));
            total += q;
            totalX += q * q * dx;
            totalY += q * q * dy;
        }

        if (forceX is not null && forceY is not null)
        {
            forceX[i] = totalX;
            forceY[i] = totalY;
        }

        return total;
    }
}
