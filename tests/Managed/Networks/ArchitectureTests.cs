using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

/// <summary>Built-in architectures from random weights under PyTorch's names; the small widths of some are those of no published network.</summary>
public sealed class ArchitectureTests
{
    [TestCase("resnet18", false, "2,2,2,2")]
    [TestCase("resnet34", false, "3,4,6,3")]
    [TestCase("resnet50", true, "3,4,6,3")]
    public void ResNetsHaveTorchvisionsLayers(string name, bool bottleneck, string blocks)
    {
        int[] counts = [.. blocks.Split(',').Select(count => int.Parse(count, CultureInfo.InvariantCulture))];
        using TemporaryWeights file = new(ResNet(bottleneck, counts));
        using Network network = Network.Load(file.Path, new NetworkOptions { Architecture = name });
        Assert.That(network.Layers, Is.SupersetOf(new[] { "conv1", "bn1", "relu", "maxpool", "layer1.0.conv1", "layer1", "layer4", "avgpool", "fc", "fc1", "embedding" }));
        Assert.That(network.Layers.Count(layer => layer.EndsWith(".downsample.1", StringComparison.Ordinal)), Is.EqualTo(bottleneck ? 4 : 3));
        Assert.That(network.LayerShape("layer4", [2, 3, 224, 224]), Is.EqualTo(new[] { 2, bottleneck ? 64 : 32, 7, 7 }));
        AssertLayers(network, [2, 3, 48, 40], network.Layers.Where(layer => !layer.StartsWith("layer3.", StringComparison.Ordinal)));
        Assert.That(() => Network.Load(file.Path, new NetworkOptions { Architecture = "vgg16" }), Throws.ArgumentException.With.Message.Contains(name));
    }

    [TestCase(false)]
    [TestCase(true)]
    public void VggHasTorchvisionsLayers(bool normalised)
    {
        using TemporaryWeights file = new(Vgg11(normalised));
        using Network network = Network.Load(file.Path, new NetworkOptions { Architecture = normalised ? "vgg11_bn" : "vgg11" });
        Assert.That(network.Layers, Is.SupersetOf(new[] { "features.0", "features", "avgpool", "classifier.0", "classifier.6", "fc1", "fc2", "fc3", "embedding" }));
        Assert.That(network.LayerShape("fc1", [5, 3, 224, 224]), Is.EqualTo(new[] { 5, 16 }));
        AssertLayers(network, [1, 3, 224, 224], normalised ? ["features.2"] : ["features.2", "fc1", "classifier.6"]);
        Assert.That(() => network.LayerShape("fc1", [1, 3, 200, 224]), Throws.ArgumentException);
    }

    [Test]
    public void MissingAndMisshapenWeightsAreNamed()
    {
        List<(string Name, int[] Shape)> tensors = ResNet(false, [2, 2, 2, 2]);
        using TemporaryWeights missing = new([.. tensors.Where(tensor => tensor.Name != "layer2.1.bn2.running_var")]);
        Assert.That(() => Network.Load(missing.Path), Throws.InstanceOf<DataFormatException>().With.Message.Contains("'layer2.1.bn2.running_var'"));
        using TemporaryWeights narrow = new([.. tensors.Select(tensor => tensor.Name == "layer3.0.bn1.weight" ? (tensor.Name, [5]) : tensor)]);
        Assert.That(() => Network.Load(narrow.Path), Throws.InstanceOf<DataFormatException>().With.Message.Contains("layer3.0.bn1"));
        using TemporaryWeights unknown = new([("embeddings.weight", [3, 4])]);
        Assert.That(() => Network.Load(unknown.Path), Throws.InstanceOf<NotSupportedException>());
    }

    private static void AssertLayers(Network network, int[] shape, IEnumerable<string> layers)
    {
        using WorkerPool pool = new(2);
        float[] input = NetworkPlanTests.RandomImages(TensorShape.Count(shape), 3);
        string[] wanted = [.. layers];
        PlainTensor[] expected = network.Interpret(new Dictionary<string, PlainTensor> { ["input"] = PlainTensor.Of(shape, input) }, wanted, pool);
        for (int i = 0; i < wanted.Length; i++)
        {
            float[] output = new float[expected[i].Count];
            network.Run(input, shape, wanted[i], output, pool);
            NetworkPlanTests.AssertClose(expected[i].Floats, output, 1e-4, wanted[i]);
        }
    }

    private static List<(string Name, int[] Shape)> ResNet(bool bottleneck, int[] blocks)
    {
        List<(string Name, int[] Shape)> tensors = [];
        Convolution(tensors, "conv1", "bn1", 4, 3, 7);
        int channels = 4;
        for (int layer = 1; layer <= 4; layer++)
        {
            for (int i = 0; i < blocks[layer - 1]; i++)
            {
                string name = string.Create(CultureInfo.InvariantCulture, $"layer{layer}.{i}.");
                int width = bottleneck ? 2 << layer : 4 << (layer - 1);
                int outputs = bottleneck ? 4 << layer : width;
                Convolution(tensors, name + "conv1", name + "bn1", width, channels, bottleneck ? 1 : 3);
                Convolution(tensors, name + "conv2", name + "bn2", width, width, 3);
                if (bottleneck)
                    Convolution(tensors, name + "conv3", name + "bn3", outputs, width, 1);
                if (channels != outputs)
                    Convolution(tensors, name + "downsample.0", name + "downsample.1", outputs, channels, 1);
                channels = outputs;
            }
        }

        tensors.Add(("fc.weight", [10, channels]));
        tensors.Add(("fc.bias", [10]));
        return tensors;
    }

    private static List<(string Name, int[] Shape)> Vgg11(bool normalised)
    {
        List<(string Name, int[] Shape)> tensors = [];
        int index = 0;
        int channels = 3;
        foreach (int outputs in new[] { 64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0 })
        {
            if (outputs == 0)
            {
                index++;
                continue;
            }

            string Feature(int i) => string.Create(CultureInfo.InvariantCulture, $"features.{i}");
            Convolution(tensors, Feature(index), normalised ? Feature(index + 1) : null, outputs, channels, 3);
            tensors.Add((Feature(index) + ".bias", [outputs]));
            index += normalised ? 3 : 2;
            channels = outputs;
        }

        int from = 512 * 49;
        foreach ((int layer, int to) in new[] { (0, 16), (3, 12), (6, 10) })
        {
            tensors.Add((string.Create(CultureInfo.InvariantCulture, $"classifier.{layer}.weight"), [to, from]));
            tensors.Add((string.Create(CultureInfo.InvariantCulture, $"classifier.{layer}.bias"), [to]));
            from = to;
        }

        return tensors;
    }

    private static void Convolution(List<(string Name, int[] Shape)> tensors, string name, string? normalisation, int outputs, int inputs, int kernel)
    {
        tensors.Add((name + ".weight", [outputs, inputs, kernel, kernel]));
        foreach (string part in normalisation is null ? [] : new[] { "weight", "bias", "running_mean", "running_var" })
            tensors.Add(($"{normalisation}.{part}", [outputs]));
    }

    /// <summary>A .safetensors file of random weights that is deleted in the end.</summary>
    private sealed class TemporaryWeights : IDisposable
    {
        public TemporaryWeights(IReadOnlyList<(string Name, int[] Shape)> tensors)
        {
            Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"weights-{Guid.NewGuid():N}.safetensors");
            long offset = 0;
            List<string> entries = [];
            foreach ((string name, int[] shape) in tensors)
            {
                long bytes = TensorShape.LongCount(shape) * sizeof(float);
                entries.Add(string.Create(CultureInfo.InvariantCulture, $"\"{name}\":{{\"dtype\":\"F32\",\"shape\":[{string.Join(',', shape)}],\"data_offsets\":[{offset},{offset + bytes}]}}"));
                offset += bytes;
            }

            byte[] header = Encoding.UTF8.GetBytes($"{{{string.Join(',', entries)}}}");
            using FileStream file = File.Create(Path);
            file.Write(BitConverter.GetBytes((long)header.Length));
            file.Write(header);
            Random random = new(5);
            foreach ((string name, int[] shape) in tensors)
            {
                float[] values = new float[TensorShape.Count(shape)];
                bool positive = name.EndsWith("running_var", StringComparison.Ordinal) || (shape.Length == 1 && name.EndsWith("weight", StringComparison.Ordinal));
                double scale = shape.Length > 1 ? Math.Sqrt(6.0 / (values.Length / shape[0])) : 0.2;
                for (int i = 0; i < values.Length; i++)
                    values[i] = (float)(positive ? 0.5 + random.NextDouble() : ((2 * random.NextDouble()) - 1) * scale);
                file.Write(MemoryMarshal.AsBytes<float>(values));
            }
        }

        public string Path { get; }

        public void Dispose() => File.Delete(Path);
    }
}
