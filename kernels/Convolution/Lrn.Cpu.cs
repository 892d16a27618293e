using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

internal readonly struct LrnAction(
    in BlockedImages source, in BlockedImages destination, int size, float alpha, float beta, float bias, WorkerPool pool) : IWideAction
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        LrnBody<TWide> body = new(_source, _destination, size, alpha, beta, bias);
        pool.For((nint)_source.Images * _source.Height, Math.Max(1, 8192 / ((nint)_source.Width * _source.Channels)), ref body);
    }
}

internal readonly unsafe struct LrnBody<TWide>(in BlockedImages source, in BlockedImages destination, int size, float alpha, float beta, float bias) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    public void Invoke(int worker, nint start, nint end)
    {
        // Squares of a pixel's channels, with zeros before and behind.
        nint before = (size - 1) / 2, channels = (nint)_source.Blocks * _source.Lanes, length = channels + size + BlockedImages.Block;
        using Scratch<float> squares = new(length);
        for (nint i = 0; i < length; i++)
            squares.Pointer[i] = 0f;
        for (nint index = start; index < end; index++)
        {
            (nint image, nint y) = Math.DivRem(index, _source.Height);
            for (nint x = 0; x < _source.Width; x++)
                Pixel(_source.At((int)image, 0, y, x), squares.Pointer + before, before, _destination.At((int)image, 0, y, x));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Pixel(float* from, float* squares, nint before, float* to)
    {
        int lanes = _source.Lanes, blocks = _source.Blocks;
        for (int block = 0; block < blocks; block++)
        {
            for (int lane = 0; lane < lanes; lane += TWide.Lanes)
            {
                TWide x = TWide.Load(from + (block * _source.BlockStride) + lane);
                TWide.Store(squares + (block * lanes) + lane, x * x);
            }
        }

        for (int surplus = _source.Channels; surplus < blocks * lanes; surplus++)
            squares[surplus] = 0f;
        TWide factor = TWide.Broadcast(alpha), term = TWide.Broadcast(bias), exponent = TWide.Broadcast(-beta);
        for (int block = 0; block < blocks; block++)
        {
            for (int lane = 0; lane < lanes; lane += TWide.Lanes)
            {
                float* first = squares + (block * lanes) + lane - before;
                TWide sum = TWide.Load(first);
                for (int i = 1; i < size; i++)
                    sum += TWide.Load(first + i);
                TWide v = TWide.MultiplyAdd(sum, factor, term);

                // The logarithm of NaN is a number, so NaN is put back.
                TWide power = TWide.MaxOrNaN(TWide.Min(TWide.Zero, v), WideMath.Exp(WideMath.Log(v) * exponent));
                TWide.Store(to + (block * _destination.BlockStride) + lane, TWide.Load(from + (block * _source.BlockStride) + lane) * power);
            }
        }
    }
}
