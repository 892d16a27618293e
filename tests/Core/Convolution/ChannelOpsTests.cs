using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed class ChannelOpsTests(IsaLevel level) : IsaFixture(level)
{
    public enum Pair
    {
        Add,
        Subtract,
        Multiply,
        Divide,
    }

    private static readonly Activation[] Activations = [Activation.None, Activation.Relu, Activation.Clip(-0.5f, 1f), Activation.Silu, Activation.LeakyRelu(0.2f)];

    private static IEnumerable<TestCaseData> Cases =>
        from pair in Enum.GetValues<Pair>()
        from shape in new (int Images, int Channels, int Height, int Width, int Lanes)[] { (2, 16, 5, 7, 16), (1, 21, 3, 3, 16), (3, 3, 4, 5, 3), (2, 1, 6, 2, 1), (1, 40, 31, 20, 16), (2, 5, 1, 1, 16) }
        select new TestCaseData(pair, shape.Images, shape.Channels, shape.Height, shape.Width, shape.Lanes);

    [TestCaseSource(nameof(Cases))]
    public void PairsAgreeWithTheDoubleReference(Pair pair, int images, int channels, int height, int width, int lanes)
    {
        foreach (Margins halo in new Margins[] { default, new(1, 0, 0, 2) })
        {
            foreach ((bool oneImage, bool onePixel, bool oneIsA) in new[] { (false, false, false), (false, true, false), (true, true, true), (true, false, false), (false, true, true) })
            {
                using TestImages whole = TestImages.Random(images, channels, height, width, halo, lanes, seed: 1);
                using TestImages other = TestImages.Random(oneImage ? 1 : images, channels, onePixel ? 1 : height, onePixel ? 1 : width, new(0, 1, 1, 0), lanes, seed: 2);
                (TestImages a, TestImages b) = oneIsA ? (other, whole) : (whole, other);
                foreach (Activation activation in Activations)
                {
                    using TestImages destination = TestImages.Destination(images, channels, height, width, halo, lanes);
                    Run(pair, a.View, b.View, destination.View, activation);
                    destination.AssertClose(Reference(pair, a, b, destination, activation), 1e-6, what: $"{activation} {(oneImage, onePixel, oneIsA)}");
                }

                whole.AssertNothingElseWritten();
                other.AssertNothingElseWritten();
            }
        }
    }

    [Test]
    public void TwoNumbersPerMapFillIt()
    {
        using TestImages a = TestImages.Random(2, 5, 1, 1, seed: 1);
        using TestImages b = TestImages.Random(1, 5, 1, 1, seed: 2);
        using TestImages destination = TestImages.Destination(2, 5, 3, 4, new(1));
        ChannelOps.Add(a.View, b.View, destination.View, Activation.Relu);
        destination.AssertClose(Reference(Pair.Add, a, b, destination, Activation.Relu), 1e-6);
    }

    [Test]
    public void ChannelsAreScaledAndShifted([Values(1, 3, 16, 35)] int channels, [Values] bool interleaved, [Values] bool halo)
    {
        int lanes = interleaved && channels <= 4 ? channels : 16;
        float[] scale = TestImages.Floats(channels, 8), shift = TestImages.Floats(channels, 9);
        using TestImages source = TestImages.Random(2, channels, 6, 5, halo ? new(1, 2, 3, 4) : default, lanes);
        float[] x = source.ToNchw();
        foreach (Activation activation in Activations)
        {
            foreach ((float[] factors, float[] terms) in new[] { (scale, shift), ([], shift), (scale, []), ([], []) })
            {
                using TestImages destination = TestImages.Destination(2, channels, 6, 5, halo ? new(1) : default, lanes);
                ChannelOps.ScaleShift(source.View, factors, terms, activation, destination.View);
                double[] expected = [.. x.Select((v, i) =>
                {
                    int c = i / 30 % channels;
                    return ConvolutionReference.Apply(activation, ((factors.Length == 0 ? 1.0 : factors[c]) * v) + (terms.Length == 0 ? 0 : terms[c]));
                })];
                destination.AssertClose(expected, 2e-6, what: activation.ToString());
            }
        }

        using TestImages inPlace = TestImages.Random(2, channels, 6, 5, default, lanes);
        ChannelOps.Activate(inPlace.View, Activation.Tanh, inPlace.View);
        inPlace.AssertClose([.. x.Select(v => Math.Tanh(v))], 1e-6);
    }

    [Test]
    public void NaNAndInfinitiesPassAndSurplusLanesStayFinite()
    {
        float[] values = [float.NaN, 0f, float.PositiveInfinity, 1e38f, 3f], zeros = [0f, 0f, 0f, 1e-38f, float.NaN];
        using TestImages a = TestImages.Of(values, 1, 5, 1, 1);
        using TestImages b = TestImages.Of(zeros, 1, 5, 1, 1);
        foreach (Pair pair in Enum.GetValues<Pair>())
        {
            foreach (Activation activation in new[] { Activation.None, Activation.Relu, Activation.Sigmoid })
            {
                using TestImages destination = TestImages.Destination(1, 5, 1, 1);
                Run(pair, a.View, b.View, destination.View, activation);
                float[] result = destination.ToNchw();
                for (int i = 0; i < 5; i++)
                {
                    float x = pair switch
                    {
                        Pair.Add => values[i] + zeros[i],
                        Pair.Subtract => values[i] - zeros[i],
                        Pair.Multiply => values[i] * zeros[i],
                        _ => values[i] / zeros[i],
                    };
                    Assert.That(result[i], Is.EqualTo((float)ConvolutionReference.Apply(activation, x)).Within(1e-6), $"{pair} {activation} {i}");
                }

                destination.AssertNothingElseWritten();
            }
        }
    }

    [Test]
    public void AnyNumberOfThreadsGivesTheSameBits([Values(2, 3, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        using TestImages a = TestImages.Random(2, 70, 40, 41);
        using TestImages b = TestImages.Random(2, 70, 1, 1, seed: 2);
        using TestImages serial = TestImages.Destination(2, 70, 40, 41, new(1));
        using TestImages parallel = TestImages.Destination(2, 70, 40, 41, new(1));
        ChannelOps.Divide(a.View, b.View, serial.View, Activation.Tanh);
        ChannelOps.Divide(a.View, b.View, parallel.View, Activation.Tanh, pool);
        Images.AssertSame(parallel.ToNchw(), serial.ToNchw());
        ChannelOps.ScaleShift(a.View, b.ToNchw().AsSpan(0, 70), [], Activation.None, serial.View);
        ChannelOps.ScaleShift(a.View, b.ToNchw().AsSpan(0, 70), [], Activation.None, parallel.View, pool);
        Images.AssertSame(parallel.ToNchw(), serial.ToNchw());
    }

    [Test]
    public void NoImagesIsNoWork()
    {
        using TestImages none = TestImages.Random(0, 5, 4, 4);
        using TestImages destination = TestImages.Destination(0, 5, 4, 4);
        ChannelOps.Add(none.View, none.View, destination.View);
        ChannelOps.ScaleShift(none.View, [], [], Activation.Relu, destination.View);
        destination.AssertNothingElseWritten();
    }

    [Test]
    public void BadOperandsAreNamed()
    {
        using TestImages a = TestImages.Random(2, 5, 6, 6);
        using TestImages b = TestImages.Random(2, 5, 6, 1);
        using TestImages destination = TestImages.Destination(2, 5, 6, 6);
        Assert.Multiple(() =>
        {
            Assert.That(() => ChannelOps.Add(a.View, b.View, destination.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("b"));
            Assert.That(() => ChannelOps.Add(b.View, a.View, destination.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("a"));
            Assert.That(() => ChannelOps.ScaleShift(b.View, [], [], Activation.None, destination.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("destination"));
            Assert.That(() => ChannelOps.ScaleShift(a.View, [1f], [], Activation.None, destination.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("scale"));
            Assert.That(() => ChannelOps.ScaleShift(a.View, [], [1f], Activation.None, destination.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("shift"));
            Assert.That(() => ChannelOps.Activate(a.View, new((ActivationKind)(-1)), destination.View), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
        Assert.That(destination.ToNchw(), Is.All.NaN);
    }

    private static void Run(Pair pair, in BlockedImages a, in BlockedImages b, in BlockedImages destination, Activation activation)
    {
        switch (pair)
        {
            case Pair.Add:
                ChannelOps.Add(a, b, destination, activation);
                break;
            case Pair.Subtract:
                ChannelOps.Subtract(a, b, destination, activation);
                break;
            case Pair.Multiply:
                ChannelOps.Multiply(a, b, destination, activation);
                break;
            default:
                ChannelOps.Divide(a, b, destination, activation);
                break;
        }
    }

    private static double[] Reference(Pair pair, TestImages a, TestImages b, TestImages destination, Activation activation)
    {
        float[] first = a.ToNchw(), second = b.ToNchw();
        double[] result = new double[destination.Count];
        int pixels = destination.View.Height * destination.View.Width, channels = destination.View.Channels;
        for (int i = 0; i < result.Length; i++)
        {
            double x = first[Place(a, i)], y = second[Place(b, i)];
            result[i] = ConvolutionReference.Apply(activation, pair switch
            {
                Pair.Add => x + y,
                Pair.Subtract => x - y,
                Pair.Multiply => x * y,
                _ => x / y,
            });
        }

        return result;

        int Place(TestImages operand, int i)
        {
            int image = operand.View.Images == 1 ? 0 : i / pixels / channels, inMap = operand.View.Height * operand.View.Width;
            return (((image * channels) + (i / pixels % channels)) * inMap) + (inMap == 1 ? 0 : i % pixels);
        }
    }
}
