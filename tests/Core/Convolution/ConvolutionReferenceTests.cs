namespace EmbeddingKernels.Core.Tests;

/// <summary>The reference convolutions on cases that are worked out by hand, and against each other.</summary>
public sealed class ConvolutionReferenceTests
{
    [Test]
    public void OnesCountTheWindowsPixels()
    {
        // A 3 x 3 window of ones over a 3 x 4 map of ones with a padding of 1 counts the pixels inside.
        ConvolutionShape shape = new()
        {
            InputChannels = 1,
            OutputChannels = 1,
            KernelHeight = 3,
            KernelWidth = 3,
            Padding = new(1),
        };
        double[] result = ConvolutionReference.Convolve(shape, Ones(12), 1, 3, 4, Ones(9), [0.5f]);
        Assert.That(result, Is.EqualTo(new[] { 4.5, 6.5, 6.5, 4.5, 6.5, 9.5, 9.5, 6.5, 4.5, 6.5, 6.5, 4.5 }));
    }

    [Test]
    public void StrideDilationPaddingAndGroupsSelectThePixels()
    {
        // Two groups of one channel, a 1 x 2 window with dilation 2, stride 2, one column of padding on the left only.
        ConvolutionShape shape = new()
        {
            InputChannels = 2,
            OutputChannels = 2,
            KernelHeight = 1,
            KernelWidth = 2,
            StrideX = 2,
            DilationX = 2,
            Groups = 2,
            Padding = new(0, 1, 0, 0),
        };
        double[] result = ConvolutionReference.Convolve(shape, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 1, 1, 5, [1, 10, 100, 1000]);
        Assert.That(result, Is.EqualTo(new double[] { 20, 42, 7000, 700 + 9000 }));
    }

    [Test]
    public void TransposedConvolutionIsTheAdjoint()
    {
        // <convolution(x), y> = <x, transposed convolution(y)> with the same weights.
        TransposedConvolutionShape transposed = new()
        {
            InputChannels = 4,
            OutputChannels = 6,
            KernelHeight = 3,
            KernelWidth = 2,
            StrideY = 2,
            StrideX = 3,
            DilationY = 2,
            Groups = 2,
            Padding = new(1, 0, 2, 1),
            OutputPaddingY = 1,
            OutputPaddingX = 2,
        };
        (int height, int width) = (5, 4);
        (int rows, int columns) = (transposed.OutputHeight(height), transposed.OutputWidth(width));
        Assert.That((rows, columns), Is.EqualTo((8 + 5 + 1 - 3, 9 + 2 + 2 - 1)));
        float[] y = TestImages.Floats(4 * height * width, 1), weights = TestImages.Floats((int)transposed.WeightCount, 2), x = TestImages.Floats(6 * rows * columns, 3);
        Assert.That((transposed.Forward.OutputHeight(rows), transposed.Forward.OutputWidth(columns)), Is.EqualTo((height, width)));
        double[] forward = ConvolutionReference.Convolve(transposed.Forward, x, 1, rows, columns, weights);
        double[] back = ConvolutionReference.ConvolveTransposed(transposed, y, 1, height, width, weights);
        Assert.That(back.Zip(x, (a, b) => a * b).Sum(), Is.EqualTo(forward.Zip(y, (a, b) => a * b).Sum()).Within(1e-10));
    }

    [Test]
    public void ResidualComesBeforeTheActivation()
    {
        ConvolutionShape shape = new()
        {
            InputChannels = 1,
            OutputChannels = 1,
            KernelHeight = 1,
            KernelWidth = 1,
        };
        double[] result = ConvolutionReference.Convolve(shape, [1, -3], 1, 1, 2, [2], [1], [-4, 6], Activation.Relu);
        Assert.That(result, Is.EqualTo(new double[] { 0, 1 }));
    }

    [Test]
    public void ActivationsAreTheirFormulas()
    {
        Assert.Multiple(() =>
        {
            Assert.That(ConvolutionReference.Apply(Activation.Relu6, 7), Is.EqualTo(6));
            Assert.That(ConvolutionReference.Apply(Activation.LeakyRelu(0.1f), -2), Is.EqualTo(-0.2).Within(1e-7));
            Assert.That(ConvolutionReference.Apply(Activation.HardSigmoid(), 1), Is.EqualTo(0.7).Within(1e-7));
            Assert.That(ConvolutionReference.Apply(Activation.HardSwish, -1), Is.EqualTo(-1.0 / 3).Within(1e-15));
            Assert.That(ConvolutionReference.Apply(Activation.Silu, 1), Is.EqualTo(0.7310585786300049).Within(1e-15));
            foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
                Assert.That(ConvolutionReference.Apply(new(kind, 0f, 1f), double.NaN), Is.NaN, kind.ToString());
        });
    }

    private static float[] Ones(int count) => [.. Enumerable.Repeat(1f, count)];
}
