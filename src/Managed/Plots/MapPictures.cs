namespace EmbeddingKernels;

/// <summary>Pictures of the points of a map as one sheet of equal cells, each picture in the upper left of its cell.</summary>
/// <param name="Side">Pixels of a cell's side.</param>
/// <param name="Columns">Cells in a row of the sheet.</param>
/// <param name="Sizes">Width and height of each picture; 0 where there is none.</param>
/// <param name="Sheet">A PNG file.</param>
internal sealed record MapPictures(int Side, int Columns, byte[] Sizes, byte[] Sheet)
{
    /// <summary>The longer side of a picture on a page of so many points; 0 where there would be too many.</summary>
    /// <remarks>A PNG of photographs takes about two bytes for a pixel, so a page grows by 7 MB at most.</remarks>
    public static int SideFor(int points) => points switch { <= 500 => 48, <= 2000 => 32, <= 5000 => 24, _ => 0 };

    /// <summary>Null where there is nothing to show.</summary>
    public static MapPictures? Create(IReadOnlyList<Picture?>? pictures)
    {
        int most = pictures is null ? 0 : SideFor(pictures.Count);
        if (most == 0 || pictures!.All(p => p is null))
            return null;
        Picture?[] small = [.. pictures!.Select(p => p?.ReduceTo(most))];
        int side = small.Max(p => p is null ? 0 : Math.Max(p.Width, p.Height));
        int columns = (int)Math.Ceiling(Math.Sqrt(small.Length)), rows = (small.Length + columns - 1) / columns;
        Picture sheet = new(columns * side, rows * side);
        byte[] sizes = new byte[2 * small.Length];
        for (int i = 0; i < small.Length; i++)
        {
            if (small[i] is not { } picture)
                continue;
            (sizes[2 * i], sizes[2 * i + 1]) = ((byte)picture.Width, (byte)picture.Height);
            for (int y = 0; y < picture.Height; y++)
                picture.Row(y).CopyTo(sheet.Row(i / columns * side + y)[(3 * side * (i % columns))..]);
        }

        using MemoryStream file = new();
        sheet.SavePng(file);
        return new MapPictures(side, columns, sizes, file.ToArray());
    }
}
