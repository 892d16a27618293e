namespace EmbeddingKernels;

/// <summary>How a picture of other proportions comes to the network's height and width.</summary>
public enum ImageFit
{
    /// <summary>The shorter side is brought to <see cref="ImagePreset.ShorterSide"/> times the network's, then the middle is cut out.</summary>
    ResizeThenCrop,

    /// <summary>The largest part in the middle with the network's proportions is cut out, then brought to its size.</summary>
    CropThenResize,

    /// <summary>Width and height are brought to the network's, whatever becomes of the proportions.</summary>
    Stretch,
}

/// <summary>
/// What becomes of a picture before a network sees it: size, order of colours, and for each colour
/// <c>(value * <see cref="Scale"/> - mean) / deviation</c>. The six named ones are what the weights in circulation were trained with.
/// </summary>
/// <remarks>
/// A picture that already has the network's size is taken as it is where <see cref="ShorterSide"/> is 1 or the network's input is small.
/// </remarks>
public sealed record ImagePreset
{
    /// <summary>Inputs below this many pixels on their shorter side, as of networks for CIFAR, get the whole picture and no margin.</summary>
    public const int SmallInput = 64;

    private static readonly ImagePreset[] Named =
    [
        new()
        {
            Name = "torchvision",
            Fit = ImageFit.ResizeThenCrop,
            ShorterSide = 256.0 / 224,
            Scale = 1.0 / 255,
            Mean = (0.485, 0.456, 0.406),
            Deviation = (0.229, 0.224, 0.225),
        },
        new() { Name = "keras-caffe", Fit = ImageFit.Stretch, Filter = ResizeFilter.Bilinear, BlueFirst = true, Mean = (123.68, 116.779, 103.939) },
        new() { Name = "tf", Fit = ImageFit.Stretch, Filter = ResizeFilter.Bilinear, Scale = 1 / 127.5, Mean = (1, 1, 1) },
        new() { Name = "raw255-bgr", BlueFirst = true },
        new() { Name = "raw255-rgb" },
        new() { Name = "unit", Scale = 1.0 / 255 },
    ];

    /// <summary>
    /// torchvision's weights for ImageNet and what follows them: shorter side to 256/224 of the input, middle, 0..1, less the mean
    /// (0.485, 0.456, 0.406), by the deviation (0.229, 0.224, 0.225). Pictures for inputs below 64 pixels are not cut: so with CIFAR networks.
    /// </summary>
    public static ImagePreset Torchvision => Named[0];

    /// <summary>
    /// Keras's <c>preprocess_input</c> of VGG and ResNet, from Caffe: stretched, blue first, 0..255 less (103.939, 116.779, 123.68). Keras's
    /// own <c>load_img</c> takes the nearest pixel where this interpolates.
    /// </summary>
    public static ImagePreset KerasCaffe => Named[1];

    /// <summary>Keras's and TensorFlow's <c>preprocess_input</c> of MobileNet, Inception, ResNet v2: stretched as <c>tf.image.resize</c>, -1..1.</summary>
    public static ImagePreset TensorFlow => Named[2];

    /// <summary>The middle square, blue first, 0..255: the SqueezeNet of Windows ML.</summary>
    public static ImagePreset Raw255Bgr => Named[3];

    /// <summary>The middle square, red first, 0..255: networks that normalise by themselves.</summary>
    public static ImagePreset Raw255Rgb => Named[4];

    /// <summary>The middle square, red first, 0..1.</summary>
    public static ImagePreset Unit => Named[5];

    /// <summary>The names that <see cref="Parse"/> knows.</summary>
    public static IReadOnlyList<string> Names { get; } = Array.ConvertAll(Named, p => p.Name);

    /// <summary>The preset's name, or what its maker calls it.</summary>
    public string Name { get; init; } = "custom";

    /// <summary>How other proportions are dealt with.</summary>
    public ImageFit Fit { get; init; } = ImageFit.CropThenResize;

    /// <summary>With <see cref="ImageFit.ResizeThenCrop"/>: the shorter side before the cut, in units of the network's shorter side; at least 1.</summary>
    public double ShorterSide { get; init; } = 1;

    /// <summary>How pictures are resized.</summary>
    public ResizeFilter Filter { get; init; } = ResizeFilter.BilinearAntialias;

    /// <summary>Whether the first channel is blue (BGR) and not red (RGB).</summary>
    public bool BlueFirst { get; init; }

    /// <summary>What bytes are multiplied by.</summary>
    public double Scale { get; init; } = 1;

    /// <summary>What is subtracted then, whatever the order of channels.</summary>
    public (double Red, double Green, double Blue) Mean { get; init; }

    /// <summary>What the rest is divided by; not 0.</summary>
    public (double Red, double Green, double Blue) Deviation { get; init; } = (1, 1, 1);

    /// <summary>The preset of a name.</summary>
    /// <param name="name">One of <see cref="Names"/>, in any case.</param>
    /// <exception cref="ArgumentException">There is no such preset.</exception>
    public static ImagePreset Parse(string name) =>
        Array.Find(Named, p => p.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
        ?? throw new ArgumentException($"There is no preset '{name}'; there are {string.Join(", ", Names)}.", nameof(name));

    /// <summary>Checks the values.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    public void Validate()
    {
        DataChecks.Defined(Fit, nameof(Fit));
        DataChecks.Defined(Filter, nameof(Filter));
        if (!(ShorterSide >= 1 && ShorterSide <= 16))
            throw new ArgumentOutOfRangeException(nameof(ShorterSide), ShorterSide, "The shorter side must be 1 to 16 times the network's.");
        if (!double.IsFinite(Scale))
            throw new ArgumentOutOfRangeException(nameof(Scale), Scale, "The scale must be a finite number.");
        foreach (double deviation in (ReadOnlySpan<double>)[Deviation.Red, Deviation.Green, Deviation.Blue])
        {
            if (deviation == 0 || !double.IsFinite(deviation))
                throw new ArgumentOutOfRangeException(nameof(Deviation), Deviation, "No deviation may be 0 or infinite.");
        }
    }

    /// <summary>Makes one picture's input for a network: three channels of height x width floats, one after the other (CHW).</summary>
    /// <param name="picture">The picture, of any size.</param>
    /// <param name="height">Rows of the network's input, at least 1.</param>
    /// <param name="width">Columns of the network's input, at least 1.</param>
    /// <param name="chw">Receives 3 x height x width values.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1, or a value of the preset is outside its range.</exception>
    /// <exception cref="ArgumentException"><paramref name="chw"/> has not 3 x height x width elements.</exception>
    public void ToTensor(Picture picture, int height, int width, Span<float> chw)
    {
        ArgumentNullException.ThrowIfNull(picture);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        if (chw.Length != 3L * height * width)
            throw new ArgumentException($"3 x {height} x {width} values do not fit {chw.Length} elements.", nameof(chw));
        Validate();
        int plane = height * width;
        Span<float> red = chw.Slice(BlueFirst ? 2 * plane : 0, plane), green = chw.Slice(plane, plane), blue = chw.Slice(BlueFirst ? 0 : 2 * plane, plane);
        (float Factor, float Shift) r = Line(Mean.Red, Deviation.Red), g = Line(Mean.Green, Deviation.Green), b = Line(Mean.Blue, Deviation.Blue);
        Picture cut = Cut(picture, height, width);
        if (cut.Width == width && cut.Height == height)
        {
            ReadOnlySpan<byte> pixels = cut.Pixels;
            for (int p = 0, i = 0; p < plane; p++, i += 3)
            {
                red[p] = pixels[i] * r.Factor + r.Shift;
                green[p] = pixels[i + 1] * g.Factor + g.Shift;
                blue[p] = pixels[i + 2] * b.Factor + b.Shift;
            }

            return;
        }

        // Without antialiasing values between bytes are kept, as TensorFlow keeps them.
        Resampling.Places across = Resampling.Places.Create(cut.Width, width), down = Resampling.Places.Create(cut.Height, height);
        float[] row = new float[3 * width];
        for (int y = 0; y < height; y++)
        {
            Resampling.BilinearRow(cut, across, down, y, row);
            for (int x = 0, i = 0; x < width; x++, i += 3)
            {
                int p = y * width + x;
                red[p] = row[i] * r.Factor + r.Shift;
                green[p] = row[i + 1] * g.Factor + g.Shift;
                blue[p] = row[i + 2] * b.Factor + b.Shift;
            }
        }
    }

    /// <summary>
    /// The picture as the network will see it, before colours are scaled: cut out and, with antialiasing, resized. What is left to do is to
    /// interpolate where its size is not the network's.
    /// </summary>
    private Picture Cut(Picture picture, int height, int width)
    {
        switch (Fit)
        {
            case ImageFit.ResizeThenCrop:
                picture = Shorten(picture);
                double margin = Math.Min(height, width) < SmallInput ? 1 : ShorterSide;

                // The smallest size with the picture's proportions that covers the input on both sides.
                double cover = Math.Max((double)width / picture.Width, (double)height / picture.Height);
                (long wide, long high) = picture.ShorterSide(Math.Max(1, (int)Math.Round(margin * cover * Math.Min(picture.Width, picture.Height))));
                return picture.Resize((int)Math.Max(wide, width), (int)Math.Max(high, height), Filter).CentreCrop(width, height);
            case ImageFit.CropThenResize:
                picture = picture.CentreCrop(
                    (int)Math.Min(picture.Width, Math.Max(1, (long)picture.Height * width / height)),
                    (int)Math.Min(picture.Height, Math.Max(1, (long)picture.Width * height / width)));
                break;
        }

        return Filter == ResizeFilter.BilinearAntialias ? picture.Resize(width, height) : picture;
    }

    /// <summary>Of a very long picture the middle: a line of pixels would otherwise be blown up to any size before most of it is cut off.</summary>
    private static Picture Shorten(Picture picture)
    {
        int longest = (int)Math.Min(int.MaxValue, 16L * Math.Min(picture.Width, picture.Height));
        return Math.Max(picture.Width, picture.Height) <= longest
            ? picture
            : picture.CentreCrop(Math.Min(picture.Width, longest), Math.Min(picture.Height, longest));
    }

    private (float Factor, float Shift) Line(double mean, double deviation) => ((float)(Scale / deviation), (float)(-mean / deviation));
}
