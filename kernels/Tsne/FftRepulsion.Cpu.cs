namespace EmbeddingKernels.Core;

internal unsafe struct FftRepulsionAction(FftField field, FftPoints points, MatrixView<float> map, MatrixView<float> force, WorkerPool pool) : IKernelAction
{
    public double Sum { get; private set; }

    public void Run<TWide, TMap, TKernel>(TKernel kernel)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        Sum = 0;
        if (points.Count < 2)
        {
            for (int axis = 0; axis < map.Rows; axis++)
                force.RowSpan(axis).Clear();
            return;
        }

        if (field.Interpolation == FftInterpolation.Cubic)
            Run<TWide, TMap, TKernel, CubicSpline>(kernel);
        else
            Run<TWide, TMap, TKernel, QuadraticSpline>(kernel);
    }

    private void Run<TWide, TMap, TKernel, TSpline>(TKernel kernel)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
        where TSpline : struct, IFftSpline
    {
        FftBounds bounds = FftBounds.Of(map, pool);
        field.Place<TWide, TKernel>(bounds, kernel, pool);
        points.Sort<TWide>(map, field.Grid, field.Origin.X, field.Origin.Y, field.Order, pool);
        FftPass.Spread<TMap, TSpline>(field, points, pool);

        // A point's own w, 1 each, is no part of Z. No pair is farther apart than the corners of the map.
        double sum = field.Convolve<TWide>(sums: false, pool) - points.Count;
        Sum = Math.Max(sum, points.Count * (points.Count - 1.0) * field.LeastWeight(bounds));
        FftPass.Gather<TMap, TSpline>(field, points, force, null, pool);
    }
}

/// <summary>The passes over the points.</summary>
internal static unsafe class FftPass
{
    private const int ClearGrain = 1 << 16;

    /// <summary>The density of the points.</summary>
    public static void Spread<TMap, TSpline>(FftField field, FftPoints points, WorkerPool pool)
        where TMap : struct, IMapDimensions
        where TSpline : struct, IFftSpline
    {
        ClearBody clear = new(field.Density);
        pool.For((nint)field.Grid.UsedRows * field.Grid.Stride, ClearGrain, ref clear);
        for (int colour = 0; colour < FftSpread<TMap, TSpline>.Colours; colour++)
        {
            FftSpread<TMap, TSpline> spread = new(points, field.Density, field.Grid.Stride, colour);
            pool.For(spread.Tiles, Math.Max(1, spread.Tiles / 64), ref spread);
        }
    }

    /// <summary>Forces, and where <paramref name="sums"/> is not null sums of w, at the points.</summary>
    public static void Gather<TMap, TSpline>(FftField field, FftPoints points, MatrixView<float> force, double* sums, WorkerPool pool)
        where TMap : struct, IMapDimensions
        where TSpline : struct, IFftSpline
    {
        FftGather<TMap, TSpline> gather = new(points, field.Fields(sums is not null), force, sums);
        pool.For(points.Count, FftGather<TMap, TSpline>.Grain, ref gather);
    }

    private readonly struct ClearBody(float* density) : IRangeBody
    {
        public void Invoke(int worker, nint start, nint end) => new Span<float>(density + start, (int)(end - start)).Clear();
    }
}
