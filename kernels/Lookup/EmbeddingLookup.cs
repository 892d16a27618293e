using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Embedding look-up: rows of a table by their numbers (<c>Gather</c>), and reductions over bags of rows (<c>Bag</c>), for
/// fp32 tables of any size. Safe to call from many threads at once on tables that nobody writes; nothing is allocated.
/// </summary>
/// <remarks>
/// <para>Gather, for n indices: <c>destination[i, :] = table[indices[i], :]</c>, or zeros where indices[i] is the padding index.
/// It is torch.nn.functional.embedding (numpy.take along axis 0) with this difference: torch's padding_idx acts on gradients
/// only and relies on a padding row of zeros in the table; here the row's content does not matter.</para>
/// <para>Bag, for the rows that bag b holds, <c>B = { table[indices[i], :] : offsets[b] &lt;= i &lt; offsets[b+1], indices[i] is not
/// the padding index }</c>: <c>destination[b, :] = sum(B)</c>, <c>sum(B) / |B|</c> or <c>max(B)</c> by column, and zeros where B is
/// empty. The last bag ends with the indices, unless includeLastOffset says that offsets holds its end as one more element.
/// It is torch.nn.EmbeddingBag: mode to <c>mode</c>, padding_idx to <c>paddingIndex</c> (a negative one, which torch counts from
/// the end, is refused), include_last_offset to <c>includeLastOffset</c>. Indices after the last offset belong to no bag, as in
/// torch's sum.</para>
/// <para>Accuracy: a sum adds the rows of a bag one after the other, in single precision and in the order of the indices, so for
/// n rows its error is at most (n - 1) 2^-24 (1 + n 2^-24) times the sum of the absolute values; a mean has one more rounding.
/// The result has the same bits at every instruction-set level and with any number of threads, but for the payload of NaNs.
/// NaN and infinities go through sum and mean as IEEE addition has it. A maximum is NaN where any row of the bag is NaN
/// (torch.amax's rule; torch.nn.EmbeddingBag's CPU loop keeps a NaN only from a bag's first row); of +0 and -0 the later
/// one comes out.</para>
/// <para>Before anything is written all arguments are checked: indices in 0..Rows-1 (padding entries included), offsets from 0
/// without a decrease to at most the number of indices, a destination of the right shape that overlaps neither the table nor
/// the indices nor the offsets. Overlap goes by the memory from the first to the last element, so interleaved views of one
/// buffer are refused, too. Nobody may change indices or offsets during a call.</para>
/// </remarks>
public static unsafe partial class EmbeddingLookup
{
    /// <summary>Copies row <c>indices[i]</c> of the table to row i of the destination. The class's remarks give the formula and rules.</summary>
    /// <param name="table">The rows to choose from.</param>
    /// <param name="indices">Row numbers.</param>
    /// <param name="destination">As many rows as there are indices, as many columns as the table has.</param>
    /// <param name="paddingIndex">The row number that stands for a row of zeros; null for none.</param>
    /// <param name="pool">Threads to work with; null for the caller's alone.</param>
    /// <exception cref="ArgumentOutOfRangeException">An index or <paramref name="paddingIndex"/> is no row of the table.</exception>
    /// <exception cref="ArgumentException">The destination has another shape, or overlaps the table or the indices.</exception>
    public static void Gather(
        MatrixView<float> table, ReadOnlySpan<int> indices, MatrixView<float> destination, long? paddingIndex = null, WorkerPool? pool = null) =>
        GatherRows(table, indices, destination, paddingIndex, pool);

    /// <inheritdoc cref="Gather(MatrixView{float}, ReadOnlySpan{int}, MatrixView{float}, long?, WorkerPool?)"/>
    public static void Gather(
        MatrixView<float> table, ReadOnlySpan<long> indices, MatrixView<float> destination, long? paddingIndex = null, WorkerPool? pool = null) =>
        GatherRows(table, indices, destination, paddingIndex, pool);

    /// <summary>Copies row <c>indices[i]</c> of the table to row i of the destination, both without gaps between rows.</summary>
    /// <param name="table">Rows of <paramref name="dimension"/> elements one after the other.</param>
    /// <param name="dimension">Elements per row, at least 1.</param>
    /// <param name="indices">Row numbers.</param>
    /// <param name="destination">Room for exactly <paramref name="dimension"/> elements per index.</param>
    /// <param name="paddingIndex">The row number that stands for a row of zeros; null for none.</param>
    /// <param name="pool">Threads to work with; null for the caller's alone.</param>
    /// <exception cref="ArgumentOutOfRangeException">An index or <paramref name="paddingIndex"/> is no row of the table, or <paramref name="dimension"/> is below 1.</exception>
    /// <exception cref="ArgumentException">A length is not that of whole rows, or the destination overlaps the table or the indices.</exception>
    public static void Gather(
        ReadOnlySpan<float> table, int dimension, ReadOnlySpan<int> indices, Span<float> destination, long? paddingIndex = null, WorkerPool? pool = null) =>
        GatherSpans(table, dimension, indices, destination, paddingIndex, pool);

    /// <inheritdoc cref="Gather(ReadOnlySpan{float}, int, ReadOnlySpan{int}, Span{float}, long?, WorkerPool?)"/>
    public static void Gather(
        ReadOnlySpan<float> table, int dimension, ReadOnlySpan<long> indices, Span<float> destination, long? paddingIndex = null, WorkerPool? pool = null) =>
        GatherSpans(table, dimension, indices, destination, paddingIndex, pool);

    /// <summary>Reduces bags of rows to a row each. The class's remarks give the formula and rules.</summary>
    /// <param name="table">The rows to choose from.</param>
    /// <param name="indices">Row numbers, bag after bag.</param>
    /// <param name="offsets">Where each bag begins in <paramref name="indices"/>; with <paramref name="includeLastOffset"/> also where the last one ends.</param>
    /// <param name="mode">What becomes of the rows of a bag.</param>
    /// <param name="destination">As many rows as there are bags, as many columns as the table has.</param>
    /// <param name="paddingIndex">The row number of entries that do not count; null for none.</param>
    /// <param name="includeLastOffset">Whether <paramref name="offsets"/> has one element more than there are bags.</param>
    /// <param name="pool">Threads to work with; null for the caller's alone.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// An index or <paramref name="paddingIndex"/> is no row of the table, an offset is not in 0..indices.Length or below the one
    /// before it, the first offset is not 0, or <paramref name="mode"/> is no mode.
    /// </exception>
    /// <exception cref="ArgumentException">
    /// The destination has another shape, or overlaps the table, the indices or the offsets; or <paramref name="offsets"/> is
    /// empty though <paramref name="includeLastOffset"/> asks for an element.
    /// </exception>
    public static void Bag(
        MatrixView<float> table, ReadOnlySpan<int> indices, ReadOnlySpan<int> offsets, BagMode mode, MatrixView<float> destination,
        long? paddingIndex = null, bool includeLastOffset = false, WorkerPool? pool = null) =>
        ReduceBags(table, indices, offsets, mode, destination, paddingIndex, includeLastOffset, pool);

    /// <inheritdoc cref="Bag(MatrixView{float}, ReadOnlySpan{int}, ReadOnlySpan{int}, BagMode, MatrixView{float}, long?, bool, WorkerPool?)"/>
    public static void Bag(
        MatrixView<float> table, ReadOnlySpan<long> indices, ReadOnlySpan<long> offsets, BagMode mode, MatrixView<float> destination,
        long? paddingIndex = null, bool includeLastOffset = false, WorkerPool? pool = null) =>
        ReduceBags(table, indices, offsets, mode, destination, paddingIndex, includeLastOffset, pool);

    /// <summary>Reduces bags of rows to a row each, with no gaps between rows of the table or the destination.</summary>
    /// <param name="table">Rows of <paramref name="dimension"/> elements one after the other.</param>
    /// <param name="dimension">Elements per row, at least 1.</param>
    /// <param name="indices">Row numbers, bag after bag.</param>
    /// <param name="offsets">Where each bag begins in <paramref name="indices"/>; with <paramref name="includeLastOffset"/> also where the last one ends.</param>
    /// <param name="mode">What becomes of the rows of a bag.</param>
    /// <param name="destination">Room for exactly <paramref name="dimension"/> elements per bag.</param>
    /// <param name="paddingIndex">The row number of entries that do not count; null for none.</param>
    /// <param name="includeLastOffset">Whether <paramref name="offsets"/> has one element more than there are bags.</param>
    /// <param name="pool">Threads to work with; null for the caller's alone.</param>
    /// <exception cref="ArgumentOutOfRangeException">As for the overload on views, or <paramref name="dimension"/> is below 1.</exception>
    /// <exception cref="ArgumentException">As for the overload on views, or a length is not that of whole rows.</exception>
    public static void Bag(
        ReadOnlySpan<float> table, int dimension, ReadOnlySpan<int> indices, ReadOnlySpan<int> offsets, BagMode mode, Span<float> destination,
        long? paddingIndex = null, bool includeLastOffset = false, WorkerPool? pool = null) =>
        BagSpans(table, dimension, indices, offsets, mode, destination, paddingIndex, includeLastOffset, pool);

    /// <inheritdoc cref="Bag(ReadOnlySpan{float}, int, ReadOnlySpan{int}, ReadOnlySpan{int}, BagMode, Span{float}, long?, bool, WorkerPool?)"/>
    public static void Bag(
        ReadOnlySpan<float> table, int dimension, ReadOnlySpan<long> indices, ReadOnlySpan<long> offsets, BagMode mode, Span<float> destination,
        long? paddingIndex = null, bool includeLastOffset = false, WorkerPool? pool = null) =>
        BagSpans(table, dimension, indices, offsets, mode, destination, paddingIndex, includeLastOffset, pool);

    /// <summary>
    /// Gather with a given plan, and with stores past the caches or not; without them, by the sizes of table and destination.
    /// A destination that the last-level cache cannot hold is written 1.3 times faster past it (256-byte rows from 1 GiB).
    /// </summary>
    internal static void GatherRows<TIndex>(
        MatrixView<float> table,
        ReadOnlySpan<TIndex> indices,
        MatrixView<float> destination,
        long? paddingIndex,
        WorkerPool? pool,
        PrefetchPlan? plan = null,
        bool? streaming = null)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        nint padding = CheckPadding(paddingIndex, table.Rows);
        if (destination.Rows != indices.Length)
            ThrowShape(nameof(destination), "rows", destination.Rows, $"there are {indices.Length} indices");
        CheckColumns(table, destination);
        CheckOverlap(table, destination);
        CheckOverlap(indices, destination, nameof(indices));
        CheckIndices(indices, table.Rows);
        if (indices.IsEmpty || table.Columns == 0)
            return;

        fixed (TIndex* index = indices)
        {
            GatherAction<TIndex> action = new(
                new(table, index, destination, padding, plan ?? PrefetchPlan.For(Extent(table), table.Columns * sizeof(float)),
                    streaming ?? Extent(destination) >= CacheSizes.L3),
                pool ?? WorkerPool.Serial);
            Isa.Dispatch(ref action);
        }
    }

    /// <summary>Bag with a given plan; without one, the plan for the table's size.</summary>
    internal static void ReduceBags<TIndex>(
        MatrixView<float> table,
        ReadOnlySpan<TIndex> indices,
        ReadOnlySpan<TIndex> offsets,
        BagMode mode,
        MatrixView<float> destination,
        long? paddingIndex,
        bool includeLastOffset,
        WorkerPool? pool,
        PrefetchPlan? plan = null)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        if (mode is not (BagMode.Sum or BagMode.Mean or BagMode.Max))
            throw new ArgumentOutOfRangeException(nameof(mode), mode, "Not a bag mode.");
        nint padding = CheckPadding(paddingIndex, table.Rows);
        int bags = Bags(offsets, includeLastOffset);
        if (destination.Rows != bags)
            ThrowShape(nameof(destination), "rows", destination.Rows, $"there are {bags} bags");
        CheckColumns(table, destination);
        CheckOverlap(table, destination);
        CheckOverlap(indices, destination, nameof(indices));
        CheckOverlap(offsets, destination, nameof(offsets));
        CheckOffsets(offsets, indices.Length);
        CheckIndices(indices, table.Rows);
        if (bags == 0 || table.Columns == 0)
            return;

        fixed (TIndex* index = indices, offset = offsets)
        {
            BagAction<TIndex> action = new(
                new(table, index, indices.Length, offset, offsets.Length, mode, destination, padding,
                    plan ?? PrefetchPlan.For(Extent(table), table.Columns * sizeof(float))),
                pool ?? WorkerPool.Serial);
            Isa.Dispatch(ref action);
        }
    }

    private static void GatherSpans<TIndex>(
        ReadOnlySpan<float> table, int dimension, ReadOnlySpan<TIndex> indices, Span<float> destination, long? paddingIndex, WorkerPool? pool)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        CheckSpans(table, dimension, destination, indices.Length, "indices");
        fixed (float* source = table, target = destination)
            GatherRows(new(source, table.Length / dimension, dimension), indices, new(target, indices.Length, dimension), paddingIndex, pool);
    }

    private static void BagSpans<TIndex>(
        ReadOnlySpan<float> table, int dimension, ReadOnlySpan<TIndex> indices, ReadOnlySpan<TIndex> offsets, BagMode mode,
        Span<float> destination, long? paddingIndex, bool includeLastOffset, WorkerPool? pool)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        int bags = Bags(offsets, includeLastOffset);
        CheckSpans(table, dimension, destination, bags, "bags");
        fixed (float* source = table, target = destination)
        {
            ReduceBags(
                new(source, table.Length / dimension, dimension), indices, offsets, mode, new(target, bags, dimension),
                paddingIndex, includeLastOffset, pool);
        }
    }

    private static void CheckSpans(ReadOnlySpan<float> table, int dimension, ReadOnlySpan<float> destination, int rows, string what)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(dimension, 1);
        if (table.Length % dimension != 0)
            throw new ArgumentException($"The table has {table.Length} elements, which is no whole number of rows of {dimension}.", nameof(table));
        if (destination.Length != (long)rows * dimension)
        {
            throw new ArgumentException(
                $"The destination has {destination.Length} elements, but {rows} {what} of {dimension} columns need {(long)rows * dimension}.",
                nameof(destination));
        }
    }

    private static int Bags<TIndex>(ReadOnlySpan<TIndex> offsets, bool includeLastOffset)
    {
        if (includeLastOffset && offsets.IsEmpty)
            throw new ArgumentException("With includeLastOffset there must be at least 1 offset, and there are 0.", nameof(offsets));
        return includeLastOffset ? offsets.Length - 1 : offsets.Length;
    }

    /// <summary>Bytes from the first element to the end of the last.</summary>
    private static nint Extent(MatrixView<float> view) =>
        view.Rows == 0 || view.Columns == 0 ? 0 : (((view.Rows - 1) * view.Stride) + view.Columns) * sizeof(float);

    /// <summary>The padding index, or -1, which no checked index equals.</summary>
    private static nint CheckPadding(long? paddingIndex, nint rows)
    {
        if (paddingIndex is not { } padding)
            return -1;
        if (padding < 0 || padding >= rows)
            throw new ArgumentOutOfRangeException(nameof(paddingIndex), padding, $"The padding index must be a row of the table, which has {rows}.");
        return (nint)padding;
    }

    private static void CheckColumns(MatrixView<float> table, MatrixView<float> destination)
    {
        if (destination.Columns != table.Columns)
            ThrowShape(nameof(destination), "columns", destination.Columns, $"the table has {table.Columns}");
    }

    private static void CheckOverlap(MatrixView<float> table, MatrixView<float> destination)
    {
        if (Overlap(table.Data, Extent(table), destination.Data, Extent(destination)))
            throw new ArgumentException("The destination overlaps the table.", nameof(destination));
    }

    // An index overwritten after the check would read outside the table.
    private static void CheckOverlap<TIndex>(ReadOnlySpan<TIndex> values, MatrixView<float> destination, string name)
        where TIndex : unmanaged
    {
        fixed (TIndex* first = values)
        {
            if (Overlap(first, (nint)values.Length * sizeof(TIndex), destination.Data, Extent(destination)))
                throw new ArgumentException($"The destination overlaps the {name}.", nameof(destination));
        }
    }

    private static bool Overlap(void* a, nint aBytes, void* b, nint bBytes) =>
        aBytes > 0 && bBytes > 0 && (byte*)a < (byte*)b + bBytes && (byte*)b < (byte*)a + aBytes;

    private static void CheckIndices<TIndex>(ReadOnlySpan<TIndex> indices, nint rows)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        TIndex last = TIndex.CreateSaturating(rows - 1);
        if (AllWithin(indices, last))
            return;

        for (int i = 0; i < indices.Length; i++)
        {
            if (indices[i] < TIndex.Zero || indices[i] > last)
                ThrowElement(nameof(indices), i, indices[i], $"the table has {rows} rows");
        }
    }

    private static void CheckOffsets<TIndex>(ReadOnlySpan<TIndex> offsets, int indexCount)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        if (!offsets.IsEmpty && offsets[0] != TIndex.Zero)
            ThrowElement(nameof(offsets), 0, offsets[0], "the first bag must begin at 0");
        TIndex last = TIndex.CreateSaturating(indexCount);
        if (AllWithin(offsets, last) && Ascending(offsets))
            return;

        for (int i = 0; i < offsets.Length; i++)
        {
            if (offsets[i] < TIndex.Zero || offsets[i] > last)
                ThrowElement(nameof(offsets), i, offsets[i], $"there are {indexCount} indices");
            if (i > 0 && offsets[i] < offsets[i - 1])
                ThrowElement(nameof(offsets), i, offsets[i], $"the offset before it is {offsets[i - 1]}");
        }
    }

    /// <summary>Whether all values lie in 0..<paramref name="last"/>. A vector at a time: it must cost nothing beside the rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static bool AllWithin<TIndex>(ReadOnlySpan<TIndex> values, TIndex last)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        fixed (TIndex* first = values)
        {
            // The sign of v | (last - v) is set for v < 0 and for v > last. The difference overflows for negative v only,
            // whose own sign is set.
            Vector<TIndex> limit = new(last);
            Vector<TIndex> bad0 = Vector<TIndex>.Zero;
            Vector<TIndex> bad1 = Vector<TIndex>.Zero;
            int lanes = Vector<TIndex>.Count;
            int i = 0;
            for (; i <= values.Length - (2 * lanes); i += 2 * lanes)
            {
                Vector<TIndex> v0 = Vector.Load(first + i);
                Vector<TIndex> v1 = Vector.Load(first + i + lanes);
                bad0 |= v0 | (limit - v0);
                bad1 |= v1 | (limit - v1);
            }

            TIndex rest = TIndex.Zero;
            for (; i < values.Length; i++)
                rest |= first[i] | (last - first[i]);
            return !TIndex.IsNegative(rest) && !Vector.LessThanAny(bad0 | bad1, Vector<TIndex>.Zero);
        }
    }

    /// <summary>Whether no value is below the one before it, for values of 0 and more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool Ascending<TIndex>(ReadOnlySpan<TIndex> values)
        where TIndex : unmanaged, IBinaryInteger<TIndex>
    {
        fixed (TIndex* first = values)
        {
            Vector<TIndex> bad = Vector<TIndex>.Zero;
            int lanes = Vector<TIndex>.Count;
            int i = 1;
            for (; i <= values.Length - lanes; i += lanes)
                bad |= Vector.Load(first + i) - Vector.Load(first + i - 1);
            TIndex rest = TIndex.Zero;
            for (; i < values.Length; i++)
                rest |= first[i] - first[i - 1];
            return !TIndex.IsNegative(rest) && !Vector.LessThanAny(bad, Vector<TIndex>.Zero);
        }
    }

    [DoesNotReturn]
    private static void ThrowShape(string name, string what, nint value, string wanted) =>
        throw new ArgumentException($"The {name} has {value} {what}, but {wanted}.", name);

    [DoesNotReturn]
    private static void ThrowElement<TIndex>(string name, int position, TIndex value, string reason) =>
        throw new ArgumentOutOfRangeException(name, value, $"{name}[{position}] is {value}, but {reason}.");
}
