namespace EmbeddingKernels.Core;

/// <summary>How <see cref="FftRepulsion"/> spreads a point over the nodes of its grid.</summary>
public enum FftInterpolation
{
    /// <summary>Cubic B-splines: 4 nodes an axis, relative error of the forces below 1e-3.</summary>
    Cubic = 0,

    /// <summary>Quadratic B-splines: 3 nodes an axis, about a quarter less work a point, relative error below 5e-3.</summary>
    Quadratic = 1,
}

/// <summary>
/// The repulsive half of the t-SNE gradient by interpolation on a grid and fast Fourier transforms, for maps of 1 and 2 axes.
/// Work grows with the number of points and with the area of the map.
/// </summary>
/// <remarks>
/// <para>The points are spread over a uniform grid of spacing 0.25 by B-splines, the kernels w and w (1 + d^2 / nu)^-1 d are
/// applied by convolution, and the forces are gathered with the same splines. What the splines do to the spectrum is divided
/// out of the kernels' spectra, which are kept while the size of the grid stands: one real transform of the density, and one
/// for each axis of the force. Z comes from the spectra by Parseval's theorem.</para>
/// <para>Error: the root mean square of the error of the forces is below 1e-3 of theirs (5e-3 with quadratic splines), that
/// of Z below 1e-4 of Z, measured on maps in all phases (tests). Where a map has come to rest, attraction and repulsion cancel,
/// and the same error is a larger share of what is left: 4e-4 of the forces and 6e-3 of the gradient after 750 steps of 70,000
/// MNIST digits. In the plane a map wider than about 125 (up to 1,800
/// points) to 500 (from 29,000 on) is covered by wider spacings, and the error grows with them: a map of which a few points
/// are that far away is better served by <see cref="BarnesHutRepulsion"/>. Never NaN for finite coordinates.</para>
/// <para>The result is the same for any number of threads and from call to call; it depends on the instruction-set level in
/// the last bits.</para>
/// <para>Source: Linderman et al., Fast interpolation-based t-SNE, Nature Methods 16 (2019); the splines and their
/// deconvolution: Essmann et al., A smooth particle mesh Ewald method, J. Chem. Phys. 103 (1995). FIt-SNE interpolates with
/// 3 nodes of Lagrange in each interval and takes 4 transforms there and 4 back.</para>
/// </remarks>
public sealed unsafe class FftRepulsion : ITsneRepulsion
{
    private readonly FftField _field;
    private readonly FftPoints _points;

    /// <summary>Takes the memory for maps of <paramref name="points"/> points in <paramref name="dimensions"/> axes.</summary>
    /// <param name="points">Number of points, 0 or more.</param>
    /// <param name="dimensions">Number of axes, 1 or 2.</param>
    /// <param name="degreesOfFreedom">nu of the kernel w = (1 + d^2 / nu)^(-(nu + 1) / 2), above 0.</param>
    /// <param name="interpolation">The splines.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    public FftRepulsion(int points, int dimensions, double degreesOfFreedom = 1, FftInterpolation interpolation = FftInterpolation.Cubic)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(points);
        Points = points;
        _field = new FftField(dimensions, degreesOfFreedom, interpolation, points);
        _points = new FftPoints(points, dimensions);
    }

    /// <inheritdoc/>
    public int Points { get; }

    /// <inheritdoc/>
    public int Dimensions => _field.Dimensions;

    /// <inheritdoc/>
    public double DegreesOfFreedom => _field.DegreesOfFreedom;

    /// <summary>The splines.</summary>
    public FftInterpolation Interpolation => _field.Interpolation;

    /// <inheritdoc/>
    public double Compute(MatrixView<float> map, MatrixView<float> force, WorkerPool? pool = null)
    {
        if (map.Rows != Dimensions || map.Columns != Points)
            throw new ArgumentException($"The shape must be {Dimensions} x {Points} and is {map.Rows} x {map.Columns}.", nameof(map));
        MapDimensions.CheckSame(map, force, nameof(force));
        FftRepulsionAction action = new(_field, _points, map, force, pool ?? WorkerPool.Serial);
        TsneKernel.Dispatch(Dimensions, DegreesOfFreedom, ref action);
        GC.KeepAlive(this);
        return action.Sum;
    }

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose()
    {
        _field.Dispose();
        _points.Dispose();
    }
}
