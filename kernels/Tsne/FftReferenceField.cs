namespace EmbeddingKernels.Core;

/// <summary>
/// The push of a finished map on other points by interpolation on a grid: see <see cref="ITsneReferenceField.Compute"/> for
/// the formula and <see cref="FftRepulsion"/> for the method and its error.
/// </summary>
/// <remarks>
/// The reference points are spread and convolved once; a call then only gathers, so its work does not depend on their
/// number, until a point leaves the grid, which is then laid anew under both. The grid reaches half the map's width beyond
/// it. Farther than 20 times its width from the map a point gets the push of the edge of that region. The relative error of a
/// sum is below 1e-3 of the largest sum near the map; sums below that are noise, and at least those of all points at the
/// farthest distance. The result does not depend on the number of threads.
/// </remarks>
public sealed unsafe class FftReferenceField : ITsneReferenceField
{
    private readonly AlignedBuffer<float> _reference;
    private readonly FftField _field;
    private readonly FftFieldState _state = new();

    /// <summary>Copies a finished map.</summary>
    /// <param name="reference">1 or 2 axes x N. Coordinates are finite and below 1e12 in magnitude.</param>
    /// <param name="degreesOfFreedom">nu, 1e-6 to 1e6.</param>
    /// <exception cref="ArgumentException"><paramref name="reference"/> is no map.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The map has 3 axes, or <paramref name="degreesOfFreedom"/> is out of its range.</exception>
    public FftReferenceField(MatrixView<float> reference, double degreesOfFreedom = 1)
    {
        MapDimensions.Check(reference, nameof(reference));
        _field = new FftField((int)reference.Rows, degreesOfFreedom, FftInterpolation.Cubic, int.MaxValue);
        ReferencePoints = (int)reference.Columns;
        _reference = new AlignedBuffer<float>(reference.Rows * reference.Columns);
        for (int axis = 0; axis < Dimensions; axis++)
            reference.RowSpan(axis).CopyTo(View.RowSpan(axis));
    }

    /// <inheritdoc/>
    public int ReferencePoints { get; }

    /// <inheritdoc/>
    public int Dimensions => _field.Dimensions;

    /// <inheritdoc/>
    public double DegreesOfFreedom => _field.DegreesOfFreedom;

    private MatrixView<float> View => new(_reference.Pointer, Dimensions, ReferencePoints);

    /// <inheritdoc/>
    public void Compute(MatrixView<float> points, MatrixView<float> force, Span<double> sums, WorkerPool? pool = null)
    {
        MapDimensions.CheckReferenceCall(Dimensions, points, force, sums.Length);
        if (points.Columns == 0)
            return;
        fixed (double* s = sums)
        {
            FftReferenceAction action = new(_field, _state, View, points, force, s, pool ?? WorkerPool.Serial);
            TsneKernel.Dispatch(Dimensions, DegreesOfFreedom, ref action);
        }

        GC.KeepAlive(this);
    }

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose()
    {
        _field.Dispose();
        _state.Dispose();
        _reference.Dispose();
    }
}
