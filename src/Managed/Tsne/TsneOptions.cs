using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>How the repulsive forces are computed.</summary>
public enum TsneMethod
{
    /// <summary>
    /// The fastest for the size of the map: in one and two dimensions <see cref="Exact"/> up to 2,500 points and
    /// <see cref="Fft"/> beyond, in three <see cref="Exact"/> up to 1,500 and <see cref="BarnesHut"/> beyond.
    /// </summary>
    Auto = 0,

    /// <summary>All pairs, without approximation: time grows with the square of the number of points (scikit-learn: "exact").</summary>
    Exact = 1,

    /// <summary>
    /// A tree whose far cells count as one point: time grows like N log N, two or three dimensions (scikit-learn:
    /// "barnes_hut"; openTSNE: "bh").
    /// </summary>
    BarnesHut = 2,

    /// <summary>Interpolation on a grid and convolution by Fourier transform: time grows like N, one or two dimensions (openTSNE: "fft"; FIt-SNE).</summary>
    Fft = 3,
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

    /// <summary>
    /// The dot product as a similarity, the largest being nearest. The squared distance to a neighbour j of point i is the
    /// largest dot product of i with any neighbour less that with j, so affinities are a softmax of dot products.
    /// </summary>
    Dot = 2,
}

/// <summary>Where the map starts.</summary>
public enum TsneStart
{
    /// <summary>The first principal components, scaled so that the first has standard deviation 1e-4. Keeps global structure.</summary>
    Pca = 0,

    /// <summary>Normally distributed around 0 with standard deviation 1e-4.</summary>
    Random = 1,

    /// <summary>The leading eigenvectors of the graph of affinities, scaled likewise: <see cref="TsneInitialization.Spectral"/>.</summary>
    Spectral = 2,
}

/// <summary>
/// Looks at a map while it is optimised.
/// </summary>
/// <param name="embedding">The map as it stands; <see cref="TsneEmbedding.Axis"/> reads its positions without a copy.</param>
/// <param name="progress">Where the run stands; the divergence is that of the map as it stands.</param>
/// <returns>Whether to go on; false ends the run with <see cref="TsneStop.Callback"/>. openTSNE's callbacks return the opposite.</returns>
public delegate bool TsneCallback(TsneEmbedding embedding, TsneProgress progress);

/// <summary>Options of <see cref="Tsne.Fit(MatrixView{float}, TsneOptions?, IProgress{TsneProgress}?, CancellationToken)"/>.</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>scikit-learn's TSNE; openTSNE's TSNE</description></listheader>
/// <item><term><see cref="Dimensions"/></term><description>n_components; n_components</description></item>
/// <item><term><see cref="Perplexity"/></term><description>perplexity; perplexity</description></item>
/// <item><term><see cref="Affinities"/></term><description>none; an object of the classes of openTSNE.affinity</description></item>
/// <item><term><see cref="EarlyExaggeration"/></term><description>early_exaggeration; early_exaggeration</description></item>
/// <item><term><see cref="EarlyExaggerationIterations"/></term><description>fixed at 250; early_exaggeration_iter</description></item>
/// <item><term><see cref="Exaggeration"/></term><description>fixed at 1; exaggeration</description></item>
/// <item><term><see cref="Iterations"/></term><description>max_iter (once n_iter), both phases together, 1000; n_iter + early_exaggeration_iter, 500 + 250</description></item>
/// <item><term><see cref="LearningRate"/></term><description>learning_rate, the same number; learning_rate, 4 times this number, because openTSNE (as
/// FIt-SNE and bhtsne) leaves the factor 4 out of the gradient. auto is max(N / early_exaggeration / 4, 50) here and in
/// scikit-learn; N / exaggeration of each phase in openTSNE, the same step in the first phase
/// (<see cref="FinalLearningRate"/>)</description></item>
/// <item><term><see cref="InitialMomentum"/>, <see cref="FinalMomentum"/></term><description>fixed at 0.5, 0.8; initial_momentum 0.8, final_momentum 0.8</description></item>
/// <item><term><see cref="DegreesOfFreedom"/></term><description>fixed at max(n_components - 1, 1); dof, which there is another family of
/// kernels, (1 + d^2 / dof)^-dof</description></item>
/// <item><term><see cref="MinGain"/>, <see cref="MaxStepNorm"/></term><description>fixed at 0.01, none; min_gain, max_step_norm</description></item>
/// <item><term><see cref="MinGradientNorm"/>, <see cref="IterationsWithoutProgress"/></term><description>min_grad_norm, n_iter_without_progress; none</description></item>
/// <item><term><see cref="Callback"/>, <see cref="CallbackInterval"/></term><description>none; callbacks, callbacks_every_iters</description></item>
/// <item><term><see cref="Initialization"/>, <see cref="InitialPositions"/></term><description>init; initialization</description></item>
/// <item><term><see cref="Metric"/></term><description>metric; metric. For "precomputed": <see cref="TsneAffinities.FromDistances(MatrixView{float}, double, int?)"/></description></item>
/// <item><term><see cref="Neighbors"/></term><description>always exact; neighbors</description></item>
/// <item><term><see cref="Method"/>, <see cref="Theta"/></term><description>method, angle; negative_gradient_method, theta</description></item>
/// <item><term><see cref="Threads"/></term><description>n_jobs; n_jobs</description></item>
/// <item><term><see cref="Seed"/></term><description>random_state; random_state</description></item>
/// </list>
/// </remarks>
public sealed record TsneOptions
{
    /// <summary>Axes of the map: 1, 2 or 3.</summary>
    public int Dimensions { get; init; } = 2;

    /// <summary>Roughly how many neighbours of each point count; at least 1 and at most the number of points - 1.</summary>
    public double Perplexity { get; init; } = 30;

    /// <summary>How distances become affinities; null for <see cref="AffinityKernel.Perplexity(double)"/> of <see cref="Perplexity"/>.</summary>
    public AffinityKernel? Affinities { get; init; }

    /// <summary>Factor of the affinities in the first phase, in which clusters form.</summary>
    public float EarlyExaggeration { get; init; } = 12;

    /// <summary>Length of the first phase.</summary>
    public int EarlyExaggerationIterations { get; init; } = 250;

    /// <summary>Factor of the affinities in the second phase: above 1 clusters stay denser, as suits very large maps.</summary>
    public float Exaggeration { get; init; } = 1;

    /// <summary>Iterations of both phases together.</summary>
    public int Iterations { get; init; } = 750;

    /// <summary>Factor of the gradient, or null for <see cref="Tsne.AutoLearningRate"/>.</summary>
    public float? LearningRate { get; init; }

    /// <summary>
    /// Factor of the gradient in the second phase, or null for that of the first, as in scikit-learn. openTSNE since 1.0 takes
    /// <c>Tsne.AutoLearningRate(points, Exaggeration)</c>, 12 times the first phase's, which reaches a lower divergence in as many
    /// steps: 2.81 instead of 2.90 for 70,000 MNIST digits.
    /// </summary>
    public float? FinalLearningRate { get; init; }

    /// <summary>Momentum of the first phase.</summary>
    public float InitialMomentum { get; init; } = 0.5f;

    /// <summary>Momentum of the second phase.</summary>
    public float FinalMomentum { get; init; } = 0.8f;

    /// <summary>
    /// Degrees of freedom nu of the map's kernel (1 + d^2 / nu)^(-(nu + 1) / 2), 1e-6 to 1e6: below 1 heavier tails, which
    /// pull clusters apart into finer ones (Kobak et al. 2019); towards infinity a Gaussian, as in SNE.
    /// </summary>
    public double DegreesOfFreedom { get; init; } = 1;

    /// <summary>The least gain of a coordinate.</summary>
    public float MinGain { get; init; } = 0.01f;

    /// <summary>The longest step of a point; longer ones are shortened. Infinity for no bound.</summary>
    public float MaxStepNorm { get; init; } = 5;

    /// <summary>A phase ends where every 50th step finds the norm of the gradient, with exaggeration, at most this; 0 for (nearly) never.</summary>
    public double MinGradientNorm { get; init; } = 1e-7;

    /// <summary>
    /// The second phase ends where every 50th step finds the least divergence more than this many steps ago; null for never.
    /// </summary>
    public int? IterationsWithoutProgress { get; init; } = 300;

    /// <summary>Is called after every <see cref="CallbackInterval"/>th step and may end the run; null for none.</summary>
    public TsneCallback? Callback { get; init; }

    /// <summary>Steps between two calls of <see cref="Callback"/>, at least 1.</summary>
    public int CallbackInterval { get; init; } = 50;

    /// <summary>Where the map starts.</summary>
    public TsneStart Initialization { get; init; } = TsneStart.Pca;

    /// <summary>
    /// A start of the caller's, points x axes, in place of <see cref="Initialization"/>; null for none. Starts wider than
    /// some 1e-2 converge badly: see <see cref="TsneInitialization.Rescale"/>.
    /// </summary>
    public FloatMatrix? InitialPositions { get; init; }

    /// <summary>Which distance makes points neighbours.</summary>
    public TsneMetric Metric { get; init; } = TsneMetric.Euclidean;

    /// <summary>How the neighbours are found.</summary>
    public NeighborMethod Neighbors { get; init; } = NeighborMethod.Auto;

    /// <summary>How the repulsive forces are computed.</summary>
    public TsneMethod Method { get; init; } = TsneMethod.Auto;

    /// <summary>
    /// How coarse the approximation of <see cref="TsneMethod.BarnesHut"/> is: a cell counts as one point where its width over
    /// its distance is below this. 0 to 1; 0 is exact.
    /// </summary>
    public double Theta { get; init; } = 0.5;

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
        CheckPositive(EarlyExaggeration, nameof(EarlyExaggeration));
        CheckPositive(Exaggeration, nameof(Exaggeration));
        ArgumentOutOfRangeException.ThrowIfNegative(EarlyExaggerationIterations);
        ArgumentOutOfRangeException.ThrowIfNegative(Iterations);
        CheckRate(LearningRate, nameof(LearningRate));
        CheckRate(FinalLearningRate, nameof(FinalLearningRate));
        CheckMomentum(InitialMomentum, nameof(InitialMomentum));
        CheckMomentum(FinalMomentum, nameof(FinalMomentum));
        TsneKernel.CheckDegrees(DegreesOfFreedom, nameof(DegreesOfFreedom));
        CheckLimits(MinGain, MaxStepNorm, MinGradientNorm, IterationsWithoutProgress, CallbackInterval);
        CheckTheta(Theta, nameof(Theta));
        DataChecks.Defined(Initialization, nameof(Initialization));
        DataChecks.Defined(Metric, nameof(Metric));
        DataChecks.Defined(Neighbors, nameof(Neighbors));
        DataChecks.Defined(Method, nameof(Method));
        DataChecks.Threads(Threads, nameof(Threads));
    }

    internal static void CheckMomentum(float momentum, string name)
    {
        if (!(momentum >= 0 && momentum < 1))
            throw new ArgumentOutOfRangeException(name, momentum, "A momentum must be at least 0 and below 1.");
    }

    internal static void CheckRate(float? rate, string name)
    {
        if (rate is { } value && !(value > 0 && float.IsFinite(value)))
            throw new ArgumentOutOfRangeException(name, value, "The learning rate must be above 0, or null to have it chosen.");
    }

    /// <summary>Checks settings that two records have under the same names.</summary>
    internal static void CheckLimits(float minGain, float maxStepNorm, double minGradientNorm, int? iterationsWithoutProgress, int callbackInterval)
    {
        CheckPositive(minGain, nameof(MinGain));
        if (!(maxStepNorm > 0))
            throw OutOfRange(nameof(MaxStepNorm), maxStepNorm, "The longest step must be above 0; infinity for no bound.");
        if (!(minGradientNorm >= 0))
            throw OutOfRange(nameof(MinGradientNorm), minGradientNorm, "The least norm of the gradient must be 0 or more.");
        if (iterationsWithoutProgress is < 0)
            throw OutOfRange(nameof(IterationsWithoutProgress), iterationsWithoutProgress, "It must be 0 or more, or null for no bound.");
        if (callbackInterval < 1)
            throw OutOfRange(nameof(CallbackInterval), callbackInterval, "It must be 1 or more.");
    }

    private static ArgumentOutOfRangeException OutOfRange(string name, object? value, string message) => new(name, value, message);

    internal static void CheckPositive(double value, string name)
    {
        if (!(value > 0 && double.IsFinite(value)))
            throw new ArgumentOutOfRangeException(name, value, "The value must be above 0 and finite.");
    }

    internal static void CheckTheta(double theta, string name)
    {
        if (!(theta >= 0 && theta <= 1))
            throw new ArgumentOutOfRangeException(name, theta, "Theta must be 0 to 1.");
    }
}
