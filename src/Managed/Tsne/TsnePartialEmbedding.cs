using System.Diagnostics;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// New points in a finished map, which does not move (openTSNE's PartialTSNEEmbedding). Each has its own distribution over the
/// reference points, and none sees another: a point lands in the same place alone and among others.
/// </summary>
/// <remarks>
/// <para>A step follows the gradient of KL(P_i || Q_i) for each new point i, with q_ij = w_ij / (sum over reference points m of w_im):
/// g_i = ((nu + 1) / nu) (exaggeration * attraction_i - push_i / sum_i), shortened to the largest norm allowed; gains, momentum
/// and steps are those of <see cref="TsneOptimizer"/>, but the points' mean stays where it is.</para>
/// <para>The result does not depend on the number of threads, nor, with <see cref="TsneMethod.Exact"/>, on which other points
/// are placed at the same time; the other methods' approximation may differ by their error where points go beyond the map.
/// Not thread-safe: one call at a time.</para>
/// <para>Memory: a copy of the reference map, 5 floats per new point and axis, and the affinities, 8 bytes for each of some 15 per
/// new point.</para>
/// </remarks>
public sealed unsafe class TsnePartialEmbedding
{
    // Points per range; it fixes the order in which squares are added up.
    private const int Grain = 512;

    // Map, velocity, gains, attraction, repulsion.
    private const int Parts = 5;

    private readonly MapMemory _reference;
    private readonly MapMemory _state;
    private readonly double[] _sums;
    private readonly int _threads;
    private double _divergence;
    private int _divergenceIteration = -1;

    /// <summary>New points at their start.</summary>
    /// <param name="reference">The finished map; its positions are copied.</param>
    /// <param name="affinities">m x N: a row for each new point, whose elements, 0 or more, add up to 1; a column for each reference point.</param>
    /// <param name="start">m x the axes of the map, finite; copied.</param>
    /// <param name="method">How the push of the reference points is computed.</param>
    /// <param name="threads">Threads that work, or null for one per processor. The result does not depend on it.</param>
    /// <param name="theta">How coarse <see cref="TsneMethod.BarnesHut"/> is.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other, or an affinity or a coordinate is out of its range.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    public TsnePartialEmbedding(
        TsneEmbedding reference, CsrMatrix affinities, MatrixView<float> start, TsneMethod method = TsneMethod.Auto, int? threads = null, double theta = 0.5)
    {
        ArgumentNullException.ThrowIfNull(reference);
        ArgumentNullException.ThrowIfNull(affinities);
        DataChecks.Defined(method, nameof(method));
        TsneOptions.CheckTheta(theta, nameof(theta));
        DataChecks.Threads(threads ?? Environment.ProcessorCount, nameof(threads));
        if (affinities.Columns != reference.Points)
            throw new ArgumentException($"The affinities must have {reference.Points} columns, one per reference point, and have {affinities.Columns}.", nameof(affinities));
        if (start.Rows != affinities.Rows || start.Columns != reference.Dimensions)
        {
            throw new ArgumentException(
                $"The start of {affinities.Rows} points must be {affinities.Rows} x {reference.Dimensions} and is {start.Rows} x {start.Columns}.", nameof(start));
        }

        foreach (float p in affinities.Values)
        {
            if (!(p >= 0 && p <= float.MaxValue))
                throw new ArgumentException($"An affinity is {p}; affinities are finite and 0 or more.", nameof(affinities));
        }

        TsneEmbedding.CheckCoordinates(start, nameof(start));
        Affinities = affinities;
        Dimensions = reference.Dimensions;
        DegreesOfFreedom = reference.DegreesOfFreedom;
        Method = TsneMethods.Choose(method, reference.Points, Dimensions);
        Theta = theta;
        _threads = threads ?? Environment.ProcessorCount;
        _sums = new double[Points];
        _reference = new MapMemory(1, Dimensions, reference.Points);
        _state = new MapMemory(Parts, Dimensions, Points);
        MapMemory.Fill(Map, start);
        for (int axis = 0; axis < Dimensions; axis++)
        {
            reference.Axis(axis).CopyTo(_reference[0].RowSpan(axis));
            _state[2].RowSpan(axis).Fill(1f);
        }
    }

    /// <summary>The affinities of the new points to the reference points.</summary>
    public CsrMatrix Affinities { get; }

    /// <summary>Number of new points.</summary>
    public int Points => Affinities.Rows;

    /// <summary>Number of axes.</summary>
    public int Dimensions { get; }

    /// <summary>How the push of the reference points is computed; never <see cref="TsneMethod.Auto"/>.</summary>
    public TsneMethod Method { get; }

    /// <summary>nu of the map's kernel: that of the reference map.</summary>
    public double DegreesOfFreedom { get; }

    /// <summary>How coarse <see cref="TsneMethod.BarnesHut"/> is.</summary>
    public double Theta { get; }

    /// <summary>Steps that the points have taken.</summary>
    public int Iteration { get; private set; }

    /// <summary>The norm of the gradient of which the last step was made, before any point's was shortened; NaN before the first.</summary>
    public double GradientNorm { get; private set; } = double.NaN;

    /// <summary>Why the last call of <see cref="Optimize"/> ended.</summary>
    public TsneStop Stop { get; private set; }

    /// <summary>The mean over the new points of KL(P_i || Q_i), in nats, without exaggeration. The first call after a change takes about as long as a step.</summary>
    public double KlDivergence
    {
        get
        {
            if (_divergenceIteration != Iteration)
            {
                using WorkerPool pool = new(_threads);
                using ITsneReferenceField pusher = CreateField();
                pusher.Compute(Map, Repulsion, _sums, pool);
                Evaluate(pool);
            }

            return _divergence;
        }
    }

    private MatrixView<float> Map => _state[0];

    private MatrixView<float> Attraction => _state[3];

    private MatrixView<float> Repulsion => _state[4];

    /// <summary>A coordinate of a new point.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such point or axis.</exception>
    public float this[int point, int axis]
    {
        get
        {
            if ((uint)point >= (uint)Points)
                throw new ArgumentOutOfRangeException(nameof(point), point, $"There are {Points} new points.");
            return Axis(axis)[point];
        }
    }

    /// <summary>The coordinates of all new points along one axis. They change while the points are optimised.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    public ReadOnlySpan<float> Axis(int axis)
    {
        if ((uint)axis >= (uint)Dimensions)
            throw new ArgumentOutOfRangeException(nameof(axis), axis, $"The map has {Dimensions} axes.");
        return _state.Axis(axis);
    }

    /// <summary>A copy of the positions, one row per new point.</summary>
    public FloatMatrix ToMatrix() => _state.Rows(0);

    /// <summary>Copies the positions, point after point.</summary>
    /// <param name="destination">Points x Dimensions floats.</param>
    /// <exception cref="ArgumentException">The length is another.</exception>
    public void CopyTo(Span<float> destination) => _state.CopyTo(destination);

    /// <summary>Moves the new points. Calls add up: two of 100 steps are one of 200.</summary>
    /// <param name="settings">The settings; null for the defaults.</param>
    /// <param name="progress">Is told of every 50th step and of the last.</param>
    /// <param name="cancellationToken">Stops the work between two steps; a further call goes on from there.</param>
    /// <returns>Why the steps ended.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A setting is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public TsneStop Optimize(
        TsnePartialOptimization? settings = null, IProgress<TsneProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        settings ??= new TsnePartialOptimization();
        settings.Validate();
        using WorkerPool pool = new(_threads);
        using ITsneReferenceField pusher = CreateField();
        double[] squares = new double[(Points + Grain - 1) / Grain];
        int first = Iteration, last = checked(Iteration + settings.Iterations);
        long started = Stopwatch.GetTimestamp();
        Stop = TsneStop.Iterations;
        while (true)
        {
            bool ended = Iteration == last, moved = Iteration > first;
            bool report = progress is not null && moved && (ended || Iteration % TsneEmbedding.ReportInterval == 0);
            bool call = settings.Callback is not null && moved && Iteration % settings.CallbackInterval == 0;
            if (ended && !report && !call)
                break;
            if (!ended)
                cancellationToken.ThrowIfCancellationRequested();
            pusher.Compute(Map, Repulsion, _sums, pool);
            if (report || call)
                Evaluate(pool);
            if (report)
                progress!.Report(Progress());
            if (call && !settings.Callback!(this, Progress()))
            {
                Stop = TsneStop.Callback;
                break;
            }

            if (ended)
                break;
            TsneGradient.Attraction(Affinities, _reference[0], Map, Attraction, DegreesOfFreedom, pool);
            pool.For(Points, Grain, (_, start, end) => squares[start / Grain] = Step(settings, start, end));
            GradientNorm = Math.Sqrt(squares.Sum());
            Iteration++;
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

    private ITsneReferenceField CreateField() => TsneMethods.CreateField(Method, _reference[0], DegreesOfFreedom, Theta);

    /// <summary>Moves some points; the sum of the squares of their gradients.</summary>
    private double Step(TsnePartialOptimization settings, nint start, nint end)
    {
        MatrixView<float> map = Map, velocity = _state[1], gains = _state[2], attraction = Attraction, repulsion = Repulsion;
        double factor = (DegreesOfFreedom + 1) / DegreesOfFreedom, squares = 0;
        float* gradient = stackalloc float[3], step = stackalloc float[3];
        for (nint i = start; i < end; i++)
        {
            double norm = 0;
            for (int axis = 0; axis < Dimensions; axis++)
            {
                // Far from all reference points the sum is 0, and so is the push.
                double push = _sums[i] > 0 ? repulsion.Row(axis)[i] / _sums[i] : 0;
                double g = factor * ((settings.Exaggeration * attraction.Row(axis)[i]) - push);
                gradient[axis] = (float)g;
                norm += g * g;
            }

            squares += norm;
            norm = Math.Sqrt(norm);
            float shrink = norm > settings.MaxGradientNorm ? (float)(settings.MaxGradientNorm / norm) : 1f;
            double length = 0;
            for (int axis = 0; axis < Dimensions; axis++)
            {
                float g = gradient[axis] * shrink, before = velocity.Row(axis)[i], gain = gains.Row(axis)[i];
                gain = Math.Max(before * g < 0 ? gain + 0.2f : gain * 0.8f, settings.MinGain);
                gains.Row(axis)[i] = gain;
                step[axis] = (settings.Momentum * before) - (settings.LearningRate * gain * g);
                length += (double)step[axis] * step[axis];
            }

            length = Math.Sqrt(length);
            float shorten = length > settings.MaxStepNorm ? (float)(settings.MaxStepNorm / length) : 1f;
            for (int axis = 0; axis < Dimensions; axis++)
            {
                float by = Math.Clamp(step[axis] * shorten, -TsneEmbedding.LargestCoordinate, TsneEmbedding.LargestCoordinate);
                velocity.Row(axis)[i] = by;
                map.Row(axis)[i] = Math.Clamp(map.Row(axis)[i] + by, -TsneEmbedding.LargestCoordinate, TsneEmbedding.LargestCoordinate);
            }
        }

        return squares;
    }

    /// <summary>The divergence, from the sums of weights of the positions as they stand.</summary>
    private void Evaluate(WorkerPool pool)
    {
        double[] parts = new double[(Points + Grain - 1) / Grain];
        double half = (DegreesOfFreedom + 1) / 2;
        pool.For(Points, Grain, (_, start, end) =>
        {
            MatrixView<float> map = Map, reference = _reference[0];
            ReadOnlySpan<int> columns = Affinities.ColumnIndices;
            ReadOnlySpan<float> values = Affinities.Values;
            double sum = 0;
            for (nint i = start; i < end; i++)
            {
                double normalizer = Math.Log(Math.Max(_sums[i], double.Epsilon));
                for (int t = (int)Affinities.RowOffsets[(int)i]; t < Affinities.RowOffsets[(int)i + 1]; t++)
                {
                    if (!(values[t] > 0))
                        continue;
                    double squared = 0;
                    for (int axis = 0; axis < Dimensions; axis++)
                    {
                        double difference = (double)map.Row(axis)[i] - reference.Row(axis)[columns[t]];
                        squared += difference * difference;
                    }

                    sum += values[t] * (Math.Log(values[t]) + normalizer + (half * Math.Log(1 + (squared / DegreesOfFreedom))));
                }
            }

            parts[start / Grain] = sum;
        });
        _divergence = Points == 0 ? 0 : parts.Sum() / Points;
        _divergenceIteration = Iteration;
        GC.KeepAlive(this);
    }
}
