using System.Globalization;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>What stands at each point of a map: words, or classes that colour the points.</summary>
internal sealed record MapLabels(IReadOnlyList<string> Labels, IReadOnlyList<string>? Groups, bool AreWords)
{
    public string Noun(nint count) => (AreWords, count == 1) switch
    {
        (true, true) => "word",
        (true, false) => "words",
        (false, true) => "point",
        _ => "points",
    };

    /// <summary>The words of a vector file and a file of classes, as far as there are such. Rows without words have no labels.</summary>
    /// <exception cref="InvalidDataException">The file has not one label for each row.</exception>
    public static MapLabels Read(string? path, IReadOnlyList<string>? words, nint count)
    {
        if (path is null)
        {
            return words is null
                ? new MapLabels([], null, AreWords: false)
                : new MapLabels([.. words.Take(checked((int)count))], null, AreWords: true);
        }

        string[] groups = path.EndsWith(".npy", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".npy.gz", StringComparison.OrdinalIgnoreCase)
            ? Array.ConvertAll(Npy.ReadInt64(path), value => value.ToString(CultureInfo.InvariantCulture))
            : File.ReadAllLines(path);
        if (groups.Length < count)
            throw new InvalidDataException($"{path} has {groups.Length} labels for {count} rows.");
        groups = groups[..checked((int)count)];
        return words is null
            ? new MapLabels([], groups, AreWords: false)
            : new MapLabels([.. words.Take(groups.Length)], groups, AreWords: true);
    }
}
