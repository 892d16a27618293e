using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

internal readonly struct SoftmaxRowsAction(MatrixView<float> source, MatrixView<float> destination, WorkerPool pool) : IWideAction
{
    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        SoftmaxRowsBody<TWide> body = new(source, destination);
        pool.For(source.Rows, Math.Max(1, 8192 / source.Columns), ref body);
    }
}

internal readonly unsafe struct SoftmaxRowsBody<TWide>(MatrixView<float> source, MatrixView<float> destination) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        for (nint row = start; row < end; row++)
            SoftmaxRow<TWide>.Apply(source.Row(row), destination.Row(row), source.Columns);
    }
}

internal readonly struct SoftmaxChannelsAction(in BlockedImages source, in BlockedImages destination, WorkerPool pool) : IWideAction
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        SoftmaxChannelsBody<TWide> body = new(_source, _destination);
        pool.For((nint)_source.Images * _source.Height, Math.Max(1, 8192 / ((nint)_source.Width * _source.Channels)), ref body);
    }
}

/// <summary>Takes the channels of a pixel together, does them as a row and spreads them again.</summary>
internal readonly unsafe struct SoftmaxChannelsBody<TWide>(in BlockedImages source, in BlockedImages destination) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        int lanes = _source.Lanes, blocks = _source.Blocks, channels = _source.Channels;
        uint bytes = (uint)lanes * sizeof(float);
        using Scratch<float> row = new((nint)blocks * lanes);
        for (nint index = start; index < end; index++)
        {
            (nint image, nint y) = Math.DivRem(index, _source.Height);
            for (nint x = 0; x < _source.Width; x++)
            {
                float* from = _source.At((int)image, 0, y, x), to = _destination.At((int)image, 0, y, x);
                for (nint block = 0; block < blocks; block++)
                    Unsafe.CopyBlockUnaligned(row.Pointer + (block * lanes), from + (block * _source.BlockStride), bytes);
                SoftmaxRow<TWide>.Apply(row.Pointer, row.Pointer, channels);
                for (nint surplus = channels; surplus < (nint)blocks * lanes; surplus++)
                    row.Pointer[surplus] = 0f;
                for (nint block = 0; block < blocks; block++)
                    Unsafe.CopyBlockUnaligned(to + (block * _destination.BlockStride), row.Pointer + (block * lanes), bytes);
            }
        }
    }
}

internal static unsafe class SoftmaxRow<TWide>
    where TWide : unmanaged, IWide<TWide>
{
    /// <summary>The softmax of <paramref name="count"/> numbers, 1 or more; source and destination may be the same.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Apply(float* source, float* destination, nint count)
    {
        // x - m of infinite m is NaN where it has to be, and exp keeps it.
        TWide largest = TWide.Broadcast(Largest(source, count)), sum = TWide.Zero;
        nint i = 0;
        for (nint end = count - TWide.Lanes; i <= end; i += TWide.Lanes)
        {
            TWide power = WideMath.Exp(TWide.Load(source + i) - largest);
            TWide.Store(destination + i, power);
            sum += power;
        }

        int left = (int)(count - i);
        if (left > 0)
        {
            TWide.StoreFirst(destination + i, WideMath.Exp(TWide.LoadFirst(source + i, left) - largest), left);
            sum += TWide.LoadFirst(destination + i, left);
        }

        TWide factor = TWide.Broadcast(1f / TWide.Sum(sum));
        i = 0;
        for (nint end = count - TWide.Lanes; i <= end; i += TWide.Lanes)
            TWide.Store(destination + i, TWide.Load(destination + i) * factor);
        if (left > 0)
            TWide.StoreFirst(destination + i, TWide.LoadFirst(destination + i, left) * factor, left);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Largest(float* source, nint count)
    {
        float result = source[0];
        nint i = 0;
        if (count >= TWide.Lanes)
        {
            TWide largest = TWide.Load(source);
            for (i = TWide.Lanes; i <= count - TWide.Lanes; i += TWide.Lanes)
                largest = TWide.MaxOrNaN(TWide.Load(source + i), largest);
            float* lanes = stackalloc float[BlockedImages.Block];
            TWide.Store(lanes, largest);
            for (int lane = 0; lane < TWide.Lanes; lane++)
                result = MathF.Max(result, lanes[lane]); // NaN where either is
        }

        for (; i < count; i++)
            result = MathF.Max(result, source[i]);
        return result;
    }
}
