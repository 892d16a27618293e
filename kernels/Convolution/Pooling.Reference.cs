namespace EmbeddingKernels.Core;

/// <summary>
/// Pooling as its formula has it, of maps of any number of dimensions on plain arrays [map][...]: each window by itself,
/// summed in double precision.
/// </summary>
/// <remarks>NaN and padding as <see cref="Pooling"/> has them. The result does not depend on the number of threads. Thread-safe.</remarks>
internal static unsafe class PoolingReference
{
    /// <summary>The largest number of each window.</summary>
    /// <param name="source">[map][...]: images times channels maps of the given extents.</param>
    /// <param name="extents">Of a map.</param>
    /// <param name="window">The windows.</param>
    /// <param name="destination">[map][...] of the extents that <see cref="WindowNd.Outputs"/> gives.</param>
    /// <param name="ceilMode">See <see cref="PoolingShape.Outputs"/>.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The lengths do not fit the extents, or a window lies outside the map whole.</exception>
    public static void Max(
        ReadOnlySpan<float> source, IReadOnlyList<int> extents, WindowNd window, Span<float> destination, bool ceilMode = false, WorkerPool? pool = null) =>
        Run(source, extents, window, destination, ceilMode, Kind.Max, pool);

    /// <summary>The average of each window.</summary>
    /// <param name="source">[map][...]: images times channels maps of the given extents.</param>
    /// <param name="extents">Of a map.</param>
    /// <param name="window">The windows.</param>
    /// <param name="destination">[map][...] of the extents that <see cref="WindowNd.Outputs"/> gives.</param>
    /// <param name="countIncludePad">Padding counts as zeros.</param>
    /// <param name="ceilMode">See <see cref="PoolingShape.Outputs"/>.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The lengths do not fit the extents, or a window lies outside the map whole.</exception>
    public static void Average(
        ReadOnlySpan<float> source,
        IReadOnlyList<int> extents,
        WindowNd window,
        Span<float> destination,
        bool countIncludePad = false,
        bool ceilMode = false,
        WorkerPool? pool = null) =>
        Run(source, extents, window, destination, ceilMode, countIncludePad ? Kind.AverageWithPadding : Kind.Average, pool);

    private static void Run(
        ReadOnlySpan<float> source,
        IReadOnlyList<int> extents,
        WindowNd window,
        Span<float> destination,
        bool ceilMode,
        Kind kind,
        WorkerPool? pool)
    {
        ArgumentNullException.ThrowIfNull(window);
        WindowWalk walk = new(window, extents, window.Outputs(extents, ceilMode));
        long maps = source.Length / walk.Pixels;
        if (maps * walk.Pixels != source.Length)
            throw new ArgumentException($"There are {source.Length} numbers, which is no multiple of the {walk.Pixels} of a map.", nameof(source));
        if (maps * walk.Windows != destination.Length)
            throw new ArgumentException($"There are {destination.Length} numbers and {maps} x {walk.Windows} windows.", nameof(destination));

        int[] taps = new int[walk.Taps];
        long[] pixels = new long[walk.Taps];
        for (long i = 0; i < walk.Windows; i++)
        {
            if (walk.Inside(i, taps, pixels, out _) == 0)
                throw new ArgumentException($"Window {i} lies outside the map.", nameof(window));
        }

        fixed (float* from = source, to = destination)
        {
            ReferenceBody body = new(walk, from, to, maps, kind);
            (pool ?? WorkerPool.Serial).For((nint)walk.Windows, 16, ref body);
        }
    }

    private enum Kind
    {
        Max,
        Average,
        AverageWithPadding,
    }

    private readonly struct ReferenceBody(WindowWalk walk, float* from, float* to, long maps, Kind kind) : IRangeBody
    {
        public void Invoke(int worker, nint start, nint end)
        {
            int[] taps = new int[walk.Taps];
            long[] pixels = new long[walk.Taps];
            for (nint index = start; index < end; index++)
            {
                int inside = walk.Inside(index, taps, pixels, out int counted);
                ReadOnlySpan<long> places = pixels.AsSpan(0, inside);
                for (long map = 0; map < maps; map++)
                {
                    float* numbers = from + (map * walk.Pixels);
                    double result = kind == Kind.Max ? double.NegativeInfinity : 0;
                    foreach (long place in places)
                        result = kind == Kind.Max ? Math.Max(result, numbers[place]) : result + numbers[place]; // Math.Max gives NaN
                    if (kind != Kind.Max)
                        result /= kind == Kind.Average ? inside : counted;
                    to[(map * walk.Windows) + index] = (float)result;
                }
            }
        }
    }
}
