using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

internal readonly unsafe struct ExactFieldAction(
    MatrixView<float> reference, MatrixView<float> points, MatrixView<float> force, double* sums, WorkerPool pool) : IKernelAction
{
    // New points per range; a multiple of every vector's lanes.
    private const int Grain = 64;

    public void Run<TWide, TMap, TKernel>(TKernel kernel)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        ExactFieldBody<TWide, TMap, TKernel> body = new(kernel, reference, points, force, sums);
        pool.For(points.Columns, Grain, ref body);
    }
}

/// <summary>A vector of new points against one reference point after another: no lane is added to another, and none is idle but at the end.</summary>
internal readonly unsafe struct ExactFieldBody<TWide, TMap, TKernel>(
    TKernel kernel, MatrixView<float> reference, MatrixView<float> points, MatrixView<float> force, double* sums) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TMap : struct, IMapDimensions
    where TKernel : struct, ITsneKernel
{
    // Reference points whose terms are added in single precision.
    private const int Block = 512;

    public void Invoke(int worker, nint start, nint end)
    {
        // Per lane the totals of x, y, z and the weights.
        const int Kinds = MapDimensions.Most + 1;
        double* totals = stackalloc double[Kinds * 16];
        float* part = stackalloc float[Kinds * 16];
        for (nint i = start; i < end; i += TWide.Lanes)
        {
            int count = (int)Math.Min(TWide.Lanes, end - i);
            new Span<double>(totals, Kinds * TWide.Lanes).Clear();
            for (nint block = 0; block < reference.Columns; block += Block)
            {
                Pushes(kernel, reference.Data + block, reference.Stride, Math.Min(Block, reference.Columns - block), points.Data + i, points.Stride, count, part);
                for (int t = 0; t < Kinds * TWide.Lanes; t++)
                    totals[t] += part[t];
            }

            for (int lane = 0; lane < count; lane++)
            {
                for (int axis = 0; axis < TMap.Count; axis++)
                    force.Row(axis)[i + lane] = (float)totals[(axis * TWide.Lanes) + lane];
                sums[i + lane] = totals[(MapDimensions.Most * TWide.Lanes) + lane];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pushes(TKernel kernel, float* reference, nint stride, nint length, float* points, nint pointStride, int count, float* part)
    {
        TWide one = TWide.Broadcast(1f);
        TWide x = TWide.LoadFirst(points, count);
        TWide y = TMap.Count > 1 ? TWide.LoadFirst(points + pointStride, count) : x;
        TWide z = TMap.Count > 2 ? TWide.LoadFirst(points + (2 * pointStride), count) : x;
        TWide fx = TWide.Zero, fy = TWide.Zero, fz = TWide.Zero, sum = TWide.Zero;
        for (nint j = 0; j < length; j++)
        {
            TWide dx = x - TWide.BroadcastFrom(reference + j), dy = dx, dz = dx;
            TWide distance = TWide.MultiplyAdd(dx, dx, TKernel.Start<TWide>());
            if (TMap.Count > 1)
            {
                dy = y - TWide.BroadcastFrom(reference + stride + j);
                distance = TWide.MultiplyAdd(dy, dy, distance);
            }

            if (TMap.Count > 2)
            {
                dz = z - TWide.BroadcastFrom(reference + (2 * stride) + j);
                distance = TWide.MultiplyAdd(dz, dz, distance);
            }

            sum += kernel.Weight(one, distance, out TWide push);
            fx = TWide.MultiplyAdd(push, dx, fx);
            if (TMap.Count > 1)
                fy = TWide.MultiplyAdd(push, dy, fy);
            if (TMap.Count > 2)
                fz = TWide.MultiplyAdd(push, dz, fz);
        }

        TWide.Store(part, fx);
        TWide.Store(part + TWide.Lanes, fy);
        TWide.Store(part + (2 * TWide.Lanes), fz);
        TWide.Store(part + (3 * TWide.Lanes), sum);
    }
}
