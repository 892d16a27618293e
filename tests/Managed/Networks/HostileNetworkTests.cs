using System.Text;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

/// <summary>Files that are damaged, or made to harm: an exception that says what is wrong, and no more memory than there is file.</summary>
public sealed class HostileNetworkTests
{
    private static readonly NetworkOptions Small = new() { MaximumMemory = 16 << 20 };

    [TestCase("onnx/node/test_conv_with_strides_padding/model.onnx", 1)]
    [TestCase("onnx/pytorch/test_Conv2d/model.onnx", 1)]
    [TestCase("onnx/light/light_squeezenet.onnx", 61)]
    [TestCase("images/squeezenet/mnist.onnx", 97)]
    [TestCase("images/resnet20.safetensors", 4099)]
    public void TruncatedFilesAreRefused(string file, int step)
    {
        byte[] whole = File.ReadAllBytes(SharedData.Path(file));
        int loaded = 0;
        for (int length = 0; length < whole.Length; length += step)
            loaded += Load(whole[..length], Path.GetExtension(file)) ? 1 : 0;

        // A cut between two fields of the model's end may leave a whole network.
        Assert.That(loaded, Is.LessThanOrEqualTo(8));
        Assert.That(Load(whole, Path.GetExtension(file)), Is.True);
    }

    [TestCase("onnx/node/test_conv_with_strides_padding/model.onnx", 1)]
    [TestCase("onnx/pytorch/test_Conv2d/model.onnx", 1)]
    [TestCase("onnx/node/test_softmax_axis_1_expanded/model.onnx", 1)]
    [TestCase("onnx/light/light_squeezenet.onnx", 13)]
    [TestCase("images/squeezenet/mnist.onnx", 23)]
    [TestCase("images/resnet20.safetensors", 61)]
    public void FlippedBytesNeverCrash(string file, int step)
    {
        byte[] whole = File.ReadAllBytes(SharedData.Path(file));
        Random random = new(5);
        int end = Math.Min(whole.Length, 30_000);
        for (int i = 0; i < end; i += step)
        {
            byte[] flipped = [.. whole];
            flipped[i] ^= (byte)(1 << random.Next(8));
            if (random.Next(4) == 0)
                flipped[random.Next(end)] = (byte)random.Next(256);
            Load(flipped, Path.GetExtension(file), run: true);
        }
    }

    [Test]
    public void CyclesMissingAndDoubleValuesAreNamed()
    {
        Assert.That(() => Graph([Node("a", "Relu", ["y"], ["x"]), Node("b", "Relu", ["x"], ["y"])], "y"),
            Throws.InstanceOf<DataFormatException>().With.Message.Contains("cycle"));
        Assert.That(() => Graph([Node("a", "Relu", ["nothing"], ["y"])], "y"), Throws.InstanceOf<DataFormatException>().With.Message.Contains("'nothing'"));
        Assert.That(() => Graph([Node("a", "Relu", ["in"], ["y"]), Node("b", "Relu", ["in"], ["y"])], "y"),
            Throws.InstanceOf<DataFormatException>().With.Message.Contains("both node 'a' (Relu) and node 'b' (Relu) give 'y'"));
        Assert.That(() => Graph([Node("a", "Relu", ["in"], ["in"])], "in"), Throws.InstanceOf<DataFormatException>().With.Message.Contains("'in'"));
        Assert.That(() => Graph([Node("a", "Relu", ["in"], ["y"])], "z"), Throws.InstanceOf<DataFormatException>().With.Message.Contains("'z'"));
        Assert.That(() => Graph([Node("a", "Flux", ["in"], ["y"])], "y"),
            Throws.InstanceOf<NotSupportedException>().With.Message.Contains("node 'a' (Flux)").And.Message.Contains("ai.onnx").And.Message.Contains("13"));
        Assert.That(() => Graph([Node("a", "Relu", ["in", "in"], ["y"])], "y"), Throws.InstanceOf<DataFormatException>().With.Message.Contains("2 inputs"));

        // Nodes in any order are put in order.
        Assert.That(Graph([Node("b", "Relu", ["x"], ["y"]), Node("a", "Relu", ["in"], ["x"])], "y").Nodes.Select(node => node.Name), Is.EqualTo(new[] { "a", "b" }));
    }

    [Test]
    public void LongChainsNeedNoStack()
    {
        List<NetworkNode> nodes = [Node("c", "Constant", [], ["v0"], new() { ["value_float"] = new NodeAttribute { Float = 1 } })];
        for (int i = 0; i < 50_000; i++)
            nodes.Add(Node("", "Neg", [$"v{i}"], [$"v{i + 1}"]));
        nodes.Add(Node("s", "Add", ["in", "v50000"], ["y"]));
        NetworkGraph graph = Graph(nodes, "y");
        GraphShapes shapes = new(graph, new Dictionary<string, (TensorElement, int[])> { ["in"] = (TensorElement.Float, [1]) }, ["y"], 1 << 20, (1, 1), Core.WorkerPool.Serial);
        Assert.That(shapes.Constant("v50000").Floats, Is.EqualTo(new[] { 1f }));
    }

    [Test]
    public void ClaimedSizesAreNotBelieved()
    {
        // A constant of 2^40 elements, and one that is computed and larger than the limit.
        Assert.That(() => Load(Model(Tensor("w", [1 << 20, 1 << 20], raw: new byte[16])), ".onnx"), Is.False);
        NetworkGraph graph = Graph(
            [
                Node("c", "Constant", [], ["shape"], new() { ["value_ints"] = new NodeAttribute { Integers = [1 << 16, 1 << 16] } }),
                Node("f", "ConstantOfShape", ["shape"], ["big"]),
                Node("s", "Add", ["in", "big"], ["y"]),
            ],
            "y");
        Assert.That(
            () => new GraphShapes(graph, new Dictionary<string, (TensorElement, int[])> { ["in"] = (TensorElement.Float, [1]) }, ["y"], 1 << 20, (1, 1), Core.WorkerPool.Serial),
            Throws.InstanceOf<DataFormatException>().With.Message.Contains("node 'f' (ConstantOfShape)"));
    }

    [TestCase("../secret.bin")]
    [TestCase("/etc/passwd")]
    [TestCase("sub/secret.bin")]
    [TestCase("..")]
    [TestCase("missing.bin")]
    public void WeightsOfOtherFoldersAreNotRead(string location)
    {
        byte[] tensor = [.. Field(1, 4), .. Field(2, 1), .. Text(8, "w"), .. Field(14, 1), .. Message(13, [.. Text(1, "location"), .. Text(2, location)])];
        Assert.That(() => LoadBytes(Model(tensor), ".onnx"), Throws.InstanceOf<DataFormatException>());
    }

    [Test]
    public void WeightsBesideTheModelAreRead()
    {
        string folder = Directory.CreateTempSubdirectory("networks").FullName;
        try
        {
            File.WriteAllBytes(Path.Combine(folder, "w.bin"), [.. new byte[8], .. new float[] { 1, 2, 3, 4 }.SelectMany(BitConverter.GetBytes)]);
            byte[] tensor =
            [
                .. Field(1, 4), .. Field(2, 1), .. Text(8, "w"), .. Field(14, 1), .. Message(13, [.. Text(1, "location"), .. Text(2, "w.bin")]),
                .. Message(13, [.. Text(1, "offset"), .. Text(2, "8")]), .. Message(13, [.. Text(1, "length"), .. Text(2, "16")]),
            ];
            File.WriteAllBytes(Path.Combine(folder, "model.onnx"), Model(tensor));
            using Network network = Network.Load(Path.Combine(folder, "model.onnx"));
            float[] output = new float[4];
            network.Run([1, 1, 1, 1], [1, 4], "y", output);
            Assert.That(output, Is.EqualTo(new float[] { 2, 3, 4, 5 }));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestCase("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "twice")]
    [TestCase("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,12]}}", "bytes")]
    [TestCase("{\"a\":{\"dtype\":\"F32\",\"shape\":[1000000,1000000],\"data_offsets\":[0,8]}}", "bytes")]
    [TestCase("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", "shape")]
    [TestCase("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "bytes")]
    [TestCase("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "JSON")]
    [TestCase("[1,2]", "JSON")]
    [TestCase("{\"a\":", "JSON")]
    public void BadHeadersOfSafetensorsAreRefused(string header, string message)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] file = [.. BitConverter.GetBytes((long)json.Length), .. json, .. new byte[8]];
        Assert.That(() => LoadBytes(file, ".safetensors"), Throws.InstanceOf<DataFormatException>().With.Message.Contains(message));
    }

    private static NetworkGraph Graph(IReadOnlyList<NetworkNode> nodes, string output) =>
        new("graph", 13, nodes, [new GraphValue("in", TensorElement.Float, [1])], [new GraphValue(output, TensorElement.Float, null)], new Dictionary<string, GraphTensor>());

    private static NetworkNode Node(string name, string type, string[] inputs, string[] outputs, Dictionary<string, NodeAttribute>? attributes = null) =>
        new() { Name = name, Operator = type, Inputs = inputs, Outputs = outputs, Attributes = attributes ?? [] };

    /// <summary>y = x + w for a weight that is given.</summary>
    private static byte[] Model(byte[] tensor)
    {
        byte[] node = [.. Text(1, "x"), .. Text(1, "w"), .. Text(2, "y"), .. Text(4, "Add")];
        byte[] graph = [.. Message(1, node), .. Message(5, tensor), .. Message(11, Text(1, "x")), .. Message(12, Text(1, "y"))];
        return [.. Message(8, Field(2, 13)), .. Message(7, graph)];
    }

    private static byte[] Tensor(string name, int[] shape, byte[] raw) =>
        [.. shape.SelectMany(extent => Field(1, extent)), .. Field(2, 1), .. Text(8, name), .. Message(9, raw)];

    private static byte[] Varint(long value)
    {
        List<byte> bytes = [];
        for (ulong left = (ulong)value; ; left >>= 7)
        {
            bytes.Add((byte)(left < 0x80 ? left : (left & 0x7F) | 0x80));
            if (left < 0x80)
                return [.. bytes];
        }
    }

    private static byte[] Field(int field, long value) => [.. Varint(field << 3), .. Varint(value)];

    private static byte[] Message(int field, byte[] content) => [.. Varint((field << 3) | 2), .. Varint(content.Length), .. content];

    private static byte[] Text(int field, string text) => Message(field, Encoding.UTF8.GetBytes(text));

    /// <summary>Whether it loads; any exception but the documented ones fails the test.</summary>
    private static bool Load(byte[] content, string extension, bool run = false)
    {
        try
        {
            LoadBytes(content, extension, run);
            return true;
        }
        catch (Exception exception) when (exception is DataFormatException or NotSupportedException or ArgumentException)
        {
            return false;
        }
    }

    private static void LoadBytes(byte[] content, string extension, bool run = false)
    {
        string path = Path.Combine(Path.GetTempPath(), $"hostile-{Environment.ProcessId}-{Environment.CurrentManagedThreadId}{extension}");
        File.WriteAllBytes(path, content);
        try
        {
            using Network network = Network.Load(path, Small);
            if (!run || network.Inputs.Count != 1 || network.Inputs[0].Shape.Any(extent => extent is < 1 or > 64))
                return;
            int[] shape = [.. network.Inputs[0].Shape];
            float[] output = new float[network.LayerShape(null, shape).Aggregate(1L, (product, extent) => product * extent)];
            network.Run(new float[shape.Aggregate(1, (product, extent) => product * extent)], shape, null, output);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
