using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <content>Operators that move elements of rows.</content>
internal sealed unsafe partial class Planner
{
    // Elements that a thread moves at a time.
    private const int TransposedGrain = 1 << 14;

    /// <summary>Permuted axes. Axes that stay side by side are moved as one, so that shuffled channels are copied map by map.</summary>
    private bool Transpose(FusedNode node)
    {
        OperatorCall call = node.Call;
        int[] from = call.Shape(0);
        int[] order = ShapeOperators.Permutation(call);
        int[] strides = TensorShape.Strides(from);
        List<(int Extent, nint Stride)> axes = []; // of the output, from the last to the first
        for (int i = order.Length - 1; i >= 0; i--)
        {
            (int extent, nint stride) = (from[order[i]], strides[order[i]]);
            if (axes.Count > 0 && stride == axes[^1].Extent * axes[^1].Stride)
                axes[^1] = (axes[^1].Extent * extent, axes[^1].Stride);
            else if (extent > 1)
                axes.Add((extent, stride));
        }

        int chunk = axes.Count > 0 && axes[0].Stride == 1 ? axes[0].Extent : 1;
        (int Extent, nint Stride)[] outer = [.. axes.Skip(axes.Count > 0 && axes[0].Stride == 1 ? 1 : 0)];
        PlanSlot source = RowsOf(Value(call.Node.Inputs[0]));
        PlanSlot to = NewRows(Define(node.Output));
        nint chunks = (nint)(to.Count / chunk);
        nint grain = Math.Max(1, TransposedGrain / chunk);
        Emit(
            node.Output,
            (in PlanData data) =>
            {
                TransposeBody body = new(source.Rows(data.Memory), to.Rows(data.Memory), outer, chunk);
                data.Pool.For(chunks, grain, ref body);
            },
            source,
            to);
        return true;
    }

    private readonly struct TransposeBody(float* from, float* to, (int Extent, nint Stride)[] axes, int chunk) : IRangeBody
    {
        public void Invoke(int worker, nint start, nint end)
        {
            for (nint i = start; i < end; i++)
            {
                nint left = i;
                nint offset = 0;
                foreach ((int extent, nint stride) in axes)
                {
                    (left, nint index) = Math.DivRem(left, extent);
                    offset += index * stride;
                }

                if (chunk == 1)
                    to[i] = from[offset];
                else
                    Buffer.MemoryCopy(from + offset, to + (i * chunk), (long)chunk * sizeof(float), (long)chunk * sizeof(float));
            }
        }
    }
}
