namespace EmbeddingKernels;

/// <summary>Operators that move parts of tensors, and reductions.</summary>
internal static class DataOperators
{
    public static IEnumerable<OperatorRule> Rules { get; } =
    [
        new("Concat", 1, OperatorTable.Any, 1, InferConcat, Concat, "axis"),
        new("Split", 1, 2, OperatorTable.Any, InferSplit, Split, "axis", "split", "num_outputs"),
        new("Slice", 1, 5, 1, InferSlice, Slice, "axes", "starts", "ends"),
        new("Gather", 2, 2, 1, InferGather, GatherRows, "axis"),
        new("Pad", 1, 4, 1, InferPad, Pad, "mode", "pads", "value"),
        Reduction("ReduceMean", 0, (sum, x) => sum + x, (sum, count) => sum / count),
        Reduction("ReduceSum", 0, (sum, x) => sum + x, (sum, _) => sum),
        Reduction("ReduceMax", double.NegativeInfinity, Math.Max, (most, _) => most),
        Reduction("ReduceMin", double.PositiveInfinity, Math.Min, (least, _) => least),
        Reduction("ReduceProd", 1, (product, x) => product * x, (product, _) => product),
    ];

    /// <summary>Fills <paramref name="output"/> with the elements that stand at <paramref name="start"/> plus index times stride of each axis.</summary>
    public static void Gather(PlainTensor input, PlainTensor output, int[] strides, int start)
    {
        int count = output.Count;
        if (count == 0)
            return;
        int[] shape = output.Shape;
        int[] index = new int[shape.Length];
        int from = start;
        bool floating = input.Element.IsFloating();
        for (int i = 0; i < count; i++)
        {
            if (floating)
                output.Floats[i] = input.Floats[from];
            else
                output.Integers[i] = input.Integers[from];
            for (int axis = shape.Length - 1; axis >= 0; axis--)
            {
                from += strides[axis];
                if (++index[axis] < shape[axis])
                    break;
                from -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
        }
    }

    /// <summary>Elements before and after each axis, of a Pad node whose pads are constants.</summary>
    public static (int[] Before, int[] After) Pads(OperatorCall call)
    {
        int rank = call.Shape(0).Length;
        long[] pads = call.Integers("pads") ?? call.Constant(1).ToIntegers();
        int[] axes = call.Has(3) ? call.Axes(3, rank)! : [.. Enumerable.Range(0, rank)];
        if (pads.Length != 2 * axes.Length)
            throw call.Fail($"{pads.Length} pads for {axes.Length} axes");
        int[] before = new int[rank];
        int[] after = new int[rank];
        for (int i = 0; i < axes.Length; i++)
        {
            before[axes[i]] = Extent(call, pads[i]);
            after[axes[i]] = Extent(call, pads[i + axes.Length]);
        }

        return (before, after);
    }

    private static int Extent(OperatorCall call, long pad) => Math.Abs(pad) <= 1 << 24 ? (int)pad : throw call.Fail($"a pad of {pad}");

    private static void InferConcat(OperatorCall call)
    {
        int[] shape = [.. call.Shape(0)];
        int axis = call.Axis(call.Integer("axis", 1), shape.Length);
        long extent = 0;
        for (int i = 0; i < call.InputCount; i++)
        {
            int[] part = call.Shape(i);
            if (part.Length != shape.Length || call.Input(i).Element != call.Input(0).Element
                || Enumerable.Range(0, shape.Length).Any(other => other != axis && part[other] != shape[other]))
            {
                throw call.Fail($"shapes {TensorShape.Text(shape)} and {TensorShape.Text(part)} cannot be joined along axis {axis}");
            }

            extent += part[axis];
        }

        shape[axis] = extent <= int.MaxValue ? (int)extent : throw call.Fail("the result is too long");
        call.Give(call.Input(0).Element, shape);
    }

    private static void Concat(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        PlainTensor output = outputs[0];
        int axis = call.Axis(call.Integer("axis", 1), output.Shape.Length);
        int before = TensorShape.Count(output.Shape, 0, axis);
        int row = TensorShape.Count(output.Shape, axis, output.Shape.Length);
        int offset = 0;
        foreach (PlainTensor? input in inputs)
        {
            int part = TensorShape.Count(input!.Shape, axis, input.Shape.Length);
            for (int i = 0; i < before; i++)
                CopyElements(input, i * part, output, (i * row) + offset, part);
            offset += part;
        }
    }

    private static void CopyElements(PlainTensor from, int first, PlainTensor to, int at, int count)
    {
        if (from.Element.IsFloating())
            from.Floats.AsSpan(first, count).CopyTo(to.Floats.AsSpan(at));
        else
            from.Integers.AsSpan(first, count).CopyTo(to.Integers.AsSpan(at));
    }

    private static void InferSplit(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        int axis = call.Axis(call.Integer("axis", 0), shape.Length);
        int outputs = call.Node.Outputs.Length;
        long[]? parts = call.Integers("split") ?? (call.Has(1) ? call.Constant(1).ToIntegers() : null);
        if (parts is null)
        {
            int part = (shape[axis] + outputs - 1) / outputs;
            parts = [.. Enumerable.Range(0, outputs).Select(i => (long)Math.Max(Math.Min(part, shape[axis] - (i * part)), 0))];
        }

        if (parts.Length != outputs || Array.Exists(parts, part => part < 0 || part > shape[axis]) || parts.Sum() != shape[axis])
            throw call.Fail($"axis {axis} of {TensorShape.Text(shape)} is not split into [{string.Join(", ", parts)}]");
        foreach (long part in parts)
        {
            int[] piece = [.. shape];
            piece[axis] = (int)part;
            call.Give(call.Input(0).Element, piece);
        }
    }

    private static void Split(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        PlainTensor input = inputs[0]!;
        int axis = call.Axis(call.Integer("axis", 0), input.Shape.Length);
        int before = TensorShape.Count(input.Shape, 0, axis);
        int row = TensorShape.Count(input.Shape, axis, input.Shape.Length);
        int offset = 0;
        foreach (PlainTensor output in outputs)
        {
            int part = TensorShape.Count(output.Shape, axis, output.Shape.Length);
            for (int i = 0; i < before; i++)
                CopyElements(input, (i * row) + offset, output, i * part, part);
            offset += part;
        }
    }

    private static (int[] Start, int[] Step, int[] Shape) SliceParts(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        long[] starts = call.Integers("starts") ?? call.Constant(1).ToIntegers();
        long[] ends = call.Integers("ends") ?? call.Constant(2).ToIntegers();
        int[] axes = call.Axes(3, shape.Length) ?? [.. Enumerable.Range(0, Math.Min(starts.Length, shape.Length))];
        long[] steps = call.Has(4) ? call.Constant(4).ToIntegers() : [.. Enumerable.Repeat(1L, starts.Length)];
        if (starts.Length != axes.Length || ends.Length != axes.Length || steps.Length != axes.Length)
            throw call.Fail($"{starts.Length} starts, {ends.Length} ends and {steps.Length} steps for {axes.Length} axes");
        int[] start = new int[shape.Length];
        int[] step = [.. Enumerable.Repeat(1, shape.Length)];
        int[] result = [.. shape];
        for (int i = 0; i < axes.Length; i++)
        {
            long extent = shape[axes[i]];
            if (steps[i] is 0 or > int.MaxValue or < -int.MaxValue)
                throw call.Fail($"a step of {steps[i]}");
            bool back = steps[i] < 0;
            long from = Math.Clamp(starts[i] < 0 ? starts[i] + extent : starts[i], back ? -1 : 0, back ? extent - 1 : extent);
            long to = Math.Clamp(ends[i] < 0 ? Math.Max(ends[i], -extent - 1) + extent : ends[i], back ? -1 : 0, back ? extent - 1 : extent);
            long length = back ? (from - to - steps[i] - 1) / -steps[i] : (to - from + steps[i] - 1) / steps[i];
            (start[axes[i]], step[axes[i]], result[axes[i]]) = ((int)from, (int)steps[i], (int)Math.Max(length, 0));
        }

        return (start, step, result);
    }

    private static void InferSlice(OperatorCall call) => call.Give(call.Input(0).Element, SliceParts(call).Shape);

    private static void Slice(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        (int[] start, int[] step, _) = SliceParts(call);
        int[] strides = TensorShape.Strides(inputs[0]!.Shape);
        int first = 0;
        for (int i = 0; i < strides.Length; i++)
        {
            first += start[i] * strides[i];
            strides[i] = outputs[0].Shape[i] > 1 ? strides[i] * step[i] : 0;
        }

        Gather(inputs[0]!, outputs[0], strides, first);
    }

    private static void InferGather(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        int axis = call.Axis(call.Integer("axis", 0), shape.Length);
        if (call.Input(1).Element.IsFloating())
            throw call.Fail("the indices are no integers");
        call.Give(call.Input(0).Element, [.. shape[..axis], .. call.Shape(1), .. shape[(axis + 1)..]]);
    }

    private static void GatherRows(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        PlainTensor input = inputs[0]!;
        long[] indices = inputs[1]!.Integers;
        int axis = call.Axis(call.Integer("axis", 0), input.Shape.Length);
        int before = TensorShape.Count(input.Shape, 0, axis);
        int row = TensorShape.Count(input.Shape, axis + 1, input.Shape.Length);
        int extent = input.Shape[axis];
        for (int i = 0; i < before; i++)
        {
            for (int j = 0; j < indices.Length; j++)
            {
                long index = indices[j] < 0 ? indices[j] + extent : indices[j];
                if (index < 0 || index >= extent)
                    throw call.Fail($"index {indices[j]} is not one of {extent}");
                CopyElements(input, ((i * extent) + (int)index) * row, outputs[0], ((i * indices.Length) + j) * row, row);
            }
        }
    }

    private static void InferPad(OperatorCall call)
    {
        string mode = call.Text("mode", "constant");
        if (mode is not ("constant" or "edge" or "reflect" or "wrap"))
            throw call.Unsupported($"padding mode '{mode}' is not supported");
        (int[] before, int[] after) = Pads(call);
        int[] shape = call.Shape(0);
        int[] result = new int[shape.Length];
        for (int i = 0; i < shape.Length; i++)
        {
            result[i] = shape[i] + before[i] + after[i];
            if (mode != "constant" && result[i] > 0 && shape[i] == 0)
                throw call.Fail($"axis {i} of {TensorShape.Text(shape)} has nothing to pad with");
        }

        call.Give(call.Input(0).Element, result);
    }

    private static void Pad(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        (int[] before, _) = Pads(call);
        string mode = call.Text("mode", "constant");
        PlainTensor input = inputs[0]!;
        PlainTensor output = outputs[0];
        double value = call.Has(2) && inputs[2]!.Count == 1 ? inputs[2]![0] : call.Float("value", 0);
        int[] strides = TensorShape.Strides(input.Shape);
        int[] index = new int[output.Shape.Length];
        for (int i = 0; i < output.Count; i++)
        {
            int from = 0;
            for (int axis = 0; axis < index.Length && from >= 0; axis++)
            {
                int at = Source(index[axis] - before[axis], input.Shape[axis], mode);
                from = at < 0 ? -1 : from + (at * strides[axis]);
            }

            if (from >= 0)
                CopyElements(input, from, output, i, 1);
            else if (output.Element.IsFloating())
                output.Floats[i] = (float)value;
            else
                output.Integers[i] = (long)value;
            for (int axis = index.Length - 1; axis >= 0 && ++index[axis] == output.Shape[axis]; axis--)
                index[axis] = 0;
        }
    }

    /// <summary>The index that a padded one takes its value from; -1 for the constant.</summary>
    private static int Source(int index, int extent, string mode)
    {
        if (index >= 0 && index < extent)
            return index;
        switch (mode)
        {
            case "edge":
                return Math.Clamp(index, 0, extent - 1);
            case "wrap":
                return ((index % extent) + extent) % extent;
            case "reflect":
                if (extent == 1)
                    return 0;
                int period = 2 * (extent - 1);
                int at = ((index % period) + period) % period;
                return at < extent ? at : period - at;
            default:
                return -1;
        }
    }

    private static OperatorRule Reduction(string name, double start, Func<double, double, double> add, Func<double, double, double> finish)
    {
        return new OperatorRule(name, 1, 2, 1, Infer, Evaluate, "axes", "keepdims", "noop_with_empty_axes");

        void Infer(OperatorCall call)
        {
            int[] shape = call.Shape(0);
            bool[] reduced = Reduced(call);
            bool keep = call.Integer("keepdims", 1) != 0;
            call.Give(call.Input(0).Element, [.. shape.Select((extent, axis) => reduced[axis] ? 1 : extent).Where((_, axis) => keep || !reduced[axis])]);
        }

        void Evaluate(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
        {
            PlainTensor input = inputs[0]!;
            bool[] reduced = Reduced(call);
            int[] kept = [.. input.Shape.Select((extent, axis) => reduced[axis] ? 1 : extent)];
            int[] strides = TensorShape.BroadcastStrides(kept, input.Shape);
            double[] sums = new double[outputs[0].Count];
            Array.Fill(sums, start);
            int[] index = new int[input.Shape.Length];
            int to = 0;
            for (int i = 0; i < input.Count; i++)
            {
                sums[to] = add(sums[to], input[i]);
                for (int axis = index.Length - 1; axis >= 0; axis--)
                {
                    to += strides[axis];
                    if (++index[axis] < input.Shape[axis])
                        break;
                    to -= strides[axis] * input.Shape[axis];
                    index[axis] = 0;
                }
            }

            double count = sums.Length == 0 ? 1 : (double)input.Count / sums.Length;
            for (int i = 0; i < sums.Length; i++)
            {
                double result = finish(sums[i], count);
                if (input.Element.IsFloating())
                    outputs[0].Floats[i] = (float)result;
                else
                    outputs[0].Integers[i] = input.Element.Wrap((long)result);
            }
        }
    }

    /// <summary>For each axis of a reduction's input whether it goes.</summary>
    public static bool[] Reduced(OperatorCall call)
    {
        int rank = call.Shape(0).Length;
        int[]? axes = call.Axes(1, rank);
        if (axes is null || axes.Length == 0)
            axes = call.Integer("noop_with_empty_axes", 0) != 0 ? [] : [.. Enumerable.Range(0, rank)];
        bool[] reduced = new bool[rank];
        foreach (int axis in axes)
            reduced[axis] = true;
        return reduced;
    }
}
