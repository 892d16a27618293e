using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// t-distributed stochastic neighbour embedding (van der Maaten and Hinton, JMLR 9, 2008): a map in 1 to 3 dimensions on which
/// near rows of a matrix lie near each other.
/// </summary>
/// <remarks>
/// <see cref="Fit(MatrixView{float}, TsneOptions?, IProgress{TsneProgress}?, CancellationToken)"/> is the three steps
/// <see cref="TsneAffinities"/>, <see cref="TsneInitialization"/> and <see cref="TsneEmbedding"/> in one call.
/// </remarks>
public static unsafe class Tsne
{
    /// <summary>
    /// The learning rate that suits a number of points: max(N / early exaggeration / 4, 50), scikit-learn's "auto"
    /// (Belkina et al., Nature Communications 10, 2019, in this gradient's scale).
    /// </summary>
    /// <param name="points">Number of points.</param>
    /// <param name="earlyExaggeration">The exaggeration of the first phase.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="earlyExaggeration"/> is not above 0.</exception>
    public static double AutoLearningRate(int points, double earlyExaggeration = 12)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(points);
        if (!(earlyExaggeration > 0))
            throw new ArgumentOutOfRangeException(nameof(earlyExaggeration), earlyExaggeration, "The exaggeration must be above 0.");
        return Math.Max(points / earlyExaggeration / 4, 50);
    }

    /// <summary>Draws the map of the rows of a matrix.</summary>
    /// <param name="data">N x D, finite. More than some 50 columns are best reduced first (<see cref="Pca"/>).</param>
    /// <param name="options">The settings; null for the defaults.</param>
    /// <param name="progress">Is told of blocks of rows in the search for neighbours, then of every 50th step.</param>
    /// <param name="cancellationToken">Stops the work soon.</param>
    /// <returns>The optimised map, which can be optimised further.</returns>
    /// <exception cref="ArgumentException">The data is not finite, or too few rows for the perplexity; or a setting is out of its range.</exception>
    /// <exception cref="TsneCanceledException">The work was cancelled; it holds the map as it then was, if there was one yet.</exception>
    public static TsneEmbedding Fit(
        MatrixView<float> data, TsneOptions? options = null, IProgress<TsneProgress>? progress = null, CancellationToken cancellationToken = default) =>
        Fit(data, null, options ?? new TsneOptions(), progress, cancellationToken);

    /// <inheritdoc cref="Fit(MatrixView{float}, TsneOptions?, IProgress{TsneProgress}?, CancellationToken)"/>
    public static TsneEmbedding Fit(
        FloatMatrix data, TsneOptions? options = null, IProgress<TsneProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        return Fit(data.View, data, options ?? new TsneOptions(), progress, cancellationToken);
    }

    /// <inheritdoc cref="Fit(MatrixView{float}, TsneOptions?, IProgress{TsneProgress}?, CancellationToken)"/>
    /// <param name="data">The rows one after the other.</param>
    /// <param name="columns">Floats per row, at least 1.</param>
    /// <param name="options">The settings; null for the defaults.</param>
    /// <param name="progress">Is told of blocks of rows in the search for neighbours, then of every 50th step.</param>
    /// <param name="cancellationToken">Stops the work soon.</param>
    public static TsneEmbedding Fit(
        ReadOnlySpan<float> data,
        int columns,
        TsneOptions? options = null,
        IProgress<TsneProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if (data.Length % columns != 0)
            throw new ArgumentException($"{data.Length} elements do not make whole rows of {columns}.", nameof(data));
        fixed (float* first = data)
            return Fit(new MatrixView<float>(first, data.Length / columns, columns), options, progress, cancellationToken);
    }

    /// <summary>Draws the map of affinities that stand already, of whatever kind.</summary>
    /// <remarks>
    /// Without data there are no principal components: <see cref="TsneStart.Pca"/> means <see cref="TsneStart.Spectral"/>, as in
    /// openTSNE. Settings of neighbours and affinities are not used.
    /// </remarks>
    /// <param name="affinities">The affinities.</param>
    /// <param name="options">The settings; null for the defaults.</param>
    /// <param name="progress">Is told of every 50th step.</param>
    /// <param name="cancellationToken">Stops the work soon.</param>
    /// <returns>The optimised map, which can be optimised further.</returns>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    /// <exception cref="TsneCanceledException">The work was cancelled; it holds the map as it then was, if there was one yet.</exception>
    public static TsneEmbedding Fit(
        TsneAffinities affinities, TsneOptions? options = null, IProgress<TsneProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(affinities);
        options ??= new TsneOptions();
        options.Validate();
        TsneEmbedding? embedding = null;
        try
        {
            using FloatMatrix start = Initialize(affinities, options, cancellationToken);
            embedding = new TsneEmbedding(affinities, start, options.Method, options.Threads, options.DegreesOfFreedom, options.Theta);
            Optimize(embedding, options, progress, cancellationToken);
            return embedding;
        }
        catch (OperationCanceledException exception)
        {
            throw new TsneCanceledException(embedding, exception);
        }
    }

    /// <summary>The start that the options ask for: the second of the three steps.</summary>
    /// <param name="data">N x D, finite.</param>
    /// <param name="options">The settings.</param>
    /// <returns>N x <see cref="TsneOptions.Dimensions"/>.</returns>
    /// <exception cref="ArgumentException">
    /// The data is not finite, the initial positions have another shape, a setting is out of its range, or the start is
    /// spectral, which the overload for affinities makes.
    /// </exception>
    public static FloatMatrix Initialize(MatrixView<float> data, TsneOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (options.InitialPositions is not null)
            return Given(options, data.Rows);
        return options.Initialization switch
        {
            TsneStart.Random => TsneInitialization.Random(checked((int)data.Rows), options.Dimensions, options.Seed),
            TsneStart.Pca => TsneInitialization.Pca(data, options.Dimensions, options.Seed, options.Threads),
            _ => throw new ArgumentException($"A {options.Initialization} start is made of affinities, not of data.", nameof(options)),
        };
    }

    /// <summary>The start that the options ask for, where there is no data or the start is made of the affinities.</summary>
    /// <param name="affinities">The affinities of N points.</param>
    /// <param name="options">The settings; <see cref="TsneStart.Pca"/> counts as <see cref="TsneStart.Spectral"/>.</param>
    /// <param name="cancellationToken">Stops the work soon.</param>
    /// <returns>N x <see cref="TsneOptions.Dimensions"/>.</returns>
    /// <exception cref="ArgumentException">The initial positions have another shape, or a setting is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static FloatMatrix Initialize(TsneAffinities affinities, TsneOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(affinities);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (options.InitialPositions is not null)
            return Given(options, affinities.Points);
        return options.Initialization == TsneStart.Random
            ? TsneInitialization.Random(affinities.Points, options.Dimensions, options.Seed)
            : TsneInitialization.Spectral(affinities, options.Dimensions, options.Seed, options.Threads, cancellationToken);
    }

    /// <summary>Both phases of the options on a map at its start: the third of the three steps.</summary>
    /// <param name="embedding">The map.</param>
    /// <param name="options">The settings.</param>
    /// <param name="progress">Is told of every 50th step.</param>
    /// <param name="cancellationToken">Stops the work within a step.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled; the map is that of the last whole step.</exception>
    public static void Optimize(
        TsneEmbedding embedding, TsneOptions options, IProgress<TsneProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(embedding);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        int early = Math.Min(options.EarlyExaggerationIterations, options.Iterations);
        TsneOptimization phase = new()
        {
            Iterations = early,
            Exaggeration = options.EarlyExaggeration,
            Momentum = options.InitialMomentum,
            LearningRate = options.LearningRate ?? (float)AutoLearningRate(embedding.Points, options.EarlyExaggeration),
            MinGain = options.MinGain,
            MaxStepNorm = options.MaxStepNorm,
            MinGradientNorm = options.MinGradientNorm,
            Callback = options.Callback,
            CallbackInterval = options.CallbackInterval,
        };
        if (embedding.Optimize(phase, Whole(progress, options.Iterations), cancellationToken) == TsneStop.Callback)
            return;
        phase = phase with
        {
            Iterations = options.Iterations - early,
            Exaggeration = options.Exaggeration,
            Momentum = options.FinalMomentum,
            LearningRate = options.FinalLearningRate ?? phase.LearningRate,
            IterationsWithoutProgress = options.IterationsWithoutProgress,
        };
        embedding.Optimize(phase, progress, cancellationToken);
    }

    /// <summary>The three steps. The map keeps <paramref name="owner"/>, which the data lies in; null where the data may be gone later.</summary>
    private static TsneEmbedding Fit(
        MatrixView<float> data, FloatMatrix? owner, TsneOptions options, IProgress<TsneProgress>? progress, CancellationToken cancellationToken)
    {
        options.Validate();
        AffinityKernel kernel = options.Affinities ?? AffinityKernel.Perplexity(options.Perplexity);
        kernel.CheckPoints(data.Rows - 1, data.Rows);
        TsneEmbedding? embedding = null;
        try
        {
            TsneAffinities affinities = TsneAffinities.FromData(data, kernel, options.Metric, options.Neighbors, options.Threads, progress, cancellationToken);
            using FloatMatrix start = options.Initialization == TsneStart.Spectral
                ? Initialize(affinities, options, cancellationToken)
                : Initialize(data, options);
            embedding = new TsneEmbedding(affinities, start, options.Method, options.Threads, options.DegreesOfFreedom, options.Theta)
            {
                Data = owner,
                Metric = options.Metric,
            };
            Optimize(embedding, options, progress, cancellationToken);
            GC.KeepAlive(owner);
            return embedding;
        }
        catch (OperationCanceledException exception)
        {
            throw new TsneCanceledException(embedding, exception);
        }
    }

    private static FloatMatrix Given(TsneOptions options, nint points)
    {
        FloatMatrix given = options.InitialPositions!;
        if (given.Rows != points || given.Columns != options.Dimensions)
        {
            throw new ArgumentException(
                $"The {nameof(TsneOptions.InitialPositions)} must be {points} x {options.Dimensions} and are {given.Rows} x {given.Columns}.", nameof(options));
        }

        return given.Copy();
    }

    /// <summary>Reports of the first phase with the length of both.</summary>
    private static WholeRun? Whole(IProgress<TsneProgress>? progress, int iterations) => progress is null ? null : new WholeRun(progress, iterations);

    private sealed class WholeRun(IProgress<TsneProgress> progress, int iterations) : IProgress<TsneProgress>
    {
        public void Report(TsneProgress value) => progress.Report(value with { Iterations = iterations });
    }
}

/// <summary>A cancelled <see cref="Tsne.Fit(MatrixView{float}, TsneOptions?, IProgress{TsneProgress}?, CancellationToken)"/>, with what was done.</summary>
public sealed class TsneCanceledException : OperationCanceledException
{
    internal TsneCanceledException(TsneEmbedding? embedding, OperationCanceledException inner)
        : base("t-SNE was cancelled" + (embedding is null ? " before there was a map." : $" after {embedding.Iteration} steps."), inner, inner.CancellationToken) =>
        Embedding = embedding;

    /// <summary>The map after its last whole step, which can be drawn or optimised further; null where there was none yet.</summary>
    public TsneEmbedding? Embedding { get; }
}
