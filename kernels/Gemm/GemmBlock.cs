using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>One side of a product as the loops over tiles walk it: panels of lanes, one tile's worth each.</summary>
/// <param name="data">The first panel.</param>
/// <param name="panelStep">Floats from panel to panel.</param>
/// <param name="stride">Rows: floats from row to row, 0 where packed. Columns: floats from k to k + 1.</param>
internal readonly unsafe struct GemmPanels(float* data, nint panelStep, nint stride)
{
    public readonly float* Data = data;
    public readonly nint PanelStep = panelStep;
    public readonly nint Stride = stride;

    /// <summary>The same panels of rows as they stand, from depth <paramref name="k"/> on.</summary>
    public GemmPanels At(nint k) => new(Data + k, PanelStep, Stride);
}

/// <summary>The loops over the register tiles of one block.</summary>
internal static unsafe class GemmBlock
{
    /// <summary>
    /// Multiplies a block of rows by columns over one block of depth and hands each tile to <paramref name="epilogue"/>: a
    /// panel of columns stays in L1 while the rows, from L2, pass by.
    /// </summary>
    /// <param name="a">Panels of rows.</param>
    /// <param name="b">Panels of columns.</param>
    /// <param name="depth">k.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="row">Number of the first row, for the epilogue.</param>
    /// <param name="column">Number of the first column, for the epilogue.</param>
    /// <param name="epilogue">Gets the tiles.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TWide, TShape, TRows, TEpilogue>(
        in GemmPanels a, in GemmPanels b, nint depth, nint rows, nint columns, nint row, nint column, ref TEpilogue epilogue)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
        where TRows : struct, ITileRows
        where TEpilogue : struct, ITileEpilogue
    {
        int tileRows = TShape.Rows<TWide>(), tileColumns = TShape.Columns<TWide>();
        float* tile = stackalloc float[GemmTile.MostFloats<TWide>()];
        TileOperands operands = new() { Depth = depth, B = b.Data, Stride = a.Stride, Step = b.Stride };
        for (nint j = 0; j < columns; j += tileColumns, operands.B += b.PanelStep)
        {
            int tileWidth = (int)Math.Min(tileColumns, columns - j);
            bool fromRegisters = epilogue.FromRegisters && tileWidth == tileColumns;
            operands.A = a.Data;
            nint i = 0;
            for (; i <= rows - tileRows; i += tileRows, operands.A += a.PanelStep)
            {
                if (GemmTile.Multiply<TWide, TShape, TRows, TEpilogue>(operands, row + i, column + j, fromRegisters, tile, ref epilogue))
                    epilogue.Finish<TWide, TShape>(tile, row + i, column + j, tileRows, tileWidth);
            }

            if (i < rows && GemmTile.Multiply<TWide, TShape, TRows, TEpilogue>(operands, row + i, column + j, false, tile, ref epilogue))
                epilogue.Finish<TWide, TShape>(tile, row + i, column + j, (int)(rows - i), tileWidth);
        }
    }
}
