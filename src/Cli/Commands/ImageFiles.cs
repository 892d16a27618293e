namespace EmbeddingKernels.Cli.Commands;

/// <summary>Files and folders of pictures, as they are named on the command line.</summary>
internal static class ImageFiles
{
    /// <summary>Endings that folders are searched for; a file that is named itself may have any.</summary>
    private static readonly HashSet<string> Endings = new(StringComparer.OrdinalIgnoreCase)
    {
        ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm",
    };

    public static bool IsKnown(string path) => Endings.Contains(Path.GetExtension(path));

    /// <summary>Files as they stand, and the pictures of folders, deep, in the order of their names.</summary>
    /// <exception cref="InvalidDataException">There is no picture at all.</exception>
    public static List<string> Find(IEnumerable<string> paths) => FeatureFiles.Find(paths, Endings, "pictures");
}
