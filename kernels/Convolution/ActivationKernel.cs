using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>Applies an activation to an array, where no layer could apply it as it stored its results.</summary>
/// <remarks>
/// Errors against the formulas of <see cref="ActivationKind"/>: clips are exact; a leaky ReLU is rounded once; sigmoid, hard
/// sigmoid, hard swish and tanh are within 5e-7 of the larger of 1, |A x| and the result's magnitude; SiLU within 5e-7 of the larger
/// of 1 and |x|. SiLU of minus infinity is 0. NaN stays NaN. The result does not depend on the number of threads, nor on where an
/// element stands. Thread-safe.
/// </remarks>
public static unsafe class ActivationKernel
{
    // 64 KiB: even the cheapest function takes longer than handing out the piece.
    private const nint Grain = 16384;

    /// <summary>values[i] = activation(values[i]).</summary>
    /// <param name="activation">The function.</param>
    /// <param name="values">Numbers, overwritten.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="activation"/> is undefined or a number of it is NaN.</exception>
    public static void Apply(Activation activation, Span<float> values, WorkerPool? pool = null)
    {
        fixed (float* pointer = values)
            Apply(activation, pointer, values.Length, pool);
    }

    /// <summary>values[i] = activation(values[i]) for <paramref name="count"/> numbers.</summary>
    /// <param name="activation">The function.</param>
    /// <param name="values">Numbers, overwritten.</param>
    /// <param name="count">How many.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="activation"/> is undefined or a number of it is NaN, or <paramref name="count"/> is negative.
    /// </exception>
    public static void Apply(Activation activation, float* values, nint count, WorkerPool? pool = null)
    {
        ActivationRows.Check(activation, nameof(activation));
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ActivationAction action = new(activation, values, count, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
    }

    private readonly struct ActivationAction(Activation activation, float* values, nint count, WorkerPool pool) : IWideAction
    {
        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            ActivationBody<TWide> body = new(activation, values);
            pool.For(count, Grain, ref body);
        }
    }

    private readonly struct ActivationBody<TWide>(Activation activation, float* values) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end) => ActivationRows.Apply<TWide>(activation, values + start, end - start);
    }
}
