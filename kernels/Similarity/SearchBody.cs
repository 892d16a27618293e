using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>How a block of data is cut for the tile path.</summary>
/// <param name="BlockRows">Rows whose tiles are computed at one go, from L2.</param>
/// <param name="GroupColumns">Queries that meet a block of rows at one go; a multiple of the wide tile.</param>
/// <param name="JobRows">Rows of a job; a multiple of BlockRows.</param>
/// <param name="Copies">
/// Rows are copied to floats without gaps: they are stored otherwise, or are no whole number of floats apart, or have their
/// centre taken off.
/// </param>
/// <param name="WorkerBytes">Scratch memory of each worker.</param>
internal readonly record struct SearchPlan(nint BlockRows, nint GroupColumns, nint JobRows, bool Copies, nint WorkerBytes)
{
    /// <summary>
    /// How far ahead of their use rows are fetched into L2: the time of a few dozen tiles, far longer than memory takes.
    /// </summary>
    public const nint AheadBytes = 96 << 10;

    /// <summary>Rows of the tallest tile.</summary>
    public const int MostTileRows = 12;

    /// <summary>Places past a block's last row in the terms of its rows: a tile's rows, or a vector's lanes.</summary>
    public const int RowTermPadding = 16;

    // A block of rows and a group's packed queries share L2 with the sums between blocks of depth; with few queries the
    // rows' norms are a part of the work, and nearer caches pay (16 queries of 1M x 128: 51 ms against 54).
    private const int ShareOfL2 = 4;
    private const int ShareOfL2ForFew = 8;
    private const int FewQueries = 128;

    private const int MostGroupColumns = 512;

    // Rows of a job: enough that its end costs nothing, few enough that all threads end together.
    private const nint JobFlops = 1 << 25;

    public static SearchPlan Create<TWide>(in RowsView data, nint queries, bool centred, int threads)
        where TWide : unmanaged, IWide<TWide>
    {
        nint depth = Math.Max(data.Columns, 1), blockDepth = Math.Min(depth, GemmBlocking.Depth);
        int share = queries <= FewQueries ? ShareOfL2ForFew : ShareOfL2;
        nint blockRows = Math.Clamp(CacheSizes.L2 / share / (sizeof(float) * depth) / MostTileRows * MostTileRows, MostTileRows, 384);
        nint groups = GemmBlocking.Panels(queries, MostGroupColumns);
        if (threads > 1 && data.Rows < threads * 4 * blockRows)
            groups = Math.Max(groups, 4 * threads); // so few rows that queries have to be shared out
        int wide = WideTile.Columns<TWide>();
        nint group = Math.Max(GemmBlocking.RoundUp(GemmBlocking.Panels(queries, groups), wide), wide);
        bool copies = data.Type != ElementType.Float32 || centred || data.StrideBytes % sizeof(float) != 0;
        nint jobRows = GemmBlocking.RoundUp(Math.Max(JobFlops / (2 * depth * group), 1), blockRows);
        jobRows = Math.Min(jobRows, GemmBlocking.RoundUp(GemmBlocking.Panels(data.Rows, 8 * threads), blockRows));
        nint floats = (copies ? blockRows : MostTileRows) * depth; // at the data's end at least one tile is copied
        floats += depth > blockDepth ? (blockRows + MostTileRows) * group : 0;
        floats += (3 * (blockRows + RowTermPadding)) + (2 * group) + 64;
        return new(blockRows, group, jobRows, copies, GemmBlocking.RoundUp(floats, 16) * sizeof(float));
    }
}

/// <summary>A job of the tile path, and the worker's memory for it.</summary>
internal unsafe struct SearchJob
{
    /// <summary>Who does it.</summary>
    public int Worker;

    /// <summary>The first query of its group.</summary>
    public nint Group;

    /// <summary>Queries of its group.</summary>
    public nint Columns;

    /// <summary>Rows as floats, where they are copied.</summary>
    public float* Copies;

    /// <summary>As <see cref="SearchBlock"/> has them, and the squared norms that they come from.</summary>
    public float* Starts;

    /// <inheritdoc cref="Starts"/>
    public float* Scales;

    /// <inheritdoc cref="Starts"/>
    public float* Squares;

    /// <summary>As <see cref="SearchTiles{TScaled, TContinues}"/> has them.</summary>
    public float* Cuts;

    /// <inheritdoc cref="Cuts"/>
    public float* Widths;

    /// <summary>Sums between blocks of depth.</summary>
    public float* Sums;

    public SearchJob(in SearchPlan plan, nint depth, int worker, float* memory)
    {
        Worker = worker;
        Copies = memory;
        Starts = Copies + ((plan.Copies ? plan.BlockRows : SearchPlan.MostTileRows) * depth);
        Scales = Starts + plan.BlockRows + SearchPlan.RowTermPadding;
        Squares = Scales + plan.BlockRows + SearchPlan.RowTermPadding;
        Cuts = Squares + plan.BlockRows + SearchPlan.RowTermPadding;
        Widths = Cuts + plan.GroupColumns;
        Sums = Widths + plan.GroupColumns;
    }
}

/// <summary>Jobs of the tile path: a range of rows and a group of queries each.</summary>
internal readonly unsafe struct SearchBody<TWide, TScaled>(
    SearchPlan plan, SearchProblem* search, SearchLists lists, SearchWorker* workers, SearchQueries<TWide> queries, nint count, float* norms, float* centre, byte* scratch)
    : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TScaled : struct, IFlag
{
    private readonly SearchPlan _plan = plan;
    private readonly SearchLists _lists = lists;
    private readonly SearchQueries<TWide> _queries = queries;

    public nint Count => GemmBlocking.Panels(search->Data.Rows, _plan.JobRows) * Groups;

    private nint Groups => GemmBlocking.Panels(count, _plan.GroupColumns);

    public void Invoke(int worker, nint start, nint end)
    {
        SearchJob job = new(_plan, search->Data.Columns, worker, (float*)(scratch + (worker * _plan.WorkerBytes)));
        for (nint number = start; number < end; number++)
        {
            job.Group = number % Groups * _plan.GroupColumns;
            job.Columns = Math.Min(_plan.GroupColumns, count - job.Group);
            nint first = number / Groups * _plan.JobRows;
            Run(job, first, Math.Min(first + _plan.JobRows, search->Data.Rows));
        }
    }

    private void Run(in SearchJob job, nint first, nint end)
    {
        float largestNorm = float.NegativeInfinity;
        bool queriesBounded = true;
        for (nint row = first; row < end; row += _plan.BlockRows)
        {
            SearchBlock block = Block(job, row, Math.Min(_plan.BlockRows, end - row));

            // The bounds of a block hold for any with shorter rows; the lists raise the cuts as they fill.
            if (block.LargestNorm > largestNorm)
            {
                largestNorm = block.LargestNorm;
                queriesBounded = Cuts(job, largestNorm);
            }

            Multiply(job, block);
            if (!queriesBounded || !block.AllBounded)
                Exact(job, block);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private SearchBlock Block(in SearchJob job, nint first, nint count)
    {
        nint depth = search->Data.Columns;
        float* rows = job.Copies, squares = job.Squares, starts = job.Starts, scales = job.Scales;
        nint stride = depth;
        if (_plan.Copies)
        {
            RowElements.ToFloats<TWide>(search->Data, first, count, centre, scaled: true, rows);
        }
        else
        {
            rows = (float*)search->Data.Row(first);
            stride = search->Data.StrideBytes / sizeof(float);
        }

        // Given norms are of the rows as they stand.
        if (norms is null || centre is not null)
        {
            RowKernels.Many<TWide, Float32Element, SquareSum, No>(rows, (byte*)rows, stride * sizeof(float), count, depth, squares, squares);
        }
        else
        {
            RowKernels.Square<TWide>(norms + first, count, squares);
        }

        bool distance = search->Scorer.IsDistance;
        float largest = Terms(distance, count, squares, starts, scales, out bool all);
        if (TScaled.Value)
        {
            for (nint i = 0; i < count; i++)
            {
                if (squares[i] < SafeRange.SmallestSquare)
                {
                    (starts[i], scales[i]) = (Small(rows + (i * stride)), 1);
                    all &= !float.IsNaN(starts[i]);
                }
            }
        }

        for (nint i = count; i < count + SearchPlan.MostTileRows; i++)
            (starts[i], scales[i]) = (0, 1); // a tile that reaches past the end
        return new((nint)rows, stride, first, count, (nint)starts, (nint)scales, distance ? largest : MathF.Max(MathF.Sqrt(largest), SafeRange.SmallestNorm), all);
    }

    /// <summary>The rows' terms from their squared norms, and the largest of these that single precision carries.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Terms(bool distance, nint count, float* squares, float* starts, float* scales, out bool all)
    {
        TWide limit = TWide.Broadcast(SafeRange.LargestSquare), none = TWide.Broadcast(float.NaN);
        TWide factor = TWide.Broadcast(distance ? -0.5f : 0f), largest = TWide.Zero, broken = TWide.Zero;
        for (nint i = count; i < GemmBlocking.RoundUp(count, TWide.Lanes); i++)
            squares[i] = 0;
        for (nint i = 0; i < count; i += TWide.Lanes)
        {
            TWide square = TWide.Load(squares + i);
            TWide start = TWide.SelectLess(limit, square, none, square * factor);
            TWide.Store(starts + i, start);
            TWide.Store(scales + i, TScaled.Value ? TWide.Sqrt(square) : TWide.Broadcast(1f));
            largest = TWide.Max(TWide.SelectLess(limit, square, TWide.Zero, square), largest); // in this order NaN is left out
            broken += start * TWide.Zero;
        }

        float most = 0;
        float* lanes = stackalloc float[TWide.Lanes];
        TWide.Store(lanes, largest);
        for (int lane = 0; lane < TWide.Lanes; lane++)
            most = Math.Max(most, lanes[lane]);
        all = !float.IsNaN(TWide.Sum(broken));
        return most;
    }

    // A row too short for its cosine: the zero vector's products are all 0, as its cosine is, if it has one.
    private float Small(float* row) =>
        search->ZeroVectors == ZeroVectorRule.ScoreZero && !new ReadOnlySpan<float>(row, checked((int)search->Data.Columns)).ContainsAnyExcept(0f) ? 0f : float.NaN;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool Cuts(in SearchJob job, float largestNorm)
    {
        nint group = job.Group;
        bool all = true;
        for (nint j = 0; j < job.Columns; j++)
        {
            CandidateList* list = _lists.List(job.Worker, group + j);
            if (_lists.Workers > 1)
                list->Raise(Volatile.Read(ref _lists.Shared[group + j]));
            float width = _queries.Fixed[group + j] + (_queries.PerNorm[group + j] * largestNorm);
            job.Widths[j] = width;
            job.Cuts[j] = list->Threshold - width;
            all &= !float.IsNaN(width);
        }

        for (nint j = job.Columns; j < _plan.GroupColumns; j++)
            job.Cuts[j] = float.PositiveInfinity;
        return all;
    }

    private void Multiply(in SearchJob job, in SearchBlock block)
    {
        nint wide = Math.Clamp(SearchQueries<TWide>.WideColumns(count) - job.Group, 0, job.Columns);
        if (wide > 0)
            Shape<WideTile>(job, block, 0, wide);
        if (job.Columns > wide)
            Shape<NarrowTile>(job, block, wide, job.Columns - wide);
    }

    private void Shape<TShape>(in SearchJob job, in SearchBlock block, nint column, nint columns)
        where TShape : struct, ITileShape
    {
        // The last rows of the data may be fewer than a tile's, which would read past their end: these are copied.
        int tileRows = TShape.Rows<TWide>();
        nint whole = block.First + block.Count == search->Data.Rows || _plan.Copies ? block.Count / tileRows * tileRows : block.Count;
        if (whole > 0)
            Tiles<TShape>(job, block, whole, column, columns);
        if (whole == block.Count)
            return;
        float* tail = job.Copies + (_plan.Copies ? whole * block.Stride : 0);
        nint depth = search->Data.Columns;
        if (!_plan.Copies)
        {
            for (nint i = whole; i < block.Count; i++)
                Buffer.MemoryCopy((float*)block.Rows + (i * block.Stride), tail + ((i - whole) * depth), depth * sizeof(float), depth * sizeof(float));
        }

        SearchBlock rest = block with
        {
            Rows = (nint)tail,
            Stride = depth,
            First = block.First + whole,
            Count = block.Count - whole,
            Starts = block.Starts + (whole * sizeof(float)),
            Scales = block.Scales + (whole * sizeof(float)),
        };
        Tiles<TShape>(job, rest, rest.Count, column, columns);
    }

    private void Tiles<TShape>(in SearchJob job, in SearchBlock block, nint rows, nint column, nint columns)
        where TShape : struct, ITileShape
    {
        nint depth = search->Data.Columns;

        // Columns past the last query are zeros that no cut lets through, so that all tiles are whole.
        columns = GemmBlocking.RoundUp(columns, TShape.Columns<TWide>());
        GemmPanels panels = new((float*)block.Rows, TShape.Rows<TWide>() * block.Stride, block.Stride);
        nint query = job.Group + column;
        int width = TShape.Columns<TWide>();
        if (depth <= GemmBlocking.Depth)
        {
            Last<TShape, No>(job, block, panels, _queries.Panels(0, depth, query, width), depth, rows, column, columns);
            return;
        }

        SearchSums<No> begin = new(job.Sums, (float*)block.Starts);
        GemmBlock.Multiply<TWide, TShape, PlainTileRows, SearchSums<No>>(
            panels, _queries.Panels(0, GemmBlocking.Depth, query, width), GemmBlocking.Depth, rows, columns, 0, column, ref begin);
        nint k = GemmBlocking.Depth;
        for (; k + GemmBlocking.Depth < depth; k += GemmBlocking.Depth)
        {
            SearchSums<Yes> next = new(job.Sums, (float*)block.Starts);
            GemmBlock.Multiply<TWide, TShape, PlainTileRows, SearchSums<Yes>>(
                panels.At(k), _queries.Panels(k, GemmBlocking.Depth, query, width), GemmBlocking.Depth, rows, columns, 0, column, ref next);
        }

        Last<TShape, Yes>(job, block, panels.At(k), _queries.Panels(k, depth - k, query, width), depth - k, rows, column, columns);
    }

    private void Last<TShape, TContinues>(
        in SearchJob job, in SearchBlock block, in GemmPanels rowPanels, in GemmPanels columnPanels, nint depth, nint rows, nint column, nint columns)
        where TShape : struct, ITileShape
        where TContinues : struct, IFlag
    {
        nint ahead = _plan.Copies ? 0 : SearchPlan.AheadBytes;
        SearchTiles<TScaled, TContinues> tiles = new(
            search, workers + job.Worker, _lists.List(job.Worker, job.Group), _lists.Shared + job.Group, job.Cuts, job.Widths, block, job.Sums, ahead);
        GemmBlock.Multiply<TWide, TShape, PlainTileRows, SearchTiles<TScaled, TContinues>>(rowPanels, columnPanels, depth, rows, columns, 0, column, ref tiles);
    }

    // Pairs with a row or a query that single precision cannot carry: usually none.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Exact(in SearchJob job, in SearchBlock block)
    {
        for (nint i = 0; i < block.Count; i++)
        {
            bool bounded = !float.IsNaN(((float*)block.Starts)[i]);
            for (nint j = 0; j < job.Columns; j++)
            {
                if (!bounded || float.IsNaN(_queries.Fixed[job.Group + j]))
                    _lists.List(job.Worker, job.Group + j)->AddExact(*search, workers + job.Worker, block.First + i);
            }
        }
    }
}
