using System.Numerics;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>How few queries pass over the data: row by row as it comes from memory.</summary>
internal static unsafe class SearchStream
{
    /// <summary>
    /// Up to here the streaming loops are faster than the tile, whose work is the same for one query as for a vector of
    /// them.
    /// </summary>
    public const int MostQueries = 5;

    // Bytes of rows whose sums are taken at one go: the second query finds them in L2.
    private const nint BlockBytes = 256 << 10;

    /// <summary>Rows whose sums are taken at one go, a multiple of 4.</summary>
    public const int MostBlockRows = 2048;

    public static int BlockRows(in RowsView data) => (int)Math.Clamp(BlockBytes / Math.Max(data.StrideBytes, 1) / 4 * 4, 16, MostBlockRows);

    /// <summary>Rows that a worker takes at a time: about 1 MiB, less where there would be too few parts.</summary>
    public static nint Grain(in RowsView data, int threads)
    {
        nint block = BlockRows(data);
        nint grain = Math.Min((1 << 20) / Math.Max(data.StrideBytes, 1), data.Rows / (8 * threads));
        return Math.Max(grain / block, 1) * block;
    }

    /// <summary>
    /// For each query the scale of its scores' errors (NaN where single precision cannot carry it), and the threshold that
    /// a radius sets.
    /// </summary>
    public static void Prepare<TWide>(in SearchProblem search, nint first, nint count, float error, float* factors, float* thresholds)
        where TWide : unmanaged, IWide<TWide>
    {
        for (nint i = 0; i < count; i++)
        {
            float norm = QueryNorm<TWide>(search.Metric, search.Queries.Row(first + i), search.Queries.Columns);
            float radius = search.Radius ?? 0;
            (factors[i], float v) = search.Metric switch
            {
                SimilarityMetric.Dot => (error * MathF.Max(norm, SafeRange.SmallestNorm), radius), // NaN stays
                SimilarityMetric.Cosine => (error * norm, radius * norm),
                SimilarityMetric.SquaredEuclidean => (error, -radius),
                _ => (error, -(radius * radius)),
            };
            thresholds[i] = v - (MathF.Abs(v) * 1e-6f) - CandidateList.Slack;
        }
    }

    /// <summary>
    /// Turns squared norms into the factor of each row's products and, in place, the scale of its error: 1 and the norm for dot
    /// products, 1/norm and 1 for cosines; NaN for rows that single precision cannot carry. They lose every comparison, and
    /// the callers score them one by one in double precision.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scales<TWide>(SimilarityMetric metric, int count, float* scales, float* norms)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide largest = TWide.Broadcast(SafeRange.LargestSquare), smallest = TWide.Broadcast(SafeRange.SmallestSquare);
        TWide one = TWide.Broadcast(1f), none = TWide.Broadcast(float.NaN);
        bool cosine = metric == SimilarityMetric.Cosine;
        for (int i = 0; i < count; i += TWide.Lanes)
        {
            TWide square = TWide.Load(norms + i);
            TWide norm = TWide.SelectLess(largest, square, none, TWide.Sqrt(square));
            norm = cosine ? TWide.SelectLess(square, smallest, none, norm) : TWide.Max(TWide.Broadcast(SafeRange.SmallestNorm), norm); // NaN stays
            TWide unit = TWide.MultiplyAdd(norm, TWide.Zero, one);
            TWide.Store(scales + i, cosine ? one / norm : unit);
            TWide.Store(norms + i, cosine ? unit : norm);
        }
    }

    /// <summary>A query's norm, or NaN where single precision cannot carry it: all its scores are then computed exactly.</summary>
    public static float QueryNorm<TWide>(SimilarityMetric metric, float* query, nint dimension)
        where TWide : unmanaged, IWide<TWide>
    {
        float square = RowKernels.SquaredNorm<TWide>(query, dimension);
        bool safe = square <= SafeRange.LargestSquare && !(metric == SimilarityMetric.Cosine && square < SafeRange.SmallestSquare);
        return safe ? MathF.Sqrt(square) : float.NaN;
    }
}

/// <summary>
/// A search of few queries: each worker takes ranges of rows and bounds each sum's error by the norms of the pair
/// (products) or by the sum itself (squared differences).
/// </summary>
/// <param name="search">The search.</param>
/// <param name="lists">Lists for each worker.</param>
/// <param name="workers">The workers' own memory.</param>
/// <param name="factors">For each query what its rows' error scales are multiplied by.</param>
/// <param name="bytes">The queries as integers, if the data are bytes that go that way; else none.</param>
/// <param name="knownNorms">The norms of the data's rows, or null.</param>
/// <param name="queries">Queries of this run.</param>
internal readonly unsafe struct SearchStreamBody<TWide>(
    SearchProblem* search, SearchLists lists, SearchWorker* workers, float* factors, SearchBytes<TWide> bytes, float* knownNorms, nint queries) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    private readonly SearchLists _lists = lists;
    private readonly SearchBytes<TWide> _bytes = bytes;

    public void Invoke(int worker, nint start, nint end)
    {
        RangeAction action = new(this, worker, start, end);
        RowsView data = search->Data;
        if (_bytes.Count > 0)
        {
            action.RunBytes();
            return;
        }

        bool inPlace = data.Type == ElementType.Float32 || (data.Columns % TWide.Lanes == 0 && !(data.Scales is not null && search->Scorer.IsDistance));
        if (inPlace)
            RowElements.Dispatch(data.Type, ref action);
        else
            action.RunCopied();
    }

    private readonly struct RangeAction(SearchStreamBody<TWide> body, int worker, nint start, nint end) : IRowElementAction
    {
        private readonly SearchStreamBody<TWide> _body = body;

        public void Run<TElement>()
            where TElement : struct, IRowElement
        {
            RowsView data = _body.Data;
            int block = SearchStream.BlockRows(data);
            for (nint row = start; row < end; row += block)
                _body.Block<TElement>(worker, data.Row(row), data.StrideBytes, row, (int)Math.Min(block, end - row), data.Scales);
        }

        public void RunBytes()
        {
            RowsView data = _body.Data;
            int block = SearchStream.BlockRows(data);
            for (nint row = start; row < end; row += block)
            {
                int count = (int)Math.Min(block, end - row);
                if (data.Type == ElementType.Int8)
                    _body.Bytes<sbyte>(worker, row, count);
                else
                    _body.Bytes<byte>(worker, row, count);
            }
        }

        /// <summary>Rows whose ends do not fill a vector, or whose differences need their scale, are turned into floats first.</summary>
        public void RunCopied()
        {
            RowsView data = _body.Data;
            int block = Math.Min(SearchStream.BlockRows(data), 64);
            bool scaled = _body.IsDistance;
            using Scratch<float> copy = new(block * data.Columns);
            for (nint row = start; row < end; row += block)
            {
                nint count = Math.Min(block, end - row);
                RowElements.ToFloats<TWide>(data, row, count, null, scaled, copy.Pointer);
                _body.Block<Float32Element>(worker, (byte*)copy.Pointer, data.Columns * sizeof(float), row, (int)count, scaled ? null : data.Scales);
            }
        }
    }

    private RowsView Data => search->Data;

    private bool IsDistance => search->Scorer.IsDistance;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Block<TElement>(int worker, byte* rows, nint stride, nint row, int count, float* rowScales)
        where TElement : struct, IRowElement
    {
        float* sums = stackalloc float[SearchStream.MostBlockRows + TWide.Lanes];
        float* scales = stackalloc float[SearchStream.MostBlockRows + TWide.Lanes];
        float* norms = stackalloc float[SearchStream.MostBlockRows + TWide.Lanes];
        bool distance = search->Scorer.IsDistance;
        nint dimension = search->Data.Columns;
        for (nint q = 0; q < queries; q++)
        {
            float* query = search->Queries.Row(_lists.FirstQuery + q);
            if (distance)
                RowKernels.Many<TWide, TElement, SquaredDifferenceSum, No>(query, rows, stride, count, dimension, sums, norms);
            else if (q == 0 && knownNorms is null)
                RowKernels.Many<TWide, TElement, ProductSum, Yes>(query, rows, stride, count, dimension, sums, norms);
            else
                RowKernels.Many<TWide, TElement, ProductSum, No>(query, rows, stride, count, dimension, sums, norms);
            if (q == 0 && !distance && knownNorms is not null)
                RowKernels.Square<TWide>(knownNorms + row, count, norms);
            if (q == 0 && !distance)
                Scale(rowScales is null ? null : rowScales + row, count, scales, norms);
            Compare(worker, q, factors[q], distance, row, count, sums, scales, norms);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Bytes<TByte>(int worker, nint row, int count)
        where TByte : unmanaged
    {
        float* scores = stackalloc float[SearchStream.MostBlockRows + 16]; // a group of four may reach past the last row
        float* ones = stackalloc float[SearchStream.MostBlockRows + 16];
        float* widths = stackalloc float[SearchStream.MostBlockRows + 16];
        new Span<float>(ones, count).Fill(1f);
        for (nint q = 0; q < queries; q++)
        {
            if (search->Metric == SimilarityMetric.Dot)
                _bytes.Scores<TByte, No>(*search, _lists.FirstQuery, q, factors[q], row, count, scores, widths);
            else
                _bytes.Scores<TByte, Yes>(*search, _lists.FirstQuery, q, factors[q], row, count, scores, widths);
            Compare(worker, q, 1f, false, row, count, scores, ones, widths);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Scale(float* rowScales, int count, float* scales, float* norms)
    {
        for (int i = 0; rowScales is not null && i < count; i++)
            norms[i] *= rowScales[i] * rowScales[i];
        SearchStream.Scales<TWide>(search->Metric, count, scales, norms);
        for (int i = 0; rowScales is not null && i < count; i++)
            scales[i] *= rowScales[i];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Compare(int worker, nint query, float factor, bool distance, nint row, int count, float* sums, float* scales, float* norms)
    {
        CandidateList* list = _lists.List(worker, query);
        ref float shared = ref _lists.Shared[query];
        if (_lists.Workers > 1)
            list->Raise(Volatile.Read(ref shared));
        TWide wideFactor = TWide.Broadcast(factor), threshold = TWide.Broadcast(list->Threshold);
        for (int i = 0; i < count; i += TWide.Lanes)
        {
            TWide sum = TWide.Load(sums + i);
            TWide upper = distance
                ? TWide.MultiplyAdd(wideFactor, sum, TWide.Zero - sum)
                : TWide.MultiplyAdd(wideFactor, TWide.Load(norms + i), sum * TWide.Load(scales + i));

            // What is not surely refused: NaN has to be looked at, for such rows are scored exactly.
            uint passed = ~TWide.GreaterThan(threshold, upper) & (count - i < TWide.Lanes ? (1u << (count - i)) - 1 : (uint)((1ul << TWide.Lanes) - 1));
            if (passed != 0)
                threshold = TWide.Broadcast(Pass(list, workers + worker, passed, factor, distance, row, i, sums, scales, norms));
        }

        if (list->Threshold > Volatile.Read(ref shared))
            Volatile.Write(ref shared, list->Threshold);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private float Pass(CandidateList* list, SearchWorker* worker, uint passed, float factor, bool distance, nint row, int i, float* sums, float* scales, float* norms)
    {
        for (; passed != 0; passed &= passed - 1)
        {
            int place = i + BitOperations.TrailingZeroCount(passed);
            float score = distance ? -sums[place] : sums[place] * scales[place];
            float width = factor * (distance ? sums[place] : norms[place]);
            if (float.IsFinite(score + width))
                list->Add(*search, worker, row + place, score - width, score + width);
            else
                list->AddExact(*search, worker, row + place);
        }

        return list->Threshold;
    }
}
