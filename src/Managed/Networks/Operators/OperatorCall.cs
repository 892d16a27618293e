using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>What is known of a node's input before it runs.</summary>
/// <param name="Element">What it holds.</param>
/// <param name="Shape">Its extents.</param>
/// <param name="Constant">Gives its elements where they do not depend on what the network is fed; else null.</param>
internal sealed record OperatorInput(TensorElement Element, int[] Shape, Func<PlainTensor>? Constant);

/// <summary>One node with what is known of its inputs: what the rules of <see cref="OperatorTable"/> work on.</summary>
internal sealed class OperatorCall(NetworkNode node, int opset, string source, OperatorInput?[] inputs, long maximumElements)
{
    private readonly OperatorInput?[] _inputs = inputs;
    private readonly List<(TensorElement Element, int[] Shape)> _outputs = [];

    public NetworkNode Node { get; } = node;

    public int Opset { get; } = opset;

    /// <summary>Threads for large operators.</summary>
    public WorkerPool Pool { get; init; } = WorkerPool.Serial;

    /// <summary>The batch that the file was written for, and the one that it runs on.</summary>
    public (int From, int To) Batch { get; init; } = (1, 1);

    /// <summary>What the node gives, once it was inferred.</summary>
    public IReadOnlyList<(TensorElement Element, int[] Shape)> Outputs => _outputs;

    /// <summary>Inputs, the ones left out included.</summary>
    public int InputCount => _inputs.Length;

    public bool Has(int index) => index < _inputs.Length && _inputs[index] is not null;

    public OperatorInput Input(int index) => Has(index) ? _inputs[index]! : throw Fail($"input {index} is missing");

    public int[] Shape(int index) => Input(index).Shape;

    /// <summary>An input's elements, which must not depend on what the network is fed.</summary>
    public PlainTensor Constant(int index) =>
        Input(index).Constant is { } constant ? constant()
        : throw Unsupported($"input {index} ('{Node.Inputs[index]}') decides on the shape and depends on what the network is fed");

    /// <summary>The number that an input of one element holds.</summary>
    public double Scalar(int index)
    {
        PlainTensor tensor = Constant(index);
        return tensor.Count == 1 ? tensor[0] : throw Fail($"input {index} must be one number and has shape {TensorShape.Text(tensor.Shape)}");
    }

    /// <summary>Adds an output.</summary>
    public void Give(TensorElement element, int[] shape)
    {
        if (shape.Length > 16)
            throw Fail($"an output has {shape.Length} axes");
        if (Array.Exists(shape, extent => extent < 0))
            throw Fail($"an output would have shape {TensorShape.Text(shape)}");
        if (TensorShape.LongCount(shape) > maximumElements)
            throw Fail($"an output of shape {TensorShape.Text(shape)} is larger than the limit of {maximumElements} elements");
        _outputs.Add((element, shape));
    }

    public bool HasAttribute(string name) => Node.Attributes.ContainsKey(name);

    public long Integer(string name, long missing) =>
        !Node.Attributes.TryGetValue(name, out NodeAttribute? attribute) ? missing : attribute.Integer ?? throw Fail($"attribute '{name}' is no integer");

    /// <summary>An integer attribute that is a small count or axis.</summary>
    public int Int(string name, int missing) =>
        Integer(name, missing) is >= int.MinValue and <= int.MaxValue and long value ? (int)value : throw Fail($"attribute '{name}' is out of range");

    public float Float(string name, float missing) =>
        !Node.Attributes.TryGetValue(name, out NodeAttribute? attribute) ? missing : attribute.Float ?? throw Fail($"attribute '{name}' is no number");

    public string Text(string name, string missing) =>
        !Node.Attributes.TryGetValue(name, out NodeAttribute? attribute) ? missing : attribute.Text ?? throw Fail($"attribute '{name}' is no text");

    public long[]? Integers(string name) =>
        !Node.Attributes.TryGetValue(name, out NodeAttribute? attribute) ? null : attribute.Integers ?? throw Fail($"attribute '{name}' is no list of integers");

    /// <summary>A list attribute of exactly <paramref name="count"/> numbers of a range.</summary>
    public int[] Ints(string name, int count, int missing, int least, int most = 1 << 24)
    {
        long[]? values = Integers(name);
        if (values is null || values.Length == 0)
        {
            int[] same = new int[count];
            Array.Fill(same, missing);
            return same;
        }

        if (values.Length != count)
            throw Fail($"attribute '{name}' has {values.Length} numbers and should have {count}");
        return Array.ConvertAll(values, value => value >= least && value <= most ? (int)value : throw Fail($"attribute '{name}' holds {value}, which is not in {least}..{most}"));
    }

    /// <summary>An axis counted from the front; negative ones count from the end.</summary>
    public int Axis(long axis, int rank, bool end = false)
    {
        int most = end ? rank : rank - 1;
        if (axis < -rank || axis > most)
            throw Fail($"axis {axis} is not in {-rank}..{most}");
        return (int)(axis < 0 ? axis + rank : axis);
    }

    /// <summary>Axes of an attribute, or of an input where newer operator sets have them there; null where none are given.</summary>
    public int[]? Axes(int input, int rank)
    {
        long[]? axes = Integers("axes");
        if (axes is null && Has(input))
            axes = Constant(input).ToIntegers();
        if (axes is null)
            return null;
        int[] from = Array.ConvertAll(axes, axis => Axis(axis, rank));
        if (from.Distinct().Count() != from.Length)
            throw Fail("an axis is there twice");
        return from;
    }

    public DataFormatException Fail(string reason) => new($"{source}: {Node.Label}: {reason}.");

    public NotSupportedException Unsupported(string reason) => new($"{source}: {Node.Label}: {reason}.");
}

/// <summary>Finds the outputs' types and shapes, and throws where inputs or attributes do not fit.</summary>
internal delegate void InferRule(OperatorCall call);

/// <summary>Computes the outputs, which have the inferred shapes and hold zeros.</summary>
internal delegate void EvaluateRule(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs);

/// <summary>What the interpreter knows of an operator.</summary>
/// <param name="Name">ONNX's name.</param>
/// <param name="LeastInputs">Inputs that must be there.</param>
/// <param name="MostInputs">Inputs that may be there.</param>
/// <param name="MostOutputs">Outputs that may be there.</param>
/// <param name="Infer">Shapes.</param>
/// <param name="Evaluate">Values.</param>
/// <param name="Attributes">Names of attributes that are understood, or that may be ignored.</param>
internal sealed record OperatorRule(
    string Name, int LeastInputs, int MostInputs, int MostOutputs, InferRule Infer, EvaluateRule Evaluate, params string[] Attributes);
