namespace EmbeddingKernels.Core;

/// <summary>What a reference field keeps from call to call.</summary>
internal sealed class FftFieldState : IDisposable
{
    private FftPoints? _places;

    /// <summary>The region that the grid was laid under.</summary>
    public FftBounds Bounds { get; set; }

    /// <summary>The level that the fields were made at; null before the first call.</summary>
    public IsaLevel? Level { get; set; }

    /// <summary>Memory for ordering so many points: that of the last call where it had as many.</summary>
    public FftPoints PlacesFor(int points, int dimensions)
    {
        if (_places?.Count == points)
            return _places;
        _places?.Dispose();
        return _places = new FftPoints(points, dimensions);
    }

    public void Dispose()
    {
        _places?.Dispose();
        _places = null;
    }
}

internal readonly unsafe struct FftReferenceAction(
    FftField field, FftFieldState state, MatrixView<float> reference, MatrixView<float> points, MatrixView<float> force, double* sums, WorkerPool pool) : IKernelAction
{
    // In units of the reference map's width: how far beyond it the grid reaches at once, and at most.
    private const float Margin = 0.5f, Farthest = 20;

    public void Run<TWide, TMap, TKernel>(TKernel kernel)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        if (reference.Columns == 0)
        {
            for (int axis = 0; axis < force.Rows; axis++)
                force.RowSpan(axis).Clear();
            new Span<double>(sums, (int)points.Columns).Clear();
            return;
        }

        FftPoints places = state.PlacesFor((int)points.Columns, (int)points.Rows);
        FftBounds wanted = FftBounds.Of(points, pool);
        if (state.Level != Isa.Level || !state.Bounds.Contains(wanted))
            Lay<TWide, TMap, TKernel>(kernel, wanted);
        places.Sort<TWide>(points, field.Grid, field.Origin.X, field.Origin.Y, field.Order, pool);
        FftPass.Gather<TMap, CubicSpline>(field, places, force, sums, pool);

        // The grid's rounding noise may be negative where a point is far from all others.
        double least = reference.Columns * field.LeastWeight(state.Bounds);
        for (nint i = 0; i < points.Columns; i++)
            sums[i] = Math.Max(sums[i], least);
    }

    private void Lay<TWide, TMap, TKernel>(TKernel kernel, FftBounds wanted)
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions
        where TKernel : struct, ITsneKernel
    {
        using FftPoints places = new((int)reference.Columns, (int)reference.Rows);
        FftBounds map = FftBounds.Of(reference, pool);
        float width = Math.Max(Math.Max(map.Width, map.Height), 1e-6f);
        state.Level = null;
        state.Bounds = map.Grow(Margin * width).Union(wanted).Within(map.Grow(Farthest * width));
        field.Place<TWide, TKernel>(state.Bounds, kernel, pool);
        places.Sort<TWide>(reference, field.Grid, field.Origin.X, field.Origin.Y, field.Order, pool);
        FftPass.Spread<TMap, CubicSpline>(field, places, pool);
        field.Convolve<TWide>(sums: true, pool);

        // Points that are farther away are held at the edge, and must not have the grid laid again.
        state.Bounds = state.Bounds.Union(wanted);
        state.Level = Isa.Level;
    }
}
