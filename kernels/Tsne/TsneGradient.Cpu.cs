using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

internal readonly unsafe struct AttractionAction(CsrMatrix affinities, MatrixView<float> map, MatrixView<float> force, WorkerPool pool) : IMapAction
{
    private const int RowGrain = 128;

    public void Run<TWide, TMap>()
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
    {
        AttractionBody<TWide, TMap> body = new(affinities, map, force);
        pool.For(map.Columns, RowGrain, ref body);
    }
}

/// <summary>
/// Each row gathers the coordinates of its neighbours. Rows are independent; symmetry is not used, because writing to the
/// neighbours would cost more than computing q again.
/// </summary>
internal readonly unsafe struct AttractionBody<TWide, TMap>(CsrMatrix affinities, MatrixView<float> map, MatrixView<float> force) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
{
    public void Invoke(int worker, nint start, nint end) =>
        Rows(affinities.OffsetsPointer, affinities.ColumnsPointer, affinities.ValuesPointer, map.Data, map.Stride, force.Data, force.Stride, start, end);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows(
        long* offsets, int* columns, float* values, float* x, nint mapStride, float* force, nint forceStride, nint start, nint end)
    {
        float* y = x + mapStride, z = y + mapStride;
        TWide one = TWide.Broadcast(1f);
        for (nint i = start; i < end; i++)
        {
            nint t = (nint)offsets[i], last = (nint)offsets[i + 1];
            TWide xi = TWide.Broadcast(x[i]), yi = TMap.Count > 1 ? TWide.Broadcast(y[i]) : one, zi = TMap.Count > 2 ? TWide.Broadcast(z[i]) : one;
            TWide fx = TWide.Zero, fy = TWide.Zero, fz = TWide.Zero;
            for (; t < last; t += TWide.Lanes)
            {
                // The row's last vector: the indices behind it are the next row's, or padding, and get weight 0.
                TWide p = last - t >= TWide.Lanes ? TWide.Load(values + t) : TWide.LoadFirst(values + t, (int)(last - t));
                TWide dx = xi - TWide.Gather(x, columns + t);
                TWide distance = TWide.MultiplyAdd(dx, dx, one);
                TWide dy = one, dz = one;
                if (TMap.Count > 1)
                {
                    dy = yi - TWide.Gather(y, columns + t);
                    distance = TWide.MultiplyAdd(dy, dy, distance);
                }

                if (TMap.Count > 2)
                {
                    dz = zi - TWide.Gather(z, columns + t);
                    distance = TWide.MultiplyAdd(dz, dz, distance);
                }

                TWide weight = p / distance;
                fx = TWide.MultiplyAdd(weight, dx, fx);
                if (TMap.Count > 1)
                    fy = TWide.MultiplyAdd(weight, dy, fy);
                if (TMap.Count > 2)
                    fz = TWide.MultiplyAdd(weight, dz, fz);
            }

            Vector128<float> sums = TWide.Sum4(fx, TMap.Count > 1 ? fy : fx, TMap.Count > 2 ? fz : fx, fx);
            force[i] = sums[0];
            if (TMap.Count > 1)
                force[forceStride + i] = sums[1];
            if (TMap.Count > 2)
                force[(2 * forceStride) + i] = sums[2];
        }
    }
}

internal unsafe struct DivergenceAction(CsrMatrix affinities, MatrixView<float> map, WorkerPool pool) : IMapAction
{
    // Rows per partial sum: the grain fixes the order of additions, so it does not depend on the threads.
    private const int RowGrain = 256;

    public double Sum { get; private set; }

    public void Run<TWide, TMap>()
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
    {
        nint blocks = (map.Columns + RowGrain - 1) / RowGrain;
        using Scratch<double> partial = new(blocks);
        DivergenceBody<TWide, TMap> body = new(affinities, map, partial.Pointer, RowGrain);
        pool.For(map.Columns, RowGrain, ref body);
        double sum = 0;
        for (nint i = 0; i < blocks; i++)
            sum += partial.Pointer[i];
        Sum = sum;
    }
}

internal readonly unsafe struct DivergenceBody<TWide, TMap>(CsrMatrix affinities, MatrixView<float> map, double* partial, int grain) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
{
    public void Invoke(int worker, nint start, nint end) => partial[start / grain] =
        Rows(affinities.OffsetsPointer, affinities.ColumnsPointer, affinities.ValuesPointer, map.Data, map.Stride, start, end);

    /// <summary>Sum of p_ij ln(1 + |y_i - y_j|^2) over the rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Rows(long* offsets, int* columns, float* values, float* x, nint mapStride, nint start, nint end)
    {
        float* y = x + mapStride, z = y + mapStride;
        TWide one = TWide.Broadcast(1f);
        double total = 0;
        for (nint i = start; i < end; i++)
        {
            nint last = (nint)offsets[i + 1];
            TWide xi = TWide.Broadcast(x[i]), yi = TMap.Count > 1 ? TWide.Broadcast(y[i]) : one, zi = TMap.Count > 2 ? TWide.Broadcast(z[i]) : one;
            TWide sum = TWide.Zero;
            for (nint t = (nint)offsets[i]; t < last; t += TWide.Lanes)
            {
                TWide p = last - t >= TWide.Lanes ? TWide.Load(values + t) : TWide.LoadFirst(values + t, (int)(last - t));
                TWide dx = xi - TWide.Gather(x, columns + t);
                TWide distance = TWide.MultiplyAdd(dx, dx, one);
                if (TMap.Count > 1)
                {
                    TWide dy = yi - TWide.Gather(y, columns + t);
                    distance = TWide.MultiplyAdd(dy, dy, distance);
                }

                if (TMap.Count > 2)
                {
                    TWide dz = zi - TWide.Gather(z, columns + t);
                    distance = TWide.MultiplyAdd(dz, dz, distance);
                }

                sum = TWide.MultiplyAdd(p, WideMath.Log(distance), sum);
            }

            total += TWide.Sum(sum);
        }

        return total;
    }
}
