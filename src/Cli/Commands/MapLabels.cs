using System.Globalization;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>What stands at each point of a map: words or names of files, and classes that colour the points.</summary>
/// <param name="Labels">A name for each point, or none.</param>
/// <param name="Groups">A class for each point, or null.</param>
/// <param name="One">What a point is.</param>
/// <param name="Several">What points are.</param>
internal sealed record MapLabels(IReadOnlyList<string> Labels, IReadOnlyList<string>? Groups, string One, string Several)
{
    /// <summary>Whether labels are written on the map and not only shown on hover.</summary>
    public bool Written { get; init; } = true;

    /// <summary>A small picture for each point, or null.</summary>
    public IReadOnlyList<Picture?>? Pictures { get; init; }

    /// <summary>The points that are words.</summary>
    public static MapLabels OfWords(IEnumerable<string> words) => new([.. words], null, "word", "words");

    public string Noun(nint count) => count == 1 ? One : Several;

    /// <summary>The words of a vector file and a file of classes, as far as there are such. Rows without words have no labels.</summary>
    /// <exception cref="InvalidDataException">The file has not one label for each row.</exception>
    public static MapLabels Read(string? path, IReadOnlyList<string>? words, nint count)
    {
        MapLabels labels = words is null ? new([], null, "point", "points") : OfWords(words.Take(checked((int)count)));
        return path is null ? labels : labels with { Groups = ReadLines(path, count, "labels") };
    }

    /// <summary>A text for each row: the lines of a file, or the numbers of a .npy.</summary>
    /// <exception cref="InvalidDataException">There are fewer than rows.</exception>
    public static string[] ReadLines(string path, nint count, string what)
    {
        string[] lines = path.EndsWith(".npy", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".npy.gz", StringComparison.OrdinalIgnoreCase)
            ? Array.ConvertAll(Npy.ReadInt64(path), value => value.ToString(CultureInfo.InvariantCulture))
            : File.ReadAllLines(path);
        return lines.Length >= count ? lines[..checked((int)count)] : throw new InvalidDataException($"{path} has {lines.Length} {what} for {count} rows.");
    }
}
