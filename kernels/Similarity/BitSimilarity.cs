namespace EmbeddingKernels.Core;

/// <summary>How alike two rows of bits q and x are.</summary>
public enum BitMetric
{
    /// <summary>The number of bits that differ, |q xor x|; smaller is closer. An integer.</summary>
    Hamming = 0,

    /// <summary>|q and x| / |q or x|; larger is closer. Two rows without a set bit have similarity 1.</summary>
    /// <remarks>
    /// SciPy's <c>jaccard</c> and FAISS's binary Jaccard are the distance, 1 minus this; SciPy documents distance 0 for two empty rows.
    /// </remarks>
    Jaccard = 1,
}

/// <summary>
/// Exact (brute-force) similarity of rows of packed bits: all scores, the k best rows of each query, or all rows within a
/// radius, the last two without storing the scores.
/// </summary>
/// <remarks>
/// <para>A row of d bits is ceil(d / 8) bytes, in any order of bits that queries and data share. <b>The bits that pad the last
/// byte must be zero</b>: they are compared like all others. Rows may begin at any address and lie at any distance (the
/// stride of the view, in bytes). A row has at most <see cref="MaxRowBytes"/> bytes, so that counts are exact as floats.</para>
/// <para>A score is the count of Hamming, or the quotient of Jaccard rounded to float once. Rows are ordered by it (Hamming
/// ascending, Jaccard descending); of equal scores the lower row index comes first. So results do not depend on the
/// instruction-set level, the number of threads, or on how queries are split over calls.</para>
/// <para>All methods are thread-safe, keep no state but pooled scratch memory, and check their arguments before the first
/// write. Destinations must not overlap the inputs. No pool means the caller's thread only.</para>
/// </remarks>
public static unsafe class BitSimilarity
{
    /// <summary>The longest row: 2^24 bits.</summary>
    public const int MaxRowBytes = 1 << 21;

    /// <summary>scores[i, j] = metric(queries[i], data[j]).</summary>
    /// <param name="queries">m rows of b bytes.</param>
    /// <param name="data">n rows of b bytes.</param>
    /// <param name="metric">What to compute.</param>
    /// <param name="scores">m x n, overwritten.</param>
    /// <param name="pool">Threads to work on; the result does not depend on their number.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// Rows are longer than <see cref="MaxRowBytes"/> or <paramref name="metric"/> is no defined metric.
    /// </exception>
    public static void Scores(MatrixView<byte> queries, MatrixView<byte> data, BitMetric metric, MatrixView<float> scores, WorkerPool? pool = null)
    {
        CheckInputs(queries, data, metric);
        CheckShape(scores.Rows, scores.Columns, queries.Rows, data.Rows, nameof(scores));
        BitScan scan = new(queries, data, metric, pool ?? WorkerPool.Serial);
        scan.Scores(scores);
    }

    /// <summary>The <paramref name="k"/> rows of <paramref name="data"/> that are closest to each query, closest first.</summary>
    /// <remarks>
    /// Where there are fewer than k candidates the remaining slots hold the id <see cref="Similarity.NoId"/> and the worst
    /// score: positive infinity for Hamming, negative infinity for Jaccard. Memory beyond the arguments is in proportion to
    /// queries x k (and to the number of threads), at most about 32 MiB unless one query's k alone takes more.
    /// </remarks>
    /// <param name="queries">m rows of b bytes.</param>
    /// <param name="data">n rows of b bytes.</param>
    /// <param name="k">Rows wanted per query, at least 1; may exceed n.</param>
    /// <param name="metric">What closest means.</param>
    /// <param name="ids">m x k, overwritten with row indices of <paramref name="data"/>.</param>
    /// <param name="scores">m x k, overwritten with the scores of those rows.</param>
    /// <param name="excludeSelf">Never return row i of <paramref name="data"/> for query i: the neighbours of a set within itself.</param>
    /// <param name="pool">Threads to work on; the result does not depend on their number.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="k"/> is below 1, rows are longer than <see cref="MaxRowBytes"/> or <paramref name="metric"/> is no defined metric.
    /// </exception>
    public static void TopK(
        MatrixView<byte> queries,
        MatrixView<byte> data,
        int k,
        BitMetric metric,
        MatrixView<long> ids,
        MatrixView<float> scores,
        bool excludeSelf = false,
        WorkerPool? pool = null)
    {
        CheckInputs(queries, data, metric);
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        CheckShape(ids.Rows, ids.Columns, queries.Rows, k, nameof(ids));
        CheckShape(scores.Rows, scores.Columns, queries.Rows, k, nameof(scores));
        BitScan scan = new(queries, data, metric, pool ?? WorkerPool.Serial);
        scan.TopK(ids, scores, excludeSelf);
    }

    /// <summary>
    /// All rows of <paramref name="data"/> within <paramref name="radius"/> of each query: at most that distance for Hamming, at least
    /// that similarity for Jaccard.
    /// </summary>
    /// <remarks>
    /// scikit-learn's <c>radius_neighbors</c> includes the radius likewise; FAISS's <c>range_search</c> does not. Memory
    /// grows with the number of rows found.
    /// </remarks>
    /// <param name="queries">m rows of b bytes.</param>
    /// <param name="data">n rows of b bytes.</param>
    /// <param name="radius">The worst score wanted.</param>
    /// <param name="metric">What closeness means.</param>
    /// <param name="excludeSelf">Never return row i of <paramref name="data"/> for query i.</param>
    /// <param name="pool">Threads to work on; the result does not depend on their number.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="radius"/> is not finite, rows are longer than <see cref="MaxRowBytes"/> or <paramref name="metric"/> is no defined
    /// metric.
    /// </exception>
    public static RangeResult Range(
        MatrixView<byte> queries, MatrixView<byte> data, float radius, BitMetric metric, bool excludeSelf = false, WorkerPool? pool = null)
    {
        CheckInputs(queries, data, metric);
        if (!float.IsFinite(radius))
            throw new ArgumentOutOfRangeException(nameof(radius), radius, "The radius must be finite.");
        BitScan scan = new(queries, data, metric, pool ?? WorkerPool.Serial);
        return scan.Range(radius, excludeSelf);
    }

    /// <summary>The k closest rows of <paramref name="data"/> to each query, for rows of <paramref name="rowBytes"/> bytes without gaps.</summary>
    /// <param name="queries">m * rowBytes bytes.</param>
    /// <param name="data">n * rowBytes bytes.</param>
    /// <param name="rowBytes">Bytes per row, at least 1.</param>
    /// <param name="k">Rows wanted per query, at least 1; may exceed n.</param>
    /// <param name="metric">What closest means.</param>
    /// <param name="ids">m * k row indices, overwritten, k for each query in turn.</param>
    /// <param name="scores">m * k scores, overwritten.</param>
    /// <param name="excludeSelf">Never return row i of <paramref name="data"/> for query i.</param>
    /// <param name="pool">Threads to work on; the result does not depend on their number.</param>
    /// <inheritdoc cref="TopK(MatrixView{byte}, MatrixView{byte}, int, BitMetric, MatrixView{long}, MatrixView{float}, bool, WorkerPool?)" path="/remarks"/>
    /// <exception cref="ArgumentException">A length does not fit the others.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="rowBytes"/> is not in 1..<see cref="MaxRowBytes"/>, <paramref name="k"/> is below 1 or <paramref name="metric"/> is no
    /// defined metric.
    /// </exception>
    public static void TopK(
        ReadOnlySpan<byte> queries,
        ReadOnlySpan<byte> data,
        int rowBytes,
        int k,
        BitMetric metric,
        Span<long> ids,
        Span<float> scores,
        bool excludeSelf = false,
        WorkerPool? pool = null)
    {
        int m = RowCount(queries.Length, rowBytes, nameof(queries));
        int n = RowCount(data.Length, rowBytes, nameof(data));
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        CheckLength(ids.Length, (long)m * k, nameof(ids));
        CheckLength(scores.Length, (long)m * k, nameof(scores));
        fixed (byte* q = queries, x = data)
        fixed (long* i = ids)
        fixed (float* s = scores)
            TopK(new(q, m, rowBytes), new(x, n, rowBytes), k, metric, new(i, m, k), new(s, m, k), excludeSelf, pool);
    }

    private static void CheckInputs(MatrixView<byte> queries, MatrixView<byte> data, BitMetric metric)
    {
        if (queries.Columns != data.Columns)
            throw new ArgumentException($"The data has rows of {data.Columns} bytes and the queries have {queries.Columns}.", nameof(data));
        if (data.Columns > MaxRowBytes)
            throw new ArgumentOutOfRangeException(nameof(data), data.Columns, $"A row may have {MaxRowBytes} bytes.");
        if (!Enum.IsDefined(metric))
            throw new ArgumentOutOfRangeException(nameof(metric), metric, "Not a metric of bits.");
    }

    private static void CheckShape(nint rows, nint columns, nint wantedRows, nint wantedColumns, string name)
    {
        if (rows != wantedRows || columns != wantedColumns)
            throw new ArgumentException($"The shape must be {wantedRows} x {wantedColumns} and is {rows} x {columns}.", name);
    }

    private static int RowCount(int length, int rowBytes, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rowBytes, 1);
        if (length % rowBytes != 0)
            throw new ArgumentException($"The length {length} is no multiple of the {rowBytes} bytes of a row.", name);
        return length / rowBytes;
    }

    private static void CheckLength(int length, long wanted, string name)
    {
        if (length != wanted)
            throw new ArgumentException($"The length must be {wanted} and is {length}.", name);
    }
}
