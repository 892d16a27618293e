namespace EmbeddingKernels.Core;

/// <summary>
/// Local response normalisation across channels (AlexNet, GoogLeNet; ONNX's LRN): y[c] = x[c] / v[c]^beta with
/// v[c] = bias + alpha / size * sum of x[i]^2 for i from c - floor((size - 1) / 2) to c + ceil((size - 1) / 2), as far as there are
/// such channels.
/// </summary>
/// <remarks>
/// The relative error is at most 1e-7 (4 + |beta| (|ln v| + size)). NaN makes the channels near it NaN. Where squares overflow the
/// result is a small number. Surplus lanes are finite, the result does not depend on the number of threads. Thread-safe.
/// </remarks>
public static class Lrn
{
    /// <summary>Normalises each pixel.</summary>
    /// <param name="source">The maps, of any number of lanes.</param>
    /// <param name="destination">Maps of the same shape, which may be the source.</param>
    /// <param name="size">Channels of a sum.</param>
    /// <param name="alpha">0 or more.</param>
    /// <param name="beta">The exponent.</param>
    /// <param name="bias">More than 0.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is out of range.</exception>
    public static void Run(
        in BlockedImages source, in BlockedImages destination, int size, float alpha = 1e-4f, float beta = 0.75f, float bias = 1f, WorkerPool? pool = null)
    {
        MapChecks.SameShape(destination, source, nameof(destination));
        if (size is < 1 or > 1 << 24)
            throw new ArgumentOutOfRangeException(nameof(size), size, $"Must be 1 or more (and at most {1 << 24}).");
        if (!(alpha >= 0) || !float.IsFinite(alpha))
            throw new ArgumentOutOfRangeException(nameof(alpha), alpha, "Must be 0 or more.");
        if (!float.IsFinite(beta))
            throw new ArgumentOutOfRangeException(nameof(beta), beta, "Must be finite.");
        if (!(bias > 0) || !float.IsNormal(bias))
            throw new ArgumentOutOfRangeException(nameof(bias), bias, "Must be more than 0.");
        if (source.Images == 0)
            return;
        LrnAction action = new(source, destination, Math.Min(size, (2 * source.Channels) + 1), alpha / size, beta, bias, pool ?? WorkerPool.Serial);
        MapChecks.Dispatch(ref action, source.Lanes);
    }
}
