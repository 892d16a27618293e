namespace EmbeddingKernels;

/// <summary>Normalisations and softmax.</summary>
internal static class NormOperators
{
    public static IEnumerable<OperatorRule> Rules { get; } =
    [
        new("BatchNormalization", 5, 5, OperatorTable.Any, InferBatch, Batch, "epsilon", "momentum", "spatial", "is_test", "training_mode", "consumed_inputs"),
        new("InstanceNormalization", 3, 3, 1, InferInstance, Instance, "epsilon", "consumed_inputs"),
        new("LRN", 1, 1, 1, InferLocal, Local, "alpha", "beta", "bias", "size"),
        new("Softmax", 1, 1, 1, InferSoftmax, (call, inputs, outputs) => Softmax(call, inputs[0]!, outputs[0], logarithm: false), "axis"),
        new("LogSoftmax", 1, 1, 1, InferSoftmax, (call, inputs, outputs) => Softmax(call, inputs[0]!, outputs[0], logarithm: true), "axis"),
    ];

    /// <summary>The rows that softmax works on: [before][length][after], normalised over the middle.</summary>
    public static (int Before, int Length, int After) SoftmaxRows(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        if (shape.Length == 0)
            return (1, 1, 1);
        int axis = call.Axis(call.Integer("axis", call.Opset < 13 ? Math.Min(1, shape.Length - 1) : -1), shape.Length);
        int before = TensorShape.Count(shape, 0, axis);

        // Before operator set 13 all axes from the given one on are one.
        return call.Opset < 13 ? (before, TensorShape.Count(shape, axis, shape.Length), 1) : (before, shape[axis], TensorShape.Count(shape, axis + 1, shape.Length));
    }

    private static void InferBatch(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        if (call.Integer("training_mode", 0) != 0 || call.Integer("spatial", 1) == 0 || (call.Opset < 7 && call.Integer("is_test", 0) == 0))
            throw call.Unsupported("batch normalisation in training mode, or of each pixel by itself, is not supported");
        if (shape.Length < 2)
            throw call.Fail($"an image of shape {TensorShape.Text(shape)}");
        for (int i = 1; i < 5; i++)
        {
            if (call.Shape(i).Length != 1 || call.Shape(i)[0] != shape[1])
                throw call.Fail($"input {i} of shape {TensorShape.Text(call.Shape(i))} for {shape[1]} channels");
        }

        CheckFloats(call);
        call.Float("epsilon", 0);
        call.Give(call.Input(0).Element, shape);
        for (int i = 1; i < call.Node.Outputs.Length; i++)
        {
            if (call.Node.Outputs[i].Length > 0)
                throw call.Unsupported("the outputs of batch normalisation in training are not supported");
        }
    }

    private static void CheckFloats(OperatorCall call)
    {
        for (int i = 0; i < call.InputCount; i++)
        {
            if (!call.Input(i).Element.IsFloating())
                throw call.Unsupported($"elements of type {call.Input(i).Element} are not supported");
        }
    }

    private static void Batch(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        float[] x = inputs[0]!.Floats;
        int[] shape = inputs[0]!.Shape;
        float epsilon = call.Float("epsilon", 1e-5f);
        int map = TensorShape.Count(shape, 2, shape.Length);
        for (int i = 0; i < x.Length; i++)
        {
            int c = i / map % shape[1];
            double scale = inputs[1]!.Floats[c] / Math.Sqrt(inputs[4]!.Floats[c] + (double)epsilon);
            outputs[0].Floats[i] = (float)(((x[i] - (double)inputs[3]!.Floats[c]) * scale) + inputs[2]!.Floats[c]);
        }
    }

    private static void InferInstance(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        if (shape.Length < 3 || call.Shape(1).Length != 1 || call.Shape(1)[0] != shape[1] || call.Shape(2).Length != 1 || call.Shape(2)[0] != shape[1])
            throw call.Fail($"an image of shape {TensorShape.Text(shape)} with factors of shape {TensorShape.Text(call.Shape(1))} and {TensorShape.Text(call.Shape(2))}");
        CheckFloats(call);
        call.Float("epsilon", 0);
        call.Give(call.Input(0).Element, shape);
    }

    private static void Instance(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        int[] shape = inputs[0]!.Shape;
        int map = TensorShape.Count(shape, 2, shape.Length);
        double epsilon = call.Float("epsilon", 1e-5f);
        for (int m = 0; m < shape[0] * shape[1]; m++)
        {
            ReadOnlySpan<float> x = inputs[0]!.Floats.AsSpan(m * map, map);
            double mean = 0;
            foreach (float value in x)
                mean += value / (double)map;
            double variance = 0;
            foreach (float value in x)
                variance += (value - mean) * (value - mean) / map;
            double scale = inputs[1]!.Floats[m % shape[1]] / Math.Sqrt(variance + epsilon);
            for (int i = 0; i < map; i++)
                outputs[0].Floats[(m * map) + i] = (float)(((x[i] - mean) * scale) + inputs[2]!.Floats[m % shape[1]]);
        }
    }

    private static void InferLocal(OperatorCall call)
    {
        if (call.Shape(0).Length < 2)
            throw call.Fail($"an image of shape {TensorShape.Text(call.Shape(0))}");
        if (call.Int("size", 0) < 1)
            throw call.Fail("attribute 'size' must be 1 or more");
        CheckFloats(call);
        call.Give(call.Input(0).Element, call.Shape(0));
    }

    private static void Local(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        float[] x = inputs[0]!.Floats;
        int[] shape = inputs[0]!.Shape;
        int size = call.Int("size", 1);
        (double alpha, double beta, double bias) = (call.Float("alpha", 1e-4f), call.Float("beta", 0.75f), call.Float("bias", 1));
        int map = TensorShape.Count(shape, 2, shape.Length);
        for (int i = 0; i < x.Length; i++)
        {
            int channel = i / map % shape[1];
            int first = Math.Max(0, channel - ((size - 1) / 2));
            int last = (int)Math.Min(shape[1] - 1, channel + ((size - 1L) / 2) + ((size - 1) % 2));
            double sum = 0;
            for (int c = first; c <= last; c++)
                sum += (double)x[i + ((c - channel) * map)] * x[i + ((c - channel) * map)];
            outputs[0].Floats[i] = (float)(x[i] / Math.Pow(bias + (alpha / size * sum), beta));
        }
    }

    private static void InferSoftmax(OperatorCall call)
    {
        CheckFloats(call);
        SoftmaxRows(call);
        call.Give(call.Input(0).Element, call.Shape(0));
    }

    private static void Softmax(OperatorCall call, PlainTensor input, PlainTensor output, bool logarithm)
    {
        (int before, int length, int after) = SoftmaxRows(call);
        for (int row = 0; row < before * after; row++)
        {
            int first = (row / after * length * after) + (row % after);
            float most = float.NegativeInfinity;
            for (int i = 0; i < length; i++)
                most = Math.Max(most, input.Floats[first + (i * after)]);
            double sum = 0;
            for (int i = 0; i < length; i++)
                sum += Math.Exp(input.Floats[first + (i * after)] - most);
            for (int i = 0; i < length; i++)
            {
                double x = input.Floats[first + (i * after)] - most;
                output.Floats[first + (i * after)] = (float)(logarithm ? x - Math.Log(sum) : Math.Exp(x) / sum);
            }
        }
    }
}
