using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

/// <summary>
/// The key-word network DS-CNN-S, from its frozen TensorFlow graph to an ONNX file that is fed cepstral coefficients, batch x 1 x 49
/// x 10: the steps before them (reading the sound, spectrogram, coefficients) are left out, as they are ours.
/// </summary>
internal static class KeywordNetwork
{
    public static void Write(string path)
    {
        Dictionary<string, Node> nodes = [];
        foreach ((int field, _, ReadOnlyMemory<byte> bytes) in Fields(File.ReadAllBytes(SharedData.Path("audio/ds_cnn/DS_CNN_S.pb"))))
        {
            if (field == 1)
                nodes.Add(Node.Read(bytes, out Node node), node);
        }

        Message graph = new();
        Dictionary<string, string> names = nodes.ToDictionary(node => node.Key, node => node.Key);
        Node? convolution = null;
        string last = "";
        foreach (Node node in nodes.Values)
        {
            string[] inputs = [.. node.Inputs.Select(input => names.GetValueOrDefault(input, input))];
            string Weights(int input, Func<float[], int[], (float[], int[])>? arrange = null)
            {
                (float[] values, int[] shape) = nodes[inputs[input]].Tensor();
                if (arrange is not null)
                    (values, shape) = arrange(values, shape);
                graph.Add(5, Tensor(inputs[input], values, shape));
                return inputs[input];
            }

            switch (node.Operator)
            {
                case "Const" or "Placeholder" or "DecodeWav" or "AudioSpectrogram" or "Mfcc":
                    break;
                case "Reshape":
                    names[node.Name] = "mfcc";
                    break;
                case "Identity":
                    names[node.Name] = inputs[0];
                    break;
                case "Conv2D" or "DepthwiseConv2dNative":
                    convolution = node; // written with the bias that follows
                    break;
                case "BiasAdd" when nodes[inputs[0]] == convolution:
                    bool depthwise = convolution.Operator == "DepthwiseConv2dNative";
                    string[] of = [.. convolution.Inputs.Select(input => names.GetValueOrDefault(input, input))];
                    (float[] weights, int[] shape) = Channels(nodes[of[1]].Tensor(), depthwise);
                    graph.Add(5, Tensor(of[1], weights, shape));
                    graph.Add(1, Operation("Conv", [of[0], of[1], Weights(1)], node.Name,
                        ("strides", convolution.Window("strides")), ("auto_pad", "SAME_UPPER"), ("group", depthwise ? shape[0] : 1)));
                    break;
                case "BiasAdd":
                    graph.Add(1, Operation("Add", [inputs[0], Weights(1)], node.Name));
                    break;
                case "FusedBatchNorm":
                    graph.Add(1, Operation("BatchNormalization", [inputs[0], Weights(1), Weights(2), Weights(3), Weights(4)], node.Name, ("epsilon", node.Number("epsilon"))));
                    break;
                case "Relu":
                    graph.Add(1, Operation("Relu", [inputs[0]], node.Name));
                    break;
                case "AvgPool":
                    graph.Add(1, Operation("AveragePool", [inputs[0]], node.Name, ("kernel_shape", node.Window("ksize")), ("strides", node.Window("strides"))));
                    break;
                case "Squeeze":
                    graph.Add(1, Operation("Flatten", [inputs[0]], node.Name));
                    break;
                case "MatMul":
                    graph.Add(1, Operation("MatMul", [inputs[0], Weights(1)], node.Name));
                    break;
                case "Softmax":
                    graph.Add(1, Operation("Softmax", [inputs[0]], node.Name, ("axis", -1)));
                    break;
                default:
                    throw new NotSupportedException(node.Operator);
            }

            last = node.Name;
        }

        graph.Add(2, "DS-CNN-S").Add(11, Value("mfcc", null, 1, 49, 10)).Add(12, Value(last, null, 12));
        Message model = new Message().Add(1, 8).Add(7, graph).Add(8, new Message().Add(1, "").Add(2, 13));
        File.WriteAllBytes(path, model.ToArray());
    }

    /// <summary>[row][column][in][out] to [out][in][row][column]; depthwise [row][column][channel][1] to [channel][1][row][column].</summary>
    private static (float[] Values, int[] Shape) Channels((float[] Values, int[] Shape) tensor, bool depthwise)
    {
        (float[] from, int[] s) = tensor;
        (int inputs, int outputs) = depthwise ? (1, s[2]) : (s[2], s[3]);
        float[] to = new float[from.Length];
        for (int place = 0; place < s[0] * s[1]; place++)
        {
            for (int i = 0; i < inputs; i++)
            {
                for (int o = 0; o < outputs; o++)
                    to[(((o * inputs) + i) * s[0] * s[1]) + place] = from[(((place * inputs) + i) * outputs) + o];
            }
        }

        return (to, [outputs, inputs, s[0], s[1]]);
    }

    private static Message Tensor(string name, float[] values, int[] shape)
    {
        Message tensor = new();
        foreach (int extent in shape)
            tensor.Add(1, extent);
        return tensor.Add(2, 1).Add(8, name).Add(9, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
    }

    private static Message Value(string name, params int?[] shape)
    {
        Message extents = new();
        foreach (int? extent in shape)
            extents.Add(1, extent is int n ? new Message().Add(1, n) : new Message().Add(2, "batch"));
        return new Message().Add(1, name).Add(2, new Message().Add(1, new Message().Add(1, 1).Add(2, extents)));
    }

    private static Message Operation(string type, string[] inputs, string name, params (string Name, object Value)[] attributes)
    {
        Message node = new();
        foreach (string input in inputs)
            node.Add(1, input);
        node.Add(2, name).Add(3, name).Add(4, type);
        foreach ((string attribute, object value) in attributes)
        {
            Message message = new Message().Add(1, attribute);
            _ = value switch
            {
                float number => message.Add(2, number).Add(20, 1),
                int number => message.Add(3, number).Add(20, 2),
                string text => message.Add(4, text).Add(20, 3),
                _ => ((int[])value).Aggregate(message, (m, number) => m.Add(8, number)).Add(20, 7),
            };
            node.Add(5, message);
        }

        return node;
    }

    /// <summary>The fields of a protocol buffer: numbers, or bytes.</summary>
    private static IEnumerable<(int Field, ulong Number, ReadOnlyMemory<byte> Bytes)> Fields(ReadOnlyMemory<byte> message)
    {
        ulong Varint()
        {
            ulong value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte b = message.Span[0];
                message = message[1..];
                value |= (ulong)(b & 0x7F) << shift;
                if (b < 0x80)
                    return value;
            }
        }

        while (!message.IsEmpty)
        {
            ulong tag = Varint();
            int length = (tag & 7) switch { 0 => 0, 1 => 8, 5 => 4, _ => (int)Varint() };
            ulong number = (tag & 7) == 0 ? Varint() : 0;
            yield return ((int)(tag >> 3), number, message[..length]);
            message = message[length..];
        }
    }

    /// <summary>One operation of a TensorFlow graph.</summary>
    private sealed class Node
    {
        private readonly Dictionary<string, ReadOnlyMemory<byte>> _attributes = [];

        public string Name { get; private set; } = "";

        public string Operator { get; private set; } = "";

        public List<string> Inputs { get; } = [];

        public static string Read(ReadOnlyMemory<byte> message, out Node node)
        {
            node = new Node();
            foreach ((int field, _, ReadOnlyMemory<byte> bytes) in Fields(message))
            {
                switch (field)
                {
                    case 1:
                        node.Name = Encoding.UTF8.GetString(bytes.Span);
                        break;
                    case 2:
                        node.Operator = Encoding.UTF8.GetString(bytes.Span);
                        break;
                    case 3:
                        node.Inputs.Add(Encoding.UTF8.GetString(bytes.Span));
                        break;
                    case 5:
                        ReadOnlyMemory<byte> key = Fields(bytes).First(part => part.Field == 1).Bytes, value = Fields(bytes).First(part => part.Field == 2).Bytes;
                        node._attributes.Add(Encoding.UTF8.GetString(key.Span), value);
                        break;
                    default:
                        break;
                }
            }

            return node.Name;
        }

        public float Number(string attribute) => BinaryPrimitives.ReadSingleLittleEndian(Fields(_attributes[attribute]).First(part => part.Field == 4).Bytes.Span);

        /// <summary>Rows and columns of a list [1, rows, columns, 1].</summary>
        public int[] Window(string attribute)
        {
            ReadOnlyMemory<byte> list = Fields(_attributes[attribute]).First().Bytes;
            return [.. Fields(list).First(part => part.Field == 3).Bytes.ToArray().Skip(1).Take(2).Select(extent => (int)extent)];
        }

        /// <summary>A constant's values and extents; one value alone stands for all.</summary>
        public (float[] Values, int[] Shape) Tensor()
        {
            ReadOnlyMemory<byte> tensor = Fields(_attributes["value"]).First(part => part.Field == 8).Bytes;
            ReadOnlyMemory<byte> extents = Fields(tensor).First(part => part.Field == 2).Bytes;
            int[] shape = [.. Fields(extents).Where(part => part.Field == 2).Select(part => (int)Fields(part.Bytes).First(size => size.Field == 1).Number)];
            ReadOnlyMemory<byte> data = Fields(tensor).First(part => part.Field is 4 or 5).Bytes;
            float[] values = MemoryMarshal.Cast<byte, float>(data.Span).ToArray();
            return (values.Length == 1 ? [.. Enumerable.Repeat(values[0], shape.Aggregate(1, (a, b) => a * b))] : values, shape);
        }
    }

    /// <summary>A protocol buffer that is written.</summary>
    private sealed class Message
    {
        private readonly List<byte> _bytes = [];

        public byte[] ToArray() => [.. _bytes];

        public Message Add(int field, long number) => Tag(field, 0).Varint((ulong)number);

        public Message Add(int field, float number)
        {
            Tag(field, 5)._bytes.AddRange(BitConverter.GetBytes(number));
            return this;
        }

        public Message Add(int field, string text) => Add(field, Encoding.UTF8.GetBytes(text));

        public Message Add(int field, Message message) => Add(field, message.ToArray());

        public Message Add(int field, byte[] bytes)
        {
            Tag(field, 2).Varint((ulong)bytes.Length)._bytes.AddRange(bytes);
            return this;
        }

        private Message Tag(int field, int kind) => Varint((ulong)((field << 3) | kind));

        private Message Varint(ulong value)
        {
            for (; value >= 0x80; value >>= 7)
                _bytes.Add((byte)(value | 0x80));
            _bytes.Add((byte)value);
            return this;
        }
    }
}
