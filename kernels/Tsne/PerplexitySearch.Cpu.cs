using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

internal readonly unsafe struct PerplexityAction(
    MatrixView<float> squaredDistances, double perplexity, MatrixView<float> conditional, float* betas, WorkerPool pool) : IWideAction
{
    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        PerplexityBody<TWide> body = new(squaredDistances, perplexity, conditional, betas);
        pool.For(squaredDistances.Rows, 64, ref body);
    }
}

/// <summary>
/// Newton's method on ln(beta), inside a bracket that bisection closes where Newton leaves it or dawdles. Distances are taken
/// from the nearest one and in units of their geometric mean, which outliers hardly move, so no scale of the data overflows
/// and the nearest weight is always 1.
/// </summary>
/// <remarks>
/// With the sums S of the weights e_j = exp(-beta t_j), T of e_j t_j and U of e_j t_j^2, the entropy is
/// ln S + beta T / S and its slope in ln(beta) is -beta^2 (U / S - (T / S)^2). About five evaluations of a row suffice
/// where bisection takes 15 to 25.
/// </remarks>
internal readonly unsafe struct PerplexityBody<TWide>(MatrixView<float> squaredDistances, double perplexity, MatrixView<float> conditional, float* betas)
    : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    // Ten times finer than promised, and above the noise of single precision.
    private const double Tolerance = 1e-6;

    // exp(+-64) = 1e+-28 times the usual distance is past anything that data and single precision tell apart.
    private const double Widest = 64;

    // Weights below this exponent underflow; they are 0, since even 1e-38 times a huge distance would tilt the sums.
    private const float LeastExponent = -87f;

    // Its square is still a float.
    private const float FarthestDistance = 1e18f;

    // Where Newton's steps have not ended by then, the rest is bisection: 31 halvings of the bracket at most.
    private const int NewtonSteps = 40;

    // Single precision adds up this many terms per lane's sum before they go to double.
    private const int Chunk = 1024;

    public void Invoke(int worker, nint start, nint end)
    {
        for (nint row = start; row < end; row++)
        {
            float beta = Row(squaredDistances.Row(row), conditional.Row(row));
            if (betas is not null)
                betas[row] = beta;
        }
    }

    private float Row(float* distances, float* p)
    {
        nint k = squaredDistances.Columns;
        float nearest = float.MaxValue;
        for (nint j = 0; j < k; j++)
            nearest = Math.Min(nearest, distances[j]);
        nint ties = 0;
        double logarithms = 0;
        for (nint j = 0; j < k; j++)
        {
            if (distances[j] == nearest)
                ties++;
            else
                logarithms += Math.Log((double)distances[j] - nearest);
        }

        if (perplexity >= k || ties == k)
        {
            new Span<float>(p, checked((int)k)).Fill(1f / k);
            return 0f;
        }

        if (ties >= perplexity)
        {
            for (nint j = 0; j < k; j++)
                p[j] = distances[j] == nearest ? 1f / ties : 0f;
            return float.PositiveInfinity;
        }

        // Any unit serves; this one keeps the numbers in the middle of the range.
        float unit = (float)Math.Clamp(Math.Exp(-logarithms / (k - ties)), 1e-37, 1e37);
        double target = Math.Log(perplexity);
        double x = 0, low = -Widest, high = Widest;
        Moments moments = Evaluate(distances, k, nearest, unit, 1f);
        for (int evaluations = 1; ; evaluations++)
        {
            float beta = (float)Math.Exp(x);
            double center = moments.T / moments.S;
            double excess = Math.Log(moments.S) + (beta * center) - target;
            if (Math.Abs(excess) <= Tolerance)
                break;
            if (excess > 0)
                low = x;
            else
                high = x;
            if (high - low < 1e-7)
                break;

            // Far from the answer the slope is nearly 0: a step is at most exp(4).
            double slope = (double)beta * beta * Math.Max((moments.U / moments.S) - (center * center), 0);
            double step = Math.Clamp(slope > 0 ? excess / slope : (excess > 0 ? 4 : -4), -4, 4);
            x += step;
            if (!(x > low && x < high) || evaluations > NewtonSteps)
                x = (low + high) / 2;
            moments = Evaluate(distances, k, nearest, unit, (float)Math.Exp(x));
        }

        float found = (float)Math.Exp(x);
        Write(distances, k, nearest, unit, found, (float)(1 / moments.S), p);
        return found * unit;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Moments Evaluate(float* distances, nint k, float nearest, float unit, float beta)
    {
        Moments moments = default;
        TWide nearests = TWide.Broadcast(nearest), units = TWide.Broadcast(unit), rate = TWide.Broadcast(-beta);
        for (nint start = 0; start < k; start += Chunk)
        {
            nint end = Math.Min(k, start + Chunk);
            TWide s = TWide.Zero, t = TWide.Zero, u = TWide.Zero;
            nint j = start;
            for (; j <= end - TWide.Lanes; j += TWide.Lanes)
            {
                TWide distance = Distance(TWide.Load(distances + j), nearests, units);
                TWide weight = Weight(distance * rate);
                TWide product = weight * distance;
                s += weight;
                t += product;
                u = TWide.MultiplyAdd(product, distance, u);
            }

            if (j < end)
            {
                int count = (int)(end - j);
                TWide distance = Distance(TWide.LoadFirst(distances + j, count), nearests, units);
                TWide weight = TWide.SelectLess(TWide.Ramp, TWide.Broadcast(count), Weight(distance * rate), TWide.Zero);
                TWide product = weight * distance;
                s += weight;
                t += product;
                u = TWide.MultiplyAdd(product, distance, u);
            }

            moments.S += TWide.Sum(s);
            moments.T += TWide.Sum(t);
            moments.U += TWide.Sum(u);
        }

        return moments;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Write(float* distances, nint k, float nearest, float unit, float beta, float scale, float* p)
    {
        TWide nearests = TWide.Broadcast(nearest), units = TWide.Broadcast(unit), rate = TWide.Broadcast(-beta), scales = TWide.Broadcast(scale);
        for (nint j = 0; j < k; j += TWide.Lanes)
        {
            int count = (int)Math.Min(TWide.Lanes, k - j);
            TWide value = Weight(Distance(TWide.LoadFirst(distances + j, count), nearests, units) * rate) * scales;
            TWide.StoreFirst(p + j, value, count);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TWide Distance(TWide squared, TWide nearest, TWide unit) =>
        TWide.Min((squared - nearest) * unit, TWide.Broadcast(FarthestDistance));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TWide Weight(TWide exponent) =>
        TWide.SelectLess(exponent, TWide.Broadcast(LeastExponent), TWide.Zero, WideMath.Exp(exponent));

    private struct Moments
    {
        public double S;
        public double T;
        public double U;
    }
}
