namespace EmbeddingKernels.Core.Tests;

/// <summary>Searches into arrays, and the same by brute force in double precision over decoded rows.</summary>
internal static unsafe class Searches
{
    public static (long[] Ids, float[] Scores) TopK(
        MatrixView<float> queries, RowsView data, int k, SimilarityMetric metric, SearchOptions? options = null, WorkerPool? pool = null)
    {
        long[] ids = new long[queries.Rows * k];
        float[] scores = new float[queries.Rows * k];
        fixed (long* pi = ids)
        fixed (float* ps = scores)
            Similarity.TopK(queries, data, k, metric, new(pi, queries.Rows, k), new(ps, queries.Rows, k), options ?? new SearchOptions(), pool);
        return (ids, scores);
    }

    public static (long[] Ids, float[] Scores) Finish(StreamingSearch search, nint queries, int k)
    {
        long[] ids = new long[queries * k];
        float[] scores = new float[queries * k];
        fixed (long* pi = ids)
        fixed (float* ps = scores)
            search.Finish(new(pi, queries, k), new(ps, queries, k));
        return (ids, scores);
    }

    /// <summary>All rows that are candidates of each query, best first.</summary>
    public static (float Score, long Id)[][] Ranked(
        MatrixView<float> queries, double[][] data, SimilarityMetric metric, bool excludeSelf = false, ZeroVectorRule zeroVectors = ZeroVectorRule.ScoreZero)
    {
        (float, long)[][] ranked = new (float, long)[queries.Rows][];
        for (int i = 0; i < ranked.Length; i++)
        {
            List<(float Score, long Id)> rows = [];
            for (int j = 0; j < data.Length; j++)
            {
                float score = (float)Score(new(queries.Row(i), (int)queries.Columns), data[j], metric, zeroVectors);
                if (!float.IsNaN(score) && !(excludeSelf && i == j))
                    rows.Add((score, j));
            }

            int sign = metric.IsDistance() ? 1 : -1;
            rows.Sort((a, b) => a.Score == b.Score ? a.Id.CompareTo(b.Id) : sign * a.Score.CompareTo(b.Score));
            ranked[i] = [.. rows];
        }

        return ranked;
    }

    public static void AssertIsTopK((long[] Ids, float[] Scores) result, (float Score, long Id)[][] ranked, int k, SimilarityMetric metric, string what)
    {
        for (int i = 0; i < ranked.Length; i++)
        {
            for (int r = 0; r < k; r++)
            {
                (float score, long id) = r < ranked[i].Length ? ranked[i][r] : (SimilarityReference.WorstScore(metric), Similarity.NoId);
                if (result.Ids[(i * k) + r] != id || result.Scores[(i * k) + r] != score)
                    Assert.Fail($"{what}: query {i}, place {r} is ({result.Ids[(i * k) + r]}, {result.Scores[(i * k) + r]:R}) and should be ({id}, {score:R})");
            }
        }
    }

    public static void AssertSame((long[] Ids, float[] Scores) result, (long[] Ids, float[] Scores) wanted, string what)
    {
        for (int i = 0; i < wanted.Ids.Length; i++)
        {
            if (result.Ids[i] != wanted.Ids[i] || result.Scores[i] != wanted.Scores[i])
                Assert.Fail($"{what}: slot {i} is ({result.Ids[i]}, {result.Scores[i]:R}) and should be ({wanted.Ids[i]}, {wanted.Scores[i]:R})");
        }

        Assert.That(result.Ids, Has.Length.EqualTo(wanted.Ids.Length), what);
    }

    private static double Score(ReadOnlySpan<float> q, double[] x, SimilarityMetric metric, ZeroVectorRule zeroVectors)
    {
        double dot = 0, qq = 0, xx = 0, squares = 0;
        for (int i = 0; i < q.Length; i++)
        {
            double a = q[i], b = x[i];
            dot += a * b;
            qq += a * a;
            xx += b * b;
            squares += (a - b) * (a - b);
        }

        bool zero = (qq == 0 || xx == 0) && dot == 0;
        return metric switch
        {
            SimilarityMetric.Dot => dot,
            SimilarityMetric.Cosine => zero ? (zeroVectors == ZeroVectorRule.ScoreZero ? 0 : double.NaN) : dot / (Math.Sqrt(qq) * Math.Sqrt(xx)),
            SimilarityMetric.SquaredEuclidean => squares,
            _ => Math.Sqrt(squares),
        };
    }
}
