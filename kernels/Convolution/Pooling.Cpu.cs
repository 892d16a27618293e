using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>The windows of a pooling along one axis.</summary>
/// <param name="extent">Of the map.</param>
/// <param name="kernel">Of the window.</param>
/// <param name="stride">From window to window.</param>
/// <param name="dilation">Within the window.</param>
/// <param name="before">Padding before the map.</param>
/// <param name="after">Padding behind it.</param>
/// <param name="countPad">Padding counts.</param>
internal readonly struct PoolingAxis(int extent, int kernel, int stride, int dilation, int before, int after, bool countPad)
{
    public int Stride => stride;

    public int Dilation => dilation;

    public int Kernel => kernel;

    /// <summary>The first of window <paramref name="index"/>'s positions inside the map, how many are inside, and how many count for an average.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public nint Window(nint index, out int inside, out int counted)
    {
        nint start = (index * stride) - before;
        nint first = start < 0 ? Positions(-start) : 0;
        nint end = Math.Min(kernel, Positions(extent - start));
        inside = (int)(end - first);
        counted = countPad ? (int)Math.Min(kernel, Positions(extent + after - start)) : inside;
        return start + (first * dilation);
    }

    // Of a window, in so many places. A division takes longer than a window of few numbers.
    private nint Positions(nint places) => dilation == 1 ? places : (places + dilation - 1) / dilation;

    /// <summary>The windows that are whole, of those from 0 to <paramref name="count"/> - 1.</summary>
    public (nint First, nint End) WholeWindows(nint count)
    {
        nint first = Math.Min(count, (before + (nint)stride - 1) / stride);
        nint room = extent + before - (((nint)kernel - 1) * dilation) - 1;
        nint end = room < 0 ? 0 : Math.Min(count, (room / stride) + 1);
        return (first, Math.Max(first, end));
    }

    /// <summary>Throws where one of the first <paramref name="count"/> windows has no position inside the map.</summary>
    public void CheckWindows(int count, string what, string name)
    {
        for (int i = 0; i < count; i++)
        {
            Window(i, out int inside, out _);
            if (inside <= 0)
                throw new ArgumentException($"Window {i} of the {what} lies outside the {extent} of the map: kernel {kernel}, stride {stride}, dilation {dilation}, padding {before} and {after}.", name);
        }
    }
}

/// <summary>How the numbers of a window are put together.</summary>
internal interface IPoolingOperation
{
    static abstract TWide Add<TWide>(TWide sum, TWide x)
        where TWide : unmanaged, IWide<TWide>;

    static abstract TWide Finish<TWide>(TWide sum, TWide counted)
        where TWide : unmanaged, IWide<TWide>;
}

internal readonly struct MaxPooling : IPoolingOperation
{
    // In this order the test for NaN is of x, off the chain of maxima.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Add<TWide>(TWide sum, TWide x)
        where TWide : unmanaged, IWide<TWide> => TWide.MaxOrNaN(x, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Finish<TWide>(TWide sum, TWide counted)
        where TWide : unmanaged, IWide<TWide> => sum;
}

internal readonly struct AveragePooling : IPoolingOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Add<TWide>(TWide sum, TWide x)
        where TWide : unmanaged, IWide<TWide> => sum + x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Finish<TWide>(TWide sum, TWide counted)
        where TWide : unmanaged, IWide<TWide> => sum / counted;
}

internal readonly struct PoolingAction<TOperation>(
    in BlockedImages source, in BlockedImages destination, PoolingAxis rows, PoolingAxis columns, WorkerPool pool) : IWideAction
    where TOperation : struct, IPoolingOperation
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        PoolingBody<TWide, TOperation> body = new(_source, _destination, rows, columns);
        pool.For(body.Rows.Count, body.Rows.Grain, ref body);
    }
}

/// <summary>Pools rows of the destination.</summary>
internal readonly unsafe struct PoolingBody<TWide, TOperation>(
    in BlockedImages source, in BlockedImages destination, PoolingAxis rows, PoolingAxis columns) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TOperation : struct, IPoolingOperation
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    public MapRows Rows { get; } = new(destination, joined: false);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        (nint first, nint wholeEnd) = columns.WholeWindows(_destination.Width);
        int lanes = _source.Lanes;
        nint rowStep = rows.Dilation * _source.RowStride;
        nint columnStep = (nint)columns.Dilation * lanes;
        nint stride = (nint)columns.Stride * lanes;
        for (nint index = start; index < end; index++)
        {
            MapRun run = Rows[index];
            nint y = rows.Window(run.Row, out int inside, out int counted);
            float* to = run.In(_destination), map = _source.At(run.Image, run.Block, y, 0);
            Cut(map, rowStep, inside, counted, 0, first, to);
            nint x = columns.Window(first, out _, out int countedColumns);
            float* from = map + (x * lanes);
            float pixels = (float)counted * countedColumns;
            for (int lane = 0; lane < lanes; lane += TWide.Lanes)
            {
                float* laneTo = to + (first * lanes) + lane;
                nint count = wholeEnd - first;
                if (inside == 3 && columns.Kernel == 3)
                    Threes(from + lane, rowStep, columnStep, stride, laneTo, lanes, count, pixels);
                else if (inside == 2 && columns.Kernel == 2)
                    Twos(from + lane, rowStep, columnStep, stride, laneTo, lanes, count, pixels);
                else
                    Windows(from + lane, rowStep, inside, columnStep, columns.Kernel, stride, laneTo, lanes, count, pixels);
            }

            Cut(map, rowStep, inside, counted, wholeEnd, _destination.Width, to);
        }
    }

    /// <summary>Windows that may reach past the sides of the map.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Cut(float* map, nint rowStep, int rowsInside, int rowsCounted, nint first, nint end, float* to)
    {
        int lanes = _source.Lanes;
        for (nint j = first; j < end; j++)
        {
            float* from = map + (columns.Window(j, out int inside, out int counted) * lanes);
            for (int lane = 0; lane < lanes; lane += TWide.Lanes)
            {
                Windows(
                    from + lane, rowStep, rowsInside, (nint)columns.Dilation * lanes, inside, 0, to + (j * lanes) + lane, lanes, 1, (float)rowsCounted * counted);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Windows(
        float* from, nint rowStep, int height, nint columnStep, int width, nint stride, float* to, nint toStep, nint count, float pixels)
    {
        TWide divisor = TWide.Broadcast(pixels);
        for (; count > 0; count--, from += stride, to += toStep)
        {
            TWide sum = TWide.Load(from);
            float* row = from;
            for (int v = 1; v < width; v++)
                sum = TOperation.Add(sum, TWide.Load(row + (v * columnStep)));
            for (int u = 1; u < height; u++)
            {
                row += rowStep;
                for (int v = 0; v < width; v++)
                    sum = TOperation.Add(sum, TWide.Load(row + (v * columnStep)));
            }

            TWide.Store(to, TOperation.Finish(sum, divisor));
        }
    }

    /// <summary>3 x 3 windows, each column put together first: with strides 1 and 2 the next window has some of the same.</summary>
    private static void Threes(float* from, nint rowStep, nint columnStep, nint stride, float* to, nint toStep, nint count, float pixels)
    {
        if (stride == columnStep)
            ThreesByOne(from, rowStep, stride, to, toStep, count, pixels);
        else if (stride == 2 * columnStep)
            ThreesByTwo(from, rowStep, columnStep, to, toStep, count, pixels);
        else
            Windows(from, rowStep, 3, columnStep, 3, stride, to, toStep, count, pixels);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ThreesByOne(float* from, nint rowStep, nint step, float* to, nint toStep, nint count, float pixels)
    {
        if (count <= 0)
            return;
        TWide divisor = TWide.Broadcast(pixels), first = Column(from, rowStep), second = Column(from + step, rowStep);
        for (from += 2 * step; count > 0; count--, from += step, to += toStep)
        {
            TWide third = Column(from, rowStep);
            TWide.Store(to, TOperation.Finish(TOperation.Add(TOperation.Add(first, second), third), divisor));
            first = second;
            second = third;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ThreesByTwo(float* from, nint rowStep, nint step, float* to, nint toStep, nint count, float pixels)
    {
        if (count <= 0)
            return;
        TWide divisor = TWide.Broadcast(pixels), first = Column(from, rowStep);
        for (from += step; count > 0; count--, from += 2 * step, to += toStep)
        {
            TWide third = Column(from + step, rowStep);
            TWide.Store(to, TOperation.Finish(TOperation.Add(TOperation.Add(first, Column(from, rowStep)), third), divisor));
            first = third;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TWide Column(float* from, nint rowStep) =>
        TOperation.Add(TOperation.Add(TWide.Load(from), TWide.Load(from + rowStep)), TWide.Load(from + (2 * rowStep)));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Twos(float* from, nint rowStep, nint columnStep, nint stride, float* to, nint toStep, nint count, float pixels)
    {
        TWide divisor = TWide.Broadcast(pixels);
        float* last = from + rowStep;
        for (; count > 0; count--, from += stride, last += stride, to += toStep)
        {
            TWide a = TOperation.Add(TWide.Load(from), TWide.Load(from + columnStep));
            TWide b = TOperation.Add(TWide.Load(last), TWide.Load(last + columnStep));
            TWide.Store(to, TOperation.Finish(TOperation.Add(a, b), divisor));
        }
    }
}

internal readonly struct GlobalPoolingAction<TOperation>(in BlockedImages source, in BlockedImages destination, WorkerPool pool) : IWideAction
    where TOperation : struct, IPoolingOperation
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        GlobalPoolingBody<TWide, TOperation> body = new(_source, _destination);
        nint maps = (nint)_source.Images * _source.Blocks;
        pool.For(maps, Math.Max(1, 32768 / ((nint)_source.Height * _source.Width * _source.Lanes)), ref body);
    }
}

/// <summary>Pools whole maps, each by one thread.</summary>
internal readonly unsafe struct GlobalPoolingBody<TWide, TOperation>(in BlockedImages source, in BlockedImages destination) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TOperation : struct, IPoolingOperation
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        for (nint map = start; map < end; map++)
        {
            (nint image, nint block) = Math.DivRem(map, _source.Blocks);
            float* to = _destination.At((int)image, (int)block, 0, 0);
            WholeMap<TWide, TOperation>.Reduce(_source, (int)image, (int)block, to);
            TWide pixels = TWide.Broadcast((float)((nint)_source.Height * _source.Width));
            for (int lane = 0; lane < _source.Lanes; lane += TWide.Lanes)
                TWide.Store(to + lane, TOperation.Finish(TWide.Load(to + lane), pixels));
        }
    }
}

/// <summary>Puts the numbers of a whole map together, each channel of a block by itself.</summary>
internal static unsafe class WholeMap<TWide, TOperation>
    where TWide : unmanaged, IWide<TWide>
    where TOperation : struct, IPoolingOperation
{
    // A piece's lanes are read in as many passes as they have vectors: all but the first from L1.
    private const int Piece = 256;

    /// <summary>Writes the result of each lane to <paramref name="sums"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Reduce(in BlockedImages source, int image, int block, float* sums)
    {
        bool joined = MapRows.AreJoined(source);
        nint rows = joined ? 1 : source.Height, width = joined ? (nint)source.Height * source.Width : source.Width;
        int lanes = source.Lanes;
        for (nint row = 0; row < rows; row++)
        {
            for (nint column = 0; column < width; column += Piece)
            {
                float* from = source.At(image, block, row, column);
                for (int lane = 0; lane < lanes; lane += TWide.Lanes)
                {
                    TWide part = Sum(from + lane, lanes, Math.Min(Piece, width - column));
                    TWide.Store(sums + lane, row == 0 && column == 0 ? part : TOperation.Add(TWide.Load(sums + lane), part));
                }
            }
        }
    }

    // Four sums, because one would wait for each addition's latency.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static TWide Sum(float* from, nint lanes, nint count)
    {
        TWide a = TWide.Load(from);
        float* end = from + (count * lanes);
        from += lanes;
        if (count >= 8)
        {
            TWide b = TWide.Load(from), c = TWide.Load(from + lanes), d = TWide.Load(from + (2 * lanes));
            for (from += 3 * lanes; from <= end - (4 * lanes); from += 4 * lanes)
            {
                a = TOperation.Add(a, TWide.Load(from));
                b = TOperation.Add(b, TWide.Load(from + lanes));
                c = TOperation.Add(c, TWide.Load(from + (2 * lanes)));
                d = TOperation.Add(d, TWide.Load(from + (3 * lanes)));
            }

            a = TOperation.Add(TOperation.Add(a, b), TOperation.Add(c, d));
        }

        for (; from < end; from += lanes)
            a = TOperation.Add(a, TWide.Load(from));
        return a;
    }
}
