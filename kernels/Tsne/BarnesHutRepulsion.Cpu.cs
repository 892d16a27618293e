namespace EmbeddingKernels.Core;

internal unsafe struct BarnesHutAction(ClusterView tree, MatrixView<float> force, double theta, WorkerPool pool) : IKernelAction
{
    public double Sum { get; private set; }

    public void Run<TWide, TMap, TKernel>(TKernel kernel)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        int units = (tree.Layout.Points + ClusterTree.UnitPoints - 1) / ClusterTree.UnitPoints;
        nint perWorker = ClusterWalk<TWide, TMap, TKernel>.ScratchBytes(tree.Layout);
        using Scratch<byte> scratch = new(pool.Threads * perWorker);
        using Scratch<double> sums = new(units);
        UnitBody<TWide, TMap, TKernel> body = new() { Kernel = kernel, Tree = tree, Theta = theta, Force = force, Scratch = scratch.Pointer, PerWorker = perWorker, Sums = sums.Pointer };
        pool.For(units, 1, ref body);
        double sum = 0;
        for (int i = 0; i < units; i++)
            sum += sums.Pointer[i];
        Sum = sum;
    }

    private struct UnitBody<TWide, TMap, TKernel> : IRangeBody
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        public TKernel Kernel;
        public ClusterView Tree;
        public double Theta;
        public MatrixView<float> Force;
        public byte* Scratch;
        public nint PerWorker;
        public double* Sums;

        public readonly void Invoke(int worker, nint start, nint end)
        {
            ClusterWalk<TWide, TMap, TKernel> walk = new(Kernel, Tree, Theta, Scratch + (worker * PerWorker));
            for (nint unit = start; unit < end; unit++)
                Sums[unit] = walk.OwnUnit((int)unit, Force);
        }
    }
}
