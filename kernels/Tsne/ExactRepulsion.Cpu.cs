using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

internal unsafe struct ExactRepulsionAction(
    ExactRepulsionPlan plan, MatrixView<float> map, MatrixView<float> force, float* partialForces, double* partialSums, WorkerPool pool) : IKernelAction
{
    // Points per range of the last pass: a few microseconds of work.
    private const int ReduceGrain = 2048;

    public double Sum { get; private set; }

    public void Run<TWide, TMap, TKernel>(TKernel kernel)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        RepulsionTiles<TWide, TMap, TKernel> tiles = new(plan, map, partialForces, partialSums, kernel);
        pool.For(plan.Tiles, 1, ref tiles);
        RepulsionReduce<TWide, TMap> reduce = new(plan, force, partialForces);
        pool.For(plan.Points, ReduceGrain, ref reduce);

        // Each tile counts its pairs once.
        double sum = 0;
        for (int i = 0; i < plan.Tiles; i++)
            sum += partialSums[i];
        Sum = 2 * sum;
    }
}

/// <summary>
/// The tiles of the upper triangle. A tile (a, b) adds the forces on the points of block a to slot b of the partial forces
/// and those on the points of block b to slot a, so every element of every slot has one writer.
/// </summary>
/// <remarks>
/// Measured on 2.45 GHz Zen 3, AVX2, 1 thread, 10,000 points in the plane (best of 25 runs, in CPU time): each pair once
/// (this loop) 12.2 ms, of which the hardware spends about two floating-point operations a cycle whatever their mix; every
/// ordered pair without the writes to the other side, 4 rows x 1 vector, 22.3 ms; 4 rows with their coordinates broadcast
/// from memory 13.0 ms; 1 row x 1 vector 13.7 ms; 1 row x 2 vectors 13.8 ms; forces added by fused multiply-adds 12.9 ms;
/// the reciprocal estimate with a Newton step instead of the division 15.0 ms; half of each 13.2 ms; one division for two
/// reciprocals 13.6 ms. The division is also exact to half a unit and the same on every processor.
/// </remarks>
internal readonly unsafe struct RepulsionTiles<TWide, TMap, TKernel>(
    ExactRepulsionPlan plan, MatrixView<float> map, float* partialForces, double* partialSums, TKernel kernel) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
    where TKernel : struct, ITsneKernel
{
    private const float FarAway = 1e18f;

    public void Invoke(int worker, nint start, nint end)
    {
        for (nint index = start; index < end; index++)
        {
            (int row, int column) = plan.Tile(index);
            nint rowStart = (nint)row * plan.Block, columnStart = (nint)column * plan.Block;
            nint rowEnd = Math.Min(rowStart + plan.Block, plan.Points), columnEnd = Math.Min(columnStart + plan.Block, plan.Points);
            nint slot = TMap.Count * plan.Stride;
            float* rowForce = partialForces + (column * slot);
            float* columnForce = partialForces + (row * slot);
            Clear(rowForce, rowStart, rowEnd);
            if (row != column)
                Clear(columnForce, columnStart, columnEnd);
            partialSums[index] = Tile(kernel, map.Data, map.Stride, rowForce, columnForce, plan.Stride, rowStart, rowEnd, columnStart, columnEnd);
        }
    }

    private void Clear(float* force, nint start, nint end)
    {
        for (int axis = 0; axis < TMap.Count; axis++)
            new Span<float>(force + (axis * plan.Stride) + start, (int)(end - start)).Clear();
    }

    /// <summary>All pairs i &lt; j of a row and a column of the tile; the sum of their q.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Tile(
        TKernel kernel,
        float* map,
        nint mapStride,
        float* rowForce,
        float* columnForce,
        nint forceStride,
        nint rowStart,
        nint rowEnd,
        nint columnStart,
        nint columnEnd)
    {
        double sum = 0;
        nint wholeEnd = columnEnd - ((columnEnd - columnStart) % TWide.Lanes);
        for (nint i = rowStart; i < rowEnd; i += TMap.RowsAtOnce)
        {
            // In a tile on the diagonal the columns up to the row are skipped: whole vectors here, single lanes by a mask.
            nint j = columnStart;
            if (columnStart == rowStart)
            {
                j += (i - rowStart) / TWide.Lanes * TWide.Lanes;
                for (; j < wholeEnd && j < i + TMap.RowsAtOnce; j += TWide.Lanes)
                    sum += Vector(kernel, map, mapStride, rowForce, columnForce, forceStride, i, rowEnd, j, columnEnd);
            }

            if (j < wholeEnd)
                sum += Whole(kernel, map, mapStride, rowForce, columnForce, forceStride, i, rowEnd, j, wholeEnd);
            if (wholeEnd < columnEnd)
                sum += Vector(kernel, map, mapStride, rowForce, columnForce, forceStride, i, rowEnd, wholeEnd, columnEnd);
        }

        return sum;
    }

    /// <summary>The hot loop: one or two rows against columns in whole vectors, all behind the rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Whole(
        TKernel kernel, float* map, nint mapStride, float* rowForce, float* columnForce, nint forceStride, nint i, nint rowEnd, nint start, nint end)
    {
        float* y = map + mapStride, z = y + mapStride;
        float* fx = columnForce, fy = columnForce + forceStride, fz = fy + forceStride;
        TWide one = TWide.Broadcast(1f), sumQ = TWide.Zero;
        TWide x0 = TWide.Broadcast(map[i]), y0 = TMap.Count > 1 ? TWide.Broadcast(y[i]) : one, z0 = TMap.Count > 2 ? TWide.Broadcast(z[i]) : one;

        // Where a block has an odd number of points a far one stands in for the second row, or, where that would count, the
        // first one again at weight 0, which takes a register more.
        bool two = i + 1 < rowEnd;
        nint second = two ? i + 1 : i;
        bool far = TKernel.VanishesFar && !two;
        TWide count1 = TWide.Broadcast(two ? 1f : 0f);
        TWide x1 = TWide.Broadcast(far ? FarAway : map[second]), y1 = TMap.Count > 1 ? TWide.Broadcast(far ? FarAway : y[second]) : one;
        TWide ax0 = TWide.Zero, ay0 = TWide.Zero, az0 = TWide.Zero, ax1 = TWide.Zero, ay1 = TWide.Zero;
        for (nint j = start; j < end; j += TWide.Lanes)
        {
            TWide xj = TWide.Load(map + j), yj = TMap.Count > 1 ? TWide.Load(y + j) : one, zj = TMap.Count > 2 ? TWide.Load(z + j) : one;
            sumQ += Pair(kernel, one, one, x0, y0, z0, xj, yj, zj, out TWide gx, out TWide gy, out TWide gz);
            ax0 -= gx;
            if (TMap.Count > 1)
                ay0 -= gy;
            if (TMap.Count > 2)
                az0 -= gz;
            if (TMap.RowsAtOnce > 1)
            {
                sumQ += Pair(kernel, TKernel.VanishesFar ? one : count1, one, x1, y1, z0, xj, yj, zj, out TWide hx, out TWide hy, out _);
                ax1 -= hx;
                gx += hx;
                if (TMap.Count > 1)
                {
                    ay1 -= hy;
                    gy += hy;
                }
            }

            TWide.Store(fx + j, gx + TWide.Load(fx + j));
            if (TMap.Count > 1)
                TWide.Store(fy + j, gy + TWide.Load(fy + j));
            if (TMap.Count > 2)
                TWide.Store(fz + j, gz + TWide.Load(fz + j));
        }

        Vector128<float> first = TWide.Sum4(ax0, ay0, TMap.Count > 2 ? az0 : ay0, sumQ);
        AddToRow(rowForce, forceStride, i, first);
        if (TMap.RowsAtOnce > 1 && two)
            AddToRow(rowForce, forceStride, i + 1, TWide.Sum4(ax1, ay1, ay1, ay1));
        return first[3];
    }

    /// <summary>
    /// The same for one vector of columns that may hold columns up to the rows, or end early: outside the hot loop, one
    /// row at a time, with the lanes that do not count at weight 0.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Vector(
        TKernel kernel, float* map, nint mapStride, float* rowForce, float* columnForce, nint forceStride, nint i, nint rowEnd, nint j, nint columnEnd)
    {
        float* y = map + ((TMap.Count > 1 ? 1 : 0) * mapStride), z = map + ((TMap.Count > 2 ? 2 : 0) * mapStride);
        int count = (int)Math.Min(TWide.Lanes, columnEnd - j);
        TWide one = TWide.Broadcast(1f);
        TWide inside = TWide.SelectLess(TWide.Ramp, TWide.Broadcast(count), one, TWide.Zero);
        TWide xj = TWide.LoadFirst(map + j, count), yj = TWide.LoadFirst(y + j, count), zj = TWide.LoadFirst(z + j, count);
        double sum = 0;
        for (nint row = i; row < Math.Min(i + TMap.RowsAtOnce, rowEnd); row++)
        {
            TWide weight = TWide.SelectLess(TWide.Broadcast(row - j), TWide.Ramp, inside, TWide.Zero);
            TWide xi = TWide.Broadcast(map[row]), yi = TWide.Broadcast(y[row]), zi = TWide.Broadcast(z[row]);
            TWide q = Pair(kernel, weight, one, xi, yi, zi, xj, yj, zj, out TWide gx, out TWide gy, out TWide gz);
            Vector128<float> sums = TWide.Sum4(TWide.Zero - gx, TWide.Zero - gy, TWide.Zero - gz, q);
            AddToRow(rowForce, forceStride, row, sums);
            sum += sums[3];
            AddToColumns(columnForce + j, gx, count);
            if (TMap.Count > 1)
                AddToColumns(columnForce + forceStride + j, gy, count);
            if (TMap.Count > 2)
                AddToColumns(columnForce + (2 * forceStride) + j, gz, count);
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddToColumns(float* force, TWide value, int count) => TWide.StoreFirst(force, value + TWide.LoadFirst(force, count), count);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddToRow(float* force, nint stride, nint i, Vector128<float> sums)
    {
        force[i] += sums[0];
        if (TMap.Count > 1)
            force[stride + i] += sums[1];
        if (TMap.Count > 2)
            force[(2 * stride) + i] += sums[2];
    }

    /// <summary>The weight w of d = y_j - y_i, and the force w / t d on j. The count is 1 for pairs that count, else 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TWide Pair(
        TKernel kernel, TWide count, TWide one, TWide xi, TWide yi, TWide zi, TWide xj, TWide yj, TWide zj, out TWide gx, out TWide gy, out TWide gz)
    {
        TWide dx = xj - xi, dy = TWide.Zero, dz = TWide.Zero;
        TWide distance = TWide.MultiplyAdd(dx, dx, TKernel.StartFrom(one));
        if (TMap.Count > 1)
        {
            dy = yj - yi;
            distance = TWide.MultiplyAdd(dy, dy, distance);
        }

        if (TMap.Count > 2)
        {
            dz = zj - zi;
            distance = TWide.MultiplyAdd(dz, dz, distance);
        }

        TWide w = kernel.Weight(count, distance, out TWide push);
        gx = dx * push;
        gy = TMap.Count > 1 ? dy * push : dy;
        gz = TMap.Count > 2 ? dz * push : dz;
        return w;
    }
}

/// <summary>Adds up the slots of the partial forces, lowest first.</summary>
internal readonly unsafe struct RepulsionReduce<TWide, TMap>(ExactRepulsionPlan plan, MatrixView<float> force, float* partialForces) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        nint slot = TMap.Count * plan.Stride;
        for (int axis = 0; axis < TMap.Count; axis++)
        {
            float* source = partialForces + (axis * plan.Stride);
            float* destination = force.Row(axis);
            for (nint i = start; i < end; i += TWide.Lanes)
            {
                int count = (int)Math.Min(TWide.Lanes, end - i);
                TWide sum = TWide.LoadFirst(source + i, count);
                for (int block = 1; block < plan.Blocks; block++)
                    sum += TWide.LoadFirst(source + (block * slot) + i, count);
                TWide.StoreFirst(destination + i, sum, count);
            }
        }
    }
}
