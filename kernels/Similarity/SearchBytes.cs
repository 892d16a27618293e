using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// A query as 16-bit integers, for streams of rows of bytes: their products are summed exactly in 32 bits, and what the
/// query lost by rounding bounds the error of a score. Twice as fast as turning the bytes into floats.
/// </summary>
/// <remarks>
/// q = step * integer + rest, |rest| at most step / 2 in each place, so |q.x - step * sum| is at most step / 2 * sqrt(d) * |x|
/// by Cauchy and Schwarz. The step is the largest magnitude over 2^15 - 1, or coarser where sums of d products might not fit
/// 31 bits.
/// </remarks>
internal readonly unsafe struct SearchBytes<TWide> : IDisposable
    where TWide : unmanaged, IWide<TWide>
{
    private const int LargestByte = 255;

    // The processor's own prefetching is late for rows that take 20 ns each.
    private const nint AheadBytes = 4096;

    private readonly Scratch<short> _integers;
    private readonly Scratch<float> _terms;
    private readonly nint _dimension;
    private readonly float _largestNorm;

    public SearchBytes(in SearchProblem search, nint first, nint count)
    {
        _dimension = search.Queries.Columns;
        _integers = new(count * _dimension);
        _terms = new(2 * count);
        Count = count;
        _largestNorm = LargestByte * MathF.Sqrt(_dimension);
        float largest = Math.Min(short.MaxValue, int.MaxValue / LargestByte / Math.Max(_dimension, 1));
        for (nint i = 0; i < count; i++)
        {
            float* query = search.Queries.Row(first + i);
            float magnitude = 0;
            for (nint k = 0; k < _dimension; k++)
                magnitude = MathF.Max(magnitude, MathF.Abs(query[k])); // NaN stays
            float step = magnitude / largest;
            bool usable = float.IsFinite(magnitude) && step >= 1e-30f;
            for (nint k = 0; k < _dimension; k++)
                _integers.Pointer[(i * _dimension) + k] = usable ? (short)MathF.Round(query[k] / step) : (short)0;

            // The bound with a margin for the roundings of the division and of the products that follow.
            _terms.Pointer[2 * i] = usable ? step : float.NaN;
            _terms.Pointer[(2 * i) + 1] = usable ? 0.505f * step * MathF.Sqrt(_dimension) : float.NaN;
        }
    }

    public nint Count { get; }

    /// <summary>Whether a search of these data goes this way: bytes whose rows fill vectors, few enough for exact sums.</summary>
    public static bool Fits(in SearchProblem search) =>
        search.Data.Type is ElementType.Int8 or ElementType.UInt8
        && ByteDots.Has<TWide>()
        && search.Data.Columns is > 0 and <= 8192
        && search.Data.Columns % ByteDots.Multiple == 0;

    public short* Integers(nint query) => _integers.Pointer + (query * _dimension);

    /// <summary>What an integer sum is multiplied by; NaN where the query has no bounds.</summary>
    public float Step(nint query) => _terms.Pointer[2 * query];

    /// <summary>The error of a product per norm of the row.</summary>
    public float Width(nint query) => _terms.Pointer[(2 * query) + 1];

    /// <summary>
    /// The scores of a query with <paramref name="count"/> rows in the units of the stream (products; products over the row's norm; minus
    /// squared distances), and how far they may be off; NaN where they are to be computed exactly.
    /// </summary>
    /// <typeparam name="TByte">sbyte or byte.</typeparam>
    /// <typeparam name="TNorms">Whether the rows' norms are needed; else their largest possible value does.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Scores<TByte, TNorms>(in SearchProblem search, nint firstQuery, nint query, float factor, nint row, int count, float* scores, float* widths)
        where TByte : unmanaged
        where TNorms : struct, IFlag
    {
        float* q = search.Queries.Row(firstQuery + query);
        float squaredQuery = search.Scorer.IsDistance ? RowKernels.SquaredNorm<TWide>(q, _dimension) : 0f;
        float step = float.IsNaN(factor) ? float.NaN : Step(query); // a query without bounds in floats has none here
        nint stride = search.Data.StrideBytes;
        for (int i = 0; i < count; i += 4)
        {
            // Past the last row the four are the last one again and again, in places that nobody reads.
            bool whole = i <= count - 4;
            Vector128<float> scales = Vector128<float>.One;
            if (search.Data.Scales is not null)
                scales = whole ? Vector128.Load(search.Data.Scales + row + i) : Vector128.Create(search.Data.Scales[row + i]);
            Prefetch.RowToL1(search.Data.Row(row + i) + AheadBytes, 4 * _dimension);
            ByteDots.Four<TByte, TNorms>(Integers(query), search.Data.Row(row + i), whole ? stride : 0, _dimension, out Vector128<int> sums, out Vector128<int> squares);
            Score<TNorms>(search.Metric, squaredQuery, step, Width(query), scales, sums, squares, scores + i, widths + i);
            if (whole)
                continue;
            for (int rest = 1; rest < count - i; rest++)
            {
                ByteDots.Four<TByte, TNorms>(Integers(query), search.Data.Row(row + i + rest), 0, _dimension, out sums, out squares);
                scales = Vector128.Create(search.Data.Scales is null ? 1f : search.Data.Scales[row + i + rest]);
                Score<TNorms>(search.Metric, squaredQuery, step, Width(query), scales, sums, squares, scores + i + rest, widths + i + rest);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Score<TNorms>(
        SimilarityMetric metric, float squaredQuery, float step, float width, Vector128<float> scales, Vector128<int> sums, Vector128<int> squares, float* scores, float* widths)
        where TNorms : struct, IFlag
    {
        const float Roundings = 2e-6f; // far more than the few of these lines and of the score itself
        Vector128<float> products = Vector128.ConvertToSingle(sums) * step * scales, score = products, error;
        if (!TNorms.Value)
        {
            error = (Vector128.Abs(scales) * (width * _largestNorm)) + (Vector128.Abs(products) * Roundings);
        }
        else if (metric == SimilarityMetric.Cosine)
        {
            // The zero vector gives NaN, so that its rule decides.
            score = products / (Vector128.Abs(scales) * Vector128.Sqrt(Vector128.ConvertToSingle(squares)));
            error = Vector128.Create(width) + (Vector128.Abs(score) * Roundings);
        }
        else
        {
            Vector128<float> norms = Vector128.Abs(scales) * Vector128.Sqrt(Vector128.ConvertToSingle(squares));
            Vector128<float> all = Vector128.Create(squaredQuery) + (norms * norms);
            score = products + products - all;
            error = (norms * (2 * width)) + (all * Roundings);
        }

        score.Store(scores);
        error.Store(widths);
    }

    public void Dispose()
    {
        _integers.Dispose();
        _terms.Dispose();
    }
}
