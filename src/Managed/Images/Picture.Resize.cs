namespace EmbeddingKernels;

public sealed partial class Picture
{
    /// <summary>The picture at another size; its proportions may change.</summary>
    /// <param name="width">Pixels of a row of the result, at least 1.</param>
    /// <param name="height">Rows of the result, at least 1.</param>
    /// <param name="filter">How.</param>
    /// <returns>
    /// A picture of its own. With <see cref="ResizeFilter.BilinearAntialias"/> its bytes are those of Pillow; otherwise they are rounded to the nearest.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, the pixels are more than 715 million, or the filter is unknown.</exception>
    public Picture Resize(int width, int height, ResizeFilter filter = ResizeFilter.BilinearAntialias)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        DataChecks.Defined(filter, nameof(filter));
        if (width == Width && height == Height)
            return new Picture(Width, Height, _pixels);
        return filter == ResizeFilter.BilinearAntialias ? Resampling.Antialiased(this, width, height) : Resampling.Bilinear(this, width, height);
    }

    /// <summary>The picture so that its shorter side has <paramref name="size"/> pixels; the longer one keeps the proportions, rounded down.</summary>
    /// <param name="size">Pixels of the shorter side, at least 1.</param>
    /// <param name="filter">How.</param>
    /// <returns>A picture of its own, as torchvision's <c>Resize(size)</c> gives it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The size is below 1, the pixels become more than 715 million, or the filter is unknown.</exception>
    public Picture ResizeShorterSide(int size, ResizeFilter filter = ResizeFilter.BilinearAntialias)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        (long width, long height) = ShorterSide(size);
        if (width > MostPixels / height)
            throw new ArgumentOutOfRangeException(nameof(size), size, $"A picture of {Width} x {Height} becomes larger than {MostPixels:N0} pixels.");
        return Resize((int)width, (int)height, filter);
    }

    /// <summary>The size that <see cref="ResizeShorterSide"/> gives.</summary>
    internal (long Width, long Height) ShorterSide(int size) =>
        Width <= Height ? (size, (long)size * Height / Width) : ((long)size * Width / Height, size);

    /// <summary>A smaller picture of the same proportions, for a thumbnail.</summary>
    /// <param name="longerSide">Pixels that the longer side has at most, at least 1.</param>
    /// <returns>The picture itself where it is no larger.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The size is below 1.</exception>
    public Picture ReduceTo(int longerSide)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(longerSide, 1);
        double factor = (double)longerSide / Math.Max(Width, Height);
        return factor >= 1 ? this : Resize((int)Math.Max(1, Math.Round(Width * factor)), (int)Math.Max(1, Math.Round(Height * factor)));
    }

    /// <summary>A part of the picture.</summary>
    /// <param name="left">The part's first column; it may lie outside the picture, which is continued in black.</param>
    /// <param name="top">The part's first row; it may lie outside as well.</param>
    /// <param name="width">Pixels of a row of the part, at least 1.</param>
    /// <param name="height">Rows of the part, at least 1.</param>
    /// <returns>A picture of its own.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or the pixels are more than 715 million.</exception>
    public Picture Crop(int left, int top, int width, int height)
    {
        Picture part = new(width, height);
        int from = (int)Math.Clamp(left, 0L, Width), to = (int)Math.Clamp((long)left + width, from, Width);
        for (int y = 0; y < height; y++)
        {
            if ((long)top + y is >= 0 and long row && row < Height && to > from)
                Row((int)row)[(3 * from)..(3 * to)].CopyTo(part.Row(y)[(3 * (from - left))..]);
        }

        return part;
    }

    /// <summary>The middle of the picture, as torchvision's <c>CenterCrop</c> takes it; where the picture is smaller, with black around it.</summary>
    /// <param name="width">Pixels of a row of the part, at least 1.</param>
    /// <param name="height">Rows of the part, at least 1.</param>
    /// <returns>A picture of its own.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or the pixels are more than 715 million.</exception>
    public Picture CentreCrop(int width, int height) => Crop(Start(Width, width), Start(Height, height), width, height);

    /// <summary>Half of what is left over; halves go to the even number, as Python rounds them. Padding puts the odd pixel behind.</summary>
    private static int Start(int whole, int part) => whole >= part ? (int)Math.Round((whole - part) / 2.0) : -((part - whole) / 2);
}
