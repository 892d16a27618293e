using System.Globalization;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests.Images;

public sealed class ImagePresetTests
{
    [Test]
    public void ValuesAreScaledAndOrdered()
    {
        Picture picture = new(2, 1, [255, 128, 0, 10, 20, 30]);
        Assert.Multiple(() =>
        {
            Check("torchvision", [(1 - 0.485) / 0.229, (10 / 255.0 - 0.485) / 0.229, (128 / 255.0 - 0.456) / 0.224, (20 / 255.0 - 0.456) / 0.224, -0.406 / 0.225, (30 / 255.0 - 0.406) / 0.225]);
            Check("keras-caffe", [-103.939, 30 - 103.939, 128 - 116.779, 20 - 116.779, 255 - 123.68, 10 - 123.68]);
            Check("TF", [1, 10 / 127.5 - 1, 128 / 127.5 - 1, 20 / 127.5 - 1, -1, 30 / 127.5 - 1]);
            Check("raw255-bgr", [0, 30, 128, 20, 255, 10]);
            Check("raw255-rgb", [255, 10, 128, 20, 0, 30]);
            Check("unit", [1, 10 / 255.0, 128 / 255.0, 20 / 255.0, 0, 30 / 255.0]);
        });

        void Check(string name, double[] wanted)
        {
            float[] given = new float[6];
            ImagePreset.Parse(name).ToTensor(picture, 1, 2, given);
            for (int i = 0; i < 6; i++)
                Assert.That(given[i], Is.EqualTo(wanted[i]).Within(2e-5 * Math.Max(1, Math.Abs(wanted[i]))), $"{name}[{i}]");
        }
    }

    [Test]
    public void TorchvisionResizesAndCuts()
    {
        Picture source = ResizeTests.Random(310, 270, 1);
        Picture cut = source.ResizeShorterSide(256).CentreCrop(224, 224);
        float[] given = new float[3 * 224 * 224];
        ImagePreset.Torchvision.ToTensor(source, 224, 224, given);
        for (int p = 0; p < 224 * 224; p += 97)
            Assert.That(given[p], Is.EqualTo((cut.Pixels[3 * p] / 255.0 - 0.485) / 0.229).Within(1e-5));
    }

    [Test]
    public void SmallInputsGetTheWholePicture()
    {
        Picture source = ResizeTests.Random(32, 32, 2);
        float[] given = new float[3 * 32 * 32];
        ImagePreset.Torchvision.ToTensor(source, 32, 32, given);
        for (int p = 0; p < 32 * 32; p++)
            Assert.That(given[2048 + p], Is.EqualTo((source.Pixels[3 * p + 2] / 255.0 - 0.406) / 0.225).Within(1e-5));
    }

    [Test]
    public void StretchingKeepsFractions()
    {
        // Two pixels become four: 0, 1/4, 3/4, 1 of the way.
        Picture source = new(2, 1, [0, 0, 0, 1, 1, 1]);
        float[] given = new float[12];
        (ImagePreset.TensorFlow with { Scale = 1, Mean = default }).ToTensor(source, 1, 4, given);
        Assert.That(given[..4], Is.EqualTo(new[] { 0, 0.25f, 0.75f, 1 }));
    }

    [Test]
    public void AnyProportionsFitAnyInput(
        [Values(1, 3, 50, 400)] int width, [Values(1, 7, 64, 3000)] int height, [Values(1, 32, 65)] int rows, [Values(1, 40, 224)] int columns)
    {
        Picture source = new(width, height);
        source.Pixels.Fill(100);
        float[] given = new float[3 * rows * columns];
        foreach (string name in ImagePreset.Names)
        {
            ImagePreset preset = ImagePreset.Parse(name) with { Scale = 1, Mean = default, Deviation = (1, 1, 1) };
            preset.ToTensor(source, rows, columns, given);
            Assert.That(given.AsSpan().IndexOfAnyExcept(100), Is.Negative, name);
        }
    }

    [Test]
    public void PicturesOfTheReferenceAreTheirCsv([Values("fish", "kitten_224")] string name)
    {
        Picture picture = Picture.Load(SharedData.Path($"images/squeezenet/{name}.png"));
        float[] wanted = Array.ConvertAll(
            File.ReadAllText(SharedData.Path($"images/squeezenet/{name}.csv")).Split([',', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries),
            text => float.Parse(text, CultureInfo.InvariantCulture));
        float[] given = new float[3 * 224 * 224];
        ImagePreset.Raw255Bgr.ToTensor(picture, 224, 224, given);
        Assert.That(given, Is.EqualTo(wanted));
    }

    [Test]
    public void PicturesOfTheReferenceAreTheNetworksInput([Values("fish", "kitten")] string name)
    {
        Picture picture = Picture.Load(SharedData.Path($"images/squeezenet/{(name == "fish" ? "fish" : "kitten_224")}.png"));
        byte[] wanted = ReferenceCrops.Read(name);
        for (int i = 0; i < wanted.Length; i += 3)
            Assert.That((picture.Pixels[i + 2], picture.Pixels[i + 1], picture.Pixels[i]), Is.EqualTo((wanted[i], wanted[i + 1], wanted[i + 2])));
    }

    [Test]
    public void ArgumentsAreChecked()
    {
        Picture picture = new(2, 2);
        Assert.Multiple(() =>
        {
            Assert.That(() => ImagePreset.Parse("imagenet"), Throws.ArgumentException.With.Message.Contains("torchvision"));
            Assert.That(() => ImagePreset.Unit.ToTensor(picture, 2, 2, new float[11]), Throws.ArgumentException.With.Message.Contains("11"));
            Assert.That(() => ImagePreset.Unit.ToTensor(picture, 0, 2, []), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => (ImagePreset.Unit with { Deviation = (1, 0, 1) }).Validate(), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => (ImagePreset.Unit with { ShorterSide = 0.5 }).Validate(), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => (ImagePreset.Unit with { Scale = double.NaN }).Validate(), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => (ImagePreset.Unit with { Fit = (ImageFit)9 }).Validate(), Throws.TypeOf<ArgumentOutOfRangeException>());
        });
    }
}
