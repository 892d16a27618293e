namespace EmbeddingKernels;

/// <summary>How the repulsive forces are computed.</summary>
public enum TsneMethod
{
    /// <summary>The fastest method that this build has for the size of the map; today that is <see cref="Exact"/>.</summary>
    Auto = 0,

    /// <summary>All pairs, without approximation: time grows with the square of the number of points.</summary>
    Exact = 1,
}

/// <summary>Which distance makes points neighbours. As in scikit-learn and openTSNE the affinities depend on its square.</summary>
public enum TsneMetric
{
    /// <summary>The square root of the sum of (a_i - b_i)^2.</summary>
    Euclidean = 0,

    /// <summary>
    /// 1 - cosine similarity; 1 where either vector is zero. For the Euclidean distance between normalised vectors,
    /// normalise the rows and use <see cref="Euclidean"/>.
    /// </summary>
    Cosine = 1,
}

/// <summary>Where the map starts.</summary>
public enum TsneStart
{
    /// <summary>The first principal components, scaled so that the first has standard deviation 1e-4. Keeps global structure.</summary>
    Pca = 0,

    /// <summary>Normally distributed around 0 with standard deviation 1e-4.</summary>
    Random = 1,
}

/// <summary>Options of <see cref="Tsne.Fit(Core.MatrixView{float}, TsneOptions?, IProgress{TsneProgress}?, CancellationToken)"/>.</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>scikit-learn's TSNE; openTSNE's TSNE</description></listheader>
/// <item><term><see cref="Dimensions"/></term><description>n_components; n_components</description></item>
/// <item><term><see cref="Perplexity"/></term><description>perplexity; perplexity</description></item>
/// <item><term><see cref="EarlyExaggeration"/></term><description>early_exaggeration; early_exaggeration</description></item>
/// <item><term><see cref="EarlyExaggerationIterations"/></term><description>fixed at 250; early_exaggeration_iter</description></item>
/// <item><term><see cref="Iterations"/></term><description>max_iter (once n_iter), both phases together, 1000; n_iter + early_exaggeration_iter, 500 + 250</description></item>
/// <item><term><see cref="LearningRate"/></term><description>learning_rate, the same number; learning_rate, 4 times this number, because openTSNE (as
/// FIt-SNE and bhtsne) leaves the factor 4 out of the gradient. auto is max(N / early_exaggeration / 4, 50) here and in
/// scikit-learn, max(N / early_exaggeration, 200) in openTSNE, which is the same step</description></item>
/// <item><term><see cref="InitialMomentum"/>, <see cref="FinalMomentum"/></term><description>fixed at 0.5, 0.8; initial_momentum 0.8, final_momentum 0.8</description></item>
/// <item><term><see cref="Initialization"/></term><description>init; initialization</description></item>
/// <item><term><see cref="Metric"/></term><description>metric; metric</description></item>
/// <item><term><see cref="Method"/></term><description>method; negative_gradient_method</description></item>
/// <item><term><see cref="Threads"/></term><description>n_jobs; n_jobs</description></item>
/// <item><term><see cref="Seed"/></term><description>random_state; random_state</description></item>
/// </list>
/// <para>A step of a point is at most 5 long (openTSNE's max_step_norm; scikit-learn has no bound). There is no early stop
/// (scikit-learn's n_iter_without_progress, min_grad_norm).</para>
/// </remarks>
public sealed record TsneOptions
{
    /// <summary>Axes of the map: 1, 2 or 3.</summary>
    public int Dimensions { get; init; } = 2;

    /// <summary>Roughly how many neighbours of each point count; at least 1 and at most the number of points - 1.</summary>
    public double Perplexity { get; init; } = 30;

    /// <summary>Factor of the affinities in the first phase, in which clusters form.</summary>
    public float EarlyExaggeration { get; init; } = 12;

    /// <summary>Length of the first phase.</summary>
    public int EarlyExaggerationIterations { get; init; } = 250;

    /// <summary>Iterations of both phases together.</summary>
    public int Iterations { get; init; } = 750;

    /// <summary>Factor of the gradient, or null for <see cref="Tsne.AutoLearningRate"/>.</summary>
    public float? LearningRate { get; init; }

    /// <summary>Momentum of the first phase.</summary>
    public float InitialMomentum { get; init; } = 0.5f;

    /// <summary>Momentum of the second phase.</summary>
    public float FinalMomentum { get; init; } = 0.8f;

    /// <summary>Where the map starts.</summary>
    public TsneStart Initialization { get; init; } = TsneStart.Pca;

    /// <summary>Which distance makes points neighbours.</summary>
    public TsneMetric Metric { get; init; } = TsneMetric.Euclidean;

    /// <summary>How the repulsive forces are computed.</summary>
    public TsneMethod Method { get; init; } = TsneMethod.Auto;

    /// <summary>Threads that work. The map is the same for any number of them.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Seed of a random start, and of the axes that a PCA start cannot fill.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>Checks every value that can be checked without the data.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        if (Dimensions is < 1 or > 3)
            throw new ArgumentOutOfRangeException(nameof(Dimensions), Dimensions, "A map has 1 to 3 axes.");
        if (!(Perplexity >= 1 && double.IsFinite(Perplexity)))
            throw new ArgumentOutOfRangeException(nameof(Perplexity), Perplexity, "The perplexity must be at least 1.");
        if (!(EarlyExaggeration > 0 && float.IsFinite(EarlyExaggeration)))
            throw new ArgumentOutOfRangeException(nameof(EarlyExaggeration), EarlyExaggeration, "The exaggeration must be above 0.");
        ArgumentOutOfRangeException.ThrowIfNegative(EarlyExaggerationIterations);
        ArgumentOutOfRangeException.ThrowIfNegative(Iterations);
        if (LearningRate is { } rate && !(rate > 0 && float.IsFinite(rate)))
            throw new ArgumentOutOfRangeException(nameof(LearningRate), rate, "The learning rate must be above 0, or null to have it chosen.");
        CheckMomentum(InitialMomentum, nameof(InitialMomentum));
        CheckMomentum(FinalMomentum, nameof(FinalMomentum));
        CheckDefined(Initialization, nameof(Initialization));
        CheckDefined(Metric, nameof(Metric));
        CheckDefined(Method, nameof(Method));
        DataChecks.Threads(Threads, nameof(Threads));
    }

    internal static void CheckMomentum(float momentum, string name)
    {
        if (!(momentum >= 0 && momentum < 1))
            throw new ArgumentOutOfRangeException(name, momentum, "A momentum must be at least 0 and below 1.");
    }

    internal static void CheckDefined<TEnum>(TEnum value, string name)
        where TEnum : struct, Enum
    {
        if (!Enum.IsDefined(value))
            throw new ArgumentOutOfRangeException(name, value, $"Not a value of {typeof(TEnum).Name}.");
    }
}
