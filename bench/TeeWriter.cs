using System.Globalization;
using System.Text;

namespace EmbeddingKernels.Bench;

/// <summary>Writes to the console and to files at the same time, so that a run that is cut off leaves what it had.</summary>
internal sealed class TeeWriter : TextWriter
{
    private readonly TextWriter[] _targets;

    public TeeWriter(TextWriter first, IEnumerable<string> files)
        : base(CultureInfo.InvariantCulture)
    {
        CoreNewLine = ['\n'];
        List<TextWriter> targets = [first];
        foreach (string file in files)
        {
            string folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
            Directory.CreateDirectory(folder);
            Folder ??= folder;
            targets.Add(new StreamWriter(file) { AutoFlush = true });
        }

        _targets = [.. targets];
    }

    /// <summary>The folder of the first file, for pictures that the text shows; null where there is no file.</summary>
    public string? Folder { get; }

    public override Encoding Encoding => Encoding.UTF8;

    public override void Write(char value)
    {
        foreach (TextWriter target in _targets)
            target.Write(value);
    }

    public override void Write(string? value)
    {
        foreach (TextWriter target in _targets)
            target.Write(value);
    }

    public override void Flush()
    {
        foreach (TextWriter target in _targets)
            target.Flush();
    }

    protected override void Dispose(bool disposing)
    {
        // The first is the caller's.
        foreach (TextWriter target in _targets.Skip(1))
            target.Dispose();
        base.Dispose(disposing);
    }
}
