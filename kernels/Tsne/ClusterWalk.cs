using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// How one worker adds up what a tree's points do to groups of up to 16 points: clusters under a small enough angle as their
/// centres of mass, those that are also far compared with the group's own size by way of a local expansion, which all
/// groups of a larger cluster share, and near points one by one.
/// </summary>
/// <remarks>
/// A cluster of squared side s^2 is summarised for a box at distance d from its centre of mass if s^2 &lt; theta^2 d^2, so for
/// every point in the box the angle is below theta.
/// </remarks>
internal unsafe struct ClusterWalk<TWide, TMap, TKernel>
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
    where TKernel : struct, ITsneKernel
{
    // Entries of the lists below. They are worked off when they are full, so their sums stay short enough for floats.
    private const int ListLength = 512;

    private readonly TKernel _kernel;
    private readonly ClusterView _tree;
    private readonly Wide128 _thetaSquared;
    private readonly float _expansionRatio;

    // Clusters to be opened at the level below, one list per level.
    private readonly int* _opened;

    // Clusters, and clusters of 4 points, that act on the points of the group at hand one by one.
    private readonly int* _clusters;
    private readonly int* _quads;

    // Clusters that go into an expansion.
    private readonly int* _far;
    private readonly float* _farValues;

    // Force and sum of weights of each point of the group.
    private readonly float* _sums;

    /// <summary>A walk with <paramref name="scratch"/> of <see cref="ScratchBytes"/> bytes.</summary>
    public ClusterWalk(TKernel kernel, ClusterView tree, double theta, byte* scratch)
    {
        _kernel = kernel;
        _tree = tree;
        _thetaSquared = Wide128.Broadcast((float)(theta * theta));
        _expansionRatio = 1f;
        _farValues = (float*)scratch;
        _sums = _farValues + ((MapDimensions.Most + 1) * ListLength);
        _clusters = (int*)(_sums + ((MapDimensions.Most + 1) * ClusterTree.Group));
        _quads = _clusters + ListLength;
        _far = _quads + ListLength;
        _opened = _far + ListLength;
    }

    public static nint ScratchBytes(in ClusterLayout layout) =>
        sizeof(float) * ((((MapDimensions.Most + 1) * (ListLength + ClusterTree.Group)) + (3 * ListLength) + layout.Offset(layout.Top + 1) + 63) & ~63);

    // Where a group's sums stand.
    public readonly float* Forces => _sums;

    public readonly float* Weights => _sums + (MapDimensions.Most * ClusterTree.Group);

    /// <summary>All groups of unit <paramref name="unit"/> of the tree's own points: their forces into the map's order; the sum of all their weights.</summary>
    public readonly double OwnUnit(int unit, MatrixView<float> force)
    {
        int level = Math.Min(ClusterTree.UnitLevel, _tree.Layout.Top);
        float* expansion = stackalloc float[LocalExpansion.Length];
        new Span<float>(expansion, LocalExpansion.Length).Clear();
        ClusterBox box = Box(level, unit);

        // From the top down, always asking the whole unit.
        int* opened = Opened(_tree.Layout.Top);
        opened[0] = 0;
        int count = 1;
        for (int above = _tree.Layout.Top - 1; above >= level; above--)
        {
            int* next = Opened(above);
            count = Select(above, opened, count, box, unit >> (2 * (above - level)), next, expansion);
            opened = next;
        }

        return level == 1
            ? Group(unit, opened, 0, box, expansion, force)
            : Descend(level, unit, opened, count, box, expansion, force);
    }

    /// <summary>The groups of cluster <paramref name="index"/>, for which <paramref name="opened"/> of its level are too near.</summary>
    private readonly double Descend(int level, int index, int* opened, int count, in ClusterBox box, float* expansion, MatrixView<float> force)
    {
        float* shifted = stackalloc float[LocalExpansion.Length];
        new Span<float>(shifted, LocalExpansion.Length).Clear();
        double sum = 0;
        int below = level - 1, last = Math.Min((index + 1) * ClusterTree.Fan, _tree.Layout.Count(below));
        for (int child = index * ClusterTree.Fan; child < last; child++)
        {
            ClusterBox childBox = Box(below, child);
            LocalExpansion.Shift<TMap>(expansion, shifted, _kernel.Slope, childBox.X - box.X, childBox.Y - box.Y, childBox.Z - box.Z);
            if (below == 1)
            {
                sum += Group(child, opened, count, childBox, shifted, force);
                continue;
            }

            int* next = Opened(below);
            int nextCount = Select(below, opened, count, childBox, child, next, shifted);
            sum += Descend(below, child, next, nextCount, childBox, shifted, force);
        }

        return sum;
    }

    private readonly double Group(int index, int* opened, int count, in ClusterBox box, float* expansion, MatrixView<float> force)
    {
        nint start = (nint)index * ClusterTree.Group;
        int points = (int)Math.Min(ClusterTree.Group, _tree.Layout.Points - start);
        new Span<float>(_sums, (MapDimensions.Most + 1) * ClusterTree.Group).Clear();
        Gather(opened, count, box, index, expansion, _tree.Coordinates + start, _tree.Layout.PointStride);
        DirectSums.Own<TWide, TMap, TKernel>(_kernel, _tree.Coordinates + start, _tree.Layout.PointStride, points, _sums);
        AddExpansion(expansion, box, _tree.Coordinates + start, _tree.Layout.PointStride);
        double sum = 0;
        for (int k = 0; k < points; k++)
        {
            uint point = (uint)_tree.Order[start + k];
            for (int axis = 0; axis < TMap.Count; axis++)
                force.Row(axis)[point] = Forces[(axis * ClusterTree.Group) + k];
            sum += Weights[k];
        }

        return sum;
    }

    /// <summary>
    /// Sorts the children of <paramref name="parents"/>: those that are far from the whole box compared with its size and their
    /// own go into the expansion about its middle, the others onto <paramref name="opened"/>.
    /// </summary>
    /// <returns>The number of the latter.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly int Select(int level, int* parents, int count, in ClusterBox box, int own, int* opened, float* expansion)
    {
        nint offset = _tree.Layout.Offset(level);
        float* squared = _tree.SquaredSide + offset;
        Wide128 limit = Wide128.Broadcast(box.SquaredSide * _expansionRatio), thetaSquared = _thetaSquared;
        int* far = _far;
        int farCount = 0, openedCount = 0, present = _tree.Layout.Count(level);
        for (int k = 0; k < count; k++)
        {
            int child = ClusterTree.Fan * parents[k];
            Wide128 reach = Distance(box, offset + child) * thetaSquared;
            uint accepted = Wide128.GreaterThan(reach, Wide128.Max(Wide128.Load(squared + child), limit));
            if ((uint)(own - child) < ClusterTree.Fan)
                accepted &= ~(1u << (own - child));
            uint open = ~accepted & Present(child, present);

            // Both lists are written and the one that does not count is overwritten: a branch would be guessed wrong.
            for (int lane = 0; lane < ClusterTree.Fan; lane++)
            {
                int isFar = (int)(accepted >> lane) & 1;
                far[farCount] = (int)offset + child + lane;
                farCount += isFar;
                opened[openedCount] = child + lane;
                openedCount += (int)(open >> lane) & 1;
            }

            if (farCount > ListLength - 16)
            {
                Expand(farCount, box, expansion);
                farCount = 0;
            }
        }

        if (farCount > 0)
            Expand(farCount, box, expansion);
        return openedCount;
    }

    /// <summary>All that acts on a group but the group itself: far clusters into the expansion, the others into the sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Gather(int* parents, int count, in ClusterBox box, int own, float* expansion, float* points, nint stride)
    {
        nint offset = _tree.Layout.Offset(1);
        float* squared = _tree.SquaredSide + offset;
        Wide128 limit = Wide128.Broadcast(box.SquaredSide * _expansionRatio), thetaSquared = _thetaSquared;
        int* far = _far, clusters = _clusters, opened = Opened(1);
        int farCount = 0, clusterCount = 0, openedCount = 0, present = _tree.Layout.Count(1);
        for (int k = 0; k < count; k++)
        {
            int child = ClusterTree.Fan * parents[k];
            Wide128 reach = Distance(box, offset + child) * thetaSquared, side = Wide128.Load(squared + child);
            uint accepted = Wide128.GreaterThan(reach, side), expanded = Wide128.GreaterThan(reach, Wide128.Max(side, limit));
            uint open = ~accepted & Present(child, present);
            accepted &= ~expanded;
            if ((uint)(own - child) < ClusterTree.Fan)
            {
                uint others = ~(1u << (own - child));
                accepted &= others;
                expanded &= others;
                open &= others;
            }

            for (int lane = 0; lane < ClusterTree.Fan; lane++)
            {
                far[farCount] = clusters[clusterCount] = (int)offset + child + lane;
                opened[openedCount] = child + lane;
                farCount += (int)(expanded >> lane) & 1;
                clusterCount += (int)(accepted >> lane) & 1;
                openedCount += (int)(open >> lane) & 1;
            }

            if (farCount > ListLength - 16)
            {
                Expand(farCount, box, expansion);
                farCount = 0;
            }

            if (clusterCount > ListLength - 16)
            {
                AddClusters(clusterCount, points, stride);
                clusterCount = 0;
            }
        }

        if (farCount > 0)
            Expand(farCount, box, expansion);

        // What is open is 4 clusters of 4 points each.
        int* quads = _quads;
        int quadCount = 0, partial = _tree.Layout.Points % ClusterTree.Fan == 0 ? -1 : _tree.Layout.Points / ClusterTree.Fan;
        squared = _tree.SquaredSide;
        present = _tree.Layout.Count(0);
        for (int k = 0; k < openedCount; k++)
        {
            int child = ClusterTree.Fan * opened[k];
            uint accepted = Wide128.GreaterThan(Distance(box, child) * thetaSquared, Wide128.Load(squared + child));
            uint near = ~accepted & Present(child, present);
            if ((uint)(partial - child) < ClusterTree.Fan && (near >> (partial - child) & 1) != 0)
            {
                near &= ~(1u << (partial - child));
                for (int loose = 0; loose < _tree.Layout.Points % ClusterTree.Fan; loose++)
                    clusters[clusterCount++] = _tree.Layout.Loose + loose;
            }

            for (int lane = 0; lane < ClusterTree.Fan; lane++)
            {
                clusters[clusterCount] = quads[quadCount] = child + lane;
                clusterCount += (int)(accepted >> lane) & 1;
                quadCount += (int)(near >> lane) & 1;
            }

            if (clusterCount > ListLength - 16)
            {
                AddClusters(clusterCount, points, stride);
                clusterCount = 0;
            }

            if (quadCount > ListLength - 16)
            {
                AddQuads(quadCount, points, stride);
                quadCount = 0;
            }
        }

        AddClusters(clusterCount, points, stride);
        AddQuads(quadCount, points, stride);
    }

    /// <summary>The bits of the children from <paramref name="first"/> on that there are: the level's last cluster may lack some.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Present(int first, int count) => first + ClusterTree.Fan <= count ? 15u : (1u << (count - first)) - 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly Wide128 Distance(in ClusterBox box, nint cluster)
    {
        Wide128 zero = Wide128.Zero;
        Wide128 dx = Wide128.Max(Wide128.Abs(Wide128.Load(_tree.Center(0) + cluster) - Wide128.Broadcast(box.X)) - Wide128.Broadcast(box.HalfX), zero);
        Wide128 distance = dx * dx;
        if (TMap.Count > 1)
        {
            Wide128 dy = Wide128.Max(Wide128.Abs(Wide128.Load(_tree.Center(1) + cluster) - Wide128.Broadcast(box.Y)) - Wide128.Broadcast(box.HalfY), zero);
            distance = Wide128.MultiplyAdd(dy, dy, distance);
        }

        if (TMap.Count > 2)
        {
            Wide128 dz = Wide128.Max(Wide128.Abs(Wide128.Load(_tree.Center(2) + cluster) - Wide128.Broadcast(box.Z)) - Wide128.Broadcast(box.HalfZ), zero);
            distance = Wide128.MultiplyAdd(dz, dz, distance);
        }

        return distance;
    }

    private readonly void Expand(int count, in ClusterBox box, float* expansion)
    {
        int whole = (count + TWide.Lanes - 1) / TWide.Lanes * TWide.Lanes;
        for (int k = count; k < whole; k++)
            _far[k] = _tree.Layout.Loose + ClusterTree.Fan - 1;
        Copy(whole);
        LocalExpansion.Add<TWide, TMap, TKernel>(_kernel, expansion, _farValues, ListLength, whole, box.X, box.Y, box.Z);
    }

    /// <summary>Side by side what stands scattered: cheaper than gathering it a vector at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Copy(int count)
    {
        int* far = _far;
        float* values = _farValues, mass = _tree.Mass, x = _tree.Center(0), y = TMap.Count > 1 ? _tree.Center(1) : x, z = TMap.Count > 2 ? _tree.Center(2) : x;
        for (int k = 0; k < count; k++)
        {
            nint cluster = far[k];
            values[k] = mass[cluster];
            values[k + ListLength] = x[cluster];
            if (TMap.Count > 1)
                values[k + (2 * ListLength)] = y[cluster];
            if (TMap.Count > 2)
                values[k + (3 * ListLength)] = z[cluster];
        }
    }

    private readonly void AddClusters(int count, float* points, nint stride) => DirectSums.Clusters<TWide, TMap, TKernel>(
        _kernel, _clusters, count, _tree.Mass, _tree.Center(0), _tree.Layout.ClusterStride, points, stride, _sums);

    private readonly void AddQuads(int count, float* points, nint stride) => DirectSums.Quads<TWide, TMap, TKernel>(
        _kernel, _quads, count, _tree.Coordinates, _tree.Layout.PointStride, points, stride, _sums);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void AddExpansion(float* expansion, in ClusterBox box, float* points, nint stride)
    {
        TWide x = TWide.Broadcast(box.X), y = TWide.Broadcast(box.Y), z = TWide.Broadcast(box.Z);
        for (int lane = 0; lane < ClusterTree.Group; lane += TWide.Lanes)
        {
            TWide rx = TWide.Load(points + lane) - x, ry = TMap.Count > 1 ? TWide.Load(points + stride + lane) - y : rx;
            TWide rz = TMap.Count > 2 ? TWide.Load(points + (2 * stride) + lane) - z : rx;
            TWide s = LocalExpansion.At<TWide, TMap>(expansion, _kernel.Slope, rx, ry, rz, out TWide fx, out TWide fy, out TWide fz);
            float* sums = _sums + lane;
            TWide.Store(sums, TWide.Load(sums) + fx);
            if (TMap.Count > 1)
                TWide.Store(sums + ClusterTree.Group, TWide.Load(sums + ClusterTree.Group) + fy);
            if (TMap.Count > 2)
                TWide.Store(sums + (2 * ClusterTree.Group), TWide.Load(sums + (2 * ClusterTree.Group)) + fz);
            TWide.Store(sums + (3 * ClusterTree.Group), TWide.Load(sums + (3 * ClusterTree.Group)) + s);
        }
    }

    private readonly ClusterBox Box(int level, int index)
    {
        nint cluster = _tree.Layout.Offset(level) + index;
        ClusterBox box = default;
        (box.X, box.HalfX) = Middle(_tree.Low(0)[cluster], _tree.High(0)[cluster]);
        if (TMap.Count > 1)
            (box.Y, box.HalfY) = Middle(_tree.Low(1)[cluster], _tree.High(1)[cluster]);
        if (TMap.Count > 2)
            (box.Z, box.HalfZ) = Middle(_tree.Low(2)[cluster], _tree.High(2)[cluster]);
        box.SquaredSide = _tree.SquaredSide[cluster];
        return box;
    }

    private static (float Middle, float Half) Middle(float low, float high)
    {
        float middle = low + ((high - low) * 0.5f);
        return (middle, Math.Max(middle - low, high - middle));
    }

    private readonly int* Opened(int level) => _opened + _tree.Layout.Offset(level);
}

/// <summary>The box of a group of points.</summary>
internal struct ClusterBox
{
    public float X;
    public float Y;
    public float Z;
    public float HalfX;
    public float HalfY;
    public float HalfZ;

    /// <summary>The square of its longest side, or <see cref="ClusterView.SideOfPoint"/>.</summary>
    public float SquaredSide;
}
