using System.IO.Compression;
using EmbeddingKernels.Core;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

/// <summary>Trained networks against the numbers of the frameworks that they come from.</summary>
public sealed class PretrainedNetworkTests
{
    private static readonly float[] Mean = [0.485f, 0.456f, 0.406f];
    private static readonly float[] Deviation = [0.229f, 0.224f, 0.225f];

    [TestCase("fish", 0, 0.738)]
    [TestCase("kitten", 281, 0.931)]
    [TestCase("eagle", 146, 0.521)]
    [TestCase("pelican", 144, 0.392)]
    [TestCase("cat", 281, 0.781)]
    public void SqueezeNetGivesThePublishedActivations(string picture, int expectedClass, double probability)
    {
        using Network network = Network.LoadOnnx(SharedData.Path("images/squeezenet/SqueezeNet_fp16.onnx"));
        using WorkerPool pool = new(2);
        float[] pixels = Interleaved(Array(picture + ".input_bgr_u8_hwc"), 224, 224);
        foreach ((string layer, double tolerance) in new[] { ("fire2/concat_1", 2e-3), ("fire9/concat_1", 2e-3), ("pool10_1", 1e-3), ("softmaxout_1", 2e-4) })
        {
            float[] expected = Array($"{picture}.{layer}");
            using FloatMatrix actual = network.Features(pixels, 1, layer, pool);
            Assert.That(actual.Columns, Is.EqualTo((nint)expected.Length), layer);
            double scale = layer == "softmaxout_1" ? 1 : expected.Max(Math.Abs);
            double worst = expected.Zip(actual.Row(0).ToArray(), (x, y) => Math.Abs(x - y)).Max() / scale;
            TestContext.Out.WriteLine($"{layer}: {worst:E2}");
            Assert.That(worst, Is.LessThan(tolerance), layer);
        }

        using FloatMatrix probabilities = network.Features(pixels, 1, null, pool);
        Assert.That(Largest(probabilities.Row(0)), Is.EqualTo(expectedClass));
        Assert.That(probabilities[0, expectedClass], Is.EqualTo(probability).Within(6e-4));
    }

    /// <summary>The published network (SAME_UPPER padding, pixels 0 to 255) on test digits that it has not seen.</summary>
    [Test]
    public void MnistNamesTestDigits()
    {
        const int Digits = 500;
        using Network network = Network.LoadOnnx(SharedData.Path("images/squeezenet/mnist.onnx"));
        Assert.That(network.Inputs[0].Shape, Is.EqualTo(new[] { 1, 1, 28, 28 }));
        byte[] pixels = new byte[Digits * 784];
        using (Stream stream = SharedData.Open("tsne/mnist70k_u8.npy.gz"))
        {
            byte[] before = new byte[128 + (60_000 * 784)];
            stream.ReadExactly(before);
            stream.ReadExactly(pixels);
        }

        byte[] labels = File.ReadAllBytes(SharedData.Path("tsne/mnist70k_y.npy"))[^10_000..];
        using FloatMatrix output = network.Features(System.Array.ConvertAll(pixels, x => (float)x), Digits);
        int right = Enumerable.Range(0, Digits).Count(i => Largest(output.Row(i)) == labels[i]);
        TestContext.Out.WriteLine($"{right} of {Digits} digits are named right");
        Assert.That(right, Is.GreaterThan(Digits * 0.97));
    }

    // Inputs and weights are those of the suite: 0 to 1 in equal steps, and constants.
    [TestCase("squeezenet")]
    [TestCase("shufflenet")]
    [TestCase("vgg19")]
    public void LightModelsGiveTheExpectedOutputs(string name)
    {
        using Network network = Network.LoadOnnx(SharedData.Path($"onnx/light/light_{name}.onnx"));
        using WorkerPool pool = new(2);
        PlainTensor expected = OnnxCase.Tensor(SharedData.Path($"onnx/light/light_{name}_output_0.pb"));
        int count = network.Inputs[0].Shape.Aggregate(1, (product, extent) => product * extent);
        float[] input = [.. Enumerable.Range(0, count).Select(i => (float)((double)i / count))];
        using FloatMatrix output = network.Features([.. input, .. input], 2, null, pool);

        // What a run takes besides the weights.
        Assert.That(((PlannedRun)network.Prepared(null, [1, 3, 224, 224])).Floats * (long)sizeof(float), Is.LessThan(32L << 20));
        for (int i = 0; i < 2; i++)
            Assert.That(OnnxCase.Difference(expected.As([expected.Count]), PlainTensor.Of([expected.Count], output.Row(i).ToArray())), Is.Null);
    }

    [TestCase(20)]
    [TestCase(32)]
    public void CifarResNetGivesPyTorchsLogits(int depth)
    {
        using Network network = Network.Load(SharedData.Path($"images/resnet{depth}.safetensors"));
        using WorkerPool pool = new(2);
        float[] images = CifarImages(1000);
        using FloatMatrix expected = Npy.ReadMatrix(SharedData.Path($"images/resnet{depth}_logits_1000.npy"));
        double worst = 0;
        for (int first = 0; first < 1000; first += 50)
        {
            using FloatMatrix logits = network.Features(images.AsSpan(first * 3072, 50 * 3072), 50, null, pool);
            for (int i = 0; i < 50; i++)
            {
                ReadOnlySpan<float> wanted = expected.Row(first + i);
                ReadOnlySpan<float> got = logits.Row(i);
                Assert.That(Largest(got), Is.EqualTo(Largest(wanted)), $"image {first + i}");
                double scale = 0;
                foreach (float x in wanted)
                    scale = Math.Max(scale, Math.Abs(x));
                for (int j = 0; j < 10; j++)
                    worst = Math.Max(worst, Math.Abs(wanted[j] - got[j]) / scale);
            }
        }

        TestContext.Out.WriteLine($"largest difference, relative to an image's largest logit: {worst:E2}");
        Assert.That(worst, Is.LessThan(1e-4));
    }

    private static float[] CifarImages(int count)
    {
        using Stream stream = SharedData.Open("images/cifar10_test_u8_nhwc_1000.npy.gz");
        using MemoryStream whole = new();
        stream.CopyTo(whole);
        byte[] bytes = whole.ToArray()[^(1000 * 3072)..];
        float[] images = new float[count * 3072];
        for (int i = 0; i < images.Length; i++)
        {
            (int image, int at) = Math.DivRem(i, 3072);
            (int channel, int pixel) = Math.DivRem(at, 1024);
            images[i] = ((bytes[(image * 3072) + (pixel * 3) + channel] / 255f) - Mean[channel]) / Deviation[channel];
        }

        return images;
    }

    private static int Largest(ReadOnlySpan<float> values)
    {
        int best = 0;
        for (int i = 1; i < values.Length; i++)
            best = values[i] > values[best] ? i : best;
        return best;
    }

    private static float[] Interleaved(float[] hwc, int height, int width)
    {
        int channels = hwc.Length / (height * width);
        float[] planes = new float[hwc.Length];
        for (int i = 0; i < hwc.Length; i++)
            planes[((i % channels) * height * width) + (i / channels)] = hwc[i];
        return planes;
    }

    /// <summary>An array of the reference file, as floats.</summary>
    private static float[] Array(string name)
    {
        using ZipArchive archive = ZipFile.OpenRead(SharedData.Path("images/squeezenet/squeezenet_ref.npz"));
        ZipArchiveEntry entry = archive.GetEntry(name + ".npy") ?? throw new InvalidDataException(name);
        using MemoryStream whole = new();
        using (Stream stream = entry.Open())
            stream.CopyTo(whole);
        byte[] bytes = whole.ToArray();
        int start = 10 + BitConverter.ToUInt16(bytes, 8);
        string header = System.Text.Encoding.ASCII.GetString(bytes, 10, start - 10);
        ReadOnlySpan<byte> data = bytes.AsSpan(start);
        return header.Contains("|u1", StringComparison.Ordinal)
            ? System.Array.ConvertAll(data.ToArray(), x => (float)x)
            : System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(data).ToArray();
    }
}
