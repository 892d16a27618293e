using System.Buffers;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The two files of TensorFlow's Embedding Projector (projector.tensorflow.org): vectors.tsv with one vector a line, its
/// numbers separated by tabs and no header, and metadata.tsv with one label a line. Metadata of several columns begins with a
/// line of their names; a single column has no such line. A path that ends in .gz is unpacked and packed on the way.
/// </summary>
/// <remarks>Numbers are written so that they read back as the same floats. NaN and infinite values are written, and are errors on reading.</remarks>
public static class ProjectorTsv
{
    private const int MaximumLineBytes = 1 << 26;
    private const int RowsPerReport = 4096;

    /// <summary>Writes words and vectors. Each file appears under its name only when it is complete.</summary>
    /// <param name="vectorsPath">Usually vectors.tsv.</param>
    /// <param name="metadataPath">Usually metadata.tsv.</param>
    /// <param name="vectors">What to write.</param>
    /// <param name="progress">Gets the part that was written, 0 to 1, now and then.</param>
    /// <param name="cancellationToken">Ends the writing early.</param>
    /// <exception cref="ArgumentException">A word contains a tab or a line break, which the format cannot hold.</exception>
    /// <exception cref="IOException">A file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The writing was cancelled.</exception>
    public static void Write(
        string vectorsPath, string metadataPath, KeyedVectors vectors, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(vectors);
        ArgumentException.ThrowIfNullOrEmpty(vectorsPath);
        WriteMetadata(metadataPath, ("word", vectors.Words));
        WriteVectors(vectorsPath, vectors.Vectors.View, progress, cancellationToken);
        GC.KeepAlive(vectors);
    }

    /// <summary>Writes the vectors only.</summary>
    /// <inheritdoc cref="Write"/>
    /// <param name="path">Usually vectors.tsv.</param>
    /// <param name="vectors">One vector a row.</param>
    /// <param name="progress">Gets the part that was written, 0 to 1, now and then.</param>
    /// <param name="cancellationToken">Ends the writing early.</param>
    public static void WriteVectors(string path, MatrixView<float> vectors, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        if (vectors.Columns < 1)
            throw new ArgumentException("Vectors without numbers cannot be written.", nameof(vectors));
        ArrayBufferWriter<byte> line = new();
        AtomicFile.Write(path, stream =>
        {
            for (nint i = 0; i < vectors.Rows; i++)
            {
                if (i % RowsPerReport == 0)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    progress?.Report((double)i / vectors.Rows);
                }

                line.ResetWrittenCount();
                foreach (float value in vectors.RowSpan(i))
                {
                    line.Advance(TextNumbers.Format(value, line.GetSpan(TextNumbers.MaximumBytes)));
                    line.Write("\t"u8);
                }

                stream.Write(line.WrittenSpan[..^1]);
                stream.Write("\n"u8);
            }
        });
        progress?.Report(1);
    }

    /// <summary>Writes labels: one column without a header, several with one.</summary>
    /// <param name="path">Usually metadata.tsv.</param>
    /// <param name="columns">Columns of equal length, as <c>("word", words), ("count", counts)</c>.</param>
    /// <exception cref="ArgumentException">
    /// There is no column, their lengths differ, or a name or value contains a tab or a line break.
    /// </exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void WriteMetadata(string path, params ReadOnlySpan<(string Name, IReadOnlyList<string> Values)> columns)
    {
        if (columns.IsEmpty)
            throw new ArgumentException("At least one column is needed.", nameof(columns));
        int rows = columns[0].Values.Count;
        foreach ((string name, IReadOnlyList<string> values) in columns)
        {
            if (values.Count != rows)
                throw new ArgumentException($"Column '{name}' has {values.Count} values and the first column has {rows}.", nameof(columns));
            CheckValue(name, "The name", name, nameof(columns));
            for (int i = 0; i < rows; i++)
                CheckValue(values[i], $"Value {i}", name, nameof(columns));
        }

        (string Name, IReadOnlyList<string> Values)[] kept = columns.ToArray();
        ArrayBufferWriter<byte> line = new();
        AtomicFile.Write(path, stream =>
        {
            if (kept.Length > 1)
                WriteLine(stream, line, kept.Select(c => c.Name));
            for (int i = 0; i < rows; i++)
                WriteLine(stream, line, kept.Select(c => c.Values[i]));
        });
    }

    /// <summary>Reads words and vectors; of several metadata columns the first is the word. Of a word that comes twice the first vector is kept.</summary>
    /// <param name="vectorsPath">Usually vectors.tsv.</param>
    /// <param name="metadataPath">Usually metadata.tsv.</param>
    /// <param name="cancellationToken">Ends the reading early.</param>
    /// <exception cref="DataFormatException">A file is damaged, or the numbers of labels and vectors differ.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">The reading was cancelled.</exception>
    public static KeyedVectors Read(string vectorsPath, string metadataPath, CancellationToken cancellationToken = default)
    {
        IReadOnlyList<string[]> metadata = ReadMetadata(metadataPath);
        int header = metadata.Count > 0 && metadata[0].Length > 1 ? 1 : 0;
        using FormatReader reader = new(vectorsPath);
        WordIndex words = new();
        FloatMatrix vectors = ReadVectors(
            reader,
            row =>
            {
                if (row + header >= metadata.Count)
                    reader.Throw($"there are more vectors than the {metadata.Count - header} labels of {metadataPath}", row);
                return words.TryAdd(metadata[(int)row + header][0]);
            },
            cancellationToken,
            out long rows);
        if (rows + header != metadata.Count)
        {
            vectors.Dispose();
            reader.Throw($"there are {rows} vectors for the {metadata.Count - header} labels of {metadataPath}");
        }

        return new KeyedVectors(words, vectors);
    }

    /// <summary>Reads the vectors only.</summary>
    /// <param name="path">Usually vectors.tsv.</param>
    /// <param name="cancellationToken">Ends the reading early.</param>
    /// <exception cref="DataFormatException">The file is damaged or empty, or a value is not finite.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">The reading was cancelled.</exception>
    public static FloatMatrix ReadVectors(string path, CancellationToken cancellationToken = default)
    {
        using FormatReader reader = new(path);
        return ReadVectors(reader, _ => true, cancellationToken, out _);
    }

    /// <summary>Reads the labels: for each line its columns. The line of names that begins metadata of several columns comes first.</summary>
    /// <exception cref="DataFormatException">Lines have different numbers of columns, or a line is longer than 64 MiB.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IReadOnlyList<string[]> ReadMetadata(string path)
    {
        using FormatReader reader = new(path);
        List<string[]> lines = [];
        while (reader.TryReadLine(MaximumLineBytes, out ReadOnlySpan<byte> line, lines.Count))
        {
            string[] columns = WordEncoding.Decode(line).Split('\t');
            if (lines.Count > 0 && columns.Length != lines[0].Length)
                reader.Throw($"the line has {columns.Length} columns and the first has {lines[0].Length}", lines.Count);
            lines.Add(columns);
        }

        return lines;
    }

    private static FloatMatrix ReadVectors(FormatReader reader, Func<long, bool> keep, CancellationToken cancellationToken, out long rows)
    {
        VectorRows? vectors = null;
        rows = 0;
        try
        {
            for (; reader.TryReadLine(MaximumLineBytes, out ReadOnlySpan<byte> line, rows); rows++)
            {
                if (rows % RowsPerReport == 0)
                    cancellationToken.ThrowIfCancellationRequested();
                if (vectors is null)
                {
                    int dimension = line.Count((byte)'\t') + 1;
                    long atMost = ((reader.RemainingAtMost ?? long.MaxValue) / (2L * dimension)) + 2;
                    vectors = new VectorRows(reader, (nint)Math.Min(atMost, nint.MaxValue / sizeof(float) / dimension), dimension, trusted: false, allowNonFinite: false);
                }

                vectors.ParseNext(line, (byte)'\t', rows, "the line");
                if (keep(rows))
                    vectors.Commit(rows, "the line");
            }

            return vectors?.Detach() ?? throw reader.Fail("the file is empty");
        }
        finally
        {
            vectors?.Dispose();
        }
    }

    private static void CheckValue(string value, string what, string column, string parameter)
    {
        if (value is null || value.AsSpan().ContainsAny('\t', '\n', '\r') || !WordEncoding.TryEncode(value, new ArrayBufferWriter<byte>((value.Length * 3) + 1)))
            throw new ArgumentException($"{what} of column '{column}', '{value}', contains a tab or a line break or is no valid text.", parameter);
    }

    private static void WriteLine(Stream stream, ArrayBufferWriter<byte> line, IEnumerable<string> values)
    {
        line.ResetWrittenCount();
        foreach (string value in values)
        {
            WordEncoding.TryEncode(value, line);
            line.Write("\t"u8);
        }

        stream.Write(line.WrittenSpan[..^1]);
        stream.Write("\n"u8);
    }
}
