namespace EmbeddingKernels;

/// <summary>Limits on reading pictures.</summary>
public sealed record PictureOptions
{
    /// <summary>
    /// A file that says it has more pixels is refused before memory is taken for them, three bytes each. The default is where Pillow
    /// raises its DecompressionBombError.
    /// </summary>
    public long MaximumPixels { get; init; } = 178_956_970;

    /// <summary>Checks the values.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    public void Validate() => ArgumentOutOfRangeException.ThrowIfLessThan(MaximumPixels, 1);
}
