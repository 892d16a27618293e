using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace EmbeddingKernels.Core;

/// <summary>What single precision carries safely.</summary>
internal static class SafeRange
{
    /// <summary>Squared norms above risk overflow in a sum of products.</summary>
    public const float LargestSquare = 1e30f;

    /// <summary>Squared norms below have lost bits to underflow, or all of them, which matters where they divide or bound errors.</summary>
    public const float SmallestSquare = 1e-30f;

    /// <summary>Norms below are taken for this where they bound the errors of products, so that no bound vanishes by underflow.</summary>
    public const float SmallestNorm = 1.01e-15f;

    public static bool IsDistance(this SimilarityMetric metric) => metric is SimilarityMetric.SquaredEuclidean or SimilarityMetric.Euclidean;
}

/// <summary>
/// The bounds of a single-precision score v, in units in which larger is closer and which the rows of one query share:
/// q.x for dot products, q.x / |x| with q scaled to norm 1 for cosines, q'.x' - |x'|^2 / 2 for distances, where q' and x'
/// have a common centre taken off. The true value differs by less than A + B * X, where X is the largest norm of the rows
/// (squared for distances) in a block.
/// </summary>
/// <remarks>
/// <para>|q - x|^2 = |q'|^2 + |x'|^2 - 2 q'.x' for rows with any common centre taken off; near the data's middle the three
/// terms are smallest and least is lost by cancellation. (x - centre) rounds relative to itself, so taking it off costs no
/// more than one more rounding.</para>
/// <para>With e = (2 s + 32) * 2^-24, s roundings in a sum: dot A = 0, B = e |q|; cosine A = e, B = 0; distances
/// A = e |q'|^2 / 2, B = e, since |q'||x'| is at most the mean of the squares. The doubled sum and the 32 are more than the
/// roundings of scaling, centring, norms, comparisons and of the score itself.</para>
/// </remarks>
internal static class SearchBounds
{
    private const double FurtherRoundings = 32;
    private const double UnitRoundoff = 1.0 / (1 << 24);

    public static float RelativeError(double sumTerms) => (float)(((2 * sumTerms) + FurtherRoundings) * UnitRoundoff * 1.001);
}

/// <summary>
/// Queries as the columns of the tile: packed by blocks of depth, with the terms of their bounds. Those that single
/// precision cannot carry (NaN, norms above 10^15, for cosines below 10^-15) are marked by a term of NaN; their pairs are
/// scored one by one in double precision.
/// </summary>
internal readonly unsafe struct SearchQueries<TWide> : IDisposable
    where TWide : unmanaged, IWide<TWide>
{
    private readonly Scratch<float> _panels;
    private readonly Scratch<float> _terms;
    private readonly nint _depth;

    public SearchQueries(nint capacity, nint depth)
    {
        _depth = depth;
        Capacity = GemmBlocking.RoundUp(capacity, WideTile.Columns<TWide>());
        _panels = new(Capacity * depth);
        _terms = new(3 * Capacity);
    }

    public nint Capacity { get; }

    /// <summary>Columns that are packed for the wide tile, from the first query on; the others, one vector at most, for the narrow one.</summary>
    public static nint WideColumns(nint queries)
    {
        nint rest = queries % WideTile.Columns<TWide>();
        return rest > 0 && rest <= TWide.Lanes && WideTile.Columns<TWide>() > TWide.Lanes
            ? queries - rest
            : GemmBlocking.RoundUp(queries, WideTile.Columns<TWide>());
    }

    /// <summary>A of <see cref="SearchBounds"/>, or NaN.</summary>
    public float* Fixed => _terms.Pointer;

    /// <summary>B of <see cref="SearchBounds"/>.</summary>
    public float* PerNorm => _terms.Pointer + Capacity;

    /// <summary>The threshold that a radius sets, in the unit of the bounds.</summary>
    public float* RadiusThreshold => _terms.Pointer + (2 * Capacity);

    /// <summary>The packed columns of a block of depth that begins at <paramref name="k"/>, from query <paramref name="column"/> on.</summary>
    public GemmPanels Panels(nint k, nint depth, nint column, int width) =>
        new(_panels.Pointer + (k * Capacity) + (column * depth), width * depth, width);

    public void Prepare(in SearchProblem search, nint first, nint count, float* centre, float error, WorkerPool pool)
    {
        using Scratch<float> rows = new(count * _depth);
        MatrixView<float> copy = new(rows.Pointer, count, _depth);
        PrepareBody prepare = new(search, first, copy, centre, error, this);
        pool.For(count, 64, ref prepare);
        nint wide = Math.Min(WideColumns(count), count);
        for (nint k = 0; k < _depth; k += GemmBlocking.Depth)
        {
            nint depth = Math.Min(GemmBlocking.Depth, _depth - k);
            GemmSide wideSide = new(GemmOperand.OfRows(copy.Slice(0, wide)).Slice(0, wide, k, depth), WideTile.Columns<TWide>(), false, Panels(k, depth, 0, 1).Data);
            GemmSide narrowSide = new(
                GemmOperand.OfRows(copy.Slice(wide, count - wide)).Slice(0, count - wide, k, depth), NarrowTile.Columns<TWide>(), false, Panels(k, depth, wide, 1).Data);
            GemmPackBody pack = new(wideSide, narrowSide, withRows: true, withColumns: true);
            pool.For(pack.Count, pack.Grain(pool.Threads), ref pack);
        }
    }

    public void Dispose()
    {
        _panels.Dispose();
        _terms.Dispose();
    }

    private readonly struct PrepareBody(SearchProblem search, nint first, MatrixView<float> copy, float* centre, float error, SearchQueries<TWide> target) : IRangeBody
    {
        private readonly SearchProblem _search = search;
        private readonly MatrixView<float> _copy = copy;
        private readonly SearchQueries<TWide> _target = target;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            nint depth = _copy.Columns;
            bool distance = _search.Scorer.IsDistance;
            for (nint i = start; i < end; i++)
            {
                float* query = _search.Queries.Row(first + i);
                float* row = _copy.Row(i);
                RowElements.ToFloats<TWide>(_search.Queries, first + i, 1, distance ? centre : null, scaled: false, row);
                float square = RowKernels.SquaredNorm<TWide>(row, depth);
                float radius = _search.Radius ?? 0;
                float threshold = radius - (MathF.Abs(radius) * 1e-6f);
                (float constant, float perNorm) = (float.NaN, 0f);
                if (square <= SafeRange.LargestSquare)
                {
                    switch (_search.Metric)
                    {
                        case SimilarityMetric.Dot:
                            (constant, perNorm) = (0f, error * MathF.Max(MathF.Sqrt(square), SafeRange.SmallestNorm));
                            break;
                        case SimilarityMetric.Cosine when square >= SafeRange.SmallestSquare:
                            constant = error;
                            Scale(row, depth, 1f / MathF.Sqrt(square));
                            break;
                        case SimilarityMetric.Cosine:
                            // The zero vector's products are all 0, which is its cosine, too.
                            bool zero = !new ReadOnlySpan<float>(query, checked((int)depth)).ContainsAnyExcept(0f);
                            constant = zero && _search.ZeroVectors == ZeroVectorRule.ScoreZero ? error : float.NaN;
                            break;
                        default:
                            (constant, perNorm) = (error * square / 2, error);
                            float squaredRadius = _search.Metric == SimilarityMetric.Euclidean ? radius * radius : radius;
                            threshold = ((square - squaredRadius) / 2) - ((square + squaredRadius) * 1e-6f);
                            break;
                    }
                }

                // A query without bounds must not reach the tile: its NaN would be right, but infinities times 0 cost time.
                if (float.IsNaN(constant))
                    NativeMemory.Clear(row, (nuint)depth * sizeof(float));
                _target.Fixed[i] = constant;
                _target.PerNorm[i] = perNorm;
                _target.RadiusThreshold[i] = threshold - CandidateList.Slack;
            }
        }

        private static void Scale(float* row, nint depth, float factor)
        {
            for (nint k = 0; k < depth; k++)
                row[k] *= factor;
        }
    }
}

/// <summary>A point near the middle of a set of rows.</summary>
internal static unsafe class Centre
{
    private const int Groups = 3;
    private const int SampledRows = 64 * Groups;

    /// <summary>
    /// The median of the means of three samples, coordinate by coordinate: near the mean, but one outlier (which may be
    /// infinite) moves one mean only. Rows with NaN are left out. Any point is valid as a centre; it depends on the rows alone.
    /// </summary>
    /// <param name="rows">The rows; at most 192 of them, evenly spread, are looked at.</param>
    /// <param name="centre">Gets as many coordinates as the rows have.</param>
    /// <returns>
    /// Whether it is worth taking off: whether it lies farther from the origin than the rows from it. If not, products of
    /// the rows as they stand lose no more than a bit or two, and need no copy.
    /// </returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool Find<TWide>(in RowsView rows, float* centre)
        where TWide : unmanaged, IWide<TWide>
    {
        nint dimension = rows.Columns;
        using Scratch<float> sums = new((Groups + 1) * dimension);
        NativeMemory.Clear(sums.Pointer, (nuint)(Groups * dimension) * sizeof(float));
        float* row = sums.Pointer + (Groups * dimension);
        int* counts = stackalloc int[Groups];
        new Span<int>(counts, Groups).Clear();
        nint sampled = Math.Min(rows.Rows, SampledRows);
        double squares = 0;
        for (nint s = 0; s < sampled; s++)
        {
            RowElements.ToFloats<TWide>(rows, (nint)((Int128)s * rows.Rows / sampled), 1, null, scaled: true, row);
            float square = RowKernels.SquaredNorm<TWide>(row, dimension);
            if (float.IsNaN(square))
                continue;
            squares += square;
            nint group = s % Groups;
            float* sum = sums.Pointer + (group * dimension);
            for (nint k = 0; k < dimension; k++)
                sum[k] += row[k];
            counts[group]++;
        }

        for (nint k = 0; k < dimension; k++)
        {
            float a = sums.Pointer[k] / counts[0];
            float b = sums.Pointer[dimension + k] / counts[1];
            float c = sums.Pointer[(2 * dimension) + k] / counts[2];
            float median = MathF.Max(MathF.Min(a, b), MathF.Min(MathF.Max(a, b), c));
            centre[k] = float.IsFinite(median) ? median : 0f;
        }

        // Of the mean square of the rows, the centre's square is more than three quarters: the rest, what the rows differ
        // by, would lose two bits.
        return RowKernels.SquaredNorm<TWide>(centre, dimension) > 0.75 * (squares / Math.Max(sampled, 1));
    }
}
