namespace EmbeddingKernels;

/// <summary>Operators that leave the elements as they are, in the same order but for Transpose, and those that make constants.</summary>
internal static class ShapeOperators
{
    public static IEnumerable<OperatorRule> Rules { get; } =
    [
        new("Identity", 1, 1, 1, Same, Copy),
        new("Dropout", 1, 3, 2, InferDropout, Dropout, "ratio", "seed", "is_test", "consumed_inputs"),
        new("Reshape", 2, 2, 1, InferReshape, Copy, "allowzero", "consumed_inputs"),
        new("Flatten", 1, 1, 1, InferFlatten, Copy, "axis"),
        new("Squeeze", 1, 2, 1, InferSqueeze, Copy, "axes"),
        new("Unsqueeze", 1, 2, 1, InferUnsqueeze, Copy, "axes"),
        new("Transpose", 1, 1, 1, InferTranspose, Transpose, "perm"),
        new("Shape", 1, 1, 1, InferShape, Shape, "start", "end"),
        new("Size", 1, 1, 1, call => call.Give(TensorElement.Int64, []), (call, _, outputs) => outputs[0].Integers[0] = TensorShape.LongCount(call.Shape(0))),
        new("Cast", 1, 1, 1, InferCast, Cast, "to", "saturate"),
        new("CastLike", 2, 2, 1, call => call.Give(call.Input(1).Element, call.Shape(0)), Cast, "saturate"),
        new("Constant", 0, 0, 1, InferConstant, Constant, "value", "value_float", "value_floats", "value_int", "value_ints"),
        new("ConstantOfShape", 1, 1, 1, InferConstantOfShape, ConstantOfShape, "value"),
        new("Expand", 2, 2, 1, InferExpand, Expand),
        new("Range", 3, 3, 1, InferRange, Range),
    ];

    /// <summary>Whether an operator gives its input's elements in the same order.</summary>
    public static bool KeepsOrder(string name) => name is "Identity" or "Dropout" or "Reshape" or "Flatten" or "Squeeze" or "Unsqueeze";

    public static int[] Permutation(OperatorCall call)
    {
        int rank = call.Shape(0).Length;
        long[]? perm = call.Integers("perm");
        if (perm is null || perm.Length == 0)
            return [.. Enumerable.Range(0, rank).Reverse()];
        int[] axes = perm.Length == rank ? Array.ConvertAll(perm, axis => call.Axis(axis, rank)) : throw call.Fail($"{perm.Length} axes are permuted and there are {rank}");
        return axes.Distinct().Count() == rank ? axes : throw call.Fail("an axis is permuted twice");
    }

    private static void Same(OperatorCall call) => call.Give(call.Input(0).Element, call.Shape(0));

    private static void InferDropout(OperatorCall call)
    {
        if (call.Has(2) && call.Scalar(2) != 0)
            throw call.Unsupported("dropout in training mode is not supported");
        Same(call);
        call.Give(TensorElement.Bool, call.Shape(0));
    }

    private static void Dropout(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        Copy(call, inputs, outputs);
        Array.Fill(outputs[1].Integers, 1);
    }

    private static void Copy(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        inputs[0]!.Floats.CopyTo(outputs[0].Floats, 0);
        inputs[0]!.Integers.CopyTo(outputs[0].Integers, 0);
    }

    private static void InferReshape(OperatorCall call)
    {
        int[] from = call.Shape(0);
        long[] to = [.. call.Constant(1).ToIntegers()];
        long count = TensorShape.LongCount(from);
        int open = -1;
        for (int i = 0; i < to.Length; i++)
        {
            if (to[i] == 0 && call.Integer("allowzero", 0) == 0)
                to[i] = i < from.Length ? from[i] : throw call.Fail($"axis {i} is to be kept and there are {from.Length}");
            if (to[i] < -1 || to[i] > int.MaxValue || (to[i] == -1 && open >= 0))
                throw call.Fail("a shape may have one extent of -1, and no other below 0");
            if (to[i] == -1)
                open = i;
        }

        // A model that was written for one image says 1 where it means the batch.
        if (call.Batch.From != call.Batch.To && call.Input(0).Constant is null && to.Length > 0 && open != 0 && to[0] == call.Batch.From
            && (open > 0 || Product(to, -1) != count))
        {
            to[0] = call.Batch.To;
        }

        long known = Product(to, open);
        if (open >= 0)
            to[open] = known > 0 && count % known == 0 ? count / known : throw call.Fail($"{count} elements do not make a shape of [{string.Join(", ", to)}]");
        else if (known != count)
            throw call.Fail($"{count} elements do not make a shape of [{string.Join(", ", to)}]");
        call.Give(call.Input(0).Element, Array.ConvertAll(to, extent => checked((int)extent)));
    }

    private static long Product(long[] extents, int without)
    {
        long product = 1;
        for (int i = 0; i < extents.Length; i++)
        {
            if (i == without)
                continue;
            if (extents[i] == 0)
                return 0;
            product = product > long.MaxValue / extents[i] ? long.MaxValue : product * extents[i];
        }

        return product;
    }

    private static void InferFlatten(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        int axis = call.Axis(call.Integer("axis", 1), shape.Length, end: true);
        long rows = TensorShape.LongCount(shape.AsSpan(0, axis));
        long columns = TensorShape.LongCount(shape.AsSpan(axis));
        if (rows > int.MaxValue || columns > int.MaxValue)
            throw call.Fail($"shape {TensorShape.Text(shape)} does not flatten to two axes");
        call.Give(call.Input(0).Element, [(int)rows, (int)columns]);
    }

    private static void InferSqueeze(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        int[] axes = call.Axes(1, shape.Length) ?? [.. Enumerable.Range(0, shape.Length).Where(axis => shape[axis] == 1)];
        foreach (int axis in axes)
        {
            if (shape[axis] != 1)
                throw call.Fail($"axis {axis} of {TensorShape.Text(shape)} cannot be squeezed");
        }

        call.Give(call.Input(0).Element, [.. shape.Where((_, axis) => !axes.Contains(axis))]);
    }

    private static void InferUnsqueeze(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        int added = call.Integers("axes")?.Length ?? (call.Has(1) ? call.Constant(1).Count : throw call.Fail("axes are missing"));
        if (added > 16)
            throw call.Fail($"{added} axes are added");
        int[] axes = call.Axes(1, shape.Length + added)!;
        int[] result = new int[shape.Length + added];
        int next = 0;
        for (int i = 0; i < result.Length; i++)
            result[i] = axes.Contains(i) ? 1 : shape[next++];
        call.Give(call.Input(0).Element, result);
    }

    private static void InferTranspose(OperatorCall call) =>
        call.Give(call.Input(0).Element, Array.ConvertAll(Permutation(call), axis => call.Shape(0)[axis]));

    private static void Transpose(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        PlainTensor input = inputs[0]!;
        int[] own = TensorShape.Strides(input.Shape);
        DataOperators.Gather(input, outputs[0], Array.ConvertAll(Permutation(call), axis => own[axis]), 0);
    }

    private static (int Start, int End) Part(OperatorCall call)
    {
        int rank = call.Shape(0).Length;
        long start = call.Integer("start", 0);
        long end = call.Integer("end", rank);
        int from = (int)Math.Clamp(start < 0 ? start + rank : start, 0, rank);
        return (from, Math.Max((int)Math.Clamp(end < 0 ? end + rank : end, 0, rank), from));
    }

    private static void InferShape(OperatorCall call)
    {
        (int start, int end) = Part(call);
        call.Give(TensorElement.Int64, [end - start]);
    }

    private static void Shape(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        (int start, int end) = Part(call);
        for (int i = start; i < end; i++)
            outputs[0].Integers[i - start] = call.Shape(0)[i];
    }

    private static void InferCast(OperatorCall call)
    {
        TensorElement to = (TensorElement)call.Int("to", 0);
        if (to.Bytes() == 0)
            throw call.Unsupported($"a cast to type {(int)to} is not supported");
        call.Give(to.Computed(), call.Shape(0));
    }

    private static void Cast(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        PlainTensor input = inputs[0]!;
        PlainTensor output = outputs[0];
        bool floating = input.Element.IsFloating();
        for (int i = 0; i < output.Count; i++)
        {
            if (output.Element.IsFloating())
                output.Floats[i] = floating ? input.Floats[i] : input.Integers[i];
            else if (output.Element == TensorElement.Bool && floating)
                output.Integers[i] = input.Floats[i] != 0 ? 1 : 0;
            else
                output.Integers[i] = output.Element.Wrap(floating ? (long)input.Floats[i] : input.Integers[i]);
        }
    }

    private static PlainTensor ConstantValue(OperatorCall call)
    {
        NodeAttribute? Attribute(string name) => call.Node.Attributes.GetValueOrDefault(name);
        if (Attribute("value")?.Tensor is { } tensor)
            return tensor.Load();
        if (Attribute("value_float")?.Float is { } number)
            return PlainTensor.Of([], [number]);
        if (Attribute("value_int")?.Integer is { } integer)
            return PlainTensor.Of([], [integer]);
        if (Attribute("value_floats")?.Floats is { } numbers)
            return PlainTensor.Of([numbers.Length], numbers);
        return Attribute("value_ints")?.Integers is { } integers ? PlainTensor.Of(integers) : throw call.Fail("a constant has no value");
    }

    private static void InferConstant(OperatorCall call)
    {
        GraphTensor? tensor = call.Node.Attributes.GetValueOrDefault("value")?.Tensor;
        if (tensor is not null)
        {
            call.Give(tensor.Element, tensor.Shape);
            return;
        }

        PlainTensor value = ConstantValue(call);
        call.Give(value.Element, value.Shape);
    }

    private static void Constant(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs) => Copy(call, [ConstantValue(call)], outputs);

    private static PlainTensor FillValue(OperatorCall call)
    {
        if (!call.HasAttribute("value"))
            return PlainTensor.Of([1], [0f]);
        GraphTensor value = call.Node.Attributes["value"].Tensor ?? throw call.Fail("attribute 'value' is no tensor");
        return value.Count == 1 ? value.Load() : throw call.Fail($"attribute 'value' has shape {TensorShape.Text(value.Shape)}");
    }

    private static int[] ShapeOf(OperatorCall call, int input)
    {
        long[] extents = call.Constant(input).ToIntegers();
        return extents.Length <= 16 ? Array.ConvertAll(extents, extent => extent is >= 0 and <= int.MaxValue ? (int)extent : throw call.Fail($"an extent of {extent}"))
            : throw call.Fail($"a shape of {extents.Length} axes");
    }

    private static void InferConstantOfShape(OperatorCall call) => call.Give(FillValue(call).Element, ShapeOf(call, 0));

    private static void ConstantOfShape(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        PlainTensor value = FillValue(call);
        if (value.Element.IsFloating())
            Array.Fill(outputs[0].Floats, value.Floats[0]);
        else
            Array.Fill(outputs[0].Integers, value.Integers[0]);
    }

    private static void InferExpand(OperatorCall call)
    {
        int[] to = ShapeOf(call, 1);
        call.Give(call.Input(0).Element, TensorShape.Broadcast(call.Shape(0), to)
            ?? throw call.Fail($"shape {TensorShape.Text(call.Shape(0))} does not expand to {TensorShape.Text(to)}"));
    }

    private static void Expand(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs) =>
        DataOperators.Gather(inputs[0]!, outputs[0], TensorShape.BroadcastStrides(inputs[0]!.Shape, outputs[0].Shape), 0);

    private static void InferRange(OperatorCall call)
    {
        double count = Math.Ceiling((call.Scalar(1) - call.Scalar(0)) / call.Scalar(2));
        if (!(Math.Abs(count) <= int.MaxValue))
            throw call.Fail($"a range from {call.Scalar(0)} to {call.Scalar(1)} by {call.Scalar(2)}");
        call.Give(call.Input(0).Element, [(int)Math.Max(count, 0)]);
    }

    private static void Range(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        (double start, double step) = (inputs[0]![0], inputs[2]![0]);
        for (int i = 0; i < outputs[0].Count; i++)
        {
            if (outputs[0].Element.IsFloating())
                outputs[0].Floats[i] = (float)(start + (i * step));
            else
                outputs[0].Integers[i] = outputs[0].Element.Wrap((long)(start + (i * step)));
        }
    }
}
