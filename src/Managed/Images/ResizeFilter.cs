namespace EmbeddingKernels;

/// <summary>How a picture is brought to another size.</summary>
public enum ResizeFilter
{
    /// <summary>
    /// A triangle as wide as two pixels of the smaller picture, so that no pixel of the larger one is left out: Pillow's
    /// <c>Image.resize(size, Image.BILINEAR)</c> and torchvision's <c>Resize</c> of pictures.
    /// </summary>
    BilinearAntialias,

    /// <summary>
    /// Between the four pixels around each place, whatever the sizes: TensorFlow's <c>tf.image.resize</c>, PyTorch's <c>interpolate</c> with
    /// <c>align_corners=False</c>, OpenCV's <c>INTER_LINEAR</c>. Pixel centres lie at one half.
    /// </summary>
    Bilinear,
}
