namespace EmbeddingKernels.Core;

/// <summary>What one step of <see cref="TsneOptimizer"/> depends on besides the map and its forces.</summary>
public readonly record struct TsneStep
{
    /// <summary>A step with the defaults of scikit-learn's second phase.</summary>
    public TsneStep()
    {
    }

    /// <summary>Factor of the affinities: above 1 clusters contract.</summary>
    public float Exaggeration { get; init; } = 1f;

    /// <summary>nu of the kernel that gave the forces: it sets the gradient's factor 2 (nu + 1) / nu, which is 4 at the usual 1.</summary>
    public double DegreesOfFreedom { get; init; } = 1;

    /// <summary>Factor of the gradient, which here has its factor 2 (nu + 1) / nu (scikit-learn's convention).</summary>
    public float LearningRate { get; init; } = 200f;

    /// <summary>Share of the last step that is kept.</summary>
    public float Momentum { get; init; } = 0.8f;

    /// <summary>The least gain of a coordinate.</summary>
    public float MinGain { get; init; } = 0.01f;

    /// <summary>The longest step of a point; longer ones are shortened (openTSNE's max_step_norm). Infinity for no bound.</summary>
    public float MaxStepNorm { get; init; } = 5f;
}

/// <summary>
/// One step of gradient descent with momentum and a gain per coordinate, as in van der Maaten's implementation:
/// g = (2 (nu + 1) / nu) (exaggeration * attraction - repulsion / Z); gain += 0.2 where g and the last step differ in sign, else
/// gain *= 0.8, at least MinGain; step = momentum * last step - learning rate * gain * g; y += step; then the map's mean is
/// moved to 0.
/// </summary>
/// <remarks>The result does not depend on the number of threads. Thread-safe.</remarks>
public static unsafe class TsneOptimizer
{
    /// <summary>Moves the map by one step.</summary>
    /// <param name="map">1 to 3 axes x N; moved.</param>
    /// <param name="velocity">The last step, 0 at first; overwritten by this one. Like all that follow of the shape of <paramref name="map"/>.</param>
    /// <param name="gains">1 at first; updated.</param>
    /// <param name="attraction">As <see cref="TsneGradient"/> gives it for this map.</param>
    /// <param name="repulsion">As <see cref="ITsneRepulsion.Compute"/> gives it for this map.</param>
    /// <param name="sumQ">Z, as <see cref="ITsneRepulsion.Compute"/> returns it. 0, from a single point, counts as no repulsion.</param>
    /// <param name="step">The constants of the step.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <returns>The Euclidean norm of g over all coordinates. It is not finite where the map has lost its finite numbers.</returns>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A constant of <paramref name="step"/> is negative or NaN, or a bound is 0, or the degrees of freedom are out of 1e-6..1e6.</exception>
    public static double Step(
        MatrixView<float> map,
        MatrixView<float> velocity,
        MatrixView<float> gains,
        MatrixView<float> attraction,
        MatrixView<float> repulsion,
        double sumQ,
        in TsneStep step,
        WorkerPool? pool = null)
    {
        MapDimensions.Check(map, nameof(map));
        MapDimensions.CheckSame(map, velocity, nameof(velocity));
        MapDimensions.CheckSame(map, gains, nameof(gains));
        MapDimensions.CheckSame(map, attraction, nameof(attraction));
        MapDimensions.CheckSame(map, repulsion, nameof(repulsion));
        CheckConstant(step.Exaggeration >= 0, step.Exaggeration, nameof(TsneStep.Exaggeration), nameof(step));
        CheckConstant(step.LearningRate >= 0, step.LearningRate, nameof(TsneStep.LearningRate), nameof(step));
        CheckConstant(step.Momentum >= 0, step.Momentum, nameof(TsneStep.Momentum), nameof(step));
        CheckConstant(step.MinGain > 0, step.MinGain, nameof(TsneStep.MinGain), nameof(step));
        CheckConstant(step.MaxStepNorm > 0, step.MaxStepNorm, nameof(TsneStep.MaxStepNorm), nameof(step));

        if (step.DegreesOfFreedom is not (>= TsneKernel.LeastDegrees and <= TsneKernel.MostDegrees))
            throw new ArgumentOutOfRangeException(nameof(step), step.DegreesOfFreedom, $"{nameof(TsneStep.DegreesOfFreedom)} must lie in 1e-6..1e6.");

        double factor = TsneKernel.GradientFactor(step.DegreesOfFreedom);
        StepAction action = new(
            map, velocity, gains, attraction, repulsion, (float)(factor * step.Exaggeration), sumQ > 0 ? (float)(-factor / sumQ) : 0f, step, pool ?? WorkerPool.Serial);
        MapDimensions.Dispatch((int)map.Rows, ref action);
        return action.GradientNorm;
    }

    private static void CheckConstant(bool valid, float value, string name, string parameter)
    {
        if (!valid)
            throw new ArgumentOutOfRangeException(parameter, value, $"{name} must be positive.");
    }
}
