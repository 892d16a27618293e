using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <content>Transposed convolution.</content>
internal sealed unsafe partial class Planner
{
    private bool Transposed(FusedNode node)
    {
        OperatorCall call = node.Call;
        int[] weights = call.Shape(1);
        if (call.Shape(0).Length is not (3 or 4) || call.Input(1).Constant is null || (call.Has(2) && call.Input(2).Constant is null)
            || TensorShape.LongCount(weights) > Array.MaxLength || (long)weights[1] * call.Int("group", 1) > MaximumExtent || weights[0] > MaximumExtent)
        {
            return false;
        }

        (WindowGeometry windows, int groups) = WindowOperators.TransposedWindows(call);
        WindowGeometry w = windows.Solid();
        Margins padding = new(w.Before[1], w.Before[2], w.After[1], w.After[2]);
        TransposedConvolutionShape shape = new()
        {
            InputChannels = weights[0],
            OutputChannels = weights[1] * groups,
            KernelHeight = w.Kernel[1],
            KernelWidth = w.Kernel[2],
            StrideY = w.Strides[1],
            StrideX = w.Strides[2],
            DilationY = w.Dilations[1],
            DilationX = w.Dilations[2],
            Padding = padding,
            OutputPaddingY = OutputPadding(w, 1),
            OutputPaddingX = OutputPadding(w, 2),
            Groups = groups,
        };
        PlanSlot source = MapsOf(Value(call.Node.Inputs[0]));
        TransposedConvolution2D packed = _weights.Get(
            Key(node, $"{padding}{shape.OutputPaddingY},{shape.OutputPaddingX}"),
            () =>
            {
                using AlignedBuffer<float> raw = new((nint)shape.WeightCount);
                _shapes.ReadFloats(call.Node.Inputs[1], raw.Pointer);
                int window = shape.KernelHeight * shape.KernelWidth;
                for (nint i = 0; node.Scale is not null && i < raw.Length; i++)
                {
                    // [input channel][output channel of the group][window]
                    nint map = i / window;
                    nint group = map / weights[1] / (weights[0] / groups);
                    raw.Pointer[i] = (float)(raw.Pointer[i] * node.Scale[(group * weights[1]) + (map % weights[1])]);
                }

                float[] bias = Biases(node, shape.OutputChannels, call.Has(2) ? call.Constant(2).ToFloats() : null, 1);
                return new TransposedConvolution2D(shape, raw.AsSpan(), bias, node.Activation, w.Input[1], w.Input[2]);
            });
        PlanSlot to = NewMaps(Define(node.Output));
        source.Need(packed.Halo);
        Emit(node.Output, (in PlanData data) => packed.Run(source.Maps(data.Memory), to.Maps(data.Memory), data.Pool), source, to);
        return true;
    }

    /// <summary>Rows or columns of the output beyond those that the windows and the padding make.</summary>
    private static int OutputPadding(WindowGeometry w, int axis) =>
        w.Input[axis] - (((w.Output[axis] - 1) * w.Strides[axis]) + ((w.Kernel[axis] - 1) * w.Dilations[axis]) + 1 - w.Before[axis] - w.After[axis]);
}
