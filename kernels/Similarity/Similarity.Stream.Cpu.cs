using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>How few queries pass over the data: row by row as it comes from memory, without packing.</summary>
internal static class SimilarityStream
{
    /// <summary>
    /// Up to here the streaming loops are faster than packing and multiplying: they take one multiply-add per cycle where the
    /// tile takes two, but the tile pays some ten queries' worth of time to pack.
    /// </summary>
    public const int MostQueries = 12;

    /// <summary>Rows whose sums are taken at one go. At 128 columns they are 32 KiB: the second query finds them in L1 or L2.</summary>
    public const int BlockRows = 64;

    /// <summary>Rows that a worker takes at a time: about 1 MiB, less where there would be too few parts.</summary>
    public static nint Grain(MatrixView<float> data, int threads)
    {
        nint grain = (1 << 20) / (sizeof(float) * Math.Max(data.Columns, 1));
        grain = Math.Min(grain, data.Rows / (8 * threads));
        return Math.Max(grain / BlockRows, 1) * BlockRows;
    }

    /// <summary>
    /// The sums of a query with <paramref name="count"/> rows: squared differences for distances, else products, and for these
    /// <paramref name="withNorms"/> the rows' squared norms beside them.
    /// </summary>
    public static unsafe void Sums<TWide>(bool distance, bool withNorms, float* query, MatrixView<float> data, nint row, int count, float* sums, float* norms)
        where TWide : unmanaged, IWide<TWide>
    {
        if (distance)
            RowKernels.Many<TWide, SquaredDifferenceSum, No>(query, data.Row(row), data.Stride, count, data.Columns, sums, norms);
        else if (withNorms)
            RowKernels.Many<TWide, ProductSum, Yes>(query, data.Row(row), data.Stride, count, data.Columns, sums, norms);
        else
            RowKernels.Many<TWide, ProductSum, No>(query, data.Row(row), data.Stride, count, data.Columns, sums, norms);
    }

    /// <summary>
    /// Turns squared norms into the factor of each row's products and, in place, the scale of its error: 1 and the norm for dot
    /// products, 1/norm and 1 for cosines; NaN for rows that single precision cannot carry (<see cref="PrepareBody{TWide}"/>).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static unsafe void Scales(SimilarityMetric metric, int count, float* scales, float* norms)
    {
        for (int i = 0; i < count; i++)
        {
            float square = norms[i];
            bool cosine = metric == SimilarityMetric.Cosine;
            bool safe = square <= Prepared.LargestSquare && !(cosine && square < Prepared.SmallestSquare);
            float norm = safe ? MathF.Sqrt(square) : float.NaN;
            scales[i] = cosine || !safe ? 1f / norm : 1f;
            norms[i] = cosine && safe ? 1f : norm;
        }
    }

    /// <summary>A query's norm, or NaN where single precision cannot carry it: all its scores are then computed exactly.</summary>
    public static unsafe float QueryNorm<TWide>(SimilarityMetric metric, float* query, nint dimension)
        where TWide : unmanaged, IWide<TWide>
    {
        float square = RowKernels.One<TWide, SquareSum>(query, query, dimension);
        bool safe = square <= Prepared.LargestSquare && !(metric == SimilarityMetric.Cosine && square < Prepared.SmallestSquare);
        return safe ? MathF.Sqrt(square) : float.NaN;
    }
}

/// <summary>
/// Top-k of few queries: each worker takes ranges of rows, keeps lists of its own, and bounds each sum's error by the norms
/// of the pair (products) or by the sum itself (squared differences).
/// </summary>
/// <param name="search">The search.</param>
/// <param name="lists">A shard for each worker.</param>
/// <param name="selection">Scratch of the lists.</param>
/// <param name="factors">For each query what its rows' error scales are multiplied by.</param>
internal readonly unsafe struct TopKStreamBody<TWide>(TopKSearch* search, TopKLists lists, float* selection, float* factors) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        float* sums = stackalloc float[SimilarityStream.BlockRows];
        float* scales = stackalloc float[SimilarityStream.BlockRows];
        float* norms = stackalloc float[SimilarityStream.BlockRows];
        float* scratch = selection + (worker * search->Pending);
        bool distance = search->Scorer.IsDistance;
        for (nint row = start; row < end; row += SimilarityStream.BlockRows)
        {
            int count = (int)Math.Min(SimilarityStream.BlockRows, end - row);
            for (int q = 0; q < search->Queries.Rows; q++)
            {
                SimilarityStream.Sums<TWide>(distance, q == 0, search->Queries.Row(q), search->Data, row, count, sums, norms);
                if (q == 0 && !distance)
                    SimilarityStream.Scales(search->Metric, count, scales, norms);
                Compare(lists.List(worker, q), scratch, factors[q], distance, row, count, sums, scales, norms);
            }
        }
    }

    // Lets through what is not surely refused: NaN has to reach the list, which scores such rows exactly.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Compare(CandidateList* list, float* scratch, float factor, bool distance, nint row, int count, float* sums, float* scales, float* norms)
    {
        float* uppers = stackalloc float[TWide.Lanes];
        TWide wideFactor = TWide.Broadcast(factor);
        for (int i = 0; i < count; i += TWide.Lanes)
        {
            TWide sum = TWide.Load(sums + i);
            TWide upper = distance
                ? TWide.MultiplyAdd(wideFactor, sum, TWide.Zero - sum)
                : TWide.MultiplyAdd(wideFactor, TWide.Load(norms + i), sum * TWide.Load(scales + i));
            uint lanes = count - i < TWide.Lanes ? (1u << (count - i)) - 1 : (uint)((1ul << TWide.Lanes) - 1);
            uint passed = ~TWide.GreaterThan(TWide.Broadcast(list->Threshold), upper) & lanes;
            if (passed == 0)
                continue;

            TWide.Store(uppers, upper);
            list->Collect(*search, scratch, passed, uppers, (distance ? sums : norms) + i, -2f * factor, row + i);
        }
    }
}
