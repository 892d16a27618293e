namespace EmbeddingKernels;

/// <summary>Puts the graph of a built-in architecture together from the weights of a file. Each value has the name of its module.</summary>
internal sealed class GraphBuilder(string source, IReadOnlyDictionary<string, GraphTensor> tensors)
{
    private const int Opset = 13;
    private static readonly string[] NormalisationParts = [".weight", ".bias", ".running_mean", ".running_var"];

    private readonly List<NetworkNode> _nodes = [];
    private readonly Dictionary<string, GraphTensor> _constants = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _aliases = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _channels = new(StringComparer.Ordinal);
    private GraphValue? _input;

    public bool Has(string tensor) => tensors.ContainsKey(tensor);

    /// <summary>Axes of a tensor; -1 where there is none.</summary>
    public int Rank(string tensor) => tensors.TryGetValue(tensor, out GraphTensor? found) ? found.Shape.Length : -1;

    public int Extent(string tensor, int axis) => Tensor(tensor, axis + 1).Shape[axis];

    public DataFormatException Fail(string reason) => new($"{source}: {reason}.");

    public string Input(int channels, int height, int width)
    {
        _input = new GraphValue("input", TensorElement.Float, [-1, channels, height, width]);
        return _input.Name;
    }

    public void Alias(string name, string value)
    {
        if (name != value)
            _aliases.Add(name, value);
    }

    public string Node(string type, string name, string[] inputs, Dictionary<string, NodeAttribute>? attributes = null)
    {
        _nodes.Add(new NetworkNode { Name = name, Operator = type, Inputs = inputs, Outputs = [name], Attributes = attributes ?? [] });
        return name;
    }

    /// <summary>A convolution; its window, channels and groups are those of the weights.</summary>
    public string Convolution(string name, string x, string module, int stride, int padding, int channels = 0)
    {
        GraphTensor weights = Tensor(module + ".weight", 4);
        if (channels > 0 && weights.Shape[0] != channels)
            throw Fail($"'{module}.weight' has shape {TensorShape.Text(weights.Shape)} and should have {channels} channels");
        List<string> inputs = [x, Constant(module + ".weight", 4)];
        if (Has(module + ".bias"))
            inputs.Add(Constant(module + ".bias", 1));
        int groups = InputChannels(x) is > 0 and int from && weights.Shape[1] > 0 && from % weights.Shape[1] == 0 ? from / weights.Shape[1] : 1;
        _channels[name] = weights.Shape[0];
        return Node("Conv", name, [.. inputs], new()
        {
            ["strides"] = Integers(stride, stride),
            ["pads"] = Integers(padding, padding, padding, padding),
            ["group"] = new NodeAttribute { Integer = groups },
        });
    }

    public string Normalisation(string name, string x, string module) =>
        Node("BatchNormalization", name, [x, .. NormalisationParts.Select(part => Constant(module + part, 1))]);

    public string MaxPool(string name, string x, int kernel, int stride, int padding) => Node("MaxPool", name, [x], new()
    {
        ["kernel_shape"] = Integers(kernel, kernel),
        ["strides"] = Integers(stride, stride),
        ["pads"] = Integers(padding, padding, padding, padding),
    });

    /// <summary>As many channels of zeros before as after.</summary>
    public string PadChannels(string name, string x, int channels)
    {
        string pads = name + ".pads";
        _constants.Add(pads, new GraphTensor(PlainTensor.Of(0, channels, 0, 0, 0, channels, 0, 0)));
        return Node("Pad", name, [x, pads]);
    }

    public string Linear(string name, string x, string module)
    {
        List<string> inputs = [x, Constant(module + ".weight", 2)];
        if (Has(module + ".bias"))
            inputs.Add(Constant(module + ".bias", 1));
        return Node("Gemm", name, [.. inputs], new() { ["transB"] = new NodeAttribute { Integer = 1 } });
    }

    public NetworkGraph Finish(bool anyExtent)
    {
        GraphValue output = new(_nodes[^1].Outputs[0], TensorElement.Float, null);
        return new NetworkGraph(source, Opset, _nodes, [_input!], [output], _constants) { Aliases = _aliases, AnyExtent = anyExtent };
    }

    /// <summary>Channels of what a grouped convolution is fed: those of the last convolution before it.</summary>
    private int InputChannels(string x)
    {
        while (!_channels.ContainsKey(x))
        {
            NetworkNode? node = _nodes.FindLast(node => node.Outputs[0] == x);
            if (node is null)
                return x == _input?.Name ? _input.Shape![1] : -1;
            x = node.Inputs[0];
        }

        return _channels[x];
    }

    private static NodeAttribute Integers(params long[] values) => new() { Integers = values };

    private GraphTensor Tensor(string name, int leastRank) =>
        !tensors.TryGetValue(name, out GraphTensor? tensor) ? throw Fail($"tensor '{name}' is missing")
        : tensor.Shape.Length >= leastRank && tensor.Element.IsFloating() ? tensor
        : throw Fail($"tensor '{name}' has shape {TensorShape.Text(tensor.Shape)} of {tensor.Element}");

    private string Constant(string name, int rank)
    {
        GraphTensor tensor = Tensor(name, rank);
        if (tensor.Shape.Length != rank)
            throw Fail($"tensor '{name}' has shape {TensorShape.Text(tensor.Shape)} and should have {rank} axes");
        _constants.TryAdd(name, tensor);
        return name;
    }
}
