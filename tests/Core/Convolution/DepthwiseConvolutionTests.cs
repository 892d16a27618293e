using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed class DepthwiseConvolutionTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly Case[] Cases =
    [
        new(1, 16, 3, 3, 1, 1, 1, 1, 8, 8, new(1)),
        new(2, 40, 3, 3, 1, 1, 1, 1, 7, 14, new(1)),
        new(1, 5, 3, 3, 2, 2, 1, 1, 9, 17, new(1)),
        new(1, 20, 3, 3, 2, 2, 1, 1, 14, 14, new(0, 0, 1, 1)),
        new(3, 17, 5, 5, 1, 1, 1, 1, 6, 23, new(2)),
        new(1, 33, 5, 5, 2, 2, 1, 1, 12, 29, new(2)),
        new(1, 2, 1, 1, 1, 1, 1, 1, 3, 5, default),
        new(1, 18, 1, 1, 3, 2, 1, 1, 7, 9, default),
        new(1, 30, 3, 3, 1, 1, 2, 3, 10, 12, new(2, 3, 2, 3)),
        new(1, 16, 7, 7, 1, 1, 1, 1, 9, 10, new(3)),
        new(1, 12, 2, 5, 1, 1, 1, 1, 5, 5, new(0, 4, 1, 0)),
        new(1, 6, 4, 3, 3, 4, 2, 1, 15, 27, new(1, 0, 2, 3)),
        new(1, 9, 1, 3, 1, 1, 1, 1, 1, 40, new(0, 1, 0, 1)),
        new(1, 9, 3, 1, 1, 1, 1, 1, 40, 1, new(1, 0, 1, 0)),
        new(1, 16, 3, 3, 1, 1, 1, 1, 1, 1, new(1)),
        new(0, 16, 3, 3, 1, 1, 1, 1, 5, 5, new(1)),
    ];

    [Test]
    public void AgreesWithTheDoubleReference([Range(0, 15)] int index, [Values] bool withResidual)
    {
        Case problem = Cases[index];
        Activation activation = index % 2 == 0 ? Activation.Relu6 : Activation.None;
        using TestImages source = problem.Source(new(1, 0, 2, 1));
        using TestImages destination = problem.Destination();
        using TestImages residual = TestImages.Of(problem.Residual, problem.Images, problem.Channels, problem.OutputHeight, problem.OutputWidth, new(1));
        using DepthwiseConvolution layer = new(problem.Shape, problem.Weights, problem.Bias, activation);
        layer.Run(source.View, withResidual ? residual.View : null, destination.View, WorkerPool.Serial);
        destination.AssertClose(problem.Expected(activation, withResidual), Tolerance(problem), problem.Magnitudes(), $"{problem}");
        source.AssertNothingElseWritten();
    }

    // Maps of all widths up to several pieces of a row, with each way of walking them.
    [TestCase(3, 1)]
    [TestCase(5, 1)]
    [TestCase(4, 1)]
    [TestCase(3, 2)]
    [TestCase(2, 3)]
    public void AllWidthsAreRight(int kernel, int stride)
    {
        for (int width = 1; width <= 40; width++)
        {
            Case problem = new(1, 17, 2, kernel, 1, stride, 1, 1, 3, (width * stride) + kernel, default);
            using TestImages source = problem.Source(default);
            using TestImages residual = TestImages.Of(problem.Residual, 1, 17, problem.OutputHeight, problem.OutputWidth);
            using DepthwiseConvolution layer = new(problem.Shape, problem.Weights, problem.Bias, default);
            layer.Run(source.View, residual.View, residual.View, WorkerPool.Serial);
            Images.AssertClose(residual.ToNchw(), problem.Expected(default, withResidual: true), Tolerance(problem), problem.Magnitudes(), $"width {width}");
        }
    }

    [TestCaseSource(nameof(LongFunctions))]
    public void FunctionsThatAreNoClipAreApplied(Activation activation)
    {
        Case problem = Cases[1];
        using TestImages source = problem.Source(default);
        using TestImages destination = problem.Destination();
        using DepthwiseConvolution layer = new(problem.Shape, problem.Weights, problem.Bias, activation);
        layer.Run(source.View, null, destination.View, WorkerPool.Serial);
        destination.AssertClose(problem.Expected(activation, withResidual: false), 4e-6);
    }

    [Test]
    public void AnyNumberOfThreadsGivesTheSameBits([Values(2, 3, 7)] int threads)
    {
        foreach (Case problem in new[] { Cases[4], new Case(2, 37, 3, 3, 1, 1, 1, 1, 45, 50, new(1)), new Case(1, 5, 3, 3, 2, 2, 1, 1, 81, 77, new(1)) })
        {
            using TestImages source = problem.Source(default);
            using TestImages serial = problem.Destination();
            using TestImages parallel = problem.Destination();
            using WorkerPool pool = new(threads);
            using DepthwiseConvolution layer = new(problem.Shape, problem.Weights, problem.Bias, Activation.Relu);
            layer.Run(source.View, null, serial.View, WorkerPool.Serial);
            layer.Run(source.View, null, parallel.View, pool);
            Assert.That(parallel.ToNchw().AsSpan().SequenceEqual(serial.ToNchw()), Is.True, $"{problem}");
        }
    }

    [Test]
    public void NaNAndInfinityStayInTheirWindows()
    {
        Case problem = new(1, 18, 3, 3, 1, 1, 1, 1, 9, 21, new(1));
        float[] input = problem.Input;
        input[(17 * 9 * 21) + (4 * 21) + 10] = float.NaN;
        input[(3 * 9 * 21) + 5] = float.PositiveInfinity;
        using TestImages source = problem.Source(default);
        using TestImages destination = problem.Destination();
        using DepthwiseConvolution layer = new(problem.Shape, problem.Weights, problem.Bias, Activation.Relu);
        layer.Run(source.View, null, destination.View, WorkerPool.Serial);
        destination.AssertClose(problem.Expected(Activation.Relu, withResidual: false), Tolerance(problem), problem.Magnitudes());
    }

    [Test]
    public void HugeNumbersAreNoMatter()
    {
        Case problem = Cases[5];
        using DepthwiseConvolution layer = new(problem.Shape, problem.Weights, default, default);
        Assert.That(Run(1e37f), Is.EqualTo(Run(1e37f / MathF.Pow(2, 90)).Select(value => value * MathF.Pow(2, 90))));

        float[] Run(float scale)
        {
            using TestImages source = TestImages.Of(
                problem.Input.Select(value => value * scale).ToArray(), problem.Images, problem.Channels, problem.Height, problem.Width, problem.Padding);
            using TestImages destination = problem.Destination();
            layer.Run(source.View, null, destination.View, WorkerPool.Serial);
            return destination.ToNchw();
        }
    }

    [Test]
    public void OtherConvolutionsAreRefused()
    {
        ConvolutionShape shape = new() { InputChannels = 4, OutputChannels = 8, KernelHeight = 3, KernelWidth = 3, Groups = 4 };
        Assert.That(() => new DepthwiseConvolution(shape, new float[72], default, default), Throws.ArgumentException.With.Property("ParamName").EqualTo("shape"));
    }

    private static IEnumerable<Activation> LongFunctions =>
        [Activation.Silu, Activation.Sigmoid, Activation.HardSwish, Activation.Tanh, Activation.LeakyRelu(0.2f), Activation.HardSigmoid()];

    private static double Tolerance(Case problem) => (problem.KernelHeight * problem.KernelWidth + 2) * Math.Pow(2, -24);

    private sealed record Case(
        int Images, int Channels, int KernelHeight, int KernelWidth, int StrideY, int StrideX, int DilationY, int DilationX, int Height, int Width, Margins Padding)
    {
        private float[]? _input;

        public ConvolutionShape Shape => new()
        {
            InputChannels = Channels,
            OutputChannels = Channels,
            Groups = Channels,
            KernelHeight = KernelHeight,
            KernelWidth = KernelWidth,
            StrideY = StrideY,
            StrideX = StrideX,
            DilationY = DilationY,
            DilationX = DilationX,
            Padding = Padding,
        };

        public int OutputHeight => Shape.OutputHeight(Height);

        public int OutputWidth => Shape.OutputWidth(Width);

        public float[] Input => _input ??= TestImages.Floats(Images * Channels * Height * Width, 1);

        public float[] Weights => TestImages.Floats(Channels * KernelHeight * KernelWidth, 2);

        public float[] Bias => TestImages.Floats(Channels, 3);

        public float[] Residual => TestImages.Floats(Images * Channels * OutputHeight * OutputWidth, 4);

        public double[] Expected(Activation activation, bool withResidual) =>
            ConvolutionReference.Convolve(Shape, Input, Images, Height, Width, Weights, Bias, withResidual ? Residual : default, activation);

        public double[] Magnitudes() => ConvolutionReference.Magnitudes(Shape, Input, Images, Height, Width, Weights, Bias, Residual);

        public TestImages Source(Margins more) => TestImages.Of(
            Input, Images, Channels, Height, Width, new(Padding.Top + more.Top, Padding.Left + more.Left, Padding.Bottom + more.Bottom, Padding.Right + more.Right));

        public TestImages Destination() => TestImages.Destination(Images, Channels, OutputHeight, OutputWidth, new(0, 1, 1, 2));
    }
}
