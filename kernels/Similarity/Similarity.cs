namespace EmbeddingKernels.Core;

/// <summary>How alike two vectors q and x are.</summary>
public enum SimilarityMetric
{
    /// <summary>sum of q_i x_i; larger is closer.</summary>
    Dot = 0,

    /// <summary>q.x / (|q| |x|), and 0 where either is the zero vector; larger is closer.</summary>
    Cosine = 1,

    /// <summary>sum of (q_i - x_i)^2; smaller is closer.</summary>
    SquaredEuclidean = 2,

    /// <summary>The square root of <see cref="SquaredEuclidean"/>; smaller is closer.</summary>
    Euclidean = 3,
}

/// <summary>What the cosine with a zero vector, which has no angle, is taken for.</summary>
public enum ZeroVectorRule
{
    /// <summary>0, as scikit-learn and FAISS on normalised rows have it.</summary>
    ScoreZero = 0,

    /// <summary>NaN: a zero vector is nobody's neighbour and has none, as SciPy's cosine distance has it.</summary>
    NoNeighbor = 1,
}

/// <summary>
/// Exact (brute-force) similarity of each row of one matrix to each row of another: all scores, or the k best rows of each
/// query without storing the scores.
/// </summary>
/// <remarks>
/// <para>All methods are thread-safe, keep no state but pooled scratch memory, and check their arguments before the first
/// write. Destinations must not overlap the inputs.</para>
/// <para>No pool means the caller's thread only.</para>
/// </remarks>
public static unsafe partial class Similarity
{
    /// <summary>The id in a slot of a top-k result for which there was no candidate.</summary>
    public const long NoId = -1;

    /// <summary>scores[i, j] = metric(queries[i], data[j]).</summary>
    /// <remarks>
    /// Computed in single precision. With e = (2 d + 40) * 2^-24 the error of a dot product is below e |q| |x|, that of a cosine below e,
    /// and the relative error of a squared distance below 32 e (of a distance 16 e): pairs that are close to each other by
    /// comparison with their distance from the data's centre, and pairs whose norms are beyond 10^15, are scored in double
    /// precision, so equal rows have distance exactly 0. Few queries are summed in another order than many: the last
    /// bits may depend on how queries are split over calls, but not on the number of threads.
    /// </remarks>
    /// <param name="queries">m x d.</param>
    /// <param name="data">n x d.</param>
    /// <param name="metric">What to compute.</param>
    /// <param name="scores">m x n, overwritten.</param>
    /// <param name="pool">Threads to work on; the result does not depend on their number.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="metric"/> is no defined metric.</exception>
    public static void Scores(MatrixView<float> queries, MatrixView<float> data, SimilarityMetric metric, MatrixView<float> scores, WorkerPool? pool = null)
    {
        CheckInputs(queries, data, metric);
        CheckShape(scores.Rows, scores.Columns, queries.Rows, data.Rows, nameof(scores));
        if (queries.Rows == 0)
            return;

        ScoresAction action = new(queries, data, metric, scores, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
    }

    /// <summary>
    /// The <paramref name="k"/> rows of <paramref name="data"/> that are closest to each query, closest first. The matrix of
    /// scores is never stored.
    /// </summary>
    /// <remarks>
    /// <para>A score is the metric of the stored numbers computed in double precision and rounded to float. Rows are ordered
    /// by it: dot products and cosines descending, distances ascending; of equal scores the lower row index comes first. So
    /// equal rows have distance exactly 0, near duplicates keep their order, and the result does not depend on the
    /// instruction-set level, the number of threads, on k, or on how queries are split over calls.</para>
    /// <para>A row whose score is NaN is no candidate. Where there are fewer than k candidates the remaining slots hold the
    /// id <see cref="NoId"/> and the worst score: negative infinity for dot products and cosines, positive infinity for
    /// distances.</para>
    /// <para>Memory beside the arguments is bounded: below 64 MiB up to k about 2,000. Data may be a file that is mapped into
    /// memory and larger than it: it is read once, in order, for each few thousand queries.</para>
    /// <para>How it is exact and fast: scores are computed in single precision by the register tile of <see cref="Gemm"/>,
    /// with bounds of their error; only rows whose upper bound beats the k-th best lower bound are scored in double.</para>
    /// </remarks>
    /// <param name="queries">m x d.</param>
    /// <param name="data">n x d, of any element type.</param>
    /// <param name="k">Rows wanted per query, at least 1; may exceed n.</param>
    /// <param name="metric">What closest means.</param>
    /// <param name="ids">m x k, overwritten with row indices of <paramref name="data"/>.</param>
    /// <param name="scores">m x k, overwritten with the scores of those rows.</param>
    /// <param name="excludeSelf">Never return row i of <paramref name="data"/> for query i: the neighbours of a set within itself.</param>
    /// <param name="pool">Threads to work on; the result does not depend on their number.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="k"/> is below 1 or <paramref name="metric"/> is no defined metric.</exception>
    public static void TopK(
        MatrixView<float> queries,
        RowsView data,
        int k,
        SimilarityMetric metric,
        MatrixView<long> ids,
        MatrixView<float> scores,
        bool excludeSelf = false,
        WorkerPool? pool = null) => TopK(queries, data, k, metric, ids, scores, excludeSelf ? SearchOptions.NotSelf : SearchOptions.Default, pool);

    /// <param name="queries">m x d.</param>
    /// <param name="data">n x d, of any element type.</param>
    /// <param name="k">Rows wanted per query, at least 1; may exceed n.</param>
    /// <param name="metric">What closest means.</param>
    /// <param name="ids">m x k, overwritten with row indices of <paramref name="data"/>.</param>
    /// <param name="scores">m x k, overwritten with the scores of those rows.</param>
    /// <param name="options">Further choices.</param>
    /// <param name="pool">Threads to work on; the result does not depend on their number.</param>
    /// <inheritdoc cref="TopK(MatrixView{float}, RowsView, int, SimilarityMetric, MatrixView{long}, MatrixView{float}, bool, WorkerPool?)"/>
    public static void TopK(
        MatrixView<float> queries,
        RowsView data,
        int k,
        SimilarityMetric metric,
        MatrixView<long> ids,
        MatrixView<float> scores,
        SearchOptions options,
        WorkerPool? pool = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        CheckInputs(queries, data, metric);
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        CheckShape(ids.Rows, ids.Columns, queries.Rows, k, nameof(ids));
        CheckShape(scores.Rows, scores.Columns, queries.Rows, k, nameof(scores));
        CheckOptions(options, data);
        if (queries.Rows == 0)
            return;

        fixed (float* norms = options.Norms.Span)
        {
            SearchProblem search = new(queries, data, (nint)Math.Min(k, data.Rows), null, metric, options.ZeroVectors, options.ExcludeSelf ? 0 : SearchProblem.NoSelf, 0);
            TopKAction action = new(search, norms, ids, scores, pool ?? WorkerPool.Serial);
            Isa.Dispatch(ref action);
        }
    }

    /// <summary>
    /// All rows of <paramref name="data"/> within a radius of each query: scores of at least <paramref name="radius"/> for dot products
    /// and cosines, distances of at most that.
    /// </summary>
    /// <remarks>
    /// Scores are those of
    /// <see cref="TopK(MatrixView{float}, RowsView, int, SimilarityMetric, MatrixView{long}, MatrixView{float}, bool, WorkerPool?)"/>,
    /// so a score equal to the radius counts. Memory grows with the number of rows found.
    /// </remarks>
    /// <param name="queries">m x d.</param>
    /// <param name="data">n x d, of any element type.</param>
    /// <param name="radius">The radius; for <see cref="SimilarityMetric.SquaredEuclidean"/> its square.</param>
    /// <param name="metric">What close means.</param>
    /// <param name="excludeSelf">Never return row i of <paramref name="data"/> for query i.</param>
    /// <param name="pool">Threads to work on; the result does not depend on their number.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="radius"/> is not finite or <paramref name="metric"/> is no defined metric.</exception>
    public static RangeResult Range(
        MatrixView<float> queries, RowsView data, float radius, SimilarityMetric metric, bool excludeSelf = false, WorkerPool? pool = null)
    {
        CheckInputs(queries, data, metric);
        if (!float.IsFinite(radius))
            throw new ArgumentOutOfRangeException(nameof(radius), radius, "The radius must be finite.");

        List<RangeHit> hits = [];
        if (queries.Rows > 0)
        {
            SearchProblem search = new(queries, data, 1, radius, metric, ZeroVectorRule.ScoreZero, excludeSelf ? 0 : SearchProblem.NoSelf, 0);
            RangeAction action = new(search, pool ?? WorkerPool.Serial, hits);
            Isa.Dispatch(ref action);
        }

        return new RangeResult(checked((int)queries.Rows), hits, metric.IsDistance());
    }

    /// <summary>scores[i * n + j] = metric(query i, data row j) for rows of <paramref name="dimension"/> floats without gaps.</summary>
    /// <param name="queries">m * dimension floats.</param>
    /// <param name="data">n * dimension floats.</param>
    /// <param name="dimension">Floats per row, at least 1.</param>
    /// <param name="metric">What to compute.</param>
    /// <param name="scores">m * n floats, overwritten.</param>
    /// <param name="pool">Threads to work on; the result does not depend on their number.</param>
    /// <exception cref="ArgumentException">A length does not fit the others.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="dimension"/> is below 1 or <paramref name="metric"/> is no defined metric.</exception>
    public static void Scores(
        ReadOnlySpan<float> queries, ReadOnlySpan<float> data, int dimension, SimilarityMetric metric, Span<float> scores, WorkerPool? pool = null)
    {
        int m = RowCount(queries.Length, dimension, nameof(queries));
        int n = RowCount(data.Length, dimension, nameof(data));
        CheckLength(scores.Length, (long)m * n, nameof(scores));
        fixed (float* q = queries, x = data, s = scores)
            Scores(new(q, m, dimension), new(x, n, dimension), metric, new MatrixView<float>(s, m, n), pool);
    }

    /// <summary>The k closest rows of <paramref name="data"/> to each query, for rows of <paramref name="dimension"/> floats without gaps.</summary>
    /// <param name="queries">m * dimension floats.</param>
    /// <param name="data">n * dimension floats.</param>
    /// <param name="dimension">Floats per row, at least 1.</param>
    /// <param name="k">Rows wanted per query, at least 1; may exceed n.</param>
    /// <param name="metric">What closest means.</param>
    /// <param name="ids">m * k row indices, overwritten, k for each query in turn.</param>
    /// <param name="scores">m * k scores, overwritten.</param>
    /// <param name="excludeSelf">Never return row i of <paramref name="data"/> for query i.</param>
    /// <param name="pool">Threads to work on; the result does not depend on their number.</param>
    /// <inheritdoc cref="TopK(MatrixView{float}, RowsView, int, SimilarityMetric, MatrixView{long}, MatrixView{float}, bool, WorkerPool?)" path="/remarks"/>
    /// <exception cref="ArgumentException">A length does not fit the others.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="dimension"/> or <paramref name="k"/> is below 1 or <paramref name="metric"/> is no defined metric.
    /// </exception>
    public static void TopK(
        ReadOnlySpan<float> queries,
        ReadOnlySpan<float> data,
        int dimension,
        int k,
        SimilarityMetric metric,
        Span<long> ids,
        Span<float> scores,
        bool excludeSelf = false,
        WorkerPool? pool = null)
    {
        int m = RowCount(queries.Length, dimension, nameof(queries));
        int n = RowCount(data.Length, dimension, nameof(data));
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        CheckLength(ids.Length, (long)m * k, nameof(ids));
        CheckLength(scores.Length, (long)m * k, nameof(scores));
        fixed (float* q = queries, x = data, s = scores)
        fixed (long* i = ids)
            TopK(new(q, m, dimension), new MatrixView<float>(x, n, dimension), k, metric, new(i, m, k), new(s, m, k), excludeSelf, pool);
    }

    internal static void CheckInputs(MatrixView<float> queries, RowsView data, SimilarityMetric metric, string dataName = "data")
    {
        if (queries.Columns != data.Columns)
            throw new ArgumentException($"The data has {data.Columns} columns and the queries have {queries.Columns}.", dataName);
        if (!Enum.IsDefined(metric))
            throw new ArgumentOutOfRangeException(nameof(metric), metric, "Not a similarity metric.");
    }

    internal static void CheckOptions(SearchOptions options, RowsView data)
    {
        if (!Enum.IsDefined(options.ZeroVectors))
            throw new ArgumentOutOfRangeException(nameof(options), options.ZeroVectors, "Not a rule for zero vectors.");
        if (options.Norms.IsEmpty)
            return;
        if (options.Norms.Length != data.Rows)
            throw new ArgumentException($"There are {options.Norms.Length} norms and {data.Rows} rows.", nameof(options));
        if (data.Type != ElementType.Float32)
            throw new ArgumentException($"Norms are for rows of floats; these are {data.Type}.", nameof(options));
    }

    internal static void CheckShape(nint rows, nint columns, nint wantedRows, nint wantedColumns, string name)
    {
        if (rows != wantedRows || columns != wantedColumns)
            throw new ArgumentException($"The shape must be {wantedRows} x {wantedColumns} and is {rows} x {columns}.", name);
    }

    private static int RowCount(int length, int dimension, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(dimension, 1);
        if (length % dimension != 0)
            throw new ArgumentException($"The length {length} is no multiple of the dimension {dimension}.", name);
        return length / dimension;
    }

    private static void CheckLength(int length, long wanted, string name)
    {
        if (length != wanted)
            throw new ArgumentException($"The length must be {wanted} and is {length}.", name);
    }
}
