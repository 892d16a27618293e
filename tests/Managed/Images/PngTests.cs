using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests.Images;

public sealed class PngTests
{
    private static readonly (int Width, int Height)[] Sizes = [(1, 1), (2, 3), (5, 1), (8, 8), (13, 9), (33, 17)];

    // All that the format allows.
    private static IEnumerable<TestCaseData> Kinds =>
        from depth in (int[])[1, 2, 4, 8, 16]
        from type in (int[])[0, 2, 3, 4, 6]
        where type == 0 || (type == 3 ? depth <= 8 : depth >= 8)
        from interlaced in (bool[])[false, true]
        select new TestCaseData(depth, type, interlaced);

    [TestCaseSource(nameof(Kinds))]
    public void EveryKindIsRead(int depth, int type, bool interlaced)
    {
        foreach ((int width, int height) in Sizes)
        {
            Random random = new(width * 100 + height);
            int most = (1 << depth) - 1;
            int[] samples = [.. Enumerable.Range(0, width * height * 4).Select(_ => random.Next(most + 1))];
            byte[] palette = new byte[3 * (most + 1 > 256 ? 1 : most + 1)];
            random.NextBytes(palette);
            PngMaker maker = new(width, height, depth, type, interlaced, (x, y, c) => samples[((y * width) + x) * 4 + c])
            {
                Palette = type == 3 ? palette : null,
                Parts = 3,
            };
            Picture picture = Picture.Decode(maker.Make());
            Assert.That((picture.Width, picture.Height), Is.EqualTo((width, height)));
            for (int i = 0; i < width * height; i++)
            {
                for (int c = 0; c < 3; c++)
                {
                    int sample = samples[4 * i + (type is 0 or 3 or 4 ? 0 : c)];
                    int wanted = type == 3 ? palette[3 * sample + c] : depth == 16 ? sample >> 8 : sample * 255 / most;
                    Assert.That(picture.Pixels[3 * i + c], Is.EqualTo(wanted), $"{width} x {height}, pixel {i}, colour {c}");
                }
            }
        }
    }

    [Test]
    public void IndicesBeyondThePaletteAreBlack()
    {
        PngMaker maker = new(2, 1, 2, 3, false, (x, _, _) => x * 3) { Palette = [10, 20, 30, 1, 2, 3] };
        Assert.That(Picture.Decode(maker.Make()).Pixels.ToArray(), Is.EqualTo(new byte[] { 10, 20, 30, 0, 0, 0 }));
    }

    [Test]
    public void WhatIsWrittenIsRead([Values(1, 7, 40)] int width, [Values(1, 6, 31)] int height)
    {
        Picture picture = new(width, height);
        new Random(width).NextBytes(picture.Pixels);
        for (int i = 0; i < picture.Pixels.Length / 2; i++)
            picture.Pixels[i] = (byte)(i / 3); // half smooth, so that filters differ
        using MemoryStream stream = new();
        picture.SavePng(stream);
        stream.Position = 0;
        Picture read = Picture.Decode(stream);
        Assert.That((read.Width, read.Height), Is.EqualTo((width, height)));
        Assert.That(read.Pixels.SequenceEqual(picture.Pixels));
    }

    [Test]
    public void FilesAreWrittenWhole()
    {
        using TemporaryFolder folder = new();
        Picture picture = new(3, 2, [.. Enumerable.Range(0, 18).Select(i => (byte)i)]);
        picture.SavePng(folder["a.png"]);
        Assert.That(Picture.Load(folder["a.png"]).Pixels.ToArray(), Is.EqualTo(picture.Pixels.ToArray()));
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1));
    }

    [Test]
    public void CifarFilesAreTheArrayOfTheirPixels()
    {
        using Stream stream = SharedData.Open("images/cifar10_test_u8_nhwc_1000.npy.gz");
        using FloatMatrix pixels = Npy.ReadMatrix(stream);
        string folder = Path.Combine(Path.GetDirectoryName(SharedData.Path("images/cifar10_test_u8_nhwc_1000.npy.gz"))!, "cifar_png");
        string[] classes = [.. Directory.GetDirectories(folder).Order(StringComparer.Ordinal)];
        Assert.That(classes, Has.Length.EqualTo(10));
        for (int c = 0; c < classes.Length; c++)
        {
            string[] files = [.. Directory.GetFiles(classes[c]).Order(StringComparer.Ordinal)];
            for (int i = 0; i < files.Length; i++)
                Assert.That(Array.ConvertAll(Picture.Load(files[i]).Pixels.ToArray(), v => (float)v), Is.EqualTo(pixels.Row(100 * c + i).ToArray()), files[i]);
        }
    }

    [Test]
    public void DefectsAreNamed()
    {
        PngMaker maker = new(4, 4, 8, 2, false, (x, y, c) => x + y + c);
        byte[] good = maker.Make(), header = maker.Header();
        byte[] raw = new byte[4 * 13];
        Assert.Multiple(() =>
        {
            Fails(Changed(good, 30, 1), "checksum of the chunk IHDR");
            Fails(Changed(good, good.Length - 20, 1), "checksum of the chunk IDAT");
            Fails(good[..^12], "ends inside a chunk's header");
            Fails(good[..60], "missing");
            Fails(PngMaker.Wrap(header, null, PngMaker.Pack(raw[..20])), "the pixels end in row 1");
            Fails(PngMaker.Wrap(header, null, Changed(PngMaker.Pack(raw), 0, 0xFF)), "damaged");
            Fails(PngMaker.Wrap(header, null, [0x78, 0x20, .. PngMaker.Pack(raw)[2..]]), "damaged"); // asks for a dictionary
            Fails(PngMaker.Wrap(header, null, PngMaker.Pack(Changed(raw, 13, 9))), "filter type");
            Fails(PngMaker.Wrap(Changed(header, 8, 3), null, []), "colour type 2 with");
            Fails(PngMaker.Wrap(Changed(header, 9, 1), null, []), "colour type");
            Fails(PngMaker.Wrap(Changed(header, 12, 2), null, []), "interlace");
            Fails(PngMaker.Wrap(Changed(header, 3, 0), null, []), "0 x 4 pixels");
            Fails(PngMaker.Wrap(header[..12], null, []), "an IHDR of 12 bytes");
            Fails(PngMaker.Wrap((maker with { Type = 3 }).Header(), null, PngMaker.Pack(raw)), "palette is missing");
            Fails(PngMaker.Wrap((maker with { Type = 3 }).Header(), [1, 2], PngMaker.Pack(raw)), "a palette of 2 bytes");
            Fails(PngMaker.Wrap((maker with { Width = 40_000, Height = 40_000 }).Header(), null, PngMaker.Pack(raw)), "more than the limit");
            Fails(PngMaker.Wrap((maker with { Width = 10_000, Height = 10_000 }).Header(), null, PngMaker.Pack(raw)), "takes 290");
            MemoryStream unknown = new();
            unknown.Write(good, 0, 33);
            PngMaker.Chunk(unknown, "TEsT", [1]);
            Fails(unknown.ToArray(), "must not be ignored");
            MemoryStream second = new();
            second.Write(good, 0, 33);
            PngMaker.Chunk(second, "IHDR", header);
            Fails(second.ToArray(), "second IHDR");
            MemoryStream apart = new();
            apart.Write(good, 0, good.Length - 12);
            PngMaker.Chunk(apart, "teSt", []);
            PngMaker.Chunk(apart, "IDAT", [1]);
            Fails(apart.ToArray(), "do not follow one another");
        });
    }

    [Test]
    public void ABombOfZerosIsRefusedOrBounded()
    {
        // 20,000 x 20,000 black pixels pack into 1.2 MB. The limit says no; a file that claims them and ends early costs a row.
        PngMaker maker = new(20_000, 20_000, 8, 2, false, (_, _, _) => 0);
        byte[] file = PngMaker.Wrap(maker.Header(), null, PngMaker.Pack(new byte[100_000]));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Fails(file, "more than the limit");
        DataFormatException thrown = Assert.Throws<DataFormatException>(() => Picture.Decode(file, new PictureOptions { MaximumPixels = 500_000_000 }))!;
        Assert.That(thrown.Message, Does.Contain("bytes or more"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    internal static void Fails(byte[] file, string reason)
    {
        DataFormatException thrown = Assert.Throws<DataFormatException>(() => Picture.Decode(file))!;
        Assert.That(thrown.Message, Does.Contain(reason));
    }

    internal static byte[] Changed(byte[] file, int at, byte value)
    {
        byte[] copy = [.. file];
        copy[at] = (byte)(copy[at] == value ? value ^ 0x55 : value);
        return copy;
    }
}
