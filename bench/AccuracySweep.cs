using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>The largest error that a sweep met, and where.</summary>
internal readonly record struct WorstError(double Error, float At, long Inputs)
{
    public WorstError Max(WorstError other) =>
        new(Math.Max(Error, other.Error), other.Error > Error ? other.At : At, Inputs + other.Inputs);
}

/// <summary>A function of <see cref="WideMath"/> or <see cref="IWide{TSelf}"/>, the exact one, and how their difference is measured.</summary>
internal interface IApproximation
{
    static abstract string Name { get; }

    /// <summary>What the error is, and over which inputs.</summary>
    static abstract string Measure { get; }

    static abstract bool Covers(float x);

    static abstract double Exact(double x);

    static abstract double Error(float got, double exact);

    static abstract TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide>;
}

internal readonly struct ExpRelative : IApproximation
{
    public static string Name => "Exp";

    public static string Measure => "relative, x in [-87.33, 88.37]";

    public static bool Covers(float x) => x is >= -87.33f and <= 88.37f;

    public static double Exact(double x) => Math.Exp(x);

    public static double Error(float got, double exact) => Math.Abs(got - exact) / exact;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> => WideMath.Exp(x);
}

internal readonly struct SigmoidAbsolute : IApproximation
{
    public static string Name => "Sigmoid";

    public static string Measure => "absolute, every x but NaN";

    public static bool Covers(float x) => !float.IsNaN(x);

    public static double Exact(double x) => 1 / (1 + Math.Exp(-x));

    public static double Error(float got, double exact) => Math.Abs(got - exact);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> => WideMath.Sigmoid(x);
}

internal readonly struct SigmoidRelative : IApproximation
{
    public static string Name => "Sigmoid";

    public static string Measure => "relative, x >= -87";

    public static bool Covers(float x) => x >= -87f;

    public static double Exact(double x) => SigmoidAbsolute.Exact(x);

    public static double Error(float got, double exact) => Math.Abs(got - exact) / exact;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> => WideMath.Sigmoid(x);
}

internal readonly struct TanhRelative : IApproximation
{
    public static string Name => "Tanh";

    public static string Measure => "relative, every x but 0 and NaN";

    public static bool Covers(float x) => !float.IsNaN(x) && x != 0f;

    public static double Exact(double x) => Math.Tanh(x);

    public static double Error(float got, double exact) => Math.Abs((got - exact) / exact);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> => WideMath.Tanh(x);
}

internal readonly struct LogRelative : IApproximation
{
    public static string Name => "Log";

    public static string Measure => "relative, normal positive x";

    public static bool Covers(float x) => x > 0f && float.IsNormal(x);

    public static double Exact(double x) => Math.Log(x);

    public static double Error(float got, double exact) => exact == 0 ? Math.Abs(got) : Math.Abs((got - exact) / exact);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> => WideMath.Log(x);
}

internal readonly struct ReciprocalRelative : IApproximation
{
    public static string Name => "Reciprocal";

    public static string Measure => "relative, x or -x in [2^-126, 2^125]";

    public static bool Covers(float x) => float.IsNormal(x) && MathF.Abs(x) <= MathF.ScaleB(1, 125);

    public static double Exact(double x) => 1 / x;

    public static double Error(float got, double exact) => Math.Abs((got - exact) / exact);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide x)
        where TWide : unmanaged, IWide<TWide> => TWide.Reciprocal(x);
}

/// <summary>
/// Runs a function over every <c>stride</c>-th of the 2^32 bit patterns of a float at several levels and keeps the largest
/// error. Stride 1 is the whole truth and takes minutes; a prime stride visits all exponents and no pattern of mantissas.
/// </summary>
internal static unsafe class AccuracySweep
{
    private const int Block = 2048;

    /// <summary>The worst error at each of <paramref name="levels"/>.</summary>
    /// <exception cref="InvalidOperationException">A result is NaN, which no bound would catch.</exception>
    public static WorstError[] Run<TFunction>(IReadOnlyList<IsaLevel> levels, int stride, WorkerPool pool)
        where TFunction : struct, IApproximation
    {
        WorstError[] worst = new WorstError[levels.Count];
        Lock gate = new();
        long patterns = ((1L << 32) + stride - 1) / stride;
        pool.For((nint)patterns, 256 * Block, (_, start, end) =>
        {
            WorstError[] mine = SweepRange<TFunction>(levels, stride, start, end);
            lock (gate)
            {
                for (int i = 0; i < worst.Length; i++)
                    worst[i] = worst[i].Max(mine[i]);
            }
        });
        return worst;
    }

    private static WorstError[] SweepRange<TFunction>(IReadOnlyList<IsaLevel> levels, int stride, nint start, nint end)
        where TFunction : struct, IApproximation
    {
        WorstError[] worst = new WorstError[levels.Count];
        float[] inputs = new float[Block];
        float[] outputs = new float[Block];
        double[] exact = new double[Block];
        fixed (float* x = inputs, y = outputs)
        {
            for (nint at = start; at < end;)
            {
                int filled = 0;
                for (; filled < Block && at < end; at++)
                {
                    float value = BitConverter.UInt32BitsToSingle((uint)(at * stride));
                    if (TFunction.Covers(value))
                        inputs[filled++] = value;
                }

                for (int i = 0; i < filled; i++)
                    exact[i] = TFunction.Exact(inputs[i]);
                for (int level = 0; level < levels.Count; level++)
                {
                    Evaluate<TFunction>(levels[level], x, y, filled);
                    worst[level] = worst[level].Max(Compare<TFunction>(inputs.AsSpan(0, filled), outputs, exact));
                }
            }
        }

        return worst;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static WorstError Compare<TFunction>(ReadOnlySpan<float> inputs, ReadOnlySpan<float> outputs, ReadOnlySpan<double> exact)
        where TFunction : struct, IApproximation
    {
        double worst = 0;
        int at = 0;
        for (int i = 0; i < inputs.Length; i++)
        {
            double error = TFunction.Error(outputs[i], exact[i]);
            if (double.IsNaN(error))
                throw new InvalidOperationException($"{TFunction.Name}({inputs[i]:R}) gives {outputs[i]:R}");
            if (error > worst)
            {
                worst = error;
                at = i;
            }
        }

        return inputs.IsEmpty ? default : new WorstError(worst, inputs[at], inputs.Length);
    }

    /// <summary>Applies the function to <paramref name="count"/> floats at <paramref name="level"/>, the tail included.</summary>
    public static void Evaluate<TFunction>(IsaLevel level, float* x, float* y, int count)
        where TFunction : struct, IApproximation
    {
        IsaLevel? previous = Isa.Override;
        Isa.Override = level;
        try
        {
            EvaluateAction<TFunction> action = new(x, y, count);
            Isa.Dispatch(ref action);
        }
        finally
        {
            Isa.Override = previous;
        }
    }

    private readonly struct EvaluateAction<TFunction>(float* x, float* y, int count) : IWideAction
        where TFunction : struct, IApproximation
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            int i = 0;
            for (; i <= count - TWide.Lanes; i += TWide.Lanes)
                TWide.Store(y + i, TFunction.Apply(TWide.Load(x + i)));
            TWide.StoreFirst(y + i, TFunction.Apply(TWide.LoadFirst(x + i, count - i)), count - i);
        }
    }
}
