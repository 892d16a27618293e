namespace EmbeddingKernels;

/// <summary>How the first centres are chosen.</summary>
public enum KMeansStart
{
    /// <summary>
    /// One after the other, a row with a probability that is proportional to its squared distance from the centres so far
    /// (Arthur and Vassilvitskii, 2007); of 2 + log(k) such rows the one that lowers the inertia most, as in scikit-learn.
    /// </summary>
    KMeansPlusPlus = 0,

    /// <summary>Different rows, each with the same probability.</summary>
    Random = 1,
}

/// <summary>Options of <see cref="KMeans"/>. Defaults are those of scikit-learn's KMeans.</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>scikit-learn</description></listheader>
/// <item><term><see cref="Clusters"/></term><description>n_clusters</description></item>
/// <item><term><see cref="Start"/></term><description>init = "k-means++", "random"</description></item>
/// <item><term><see cref="InitialCenters"/></term><description>init = an array</description></item>
/// <item><term><see cref="Initializations"/></term><description>n_init ("auto" is 1 for k-means++ and for an array, 10 for random)</description></item>
/// <item><term><see cref="MaxIterations"/></term><description>max_iter</description></item>
/// <item><term><see cref="Tolerance"/></term><description>tol</description></item>
/// <item><term><see cref="Seed"/></term><description>random_state</description></item>
/// <item><term>Lloyd's, always</term><description>algorithm = "lloyd"</description></item>
/// <item><term><see cref="Spherical"/></term><description>none; KMeans of rows scaled to length 1, with the centres scaled too</description></item>
/// </list>
/// </remarks>
public sealed record KMeansOptions
{
    /// <summary>Number of clusters: 1 to the number of rows.</summary>
    public int Clusters { get; init; } = 8;

    /// <summary>How the first centres are chosen where <see cref="InitialCenters"/> is null.</summary>
    public KMeansStart Start { get; init; } = KMeansStart.KMeansPlusPlus;

    /// <summary>The first centres, <see cref="Clusters"/> rows as long as the data's; null to have them chosen.</summary>
    public FloatMatrix? InitialCenters { get; init; }

    /// <summary>Runs with different first centres, of which the best is kept; 1 is enough where they are given.</summary>
    public int Initializations { get; init; } = 1;

    /// <summary>Most iterations of one run.</summary>
    public int MaxIterations { get; init; } = 300;

    /// <summary>
    /// A run ends when the squared distances that the centres moved sum up to no more than this times the mean of the
    /// columns' variances; or when no row changes its cluster.
    /// </summary>
    public double Tolerance { get; init; } = 1e-4;

    /// <summary>Compare by angle alone: rows and centres count as if scaled to length 1.</summary>
    public bool Spherical { get; init; }

    /// <summary>Seed of the choice of centres.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>Checks every value that can be checked without the data.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        if (Clusters < 1)
            throw new ArgumentOutOfRangeException(nameof(Clusters), Clusters, "There must be at least one cluster.");
        if (!Enum.IsDefined(Start))
            throw new ArgumentOutOfRangeException(nameof(Start), Start, "Not a value of KMeansStart.");
        if (Initializations is < 1 or > 10_000)
            throw new ArgumentOutOfRangeException(nameof(Initializations), Initializations, "The number of initializations must be 1 to 10000.");
        if (MaxIterations < 1)
            throw new ArgumentOutOfRangeException(nameof(MaxIterations), MaxIterations, "There must be at least one iteration.");
        if (!(Tolerance >= 0 && double.IsFinite(Tolerance)))
            throw new ArgumentOutOfRangeException(nameof(Tolerance), Tolerance, "The tolerance must be 0 or more.");
    }
}

/// <summary>The parts of the work that <see cref="KMeansProgress"/> reports.</summary>
public enum KMeansStage
{
    /// <summary>Choosing the first centres; steps are centres.</summary>
    Start = 0,

    /// <summary>Moving them; steps are iterations.</summary>
    Iterations = 1,
}

/// <summary>Where a run of k-means stands.</summary>
/// <param name="Run">The run under way, from 1.</param>
/// <param name="Runs">Runs in all.</param>
/// <param name="Stage">Which part of it.</param>
/// <param name="Step">Steps done.</param>
/// <param name="Steps">The most steps that this part can have.</param>
/// <param name="Inertia">The sum of squared distances to the nearest centre at the last step; NaN where it is not known.</param>
public readonly record struct KMeansProgress(int Run, int Runs, KMeansStage Stage, int Step, int Steps, double Inertia);
