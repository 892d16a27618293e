namespace EmbeddingKernels;

/// <summary>Collects the rows of a table of vectors as a file delivers them, with or without words.</summary>
internal sealed unsafe class VectorRows : IDisposable
{
    private readonly FormatReader _reader;
    private readonly bool _allowNonFinite;
    private readonly GrowingBuffer<float> _data;

    /// <param name="reader">Where the rows come from; for messages.</param>
    /// <param name="claimed">Rows that will come, or the most that can come.</param>
    /// <param name="dimension">Floats per row.</param>
    /// <param name="trusted">Whether the source is known to be long enough for the claimed rows.</param>
    /// <param name="allowNonFinite">Whether NaN and infinite values are kept; otherwise they are errors.</param>
    public VectorRows(FormatReader reader, nint claimed, int dimension, bool trusted, bool allowNonFinite)
    {
        _reader = reader;
        _allowNonFinite = allowNonFinite;
        Dimension = dimension;
        _data = new GrowingBuffer<float>(claimed * dimension, trusted);
    }

    public int Dimension { get; }

    public nint Count { get; private set; }

    /// <summary>Room for the next row, which <see cref="Commit"/> keeps.</summary>
    public Span<float> Next()
    {
        _data.Reserve((Count + 1) * Dimension);
        return new Span<float>(_data.Pointer + (Count * Dimension), Dimension);
    }

    /// <summary>Keeps the row in <see cref="Next"/> after a look at its values.</summary>
    /// <param name="row">The row's number in the file.</param>
    /// <param name="what">The row's name in a message.</param>
    public void Commit(long row, string what)
    {
        ReadOnlySpan<float> values = new(_data.Pointer + (Count * Dimension), Dimension);
        if (!_allowNonFinite)
        {
            for (int i = 0; i < values.Length; i++)
            {
                if (!float.IsFinite(values[i]))
                    _reader.Throw($"number {i + 1} of {what} is {values[i]}, and values that are not finite were not allowed", row);
            }
        }

        Count++;
    }

    /// <summary>Reads the numbers of a row of text.</summary>
    /// <param name="text">The numbers, separated by one or more <paramref name="separator"/>.</param>
    /// <param name="separator">What stands between numbers.</param>
    /// <param name="row">The row's number in the file.</param>
    /// <param name="what">The row's name in a message.</param>
    public void ParseNext(ReadOnlySpan<byte> text, byte separator, long row, string what)
    {
        Span<float> values = Next();
        int count = 0;
        while (true)
        {
            text = text.TrimStart(separator);
            if (text.IsEmpty)
                break;
            int length = text.IndexOf(separator);
            ReadOnlySpan<byte> field = length < 0 ? text : text[..length];
            text = text[field.Length..];
            if (count == values.Length)
                _reader.Throw($"{what} has more than {values.Length} numbers", row);
            if (!TextNumbers.TryParse(field, out values[count]))
                _reader.Throw($"number {count + 1} of {what} is '{Printable(field)}', which is no number", row);
            count++;
        }

        if (count < values.Length)
            _reader.Throw($"{what} has {count} numbers and not {values.Length}", row);
    }

    /// <summary>Hands the rows over as a matrix.</summary>
    public FloatMatrix Detach() => new(_data.Detach(), Count, Dimension);

    public void Dispose() => _data.Dispose();

    /// <summary>The start of damaged text, fit for a message.</summary>
    public static string Printable(ReadOnlySpan<byte> text)
    {
        const int Shown = 40;
        string start = WordEncoding.Decode(text.Length > Shown ? text[..Shown] : text);
        return string.Concat(start.Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c)) + (text.Length > Shown ? "..." : "");
    }
}
