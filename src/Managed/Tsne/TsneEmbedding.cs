using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The third step of t-SNE: a map and the state of its optimiser. <see cref="Optimize"/> may be called again and again;
/// calls of 250 and 500 steps give the same bits as one of 750 with the same settings.
/// </summary>
/// <remarks>
/// <para>For one start, seed and instruction-set level the map has the same bits for any number of threads. No finite start
/// gives NaN. Not thread-safe: one call at a time.</para>
/// <para>Memory: 5 floats per point and axis, and while optimising what the method takes.</para>
/// </remarks>
public sealed unsafe class TsneEmbedding
{
    /// <summary>Steps between two reports of progress, as in scikit-learn and openTSNE.</summary>
    public const int ReportInterval = 50;

    // Far above any map that is worth drawing, far below where squares of distances lose their meaning.
    private const float LargestCoordinate = 1e9f;

    // Map, velocity, gains, attraction, repulsion: each one row per axis. Pinned, so that nobody has to dispose of a map.
    private const int Parts = 5;
    private const int FloatsPerLine = 16;

    private readonly float[] _state;
    private readonly int _offset;
    private readonly int _stride;
    private readonly Func<int, int, ITsneRepulsion> _createRepulsion;
    private readonly int _threads;
    private double _divergence;
    private int _divergenceIteration = -1;

    /// <summary>A map at its start.</summary>
    /// <param name="affinities">The first step of t-SNE.</param>
    /// <param name="start">The second: N x 1, 2 or 3, finite; copied. See <see cref="TsneInitialization"/>.</param>
    /// <param name="method">How repulsive forces are computed.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The map does not depend on it.</param>
    /// <exception cref="ArgumentException">The start does not fit the affinities, or has coordinates that are not finite or beyond 1e9.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    public TsneEmbedding(TsneAffinities affinities, MatrixView<float> start, TsneMethod method = TsneMethod.Auto, int? threads = null)
    {
        ArgumentNullException.ThrowIfNull(affinities);
        TsneOptions.CheckDefined(method, nameof(method));
        if (start.Columns is < 1 or > 3)
            throw new ArgumentException($"A map has 1 to 3 axes, and the start has {start.Columns} columns.", nameof(start));
        if (start.Rows != affinities.Points)
            throw new ArgumentException($"The affinities are of {affinities.Points} points, and the start has {start.Rows} rows.", nameof(start));
        DataChecks.Threads(threads ?? Environment.ProcessorCount, nameof(threads));
        CheckCoordinates(start, nameof(start));

        Affinities = affinities;
        Dimensions = (int)start.Columns;
        Method = method;
        _threads = threads ?? Environment.ProcessorCount;
        _createRepulsion = static (points, dimensions) => new ExactRepulsion(points, dimensions);

        // Each row begins at a cache line.
        _stride = checked((Points + FloatsPerLine - 1) / FloatsPerLine * FloatsPerLine);
        _state = GC.AllocateArray<float>(checked((Parts * Dimensions * _stride) + FloatsPerLine), pinned: true);
        _offset = (int)((ulong)-(long)StatePointer / sizeof(float) % FloatsPerLine);
        Fill(Map, start);
        for (int axis = 0; axis < Dimensions; axis++)
            Gains.RowSpan(axis).Fill(1f);
    }

    /// <inheritdoc cref="TsneEmbedding(TsneAffinities, MatrixView{float}, TsneMethod, int?)"/>
    public TsneEmbedding(TsneAffinities affinities, FloatMatrix start, TsneMethod method = TsneMethod.Auto, int? threads = null)
        : this(affinities, (start ?? throw new ArgumentNullException(nameof(start))).View, method, threads) => GC.KeepAlive(start);

    /// <summary>Goes on from a state that <see cref="GetState"/> gave, in another process perhaps.</summary>
    /// <inheritdoc cref="TsneEmbedding(TsneAffinities, MatrixView{float}, TsneMethod, int?)"/>
    /// <param name="affinities">The affinities of the map that the state is from.</param>
    /// <param name="state">The state.</param>
    /// <param name="method">How repulsive forces are computed.</param>
    /// <param name="threads">Threads that work, or null for one per processor.</param>
    public TsneEmbedding(TsneAffinities affinities, TsneState state, TsneMethod method = TsneMethod.Auto, int? threads = null)
        : this(affinities, (state ?? throw new ArgumentNullException(nameof(state))).Positions, method, threads)
    {
        CheckPart(state.Velocity, nameof(TsneState.Velocity), float.NegativeInfinity);
        CheckPart(state.Gains, nameof(TsneState.Gains), 0);
        if (state.Iteration < 0)
            throw new ArgumentException($"The state's {nameof(TsneState.Iteration)} is {state.Iteration}, below 0.", nameof(state));
        Fill(Velocity, state.Velocity.View);
        Fill(Gains, state.Gains.View);
        Iteration = state.Iteration;

        void CheckPart(FloatMatrix part, string name, float least)
        {
            if (part.Rows != Points || part.Columns != Dimensions)
                throw new ArgumentException($"The state's {name} must be {Points} x {Dimensions} and is {part.Rows} x {part.Columns}.", nameof(state));
            CheckCoordinates(part.View, nameof(state));
            for (nint i = 0; i < part.Rows; i++)
            {
                for (int axis = 0; axis < Dimensions; axis++)
                {
                    if (part[i, axis] < least)
                        throw new ArgumentException($"The state's {name} of point {i} on axis {axis} is {part[i, axis]}.", nameof(state));
                }
            }
        }
    }

    /// <summary>The affinities that the map is drawn towards.</summary>
    public TsneAffinities Affinities { get; }

    /// <summary>Number of points.</summary>
    public int Points => Affinities.Points;

    /// <summary>Number of axes.</summary>
    public int Dimensions { get; }

    /// <summary>How repulsive forces are computed.</summary>
    public TsneMethod Method { get; }

    /// <summary>Steps that the map has taken.</summary>
    public int Iteration { get; private set; }

    /// <summary>The norm of the gradient of which the last step was made; NaN before the first.</summary>
    public double GradientNorm { get; private set; } = double.NaN;

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
                using ITsneRepulsion method = _createRepulsion(Points, Dimensions);
                Evaluate(method.Compute(Map, Repulsion, pool), pool);
            }

            return _divergence;
        }
    }

    // Whoever uses it keeps the array alive.
    private float* StatePointer => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_state));

    private MatrixView<float> Map => Part(0);

    private MatrixView<float> Velocity => Part(1);

    private MatrixView<float> Gains => Part(2);

    private MatrixView<float> Attraction => Part(3);

    private MatrixView<float> Repulsion => Part(4);

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
        return _state.AsSpan(_offset + (axis * _stride), Points);
    }

    /// <summary>A copy of the map, one row per point.</summary>
    public FloatMatrix ToMatrix() => Copy(Map);

    /// <summary>Copies the map, point after point.</summary>
    /// <param name="destination">Points x Dimensions floats.</param>
    /// <exception cref="ArgumentException">The length is another.</exception>
    public void CopyTo(Span<float> destination)
    {
        if (destination.Length != (long)Points * Dimensions)
            throw new ArgumentException($"The length must be {(long)Points * Dimensions} and is {destination.Length}.", nameof(destination));
        for (int axis = 0; axis < Dimensions; axis++)
        {
            ReadOnlySpan<float> source = Axis(axis);
            for (int i = 0; i < source.Length; i++)
                destination[(i * Dimensions) + axis] = source[i];
        }
    }

    /// <summary>A copy of all that the next step depends on besides the affinities and the settings.</summary>
    public TsneState GetState() => new(Copy(Map), Copy(Velocity), Copy(Gains), Iteration);

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
        if (!(exaggeration > 0 && float.IsFinite(exaggeration)))
            throw new ArgumentOutOfRangeException(nameof(exaggeration), exaggeration, "The exaggeration must be above 0.");
        TsneOptions.CheckMomentum(momentum, nameof(momentum));
        float rate = learningRate ?? (float)Tsne.AutoLearningRate(Points);
        if (!(rate > 0 && float.IsFinite(rate)))
            throw new ArgumentOutOfRangeException(nameof(learningRate), rate, "The learning rate must be above 0, or null to have it chosen.");

        using WorkerPool pool = new(_threads);
        using ITsneRepulsion method = _createRepulsion(Points, Dimensions);
        TsneStep step = new() { Exaggeration = exaggeration, LearningRate = rate, Momentum = momentum };
        int first = Iteration, last = Iteration + iterations;
        long started = Stopwatch.GetTimestamp();
        while (Iteration < last)
        {
            cancellationToken.ThrowIfCancellationRequested();
            double sumQ = method.Compute(Map, Repulsion, pool);
            if (progress is not null && Iteration > first && Iteration % ReportInterval == 0)
                Report(sumQ);
            TsneGradient.Attraction(Affinities.Joint, Map, Attraction, 1, pool);
            GradientNorm = TsneOptimizer.Step(Map, Velocity, Gains, Attraction, Repulsion, sumQ, step, pool);
            Iteration++;
        }

        if (progress is not null && iterations > 0)
            Report(method.Compute(Map, Repulsion, pool));
        GC.KeepAlive(this);

        void Report(double sumQ)
        {
            double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            Evaluate(sumQ, pool);
            progress.Report(new TsneProgress(
                TsneStage.Optimization, Iteration, last, _divergence, GradientNorm, seconds > 0 ? (Iteration - first) / seconds : 0));
        }
    }

    private static void CheckCoordinates(MatrixView<float> matrix, string name)
    {
        for (nint i = 0; i < matrix.Rows; i++)
        {
            for (nint axis = 0; axis < matrix.Columns; axis++)
            {
                if (!(Math.Abs(matrix.Row(i)[axis]) <= LargestCoordinate))
                    throw new ArgumentException($"Point {i} has {matrix.Row(i)[axis]} on axis {axis}; it must be finite and {LargestCoordinate} at most.", name);
            }
        }
    }

    private static void Fill(MatrixView<float> part, MatrixView<float> rows)
    {
        for (nint i = 0; i < rows.Rows; i++)
        {
            for (nint axis = 0; axis < rows.Columns; axis++)
                part.Row(axis)[i] = rows.Row(i)[axis];
        }
    }

    private FloatMatrix Copy(MatrixView<float> part)
    {
        FloatMatrix rows = new(Points, Dimensions);
        for (int axis = 0; axis < Dimensions; axis++)
        {
            for (int i = 0; i < Points; i++)
                rows[i, axis] = part.Row(axis)[i];
        }

        GC.KeepAlive(this);
        return rows;
    }

    private MatrixView<float> Part(int index) => new(StatePointer + _offset + ((nint)index * Dimensions * _stride), Dimensions, Points, _stride);

    private void Evaluate(double sumQ, WorkerPool pool)
    {
        _divergence = TsneGradient.KullbackLeibler(Affinities.Joint, Map, sumQ, Affinities.NegativeEntropy, 1, pool);
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
