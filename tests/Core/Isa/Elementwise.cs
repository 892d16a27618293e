namespace EmbeddingKernels.Core.Tests;

/// <summary>An operation on vectors that a test compares with its scalar meaning.</summary>
internal interface IOperation
{
    static abstract TWide Apply<TWide>(TWide a, TWide b, TWide c)
        where TWide : unmanaged, IWide<TWide>;
}

/// <summary>Runs an operation over arrays at the level in force: whole vectors, then the tail by LoadFirst and StoreFirst.</summary>
internal static unsafe class Elementwise
{
    public static float[] Run<TOperation>(float[] a, float[] b, float[] c)
        where TOperation : struct, IOperation
    {
        float[] result = new float[a.Length];
        fixed (float* x = a, y = b, z = c, r = result)
        {
            Action<TOperation> action = new(x, y, z, r, a.Length);
            Isa.Dispatch(ref action);
        }

        return result;
    }

    private readonly struct Action<TOperation>(float* a, float* b, float* c, float* result, int count) : IWideAction
        where TOperation : struct, IOperation
    {
        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            int i = 0;
            for (; i <= count - TWide.Lanes; i += TWide.Lanes)
                TWide.Store(result + i, TOperation.Apply(TWide.Load(a + i), TWide.Load(b + i), TWide.Load(c + i)));
            int left = count - i;
            TWide.StoreFirst(result + i, TOperation.Apply(TWide.LoadFirst(a + i, left), TWide.LoadFirst(b + i, left), TWide.LoadFirst(c + i, left)), left);
        }
    }
}

/// <summary>Floats that break things, and random ones of every magnitude.</summary>
internal static class TestFloats
{
    public static readonly float[] Special =
    [
        0f, -0f, 1f, -1f, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 3.4999998f, 1e-10f, -3e7f, 8388607.5f, 8388609f, 16777217f, 4.2949673e9f,
        float.Epsilon, -float.Epsilon, 1.17549421e-38f, 1.17549435e-38f, -1.17549435e-38f, 1.8e19f, -1.9e19f,
        float.MaxValue, float.MinValue, float.PositiveInfinity, float.NegativeInfinity, float.NaN, -float.NaN, MathF.PI, 1f / 3f,
    ];

    /// <summary>Every pair of special values, with a third that wanders, and then random bit patterns; an odd number in all.</summary>
    public static (float[] A, float[] B, float[] C) Triples(int random = 20_000, int seed = 1)
    {
        List<float> a = [];
        List<float> b = [];
        List<float> c = [];
        foreach (float x in Special)
        {
            foreach (float y in Special)
            {
                a.Add(x);
                b.Add(y);
                c.Add(Special[a.Count * 7 % Special.Length]);
            }
        }

        Random source = new(seed);
        for (int i = 0; i < random || a.Count % 16 != 13; i++)
        {
            a.Add(AnyFloat(source));
            b.Add(AnyFloat(source));
            c.Add(AnyFloat(source));
        }

        return ([.. a], [.. b], [.. c]);
    }

    public static float AnyFloat(Random source) => BitConverter.Int32BitsToSingle((int)source.NextInt64(int.MinValue, 1L + int.MaxValue));

    /// <summary>The same bits, or both NaN.</summary>
    public static bool Same(float got, float expected) =>
        float.IsNaN(expected) ? float.IsNaN(got) : BitConverter.SingleToInt32Bits(got) == BitConverter.SingleToInt32Bits(expected);
}
