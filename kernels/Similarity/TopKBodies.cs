using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// The epilogue of a top-k search: turns a tile of dot products into upper bounds of closeness, compares them with the
/// queries' thresholds and forgets them.
/// </summary>
/// <remarks>upper = tile + factor[row] * term[column]; lower = upper + widen * factor[row] * term[column].</remarks>
internal readonly unsafe struct TopKTiles(
    TopKSearch* search, CandidateList* lists, float* thresholds, float* factors, float* terms, float widen, nint firstId, float* selection)
    : ITileEpilogue
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Finish<TWide>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
    {
        for (int i = 0; i < rows; i++, tile += 2 * TWide.Lanes)
        {
            TWide threshold = TWide.Broadcast(thresholds[row + i]);
            TWide factor = TWide.Broadcast(factors[row + i]);
            TWide upper0 = TWide.MultiplyAdd(factor, TWide.Load(terms + column), TWide.Load(tile));
            TWide upper1 = TWide.MultiplyAdd(factor, TWide.Load(terms + column + TWide.Lanes), TWide.Load(tile + TWide.Lanes));
            uint passed = TWide.GreaterThan(upper0, threshold) | (TWide.GreaterThan(upper1, threshold) << TWide.Lanes);
            if (passed == 0)
                continue;

            TWide.Store(tile, upper0);
            TWide.Store(tile + TWide.Lanes, upper1);
            CandidateList* list = lists + row + i;
            list->Collect(*search, selection, passed, tile, terms + column, widen * factors[row + i], firstId + column);
            thresholds[row + i] = list->Threshold;
        }
    }
}

/// <summary>Jobs of a top-k search on one packed part of the data: a block of queries and a shard of the part each.</summary>
internal readonly unsafe struct TopKBlocksBody<TWide>(
    TopKSearch* search,
    TopKLists lists,
    float* selection,
    PackedRows<TWide> rows,
    nint rowCount,
    float* factors,
    PackedRows<TWide> columns,
    nint firstId,
    nint columnCount,
    float widen,
    float* tiles) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    public nint Count => RowBlocks * lists.Shards;

    private nint RowBlocks => GemmPack.Panels(rowCount, GemmBlocking.BlockRows);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        int width = GemmBlocking.TileColumns<TWide>();
        nint shardColumns = GemmPack.Panels(GemmPack.Panels(columnCount, width), lists.Shards) * width;
        for (nint job = start; job < end; job++)
        {
            nint row = job % RowBlocks * GemmBlocking.BlockRows;
            int shard = (int)(job / RowBlocks);
            nint first = shard * shardColumns;
            if (first < columnCount)
                Search(shard, row, (int)Math.Min(GemmBlocking.BlockRows, rowCount - row), first, Math.Min(first + shardColumns, columnCount), worker);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Search(int shard, nint row, int blockRows, nint first, nint end, int worker)
    {
        nint depth = search->Data.Columns;
        CandidateList* list = lists.List(shard, row);
        float* thresholds = stackalloc float[GemmBlocking.BlockRows];
        bool anyRefused = false;
        for (int i = 0; i < blockRows; i++)
        {
            thresholds[i] = list[i].Threshold;
            anyRefused |= float.IsNaN(thresholds[i]);
        }

        TopKTiles epilogue = new(search, list, thresholds, factors + row, columns.Terms, widen, firstId, selection + (worker * search->Pending));
        for (nint column = first; column < end; column += GemmBlocking.BlockColumns)
        {
            GemmBlock.Multiply<TWide, TopKTiles>(
                rows.Panels + (row * depth),
                columns.Panels + (column * depth),
                depth,
                blockRows,
                (int)Math.Min(GemmBlocking.BlockColumns, end - column),
                0,
                column,
                tiles + ((nint)worker * GemmBlocking.WorkerFloats),
                ref epilogue);
        }

        // Pairs with a row or a query that single precision cannot carry: usually none.
        for (nint column = first; column < end; column++)
        {
            bool refused = float.IsNaN(columns.Terms[column]);
            if (!refused && !anyRefused)
                continue;
            for (int i = 0; i < blockRows; i++)
            {
                if (refused || float.IsNaN(thresholds[i]))
                    list[i].AddExact(*search, firstId + column);
            }
        }
    }
}

/// <summary>Brings the shards of each query together and writes its result.</summary>
internal readonly unsafe struct TopKFinishBody(
    TopKSearch* search, TopKLists lists, float* selection, nint firstQuery, MatrixView<long> ids, MatrixView<float> scores) : IRangeBody
{
    private readonly MatrixView<long> _ids = ids;
    private readonly MatrixView<float> _scores = scores;

    public void Invoke(int worker, nint start, nint end)
    {
        float* scratch = selection + (worker * search->Pending);
        for (nint i = start; i < end; i++)
        {
            CandidateList* list = lists.List(0, i);
            for (int shard = 1; shard < lists.Shards; shard++)
                list->Merge(*search, scratch, ref *lists.List(shard, i));
            list->Finish(*search, scratch, _ids.RowSpan(firstQuery + i), _scores.RowSpan(firstQuery + i));
        }
    }
}
