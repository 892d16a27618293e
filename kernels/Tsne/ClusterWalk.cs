using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// How one worker adds up what a tree's points do to groups of up to 16 points: clusters under a small enough angle as their
/// centres of mass, those that are also far compared with the group's own size by way of a local expansion, which all
/// groups of a larger cluster share, and near points one by one.
/// </summary>
/// <remarks>
/// A cluster of squared side s^2 is summarised for a box at distance d from its centre of mass if s^2 &lt; theta^2 d^2, so for
/// every point in the box the angle is below theta. The choice is made for 4 clusters at a time, at every level of
/// instructions in the same way.
/// </remarks>
internal unsafe struct ClusterWalk<TWide, TMap, TKernel>
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
    where TKernel : struct, ITsneKernel
{
    // Entries of the lists below. They are worked off when they are full, so their sums stay short enough for floats.
    private const int ListLength = 512;

    // Clusters that are opened before the lists are looked at, so that the loops over them call nothing.
    private const int MostParents = 96;

    // A cluster goes into a box's expansion where theta^2 d^2 is above this times the square of the box's side, too. Measured
    // at theta 0.5 on 70,000 MNIST digits after 500 of 750 iterations, where errors are largest: at 0.5 the error of the forces
    // is 1.1e-2 and the time 13.4, at 1 7.8e-3 and 14.0, at 1.5 5.5e-3 and 16.0, at 2 4.1e-3 and 17.3 ms.
    private const float ExpansionRatio = 1.25f;

    // Masses, centres along three axes, six moments.
    private const int Kinds = 10;

    private const int Sums = MapDimensions.Most + 1;

    private readonly TKernel _kernel;
    private readonly ClusterView _tree;
    private readonly float _thetaSquared;

    // Clusters that go into an expansion: masses, then centres and moments.
    private readonly float* _far;

    // Clusters that act on the points of the group at hand, as places in the blocks, and clusters of 4 points of which each acts on the points of the group at hand.
    private readonly int* _near;
    private readonly int* _quads;

    // Force and sum of weights of each point of the group.
    private readonly float* _sums;

    // Clusters to be opened at the level below, one list per level.
    private readonly int* _opened;

    /// <summary>A walk with <paramref name="scratch"/> of <see cref="ScratchBytes"/> bytes.</summary>
    public ClusterWalk(TKernel kernel, ClusterView tree, double theta, byte* scratch)
    {
        _kernel = kernel;
        _tree = tree;
        _thetaSquared = (float)(theta * theta);
        _far = (float*)scratch;
        _sums = _far + (Kinds * ListLength);
        _near = (int*)(_sums + (Sums * ClusterTree.Group));
        _quads = _near + ListLength;
        _opened = _quads + ListLength;
    }

    /// <summary>A multiple of 64 bytes.</summary>
    public static nint ScratchBytes(in ClusterLayout layout) =>
        sizeof(float) * (((Kinds * ListLength) + (Sums * ClusterTree.Group) + (2 * ListLength) + (ClusterTree.Fan * layout.Blocks) + ClusterTree.Fan + 15) & ~(nint)15);

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
            LocalExpansion.Shift<TMap>(expansion, shifted, _kernel.Slope, childBox.MiddleX - box.MiddleX, childBox.MiddleY - box.MiddleY, childBox.MiddleZ - box.MiddleZ);
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
        float* coordinates = _tree.Coordinates + start;
        nint stride = _tree.Layout.PointStride;
        new Span<float>(_sums, Sums * ClusterTree.Group).Clear();
        Gather(opened, count, box, index, expansion, coordinates, stride);
        DirectSums.Own<TWide, TMap, TKernel>(_kernel, coordinates, stride, points, _sums);
        DirectSums.Expansion<TWide, TMap, TKernel>(_kernel, expansion, box, coordinates, stride, _sums);
        return Scatter(force, _tree.Order + start, points);
    }

    /// <summary>What the whole tree does to 16 points that are not its own, one row of 16 floats per axis.</summary>
    public readonly void OtherGroup(float* points, in ClusterBox box)
    {
        float* expansion = stackalloc float[LocalExpansion.Length];
        new Span<float>(expansion, LocalExpansion.Length).Clear();
        new Span<float>(_sums, Sums * ClusterTree.Group).Clear();
        if (_tree.Layout.Points == 0)
            return;
        int* opened = Opened(_tree.Layout.Top);
        opened[0] = 0;
        int count = 1;
        for (int level = _tree.Layout.Top - 1; level > 1; level--)
        {
            int* next = Opened(level);
            count = Select(level, opened, count, box, own: -1, next, expansion);
            opened = next;
        }

        Gather(opened, count, box, own: -1, expansion, points, ClusterTree.Group);
        DirectSums.Expansion<TWide, TMap, TKernel>(_kernel, expansion, box, points, ClusterTree.Group, _sums);
    }

    /// <summary>The group's forces to where its points stand in the map; the sum of its weights.</summary>
    /// <param name="force">The forces of the map.</param>
    /// <param name="order">The points' places in it.</param>
    /// <param name="points">Number of points.</param>
    /// <param name="weights">Where the sum of each goes; null for nowhere.</param>
    public readonly double Scatter(MatrixView<float> force, ulong* order, int points, double* weights = null)
    {
        double sum = 0;
        for (int k = 0; k < points; k++)
        {
            nint point = (nint)(uint)order[k];
            for (int axis = 0; axis < TMap.Count; axis++)
                force.Row(axis)[point] = _sums[(axis * ClusterTree.Group) + k];
            double weight = _sums[(MapDimensions.Most * ClusterTree.Group) + k];
            sum += weight;
            if (weights is not null)
                weights[point] = weight;
        }

        return sum;
    }

    /// <summary>
    /// Sorts the children of <paramref name="parents"/>: those that are far from the whole box compared with its size and their
    /// own go into the expansion about its middle, the others onto <paramref name="opened"/>.
    /// </summary>
    /// <returns>The number of the latter.</returns>
    private readonly int Select(int level, int* parents, int count, in ClusterBox box, int own, int* opened, float* expansion)
    {
        float* blocks = _tree.Blocks + (_tree.Layout.FirstBlock(level) * BlockLength);
        int openedCount = 0;
        for (int k = 0; k < count; k += MostParents)
        {
            int farCount = SelectFar(
                blocks, parents + k, Math.Min(count - k, MostParents), _tree.Layout.Count(level), box, _thetaSquared, own, opened, ref openedCount, _far);
            Expand(farCount, box, expansion);
        }

        return openedCount;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int SelectFar(
        float* blocks, int* parents, int count, int present, in ClusterBox box, float theta, int own, int* opened, ref int openedEntries, float* far)
    {
        Sides sides = new(box);
        Vector128<float> thetaSquared = Vector128.Create(theta), limit = Vector128.Create(box.SquaredSide * ExpansionRatio);
        int farCount = 0, openedCount = openedEntries;
        fixed (int* packed = Packed)
        {
            for (int* end = parents + count; parents < end; parents++)
            {
                int child = ClusterTree.Fan * *parents;
                float* block = blocks + ((nint)(*parents) * BlockLength);
                Vector128<float> reach = sides.SquaredDistance(block) * thetaSquared;
                uint accepted = Vector128.GreaterThan(reach, Vector128.MaxNative(Vector128.Load(block), limit)).ExtractMostSignificantBits();
                uint open = ~accepted & 15;
                if ((uint)(own - child) < ClusterTree.Fan)
                {
                    accepted &= ~(1u << (own - child));
                    open |= 1u << (own - child);
                }

                if (child + ClusterTree.Fan > present)
                    open &= (1u << (present - child)) - 1;

                // Both lists are written, and what does not count is overwritten: a branch would be guessed wrong.
                Pack(far + farCount, block, Vector128.Load(packed + (4 * accepted)));
                farCount += BitOperations.PopCount(accepted);
                (Vector128.Load(packed + (4 * open)) + Vector128.Create(child)).Store(opened + openedCount);
                openedCount += BitOperations.PopCount(open);
            }
        }

        openedEntries = openedCount;
        return farCount;
    }

    /// <summary>All that acts on a group but the group itself: far clusters into the expansion, the others into the sums.</summary>
    private readonly void Gather(int* parents, int count, in ClusterBox box, int own, float* expansion, float* points, nint stride)
    {
        int* opened = Opened(1);
        int openedCount = 0, nearCount = 0;
        if (_tree.Layout.Top == 1)
        {
            openedCount = count; // the only group is nobody's child
        }
        else
        {
            float* blocks = _tree.Blocks + (_tree.Layout.FirstBlock(1) * BlockLength);
            for (int k = 0; k < count; k += MostParents)
            {
                nearCount = Room(nearCount, points, stride);
                int farCount = SelectGroups(
                    blocks, parents + k, Math.Min(count - k, MostParents), _tree.Layout.Count(1), box, _thetaSquared, own, opened, ref openedCount, _far, _tree.Blocks, _near, ref nearCount);
                Expand(farCount, box, expansion);
            }
        }

        // The last points may fill no cluster of 4, and stand behind all others as clusters of one.
        int loose = (_tree.Layout.Blocks - 1) * (int)BlockLength;
        for (int k = 0; k < openedCount; k += MostParents)
        {
            nearCount = Room(nearCount, points, stride);
            int quadCount = SelectQuads(
                _tree.Blocks, opened + k, Math.Min(openedCount - k, MostParents), _tree.Layout.Points, box, _thetaSquared, loose, _quads, _near, ref nearCount);
            DirectSums.Quads<TWide, TMap, TKernel>(_kernel, _quads, quadCount, _tree.Coordinates, _tree.Layout.PointStride, points, stride, _sums);
        }

        AddNear(nearCount, points, stride);
    }

    /// <summary>The children of <paramref name="parents"/>, which are groups: into the expansion, to the near clusters, or onto <paramref name="opened"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int SelectGroups(
        float* blocks,
        int* parents,
        int count,
        int present,
        in ClusterBox box,
        float theta,
        int own,
        int* opened,
        ref int openedEntries,
        float* far,
        float* origin,
        int* near,
        ref int nearEntries)
    {
        Sides sides = new(box);
        Vector128<float> thetaSquared = Vector128.Create(theta), limit = Vector128.Create(box.SquaredSide * ExpansionRatio);
        int farCount = 0, nearCount = nearEntries, openedCount = openedEntries;
        fixed (int* packed = Packed)
        {
            for (int* end = parents + count; parents < end; parents++)
            {
                int child = ClusterTree.Fan * *parents;
                float* block = blocks + ((nint)(*parents) * BlockLength);
                Vector128<float> reach = sides.SquaredDistance(block) * thetaSquared, side = Vector128.Load(block);
                uint accepted = Vector128.GreaterThan(reach, side).ExtractMostSignificantBits();
                uint expanded = Vector128.GreaterThan(reach, Vector128.MaxNative(side, limit)).ExtractMostSignificantBits();
                uint open = ~accepted & 15;
                accepted &= ~expanded;
                if ((uint)(own - child) < ClusterTree.Fan)
                {
                    uint others = ~(1u << (own - child));
                    expanded &= others;
                    accepted &= others;
                    open &= others;
                }

                if (child + ClusterTree.Fan > present)
                    open &= (1u << (present - child)) - 1;

                Pack(far + farCount, block, Vector128.Load(packed + (4 * expanded)));
                farCount += BitOperations.PopCount(expanded);
                (Vector128.Load(packed + (4 * accepted)) + Vector128.Create((int)(block - origin))).Store(near + nearCount);
                nearCount += BitOperations.PopCount(accepted);
                (Vector128.Load(packed + (4 * open)) + Vector128.Create(child)).Store(opened + openedCount);
                openedCount += BitOperations.PopCount(open);
            }
        }

        nearEntries = nearCount;
        openedEntries = openedCount;
        return farCount;
    }

    /// <summary>The children of <paramref name="parents"/>, which are 4 points each: to the near clusters, or onto <paramref name="quads"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int SelectQuads(
        float* blocks, int* parents, int count, int points, in ClusterBox box, float theta, int loose, int* quads, int* near, ref int nearEntries)
    {
        float* origin = blocks;
        Sides sides = new(box);
        Vector128<float> thetaSquared = Vector128.Create(theta);
        int whole = points / ClusterTree.Fan, nearCount = nearEntries, quadCount = 0;
        fixed (int* packed = Packed)
        {
            for (int* end = parents + count; parents < end; parents++)
            {
                int child = ClusterTree.Fan * *parents;
                float* block = blocks + ((nint)(*parents) * BlockLength);
                uint accepted = Vector128.GreaterThan(sides.SquaredDistance(block) * thetaSquared, Vector128.Load(block)).ExtractMostSignificantBits();
                uint open = ~accepted & 15;
                if (child + ClusterTree.Fan > whole)
                {
                    if ((open >> (whole - child) & 1) != 0 && points > whole * ClusterTree.Fan)
                    {
                        (Vector128.Load(packed + (4 * 15)) + Vector128.Create(loose)).Store(near + nearCount);
                        nearCount += points % ClusterTree.Fan;
                    }

                    open &= (1u << (whole - child)) - 1;
                }

                (Vector128.Load(packed + (4 * accepted)) + Vector128.Create((int)(block - origin))).Store(near + nearCount);
                nearCount += BitOperations.PopCount(accepted);
                (Vector128.Load(packed + (4 * open)) + Vector128.Create(child)).Store(quads + quadCount);
                quadCount += BitOperations.PopCount(open);
            }
        }

        nearEntries = nearCount;
        return quadCount;
    }

    /// <summary>Works off the near clusters where those of <see cref="MostParents"/> more might not fit.</summary>
    private readonly int Room(int nearCount, float* points, nint stride)
    {
        if (nearCount + ((MostParents + 3) * ClusterTree.Fan) <= ListLength)
            return nearCount;
        AddNear(nearCount, points, stride);
        return 0;
    }

    /// <summary>All rows of a block but the sides to a list, the lanes that count first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Pack(float* list, float* block, Vector128<int> order)
    {
        PackRow(list, block, order, 0);
        PackRow(list, block, order, 1);
        PackRow(list, block, order, 2);
        if (TMap.Count > 1)
        {
            PackRow(list, block, order, 3);
            PackRow(list, block, order, 4);
            PackRow(list, block, order, 5);
        }

        if (TMap.Count > 2)
        {
            PackRow(list, block, order, 6);
            PackRow(list, block, order, 7);
            PackRow(list, block, order, 8);
            PackRow(list, block, order, 9);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PackRow(float* list, float* block, Vector128<int> order, int row) =>
        Vector128.ShuffleNative(Vector128.Load(block + ((ClusterView.MassRow + row) * ClusterTree.Fan)), order).Store(list + (row * ListLength));

    private readonly void Expand(int count, in ClusterBox box, float* expansion)
    {
        if (count == 0)
            return;
        for (int k = count; k % TWide.Lanes != 0; k++)
        {
            // Masses of 0 fill the last vector, at a place where nothing overflows.
            for (int kind = 0; kind < (int)(BlockLength / ClusterTree.Fan) - ClusterView.MassRow; kind++)
                _far[(kind * ListLength) + k] = kind == 0 ? 0 : _far[(kind * ListLength) + count - 1];
        }

        LocalExpansion.Add<TWide, TMap, TKernel>(_kernel, expansion, _far, ListLength, count, box.MiddleX, box.MiddleY, box.MiddleZ);
    }

    private readonly void AddNear(int count, float* points, nint stride) =>
        DirectSums.Clusters<TWide, TMap, TKernel>(_kernel, _tree.Blocks, _near, count, points, stride, _sums);

    private readonly ClusterBox Box(int level, int index)
    {
        nint firstBlock = _tree.Layout.FirstBlock(level), cluster = (ClusterTree.Fan * firstBlock) + index;
        ClusterBox box = default;
        (box.LowX, box.HighX) = (_tree.Low(0)[cluster], _tree.High(0)[cluster]);
        if (TMap.Count > 1)
            (box.LowY, box.HighY) = (_tree.Low(1)[cluster], _tree.High(1)[cluster]);
        if (TMap.Count > 2)
            (box.LowZ, box.HighZ) = (_tree.Low(2)[cluster], _tree.High(2)[cluster]);
        box.SquaredSide = _tree.Blocks[((firstBlock + (index / ClusterTree.Fan)) * BlockLength) + (index % ClusterTree.Fan)];
        return box;
    }

    private readonly int* Opened(int level) => _opened + (ClusterTree.Fan * _tree.Layout.FirstBlock(level));

    private static nint BlockLength => ClusterLayout.BlockLength(TMap.Count);

    // For each set of 4 lanes: their numbers, packed to the front.
    private static ReadOnlySpan<int> Packed =>
    [
        0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0,
        2, 0, 0, 0, 0, 2, 0, 0, 1, 2, 0, 0, 0, 1, 2, 0,
        3, 0, 0, 0, 0, 3, 0, 0, 1, 3, 0, 0, 0, 1, 3, 0,
        2, 3, 0, 0, 0, 2, 3, 0, 1, 2, 3, 0, 0, 1, 2, 3,
    ];

    /// <summary>The sides of a box, in all lanes.</summary>
    private readonly struct Sides(in ClusterBox box)
    {
        private readonly Vector128<float> _lowX = Vector128.Create(box.LowX);
        private readonly Vector128<float> _highX = Vector128.Create(box.HighX);
        private readonly Vector128<float> _lowY = Vector128.Create(box.LowY);
        private readonly Vector128<float> _highY = Vector128.Create(box.HighY);
        private readonly Vector128<float> _lowZ = Vector128.Create(box.LowZ);
        private readonly Vector128<float> _highZ = Vector128.Create(box.HighZ);

        /// <summary>From the nearest point of the box to the four centres of a block.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector128<float> SquaredDistance(float* block)
        {
            Vector128<float> dx = Outside(Vector128.Load(block + (ClusterView.CenterRow * ClusterTree.Fan)), _lowX, _highX), sum = dx * dx;
            if (TMap.Count > 1)
            {
                Vector128<float> dy = Outside(Vector128.Load(block + ((ClusterView.CenterRow + 1) * ClusterTree.Fan)), _lowY, _highY);
                sum = Vector128.MultiplyAddEstimate(dy, dy, sum);
            }

            if (TMap.Count > 2)
            {
                Vector128<float> dz = Outside(Vector128.Load(block + ((ClusterView.CenterRow + 2) * ClusterTree.Fan)), _lowZ, _highZ);
                sum = Vector128.MultiplyAddEstimate(dz, dz, sum);
            }

            return sum;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector128<float> Outside(Vector128<float> center, Vector128<float> low, Vector128<float> high) =>
            Vector128.MaxNative(Vector128.MaxNative(low - center, center - high), Vector128<float>.Zero);
    }
}

/// <summary>The box of a group of points.</summary>
internal struct ClusterBox
{
    public float LowX;
    public float LowY;
    public float LowZ;
    public float HighX;
    public float HighY;
    public float HighZ;

    /// <summary>The square of its longest side, or <see cref="ClusterView.SideOfPoint"/>.</summary>
    public float SquaredSide;

    public readonly float MiddleX => LowX + ((HighX - LowX) * 0.5f);

    public readonly float MiddleY => LowY + ((HighY - LowY) * 0.5f);

    public readonly float MiddleZ => LowZ + ((HighZ - LowZ) * 0.5f);
}
