namespace EmbeddingKernels.Tests;

/// <summary>Puts graphs for tests together, with random weights.</summary>
internal sealed class GraphMaker(int seed)
{
    private readonly Random _random = new(seed);
    private readonly List<NetworkNode> _nodes = [];
    private readonly Dictionary<string, GraphTensor> _constants = [];

    public string Node(string type, string output, string[] inputs, params (string Name, object Value)[] attributes)
    {
        _nodes.Add(new NetworkNode
        {
            Operator = type,
            Inputs = inputs,
            Outputs = [output],
            Attributes = attributes.ToDictionary(attribute => attribute.Name, attribute => Attribute(attribute.Value)),
        });
        return output;
    }

    /// <summary>A constant of random numbers.</summary>
    public string Weights(int[] shape, double low = -0.5, double high = 0.5)
    {
        string name = $"w{_constants.Count}";
        float[] values = new float[TensorShape.Count(shape)];
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)(low + ((high - low) * _random.NextDouble()));
        _constants.Add(name, new GraphTensor(PlainTensor.Of(shape, values)));
        return name;
    }

    public string Integers(params long[] values)
    {
        string name = $"w{_constants.Count}";
        _constants.Add(name, new GraphTensor(PlainTensor.Of(values)));
        return name;
    }

    public string Number(float value)
    {
        string name = $"w{_constants.Count}";
        _constants.Add(name, new GraphTensor(PlainTensor.Of([], [value])));
        return name;
    }

    public string Convolution(string output, string x, int[] weights, params (string Name, object Value)[] attributes) =>
        Node("Conv", output, [x, Weights(weights), Weights([weights[0]])], attributes);

    public string Normalisation(string output, string x, int channels) =>
        Node("BatchNormalization", output, [x, Weights([channels], 0.5, 1.5), Weights([channels]), Weights([channels]), Weights([channels], 0.5, 1.5)]);

    public Network Finish(int[] input, string output, NetworkOptions? options = null, int opset = 13)
    {
        NetworkGraph graph = new("graph", opset, _nodes, [new GraphValue("in", TensorElement.Float, input)], [new GraphValue(output, TensorElement.Float, null)], _constants);
        return Network.Of(graph, options);
    }

    private static NodeAttribute Attribute(object value) => value switch
    {
        int integer => new NodeAttribute { Integer = integer },
        float number => new NodeAttribute { Float = number },
        string text => new NodeAttribute { Text = text },
        long[] integers => new NodeAttribute { Integers = integers },
        _ => throw new ArgumentException($"{value}"),
    };
}
