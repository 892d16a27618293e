using System.Globalization;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <content>The operators that kernels compute.</content>
internal sealed unsafe partial class Planner
{
    // What shapes of kernels may hold.
    private const int MaximumExtent = 1 << 24;

    /// <summary>A convolution's packed weights, or how to pack them; null where no kernel computes it.</summary>
    private (string Name, Func<Convolution2D> Pack)? ConvolutionWeights(FusedNode node)
    {
        OperatorCall call = node.Call;
        int[] weights = call.Shape(1);
        if (call.Shape(0).Length is not (3 or 4) || call.Input(0).Element != TensorElement.Float || call.Input(1).Constant is null || (call.Has(2) && call.Input(2).Constant is null)
            || TensorShape.LongCount(weights) > Array.MaxLength || call.Shape(0)[1] > MaximumExtent || weights[0] > MaximumExtent)
        {
            return null;
        }

        (WindowGeometry windows, int groups) = WindowOperators.ConvolutionWindows(call);
        WindowGeometry w = windows.Solid();
        ConvolutionShape shape = new()
        {
            InputChannels = call.Shape(0)[1],
            OutputChannels = weights[0],
            KernelHeight = w.Kernel[1],
            KernelWidth = w.Kernel[2],
            StrideY = w.Strides[1],
            StrideX = w.Strides[2],
            DilationY = w.Dilations[1],
            DilationX = w.Dilations[2],
            Padding = new Margins(w.Before[1], w.Before[2], w.After[1], w.After[2]),
            Groups = groups,
        };
        return (Key(node, shape.Padding.ToString()), Pack);

        Convolution2D Pack()
        {
            using AlignedBuffer<float> raw = new((nint)shape.WeightCount);
            float[] bias;
            lock (_shapes)
                bias = Fold(node, raw, 1, shape.OutputChannels);
            ConvolutionAlgorithm algorithm = ConvolutionChoice.Computes(_options.Algorithm, shape) ? _options.Algorithm : ConvolutionAlgorithm.Auto;
            return new Convolution2D(shape, raw.AsSpan(), bias, node.Activation, w.Output[1], w.Output[2], algorithm);
        }
    }

    private bool Convolution(FusedNode node)
    {
        if (ConvolutionWeights(node) is not { } weights)
            return false;
        PlanValue from = Value(node.Call.Node.Inputs[0]);
        PlanSlot? residual = node.Residual is null ? null : MapsOf(Value(node.Residual));
        Convolution2D packed = _weights.Get(weights.Name, weights.Pack);
        PlanSlot source = MapsOf(from, packed.AcceptsInterleaved);
        PlanSlot to = NewMaps(Define(node.Output));
        source.Need(packed.Halo);
        if (residual is null)
            Emit(node.Output, (in PlanData data) => packed.Run(source.Maps(data.Memory), to.Maps(data.Memory), data.Pool), source, to);
        else
            Emit(node.Output, (in PlanData data) => packed.Run(source.Maps(data.Memory), residual.Maps(data.Memory), to.Maps(data.Memory), data.Pool), source, residual, to);
        _steps[^1].Reusable = residual;
        return true;
    }

    /// <summary>Under which name a node's weights are packed: those that depend on the input's shape belong to one plan.</summary>
    private string Key(FusedNode node, string more)
    {
        if (node.Key is not null)
            return node.Key;
        bool ofShape = node.OfShape || node.Call.Node.Inputs.Any(input => input.Length > 0 && _shapes.Fact(input) is { IsConstant: true, OfShape: true });
        return node.Key = string.Create(CultureInfo.InvariantCulture, $"{node.Call.Node.Outputs[0]}\n{node.Output}\n{more}\n{(ofShape ? Guid.NewGuid() : Guid.Empty)}");
    }

    /// <summary>Reads weights whose first axis, of <paramref name="channels"/>, is the output's, with the factors and terms that follow; gives the biases.</summary>
    private float[] Fold(FusedNode node, AlignedBuffer<float> weights, int input, int channels)
    {
        float* raw = weights.Pointer;
        _shapes.ReadFloats(node.Call.Node.Inputs[input], raw);
        if (node.Scale is not null)
        {
            nint row = weights.Length / channels;
            for (nint i = 0; i < weights.Length; i++)
                raw[i] = (float)(raw[i] * node.Scale[i / row]);
        }

        return Biases(node, channels, node.Call.Has(input + 1) ? _shapes.Constant(node.Call.Node.Inputs[input + 1]).ToFloats() : null, 1);
    }

    private static float[] Biases(FusedNode node, int channels, float[]? own, double factor)
    {
        if (own is null && node.Shift is null)
            return [];
        float[] bias = new float[channels];
        for (int i = 0; i < channels; i++)
            bias[i] = (float)(((own is null ? 0 : own[own.Length == 1 ? 0 : i] * factor) * (node.Scale?[i] ?? 1)) + (node.Shift?[i] ?? 0));
        return bias;
    }

    private bool Product(FusedNode node)
    {
        OperatorCall call = node.Call;
        int[] weights = call.Shape(1);
        bool gemm = call.Node.Operator == "Gemm";
        if (weights.Length != 2 || call.Shape(0).Length < 2 || call.Input(1).Constant is null || call.Input(0).Constant is not null
            || (gemm && (call.Integer("transA", 0) != 0 || call.Shape(0).Length != 2)))
        {
            return false;
        }

        bool transposed = gemm && call.Integer("transB", 0) != 0;
        int outputs = weights[transposed ? 0 : 1];
        if (call.Has(2) && (call.Input(2).Constant is null || TensorShape.LongCount(call.Shape(2)) is var count && count != 1 && (count != outputs || call.Shape(2)[^1] != outputs)))
            return false;
        PackedProduct packed = _weights.Get(Key(node, ""), () => Pack(node, weights, transposed, outputs));
        PlanSlot from = RowsOf(Value(call.Node.Inputs[0]));
        PlanSlot to = NewRows(Define(node.Output));
        nint images = (nint)(from.Count / call.Shape(0)[^1]);
        Emit(node.Output, (in PlanData data) => packed.Run(from.Rows(data.Memory), to.Rows(data.Memory), images, data.Pool), from, to);
        return true;
    }

    private PackedProduct Pack(FusedNode node, int[] weights, bool transposed, int outputs)
    {
        OperatorCall call = node.Call;
        AlignedBuffer<float> packed = new(checked((nint)weights[0] * weights[1]));
        try
        {
            _shapes.ReadFloats(call.Node.Inputs[1], packed.Pointer);
            for (nint i = 0; node.Scale is not null && i < packed.Length; i++)
                packed.Pointer[i] = (float)(packed.Pointer[i] * node.Scale[transposed ? i / weights[1] : i % weights[1]]);
            float[]? own = call.Has(2) ? _shapes.Constant(call.Node.Inputs[2]).ToFloats() : null;
            float[] bias = Biases(node, outputs, own, call.Float("beta", 1));
            return new PackedProduct(packed, weights[0], weights[1], transposed, call.Float("alpha", 1), bias, node.Activation);
        }
        catch
        {
            packed.Dispose();
            throw;
        }
    }

    private bool ScaleShift(FusedNode node)
    {
        string from = node.Call.Node.Inputs.First(input => input.Length > 0 && !_shapes.Fact(input).IsConstant);
        if (node.Scale is null || node.Shift is null || Value(from).Images is null)
            return false;
        float[] scale = Array.ConvertAll(node.Scale, x => (float)x);
        float[] shift = Array.ConvertAll(node.Shift, x => (float)x);
        PlanSlot source = MapsOf(Value(from));
        PlanSlot to = NewMaps(Define(node.Output));
        Activation activation = node.Activation;
        Emit(node.Output, (in PlanData data) => ChannelOps.ScaleShift(source.Maps(data.Memory), scale, shift, activation, to.Maps(data.Memory), data.Pool), source, to);
        _steps[^1].Reusable = source;
        return true;
    }

    private bool Combine(FusedNode node)
    {
        PlanSlot a = MapsOf(Value(node.Call.Node.Inputs[0]));
        PlanSlot b = MapsOf(Value(node.Call.Node.Inputs[1]));
        PlanSlot to = NewMaps(Define(node.Output));
        Activation activation = node.Activation;
        PlanAction run = node.Call.Node.Operator switch
        {
            "Sub" => (in PlanData data) => ChannelOps.Subtract(a.Maps(data.Memory), b.Maps(data.Memory), to.Maps(data.Memory), activation, data.Pool),
            "Mul" => (in PlanData data) => ChannelOps.Multiply(a.Maps(data.Memory), b.Maps(data.Memory), to.Maps(data.Memory), activation, data.Pool),
            "Div" => (in PlanData data) => ChannelOps.Divide(a.Maps(data.Memory), b.Maps(data.Memory), to.Maps(data.Memory), activation, data.Pool),
            _ => (in PlanData data) => ChannelOps.Add(a.Maps(data.Memory), b.Maps(data.Memory), to.Maps(data.Memory), activation, data.Pool),
        };
        Emit(node.Output, run, a, b, to);
        _steps[^1].Reusable = a;
        return true;
    }

    private bool Activate(FusedNode node, Activation activation)
    {
        PlanValue from = Value(node.Call.Node.Inputs[0]);
        PlanValue value = Define(node.Output);
        if (from.Images is not null && (from.Storage.Rows is null || from.Storage.Maps is not null))
        {
            PlanSlot source = MapsOf(from);
            PlanSlot to = NewMaps(value);
            Emit(node.Output, (in PlanData data) => ChannelOps.Activate(source.Maps(data.Memory), activation, to.Maps(data.Memory), data.Pool), source, to);
            _steps[^1].Reusable = source;
            return true;
        }

        PlanSlot rows = RowsOf(from);
        PlanSlot result = NewRows(value);
        Emit(
            node.Output,
            (in PlanData data) =>
            {
                float* to = result.Rows(data.Memory);
                Buffer.MemoryCopy(rows.Rows(data.Memory), to, rows.Count * sizeof(float), rows.Count * sizeof(float));
                ActivationKernel.Apply(activation, to, (nint)rows.Count, data.Pool);
            },
            rows,
            result);
        return true;
    }

    private bool Pool(FusedNode node)
    {
        OperatorCall call = node.Call;
        if (call.Shape(0).Length is not (3 or 4))
            return false;
        WindowGeometry w = WindowOperators.PoolWindows(call).Solid();
        for (int axis = 1; axis < 3; axis++)
        {
            for (int i = 0; i < w.Output[axis]; i++)
            {
                (int first, int end) = w.Inside(axis, i);
                if (first >= end)
                    return false;
            }
        }

        PoolingShape shape = new()
        {
            KernelHeight = w.Kernel[1],
            KernelWidth = w.Kernel[2],
            StrideY = w.Strides[1],
            StrideX = w.Strides[2],
            DilationY = w.Dilations[1],
            DilationX = w.Dilations[2],
            Padding = new Margins(w.Before[1], w.Before[2], w.After[1], w.After[2]),
        };
        PlanSlot source = MapsOf(Value(call.Node.Inputs[0]));
        PlanSlot to = NewMaps(Define(node.Output));
        bool padding = call.Integer("count_include_pad", 0) != 0;
        if (call.Node.Operator == "MaxPool")
            Emit(node.Output, (in PlanData data) => Pooling.Max(source.Maps(data.Memory), to.Maps(data.Memory), shape, data.Pool), source, to);
        else
            Emit(node.Output, (in PlanData data) => Pooling.Average(source.Maps(data.Memory), to.Maps(data.Memory), shape, padding, data.Pool), source, to);
        return true;
    }

    /// <summary>Whether a reduction takes all pixels of each map together and nothing else.</summary>
    private static bool ReducesMaps(OperatorCall call)
    {
        bool[] reduced = DataOperators.Reduced(call);
        return reduced.Length is 3 or 4 && !reduced[0] && !reduced[1] && reduced.AsSpan(2).IndexOf(false) < 0;
    }

    private bool GlobalPool(FusedNode node, bool largest)
    {
        if (node.Call.Shape(0).Length is not (3 or 4))
            return false;
        PlanSlot source = MapsOf(Value(node.Call.Node.Inputs[0]));
        PlanSlot to = NewMaps(Define(node.Output));
        if (largest)
            Emit(node.Output, (in PlanData data) => Pooling.GlobalMax(source.Maps(data.Memory), to.Maps(data.Memory), data.Pool), source, to);
        else
            Emit(node.Output, (in PlanData data) => Pooling.GlobalAverage(source.Maps(data.Memory), to.Maps(data.Memory), data.Pool), source, to);
        return true;
    }

    private bool Join(FusedNode node)
    {
        OperatorCall call = node.Call;
        if (call.Shape(0).Length is not (3 or 4) || call.Axis(call.Integer("axis", 1), call.Shape(0).Length) != 1 || call.Node.Inputs.Any(input => _shapes.Fact(input).IsConstant))
            return false;
        PlanSlot[] parts = Array.ConvertAll(call.Node.Inputs, input => MapsOf(Value(input)));
        _steps.Add(new JoinStep { Name = node.Output, Slots = [.. parts, NewMaps(Define(node.Output))] });
        return true;
    }

    /// <summary>Zeros around maps, before their first channel and after their last.</summary>
    private bool Pad(FusedNode node)
    {
        OperatorCall call = node.Call;
        if (call.Shape(0).Length is not (3 or 4) || call.Text("mode", "constant") != "constant" || (call.Has(2) ? call.Input(2).Constant is null || call.Scalar(2) != 0 : call.Float("value", 0) != 0))
            return false;
        (int[] before, int[] after) = DataOperators.Pads(call);
        if (before[0] != 0 || after[0] != 0 || before.Concat(after).Any(pad => pad < 0))
            return false;
        int row = before.Length - 2;
        Margins pads = new(row > 1 ? before[row] : 0, before[^1], row > 1 ? after[row] : 0, after[^1]);
        int firstChannel = before[1];
        PlanSlot source = MapsOf(Value(call.Node.Inputs[0]));
        PlanSlot to = NewMaps(Define(node.Output));
        to.CanJoin = false;
        Emit(
            node.Output,
            (in PlanData data) =>
            {
                NativeMemory.Clear(data.Memory + to.Offset, (nuint)to.Floats * sizeof(float));
                Margins halo = new(to.Halo.Top + pads.Top, to.Halo.Left + pads.Left, to.Halo.Bottom + pads.Bottom, to.Halo.Right + pads.Right);
                BlockedImages inner = new(data.Memory + to.Offset, to.Images, to.Channels, source.Height, source.Width, halo, to.Lanes);
                ImageLayout.Copy(source.Maps(data.Memory), inner, firstChannel, data.Pool);
            },
            source,
            to);
        return true;
    }
}
