namespace EmbeddingKernels.Core;

/// <summary>Softmax: e^(x[i] - m) / sum over j of e^(x[j] - m), where m is the largest of the numbers.</summary>
/// <remarks>
/// <para>For n numbers the relative error of a result is at most (n / 4 + 16) 2^-24, as far as x[i] is at most 87 below the
/// largest; from there on a result is at most e^-87 and not 0. NaN anywhere makes all of a softmax NaN, and so do plus infinity
/// and nothing but minus infinity, as in PyTorch.</para>
/// <para>The result does not depend on the number of threads. Source and destination may be the same. Thread-safe.</para>
/// </remarks>
public static unsafe class Softmax
{
    /// <summary>The softmax of each row.</summary>
    /// <param name="source">Rows.</param>
    /// <param name="destination">As many rows and columns.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes differ.</exception>
    public static void Rows(MatrixView<float> source, MatrixView<float> destination, WorkerPool? pool = null)
    {
        if (source.Rows != destination.Rows || source.Columns != destination.Columns)
            throw new ArgumentException($"The shape must be {source.Rows} x {source.Columns} and is {destination.Rows} x {destination.Columns}.", nameof(destination));
        if (source.Columns == 0)
            return;
        SoftmaxRowsAction action = new(source, destination, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
    }

    /// <summary>The softmax of each row of an array.</summary>
    /// <param name="values">Rows one after another, overwritten.</param>
    /// <param name="columns">Numbers of a row.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="columns"/> is below 1 or does not divide the numbers.</exception>
    public static void Rows(Span<float> values, int columns, WorkerPool? pool = null)
    {
        if (columns < 1 || values.Length % columns != 0)
            throw new ArgumentOutOfRangeException(nameof(columns), columns, $"Must be 1 or more and divide the {values.Length} numbers.");
        fixed (float* pointer = values)
        {
            MatrixView<float> rows = new(pointer, values.Length / columns, columns);
            Rows(rows, rows, pool);
        }
    }

    /// <summary>The softmax over the channels of each pixel.</summary>
    /// <param name="source">The maps, of any number of lanes.</param>
    /// <param name="destination">Maps of the same shape. Surplus lanes are set to zero.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes differ.</exception>
    public static void Channels(in BlockedImages source, in BlockedImages destination, WorkerPool? pool = null)
    {
        MapChecks.SameShape(destination, source, nameof(destination));
        SoftmaxChannelsAction action = new(source, destination, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
    }
}
