using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class ActivationKernelTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly Activation[] Activations =
    [
        Activation.None,
        Activation.Relu,
        Activation.Relu6,
        Activation.Clip(-0.5f, 0.25f),
        Activation.Clip(2f, 1f),
        Activation.LeakyRelu(0.1f),
        Activation.LeakyRelu(-3f),
        Activation.Sigmoid,
        Activation.HardSigmoid(),
        Activation.HardSigmoid(1f / 6f),
        Activation.HardSwish,
        Activation.Silu,
        Activation.Tanh,
    ];

    [TestCaseSource(nameof(Activations))]
    public void FloatsOfEveryMagnitudeAreWithinTheStatedErrors(Activation activation)
    {
        // A prime step, so that signs, exponents and mantissas all change from one number to the next.
        float[] x = new float[200_003];
        for (int i = 0; i < x.Length; i++)
            x[i] = BitConverter.UInt32BitsToSingle((uint)i * 21_467u);
        float[] y = [.. x];
        ActivationKernel.Apply(activation, y);
        for (int i = 0; i < x.Length; i++)
        {
            double exact = Exact(activation, x[i]);
            if (double.IsNaN(exact) ? !float.IsNaN(y[i]) : !(Error(y[i], exact) <= Allowed(activation, x[i], exact)))
                Assert.Fail($"{activation} of {x[i]:R} is {y[i]:R}, exact {exact:R}");
        }
    }

    [TestCaseSource(nameof(Activations))]
    public void EveryLengthIsTreatedLikeEachNumberAlone(Activation activation)
    {
        for (int length = 0; length <= 256; length++)
        {
            using GuardedBuffer<float> values = new(length);
            float[] x = TestImages.Floats(length, length + 1);
            for (int i = 0; i < length; i++)
                x[i] *= 4f;
            if (length > 3)
                x[length / 2] = float.NaN;
            x.CopyTo(values.Span);
            ActivationKernel.Apply(activation, values.Pointer, length);
            for (int i = 0; i < length; i++)
            {
                float alone = x[i];
                ActivationKernel.Apply(activation, &alone, 1);
                if (!values.Span[i].Equals(alone) || float.IsNaN(x[i]) != float.IsNaN(alone))
                    Assert.Fail($"{activation} of {x[i]:R} at {i} of {length} is {values.Span[i]:R}, alone {alone:R}");
            }
        }
    }

    [Test]
    public void AnyNumberOfThreadsGivesTheSameBits([Values(2, 3, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        float[] serial = TestImages.Floats(100_001, 3), parallel = [.. serial];
        ActivationKernel.Apply(Activation.Silu, serial);
        ActivationKernel.Apply(Activation.Silu, parallel, pool);
        Assert.That(parallel, Is.EqualTo(serial));
    }

    [Test]
    public void BadActivationsAreNamed()
    {
        float[] values = [1f];
        Assert.Multiple(() =>
        {
            Assert.That(
                () => ActivationKernel.Apply(new((ActivationKind)99), values),
                Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("99").And.Property("ParamName").EqualTo("activation"));
            Assert.That(() => ActivationKernel.Apply(Activation.LeakyRelu(float.NaN), values), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => ActivationKernel.Apply(Activation.Relu, null, -1), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
        Assert.That(values[0], Is.EqualTo(1f));
    }

    // The formula's limit where the formula itself has none.
    private static double Exact(Activation activation, float x) =>
        activation.Kind == ActivationKind.Silu && x == float.NegativeInfinity ? 0 : ConvolutionReference.Apply(activation, x);

    // A result beyond the largest float is infinite.
    private static double Error(float y, double exact) =>
        y == exact || (float.IsInfinity(y) && Math.Abs(exact) > float.MaxValue && Math.Sign(exact) == Math.Sign(y)) ? 0 : Math.Abs(y - exact);

    private static double Allowed(Activation activation, float x, double exact) => activation.Kind switch
    {
        ActivationKind.None or ActivationKind.Clip => 0,
        ActivationKind.LeakyRelu => (Math.Abs(exact) * Math.ScaleB(1, -24)) + float.Epsilon,
        ActivationKind.Silu => 5e-7 * Math.Max(1, Math.Abs((double)x)),
        ActivationKind.HardSigmoid => 5e-7 * Math.Max(1, Math.Abs((double)activation.A * x)),
        _ => 5e-7 * Math.Max(1, Math.Abs(exact)),
    };
}
