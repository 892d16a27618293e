namespace EmbeddingKernels.Core;

/// <summary>
/// Copies feature maps between blocked channels and the plain orders [image][channel][row][column] (NCHW) and
/// [image][row][column][channel] (NHWC), and between blocked batches (another halo, concatenation).
/// </summary>
/// <remarks>
/// Numbers are copied bit for bit. Surplus lanes are set to zero, halos are neither read nor written, and operands must not
/// overlap. The result does not depend on the number of threads. Thread-safe.
/// </remarks>
public static unsafe class ImageLayout
{
    /// <summary>Copies an array in the order NCHW into blocked maps.</summary>
    /// <param name="source">As many numbers as the maps have.</param>
    /// <param name="destination">The maps, of any number of lanes.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The number of elements is not that of the maps.</exception>
    public static void FromNchw(ReadOnlySpan<float> source, in BlockedImages destination, WorkerPool? pool = null)
    {
        MapChecks.SameCount(source.Length, destination, nameof(source));
        fixed (float* pointer = source)
            FromNchw(pointer, destination, pool);
    }

    /// <inheritdoc cref="FromNchw(ReadOnlySpan{float}, in BlockedImages, WorkerPool?)"/>
    public static void FromNchw(float* source, in BlockedImages destination, WorkerPool? pool = null) =>
        Run(LayoutDirection.FromNchw, source, destination, pool);

    /// <summary>Copies an array in the order NHWC into blocked maps.</summary>
    /// <inheritdoc cref="FromNchw(ReadOnlySpan{float}, in BlockedImages, WorkerPool?)"/>
    public static void FromNhwc(ReadOnlySpan<float> source, in BlockedImages destination, WorkerPool? pool = null)
    {
        MapChecks.SameCount(source.Length, destination, nameof(source));
        fixed (float* pointer = source)
            FromNhwc(pointer, destination, pool);
    }

    /// <inheritdoc cref="FromNhwc(ReadOnlySpan{float}, in BlockedImages, WorkerPool?)"/>
    public static void FromNhwc(float* source, in BlockedImages destination, WorkerPool? pool = null) =>
        Run(LayoutDirection.FromNhwc, source, destination, pool);

    /// <summary>Copies blocked maps into an array in the order NCHW.</summary>
    /// <param name="source">The maps, of any number of lanes.</param>
    /// <param name="destination">As many numbers as the maps have.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The number of elements is not that of the maps.</exception>
    public static void ToNchw(in BlockedImages source, Span<float> destination, WorkerPool? pool = null)
    {
        MapChecks.SameCount(destination.Length, source, nameof(destination));
        fixed (float* pointer = destination)
            ToNchw(source, pointer, pool);
    }

    /// <inheritdoc cref="ToNchw(in BlockedImages, Span{float}, WorkerPool?)"/>
    public static void ToNchw(in BlockedImages source, float* destination, WorkerPool? pool = null) =>
        Run(LayoutDirection.ToNchw, destination, source, pool);

    /// <summary>Copies blocked maps into an array in the order NHWC.</summary>
    /// <inheritdoc cref="ToNchw(in BlockedImages, Span{float}, WorkerPool?)"/>
    public static void ToNhwc(in BlockedImages source, Span<float> destination, WorkerPool? pool = null)
    {
        MapChecks.SameCount(destination.Length, source, nameof(destination));
        fixed (float* pointer = destination)
            ToNhwc(source, pointer, pool);
    }

    /// <inheritdoc cref="ToNhwc(in BlockedImages, Span{float}, WorkerPool?)"/>
    public static void ToNhwc(in BlockedImages source, float* destination, WorkerPool? pool = null) =>
        Run(LayoutDirection.ToNhwc, destination, source, pool);

    /// <summary>
    /// Copies maps into the channels of others from <paramref name="firstChannel"/> on: concatenation of channels, another
    /// halo, another number of lanes. Other channels are left as they are, in whatever order the parts are copied.
    /// </summary>
    /// <remarks>
    /// As fast as memory where <paramref name="firstChannel"/> is a multiple of 16; elsewhere each pixel's 16 channels go to
    /// two blocks. Surplus lanes of the destination are set to zero by the part that holds its last channel.
    /// </remarks>
    /// <param name="source">The maps.</param>
    /// <param name="destination">Maps of as many images, rows and columns.</param>
    /// <param name="firstChannel">Where the first channel goes.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">Images, rows or columns differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The channels reach past those of the destination.</exception>
    public static void Copy(in BlockedImages source, in BlockedImages destination, int firstChannel = 0, WorkerPool? pool = null)
    {
        if (source.Images != destination.Images || source.Height != destination.Height || source.Width != destination.Width)
            throw new ArgumentException($"The shape is {MapChecks.Shape(source)}, which does not go into {MapChecks.Shape(destination)}.", nameof(source));
        ArgumentOutOfRangeException.ThrowIfNegative(firstChannel);
        if ((long)firstChannel + source.Channels > destination.Channels)
            throw new ArgumentOutOfRangeException(nameof(firstChannel), firstChannel, $"{source.Channels} channels from there on reach past the {destination.Channels} of the destination.");
        LayoutCopyAction action = new(source, destination, firstChannel, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
    }

    private static void Run(LayoutDirection direction, float* plain, in BlockedImages maps, WorkerPool? pool)
    {
        if (maps.Images == 0)
            return;
        LayoutAction action = new(direction, plain, maps, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
    }
}
