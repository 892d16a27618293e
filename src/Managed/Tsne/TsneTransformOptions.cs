using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Where new points start in a finished map.</summary>
public enum TsnePartialStart
{
    /// <summary>At the median of their nearest reference points, on each axis.</summary>
    Median = 0,

    /// <summary>At the mean of their nearest reference points, weighted by the affinities.</summary>
    Weighted = 1,

    /// <summary>Normally distributed around 0 with standard deviation 1e-4. Where a point starts depends on its row.</summary>
    Random = 2,
}

/// <summary>Looks at new points while they are placed.</summary>
/// <param name="embedding">The new points as they stand.</param>
/// <param name="progress">Where the run stands; the divergence is that of the points as they stand.</param>
/// <returns>Whether to go on.</returns>
public delegate bool TsnePartialCallback(TsnePartialEmbedding embedding, TsneProgress progress);

/// <summary>Options of <see cref="TsneEmbedding.Transform(MatrixView{float}, TsneTransformOptions?, IProgress{TsneProgress}?, CancellationToken)"/>.</summary>
/// <remarks>
/// Names and defaults are those of openTSNE's TSNEEmbedding.transform (scikit-learn has none), but for three numbers: the
/// gradient here has its factor, (nu + 1) / nu, which openTSNE leaves out. So <see cref="LearningRate"/> is half of its
/// learning_rate and <see cref="MaxGradientNorm"/> twice its max_grad_norm at one degree of freedom, which gives the same steps;
/// and <see cref="Iterations"/> counts both phases, its n_iter + early_exaggeration_iter. <see cref="StartNeighbors"/> is its k.
/// </remarks>
public sealed record TsneTransformOptions
{
    /// <summary>Roughly how many reference points count for a new one: 1 up to the number of reference points.</summary>
    public double Perplexity { get; init; } = 5;

    /// <summary>How distances become affinities; null for <see cref="AffinityKernel.Perplexity(double)"/> of <see cref="Perplexity"/>.</summary>
    public AffinityKernel? Affinities { get; init; }

    /// <summary>Which distance makes neighbours; null for that of the map.</summary>
    public TsneMetric? Metric { get; init; }

    /// <summary>Where the points start.</summary>
    public TsnePartialStart Initialization { get; init; } = TsnePartialStart.Median;

    /// <summary>A start of the caller's, points x axes, in place of <see cref="Initialization"/>; null for none.</summary>
    public FloatMatrix? InitialPositions { get; init; }

    /// <summary>Nearest reference points of which a start is made, at least 1; all, where there are fewer.</summary>
    public int StartNeighbors { get; init; } = 25;

    /// <summary>Factor of the affinities in the first phase.</summary>
    public float EarlyExaggeration { get; init; } = 4;

    /// <summary>Length of the first phase.</summary>
    public int EarlyExaggerationIterations { get; init; }

    /// <summary>Factor of the affinities in the second phase.</summary>
    public float Exaggeration { get; init; } = 1.5f;

    /// <summary>Iterations of both phases together.</summary>
    public int Iterations { get; init; } = 250;

    /// <summary>Factor of the gradient. Much smaller than that of a map: its points share one distribution, here each has its own.</summary>
    public float LearningRate { get; init; } = 0.05f;

    /// <summary>Momentum of the first phase.</summary>
    public float InitialMomentum { get; init; } = 0.8f;

    /// <summary>Momentum of the second phase.</summary>
    public float FinalMomentum { get; init; } = 0.8f;

    /// <summary>The largest gradient of a point; larger ones are shortened. Infinity for no bound.</summary>
    public float MaxGradientNorm { get; init; } = 0.5f;

    /// <summary>The longest step of a point; longer ones are shortened. Infinity for no bound.</summary>
    public float MaxStepNorm { get; init; } = float.PositiveInfinity;

    /// <summary>The least gain of a coordinate.</summary>
    public float MinGain { get; init; } = 0.01f;

    /// <summary>Is called after every <see cref="CallbackInterval"/>th step and may end the run; null for none.</summary>
    public TsnePartialCallback? Callback { get; init; }

    /// <summary>Steps between two calls of <see cref="Callback"/>, at least 1.</summary>
    public int CallbackInterval { get; init; } = 50;

    /// <summary>How the push of the reference points is computed.</summary>
    public TsneMethod Method { get; init; } = TsneMethod.Auto;

    /// <summary>How coarse <see cref="TsneMethod.BarnesHut"/> is: see <see cref="TsneOptions.Theta"/>.</summary>
    public double Theta { get; init; } = 0.5;

    /// <summary>Threads that work. The result is the same for any number of them.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Seed of a random start.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>Checks every value that can be checked without the data.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        if (!(Perplexity >= 1 && double.IsFinite(Perplexity)))
            throw new ArgumentOutOfRangeException(nameof(Perplexity), Perplexity, "The perplexity must be at least 1.");
        if (Metric is { } metric)
            DataChecks.Defined(metric, nameof(Metric));
        DataChecks.Defined(Initialization, nameof(Initialization));
        ArgumentOutOfRangeException.ThrowIfLessThan(StartNeighbors, 1);
        TsneOptions.CheckPositive(EarlyExaggeration, nameof(EarlyExaggeration));
        ArgumentOutOfRangeException.ThrowIfNegative(EarlyExaggerationIterations);
        TsneOptions.CheckPositive(Exaggeration, nameof(Exaggeration));
        ArgumentOutOfRangeException.ThrowIfNegative(Iterations);
        TsneOptions.CheckPositive(LearningRate, nameof(LearningRate));
        TsneOptions.CheckMomentum(InitialMomentum, nameof(InitialMomentum));
        TsneOptions.CheckMomentum(FinalMomentum, nameof(FinalMomentum));
        if (!(MaxGradientNorm > 0))
            throw new ArgumentOutOfRangeException(nameof(MaxGradientNorm), MaxGradientNorm, "The largest gradient must be above 0; infinity for no bound.");
        TsneOptions.CheckLimits(MinGain, MaxStepNorm, 0, null, CallbackInterval);
        DataChecks.Defined(Method, nameof(Method));
        TsneOptions.CheckTheta(Theta, nameof(Theta));
        DataChecks.Threads(Threads, nameof(Threads));
    }

    internal TsnePartialOptimization Phase(int iterations, float exaggeration, float momentum) => new()
    {
        Iterations = iterations,
        Exaggeration = exaggeration,
        Momentum = momentum,
        LearningRate = LearningRate,
        MaxGradientNorm = MaxGradientNorm,
        MaxStepNorm = MaxStepNorm,
        MinGain = MinGain,
        Callback = Callback,
        CallbackInterval = CallbackInterval,
    };
}

/// <summary>Settings of <see cref="TsnePartialEmbedding.Optimize"/>: one phase. See <see cref="TsneTransformOptions"/> for the names.</summary>
public sealed record TsnePartialOptimization
{
    /// <summary>Steps, 0 or more.</summary>
    public int Iterations { get; init; } = 250;

    /// <summary>Factor of the affinities, above 0.</summary>
    public float Exaggeration { get; init; } = 1.5f;

    /// <summary>Share of the last step that is kept, 0 or more and below 1.</summary>
    public float Momentum { get; init; } = 0.8f;

    /// <summary>Factor of the gradient.</summary>
    public float LearningRate { get; init; } = 0.05f;

    /// <summary>The largest gradient of a point; larger ones are shortened. Infinity for no bound.</summary>
    public float MaxGradientNorm { get; init; } = 0.5f;

    /// <summary>The longest step of a point; longer ones are shortened. Infinity for no bound.</summary>
    public float MaxStepNorm { get; init; } = float.PositiveInfinity;

    /// <summary>The least gain of a coordinate.</summary>
    public float MinGain { get; init; } = 0.01f;

    /// <summary>Is called after every step whose number <see cref="CallbackInterval"/> divides; null for none.</summary>
    public TsnePartialCallback? Callback { get; init; }

    /// <summary>Steps between two calls of <see cref="Callback"/>, at least 1.</summary>
    public int CallbackInterval { get; init; } = 50;

    /// <summary>Checks every value.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(Iterations);
        TsneOptions.CheckPositive(Exaggeration, nameof(Exaggeration));
        TsneOptions.CheckMomentum(Momentum, nameof(Momentum));
        TsneOptions.CheckPositive(LearningRate, nameof(LearningRate));
        if (!(MaxGradientNorm > 0))
            throw new ArgumentOutOfRangeException(nameof(MaxGradientNorm), MaxGradientNorm, "The largest gradient must be above 0; infinity for no bound.");
        TsneOptions.CheckLimits(MinGain, MaxStepNorm, 0, null, CallbackInterval);
    }
}
