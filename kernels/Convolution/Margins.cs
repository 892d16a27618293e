namespace EmbeddingKernels.Core;

/// <summary>Rows and columns around an image: padding of a window operator, or the halo of a tensor.</summary>
/// <param name="Top">Rows before the first.</param>
/// <param name="Left">Columns before the first.</param>
/// <param name="Bottom">Rows after the last.</param>
/// <param name="Right">Columns after the last.</param>
public readonly record struct Margins(int Top, int Left, int Bottom, int Right)
{
    /// <summary>The same on all four sides.</summary>
    public Margins(int all)
        : this(all, all, all, all)
    {
    }

    /// <summary>Whether each side is at least as wide as that of <paramref name="other"/>.</summary>
    public bool Cover(Margins other) => Top >= other.Top && Left >= other.Left && Bottom >= other.Bottom && Right >= other.Right;

    /// <summary>The wider of both on each side.</summary>
    public Margins Union(Margins other) =>
        new(Math.Max(Top, other.Top), Math.Max(Left, other.Left), Math.Max(Bottom, other.Bottom), Math.Max(Right, other.Right));
}
