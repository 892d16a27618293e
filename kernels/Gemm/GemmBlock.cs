using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// What happens to a tile of the product once its sums are complete: a struct type parameter, so that it is compiled into
/// the loop. Storing it is one epilogue; comparing it with thresholds and forgetting it is another.
/// </summary>
internal unsafe interface ITileEpilogue
{
    /// <summary>
    /// Takes the finished tile whose first element is element (<paramref name="row"/>, <paramref name="column"/>) of the
    /// product. Implementations carry AggressiveOptimization.
    /// </summary>
    /// <param name="tile">TileRows x TileColumns floats of <typeparamref name="TWide"/>, row by row; may be overwritten.</param>
    /// <param name="row">The first row, counted as the caller of <see cref="GemmBlock"/> counts.</param>
    /// <param name="column">The first column, likewise.</param>
    /// <param name="rows">Rows that exist; those after them hold nothing of meaning.</param>
    /// <param name="columns">Columns that exist, likewise.</param>
    void Finish<TWide>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>;
}

/// <summary>The loops between packed panels and register tiles.</summary>
internal static unsafe class GemmBlock
{
    /// <summary>
    /// Multiplies packed rows by packed columns and hands each finished tile to <paramref name="epilogue"/>.
    /// </summary>
    /// <param name="a">Panels of TileRows lanes, each of the full depth (<see cref="GemmPack"/>).</param>
    /// <param name="b">Panels of TileColumns lanes, each of the full depth.</param>
    /// <param name="depth">k.</param>
    /// <param name="rows">Rows, at most <see cref="GemmBlocking.BlockRows"/>.</param>
    /// <param name="columns">Columns, at most <see cref="GemmBlocking.BlockColumns"/>.</param>
    /// <param name="row">Number of the first row, for the epilogue.</param>
    /// <param name="column">Number of the first column, for the epilogue.</param>
    /// <param name="tiles"><see cref="GemmBlocking.WorkerFloats"/> floats of the worker's own.</param>
    /// <param name="epilogue">Gets the tiles.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TWide, TEpilogue>(
        float* a, float* b, nint depth, int rows, int columns, nint row, nint column, float* tiles, ref TEpilogue epilogue)
        where TWide : unmanaged, IWide<TWide>
        where TEpilogue : struct, ITileEpilogue
    {
        Debug.Assert(rows <= GemmBlocking.BlockRows && columns <= GemmBlocking.BlockColumns);
        int tileRows = GemmBlocking.TileRows<TWide>(), tileColumns = GemmBlocking.TileColumns<TWide>();

        // A single depth block needs no memory of partial sums: one tile, always the same and always in L1.
        nint tileStep = depth > GemmBlocking.Depth ? GemmBlocking.TileFloats<TWide>() : 0;
        nint k = 0;
        do
        {
            nint blockDepth = Math.Min(GemmBlocking.Depth, depth - k);
            bool last = k + blockDepth == depth;
            float* tile = tiles;
            for (int j = 0; j < columns; j += tileColumns)
            {
                float* bPanel = b + (j * depth) + (k * tileColumns);
                for (int i = 0; i < rows; i += tileRows)
                {
                    GemmTile.Multiply<TWide>(blockDepth, a + (i * depth) + (k * tileRows), bPanel, tile, k > 0);
                    if (last)
                        epilogue.Finish<TWide>(tile, row + i, column + j, Math.Min(tileRows, rows - i), Math.Min(tileColumns, columns - j));
                    tile += tileStep;
                }
            }

            k += blockDepth;
        }
        while (k < depth);
    }
}
