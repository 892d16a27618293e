namespace EmbeddingKernels.Core;

/// <summary>
/// The repulsive half of the t-SNE gradient from all pairs of points, without approximation:
/// force_i = sum over j of w_ij (1 + d_ij^2 / nu)^-1 (y_i - y_j) with w_ij = (1 + d_ij^2 / nu)^(-(nu+1)/2) and
/// d_ij = |y_i - y_j|; for the usual nu = 1 sum of w_ij^2 (y_i - y_j) with w_ij = 1 / (1 + d_ij^2).
/// </summary>
/// <remarks>
/// <para>Work grows with the square of the number of points (10,000 points: 5 * 10^7 pairs, each computed once for both of
/// its points), memory with the number of points: at most 64 floats per point and axis.</para>
/// <para>Sums are taken in single precision within blocks of at most max(2,048, points / 64) points, then over the blocks:
/// the error of a force is below 1e-5 of the sum of the magnitudes of its terms, that of the returned sum, which is added
/// up in double over the blocks, below 1e-6 of itself. With nu other than 1 each w has a relative error below
/// 4e-7 (1 + |ln w|) of its own, does not fall below 1.2e-38, and costs a logarithm and an exponential (4 times the time).
/// The result is the same for any number of threads, and from call to call; it depends on the instruction-set level in the
/// last bits.</para>
/// <para>Source: van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 9 (2008), equation 5; degrees of freedom:
/// van der Maaten, Learning a Parametric Embedding by Preserving Local Structure, AISTATS 2009, equation 4; Kobak et al.,
/// Heavy-tailed kernels reveal a finer cluster structure in t-SNE visualisations, ECML PKDD 2019 (openTSNE's dof).</para>
/// </remarks>
public sealed unsafe class ExactRepulsion : ITsneRepulsion
{
    private readonly ExactRepulsionPlan _plan;
    private readonly AlignedBuffer<float> _partialForces;
    private readonly AlignedBuffer<double> _partialSums;

    /// <summary>Takes the memory for maps of <paramref name="points"/> points in <paramref name="dimensions"/> axes.</summary>
    /// <param name="points">Number of points, 0 or more.</param>
    /// <param name="dimensions">Number of axes, 1 to 3.</param>
    /// <param name="degreesOfFreedom">nu, 1e-6 to 1e6.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    public ExactRepulsion(int points, int dimensions, double degreesOfFreedom = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(points);
        if (dimensions is < 1 or > MapDimensions.Most)
            throw new ArgumentOutOfRangeException(nameof(dimensions), dimensions, $"A map has 1 to {MapDimensions.Most} axes.");
        DegreesOfFreedom = TsneKernel.CheckDegrees(degreesOfFreedom, nameof(degreesOfFreedom));
        _plan = new ExactRepulsionPlan(points, dimensions);
        _partialForces = new AlignedBuffer<float>((nint)_plan.Blocks * dimensions * _plan.Stride);
        _partialSums = new AlignedBuffer<double>(_plan.Tiles);
    }

    /// <inheritdoc/>
    public int Points => _plan.Points;

    /// <inheritdoc/>
    public int Dimensions => _plan.Dimensions;

    /// <inheritdoc/>
    public double DegreesOfFreedom { get; }

    /// <inheritdoc/>
    public double Compute(MatrixView<float> map, MatrixView<float> force, WorkerPool? pool = null)
    {
        if (map.Rows != Dimensions || map.Columns != Points)
            throw new ArgumentException($"The shape must be {Dimensions} x {Points} and is {map.Rows} x {map.Columns}.", nameof(map));
        MapDimensions.CheckSame(map, force, nameof(force));
        ExactRepulsionAction action = new(_plan, map, force, _partialForces.Pointer, _partialSums.Pointer, pool ?? WorkerPool.Serial);
        TsneKernel.Dispatch(Dimensions, DegreesOfFreedom, ref action);
        GC.KeepAlive(this);
        return action.Sum;
    }

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose()
    {
        _partialForces.Dispose();
        _partialSums.Dispose();
    }
}

/// <summary>
/// How all pairs are cut into tiles: pairs of blocks of points. It depends on the number of points alone, so the order of
/// all sums is the same for any number of threads.
/// </summary>
internal readonly struct ExactRepulsionPlan
{
    public ExactRepulsionPlan(int points, int dimensions)
    {
        Points = points;
        Dimensions = dimensions;

        // Small blocks leave work for many threads; large ones spend less on starting rows and on the partial sums. Two
        // coordinates and two forces of 2,048 points fill the first-level cache; beyond 64 blocks memory would grow.
        int block = Math.Clamp(points / 24, 128, 2048);
        block = Math.Max(block, (int)(((long)points + 63) / 64));
        Block = (int)Math.Min(((long)block + 15) / 16 * 16, int.MaxValue);
        Blocks = (int)(((long)points + Block - 1) / Block);
        Tiles = Blocks * (Blocks + 1) / 2;
        Stride = ((nint)points + 15) / 16 * 16;
    }

    public int Points { get; }

    public int Dimensions { get; }

    /// <summary>Points per block, a multiple of every vector's lanes.</summary>
    public int Block { get; }

    public int Blocks { get; }

    /// <summary>Number of pairs of blocks (a, b) with a at most b.</summary>
    public int Tiles { get; }

    /// <summary>Floats from one axis to the next in the partial forces.</summary>
    public nint Stride { get; }

    /// <summary>The pair of blocks of a tile; tiles count along the rows of the upper triangle.</summary>
    public (int Row, int Column) Tile(nint index)
    {
        int row = 0;
        for (nint left = Blocks; index >= left; left--, row++)
            index -= left;
        return (row, row + (int)index);
    }
}
