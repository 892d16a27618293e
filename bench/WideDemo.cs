using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>Small loops over <see cref="IWide{TSelf}"/> whose machine code shows what the abstraction costs: nothing.</summary>
internal static unsafe class WideDemo
{
    /// <summary>The sum of a[i] * b[i] with four accumulators.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Dot<TWide>(float* a, float* b, nint count)
        where TWide : unmanaged, IWide<TWide>
    {
        nint step = 4 * TWide.Lanes;
        TWide s0 = TWide.Zero;
        TWide s1 = TWide.Zero;
        TWide s2 = TWide.Zero;
        TWide s3 = TWide.Zero;
        nint i = 0;
        for (; i <= count - step; i += step)
        {
            s0 = TWide.MultiplyAdd(TWide.Load(a + i), TWide.Load(b + i), s0);
            s1 = TWide.MultiplyAdd(TWide.Load(a + i + TWide.Lanes), TWide.Load(b + i + TWide.Lanes), s1);
            s2 = TWide.MultiplyAdd(TWide.Load(a + i + (2 * TWide.Lanes)), TWide.Load(b + i + (2 * TWide.Lanes)), s2);
            s3 = TWide.MultiplyAdd(TWide.Load(a + i + (3 * TWide.Lanes)), TWide.Load(b + i + (3 * TWide.Lanes)), s3);
        }

        for (; i < count; i += TWide.Lanes)
        {
            int left = (int)nint.Min(count - i, TWide.Lanes);
            s0 = TWide.MultiplyAdd(TWide.LoadFirst(a + i, left), TWide.LoadFirst(b + i, left), s0);
        }

        return TWide.Sum((s0 + s1) + (s2 + s3));
    }

    /// <summary>y[i] = 1 / (1 + e^-x[i]): the longest chain of operations that the abstraction holds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Sigmoid<TWide>(float* x, float* y, nint count)
        where TWide : unmanaged, IWide<TWide>
    {
        nint i = 0;
        for (; i <= count - TWide.Lanes; i += TWide.Lanes)
            TWide.Store(y + i, WideMath.Sigmoid(TWide.Load(x + i)));
        TWide.StoreFirst(y + i, WideMath.Sigmoid(TWide.LoadFirst(x + i, (int)(count - i))), (int)(count - i));
    }

    /// <summary>Calls both loops at the level in force: the sum of i/1000 * sigmoid(i/1000) for i below 1000.</summary>
    public static float Run()
    {
        using AlignedBuffer<float> x = new(1000);
        using AlignedBuffer<float> y = new(1000);
        for (int i = 0; i < 1000; i++)
            x[i] = i / 1000f;
        Action action = new(x.Pointer, y.Pointer, x.Length);
        Isa.Dispatch(ref action);
        return action.Result;
    }

    private struct Action(float* a, float* b, nint count) : IWideAction
    {
        public float Result { get; private set; }

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            Sigmoid<TWide>(a, b, count);
            Result = Dot<TWide>(a, b, count);
        }
    }
}
