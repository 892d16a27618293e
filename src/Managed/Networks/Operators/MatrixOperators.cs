using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Matrix products.</summary>
internal static class MatrixOperators
{
    public static IEnumerable<OperatorRule> Rules { get; } =
    [
        new("Gemm", 2, 3, 1, InferGemm, EvaluateGemm, "alpha", "beta", "transA", "transB", "broadcast"),
        new("MatMul", 2, 2, 1, InferMatMul, EvaluateMatMul),
    ];

    private static void InferGemm(OperatorCall call)
    {
        (int[] a, int[] b) = (call.Shape(0), call.Shape(1));
        if (a.Length != 2 || b.Length != 2)
            throw call.Fail($"matrices of shape {TensorShape.Text(a)} and {TensorShape.Text(b)}");
        bool transposeA = call.Integer("transA", 0) != 0;
        bool transposeB = call.Integer("transB", 0) != 0;
        if (a[transposeA ? 0 : 1] != b[transposeB ? 1 : 0])
            throw call.Fail($"shapes {TensorShape.Text(a)} and {TensorShape.Text(b)} cannot be multiplied");
        int[] shape = [a[transposeA ? 1 : 0], b[transposeB ? 0 : 1]];
        if (call.Has(2) && TensorShape.Broadcast(shape, call.Shape(2)) is var both && (both is null || !both.AsSpan().SequenceEqual(shape)))
            throw call.Fail($"a bias of shape {TensorShape.Text(call.Shape(2))} for a product of shape {TensorShape.Text(shape)}");
        CheckFloats(call);
        call.Float("alpha", 0);
        call.Float("beta", 0);
        call.Give(call.Input(0).Element, shape);
    }

    private static void CheckFloats(OperatorCall call)
    {
        for (int i = 0; i < call.InputCount; i++)
        {
            if (call.Has(i) && !call.Input(i).Element.IsFloating())
                throw call.Unsupported($"elements of type {call.Input(i).Element} are not supported");
        }
    }

    private static void EvaluateGemm(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        (PlainTensor a, PlainTensor b, PlainTensor y) = (inputs[0]!, inputs[1]!, outputs[0]);
        bool transposeA = call.Integer("transA", 0) != 0;
        bool transposeB = call.Integer("transB", 0) != 0;
        Multiply(call.Pool, a.Floats, 0, a.Shape, transposeA, b.Floats, 0, b.Shape, transposeB, y.Floats, 0, y.Shape[0], y.Shape[1]);
        (float alpha, float beta) = (call.Float("alpha", 1), call.Float("beta", 1));
        int[] strides = call.Has(2) ? TensorShape.BroadcastStrides(inputs[2]!.Shape, y.Shape) : [0, 0];
        for (int i = 0; i < y.Count; i++)
            y.Floats[i] = (alpha * y.Floats[i]) + (call.Has(2) ? beta * inputs[2]!.Floats[(i / y.Shape[1] * strides[0]) + (i % y.Shape[1] * strides[1])] : 0);
    }

    private static unsafe void Multiply(
        WorkerPool pool, float[] a, int firstA, int[] shapeA, bool transposeA, float[] b, int firstB, int[] shapeB, bool transposeB, float[] c, int firstC, int rows, int columns)
    {
        if (rows == 0 || columns == 0 || shapeA[^1] == 0 || shapeA[^2] == 0)
            return;
        fixed (float* x = a, y = b, z = c)
        {
            MatrixView<float> product = new(z + firstC, rows, columns);
            Gemm.Multiply(1, new(x + firstA, shapeA[^2], shapeA[^1]), transposeA, new(y + firstB, shapeB[^2], shapeB[^1]), transposeB, 0, product, pool);
        }
    }

    private static void InferMatMul(OperatorCall call)
    {
        (int[] a, int[] b, int[] batch) = Operands(call);
        int[] shape = [.. batch, a[^2], b[^1]];
        if (call.Shape(0).Length == 1)
            shape = [.. batch, b[^1]];
        if (call.Shape(1).Length == 1)
            shape = shape[..^1];
        CheckFloats(call);
        call.Give(call.Input(0).Element, shape);
    }

    private static (int[] A, int[] B, int[] Batch) Operands(OperatorCall call)
    {
        (int[] a, int[] b) = (call.Shape(0), call.Shape(1));
        if (a.Length == 0 || b.Length == 0)
            throw call.Fail("a number is no matrix");
        a = a.Length == 1 ? [1, a[0]] : a;
        b = b.Length == 1 ? [b[0], 1] : b;
        int[]? batch = TensorShape.Broadcast(a[..^2], b[..^2]);
        if (a[^1] != b[^2] || batch is null)
            throw call.Fail($"shapes {TensorShape.Text(call.Shape(0))} and {TensorShape.Text(call.Shape(1))} cannot be multiplied");
        return (a, b, batch);
    }

    private static void EvaluateMatMul(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        (int[] a, int[] b, int[] batch) = Operands(call);
        int products = TensorShape.Count(batch);
        int[] first = Starts(a[..^2], batch);
        int[] second = Starts(b[..^2], batch);
        for (int i = 0; i < products; i++)
        {
            Multiply(
                call.Pool, inputs[0]!.Floats, first[i] * a[^2] * a[^1], a, false, inputs[1]!.Floats, second[i] * b[^2] * b[^1], b, false,
                outputs[0].Floats, i * a[^2] * b[^1], a[^2], b[^1]);
        }
    }

    /// <summary>For each product of a batch the number of an operand's matrix.</summary>
    private static int[] Starts(int[] own, int[] batch)
    {
        PlainTensor numbers = PlainTensor.Of(own, [.. Enumerable.Range(0, TensorShape.Count(own)).Select(i => (long)i)]);
        PlainTensor starts = new(TensorElement.Int64, batch);
        DataOperators.Gather(numbers, starts, TensorShape.BroadcastStrides(own, batch), 0);
        return Array.ConvertAll(starts.Integers, i => (int)i);
    }
}
