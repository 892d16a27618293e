namespace EmbeddingKernels;

/// <summary>
/// Whether a graph that was exported for one number of images computes each image by itself when it is fed another number:
/// all values keep the images one after another, and no operator looks across them.
/// </summary>
internal static class BatchRules
{
    public static bool KeepImagesApart(GraphShapes shapes)
    {
        foreach (OperatorCall call in shapes.Calls)
        {
            if (shapes.Fact(call.Node.Outputs[0]).IsConstant)
                continue;
            if (!Apart(call, shapes.Batch.To))
                return false;
        }

        return true;
    }

    private static bool Apart(OperatorCall call, int batch)
    {
        bool Fed(int input) => call.Has(input) && call.Input(input).Constant is null;
        for (int i = 0; i < call.InputCount; i++)
        {
            if (Fed(i) && (call.Shape(i).Length == 0 || call.Shape(i)[0] % batch != 0))
                return false;
        }

        foreach ((_, int[] shape) in call.Outputs)
        {
            if (shape.Length == 0 || shape[0] % batch != 0)
                return false;
        }

        int rank = call.Has(0) ? call.Shape(0).Length : 0;
        switch (call.Node.Operator)
        {
            case "Softmax" or "LogSoftmax":
                return NormOperators.SoftmaxRows(call).Before % batch == 0;
            case "Concat":
                return call.Axis(call.Integer("axis", 1), rank) != 0 && Enumerable.Range(0, call.InputCount).All(Fed);
            case "Split":
                return call.Axis(call.Integer("axis", 0), rank) != 0;
            case "Gather":
                return call.Axis(call.Integer("axis", 0), rank) != 0 && Fed(0) && !Fed(1);
            case "Transpose":
                return ShapeOperators.Permutation(call)[0] == 0;
            case "ReduceMean" or "ReduceSum" or "ReduceMax" or "ReduceMin" or "ReduceProd":
                return !DataOperators.Reduced(call)[0];
            case "Slice" or "Pad" or "Resize":
                return call.Outputs[0].Shape[0] == call.Shape(0)[0];
            case "Gemm":
                return Fed(0) && !Fed(1) && call.Integer("transA", 0) == 0 && (!call.Has(2) || !Fed(2));
            case "MatMul":
                return Fed(0) && (Fed(1) ? rank > 2 && call.Shape(1).Length == rank : rank > 1 && call.Shape(1).Length <= 2);
            case "Expand" or "Where" or "ConstantOfShape" or "Range":
                return false;
            default:
                // Elements by themselves, or images by themselves; inputs of another length of the first axis would repeat.
                return Enumerable.Range(0, call.InputCount).All(i => !Fed(i) || call.Shape(i)[0] == call.Outputs[0].Shape[0] || ShapeOperators.KeepsOrder(call.Node.Operator));
        }
    }
}
