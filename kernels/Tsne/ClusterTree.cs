using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// The points of a map in the order of a curve, and clusters of them: 4 consecutive points, 16, 64 and so on up to all. A
/// cluster knows its centre of mass, its number of points, how they spread, and its box; its members are known by its number
/// alone, so there are no pointers, no empty nodes, and the depth is the logarithm of the number of points whatever their
/// places.
/// </summary>
/// <remarks>
/// Memory, per point: 16 bytes for the order, 4 per axis for the coordinates, and for the clusters 15 bytes in two axes and 23
/// in three. Children stand together in blocks: side, mass, centre and spread of four side by side, as they are asked for.
/// </remarks>
internal sealed unsafe class ClusterTree : IDisposable
{
    /// <summary>Children per cluster.</summary>
    public const int Fan = 4;

    /// <summary>Points per cluster of level 1, which are handled together as one group.</summary>
    public const int Group = Fan * Fan;

    /// <summary>The level whose clusters are built, and later handled, as one piece of work.</summary>
    public const int UnitLevel = 4;

    /// <summary>Points per piece of work.</summary>
    public const int UnitPoints = 1024;

    private readonly CurveOrder _order;
    private readonly AlignedBuffer<float> _coordinates;
    private readonly AlignedBuffer<float> _blocks;
    private readonly AlignedBuffer<float> _boxes;

    public ClusterTree(int points, int axes)
    {
        Layout = new ClusterLayout(points, axes);
        _order = new CurveOrder(points);
        _coordinates = new AlignedBuffer<float>(axes * Layout.PointStride);
        _blocks = new AlignedBuffer<float>(Layout.Blocks * ClusterLayout.BlockLength(axes));
        _boxes = new AlignedBuffer<float>(2 * axes * Layout.BoxStride);
    }

    public ClusterLayout Layout { get; }

    public ClusterView View => new(Layout, _order.Entries, _coordinates.Pointer, _blocks.Pointer, _boxes.Pointer);

    /// <summary>Sorts the points of <paramref name="map"/> and makes the clusters.</summary>
    public void Build(MatrixView<float> map, WorkerPool pool)
    {
        _order.Sort(map, pool);
        BuildBody body = new() { Map = map, Tree = View };
        pool.For(Layout.Points, UnitPoints, ref body);
        if (Layout.Points > 0)
        {
            body.Upper();
            body.Loose();
        }
    }

    /// <summary>The mean longest side of the groups' boxes.</summary>
    public float MeanGroupSide()
    {
        ClusterView view = View;
        double sum = 0;
        int groups = Layout.Count(1), length = ClusterLayout.BlockLength(Layout.Axes);
        for (int i = 0; i < groups; i++)
            sum += Math.Sqrt(Math.Max(view.Blocks[((Layout.FirstBlock(1) + (i / Fan)) * length) + (i % Fan)], 0));
        return groups == 0 ? 0 : (float)(sum / groups);
    }

    public void Dispose()
    {
        _order.Dispose();
        _coordinates.Dispose();
        _blocks.Dispose();
        _boxes.Dispose();
    }

    private struct BuildBody : IRangeBody
    {
        public MatrixView<float> Map;
        public ClusterView Tree;

        public readonly void Invoke(int worker, nint start, nint end)
        {
            switch (Map.Rows)
            {
                case 1:
                    Lower<Map1>(start, end);
                    break;
                case 2:
                    Lower<Map2>(start, end);
                    break;
                default:
                    Lower<Map3>(start, end);
                    break;
            }
        }

        /// <summary>The clusters above the units.</summary>
        public readonly void Upper()
        {
            for (int level = UnitLevel + 1; level <= Tree.Layout.Top; level++)
            {
                int count = Tree.Layout.Count(level);
                for (int axis = 0; axis < Map.Rows; axis++)
                    Merge((int)Map.Rows, axis, level, 0, count);
                Moments((int)Map.Rows, level, 0, count);
                Finish((int)Map.Rows, level, 0, count);
            }
        }

        /// <summary>The points that fill no cluster of 4, each for itself.</summary>
        public readonly void Loose()
        {
            int axes = (int)Map.Rows, rest = Tree.Layout.Points % Fan;
            float* block = Tree.Blocks + ((Tree.Layout.Blocks - 1) * ClusterLayout.BlockLength(axes));
            new Span<float>(block, ClusterLayout.BlockLength(axes)).Clear();
            for (int i = 0; i < Fan; i++)
            {
                block[(ClusterView.MassRow * Fan) + i] = i < rest ? 1 : 0;
                for (int axis = 0; axis < axes; axis++)
                    block[((ClusterView.CenterRow + axis) * Fan) + i] = Tree.Coordinates[(axis * Tree.Layout.PointStride) + Tree.Layout.Points - Math.Max(rest - i, 1)];
            }
        }

        private readonly void Lower<TMap>(nint start, nint end)
            where TMap : struct, IMapDimensions
        {
            for (int axis = 0; axis < TMap.Count; axis++)
            {
                float* to = Tree.Coordinates + (axis * Tree.Layout.PointStride);
                Take(Map.Row(axis), Tree.Order, to, start, end);

                // Behind the last point its copies fill the group: lanes that are computed with and not kept.
                for (nint i = end; i % Group != 0; i++)
                    to[i] = to[end - 1];
                Points(TMap.Count, axis, start, end);
            }

            // The last unit may be the only one, and of fewer levels.
            int first = (int)(start / UnitPoints);
            for (int level = 0; level <= Math.Min(UnitLevel, Tree.Layout.Top); level++)
            {
                int shift = 2 * (UnitLevel - level);
                int from = first << shift, to = Math.Min((first + 1) << shift, Tree.Layout.Count(level));
                if (level > 0)
                {
                    for (int axis = 0; axis < TMap.Count; axis++)
                        Merge(TMap.Count, axis, level, from, to);
                }

                Moments(TMap.Count, level, from, to);
                Finish(TMap.Count, level, from, to);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Take(float* from, ulong* order, float* to, nint start, nint end)
        {
            for (nint i = start; i < end; i++)
                to[i] = from[(uint)order[i]];
        }

        /// <summary>Level 0 along one axis: boxes and centres of 4 points.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Points(int axes, int axis, nint start, nint end)
        {
            int length = ClusterLayout.BlockLength(axes);
            float* x = Tree.Coordinates + (axis * Tree.Layout.PointStride), low = Tree.Low(axis), high = Tree.High(axis);
            nint whole = end / Fan;
            for (nint i = start / Fan; i < whole; i++)
            {
                float a = x[4 * i], b = x[(4 * i) + 1], c = x[(4 * i) + 2], d = x[(4 * i) + 3];
                low[i] = Least(Least(a, b), Least(c, d));
                high[i] = Most(Most(a, b), Most(c, d));

                // From the first point on, so that equal points have exactly their place as centre.
                float* block = Tree.Blocks + (i / Fan * length) + (i % Fan);
                float middle = a + (((b - a) + (c - a) + (d - a)) * 0.25f);
                block[(ClusterView.CenterRow + axis) * Fan] = middle;
                block[ClusterView.MassRow * Fan] = Fan;
            }

            if (whole * Fan == end)
                return;
            int rest = (int)(end - (whole * Fan));
            float first = x[whole * Fan], sum = 0;
            (low[whole], high[whole]) = (first, first);
            for (int j = 1; j < rest; j++)
            {
                float value = x[(whole * Fan) + j];
                low[whole] = Least(low[whole], value);
                high[whole] = Most(high[whole], value);
                sum += value - first;
            }

            float* last = Tree.Blocks + (whole / Fan * length) + (whole % Fan);
            last[(ClusterView.CenterRow + axis) * Fan] = first + (sum / rest);
            last[ClusterView.MassRow * Fan] = rest;
        }

        /// <summary>A level from the one below along one axis. Missing children have mass 0 and the boxes of the last one.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Merge(int axes, int axis, int level, int start, int end)
        {
            int length = ClusterLayout.BlockLength(axes);
            float* below = Tree.Blocks + (Tree.Layout.FirstBlock(level - 1) * length), here = Tree.Blocks + (Tree.Layout.FirstBlock(level) * length);
            float* low = Tree.Low(axis), high = Tree.High(axis);
            nint children = Fan * Tree.Layout.FirstBlock(level - 1), boxes = Fan * Tree.Layout.FirstBlock(level);
            for (nint i = start; i < end; i++)
            {
                float* mass = below + (i * length) + (ClusterView.MassRow * Fan), center = below + (i * length) + ((ClusterView.CenterRow + axis) * Fan);
                float a = center[0], total = mass[0] + mass[1] + mass[2] + mass[3];
                float sum = (mass[1] * (center[1] - a)) + (mass[2] * (center[2] - a)) + (mass[3] * (center[3] - a));
                float* block = here + (i / Fan * length) + (i % Fan);
                block[(ClusterView.CenterRow + axis) * Fan] = a + (sum / total);
                block[ClusterView.MassRow * Fan] = total;
                float* l = low + children + (Fan * i), h = high + children + (Fan * i);
                low[boxes + i] = Least(Least(l[0], l[1]), Least(l[2], l[3]));
                high[boxes + i] = Most(Most(h[0], h[1]), Most(h[2], h[3]));
            }
        }

        /// <summary>The variances and covariances of the points about their centres.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Moments(int axes, int level, int start, int end)
        {
            int length = ClusterLayout.BlockLength(axes), moment = ClusterView.CenterRow + axes;
            float* blocks = Tree.Blocks + (Tree.Layout.FirstBlock(level) * length);
            for (int a = 0; a < axes; a++)
            {
                for (int b = 0; b <= a; b++, moment++)
                {
                    int rowA = (ClusterView.CenterRow + a) * Fan, rowB = (ClusterView.CenterRow + b) * Fan;
                    if (level == 0)
                    {
                        float* x = Tree.Coordinates + (a * Tree.Layout.PointStride), y = Tree.Coordinates + (b * Tree.Layout.PointStride);
                        int whole = Math.Min(end, Tree.Layout.Points / Fan);
                        for (nint i = start; i < end; i++)
                        {
                            float* block = blocks + (i / Fan * length) + (i % Fan);
                            float middleA = block[rowA], middleB = block[rowB], sum = 0;
                            int count = i < whole ? Fan : Tree.Layout.Points % Fan;
                            for (nint k = 4 * i; k < (4 * i) + count; k++)
                                sum += (x[k] - middleA) * (y[k] - middleB);
                            block[moment * Fan] = sum / count;
                        }

                        continue;
                    }

                    float* below = Tree.Blocks + (Tree.Layout.FirstBlock(level - 1) * length);
                    for (nint i = start; i < end; i++)
                    {
                        float* block = blocks + (i / Fan * length) + (i % Fan), children = below + (i * length);
                        float middleA = block[rowA], middleB = block[rowB], sum = 0;
                        for (int k = 0; k < Fan; k++)
                        {
                            float between = (children[rowA + k] - middleA) * (children[rowB + k] - middleB);
                            sum += children[(ClusterView.MassRow * Fan) + k] * (children[(moment * Fan) + k] + between);
                        }

                        block[moment * Fan] = sum / block[ClusterView.MassRow * Fan];
                    }
                }
            }
        }

        /// <summary>The squared sides, and what stands for the children that the level's last cluster lacks.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Finish(int axes, int level, int start, int end)
        {
            int length = ClusterLayout.BlockLength(axes);
            nint firstBlock = Tree.Layout.FirstBlock(level), boxes = Fan * firstBlock;
            float* blocks = Tree.Blocks + (firstBlock * length);
            for (nint i = start; i < end; i++)
            {
                float side = 0;
                for (int axis = 0; axis < axes; axis++)
                    side = Most(side, Tree.High(axis)[boxes + i] - Tree.Low(axis)[boxes + i]);

                // Equal points are their centre, at any distance. So are those whose differences' squares underflow: there
                // w is 1 and the force is linear.
                blocks[(i / Fan * length) + (i % Fan)] = side * side > 0 ? side * side : ClusterView.SideOfPoint;
            }

            if (end != Tree.Layout.Count(level))
                return;
            for (nint i = end; i % Fan != 0; i++)
            {
                float* block = blocks + (i / Fan * length);
                for (int row = 0; row < length; row += Fan)
                    block[row + (i % Fan)] = 0;
                block[i % Fan] = ClusterView.SideOfPoint;
                for (int axis = 0; axis < axes; axis++)
                {
                    float* center = block + ((ClusterView.CenterRow + axis) * Fan);
                    center[i % Fan] = center[(end - 1) % Fan];
                    Tree.Low(axis)[boxes + i] = Tree.Low(axis)[boxes + end - 1];
                    Tree.High(axis)[boxes + i] = Tree.High(axis)[boxes + end - 1];
                }
            }
        }

        // Of one instruction, unlike Math.Min: NaN is not looked after.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static float Least(float a, float b) => float.MinNative(a, b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static float Most(float a, float b) => float.MaxNative(a, b);
    }
}

/// <summary>Where the clusters of each level stand.</summary>
internal struct ClusterLayout
{
    private Starts _firstBlock;

    public ClusterLayout(int points, int axes)
    {
        Points = points;
        Axes = axes;
        PointStride = ((nint)points + ClusterTree.Group - 1) / ClusterTree.Group * ClusterTree.Group;

        // The groups of level 1 are handled as they are, so there always is that level.
        Top = 1;
        while (Count(Top) > 1)
            Top++;
        for (int level = 0; level <= Top; level++)
            _firstBlock[level + 1] = _firstBlock[level] + ((Count(level) + ClusterTree.Fan - 1) / ClusterTree.Fan);
        Blocks = _firstBlock[Top + 1] + 1;
        BoxStride = ClusterTree.Fan * (nint)Blocks;
    }

    public int Points { get; }

    public int Axes { get; }

    /// <summary>Floats from one axis of the coordinates to the next.</summary>
    public nint PointStride { get; }

    /// <summary>Floats from one kind of number of the boxes to the next.</summary>
    public nint BoxStride { get; }

    /// <summary>Blocks of 4 clusters; the last one has the up to 3 points that fill no cluster of 4, each for itself.</summary>
    public int Blocks { get; }

    /// <summary>The level of the cluster of all points.</summary>
    public int Top { get; }

    /// <summary>Floats of a block: 4 squared sides, 4 masses, 4 centres along each axis, 4 of each second moment.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int BlockLength(int axes) => (2 + axes + (axes * (axes + 1) / 2)) * ClusterTree.Fan;

    /// <summary>Clusters of a level.</summary>
    public readonly int Count(int level) => (int)((Points + (1L << ((2 * level) + 2)) - 1) >> ((2 * level) + 2));

    /// <summary>A level's first block: cluster c stands at c % 4 in block c / 4 behind it.</summary>
    public readonly nint FirstBlock(int level) => _firstBlock[level];

    // Levels up to that of 2^31 points, and one beyond.
    [InlineArray(18)]
    private struct Starts
    {
        private int _first;
    }
}

/// <summary>Pointers into a tree.</summary>
internal readonly unsafe struct ClusterView(ClusterLayout layout, ulong* order, float* coordinates, float* blocks, float* boxes)
{
    /// <summary>Stands for the squared side of a cluster whose points are one point: below any other, so it is never opened.</summary>
    public const float SideOfPoint = -1f;

    // Rows of 4 floats of a block. The squared sides are row 0.
    // Behind the centres, one row per axis, come the variances and covariances: xx, xy, yy, xz, yz, zz.
    public const int MassRow = 1;
    public const int CenterRow = 2;

    public readonly ClusterLayout Layout = layout;

    /// <summary>The points' indices in the map, in the lower halves.</summary>
    public readonly ulong* Order = order;

    /// <summary>One row per axis, in the curve's order.</summary>
    public readonly float* Coordinates = coordinates;

    public readonly float* Blocks = blocks;

    private readonly float* _boxes = boxes;

    /// <summary>By cluster, four for each block.</summary>
    public float* Low(int axis) => _boxes + (axis * Layout.BoxStride);

    public float* High(int axis) => _boxes + ((Layout.Axes + axis) * Layout.BoxStride);
}
