using System.Numerics;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// <see cref="Similarity.Scores(MatrixView{float}, MatrixView{float}, SimilarityMetric, MatrixView{float}, WorkerPool?)"/> at one
/// vector width.
/// </summary>
internal readonly unsafe struct ScoresAction(
    MatrixView<float> queries, MatrixView<float> data, SimilarityMetric metric, MatrixView<float> scores, WorkerPool pool) : IWideAction
{
    private const nint BatchPackedBytes = 16 << 20;

    private readonly MatrixView<float> _queries = queries;
    private readonly MatrixView<float> _data = data;
    private readonly MatrixView<float> _scores = scores;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        if (_queries.Rows <= SimilarityStream.MostQueries)
        {
            ScoresStreamBody<TWide> body = new(_queries, _data, metric, _scores);
            pool.For(_data.Rows, SimilarityStream.Grain(_data, pool.Threads), ref body);
        }
        else
        {
            Multiply<TWide>();
        }
    }

    private void Multiply<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        nint depth = _data.Columns;
        nint batch = Math.Min(Math.Max(BatchPackedBytes / (sizeof(float) * Math.Max(depth, 1)), GemmBlocking.BlockRows), _queries.Rows);
        using PackedRows<TWide> rows = new(metric, batch, depth, GemmBlocking.TileRows<TWide>(), 1f);
        using PackedRows<TWide> columns = new(
            metric, Math.Min(_data.Rows, PackedRows<TWide>.ColumnsInCache(depth)), depth, GemmBlocking.TileColumns<TWide>(), 1f);
        using Scratch<float> centre = new(depth);
        using Scratch<float> tiles = new(pool.Threads * (nint)GemmBlocking.WorkerFloats);
        if (metric.IsDistance())
            Centre.Find<TWide>(_data, centre.Pointer);

        for (nint first = 0; first < _queries.Rows; first += batch)
        {
            MatrixView<float> some = _queries.Slice(first, Math.Min(batch, _queries.Rows - first));
            rows.Prepare(some, centre.Pointer, pool);
            for (nint start = 0; start < _data.Rows; start += columns.Capacity)
            {
                MatrixView<float> part = _data.Slice(start, Math.Min(columns.Capacity, _data.Rows - start));
                columns.Prepare(part, centre.Pointer, pool);
                MatrixView<float> target = new(_scores.Row(first) + start, some.Rows, part.Rows, _scores.Stride);
                ScoresTiles epilogue = new(some, part, metric, rows.Terms, columns.Terms, target);
                GemmBlocksBody<TWide, ScoresTiles> body = new(
                    rows.Panels, some.Rows, columns.Panels, part.Rows, depth, tiles.Pointer, epilogue, pool.Threads);
                pool.For(body.Count, 1, ref body);
            }
        }
    }
}

/// <summary>
/// The epilogue of the matrix of scores. Where single precision cannot carry a pair, or where a squared distance is lost in
/// the cancellation of its terms, the pair is scored in double precision.
/// </summary>
internal readonly unsafe struct ScoresTiles(
    MatrixView<float> queries, MatrixView<float> data, SimilarityMetric metric, float* rowTerms, float* columnTerms, MatrixView<float> scores)
    : ITileEpilogue
{
    /// <summary>
    /// A squared distance below this part of |q'|^2 + |x'|^2 has lost more than 4 bits to cancellation. Nearest neighbours
    /// in real data lie well above; the threshold bounds the relative error of all others.
    /// </summary>
    public const float Cancelled = 1f / 16;

    private readonly ExactScorer _scorer = new(metric, data.Columns);
    private readonly MatrixView<float> _queries = queries;
    private readonly MatrixView<float> _data = data;
    private readonly MatrixView<float> _scores = scores;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Finish<TWide>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
    {
        for (int i = 0; i < rows; i++, tile += GemmBlocking.TileColumns<TWide>())
        {
            TWide rowTerm = TWide.Broadcast(rowTerms[row + i]);
            for (int j = 0; j < columns; j += TWide.Lanes)
            {
                float* target = _scores.Row(row + i) + column + j;
                int lanes = Math.Min(columns - j, TWide.Lanes);
                TWide terms = rowTerm + TWide.Load(columnTerms + column + j);
                TWide value = TWide.Load(tile + j);
                uint inexact;
                if (metric.IsDistance())
                {
                    value = TWide.NegatedMultiplyAdd(TWide.Broadcast(2f), value, terms);
                    TWide least = TWide.MultiplyAdd(terms, TWide.Broadcast(Cancelled), TWide.Broadcast(Prepared.SmallestSquare));
                    inexact = TWide.GreaterThan(least, value);
                    if (metric == SimilarityMetric.Euclidean)
                        value = TWide.Sqrt(value);
                }
                else
                {
                    value = TWide.MultiplyAdd(TWide.Zero, terms, value); // NaN terms make NaN
                    inexact = 0;
                }

                inexact |= ~TWide.GreaterThan(TWide.Broadcast(float.PositiveInfinity), TWide.Abs(value));
                inexact &= (uint)((1ul << lanes) - 1);
                if (lanes == TWide.Lanes)
                    TWide.Store(target, value);
                else
                    TWide.StoreFirst(target, value, lanes);
                if (inexact != 0)
                    Exact(inexact, target, row + i, column + j);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private void Exact(uint lanes, float* target, nint row, nint column)
    {
        float* query = _queries.Row(row);
        double term = _scorer.QueryTerm(query);
        for (; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            target[lane] = _scorer.Score(query, term, _data.Row(column + lane));
        }
    }
}

/// <summary>The scores of few queries: each worker takes ranges of data rows and passes over them once.</summary>
internal readonly unsafe struct ScoresStreamBody<TWide>(
    MatrixView<float> queries, MatrixView<float> data, SimilarityMetric metric, MatrixView<float> scores) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    private readonly ExactScorer _scorer = new(metric, data.Columns);
    private readonly MatrixView<float> _queries = queries;
    private readonly MatrixView<float> _data = data;
    private readonly MatrixView<float> _scores = scores;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        float* sums = stackalloc float[SimilarityStream.BlockRows];
        float* scales = stackalloc float[SimilarityStream.BlockRows];
        float* norms = stackalloc float[SimilarityStream.BlockRows];
        bool distance = metric.IsDistance();
        for (nint row = start; row < end; row += SimilarityStream.BlockRows)
        {
            int count = (int)Math.Min(SimilarityStream.BlockRows, end - row);
            for (nint q = 0; q < _queries.Rows; q++)
            {
                float* query = _queries.Row(q);
                SimilarityStream.Sums<TWide>(distance, q == 0, query, _data, row, count, sums, norms);
                if (q == 0 && !distance)
                    SimilarityStream.Scales(metric, count, scales, norms);
                Write(query, _scores.Row(q) + row, row, count, sums, scales);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Write(float* query, float* target, nint row, int count, float* sums, float* scales)
    {
        float norm = metric.IsDistance() ? 1f : SimilarityStream.QueryNorm<TWide>(metric, query, _data.Columns);
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
            if (!float.IsFinite(value) || (metric.IsDistance() && sums[i] < Prepared.SmallestSquare))
            {
                if (double.IsNaN(term))
                    term = _scorer.QueryTerm(query);
                value = _scorer.Score(query, term, _data.Row(row + i));
            }

            target[i] = value;
        }
    }
}
