using EmbeddingKernels.TestSupport;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

public sealed class TransposedConvolutionTests(IsaLevel level) : IsaFixture(level)
{
    public sealed record Problem(TransposedConvolutionShape Shape, int Images, int Height, int Width, int Seed);

    private static readonly Gen<Problem> Cases =
        from groups in Gen.Choose(1, 3)
        from inputs in Gen.Choose(1, 9)
        from outputs in Gen.Choose(1, 9)
        from kernel in Gen.Choose(1, 5).Two()
        from stride in Gen.Choose(1, 4).Two()
        from dilation in Gen.Choose(1, 3).Two()
        from padding in Gen.Choose(0, 5).Four()
        from output in Gen.Choose(0, 3).Two()
        from images in Gen.Choose(0, 2)
        from size in Gen.Choose(1, 6).Two()
        from seed in Gen.Choose(0, 1 << 20)
        select new Problem(
            new()
            {
                InputChannels = groups * inputs,
                OutputChannels = groups * outputs,
                KernelHeight = kernel.Item1,
                KernelWidth = kernel.Item2,
                StrideY = stride.Item1,
                StrideX = stride.Item2,
                DilationY = dilation.Item1,
                DilationX = dilation.Item2,
                Padding = new(padding.Item1, padding.Item2, padding.Item3, padding.Item4),
                OutputPaddingY = Math.Min(output.Item1, Math.Max(stride.Item1, dilation.Item1) - 1),
                OutputPaddingX = Math.Min(output.Item2, Math.Max(stride.Item2, dilation.Item2) - 1),
                Groups = groups,
            },
            images,
            size.Item1,
            size.Item2,
            seed);

    private static IEnumerable<TestCaseData> Layers
    {
        get
        {
            TransposedConvolutionShape layer = new() { InputChannels = 20, OutputChannels = 33, KernelHeight = 4, KernelWidth = 4 };
            yield return new(layer with { StrideY = 2, StrideX = 2, Padding = new(1) }, 7, 9); // GANs
            yield return new(layer with { KernelHeight = 2, KernelWidth = 2, StrideY = 2, StrideX = 2 }, 8, 8); // U-Net
            yield return new(layer with { KernelHeight = 3, KernelWidth = 3, Padding = new(1) }, 12, 13);
            yield return new(layer with { KernelHeight = 1, KernelWidth = 9, StrideX = 4, Padding = new(0, 3, 0, 2), OutputPaddingX = 1 }, 1, 21); // one dimension
            yield return new(layer with { KernelHeight = 1, KernelWidth = 1, StrideY = 2, StrideX = 3, OutputPaddingX = 2 }, 5, 5); // outputs without a weight
            yield return new(layer with { InputChannels = 33, Groups = 33, StrideY = 2, StrideX = 2 }, 5, 5); // depthwise
        }
    }

    [Test]
    public void RandomShapesAgreeWithTheDoubleReference()
    {
        int computed = 0;
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            if (c.Shape.OutputHeight(c.Height) > 0 && c.Shape.OutputWidth(c.Width) > 0)
            {
                Check(c.Shape, c.Images, c.Height, c.Width, c.Seed, Activation.None);
                computed++;
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(150));
        Assert.That(computed, Is.GreaterThan(30));
    }

    [TestCaseSource(nameof(Layers))]
    public void UsualLayersAgreeWithTheDoubleReference(TransposedConvolutionShape shape, int height, int width)
    {
        Check(shape, 2, height, width, 5, Activation.None);
        Check(shape, 1, height, width, 6, Activation.LeakyRelu(0.2f));
        Check(shape, 1, height, width, 7, Activation.Sigmoid);
    }

    [Test]
    public void AnyNumberOfThreadsGivesTheSameBits([Values(2, 3, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        TransposedConvolutionShape shape = new() { InputChannels = 40, OutputChannels = 50, KernelHeight = 5, KernelWidth = 4, StrideY = 2, StrideX = 3 };
        using TransposedConvolution2D layer = new(shape, TestImages.Floats((int)shape.WeightCount, 1), [], Activation.Relu, 40, 40);
        using TestImages source = TestImages.Random(2, 40, 14, 15, layer.Halo);
        using TestImages serial = TestImages.Destination(2, 50, shape.OutputHeight(14), shape.OutputWidth(15));
        using TestImages parallel = TestImages.Destination(2, 50, shape.OutputHeight(14), shape.OutputWidth(15));
        layer.Run(source.View, serial.View);
        layer.Run(source.View, parallel.View, pool);
        Images.AssertSame(parallel.ToNchw(), serial.ToNchw());
    }

    [Test]
    public void NaNReachesTheOutputsThatItsPixelMakes()
    {
        TransposedConvolutionShape shape = new() { InputChannels = 1, OutputChannels = 2, KernelHeight = 2, KernelWidth = 2, StrideY = 3, StrideX = 3, OutputPaddingY = 1 };
        using TransposedConvolution2D layer = new(shape, TestImages.Floats(8, 1), [], Activation.None, 9, 9);
        float[] x = TestImages.Floats(9, 2);
        x[4] = float.NaN;
        using TestImages source = TestImages.Of(x, 1, 1, 3, 3, layer.Halo);
        using TestImages destination = TestImages.Destination(1, 2, 9, 8);
        layer.Run(source.View, destination.View);
        Images.AssertClose(destination.ToNchw(), ConvolutionReference.ConvolveTransposed(shape, x, 1, 3, 3, TestImages.Floats(8, 1)), 1e-6);
        Assert.That(destination.ToNchw().Count(float.IsNaN), Is.EqualTo(8));
    }

    [Test]
    public void BadArgumentsAreNamed()
    {
        TransposedConvolutionShape shape = new() { InputChannels = 4, OutputChannels = 6, KernelHeight = 3, KernelWidth = 3, StrideY = 2, StrideX = 2 };
        float[] weights = new float[shape.WeightCount];
        Assert.Multiple(() =>
        {
            Assert.That(() => Make(shape, weights[1..], []), Throws.ArgumentException.With.Property("ParamName").EqualTo("weights"));
            Assert.That(() => Make(shape, weights, new float[4]), Throws.ArgumentException.With.Property("ParamName").EqualTo("bias"));
            Assert.That(() => Make(shape with { Groups = 4 }, weights, []), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("4 input and 6 output"));
            Assert.That(() => Make(shape with { StrideX = 0 }, weights, []), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("StrideX"));
            Assert.That(() => Make(shape with { OutputPaddingY = 2 }, weights, []), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("OutputPaddingY"));
            Assert.That(() => Make(shape, weights, [], ConvolutionAlgorithm.Winograd2), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("algorithm"));
        });
        using TransposedConvolution2D layer = Make(shape, weights, []);
        using TestImages source = TestImages.Random(1, 4, 5, 5, layer.Halo);
        using TestImages bare = TestImages.Random(1, 4, 5, 5);
        using TestImages channels = TestImages.Random(1, 5, 5, 5, layer.Halo);
        using TestImages destination = TestImages.Destination(1, 6, 11, 11);
        using TestImages size = TestImages.Destination(1, 6, 11, 10);
        Assert.Multiple(() =>
        {
            Assert.That(() => layer.Run(channels.View, destination.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("source"));
            Assert.That(() => layer.Run(bare.View, destination.View), Throws.ArgumentException.With.Message.Contains("halo"));
            Assert.That(() => layer.Run(source.View, size.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("destination"));
        });
        Assert.That(destination.ToNchw(), Is.All.NaN);
    }

    private static TransposedConvolution2D Make(
        TransposedConvolutionShape shape, float[] weights, float[] bias, ConvolutionAlgorithm algorithm = ConvolutionAlgorithm.Direct) =>
        new(shape, weights, bias, Activation.None, 11, 11, algorithm);

    private static void Check(TransposedConvolutionShape shape, int images, int height, int width, int seed, Activation activation)
    {
        float[] weights = TestImages.Floats((int)shape.WeightCount, seed), bias = TestImages.Floats(shape.OutputChannels, seed + 1);
        using TransposedConvolution2D layer = new(
            shape, weights, bias, activation, shape.OutputHeight(height), shape.OutputWidth(width), ConvolutionAlgorithm.Direct);
        int lanes = shape.InputChannels <= 4 && layer.AcceptsInterleaved && (seed & 1) == 0 ? shape.InputChannels : 16;
        using TestImages source = TestImages.Random(images, shape.InputChannels, height, width, layer.Halo, lanes, seed);
        using TestImages destination = TestImages.Destination(images, shape.OutputChannels, shape.OutputHeight(height), shape.OutputWidth(width), new(1, 0, 0, 2));
        layer.Run(source.View, destination.View);
        double[] expected = ConvolutionReference.ConvolveTransposed(shape, source.ToNchw(), images, height, width, weights, bias, activation);
        double scale = (shape.GroupInputs * shape.KernelHeight * shape.KernelWidth * 4) + 2;
        destination.AssertClose(expected, 1e-6, [.. expected.Select(_ => scale)], $"{shape}, {images} x {height} x {width}");
        source.AssertNothingElseWritten();
    }
}
