using System.CommandLine;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>The options of <c>embed map</c> for rows that stand for files: their names, classes from these, pictures on hover.</summary>
internal sealed class MapFiles
{
    /// <summary>Points up to which a page shows pictures, and the pixels of their longer sides.</summary>
    private const int MostPictures = 5000, PictureSide = 48;

    private const string Folder = "folder", Prefix = "prefix";

    private readonly Option<string?> _names = new("--names")
    {
        Description = "A name for each row, a line each. By default X.files.txt beside X.npy, if there is one, as 'embed features' writes it; pictures among them show on hover",
    };

    private readonly Option<string?> _classes = new("--classes")
    {
        Description = $"Colour the rows by what their names say: {Folder} (the last folder) or {Prefix} (the file's name up to the first of _ - . and space)",
    };

    private readonly Option<bool> _plain = new("--no-pictures") { Description = "Show no pictures on hover" };

    public MapFiles() => _classes.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, Folder, Prefix);

    public void AddTo(Command command)
    {
        command.Add(_names);
        command.Add(_classes);
        command.Add(_plain);
    }

    /// <summary>Adds what the names of files say to what is known of the rows.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="labels">What is known without.</param>
    /// <param name="data">The file of the rows.</param>
    /// <param name="count">Rows that are mapped.</param>
    /// <param name="names">A name for each row; none where there is no list.</param>
    public MapLabels Read(ParseResult parsed, MapLabels labels, string data, nint count, out string[] names)
    {
        string? given = parsed.GetValue(_names), beside = FeaturesWriter.ListPath(data);
        names = [];
        if (given is not null)
            names = MapLabels.ReadLines(given, count, "names");
        else if (labels.Labels.Count == 0 && File.Exists(beside))
            names = MapLabels.ReadLines(beside, count, "names");
        if (parsed.GetValue(_classes) is string from)
        {
            if (labels.Groups is not null)
                throw new UsageException("--labels and --classes both say the classes; give one of them.");
            if (names.Length == 0)
                throw new UsageException($"--classes takes them from names, and there are none: give --names, or {beside}.");
            Func<string, string> classOf = from.Equals(Folder, StringComparison.OrdinalIgnoreCase) ? FolderOf : PrefixOf;
            labels = labels with { Groups = Array.ConvertAll(names, name => classOf(name)) };
        }

        if (names.Length == 0)
            return labels;
        bool pictures = names.All(ImageFiles.IsKnown), files = pictures || given is null;
        return labels with
        {
            Labels = files ? Array.ConvertAll(names, name => Path.GetFileName(name)) : names,
            Written = !files,
            One = pictures ? "picture" : labels.One,
            Several = pictures ? "pictures" : labels.Several,
        };
    }

    /// <summary>Reads the pictures that the page will show, small. What cannot be read shows none.</summary>
    public MapLabels ReadPictures(Session session, ParseResult parsed, MapLabels labels, string[] names, string output, int threads)
    {
        bool page = !output.EndsWith(".npy", StringComparison.OrdinalIgnoreCase) && !output.EndsWith(".npy.gz", StringComparison.OrdinalIgnoreCase)
            && !output.EndsWith(".svg", StringComparison.OrdinalIgnoreCase);
        if (!page || parsed.GetValue(_plain) || !names.Any(ImageFiles.IsKnown))
            return labels;
        if (names.Length > MostPictures)
        {
            session.Say($"the page shows no pictures: more than {MostPictures:N0} rows");
            return labels;
        }

        Picture?[] pictures = new Picture?[names.Length];
        int done = 0;
        _ = session.Step("read the pictures", "pictures", step => Parallel.For(
            0,
            names.Length,
            new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = session.Interrupt },
            i =>
            {
                if (ImageFiles.IsKnown(names[i]))
                    pictures[i] = TryLoad(names[i]);
                step.Report(Interlocked.Increment(ref done), names.Length);
            }));
        int missing = names.Where((name, i) => pictures[i] is null && ImageFiles.IsKnown(name)).Count();
        if (missing > 0)
            session.Say($"warning: {missing} of {names.Length} pictures could not be read and are not shown");
        return labels with { Pictures = pictures };
    }

    /// <summary>"cats/one.png" is in "cats"; a file without a folder in none.</summary>
    internal static string FolderOf(string name) => Path.GetFileName(Path.GetDirectoryName(name)) ?? "";

    /// <summary>"7_jackson_0.wav" begins with "7".</summary>
    internal static string PrefixOf(string name)
    {
        string file = Path.GetFileName(name);
        int end = file.AsSpan().IndexOfAny("_-. ");
        return end > 0 ? file[..end] : file;
    }

    private static Picture? TryLoad(string path)
    {
        try
        {
            return Picture.Load(path).ReduceTo(PictureSide);
        }
        catch (Exception exception) when (FeaturesWriter.IsFileProblem(exception))
        {
            return null;
        }
    }
}
