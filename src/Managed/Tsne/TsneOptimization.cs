namespace EmbeddingKernels;

/// <summary>Why steps ended.</summary>
public enum TsneStop
{
    /// <summary>All steps were made.</summary>
    Iterations = 0,

    /// <summary>The norm of the gradient was small enough: scikit-learn's min_grad_norm.</summary>
    GradientNorm = 1,

    /// <summary>The divergence had not fallen for long enough: scikit-learn's n_iter_without_progress.</summary>
    NoProgress = 2,

    /// <summary>The callback said so: openTSNE's OptimizationInterrupt.</summary>
    Callback = 3,
}

/// <summary>
/// Settings of <see cref="TsneEmbedding.Optimize(TsneOptimization, IProgress{TsneProgress}?, CancellationToken)"/>: one phase.
/// Names of openTSNE's optimize and scikit-learn: see <see cref="TsneOptions"/>.
/// </summary>
public sealed record TsneOptimization
{
    /// <summary>Steps, 0 or more (n_iter).</summary>
    public int Iterations { get; init; } = 500;

    /// <summary>Factor of the affinities, above 0.</summary>
    public float Exaggeration { get; init; } = 1;

    /// <summary>Share of the last step that is kept, 0 or more and below 1.</summary>
    public float Momentum { get; init; } = 0.8f;

    /// <summary>Factor of the gradient, or null for <see cref="Tsne.AutoLearningRate"/> of the number of points.</summary>
    public float? LearningRate { get; init; }

    /// <summary>The least gain of a coordinate, above 0.</summary>
    public float MinGain { get; init; } = 0.01f;

    /// <summary>The longest step of a point; longer ones are shortened. Infinity for no bound.</summary>
    public float MaxStepNorm { get; init; } = 5;

    /// <summary>Ends the phase where a 50th step finds the norm of the gradient, with exaggeration, at most this.</summary>
    public double MinGradientNorm { get; init; }

    /// <summary>
    /// Ends the phase where a 50th step finds the least divergence since the phase began more than this many steps ago; null
    /// for never. Each look costs about a tenth of a step.
    /// </summary>
    public int? IterationsWithoutProgress { get; init; }

    /// <summary>Is called after every step whose number <see cref="CallbackInterval"/> divides; null for none. Each call costs about a tenth of a step.</summary>
    public TsneCallback? Callback { get; init; }

    /// <summary>Steps between two calls of <see cref="Callback"/>, at least 1.</summary>
    public int CallbackInterval { get; init; } = 50;

    /// <summary>Checks every value.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(Iterations);
        TsneOptions.CheckPositive(Exaggeration, nameof(Exaggeration));
        TsneOptions.CheckMomentum(Momentum, nameof(Momentum));
        TsneOptions.CheckRate(LearningRate, nameof(LearningRate));
        TsneOptions.CheckLimits(MinGain, MaxStepNorm, MinGradientNorm, IterationsWithoutProgress, CallbackInterval);
    }
}
