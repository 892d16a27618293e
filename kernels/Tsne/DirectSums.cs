using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>What points and clusters do to each of the 16 points of a group: added to sums of x, y and z forces and of weights, 16 floats each.</summary>
internal static unsafe class DirectSums
{
    private const int Group = ClusterTree.Group;
    private const int WeightSums = MapDimensions.Most * Group;

    // 1 but for a 0 in the middle: loaded from 16 - j on, it leaves out lane j.
    private static ReadOnlySpan<float> AllButOne =>
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];

    /// <summary>Clusters as their centres of mass, corrected for their points' spread about them by the second derivatives.</summary>
    /// <remarks>The list has, for each, where its squared side stands in <paramref name="blocks"/>.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Clusters<TWide, TMap, TKernel>(
        TKernel kernel, float* blocks, int* clusters, int count, float* points, nint stride, float* sums)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        const int Center = ClusterView.CenterRow * ClusterTree.Fan;

        // One vector of points at a time: a second one's sums would not fit the registers beside what the spread needs.
        for (int lane = 0; lane < Group; lane += TWide.Lanes)
        {
            LoadPoint<TWide, TMap>(points + lane, stride, out TWide x0, out TWide y0, out TWide z0);
            TWide fx = TWide.Zero, fy = fx, fz = fx, w = fx;
            for (int* entry = clusters, end = clusters + count; entry < end; entry++)
            {
                float* cluster = blocks + *entry, center = cluster + Center;
                TWide dx = x0 - TWide.BroadcastFrom(center), dy = TMap.Count > 1 ? y0 - TWide.BroadcastFrom(center + ClusterTree.Fan) : dx;
                TWide dz = TMap.Count > 2 ? z0 - TWide.BroadcastFrom(center + (2 * ClusterTree.Fan)) : dx;
                TWide square = Spread<TWide, TMap>(
                    center + (TMap.Count * ClusterTree.Fan), dx, dy, dz, out TWide trace, out TWide sx, out TWide sy, out TWide sz);
                TWide weight = kernel.SpreadWeight(Squared<TWide, TMap, TKernel>(dx, dy, dz), trace, square, out TWide radial, out TWide along);
                TWide mass = TWide.BroadcastFrom(cluster + (ClusterView.MassRow * ClusterTree.Fan));
                TWide.Accumulate(ref w, weight, mass);
                radial *= mass;
                along *= mass;
                TWide.Accumulate(ref fx, radial, dx);
                TWide.Accumulate(ref fx, along, sx);
                if (TMap.Count > 1)
                {
                    TWide.Accumulate(ref fy, radial, dy);
                    TWide.Accumulate(ref fy, along, sy);
                }

                if (TMap.Count > 2)
                {
                    TWide.Accumulate(ref fz, radial, dz);
                    TWide.Accumulate(ref fz, along, sz);
                }
            }

            AddTo<TWide, TMap>(sums + lane, fx, fy, fz, w);
        }
    }

    /// <summary>M D, its product with D and the trace of M for the moments of a cluster.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TWide Spread<TWide, TMap>(
        float* moments, TWide dx, TWide dy, TWide dz, out TWide trace, out TWide sx, out TWide sy, out TWide sz)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
    {
        TWide xx = TWide.BroadcastFrom(moments), square;
        trace = xx;
        sx = xx * dx;
        sy = sz = sx;
        if (TMap.Count > 1)
        {
            TWide xy = TWide.BroadcastFrom(moments + ClusterTree.Fan), yy = TWide.BroadcastFrom(moments + (2 * ClusterTree.Fan));
            trace += yy;
            sx = TWide.MultiplyAdd(xy, dy, sx);
            sy = TWide.MultiplyAdd(yy, dy, xy * dx);
        }

        if (TMap.Count > 2)
        {
            TWide xz = TWide.BroadcastFrom(moments + (3 * ClusterTree.Fan)), yz = TWide.BroadcastFrom(moments + (4 * ClusterTree.Fan));
            TWide zz = TWide.BroadcastFrom(moments + (5 * ClusterTree.Fan));
            trace += zz;
            sx = TWide.MultiplyAdd(xz, dz, sx);
            sy = TWide.MultiplyAdd(yz, dz, sy);
            sz = TWide.MultiplyAdd(zz, dz, TWide.MultiplyAdd(yz, dy, xz * dx));
        }

        square = sx * dx;
        if (TMap.Count > 1)
            square = TWide.MultiplyAdd(sy, dy, square);
        return TMap.Count > 2 ? TWide.MultiplyAdd(sz, dz, square) : square;
    }

    /// <summary>Clusters of 4 points, point by point.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Quads<TWide, TMap, TKernel>(
        TKernel kernel, int* quads, int count, float* sources, nint sourceStride, float* points, nint stride, float* sums)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        for (int lane = 0; lane < Group; lane += Step<TWide, TMap>())
        {
            TWide one = TWide.Broadcast(1f);
            int second = lane + Step<TWide, TMap>() - TWide.Lanes;
            LoadPoint<TWide, TMap>(points + lane, stride, out TWide x0, out TWide y0, out TWide z0);
            LoadPoint<TWide, TMap>(points + second, stride, out TWide x1, out TWide y1, out _);
            TWide fx0 = TWide.Zero, fy0 = fx0, fz0 = fx0, w0 = fx0, fx1 = fx0, fy1 = fx0, w1 = fx0;
            for (nint k = 0; k < count; k++)
            {
                float* source = sources + (ClusterTree.Fan * (nint)quads[k]), end = source + ClusterTree.Fan;
                for (; source < end; source++)
                {
                    TWide x = TWide.BroadcastFrom(source), y = TMap.Count > 1 ? TWide.BroadcastFrom(source + sourceStride) : x;
                    TWide z = TMap.Count > 2 ? TWide.BroadcastFrom(source + (2 * sourceStride)) : x;
                    TWide dx = x0 - x, dy = y0 - y, dz = z0 - z;
                    w0 += kernel.Weight(one, Squared<TWide, TMap, TKernel>(dx, dy, dz), out TWide push);
                    TWide.Accumulate(ref fx0, push, dx);
                    if (TMap.Count > 1)
                        TWide.Accumulate(ref fy0, push, dy);
                    if (TMap.Count > 2)
                        TWide.Accumulate(ref fz0, push, dz);
                    if (Step<TWide, TMap>() > TWide.Lanes)
                    {
                        dx = x1 - x;
                        dy = y1 - y;
                        w1 += kernel.Weight(one, Squared<TWide, TMap, TKernel>(dx, dy, dz), out push);
                        TWide.Accumulate(ref fx1, push, dx);
                        if (TMap.Count > 1)
                            TWide.Accumulate(ref fy1, push, dy);
                    }
                }
            }

            AddTo<TWide, TMap>(sums + lane, fx0, fy0, fz0, w0);
            if (Step<TWide, TMap>() > TWide.Lanes)
                AddTo<TWide, TMap>(sums + second, fx1, fy1, fy1, w1);
        }
    }

    /// <summary>The first <paramref name="count"/> points of the group on each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Own<TWide, TMap, TKernel>(TKernel kernel, float* points, nint stride, int count, float* sums)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        fixed (float* allButOne = AllButOne)
        {
            for (int lane = 0; lane < Group; lane += TWide.Lanes)
            {
                LoadPoint<TWide, TMap>(points + lane, stride, out TWide x0, out TWide y0, out TWide z0);
                TWide fx = TWide.Zero, fy = fx, fz = fx, w = fx;
                for (nint j = 0; j < count; j++)
                {
                    TWide dx = x0 - TWide.BroadcastFrom(points + j), dy = TMap.Count > 1 ? y0 - TWide.BroadcastFrom(points + stride + j) : dx;
                    TWide dz = TMap.Count > 2 ? z0 - TWide.BroadcastFrom(points + (2 * stride) + j) : dx;
                    w += kernel.Weight(TWide.Load(allButOne + Group - j + lane), Squared<TWide, TMap, TKernel>(dx, dy, dz), out TWide push);
                    TWide.Accumulate(ref fx, push, dx);
                    if (TMap.Count > 1)
                        TWide.Accumulate(ref fy, push, dy);
                    if (TMap.Count > 2)
                        TWide.Accumulate(ref fz, push, dz);
                }

                AddTo<TWide, TMap>(sums + lane, fx, fy, fz, w);
            }
        }
    }

    /// <summary>What a local expansion about the middle of <paramref name="box"/> does to the points of a group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Expansion<TWide, TMap, TKernel>(TKernel kernel, float* expansion, in ClusterBox box, float* points, nint stride, float* sums)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        TWide middleX = TWide.Broadcast(box.MiddleX), middleY = TWide.Broadcast(box.MiddleY), middleZ = TWide.Broadcast(box.MiddleZ);
        for (int lane = 0; lane < Group; lane += TWide.Lanes)
        {
            LoadPoint<TWide, TMap>(points + lane, stride, out TWide x, out TWide y, out TWide z);
            TWide w = LocalExpansion.At<TWide, TMap>(
                expansion, kernel.Slope, x - middleX, y - middleY, z - middleZ, out TWide fx, out TWide fy, out TWide fz);
            AddTo<TWide, TMap>(sums + lane, fx, fy, fz, w);
        }
    }

    /// <summary>Points taken at once: two vectors where registers allow it and a group has them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Step<TWide, TMap>()
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions => TMap.Count < 3 && TWide.Lanes < Group ? 2 * TWide.Lanes : TWide.Lanes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadPoint<TWide, TMap>(float* points, nint stride, out TWide x, out TWide y, out TWide z)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
    {
        x = TWide.Load(points);
        y = TMap.Count > 1 ? TWide.Load(points + stride) : x;
        z = TMap.Count > 2 ? TWide.Load(points + (2 * stride)) : x;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TWide Squared<TWide, TMap, TKernel>(TWide dx, TWide dy, TWide dz)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        TWide distance = TWide.MultiplyAdd(dx, dx, TKernel.Start<TWide>());
        if (TMap.Count > 1)
            distance = TWide.MultiplyAdd(dy, dy, distance);
        return TMap.Count > 2 ? TWide.MultiplyAdd(dz, dz, distance) : distance;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTo<TWide, TMap>(float* sums, TWide fx, TWide fy, TWide fz, TWide w)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
    {
        TWide.Store(sums, TWide.Load(sums) + fx);
        if (TMap.Count > 1)
            TWide.Store(sums + Group, TWide.Load(sums + Group) + fy);
        if (TMap.Count > 2)
            TWide.Store(sums + (2 * Group), TWide.Load(sums + (2 * Group)) + fz);
        TWide.Store(sums + WeightSums, TWide.Load(sums + WeightSums) + w);
    }
}
