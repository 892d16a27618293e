using EmbeddingKernels.TestSupport;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

public sealed class PoolingTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly PoolingShape[] Shapes =
    [
        Square(2, 2, 0),
        Square(3, 2, 0),
        Square(3, 2, 1),
        Square(3, 1, 1),
        Square(2, 1, 0),
        Square(1, 2, 0),
        Square(5, 3, 2),
        Square(3, 1, 2) with { DilationY = 2, DilationX = 2 },
        Square(2, 2, 0) with { DilationX = 3 },
        new() { KernelHeight = 3, KernelWidth = 2, StrideY = 1, StrideX = 3, Padding = new(2, 0, 0, 1) },
        new() { KernelHeight = 1, KernelWidth = 4, StrideY = 2, StrideX = 2, Padding = new(0, 1, 0, 2) },
        new() { KernelHeight = 4, KernelWidth = 3, StrideY = 2, StrideX = 1, DilationX = 2, Padding = new(0, 3, 3, 0) },
    ];

    private static IEnumerable<TestCaseData> Cases =>
        from shape in Shapes
        from size in new (int Images, int Channels, int Height, int Width)[] { (1, 16, 7, 7), (2, 19, 8, 11), (1, 3, 9, 6) }
        from ceil in new[] { false, true }
        select new TestCaseData(shape, size.Images, size.Channels, size.Height, size.Width, ceil);

    [TestCaseSource(nameof(Cases))]
    public void WindowsAgreeWithTheDoubleReference(PoolingShape shape, int images, int channels, int height, int width, bool ceil)
    {
        foreach (int lanes in channels <= BlockedImages.MostInterleaved ? new[] { BlockedImages.Block, channels } : [BlockedImages.Block])
        {
            using TestImages source = TestImages.Random(images, channels, height, width, new(1, 2, 0, 1), lanes);
            using TestImages destination = TestImages.Destination(
                images, channels, shape.OutputHeight(height, ceil), shape.OutputWidth(width, ceil), new(0, 1, 1, 0), lanes);
            Pooling.Max(source.View, destination.View, shape);
            destination.AssertClose(Reference(source, destination, shape, ceil, null), 0, what: "max");
            foreach (bool countPad in new[] { false, true })
            {
                Pooling.Average(source.View, destination.View, shape, countPad);
                destination.AssertClose(Reference(source, destination, shape, ceil, countPad), 1e-6, what: $"average, padding counts {countPad}");
            }

            source.AssertNothingElseWritten();
        }
    }

    [Test]
    public void RandomWindowsAgreeWithTheDoubleReference()
    {
        Gen<(PoolingShape Shape, int Height, int Width, bool Ceil, int Seed)> windows =
            from kernel in Gen.Choose(1, 5).Two()
            from stride in Gen.Choose(1, 4).Two()
            from dilation in Gen.Choose(1, 3).Two()
            from top in Gen.Choose(0, kernel.Item1 - 1)
            from left in Gen.Choose(0, kernel.Item2 - 1)
            from bottom in Gen.Choose(0, kernel.Item1 - 1)
            from right in Gen.Choose(0, kernel.Item2 - 1)
            from size in Gen.Choose(13, 24).Two()
            from ceil in Gen.Elements(false, true)
            from seed in Gen.Choose(0, 1 << 20)
            select (new PoolingShape
            {
                KernelHeight = kernel.Item1,
                KernelWidth = kernel.Item2,
                StrideY = stride.Item1,
                StrideX = stride.Item2,
                DilationY = dilation.Item1,
                DilationX = dilation.Item2,
                Padding = new(top, left, bottom, right),
            }, size.Item1, size.Item2, ceil, seed);
        Prop.ForAll(windows.ToArbitrary(), w =>
        {
            using TestImages source = TestImages.Random(1, 18, w.Height, w.Width, new(1), seed: w.Seed);
            using TestImages destination = TestImages.Destination(1, 18, w.Shape.OutputHeight(w.Height, w.Ceil), w.Shape.OutputWidth(w.Width, w.Ceil));
            Pooling.Max(source.View, destination.View, w.Shape);
            destination.AssertClose(Reference(source, destination, w.Shape, w.Ceil, null), 0, what: w.ToString());
            Pooling.Average(source.View, destination.View, w.Shape, (w.Seed & 1) == 0);
            destination.AssertClose(Reference(source, destination, w.Shape, w.Ceil, (w.Seed & 1) == 0), 1e-6, what: w.ToString());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(60));
    }

    [Test]
    public void SizesAroundTheEdgesAgreeWithTheDoubleReference([Values(1, 2, 3)] int kernel, [Values(1, 2, 3)] int stride)
    {
        for (int extent = 1; extent <= 9; extent++)
        {
            for (int padding = 0; padding < kernel; padding++)
            {
                PoolingShape shape = Square(kernel, stride, padding);
                foreach (bool ceil in new[] { false, true })
                {
                    int outputs = shape.OutputWidth(extent, ceil);
                    if (outputs == 0)
                        continue;
                    using TestImages source = TestImages.Random(1, 17, extent, extent);
                    using TestImages destination = TestImages.Destination(1, 17, outputs, outputs, new(1));
                    Pooling.Max(source.View, destination.View, shape);
                    destination.AssertClose(Reference(source, destination, shape, ceil, null), 0);
                    Pooling.Average(source.View, destination.View, shape);
                    destination.AssertClose(Reference(source, destination, shape, ceil, false), 1e-6);
                }
            }
        }
    }

    [Test]
    public void MapsArePooledWhole([Values(1, 7, 8, 33)] int height, [Values(1, 5, 7, 80)] int width, [Values] bool halo)
    {
        using TestImages source = TestImages.Random(3, 21, height, width, halo ? new(1) : default);
        using TestImages destination = TestImages.Destination(3, 21, 1, 1, new(0, 1, 0, 0));
        float[] nchw = source.ToNchw();
        Pooling.GlobalAverage(source.View, destination.View);
        destination.AssertClose([.. Whole(nchw, height * width, map => map.Average(x => (double)x))], 1e-5);
        Pooling.GlobalMax(source.View, destination.View);
        destination.AssertClose([.. Whole(nchw, height * width, map => map.Max(x => (double)x))], 0);
        source.AssertNothingElseWritten();

        using TestImages interleaved = TestImages.Of(nchw.AsSpan(0, 3 * height * width), 1, 3, height, width, lanes: 3);
        using TestImages three = TestImages.Destination(1, 3, 1, 1, lanes: 3);
        Pooling.GlobalAverage(interleaved.View, three.View);
        three.AssertClose([.. Whole(nchw[..(3 * height * width)], height * width, map => map.Average(x => (double)x))], 1e-5);
    }

    [Test]
    public void TheGlobalAverageOfALargeMapIsAsExactAsStated()
    {
        float[] nchw = [.. Enumerable.Repeat(0.1f, 16 * 224 * 224)];
        using TestImages source = TestImages.Of(nchw, 1, 16, 224, 224, new(1));
        using TestImages destination = TestImages.Destination(1, 16, 1, 1);
        Pooling.GlobalAverage(source.View, destination.View);
        Assert.That(destination.ToNchw(), Is.All.EqualTo(0.1f).Within(0.1 * (72 + 224 + (224 * 224 / 256.0)) * Math.ScaleB(1, -24)));
    }

    [Test]
    public void NaNReachesItsWindowsAndNoOthers([Values(1, 2, 3)] int kernel)
    {
        PoolingShape shape = Square(kernel, 1, 0);
        float[] nchw = TestImages.Floats(16 * 8 * 9, 7);
        (nchw[(3 * 72) + 31], nchw[(5 * 72) + 40], nchw[(5 * 72) + 41]) = (float.NaN, float.PositiveInfinity, float.NegativeInfinity);
        using TestImages source = TestImages.Of(nchw, 1, 16, 8, 9);
        using TestImages destination = TestImages.Destination(1, 16, 9 - kernel, 10 - kernel);
        Pooling.Max(source.View, destination.View, shape);
        double[] expected = Reference(source, destination, shape, false, null);
        Assert.That(expected.Count(double.IsNaN), Is.EqualTo(kernel * kernel));
        destination.AssertClose(expected, 0);
        Pooling.Average(source.View, destination.View, shape);
        destination.AssertClose(Reference(source, destination, shape, false, false), 1e-6);

        using TestImages one = TestImages.Destination(1, 16, 1, 1);
        Pooling.GlobalMax(source.View, one.View);
        float[] largest = one.ToNchw();
        Assert.That(largest.Select(float.IsNaN), Is.EqualTo(Enumerable.Range(0, 16).Select(c => c == 3)));
        Assert.That(largest[5], Is.EqualTo(float.PositiveInfinity));
    }

    [Test]
    public void AnyNumberOfThreadsGivesTheSameBits([Values(2, 3, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        using TestImages source = TestImages.Random(2, 70, 40, 41);
        foreach (PoolingShape shape in Shapes)
        {
            using TestImages serial = TestImages.Destination(2, 70, shape.OutputHeight(40), shape.OutputWidth(41));
            using TestImages parallel = TestImages.Destination(2, 70, shape.OutputHeight(40), shape.OutputWidth(41));
            Pooling.Average(source.View, serial.View, shape);
            Pooling.Average(source.View, parallel.View, shape, pool: pool);
            Images.AssertSame(parallel.ToNchw(), serial.ToNchw());
        }

        using TestImages one = TestImages.Destination(2, 70, 1, 1);
        using TestImages other = TestImages.Destination(2, 70, 1, 1);
        Pooling.GlobalAverage(source.View, one.View);
        Pooling.GlobalAverage(source.View, other.View, pool);
        Images.AssertSame(other.ToNchw(), one.ToNchw());
    }

    [Test]
    public void NoImagesIsNoWork()
    {
        using TestImages source = TestImages.Random(0, 5, 4, 4);
        using TestImages destination = TestImages.Destination(0, 5, 2, 2);
        using TestImages one = TestImages.Destination(0, 5, 1, 1);
        Pooling.Max(source.View, destination.View, Square(2, 2, 0));
        Pooling.GlobalAverage(source.View, one.View);
        destination.AssertNothingElseWritten();
        one.AssertNothingElseWritten();
    }

    [Test]
    public void BadOperandsAreNamed()
    {
        using TestImages source = TestImages.Random(1, 5, 6, 6);
        using TestImages destination = TestImages.Destination(1, 5, 3, 3);
        using TestImages channels = TestImages.Destination(1, 6, 3, 3);
        using TestImages size = TestImages.Destination(1, 5, 3, 4);
        Assert.Multiple(() =>
        {
            Assert.That(() => Pooling.Max(source.View, channels.View, Square(2, 2, 0)), Throws.ArgumentException.With.Property("ParamName").EqualTo("destination"));
            Assert.That(() => Pooling.Average(source.View, size.View, Square(2, 2, 0)), Throws.ArgumentException.With.Message.Contains("3 columns and there are 4"));
            Assert.That(() => Pooling.Max(source.View, destination.View, Square(0, 2, 0)), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("KernelHeight"));
            Assert.That(() => Pooling.Max(source.View, destination.View, Square(2, 4, 3)), Throws.ArgumentException.With.Message.Contains("outside"));
            Assert.That(() => Pooling.GlobalMax(source.View, destination.View), Throws.ArgumentException.With.Message.Contains("rows"));
        });
        Assert.That(destination.ToNchw(), Is.All.NaN);
    }

    private static PoolingShape Square(int kernel, int stride, int padding) => new()
    {
        KernelHeight = kernel,
        KernelWidth = kernel,
        StrideY = stride,
        StrideX = stride,
        Padding = new(padding),
    };

    private static IEnumerable<double> Whole(float[] nchw, int pixels, Func<float[], double> reduce) => nchw.Chunk(pixels).Select(reduce);

    // Null for the maximum, else whether padding counts in the average.
    private static double[] Reference(TestImages source, TestImages destination, PoolingShape shape, bool ceil, bool? countPad)
    {
        WindowNd window = new([shape.KernelHeight, shape.KernelWidth])
        {
            Strides = [shape.StrideY, shape.StrideX],
            Dilations = [shape.DilationY, shape.DilationX],
            Before = [shape.Padding.Top, shape.Padding.Left],
            After = [shape.Padding.Bottom, shape.Padding.Right],
        };
        float[] result = new float[destination.Count];
        int[] extents = [source.View.Height, source.View.Width];
        if (countPad is bool count)
            PoolingReference.Average(source.ToNchw(), extents, window, result, count, ceil);
        else
            PoolingReference.Max(source.ToNchw(), extents, window, result, ceil);
        return [.. result.Select(x => (double)x)];
    }
}

/// <summary>Sizes and cases that are worked out by hand, or by PyTorch and ONNX.</summary>
public sealed class PoolingShapeTests
{
    [TestCase(5, 0, 0, 2, 2, 1, false, 2)]
    [TestCase(5, 0, 0, 2, 2, 1, true, 3)]
    [TestCase(4, 1, 1, 3, 2, 1, true, 3)]
    [TestCase(2, 1, 1, 1, 2, 1, true, 2, Description = "a third window would start in the padding")]
    [TestCase(3, 1, 1, 2, 3, 1, true, 2)]
    [TestCase(2, 0, 0, 3, 1, 1, false, 0)]
    [TestCase(10, 0, 0, 3, 1, 4, false, 2)]
    public void WindowsAreCountedAsPyTorchDoes(int extent, int before, int after, int kernel, int stride, int dilation, bool ceil, int expected) =>
        Assert.That(PoolingShape.Outputs(extent, before, after, kernel, stride, dilation, ceil), Is.EqualTo(expected));

    [Test]
    public void CeilModeCountsThePaddingButNotWhatLiesBeyond()
    {
        // By hand from the rule: a window over padding, 1 and 2, then one over 3, 4 and 5; a third would start in the padding. Of
        // four numbers without padding behind them the second window has but two.
        WindowNd window = new([3]) { Strides = [3], Before = [1], After = [1] };
        float[] five = new float[2], counted = new float[2], four = new float[2];
        PoolingReference.Average([1, 2, 3, 4, 5], [5], window, five, countIncludePad: false, ceilMode: true);
        PoolingReference.Average([1, 2, 3, 4, 5], [5], window, counted, countIncludePad: true, ceilMode: true);
        PoolingReference.Average([1, 2, 3, 4], [4], window with { After = [0] }, four, countIncludePad: true, ceilMode: true);
        Assert.Multiple(() =>
        {
            Assert.That(five, Is.EqualTo(new[] { 1.5f, 4f }));
            Assert.That(counted, Is.EqualTo(new[] { 1f, 4f }));
            Assert.That(four, Is.EqualTo(new[] { 1f, 3.5f }), "the last window reaches one past the end, which is no padding");
        });
    }

    [Test]
    public void SamePaddingFallsOnItsSide()
    {
        Assert.Multiple(() =>
        {
            Assert.That(AutoPadding.Same(5, 3, 2, 1, lower: false), Is.EqualTo((1, 1)));
            Assert.That(AutoPadding.Same(6, 3, 2, 1, lower: false), Is.EqualTo((0, 1)));
            Assert.That(AutoPadding.Same(6, 3, 2, 1, lower: true), Is.EqualTo((1, 0)));
            Assert.That(AutoPadding.Same(8, 1, 2, 1, lower: true), Is.EqualTo((0, 0)));
            Assert.That(AutoPadding.Same(4, 3, 1, 2, lower: false), Is.EqualTo((2, 2)));
            Assert.That(AutoPadding.Same(28, 28, 5, 2, 1, 1, lower: true), Is.EqualTo(new Margins(2, 1, 2, 0)));
            Assert.That(AutoPadding.SameTransposed(3, 3, 2, 1, 0, 6, lower: false), Is.EqualTo((0, 1)));
            Assert.That(AutoPadding.SameTransposed(3, 3, 2, 1, 0, 6, lower: true), Is.EqualTo((1, 0)));
            Assert.That(AutoPadding.SameTransposed(3, 3, 2, 1, 0, 9, lower: true), Is.EqualTo((0, 0)));
            Assert.That(() => AutoPadding.Same(0, 3, 2, 1, lower: true), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("extent"));
        });
    }

    [Test]
    public void ThreeDimensionsArePooled()
    {
        float[] cube = [.. Enumerable.Range(0, 2 * 27).Select(i => (float)i)];
        float[] max = new float[2 * 8], average = new float[2 * 8];
        PoolingReference.Max(cube, [3, 3, 3], new([2, 2, 2]), max);
        PoolingReference.Average(cube, [3, 3, 3], new([2, 2, 2]), average);
        float[] corners = [0, 1, 3, 4, 9, 10, 12, 13];
        Assert.Multiple(() =>
        {
            Assert.That(max, Is.EqualTo(corners.Concat(corners.Select(c => c + 27)).Select(c => c + 13)));
            Assert.That(average, Is.EqualTo(corners.Concat(corners.Select(c => c + 27)).Select(c => c + 6.5f)));
            Assert.That(() => PoolingReference.Max(cube, [3, 3], new([2, 2, 2]), max), Throws.ArgumentException.With.Property("ParamName").EqualTo("extents"));
            Assert.That(() => PoolingReference.Max(cube, [3, 3, 3], new([2, 2, 2]), average.AsSpan(1)), Throws.ArgumentException.With.Property("ParamName").EqualTo("destination"));
            Assert.That(
                () => PoolingReference.Max(cube, [3, 3, 3], new([2, 2, 2]) { Strides = [1, 0, 1] }, max),
                Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("Strides"));
        });
    }
}
