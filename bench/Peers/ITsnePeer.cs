namespace EmbeddingKernels.Bench;

/// <summary>What a t-SNE run is to do.</summary>
/// <param name="Given">Take the problem's affinities; otherwise make them: neighbours, perplexity 30.</param>
/// <param name="Threads">Threads that work.</param>
/// <param name="Early">Steps with exaggeration 12.</param>
/// <param name="Steps">Steps in all.</param>
internal readonly record struct TsneTask(bool Given, int Threads, int Early, int Steps)
{
    public const double Exaggeration = 12;

    /// <summary>max(N / 12 / 4, 50), or four times that where the tool leaves the factor 4 out of the gradient.</summary>
    public static double LearningRate(int points, bool factorInGradient) =>
        factorInGradient ? Math.Max(points / Exaggeration / 4, 50) : Math.Max(points / Exaggeration, 200);
}

/// <summary>What a t-SNE run took and where it led.</summary>
/// <param name="Affinities">Seconds for neighbours and perplexity, 0 where affinities were given, NaN where the tool does not say.</param>
/// <param name="Early">Milliseconds per step with exaggeration; NaN where the tool does not say.</param>
/// <param name="Late">Milliseconds per step without.</param>
/// <param name="Steps">All steps together.</param>
/// <param name="Total">Affinities and steps.</param>
/// <param name="Map">N x 2.</param>
internal sealed record TsneRun(double Affinities, double Early, double Late, Seconds Steps, Seconds Total, FloatMatrix Map);

/// <summary>One who draws t-SNE maps of a problem.</summary>
internal interface ITsnePeer
{
    string Name { get; }

    /// <summary>Draws a map.</summary>
    /// <exception cref="InvalidOperationException">The tool failed; the message says how.</exception>
    TsneRun Run(TsneProblem problem, TsneTask task);
}
