using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed class WinogradConvolutionTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly int[] OutputTiles = [2, 4, 6];

    // Images, input channels, output channels, height, width, padding, halo of the source.
    private static readonly (int Images, int Inputs, int Outputs, int Height, int Width, Margins Padding, Margins Halo)[] Shapes =
    [
        (1, 16, 16, 8, 8, new(1), new(1)),
        (1, 1, 1, 1, 1, new(1), default),
        (3, 3, 5, 7, 10, new(1), new(1)),
        (1, 17, 33, 13, 11, new(1), default),
        (2, 32, 80, 6, 6, default, default),
        (1, 5, 70, 3, 3, default, new(2)),
        (1, 20, 16, 5, 9, new(0, 2, 1, 0), new(0, 2, 1, 0)),
        (1, 8, 24, 9, 4, new(2, 0, 3, 5), new(1, 3, 0, 0)),
        (3, 129, 31, 14, 14, new(1), new(1)),
        (1, 300, 20, 7, 7, new(1), new(1)),
        (1, 130, 100, 11, 12, new(1), new(1)),
        (1, 16, 16, 60, 67, new(1), new(1)),
        (0, 16, 16, 5, 5, new(1), new(1)),
    ];

    // Relative to the largest sum of absolute products.
    private static double Tolerance(int outputTile) => outputTile switch
    {
        2 => 1e-6,
        4 => 3e-6,
        _ => 2e-5,
    };

    private static IEnumerable<TestCaseData> Cases =>
        from outputTile in OutputTiles
        from i in Enumerable.Range(0, Shapes.Length)
        select new TestCaseData(outputTile, i);

    [TestCaseSource(nameof(Cases))]
    public void AgreesWithTheDoubleReference(int outputTile, int index)
    {
        (int images, int inputs, int outputs, int height, int width, Margins padding, Margins halo) = Shapes[index];
        Problem problem = new(images, inputs, outputs, height, width, padding, index % 2 == 0 ? Activation.None : Activation.Clip(-1.5f, 2f), halo);
        double[] expected = problem.Expected(withResidual: false);
        using TestImages source = problem.Source();
        using TestImages destination = problem.Destination();
        using WinogradConvolution layer = problem.Layer(outputTile);
        layer.Run(source.View, null, destination.View, WorkerPool.Serial);
        destination.AssertClose(expected, Tolerance(outputTile), problem.Scale(), $"F({outputTile}) {Shapes[index]}");
        source.AssertNothingElseWritten();
        Assert.That(layer.WeightBytes, Is.AtLeast(4L * inputs * outputs * (outputTile + 2) * (outputTile + 2)));
    }

    [Test]
    public void TheResidualMayBeTheDestination([ValueSource(nameof(OutputTiles))] int outputTile, [Values] bool inPlace)
    {
        foreach (Activation activation in new[] { Activation.None, Activation.Relu, Activation.Relu6, Activation.Silu, Activation.LeakyRelu(0.1f) })
        {
            Problem problem = new(2, 19, 37, 9, 10, new(1), activation, new(1));
            using TestImages source = problem.Source();
            using TestImages residual = TestImages.Of(problem.Residual, 2, 37, 9, 10, new(2, 0, 1, 3));
            using TestImages other = problem.Destination();
            TestImages destination = inPlace ? residual : other;
            using WinogradConvolution layer = problem.Layer(outputTile);
            layer.Run(source.View, residual.View, destination.View, WorkerPool.Serial);
            Images.AssertClose(destination.ToNchw(), problem.Expected(withResidual: true), Tolerance(outputTile), problem.Scale());
            if (!inPlace)
                destination.AssertNothingElseWritten();
        }
    }

    // Tiles enough for strips with all numbers of threads, with some, and with one; in the last case they make up two groups.
    [TestCase(16, 20, 61, 43)]
    [TestCase(100, 70, 17, 21)]
    [TestCase(1040, 3, 31, 30)]
    public void AnyNumberOfThreadsGivesTheSameBits(int inputs, int outputs, int height, int width)
    {
        Problem problem = new(2, inputs, outputs, height, width, new(1), Activation.Relu, new(1));
        using TestImages source = problem.Source();
        foreach (int outputTile in inputs < 1000 ? OutputTiles : [4])
        {
            using WinogradConvolution layer = problem.Layer(outputTile);
            float[]? serial = null;
            foreach (int threads in new[] { 1, 2, 3, 7 })
            {
                using WorkerPool pool = new(threads);
                using TestImages destination = problem.Destination();
                layer.Run(source.View, null, destination.View, pool);
                float[] result = destination.ToNchw();
                serial ??= result;
                Assert.That(result.AsSpan().SequenceEqual(serial), Is.True, $"F({outputTile}), {threads} threads");
            }
        }
    }

    // Largest and rms error relative to the output's rms, as the docs state them.
    [TestCase(2, 64, 2e-6, 4e-7)]
    [TestCase(2, 512, 2e-6, 4e-7)]
    [TestCase(4, 64, 9e-6, 1e-6)]
    [TestCase(4, 512, 9e-6, 1e-6)]
    [TestCase(6, 64, 6e-5, 5e-6)]
    [TestCase(6, 512, 6e-5, 5e-6)]
    public void ErrorsAreAsStated(int outputTile, int inputs, double most, double rms)
    {
        const int Extent = 18, Outputs = 16;
        ConvolutionShape shape = new() { InputChannels = inputs, OutputChannels = Outputs, KernelHeight = 3, KernelWidth = 3, Padding = new(1) };
        foreach (bool rectified in new[] { false, true })
        {
            float[] input = Normal(inputs * Extent * Extent, 3);
            float[] weights = Normal(inputs * Outputs * 9, 4);
            for (int i = 0; rectified && i < input.Length; i++)
                input[i] = Math.Max(0, input[i]);
            using TestImages source = TestImages.Of(input, 1, inputs, Extent, Extent, new(1));
            using TestImages destination = TestImages.Destination(1, Outputs, Extent, Extent);
            using WinogradConvolution layer = new(shape, weights, default, default, outputTile);
            layer.Run(source.View, null, destination.View, WorkerPool.Serial);
            (double max, double mean) = Images.Errors(destination.ToNchw(), ConvolutionReference.Convolve(shape, input, 1, Extent, Extent, weights));
            Assert.That(max, Is.LessThan(most));
            Assert.That(mean, Is.LessThan(rms));
        }
    }

    [Test]
    public void NaNShowsWhereItsWindowIsAndStaysInItsTiles([ValueSource(nameof(OutputTiles))] int outputTile)
    {
        const int Extent = 25;
        Problem problem = new(1, 18, 20, Extent, Extent, new(1), Activation.Relu, new(1));
        problem.Input[(17 * Extent * Extent) + (12 * Extent) + 13] = float.NaN;
        using TestImages source = problem.Source();
        using TestImages destination = problem.Destination();
        using WinogradConvolution layer = problem.Layer(outputTile);
        layer.Run(source.View, null, destination.View, WorkerPool.Serial);
        float[] result = destination.ToNchw();
        for (int i = 0; i < result.Length; i++)
        {
            int y = i / Extent % Extent, x = i % Extent;
            if (Math.Abs(y - 12) <= 1 && Math.Abs(x - 13) <= 1)
                Assert.That(result[i], Is.NaN, $"element {i}");
            else if (!Reads(y / outputTile, 12) || !Reads(x / outputTile, 13))
                Assert.That(float.IsFinite(result[i]), $"element {i}");
        }

        // A tile reads one pixel more than its outputs on each side.
        bool Reads(int tile, int pixel) => pixel >= (tile * outputTile) - 1 && pixel <= ((tile + 1) * outputTile);
    }

    // All constants of the transforms are exact, so powers of two come through to the last bit.
    [Test]
    public void HugeAndTinyNumbersScaleExactly([ValueSource(nameof(OutputTiles))] int outputTile)
    {
        Problem problem = new(1, 21, 18, 10, 9, new(1), Activation.None, new(1), bias: false);
        using WinogradConvolution layer = problem.Layer(outputTile);
        float[] plain = Run(problem, layer, 1f);
        foreach (float scale in new[] { MathF.Pow(2, 100), MathF.Pow(2, -60) })
            Assert.That(Run(problem, layer, scale), Is.EqualTo(plain.Select(value => value * scale)), $"{scale}");

        static float[] Run(Problem problem, WinogradConvolution layer, float scale)
        {
            float[] input = [.. problem.Input.Select(value => value * scale)];
            using TestImages source = TestImages.Of(input, 1, 21, 10, 9, new(1));
            using TestImages destination = problem.Destination();
            layer.Run(source.View, null, destination.View, WorkerPool.Serial);
            return destination.ToNchw();
        }
    }

    [Test]
    public void OtherConvolutionsAreRefused()
    {
        ConvolutionShape shape = new() { InputChannels = 4, OutputChannels = 4, KernelHeight = 3, KernelWidth = 3 };
        Assert.That(() => new WinogradConvolution(shape, new float[144], default, default, 3), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("3"));
        Assert.That(() => new WinogradConvolution(shape with { StrideX = 2 }, new float[144], default, default, 4), Throws.ArgumentException.With.Property("ParamName").EqualTo("shape"));
        Assert.That(() => new WinogradConvolution(shape with { Groups = 2 }, new float[72], default, default, 4), Throws.ArgumentException);
    }

    [TestCase(64, 64, 56, 56, ConvolutionAlgorithm.Winograd4)]
    [TestCase(512, 512, 14, 14, ConvolutionAlgorithm.Winograd4)]
    [TestCase(64, 64, 7, 7, ConvolutionAlgorithm.Winograd4)]
    [TestCase(64, 64, 4, 4, ConvolutionAlgorithm.Winograd2)]
    [TestCase(64, 64, 1, 1, ConvolutionAlgorithm.Direct)]
    [TestCase(3, 64, 224, 224, ConvolutionAlgorithm.Direct)]
    [TestCase(64, 3, 224, 224, ConvolutionAlgorithm.Direct)]
    public void TheFastestIsChosen(int inputs, int outputs, int height, int width, ConvolutionAlgorithm expected)
    {
        ConvolutionShape shape = new() { InputChannels = inputs, OutputChannels = outputs, KernelHeight = 3, KernelWidth = 3, Padding = new(1) };
        Assert.That(ConvolutionChoice.Fastest(shape, height, width), Is.EqualTo(expected));
        Assert.That(ConvolutionChoice.Fastest(shape with { StrideX = 2 }, height, width), Is.EqualTo(ConvolutionAlgorithm.Direct));
    }

    private static float[] Normal(int count, int seed)
    {
        Random random = new(seed);
        float[] values = new float[count];
        foreach (ref float value in values.AsSpan())
            value = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        return values;
    }

    private sealed class Problem
    {
        private readonly ConvolutionShape _shape;
        private readonly int _images;
        private readonly int _height;
        private readonly int _width;
        private readonly Activation _activation;
        private readonly Margins _halo;
        private readonly float[] _weights;
        private readonly float[] _bias;

        public Problem(int images, int inputs, int outputs, int height, int width, Margins padding, Activation activation, Margins halo, bool bias = true)
        {
            _shape = new() { InputChannels = inputs, OutputChannels = outputs, KernelHeight = 3, KernelWidth = 3, Padding = padding };
            (_images, _height, _width, _activation, _halo) = (images, height, width, activation, halo);
            Input = TestImages.Floats(images * inputs * height * width, 1);
            _weights = TestImages.Floats(inputs * outputs * 9, 2);
            _bias = bias ? TestImages.Floats(outputs, 3) : [];
            Residual = TestImages.Floats(images * outputs * _shape.OutputHeight(height) * _shape.OutputWidth(width), 4);
        }

        public float[] Input { get; }

        public float[] Residual { get; }

        public double[] Expected(bool withResidual) =>
            ConvolutionReference.Convolve(_shape, Input, _images, _height, _width, _weights, _bias, withResidual ? Residual : default, _activation);

        /// <summary>The largest sum of absolute products, for each output: in a tile the errors of all inputs meet.</summary>
        public double[] Scale()
        {
            double[] magnitudes = ConvolutionReference.Magnitudes(_shape, Input, _images, _height, _width, _weights, _bias);
            Array.Fill(magnitudes, magnitudes.DefaultIfEmpty().Max());
            return magnitudes;
        }

        public TestImages Source() => TestImages.Of(Input, _images, _shape.InputChannels, _height, _width, _halo);

        public TestImages Destination() =>
            TestImages.Destination(_images, _shape.OutputChannels, _shape.OutputHeight(_height), _shape.OutputWidth(_width), new(1, 0, 2, 1));

        public WinogradConvolution Layer(int outputTile) => new(_shape, _weights, _bias, _activation, outputTile);
    }
}
