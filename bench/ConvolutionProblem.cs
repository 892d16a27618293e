using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>A layer with numbers: the input as NCHW, weights [output][input of the group][row][column], and some outputs in double.</summary>
internal sealed unsafe class ConvolutionProblem : IDisposable
{
    private const int Samples = 20_000;
    private const double MostProducts = 2e7;

    private readonly nint[] _sampled;
    private readonly double[] _expected;

    public ConvolutionProblem(ConvolutionLayer layer)
    {
        Layer = layer;
        Input = BenchData.Random(layer.InputLength, 1);
        Weights = BenchData.Random(layer.WeightLength, 2);
        Bias = BenchData.Random(layer.Outputs, 3);
        Output = new(layer.OutputLength);
        float scale = 2f / MathF.Sqrt(layer.Depth); // outputs of about 1
        for (nint i = 0; i < Weights.Length; i++)
            Weights[i] *= scale;

        Random random = new(4);
        int samples = (int)Math.Min(Samples, MostProducts / layer.Depth);
        _sampled = [.. Enumerable.Range(0, samples).Select(_ => (nint)random.NextInt64(layer.OutputLength))];
        _expected = new double[samples];
        Parallel.For(0, samples, i => _expected[i] = Expected(_sampled[i]));
    }

    public ConvolutionLayer Layer { get; }

    public AlignedBuffer<float> Input { get; }

    public AlignedBuffer<float> Weights { get; }

    public AlignedBuffer<float> Bias { get; }

    /// <summary>Where outputs are compared, NCHW.</summary>
    public AlignedBuffer<float> Output { get; }

    /// <summary>
    /// Largest and root mean square error of one who ran, against double, at random places; relative to the root mean square
    /// of the right outputs.
    /// </summary>
    public (double Largest, double Rms) Error(IConvolutionRun run)
    {
        for (nint i = 0; i < Output.Length; i++)
            Output[i] = float.NaN;
        run.Run();
        run.CopyTo(Output.Pointer);
        double largest = 0, squares = 0, all = 0;
        for (int i = 0; i < _sampled.Length; i++)
        {
            double error = Math.Abs(Output[_sampled[i]] - _expected[i]);
            largest = double.IsNaN(error) ? double.PositiveInfinity : Math.Max(largest, error);
            squares += error * error;
            all += _expected[i] * _expected[i];
        }

        double rms = Math.Sqrt(all / _sampled.Length);
        return (largest / rms, Math.Sqrt(squares / _sampled.Length) / rms);
    }

    public void Dispose()
    {
        Input.Dispose();
        Weights.Dispose();
        Bias.Dispose();
        Output.Dispose();
    }

    private double Expected(nint index)
    {
        ConvolutionLayer layer = Layer;
        int size = layer.Size, x = (int)(index % layer.OutputSize), y = (int)(index / layer.OutputSize % layer.OutputSize);
        nint map = index / layer.OutputSize / layer.OutputSize;
        int output = (int)(map % layer.Outputs), image = (int)(map / layer.Outputs);
        int first = output / (layer.Outputs / layer.Groups) * layer.GroupInputs;
        float* weight = Weights.Pointer + ((nint)output * layer.Depth);
        double sum = Bias[output];
        for (int channel = 0; channel < layer.GroupInputs; channel++)
        {
            float* source = Input.Pointer + ((((nint)image * layer.Inputs) + first + channel) * size * size);
            for (int u = 0; u < layer.Kernel; u++)
            {
                int row = (y * layer.Stride) + u - layer.Padding;
                for (int v = 0; v < layer.Kernel; v++, weight++)
                {
                    int column = (x * layer.Stride) + v - layer.Padding;
                    if ((uint)row < (uint)size && (uint)column < (uint)size)
                        sum += (double)*weight * source[(row * size) + column];
                }
            }
        }

        return sum;
    }
}
