using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>What is known of a value once the inputs' shapes are.</summary>
/// <param name="Element">What it holds.</param>
/// <param name="Shape">Its extents.</param>
/// <param name="IsConstant">Whether it does not depend on what the network is fed.</param>
/// <param name="OfShape">Whether it depends on the shape that the network is fed.</param>
internal sealed record GraphFact(TensorElement Element, int[] Shape, bool IsConstant, bool OfShape);

/// <summary>
/// Types and shapes of the values that some layers depend on, for inputs of given shapes; and the values that are constant
/// then, computed when they are asked for.
/// </summary>
internal sealed class GraphShapes
{
    // Constants up to this size are kept once computed, and only these may decide on shapes.
    private const int SmallConstant = 1 << 16;

    private readonly NetworkGraph _graph;
    private readonly long _maximumElements;
    private readonly WorkerPool _pool;
    private readonly Dictionary<string, GraphFact> _facts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _producers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, PlainTensor> _small = new(StringComparer.Ordinal);
    private readonly List<OperatorCall> _calls = [];
    private long _computed;

    /// <summary>Infers all that <paramref name="wanted"/> need.</summary>
    public GraphShapes(
        NetworkGraph graph, IReadOnlyDictionary<string, (TensorElement Element, int[] Shape)> feeds, IEnumerable<string> wanted, long maximumElements, (int From, int To) batch, WorkerPool pool)
    {
        _graph = graph;
        _maximumElements = maximumElements;
        _pool = pool;
        Batch = batch;
        foreach ((string name, (TensorElement element, int[] shape)) in feeds)
            _facts[name] = new GraphFact(element, shape, false, false);
        foreach (NetworkNode node in Interpreter.Needed(graph, wanted))
            Infer(node);
    }

    public NetworkGraph Graph => _graph;

    /// <summary>The batch that the file was written for, and the one that it runs on.</summary>
    public (int From, int To) Batch { get; }

    /// <summary>The nodes in order, with their inputs and outputs known.</summary>
    public IReadOnlyList<OperatorCall> Calls => _calls;

    /// <summary>What is known of a value that the wanted ones need.</summary>
    public GraphFact Fact(string name)
    {
        if (_facts.TryGetValue(name, out GraphFact? fact))
            return fact;
        if (!_graph.Constants.TryGetValue(name, out GraphTensor? constant))
            throw new DataFormatException($"{_graph.Source}: '{name}' has no value.");
        fact = new GraphFact(constant.Element, constant.Shape, true, false);
        _facts.Add(name, fact);
        return fact;
    }

    /// <summary>A constant's elements. Large ones are read or computed at each call.</summary>
    public PlainTensor Constant(string name)
    {
        if (_small.TryGetValue(name, out PlainTensor? kept))
            return kept;
        if (_graph.Constants.TryGetValue(name, out GraphTensor? stored))
            return Keep(name, Counted(stored).Load());

        // All nodes that it needs, without recursion because a file's chain may be long; then in their order.
        SortedSet<int> nodes = [];
        Stack<string> open = new([name]);
        while (open.TryPop(out string? next))
        {
            if (_small.ContainsKey(next) || !_producers.TryGetValue(next, out int producer) || !nodes.Add(producer))
                continue;
            foreach (string input in Inputs(_calls[producer].Node))
                open.Push(input);
        }

        Dictionary<string, int> uses = new(StringComparer.Ordinal);
        foreach (string input in nodes.SelectMany(node => Inputs(_calls[node].Node)).Append(name))
            uses[input] = uses.GetValueOrDefault(input) + 1;
        Dictionary<string, PlainTensor> values = new(StringComparer.Ordinal);
        foreach (int index in nodes)
            Compute(_calls[index], values, uses);
        return values.TryGetValue(name, out PlainTensor? value) ? value : _small[name];
    }

    /// <summary>The floats of a constant, to memory that holds them; from the file where they stand there.</summary>
    public unsafe void ReadFloats(string name, float* destination)
    {
        if (!_small.ContainsKey(name) && _graph.Constants.TryGetValue(name, out GraphTensor? stored) && stored.Element.IsFloating())
        {
            stored.ReadFloats(destination);
            return;
        }

        float[] values = Constant(name).ToFloats();
        values.CopyTo(new Span<float>(destination, values.Length));
    }

    private static bool TakesShapeOnly(NetworkNode node) => node.Operator is "Shape" or "Size";

    private static string[] Inputs(NetworkNode node) => TakesShapeOnly(node) ? [] : Array.FindAll(node.Inputs, input => input.Length > 0);

    private void Compute(OperatorCall call, Dictionary<string, PlainTensor> values, Dictionary<string, int> uses)
    {
        foreach ((_, int[] shape) in call.Outputs)
        {
            _computed += TensorShape.LongCount(shape);
            if (_computed > _maximumElements)
                throw call.Fail($"computing the network's constants takes more than the limit of {_maximumElements} elements");
        }

        PlainTensor?[] inputs = TakesShapeOnly(call.Node)
            ? [new PlainTensor(TensorElement.Bool, [])]
            : Array.ConvertAll(call.Node.Inputs, input => input.Length == 0 ? null : values.GetValueOrDefault(input) ?? Constant(input));
        PlainTensor[] outputs = [.. call.Outputs.Select(output => new PlainTensor(output.Element, output.Shape))];
        OperatorTable.Rule(call.Node).Evaluate(call, inputs, outputs);
        for (int i = 0; i < call.Node.Outputs.Length && i < outputs.Length; i++)
        {
            if (call.Node.Outputs[i].Length > 0)
                values[call.Node.Outputs[i]] = Keep(call.Node.Outputs[i], outputs[i]);
        }

        foreach (string input in Inputs(call.Node))
        {
            if (--uses[input] == 0)
                values.Remove(input);
        }
    }

    private GraphTensor Counted(GraphTensor stored) =>
        stored.Count <= Array.MaxLength ? stored : throw new DataFormatException($"{_graph.Source}: a constant of shape {TensorShape.Text(stored.Shape)} is too large.");

    private PlainTensor Keep(string name, PlainTensor value)
    {
        if (value.Count <= SmallConstant)
            _small[name] = value;
        return value;
    }

    private void Infer(NetworkNode node)
    {
        bool constant = true;
        bool ofShape = false;
        OperatorInput?[] inputs = new OperatorInput?[node.Inputs.Length];
        for (int i = 0; i < inputs.Length; i++)
        {
            string name = node.Inputs[i];
            if (name.Length == 0)
                continue;
            GraphFact fact = Fact(name);
            constant &= fact.IsConstant;
            ofShape |= fact.OfShape || (TakesShapeOnly(node) && !fact.IsConstant);
            inputs[i] = new OperatorInput(fact.Element, fact.Shape, fact.IsConstant ? () => ShapeConstant(node, name) : null);
        }

        constant |= TakesShapeOnly(node);
        OperatorCall call = new(node, _graph.Opset, _graph.Source, inputs, _maximumElements) { Batch = Batch, Pool = _pool };
        OperatorTable.Rule(node).Infer(call);
        for (int i = 0; i < node.Outputs.Length; i++)
        {
            if (node.Outputs[i].Length == 0)
                continue;
            if (i >= call.Outputs.Count)
                throw call.Unsupported($"output {i} ('{node.Outputs[i]}') is not supported");
            (TensorElement element, int[] shape) = call.Outputs[i];
            _facts.Add(node.Outputs[i], new GraphFact(element, shape, constant, ofShape));
            _producers.Add(node.Outputs[i], _calls.Count);
        }

        _calls.Add(call);
    }

    private PlainTensor ShapeConstant(NetworkNode node, string name)
    {
        if (TensorShape.LongCount(Fact(name).Shape) > SmallConstant)
            throw new DataFormatException($"{_graph.Source}: {node.Label}: '{name}' of shape {TensorShape.Text(Fact(name).Shape)} is too large to decide on a shape.");
        return Constant(name);
    }
}
