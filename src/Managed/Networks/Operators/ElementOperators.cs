namespace EmbeddingKernels;

/// <summary>Operators on each element by itself, with numpy's broadcasting where there are several inputs.</summary>
internal static class ElementOperators
{
    public static IEnumerable<OperatorRule> Rules { get; } =
    [
        Unary("Relu", _ => x => x < 0 ? 0 : x, x => Math.Max(x, 0), "consumed_inputs"),
        Unary("LeakyRelu", call => Slope(call.Float("alpha", 0.01f)), null, "alpha", "consumed_inputs"),
        Unary("Elu", call => Exponential(call.Float("alpha", 1)), null, "alpha", "consumed_inputs"),
        Unary("Sigmoid", _ => x => (float)(1 / (1 + Math.Exp(-x))), null, "consumed_inputs"),
        Unary("HardSigmoid", call => Hard(call.Float("alpha", 0.2f), call.Float("beta", 0.5f)), null, "alpha", "beta", "consumed_inputs"),
        Unary("HardSwish", _ => x => x * Math.Clamp((x / 6) + 0.5f, 0, 1), null),
        Unary("Tanh", _ => MathF.Tanh, null, "consumed_inputs"),
        Unary("Exp", _ => MathF.Exp, null, "consumed_inputs"),
        Unary("Log", _ => MathF.Log, null, "consumed_inputs"),
        Unary("Sqrt", _ => MathF.Sqrt, null, "consumed_inputs"),
        Unary("Reciprocal", _ => x => 1 / x, null, "consumed_inputs"),
        Unary("Abs", _ => MathF.Abs, x => x < 0 ? -x : x, "consumed_inputs"),
        Unary("Neg", _ => x => -x, x => -x, "consumed_inputs"),
        Unary("Floor", _ => MathF.Floor, x => x, "consumed_inputs"),
        Unary("Ceil", _ => MathF.Ceiling, x => x, "consumed_inputs"),
        Unary("Softplus", _ => x => (float)Math.Max(x, 0) + MathF.Log(1 + MathF.Exp(-MathF.Abs(x))), null),
        Unary("Softsign", _ => x => x / (1 + MathF.Abs(x)), null),
        Unary("Not", _ => x => x == 0 ? 1 : 0, x => x == 0 ? 1 : 0),
        Binary("Add", (x, y) => x + y, (x, y) => x + y),
        Binary("Sub", (x, y) => x - y, (x, y) => x - y),
        Binary("Mul", (x, y) => x * y, (x, y) => x * y),
        Binary("Div", (x, y) => x / y, (x, y) => y == 0 ? 0 : y == -1 ? -x : x / y),
        new OperatorRule("Pow", 2, 2, 1, call => Broadcast(call, call.Input(0).Element), Power, "broadcast", "axis"),
        Binary("PRelu", (x, slope) => x < 0 ? slope * x : x, (x, slope) => x < 0 ? slope * x : x),
        Variadic("Sum", (x, y) => x + y, (x, y) => x + y),
        Variadic("Max", Larger, Math.Max),
        Variadic("Min", Smaller, Math.Min),
        Comparison("Less", (x, y) => x < y, (x, y) => x < y),
        Comparison("LessOrEqual", (x, y) => x <= y, (x, y) => x <= y),
        Comparison("Greater", (x, y) => x > y, (x, y) => x > y),
        Comparison("GreaterOrEqual", (x, y) => x >= y, (x, y) => x >= y),
        Comparison("Equal", (x, y) => x == y, (x, y) => x == y),
        Comparison("And", (_, _) => false, (x, y) => x != 0 && y != 0),
        Comparison("Or", (_, _) => false, (x, y) => x != 0 || y != 0),
        new OperatorRule("Where", 3, 3, 1, call => Broadcast(call, call.Input(1).Element), Where),
        new OperatorRule("Clip", 1, 3, 1, InferClip, Clip, "min", "max", "consumed_inputs"),
    ];

    /// <summary>The bounds of a Clip node whose bounds are constants.</summary>
    public static (float Low, float High) ClipBounds(OperatorCall call)
    {
        float low = call.Float("min", float.NegativeInfinity);
        float high = call.Float("max", float.PositiveInfinity);
        return (call.Has(1) ? (float)call.Scalar(1) : low, call.Has(2) ? (float)call.Scalar(2) : high);
    }

    // NaN stays NaN in all of these.
    private static float Larger(float x, float y) => x > y || float.IsNaN(x) ? x : y;

    private static float Smaller(float x, float y) => x < y || float.IsNaN(x) ? x : y;

    private static Func<float, float> Slope(float alpha) => x => x < 0 ? alpha * x : x;

    private static Func<float, float> Exponential(float alpha) => x => x < 0 ? alpha * (MathF.Exp(x) - 1) : x;

    private static Func<float, float> Hard(float alpha, float beta) => x => Math.Clamp((alpha * x) + beta, 0, 1);

    private static OperatorRule Unary(string name, Func<OperatorCall, Func<float, float>> floats, Func<long, long>? integers, params string[] attributes)
    {
        return new OperatorRule(name, 1, 1, 1, Infer, Evaluate, attributes);

        void Infer(OperatorCall call)
        {
            OperatorInput input = call.Input(0);
            if (integers is null && !input.Element.IsFloating())
                throw call.Unsupported($"elements of type {input.Element} are not supported");
            floats(call); // reads the attributes
            call.Give(input.Element, input.Shape);
        }

        void Evaluate(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
        {
            PlainTensor input = inputs[0]!;
            Func<float, float> function = floats(call);
            for (int i = 0; i < input.Floats.Length; i++)
                outputs[0].Floats[i] = function(input.Floats[i]);
            for (int i = 0; i < input.Integers.Length; i++)
                outputs[0].Integers[i] = input.Element.Wrap(integers!(input.Integers[i]));
        }
    }

    private static OperatorRule Binary(string name, Func<float, float, float> floats, Func<long, long, long> integers) =>
        new(name, 2, 2, 1, call => Broadcast(call, call.Input(0).Element), (call, inputs, outputs) => Fold(call, inputs, outputs[0], floats, integers), "broadcast", "axis", "consumed_inputs");

    private static OperatorRule Variadic(string name, Func<float, float, float> floats, Func<long, long, long> integers) =>
        new(name, 1, OperatorTable.Any, 1, call => Broadcast(call, call.Input(0).Element), (call, inputs, outputs) => Fold(call, inputs, outputs[0], floats, integers), "consumed_inputs");

    private static OperatorRule Comparison(string name, Func<float, float, bool> floats, Func<long, long, bool> integers)
    {
        return new(name, 2, 2, 1, call => Broadcast(call, TensorElement.Bool), Evaluate, "broadcast", "axis");

        void Evaluate(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
        {
            (PlainTensor x, PlainTensor y) = (inputs[0]!, Aligned(call, inputs[0]!, inputs[1]!));
            long[] result = outputs[0].Integers;
            bool floating = x.Element.IsFloating();
            Walk(outputs[0].Shape, x.Shape, y.Shape, (i, a, b) =>
                result[i] = (floating ? floats(x.Floats[a], y.Floats[b]) : integers(x.Integers[a], y.Integers[b])) ? 1 : 0);
        }
    }

    /// <summary>The broadcast shape of all inputs, which must hold the same kind of numbers (Where's condition and Pow's exponent aside).</summary>
    private static void Broadcast(OperatorCall call, TensorElement result)
    {
        int[] shape = call.Shape(0);
        TensorElement element = call.Input(call.Node.Operator == "Where" ? 1 : 0).Element;
        for (int i = 1; i < call.InputCount; i++)
        {
            int[] other = Aligned(call, shape.Length, call.Shape(i));
            shape = TensorShape.Broadcast(shape, other)
                ?? throw call.Fail($"shapes {TensorShape.Text(shape)} and {TensorShape.Text(call.Shape(i))} do not broadcast");
            if (call.Node.Operator != "Pow" && call.Input(i).Element != element)
                throw call.Fail($"inputs hold {element} and {call.Input(i).Element}");
        }

        if (call.Node.Operator == "PRelu" && !shape.AsSpan().SequenceEqual(call.Shape(0)))
            throw call.Fail($"a slope of shape {TensorShape.Text(call.Shape(1))} does not broadcast to {TensorShape.Text(call.Shape(0))}");
        call.Give(result, shape);
    }

    /// <summary>
    /// Operator sets before 7 line the second input up with a given axis of the first; PRelu before 7 has one slope per channel.
    /// </summary>
    private static int[] Aligned(OperatorCall call, int rank, int[] shape)
    {
        int axis;
        if (call.Opset < 7 && call.HasAttribute("axis"))
            axis = call.Axis(call.Integer("axis", 0), rank);
        else if (call.Opset < 7 && call.Node.Operator == "PRelu" && shape.Length == 1)
            axis = Math.Min(1, rank - 1);
        else
            return shape;
        if (axis + shape.Length > rank)
            throw call.Fail($"a tensor of shape {TensorShape.Text(shape)} does not fit at axis {axis} of {rank}");
        return [.. shape, .. Enumerable.Repeat(1, rank - axis - shape.Length)];
    }

    private static PlainTensor Aligned(OperatorCall call, PlainTensor first, PlainTensor tensor) => tensor.As(Aligned(call, first.Shape.Length, tensor.Shape));

    private static void Fold(OperatorCall call, PlainTensor?[] inputs, PlainTensor output, Func<float, float, float> floats, Func<long, long, long> integers)
    {
        PlainTensor x = inputs[0]!;
        TensorElement element = output.Element;
        if (inputs.Length == 1)
            Walk(output.Shape, x.Shape, x.Shape, (i, a, _) => Set(output, i, x, a));
        for (int input = 1; input < inputs.Length; input++)
        {
            PlainTensor y = Aligned(call, inputs[0]!, inputs[input]!);
            PlainTensor from = x;
            if (element.IsFloating())
                Walk(output.Shape, from.Shape, y.Shape, (i, a, b) => output.Floats[i] = floats(from.Floats[a], y.Floats[b]));
            else
                Walk(output.Shape, from.Shape, y.Shape, (i, a, b) => output.Integers[i] = element.Wrap(integers(from.Integers[a], y.Integers[b])));
            x = output;
        }
    }

    private static void Set(PlainTensor output, int to, PlainTensor input, int from)
    {
        if (input.Element.IsFloating())
            output.Floats[to] = input.Floats[from];
        else
            output.Integers[to] = input.Integers[from];
    }

    private static void Power(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        PlainTensor x = inputs[0]!;
        PlainTensor y = Aligned(call, x, inputs[1]!);
        PlainTensor output = outputs[0];
        Walk(output.Shape, x.Shape, y.Shape, (i, a, b) =>
        {
            double power = Math.Pow(x[a], y[b]);
            if (output.Element.IsFloating())
                output.Floats[i] = (float)power;
            else
                output.Integers[i] = output.Element.Wrap((long)power);
        });
    }

    private static void Where(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        PlainTensor output = outputs[0];
        int[] choice = new int[output.Count];
        PlainTensor condition = inputs[0]!;
        Walk(output.Shape, condition.Shape, condition.Shape, (i, a, _) => choice[i] = condition[a] != 0 ? 1 : 2);
        Walk(output.Shape, inputs[1]!.Shape, inputs[2]!.Shape, (i, a, b) => Set(output, i, inputs[choice[i]]!, choice[i] == 1 ? a : b));
    }

    private static void InferClip(OperatorCall call)
    {
        for (int i = 1; i < call.InputCount; i++)
        {
            if (call.Has(i) && TensorShape.LongCount(call.Shape(i)) != 1)
                throw call.Fail($"a bound has shape {TensorShape.Text(call.Shape(i))}");
        }

        call.Float("min", 0);
        call.Float("max", 0);
        call.Give(call.Input(0).Element, call.Shape(0));
    }

    private static void Clip(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        PlainTensor input = inputs[0]!;
        if (!input.Element.IsFloating())
        {
            long least = call.Has(1) ? inputs[1]!.ToIntegers()[0] : long.MinValue;
            long most = call.Has(2) ? inputs[2]!.ToIntegers()[0] : long.MaxValue;
            for (int i = 0; i < input.Count; i++)
                outputs[0].Integers[i] = Math.Min(Math.Max(input.Integers[i], least), most);
            return;
        }

        float low = call.Has(1) ? inputs[1]!.ToFloats()[0] : call.Float("min", float.NegativeInfinity);
        float high = call.Has(2) ? inputs[2]!.ToFloats()[0] : call.Float("max", float.PositiveInfinity);
        for (int i = 0; i < input.Count; i++)
            outputs[0].Floats[i] = Math.Min(Math.Max(input.Floats[i], low), high);
    }

    /// <summary>Calls <paramref name="body"/> for each element of <paramref name="shape"/> with its index and those of the two inputs' elements.</summary>
    private static void Walk(int[] shape, int[] first, int[] second, Action<int, int, int> body)
    {
        int count = TensorShape.Count(shape);
        int[] a = TensorShape.BroadcastStrides(first, shape);
        int[] b = TensorShape.BroadcastStrides(second, shape);
        int[] index = new int[shape.Length];
        int x = 0;
        int y = 0;
        for (int i = 0; i < count; i++)
        {
            body(i, x, y);
            for (int axis = shape.Length - 1; axis >= 0; axis--)
            {
                x += a[axis];
                y += b[axis];
                if (++index[axis] < shape[axis])
                    break;
                x -= a[axis] * shape[axis];
                y -= b[axis] * shape[axis];
                index[axis] = 0;
            }
        }
    }
}
