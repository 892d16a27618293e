using EmbeddingKernels.Core;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

/// <summary>Plans against the plain interpreter.</summary>
public sealed class NetworkPlanTests
{
    [TestCase("images/squeezenet/SqueezeNet_fp16.onnx", 3, 224)]
    [TestCase("images/resnet20.safetensors", 3, 32)]
    [TestCase("images/squeezenet/mnist.onnx", 1, 28)]
    public void EveryLayerIsWhatTheInterpreterGives(string file, int channels, int size)
    {
        string path = SharedData.Path(file);
        using Network planned = Network.Load(path);
        using Network plain = Network.Load(path, new NetworkOptions { Optimize = false });
        using WorkerPool pool = new(2);
        Assert.That(planned.Layers, Is.EqualTo(plain.Layers));
        float[] input = RandomImages(channels * size * size, 1);
        int[] shape = [1, channels, size, size];
        PlainTensor[] expected = plain.Interpret(new Dictionary<string, PlainTensor> { [plain.Inputs[0].Name] = PlainTensor.Of(shape, input) }, plain.Layers, pool);
        foreach ((string layer, PlainTensor wanted) in planned.Layers.Zip(expected))
        {
            Assert.That(planned.LayerShape(layer, shape), Is.EqualTo(wanted.Shape), layer);
            float[] output = new float[wanted.Count];
            planned.Run(input, shape, layer, output, pool);
            AssertClose(wanted.Floats, output, 2e-5, layer);
        }
    }

    [TestCase("images/squeezenet/SqueezeNet_fp16.onnx", 3, 224, "fire3/concat_1")]
    [TestCase("images/squeezenet/SqueezeNet_fp16.onnx", 3, 224, "softmaxout_1")]
    [TestCase("images/resnet20.safetensors", 3, 32, "linear")]
    [TestCase("images/squeezenet/mnist.onnx", 1, 28, "Plus214_Output_0")]
    public void ABatchIsItsImages(string file, int channels, int size, string layer)
    {
        using Network network = Network.Load(SharedData.Path(file));
        using WorkerPool pool = new(2);
        int pixels = channels * size * size;
        float[] images = RandomImages(8 * pixels, 2);
        int count = network.LayerShape(layer, [1, channels, size, size]).Aggregate(1, (product, extent) => product * extent);
        float[] single = new float[8 * count];
        for (int i = 0; i < 8; i++)
            network.Run(images.AsSpan(i * pixels, pixels), [1, channels, size, size], layer, single.AsSpan(i * count, count), pool);
        foreach (int batch in new[] { 3, 8 })
        {
            Assert.That(network.LayerShape(layer, [batch, channels, size, size])[0], Is.EqualTo(batch));
            float[] together = new float[batch * count];
            network.Run(images.AsSpan(0, batch * pixels), [batch, channels, size, size], layer, together, pool);
            AssertClose(single[..together.Length], together, 2e-5, $"batch {batch}");
        }
    }

    internal static float[] RandomImages(int count, int seed)
    {
        Random random = new(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = (float)((random.NextDouble() * 4) - 2);
        return values;
    }

    /// <summary>Within a part of the largest magnitude.</summary>
    internal static void AssertClose(float[] expected, float[] actual, double tolerance, string what)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length), what);
        double scale = 0;
        double worst = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            scale = Math.Max(scale, Math.Abs(expected[i]));
            worst = Math.Max(worst, Math.Abs(expected[i] - actual[i]));
            if (float.IsNaN(actual[i]) != float.IsNaN(expected[i]))
                worst = double.PositiveInfinity;
        }

        Assert.That(worst, Is.LessThanOrEqualTo(tolerance * scale), what);
    }
}
