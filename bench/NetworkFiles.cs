using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>One network in a folder of its own: as ONNX for us, as text and weights for ncnn and, the same weights, for PyTorch.</summary>
internal sealed class NetworkFiles : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("network-bench-");

    public NetworkFiles(NetworkModel model)
    {
        (Onnx, Param, Bin, Layers) = (File("model.onnx"), File("model.param"), File("model.bin"), File("model.json"));
        OnnxWriter.Write(model, Onnx);
        WriteParam(model);
        WriteBin(model);
        WriteLayers(model);
    }

    public string Onnx { get; }

    /// <summary>ncnn's description of the layers.</summary>
    public string Param { get; }

    /// <summary>ncnn's weights: for each layer four zero bytes, the weights, the biases.</summary>
    public string Bin { get; }

    /// <summary>The layers for a Python program, which names <see cref="Bin"/>.</summary>
    public string Layers { get; }

    public string File(string name) => Path.Combine(_folder.FullName, name);

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>Writes floats as they are in memory.</summary>
    public static void Write(Stream file, AlignedBuffer<float> values)
    {
        const int Part = 1 << 24;
        for (nint start = 0; start < values.Length; start += Part)
            file.Write(MemoryMarshal.AsBytes(values.AsSpan(start, (int)Math.Min(Part, values.Length - start))));
    }

    private void WriteBin(NetworkModel model)
    {
        using FileStream file = System.IO.File.Create(Bin);
        foreach (NetworkLayer layer in model.Layers.Where(layer => layer.Depth > 0))
        {
            file.Write([0, 0, 0, 0]);
            using AlignedBuffer<float> weights = layer.Weights(), bias = layer.Bias();
            Write(file, weights);
            Write(file, bias);
        }
    }

    private void WriteLayers(NetworkModel model) => System.IO.File.WriteAllText(Layers, JsonSerializer.Serialize(new
    {
        bin = Bin,
        size = model.InputSize,
        feature = model.Feature,
        layers = model.Layers.Select(layer => new
        {
            kind = layer.Kind.ToString(),
            name = layer.Name,
            inputs = layer.Inputs,
            channels = layer.Channels,
            group_inputs = layer.Kind == NetworkLayerKind.FullyConnected ? layer.Depth : layer.InputChannels / layer.Groups,
            kernel = layer.Kernel,
            stride = layer.Stride,
            padding = layer.Padding,
            groups = layer.Groups,
            ceiling = layer.Ceiling,
            relu = layer.Relu,
        }),
    }));

    /// <summary>
    /// ncnn's text: a line for each layer, sizes as hints, a "Split" where several layers read one output. A ReLU is part of a
    /// layer with weights and else a layer of its own.
    /// </summary>
    private void WriteParam(NetworkModel model)
    {
        List<string> lines = [];
        Dictionary<string, Queue<string>> copies = [];
        int blobs = 0;
        Line("Input", NetworkModel.Data, [], [NetworkModel.Data], $"0={model.InputSize} 1={model.InputSize} 2=3");
        Copy(NetworkModel.Data);
        foreach (NetworkLayer layer in model.Layers)
        {
            string[] inputs = [.. layer.Inputs.Select(input => copies[input].Dequeue())];
            int weights = (int)layer.WeightLength, relu = layer.Relu ? 1 : 0;
            switch (layer.Kind)
            {
                case NetworkLayerKind.Convolution when layer.Groups == 1:
                    Line("Convolution", layer.Name, inputs, [layer.Name], $"0={layer.Channels} 1={layer.Kernel} 3={layer.Stride} 4={layer.Padding} 5=1 6={weights} 9={relu}");
                    break;
                case NetworkLayerKind.Convolution:
                    Line("ConvolutionDepthWise", layer.Name, inputs, [layer.Name], $"0={layer.Channels} 1={layer.Kernel} 3={layer.Stride} 4={layer.Padding} 5=1 6={weights} 7={layer.Groups} 9={relu}");
                    break;
                case NetworkLayerKind.FullyConnected:
                    Line("InnerProduct", layer.Name, inputs, [layer.Name], $"0={layer.Channels} 1=1 2={weights} 9={relu}");
                    break;
                case NetworkLayerKind.MaxPool:
                    Line("Pooling", layer.Name, inputs, [layer.Name], $"0=0 1={layer.Kernel} 2={layer.Stride} 3={layer.Padding} 5={(layer.Ceiling ? 0 : 1)}");
                    break;
                case NetworkLayerKind.GlobalAverage:
                    Line("Pooling", layer.Name, inputs, [layer.Name], $"0=1 4=1");
                    break;
                case NetworkLayerKind.Concat:
                    Line("Concat", layer.Name, inputs, [layer.Name], $"0=0");
                    break;
                default:
                    Line("Eltwise", $"{layer.Name}.sum", inputs, [$"{layer.Name}.sum"], $"0=1", layer.Name);
                    Line("ReLU", layer.Name, [$"{layer.Name}.sum"], [layer.Name], $"");
                    break;
            }

            Copy(layer.Name);
        }

        System.IO.File.WriteAllLines(Param, ["7767517", $"{lines.Count} {blobs}", .. lines]);

        void Line(string type, string name, string[] inputs, string[] outputs, FormattableString options, string? shapeOf = null)
        {
            (int channels, int size) = model.Shape(shapeOf ?? name);
            bool flat = model.Layers.FirstOrDefault(layer => layer.Name == (shapeOf ?? name)) is { Kind: NetworkLayerKind.FullyConnected or NetworkLayerKind.GlobalAverage };
            string hint = string.Create(CultureInfo.InvariantCulture, $"-23330={4 * outputs.Length}{string.Concat(outputs.Select(_ => flat ? $",1,{channels},1,1" : $",3,{size},{size},{channels}"))}");
            lines.Add(string.Join(' ', new[] { type, name, $"{inputs.Length}", $"{outputs.Length}" }.Concat(inputs).Concat(outputs).Append(hint).Append(options.ToString(CultureInfo.InvariantCulture))));
            blobs += outputs.Length;
        }

        void Copy(string name)
        {
            string[] readers = [.. model.Layers.SelectMany(layer => layer.Inputs).Where(input => input == name)];
            copies[name] = new(readers.Length < 2 ? [name] : readers.Select((_, i) => $"{name}.copy{i}"));
            if (readers.Length > 1)
                Line("Split", $"{name}.split", [name], [.. copies[name]], $"", name);
        }
    }

    /// <summary>The least of ONNX that these networks need (opset 13), written by hand: protocol buffers are tags, lengths and bytes.</summary>
    private static class OnnxWriter
    {
        public static void Write(NetworkModel model, string path)
        {
            List<byte[]> nodes = [];
            foreach (NetworkLayer layer in model.Layers)
                nodes.AddRange(Nodes(layer));

            // Everything but the numbers of the weights, and how long they are.
            (NetworkLayer Layer, bool Weights, byte[] Head, long Length)[] tensors =
            [
                .. model.Layers.Where(layer => layer.Depth > 0).SelectMany(layer => new[]
                {
                    (layer, true, TensorHead($"{layer.Name}.weight", layer.Kind == NetworkLayerKind.Convolution ? [layer.Channels, layer.InputChannels / layer.Groups, layer.Kernel, layer.Kernel] : [layer.Channels, layer.Depth]), 4L * layer.WeightLength),
                    (layer, false, TensorHead($"{layer.Name}.bias", [layer.Channels]), 4L * layer.Channels),
                }),
            ];
            byte[][] tensorStarts = [.. tensors.Select(tensor => TensorStart(tensor.Head, tensor.Length))];
            (int channels, int size) = model.Shape(model.Layers[^1].Name);
            byte[] graph =
            [
                .. nodes.SelectMany(node => Message(1, node)),
                .. Text(2, model.Name),
                .. Message(11, Value(NetworkModel.Data, [1, 3, model.InputSize, model.InputSize])),
                .. Message(12, Value(model.Layers[^1].Name, model.Layers[^1].Kind == NetworkLayerKind.FullyConnected ? [1, channels] : [1, channels, size, size])),
            ];
            long length = graph.Length + tensors.Select((tensor, i) => tensorStarts[i].Length + tensor.Length).Sum();
            using FileStream file = System.IO.File.Create(path);
            file.Write([.. Number(1, 8), .. Text(2, "EmbeddingKernels.Bench"), .. Message(8, Number(2, 13)), .. Tag(7, 2), .. Varint(length)]);
            file.Write(graph);
            for (int i = 0; i < tensors.Length; i++)
            {
                file.Write(tensorStarts[i]);
                using AlignedBuffer<float> values = tensors[i].Weights ? tensors[i].Layer.Weights() : tensors[i].Layer.Bias();
                NetworkFiles.Write(file, values);
            }
        }

        private static IEnumerable<byte[]> Nodes(NetworkLayer layer)
        {
            string output = layer.Relu ? $"{layer.Name}.linear" : layer.Name;
            long[] window = [layer.Kernel, layer.Kernel], strides = [layer.Stride, layer.Stride], padding = [layer.Padding, layer.Padding, layer.Padding, layer.Padding];
            string weight = $"{layer.Name}.weight", bias = $"{layer.Name}.bias";
            switch (layer.Kind)
            {
                case NetworkLayerKind.Convolution:
                    yield return Node("Conv", [.. layer.Inputs, weight, bias], output, [Integers("kernel_shape", window), Integers("strides", strides), Integers("pads", padding), Integer("group", layer.Groups)]);
                    break;
                case NetworkLayerKind.FullyConnected:
                    yield return Node("Flatten", layer.Inputs, $"{layer.Name}.flat", [Integer("axis", 1)]);
                    yield return Node("Gemm", [$"{layer.Name}.flat", weight, bias], output, [Integer("transB", 1)]);
                    break;
                case NetworkLayerKind.MaxPool:
                    yield return Node("MaxPool", layer.Inputs, output, [Integers("kernel_shape", window), Integers("strides", strides), Integers("pads", padding), Integer("ceil_mode", layer.Ceiling ? 1 : 0)]);
                    break;
                case NetworkLayerKind.GlobalAverage:
                    yield return Node("GlobalAveragePool", layer.Inputs, output, []);
                    break;
                case NetworkLayerKind.Add:
                    yield return Node("Add", layer.Inputs, output, []);
                    break;
                default:
                    yield return Node("Concat", layer.Inputs, output, [Integer("axis", 1)]);
                    break;
            }

            if (layer.Relu)
                yield return Node("Relu", [output], layer.Name, []);
        }

        private static byte[] Node(string type, string[] inputs, string output, byte[][] attributes) =>
            [.. inputs.SelectMany(input => Text(1, input)), .. Text(2, output), .. Text(3, output), .. Text(4, type), .. attributes.SelectMany(attribute => Message(5, attribute))];

        private static byte[] Integer(string name, long value) => [.. Text(1, name), .. Number(3, value), .. Number(20, 2)];

        private static byte[] Integers(string name, long[] values) => [.. Text(1, name), .. values.SelectMany(value => Number(8, value)), .. Number(20, 7)];

        private static byte[] Value(string name, long[] extents)
        {
            byte[] shape = [.. extents.SelectMany(extent => Message(1, Number(1, extent)))];
            byte[] tensor = [.. Number(1, 1), .. Message(2, shape)];
            return [.. Text(1, name), .. Message(2, Message(1, tensor))];
        }

        /// <summary>Extents, type (float) and name.</summary>
        private static byte[] TensorHead(string name, long[] extents) => [.. extents.SelectMany(extent => Number(1, extent)), .. Number(2, 1), .. Text(8, name)];

        /// <summary>A tensor as field of the graph up to its numbers, which are its last field.</summary>
        private static byte[] TensorStart(byte[] head, long length)
        {
            byte[] raw = [.. Tag(9, 2), .. Varint(length)];
            return [.. Tag(5, 2), .. Varint(head.Length + raw.Length + length), .. head, .. raw];
        }

        private static byte[] Message(int field, byte[] content) => [.. Tag(field, 2), .. Varint(content.Length), .. content];

        private static byte[] Text(int field, string text) => Message(field, Encoding.UTF8.GetBytes(text));

        private static byte[] Number(int field, long value) => [.. Tag(field, 0), .. Varint(value)];

        private static byte[] Tag(int field, int type) => Varint(((long)field << 3) | (uint)type);

        private static byte[] Varint(long value)
        {
            List<byte> bytes = [];
            for (ulong rest = (ulong)value; ; rest >>= 7)
            {
                bytes.Add((byte)(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest));
                if (rest <= 0x7f)
                    return [.. bytes];
            }
        }
    }
}
