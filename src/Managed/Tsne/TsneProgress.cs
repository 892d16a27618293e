namespace EmbeddingKernels;

/// <summary>The parts of the work that <see cref="TsneProgress"/> reports.</summary>
public enum TsneStage
{
    /// <summary>Finding the nearest neighbours; iterations are rows of the data.</summary>
    Neighbors = 0,

    /// <summary>Moving the map; iterations are steps.</summary>
    Optimization = 1,
}

/// <summary>Where a run stands: after each block of rows of the search for neighbours, every 50 steps, and after the last step.</summary>
/// <param name="Stage">Which part of the work.</param>
/// <param name="Iteration">Rows done, or steps that the map has taken since it was made.</param>
/// <param name="Iterations">What <paramref name="Iteration"/> is when this part of the work ends.</param>
/// <param name="KlDivergence">KL(P || Q) of the map after those steps, in nats, without exaggeration; NaN in the search.</param>
/// <param name="GradientNorm">The norm of the gradient, with exaggeration, of which the last step was made; NaN in the search.</param>
/// <param name="IterationsPerSecond">Rate since this part of the work began.</param>
public readonly record struct TsneProgress(
    TsneStage Stage, int Iteration, int Iterations, double KlDivergence, double GradientNorm, double IterationsPerSecond);
