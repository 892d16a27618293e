using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// The score of one pair of rows, computed in double precision and rounded to float: what a top-k result is ordered by.
/// </summary>
/// <remarks>
/// Products of two floats are exact in double, so only additions round: the relative error is about d * 2^-53 of the sum of
/// absolute products, and a float rounded from it is the correctly rounded one but for some one in 10^8. The sixteen
/// partial sums are the same at every instruction-set level, which is why this stands outside of <c>IWide</c>: the same
/// bits on every processor. About 20 ns for 128 floats in cache.
/// </remarks>
internal readonly unsafe struct ExactScorer(SimilarityMetric metric, nint dimension)
{
    public bool IsDistance => metric.IsDistance();

    /// <summary>What <see cref="Score"/> wants to know of a query: its norm for cosines, nothing for the others.</summary>
    public double QueryTerm(float* q) => metric == SimilarityMetric.Cosine ? Math.Sqrt(Dot(q, q, dimension)) : 0;

    /// <summary>The metric.</summary>
    public float Score(float* q, double queryTerm, float* x)
    {
        switch (metric)
        {
            case SimilarityMetric.Dot:
                return (float)Dot(q, x, dimension);
            case SimilarityMetric.Cosine:
                double dot = Dot(q, x, dimension);
                double norms = queryTerm * Math.Sqrt(Dot(x, x, dimension));
                return (float)(norms == 0 && dot == 0 ? 0 : dot / norms);
            case SimilarityMetric.SquaredEuclidean:
                return (float)SquaredDistance(q, x, dimension);
            default:
                return (float)Math.Sqrt(SquaredDistance(q, x, dimension));
        }
    }

    /// <summary>The metric with its sign turned for distances, so that the larger is the closer.</summary>
    public float Closeness(float* q, double queryTerm, float* x)
    {
        float score = Score(q, queryTerm, x);
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
    private static double SquaredDistance(float* q, float* x, nint dimension)
    {
        Vector256<double> s0 = default, s1 = default, s2 = default, s3 = default;
        nint i = 0;
        for (; i <= dimension - 16; i += 16)
        {
            Vector256<float> qa = Vector256.Load(q + i), qb = Vector256.Load(q + i + 8);
            Vector256<float> xa = Vector256.Load(x + i), xb = Vector256.Load(x + i + 8);
            Vector256<double> d0 = Vector256.WidenLower(qa) - Vector256.WidenLower(xa);
            Vector256<double> d1 = Vector256.WidenUpper(qa) - Vector256.WidenUpper(xa);
            Vector256<double> d2 = Vector256.WidenLower(qb) - Vector256.WidenLower(xb);
            Vector256<double> d3 = Vector256.WidenUpper(qb) - Vector256.WidenUpper(xb);
            s0 += d0 * d0;
            s1 += d1 * d1;
            s2 += d2 * d2;
            s3 += d3 * d3;
        }

        double rest = 0;
        for (; i < dimension; i++)
        {
            double difference = (double)q[i] - x[i];
            rest += difference * difference;
        }

        return Vector256.Sum(s0 + s1 + (s2 + s3)) + rest;
    }
}
