using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Products of a tall matrix with few columns (a fully connected layer for a small batch), which are bound by reading the
/// rows once: they are read in place, in long pieces, instead of block of depth by block of depth, whose 1 KiB pieces on as
/// many pages as there are rows defeat the processor's prefetching.
/// </summary>
internal static unsafe class GemmStream<TWide, TShape, TStore>
    where TWide : unmanaged, IWide<TWide>
    where TShape : struct, ITileShape
    where TStore : struct, IGemmStore<TStore>
{
    // Depth of a piece: 16 KiB of each row; the packed columns for it, up to 64 floats wide, stay in L2.
    private const nint Piece = 16 * GemmBlocking.Depth;

    // Panels of rows to a job: the columns of a piece are read from L3 once for so many.
    private const nint JobPanels = 8;

    /// <summary>Whether rows are too many to stay in a cache between blocks of depth.</summary>
    public static bool Pays(in GemmOperand rows) => rows.DepthStride == 1 && rows.Depth > GemmBlocking.Depth && rows.Lanes * rows.Depth * sizeof(float) > CacheSizes.L2;

    /// <summary>Gives the product of <paramref name="rows"/> with one panel of <paramref name="columns"/> to <paramref name="store"/>.</summary>
    public static void Run(GemmOperand rows, GemmOperand columns, TStore store, WorkerPool pool)
    {
        int width = TShape.Columns<TWide>();
        using Scratch<float> packed = new(columns.Depth * width);
        GemmPack.Pack(columns, width, 0, 1, packed.Pointer);
        nint panels = GemmBlocking.Panels(rows.Lanes, TShape.Rows<TWide>());
        Body body = new(rows, (int)columns.Lanes, packed.Pointer, store);
        pool.For(panels, Math.Clamp(panels / (4 * pool.Threads), 1, JobPanels), ref body);
    }

    private readonly struct Body(GemmOperand rows, int columns, float* packed, TStore store) : IRangeBody
    {
        private readonly GemmOperand _rows = rows;
        private readonly TStore _store = store;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            int height = TShape.Rows<TWide>(), width = TShape.Columns<TWide>();
            using Scratch<float> memory = new(GemmTile.MostFloats<TWide>() + (height * GemmBlocking.Depth));
            float* rest = memory.Pointer + GemmTile.MostFloats<TWide>();
            for (nint piece = 0; piece < _rows.Depth; piece += Piece)
            {
                nint endPiece = Math.Min(piece + Piece, _rows.Depth);
                for (nint panel = start; panel < end; panel++)
                {
                    nint row = panel * height;
                    int count = (int)Math.Min(height, _rows.Lanes - row);
                    for (nint k = piece; k < endPiece; k += GemmBlocking.Depth)
                    {
                        TStore store = _store.ForBlock(k == 0, k + GemmBlocking.Depth >= _rows.Depth);
                        TileOperands operands = new()
                        {
                            Depth = Math.Min(GemmBlocking.Depth, _rows.Depth - k),
                            A = _rows.Data + (row * _rows.LaneStride) + k,
                            Stride = _rows.LaneStride,
                            B = packed + (k * width),
                            Step = width,
                        };
                        bool inMemory;
                        if (count == height)
                        {
                            inMemory = GemmTile.Multiply<TWide, TShape, PlainTileRows, TStore>(operands, row, 0, columns == width && store.FromRegisters, memory.Pointer, ref store);
                        }
                        else
                        {
                            // No row past the end is read.
                            GemmPack.Pack(_rows.Slice(row, count, k, operands.Depth), height, 0, 1, rest);
                            operands.A = rest;
                            operands.Stride = 0;
                            inMemory = GemmTile.Multiply<TWide, TShape, PackedTileRows, TStore>(operands, row, 0, false, memory.Pointer, ref store);
                        }

                        if (inMemory)
                            store.Finish<TWide, TShape>(memory.Pointer, row, 0, count, columns);
                    }
                }
            }
        }
    }
}
