namespace EmbeddingKernels;

/// <summary>
/// Where the windows of a convolution or pooling lie, axis by axis (1 to 3 of them): out[i] sees in[i Stride + u Dilation - Before].
/// </summary>
internal sealed class WindowGeometry
{
    private WindowGeometry(int[] input, int[] kernel, int[] strides, int[] dilations, int[] before, int[] after, int[] output)
    {
        (Input, Kernel, Strides, Dilations, Before, After, Output) = (input, kernel, strides, dilations, before, after, output);
    }

    public int[] Input { get; }

    public int[] Kernel { get; }

    public int[] Strides { get; }

    public int[] Dilations { get; }

    /// <summary>Elements of padding before the first.</summary>
    public int[] Before { get; }

    /// <summary>Elements of padding after the last.</summary>
    public int[] After { get; }

    public int[] Output { get; }

    /// <summary>The names of the attributes that are read here.</summary>
    public static string[] Attributes { get; } = ["auto_pad", "dilations", "kernel_shape", "pads", "strides"];

    /// <summary>A convolution's or a pooling's windows.</summary>
    /// <param name="call">The node, whose first input is the image.</param>
    /// <param name="kernel">Extents of the window.</param>
    public static WindowGeometry Of(OperatorCall call, int[] kernel)
    {
        int[] input = Space(call);
        int axes = input.Length;
        int[] strides = call.Ints("strides", axes, 1, 1);
        int[] dilations = call.Ints("dilations", axes, 1, 1);
        int[] pads = call.Ints("pads", 2 * axes, 0, 0);
        string auto = call.Text("auto_pad", "NOTSET");
        bool ceiling = call.Integer("ceil_mode", 0) != 0;
        int[] before = pads[..axes];
        int[] after = pads[axes..];
        int[] output = new int[axes];
        for (int i = 0; i < axes; i++)
        {
            long extent = Extent(kernel[i], dilations[i]);
            switch (auto)
            {
                case "NOTSET" or "":
                    break;
                case "VALID":
                    (before[i], after[i]) = (0, 0);
                    break;
                case "SAME_UPPER" or "SAME_LOWER":
                    long windows = (input[i] + (long)strides[i] - 1) / strides[i];
                    long total = Math.Max(((windows - 1) * strides[i]) + extent - input[i], 0);
                    int less = checked((int)(total / 2));
                    (before[i], after[i]) = auto == "SAME_UPPER" ? (less, (int)total - less) : ((int)total - less, less);
                    break;
                default:
                    throw call.Fail($"attribute 'auto_pad' is '{auto}'");
            }

            long room = (long)input[i] + before[i] + after[i] - extent;
            if (room < 0 && !(ceiling && room + strides[i] > 0))
                throw call.Fail($"a window of {extent} does not fit into {input[i]} and {before[i] + after[i]} of padding");
            long count = ((room + (ceiling ? strides[i] - 1 : 0)) / strides[i]) + 1;

            // A window that would begin behind the image and its first padding does not count.
            if (ceiling && (count - 1) * strides[i] >= (long)input[i] + before[i])
                count--;
            output[i] = (int)count;
        }

        return new WindowGeometry(input, kernel, strides, dilations, before, after, output);
    }

    /// <summary>A transposed convolution's windows: as those of the convolution that leads from the output to the input.</summary>
    public static WindowGeometry Transposed(OperatorCall call, int[] kernel)
    {
        int[] input = Space(call);
        int axes = input.Length;
        int[] strides = call.Ints("strides", axes, 1, 1);
        int[] dilations = call.Ints("dilations", axes, 1, 1);
        int[] extra = call.Ints("output_padding", axes, 0, 0);
        int[] pads = call.Ints("pads", 2 * axes, 0, 0);
        string auto = call.Text("auto_pad", "NOTSET");
        long[]? wanted = call.Integers("output_shape");
        if (wanted is not null && wanted.Length == axes + 2)
            wanted = wanted[2..];
        if (wanted is not null && wanted.Length != axes)
            throw call.Fail($"attribute 'output_shape' has {wanted.Length} numbers");
        int[] before = pads[..axes];
        int[] after = pads[axes..];
        int[] output = new int[axes];
        for (int i = 0; i < axes; i++)
        {
            long full = (((long)input[i] - 1) * strides[i]) + extra[i] + Extent(kernel[i], dilations[i]);
            bool same = auto is "SAME_UPPER" or "SAME_LOWER";
            if (!same && auto is not ("NOTSET" or "" or "VALID"))
                throw call.Fail($"attribute 'auto_pad' is '{auto}'");
            if (same || wanted is not null)
            {
                long size = wanted is not null ? wanted[i] : (long)input[i] * strides[i];
                if (size < 1 || size > full)
                    throw call.Unsupported($"an output of {size} from {full} is not supported");
                int total = checked((int)(full - size));
                int less = total / 2;
                (before[i], after[i]) = auto == "SAME_UPPER" ? (less, total - less) : (total - less, less);
            }

            long count = full - before[i] - after[i];
            if (count < 1 || count > int.MaxValue)
                throw call.Fail($"an output of {count}");
            output[i] = (int)count;
        }

        return new WindowGeometry(output, kernel, strides, dilations, before, after, input);
    }

    /// <summary>The same with three axes, the added ones of extent 1.</summary>
    public WindowGeometry Solid()
    {
        int added = 3 - Input.Length;
        return added == 0 ? this : new WindowGeometry(Padded(Input, 1), Padded(Kernel, 1), Padded(Strides, 1), Padded(Dilations, 1), Padded(Before, 0), Padded(After, 0), Padded(Output, 1));

        int[] Padded(int[] values, int fill) => [.. Enumerable.Repeat(fill, added), .. values];
    }

    /// <summary>The range of window positions u for which i Stride + u Dilation - Before lies in the image.</summary>
    public (int First, int End) Inside(int axis, int index)
    {
        long start = ((long)index * Strides[axis]) - Before[axis];
        long first = start >= 0 ? 0 : (-start + Dilations[axis] - 1) / Dilations[axis];
        long end = start >= Input[axis] ? 0 : ((Input[axis] - start - 1) / Dilations[axis]) + 1;
        return ((int)Math.Min(first, Kernel[axis]), (int)Math.Min(Math.Max(end, 0), Kernel[axis]));
    }

    private static long Extent(int kernel, int dilation) => (((long)kernel - 1) * dilation) + 1;

    private static int[] Space(OperatorCall call)
    {
        int[] shape = call.Shape(0);
        if (shape.Length < 3)
            throw call.Fail($"an image of shape {TensorShape.Text(shape)}");
        if (shape.Length > 5)
            throw call.Unsupported($"an image of shape {TensorShape.Text(shape)} is not supported");
        return shape[2..];
    }
}
