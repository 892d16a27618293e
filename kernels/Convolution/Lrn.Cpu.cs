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

    // All squares of a few pixels are stored before any is read: a load across two stores waits until they have reached L1.
    private const int AtOnce = 8;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        // Squares of a pixel's channels, with zeros before and behind.
        nint before = (size - 1) / 2, length = ((nint)_source.Blocks * _source.Lanes) + size + BlockedImages.Block;
        using Scratch<float> squares = new(AtOnce * length);
        for (nint i = 0; i < AtOnce * length; i++)
            squares.Pointer[i] = 0f;
        for (nint index = start; index < end; index++)
        {
            (nint image, nint y) = Math.DivRem(index, _source.Height);
            for (nint x = 0; x < _source.Width; x += AtOnce)
            {
                nint count = Math.Min(AtOnce, _source.Width - x);
                for (nint i = 0; i < count; i++)
                    Square(_source.At((int)image, 0, y, x + i), squares.Pointer + (i * length) + before);
                for (nint i = 0; i < count; i++)
                    Normalise(_source.At((int)image, 0, y, x + i), squares.Pointer + (i * length), _destination.At((int)image, 0, y, x + i));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Square(float* from, float* squares)
    {
        int lanes = _source.Lanes, blocks = _source.Blocks;
        nint step = _source.BlockStride;
        for (int block = 0; block < blocks; block++, from += step)
        {
            for (int lane = 0; lane < lanes; lane += TWide.Lanes)
            {
                TWide x = TWide.Load(from + lane);
                TWide.Store(squares + (block * lanes) + lane, x * x);
            }
        }

        for (int surplus = _source.Channels; surplus < blocks * lanes; surplus++)
            squares[surplus] = 0f;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Normalise(float* from, float* squares, float* to)
    {
        int lanes = _source.Lanes;
        nint step = _source.BlockStride, toStep = _destination.BlockStride;
        bool threeQuarters = beta == 0.75f;
        TWide factor = TWide.Broadcast(alpha), term = TWide.Broadcast(bias), exponent = TWide.Broadcast(-beta);
        for (int block = _source.Blocks; block > 0; block--, from += step, to += toStep, squares += lanes)
        {
            for (int lane = 0; lane < lanes; lane += TWide.Lanes)
            {
                TWide sum = TWide.Load(squares + lane);
                for (int i = 1; i < size; i++)
                    sum += TWide.Load(squares + lane + i);
                TWide v = TWide.MultiplyAdd(sum, factor, term), x = TWide.Load(from + lane);
                if (threeQuarters)
                {
                    // What AlexNet and GoogLeNet have.
                    TWide root = TWide.Sqrt(v);
                    TWide.Store(to + lane, x / (root * TWide.Sqrt(root)));
                }
                else
                {
                    // The logarithm of NaN is a number, so NaN is put back.
                    TWide power = TWide.MaxOrNaN(TWide.Min(TWide.Zero, v), WideMath.Exp(WideMath.Log(v) * exponent));
                    TWide.Store(to + lane, x * power);
                }
            }
        }
    }
}
