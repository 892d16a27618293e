namespace EmbeddingKernels.Core;

/// <summary>Barnes-Hut repulsion.</summary>
public sealed unsafe class BarnesHutRepulsion : ITsneRepulsion
{
    private readonly ClusterTree _tree;

    /// <summary>Takes the memory for maps of <paramref name="points"/> points in <paramref name="dimensions"/> axes.</summary>
    public BarnesHutRepulsion(int points, int dimensions, double theta = 0.5, double degreesOfFreedom = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(points);
        if (dimensions is < 1 or > MapDimensions.Most)
            throw new ArgumentOutOfRangeException(nameof(dimensions), dimensions, $"A map has 1 to {MapDimensions.Most} axes.");
        if (theta is not (>= 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(theta), theta, "Theta must lie in 0..1.");
        DegreesOfFreedom = TsneKernel.CheckDegrees(degreesOfFreedom, nameof(degreesOfFreedom));
        Theta = theta;
        _tree = new ClusterTree(points, dimensions);
    }

    /// <inheritdoc/>
    public int Points => _tree.Layout.Points;

    /// <inheritdoc/>
    public int Dimensions => _tree.Layout.Axes;

    /// <inheritdoc/>
    public double DegreesOfFreedom { get; }

    /// <summary>theta.</summary>
    public double Theta { get; }

    /// <inheritdoc/>
    public double Compute(MatrixView<float> map, MatrixView<float> force, WorkerPool? pool = null)
    {
        if (map.Rows != Dimensions || map.Columns != Points)
            throw new ArgumentException($"The shape must be {Dimensions} x {Points} and is {map.Rows} x {map.Columns}.", nameof(map));
        MapDimensions.CheckSame(map, force, nameof(force));
        pool ??= WorkerPool.Serial;
        _tree.Build(map, pool);
        BarnesHutAction action = new(_tree.View, force, Theta, pool);
        TsneKernel.Dispatch(Dimensions, DegreesOfFreedom, ref action);
        GC.KeepAlive(this);
        return action.Sum;
    }

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose() => _tree.Dispose();
}
