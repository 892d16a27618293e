namespace EmbeddingKernels.Core;

/// <summary>The matrix product at one width: chooses how the product's shape is served best.</summary>
/// <param name="rows">Rows of op(A).</param>
/// <param name="columns">Columns of op(B).</param>
/// <param name="target">Where the product goes.</param>
/// <param name="pool">Threads to work on.</param>
internal readonly unsafe struct GemmAction<TActivation>(GemmOperand rows, GemmOperand columns, GemmTarget target, WorkerPool pool) : IWideAction
    where TActivation : struct, IActivation
{
    // Below this a second thread costs more than it saves.
    private const nint SerialFlops = 1 << 20;

    private readonly GemmOperand _rows = rows;
    private readonly GemmOperand _columns = columns;
    private readonly GemmTarget _target = target;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        nint m = _rows.Lanes, n = _columns.Lanes;
        nint depth = _target.Alpha == 0 ? 0 : _rows.Depth; // alpha 0: A and B are not read
        WorkerPool workers = 2.0 * m * n * depth < SerialFlops ? WorkerPool.Serial : pool;
        GemmOperand a = _rows.Slice(0, m, 0, depth), b = _columns.Slice(0, n, 0, depth);
        if (depth > 0 && (m == 1 || n == 1))
            Gemv.Multiply<TWide, TActivation>(a, b, _target, workers);
        else if (m <= TWide.Lanes && n > m && GemmStream<TWide, NarrowTile, GemmStoreByMemory<TActivation, Yes>>.Pays(b))
            GemmStream<TWide, NarrowTile, GemmStoreByMemory<TActivation, Yes>>.Run(b, a, new(_target), workers);
        else if (m <= WideTile.Columns<TWide>() && n > m && GemmStream<TWide, WideTile, GemmStoreByMemory<TActivation, Yes>>.Pays(b))
            GemmStream<TWide, WideTile, GemmStoreByMemory<TActivation, Yes>>.Run(b, a, new(_target), workers);
        else if (m <= TWide.Lanes && n > m && b.DepthStride == 1)
            GemmLoops<TWide, NarrowTile, GemmStoreByMemory<TActivation, Yes>>.Run(b, a, new(_target), workers);
        else if (m <= GemmBlocking.TurnedPanels * WideTile.Columns<TWide>() && n > 4 * m && b.DepthStride == 1)
            GemmLoops<TWide, WideTile, GemmStoreByMemory<TActivation, Yes>>.Run(b, a, new(_target), workers);
        else if (TActivation.IsShort)
            Store<TWide, GemmStore<TActivation>>(a, b, new(_target), workers);
        else
            Store<TWide, GemmStoreByMemory<TActivation, No>>(a, b, new(_target), workers);
    }

    private static void Store<TWide, TStore>(in GemmOperand a, in GemmOperand b, TStore store, WorkerPool workers)
        where TWide : unmanaged, IWide<TWide>
        where TStore : struct, IGemmStore<TStore>
    {
        if (b.Lanes <= TWide.Lanes)
            GemmLoops<TWide, NarrowTile, TStore>.Run(a, b, store, workers);
        else
            GemmLoops<TWide, WideTile, TStore>.Run(a, b, store, workers);
    }
}

/// <summary>
/// The loops around the blocks: columns, rows and k in extents that bound the packed memory; inside, the panels are packed
/// in parallel, then blocks of the product are handed out in both directions.
/// </summary>
internal static unsafe class GemmLoops<TWide, TShape, TStore>
    where TWide : unmanaged, IWide<TWide>
    where TShape : struct, ITileShape
    where TStore : struct, IGemmStore<TStore>
{
    public static void Run(GemmOperand rows, GemmOperand columns, TStore store, WorkerPool pool)
    {
        nint depth = rows.Depth, extent = GemmBlocking.PackedExtent;
        int tileRows = TShape.Rows<TWide>(), tileColumns = TShape.Columns<TWide>();
        bool rowsInPlace = GemmBlocking.RowsInPlace(rows, GemmBlocking.Panels(columns.Lanes, tileColumns));
        bool columnsInPlace = GemmBlocking.ColumnsInPlace(columns, GemmBlocking.Panels(rows.Lanes, tileRows));

        // Columns that only one block of rows meets are packed panel by panel in the job that uses them, and stay in L1.
        bool columnsByJob = !columnsInPlace && rows.Lanes <= GemmBlocking.BlockRows;

        // Rows are packed by the job that uses them, too, where no other job does: they go straight to its L2.
        bool rowsByJob = !rowsInPlace && pool.Threads == 1;

        // In place only what is left over of whole panels is packed, so that no tile reads past an operand's end.
        nint blockDepth = Math.Min(depth, GemmBlocking.Depth);
        nint columnPanels = columnsInPlace ? 1
            : columnsByJob ? pool.Threads * GemmJobs<TWide, TShape, TStore>.OwnPanels
            : GemmBlocking.Panels(Math.Min(columns.Lanes, extent), tileColumns);
        nint rowPanels = rowsInPlace ? 1 : GemmBlocking.Panels(Math.Min(rows.Lanes, rowsByJob ? GemmBlocking.BlockRows : extent), tileRows);
        using Scratch<float> packedRows = new(rowPanels * tileRows * blockDepth);
        using Scratch<float> packedColumns = new(columnPanels * tileColumns * blockDepth);
        for (nint j = 0; j < columns.Lanes; j += extent)
        {
            nint columnCount = Math.Min(extent, columns.Lanes - j);
            for (nint i = 0; i < rows.Lanes; i += extent)
            {
                nint rowCount = Math.Min(extent, rows.Lanes - i);
                for (nint k = 0; k == 0 || k < depth; k += GemmBlocking.Depth)
                {
                    blockDepth = Math.Min(GemmBlocking.Depth, depth - k);
                    GemmSide a = new(rows.Slice(i, rowCount, k, blockDepth), tileRows, rowsInPlace, packedRows.Pointer);
                    GemmSide b = new(columns.Slice(j, columnCount, k, blockDepth), tileColumns, columnsInPlace, packedColumns.Pointer);
                    GemmPackBody pack = new(a, b, withRows: !rowsByJob, withColumns: !columnsByJob);
                    if (pack.Count > 0 && blockDepth > 0)
                        pool.For(pack.Count, pack.Grain(pool.Threads), ref pack);

                    bool last = k + blockDepth == depth;
                    GemmJobs<TWide, TShape, TStore> jobs = new(a, b, rowsByJob, columnsByJob, blockDepth, i, j, store.ForBlock(k == 0, last), pool.Threads);
                    pool.For(jobs.Count, 1, ref jobs);
                }
            }
        }
    }
}

/// <summary>One side of a block of depth: whole panels in place, where that was chosen, and packed ones after them.</summary>
internal readonly unsafe struct GemmSide(GemmOperand operand, int width, bool inPlace, float* packed)
{
    private readonly GemmOperand _operand = operand;

    public nint Lanes => _operand.Lanes;

    /// <summary>Lanes that are read in place, from the first on; a multiple of the panel's width.</summary>
    public readonly nint InPlaceLanes = inPlace ? operand.Lanes / width * width : 0;

    public nint PackedPanels => GemmBlocking.Panels(Lanes - InPlaceLanes, width);

    public GemmPanels InPlace(nint lane) =>
        new(_operand.Data + (lane * _operand.LaneStride), width * _operand.LaneStride, _operand.LaneStride == 1 ? _operand.DepthStride : _operand.LaneStride);

    /// <summary>Packed panels from a lane on that is a multiple of the width; <paramref name="stride"/> as <see cref="GemmPanels"/> has it.</summary>
    public GemmPanels Packed(nint lane, nint stride) => new(packed + ((lane - InPlaceLanes) * _operand.Depth), width * _operand.Depth, stride);

    /// <summary>Packs some of the panels after those in place to the side's own memory.</summary>
    public void Pack(nint first, nint end) =>
        GemmPack.Pack(_operand.Slice(InPlaceLanes, Lanes - InPlaceLanes, 0, _operand.Depth), width, first, end, packed);

    /// <summary>Packs lanes to the part of the side's memory that is the worker's own; <paramref name="stride"/> as <see cref="GemmPanels"/> has it.</summary>
    public GemmPanels PackOwn(nint lane, nint lanes, nint stride, int worker, int ownPanels)
    {
        float* own = packed + (worker * ownPanels * width * _operand.Depth);
        GemmPack.Pack(_operand.Slice(lane, lanes, 0, _operand.Depth), width, 0, GemmBlocking.Panels(lanes, width), own);
        return new(own, width * _operand.Depth, stride);
    }
}

/// <summary>Packs the panels of both sides as one parallel loop.</summary>
internal readonly struct GemmPackBody(GemmSide a, GemmSide b, bool withRows, bool withColumns) : IRangeBody
{
    private readonly GemmSide _a = a;
    private readonly GemmSide _b = b;

    public nint Count => RowPanels + (withColumns ? _b.PackedPanels : 0);

    private nint RowPanels => withRows ? _a.PackedPanels : 0;

    /// <summary>A few ranges per thread; a thread alone takes all.</summary>
    public nint Grain(int threads) => threads == 1 ? Count : (Count / (threads * 4)) + 1;

    public void Invoke(int worker, nint start, nint end)
    {
        nint split = RowPanels;
        if (start < split)
            _a.Pack(start, Math.Min(end, split));
        if (end > split)
            _b.Pack(Math.Max(start - split, 0), end - split);
    }
}

/// <summary>Jobs of one block of depth, numbered so that neighbours share their rows.</summary>
internal struct GemmJobs<TWide, TShape, TEpilogue> : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TShape : struct, ITileShape
    where TEpilogue : struct, ITileEpilogue
{
    /// <summary>Panels of columns that a job packs at a time.</summary>
    public const int OwnPanels = 8;

    private readonly GemmSide _a;
    private readonly GemmSide _b;
    private readonly bool _rowsByJob;
    private readonly bool _columnsByJob;
    private readonly nint _depth;
    private readonly nint _row;
    private readonly nint _column;
    private readonly nint _jobRows;
    private readonly nint _jobColumns;
    private TEpilogue _epilogue;

    /// <param name="a">Rows.</param>
    /// <param name="b">Columns.</param>
    /// <param name="rowsByJob">Rows are not packed yet.</param>
    /// <param name="columnsByJob">Columns are not packed yet.</param>
    /// <param name="depth">k.</param>
    /// <param name="row">Number of the first row, for the epilogue.</param>
    /// <param name="column">Number of the first column, for the epilogue.</param>
    /// <param name="epilogue">Gets the tiles; each job has a copy.</param>
    /// <param name="threads">Threads that share the jobs.</param>
    public GemmJobs(in GemmSide a, in GemmSide b, bool rowsByJob, bool columnsByJob, nint depth, nint row, nint column, TEpilogue epilogue, int threads)
    {
        _a = a;
        _b = b;
        _rowsByJob = rowsByJob;
        _columnsByJob = columnsByJob;
        _depth = depth;
        _row = row;
        _column = column;
        _epilogue = epilogue;
        (_jobRows, _jobColumns) = GemmBlocking.Job<TWide, TShape>(a.Lanes, b.Lanes, depth, threads);
    }

    public readonly nint Count => GemmBlocking.Panels(_a.Lanes, _jobRows) * ColumnJobs;

    private readonly nint ColumnJobs => GemmBlocking.Panels(_b.Lanes, _jobColumns);

    public void Invoke(int worker, nint start, nint end)
    {
        for (nint job = start; job < end; job++)
        {
            nint row = job / ColumnJobs * _jobRows, column = job % ColumnJobs * _jobColumns;
            nint endRow = Math.Min(row + _jobRows, _a.Lanes), endColumn = Math.Min(column + _jobColumns, _b.Lanes);
            GemmPanels packedRows = _rowsByJob ? _a.PackOwn(row, endRow - row, 0, worker, 0) : _a.Packed(Math.Clamp(_a.InPlaceLanes, row, endRow), 0);
            nint step = _columnsByJob ? OwnPanels * TShape.Columns<TWide>() : endColumn - column;
            for (; column < endColumn; column += step)
            {
                nint next = Math.Min(column + step, endColumn);
                nint split = _columnsByJob ? column : Math.Clamp(_b.InPlaceLanes, column, endColumn);
                if (split > column)
                    Rows(packedRows, _b.InPlace(column), row, endRow, column, split);
                if (next > split)
                    Rows(packedRows, _columnsByJob ? _b.PackOwn(column, next - column, TShape.Columns<TWide>(), worker, OwnPanels) : _b.Packed(split, TShape.Columns<TWide>()), row, endRow, split, next);
            }
        }
    }

    private void Rows(in GemmPanels packedRows, in GemmPanels b, nint row, nint endRow, nint column, nint endColumn)
    {
        nint split = Math.Clamp(_a.InPlaceLanes, row, endRow);
        if (split > row)
            Multiply<PlainTileRows>(_a.InPlace(row), b, row, split, column, endColumn);
        if (endRow > split)
            Multiply<PackedTileRows>(packedRows, b, split, endRow, column, endColumn);
    }

    private void Multiply<TRows>(in GemmPanels a, in GemmPanels b, nint row, nint endRow, nint column, nint endColumn)
        where TRows : struct, ITileRows =>
        GemmBlock.Multiply<TWide, TShape, TRows, TEpilogue>(a, b, _depth, endRow - row, endColumn - column, _row + row, _column + column, ref _epilogue);
}
