namespace EmbeddingKernels.Core;

internal readonly unsafe struct BarnesHutFieldAction(
    ClusterView tree, double theta, float groupSide, ulong* order, MatrixView<float> points, MatrixView<float> force, double* sums, WorkerPool pool) : IKernelAction
{
    // New points per range, in the curve's order; a multiple of a group.
    private const int Grain = 128;

    public void Run<TWide, TMap, TKernel>(TKernel kernel)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        nint perWorker = ClusterWalk<TWide, TMap, TKernel>.ScratchBytes(tree.Layout);
        using Scratch<byte> scratch = new(pool.Threads * perWorker);
        RangeBody<TWide, TMap, TKernel> body = new()
        {
            Kernel = kernel,
            Tree = tree,
            Theta = theta,
            GroupSide = groupSide,
            Order = order,
            Points = points,
            Force = force,
            Sums = sums,
            Scratch = scratch.Pointer,
            PerWorker = perWorker,
        };
        pool.For(points.Columns, Grain, ref body);
    }

    private struct RangeBody<TWide, TMap, TKernel> : IRangeBody
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        public TKernel Kernel;
        public ClusterView Tree;
        public double Theta;
        public float GroupSide;
        public ulong* Order;
        public MatrixView<float> Points;
        public MatrixView<float> Force;
        public double* Sums;
        public byte* Scratch;
        public nint PerWorker;

        public readonly void Invoke(int worker, nint start, nint end)
        {
            ClusterWalk<TWide, TMap, TKernel> walk = new(Kernel, Tree, Theta, Scratch + (worker * PerWorker));
            float* group = stackalloc float[MapDimensions.Most * ClusterTree.Group];
            while (start < end)
            {
                int count = Take(start, end, group, out ClusterBox box);
                walk.OtherGroup(group, box);
                walk.Scatter(Force, Order + start, count, Sums);
                start += count;
            }
        }

        /// <summary>The points from <paramref name="start"/> on that are near each other, at least one and at most a group; the last one fills it.</summary>
        private readonly int Take(nint start, nint end, float* group, out ClusterBox box)
        {
            float* low = stackalloc float[MapDimensions.Most];
            float* high = stackalloc float[MapDimensions.Most];
            int count = 0;
            for (; count < ClusterTree.Group && start + count < end; count++)
            {
                nint point = (nint)(uint)Order[start + count];
                bool near = true;
                for (int axis = 0; axis < TMap.Count; axis++)
                {
                    float value = Points.Row(axis)[point];
                    group[(axis * ClusterTree.Group) + count] = value;
                    near &= count == 0 || float.MaxNative(high[axis], value) - float.MinNative(low[axis], value) <= GroupSide;
                }

                if (!near)
                    break;
                for (int axis = 0; axis < TMap.Count; axis++)
                {
                    float value = group[(axis * ClusterTree.Group) + count];
                    low[axis] = count == 0 ? value : float.MinNative(low[axis], value);
                    high[axis] = count == 0 ? value : float.MaxNative(high[axis], value);
                }
            }

            float side = 0;
            for (int axis = 0; axis < TMap.Count; axis++)
            {
                side = float.MaxNative(side, high[axis] - low[axis]);
                new Span<float>(group + (axis * ClusterTree.Group) + count, ClusterTree.Group - count).Fill(group[(axis * ClusterTree.Group) + count - 1]);
            }

            box = new ClusterBox { LowX = low[0], HighX = high[0], SquaredSide = side * side > 0 ? side * side : ClusterView.SideOfPoint };
            if (TMap.Count > 1)
                (box.LowY, box.HighY) = (low[1], high[1]);
            if (TMap.Count > 2)
                (box.LowZ, box.HighZ) = (low[2], high[2]);
            return count;
        }
    }
}
