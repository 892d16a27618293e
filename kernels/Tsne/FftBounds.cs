namespace EmbeddingKernels.Core;

/// <summary>A rectangle that holds points; for maps of one axis the second is empty.</summary>
internal readonly record struct FftBounds(float LeastX, float MostX, float LeastY, float MostY)
{
    /// <summary>The bounds of a map of 1 or 2 axes, NaN passed over; the origin where there are no numbers.</summary>
    public static unsafe FftBounds Of(MatrixView<float> map, WorkerPool pool)
    {
        float* bounds = stackalloc float[4];
        new Span<float>(bounds, 4).Clear();
        MapBounds.Compute(map, bounds, pool);
        return bounds[0] <= bounds[1] && bounds[2] <= bounds[3] ? new(bounds[0], bounds[1], bounds[2], bounds[3]) : default;
    }

    public float Width => MostX - LeastX;

    public float Height => MostY - LeastY;

    public bool Contains(in FftBounds other) =>
        other.LeastX >= LeastX && other.MostX <= MostX && other.LeastY >= LeastY && other.MostY <= MostY;

    public FftBounds Grow(float by) => new(LeastX - by, MostX + by, LeastY - by, MostY + by);

    public FftBounds Union(in FftBounds other) => new(
        Math.Min(LeastX, other.LeastX), Math.Max(MostX, other.MostX), Math.Min(LeastY, other.LeastY), Math.Max(MostY, other.MostY));

    /// <summary>The part inside <paramref name="frame"/>.</summary>
    public FftBounds Within(in FftBounds frame) => new(
        Math.Max(LeastX, frame.LeastX), Math.Min(MostX, frame.MostX), Math.Max(LeastY, frame.LeastY), Math.Min(MostY, frame.MostY));
}
