using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// Finds what can be computed with a convolution, a matrix product or a factor per channel: batch normalisation, factors and
/// terms per channel, one addition, one activation. The wanted value, and any that several nodes read, stays as it is.
/// </summary>
internal sealed class Fusion
{
    private readonly GraphShapes _shapes;
    private readonly string _wanted;
    private readonly Dictionary<string, List<OperatorCall>> _readers = new(StringComparer.Ordinal);
    private readonly Dictionary<OperatorCall, int> _order = [];
    private readonly HashSet<OperatorCall> _taken = [];

    public Fusion(GraphShapes shapes, string wanted)
    {
        _shapes = shapes;
        _wanted = wanted;
        foreach (OperatorCall call in shapes.Calls)
        {
            _order.Add(call, _order.Count);
            foreach (string input in call.Node.Inputs.Distinct())
            {
                if (!_readers.TryGetValue(input, out List<OperatorCall>? readers))
                    _readers.Add(input, readers = []);
                readers.Add(call);
            }
        }
    }

    /// <summary>All nodes that are not constant, in an order in which each comes after what it needs.</summary>
    public List<FusedNode> Nodes()
    {
        List<(int Order, FusedNode Node)> nodes = [];
        foreach (OperatorCall call in _shapes.Calls)
        {
            if (_taken.Contains(call) || _shapes.Fact(call.Node.Outputs[0]).IsConstant)
                continue;
            FusedNode node = new(call);
            int last = _order[call];
            if (Combines(call) || Channels(call) > 0)
            {
                if (!Combines(call) && call.Node.Operator is not ("Conv" or "ConvTranspose" or "Gemm" or "MatMul"))
                    Affine(node, call, call.Node.Inputs.First(input => input.Length > 0 && !_shapes.Fact(input).IsConstant));
                while (Extend(node, ref last))
                {
                }
            }

            nodes.Add((last, node));
        }

        return [.. nodes.OrderBy(node => node.Order).Select(node => node.Node)];
    }

    /// <summary>The activation that a node is, if it is one.</summary>
    public static Activation? ActivationOf(OperatorCall call) =>
        Named(call) is { } activation && !float.IsNaN(activation.A) && !float.IsNaN(activation.B) ? activation : null;

    private static Activation? Named(OperatorCall call)
    {
        switch (call.Node.Operator)
        {
            case "Relu":
                return Activation.Relu;
            case "LeakyRelu":
                return Activation.LeakyRelu(call.Float("alpha", 0.01f));
            case "Sigmoid":
                return Activation.Sigmoid;
            case "HardSigmoid":
                return Activation.HardSigmoid(call.Float("alpha", 0.2f), call.Float("beta", 0.5f));
            case "HardSwish":
                return Activation.HardSwish;
            case "Tanh":
                return Activation.Tanh;
            case "Clip" when Enumerable.Range(1, 2).All(i => !call.Has(i) || call.Input(i).Constant is not null):
                (float low, float high) = ElementOperators.ClipBounds(call);
                return low <= high ? Activation.Clip(low, high) : null;
            default:
                return null;
        }
    }

    /// <summary>Whether a node joins two values of the same images, or one with a number for each of its maps.</summary>
    public static bool Combines(OperatorCall call)
    {
        if (call.Node.Operator is not ("Add" or "Sub" or "Mul" or "Div" or "Sum") || call.InputCount != 2 || call.Opset < 7 || call.Input(0).Element != TensorElement.Float)
            return false;
        int[] shape = call.Outputs[0].Shape;
        return shape.Length is >= 2 and <= 4 && Suits(0) && Suits(1);

        bool Suits(int input)
        {
            int[] own = call.Shape(input);
            return call.Input(input).Constant is null && own.Length == shape.Length && own[1] == shape[1] && (own[0] == shape[0] || own[0] == 1)
                && (own.AsSpan(2).SequenceEqual(shape.AsSpan(2)) || own.AsSpan(2).IndexOfAnyExcept(1) < 0);
        }
    }

    /// <summary>Channels of a node's output if it can be the first of a fused one; 0 if not.</summary>
    private static int Channels(OperatorCall call)
    {
        (TensorElement element, int[] shape) = call.Outputs[0];
        if (element != TensorElement.Float)
            return 0;
        switch (call.Node.Operator)
        {
            case "Conv" or "ConvTranspose" when shape.Length is 3 or 4 && Constants(call, 1):
                return shape[1];
            case "Gemm" or "MatMul" when call.Shape(0).Length >= 2 && call.Shape(1).Length == 2 && Constants(call, 1) && call.Input(0).Constant is null:
                return shape[^1];
            case "BatchNormalization" when shape.Length is 3 or 4 && Constants(call, 1):
                return shape[1];
            case "Mul" or "Add" or "Sub" or "Div" when shape.Length is 3 or 4 && PerChannel(call, shape, 1) is not null:
                return shape[1];
            default:
                return 0;
        }
    }

    private static bool Constants(OperatorCall call, int first) =>
        Enumerable.Range(first, call.InputCount - first).All(i => !call.Has(i) || call.Input(i).Constant is not null);

    /// <summary>The input, of two, that is one number for each index of an axis; null where none is.</summary>
    private static int? PerChannel(OperatorCall call, int[] shape, int axis)
    {
        for (int i = 0; i < call.InputCount && call.InputCount == 2; i++)
        {
            if (call.Input(i).Constant is null || call.Input(1 - i).Constant is not null || !call.Shape(1 - i).AsSpan().SequenceEqual(shape) || call.Opset < 7)
                continue;
            int[] own = call.Shape(i);
            int at = axis - shape.Length + own.Length;
            bool fits = true;
            for (int a = 0; a < own.Length; a++)
                fits &= own[a] == 1 || a == at;
            if (fits)
                return i;
        }

        return null;
    }

    /// <summary>Takes a node that scales and shifts channels into a fused one; false where it does something else.</summary>
    private bool Affine(FusedNode node, OperatorCall next, string from)
    {
        (_, int[] shape) = next.Outputs[0];
        bool rows = node.Call.Node.Operator is "Gemm" or "MatMul";
        int axis = rows ? shape.Length - 1 : 1;
        int channels = shape.Length > axis ? shape[axis] : 0;
        if (next.Node.Operator == "BatchNormalization")
        {
            if (axis != 1 || next.Node.Inputs[0] != from || !Constants(next, 1))
                return false;
            float[][] values = [.. Enumerable.Range(1, 4).Select(i => next.Constant(i).ToFloats())];
            double epsilon = next.Float("epsilon", 1e-5f);
            double[] factors = [.. values[0].Select((factor, i) => factor / Math.Sqrt(values[3][i] + epsilon))];
            node.Then(channels, i => factors[i], i => values[1][i] - (factors[i] * values[2][i]));
            Note(node, next, 1);
            return true;
        }

        if (next.Node.Operator is not ("Mul" or "Add" or "Sub" or "Div") || PerChannel(next, shape, axis) is not { } constant)
            return false;
        float[] numbers = next.Constant(constant).ToFloats();
        double Number(int i) => numbers[numbers.Length == 1 ? 0 : i];
        switch (next.Node.Operator)
        {
            case "Mul":
                node.Then(channels, Number, _ => 0);
                break;
            case "Add":
                node.Then(channels, _ => 1, Number);
                break;
            case "Sub" when constant == 1:
                node.Then(channels, _ => 1, i => -Number(i));
                break;
            case "Sub":
                node.Then(channels, _ => -1, Number);
                break;
            case "Div" when constant == 1:
                node.Then(channels, i => 1 / Number(i), _ => 0);
                break;
            default:
                return false;
        }

        Note(node, next, constant);
        return true;
    }

    private void Note(FusedNode node, OperatorCall next, int first)
    {
        for (int i = first; i < next.InputCount; i++)
            node.OfShape |= next.Has(i) && _shapes.Fact(next.Node.Inputs[i]).OfShape;
    }

    /// <summary>Takes the next node in; false where there is none to take.</summary>
    private bool Extend(FusedNode node, ref int last)
    {
        string value = node.Output;
        if (value == _wanted || node.Activation.Kind != ActivationKind.None || !_readers.TryGetValue(value, out List<OperatorCall>? readers))
            return false;
        if (readers.Count == 2)
            return Gate(node, readers, ref last);
        if (readers.Count != 1 || _taken.Contains(readers[0]) || readers[0].Outputs[0].Element != TensorElement.Float)
            return false;
        OperatorCall next = readers[0];
        if (ActivationOf(next) is { } activation && next.Node.Inputs[0] == value)
        {
            node.Activation = activation;
            Note(node, next, 1);
        }
        else if (node.Residual is not null || Combines(node.Call))
        {
            return false;
        }
        else if (next.Node.Operator is "Add" or "Sum" && Residual(node, next) is { } other)
            node.Residual = other;
        else if (!Affine(node, next, value))
            return false;
        Take(node, next, ref last);
        return true;
    }

    private void Take(FusedNode node, OperatorCall next, ref int last)
    {
        _taken.Add(next);
        node.Members.Add(next);
        node.Output = next.Node.Outputs[0];
        last = Math.Max(last, _order[next]);
    }

    /// <summary>The other input of an addition to a convolution, of the same shape; null where it is something else.</summary>
    private static string? Residual(FusedNode node, OperatorCall next)
    {
        if (node.Call.Node.Operator != "Conv" || next.InputCount != 2)
            return null;
        int own = next.Node.Inputs[0] == node.Output ? 0 : 1;
        bool same = next.Shape(own).AsSpan().SequenceEqual(next.Shape(1 - own)) && next.Input(1 - own).Constant is null && next.Node.Inputs[0] != next.Node.Inputs[1];
        return same ? next.Node.Inputs[1 - own] : null;
    }

    /// <summary>x times a sigmoid of x: SiLU, or hard-swish.</summary>
    private bool Gate(FusedNode node, List<OperatorCall> readers, ref int last)
    {
        OperatorCall? product = readers.Find(reader => reader.Node.Operator == "Mul");
        OperatorCall? gate = readers.Find(reader => reader.Node.Operator is "Sigmoid" or "HardSigmoid");
        if (product is null || gate is null || _taken.Contains(product) || _taken.Contains(gate) || node.Output == _wanted)
            return false;
        string opened = gate.Node.Outputs[0];
        if (opened == _wanted || _readers[opened].Count != 1 || _readers[opened][0] != product || product.InputCount != 2 || !product.Node.Inputs.Contains(node.Output) || product.Opset < 7)
            return false;
        if (gate.Node.Operator == "Sigmoid")
            node.Activation = Activation.Silu;
        else if (Math.Abs(gate.Float("alpha", 0.2f) - (1f / 6)) < 1e-6f && gate.Float("beta", 0.5f) == 0.5f)
            node.Activation = Activation.HardSwish;
        else
            return false;
        _taken.Add(gate);
        node.Members.Add(gate);
        Take(node, product, ref last);
        return true;
    }
}
