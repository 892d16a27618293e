using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// The score of one pair of rows, computed in double precision and rounded to float: what a search result is ordered by.
/// </summary>
/// <remarks>
/// Products of two floats are exact in double, so only additions round: the relative error is about d * 2^-53 of the sum of
/// absolute products, and a float rounded from it is the correctly rounded one but for some one in 10^8. The sixteen
/// partial sums are the same at every instruction-set level, which is why this stands outside of <c>IWide</c>: the same
/// bits on every processor. About 20 ns for 128 floats in cache.
/// </remarks>
internal readonly unsafe struct ExactScorer(SimilarityMetric metric, nint dimension, ZeroVectorRule zeroVectors)
{
    public bool IsDistance => metric.IsDistance();

    /// <summary>What <see cref="Score"/> wants to know of a query: its norm for cosines, nothing for the others.</summary>
    public double QueryTerm(float* q) => metric == SimilarityMetric.Cosine ? Math.Sqrt(Dot(q, q, dimension)) : 0;

    /// <summary>The metric of a query and the row x times <paramref name="scale"/>.</summary>
    public float Score(float* q, double queryTerm, float* x, double scale)
    {
        switch (metric)
        {
            case SimilarityMetric.Dot:
                return (float)(scale * Dot(q, x, dimension));
            case SimilarityMetric.Cosine:
                double dot = scale * Dot(q, x, dimension);
                double norms = queryTerm * (Math.Abs(scale) * Math.Sqrt(Dot(x, x, dimension)));
                return norms == 0 && dot == 0 ? (zeroVectors == ZeroVectorRule.ScoreZero ? 0f : float.NaN) : (float)(dot / norms);
            case SimilarityMetric.SquaredEuclidean:
                return (float)SquaredDistance(q, x, scale, dimension);
            default:
                return (float)Math.Sqrt(SquaredDistance(q, x, scale, dimension));
        }
    }

    /// <summary>The metric with its sign turned for distances, so that the larger is the closer.</summary>
    public float Closeness(float* q, double queryTerm, float* x, double scale)
    {
        float score = Score(q, queryTerm, x, scale);
        return IsDistance ? -score : score;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Dot(float* q, float* x, nint dimension)
    {
        Vector256<double> s0 = default, s1 = default, s2 = default, s3 = default;
        nint i = 0;
        for (; i <= dimension - 16; i += 16)
        {
            Vector256<float> qa = Vector256.Load(q + i), qb = Vector256.Load(q + i + 8);
            Vector256<float> xa = Vector256.Load(x + i), xb = Vector256.Load(x + i + 8);
            s0 += Vector256.WidenLower(qa) * Vector256.WidenLower(xa);
            s1 += Vector256.WidenUpper(qa) * Vector256.WidenUpper(xa);
            s2 += Vector256.WidenLower(qb) * Vector256.WidenLower(xb);
            s3 += Vector256.WidenUpper(qb) * Vector256.WidenUpper(xb);
        }

        double rest = 0;
        for (; i < dimension; i++)
            rest += (double)q[i] * x[i];
        return Vector256.Sum(s0 + s1 + (s2 + s3)) + rest;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double SquaredDistance(float* q, float* x, double scale, nint dimension)
    {
        Vector256<double> s0 = default, s1 = default, s2 = default, s3 = default, wide = Vector256.Create(scale);
        nint i = 0;
        for (; i <= dimension - 16; i += 16)
        {
            Vector256<float> qa = Vector256.Load(q + i), qb = Vector256.Load(q + i + 8);
            Vector256<float> xa = Vector256.Load(x + i), xb = Vector256.Load(x + i + 8);
            Vector256<double> d0 = Vector256.WidenLower(qa) - (wide * Vector256.WidenLower(xa));
            Vector256<double> d1 = Vector256.WidenUpper(qa) - (wide * Vector256.WidenUpper(xa));
            Vector256<double> d2 = Vector256.WidenLower(qb) - (wide * Vector256.WidenLower(xb));
            Vector256<double> d3 = Vector256.WidenUpper(qb) - (wide * Vector256.WidenUpper(xb));
            s0 += d0 * d0;
            s1 += d1 * d1;
            s2 += d2 * d2;
            s3 += d3 * d3;
        }

        double rest = 0;
        for (; i < dimension; i++)
        {
            double difference = q[i] - (scale * x[i]);
            rest += difference * difference;
        }

        return Vector256.Sum(s0 + s1 + (s2 + s3)) + rest;
    }
}
