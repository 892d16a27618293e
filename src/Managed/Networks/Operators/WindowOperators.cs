using System.Numerics;

namespace EmbeddingKernels;

/// <summary>Convolutions and pooling of 1 to 3 axes, as plain loops over three.</summary>
internal static class WindowOperators
{
    public static IEnumerable<OperatorRule> Rules { get; } =
    [
        new("Conv", 2, 3, 1, InferConvolution, Convolution, [.. WindowGeometry.Attributes, "group"]),
        new("ConvTranspose", 2, 3, 1, InferTransposed, Transposed, [.. WindowGeometry.Attributes, "group", "output_padding", "output_shape"]),
        new("MaxPool", 1, 1, 2, InferMaximum, Maximum, [.. WindowGeometry.Attributes, "ceil_mode", "storage_order"]),
        new("AveragePool", 1, 1, 1, InferPool, Average, [.. WindowGeometry.Attributes, "ceil_mode", "count_include_pad"]),
        new("LpPool", 1, 1, 1, InferPool, Norm, [.. WindowGeometry.Attributes, "ceil_mode", "p"]),
        new("GlobalAveragePool", 1, 1, 1, InferGlobal, (_, inputs, outputs) => Global(inputs[0]!, outputs[0], largest: false)),
        new("GlobalMaxPool", 1, 1, 1, InferGlobal, (_, inputs, outputs) => Global(inputs[0]!, outputs[0], largest: true)),
    ];

    /// <summary>A convolution's windows and its groups.</summary>
    public static (WindowGeometry Windows, int Groups) ConvolutionWindows(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        int[] weights = call.Shape(1);
        int groups = Groups(call);
        if (shape.Length != weights.Length || shape.Length < 3 || groups < 1 || weights[0] % groups != 0 || (long)weights[1] * groups != shape[1] || weights[0] == 0 || weights[1] == 0)
            throw call.Fail($"weights of shape {TensorShape.Text(weights)} in {groups} groups do not fit an image of shape {TensorShape.Text(shape)}");
        CheckBias(call, weights[0]);
        return (WindowGeometry.Of(call, Kernel(call, weights)), groups);
    }

    /// <summary>A transposed convolution's windows and its groups.</summary>
    public static (WindowGeometry Windows, int Groups) TransposedWindows(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        int[] weights = call.Shape(1);
        int groups = Groups(call);
        if (shape.Length != weights.Length || shape.Length < 3 || groups < 1 || weights[0] % groups != 0 || weights[0] != shape[1] || weights[1] == 0 || weights[0] == 0)
            throw call.Fail($"weights of shape {TensorShape.Text(weights)} in {groups} groups do not fit an image of shape {TensorShape.Text(shape)}");
        CheckBias(call, checked(weights[1] * groups));
        return (WindowGeometry.Transposed(call, Kernel(call, weights)), groups);
    }

    /// <summary>A pooling's windows.</summary>
    public static WindowGeometry PoolWindows(OperatorCall call)
    {
        if (!call.HasAttribute("kernel_shape"))
            throw call.Fail("attribute 'kernel_shape' is missing");
        return WindowGeometry.Of(call, call.Ints("kernel_shape", Math.Max(call.Shape(0).Length - 2, 0), 1, 1));
    }

    private static int Groups(OperatorCall call) => call.Int("group", 1);

    private static int[] Kernel(OperatorCall call, int[] weights)
    {
        int[] kernel = weights[2..];
        if (Array.Exists(kernel, extent => extent < 1))
            throw call.Fail($"weights of shape {TensorShape.Text(weights)}");
        if (call.HasAttribute("kernel_shape") && !call.Ints("kernel_shape", kernel.Length, 1, 1).AsSpan().SequenceEqual(kernel))
            throw call.Fail($"attribute 'kernel_shape' does not agree with weights of shape {TensorShape.Text(weights)}");
        return kernel;
    }

    private static void CheckBias(OperatorCall call, int channels)
    {
        if (call.Has(2) && (call.Shape(2).Length != 1 || call.Shape(2)[0] != channels))
            throw call.Fail($"a bias of shape {TensorShape.Text(call.Shape(2))} for {channels} channels");
        for (int i = 0; i < call.InputCount; i++)
        {
            if (call.Has(i) && !call.Input(i).Element.IsFloating())
                throw call.Unsupported($"elements of type {call.Input(i).Element} are not supported");
        }
    }

    private static void InferConvolution(OperatorCall call)
    {
        (WindowGeometry windows, _) = ConvolutionWindows(call);
        call.Give(call.Input(0).Element, [call.Shape(0)[0], call.Shape(1)[0], .. windows.Output]);
    }

    private static void Convolution(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        (WindowGeometry flat, int groups) = ConvolutionWindows(call);
        WindowGeometry w = flat.Solid();
        (float[] x, float[] weights, float[] y) = (inputs[0]!.Floats, inputs[1]!.Floats, outputs[0].Floats);
        float[]? bias = call.Has(2) ? inputs[2]!.Floats : null;
        int channels = inputs[1]!.Shape[0];
        int groupInputs = inputs[1]!.Shape[1];
        int inputMap = w.Input[0] * w.Input[1] * w.Input[2];
        int outputMap = w.Output[0] * w.Output[1] * w.Output[2];
        int window = w.Kernel[0] * w.Kernel[1] * w.Kernel[2];
        call.Pool.For((nint)outputs[0].Shape[0] * channels, 1, (_, start, end) =>
        {
            for (int map = (int)start; map < end; map++)
            {
                (int image, int channel) = Math.DivRem(map, channels);
                Span<float> to = y.AsSpan(map * outputMap, outputMap);
                to.Fill(bias is null ? 0 : bias[channel]);
                int firstInput = (image * groupInputs * groups) + (channel / (channels / groups) * groupInputs);
                for (int c = 0; c < groupInputs; c++)
                {
                    ReadOnlySpan<float> from = x.AsSpan((firstInput + c) * inputMap, inputMap);
                    Correlate(w, from, weights.AsSpan(((channel * groupInputs) + c) * window, window), to);
                }
            }
        });
    }

    /// <summary>Adds one map's part of a convolution, a row and a weight at a time.</summary>
    private static void Correlate(WindowGeometry w, ReadOnlySpan<float> from, ReadOnlySpan<float> weights, Span<float> to)
    {
        for (int od = 0; od < w.Output[0]; od++)
        {
            for (int oh = 0; oh < w.Output[1]; oh++)
            {
                Span<float> row = to.Slice(((od * w.Output[1]) + oh) * w.Output[2], w.Output[2]);
                (int firstD, int endD) = w.Inside(0, od);
                (int firstH, int endH) = w.Inside(1, oh);
                for (int kd = firstD; kd < endD; kd++)
                {
                    int d = (od * w.Strides[0]) + (kd * w.Dilations[0]) - w.Before[0];
                    for (int kh = firstH; kh < endH; kh++)
                    {
                        int h = (oh * w.Strides[1]) + (kh * w.Dilations[1]) - w.Before[1];
                        ReadOnlySpan<float> source = from.Slice(((d * w.Input[1]) + h) * w.Input[2], w.Input[2]);
                        for (int kw = 0; kw < w.Kernel[2]; kw++)
                            AddRow(source, (kw * w.Dilations[2]) - w.Before[2], w.Strides[2], weights[(((kd * w.Kernel[1]) + kh) * w.Kernel[2]) + kw], row);
                    }
                }
            }
        }
    }

    /// <summary>to[i] += weight from[i stride + offset] where that lies inside.</summary>
    private static void AddRow(ReadOnlySpan<float> from, int offset, int stride, float weight, Span<float> to)
    {
        int first = offset >= 0 ? 0 : (int)(((long)stride - 1 - offset) / stride);
        int end = Math.Min(to.Length, offset >= from.Length ? 0 : ((from.Length - 1 - offset) / stride) + 1);
        int i = first;
        if (stride == 1)
        {
            Vector<float> factor = new(weight);
            for (; i <= end - Vector<float>.Count; i += Vector<float>.Count)
                ((new Vector<float>(from[(i + offset)..]) * factor) + new Vector<float>(to[i..])).CopyTo(to[i..]);
        }

        for (; i < end; i++)
            to[i] += weight * from[(i * stride) + offset];
    }

    private static void InferTransposed(OperatorCall call)
    {
        (WindowGeometry windows, int groups) = TransposedWindows(call);
        call.Give(call.Input(0).Element, [call.Shape(0)[0], call.Shape(1)[1] * groups, .. windows.Input]);
    }

    private static void Transposed(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        (WindowGeometry flat, int groups) = TransposedWindows(call);
        WindowGeometry w = flat.Solid();
        (float[] x, float[] weights, float[] y) = (inputs[0]!.Floats, inputs[1]!.Floats, outputs[0].Floats);
        int channels = inputs[1]!.Shape[0];
        int groupOutputs = inputs[1]!.Shape[1];
        int largeMap = w.Input[0] * w.Input[1] * w.Input[2];
        int smallMap = w.Output[0] * w.Output[1] * w.Output[2];
        int window = w.Kernel[0] * w.Kernel[1] * w.Kernel[2];
        for (int map = 0; map < outputs[0].Shape[0] * groupOutputs * groups; map++)
        {
            (int image, int channel) = Math.DivRem(map, groupOutputs * groups);
            (int group, int lane) = Math.DivRem(channel, groupOutputs);
            Span<float> to = y.AsSpan(map * largeMap, largeMap);
            to.Fill(call.Has(2) ? inputs[2]!.Floats[channel] : 0);
            for (int c = 0; c < channels / groups; c++)
            {
                int input = (group * (channels / groups)) + c;
                ReadOnlySpan<float> from = x.AsSpan(((image * channels) + input) * smallMap, smallMap);
                Scatter(w, from, weights.AsSpan(((input * groupOutputs) + lane) * window, window), to);
            }
        }
    }

    private static void Scatter(WindowGeometry w, ReadOnlySpan<float> from, ReadOnlySpan<float> weights, Span<float> to)
    {
        for (int at = 0; at < from.Length; at++)
        {
            int od = at / (w.Output[1] * w.Output[2]);
            int oh = at / w.Output[2] % w.Output[1];
            int ow = at % w.Output[2];
            (int firstD, int endD) = w.Inside(0, od);
            (int firstH, int endH) = w.Inside(1, oh);
            (int firstW, int endW) = w.Inside(2, ow);
            for (int kd = firstD; kd < endD; kd++)
            {
                int d = (od * w.Strides[0]) + (kd * w.Dilations[0]) - w.Before[0];
                for (int kh = firstH; kh < endH; kh++)
                {
                    int h = (oh * w.Strides[1]) + (kh * w.Dilations[1]) - w.Before[1];
                    for (int kw = firstW; kw < endW; kw++)
                    {
                        int column = (ow * w.Strides[2]) + (kw * w.Dilations[2]) - w.Before[2];
                        to[(((d * w.Input[1]) + h) * w.Input[2]) + column] += from[at] * weights[(((kd * w.Kernel[1]) + kh) * w.Kernel[2]) + kw];
                    }
                }
            }
        }
    }

    private static void InferPool(OperatorCall call)
    {
        if (!call.Input(0).Element.IsFloating())
            throw call.Unsupported($"elements of type {call.Input(0).Element} are not supported");
        WindowGeometry windows = PoolWindows(call);
        call.Int("p", 2);
        call.Integer("count_include_pad", 0);
        call.Give(call.Input(0).Element, [call.Shape(0)[0], call.Shape(0)[1], .. windows.Output]);
    }

    private static void InferMaximum(OperatorCall call)
    {
        WindowGeometry windows = PoolWindows(call);
        call.Integer("storage_order", 0);
        call.Give(call.Input(0).Element, [call.Shape(0)[0], call.Shape(0)[1], .. windows.Output]);
        call.Give(TensorElement.Int64, [call.Shape(0)[0], call.Shape(0)[1], .. windows.Output]);
    }

    /// <summary>Calls <paramref name="body"/> for each output of all maps with the elements of the image that its window holds.</summary>
    private static void Pool(OperatorCall call, int maps, Action<int, int, ReadOnlySpan<int>> body)
    {
        WindowGeometry w = PoolWindows(call).Solid();
        int inputMap = w.Input[0] * w.Input[1] * w.Input[2];
        List<int> inside = [];
        int output = 0;
        for (int map = 0; map < maps; map++)
        {
            for (int at = 0; at < w.Output[0] * w.Output[1] * w.Output[2]; at++, output++)
            {
                int od = at / (w.Output[1] * w.Output[2]);
                int oh = at / w.Output[2] % w.Output[1];
                int ow = at % w.Output[2];
                inside.Clear();
                (int firstD, int endD) = w.Inside(0, od);
                (int firstH, int endH) = w.Inside(1, oh);
                (int firstW, int endW) = w.Inside(2, ow);
                for (int kd = firstD; kd < endD; kd++)
                {
                    int d = (od * w.Strides[0]) + (kd * w.Dilations[0]) - w.Before[0];
                    for (int kh = firstH; kh < endH; kh++)
                    {
                        int h = (oh * w.Strides[1]) + (kh * w.Dilations[1]) - w.Before[1];
                        for (int kw = firstW; kw < endW; kw++)
                            inside.Add((map * inputMap) + (((d * w.Input[1]) + h) * w.Input[2]) + (ow * w.Strides[2]) + (kw * w.Dilations[2]) - w.Before[2]);
                    }
                }

                body(output, at, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(inside));
            }
        }
    }

    private static void Maximum(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        PlainTensor input = inputs[0]!;
        WindowGeometry w = PoolWindows(call).Solid();
        bool columns = call.Integer("storage_order", 0) != 0;
        int map = w.Input[0] * w.Input[1] * w.Input[2];
        Pool(call, input.Shape[0] * input.Shape[1], (output, _, window) =>
        {
            int best = -1;
            foreach (int at in window)
            {
                if (best < 0 || input[at] > input[best] || double.IsNaN(input[at]))
                    best = at;
            }

            if (input.Element.IsFloating())
                outputs[0].Floats[output] = best < 0 ? float.NegativeInfinity : input.Floats[best];
            else
                outputs[0].Integers[output] = best < 0 ? 0 : input.Integers[best];
            int inMap = Math.Max(best, 0) % Math.Max(map, 1);
            int d = inMap / (w.Input[1] * w.Input[2]);
            int h = inMap / w.Input[2] % w.Input[1];
            int column = inMap % w.Input[2];
            outputs[1].Integers[output] = columns ? best - inMap + d + (w.Input[0] * (h + (w.Input[1] * column))) : best;
        });
    }

    private static void Average(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        WindowGeometry w = PoolWindows(call).Solid();
        bool padding = call.Integer("count_include_pad", 0) != 0;
        float[] x = inputs[0]!.Floats;
        Pool(call, inputs[0]!.Shape[0] * inputs[0]!.Shape[1], (output, at, window) =>
        {
            double sum = 0;
            foreach (int i in window)
                sum += x[i];
            long count = padding ? Counted(w, 0, at / (w.Output[1] * w.Output[2])) * Counted(w, 1, at / w.Output[2] % w.Output[1]) * Counted(w, 2, at % w.Output[2]) : window.Length;
            outputs[0].Floats[output] = (float)(count == 0 ? 0 : sum / count);
        });
    }

    /// <summary>Window positions that lie in the image or its padding; in ceiling mode the last window may reach beyond.</summary>
    private static long Counted(WindowGeometry w, int axis, int index)
    {
        long end = (long)w.Input[axis] + w.After[axis] + w.Before[axis] - ((long)index * w.Strides[axis]);
        return Math.Clamp((end + w.Dilations[axis] - 1) / w.Dilations[axis], 0, w.Kernel[axis]);
    }

    private static void Norm(OperatorCall call, PlainTensor?[] inputs, PlainTensor[] outputs)
    {
        int p = call.Int("p", 2);
        float[] x = inputs[0]!.Floats;
        Pool(call, inputs[0]!.Shape[0] * inputs[0]!.Shape[1], (output, _, window) =>
        {
            double sum = 0;
            foreach (int i in window)
                sum += Math.Pow(Math.Abs(x[i]), p);
            outputs[0].Floats[output] = (float)Math.Pow(sum, 1.0 / p);
        });
    }

    private static void InferGlobal(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        if (shape.Length < 3 || TensorShape.LongCount(shape.AsSpan(2)) == 0)
            throw call.Fail($"an image of shape {TensorShape.Text(shape)}");
        if (!call.Input(0).Element.IsFloating())
            throw call.Unsupported($"elements of type {call.Input(0).Element} are not supported");
        call.Give(call.Input(0).Element, [shape[0], shape[1], .. Enumerable.Repeat(1, shape.Length - 2)]);
    }

    private static void Global(PlainTensor input, PlainTensor output, bool largest)
    {
        int map = TensorShape.Count(input.Shape, 2, input.Shape.Length);
        for (int i = 0; i < output.Count; i++)
        {
            double sum = 0;
            float most = float.NegativeInfinity;
            foreach (float x in input.Floats.AsSpan(i * map, map))
            {
                sum += x;
                most = x > most || float.IsNaN(x) ? x : most;
            }

            output.Floats[i] = largest ? most : (float)(sum / map);
        }
    }
}
