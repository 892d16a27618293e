using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// The points of a map in the order of a curve, and clusters of them: 4 consecutive points, 16, 64 and so on up to all. A
/// cluster knows its centre of mass, its number of points and its box; its members are known by its number alone, so there
/// are no pointers, no empty nodes, and the depth is the logarithm of the number of points whatever their places.
/// </summary>
/// <remarks>
/// Memory, per point: 16 bytes for the order, 4 per axis for the coordinates, and a third of 4 (3 axes + 2) for the clusters.
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
    private readonly AlignedBuffer<float> _clusters;

    public ClusterTree(int points, int axes)
    {
        Layout = new ClusterLayout(points, axes);
        _order = new CurveOrder(points);
        _coordinates = new AlignedBuffer<float>(axes * Layout.PointStride);
        _clusters = new AlignedBuffer<float>(((3 * axes) + 2) * Layout.ClusterStride);
    }

    public ClusterLayout Layout { get; }

    public ClusterView View => new(Layout, _order.Entries, _coordinates.Pointer, _clusters.Pointer);

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

    public void Dispose()
    {
        _order.Dispose();
        _coordinates.Dispose();
        _clusters.Dispose();
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
                for (int axis = 0; axis < Map.Rows; axis++)
                    Merge(axis, level, 0, Tree.Layout.Count(level));
                Finish((int)Map.Rows, level, 0, Tree.Layout.Count(level));
            }
        }

        public readonly void Loose()
        {
            int rest = Tree.Layout.Points % Fan, loose = Tree.Layout.Loose;
            for (int i = 0; i < Fan; i++)
            {
                Tree.Mass[loose + i] = i < rest ? 1 : 0;
                for (int axis = 0; axis < Map.Rows; axis++)
                    Tree.Center(axis)[loose + i] = Tree.Coordinates[(axis * Tree.Layout.PointStride) + Tree.Layout.Points - Math.Max(rest - i, 1)];
            }
        }

        private readonly void Lower<TMap>(nint start, nint end)
            where TMap : struct, IMapDimensions
        {
            ulong* order = Tree.Order;
            for (int axis = 0; axis < TMap.Count; axis++)
            {
                float* from = Map.Row(axis), to = Tree.Coordinates + (axis * Tree.Layout.PointStride);
                for (nint i = start; i < end; i++)
                    to[i] = from[(uint)order[i]];

                // Behind the last point its copies fill the group: lanes that are computed with and not kept.
                for (nint i = end; i % Group != 0; i++)
                    to[i] = to[end - 1];
                Points(axis, start, end);
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
                        Merge(axis, level, from, to);
                }

                Finish(TMap.Count, level, from, to);
            }
        }

        /// <summary>Level 0 along one axis: boxes and centres of 4 points.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Points(int axis, nint start, nint end)
        {
            float* x = Tree.Coordinates + (axis * Tree.Layout.PointStride);
            float* low = Tree.Low(axis), high = Tree.High(axis), center = Tree.Center(axis), mass = Tree.Mass;
            nint whole = end / Fan;
            for (nint i = start / Fan; i < whole; i++)
            {
                float a = x[4 * i], b = x[(4 * i) + 1], c = x[(4 * i) + 2], d = x[(4 * i) + 3];
                low[i] = Math.Min(Math.Min(a, b), Math.Min(c, d));
                high[i] = Math.Max(Math.Max(a, b), Math.Max(c, d));

                // From the first point on, so that equal points have exactly their place as centre.
                center[i] = a + (((b - a) + (c - a) + (d - a)) * 0.25f);
                mass[i] = Fan;
            }

            if (whole * Fan == end)
                return;
            int rest = (int)(end - (whole * Fan));
            float first = x[whole * Fan], sum = 0;
            (low[whole], high[whole], mass[whole]) = (first, first, rest);
            for (int j = 1; j < rest; j++)
            {
                float value = x[(whole * Fan) + j];
                low[whole] = Math.Min(low[whole], value);
                high[whole] = Math.Max(high[whole], value);
                sum += value - first;
            }

            center[whole] = first + (sum / rest);
        }

        /// <summary>A level from the one below along one axis. Missing children have mass 0 and the boxes of the last one.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Merge(int axis, int level, int start, int end)
        {
            nint below = Tree.Layout.Offset(level - 1), here = Tree.Layout.Offset(level);
            float* low = Tree.Low(axis), high = Tree.High(axis), center = Tree.Center(axis), mass = Tree.Mass;
            for (nint i = start; i < end; i++)
            {
                nint child = below + (Fan * i), at = here + i;
                float a = center[child], total = mass[child] + mass[child + 1] + mass[child + 2] + mass[child + 3];
                float sum = (mass[child + 1] * (center[child + 1] - a)) + (mass[child + 2] * (center[child + 2] - a)) + (mass[child + 3] * (center[child + 3] - a));
                center[at] = a + (sum / total);
                mass[at] = total;
                low[at] = Math.Min(Math.Min(low[child], low[child + 1]), Math.Min(low[child + 2], low[child + 3]));
                high[at] = Math.Max(Math.Max(high[child], high[child + 1]), Math.Max(high[child + 2], high[child + 3]));
            }
        }

        /// <summary>The squared sides, and what stands for the children that the level's last cluster lacks.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Finish(int axes, int level, int start, int end)
        {
            nint offset = Tree.Layout.Offset(level);
            float* squared = Tree.SquaredSide + offset;
            for (nint i = start; i < end; i++)
            {
                float side = 0;
                for (int axis = 0; axis < axes; axis++)
                    side = Math.Max(side, Tree.High(axis)[offset + i] - Tree.Low(axis)[offset + i]);

                // Equal points are their centre, at any distance. So are those whose differences' squares underflow: there
                // w is 1 and the force is linear.
                squared[i] = side * side > 0 ? side * side : ClusterView.SideOfPoint;
            }

            if (end != Tree.Layout.Count(level))
                return;
            for (nint i = end; i % Fan != 0; i++)
            {
                squared[i] = ClusterView.SideOfPoint;
                Tree.Mass[offset + i] = 0;
                for (int axis = 0; axis < axes; axis++)
                {
                    Tree.Center(axis)[offset + i] = Tree.Center(axis)[offset + end - 1];
                    Tree.Low(axis)[offset + i] = Tree.Low(axis)[offset + end - 1];
                    Tree.High(axis)[offset + i] = Tree.High(axis)[offset + end - 1];
                }
            }
        }
    }
}

/// <summary>Where the clusters of each level stand.</summary>
internal readonly struct ClusterLayout
{
    public ClusterLayout(int points, int axes)
    {
        Points = points;
        Axes = axes;
        PointStride = ((nint)points + ClusterTree.Group - 1) / ClusterTree.Group * ClusterTree.Group;

        // The groups of level 1 are handled as they are, so there always is that level.
        Top = 1;
        while (Count(Top) > 1)
            Top++;
        Loose = (int)Offset(Top + 1);
        ClusterStride = (Loose + ClusterTree.Fan + 15) / 16 * 16;
    }

    public int Points { get; }

    public int Axes { get; }

    /// <summary>Floats from one axis of the coordinates to the next.</summary>
    public nint PointStride { get; }

    /// <summary>Floats from one kind of number of the clusters to the next.</summary>
    public nint ClusterStride { get; }

    /// <summary>The level of the cluster of all points.</summary>
    public int Top { get; }

    /// <summary>Behind the clusters: the up to 3 points that fill no cluster of 4, each for itself, and one of mass 0.</summary>
    public int Loose { get; }

    /// <summary>Clusters of a level.</summary>
    public int Count(int level) => (int)(((long)Points + (1L << (2 * level + 2)) - 1) >> (2 * level + 2));

    /// <summary>The number of a level's first cluster.</summary>
    public nint Offset(int level)
    {
        nint offset = 0;
        for (int below = 0; below < level; below++)
            offset += (Count(below) + 3) & ~3;
        return offset;
    }
}

/// <summary>Pointers into a tree.</summary>
internal readonly unsafe struct ClusterView(ClusterLayout layout, ulong* order, float* coordinates, float* clusters)
{
    /// <summary>Stands for the squared side of a cluster whose points are one point: below any other, so it is never opened.</summary>
    public const float SideOfPoint = -1f;

    public readonly ClusterLayout Layout = layout;

    /// <summary>The points' indices in the map, in the lower halves.</summary>
    public readonly ulong* Order = order;

    /// <summary>One row per axis, in the curve's order.</summary>
    public readonly float* Coordinates = coordinates;

    /// <summary>Points per cluster.</summary>
    public readonly float* Mass = clusters;

    /// <summary>The square of the longest side of the box.</summary>
    public readonly float* SquaredSide = clusters + layout.ClusterStride;

    public float* Center(int axis) => SquaredSide + ((1 + axis) * Layout.ClusterStride);

    public float* Low(int axis) => SquaredSide + ((1 + Layout.Axes + axis) * Layout.ClusterStride);

    public float* High(int axis) => SquaredSide + ((1 + (2 * Layout.Axes) + axis) * Layout.ClusterStride);
}
