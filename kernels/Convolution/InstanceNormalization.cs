using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Normalisation of each map by its own mean and variance: y = activation(scale[c] (x - mean) / sqrt(variance + epsilon) + shift[c]),
/// the variance that of all pixels (divided by their number).
/// </summary>
/// <remarks>
/// Mean and variance are found in two passes, the second of which corrects the mean as well, so that a large mean costs no
/// digits: the error of the normalised number is some (rows + columns + 8) 2^-24 times the larger of 1 and its magnitude. Surplus lanes are
/// set to zero. The result does not depend on the number of threads. Thread-safe.
/// </remarks>
public static unsafe class InstanceNormalization
{
    /// <summary>Normalises each map.</summary>
    /// <param name="source">The maps, of any number of lanes.</param>
    /// <param name="scale">A factor for each channel.</param>
    /// <param name="shift">What is added to each channel.</param>
    /// <param name="epsilon">0 or more.</param>
    /// <param name="activation">What follows.</param>
    /// <param name="destination">Maps of the same shape, which may be the source.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes differ, or the numbers are not as many as the channels.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="epsilon"/> is negative, or <paramref name="activation"/> undefined.</exception>
    public static void Run(
        in BlockedImages source,
        ReadOnlySpan<float> scale,
        ReadOnlySpan<float> shift,
        float epsilon,
        Activation activation,
        in BlockedImages destination,
        WorkerPool? pool = null)
    {
        MapChecks.SameShape(destination, source, nameof(destination));
        ActivationRows.Check(activation, nameof(activation));
        if (scale.Length != source.Channels)
            throw new ArgumentException($"There are {scale.Length} numbers and {source.Channels} channels.", nameof(scale));
        if (shift.Length != source.Channels)
            throw new ArgumentException($"There are {shift.Length} numbers and {source.Channels} channels.", nameof(shift));
        if (!(epsilon >= 0))
            throw new ArgumentOutOfRangeException(nameof(epsilon), epsilon, "Must be 0 or more.");
        if (source.Images == 0)
            return;
        fixed (float* factors = scale, terms = shift)
        {
            InstanceAction action = new(source, factors, terms, epsilon, activation, destination, pool ?? WorkerPool.Serial);
            MapChecks.Dispatch(ref action, source.Lanes);
        }
    }

    private readonly struct InstanceAction(
        in BlockedImages source, float* scale, float* shift, float epsilon, Activation activation, in BlockedImages destination, WorkerPool pool) : IWideAction
    {
        private readonly BlockedImages _source = source;
        private readonly BlockedImages _destination = destination;

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            InstanceBody<TWide> body = new(_source, scale, shift, epsilon, activation, _destination);
            pool.For((nint)_source.Images * _source.Blocks, 1, ref body);
        }
    }

    private readonly struct InstanceBody<TWide>(
        in BlockedImages source, float* scale, float* shift, float epsilon, Activation activation, in BlockedImages destination) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        private readonly BlockedImages _source = source;
        private readonly BlockedImages _destination = destination;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            float* means = stackalloc float[BlockedImages.Block];
            float* factors = stackalloc float[BlockedImages.Block];
            float* terms = stackalloc float[BlockedImages.Block];
            int lanes = _source.Lanes;
            float pixels = (float)((nint)_source.Height * _source.Width);
            for (nint map = start; map < end; map++)
            {
                (int image, int block) = ((int)(map / _source.Blocks), (int)(map % _source.Blocks));
                int first = block * lanes, channels = Math.Min(lanes, _source.Channels - first);
                WholeMap<TWide, AveragePooling>.Reduce(_source, image, block, means);
                for (int lane = 0; lane < lanes; lane++)
                    means[lane] /= pixels;
                Deviations(image, block, means, terms, factors);
                for (int lane = 0; lane < lanes; lane++)
                {
                    bool surplus = lane >= channels;
                    float correction = terms[lane] / pixels, variance = MathF.Max(0f, (factors[lane] / pixels) - (correction * correction));
                    means[lane] = surplus ? 0f : means[lane];
                    factors[lane] = surplus ? 0f : scale[first + lane] / MathF.Sqrt(variance + epsilon);
                    terms[lane] = surplus ? 0f : shift[first + lane] - (factors[lane] * correction);
                }

                for (nint row = 0; row < _source.Height; row++)
                {
                    float* from = _source.At(image, block, row, 0), to = _destination.At(image, block, row, 0);
                    for (int lane = 0; lane < lanes; lane += TWide.Lanes)
                        Normalise(from + lane, TWide.Load(means + lane), TWide.Load(factors + lane), TWide.Load(terms + lane), to + lane, lanes, _source.Width);
                    ActivationRows.Apply<TWide>(activation, to, _source.Width * (nint)lanes);
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Normalise(float* from, TWide mean, TWide factor, TWide term, float* to, nint lanes, nint count)
        {
            for (float* end = from + (count * lanes); from < end; from += lanes, to += lanes)
                TWide.Store(to, TWide.MultiplyAdd(TWide.Load(from) - mean, factor, term));
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Deviations(int image, int block, float* means, float* sums, float* squares)
        {
            int lanes = _source.Lanes;
            for (int lane = 0; lane < lanes; lane += TWide.Lanes)
            {
                TWide mean = TWide.Load(means + lane), sum = TWide.Zero, square = TWide.Zero;
                for (nint row = 0; row < _source.Height; row++)
                {
                    float* from = _source.At(image, block, row, 0) + lane;
                    TWide rowSum = TWide.Zero, rowSquare = TWide.Zero;
                    for (nint x = 0; x < _source.Width; x++)
                    {
                        TWide deviation = TWide.Load(from + (x * lanes)) - mean;
                        rowSum += deviation;
                        rowSquare = TWide.MultiplyAdd(deviation, deviation, rowSquare);
                    }

                    sum += rowSum;
                    square += rowSquare;
                }

                TWide.Store(sums + lane, sum);
                TWide.Store(squares + lane, square);
            }
        }
    }
}
