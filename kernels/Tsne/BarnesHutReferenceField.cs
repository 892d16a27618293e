namespace EmbeddingKernels.Core;

/// <summary>
/// The push of a finished map on other points by Barnes and Hut's method: see <see cref="ITsneReferenceField.Compute"/> for
/// the formula and <see cref="BarnesHutRepulsion"/> for the method, the meaning of theta and the errors, which are the same
/// here for forces; that of each sum of weights is below 1e-2 of itself at theta 0.5 (with 3 degrees of freedom 3e-2).
/// </summary>
/// <remarks>
/// The tree over the reference map is built once. A call sorts the new points along a curve and takes those together, up to
/// 16, that are near each other compared with the reference points' distances, so that few new points in a large map cost
/// little more each than many. The result does not depend on the number of threads; a point's depends on which others are
/// near it, within the error, and on the instruction-set level in the last bits.
/// </remarks>
public sealed unsafe class BarnesHutReferenceField : ITsneReferenceField
{
    private readonly ClusterTree _tree;
    private readonly float _groupSide;
    private CurveOrder _order = new(0);

    /// <summary>Sorts a finished map and builds its tree; the map itself is not kept.</summary>
    /// <param name="reference">1 to 3 axes x N. Coordinates are finite and below 1e12 in magnitude.</param>
    /// <param name="theta">The angle below which a cluster acts as one point, 0 to 1.</param>
    /// <param name="degreesOfFreedom">nu, 1e-6 to 1e6.</param>
    /// <exception cref="ArgumentException"><paramref name="reference"/> is no map.</exception>
    /// <exception cref="ArgumentOutOfRangeException">Another argument is out of its range.</exception>
    public BarnesHutReferenceField(MatrixView<float> reference, double theta = 0.5, double degreesOfFreedom = 1)
    {
        MapDimensions.Check(reference, nameof(reference));
        if (reference.Columns > BarnesHutRepulsion.MostPoints)
            throw new ArgumentException($"At most {BarnesHutRepulsion.MostPoints} points are served and there are {reference.Columns}.", nameof(reference));
        Theta = BarnesHutRepulsion.CheckTheta(theta, nameof(theta));
        DegreesOfFreedom = TsneKernel.CheckDegrees(degreesOfFreedom, nameof(degreesOfFreedom));
        _tree = new ClusterTree((int)reference.Columns, (int)reference.Rows);
        _tree.Build(reference, WorkerPool.Serial);
        _groupSide = 2 * _tree.MeanGroupSide();
    }

    /// <inheritdoc/>
    public int ReferencePoints => _tree.Layout.Points;

    /// <inheritdoc/>
    public int Dimensions => _tree.Layout.Axes;

    /// <inheritdoc/>
    public double DegreesOfFreedom { get; }

    /// <summary>The angle below which a cluster acts as one point.</summary>
    public double Theta { get; }

    /// <inheritdoc/>
    public void Compute(MatrixView<float> points, MatrixView<float> force, Span<double> sums, WorkerPool? pool = null)
    {
        MapDimensions.CheckReferenceCall(Dimensions, points, force, sums.Length);
        ClusterView tree = _tree.View;
        pool ??= WorkerPool.Serial;
        if (_order.Points != points.Columns)
        {
            _order.Dispose();
            _order = new CurveOrder((int)points.Columns);
        }

        _order.Sort(points, pool);
        fixed (double* s = sums)
        {
            BarnesHutFieldAction action = new(tree, Theta, _groupSide, _order.Entries, points, force, s, pool);
            TsneKernel.Dispatch(Dimensions, DegreesOfFreedom, ref action);
        }

        GC.KeepAlive(this);
    }

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose()
    {
        _tree.Dispose();
        _order.Dispose();
    }
}
