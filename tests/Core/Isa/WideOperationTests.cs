using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Every lane-wise operation at every level against its scalar meaning, bit by bit.</summary>
public sealed class WideOperationTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void AddIsExact() => Check<Add>((a, b, c) => a + b);

    [Test]
    public void SubtractIsExact() => Check<Subtract>((a, b, c) => a - b);

    [Test]
    public void MultiplyIsExact() => Check<Multiply>((a, b, c) => a * b);

    [Test]
    public void DivideIsExact() => Check<Divide>((a, b, c) => a / b);

    [Test]
    public void MinGivesTheSecondWhereEitherIsNaNOrBothAreZero() => Check<Min>((a, b, c) => a < b ? a : b);

    [Test]
    public void MaxGivesTheSecondWhereEitherIsNaNOrBothAreZero() => Check<Max>((a, b, c) => a > b ? a : b);

    [Test]
    public void AbsClearsTheSign() => Check<Abs>((a, b, c) => MathF.Abs(a));

    [Test]
    public void SqrtIsExact() => Check<Sqrt>((a, b, c) => MathF.Sqrt(a));

    [Test]
    public void RoundTakesTiesToEven() => Check<Round>((a, b, c) => MathF.Round(a, MidpointRounding.ToEven));

    [Test]
    public void SelectLessIsFalseAtNaN() => Check<SelectLess>((a, b, c) => a < b ? c : a);

    [Test]
    public void MultiplyAddIsFusedWhereTheLevelHasIt() =>
        CheckFused<MultiplyAdd>(MathF.FusedMultiplyAdd, (a, b, c) => (a * b) + c);

    [Test]
    public void NegatedMultiplyAddIsFusedWhereTheLevelHasIt() =>
        CheckFused<NegatedMultiplyAdd>((a, b, c) => MathF.FusedMultiplyAdd(-a, b, c), (a, b, c) => c - (a * b));

    [Test]
    public void AccumulateHasTheBitsOfMultiplyAdd()
    {
        (float[] a, float[] b, float[] c) = TestFloats.Triples();
        float[] result = Elementwise.Run<Accumulate>(a, b, c), expected = Elementwise.Run<MultiplyAdd>(a, b, c);
        for (int i = 0; i < result.Length; i++)
        {
            if (!TestFloats.Same(result[i], expected[i]))
                Assert.Fail($"{c[i]:R} += {a[i]:R} * {b[i]:R} gives {result[i]:R}, expected {expected[i]:R}");
        }
    }

    [Test]
    public void ScaleByPowerOfTwoRoundsOnce()
    {
        List<float> values = [];
        List<float> powers = [];
        Random source = new(2);
        for (int n = -126; n <= 127; n++)
        {
            foreach (float value in TestFloats.Special.Append(TestFloats.AnyFloat(source)).Append(TestFloats.AnyFloat(source)))
            {
                values.Add(value);
                powers.Add(n);
            }
        }

        float[] result = Elementwise.Run<Scale>([.. values], [.. powers], [.. powers]);
        for (int i = 0; i < result.Length; i++)
        {
            float expected = (float)(values[i] * Math.Pow(2, powers[i]));
            if (!TestFloats.Same(result[i], expected))
                Assert.Fail($"{values[i]:R} * 2^{powers[i]} gives {result[i]:R}, expected {expected:R}");
        }
    }

    [Test]
    public void SplitExponentPutsTheMantissaBetweenOneHalfAndOne()
    {
        List<float> values = [1f, 0.5f, 0.99999994f, 1.17549435e-38f, float.MaxValue];
        Random source = new(3);
        for (int exponent = 1; exponent < 255; exponent++)
        {
            for (int i = 0; i < 20; i++)
                values.Add(BitConverter.Int32BitsToSingle((exponent << 23) | source.Next(1 << 23)));
        }

        float[] input = [.. values];
        float[] mantissas = Elementwise.Run<Mantissa>(input, input, input);
        float[] exponents = Elementwise.Run<Exponent>(input, input, input);
        for (int i = 0; i < input.Length; i++)
        {
            if (mantissas[i] is not (>= 0.5f and < 1f) || mantissas[i] * Math.Pow(2, exponents[i]) != input[i])
                Assert.Fail($"{input[i]:R} splits into {mantissas[i]:R} * 2^{exponents[i]}");
        }
    }

    private static void Check<TOperation>(Func<float, float, float, float> scalar)
        where TOperation : struct, IOperation
    {
        (float[] a, float[] b, float[] c) = TestFloats.Triples();
        float[] result = Elementwise.Run<TOperation>(a, b, c);
        for (int i = 0; i < result.Length; i++)
        {
            float expected = scalar(a[i], b[i], c[i]);
            if (!TestFloats.Same(result[i], expected))
                Assert.Fail($"{typeof(TOperation).Name}({a[i]:R}, {b[i]:R}, {c[i]:R}) gives {result[i]:R}, expected {expected:R}");
        }
    }

    private void CheckFused<TOperation>(Func<float, float, float, float> fused, Func<float, float, float, float> separate)
        where TOperation : struct, IOperation
    {
        (float[] a, float[] b, float[] c) = TestFloats.Triples();
        float[] result = Elementwise.Run<TOperation>(a, b, c);
        for (int i = 0; i < result.Length; i++)
        {
            bool right = Level switch
            {
                IsaLevel.Scalar => TestFloats.Same(result[i], separate(a[i], b[i], c[i])),
                IsaLevel.Portable => TestFloats.Same(result[i], fused(a[i], b[i], c[i])) || TestFloats.Same(result[i], separate(a[i], b[i], c[i])),
                _ => TestFloats.Same(result[i], fused(a[i], b[i], c[i])),
            };
            if (!right)
                Assert.Fail($"{typeof(TOperation).Name}({a[i]:R}, {b[i]:R}, {c[i]:R}) gives {result[i]:R}; fused {fused(a[i], b[i], c[i]):R}, separate {separate(a[i], b[i], c[i]):R}");
        }
    }

    private readonly struct Add : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => a + b;
    }

    private readonly struct Subtract : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => a - b;
    }

    private readonly struct Multiply : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => a * b;
    }

    private readonly struct Divide : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => a / b;
    }

    private readonly struct Min : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => TWide.Min(a, b);
    }

    private readonly struct Max : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => TWide.Max(a, b);
    }

    private readonly struct Abs : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => TWide.Abs(a);
    }

    private readonly struct Sqrt : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => TWide.Sqrt(a);
    }

    private readonly struct Round : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => TWide.Round(a);
    }

    private readonly struct SelectLess : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => TWide.SelectLess(a, b, c, a);
    }

    private readonly struct MultiplyAdd : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => TWide.MultiplyAdd(a, b, c);
    }

    private readonly struct Accumulate : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide>
        {
            TWide.Accumulate(ref c, a, b);
            return c;
        }
    }

    private readonly struct NegatedMultiplyAdd : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => TWide.NegatedMultiplyAdd(a, b, c);
    }

    private readonly struct Scale : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => TWide.ScaleByPowerOfTwo(a, b);
    }

    private readonly struct Mantissa : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide> => TWide.SplitExponent(a, out _);
    }

    private readonly struct Exponent : IOperation
    {
        public static TWide Apply<TWide>(TWide a, TWide b, TWide c)
            where TWide : unmanaged, IWide<TWide>
        {
            TWide.SplitExponent(a, out TWide e);
            return e;
        }
    }
}
