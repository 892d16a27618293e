using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// The sizes in which a matrix product is cut, for each level, with the reason beside each. Only <see cref="Depth"/> shows
/// in the results (it fixes the order of summation); all others may be tuned freely.
/// </summary>
internal static class GemmBlocking
{
    /// <summary>
    /// The sum over k is taken in blocks of this many products: each block from zero in ascending k, one fused multiply-add
    /// per product, and the sums of the blocks added in ascending order. The same at all levels, so that a result depends
    /// neither on threads nor on the sizes below, and its error grows with Depth + k/Depth instead of with k. A panel of B
    /// of this depth (16 KiB at 8 lanes, 32 KiB at 16) stays in L1 while the panels of A pass by.
    /// </summary>
    public const int Depth = 256;

    // A block of A stays in L2 while panels of B pass; the rest of L2 is for the panels of B and the tiles of C.
    private const int ShareOfL2 = 3;

    // Packed A and packed B share the L3 with C, and with what other cores keep there.
    private const int ShareOfL3 = 8;

    // So many jobs for each thread that the last ones to finish cost little.
    private const int JobsPerThread = 12;

    // Below this a job is not worth handing to another thread: some 3 us against 1 us.
    private const nint SmallestJobFlops = 1 << 18;

    /// <summary>
    /// Rows of A in a block: a third of L2 at full depth (168 rows of 1 KiB in 512 KiB), a multiple of all tile heights.
    /// Each panel of B is loaded into L1 once per so many rows.
    /// </summary>
    public static int BlockRows { get; } = (int)Math.Clamp(CacheSizes.L2 / ShareOfL2 / (Depth * sizeof(float)) / 12 * 12, 48, 384);

    /// <summary>
    /// The extent in rows or columns of what is packed at one time: an eighth of L3 at full depth each (4 MiB of 32, 4,096
    /// rows), so that scratch memory is bounded for any size. A multiple of all tile sizes.
    /// </summary>
    public static int PackedExtent { get; } = (int)Math.Clamp(CacheSizes.L3 / ShareOfL3 / (Depth * sizeof(float)) / 384 * 384, 768, 4224);

    // An operand that is read in place, without packing, may have so many floats: 64 KiB stay in L2 whatever their stride.
    private const nint InPlaceFloats = 16 << 10;

    // Panels of columns up to which packing the rows is not repaid: a row's element is packed in one to two cycles and used
    // in half a cycle for each column vector.
    private const int InPlacePanels = 16;

    // Panels of rows up to which packing the columns is not repaid: less, because each k of a column panel is another row of
    // the matrix, often another page.
    private const int InPlaceColumnPanels = 1;

    /// <summary>
    /// Up to so many panels of rows of A a product with transposed B is turned: B's rows, as they stand, become the tile's
    /// rows, and only A is packed.
    /// </summary>
    public const int TurnedPanels = 2;

    /// <summary>Whether rows are read as they stand.</summary>
    /// <param name="rows">The operand.</param>
    /// <param name="columnPanels">Panels of columns that each row meets.</param>
    public static bool RowsInPlace(in GemmOperand rows, nint columnPanels)
    {
        if (rows.DepthStride != 1)
            return false;

        // Rows that start at the same place of their pages share few sets of the caches: then only while L1 holds a tile's rows.
        bool conflicting = rows.LaneStride % 512 == 0 && rows.Depth >= 512;
        return rows.Lanes * rows.Depth <= InPlaceFloats || columnPanels <= (conflicting ? InPlaceColumnPanels : InPlacePanels);
    }

    /// <summary>Whether columns are read as they stand.</summary>
    /// <param name="columns">The operand.</param>
    /// <param name="rowPanels">Panels of rows that each column meets.</param>
    public static bool ColumnsInPlace(in GemmOperand columns, nint rowPanels) =>
        columns.LaneStride == 1 && (columns.Lanes * columns.Depth <= InPlaceFloats || rowPanels <= InPlaceColumnPanels);

    /// <summary>
    /// Splits the product into jobs of rows x columns: whole blocks of A where there are enough of them, else smaller
    /// pieces, as long as each is worth a thread's while.
    /// </summary>
    public static (nint Rows, nint Columns) Job<TWide, TShape>(nint rows, nint columns, nint depth, int threads)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        nint jobRows = BlockRows, jobColumns = columns;
        if (threads == 1)
            return (jobRows, jobColumns);

        int tileRows = TShape.Rows<TWide>(), tileColumns = TShape.Columns<TWide>();
        nint wanted = JobsPerThread * threads;
        while (Panels(rows, jobRows) * Panels(columns, jobColumns) < wanted && 2 * jobRows * jobColumns * depth > SmallestJobFlops)
        {
            // The larger side first: square blocks load the least for their arithmetic.
            if (jobColumns >= jobRows && jobColumns > tileColumns)
                jobColumns = RoundUp(jobColumns / 2, tileColumns);
            else if (jobRows > tileRows)
                jobRows = RoundUp(jobRows / 2, tileRows);
            else
                break;
        }

        return (jobRows, jobColumns);
    }

    /// <summary>Pieces of <paramref name="width"/> that cover <paramref name="count"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint Panels(nint count, nint width) => (count + width - 1) / width;

    /// <summary>The next multiple of <paramref name="step"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint RoundUp(nint count, nint step) => Panels(count, step) * step;
}

/// <summary>How many rows and vectors a register tile has: a struct type parameter, so that the tile is compiled for it.</summary>
internal interface ITileShape
{
    /// <summary>Vectors across the tile, 1 or 2.</summary>
    static abstract int Vectors { get; }

    /// <summary>Rows of the tile: 4 to 12.</summary>
    static abstract int Rows<TWide>()
        where TWide : unmanaged, IWide<TWide>;

    /// <summary>Columns of the tile.</summary>
    static abstract int Columns<TWide>()
        where TWide : unmanaged, IWide<TWide>;
}

/// <summary>
/// The tile of nearly all products. 16 registers: 6 x 2 accumulators, 2 of B, 1 broadcast of A. 32 registers: 12 x 2
/// accumulators. For 12 multiply-adds it loads 8 times, so that with two load ports and two multiply-add ports the
/// arithmetic is the bound.
/// </summary>
internal readonly struct WideTile : ITileShape
{
    public static int Vectors => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Rows<TWide>()
        where TWide : unmanaged, IWide<TWide> => TWide.Registers >= 32 ? 12 : 6;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Columns<TWide>()
        where TWide : unmanaged, IWide<TWide> => 2 * TWide.Lanes;

    /// <summary>Columns at the level in force: for operands that are packed once and multiplied often.</summary>
    public static int ColumnsInForce()
    {
        ColumnsAction action = default;
        Isa.Dispatch(ref action);
        return action.Columns;
    }

    private struct ColumnsAction : IWideAction
    {
        public int Columns;

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide> => Columns = WideTile.Columns<TWide>();
    }
}

/// <summary>
/// The tile for products of at most one vector of columns, where the other would do half its work for nothing: 12 x 1
/// accumulators, 13 loads for 12 multiply-adds.
/// </summary>
internal readonly struct NarrowTile : ITileShape
{
    public static int Vectors => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Rows<TWide>()
        where TWide : unmanaged, IWide<TWide> => 12;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Columns<TWide>()
        where TWide : unmanaged, IWide<TWide> => TWide.Lanes;
}

/// <summary>A tile one size lower, for rows that <see cref="WideTile"/> does not divide: as fast, while there are 8 accumulators to fill the multiply-add units.</summary>
internal readonly struct MediumTile : ITileShape
{
    public static int Vectors => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Rows<TWide>()
        where TWide : unmanaged, IWide<TWide> => TWide.Registers >= 32 ? 8 : 5;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Columns<TWide>()
        where TWide : unmanaged, IWide<TWide> => 2 * TWide.Lanes;
}

/// <summary>The lowest tile: with the others it makes up nearly any number of rows.</summary>
internal readonly struct LowTile : ITileShape
{
    public static int Vectors => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Rows<TWide>()
        where TWide : unmanaged, IWide<TWide> => TWide.Registers >= 32 ? 7 : 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Columns<TWide>()
        where TWide : unmanaged, IWide<TWide> => 2 * TWide.Lanes;
}
