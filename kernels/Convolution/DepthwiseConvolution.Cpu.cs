using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>What one run of a <see cref="DepthwiseConvolution"/> works on.</summary>
internal unsafe struct DepthwiseJob
{
    public ConvolutionShape Shape;
    public Activation Activation;
    public BlockedImages Source;
    public BlockedImages Destination;
    public BlockedImages Residual;
    public bool HasResidual;
    public float* Weights;
    public float* Bias;

    /// <summary>Floats from a window's first pixel to each of its pixels.</summary>
    public nint* Taps;

    /// <summary>Pixels of a window.</summary>
    public nint Window;
}

/// <summary>Runs a depthwise convolution at one width.</summary>
internal readonly struct DepthwiseAction(DepthwiseJob job, WorkerPool pool) : IWideAction
{
    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        switch (job.Shape)
        {
            case { StrideX: 1, KernelWidth: 3, DilationX: 1 }:
                Run<TWide, WindowOf3>();
                break;
            case { StrideX: 1, KernelWidth: 5, DilationX: 1 }:
                Run<TWide, WindowOf5>();
                break;
            case { StrideX: 1 }:
                Run<TWide, Stride1>();
                break;
            case { StrideX: 2 }:
                Run<TWide, Stride2>();
                break;
            default:
                Run<TWide, AnyStride>();
                break;
        }
    }

    private void Run<TWide, TWindow>()
        where TWide : unmanaged, IWide<TWide>
        where TWindow : struct, IPixelWindow
    {
        DepthwiseBody<TWide, TWindow> body = new(job, pool.Threads);
        pool.For(body.Count, 1, ref body);
    }
}

/// <summary>How the windows of neighbouring pixels lie: a struct type parameter, so that the usual ones are constants.</summary>
internal interface IPixelWindow
{
    /// <summary>Columns of a window whose pixels stand side by side and are loaded once for all windows in which they are; else 0.</summary>
    static virtual int Columns => 0;

    /// <summary>Floats from an output pixel's window to that of the next.</summary>
    static abstract nint Step(nint stride);
}

/// <summary>Stride 1 and three columns.</summary>
internal readonly struct WindowOf3 : IPixelWindow
{
    public static int Columns => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint Step(nint stride) => BlockedImages.Block;
}

/// <summary>Stride 1 and five columns.</summary>
internal readonly struct WindowOf5 : IPixelWindow
{
    public static int Columns => 5;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint Step(nint stride) => BlockedImages.Block;
}

/// <summary>Stride 1.</summary>
internal readonly struct Stride1 : IPixelWindow
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint Step(nint stride) => BlockedImages.Block;
}

/// <summary>Stride 2.</summary>
internal readonly struct Stride2 : IPixelWindow
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint Step(nint stride) => 2 * BlockedImages.Block;
}

/// <summary>Any other stride.</summary>
internal readonly struct AnyStride : IPixelWindow
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint Step(nint stride) => stride * BlockedImages.Block;
}

/// <summary>How many pixels are summed at once: a struct type parameter, so that each has its loop.</summary>
internal interface IPixelCount
{
    static abstract int Value { get; }
}

/// <summary>Rows of one block of channels of one image, handed out some at a time.</summary>
internal readonly unsafe struct DepthwiseBody<TWide, TWindow> : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TWindow : struct, IPixelWindow
{
    private const int JobsPerThread = 8;

    // Some 5 us at least, against 1 us for handing a job out.
    private const nint SmallestJobProducts = 1 << 18;

    private readonly DepthwiseJob _job;
    private readonly nint _rows;   // rows of a job
    private readonly nint _ranges; // jobs to a map

    public DepthwiseBody(in DepthwiseJob job, int threads)
    {
        _job = job;
        nint height = job.Destination.Height, maps = (nint)job.Destination.Images * job.Destination.Blocks;
        nint products = BlockedImages.Block * job.Window * job.Destination.Width;
        nint wanted = threads == 1 ? 1 : GemmBlocking.Panels((nint)JobsPerThread * threads, Math.Max(1, maps));
        _rows = Math.Clamp(Math.Max(GemmBlocking.Panels(height, wanted), SmallestJobProducts / products), 1, height);
        _ranges = GemmBlocking.Panels(height, _rows);
    }

    public nint Count => _job.Destination.Images * (nint)_job.Destination.Blocks * _ranges;

    public void Invoke(int worker, nint start, nint end)
    {
        for (nint item = start; item < end; item++)
        {
            (nint map, nint range) = Math.DivRem(item, _ranges);
            (nint image, nint block) = Math.DivRem(map, _job.Destination.Blocks);
            nint first = range * _rows, last = Math.Min(first + _rows, _job.Destination.Height);
            Rows((int)image, (int)block, first, last - first);
        }
    }

    // Pieces of up to 8 pixels, all nearly as long: a short one at the end would wait for its own sums.
    private void Rows(int image, int block, nint y, nint rows)
    {
        nint width = _job.Destination.Width, pieces = GemmBlocking.Panels(width, 8);
        (nint count, nint longer) = Math.DivRem(width, pieces);
        if (longer > 0)
            Sum(new(_job, image, block, y, 0), count + 1, longer, rows);
        Sum(new(_job, image, block, y, longer * (count + 1)), count, pieces - longer, rows);
        for (nint row = y; row < y + rows && !_job.Activation.IsClip; row++)
            ActivationRows.Apply<TWide>(_job.Activation, _job.Destination.At(image, block, row, 0), width * BlockedImages.Block);
    }

    private static void Sum(DepthwisePixels pixels, nint count, nint pieces, nint rows)
    {
        switch (count)
        {
            case 8:
                pixels.Sum<TWide, TWindow, Pixels8>(pieces, rows);
                break;
            case 7:
                pixels.Sum<TWide, TWindow, Pixels7>(pieces, rows);
                break;
            case 6:
                pixels.Sum<TWide, TWindow, Pixels6>(pieces, rows);
                break;
            case 5:
                pixels.Sum<TWide, TWindow, Pixels5>(pieces, rows);
                break;
            case 4:
                pixels.Sum<TWide, TWindow, Pixels4>(pieces, rows);
                break;
            case 3:
                pixels.Sum<TWide, TWindow, Pixels3>(pieces, rows);
                break;
            case 2:
                pixels.Sum<TWide, TWindow, Pixels2>(pieces, rows);
                break;
            default:
                pixels.Sum<TWide, TWindow, Pixels1>(pieces, rows);
                break;
        }
    }
}

/// <summary>Pixels that are yet to be computed, all channels of a block.</summary>
internal unsafe struct DepthwisePixels
{
    private readonly nint* _taps;
    private readonly nint _window;
    private readonly nint _stride;
    private readonly float* _weights;
    private readonly float* _bias;
    private readonly float _low;
    private readonly float _high;
    private readonly nint _sourceRow;
    private readonly nint _residualRow;
    private readonly nint _destinationRow;
    private float* _source;
    private float* _residual;
    private float* _destination;

    public DepthwisePixels(in DepthwiseJob job, int image, int block, nint y, nint x)
    {
        _taps = job.Taps;
        (_window, _stride) = (job.Window, job.Shape.StrideX);
        _weights = job.Weights + (block * BlockedImages.Block * job.Window);
        _bias = job.Bias + (block * BlockedImages.Block);
        (_low, _high) = job.Activation.Bounds;
        _source = job.Source.At(image, block, (y * job.Shape.StrideY) - job.Shape.Padding.Top, (x * job.Shape.StrideX) - job.Shape.Padding.Left);
        _residual = job.HasResidual ? job.Residual.At(image, block, y, x) : null;
        _destination = job.Destination.At(image, block, y, x);
        (_sourceRow, _residualRow, _destinationRow) = (job.Shape.StrideY * job.Source.RowStride, job.Residual.RowStride, job.Destination.RowStride);
    }

    /// <summary>
    /// destination = clip(bias + residual + sum over the window of weight times pixel) for
    /// <paramref name="pieces"/> times <typeparamref name="TCount"/> pixels of each of <paramref name="rows"/> rows.
    /// </summary>
    /// <remarks>Eight sums: four cycles' worth of two multiply-adds each, which hide their latency; a load for each of them is the bound.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Sum<TWide, TWindow, TCount>(nint pieces, nint rows)
        where TWide : unmanaged, IWide<TWide>
        where TWindow : struct, IPixelWindow
        where TCount : struct, IPixelCount
    {
        nint next = TWindow.Step(_stride);
        TWide low = TWide.Broadcast(_low), high = TWide.Broadcast(_high);
        nint width = pieces * TCount.Value;
        for (; rows != 0; rows--)
        {
            for (nint piece = pieces; piece != 0; piece--)
            {
                for (int lane = 0; lane < BlockedImages.Block; lane += TWide.Lanes)
                {
                    TWide sum0 = Begin<TWide>(0, lane), sum1 = sum0, sum2 = sum0, sum3 = sum0, sum4 = sum0, sum5 = sum0, sum6 = sum0, sum7 = sum0;
                    if (_residual is not null)
                    {
                        if (TCount.Value > 1)
                            sum1 = Begin<TWide>(1, lane);
                        if (TCount.Value > 2)
                            sum2 = Begin<TWide>(2, lane);
                        if (TCount.Value > 3)
                            sum3 = Begin<TWide>(3, lane);
                        if (TCount.Value > 4)
                            sum4 = Begin<TWide>(4, lane);
                        if (TCount.Value > 5)
                            sum5 = Begin<TWide>(5, lane);
                        if (TCount.Value > 6)
                            sum6 = Begin<TWide>(6, lane);
                        if (TCount.Value > 7)
                            sum7 = Begin<TWide>(7, lane);
                    }

                    nint* tap = _taps;
                    float* weights = _weights + lane;
                    float* source = _source + lane;
                    if (TWindow.Columns > 0)
                    {
                        for (nint row = _window; row != 0; row -= TWindow.Columns)
                        {
                            TWide w0 = TWide.Load(weights), w1 = TWide.Load(weights + BlockedImages.Block), w2 = TWide.Load(weights + (2 * BlockedImages.Block));
                            TWide w3 = w2, w4 = w2;
                            if (TWindow.Columns > 3)
                            {
                                w3 = TWide.Load(weights + (3 * BlockedImages.Block));
                                w4 = TWide.Load(weights + (4 * BlockedImages.Block));
                            }

                            float* pixels = source + *tap;
                            TWide pixel = TWide.Load(pixels);
                            TWide.Accumulate(ref sum0, w0, pixel);
                            if (TCount.Value + TWindow.Columns > 2)
                                pixel = TWide.Load(pixels + (1 * BlockedImages.Block));
                            if (TCount.Value > 1)
                                TWide.Accumulate(ref sum1, w0, pixel);
                            TWide.Accumulate(ref sum0, w1, pixel);
                            if (TCount.Value + TWindow.Columns > 3)
                                pixel = TWide.Load(pixels + (2 * BlockedImages.Block));
                            if (TCount.Value > 2)
                                TWide.Accumulate(ref sum2, w0, pixel);
                            if (TCount.Value > 1)
                                TWide.Accumulate(ref sum1, w1, pixel);
                            TWide.Accumulate(ref sum0, w2, pixel);
                            if (TCount.Value + TWindow.Columns > 4)
                                pixel = TWide.Load(pixels + (3 * BlockedImages.Block));
                            if (TCount.Value > 3)
                                TWide.Accumulate(ref sum3, w0, pixel);
                            if (TCount.Value > 2)
                                TWide.Accumulate(ref sum2, w1, pixel);
                            if (TCount.Value > 1)
                                TWide.Accumulate(ref sum1, w2, pixel);
                            if (TWindow.Columns > 3)
                                TWide.Accumulate(ref sum0, w3, pixel);
                            if (TCount.Value + TWindow.Columns > 5)
                                pixel = TWide.Load(pixels + (4 * BlockedImages.Block));
                            if (TCount.Value > 4)
                                TWide.Accumulate(ref sum4, w0, pixel);
                            if (TCount.Value > 3)
                                TWide.Accumulate(ref sum3, w1, pixel);
                            if (TCount.Value > 2)
                                TWide.Accumulate(ref sum2, w2, pixel);
                            if (TWindow.Columns > 3 && TCount.Value > 1)
                                TWide.Accumulate(ref sum1, w3, pixel);
                            if (TWindow.Columns > 4)
                                TWide.Accumulate(ref sum0, w4, pixel);
                            if (TCount.Value + TWindow.Columns > 6)
                                pixel = TWide.Load(pixels + (5 * BlockedImages.Block));
                            if (TCount.Value > 5)
                                TWide.Accumulate(ref sum5, w0, pixel);
                            if (TCount.Value > 4)
                                TWide.Accumulate(ref sum4, w1, pixel);
                            if (TCount.Value > 3)
                                TWide.Accumulate(ref sum3, w2, pixel);
                            if (TWindow.Columns > 3 && TCount.Value > 2)
                                TWide.Accumulate(ref sum2, w3, pixel);
                            if (TWindow.Columns > 4 && TCount.Value > 1)
                                TWide.Accumulate(ref sum1, w4, pixel);
                            if (TCount.Value + TWindow.Columns > 7)
                                pixel = TWide.Load(pixels + (6 * BlockedImages.Block));
                            if (TCount.Value > 6)
                                TWide.Accumulate(ref sum6, w0, pixel);
                            if (TCount.Value > 5)
                                TWide.Accumulate(ref sum5, w1, pixel);
                            if (TCount.Value > 4)
                                TWide.Accumulate(ref sum4, w2, pixel);
                            if (TWindow.Columns > 3 && TCount.Value > 3)
                                TWide.Accumulate(ref sum3, w3, pixel);
                            if (TWindow.Columns > 4 && TCount.Value > 2)
                                TWide.Accumulate(ref sum2, w4, pixel);
                            if (TCount.Value + TWindow.Columns > 8)
                                pixel = TWide.Load(pixels + (7 * BlockedImages.Block));
                            if (TCount.Value > 7)
                                TWide.Accumulate(ref sum7, w0, pixel);
                            if (TCount.Value > 6)
                                TWide.Accumulate(ref sum6, w1, pixel);
                            if (TCount.Value > 5)
                                TWide.Accumulate(ref sum5, w2, pixel);
                            if (TWindow.Columns > 3 && TCount.Value > 4)
                                TWide.Accumulate(ref sum4, w3, pixel);
                            if (TWindow.Columns > 4 && TCount.Value > 3)
                                TWide.Accumulate(ref sum3, w4, pixel);
                            if (TCount.Value + TWindow.Columns > 9)
                                pixel = TWide.Load(pixels + (8 * BlockedImages.Block));
                            if (TCount.Value > 7)
                                TWide.Accumulate(ref sum7, w1, pixel);
                            if (TCount.Value > 6)
                                TWide.Accumulate(ref sum6, w2, pixel);
                            if (TWindow.Columns > 3 && TCount.Value > 5)
                                TWide.Accumulate(ref sum5, w3, pixel);
                            if (TWindow.Columns > 4 && TCount.Value > 4)
                                TWide.Accumulate(ref sum4, w4, pixel);
                            if (TCount.Value + TWindow.Columns > 10)
                                pixel = TWide.Load(pixels + (9 * BlockedImages.Block));
                            if (TCount.Value > 7)
                                TWide.Accumulate(ref sum7, w2, pixel);
                            if (TWindow.Columns > 3 && TCount.Value > 6)
                                TWide.Accumulate(ref sum6, w3, pixel);
                            if (TWindow.Columns > 4 && TCount.Value > 5)
                                TWide.Accumulate(ref sum5, w4, pixel);
                            if (TCount.Value + TWindow.Columns > 11)
                                pixel = TWide.Load(pixels + (10 * BlockedImages.Block));
                            if (TWindow.Columns > 3 && TCount.Value > 7)
                                TWide.Accumulate(ref sum7, w3, pixel);
                            if (TWindow.Columns > 4 && TCount.Value > 6)
                                TWide.Accumulate(ref sum6, w4, pixel);
                            if (TCount.Value + TWindow.Columns > 12)
                                pixel = TWide.Load(pixels + (11 * BlockedImages.Block));
                            if (TWindow.Columns > 4 && TCount.Value > 7)
                                TWide.Accumulate(ref sum7, w4, pixel);
                            tap += TWindow.Columns;
                            weights += TWindow.Columns * BlockedImages.Block;
                        }
                    }
                    else
                    {
                        for (nint k = _window; k != 0; k--)
                        {
                            TWide weight = TWide.Load(weights);
                            float* pixel = source + *tap;
                            TWide.Accumulate(ref sum0, weight, TWide.Load(pixel));
                            if (TCount.Value > 1)
                                TWide.Accumulate(ref sum1, weight, TWide.Load(pixel + next));
                            if (TCount.Value > 2)
                                TWide.Accumulate(ref sum2, weight, TWide.Load(pixel + (2 * next)));
                            if (TCount.Value > 3)
                                TWide.Accumulate(ref sum3, weight, TWide.Load(pixel + (3 * next)));
                            if (TCount.Value > 4)
                                TWide.Accumulate(ref sum4, weight, TWide.Load(pixel + (4 * next)));
                            if (TCount.Value > 5)
                                TWide.Accumulate(ref sum5, weight, TWide.Load(pixel + (5 * next)));
                            if (TCount.Value > 6)
                                TWide.Accumulate(ref sum6, weight, TWide.Load(pixel + (6 * next)));
                            if (TCount.Value > 7)
                                TWide.Accumulate(ref sum7, weight, TWide.Load(pixel + (7 * next)));
                            tap++;
                            weights += BlockedImages.Block;
                        }
                    }

                    End(0, lane, sum0, low, high);
                    if (TCount.Value > 1)
                        End(1, lane, sum1, low, high);
                    if (TCount.Value > 2)
                        End(2, lane, sum2, low, high);
                    if (TCount.Value > 3)
                        End(3, lane, sum3, low, high);
                    if (TCount.Value > 4)
                        End(4, lane, sum4, low, high);
                    if (TCount.Value > 5)
                        End(5, lane, sum5, low, high);
                    if (TCount.Value > 6)
                        End(6, lane, sum6, low, high);
                    if (TCount.Value > 7)
                        End(7, lane, sum7, low, high);
                }

                _source += TCount.Value * next;
                _destination += TCount.Value * BlockedImages.Block;
                if (_residual is not null)
                    _residual += TCount.Value * BlockedImages.Block;
            }

            _source += _sourceRow - (width * next);
            _destination += _destinationRow - (width * BlockedImages.Block);
            if (_residual is not null)
                _residual += _residualRow - (width * BlockedImages.Block);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly TWide Begin<TWide>(int i, int lane)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide bias = TWide.Load(_bias + lane);
        return _residual is null ? bias : bias + TWide.Load(_residual + (i * BlockedImages.Block) + lane);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void End<TWide>(int i, int lane, TWide sum, TWide low, TWide high)
        where TWide : unmanaged, IWide<TWide> =>
        TWide.Store(_destination + (i * BlockedImages.Block) + lane, TWide.Min(high, TWide.Max(low, sum)));
}

/// <summary>1.</summary>
internal readonly struct Pixels1 : IPixelCount
{
    public static int Value => 1;
}

/// <summary>2.</summary>
internal readonly struct Pixels2 : IPixelCount
{
    public static int Value => 2;
}

/// <summary>3.</summary>
internal readonly struct Pixels3 : IPixelCount
{
    public static int Value => 3;
}

/// <summary>4.</summary>
internal readonly struct Pixels4 : IPixelCount
{
    public static int Value => 4;
}

/// <summary>5.</summary>
internal readonly struct Pixels5 : IPixelCount
{
    public static int Value => 5;
}

/// <summary>6.</summary>
internal readonly struct Pixels6 : IPixelCount
{
    public static int Value => 6;
}

/// <summary>7.</summary>
internal readonly struct Pixels7 : IPixelCount
{
    public static int Value => 7;
}

/// <summary>8.</summary>
internal readonly struct Pixels8 : IPixelCount
{
    public static int Value => 8;
}
