using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// The points of a map in units of a grid, ordered by tiles of nodes, so that spreading and gathering stay in the
/// first-level cache and tiles can be given to threads.
/// </summary>
/// <remarks>
/// Within a tile points keep their order: sorted by node, one point after the other would add to sums that are still on
/// their way to the cache.
/// </remarks>
internal sealed unsafe class FftPoints : IDisposable
{
    // Chunks in which points are counted; their number does not depend on the threads, so the order does not either.
    private const int MostChunks = 64;
    private const int LeastChunk = 4096;

    // Nodes of a tile's side, as powers of two. Small grids get small tiles, or there would be none for the second thread.
    private const int SmallTile = 3, LargeTile = 4, LineTile = 8;
    private const int LargeGrid = 192;

    private readonly AlignedBuffer<float> _inOrder;
    private readonly AlignedBuffer<float> _sorted;
    private readonly AlignedBuffer<int> _order;
    private AlignedBuffer<int> _places = new(1);
    private AlignedBuffer<int> _starts = new(1);
    private int _tilesX;
    private int _tilesY;
    private int _shift;

    public FftPoints(int points, int dimensions)
    {
        Count = points;
        Dimensions = dimensions;
        Chunk = Math.Max(LeastChunk, (points + MostChunks - 1) / MostChunks);
        Chunk = (Chunk + 15) / 16 * 16;
        Stride = ((nint)points + 15) / 16 * 16;
        _inOrder = new AlignedBuffer<float>(dimensions * Stride);
        _sorted = new AlignedBuffer<float>(dimensions * Stride);
        _order = new AlignedBuffer<int>(Stride);
    }

    public int Count { get; }

    public int Dimensions { get; }

    /// <summary>Points per chunk.</summary>
    public int Chunk { get; }

    public int Chunks => (Count + Chunk - 1) / Chunk;

    private nint Stride { get; }

    /// <summary>Which point stands at each place of the order.</summary>
    public int* Order => _order.Pointer;

    /// <summary>Ordered coordinates along x in units of the grid.</summary>
    public float* X => _sorted.Pointer;

    /// <summary>Ordered coordinates along y in units of the grid; only in the plane.</summary>
    public float* Y => _sorted.Pointer + Stride;

    /// <summary>Where each tile's points start, and the end of the last.</summary>
    public int* Starts => _starts.Pointer;

    public int TilesX => _tilesX;

    public int TilesY => _tilesY;

    /// <summary>Orders the points by tiles of a grid.</summary>
    public void Sort<TWide>(MatrixView<float> map, in FftGrid grid, float originX, float originY, int order, WorkerPool pool)
        where TWide : unmanaged, IWide<TWide>
    {
        _shift = Dimensions == 1 ? LineTile : Math.Max(grid.NodesX, grid.NodesY) < LargeGrid ? SmallTile : LargeTile;
        _tilesX = (grid.NodesX >> _shift) + 1;
        _tilesY = Dimensions == 1 ? 1 : (grid.NodesY >> _shift) + 1;
        int tiles = _tilesX * _tilesY;
        Reserve(ref _places, tiles * Chunks);
        Reserve(ref _starts, tiles + 1);
        SortBody<TWide> body = new()
        {
            Map = map,
            Origin = Vector128.Create(originX, originY, 0, 0),
            PerSpacing = 1 / grid.Spacing,
            LastX = grid.NodesX - order - 0.01f,
            LastY = grid.NodesY - order - 0.01f,
            InOrder = _inOrder.Pointer,
            Sorted = _sorted.Pointer,
            Stride = Stride,
            Order = _order.Pointer,
            Places = _places.Pointer,
            Chunk = Chunk,
            Tiles = tiles,
            TilesX = _tilesX,
            Shift = _shift,
        };
        pool.For(Count, Chunk, ref body);

        int place = 0, chunks = Chunks;
        int* starts = _starts.Pointer;
        for (int tile = 0; tile < tiles; tile++)
        {
            starts[tile] = place;
            for (int chunk = 0; chunk < chunks; chunk++)
            {
                int* slot = _places.Pointer + ((nint)chunk * tiles) + tile;
                (*slot, place) = (place, place + *slot);
            }
        }

        starts[tiles] = place;
        body.Scatter = true;
        pool.For(Count, Chunk, ref body);
    }

    public void Dispose()
    {
        _inOrder.Dispose();
        _sorted.Dispose();
        _order.Dispose();
        _places.Dispose();
        _starts.Dispose();
    }

    private static void Reserve(ref AlignedBuffer<int> buffer, int length)
    {
        if (buffer.Length >= length)
            return;
        buffer.Dispose();
        buffer = new AlignedBuffer<int>(length + (length / 2));
    }

    /// <summary>Counts a chunk's points by tile; then, when every tile of every chunk has its place, puts them there.</summary>
    private struct SortBody<TWide> : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        public MatrixView<float> Map;
        public Vector128<float> Origin;
        public float PerSpacing;
        public float LastX;
        public float LastY;
        public float* InOrder;
        public float* Sorted;
        public nint Stride;
        public int* Order;
        public int* Places;
        public int Chunk;
        public int Tiles;
        public int TilesX;
        public int Shift;
        public bool Scatter;

        public readonly void Invoke(int worker, nint start, nint end)
        {
            int* places = Places + (start / Chunk * Tiles);
            if (Scatter)
            {
                if (Map.Rows == 1)
                    Place<Map1>(places, start, end);
                else
                    Place<Map2>(places, start, end);
                return;
            }

            new Span<int>(places, Tiles).Clear();
            Scale(Map.Row(0), Origin[0], LastX, InOrder, start, end);
            if (Map.Rows == 1)
            {
                Count<Map1>(places, start, end);
                return;
            }

            Scale(Map.Row(1), Origin[1], LastY, InOrder + Stride, start, end);
            Count<Map2>(places, start, end);
        }

        /// <summary>Units of the grid, held inside it: whatever a coordinate is, even NaN, its nodes exist.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Scale(float* row, float origin, float last, float* scaled, nint start, nint end)
        {
            TWide origins = TWide.Broadcast(origin), factor = TWide.Broadcast(PerSpacing), lasts = TWide.Broadcast(last);
            for (nint i = start; i < end; i += TWide.Lanes)
            {
                int count = (int)Math.Min(TWide.Lanes, end - i);
                TWide value = (TWide.LoadFirst(row + i, count) - origins) * factor;
                TWide.StoreFirst(scaled + i, TWide.Min(TWide.Max(value, TWide.Zero), lasts), count);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Count<TMap>(int* counts, nint start, nint end)
            where TMap : struct, IMapDimensions
        {
            float* x = InOrder, y = x + Stride;
            int shift = Shift, tilesX = TilesX;
            for (nint i = start; i < end; i++)
                counts[Tile<TMap>(x, y, i, shift, tilesX)]++;
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Place<TMap>(int* places, nint start, nint end)
            where TMap : struct, IMapDimensions
        {
            float* x = InOrder, y = x + Stride, sortedX = Sorted, sortedY = sortedX + Stride;
            int* order = Order;
            int shift = Shift, tilesX = TilesX;
            for (nint i = start; i < end; i++)
            {
                nint place = places[Tile<TMap>(x, y, i, shift, tilesX)]++;
                order[place] = (int)i;
                sortedX[place] = x[i];
                if (TMap.Count > 1)
                    sortedY[place] = y[i];
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static nint Tile<TMap>(float* x, float* y, nint i, int shift, int tilesX)
            where TMap : struct, IMapDimensions =>
            TMap.Count == 1 ? (int)x[i] >> shift : (((int)y[i] >> shift) * tilesX) + ((int)x[i] >> shift);
    }
}
