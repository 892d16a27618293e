namespace EmbeddingKernels.Core;

/// <summary>
/// The push of a finished map on other points from all its points, without approximation: see
/// <see cref="ITsneReferenceField.Compute"/> for the formula.
/// </summary>
/// <remarks>
/// Work is new points times reference points. Sums are taken in single precision over 512 reference points and in double
/// over those: the error of a force is below 1e-5 of the sum of the magnitudes of its terms, that of a sum below 1e-6 of
/// itself; with nu other than 1 that of each w as in <see cref="ExactRepulsion"/> comes on top. The result is the same for
/// any number of threads, and from call to call; it depends on the instruction-set level in the last bits.
/// </remarks>
public sealed unsafe class ExactReferenceField : ITsneReferenceField
{
    private readonly AlignedBuffer<float> _reference;
    private readonly int _points;

    /// <summary>Copies a finished map.</summary>
    /// <param name="reference">1 to 3 axes x N. Coordinates are finite and below 1e12 in magnitude.</param>
    /// <param name="degreesOfFreedom">nu, 1e-6 to 1e6.</param>
    /// <exception cref="ArgumentException"><paramref name="reference"/> is no map.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="degreesOfFreedom"/> is out of its range.</exception>
    public ExactReferenceField(MatrixView<float> reference, double degreesOfFreedom = 1)
    {
        MapDimensions.Check(reference, nameof(reference));
        DegreesOfFreedom = TsneKernel.CheckDegrees(degreesOfFreedom, nameof(degreesOfFreedom));
        Dimensions = (int)reference.Rows;
        _points = (int)reference.Columns;
        _reference = new AlignedBuffer<float>((nint)Dimensions * _points);
        for (int axis = 0; axis < Dimensions; axis++)
            reference.RowSpan(axis).CopyTo(View.RowSpan(axis));
    }

    /// <inheritdoc/>
    public int ReferencePoints => _points;

    /// <inheritdoc/>
    public int Dimensions { get; }

    /// <inheritdoc/>
    public double DegreesOfFreedom { get; }

    private MatrixView<float> View => new(_reference.Pointer, Dimensions, _points);

    /// <inheritdoc/>
    public void Compute(MatrixView<float> points, MatrixView<float> force, Span<double> sums, WorkerPool? pool = null)
    {
        MapDimensions.CheckReferenceCall(Dimensions, points, force, sums.Length);
        fixed (double* s = sums)
        {
            ExactFieldAction action = new(View, points, force, s, pool ?? WorkerPool.Serial);
            TsneKernel.Dispatch(Dimensions, DegreesOfFreedom, ref action);
        }

        GC.KeepAlive(this);
    }

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose() => _reference.Dispose();
}
