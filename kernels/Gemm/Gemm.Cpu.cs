using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// The loops around the blocks: k, columns and rows in extents that bound the packed memory; inside, first all panels are
/// packed in parallel, then blocks of C are handed out in both directions.
/// </summary>
internal readonly unsafe struct GemmAction(float alpha, GemmOperand rows, GemmOperand columns, float beta, MatrixView<float> c, WorkerPool pool)
    : IWideAction
{
    private readonly float _alpha = alpha;
    private readonly GemmOperand _rows = rows;
    private readonly GemmOperand _columns = columns;
    private readonly float _beta = beta;
    private readonly MatrixView<float> _c = c;
    private readonly WorkerPool _pool = pool;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        nint depth = _alpha == 0 ? 0 : _rows.Depth; // alpha 0: A and B are not read
        int tileRows = GemmBlocking.TileRows<TWide>(), tileColumns = GemmBlocking.TileColumns<TWide>();
        nint extent = GemmBlocking.PackedExtent;
        nint packedDepth = Math.Min(depth, extent);
        using Scratch<float> a = new(GemmPack.Panels(Math.Min(_c.Rows, extent), tileRows) * tileRows * packedDepth);
        using Scratch<float> b = new(GemmPack.Panels(Math.Min(_c.Columns, extent), tileColumns) * tileColumns * packedDepth);
        using Scratch<float> tiles = new((nint)_pool.Threads * GemmBlocking.WorkerFloats);

        for (nint k = 0; k == 0 || k < depth; k += extent)
        {
            nint passDepth = Math.Min(extent, depth - k);
            for (nint j = 0; j < _c.Columns; j += extent)
            {
                GemmOperand partB = _columns.Slice(j, Math.Min(extent, _c.Columns - j), k, passDepth);
                for (nint i = 0; i < _c.Rows; i += extent)
                {
                    GemmOperand partA = _rows.Slice(i, Math.Min(extent, _c.Rows - i), k, passDepth);
                    GemmPackBody pack = new(partA, tileRows, a.Pointer, i == 0 ? partB : default, tileColumns, b.Pointer);
                    if (passDepth > 0)
                        _pool.For(pack.Count, pack.Grain(_pool.Threads), ref pack);

                    GemmStore store = new(_alpha, k == 0 ? _beta : 1f, new(_c.Row(i) + j, partA.Lanes, partB.Lanes, _c.Stride));
                    GemmBlocksBody<TWide, GemmStore> blocks = new(a.Pointer, partA.Lanes, b.Pointer, partB.Lanes, passDepth, tiles.Pointer, store, _pool.Threads);
                    _pool.For(blocks.Count, 1, ref blocks);
                }
            }
        }
    }
}

/// <summary>Packs the panels of two operands as one parallel loop: A's, then B's. An operand without lanes has none.</summary>
internal readonly unsafe struct GemmPackBody(GemmOperand a, int widthA, float* panelsA, GemmOperand b, int widthB, float* panelsB) : IRangeBody
{
    private readonly GemmOperand _a = a;
    private readonly GemmOperand _b = b;

    public nint Count => GemmPack.Panels(_a.Lanes, widthA) + GemmPack.Panels(_b.Lanes, widthB);

    /// <summary>A few ranges per thread; a thread alone takes all.</summary>
    public nint Grain(int threads) => threads == 1 ? Math.Max(Count, 1) : (Count / (threads * 4)) + 1;

    public void Invoke(int worker, nint start, nint end)
    {
        nint split = GemmPack.Panels(_a.Lanes, widthA);
        if (start < split)
            GemmPack.Pack(_a, widthA, start, Math.Min(end, split), panelsA);
        if (end > split)
            GemmPack.Pack(_b, widthB, Math.Max(start - split, 0), end - split, panelsB);
    }
}

/// <summary>Blocks of the product of two packed operands, numbered column block by column block.</summary>
internal unsafe struct GemmBlocksBody<TWide, TEpilogue> : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TEpilogue : struct, ITileEpilogue
{
    private readonly float* _a;
    private readonly float* _b;
    private readonly nint _rows;
    private readonly nint _columns;
    private readonly nint _depth;
    private readonly float* _tiles;
    private readonly int _blockRows;
    private readonly int _blockColumns;
    private TEpilogue _epilogue;

    public GemmBlocksBody(float* a, nint rows, float* b, nint columns, nint depth, float* tiles, TEpilogue epilogue, int threads)
    {
        _a = a;
        _b = b;
        _rows = rows;
        _columns = columns;
        _depth = depth;
        _tiles = tiles;
        _epilogue = epilogue;
        _blockRows = GemmBlocking.BlockRows;
        _blockColumns = GemmBlocking.BlockColumns;

        // Smaller blocks when there would be too few for the threads to share evenly; each loads more for its arithmetic.
        while (threads > 1 && Count < 4 * threads && _blockColumns > 4 * GemmBlocking.TileColumns<TWide>())
            _blockColumns /= 2;
        while (threads > 1 && Count < 4 * threads && _blockRows > 2 * GemmBlocking.TileRows<TWide>())
            _blockRows /= 2;
    }

    public readonly nint Count => RowBlocks * GemmPack.Panels(_columns, _blockColumns);

    private readonly nint RowBlocks => GemmPack.Panels(_rows, _blockRows);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        for (nint block = start; block < end; block++)
        {
            nint row = block % RowBlocks * _blockRows;
            nint column = block / RowBlocks * _blockColumns;
            GemmBlock.Multiply<TWide, TEpilogue>(
                _a + (row * _depth),
                _b + (column * _depth),
                _depth,
                (int)Math.Min(_blockRows, _rows - row),
                (int)Math.Min(_blockColumns, _columns - column),
                row,
                column,
                _tiles + ((nint)worker * GemmBlocking.WorkerFloats),
                ref _epilogue);
        }
    }
}

/// <summary>The epilogue of <see cref="Gemm"/>: c = alpha * tile + beta * c.</summary>
internal readonly unsafe struct GemmStore(float alpha, float beta, MatrixView<float> c) : ITileEpilogue
{
    private readonly MatrixView<float> _c = c;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Finish<TWide>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide wideAlpha = TWide.Broadcast(alpha), wideBeta = TWide.Broadcast(beta);
        for (int i = 0; i < rows; i++)
        {
            float* target = _c.Row(row + i) + column;
            int j = 0;
            for (; j <= columns - TWide.Lanes; j += TWide.Lanes)
            {
                TWide value = wideAlpha * TWide.Load(tile + j);
                if (beta != 0)
                    value = TWide.MultiplyAdd(wideBeta, TWide.Load(target + j), value);
                TWide.Store(target + j, value);
            }

            if (j < columns)
            {
                TWide value = wideAlpha * TWide.Load(tile + j);
                if (beta != 0)
                    value = TWide.MultiplyAdd(wideBeta, TWide.LoadFirst(target + j, columns - j), value);
                TWide.StoreFirst(target + j, value, columns - j);
            }

            tile += GemmBlocking.TileColumns<TWide>();
        }
    }
}
