using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>The direct convolution at all levels, and what <see cref="Convolution2D"/> accepts.</summary>
public sealed class Convolution2DTests(IsaLevel level) : IsaFixture(level)
{
    // Images, channels in and out, kernel, stride, dilation, groups, map, padding.
    private static readonly Case[] Cases =
    [
        new(1, 16, 16, 3, 3, 1, 1, 1, 1, 1, 9, 12, new(1)),
        new(2, 64, 48, 3, 3, 1, 1, 1, 1, 1, 7, 7, new(1)),
        new(1, 3, 64, 7, 7, 2, 2, 1, 1, 1, 23, 26, new(3)),
        new(1, 3, 20, 3, 3, 1, 1, 1, 1, 1, 6, 31, new(1)),
        new(3, 1, 8, 5, 5, 1, 1, 1, 1, 1, 10, 9, new(2, 1, 1, 2)),
        new(1, 4, 5, 2, 3, 1, 2, 2, 2, 1, 11, 12, new(0, 1, 2, 3)),
        new(1, 70, 33, 1, 1, 1, 1, 1, 1, 1, 13, 15, default),
        new(2, 400, 17, 1, 1, 1, 1, 1, 1, 1, 5, 10, default),
        new(1, 32, 32, 1, 1, 2, 2, 1, 1, 1, 14, 14, default),
        new(1, 14, 130, 1, 7, 1, 1, 1, 1, 1, 4, 20, new(0, 3, 0, 3)),
        new(1, 21, 30, 7, 1, 1, 1, 1, 1, 1, 20, 5, new(3, 0, 3, 0)),
        new(1, 40, 16, 3, 3, 1, 1, 2, 3, 1, 12, 12, new(2, 3, 2, 3)),
        new(1, 12, 24, 3, 3, 1, 1, 1, 1, 4, 8, 8, new(1)),
        new(2, 48, 48, 3, 3, 2, 1, 1, 1, 3, 9, 10, new(1)),
        new(1, 64, 64, 3, 3, 1, 1, 1, 1, 16, 8, 9, new(1)),
        new(1, 10, 40, 3, 2, 1, 1, 1, 1, 5, 6, 7, new(1)),
        new(1, 30, 30, 3, 3, 1, 1, 1, 1, 30, 6, 8, new(1)),
        new(1, 16, 20, 2, 2, 40, 37, 1, 1, 1, 85, 110, default),
        new(1, 20, 33, 1, 5, 1, 1, 1, 1, 1, 1, 1000, new(0, 2, 0, 2)),
        new(1, 200, 70, 3, 3, 1, 1, 1, 1, 1, 31, 33, new(1)),
        new(0, 16, 16, 3, 3, 1, 1, 1, 1, 1, 5, 5, new(1)),
    ];

    private static IEnumerable<int> Indices => Enumerable.Range(0, Cases.Length);

    [TestCaseSource(nameof(Indices))]
    public void DirectAgreesWithTheDoubleReference(int index)
    {
        Case problem = Cases[index];
        foreach (bool withResidual in new[] { false, true })
        {
            Activation activation = index % 3 == 0 ? Activation.None : index % 3 == 1 ? Activation.Clip(-1.25f, 3f) : Activation.Silu;
            using Convolution2D layer = problem.Layer(activation);
            Assert.That(layer.WeightBytes, Is.AtLeast(sizeof(float) * (problem.Shape.Groups == 1 ? problem.Shape.WeightCount : 1)));
            foreach (int lanes in new[] { BlockedImages.Block, problem.Shape.InputChannels }.Distinct().Where(l => l is BlockedImages.Block or <= BlockedImages.MostInterleaved))
            {
                using TestImages source = problem.Source(problem.Shape.Padding.Union(new(0, 2, 1, 0)), lanes), residual = problem.Residual();
                using TestImages destination = problem.Destination(new(1, 0, 2, 3));
                if (withResidual)
                    layer.Run(source.View, residual.View, destination.View);
                else
                    layer.Run(source.View, destination.View);
                destination.AssertClose(problem.Expected(withResidual, activation), problem.Tolerance, problem.Magnitudes(withResidual), $"{problem} lanes {lanes} residual {withResidual}");
                source.AssertNothingElseWritten();
            }
        }
    }

    [TestCaseSource(nameof(Indices))]
    public void ThreadsDoNotChangeABit(int index)
    {
        Case problem = Cases[index];
        using Convolution2D layer = problem.Layer(Activation.Relu);
        using TestImages source = problem.Source(problem.Shape.Padding, BlockedImages.Block), alone = problem.Destination(default);
        layer.Run(source.View, alone.View);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            using TestImages together = problem.Destination(new(1)); // another layout of the output, too
            layer.Run(source.View, together.View, pool);
            Assert.That(together.ToNchw(), Is.EqualTo(alone.ToNchw()));
        }
    }

    [TestCaseSource(nameof(Indices))]
    public void TheResidualMayBeTheDestination(int index)
    {
        Case problem = Cases[index];
        using Convolution2D layer = problem.Layer(Activation.Relu);
        using TestImages source = problem.Source(problem.Shape.Padding, BlockedImages.Block), destination = problem.Residual();
        layer.Run(source.View, destination.View, destination.View);
        destination.AssertClose(problem.Expected(true, Activation.Relu), problem.Tolerance, problem.Magnitudes(true));
    }

    [Test]
    public unsafe void NaNReachesTheOutputsWhoseWindowCoversIt()
    {
        Case problem = Cases[1];
        using Convolution2D layer = problem.Layer(Activation.Relu);
        float[] values = problem.Values();
        values[(3 * 7) + 3] = float.NaN; // image 0, channel 0
        using TestImages source = TestImages.Of(values, 2, 64, 7, 7, new(1)), destination = problem.Destination(default);
        layer.Run(source.View, destination.View);
        float[] results = destination.ToNchw();
        for (int i = 0; i < results.Length; i++)
        {
            int row = i / 7 % 7, column = i % 7;
            bool covered = i < results.Length / 2 && Math.Abs(row - 3) <= 1 && Math.Abs(column - 3) <= 1;
            Assert.That(float.IsNaN(results[i]), Is.EqualTo(covered), $"element {i}");
        }

        destination.AssertNothingElseWritten();
    }

    [Test]
    public void HugeValuesOverflowToInfinity()
    {
        Case problem = new(1, 16, 16, 1, 1, 1, 1, 1, 1, 1, 2, 3, default);
        float[] values = new float[16 * 6];
        values.AsSpan(0, 6).Fill(3e38f);
        float[] weights = new float[256];
        weights.AsSpan().Fill(10f);
        using Convolution2D layer = new(problem.Shape, weights, [], Activation.None, 2, 3, ConvolutionAlgorithm.Direct);
        using TestImages source = TestImages.Of(values, 1, 16, 2, 3), destination = problem.Destination(default);
        layer.Run(source.View, destination.View);
        Assert.That(destination.ToNchw(), Is.All.EqualTo(float.PositiveInfinity));
    }

    [Test]
    public void BadInputIsNamed()
    {
        Case problem = Cases[0];
        ConvolutionShape shape = problem.Shape;
        float[] weights = new float[shape.WeightCount];
        Assert.Multiple(() =>
        {
            Assert.That(() => new Convolution2D(null!, weights, [], default, 1, 1), Throws.ArgumentNullException);
            Assert.That(() => new Convolution2D(shape with { StrideX = 0 }, weights, [], default, 1, 1), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("StrideX"));
            Assert.That(() => new Convolution2D(shape with { Groups = 3 }, weights, [], default, 1, 1), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("16"));
            Assert.That(() => new Convolution2D(shape with { Padding = new(0, -1, 0, 0) }, weights, [], default, 1, 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => new Convolution2D(shape, weights.AsSpan(1), [], default, 1, 1), Throws.ArgumentException.With.Message.Contains("2303"));
            Assert.That(() => new Convolution2D(shape, weights, new float[3], default, 1, 1), Throws.ArgumentException.With.Message.Contains("3 biases"));
            Assert.That(() => new Convolution2D(shape, weights, [], new((ActivationKind)99), 1, 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => new Convolution2D(shape, weights, [], default, 0, 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => new Convolution2D(shape, weights, [], default, 1, 1, (ConvolutionAlgorithm)99), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => new Convolution2D(shape, weights, [], default, 1, 1, ConvolutionAlgorithm.Depthwise), Throws.ArgumentException.With.Message.Contains("Depthwise"));
            Assert.That(() => new Convolution2D(Cases[2].Shape, new float[Cases[2].Shape.WeightCount], [], default, 1, 1, ConvolutionAlgorithm.Winograd4), Throws.ArgumentException);
        });

        using Convolution2D layer = problem.Layer(Activation.None);
        using TestImages source = problem.Source(new(1), 16), bare = problem.Source(default, 16), destination = problem.Destination(default);
        using TestImages small = TestImages.Random(1, 16, 2, 2, new(1)), other = TestImages.Random(1, 15, 9, 12, new(1)), interleaved = TestImages.Random(1, 4, 9, 12, new(1), 4);
        Assert.Multiple(() =>
        {
            Assert.That(() => layer.Run(bare.View, destination.View), Throws.ArgumentException.With.Message.Contains("halo"));
            Assert.That(() => layer.Run(other.View, destination.View), Throws.ArgumentException.With.Message.Contains("15 channels"));
            Assert.That(() => layer.Run(interleaved.View, destination.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("source"));
            Assert.That(() => layer.Run(small.View, destination.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("destination"));
            Assert.That(() => layer.Run(source.View, small.View, destination.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("residual"));
        });
    }

    [Test]
    public void TilesMakeUpEveryLine()
    {
        foreach ((int wide, int medium, int low) in new[] { (6, 5, 4), (12, 8, 7), (12, 12, 12) })
        {
            for (nint count = 1; count < 400; count++)
            {
                TileHeights heights = new(count, wide, medium, low);
                Assert.That((heights.Wide * wide) + (heights.Medium * medium) + (heights.Low * low) + heights.Rest, Is.EqualTo(count));
                Assert.That(heights.Rest, Is.LessThan(low));
                nint tiles = heights.Wide + heights.Medium + heights.Low + (heights.Rest > 0 ? 1 : 0);
                Assert.That(tiles, Is.LessThanOrEqualTo((count / wide) + 2), $"{count} by {wide}");
            }
        }
    }

    private sealed record Case(int Images, int Inputs, int Outputs, int KernelHeight, int KernelWidth, int StrideY, int StrideX, int DilationY, int DilationX, int Groups, int Height, int Width, Margins Padding)
    {
        public ConvolutionShape Shape { get; } = new()
        {
            InputChannels = Inputs,
            OutputChannels = Outputs,
            KernelHeight = KernelHeight,
            KernelWidth = KernelWidth,
            StrideY = StrideY,
            StrideX = StrideX,
            DilationY = DilationY,
            DilationX = DilationX,
            Groups = Groups,
            Padding = Padding,
        };

        public double Tolerance => (Shape.GroupInputs * KernelHeight * KernelWidth + 4) * Math.ScaleB(1, -24) + 1e-6;

        private int Rows => Shape.OutputHeight(Height);

        private int Columns => Shape.OutputWidth(Width);

        public float[] Values() => TestImages.Floats(Images * Inputs * Height * Width, 3);

        public Convolution2D Layer(Activation activation) => new(Shape, Weights(), Bias(), activation, Rows, Columns, ConvolutionAlgorithm.Direct);

        public TestImages Source(Margins halo, int lanes) => TestImages.Of(Values(), Images, Inputs, Height, Width, halo, lanes);

        public TestImages Residual() => TestImages.Random(Images, Outputs, Rows, Columns, new(0, 1, 0, 1), seed: 4);

        public TestImages Destination(Margins halo) => TestImages.Destination(Images, Outputs, Rows, Columns, halo);

        public double[] Expected(bool withResidual, Activation activation) =>
            ConvolutionReference.Convolve(Shape, Values(), Images, Height, Width, Weights(), Bias(), withResidual ? ResidualValues() : [], activation);

        public double[] Magnitudes(bool withResidual) =>
            ConvolutionReference.Magnitudes(Shape, Values(), Images, Height, Width, Weights(), Bias(), withResidual ? ResidualValues() : []);

        private float[] Weights() => TestImages.Floats((int)Shape.WeightCount, 1);

        private float[] Bias() => TestImages.Floats(Outputs, 2);

        private float[] ResidualValues() => TestImages.Floats(Images * Outputs * Rows * Columns, 4);
    }
}
