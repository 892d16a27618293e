using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Operators that look at several channels or at whole maps: LRN, softmax, instance normalisation.</summary>
public sealed unsafe class NormalizationTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void LrnAgreesWithTheDoubleReference(
        [Values(1, 3, 16, 37)] int channels, [Values(1, 2, 5, 8, 100)] int size, [Values(0.75f, 0.5f, 1.3f)] float beta)
    {
        foreach (int lanes in channels <= 4 ? new[] { 16, channels } : [16])
        {
            using TestImages source = TestImages.Random(2, channels, 3, 4, new(1, 0, 0, 1), lanes);
            using TestImages destination = TestImages.Destination(2, channels, 3, 4, new(0, 1, 1, 0), lanes);
            Lrn.Run(source.View, destination.View, size, 0.5f, beta, 1.5f);
            double[] expected = LrnReference(source.ToNchw(), channels, 12, size, 0.5f, beta, 1.5f);
            destination.AssertClose(expected, 1e-7 * (4 + (beta * (3 + size))), [.. expected.Select(Math.Abs)]);
        }
    }

    [Test]
    public void LrnTakesNaNAndHugeNumbers()
    {
        float[] values = TestImages.Floats(20 * 4, 3);
        values[(8 * 4) + 1] = float.NaN;
        values[(8 * 4) + 2] = 1e30f;
        using TestImages source = TestImages.Of(values, 1, 20, 2, 2);
        using TestImages destination = TestImages.Destination(1, 20, 2, 2);
        Lrn.Run(source.View, destination.View, 5);
        float[] result = destination.ToNchw();
        for (int c = 0; c < 20; c++)
        {
            Assert.That(float.IsNaN(result[(c * 4) + 1]), Is.EqualTo(c is >= 6 and <= 10), $"channel {c}");
            Assert.That(result[(c * 4) + 2], c is >= 6 and <= 10 ? Is.EqualTo(0f).Within(100f) : Is.EqualTo(values[(c * 4) + 2]).Within(0.01f), $"channel {c}");
        }

        destination.AssertNothingElseWritten();
    }

    [Test]
    public void SoftmaxOfEveryLengthAgreesWithTheDoubleReference()
    {
        for (int length = 1; length <= 256; length++)
        {
            using GuardedBuffer<float> values = new(2 * length);
            float[] x = TestImages.Floats(2 * length, length);
            for (int i = 0; i < x.Length; i++)
                x[i] = (x[i] * 20f) + (i < length ? 1e4f : -300f);
            x.CopyTo(values.Span);
            MatrixView<float> rows = new(values.Pointer, 2, length);
            Softmax.Rows(rows, rows);
            double[] expected = [.. SoftmaxReference(x[..length]), .. SoftmaxReference(x[length..])];
            Images.AssertClose(values.Span, expected, ((length / 4.0) + 16) * Math.ScaleB(1, -24), expected, $"length {length}");
        }
    }

    [Test]
    public void SoftmaxOverChannelsAgreesWithRows([Values(1, 3, 16, 35)] int channels, [Values(1, 5)] int width)
    {
        foreach (int lanes in channels <= 4 ? new[] { 16, channels } : [16])
        {
            using TestImages source = TestImages.Random(2, channels, 3, width, new(1), lanes);
            using TestImages destination = TestImages.Destination(2, channels, 3, width, new(0, 2, 1, 0), lanes);
            Softmax.Channels(source.View, destination.View);
            float[] x = source.ToNchw();
            double[] expected = new double[x.Length];
            for (int pixel = 0; pixel < 2 * 3 * width; pixel++)
            {
                int first = (pixel / (3 * width) * channels * 3 * width) + (pixel % (3 * width));
                double[] one = SoftmaxReference([.. Enumerable.Range(0, channels).Select(c => x[first + (c * 3 * width)])]);
                for (int c = 0; c < channels; c++)
                    expected[first + (c * 3 * width)] = one[c];
            }

            destination.AssertClose(expected, 3e-6, expected);
            source.AssertNothingElseWritten();
        }
    }

    [Test]
    public void SoftmaxOfSpecialNumbersIsAsInPyTorch()
    {
        float[] nan = [1f, float.NaN, 2f], infinite = [1f, float.PositiveInfinity, 2f, 0f, 0f], nothing = [.. Enumerable.Repeat(float.NegativeInfinity, 20)];
        float[] masked = [.. Enumerable.Repeat(float.NegativeInfinity, 20)];
        masked[3] = -5f;
        float[] huge = [float.MaxValue, float.MinValue, float.MaxValue];
        foreach (float[] row in new[] { nan, infinite, nothing, masked, huge })
            Softmax.Rows(row, row.Length);
        Assert.Multiple(() =>
        {
            Assert.That(nan, Is.All.NaN);
            Assert.That(infinite, Is.All.NaN);
            Assert.That(nothing, Is.All.NaN);
            Assert.That(masked, Is.EqualTo(Enumerable.Range(0, 20).Select(i => i == 3 ? 1f : 0f)).Within(1e-37f));
            Assert.That(huge, Is.EqualTo(new[] { 0.5f, 0f, 0.5f }).Within(1e-37f));
        });
    }

    [Test]
    public void InstancesAreNormalised([Values(1, 3, 16, 21)] int channels, [Values(0f, 1000f)] float mean, [Values] bool halo)
    {
        foreach (int lanes in channels <= 4 ? new[] { 16, channels } : [16])
        {
            float[] x = [.. TestImages.Floats(2 * channels * 11 * 7, 4).Select(v => v + mean)];
            using TestImages source = TestImages.Of(x, 2, channels, 11, 7, halo ? new(1) : default, lanes);
            using TestImages destination = TestImages.Destination(2, channels, 11, 7, new(0, 0, 1, 0), lanes);
            float[] scale = TestImages.Floats(channels, 5), shift = TestImages.Floats(channels, 6);
            InstanceNormalization.Run(source.View, scale, shift, 1e-5f, Activation.LeakyRelu(0.1f), destination.View);
            double[] expected = [.. x.Chunk(77).SelectMany((map, index) =>
            {
                double average = map.Average(v => (double)v), variance = map.Average(v => (v - average) * (v - average));
                return map.Select(v => ConvolutionReference.Apply(
                    Activation.LeakyRelu(0.1f), (scale[index % channels] * (v - average) / Math.Sqrt(variance + 1e-5f)) + shift[index % channels]));
            })];
            destination.AssertClose(expected, 2e-6);
        }
    }

    [Test]
    public void AnyNumberOfThreadsGivesTheSameBits([Values(2, 3, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        using TestImages source = TestImages.Random(2, 40, 20, 21);
        Check((in BlockedImages to, WorkerPool? on) => Lrn.Run(source.View, to, 5, pool: on));
        Check((in BlockedImages to, WorkerPool? on) => Softmax.Channels(source.View, to, on));
        Check((in BlockedImages to, WorkerPool? on) => InstanceNormalization.Run(source.View, new float[40], new float[40], 0f, Activation.None, to, on));
        float[] rows = TestImages.Floats(300 * 100, 1), others = [.. rows];
        Softmax.Rows(rows, 100);
        Softmax.Rows(others, 100, pool);
        Images.AssertSame(others, rows);

        void Check(Operator run)
        {
            using TestImages serial = TestImages.Destination(2, 40, 20, 21);
            using TestImages parallel = TestImages.Destination(2, 40, 20, 21);
            run(serial.View, null);
            run(parallel.View, pool);
            Images.AssertSame(parallel.ToNchw(), serial.ToNchw());
        }
    }

    [Test]
    public void MapsMayBeOverwritten()
    {
        Check((in BlockedImages from, in BlockedImages to) => Lrn.Run(from, to, 5, 0.5f, 0.75f, 2f));
        Check((in BlockedImages from, in BlockedImages to) => Softmax.Channels(from, to));
        Check((in BlockedImages from, in BlockedImages to) => InstanceNormalization.Run(from, TestImages.Floats(21, 1), TestImages.Floats(21, 2), 1e-5f, Activation.Silu, to));
        Check((in BlockedImages from, in BlockedImages to) => ChannelOps.Add(from, from, to, Activation.Relu));
        Check((in BlockedImages from, in BlockedImages to) => ChannelOps.ScaleShift(from, TestImages.Floats(21, 3), [], Activation.Tanh, to));

        static void Check(MapOperator run)
        {
            using TestImages source = TestImages.Random(2, 21, 9, 19, new(1));
            using TestImages destination = TestImages.Destination(2, 21, 9, 19, new(1));
            run(source.View, destination.View);
            run(source.View, source.View);
            Assert.That(source.ToNchw(), Is.EqualTo(destination.ToNchw()));
            source.AssertNothingElseWritten();
        }
    }

    [Test]
    public void BadOperandsAreNamed()
    {
        using TestImages source = TestImages.Random(1, 5, 6, 6);
        using TestImages other = TestImages.Destination(1, 5, 6, 5);
        using TestImages none = TestImages.Random(0, 5, 6, 6);
        Assert.Multiple(() =>
        {
            Assert.That(() => Lrn.Run(source.View, other.View, 5), Throws.ArgumentException.With.Property("ParamName").EqualTo("destination"));
            Assert.That(() => Lrn.Run(source.View, source.View, 0), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("size"));
            Assert.That(() => Lrn.Run(source.View, source.View, 5, -1f), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("alpha"));
            Assert.That(() => Lrn.Run(source.View, source.View, 5, bias: 0f), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("bias"));
            Assert.That(() => Softmax.Channels(source.View, other.View), Throws.ArgumentException);
            Assert.That(() => Softmax.Rows(new float[7], 2), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("columns"));
            Assert.That(
                () => InstanceNormalization.Run(source.View, new float[5], new float[4], 0f, Activation.None, source.View),
                Throws.ArgumentException.With.Property("ParamName").EqualTo("shift"));
            Assert.That(() => Lrn.Run(none.View, none.View, 5), Throws.Nothing);
            Assert.That(() => Softmax.Channels(none.View, none.View), Throws.Nothing);
            Assert.That(() => Softmax.Rows([], 3), Throws.Nothing);
        });
    }

    private delegate void MapOperator(in BlockedImages source, in BlockedImages destination);

    private delegate void Operator(in BlockedImages destination, WorkerPool? pool);

    private static double[] SoftmaxReference(float[] x)
    {
        double largest = x.Max();
        double[] powers = [.. x.Select(v => Math.Exp(v - largest))];
        double sum = powers.Sum();
        return [.. powers.Select(p => p / sum)];
    }

    private static double[] LrnReference(float[] x, int channels, int pixels, int size, double alpha, double beta, double bias)
    {
        double[] result = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            int c = i / pixels % channels;
            double sum = 0;
            for (int other = Math.Max(0, c - ((size - 1) / 2)); other <= Math.Min(channels - 1, c + (size / 2)); other++)
                sum += Math.Pow(x[i + ((other - c) * pixels)], 2);
            result[i] = x[i] / Math.Pow(bias + (alpha / size * sum), beta);
        }

        return result;
    }
}
