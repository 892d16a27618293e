using System.Diagnostics;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The third step of t-SNE: a map and the state of its optimiser (openTSNE's TSNEEmbedding).
/// <see cref="Optimize(TsneOptimization, IProgress{TsneProgress}?, CancellationToken)"/> may be called again and again;
/// calls of 250 and 500 steps give the same bits as one of 750 with the same settings, but for <see cref="TsneMethod.Fft"/>,
/// whose grid depends on the steps before in the call, the same map to its error.
/// </summary>
/// <remarks>
/// <para>For one start, seed and instruction-set level the map has the same bits for any number of threads. No finite start
/// gives NaN. Not thread-safe: one call at a time.</para>
/// <para>Memory: 5 floats per point and axis, and while optimising what the method takes and, from 20,000 points on, a copy of
/// the affinities (<see cref="TsneAttraction"/>), kept for the next call until the garbage collector wants it.</para>
/// </remarks>
public sealed unsafe partial class TsneEmbedding
{
    /// <summary>Steps between two reports of progress, as in scikit-learn and openTSNE.</summary>
    public const int ReportInterval = 50;

    // Far above any map that is worth drawing, far below where squares of distances lose their meaning.
    internal const float LargestCoordinate = 1e9f;

    // Map, velocity, gains, attraction, repulsion.
    private const int Parts = 5;

    // What stands for no bound: some thousands of such steps are still far from the end of single precision.
    private const float LongestStep = 1e6f;

    private readonly MapMemory _state;

    // For the next call, unless the collector wants its copy of the affinities before: a new one in each call would lie
    // beside those that are not collected yet, at a million points a gigabyte each.
    private readonly WeakReference<TsneAttraction?> _attraction = new(null);
    private readonly int _threads;
    private double _divergence;
    private int _divergenceIteration = -1;

    /// <summary>A map at its start.</summary>
    /// <param name="affinities">The first step of t-SNE.</param>
    /// <param name="start">The second: N x 1, 2 or 3, finite; copied. See <see cref="TsneInitialization"/>.</param>
    /// <param name="method">How repulsive forces are computed.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The map does not depend on it.</param>
    /// <param name="degreesOfFreedom">nu of the map's kernel: see <see cref="TsneOptions.DegreesOfFreedom"/>.</param>
    /// <param name="theta">How coarse <see cref="TsneMethod.BarnesHut"/> is: see <see cref="TsneOptions.Theta"/>.</param>
    /// <exception cref="ArgumentException">The method has no form for so many axes, the start does not fit the affinities, or has coordinates that are not finite or beyond 1e9.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    public TsneEmbedding(
        TsneAffinities affinities,
        MatrixView<float> start,
        TsneMethod method = TsneMethod.Auto,
        int? threads = null,
        double degreesOfFreedom = 1,
        double theta = 0.5)
    {
        ArgumentNullException.ThrowIfNull(affinities);
        DataChecks.Defined(method, nameof(method));
        if (start.Columns is < 1 or > 3)
            throw new ArgumentException($"A map has 1 to 3 axes, and the start has {start.Columns} columns.", nameof(start));
        if (start.Rows != affinities.Points)
            throw new ArgumentException($"The affinities are of {affinities.Points} points, and the start has {start.Rows} rows.", nameof(start));
        DataChecks.Threads(threads ?? Environment.ProcessorCount, nameof(threads));
        TsneKernel.CheckDegrees(degreesOfFreedom, nameof(degreesOfFreedom));
        TsneOptions.CheckTheta(theta, nameof(theta));
        CheckCoordinates(start, nameof(start));

        Affinities = affinities;
        Dimensions = (int)start.Columns;
        Method = TsneMethods.Choose(method, Points, Dimensions);
        DegreesOfFreedom = degreesOfFreedom;
        Theta = theta;
        _threads = threads ?? Environment.ProcessorCount;

        _state = new MapMemory(Parts, Dimensions, Points);
        MapMemory.Fill(Map, start);
        for (int axis = 0; axis < Dimensions; axis++)
            Gains.RowSpan(axis).Fill(1f);
    }

    /// <inheritdoc cref="TsneEmbedding(TsneAffinities, MatrixView{float}, TsneMethod, int?, double, double)"/>
    public TsneEmbedding(
        TsneAffinities affinities,
        FloatMatrix start,
        TsneMethod method = TsneMethod.Auto,
        int? threads = null,
        double degreesOfFreedom = 1,
        double theta = 0.5)
        : this(affinities, (start ?? throw new ArgumentNullException(nameof(start))).View, method, threads, degreesOfFreedom, theta) => GC.KeepAlive(start);

    /// <summary>Goes on from a state that <see cref="GetState"/> gave, in another process perhaps.</summary>
    /// <inheritdoc cref="TsneEmbedding(TsneAffinities, MatrixView{float}, TsneMethod, int?, double, double)"/>
    /// <param name="affinities">The affinities of the map that the state is from.</param>
    /// <param name="state">The state.</param>
    /// <param name="method">How repulsive forces are computed.</param>
    /// <param name="threads">Threads that work, or null for one per processor.</param>
    /// <param name="degreesOfFreedom">nu of the map's kernel.</param>
    /// <param name="theta">How coarse <see cref="TsneMethod.BarnesHut"/> is.</param>
    public TsneEmbedding(
        TsneAffinities affinities,
        TsneState state,
        TsneMethod method = TsneMethod.Auto,
        int? threads = null,
        double degreesOfFreedom = 1,
        double theta = 0.5)
        : this(affinities, (state ?? throw new ArgumentNullException(nameof(state))).Positions, method, threads, degreesOfFreedom, theta)
    {
        CheckPart(state.Velocity, nameof(TsneState.Velocity), float.NegativeInfinity);
        CheckPart(state.Gains, nameof(TsneState.Gains), 0);
        if (state.Iteration < 0)
            throw new ArgumentException($"The state's {nameof(TsneState.Iteration)} is {state.Iteration}, below 0.", nameof(state));
        MapMemory.Fill(Velocity, state.Velocity.View);
        MapMemory.Fill(Gains, state.Gains.View);
        Iteration = state.Iteration;

        void CheckPart(FloatMatrix part, string name, float least)
        {
            if (part.Rows != Points || part.Columns != Dimensions)
                throw new ArgumentException($"The state's {name} must be {Points} x {Dimensions} and is {part.Rows} x {part.Columns}.", nameof(state));
            CheckCoordinates(part.View, nameof(state));
            float* values = part.View.Data;
            for (nint i = 0; i < part.Rows * Dimensions; i++)
            {
                if (values[i] < least)
                    throw new ArgumentException($"The state's {name} of point {i / Dimensions} on axis {i % Dimensions} is {values[i]}.", nameof(state));
            }
        }
    }

    /// <summary>The affinities that the map is drawn towards.</summary>
    public TsneAffinities Affinities { get; }

    /// <summary>Number of points.</summary>
    public int Points => Affinities.Points;

    /// <summary>Number of axes.</summary>
    public int Dimensions { get; }

    /// <summary>How repulsive forces are computed; never <see cref="TsneMethod.Auto"/>.</summary>
    public TsneMethod Method { get; }

    /// <summary>nu of the map's kernel (1 + d^2 / nu)^(-(nu + 1) / 2).</summary>
    public double DegreesOfFreedom { get; }

    /// <summary>How coarse <see cref="TsneMethod.BarnesHut"/> is.</summary>
    public double Theta { get; }

    /// <summary>Steps that the map has taken.</summary>
    public int Iteration { get; private set; }

    /// <summary>The norm of the gradient of which the last step was made; NaN before the first.</summary>
    public double GradientNorm { get; private set; } = double.NaN;

    /// <summary>Why the last call of <see cref="Optimize(TsneOptimization, IProgress{TsneProgress}?, CancellationToken)"/> ended.</summary>
    public TsneStop Stop { get; private set; }

    /// <summary>
    /// The data that <see cref="Tsne.Fit(FloatMatrix, TsneOptions?, IProgress{TsneProgress}?, CancellationToken)"/> made the
    /// map of: the caller's matrix, not a copy, so it stays in memory as long as the map does. Null for other maps.
    /// </summary>
    public FloatMatrix? Data { get; internal set; }

    /// <summary>The metric of <see cref="Data"/>.</summary>
    internal TsneMetric Metric { get; set; }

    /// <summary>
    /// KL(P || Q) of the map as it stands, in nats, without exaggeration: what t-SNE makes small. The first call after a
    /// change takes about as long as one step.
    /// </summary>
    public double KlDivergence
    {
        get
        {
            if (_divergenceIteration != Iteration)
            {
                using WorkerPool pool = new(_threads);
                using ITsneRepulsion method = CreateRepulsion();
                Evaluate(method.Compute(Map, Repulsion, pool), pool);
            }

            return _divergence;
        }
    }

    /// <summary>Threads that work.</summary>
    internal int Threads => _threads;

    /// <summary>The positions, one row per axis. Whoever uses them keeps the map alive.</summary>
    internal MatrixView<float> Map => _state[0];

    private MatrixView<float> Velocity => _state[1];

    private MatrixView<float> Gains => _state[2];

    private MatrixView<float> Attraction => _state[3];

    private MatrixView<float> Repulsion => _state[4];

    /// <summary>A coordinate of a point.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such point or axis.</exception>
    public float this[int point, int axis]
    {
        get
        {
            if ((uint)point >= (uint)Points)
                throw new ArgumentOutOfRangeException(nameof(point), point, $"The map has {Points} points.");
            return Axis(axis)[point];
        }
    }

    /// <summary>The coordinates of all points along one axis. They change while the map is optimised.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    public ReadOnlySpan<float> Axis(int axis)
    {
        if ((uint)axis >= (uint)Dimensions)
            throw new ArgumentOutOfRangeException(nameof(axis), axis, $"The map has {Dimensions} axes.");
        return _state.Axis(axis);
    }

    /// <summary>A copy of the map, one row per point.</summary>
    public FloatMatrix ToMatrix() => _state.Rows(0);

    /// <summary>Copies the map, point after point.</summary>
    /// <param name="destination">Points x Dimensions floats.</param>
    /// <exception cref="ArgumentException">The length is another.</exception>
    public void CopyTo(Span<float> destination) => _state.CopyTo(destination);

    /// <summary>A copy of all that the next step depends on besides the affinities and the settings.</summary>
    public TsneState GetState() => new(_state.Rows(0), _state.Rows(1), _state.Rows(2), Iteration);

    /// <summary>Moves the map by a number of steps of gradient descent; see <see cref="TsneOptimizer"/> for the rule.</summary>
    /// <remarks>
    /// The usual run is <c>Optimize(250, exaggeration: 12, momentum: 0.5f)</c>, then <c>Optimize(500)</c>. A cancelled call
    /// stops between two steps: the map, its state and <see cref="Iteration"/> are those of the last whole step, and a
    /// further call goes on from there.
    /// </remarks>
    /// <param name="iterations">Steps, 0 or more.</param>
    /// <param name="exaggeration">Factor of the affinities: 12 in the first phase, 1 in the second; 4 to the end for a map of continuous structure.</param>
    /// <param name="momentum">Share of the last step that is kept, below 1.</param>
    /// <param name="learningRate">Factor of the gradient, or null for <see cref="Tsne.AutoLearningRate"/> of the number of points.</param>
    /// <param name="progress">Is told of every 50th step and of the last. Each report costs about a tenth of a step, the last a whole one.</param>
    /// <param name="cancellationToken">Stops the work within a step.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public void Optimize(
        int iterations,
        float exaggeration = 1f,
        float momentum = 0.8f,
        float? learningRate = null,
        IProgress<TsneProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(iterations);
        TsneOptions.CheckPositive(exaggeration, nameof(exaggeration));
        TsneOptions.CheckMomentum(momentum, nameof(momentum));
        TsneOptions.CheckRate(learningRate, nameof(learningRate));
        TsneOptimization settings = new() { Iterations = iterations, Exaggeration = exaggeration, Momentum = momentum, LearningRate = learningRate };
        Optimize(settings, progress, cancellationToken);
    }

    /// <summary>Moves the map by steps of gradient descent, with all that can be set about them.</summary>
    /// <inheritdoc cref="Optimize(int, float, float, float?, IProgress{TsneProgress}?, CancellationToken)" path="/remarks"/>
    /// <param name="settings">The settings.</param>
    /// <param name="progress">Is told of every 50th step and of the last. Each report costs about a tenth of a step, the last a whole one.</param>
    /// <param name="cancellationToken">Stops the work within a step.</param>
    /// <returns>Why the steps ended: also <see cref="Stop"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A setting is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public TsneStop Optimize(TsneOptimization settings, IProgress<TsneProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(settings);
        settings.Validate();
        TsneStep step = new()
        {
            Exaggeration = settings.Exaggeration,
            LearningRate = settings.LearningRate ?? (float)Tsne.AutoLearningRate(Points),
            Momentum = settings.Momentum,
            MinGain = settings.MinGain,
            MaxStepNorm = Math.Min(settings.MaxStepNorm, LongestStep),
            DegreesOfFreedom = DegreesOfFreedom,
        };
        using WorkerPool pool = new(_threads);
        using ITsneRepulsion method = CreateRepulsion();
        if (!_attraction.TryGetTarget(out TsneAttraction? attraction))
        {
            attraction = new TsneAttraction(Affinities.Joint, DegreesOfFreedom);
            _attraction.SetTarget(attraction);
        }

        int first = Iteration, last = checked(Iteration + settings.Iterations), bestIteration = Iteration;
        double best = double.PositiveInfinity;
        long started = Stopwatch.GetTimestamp();
        Stop = TsneStop.Iterations;
        while (true)
        {
            bool ended = Iteration == last, moved = Iteration > first;
            bool report = progress is not null && moved && (ended || Iteration % ReportInterval == 0);
            bool call = settings.Callback is not null && moved && Iteration % settings.CallbackInterval == 0;
            bool check = settings.IterationsWithoutProgress is not null && moved && !ended && Iteration % ReportInterval == 0;
            if (ended && !report && !call)
                break;
            if (!ended)
                cancellationToken.ThrowIfCancellationRequested();
            double sumQ = method.Compute(Map, Repulsion, pool);
            if (report || call || check)
                Evaluate(sumQ, pool);
            if (report)
                progress!.Report(Progress());
            if (call && !settings.Callback!(this, Progress()))
            {
                Stop = TsneStop.Callback;
                last = Iteration;
                if (progress is not null && !report)
                    progress.Report(Progress());
                break;
            }

            if (ended)
                break;
            if (check)
            {
                if (_divergence < best)
                {
                    (best, bestIteration) = (_divergence, Iteration);
                }
                else if (Iteration - bestIteration > settings.IterationsWithoutProgress)
                {
                    Stop = TsneStop.NoProgress;
                    break;
                }
            }

            attraction.Compute(Map, Attraction, pool);
            GradientNorm = TsneOptimizer.Step(Map, Velocity, Gains, Attraction, Repulsion, sumQ, step, pool);
            Iteration++;
            if (Iteration % ReportInterval == 0 && GradientNorm <= settings.MinGradientNorm)
            {
                Stop = TsneStop.GradientNorm;
                last = Iteration;
            }
        }

        GC.KeepAlive(this);
        return Stop;

        TsneProgress Progress()
        {
            double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            return new TsneProgress(
                TsneStage.Optimization, Iteration, last, _divergence, GradientNorm, seconds > 0 ? (Iteration - first) / seconds : 0);
        }
    }

    internal static void CheckCoordinates(MatrixView<float> matrix, string name)
    {
        for (nint i = 0; i < matrix.Rows; i++)
        {
            float* row = matrix.Row(i);
            for (nint axis = 0; axis < matrix.Columns; axis++)
            {
                if (!(Math.Abs(row[axis]) <= LargestCoordinate))
                    throw new ArgumentException($"Point {i} has {row[axis]} on axis {axis}; it must be finite and {LargestCoordinate} at most.", name);
            }
        }
    }

    private ITsneRepulsion CreateRepulsion() => TsneMethods.CreateRepulsion(Method, Points, Dimensions, DegreesOfFreedom, Theta);

    private void Evaluate(double sumQ, WorkerPool pool)
    {
        _divergence = TsneGradient.KullbackLeibler(Affinities.Joint, Map, sumQ, Affinities.NegativeEntropy, DegreesOfFreedom, pool);
        _divergenceIteration = Iteration;
        GC.KeepAlive(this);
    }
}

/// <summary>All that the next step of a <see cref="TsneEmbedding"/> depends on besides its affinities: what to save to go on later.</summary>
/// <param name="Positions">The map, one row per point.</param>
/// <param name="Velocity">The last step of each point.</param>
/// <param name="Gains">The gain of each coordinate, above 0.</param>
/// <param name="Iteration">Steps that the map has taken.</param>
public sealed record TsneState(FloatMatrix Positions, FloatMatrix Velocity, FloatMatrix Gains, int Iteration);
