namespace EmbeddingKernels.Core;

/// <summary>Convolutions as their formulas have them, in double precision on plain NCHW arrays: what all kernels are tested against.</summary>
internal static class ConvolutionReference
{
    /// <summary>activation(convolution(source) + bias + residual) as <see cref="ConvolutionShape"/> has it.</summary>
    /// <param name="shape">The convolution.</param>
    /// <param name="source">[image][channel][row][column].</param>
    /// <param name="images">Images of the source.</param>
    /// <param name="height">Rows of the source.</param>
    /// <param name="width">Columns of the source.</param>
    /// <param name="weights">[output channel][input channel of the group][row][column].</param>
    /// <param name="bias">A number for each output channel, or none.</param>
    /// <param name="residual">Of the output's shape, or none.</param>
    /// <param name="activation">What follows.</param>
    /// <returns>[image][channel][row][column].</returns>
    public static double[] Convolve(
        ConvolutionShape shape,
        ReadOnlySpan<float> source,
        int images,
        int height,
        int width,
        ReadOnlySpan<float> weights,
        ReadOnlySpan<float> bias = default,
        ReadOnlySpan<float> residual = default,
        Activation activation = default)
    {
        int rows = shape.OutputHeight(height), columns = shape.OutputWidth(width);
        double[] result = new double[images * shape.OutputChannels * rows * columns];
        for (int image = 0; image < images; image++)
        {
            for (int output = 0; output < shape.OutputChannels; output++)
            {
                int plane = ((image * shape.OutputChannels) + output) * rows * columns;
                Span<double> sums = result.AsSpan(plane, rows * columns);
                sums.Fill(bias.IsEmpty ? 0 : bias[output]);
                for (int c = 0; c < shape.GroupInputs; c++)
                {
                    int input = (output / shape.GroupOutputs * shape.GroupInputs) + c;
                    ReadOnlySpan<float> map = source.Slice(((image * shape.InputChannels) + input) * height * width, height * width);
                    int window = shape.KernelHeight * shape.KernelWidth;
                    AddMap(shape, map, height, width, weights.Slice(((output * shape.GroupInputs) + c) * window, window), sums, columns);
                }

                for (int i = 0; i < sums.Length; i++)
                    sums[i] = Apply(activation, sums[i] + (residual.IsEmpty ? 0 : residual[plane + i]));
            }
        }

        return result;
    }

    /// <summary>
    /// The same of absolute values and without activation: rounding errors of a direct sum in single precision are at most
    /// some 2^-24 times its length times this.
    /// </summary>
    public static double[] Magnitudes(
        ConvolutionShape shape,
        ReadOnlySpan<float> source,
        int images,
        int height,
        int width,
        ReadOnlySpan<float> weights,
        ReadOnlySpan<float> bias = default,
        ReadOnlySpan<float> residual = default) =>
        Convolve(shape, Abs(source), images, height, width, Abs(weights), Abs(bias), Abs(residual));

    /// <summary>activation(transposed convolution(source) + bias) as <see cref="TransposedConvolutionShape"/> has it.</summary>
    /// <param name="shape">The convolution.</param>
    /// <param name="source">[image][channel][row][column].</param>
    /// <param name="images">Images of the source.</param>
    /// <param name="height">Rows of the source.</param>
    /// <param name="width">Columns of the source.</param>
    /// <param name="weights">[input channel][output channel of the group][row][column].</param>
    /// <param name="bias">A number for each output channel, or none.</param>
    /// <param name="activation">What follows.</param>
    /// <returns>[image][channel][row][column].</returns>
    public static double[] ConvolveTransposed(
        TransposedConvolutionShape shape,
        ReadOnlySpan<float> source,
        int images,
        int height,
        int width,
        ReadOnlySpan<float> weights,
        ReadOnlySpan<float> bias = default,
        Activation activation = default)
    {
        int rows = shape.OutputHeight(height), columns = shape.OutputWidth(width);
        double[] result = new double[images * shape.OutputChannels * rows * columns];
        for (int image = 0; image < images; image++)
        {
            for (int output = 0; output < shape.OutputChannels; output++)
            {
                int group = output / shape.GroupOutputs, plane = ((image * shape.OutputChannels) + output) * rows * columns;
                Span<double> sums = result.AsSpan(plane, rows * columns);
                sums.Fill(bias.IsEmpty ? 0 : bias[output]);
                for (int c = 0; c < shape.GroupInputs; c++)
                {
                    int input = (group * shape.GroupInputs) + c;
                    int window = shape.KernelHeight * shape.KernelWidth;
                    ReadOnlySpan<float> map = source.Slice(((image * shape.InputChannels) + input) * height * width, height * width);
                    ReadOnlySpan<float> w = weights.Slice(((input * shape.GroupOutputs) + (output % shape.GroupOutputs)) * window, window);
                    SpreadMap(shape, map, height, width, w, sums, rows, columns);
                }

                for (int i = 0; i < sums.Length; i++)
                    sums[i] = Apply(activation, sums[i]);
            }
        }

        return result;
    }

    /// <summary>The activation of a number.</summary>
    public static double Apply(Activation activation, double x) => double.IsNaN(x) ? double.NaN : activation.Kind switch
    {
        ActivationKind.None => x,
        ActivationKind.Clip => Math.Min(Math.Max(x, activation.A), activation.B),
        ActivationKind.LeakyRelu => x >= 0 ? x : activation.A * x,
        ActivationKind.Sigmoid => 1 / (1 + Math.Exp(-x)),
        ActivationKind.HardSigmoid => Math.Min(Math.Max((activation.A * x) + activation.B, 0), 1),
        ActivationKind.HardSwish => x * Math.Min(Math.Max((x / 6) + 0.5, 0), 1),
        ActivationKind.Silu => x / (1 + Math.Exp(-x)),
        ActivationKind.Tanh => Math.Tanh(x),
        _ => throw new ArgumentOutOfRangeException(nameof(activation), activation.Kind, "Not an activation."),
    };

    private static void AddMap(
        ConvolutionShape shape, ReadOnlySpan<float> map, int height, int width, ReadOnlySpan<float> window, Span<double> sums, int columns)
    {
        for (int i = 0; i < sums.Length; i++)
        {
            (int row, int column) = (i / columns * shape.StrideY, i % columns * shape.StrideX);
            for (int u = 0; u < shape.KernelHeight; u++)
            {
                int y = row + (u * shape.DilationY) - shape.Padding.Top;
                for (int v = 0; v < shape.KernelWidth && (uint)y < (uint)height; v++)
                {
                    int x = column + (v * shape.DilationX) - shape.Padding.Left;
                    if ((uint)x < (uint)width)
                        sums[i] += (double)window[(u * shape.KernelWidth) + v] * map[(y * width) + x];
                }
            }
        }
    }

    private static void SpreadMap(
        TransposedConvolutionShape shape, ReadOnlySpan<float> map, int height, int width, ReadOnlySpan<float> window, Span<double> sums, int rows, int columns)
    {
        for (int i = 0; i < height * width; i++)
        {
            for (int tap = 0; tap < window.Length; tap++)
            {
                int y = (i / width * shape.StrideY) + (tap / shape.KernelWidth * shape.DilationY) - shape.Padding.Top;
                int x = (i % width * shape.StrideX) + (tap % shape.KernelWidth * shape.DilationX) - shape.Padding.Left;
                if ((uint)y < (uint)rows && (uint)x < (uint)columns)
                    sums[(y * columns) + x] += (double)window[tap] * map[i];
            }
        }
    }

    private static float[] Abs(ReadOnlySpan<float> values)
    {
        float[] result = values.ToArray();
        for (int i = 0; i < result.Length; i++)
            result[i] = Math.Abs(result[i]);
        return result;
    }
}
