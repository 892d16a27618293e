namespace EmbeddingKernels.Cli.Commands;

/// <summary>Files and folders of one kind, as they are named on the command line.</summary>
internal static class FeatureFiles
{
    /// <summary>Files as they stand, and those of folders that have one of the endings, deep, in the order of their names.</summary>
    /// <param name="paths">Files and folders.</param>
    /// <param name="endings">What folders are searched for; a file that is named itself may have any.</param>
    /// <param name="what">What they are, for the message.</param>
    /// <exception cref="InvalidDataException">There is no file at all.</exception>
    public static List<string> Find(IEnumerable<string> paths, IReadOnlySet<string> endings, string what)
    {
        EnumerationOptions deep = new() { RecurseSubdirectories = true, IgnoreInaccessible = true, AttributesToSkip = FileAttributes.Hidden | FileAttributes.System };
        List<string> files = [];
        foreach (string path in paths)
        {
            if (Directory.Exists(path))
                files.AddRange(Directory.EnumerateFiles(path, "*", deep).Where(file => endings.Contains(Path.GetExtension(file))).Order(StringComparer.Ordinal));
            else
                files.Add(path);
        }

        return files.Count > 0 ? files : throw new InvalidDataException($"There are no {what} in {string.Join(", ", paths)} ({string.Join(" ", endings.Order())}).");
    }
}
