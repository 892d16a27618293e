namespace EmbeddingKernels.Core;

/// <summary>Operators that treat each number of feature maps by itself, or with the number at its place in another batch.</summary>
/// <remarks>
/// Each result is rounded once before the activation, whose errors <see cref="ActivationKernel"/> states. Surplus lanes of
/// the destination are set to zero, halos are neither read nor written. The destination may be an operand of its shape.
/// Maps of any number of lanes, the same for all. The result does not depend on the number of threads. Thread-safe.
/// </remarks>
public static unsafe class ChannelOps
{
    /// <summary>destination = activation(source).</summary>
    /// <param name="source">The maps.</param>
    /// <param name="activation">The function.</param>
    /// <param name="destination">Maps of the same shape.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="activation"/> is undefined or a number of it is NaN.</exception>
    public static void Activate(in BlockedImages source, Activation activation, in BlockedImages destination, WorkerPool? pool = null) =>
        ScaleShift(source, [], [], activation, destination, pool);

    /// <summary>destination = activation(scale[channel] * source + shift[channel]): batch normalisation that is not part of a convolution.</summary>
    /// <param name="source">The maps.</param>
    /// <param name="scale">A factor for each channel, or none for 1.</param>
    /// <param name="shift">What is added to each channel, or none for 0.</param>
    /// <param name="activation">What follows.</param>
    /// <param name="destination">Maps of the same shape.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes differ, or the numbers are not as many as the channels.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="activation"/> is undefined or a number of it is NaN.</exception>
    public static void ScaleShift(
        in BlockedImages source,
        ReadOnlySpan<float> scale,
        ReadOnlySpan<float> shift,
        Activation activation,
        in BlockedImages destination,
        WorkerPool? pool = null)
    {
        MapChecks.SameShape(destination, source, nameof(destination));
        ActivationRows.Check(activation, nameof(activation));
        CheckChannels(scale, source, nameof(scale));
        CheckChannels(shift, source, nameof(shift));
        if (source.Images == 0)
            return;
        fixed (float* factors = scale, terms = shift)
        {
            ScaleShiftAction action = new(source, factors, terms, activation, destination, pool ?? WorkerPool.Serial);
            MapChecks.Dispatch(ref action, source.Lanes);
        }
    }

    /// <summary>destination = activation(a + b): a residual connection.</summary>
    /// <param name="a">Maps of the destination's shape, or 1 x 1 maps, whose number counts for the whole map, or one image, which counts for all.</param>
    /// <param name="b">Likewise.</param>
    /// <param name="destination">The result.</param>
    /// <param name="activation">What follows.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="activation"/> is undefined or a number of it is NaN.</exception>
    public static void Add(in BlockedImages a, in BlockedImages b, in BlockedImages destination, Activation activation = default, WorkerPool? pool = null) =>
        Combine<SumFunction>(a, b, destination, activation, pool);

    /// <summary>destination = activation(a - b).</summary>
    /// <inheritdoc cref="Add"/>
    public static void Subtract(in BlockedImages a, in BlockedImages b, in BlockedImages destination, Activation activation = default, WorkerPool? pool = null) =>
        Combine<DifferenceFunction>(a, b, destination, activation, pool);

    /// <summary>destination = activation(a * b): with 1 x 1 maps, squeeze-and-excite.</summary>
    /// <inheritdoc cref="Add"/>
    public static void Multiply(in BlockedImages a, in BlockedImages b, in BlockedImages destination, Activation activation = default, WorkerPool? pool = null) =>
        Combine<ProductFunction>(a, b, destination, activation, pool);

    /// <summary>destination = activation(a / b).</summary>
    /// <inheritdoc cref="Add"/>
    public static void Divide(in BlockedImages a, in BlockedImages b, in BlockedImages destination, Activation activation = default, WorkerPool? pool = null) =>
        Combine<QuotientFunction>(a, b, destination, activation, pool);

    private static void Combine<TFunction>(
        in BlockedImages a, in BlockedImages b, in BlockedImages destination, Activation activation, WorkerPool? pool)
        where TFunction : struct, IPairFunction
    {
        ActivationRows.Check(activation, nameof(activation));
        CheckOperand(a, destination, nameof(a));
        CheckOperand(b, destination, nameof(b));
        if (destination.Images == 0)
            return;
        PairAction<TFunction> action = new(a, b, destination, activation, pool ?? WorkerPool.Serial);
        MapChecks.Dispatch(ref action, destination.Lanes);
    }

    private static void CheckOperand(in BlockedImages operand, in BlockedImages destination, string name)
    {
        bool images = operand.Images == destination.Images || operand.Images == 1;
        bool pixels = (operand.Height == destination.Height && operand.Width == destination.Width) || (operand.Height == 1 && operand.Width == 1);
        if (!images || !pixels || operand.Channels != destination.Channels || operand.Lanes != destination.Lanes)
            throw new ArgumentException($"The shape is {MapChecks.Shape(operand)}, which does not fit {MapChecks.Shape(destination)}.", name);
    }

    private static void CheckChannels(ReadOnlySpan<float> numbers, in BlockedImages source, string name)
    {
        if (!numbers.IsEmpty && numbers.Length != source.Channels)
            throw new ArgumentException($"There are {numbers.Length} numbers and {source.Channels} channels.", name);
    }
}
