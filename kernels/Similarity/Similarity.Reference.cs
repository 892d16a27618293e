namespace EmbeddingKernels.Core;

/// <summary>The formulas of <see cref="Similarity"/> in double precision, as plainly as they can be written.</summary>
internal static unsafe class SimilarityReference
{
    public static float WorstScore(SimilarityMetric metric) =>
        metric.IsDistance() ? float.PositiveInfinity : float.NegativeInfinity;

    public static double Score(float* q, float* x, nint dimension, SimilarityMetric metric)
    {
        double dot = 0, qq = 0, xx = 0, squares = 0;
        for (nint i = 0; i < dimension; i++)
        {
            double a = q[i], b = x[i];
            dot += a * b;
            qq += a * a;
            xx += b * b;
            squares += (a - b) * (a - b);
        }

        return metric switch
        {
            SimilarityMetric.Dot => dot,
            SimilarityMetric.Cosine => qq == 0 || xx == 0 ? (double.IsNaN(dot) ? double.NaN : 0) : dot / (Math.Sqrt(qq) * Math.Sqrt(xx)),
            SimilarityMetric.SquaredEuclidean => squares,
            _ => Math.Sqrt(squares),
        };
    }

    public static void Scores(MatrixView<float> queries, MatrixView<float> data, SimilarityMetric metric, MatrixView<float> scores)
    {
        for (nint i = 0; i < queries.Rows; i++)
        {
            for (nint j = 0; j < data.Rows; j++)
                scores.Row(i)[j] = (float)Score(queries.Row(i), data.Row(j), queries.Columns, metric);
        }
    }

    public static void TopK(
        MatrixView<float> queries, MatrixView<float> data, int k, SimilarityMetric metric, MatrixView<long> ids, MatrixView<float> scores, bool excludeSelf)
    {
        int sign = metric.IsDistance() ? 1 : -1;
        List<(float Score, long Id)> candidates = [];
        for (nint i = 0; i < queries.Rows; i++)
        {
            candidates.Clear();
            for (nint j = 0; j < data.Rows; j++)
            {
                float score = (float)Score(queries.Row(i), data.Row(j), queries.Columns, metric);
                if (!float.IsNaN(score) && !(excludeSelf && i == j))
                    candidates.Add((score, j));
            }

            candidates.Sort((a, b) => a.Score == b.Score ? a.Id.CompareTo(b.Id) : sign * a.Score.CompareTo(b.Score));
            for (int r = 0; r < k; r++)
            {
                ids.Row(i)[r] = r < candidates.Count ? candidates[r].Id : Similarity.NoId;
                scores.Row(i)[r] = r < candidates.Count ? candidates[r].Score : WorstScore(metric);
            }
        }
    }
}
