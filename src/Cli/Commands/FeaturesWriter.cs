using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>
/// Collects the vectors of files, and of the files that could not be read why; then writes NAME.npy and NAME.files.txt. Nothing is written
/// before <see cref="Finish"/>, and each file at once.
/// </summary>
internal sealed class FeaturesWriter : IDisposable
{
    private readonly string _path;
    private readonly int _expected;
    private readonly List<string> _names = [];
    private readonly List<string> _failures = [];
    private FloatMatrix? _rows;

    /// <param name="path">The file of vectors; its name is checked now.</param>
    /// <param name="expected">About how many rows will come, so that memory need not be moved.</param>
    public FeaturesWriter(string path, int expected)
    {
        ResultFile.Check(path, VecsKind.Floats);
        _path = path;
        _expected = Math.Max(expected, 1);
    }

    /// <summary>Rows so far.</summary>
    public int Count => _names.Count;

    /// <summary>The list's name: that of the vectors with another ending.</summary>
    public static string ListPath(string path)
    {
        string name = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? path[..^3] : path;
        return Path.ChangeExtension(name, ".files.txt");
    }

    /// <summary>What goes wrong with one file and not with the program.</summary>
    public static bool IsFileProblem(Exception exception) =>
        exception is DataFormatException or IOException or UnauthorizedAccessException or InvalidDataException or NotSupportedException or OutOfMemoryException;

    /// <summary>Adds a row.</summary>
    /// <param name="name">The file, and what part of it where it gives several rows.</param>
    /// <param name="vector">As long as the rows before.</param>
    public void Add(string name, ReadOnlySpan<float> vector)
    {
        _rows ??= new FloatMatrix(_expected, vector.Length);
        if (vector.Length != _rows.Columns)
            throw new InvalidDataException($"{name} gives {vector.Length} numbers, those before it {_rows.Columns}.");
        if (_names.Count == _rows.Rows)
        {
            FloatMatrix larger = new(_rows.Rows * 2, _rows.Columns);
            for (nint i = 0; i < _rows.Rows; i++)
                _rows.Row(i).CopyTo(larger.Row(i));
            _rows.Dispose();
            _rows = larger;
        }

        vector.CopyTo(_rows.Row(_names.Count));
        _names.Add(name.ReplaceLineEndings(" ").Replace('\t', ' '));
    }

    /// <summary>Notes that a file could not be read; the run goes on.</summary>
    public void Fail(string file, Exception exception)
    {
        string reason = exception.Message.ReplaceLineEndings(" ");
        _failures.Add(reason.Contains(file, StringComparison.Ordinal) ? reason : $"{file}: {reason}");
    }

    /// <summary>Says what could not be read, writes what there is, and ends the command with an error where files were left out.</summary>
    /// <param name="session">Where warnings go.</param>
    /// <param name="complete">False after an interrupt: what is done is written all the same.</param>
    /// <exception cref="InvalidDataException">Files could not be read; the others are written.</exception>
    /// <exception cref="OperationCanceledException">The run was interrupted; what was done before is written.</exception>
    public void Finish(Session session, bool complete)
    {
        foreach (string failure in _failures)
            session.Say($"warning: {failure}");
        if (_rows is not null)
        {
            MatrixView<float> rows = _rows.View.Slice(0, Count);
            if (Vecs.KindOf(_path) is null)
                Npy.Write(_path, rows);
            else
                Vecs.Write(_path, rows);
            string list = ListPath(_path);
            ProjectorTsv.WriteMetadata(list, ("file", _names));
            session.Say($"wrote {_path} ({rows.Rows} x {rows.Columns}) and {list}");
        }

        if (!complete)
            throw new OperationCanceledException();
        if (_failures.Count > 0)
            throw new InvalidDataException($"{_failures.Count} of {_failures.Count + Count} files could not be read{(Count > 0 ? "; the others are done" : "")}.");
    }

    public void Dispose() => _rows?.Dispose();
}
