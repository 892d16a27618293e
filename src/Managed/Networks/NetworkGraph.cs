namespace EmbeddingKernels;

/// <summary>A number, list, text or tensor that belongs to a node.</summary>
internal sealed class NodeAttribute
{
    public long? Integer { get; init; }

    public float? Float { get; init; }

    public string? Text { get; init; }

    public GraphTensor? Tensor { get; init; }

    public long[]? Integers { get; init; }

    public float[]? Floats { get; init; }
}

/// <summary>One operation: ONNX's operator names, inputs and attributes.</summary>
internal sealed class NetworkNode
{
    /// <summary>The node's own name; may be empty.</summary>
    public string Name { get; init; } = "";

    public required string Operator { get; init; }

    /// <summary>Empty for ONNX's own operators.</summary>
    public string Domain { get; init; } = "";

    /// <summary>Names of values; empty where an optional one is left out.</summary>
    public required string[] Inputs { get; init; }

    public required string[] Outputs { get; init; }

    public IReadOnlyDictionary<string, NodeAttribute> Attributes { get; init; } = new Dictionary<string, NodeAttribute>();

    /// <summary>How messages call it.</summary>
    public string Label => Name.Length > 0 ? $"node '{Name}' ({Operator})" : $"the {Operator} node that gives '{(Outputs.Length > 0 ? Outputs[0] : "")}'";

    public override string ToString() => Label;
}

/// <summary>What a graph is fed, or gives. Extents are -1 where the file leaves them open.</summary>
/// <param name="Name">The value's name.</param>
/// <param name="Element">What it holds.</param>
/// <param name="Shape">Its extents; null where the file says nothing.</param>
internal sealed record GraphValue(string Name, TensorElement Element, int[]? Shape);

/// <summary>
/// A network as a graph of operations on named values: the common form of ONNX files and of the built-in architectures.
/// Nodes stand in an order in which each comes after those that it needs.
/// </summary>
internal sealed class NetworkGraph
{
    /// <summary>Checks that names are unique and all values come from somewhere, and orders the nodes.</summary>
    /// <exception cref="DataFormatException">A value is given twice, is missing, or depends on itself.</exception>
    /// <exception cref="NotSupportedException">An operator, or a form of it, is unknown.</exception>
    public NetworkGraph(
        string source,
        int opset,
        IReadOnlyList<NetworkNode> nodes,
        IReadOnlyList<GraphValue> inputs,
        IReadOnlyList<GraphValue> outputs,
        IReadOnlyDictionary<string, GraphTensor> constants)
    {
        Source = source;
        Opset = opset;
        Inputs = [.. inputs.Where(input => !constants.ContainsKey(input.Name))];
        Outputs = outputs;
        Constants = constants;
        Dictionary<string, int> producers = Producers(nodes);
        foreach (GraphValue output in outputs)
        {
            if (!producers.ContainsKey(output.Name) && !constants.ContainsKey(output.Name) && Inputs.All(input => input.Name != output.Name))
                throw Fail($"output '{output.Name}' is given by no node");
        }

        Nodes = Order(nodes, producers);
        foreach (NetworkNode node in Nodes)
            OperatorTable.Check(node, opset, source);
    }

    /// <summary>The file's path, for messages.</summary>
    public string Source { get; }

    /// <summary>The version of ONNX's operators.</summary>
    public int Opset { get; }

    public IReadOnlyList<NetworkNode> Nodes { get; }

    /// <summary>What must be fed: the file's inputs without those that have a value in it.</summary>
    public IReadOnlyList<GraphValue> Inputs { get; }

    public IReadOnlyList<GraphValue> Outputs { get; }

    /// <summary>Weights and other constants by name.</summary>
    public IReadOnlyDictionary<string, GraphTensor> Constants { get; }

    /// <summary>Further names of values.</summary>
    public IReadOnlyDictionary<string, string> Aliases { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether rows and columns of the input are a habit and no need.</summary>
    public bool AnyExtent { get; init; }

    private Dictionary<string, int> Producers(IReadOnlyList<NetworkNode> nodes)
    {
        Dictionary<string, int> producers = new(StringComparer.Ordinal);
        HashSet<string> inputs = new(StringComparer.Ordinal);
        foreach (GraphValue input in Inputs)
        {
            if (!inputs.Add(input.Name))
                throw Fail($"input '{input.Name}' is there twice");
        }

        for (int i = 0; i < nodes.Count; i++)
        {
            foreach (string output in nodes[i].Outputs)
            {
                if (output.Length == 0)
                    continue;
                if (Constants.ContainsKey(output) || inputs.Contains(output))
                    throw Fail($"{nodes[i].Label} gives '{output}', which is an input or a constant already");
                if (!producers.TryAdd(output, i))
                    throw Fail($"both {nodes[producers[output]].Label} and {nodes[i].Label} give '{output}'");
            }
        }

        foreach (NetworkNode node in nodes)
        {
            foreach (string input in node.Inputs)
            {
                if (input.Length > 0 && !producers.ContainsKey(input) && !Constants.ContainsKey(input) && !inputs.Contains(input))
                    throw Fail($"{node.Label} needs '{input}', which no node, input or constant gives");
            }
        }

        return producers;
    }

    /// <summary>Kahn's order; the file's own where that is one already.</summary>
    private List<NetworkNode> Order(IReadOnlyList<NetworkNode> nodes, Dictionary<string, int> producers)
    {
        int[] missing = new int[nodes.Count];
        List<int>[] consumers = new List<int>[nodes.Count];
        for (int i = 0; i < nodes.Count; i++)
        {
            foreach (string input in nodes[i].Inputs)
            {
                if (input.Length == 0 || !producers.TryGetValue(input, out int producer))
                    continue;
                (consumers[producer] ??= []).Add(i);
                missing[i]++;
            }
        }

        PriorityQueue<int, int> ready = new();
        for (int i = 0; i < nodes.Count; i++)
        {
            if (missing[i] == 0)
                ready.Enqueue(i, i);
        }

        List<NetworkNode> ordered = new(nodes.Count);
        while (ready.TryDequeue(out int next, out _))
        {
            ordered.Add(nodes[next]);
            foreach (int consumer in consumers[next] ?? [])
            {
                if (--missing[consumer] == 0)
                    ready.Enqueue(consumer, consumer);
            }
        }

        if (ordered.Count < nodes.Count)
            throw Fail($"{nodes[Array.FindIndex(missing, count => count > 0)].Label} depends on its own output: the graph has a cycle");
        return ordered;
    }

    private DataFormatException Fail(string reason) => new($"{Source}: {reason}.");
}
