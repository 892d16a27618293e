using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// What happens to a tile of the product once its sums are complete: a struct type parameter, so that it is compiled into
/// the tile. Storing it is one epilogue; comparing it with thresholds and forgetting it is another.
/// </summary>
/// <remarks>
/// <see cref="Start"/> and <see cref="Take"/> must be inlined, call nothing and be short: the compiler inlines until a method
/// has 512 variables, three to an operation, and the largest tile has 24 vectors. One that was not inlined would push all
/// sums to memory.
/// </remarks>
internal unsafe interface ITileEpilogue
{
    /// <summary>Whether sums begin at <see cref="Start"/> instead of at zero; a constant for the compiler.</summary>
    static virtual bool Starts => false;

    /// <summary>Whether <see cref="Take"/> picks tiles that <see cref="Finish"/> must see; a constant for the compiler.</summary>
    static virtual bool Picks => false;

    /// <summary>Whether the tile's loop asks for memory that is wanted later (<see cref="Fetch"/>); a constant for the compiler.</summary>
    static virtual bool Fetches => false;

    /// <summary>
    /// Where that memory begins, and the bytes to go on by with each k. Spread over the loop, because a burst of requests
    /// would fill the buffers that the tile's own loads need.
    /// </summary>
    byte* Fetch(nint depth, out nint step);

    /// <summary>Whether <see cref="Take"/> may be called: if not, all tiles go by memory to <see cref="Finish"/>.</summary>
    bool FromRegisters { get; }

    /// <summary>Says which tile comes next, so that what it will touch can be on its way.</summary>
    void Begin<TWide, TShape>(nint row, nint column)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape;

    /// <summary>What the sums of vector <paramref name="v"/> in row <paramref name="i"/> of the tile begin at.</summary>
    TWide Start<TWide>(int i, int v)
        where TWide : unmanaged, IWide<TWide>;

    /// <summary>Takes vector <paramref name="v"/> of row <paramref name="i"/> from its register. Only for tiles all of which exist.</summary>
    /// <returns>
    /// Where <see cref="Picks"/>: <paramref name="picked"/>, with a positive lane if the tile is to be finished from memory.
    /// </returns>
    TWide Take<TWide>(int i, int v, TWide sums, TWide picked)
        where TWide : unmanaged, IWide<TWide>;

    /// <summary>
    /// Takes a tile from memory: one that was picked, or one that reaches past the last row or column.
    /// </summary>
    /// <param name="tile">Rows x Columns of <typeparamref name="TShape"/> floats, row by row; may be overwritten.</param>
    /// <param name="row">Its first row.</param>
    /// <param name="column">Its first column.</param>
    /// <param name="rows">Rows that exist; those after them hold nothing of meaning.</param>
    /// <param name="columns">Columns that exist, likewise.</param>
    void Finish<TWide, TShape>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape;
}

/// <summary>Where the elements of A stand for the tile: a struct type parameter.</summary>
internal unsafe interface ITileRows
{
    /// <summary>Whether the elements of a row stand in runs (<see cref="TileOperands.Runs"/>); a constant for the compiler.</summary>
    static virtual bool InRuns => false;

    /// <summary>Row <paramref name="i"/> at the present k, from pointers to rows 0, 3, 6 and 9 and the floats from row to row.</summary>
    static abstract float* At<TWide, TShape>(float* row0, float* row3, float* row6, float* row9, nint stride, int i)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape;

    /// <summary>Moves the pointers on to the next k.</summary>
    static abstract void Advance<TWide, TShape>(ref float* row0, ref float* row3, ref float* row6, ref float* row9)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape;
}

/// <summary>The rows of a panel side by side for each k (<see cref="GemmPack"/>).</summary>
internal readonly unsafe struct PackedTileRows : ITileRows
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float* At<TWide, TShape>(float* row0, float* row3, float* row6, float* row9, nint stride, int i)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape => row0 + i;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Advance<TWide, TShape>(ref float* row0, ref float* row3, ref float* row6, ref float* row9)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape => row0 += TShape.Rows<TWide>();
}

/// <summary>Rows of a matrix as they stand.</summary>
internal readonly unsafe struct PlainTileRows : ITileRows
{
    // Four pointers and one stride reach twelve rows through the processor's scaled addresses.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float* At<TWide, TShape>(float* row0, float* row3, float* row6, float* row9, nint stride, int i)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape => (i < 3 ? row0 : i < 6 ? row3 : i < 9 ? row6 : row9) + (i % 3 * stride);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Advance<TWide, TShape>(ref float* row0, ref float* row3, ref float* row6, ref float* row9)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        row0++;
        row3++;
        if (TShape.Rows<TWide>() > 6)
            row6++;
        if (TShape.Rows<TWide>() > 9)
            row9++;
    }
}

/// <summary>Rows whose elements stand in runs, the same for all rows: the patches of a convolution.</summary>
internal readonly unsafe struct PatchTileRows : ITileRows
{
    public static bool InRuns => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float* At<TWide, TShape>(float* row0, float* row3, float* row6, float* row9, nint stride, int i)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape => PlainTileRows.At<TWide, TShape>(row0, row3, row6, row9, stride, i);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Advance<TWide, TShape>(ref float* row0, ref float* row3, ref float* row6, ref float* row9)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape => PlainTileRows.Advance<TWide, TShape>(ref row0, ref row3, ref row6, ref row9);
}

/// <summary>Elements of a row that stand side by side.</summary>
/// <param name="Offset">Floats from where the row begins to the first of them.</param>
/// <param name="Length">How many, at least 1.</param>
internal readonly record struct TileRun(nint Offset, nint Length);

/// <summary>One tile's operands.</summary>
internal unsafe struct TileOperands
{
    /// <summary>Products per sum; where rows stand in runs, the number of runs.</summary>
    public nint Depth;

    /// <summary>The runs, where rows stand in such; one more is read than there are.</summary>
    public TileRun* Runs;

    /// <summary>The tile's rows.</summary>
    public float* A;

    /// <summary>Floats from row to row of <see cref="A"/>; 0 where they are packed.</summary>
    public nint Stride;

    /// <summary>The tile's columns: element (k, j) at k * Step + j.</summary>
    public float* B;

    /// <summary>Floats from k to k + 1 of <see cref="B"/>.</summary>
    public nint Step;
}

/// <summary>The register tile: the one loop in which all products of matrices of floats are computed.</summary>
internal static unsafe class GemmTile
{
    // Runs so short that the processor's own prefetching does not get ahead in them.
    private const nint ShortRun = 16;

    /// <summary>Floats of the largest tile of a level.</summary>
    public static int MostFloats<TWide>()
        where TWide : unmanaged, IWide<TWide> => 24 * TWide.Lanes;

    /// <summary>
    /// sum over k of a[k] b[k]^T in ascending k, one fused multiply-add per product, given to
    /// <paramref name="epilogue"/> from the registers or left in memory.
    /// </summary>
    /// <remarks>
    /// Written out row by row: 24 variables in an array, or behind references, would not stay in registers. Rows and vectors
    /// that the shape lacks are left out by the compiler.
    /// </remarks>
    /// <param name="operands">What to multiply. Rows and columns past the matrices' ends must be readable.</param>
    /// <param name="row">The tile's first row, for the epilogue.</param>
    /// <param name="column">The tile's first column, likewise.</param>
    /// <param name="fromRegisters">Give the epilogue the registers; all rows and columns exist.</param>
    /// <param name="tile">Memory of the tile.</param>
    /// <param name="epilogue">Gets the sums.</param>
    /// <returns>Whether the sums are in <paramref name="tile"/> and are to be finished there.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static bool Multiply<TWide, TShape, TRows, TEpilogue>(
        in TileOperands operands, nint row, nint column, bool fromRegisters, float* tile, ref TEpilogue epilogue)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
        where TRows : struct, ITileRows
        where TEpilogue : struct, ITileEpilogue
    {
        epilogue.Begin<TWide, TShape>(row, column);
        TWide zero = TWide.Zero;
        TWide c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
        TWide c40 = zero, c41 = zero, c50 = zero, c51 = zero, c60 = zero, c61 = zero, c70 = zero, c71 = zero;
        TWide c80 = zero, c81 = zero, c90 = zero, c91 = zero, cA0 = zero, cA1 = zero, cB0 = zero, cB1 = zero;
        if (TEpilogue.Starts)
        {
            TEpilogue start = epilogue; // a copy that no store can change, so that its pointers stay in registers
            c00 = start.Start<TWide>(0, 0);
            if (TShape.Vectors == 2)
                c01 = start.Start<TWide>(0, 1);
            c10 = start.Start<TWide>(1, 0);
            if (TShape.Vectors == 2)
                c11 = start.Start<TWide>(1, 1);
            c20 = start.Start<TWide>(2, 0);
            if (TShape.Vectors == 2)
                c21 = start.Start<TWide>(2, 1);
            c30 = start.Start<TWide>(3, 0);
            if (TShape.Vectors == 2)
                c31 = start.Start<TWide>(3, 1);
            if (TShape.Rows<TWide>() > 4)
            {
                c40 = start.Start<TWide>(4, 0);
                if (TShape.Vectors == 2)
                    c41 = start.Start<TWide>(4, 1);
            }
            if (TShape.Rows<TWide>() > 5)
            {
                c50 = start.Start<TWide>(5, 0);
                if (TShape.Vectors == 2)
                    c51 = start.Start<TWide>(5, 1);
            }
            if (TShape.Rows<TWide>() > 6)
            {
                c60 = start.Start<TWide>(6, 0);
                if (TShape.Vectors == 2)
                    c61 = start.Start<TWide>(6, 1);
            }
            if (TShape.Rows<TWide>() > 7)
            {
                c70 = start.Start<TWide>(7, 0);
                if (TShape.Vectors == 2)
                    c71 = start.Start<TWide>(7, 1);
            }
            if (TShape.Rows<TWide>() > 8)
            {
                c80 = start.Start<TWide>(8, 0);
                if (TShape.Vectors == 2)
                    c81 = start.Start<TWide>(8, 1);
            }
            if (TShape.Rows<TWide>() > 9)
            {
                c90 = start.Start<TWide>(9, 0);
                if (TShape.Vectors == 2)
                    c91 = start.Start<TWide>(9, 1);
            }
            if (TShape.Rows<TWide>() > 10)
            {
                cA0 = start.Start<TWide>(10, 0);
                if (TShape.Vectors == 2)
                    cA1 = start.Start<TWide>(10, 1);
            }
            if (TShape.Rows<TWide>() > 11)
            {
                cB0 = start.Start<TWide>(11, 0);
                if (TShape.Vectors == 2)
                    cB1 = start.Start<TWide>(11, 1);
            }
        }

        nint stride = operands.Stride;
        float* b = operands.B;
        nint step = operands.Step, fetchStep = 0;
        byte* fetch = TEpilogue.Fetches ? epilogue.Fetch(operands.Depth, out fetchStep) : null;
        TileRun* run = operands.Runs;
        for (nint runs = TRows.InRuns ? operands.Depth : 1; runs != 0; runs--)
        {
            float* a0 = TRows.InRuns ? operands.A + run->Offset : operands.A;
            float* a3 = a0 + (3 * stride);
            float* a6 = a3 + (3 * stride);
            float* a9 = a6 + (3 * stride);
            if (TRows.InRuns && run->Length <= ShortRun)
                PrefetchRows<TWide, TShape>(operands.A + run[1].Offset, stride);
            for (nint k = TRows.InRuns ? run->Length : operands.Depth; k != 0; k--)
            {
                TWide b0 = TWide.Load(b);
                TWide b1 = TShape.Vectors == 2 ? TWide.Load(b + TWide.Lanes) : b0;
                TWide w0 = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 0));
                TWide.Accumulate(ref c00, w0, b0);
                if (TShape.Vectors == 2)
                    TWide.Accumulate(ref c01, w0, b1);
                TWide w1 = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 1));
                TWide.Accumulate(ref c10, w1, b0);
                if (TShape.Vectors == 2)
                    TWide.Accumulate(ref c11, w1, b1);
                TWide w2 = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 2));
                TWide.Accumulate(ref c20, w2, b0);
                if (TShape.Vectors == 2)
                    TWide.Accumulate(ref c21, w2, b1);
                TWide w3 = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 3));
                TWide.Accumulate(ref c30, w3, b0);
                if (TShape.Vectors == 2)
                    TWide.Accumulate(ref c31, w3, b1);
                if (TShape.Rows<TWide>() > 4)
                {
                    TWide w4 = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 4));
                    TWide.Accumulate(ref c40, w4, b0);
                    if (TShape.Vectors == 2)
                        TWide.Accumulate(ref c41, w4, b1);
                }
                if (TShape.Rows<TWide>() > 5)
                {
                    TWide w5 = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 5));
                    TWide.Accumulate(ref c50, w5, b0);
                    if (TShape.Vectors == 2)
                        TWide.Accumulate(ref c51, w5, b1);
                }
                if (TShape.Rows<TWide>() > 6)
                {
                    TWide w6 = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 6));
                    TWide.Accumulate(ref c60, w6, b0);
                    if (TShape.Vectors == 2)
                        TWide.Accumulate(ref c61, w6, b1);
                }
                if (TShape.Rows<TWide>() > 7)
                {
                    TWide w7 = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 7));
                    TWide.Accumulate(ref c70, w7, b0);
                    if (TShape.Vectors == 2)
                        TWide.Accumulate(ref c71, w7, b1);
                }
                if (TShape.Rows<TWide>() > 8)
                {
                    TWide w8 = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 8));
                    TWide.Accumulate(ref c80, w8, b0);
                    if (TShape.Vectors == 2)
                        TWide.Accumulate(ref c81, w8, b1);
                }
                if (TShape.Rows<TWide>() > 9)
                {
                    TWide w9 = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 9));
                    TWide.Accumulate(ref c90, w9, b0);
                    if (TShape.Vectors == 2)
                        TWide.Accumulate(ref c91, w9, b1);
                }
                if (TShape.Rows<TWide>() > 10)
                {
                    TWide wA = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 10));
                    TWide.Accumulate(ref cA0, wA, b0);
                    if (TShape.Vectors == 2)
                        TWide.Accumulate(ref cA1, wA, b1);
                }
                if (TShape.Rows<TWide>() > 11)
                {
                    TWide wB = TWide.BroadcastFrom(TRows.At<TWide, TShape>(a0, a3, a6, a9, stride, 11));
                    TWide.Accumulate(ref cB0, wB, b0);
                    if (TShape.Vectors == 2)
                        TWide.Accumulate(ref cB1, wB, b1);
                }
                TRows.Advance<TWide, TShape>(ref a0, ref a3, ref a6, ref a9);
                b += step;
                if (TEpilogue.Fetches)
                {
                    Prefetch.ToL2(fetch);
                    fetch += fetchStep;
                }
            }
            if (TRows.InRuns)
                run++;
        }

        if (fromRegisters)
        {
            TEpilogue taker = epilogue; // likewise
            TWide picked = TWide.Zero;
            picked = taker.Take(0, 0, c00, picked);
            if (TShape.Vectors == 2)
                picked = taker.Take(0, 1, c01, picked);
            picked = taker.Take(1, 0, c10, picked);
            if (TShape.Vectors == 2)
                picked = taker.Take(1, 1, c11, picked);
            picked = taker.Take(2, 0, c20, picked);
            if (TShape.Vectors == 2)
                picked = taker.Take(2, 1, c21, picked);
            picked = taker.Take(3, 0, c30, picked);
            if (TShape.Vectors == 2)
                picked = taker.Take(3, 1, c31, picked);
            if (TShape.Rows<TWide>() > 4)
            {
                picked = taker.Take(4, 0, c40, picked);
                if (TShape.Vectors == 2)
                    picked = taker.Take(4, 1, c41, picked);
            }
            if (TShape.Rows<TWide>() > 5)
            {
                picked = taker.Take(5, 0, c50, picked);
                if (TShape.Vectors == 2)
                    picked = taker.Take(5, 1, c51, picked);
            }
            if (TShape.Rows<TWide>() > 6)
            {
                picked = taker.Take(6, 0, c60, picked);
                if (TShape.Vectors == 2)
                    picked = taker.Take(6, 1, c61, picked);
            }
            if (TShape.Rows<TWide>() > 7)
            {
                picked = taker.Take(7, 0, c70, picked);
                if (TShape.Vectors == 2)
                    picked = taker.Take(7, 1, c71, picked);
            }
            if (TShape.Rows<TWide>() > 8)
            {
                picked = taker.Take(8, 0, c80, picked);
                if (TShape.Vectors == 2)
                    picked = taker.Take(8, 1, c81, picked);
            }
            if (TShape.Rows<TWide>() > 9)
            {
                picked = taker.Take(9, 0, c90, picked);
                if (TShape.Vectors == 2)
                    picked = taker.Take(9, 1, c91, picked);
            }
            if (TShape.Rows<TWide>() > 10)
            {
                picked = taker.Take(10, 0, cA0, picked);
                if (TShape.Vectors == 2)
                    picked = taker.Take(10, 1, cA1, picked);
            }
            if (TShape.Rows<TWide>() > 11)
            {
                picked = taker.Take(11, 0, cB0, picked);
                if (TShape.Vectors == 2)
                    picked = taker.Take(11, 1, cB1, picked);
            }
            if (!TEpilogue.Picks || TWide.GreaterThan(picked, TWide.Zero) == 0)
                return false;
        }

        int columns = TShape.Columns<TWide>();
        TWide.Store(tile, c00);
        if (TShape.Vectors == 2)
            TWide.Store(tile + TWide.Lanes, c01);
        TWide.Store(tile + columns, c10);
        if (TShape.Vectors == 2)
            TWide.Store(tile + columns + TWide.Lanes, c11);
        TWide.Store(tile + (2 * columns), c20);
        if (TShape.Vectors == 2)
            TWide.Store(tile + (2 * columns) + TWide.Lanes, c21);
        TWide.Store(tile + (3 * columns), c30);
        if (TShape.Vectors == 2)
            TWide.Store(tile + (3 * columns) + TWide.Lanes, c31);
        if (TShape.Rows<TWide>() > 4)
        {
            TWide.Store(tile + (4 * columns), c40);
            if (TShape.Vectors == 2)
                TWide.Store(tile + (4 * columns) + TWide.Lanes, c41);
        }
        if (TShape.Rows<TWide>() > 5)
        {
            TWide.Store(tile + (5 * columns), c50);
            if (TShape.Vectors == 2)
                TWide.Store(tile + (5 * columns) + TWide.Lanes, c51);
        }
        if (TShape.Rows<TWide>() > 6)
        {
            TWide.Store(tile + (6 * columns), c60);
            if (TShape.Vectors == 2)
                TWide.Store(tile + (6 * columns) + TWide.Lanes, c61);
        }
        if (TShape.Rows<TWide>() > 7)
        {
            TWide.Store(tile + (7 * columns), c70);
            if (TShape.Vectors == 2)
                TWide.Store(tile + (7 * columns) + TWide.Lanes, c71);
        }
        if (TShape.Rows<TWide>() > 8)
        {
            TWide.Store(tile + (8 * columns), c80);
            if (TShape.Vectors == 2)
                TWide.Store(tile + (8 * columns) + TWide.Lanes, c81);
        }
        if (TShape.Rows<TWide>() > 9)
        {
            TWide.Store(tile + (9 * columns), c90);
            if (TShape.Vectors == 2)
                TWide.Store(tile + (9 * columns) + TWide.Lanes, c91);
        }
        if (TShape.Rows<TWide>() > 10)
        {
            TWide.Store(tile + (10 * columns), cA0);
            if (TShape.Vectors == 2)
                TWide.Store(tile + (10 * columns) + TWide.Lanes, cA1);
        }
        if (TShape.Rows<TWide>() > 11)
        {
            TWide.Store(tile + (11 * columns), cB0);
            if (TShape.Vectors == 2)
                TWide.Store(tile + (11 * columns) + TWide.Lanes, cB1);
        }

        return true;
    }

    // The rows of the next run begin in lines that nothing else has asked for.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PrefetchRows<TWide, TShape>(float* row, nint stride)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        for (int i = 0; i < TShape.Rows<TWide>(); i++, row += stride)
            Prefetch.ToL1(row);
    }
}
