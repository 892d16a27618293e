using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// A map as the sums over neighbours read it, and the points whose neighbours they are: the map's own, or others. In the plane the two coordinates of a point stand together, in a copy, so that
/// a neighbour is one load and one cache line; otherwise each axis is gathered for itself.
/// </summary>
/// <remarks>
/// Measured on 2.45 GHz Zen 3, AVX2, 1 thread, 10,000 MNIST digits with 1.2 million affinities: attraction 0.8 ms from pairs,
/// 1.6 ms from two gathers.
/// </remarks>
internal readonly unsafe struct NeighborMap<TWide, TMap>(MatrixView<float> map, float* pairs, MatrixView<float> points)
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
{
    private readonly float* _x = map.Data;
    private readonly nint _stride = map.Stride;
    private readonly float* _point = points.Data;
    private readonly nint _pointStride = points.Stride;

    /// <summary>Floats of a copy for <paramref name="points"/> points.</summary>
    public static nint PairsLength(nint points) => TMap.Count == 2 ? 2 * points : 0;

    /// <summary>Fills the copy.</summary>
    public static void CopyPairs(MatrixView<float> map, float* pairs, WorkerPool pool)
    {
        if (TMap.Count != 2)
            return;
        PairsBody body = new() { X = map.Row(0), Y = map.Row(1), Pairs = pairs };
        pool.For(map.Columns, 16_384, ref body);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Broadcast(nint i, out TWide x, out TWide y, out TWide z)
    {
        x = TWide.Broadcast(_point[i]);
        y = TMap.Count > 1 ? TWide.Broadcast(_point[_pointStride + i]) : x;
        z = TMap.Count > 2 ? TWide.Broadcast(_point[(2 * _pointStride) + i]) : x;
    }

    /// <summary>The differences from a point to the neighbours that <paramref name="columns"/> name; <paramref name="start"/> + their squared length.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TWide Differences(int* columns, TWide start, TWide x, TWide y, TWide z, out TWide dx, out TWide dy, out TWide dz)
    {
        dy = start;
        dz = start;
        if (TMap.Count == 2)
        {
            TWide.GatherPairs(pairs, columns, out TWide xj, out TWide yj);
            dx = x - xj;
            dy = y - yj;
            return TWide.MultiplyAdd(dy, dy, TWide.MultiplyAdd(dx, dx, start));
        }

        dx = x - TWide.Gather(_x, columns);
        TWide distance = TWide.MultiplyAdd(dx, dx, start);
        if (TMap.Count > 1)
        {
            dy = y - TWide.Gather(_x + _stride, columns);
            distance = TWide.MultiplyAdd(dy, dy, distance);
        }

        if (TMap.Count > 2)
        {
            dz = z - TWide.Gather(_x + (2 * _stride), columns);
            distance = TWide.MultiplyAdd(dz, dz, distance);
        }

        return distance;
    }

    private struct PairsBody : IRangeBody
    {
        public float* X;
        public float* Y;
        public float* Pairs;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Invoke(int worker, nint start, nint end)
        {
            for (nint i = start; i < end; i++)
            {
                Pairs[2 * i] = X[i];
                Pairs[(2 * i) + 1] = Y[i];
            }
        }
    }
}

internal readonly unsafe struct AttractionAction(
    CsrMatrix affinities, MatrixView<float> map, MatrixView<float> points, MatrixView<float> force, float degreesOfFreedom, WorkerPool pool) : IMapAction
{
    private const int RowGrain = 128;

    public void Run<TWide, TMap>()
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
    {
        using Scratch<float> pairs = new(NeighborMap<TWide, TMap>.PairsLength(map.Columns));
        NeighborMap<TWide, TMap>.CopyPairs(map, pairs.Pointer, pool);
        AttractionBody<TWide, TMap> body = new(affinities, new(map, pairs.Pointer, points), force, degreesOfFreedom);
        pool.For(points.Columns, RowGrain, ref body);
    }
}

/// <summary>
/// Each row sums over its neighbours. Rows are independent; symmetry is not used, because writing to the neighbours would
/// cost more than computing q again. p / (1 + d^2 / nu) is taken as nu (p / (nu + d^2)), so every nu costs the same.
/// </summary>
internal readonly unsafe struct AttractionBody<TWide, TMap>(
    CsrMatrix affinities, NeighborMap<TWide, TMap> map, MatrixView<float> force, float degreesOfFreedom) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
{
    public void Invoke(int worker, nint start, nint end) =>
        Rows(affinities.OffsetsPointer, affinities.ColumnsPointer, affinities.ValuesPointer, map, force.Data, force.Stride, degreesOfFreedom, start, end);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows(
        long* offsets,
        int* columns,
        float* values,
        NeighborMap<TWide, TMap> map,
        float* force,
        nint forceStride,
        float degreesOfFreedom,
        nint start,
        nint end)
    {
        TWide degrees = TWide.Broadcast(degreesOfFreedom);
        for (nint i = start; i < end; i++)
        {
            nint last = (nint)offsets[i + 1];
            map.Broadcast(i, out TWide x, out TWide y, out TWide z);
            TWide fx = TWide.Zero, fy = TWide.Zero, fz = TWide.Zero;
            for (nint t = (nint)offsets[i]; t < last; t += TWide.Lanes)
            {
                // The row's last vector: the indices behind it are the next row's, or padding, and get weight 0.
                TWide p = last - t >= TWide.Lanes ? TWide.Load(values + t) : TWide.LoadFirst(values + t, (int)(last - t));
                TWide weight = p / map.Differences(columns + t, degrees, x, y, z, out TWide dx, out TWide dy, out TWide dz);
                fx = TWide.MultiplyAdd(weight, dx, fx);
                if (TMap.Count > 1)
                    fy = TWide.MultiplyAdd(weight, dy, fy);
                if (TMap.Count > 2)
                    fz = TWide.MultiplyAdd(weight, dz, fz);
            }

            Vector128<float> sums = TWide.Sum4(fx, TMap.Count > 1 ? fy : fx, TMap.Count > 2 ? fz : fx, fx) * degreesOfFreedom;
            force[i] = sums[0];
            if (TMap.Count > 1)
                force[forceStride + i] = sums[1];
            if (TMap.Count > 2)
                force[(2 * forceStride) + i] = sums[2];
        }
    }
}

internal unsafe struct DivergenceAction(CsrMatrix affinities, MatrixView<float> map, WorkerPool pool) : IKernelAction
{
    // Rows per partial sum: the grain fixes the order of additions, so it does not depend on the threads.
    private const int RowGrain = 256;

    public double Sum { get; private set; }

    public void Run<TWide, TMap, TKernel>(TKernel kernel)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        nint blocks = (map.Columns + RowGrain - 1) / RowGrain;
        using Scratch<double> partial = new(blocks);
        using Scratch<float> pairs = new(NeighborMap<TWide, TMap>.PairsLength(map.Columns));
        NeighborMap<TWide, TMap>.CopyPairs(map, pairs.Pointer, pool);
        DivergenceBody<TWide, TMap, TKernel> body = new(affinities, new(map, pairs.Pointer, map), partial.Pointer, RowGrain, kernel);
        pool.For(map.Columns, RowGrain, ref body);
        double sum = 0;
        for (nint i = 0; i < blocks; i++)
            sum += partial.Pointer[i];
        Sum = sum;
    }
}

internal readonly unsafe struct DivergenceBody<TWide, TMap, TKernel>(
    CsrMatrix affinities, NeighborMap<TWide, TMap> map, double* partial, int grain, TKernel kernel) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
    where TKernel : struct, ITsneKernel
{
    public void Invoke(int worker, nint start, nint end) =>
        partial[start / grain] = Rows(kernel, affinities.OffsetsPointer, affinities.ColumnsPointer, affinities.ValuesPointer, map, start, end);

    /// <summary>Sum of p_ij ln t_ij over the rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Rows(TKernel kernel, long* offsets, int* columns, float* values, NeighborMap<TWide, TMap> map, nint start, nint end)
    {
        TWide first = TKernel.Start<TWide>();
        double total = 0;
        for (nint i = start; i < end; i++)
        {
            nint last = (nint)offsets[i + 1];
            map.Broadcast(i, out TWide x, out TWide y, out TWide z);
            TWide sum = TWide.Zero;
            for (nint t = (nint)offsets[i]; t < last; t += TWide.Lanes)
            {
                TWide p = last - t >= TWide.Lanes ? TWide.Load(values + t) : TWide.LoadFirst(values + t, (int)(last - t));
                sum = TWide.MultiplyAdd(p, kernel.LogBase(map.Differences(columns + t, first, x, y, z, out _, out _, out _)), sum);
            }

            total += TWide.Sum(sum);
        }

        return total;
    }
}
