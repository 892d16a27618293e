using System.Numerics;

namespace EmbeddingKernels.Core;

/// <summary>The formulas of <see cref="BitSimilarity"/> byte by byte, as plainly as they can be written.</summary>
internal static unsafe class BitSimilarityReference
{
    public static float WorstScore(BitMetric metric) => metric == BitMetric.Hamming ? float.PositiveInfinity : float.NegativeInfinity;

    public static float Score(byte* q, byte* x, nint bytes, BitMetric metric)
    {
        long differing = 0, common = 0, either = 0;
        for (nint i = 0; i < bytes; i++)
        {
            differing += BitOperations.PopCount((uint)(q[i] ^ x[i]));
            common += BitOperations.PopCount((uint)(q[i] & x[i]));
            either += BitOperations.PopCount((uint)(q[i] | x[i]));
        }

        if (metric == BitMetric.Hamming)
            return differing;
        return either == 0 ? 1f : (float)((double)common / either);
    }

    public static void Scores(MatrixView<byte> queries, MatrixView<byte> data, BitMetric metric, MatrixView<float> scores)
    {
        for (nint i = 0; i < queries.Rows; i++)
        {
            for (nint j = 0; j < data.Rows; j++)
                scores.Row(i)[j] = Score(queries.Row(i), data.Row(j), data.Columns, metric);
        }
    }

    /// <summary>All rows with their scores, closest first.</summary>
    public static List<(float Score, long Id)> Ranked(byte* query, MatrixView<byte> data, BitMetric metric, nint except)
    {
        List<(float Score, long Id)> rows = [];
        for (nint j = 0; j < data.Rows; j++)
        {
            if (j != except)
                rows.Add((Score(query, data.Row(j), data.Columns, metric), j));
        }

        int sign = metric == BitMetric.Hamming ? 1 : -1;
        rows.Sort((a, b) => a.Score == b.Score ? a.Id.CompareTo(b.Id) : sign * a.Score.CompareTo(b.Score));
        return rows;
    }

    public static void TopK(
        MatrixView<byte> queries, MatrixView<byte> data, int k, BitMetric metric, MatrixView<long> ids, MatrixView<float> scores, bool excludeSelf)
    {
        for (nint i = 0; i < queries.Rows; i++)
        {
            List<(float Score, long Id)> rows = Ranked(queries.Row(i), data, metric, excludeSelf ? i : -1);
            for (int r = 0; r < k; r++)
            {
                ids.Row(i)[r] = r < rows.Count ? rows[r].Id : Similarity.NoId;
                scores.Row(i)[r] = r < rows.Count ? rows[r].Score : WorstScore(metric);
            }
        }
    }

    public static RangeResult Range(MatrixView<byte> queries, MatrixView<byte> data, float radius, BitMetric metric, bool excludeSelf)
    {
        bool distance = metric == BitMetric.Hamming;
        List<RangeHit> hits = [];
        for (nint i = 0; i < queries.Rows; i++)
        {
            foreach ((float score, long id) in Ranked(queries.Row(i), data, metric, excludeSelf ? i : -1))
            {
                if (distance ? score <= radius : score >= radius)
                    hits.Add(new RangeHit(i, id, distance ? -score : score));
            }
        }

        return new RangeResult((int)queries.Rows, hits, distance);
    }
}
