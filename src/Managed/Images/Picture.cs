namespace EmbeddingKernels;

/// <summary>
/// A picture in memory: rows from the top, three bytes (red, green, blue) for each pixel, no gaps. Reads PNG, JPEG (baseline and
/// progressive), BMP and Netpbm's PBM, PGM and PPM, told apart by their content, not by their names.
/// </summary>
/// <remarks>
/// <para>What a file has besides 8-bit RGB is brought to it as Pillow's <c>Image.open(path).convert("RGB")</c> does: alpha is dropped,
/// palettes are looked up, JPEG's chroma is interpolated as libjpeg does by default. Of 16-bit samples the upper byte is kept. An
/// orientation in EXIF data and colour profiles are ignored.</para>
/// <para>Damaged files end in a <see cref="DataFormatException"/>, and a claimed size is compared with the file's length before memory is
/// taken for it. Reading a picture from several threads is safe.</para>
/// </remarks>
public sealed partial class Picture
{
    /// <summary>Pixels that one picture holds at most: what the bytes of one array allow.</summary>
    internal const long MostPixels = 0x7FFFFFC7 / 3;

    private readonly byte[] _pixels;

    /// <summary>A black picture.</summary>
    /// <param name="width">Pixels of a row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or the pixels are more than 715 million.</exception>
    public Picture(int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        if ((long)width * height > MostPixels)
            throw new ArgumentOutOfRangeException(nameof(height), height, $"{width} x {height} pixels are more than {MostPixels:N0}.");
        Width = width;
        Height = height;
        _pixels = new byte[3 * width * height];
    }

    /// <summary>A copy of pixels in memory.</summary>
    /// <param name="width">Pixels of a row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="rgb">Red, green, blue of each pixel, row after row from the top.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or the pixels are more than 715 million.</exception>
    /// <exception cref="ArgumentException"><paramref name="rgb"/> has not three bytes for each pixel.</exception>
    public Picture(int width, int height, ReadOnlySpan<byte> rgb)
        : this(width, height)
    {
        if (rgb.Length != _pixels.Length)
            throw new ArgumentException($"{width} x {height} pixels take {_pixels.Length} bytes, not {rgb.Length}.", nameof(rgb));
        rgb.CopyTo(_pixels);
    }

    /// <summary>Pixels of a row.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>Red, green, blue of each pixel, row after row from the top. Writing to the span writes to the picture.</summary>
    public Span<byte> Pixels => _pixels;

    /// <summary>Red, green, blue of each pixel of a row.</summary>
    /// <param name="y">The row, 0 at the top.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="y"/> is no row.</exception>
    public Span<byte> Row(int y)
    {
        if ((uint)y >= (uint)Height)
            throw new ArgumentOutOfRangeException(nameof(y), y, $"The picture has {Height} rows.");
        return _pixels.AsSpan(3 * Width * y, 3 * Width);
    }

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file; its name does not matter.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="DataFormatException">The file is none of the known formats, damaged, or larger than the options allow.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Picture Load(string path, PictureOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        return Decode(file, path, options);
    }

    /// <summary>Reads a picture from where the stream stands, to the stream's end, and leaves it open.</summary>
    /// <param name="stream">The bytes of one file.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="DataFormatException">The data is none of the known formats, damaged, or larger than the options allow.</exception>
    /// <exception cref="IOException">The stream cannot be read.</exception>
    public static Picture Decode(Stream stream, PictureOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return Decode(stream, stream is FileStream { Name.Length: > 0 } file ? file.Name : "stream", options);
    }

    /// <summary>Reads a picture from the bytes of a file.</summary>
    /// <param name="file">The bytes of one file.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="DataFormatException">The data is none of the known formats, damaged, or larger than the options allow.</exception>
    public static Picture Decode(ReadOnlySpan<byte> file, PictureOptions? options = null)
    {
        DecoderOf(file, "memory");
        return Decode(file.ToArray(), "memory", options);
    }

    /// <summary>Writes the picture as a PNG file; a file of that name is replaced when the new one is whole.</summary>
    /// <param name="path">The file to write.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void SavePng(string path) => AtomicFile.Write(path, SavePng);

    /// <summary>Writes the picture as PNG, 8-bit RGB, and leaves the stream open.</summary>
    /// <param name="stream">Where to write.</param>
    /// <exception cref="IOException">The stream cannot be written.</exception>
    public void SavePng(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        Png.Write(stream, this);
    }

    private static Picture Decode(Stream stream, string name, PictureOptions? options)
    {
        // What is no picture is known by its first bytes, however long it is.
        byte[] start = new byte[16];
        int read = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        DecoderOf(start.AsSpan(0, read), name);
        long length = stream.CanSeek ? stream.Length - stream.Position + read : 0;
        if (length > Array.MaxLength)
            throw new DataFormatException(name, 0, null, $"a picture's file of {length} bytes");
        using MemoryStream whole = new((int)Math.Max(length, read));
        whole.Write(start, 0, read);
        try
        {
            stream.CopyTo(whole);
        }
        catch (IOException exception) when (whole.Length > Array.MaxLength - (1 << 20))
        {
            throw new DataFormatException(name, whole.Length, null, "a picture's file of more than 2 GB", exception);
        }

        return Decode(whole.Capacity == whole.Length ? whole.GetBuffer() : whole.ToArray(), name, options);
    }

    private static Picture Decode(byte[] data, string name, PictureOptions? options)
    {
        options ??= new PictureOptions();
        options.Validate();
        return DecoderOf(data, name)(new ImageBytes(name, data, options.MaximumPixels));
    }

    private static Func<ImageBytes, Picture> DecoderOf(ReadOnlySpan<byte> start, string name) =>
        PngDecoder.Is(start) ? PngDecoder.Decode
        : JpegDecoder.Is(start) ? JpegDecoder.Decode
        : BmpDecoder.Is(start) ? BmpDecoder.Decode
        : NetpbmDecoder.Is(start) ? NetpbmDecoder.Decode
        : throw new DataFormatException(name, 0, null, start.IsEmpty ? "the file is empty" : "this is no PNG, JPEG, BMP, PPM, PGM or PBM file");
}
