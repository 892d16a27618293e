namespace EmbeddingKernels;

/// <summary>How <see cref="Pca"/> finds the components.</summary>
public enum PcaSolver
{
    /// <summary>
    /// <see cref="Randomized"/> where the smaller side of the data is above 512 and less than a fifth of it is wanted, or where it
    /// is above <see cref="Pca.LargestExactSide"/>; else <see cref="Exact"/>.
    /// </summary>
    Auto = 0,

    /// <summary>
    /// All eigenvectors of the columns' covariance, or of the rows' Gram matrix where there are fewer rows than columns.
    /// Time grows with the cube of the smaller side (a second at some 600), memory with its square.
    /// </summary>
    Exact = 1,

    /// <summary>
    /// A random subspace that is turned towards the largest components by multiplying it with the data (Halko, Martinsson and
    /// Tropp, SIAM Review 53, 2011): a pass over the data for each power iteration.
    /// </summary>
    Randomized = 2,
}

/// <summary>Options of <see cref="Pca"/>.</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>scikit-learn's PCA</description></listheader>
/// <item><term><see cref="Components"/></term><description>n_components</description></item>
/// <item><term><see cref="Solver"/></term><description>svd_solver = "auto", "full" (or "covariance_eigh"), "randomized"</description></item>
/// <item><term><see cref="Oversampling"/></term><description>n_oversamples</description></item>
/// <item><term><see cref="PowerIterations"/></term><description>iterated_power</description></item>
/// <item><term><see cref="Whiten"/></term><description>whiten</description></item>
/// <item><term><see cref="Seed"/></term><description>random_state</description></item>
/// </list>
/// </remarks>
public sealed record PcaOptions
{
    /// <summary>Components wanted: 1 to the smaller side of the data.</summary>
    public int Components { get; init; } = 2;

    /// <summary>How they are found.</summary>
    public PcaSolver Solver { get; init; } = PcaSolver.Auto;

    /// <summary>Randomised: dimensions of the subspace beyond the components wanted.</summary>
    public int Oversampling { get; init; } = 10;

    /// <summary>
    /// Randomised: multiplications of the subspace by the data and its transpose, with orthonormalisation in between, before
    /// the last. Null for scikit-learn's "auto", 7 where less than a tenth of the smaller side is wanted and 4 elsewhere, and more, up
    /// to 30, as long as the variance in the subspace still grows by a thousandth.
    /// </summary>
    public int? PowerIterations { get; init; }

    /// <summary>Scale the coordinates to variance 1.</summary>
    public bool Whiten { get; init; }

    /// <summary>Seed of the random subspace.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>Checks every value that can be checked without the data.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        if (Components < 1)
            throw new ArgumentOutOfRangeException(nameof(Components), Components, "There must be at least one component.");
        if (!Enum.IsDefined(Solver))
            throw new ArgumentOutOfRangeException(nameof(Solver), Solver, "Not a value of PcaSolver.");
        if (Oversampling is < 0 or > 10_000)
            throw new ArgumentOutOfRangeException(nameof(Oversampling), Oversampling, "The oversampling must be 0 to 10000.");
        if (PowerIterations is < 0 or > 1000)
            throw new ArgumentOutOfRangeException(nameof(PowerIterations), PowerIterations, "The power iterations must be 0 to 1000, or null.");
    }
}
