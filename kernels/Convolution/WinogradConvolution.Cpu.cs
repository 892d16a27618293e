using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>What one run of a <see cref="WinogradConvolution"/> works on.</summary>
internal unsafe struct WinogradJob
{
    public ConvolutionShape Shape;
    public Activation Activation;
    public BlockedImages Source;
    public BlockedImages Destination;
    public BlockedImages Residual;
    public bool HasResidual;
    public float* Weights;
    public float* Bias;
    public int TilesY;
    public int TilesX;

    public readonly nint Tiles => (nint)Source.Images * TilesY * TilesX;
}

/// <summary>Chooses how the tiles of a run are cut, and runs it at one width.</summary>
internal readonly struct WinogradAction(WinogradJob job, int outputTile, WorkerPool pool) : IWideAction
{
    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        switch (outputTile)
        {
            case 2:
                WinogradLoops<TWide, Winograd2>.Run(job, pool);
                break;
            case 4:
                WinogradLoops<TWide, Winograd4>.Run(job, pool);
                break;
            default:
                WinogradLoops<TWide, Winograd6>.Run(job, pool);
                break;
        }
    }
}

/// <summary>Where a tile's outputs stand.</summary>
internal struct WinogradTile
{
    public WinogradTile(in WinogradJob job, nint tile, int outputs)
    {
        (nint line, nint column) = Math.DivRem(tile, job.TilesX);
        (nint image, line) = Math.DivRem(line, job.TilesY);
        (Image, Y, X) = ((int)image, line * outputs, column * outputs);
    }

    public int Image;
    public nint Y;
    public nint X;

    /// <summary>To the next tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void MoveOn(in WinogradJob job, int outputs)
    {
        X += outputs;
        if (X < job.Destination.Width)
            return;
        X = 0;
        Y += outputs;
        if (Y < job.Destination.Height)
            return;
        Y = 0;
        Image++;
    }
}

/// <summary>The three stages of a run at one width and tile size, and the two ways to order them.</summary>
internal static unsafe class WinogradLoops<TWide, TTransform>
    where TWide : unmanaged, IWide<TWide>
    where TTransform : struct, IWinogradTransform
{
    private const nint LargePageFloats = (nint)Pages.HugePageBytes / sizeof(float);

    private static int Size => TTransform.Outputs + 2;

    private static int Positions => Size * Size;

    public static void Run(in WinogradJob job, WorkerPool pool)
    {
        if (job.Tiles == 0)
            return;
        WinogradPlan plan = new(job, Positions, WideTile.Columns<TWide>(), pool.Threads);
        if (plan.ByStrips)
        {
            // Large pages: a tile's stores go to as many pages as there are positions.
            using Scratch<float> scratch = new(Math.Max(pool.Threads * (plan.InputFloats + plan.ProductFloats), LargePageFloats));
            WinogradStrips<TWide, TTransform> strips = new(job, plan, scratch.Pointer);
            pool.For(GemmBlocking.Panels(job.Tiles, plan.Strip), 1, ref strips);
            return;
        }

        using Scratch<float> input = new(plan.InputFloats);
        using Scratch<float> products = new(pool.Threads * plan.ProductFloats);
        for (nint first = 0; first < job.Tiles; first += plan.Group)
        {
            nint end = Math.Min(first + plan.Group, job.Tiles);
            WinogradInputs<TWide, TTransform> inputs = new(job, plan, input.Pointer, first, end);
            pool.For(inputs.Count, 1, ref inputs);
            WinogradProducts<TWide, TTransform> outputs = new(job, plan, input.Pointer, products.Pointer, first, end);
            pool.For(outputs.Count, 1, ref outputs);
        }
    }

    /// <summary>Transforms tiles <paramref name="first"/> to <paramref name="end"/> - 1 to the rows of the positions' matrices.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static void TransformInput(in WinogradJob job, nint first, nint end, float* rows, nint stride, nint step)
    {
        BlockedImages source = job.Source;
        Margins halo = source.Halo;
        nint lastY = source.Height + halo.Bottom - Size, lastX = source.Width + halo.Right - Size;
        float* patch = stackalloc float[8 * 8 * BlockedImages.Block];
        float* columns = stackalloc float[8 * 8 * TWide.Lanes];
        for (int block = 0; block < source.Blocks; block++)
        {
            float* to = rows + (block * BlockedImages.Block);
            WinogradTile tile = new(job, first, TTransform.Outputs);
            for (nint i = first; i < end; i++, to += stride)
            {
                nint y = tile.Y - job.Shape.Padding.Top, x = tile.X - job.Shape.Padding.Left;
                float* from = source.At(tile.Image, block, y, x);
                nint rowStride = source.RowStride;
                FetchAhead(from + ((Size - TTransform.Outputs) * BlockedImages.Block), rowStride, Size);
                if (y < -halo.Top || x < -halo.Left || y > lastY || x > lastX)
                {
                    Clip(source, from, y, x, patch);
                    from = patch;
                    rowStride = Size * BlockedImages.Block;
                }

                for (int lane = 0; lane < BlockedImages.Block; lane += TWide.Lanes)
                    TransformTile(from + lane, rowStride, columns, to + lane, step);
                tile.MoveOn(job, TTransform.Outputs);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransformTile(float* from, nint rowStride, float* columns, float* to, nint step)
    {
        int size = Size;
        for (int x = 0; x < size; x++)
            TTransform.Input<TWide>(from + (x * BlockedImages.Block), rowStride, columns + (x * TWide.Lanes), size * TWide.Lanes);
        for (int y = 0; y < size; y++)
            TTransform.Input<TWide>(columns + (y * size * TWide.Lanes), TWide.Lanes, to + (y * size * step), step);
    }

    // The pixels that the tile after the next needs besides: each of a tile's rows is another stream, too short for the
    // processor to foresee.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FetchAhead(float* corner, nint rowStride, int rows)
    {
        corner += 2 * TTransform.Outputs * BlockedImages.Block;
        for (int y = 0; y < rows; y++, corner += rowStride)
        {
            for (int x = 0; x < TTransform.Outputs; x++)
                Prefetch.ToL1(corner + (x * BlockedImages.Block));
        }
    }

    // The pixels of the map, and zeros outside it: a tile may reach further than the halo.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Clip(in BlockedImages source, float* from, nint y, nint x, float* patch)
    {
        nint firstY = Math.Clamp(-y, 0, Size), endY = Math.Clamp(source.Height - y, firstY, Size);
        nint firstX = Math.Clamp(-x, 0, Size), endX = Math.Clamp(source.Width - x, firstX, Size);
        for (nint i = 0; i < Size; i++, from += source.RowStride, patch += Size * BlockedImages.Block)
        {
            bool inside = i >= firstY && i < endY;
            nint first = inside ? firstX * BlockedImages.Block : 0, end = inside ? endX * BlockedImages.Block : 0;
            for (nint j = 0; j < first; j += TWide.Lanes)
                TWide.Store(patch + j, TWide.Zero);
            for (nint j = first; j < end; j += TWide.Lanes)
                TWide.Store(patch + j, TWide.Load(from + j));
            for (nint j = end; j < Size * BlockedImages.Block; j += TWide.Lanes)
                TWide.Store(patch + j, TWide.Zero);
        }
    }

    /// <summary>The products of a block of output channels with rows of transformed tiles, for all positions.</summary>
    /// <param name="job">The run.</param>
    /// <param name="channel">The first output channel.</param>
    /// <param name="channels">Output channels, a multiple of the tile's columns.</param>
    /// <param name="input">Transformed tiles.</param>
    /// <param name="inputStride">Floats from tile to tile.</param>
    /// <param name="inputStep">Floats from position to position.</param>
    /// <param name="tiles">Tiles; up to <see cref="WinogradPlan.SurplusRows"/> rows more are read and written.</param>
    /// <param name="products">Gets the products, <see cref="WinogradConvolution.OutputBlock"/> floats to a row.</param>
    /// <param name="productStep">Floats from position to position.</param>
    public static void Multiply(
        in WinogradJob job, int channel, int channels, float* input, nint inputStride, nint inputStep, nint tiles, float* products, nint productStep)
    {
        int inputs = job.Shape.InputChannels, depthBlock = WinogradConvolution.DepthBlock(inputs);
        float* weights = job.Weights + ((nint)channel * inputs * Positions);
        TileHeights heights = new(tiles, WideTile.Rows<TWide>(), MediumTile.Rows<TWide>(), LowTile.Rows<TWide>());
        TileOperands operands = new() { Stride = inputStride, B = weights, Step = WideTile.Columns<TWide>() };
        for (int position = 0; position < Positions; position++)
        {
            for (int k = 0; k < inputs; k += depthBlock)
            {
                operands.A = input + k;
                operands.Depth = Math.Min(depthBlock, inputs - k);
                if (k == 0)
                    MultiplyBlock<No>(ref operands, channels, heights, products);
                else
                    MultiplyBlock<Yes>(ref operands, channels, heights, products);
            }

            input += inputStep;
            products += productStep;
        }
    }

    // Panels of weights stand one after another: each is fetched while the tiles of the one before it are computed.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyBlock<TAdd>(ref TileOperands operands, int channels, in TileHeights heights, float* products)
        where TAdd : struct, IFlag
    {
        float* input = operands.A;
        nint panelFloats = operands.Depth * operands.Step;
        nint calls = heights.Wide + heights.Medium + heights.Low + (heights.Rest > 0 ? 1 : 0);
        WinogradStore<TAdd> store = new() { FetchStep = ((operands.Step * sizeof(float)) + calls - 1) / calls };
        for (int channel = 0; channel < channels; channel += WideTile.Columns<TWide>())
        {
            operands.A = input;
            store.Target = products + channel;
            store.Next = (byte*)(operands.B + panelFloats);
            for (nint t = heights.Wide; t != 0; t--)
                Tile<WideTile, TAdd>(ref operands, ref store);
            for (nint t = heights.Medium; t != 0; t--)
                Tile<MediumTile, TAdd>(ref operands, ref store);
            for (nint t = heights.Low + (heights.Rest > 0 ? 1 : 0); t != 0; t--)
                Tile<LowTile, TAdd>(ref operands, ref store);
            operands.B += panelFloats;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Tile<TShape, TAdd>(ref TileOperands operands, ref WinogradStore<TAdd> store)
        where TShape : struct, ITileShape
        where TAdd : struct, IFlag
    {
        GemmTile.Multiply<TWide, TShape, PlainTileRows, WinogradStore<TAdd>>(operands, 0, 0, true, null, ref store);
        operands.A += TShape.Rows<TWide>() * operands.Stride;
        store.Target += TShape.Rows<TWide>() * WinogradConvolution.OutputBlock;
    }

    /// <summary>Transforms products back and stores the outputs of tiles <paramref name="first"/> to <paramref name="end"/> - 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static void TransformOutput(in WinogradJob job, nint first, nint end, int channel, int channels, float* products, nint step)
    {
        BlockedImages destination = job.Destination;
        float* columns = stackalloc float[6 * 8 * TWide.Lanes];
        int endBlock = Math.Min((channel + channels) / BlockedImages.Block, destination.Blocks);
        WinogradOutput output = default;
        (output.Low, output.High) = job.Activation.Bounds;
        for (int block = channel / BlockedImages.Block; block < endBlock; block++)
        {
            float* from = products + (block * BlockedImages.Block) - channel;
            WinogradTile tile = new(job, first, TTransform.Outputs);
            for (nint i = first; i < end; i++, from += WinogradConvolution.OutputBlock)
            {
                float* corner = destination.At(tile.Image, block, tile.Y, tile.X);
                float* residual = job.HasResidual ? job.Residual.At(tile.Image, block, tile.Y, tile.X) : null;
                int rows = (int)Math.Min(TTransform.Outputs, destination.Height - tile.Y);
                FetchAhead(corner, destination.RowStride, rows);
                if (residual is not null)
                    FetchAhead(residual, job.Residual.RowStride, rows);
                output.Columns = (int)Math.Min(TTransform.Outputs, destination.Width - tile.X);
                for (int lane = 0; lane < BlockedImages.Block; lane += TWide.Lanes)
                {
                    output.Bias = job.Bias + (block * BlockedImages.Block) + lane;
                    output.Destination = corner + lane;
                    output.Residual = residual is null ? null : residual + lane;
                    TransformTile(from + lane, step, columns, rows, destination.RowStride, job.Residual.RowStride, output);
                }

                for (int y = 0; y < rows && !job.Activation.IsClip; y++)
                    ActivationRows.Apply<TWide>(job.Activation, corner + (y * destination.RowStride), (nint)output.Columns * BlockedImages.Block);
                tile.MoveOn(job, TTransform.Outputs);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransformTile(float* from, nint step, float* columns, int rows, nint rowStride, nint residualStride, WinogradOutput output)
    {
        int size = Size;
        for (int x = 0; x < size; x++)
        {
            WinogradColumn column = new(columns + (x * TWide.Lanes), size * TWide.Lanes);
            TTransform.Output<TWide, WinogradColumn>(from + (x * step), size * step, ref column);
        }

        for (int y = 0; y < rows; y++)
        {
            TTransform.Output<TWide, WinogradOutput>(columns + (y * size * TWide.Lanes), TWide.Lanes, ref output);
            output.Destination += rowStride;
            output.Residual += output.Residual is null ? 0 : residualStride;
        }
    }
}

/// <summary>
/// How the tiles of a run are cut. Where there are strips enough for all threads, each does all three stages of a strip in a
/// row: transformed tiles and products stay in its L2 or near it. Else threads share the transformed tiles of a group, and
/// divide its output channels.
/// </summary>
internal readonly struct WinogradPlan
{
    // Products of strips of so many tiles of F(4, 3) slightly overflow an L2 of 512 KiB; shorter strips would read the weights oftener.
    private const int LongestStrip = 64;
    private const int ShortestStrip = 24;

    // Jobs for each thread, so that a core which is busy elsewhere does not hold up the others for long: where strips can be
    // had, and where they would get shorter than is good.
    private const int JobsPerThread = 12;
    private const int FewestStripsPerThread = 4;
    private const int FewestBlocksPerThread = 2;

    // Transformed tiles of a group share the L3 with the weights.
    private const int ShareOfL3 = 4;

    public WinogradPlan(in WinogradJob job, int positions, int tileColumns, int threads)
    {
        Inputs = job.Source.Blocks * BlockedImages.Block;
        Outputs = WinogradConvolution.Channels(job.Shape.OutputChannels, tileColumns);
        nint longest = LongestStrip * 36 / positions, most = job.Tiles / ShortestStrip;
        nint strips = GemmBlocking.Panels(job.Tiles, longest);
        ByStrips = threads == 1 || most >= FewestStripsPerThread * (nint)threads;
        if (!ByStrips)
            strips = Math.Max(strips, Math.Min(most, GemmBlocking.Panels(FewestBlocksPerThread * threads, GemmBlocking.Panels(Outputs, WinogradConvolution.OutputBlock))));
        else if (threads > 1)
            strips = GemmBlocking.RoundUp(Math.Max(strips, Math.Min(most, JobsPerThread * (nint)threads)), threads);
        Strip = GemmBlocking.Panels(job.Tiles, strips);
        Group = ByStrips ? Strip : Math.Min(job.Tiles, GemmBlocking.RoundUp(CacheSizes.L3 / ShareOfL3 / (positions * Inputs * sizeof(float)), Strip));
        InputStep = Step(Inputs, Group);
        ProductStep = Step(WinogradConvolution.OutputBlock, Strip);
        InputFloats = positions * InputStep;
        ProductFloats = positions * ProductStep;
    }

    /// <summary>Rows after the last tile that a product may read and write: less than a tile of the product.</summary>
    public const int SurplusRows = 8;

    public readonly int Inputs;
    public readonly int Outputs;
    public readonly bool ByStrips;
    public readonly nint Strip;
    public readonly nint Group;
    public readonly nint InputStep;
    public readonly nint ProductStep;
    public readonly nint InputFloats;
    public readonly nint ProductFloats;

    // An odd number of cache lines: the stores of one tile go to all positions, and would otherwise meet in a few sets of
    // the caches.
    private static nint Step(nint stride, nint rows) => ((stride * (rows + SurplusRows) / 16) | 1) * 16;
}

/// <summary>Strips of tiles, all three stages of each in a row: transformed tiles and products stay in the worker's L2.</summary>
internal readonly unsafe struct WinogradStrips<TWide, TTransform>(WinogradJob job, WinogradPlan plan, float* scratch) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TTransform : struct, IWinogradTransform
{
    public void Invoke(int worker, nint start, nint end)
    {
        float* input = scratch + (worker * (plan.InputFloats + plan.ProductFloats));
        float* products = input + plan.InputFloats;
        for (nint strip = start; strip < end; strip++)
        {
            nint first = strip * plan.Strip, last = Math.Min(first + plan.Strip, job.Tiles);
            WinogradLoops<TWide, TTransform>.TransformInput(job, first, last, input, plan.Inputs, plan.InputStep);
            for (int channel = 0; channel < plan.Outputs; channel += WinogradConvolution.OutputBlock)
            {
                int channels = Math.Min(WinogradConvolution.OutputBlock, plan.Outputs - channel);
                WinogradLoops<TWide, TTransform>.Multiply(job, channel, channels, input, plan.Inputs, plan.InputStep, last - first, products, plan.ProductStep);
                WinogradLoops<TWide, TTransform>.TransformOutput(job, first, last, channel, channels, products, plan.ProductStep);
            }
        }
    }
}

/// <summary>The first stage for a group of tiles.</summary>
internal readonly unsafe struct WinogradInputs<TWide, TTransform>(WinogradJob job, WinogradPlan plan, float* input, nint first, nint end) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TTransform : struct, IWinogradTransform
{
    private const int TilesAtOnce = 4;

    public nint Count => GemmBlocking.Panels(end - first, TilesAtOnce);

    public void Invoke(int worker, nint start, nint last)
    {
        nint from = first + (start * TilesAtOnce), to = Math.Min(end, first + (last * TilesAtOnce));
        WinogradLoops<TWide, TTransform>.TransformInput(job, from, to, input + ((from - first) * plan.Inputs), plan.Inputs, plan.InputStep);
    }
}

/// <summary>The second and third stage for a group of tiles: blocks of output channels times strips of tiles.</summary>
internal readonly unsafe struct WinogradProducts<TWide, TTransform>(WinogradJob job, WinogradPlan plan, float* input, float* scratch, nint first, nint end) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TTransform : struct, IWinogradTransform
{
    private nint Strips => GemmBlocking.Panels(end - first, plan.Strip);

    public nint Count => Strips * GemmBlocking.Panels(plan.Outputs, WinogradConvolution.OutputBlock);

    public void Invoke(int worker, nint start, nint last)
    {
        float* products = scratch + (worker * plan.ProductFloats);
        for (nint item = start; item < last; item++)
        {
            // Strips first: the weights of a block of channels, which are the larger side, are read from memory once.
            nint tile = first + (item % Strips * plan.Strip), endTile = Math.Min(end, tile + plan.Strip);
            int channel = (int)(item / Strips) * WinogradConvolution.OutputBlock;
            int channels = Math.Min(WinogradConvolution.OutputBlock, plan.Outputs - channel);
            WinogradLoops<TWide, TTransform>.Multiply(
                job, channel, channels, input + ((tile - first) * plan.Inputs), plan.Inputs, plan.InputStep, endTile - tile, products, plan.ProductStep);
            WinogradLoops<TWide, TTransform>.TransformOutput(job, tile, endTile, channel, channels, products, plan.ProductStep);
        }
    }
}

/// <summary>Stores tiles of the products: over what stands, or added to it.</summary>
internal unsafe struct WinogradStore<TAdd> : ITileEpilogue
    where TAdd : struct, IFlag
{
    public float* Target;
    public byte* Next;
    public nint FetchStep;

    public static bool Fetches => true;

    public readonly bool FromRegisters => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Fetch(nint depth, out nint step)
    {
        byte* next = Next;
        step = FetchStep;
        Next += depth * step;
        return next;
    }

    public readonly void Begin<TWide, TShape>(nint row, nint column)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
    }

    public readonly TWide Start<TWide>(int i, int v)
        where TWide : unmanaged, IWide<TWide> => TWide.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Take<TWide>(int i, int v, TWide sums, TWide picked)
        where TWide : unmanaged, IWide<TWide>
    {
        float* target = Target + (i * WinogradConvolution.OutputBlock) + (v * TWide.Lanes);
        TWide.Store(target, TAdd.Value ? sums + TWide.Load(target) : sums);
        return picked;
    }

    public readonly void Finish<TWide, TShape>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape =>
        throw new System.Diagnostics.UnreachableException("There is room for whole tiles.");
}

/// <summary>The results of the transform of a column, one below another.</summary>
internal readonly unsafe struct WinogradColumn(float* to, nint step) : IWinogradSink
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Put<TWide>(int i, TWide value)
        where TWide : unmanaged, IWide<TWide> => TWide.Store(to + (i * step), value);
}

/// <summary>A line of a tile's outputs: min(max(value + bias + residual, low), high) into the map, as far as it goes.</summary>
internal unsafe struct WinogradOutput : IWinogradSink
{
    public float* Destination;
    public float* Residual;
    public float* Bias;
    public int Columns;
    public float Low;
    public float High;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Put<TWide>(int i, TWide value)
        where TWide : unmanaged, IWide<TWide>
    {
        if (i >= Columns)
            return;
        value += TWide.Load(Bias);
        if (Residual is not null)
            value += TWide.Load(Residual + (i * BlockedImages.Block));
        value = TWide.Min(TWide.Broadcast(High), TWide.Max(TWide.Broadcast(Low), value));
        TWide.Store(Destination + (i * BlockedImages.Block), value);
    }
}
