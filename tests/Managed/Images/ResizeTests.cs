namespace EmbeddingKernels.Tests.Images;

public sealed class ResizeTests
{
    private static readonly (int Width, int Height)[] Sizes = [(1, 1), (2, 5), (7, 3), (16, 16), (31, 50), (64, 20)];

    [Test]
    public void AntialiasedIsTheTriangleOfPillow([ValueSource(nameof(Sizes))] (int Width, int Height) from, [ValueSource(nameof(Sizes))] (int Width, int Height) to)
    {
        Picture source = Random(from.Width, from.Height, 1), given = source.Resize(to.Width, to.Height);
        // Where a sum ends on one half, the fixed-point weights decide; a step of the first pass may then show in the second.
        double[] wide = Triangle(Array.ConvertAll(source.Pixels.ToArray(), v => (double)v), from.Height, from.Width, 3, to.Width);
        double[] wanted = Triangle([.. wide.Select(v => Math.Floor(v + 0.5))], 1, from.Height, 3 * to.Width, to.Height);
        for (int i = 0; i < wanted.Length; i++)
            Assert.That(given.Pixels[i], Is.EqualTo(wanted[i]).Within(1.5), $"{i}");
    }

    [Test]
    public void PillowGivesTheSameBytes()
    {
        using TemporaryFolder folder = new();
        Picture source = Random(157, 83, 2);
        source.SavePng(folder["source.png"]);
        (int Width, int Height)[] sizes = [(224, 224), (32, 32), (157, 20), (20, 83), (1, 1), (300, 7)];
        Python.Run(
            "PIL",
            """
            import sys
            from PIL import Image
            picture = Image.open(sys.argv[1] + '/source.png').convert('RGB')
            for size in sys.argv[2:]:
                w, h = map(int, size.split('x'))
                open(sys.argv[1] + '/' + size, 'wb').write(picture.resize((w, h), Image.BILINEAR).tobytes())
            """,
            [folder.Path, .. sizes.Select(s => $"{s.Width}x{s.Height}")]);
        foreach ((int width, int height) in sizes)
            Assert.That(source.Resize(width, height).Pixels.SequenceEqual(File.ReadAllBytes(folder[$"{width}x{height}"])), $"{width} x {height}");
    }

    [Test]
    public void PillowReadsTheSamePixels()
    {
        using TemporaryFolder folder = new();
        Random(45, 37, 3).SavePng(folder["source.png"]);
        string list = Python.Run(
            "PIL",
            """
            import sys
            from PIL import Image
            folder = sys.argv[1]
            picture = Image.open(folder + '/source.png').convert('RGB')
            files = []
            def save(name, image, **options):
                image.save(folder + '/' + name, **options)
                open(folder + '/' + name + '.rgb', 'wb').write(Image.open(folder + '/' + name).convert('RGB').tobytes())
                print(name)
            for mode in ('1', 'L', 'LA', 'P', 'RGB', 'RGBA'):
                save(mode + '.png', picture.convert(mode))
            for mode in ('1', 'L', 'P', 'RGB'):
                save(mode + '.bmp', picture.convert(mode))
            for mode, ending in (('1', 'pbm'), ('L', 'pgm'), ('RGB', 'ppm')):
                save(mode + '.' + ending, picture.convert(mode))
            for sampling in (0, 1, 2):
                for quality in (20, 90):
                    for progressive in (False, True):
                        save('%d-%d-%d.jpg' % (sampling, quality, progressive), picture, subsampling=sampling, quality=quality, progressive=progressive)
            save('grey.jpg', picture.convert('L'))
            save('ink.jpg', picture.convert('CMYK'))
            """,
            folder.Path);
        string[] names = list.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        Assert.That(names, Has.Length.EqualTo(27));
        foreach (string name in names)
            Assert.That(Picture.Load(folder[name]).Pixels.SequenceEqual(File.ReadAllBytes(folder[name + ".rgb"])), name);
    }

    [Test]
    public void BilinearHasHalfPixelCentres([ValueSource(nameof(Sizes))] (int Width, int Height) to)
    {
        Picture source = Random(13, 9, 4), given = source.Resize(to.Width, to.Height, ResizeFilter.Bilinear);
        for (int y = 0; y < to.Height; y++)
        {
            for (int x = 0; x < to.Width; x++)
            {
                for (int c = 0; c < 3; c++)
                {
                    double sx = Math.Clamp((x + 0.5) * 13 / to.Width - 0.5, 0, 12), sy = Math.Clamp((y + 0.5) * 9 / to.Height - 0.5, 0, 8);
                    int x0 = (int)sx, y0 = (int)sy, x1 = Math.Min(x0 + 1, 12), y1 = Math.Min(y0 + 1, 8), colour = c;
                    double At(int px, int py) => source.Row(py)[3 * px + colour];
                    double upper = At(x0, y0) + (At(x1, y0) - At(x0, y0)) * (sx - x0), lower = At(x0, y1) + (At(x1, y1) - At(x0, y1)) * (sx - x0);
                    Assert.That(given.Row(y)[3 * x + c], Is.EqualTo(upper + (lower - upper) * (sy - y0)).Within(0.501));
                }
            }
        }
    }

    [Test]
    public void ShorterSidesKeepProportions()
    {
        Picture wide = new(640, 427);
        Assert.That(Size(wide.ResizeShorterSide(256)), Is.EqualTo((383, 256)));
        Assert.That(Size(new Picture(427, 640).ResizeShorterSide(256)), Is.EqualTo((256, 383)));
        Assert.That(Size(new Picture(3, 3).ResizeShorterSide(10)), Is.EqualTo((10, 10)));
        Assert.That(() => new Picture(1, 1 << 20).ResizeShorterSide(1000), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void CropsAreCentredAsTorchvisionDoes()
    {
        Picture source = Random(11, 8, 5);
        // (11 - 4) / 2 = 3.5 goes to 4, (8 - 3) / 2 = 2.5 to 2.
        Picture part = source.CentreCrop(4, 3);
        for (int y = 0; y < 3; y++)
            Assert.That(part.Row(y).SequenceEqual(source.Row(y + 2)[12..24]));
        Picture padded = source.CentreCrop(14, 3);
        Assert.That(padded.Row(0)[..3].ToArray(), Is.EqualTo(new byte[3]));
        Assert.That(padded.Row(0)[3..36].SequenceEqual(source.Row(2)));
        Assert.That(padded.Row(0)[36..].ToArray(), Is.EqualTo(new byte[6]));
        Assert.That(source.Crop(20, 20, 2, 2).Pixels.ToArray(), Is.EqualTo(new byte[12]));
        Assert.That(source.Crop(int.MinValue, int.MaxValue, 2, 2).Pixels.ToArray(), Is.EqualTo(new byte[12]));
        Assert.That(source.Crop(-1, -1, 2, 2).Pixels[9..].SequenceEqual(source.Pixels[..3]));
    }

    [Test]
    public void ArgumentsAreChecked()
    {
        Picture picture = new(2, 2);
        Assert.Multiple(() =>
        {
            Assert.That(() => new Picture(0, 1), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => new Picture(1 << 20, 1 << 20), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => new Picture(2, 2, new byte[11]), Throws.ArgumentException.With.Message.Contains("11"));
            Assert.That(() => picture.Row(2), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => picture.Resize(0, 1), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => picture.Resize(3, 3, (ResizeFilter)7), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => picture.CentreCrop(1, 0), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => Picture.Decode([1, 2, 3], new PictureOptions { MaximumPixels = 0 }), Throws.InstanceOf<FormatException>().Or.InstanceOf<ArgumentException>());
            Assert.That(() => Picture.Decode("P5 1 1 255 1"u8, new PictureOptions { MaximumPixels = 0 }), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => Picture.Decode([]), Throws.TypeOf<DataFormatException>().With.Message.Contains("empty"));
            Assert.That(() => Picture.Decode("hello"u8), Throws.TypeOf<DataFormatException>().With.Message.Contains("no PNG"));
        });
    }

    internal static Picture Random(int width, int height, int seed)
    {
        Picture picture = new(width, height);
        new Random(seed).NextBytes(picture.Pixels);
        return picture;
    }

    private static (int, int) Size(Picture picture) => (picture.Width, picture.Height);

    /// <summary>Resizes the middle axis of [rows, from, lanes] by the triangle filter, in double.</summary>
    private static double[] Triangle(double[] source, int rows, int from, int lanes, int to)
    {
        if (from == to)
            return source;
        double scale = (double)from / to, reach = Math.Max(scale, 1);
        double[] result = new double[rows * to * lanes];
        for (int i = 0; i < to; i++)
        {
            double middle = (i + 0.5) * scale, sum = 0;
            double[] weights = new double[from];
            for (int k = 0; k < from; k++)
            {
                weights[k] = Math.Max(0, 1 - Math.Abs(k + 0.5 - middle) / reach);
                sum += weights[k];
            }

            for (int r = 0; r < rows; r++)
            {
                for (int l = 0; l < lanes; l++)
                {
                    double value = 0;
                    for (int k = 0; k < from; k++)
                        value += weights[k] / sum * source[(r * from + k) * lanes + l];
                    result[(r * to + i) * lanes + l] = value;
                }
            }
        }

        return result;
    }
}
