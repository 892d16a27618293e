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
    /// of this depth (16 KiB at 8 lanes) stays in L1 while the panels of A pass by.
    /// </summary>
    public const int Depth = 256;

    /// <summary>
    /// Vectors across a register tile. Two columns of accumulators need rows + 2 loads for 2 * rows multiply-adds per k, so
    /// that with 6 rows the load ports are two thirds busy while both multiply-add ports are full.
    /// </summary>
    public const int TileVectors = 2;

    /// <summary>
    /// Rows of A in L2 while panels of B pass: 96 * 256 floats are 96 KiB, a fifth of the smallest L2 in use (512 KiB), and
    /// a multiple of both tile heights. Each panel of B is loaded once per so many rows.
    /// </summary>
    public const int BlockRows = 96;

    /// <summary>
    /// Columns that one job takes at a time. With more than one depth block the partial sums of 96 * 512 tiles (192 KiB) are
    /// kept in the worker's scratch and should stay in its L2.
    /// </summary>
    public const int BlockColumns = 512;

    /// <summary>
    /// The extent in each direction of what is packed at one time: 16 MiB for A and for B, so that both fit the L3 of a
    /// server and scratch memory is bounded for any size. k beyond it is added into C in a further pass.
    /// </summary>
    public const int PackedExtent = 2048;

    /// <summary>
    /// Rows of a register tile. 16 registers: 6 x 2 accumulators, 2 of B, 1 broadcast of A. 32 registers: 12 x 2
    /// accumulators, which doubles the arithmetic per load.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int TileRows<TWide>()
        where TWide : unmanaged, IWide<TWide> => TWide.Registers >= 32 ? 12 : 6;

    /// <summary>Columns of a register tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int TileColumns<TWide>()
        where TWide : unmanaged, IWide<TWide> => TileVectors * TWide.Lanes;

    /// <summary>Floats of a register tile when it is written to memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int TileFloats<TWide>()
        where TWide : unmanaged, IWide<TWide> => TileRows<TWide>() * TileColumns<TWide>();

    /// <summary>Floats of scratch that a worker needs for the tiles of one block.</summary>
    public const int WorkerFloats = BlockRows * BlockColumns;
}
