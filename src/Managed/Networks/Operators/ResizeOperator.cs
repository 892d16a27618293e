namespace EmbeddingKernels;

/// <summary>Resize, nearest and linear.</summary>
internal static class ResizeOperator
{
    public static IEnumerable<OperatorRule> Rules { get; } =
    [
        new(
            "Resize", 1, 4, 1, Infer, Evaluate,
            "antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode"),
        new("Upsample", 1, 2, 1, Infer, Evaluate, "mode", "scales"),
    ];

    private static void Infer(OperatorCall call)
    {
        string mode = call.Text("mode", "nearest");
        if (mode is not ("nearest" or "linear"))
            throw call.Unsupported($"mode '{mode}' is not supported");
        if (call.Text("coordinate_transformation_mode", "half_pixel") is not ("half_pixel" or "half_pixel_symmetric" or "pytorch_half_pixel" or "align_corners" or "asymmetric" or "tf_crop_and_resize") and var transformation)
            throw call.Unsupported($"coordinate transformation '{transformation}' is not supported");
        if (call.Text("nearest_mode", "round_prefer_floor") is not ("round_prefer_floor" or "round_prefer_ceil" or "floor" or "ceil") and var rounding)
            throw call.Unsupported($"nearest mode '{rounding}' is not supported");
        if (!call.Input(0).Element.IsFloating())
            throw call.Unsupported($"elements of type {call.Input(0).Element} are not supported");
        call.Give(call.Input(0).Element, [.. Axes(call).Select(axis => axis.Output)]);
    }

    /// <summary>Extents and scales of all axes.</summary>
    private static AxisPlan[] Axes(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        bool old = call.Node.Operator == "Upsample" || call.Opset < 11;
        int[] axes = call.Integers("axes") is null ? [.. Enumerable.Range(0, shape.Length)] : call.Axes(OperatorTable.Any, shape.Length)!;
        float[]? scales = call.Node.Attributes.TryGetValue("scales", out NodeAttribute? given) ? given.Floats : Numbers(call, old ? 1 : 2)?.ToFloats();
        long[]? sizes = old ? null : Numbers(call, 3)?.ToIntegers();
        if ((scales is null) == (sizes is null) || (scales?.Length ?? sizes!.Length) != axes.Length)
            throw call.Fail($"exactly one of scales and sizes must be given, for {axes.Length} axes");
        double[] ratios = new double[axes.Length];
        string policy = call.Text("keep_aspect_ratio_policy", "stretch");
        for (int i = 0; i < axes.Length; i++)
        {
            ratios[i] = scales is not null ? scales[i] : shape[axes[i]] == 0 ? 1 : (double)sizes![i] / shape[axes[i]];
            if (!(ratios[i] > 0 && ratios[i] < 1e6))
                throw call.Fail($"a scale of {ratios[i]}");
        }

        if (sizes is not null && policy != "stretch")
            Array.Fill(ratios, policy switch { "not_larger" => ratios.Min(), "not_smaller" => ratios.Max(), _ => throw call.Fail($"attribute 'keep_aspect_ratio_policy' is '{policy}'") });
        float[]? roi = call.Text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize" ? Numbers(call, 1)?.ToFloats() : null;
        if (roi is not null && roi.Length != 2 * axes.Length)
            throw call.Fail($"a region of {roi.Length} numbers");
        AxisPlan[] plans = [.. shape.Select(extent => new AxisPlan(extent, extent, 1, 0, 1))];
        for (int i = 0; i < axes.Length; i++)
        {
            int extent = shape[axes[i]];
            double output = sizes is null ? Math.Floor(extent * ratios[i]) : policy == "stretch" ? sizes[i] : Math.Round(extent * ratios[i], MidpointRounding.AwayFromZero);
            if (!(output >= 0 && output <= int.MaxValue))
                throw call.Fail($"an extent of {output}");
            plans[axes[i]] = new AxisPlan(extent, (int)output, ratios[i], roi?[i] ?? 0, roi?[i + axes.Length] ?? 1);
        }

        return plans;
    }

    private static PlainTensor? Numbers(OperatorCall call, int input) =>
        call.Has(input) && TensorShape.LongCount(call.Shape(input)) > 0 ? call.Constant(input) : null;

    private static void Evaluate(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        AxisPlan[] axes = Axes(call);
        string mode = call.Text("mode", "nearest");
        string transformation = call.Node.Operator == "Upsample" || call.Opset < 11 ? "asymmetric" : call.Text("coordinate_transformation_mode", "half_pixel");
        string rounding = call.Node.Operator == "Upsample" || call.Opset < 11 ? "floor" : call.Text("nearest_mode", "round_prefer_floor");
        bool antialias = call.Integer("antialias", 0) != 0;
        bool excludeOutside = call.Integer("exclude_outside", 0) != 0;
        float beyond = call.Float("extrapolation_value", 0);

        // Axis after axis: the weights of an output element are products of those of its axes.
        PlainTensor x = inputs[0]!;
        bool[] outside = new bool[outputs[0].Count];
        for (int axis = 0; axis < axes.Length; axis++)
        {
            AxisPlan plan = axes[axis];
            if (plan.Input == plan.Output && plan.Scale == 1 && plan.Start == 0 && plan.End == 1)
                continue;
            int[] shape = [.. x.Shape];
            shape[axis] = plan.Output;
            PlainTensor y = new(x.Element, shape);
            int after = TensorShape.Count(shape, axis + 1, shape.Length);
            int before = TensorShape.Count(shape, 0, axis);
            for (int i = 0; i < plan.Output; i++)
            {
                double at = plan.Source(i, transformation);
                List<(int Index, double Weight)> parts = mode == "nearest" ? [(Nearest(at, rounding, plan.Input), 1)] : Linear(at, plan, antialias, excludeOutside);
                for (int b = 0; b < before; b++)
                {
                    for (int a = 0; a < after; a++)
                    {
                        double sum = 0;
                        foreach ((int index, double weight) in parts)
                            sum += weight * x.Floats[(((b * plan.Input) + index) * after) + a];
                        y.Floats[(((b * plan.Output) + i) * after) + a] = (float)sum;
                    }
                }

                if (transformation == "tf_crop_and_resize" && (at < 0 || at > plan.Input - 1))
                    Mark(outside, outputs[0].Shape, axis, i);
            }

            x = y;
        }

        for (int i = 0; i < outputs[0].Count; i++)
            outputs[0].Floats[i] = outside[i] ? beyond : x.Floats[i];
    }

    private static void Mark(bool[] outside, int[] shape, int axis, int index)
    {
        int after = TensorShape.Count(shape, axis + 1, shape.Length);
        for (int b = 0; b < TensorShape.Count(shape, 0, axis); b++)
            outside.AsSpan(((b * shape[axis]) + index) * after, after).Fill(true);
    }

    private static int Nearest(double at, string rounding, int extent)
    {
        double index = rounding switch
        {
            "floor" => Math.Floor(at),
            "ceil" => Math.Ceiling(at),
            "round_prefer_ceil" => Math.Floor(at + 0.5),
            _ => Math.Ceiling(at - 0.5),
        };
        return (int)Math.Clamp(index, 0, extent - 1);
    }

    private static List<(int Index, double Weight)> Linear(double at, AxisPlan plan, bool antialias, bool excludeOutside)
    {
        double reach = antialias && plan.Scale < 1 ? 1 / plan.Scale : 1;
        List<(int Index, double Weight)> parts = [];
        double sum = 0;
        for (int i = (int)Math.Ceiling(at - reach); i <= (int)Math.Floor(at + reach); i++)
        {
            double weight = 1 - (Math.Abs(i - at) / reach);
            if (weight <= 0 || (excludeOutside && (i < 0 || i >= plan.Input)))
                continue;
            parts.Add((Math.Clamp(i, 0, plan.Input - 1), weight));
            sum += weight;
        }

        return [.. parts.Select(part => (part.Index, part.Weight / sum))];
    }

    /// <summary>One axis.</summary>
    /// <param name="Input">Its extent before.</param>
    /// <param name="Output">Its extent after.</param>
    /// <param name="Scale">Output elements for one of the input.</param>
    /// <param name="Start">The part of the input where the output starts, of tf_crop_and_resize.</param>
    /// <param name="End">Where it ends.</param>
    private sealed record AxisPlan(int Input, int Output, double Scale, double Start, double End)
    {
        public double Source(int index, string transformation)
        {
            switch (transformation)
            {
                case "asymmetric":
                    return index / Scale;
                case "align_corners":
                    return Output == 1 ? 0 : index * (Input - 1.0) / ((Input * Scale) - 1);
                case "pytorch_half_pixel":
                    return Output == 1 ? 0 : ((index + 0.5) / Scale) - 0.5;
                case "half_pixel_symmetric":
                    double adjustment = Output / (Scale * Input);
                    return (Input / 2.0 * (1 - adjustment)) + ((index + 0.5) / Scale) - 0.5;
                case "tf_crop_and_resize":
                    return Output > 1 ? (Start * (Input - 1)) + (index * (End - Start) * (Input - 1) / (Output - 1)) : 0.5 * (Start + End) * (Input - 1);
                default:
                    return ((index + 0.5) / Scale) - 0.5;
            }
        }
    }
}
