using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

/// <summary>Graphs made to need every fusion, layout and fallback, each layer against the plain interpreter.</summary>
public sealed class NetworkFusionTests
{
    private static readonly long[] Ones = [1, 1, 1, 1];
    private static readonly string[] Unplanned = ["Neg"];

    [TestCase(1, 1)]
    [TestCase(3, 2)]
    public void EveryLayerOfAGraphOfImages(int batch, int threads)
    {
        using Network network = Images();
        AssertLayers(network, [batch, 3, 19, 23], threads, 2e-5);
    }

    [TestCase(1, 1)]
    [TestCase(4, 2)]
    public void EveryLayerOfAGraphOfSignals(int batch, int threads)
    {
        GraphMaker graph = new(3);
        string x = graph.Convolution("conv", "in", [20, 2, 5], ("strides", new long[] { 2 }), ("pads", new long[] { 2, 1 }));
        x = graph.Node("Relu", "relu", [graph.Normalisation("norm", x, 20)]);
        x = graph.Node("MaxPool", "pool", [x], ("kernel_shape", new long[] { 3 }), ("strides", new long[] { 2 }), ("ceil_mode", 1));
        x = graph.Convolution("depthwise", x, [20, 1, 3], ("group", 20), ("dilations", new long[] { 2 }));
        x = graph.Node("Mul", "scaled", [x, graph.Weights([20, 1])]);
        x = graph.Node("GlobalAveragePool", "average", [x]);
        x = graph.Node("Squeeze", "flat", [x, graph.Integers(2)]);
        x = graph.Node("Gemm", "product", [x, graph.Weights([20, 7]), graph.Weights([7])]);
        using Network network = graph.Finish([1, 2, 61], x);
        AssertLayers(network, [batch, 2, 61], threads, 2e-5);
    }

    [Test]
    public void FusedNodesAreFused()
    {
        using Network network = Images();
        using PlannedRun run = (PlannedRun)network.Prepared("probabilities", [1, 3, 19, 23]);
        string[] steps = [.. run.Steps.Select(step => step.Name)];
        Assert.That(steps, Does.Contain("silu").And.Contain("swish").And.Contain("relu6").And.Contain("gated"));
        foreach (string fused in new[] { "conv1", "norm1", "sigmoid1", "depthwise", "norm2", "hard", "project", "added", "squeezed", "gate", "matmul", "biased" })
            Assert.That(steps, Does.Not.Contain(fused));
        Assert.That(run.Steps.OfType<PlainStep>().Select(step => step.Name), Is.EqualTo(Unplanned));
    }


    [Test]
    public void JoinedChannelsAreNotCopied()
    {
        GraphMaker graph = new(5);
        string a = graph.Node("Relu", "a", [graph.Convolution("convA", "in", [32, 3, 1, 1])]);
        string b = graph.Convolution("b", a, [16, 32, 3, 3], ("pads", Ones));
        string c = graph.Convolution("c", a, [8, 32, 1, 1]);
        string inner = graph.Node("Concat", "inner", [a, b], ("axis", 1));
        string outer = graph.Node("Concat", "outer", [inner, c], ("axis", 1));
        string last = graph.Convolution("last", outer, [16, 56, 5, 5], ("pads", new long[] { 2, 2, 2, 2 }));
        using Network network = graph.Finish([1, 3, 9, 9], last);
        using PlannedRun run = (PlannedRun)network.Prepared("last", [2, 3, 9, 9]);
        JoinStep[] joins = [.. run.Steps.OfType<JoinStep>()];
        Assert.That(joins, Has.Length.EqualTo(2));
        foreach (JoinStep join in joins)
            Assert.That(join.Slots[..^1].All(part => part.Whole == join.Slots[^1]), Is.True);
        AssertLayers(network, [2, 3, 9, 9], 2, 2e-5);
    }

    [Test]
    public void FilesForOneImageThatMixImagesRunImageByImage()
    {
        // The transposition would mix a batch: 3 images must give what each gives alone.
        GraphMaker graph = new(7);
        string x = graph.Node("Transpose", "turned", ["in"], ("perm", new long[] { 1, 0, 2, 3 }));
        x = graph.Node("ReduceMean", "mean", [x], ("axes", new long[] { 0 }), ("keepdims", 1));
        x = graph.Node("Flatten", "flat", [x], ("axis", 1));
        using Network network = graph.Finish([1, 3, 4, 5], x);
        float[] images = NetworkPlanTests.RandomImages(180, 1);
        using FloatMatrix together = network.Features(images, 3);
        for (int i = 0; i < 3; i++)
        {
            using FloatMatrix alone = network.Features(images.AsSpan(i * 60, 60), 1);
            Assert.That(together.Row(i).ToArray(), Is.EqualTo(alone.Row(0).ToArray()));
        }
    }

    [Test]
    public void MemoryBeyondTheLimitIsRefused()
    {
        GraphMaker graph = new(9);
        string x = graph.Convolution("conv", "in", [64, 3, 1, 1]);
        using Network network = graph.Finish([1, 3, 64, 64], x, new NetworkOptions { MaximumMemory = 1 << 20 });
        Assert.That(() => network.Features(new float[3 * 64 * 64], 1), Throws.InstanceOf<DataFormatException>().With.Message.Contains("limit"));
    }

    private static Network Images()
    {
        GraphMaker graph = new(1);
        string x = graph.Convolution("conv1", "in", [24, 3, 3, 3], ("strides", new long[] { 2, 1 }), ("pads", new long[] { 0, 1, 1, 2 }));
        x = graph.Normalisation("norm1", x, 24);
        string silu = graph.Node("Mul", "silu", [x, graph.Node("Sigmoid", "sigmoid1", [x])]);
        x = graph.Node("Conv", "depthwise", [silu, graph.Weights([24, 1, 3, 3])], ("group", 24), ("pads", Ones));
        x = graph.Normalisation("norm2", x, 24);
        x = graph.Node("Mul", "swish", [graph.Node("HardSigmoid", "hard", [x], ("alpha", 1f / 6), ("beta", 0.5f)), x]);
        x = graph.Convolution("project", x, [24, 24, 1, 1]);
        x = graph.Node("Add", "added", [silu, x]);
        string relu6 = graph.Node("Clip", "relu6", [x, graph.Number(0), graph.Number(6)]);
        string pooled = graph.Node("MaxPool", "pooled", [silu], ("kernel_shape", new long[] { 3, 3 }), ("pads", Ones));
        string joined = graph.Node("Concat", "joined", [relu6, pooled, silu], ("axis", 1));
        string a = graph.Node("LeakyRelu", "a", [graph.Convolution("convA", joined, [32, 72, 3, 3], ("pads", Ones))], ("alpha", 0.1f));
        string b = graph.Convolution("b", joined, [16, 36, 1, 1], ("group", 2));
        string c = graph.Convolution("c", joined, [40, 72, 5, 5], ("auto_pad", "SAME_LOWER"));
        string whole = graph.Node("Concat", "whole", [a, b, c], ("axis", 1));
        x = graph.Node("GlobalAveragePool", "squeeze", [whole]);
        x = graph.Node("Relu", "excited", [graph.Convolution("squeezed", x, [8, 88, 1, 1])]);
        x = graph.Node("Sigmoid", "scale", [graph.Convolution("gate", x, [88, 8, 1, 1])]);
        x = graph.Node("Mul", "gated", [whole, x]);
        x = graph.Node("Relu", "activated", [graph.Normalisation("normalised", x, 88)]);
        x = graph.Node("Pad", "padded", [x, graph.Integers(0, 4, 1, 0, 0, 4, 2, 1)]);
        x = graph.Node("AveragePool", "averaged", [x], ("kernel_shape", new long[] { 3, 2 }), ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 0, 1, 1 }), ("ceil_mode", 1), ("count_include_pad", 1));
        x = graph.Node("LRN", "local", [x], ("size", 5), ("alpha", 0.1f));
        x = graph.Node("InstanceNormalization", "instance", [x, graph.Weights([96]), graph.Weights([96])]);
        x = graph.Node("Relu", "wide", [graph.Node("ConvTranspose", "transposed", [x, graph.Weights([96, 6, 3, 2]), graph.Weights([24])], ("group", 4), ("strides", new long[] { 2, 1 }), ("pads", new long[] { 1, 0, 0, 1 }))]);
        x = graph.Node("Reshape", "split", [x, graph.Integers(1, 4, 6, -1, 13)]);
        x = graph.Node("Transpose", "turned", [x], ("perm", new long[] { 0, 2, 1, 3, 4 }));
        x = graph.Node("Reshape", "shuffled", [x, graph.Integers(1, 24, -1, 13)]);
        x = graph.Node("Dropout", "dropped", [x]);
        x = graph.Node("Softmax", "attention", [x], ("axis", 1));
        x = graph.Node("ReduceMean", "mean", [x], ("axes", new long[] { 2, 3 }), ("keepdims", 0));
        x = graph.Node("Gemm", "gemm", [x, graph.Weights([24, 17]), graph.Weights([17])], ("alpha", 2f), ("beta", 0.5f));
        x = graph.Node("HardSwish", "hardswish", [x]);
        x = graph.Node("Add", "biased", [graph.Node("MatMul", "matmul", [x, graph.Weights([17, 33])]), graph.Weights([33])]);
        x = graph.Node("Tanh", "tanh", [x]);
        x = graph.Node("Sub", "less", [x, x]);
        x = graph.Node("Add", "more", [x, graph.Node("Neg", "negative", ["tanh"])]);
        x = graph.Node("Softmax", "probabilities", [x], ("axis", -1));
        return graph.Finish([1, 3, 19, 23], x, opset: 17);
    }

    private static void AssertLayers(Network network, int[] shape, int threads, double tolerance)
    {
        using WorkerPool pool = new(threads);
        float[] input = NetworkPlanTests.RandomImages(TensorShape.Count(shape), 11);
        int image = input.Length / shape[0];
        List<PlainTensor[]> expected = [];
        for (int i = 0; i < shape[0]; i++)
            expected.Add(network.Interpret(new Dictionary<string, PlainTensor> { ["in"] = PlainTensor.Of([1, .. shape[1..]], input[(i * image)..((i + 1) * image)]) }, network.Layers));
        for (int layer = 0; layer < network.Layers.Count; layer++)
        {
            float[] output = new float[network.LayerShape(network.Layers[layer], shape).Aggregate(1, (product, extent) => product * extent)];
            for (int run = 0; run < 2; run++) // the second on memory that the first has used
                network.Run(input, shape, network.Layers[layer], output, pool);
            NetworkPlanTests.AssertClose([.. expected.SelectMany(tensors => tensors[layer].Floats)], output, tolerance, network.Layers[layer]);
        }
    }
}
