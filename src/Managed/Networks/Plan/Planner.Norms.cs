using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <content>Normalisations.</content>
internal sealed unsafe partial class Planner
{
    private bool Softmax(FusedNode node)
    {
        OperatorCall call = node.Call;
        (int before, int length, int after) = NormOperators.SoftmaxRows(call);
        if (after == 1)
        {
            PlanSlot from = RowsOf(Value(call.Node.Inputs[0]));
            PlanSlot rows = NewRows(Define(node.Output));
            Emit(node.Output, (in PlanData data) => Core.Softmax.Rows(new MatrixView<float>(from.Rows(data.Memory), before, length), new MatrixView<float>(rows.Rows(data.Memory), before, length), data.Pool), from, rows);
            return true;
        }

        int[] shape = call.Shape(0);
        if (shape.Length is not (3 or 4) || call.Opset < 13 || call.Axis(call.Integer("axis", -1), shape.Length) != 1)
            return false;
        PlanSlot source = MapsOf(Value(call.Node.Inputs[0]));
        PlanSlot to = NewMaps(Define(node.Output));
        Emit(node.Output, (in PlanData data) => Core.Softmax.Channels(source.Maps(data.Memory), to.Maps(data.Memory), data.Pool), source, to);
        return true;
    }

    private bool LocalNormalisation(FusedNode node)
    {
        OperatorCall call = node.Call;
        (int size, float alpha, float beta, float bias) = (call.Int("size", 1), call.Float("alpha", 1e-4f), call.Float("beta", 0.75f), call.Float("bias", 1));
        if (call.Shape(0).Length is not (3 or 4) || size > MaximumExtent || !(alpha >= 0 && float.IsFinite(alpha) && float.IsFinite(beta) && bias > 0 && float.IsFinite(bias)))
            return false;
        PlanSlot source = MapsOf(Value(call.Node.Inputs[0]));
        PlanSlot to = NewMaps(Define(node.Output));
        Emit(node.Output, (in PlanData data) => Lrn.Run(source.Maps(data.Memory), to.Maps(data.Memory), size, alpha, beta, bias, data.Pool), source, to);
        return true;
    }

    private bool InstanceNormalisation(FusedNode node)
    {
        OperatorCall call = node.Call;
        float epsilon = call.Float("epsilon", 1e-5f);
        if (call.Shape(0).Length is not (3 or 4) || call.Input(1).Constant is null || call.Input(2).Constant is null || !(epsilon >= 0))
            return false;
        float[] scale = call.Constant(1).ToFloats();
        float[] shift = call.Constant(2).ToFloats();
        PlanSlot source = MapsOf(Value(call.Node.Inputs[0]));
        PlanSlot to = NewMaps(Define(node.Output));
        Emit(node.Output, (in PlanData data) => InstanceNormalization.Run(source.Maps(data.Memory), scale, shift, epsilon, Activation.None, to.Maps(data.Memory), data.Pool), source, to);
        return true;
    }
}
