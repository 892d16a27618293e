namespace EmbeddingKernels.Core;

/// <summary>Pooling of feature maps: the maximum or the average of each window, or of each map.</summary>
/// <remarks>
/// <para>Padding is not read: a window that reaches past the map is cut. Whether the last window of ceil mode is there shows in
/// the size of the destination (<see cref="PoolingShape.OutputHeight"/>).</para>
/// <para>A maximum is NaN where one of its numbers is, as in PyTorch. The result does not depend on the number of threads.
/// Maps of any number of lanes; source and destination must not overlap. Thread-safe.</para>
/// </remarks>
public static class Pooling
{
    /// <summary>The largest number of each window.</summary>
    /// <param name="source">The maps.</param>
    /// <param name="destination">As many images and channels; one pixel for each window.</param>
    /// <param name="shape">The windows.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The destination's shape does not fit, or a window lies outside the map whole.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number of <paramref name="shape"/> is out of range.</exception>
    public static void Max(in BlockedImages source, in BlockedImages destination, PoolingShape shape, WorkerPool? pool = null) =>
        Run<MaxPooling>(source, destination, shape, countIncludePad: false, pool);

    /// <summary>The average of each window.</summary>
    /// <remarks>
    /// The sum is divided by the window's pixels inside the map, or with <paramref name="countIncludePad"/> by those inside the
    /// map and its padding (PyTorch's and ONNX's rule: what a window of ceil mode has beyond the padding is not counted).
    /// The error is at most (pixels + 1) 2^-24 times the average magnitude.
    /// </remarks>
    /// <param name="source">The maps.</param>
    /// <param name="destination">As many images and channels; one pixel for each window.</param>
    /// <param name="shape">The windows.</param>
    /// <param name="countIncludePad">Padding counts as zeros.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The destination's shape does not fit, or a window lies outside the map whole.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number of <paramref name="shape"/> is out of range.</exception>
    public static void Average(
        in BlockedImages source, in BlockedImages destination, PoolingShape shape, bool countIncludePad = false, WorkerPool? pool = null) =>
        Run<AveragePooling>(source, destination, shape, countIncludePad, pool);

    /// <summary>The average of each map. The error is at most (72 + rows + pixels / 256) 2^-24 times the average magnitude.</summary>
    /// <param name="source">The maps.</param>
    /// <param name="destination">As many images and channels of 1 x 1.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The destination's shape does not fit.</exception>
    public static void GlobalAverage(in BlockedImages source, in BlockedImages destination, WorkerPool? pool = null) =>
        RunGlobal<AveragePooling>(source, destination, pool);

    /// <summary>The largest number of each map.</summary>
    /// <inheritdoc cref="GlobalAverage" path="/param"/>
    /// <exception cref="ArgumentException">The destination's shape does not fit.</exception>
    public static void GlobalMax(in BlockedImages source, in BlockedImages destination, WorkerPool? pool = null) =>
        RunGlobal<MaxPooling>(source, destination, pool);

    private static void Run<TOperation>(
        in BlockedImages source, in BlockedImages destination, PoolingShape shape, bool countIncludePad, WorkerPool? pool)
        where TOperation : struct, IPoolingOperation
    {
        ArgumentNullException.ThrowIfNull(shape);
        shape.Check();
        CheckMaps(source, destination);
        Fits(destination.Height, shape.OutputHeight(source.Height), shape.OutputHeight(source.Height, ceilMode: true), "rows", nameof(destination));
        Fits(destination.Width, shape.OutputWidth(source.Width), shape.OutputWidth(source.Width, ceilMode: true), "columns", nameof(destination));
        PoolingAxis rows = new(source.Height, shape.KernelHeight, shape.StrideY, shape.DilationY, shape.Padding.Top, shape.Padding.Bottom, countIncludePad);
        PoolingAxis columns = new(source.Width, shape.KernelWidth, shape.StrideX, shape.DilationX, shape.Padding.Left, shape.Padding.Right, countIncludePad);
        rows.CheckWindows(destination.Height, "rows", nameof(shape));
        columns.CheckWindows(destination.Width, "columns", nameof(shape));
        if (source.Images == 0)
            return;
        PoolingAction<TOperation> action = new(source, destination, rows, columns, pool ?? WorkerPool.Serial);
        MapChecks.Dispatch(ref action, source.Lanes);
    }

    private static void RunGlobal<TOperation>(in BlockedImages source, in BlockedImages destination, WorkerPool? pool)
        where TOperation : struct, IPoolingOperation
    {
        CheckMaps(source, destination);
        Fits(destination.Height, 1, 1, "rows", nameof(destination));
        Fits(destination.Width, 1, 1, "columns", nameof(destination));
        if (source.Images == 0)
            return;
        GlobalPoolingAction<TOperation> action = new(source, destination, pool ?? WorkerPool.Serial);
        MapChecks.Dispatch(ref action, source.Lanes);
    }

    private static void CheckMaps(in BlockedImages source, in BlockedImages destination)
    {
        if (source.Images != destination.Images || source.Channels != destination.Channels || source.Lanes != destination.Lanes)
        {
            throw new ArgumentException(
                $"Images, channels and lanes must be those of {MapChecks.Shape(source)} and are those of {MapChecks.Shape(destination)}.", nameof(destination));
        }
    }

    private static void Fits(int actual, int floor, int ceil, string what, string name)
    {
        if (actual != floor && actual != ceil)
            throw new ArgumentException($"There must be {floor} {what}{(ceil == floor ? "" : $", or {ceil} with ceil mode,")} and there are {actual}.", name);
    }
}
