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
/// Newton's method on ln(beta), inside a bracket that bisection closes where Newton leaves it. Distances are taken from the
/// nearest one and in units of their mean, so no scale of the data overflows and the nearest weight is always 1.
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

    // exp(+-64): past it distances below 1e-28 of their mean would matter, which duplicates give by rounding only.
    private const double Widest = 64;

    // Weights below this exponent underflow.
    private const float LeastExponent = -87f;

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
        double mean = 0;
        for (nint j = 0; j < k; j++)
        {
            ties += distances[j] == nearest ? 1 : 0;
            mean += distances[j] - nearest;
        }

        mean /= k;
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
        float unit = Math.Clamp((float)(1 / mean), 1e-37f, 1e37f);
        double target = Math.Log(perplexity);
        double x = 0, low = -Widest, high = Widest;
        Moments moments = Evaluate(distances, k, nearest, unit, 1f);
        while (true)
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
            if (!(x > low && x < high))
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
                TWide distance = (TWide.Load(distances + j) - nearests) * units;
                TWide weight = WideMath.Exp(distance * rate);
                TWide product = weight * distance;
                s += weight;
                t += product;
                u = TWide.MultiplyAdd(product, distance, u);
            }

            if (j < end)
            {
                int count = (int)(end - j);
                TWide distance = (TWide.LoadFirst(distances + j, count) - nearests) * units;
                TWide weight = TWide.SelectLess(TWide.Ramp, TWide.Broadcast(count), WideMath.Exp(distance * rate), TWide.Zero);
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
            TWide exponent = (TWide.LoadFirst(distances + j, count) - nearests) * units * rate;
            TWide value = TWide.SelectLess(exponent, TWide.Broadcast(LeastExponent), TWide.Zero, WideMath.Exp(exponent) * scales);
            TWide.StoreFirst(p + j, value, count);
        }
    }

    private struct Moments
    {
        public double S;
        public double T;
        public double U;
    }
}
