using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class ImageLayoutTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly (int Images, int Channels, int Height, int Width, Margins Halo)[] Shapes =
    [
        (1, 16, 4, 4, default),
        (2, 17, 3, 5, new(1)),
        (3, 1, 1, 1, default),
        (1, 3, 7, 9, new(2, 1, 0, 3)),
        (2, 35, 5, 7, new(0, 0, 1, 0)),
        (1, 2, 2, 3, new(1)),
        (1, 64, 30, 41, default),
        (0, 5, 3, 3, new(1)),
        (1, 31, 1, 2, new(0, 1, 0, 1)),
    ];

    private static IEnumerable<TestCaseData> Cases =>
        from shape in Shapes
        from lanes in shape.Channels <= BlockedImages.MostInterleaved ? new[] { BlockedImages.Block, shape.Channels } : [BlockedImages.Block]
        select new TestCaseData(shape.Images, shape.Channels, shape.Height, shape.Width, shape.Halo, lanes);

    [TestCaseSource(nameof(Cases))]
    public void PlainOrdersGoInAndOut(int images, int channels, int height, int width, Margins halo, int lanes)
    {
        float[] nchw = TestImages.Floats(images * channels * height * width, 5), nhwc = Turn(nchw, images, channels, height * width);
        using TestImages fromNchw = TestImages.Destination(images, channels, height, width, halo, lanes);
        ImageLayout.FromNchw(nchw, fromNchw.View);
        Images.AssertSame(fromNchw.ToNchw(), nchw);
        fromNchw.AssertNothingElseWritten();

        using TestImages fromNhwc = TestImages.Destination(images, channels, height, width, halo, lanes);
        ImageLayout.FromNhwc(nhwc, fromNhwc.View);
        Images.AssertSame(fromNhwc.ToNchw(), nchw);
        fromNhwc.AssertNothingElseWritten();

        using TestImages source = TestImages.Of(nchw, images, channels, height, width, halo, lanes);
        using GuardedBuffer<float> back = new(nchw.Length);
        ImageLayout.ToNchw(source.View, back.Pointer);
        Images.AssertSame(back.Span.ToArray(), nchw);
        back.Span.Clear();
        ImageLayout.ToNhwc(source.View, back.Pointer);
        Assert.That(back.Span.ToArray(), Is.EqualTo(nhwc));
        source.AssertNothingElseWritten();
    }

    [Test]
    public void SourcesAreNotReadPastTheirEnds([Values(1, 2, 3, 4, 7, 16, 18)] int channels)
    {
        for (int width = 1; width <= 70; width += width < 20 ? 1 : 7)
        {
            using GuardedBuffer<float> plain = new(channels * width);
            TestImages.Floats(plain.Length, width).CopyTo(plain.Span);
            foreach (int lanes in channels <= 4 ? new[] { 16, channels } : [16])
            {
                using TestImages maps = TestImages.Destination(1, channels, 1, width, default, lanes);
                ImageLayout.FromNchw(plain.Pointer, maps.View);
                Assert.That(maps.ToNchw(), Is.EqualTo(plain.Span.ToArray()));
                maps.AssertNothingElseWritten();
                ImageLayout.FromNhwc(plain.Pointer, maps.View);
                Assert.That(Turn(maps.ToNchw(), 1, channels, width), Is.EqualTo(plain.Span.ToArray()));
                maps.AssertNothingElseWritten();
            }
        }
    }

    [Test]
    public void AnyNumberOfThreadsGivesTheSame([Values(2, 3, 7)] int threads)
    {
        using WorkerPool pool = new(threads);
        float[] nchw = TestImages.Floats(2 * 37 * 50 * 61, 5);
        using TestImages maps = TestImages.Destination(2, 37, 50, 61, new(1));
        using TestImages joined = TestImages.Destination(2, 40, 50, 61);
        ImageLayout.FromNchw(nchw, maps.View, pool);
        Assert.That(maps.ToNchw(), Is.EqualTo(nchw));
        ImageLayout.Copy(maps.View, joined.View, 2, pool);
        float[] back = new float[nchw.Length], all = joined.ToNchw();
        ImageLayout.ToNchw(maps.View, back, pool);
        Images.AssertSame(back, nchw);
        Images.AssertSame(all.AsSpan(2 * 50 * 61, 37 * 50 * 61), nchw.AsSpan(0, 37 * 50 * 61));
    }

    [Test]
    public void ChannelsAreConcatenatedAtAnyOffset([Values(0, 1, 3, 4, 8, 15, 16, 20)] int first, [Values(1, 3, 8, 16, 21)] int second, [Values] bool backwards)
    {
        (int images, int height, int width, int third) = (2, 3, 5, 18);
        using TestImages all = TestImages.Destination(images, first + second + third, height, width, new(1, 0, 2, 1));
        int at = 0;
        List<(TestImages Maps, int At)> parts = [];
        foreach (int channels in new[] { first, second, third }.Where(c => c > 0))
        {
            parts.Add((TestImages.Random(images, channels, height, width, new(0, 1, 0, 1), channels <= 4 ? channels : 16, seed: channels), at));
            at += channels;
        }

        foreach ((TestImages maps, int start) in backwards ? Enumerable.Reverse(parts) : parts)
            ImageLayout.Copy(maps.View, all.View, start);
        float[] expected = [.. Enumerable.Range(0, images).SelectMany(image => parts.SelectMany(part =>
        {
            int count = part.Maps.Count / images;
            return part.Maps.ToNchw().AsSpan(image * count, count).ToArray();
        }))];
        Assert.That(all.ToNchw(), Is.EqualTo(expected));
        all.AssertNothingElseWritten();
        foreach ((TestImages maps, _) in parts)
        {
            maps.AssertNothingElseWritten();
            maps.Dispose();
        }
    }

    [Test]
    public void BadOperandsAreNamed()
    {
        using TestImages maps = TestImages.Destination(1, 3, 4, 5);
        using TestImages other = TestImages.Random(1, 2, 4, 6);
        using TestImages small = TestImages.Random(1, 2, 4, 5);
        Assert.Multiple(() =>
        {
            Assert.That(() => ImageLayout.FromNchw(new float[59], maps.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("source"));
            Assert.That(() => ImageLayout.FromNhwc(new float[61], maps.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("source"));
            Assert.That(() => ImageLayout.ToNchw(maps.View, new float[61]), Throws.ArgumentException.With.Property("ParamName").EqualTo("destination"));
            Assert.That(() => ImageLayout.ToNhwc(maps.View, new float[1]), Throws.ArgumentException.With.Property("ParamName").EqualTo("destination"));
            Assert.That(() => ImageLayout.Copy(other.View, maps.View, 0), Throws.ArgumentException.With.Property("ParamName").EqualTo("source"));
            Assert.That(() => ImageLayout.Copy(small.View, maps.View, 2), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("firstChannel"));
            Assert.That(() => ImageLayout.Copy(small.View, maps.View, -1), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
        Assert.That(maps.ToNchw(), Is.All.NaN);
    }

    // [image][channel][pixel] to [image][pixel][channel].
    private static float[] Turn(float[] nchw, int images, int channels, int pixels)
    {
        float[] turned = new float[nchw.Length];
        for (int i = 0; i < nchw.Length; i++)
            turned[(((i / pixels / channels * pixels) + (i % pixels)) * channels) + (i / pixels % channels)] = nchw[i];
        Assert.That(turned, Has.Length.EqualTo(images * channels * pixels));
        return turned;
    }
}
