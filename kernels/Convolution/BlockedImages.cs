using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// A batch of feature maps with blocked channels (oneDNN's nChw16c): [image][block of channels][row][column][channel of the
/// block]. All kernels of convolutional networks work on it; <see cref="ImageLayout"/> converts from and to NCHW and NHWC.
/// </summary>
/// <remarks>
/// <para>A block has 16 channels; feature maps of at most <see cref="MostInterleaved"/> channels (pictures, spectrograms) may
/// have one block of just their channels instead. Where the last block has more lanes than there are channels, the surplus
/// lanes hold finite numbers of no meaning.</para>
/// <para>Around each map lies a <see cref="Halo"/> of pixels that are zero, so that a convolution reads its padding without
/// asking; operators write the maps and leave the halo alone. Memory after the last pixel is readable for
/// <see cref="Slack"/> floats, because tiles are computed whole.</para>
/// <para>A view: it owns nothing.</para>
/// </remarks>
public readonly unsafe struct BlockedImages
{
    /// <summary>Channels of a block.</summary>
    public const int Block = 16;

    /// <summary>Up to so many channels may stand without surplus lanes.</summary>
    public const int MostInterleaved = 4;

    /// <summary>Floats after the last pixel that must be readable.</summary>
    public const int Slack = 64 * Block;

    /// <summary>Feature maps that stand one after another from <paramref name="buffer"/> on, halo first.</summary>
    /// <param name="buffer">At least <see cref="Length"/> floats, aligned to 64 bytes.</param>
    /// <param name="images">Images, 0 or more.</param>
    /// <param name="channels">Channels, 1 or more.</param>
    /// <param name="height">Rows, 1 or more.</param>
    /// <param name="width">Columns, 1 or more.</param>
    /// <param name="halo">Zero pixels around each map.</param>
    /// <param name="lanes">Channels of a block: 16, or <paramref name="channels"/> where these are at most 4.</param>
    public BlockedImages(float* buffer, int images, int channels, int height, int width, Margins halo = default, int lanes = Block)
    {
        Check(images, channels, height, width, halo, lanes);
        (Images, Channels, Height, Width, Halo, Lanes) = (images, channels, height, width, halo, lanes);
        RowStride = (nint)lanes * (halo.Left + width + halo.Right);
        BlockStride = RowStride * (halo.Top + height + halo.Bottom);
        ImageStride = BlockStride * Blocks;
        Data = buffer + (halo.Top * RowStride) + ((nint)halo.Left * lanes);
    }

    private BlockedImages(in BlockedImages of, float* data, int images, int channels)
    {
        this = of;
        Data = data;
        (Images, Channels) = (images, channels);
    }

    /// <summary>Row 0, column 0 of the first block of image 0.</summary>
    public float* Data { get; }

    /// <summary>Images of the batch.</summary>
    public int Images { get; }

    /// <summary>Channels of an image.</summary>
    public int Channels { get; }

    /// <summary>Rows of a map.</summary>
    public int Height { get; }

    /// <summary>Columns of a map.</summary>
    public int Width { get; }

    /// <summary>Channels that stand side by side, the floats from pixel to pixel: 16, or <see cref="Channels"/>.</summary>
    public int Lanes { get; }

    /// <summary>Zero pixels around each map.</summary>
    public Margins Halo { get; }

    /// <summary>Floats from row to row.</summary>
    public nint RowStride { get; }

    /// <summary>Floats from one block of channels to the next.</summary>
    public nint BlockStride { get; }

    /// <summary>Floats from image to image.</summary>
    public nint ImageStride { get; }

    /// <summary>Blocks of channels.</summary>
    public int Blocks => (Channels + Lanes - 1) / Lanes;

    /// <summary>Floats that a batch takes, with its halo and the readable memory after it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An extent is out of range, or the floats overflow.</exception>
    public static nint Length(int images, int channels, int height, int width, Margins halo = default, int lanes = Block)
    {
        Check(images, channels, height, width, halo, lanes);
        Int128 floats = (Int128)images * ((channels + lanes - 1) / lanes) * (halo.Top + height + halo.Bottom) * (halo.Left + width + halo.Right) * lanes;
        if (floats > nint.MaxValue / sizeof(float) / 2)
            throw new ArgumentOutOfRangeException(nameof(images), images, $"{images} x {channels} x {height} x {width} floats do not fit the address space.");
        return (nint)floats + Slack;
    }

    /// <summary>The first channel of a block at a pixel; in the halo for rows and columns outside the map.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float* At(int image, int block, nint row, nint column) =>
        Data + (image * ImageStride) + (block * BlockStride) + (row * RowStride) + (column * Lanes);

    /// <summary>Some images of the batch.</summary>
    public BlockedImages SliceImages(int first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)first + count, Images, nameof(count));
        return new(this, Data + (first * ImageStride), count, Channels);
    }

    /// <summary>Some channels of all images, from the first of a block on: concatenation without a copy.</summary>
    /// <param name="first">A multiple of <see cref="Lanes"/>.</param>
    /// <param name="count">Channels.</param>
    public BlockedImages SliceChannels(int first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)first + count, Channels, nameof(count));
        if (first % Lanes != 0)
            throw new ArgumentOutOfRangeException(nameof(first), first, $"Must be a multiple of {Lanes}.");
        return new(this, Data + (first / Lanes * BlockStride), Images, count);
    }

    /// <summary>Writes zeros to the halo of all maps.</summary>
    public void ClearHalo()
    {
        for (int image = 0; Halo != default && image < Images; image++)
        {
            for (int block = 0; block < Blocks; block++)
                ClearHalo(At(image, block, 0, 0));
        }
    }

    private void ClearHalo(float* map)
    {
        float* start = map - (Halo.Top * RowStride) - (Halo.Left * Lanes);
        Clear(start, Halo.Top * RowStride);
        Clear(start + ((Halo.Top + (nint)Height) * RowStride), Halo.Bottom * RowStride);
        for (nint row = 0; row < Height; row++)
        {
            float* pixel = map + (row * RowStride);
            Clear(pixel - (Halo.Left * Lanes), Halo.Left * Lanes);
            Clear(pixel + ((nint)Width * Lanes), Halo.Right * Lanes);
        }
    }

    private static void Clear(float* from, nint floats) => NativeMemory.Clear(from, (nuint)floats * sizeof(float));

    private static void Check(int images, int channels, int height, int width, Margins halo, int lanes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(images);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(channels);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        if (Math.Min(Math.Min(halo.Top, halo.Left), Math.Min(halo.Bottom, halo.Right)) < 0)
            throw new ArgumentOutOfRangeException(nameof(halo), halo, "No side may be negative.");
        if (lanes != Block && (lanes != channels || channels > MostInterleaved))
            throw new ArgumentOutOfRangeException(nameof(lanes), lanes, $"Must be {Block}, or the number of channels ({channels}) where that is at most {MostInterleaved}.");
    }
}
