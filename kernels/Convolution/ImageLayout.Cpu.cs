using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

internal enum LayoutDirection
{
    FromNchw,
    FromNhwc,
    ToNchw,
    ToNhwc,
}

/// <summary>Copies between a plain array and blocked maps, a run of pixels of a block at a time.</summary>
internal readonly unsafe struct LayoutAction(LayoutDirection direction, float* plain, in BlockedImages maps, WorkerPool pool) : IWideAction
{
    private readonly BlockedImages _maps = maps;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        LayoutBody<TWide> body = new(direction, plain, _maps);
        pool.For(body.Rows.Count, body.Rows.Grain, ref body);
    }
}

internal readonly unsafe struct LayoutBody<TWide>(LayoutDirection direction, float* plain, in BlockedImages maps) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    private readonly BlockedImages _maps = maps;

    public MapRows Rows { get; } = new(maps, MapRows.AreJoined(maps));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        nint plane = (nint)_maps.Height * _maps.Width;
        for (nint index = start; index < end; index++)
        {
            MapRun run = Rows[index];
            int channels = run.ChannelsOf(_maps), lanes = _maps.Lanes;
            float* pixels = run.In(_maps);
            switch (direction)
            {
                case LayoutDirection.FromNchw:
                    LayoutKernels<TWide>.FromPlanes(plain + run.InNchw(_maps), plane, channels, pixels, lanes, run.Pixels);
                    break;
                case LayoutDirection.ToNchw:
                    LayoutKernels<TWide>.ToPlanes(pixels, lanes, plain + run.InNchw(_maps), plane, channels, run.Pixels);
                    break;
                case LayoutDirection.FromNhwc:
                    LayoutKernels<TWide>.CopyPixels(plain + run.InNhwc(_maps), _maps.Channels, pixels, lanes, channels, run.Pixels);
                    LayoutKernels<TWide>.ClearLanes(pixels, lanes, channels, run.Pixels);
                    break;
                default:
                    LayoutKernels<TWide>.CopyPixels(pixels, lanes, plain + run.InNhwc(_maps), _maps.Channels, channels, run.Pixels);
                    break;
            }
        }
    }
}

/// <summary>Copies blocked maps into the channels of others.</summary>
internal readonly unsafe struct LayoutCopyAction(in BlockedImages source, in BlockedImages destination, int first, WorkerPool pool) : IWideAction
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        LayoutCopyBody<TWide> body = new(_source, _destination, first);
        pool.For(body.Rows.Count, body.Rows.Grain, ref body);
    }
}

internal readonly unsafe struct LayoutCopyBody<TWide>(in BlockedImages source, in BlockedImages destination, int first) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    public MapRows Rows { get; } = new(source, MapRows.AreJoined(source) && MapRows.AreJoined(destination));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        int lanes = _destination.Lanes;
        for (nint index = start; index < end; index++)
        {
            MapRun run = Rows[index];
            float* from = run.In(_source);
            int left = run.ChannelsOf(_source), channel = first + (run.Block * _source.Lanes);
            while (left > 0)
            {
                // As many as go into one block of the destination.
                (int block, int lane) = Math.DivRem(channel, lanes);
                int count = Math.Min(left, lanes - lane);
                float* to = _destination.At(run.Image, block, run.Row, run.Column);
                LayoutKernels<TWide>.CopyPixels(from, _source.Lanes, to + lane, lanes, count, run.Pixels);
                from += count;
                channel += count;
                left -= count;
                if (channel == _destination.Channels)
                    LayoutKernels<TWide>.ClearLanes(to, lanes, lane + count, run.Pixels);
            }
        }
    }
}

/// <summary>Copies of some channels of a run of pixels.</summary>
internal static unsafe class LayoutKernels<TWide>
    where TWide : unmanaged, IWide<TWide>
{
    /// <summary>
    /// pixels[x * lanes + c] = planes[c * plane + x] for c below <paramref name="channels"/>, 0 for the other lanes: four
    /// channels of four pixels at a time turned in registers.
    /// </summary>
    public static void FromPlanes(float* planes, nint plane, int channels, float* pixels, int lanes, nint count)
    {
        if (lanes == 1)
        {
            Unsafe.CopyBlockUnaligned(pixels, planes, checked((uint)(count * sizeof(float))));
            return;
        }

        // Four planes at a time, because sixteen whose distance is a multiple of 4 KiB would evict each other from L1.
        for (int c = 0; c < lanes; c += 4)
        {
            int present = Math.Clamp(channels - c, 0, 4);
            FourFromPlanes(planes + (present == 0 ? 0 : c * plane), plane, present, pixels + c, lanes, Math.Min(4, lanes - c), count);
        }
    }

    /// <summary>planes[c * plane + x] = pixels[x * lanes + c] for c below <paramref name="channels"/>.</summary>
    public static void ToPlanes(float* pixels, int lanes, float* planes, nint plane, int channels, nint count)
    {
        if (lanes == 1)
        {
            Unsafe.CopyBlockUnaligned(planes, pixels, checked((uint)(count * sizeof(float))));
            return;
        }

        for (int c = 0; c < channels; c += 4)
            FourToPlanes(pixels + c, lanes, planes + (c * plane), plane, Math.Min(4, channels - c), count);
    }

    /// <summary>Copies <paramref name="channels"/> (1 to 16) numbers of each pixel; a stride of 0 repeats one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void CopyPixels(float* from, nint fromStride, float* to, nint toStride, int channels, nint count)
    {
        if (fromStride == channels && toStride == channels)
        {
            Unsafe.CopyBlockUnaligned(to, from, checked((uint)(count * channels * sizeof(float))));
            return;
        }

        if (channels == BlockedImages.Block)
        {
            for (; count > 0; count--, from += fromStride, to += toStride)
            {
                for (int lane = 0; lane < BlockedImages.Block; lane += TWide.Lanes)
                    TWide.Store(to + lane, TWide.Load(from + lane));
            }
        }
        else if (channels >= 4 && TWide.Lanes >= 4)
        {
            // The last four overlap those before: no pixel writes past its channels.
            for (; count > 0; count--, from += fromStride, to += toStride)
            {
                for (int lane = 0; lane < channels - 4; lane += 4)
                    Vector128.Load(from + lane).Store(to + lane);
                Vector128.Load(from + channels - 4).Store(to + channels - 4);
            }
        }
        else
        {
            for (; count > 0; count--, from += fromStride, to += toStride)
            {
                for (int lane = 0; lane < channels; lane++)
                    to[lane] = from[lane];
            }
        }
    }

    /// <summary>Sets the lanes from <paramref name="channels"/> on to zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ClearLanes(float* pixels, int lanes, int channels, nint count)
    {
        if (channels == lanes)
            return;
        for (float* end = pixels + (count * lanes); pixels < end; pixels += lanes)
        {
            for (int lane = channels; lane < lanes; lane++)
                pixels[lane] = 0f;
        }
    }

    /// <summary>Up to four lanes of each pixel from as many planes; lanes without a plane get zero.</summary>
    private static void FourFromPlanes(float* planes, nint plane, int present, float* pixels, nint lanes, int width, nint count)
    {
        nint x = 0;
        if (TWide.Lanes >= 4)
        {
            // With 2 or 3 lanes a store spills into the next pixel, which is written after it; the run's last must not.
            nint room = (count * lanes) - (3 * lanes) - 4;
            x = room < 0 ? 0 : ((room / (4 * lanes)) + 1) * 4;
            TurnPlanes(planes, planes + x, present < 2 ? 0 : plane, present < 3 ? 0 : 2 * plane, present < 4 ? 0 : 3 * plane, present, pixels, lanes);
        }

        for (; x < count; x++)
        {
            for (int c = 0; c < width; c++)
                pixels[(x * lanes) + c] = c < present ? planes[(c * plane) + x] : 0f;
        }
    }

    /// <summary>Four pixels at a time. A missing plane has the distance 0: it reads the first, and is masked out.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TurnPlanes(float* from, float* end, nint plane1, nint plane2, nint plane3, int present, float* to, nint lanes)
    {
        Vector128<float> mask0 = Mask(present > 0), mask1 = Mask(present > 1), mask2 = Mask(present > 2), mask3 = Mask(present > 3);
        nint third = 3 * lanes, four = 4 * lanes;
        for (; from < end; from += 4, to += four)
        {
            Vector128<float> a = Vector128.Load(from) & mask0, b = Vector128.Load(from + plane1) & mask1;
            Vector128<float> c = Vector128.Load(from + plane2) & mask2, d = Vector128.Load(from + plane3) & mask3;
            Transpose4.Rows(ref a, ref b, ref c, ref d);
            a.Store(to);
            b.Store(to + lanes);
            c.Store(to + (2 * lanes));
            d.Store(to + third);
        }
    }

    /// <summary>Up to four lanes of each pixel to as many planes. Reads up to 3 floats past the last pixel.</summary>
    private static void FourToPlanes(float* pixels, nint lanes, float* planes, nint plane, int present, nint count)
    {
        nint x = 0;
        if (TWide.Lanes >= 4)
        {
            x = count & ~3;
            if (present == 4)
                TurnPixels(pixels, lanes, planes, planes + x, plane);
            else
                TurnSomePixels(pixels, lanes, planes, planes + x, plane, present);
        }

        for (; x < count; x++)
        {
            for (int c = 0; c < present; c++)
                planes[(c * plane) + x] = pixels[(x * lanes) + c];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TurnPixels(float* from, nint lanes, float* to, float* end, nint plane)
    {
        nint third = 3 * lanes, plane3 = 3 * plane, four = 4 * lanes;
        for (; to < end; from += four, to += 4)
        {
            Vector128<float> a = Vector128.Load(from), b = Vector128.Load(from + lanes);
            Vector128<float> c = Vector128.Load(from + (2 * lanes)), d = Vector128.Load(from + third);
            Transpose4.Rows(ref a, ref b, ref c, ref d);
            a.Store(to);
            b.Store(to + plane);
            c.Store(to + (2 * plane));
            d.Store(to + plane3);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TurnSomePixels(float* from, nint lanes, float* to, float* end, nint plane, int present)
    {
        for (; to < end; from += 4 * lanes, to += 4)
        {
            Vector128<float> a = Vector128.Load(from), b = Vector128.Load(from + lanes);
            Vector128<float> c = Vector128.Load(from + (2 * lanes)), d = Vector128.Load(from + (3 * lanes));
            Transpose4.Rows(ref a, ref b, ref c, ref d);
            a.Store(to);
            if (present > 1)
                b.Store(to + plane);
            if (present > 2)
                c.Store(to + (2 * plane));
        }
    }

    private static Vector128<float> Mask(bool present) => present ? Vector128<float>.AllBitsSet : Vector128<float>.Zero;
}
