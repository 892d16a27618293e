using System.Numerics;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// <see cref="Similarity.Scores(MatrixView{float}, MatrixView{float}, SimilarityMetric, MatrixView{float}, WorkerPool?)"/> at one
/// vector width: few queries row by row, more as one matrix product whose epilogue makes scores of the sums.
/// </summary>
internal readonly unsafe struct ScoresAction(
    MatrixView<float> queries, MatrixView<float> data, SimilarityMetric metric, MatrixView<float> scores, WorkerPool pool) : IWideAction
{
    // Copies with the centre taken off, of as many rows at a time.
    private const nint CopyBytes = 8 << 20;

    private readonly MatrixView<float> _queries = queries;
    private readonly MatrixView<float> _data = data;
    private readonly MatrixView<float> _scores = scores;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        if (_queries.Rows <= SearchStream.MostQueries)
        {
            ScoresStreamBody<TWide> body = new(_queries, _data, metric, _scores);
            pool.For(_data.Rows, SearchStream.Grain(_data, pool.Threads), ref body);
        }
        else if (!metric.IsDistance())
        {
            using Scratch<float> norms = new(_queries.Rows + _data.Rows);
            MatrixView<float> none = default;
            Product<TWide>(_queries, _data, _queries, _data, none, norms.Pointer);
        }
        else
        {
            Distances<TWide>();
        }
    }

    private void Distances<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        nint depth = _data.Columns;
        nint step = Math.Max(CopyBytes / (sizeof(float) * Math.Max(depth, 1)), 96);
        nint batch = Math.Min(step, _queries.Rows), part = Math.Min(step, _data.Rows);
        using Scratch<float> centre = new(depth);
        using Scratch<float> queryCopies = new(batch * depth);
        using Scratch<float> dataCopies = new(part * depth);
        using Scratch<float> norms = new(batch + part);
        Centre.Find<TWide>(_data, centre.Pointer);
        for (nint first = 0; first < _queries.Rows; first += batch)
        {
            MatrixView<float> some = _queries.Slice(first, Math.Min(batch, _queries.Rows - first));
            MatrixView<float> a = Copy<TWide>(some, centre.Pointer, queryCopies.Pointer);
            for (nint start = 0; start < _data.Rows; start += part)
            {
                MatrixView<float> rows = _data.Slice(start, Math.Min(part, _data.Rows - start));
                MatrixView<float> b = Copy<TWide>(rows, centre.Pointer, dataCopies.Pointer);
                Product<TWide>(some, rows, a, b, new(_scores.Row(first) + start, some.Rows, rows.Rows, _scores.Stride), norms.Pointer);
            }
        }
    }

    private MatrixView<float> Copy<TWide>(MatrixView<float> rows, float* centre, float* target)
        where TWide : unmanaged, IWide<TWide>
    {
        CopyBody<TWide> body = new(rows, centre, target);
        pool.For(rows.Rows, 256, ref body);
        return new(target, rows.Rows, rows.Columns);
    }

    private void Product<TWide>(
        MatrixView<float> queries, MatrixView<float> data, MatrixView<float> a, MatrixView<float> b, MatrixView<float> target, float* norms)
        where TWide : unmanaged, IWide<TWide>
    {
        if (target.Data is null)
            target = _scores;
        TermsBody<TWide> queryTerms = new(a, metric, norms), dataTerms = new(b, metric, norms + a.Rows);
        pool.For(a.Rows, 256, ref queryTerms);
        pool.For(b.Rows, 256, ref dataTerms);
        ScoresStore store = new(queries, data, metric, norms, norms + a.Rows, target, first: true, last: true);
        GemmLoops<TWide, WideTile, ScoresStore>.Run(GemmOperand.OfRows(a), GemmOperand.OfRows(b), store, pool);
    }

    private readonly struct CopyBody<TWide>(MatrixView<float> rows, float* centre, float* target) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        private readonly MatrixView<float> _rows = rows;

        public void Invoke(int worker, nint start, nint end) =>
            RowElements.ToFloats<TWide>(_rows, start, end - start, centre, scaled: false, target + (start * _rows.Columns));
    }

    /// <summary>Each row's term of its scores: squared norm for distances, 1/norm for cosines, 1 for products; NaN where single precision cannot carry it.</summary>
    private readonly struct TermsBody<TWide>(MatrixView<float> rows, SimilarityMetric metric, float* terms) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        private readonly MatrixView<float> _rows = rows;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            if (metric == SimilarityMetric.Dot)
            {
                new Span<float>(terms + start, (int)(end - start)).Fill(1f);
                return;
            }

            float* first = _rows.Row(start);
            RowKernels.Many<TWide, Float32Element, SquareSum, No>(
                first, (byte*)first, _rows.Stride * sizeof(float), end - start, _rows.Columns, terms + start, terms + start);
            for (nint i = start; i < end; i++)
            {
                float square = terms[i];
                bool safe = square <= SafeRange.LargestSquare && !(metric == SimilarityMetric.Cosine && square < SafeRange.SmallestSquare);
                terms[i] = !safe ? float.NaN : metric == SimilarityMetric.Cosine ? 1f / MathF.Sqrt(square) : square;
            }
        }
    }
}

/// <summary>
/// The epilogue of the matrix of scores. Where single precision cannot carry a pair, or where a squared distance is lost in
/// the cancellation of its terms, the pair is scored in double precision.
/// </summary>
internal readonly unsafe struct ScoresStore(
    MatrixView<float> queries, MatrixView<float> data, SimilarityMetric metric, float* rowTerms, float* columnTerms, MatrixView<float> scores, bool first, bool last)
    : IGemmStore<ScoresStore>
{
    /// <summary>
    /// A squared distance below this part of |q'|^2 + |x'|^2 has lost more than 4 bits to cancellation. Nearest neighbours
    /// in real data lie well above; the threshold bounds the relative error of all others.
    /// </summary>
    private const float Cancelled = 1f / 16;

    private readonly ExactScorer _scorer = new(metric, data.Columns, ZeroVectorRule.ScoreZero);
    private readonly MatrixView<float> _queries = queries;
    private readonly MatrixView<float> _data = data;
    private readonly MatrixView<float> _scores = scores;

    public bool FromRegisters => false;

    public ScoresStore ForBlock(bool first, bool last) => new(_queries, _data, metric, rowTerms, columnTerms, _scores, first, last);

    public void Begin<TWide, TShape>(nint row, nint column)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
    }

    public byte* Fetch(nint depth, out nint step)
    {
        step = 0;
        return null;
    }

    public TWide Start<TWide>(int i, int v)
        where TWide : unmanaged, IWide<TWide> => TWide.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide Take<TWide>(int i, int v, TWide sums, TWide picked)
        where TWide : unmanaged, IWide<TWide> => picked;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Finish<TWide, TShape>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        for (int i = 0; i < rows; i++, tile += TShape.Columns<TWide>())
        {
            for (int j = 0; j < columns; j += TWide.Lanes)
            {
                float* target = _scores.Row(row + i) + column + j;
                int lanes = Math.Min(columns - j, TWide.Lanes);
                TWide value = TWide.Load(tile + j);
                if (!first)
                    value += TWide.LoadFirst(target, lanes);
                uint inexact = 0;
                if (last)
                    value = Score(value, rowTerms[row + i], TWide.LoadFirst(columnTerms + column + j, lanes), (uint)((1ul << lanes) - 1), out inexact);
                if (lanes == TWide.Lanes)
                    TWide.Store(target, value);
                else
                    TWide.StoreFirst(target, value, lanes);
                if (inexact != 0)
                    Exact(inexact, target, row + i, column + j);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TWide Score<TWide>(TWide sums, float rowTerm, TWide terms, uint lanes, out uint inexact)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide value = sums;
        inexact = 0;
        if (metric.IsDistance())
        {
            terms += TWide.Broadcast(rowTerm);
            value = TWide.NegatedMultiplyAdd(TWide.Broadcast(2f), value, terms);
            TWide least = TWide.MultiplyAdd(terms, TWide.Broadcast(Cancelled), TWide.Broadcast(SafeRange.SmallestSquare));
            inexact = TWide.GreaterThan(least, value);
            if (metric == SimilarityMetric.Euclidean)
                value = TWide.Sqrt(value);
        }
        else if (metric == SimilarityMetric.Cosine)
        {
            value *= terms * TWide.Broadcast(rowTerm);
        }

        inexact |= ~TWide.GreaterThan(TWide.Broadcast(float.PositiveInfinity), TWide.Abs(value));
        inexact &= lanes;
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private void Exact(uint lanes, float* target, nint row, nint column)
    {
        float* query = _queries.Row(row);
        double term = _scorer.QueryTerm(query);
        for (; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            target[lane] = _scorer.Score(query, term, _data.Row(column + lane), 1);
        }
    }
}

/// <summary>The scores of few queries: each worker takes ranges of data rows and passes over them once.</summary>
internal readonly unsafe struct ScoresStreamBody<TWide>(
    MatrixView<float> queries, MatrixView<float> data, SimilarityMetric metric, MatrixView<float> scores) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    private readonly ExactScorer _scorer = new(metric, data.Columns, ZeroVectorRule.ScoreZero);
    private readonly MatrixView<float> _queries = queries;
    private readonly MatrixView<float> _data = data;
    private readonly MatrixView<float> _scores = scores;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        float* sums = stackalloc float[SearchStream.MostBlockRows];
        float* scales = stackalloc float[SearchStream.MostBlockRows];
        float* norms = stackalloc float[SearchStream.MostBlockRows];
        int block = SearchStream.BlockRows(_data);
        nint stride = _data.Stride * sizeof(float);
        for (nint row = start; row < end; row += block)
        {
            int count = (int)Math.Min(block, end - row);
            byte* rows = (byte*)_data.Row(row);
            for (nint q = 0; q < _queries.Rows; q++)
            {
                float* query = _queries.Row(q);
                if (metric.IsDistance())
                    RowKernels.Many<TWide, Float32Element, SquaredDifferenceSum, No>(query, rows, stride, count, _data.Columns, sums, norms);
                else if (q == 0)
                    RowKernels.Many<TWide, Float32Element, ProductSum, Yes>(query, rows, stride, count, _data.Columns, sums, norms);
                else
                    RowKernels.Many<TWide, Float32Element, ProductSum, No>(query, rows, stride, count, _data.Columns, sums, norms);
                if (q == 0 && !metric.IsDistance())
                    SearchStream.Scales<TWide>(metric, count, scales, norms);
                Write(query, _scores.Row(q) + row, row, count, sums, scales);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Write(float* query, float* target, nint row, int count, float* sums, float* scales)
    {
        float norm = metric.IsDistance() ? 1f : SearchStream.QueryNorm<TWide>(metric, query, _data.Columns);
        float scale = metric == SimilarityMetric.Cosine || float.IsNaN(norm) ? 1f / norm : 1f;
        double term = double.NaN;
        for (int i = 0; i < count; i++)
        {
            float value = metric switch
            {
                SimilarityMetric.SquaredEuclidean => sums[i],
                SimilarityMetric.Euclidean => MathF.Sqrt(sums[i]),
                _ => sums[i] * (scale * scales[i]),
            };
            if (!float.IsFinite(value) || (metric.IsDistance() && sums[i] < SafeRange.SmallestSquare))
            {
                if (double.IsNaN(term))
                    term = _scorer.QueryTerm(query);
                value = _scorer.Score(query, term, _data.Row(row + i), 1);
            }

            target[i] = value;
        }
    }
}
