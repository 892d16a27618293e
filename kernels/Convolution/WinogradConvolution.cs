using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Convolutions with a window of 3 x 3, stride 1 and dilation 1 by Winograd's minimal filtering: tiles of m x m outputs,
/// m = 2, 4 or 6, from (m + 2)^2 products for each pair of channels instead of 9 m^2 (<see cref="IWinogradTransform"/>).
/// </summary>
/// <remarks>
/// <para>Weights are transformed in double precision at construction. A run transforms tiles of the input, multiplies for
/// each of the (m + 2)^2 positions a matrix of tiles x input channels by the weights of that position, and transforms the
/// products back, adding bias and residual. The halo of the source may be narrower than the padding.</para>
/// <para>Largest and root mean square error relative to the rms of the output, independent normal inputs and weights, 64 to
/// 512 input channels: m = 2: 2e-6 and 4e-7; m = 4: 9e-6 and 1e-6; m = 6: 6e-5 and 5e-6. Sums over channels are taken in
/// blocks of at most 96, which halves the error at 512. A NaN or infinity shows in all outputs of the tiles that read it.
/// Results do not depend on the number of threads.</para>
/// </remarks>
internal sealed unsafe class WinogradConvolution : IConvolutionKernel
{
    // Products that are added one after another at most; shorter sums would be more accurate, but a tile of 64
    // spends a tenth of its time on starting and storing.
    private const int LongestSum = 96;

    /// <summary>Output channels whose products are computed together, for all positions: their weights stand in one piece.</summary>
    public const int OutputBlock = 64;

    private readonly ConvolutionShape _shape;
    private readonly Activation _activation;
    private readonly int _outputTile;
    private readonly IsaLevel _level = Isa.Level;
    private readonly AlignedBuffer<float> _weights;
    private readonly AlignedBuffer<float> _bias;

    /// <summary>Transforms the weights and packs them for the level in force.</summary>
    /// <param name="shape">A convolution that F(m, 3) computes.</param>
    /// <param name="weights">[output channel][input channel][row][column].</param>
    /// <param name="bias">A number for each output channel, or none.</param>
    /// <param name="activation">What follows.</param>
    /// <param name="outputTile">m.</param>
    public WinogradConvolution(ConvolutionShape shape, ReadOnlySpan<float> weights, ReadOnlySpan<float> bias, Activation activation, int outputTile)
    {
        if (shape is not { KernelHeight: 3, KernelWidth: 3, StrideX: 1, StrideY: 1, DilationX: 1, DilationY: 1, Groups: 1 })
            throw new ArgumentException($"Winograd's form takes windows of 3 x 3 with stride, dilation and groups 1, not {shape}.", nameof(shape));
        if (outputTile is not (2 or 4 or 6))
            throw new ArgumentOutOfRangeException(nameof(outputTile), outputTile, "Must be 2, 4 or 6.");
        (_shape, _activation, _outputTile) = (shape, activation, outputTile);

        int columns = WideTile.ColumnsInForce();
        int channels = Channels(shape.OutputChannels, columns);
        _bias = new(channels);
        bias.CopyTo(_bias.AsSpan());
        _weights = new((nint)channels * shape.InputChannels * (outputTile + 2) * (outputTile + 2));
        fixed (float* source = weights)
        {
            switch (outputTile)
            {
                case 2:
                    Pack(source, Winograd2.Points, columns, channels);
                    break;
                case 4:
                    Pack(source, Winograd4.Points, columns, channels);
                    break;
                default:
                    Pack(source, Winograd6.Points, columns, channels);
                    break;
            }
        }
    }

    public long WeightBytes => (_weights.Length + _bias.Length) * sizeof(float);

    /// <summary>Input channels whose products are added one after another; the sums of such blocks are added in ascending order.</summary>
    public static int DepthBlock(int inputs)
    {
        int blocks = (inputs + LongestSum - 1) / LongestSum;
        return (inputs + blocks - 1) / blocks;
    }

    /// <summary>Output channels with the surplus lanes of the last block and of the last tile of the product.</summary>
    public static int Channels(int outputChannels, int columns)
    {
        int channels = (int)GemmBlocking.RoundUp(outputChannels, BlockedImages.Block);
        return (int)GemmBlocking.RoundUp(channels, columns);
    }

    public void Dispose()
    {
        _weights.Dispose();
        _bias.Dispose();
    }

    public void Run(in BlockedImages source, in BlockedImages? residual, in BlockedImages destination, WorkerPool pool)
    {
        using IsaScope scope = new(_level);
        WinogradJob job = new()
        {
            Shape = _shape,
            Activation = _activation,
            Source = source,
            Destination = destination,
            Residual = residual ?? destination,
            HasResidual = residual is not null,
            Weights = _weights.Pointer,
            Bias = _bias.Pointer,
            TilesY = (destination.Height + _outputTile - 1) / _outputTile,
            TilesX = (destination.Width + _outputTile - 1) / _outputTile,
        };
        WinogradAction action = new(job, _outputTile, pool);
        Isa.Dispatch(ref action);
        GC.KeepAlive(this);
    }

    /// <summary>The matrix G of a transform: row j is 1, p, p^2 over the product of (p - q), q the other points.</summary>
    internal static double[] WeightTransform(ReadOnlySpan<double> points)
    {
        double[] rows = new double[3 * (points.Length + 1)];
        for (int j = 0; j < points.Length; j++)
        {
            double product = 1;
            for (int k = 0; k < points.Length; k++)
                product *= k == j ? 1 : points[j] - points[k];
            for (int i = 0; i < 3; i++)
                rows[(3 * j) + i] = Math.Pow(points[j], i) / product;
        }

        rows[^1] = 1; // infinity
        return rows;
    }

    // [block of output channels][position][block of input channels][tile's width of output channels][input channel][output channel],
    // just the order in which the products read them. A panel's width of outputs is packed for each input, which fills lines.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Pack(float* weights, ReadOnlySpan<double> points, int width, int channels)
    {
        double[] transform = WeightTransform(points);
        int size = points.Length + 1, inputs = _shape.InputChannels, depthBlock = DepthBlock(inputs);
        double* columns = stackalloc double[3 * 8];
        fixed (double* g = transform)
        {
            for (int panel = 0; panel < _shape.OutputChannels; panel += width)
            {
                int block = panel / OutputBlock * OutputBlock, end = Math.Min(panel + width, _shape.OutputChannels);
                nint blockChannels = Math.Min(OutputBlock, channels - block), position = blockChannels * inputs;
                for (int input = 0; input < inputs; input++)
                {
                    int k = input % depthBlock, depth = Math.Min(depthBlock, inputs - (input - k));
                    float* target = _weights.Pointer + ((nint)block * inputs * size * size) + ((input - k) * blockChannels) + ((nint)(panel - block) * depth) + ((nint)k * width);
                    for (int output = panel; output < end; output++)
                    {
                        float* from = weights + ((((nint)output * inputs) + input) * 9);
                        for (int y = 0; y < size; y++)
                        {
                            double* row = g + (3 * y);
                            for (int x = 0; x < 3; x++)
                                columns[(3 * y) + x] = (row[0] * from[x]) + (row[1] * from[3 + x]) + (row[2] * from[6 + x]);
                        }

                        float* to = target + (output - panel);
                        for (int y = 0; y < size; y++)
                        {
                            double* column = columns + (3 * y);
                            for (int x = 0; x < size; x++, to += position)
                                *to = (float)((g[3 * x] * column[0]) + (g[(3 * x) + 1] * column[1]) + (g[(3 * x) + 2] * column[2]));
                        }
                    }
                }
            }
        }
    }
}
