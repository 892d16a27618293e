using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace EmbeddingKernels;

/// <summary>How <see cref="Word2VecFormat"/> reads.</summary>
public sealed record Word2VecReadOptions
{
    /// <summary>Read at most this many words, from the start of the file (the most frequent ones). gensim's <c>limit</c>.</summary>
    public int Limit { get; init; } = int.MaxValue;

    /// <summary>True for the binary form, false for text, null to find out from the first row. gensim's <c>binary</c>.</summary>
    public bool? Binary { get; init; }

    /// <summary>Keep NaN and infinite values. Otherwise they are errors, as no similarity to such a vector means anything.</summary>
    public bool AllowNonFinite { get; init; }
}

/// <summary>
/// The vector files of word2vec.c, in text and in binary, which gensim, fastText (.vec) and most others read and write too;
/// and GloVe's text files, which lack the first line. A path that ends in .gz is unpacked and packed on the way.
/// </summary>
/// <remarks>
/// <para>A file begins with the line "words dimension". In binary each word is followed by a space, its floats
/// (little-endian) and a newline, as word2vec.c writes; gensim writes no newline, and both are read. Written binary files are
/// byte for byte what word2vec.c writes.</para>
/// <para>In text each line is the word and its numbers, separated by spaces. word2vec.c prints 6 decimals and a space at the
/// end, gensim the shortest decimals that read back as the same float. All of it is read; written are the shortest decimals,
/// so a round trip changes no bit. A word may contain spaces where no part of it but the first looks like a number (GloVe has such).</para>
/// <para>Words are UTF-8. Bytes that are not (word2vec.c cuts long words in the middle of a character) are kept as the lone
/// surrogates U+DC80 to U+DCFF, one for each byte, and written as those bytes again.</para>
/// <para>Of a word that comes twice the first vector is kept, as gensim does; so there may be fewer words than the file claims.</para>
/// <para>NaN and infinite values are errors unless <see cref="Word2VecReadOptions.AllowNonFinite"/> is set.</para>
/// <para>Source: word2vec.c and distance.c of word2vec; gensim 4's KeyedVectors.load_word2vec_format.</para>
/// </remarks>
public static class Word2VecFormat
{
    private const int MaximumWordBytes = 1 << 16;
    private const int MaximumLineBytes = 1 << 26;
    private const int RowsPerReport = 4096;

    /// <summary>Reads a file of either form.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="progress">Gets the part that was read, 0 to 1, now and then.</param>
    /// <param name="cancellationToken">Ends the reading early.</param>
    /// <exception cref="DataFormatException">The file is damaged, cut short, or of another kind.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">The reading was cancelled.</exception>
    public static KeyedVectors Read(
        string path, Word2VecReadOptions? options = null, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        using FormatReader reader = new(path);
        return Read(reader, options ?? new Word2VecReadOptions(), progress, cancellationToken);
    }

    /// <inheritdoc cref="Read(string, Word2VecReadOptions?, IProgress{double}?, CancellationToken)"/>
    /// <param name="stream">Is read to its end (with a limit: past the last word) and left open.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="progress">Gets the part that was read, 0 to 1, now and then.</param>
    /// <param name="cancellationToken">Ends the reading early.</param>
    public static KeyedVectors Read(
        Stream stream, Word2VecReadOptions? options = null, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        using FormatReader reader = new(stream);
        return Read(reader, options ?? new Word2VecReadOptions(), progress, cancellationToken);
    }

    /// <summary>Writes the text form. The file appears under its name only when it is complete.</summary>
    /// <param name="path">The file.</param>
    /// <param name="vectors">What to write.</param>
    /// <param name="progress">Gets the part that was written, 0 to 1, now and then.</param>
    /// <param name="cancellationToken">Ends the writing early; no file is left.</param>
    /// <exception cref="ArgumentException">A word is empty, or contains a space or a line break, which the format cannot hold.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The writing was cancelled.</exception>
    public static void WriteText(string path, KeyedVectors vectors, IProgress<double>? progress = null, CancellationToken cancellationToken = default) =>
        Write(path, vectors, binary: false, progress, cancellationToken);

    /// <summary>Writes the binary form. The file appears under its name only when it is complete.</summary>
    /// <inheritdoc cref="WriteText"/>
    public static void WriteBinary(string path, KeyedVectors vectors, IProgress<double>? progress = null, CancellationToken cancellationToken = default) =>
        Write(path, vectors, binary: true, progress, cancellationToken);

    private static KeyedVectors Read(FormatReader reader, Word2VecReadOptions options, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(options.Limit, nameof(options));
        ReadOnlySpan<byte> first = reader.PeekTo((byte)'\n', MaximumLineBytes, out bool found);
        if (first.IsEmpty && !found)
            reader.Throw("the file is empty");

        if (!TryParseHeader(first, out long count, out long dimension))
        {
            // GloVe has no first line. A damaged one must not pass for a word with a single number.
            dimension = CountFields(first) - 1;
            if (options.Binary == true || dimension < 2)
                reader.Throw($"the first line must be two numbers, words and dimension, and is '{VectorRows.Printable(first)}'");
            return ReadRows(reader, options, RowsAtMost(reader, dimension), (int)dimension, headed: false, binary: false, progress, cancellationToken);
        }

        if (!found)
            reader.Throw("the data ends in the first line");
        if (count is < 0 or > int.MaxValue || dimension is < 1 or > int.MaxValue / sizeof(float))
            reader.Throw($"the first line claims {count} words of dimension {dimension}; at most {int.MaxValue} words and at least 1 dimension are read");
        reader.Advance(first.Length + 1);
        bool binary = options.Binary ?? IsBinary(reader, (int)dimension);
        UInt128 rowBytes = binary ? 2 + (sizeof(float) * (UInt128)dimension) : 2 + (2 * (UInt128)dimension);
        UInt128 missingEnd = count > 0 && !binary ? 1u : 0u; // the last line may lack its newline
        reader.ExpectAtLeast(((UInt128)count * rowBytes) - missingEnd, $"{count} words of dimension {dimension}");
        return ReadRows(reader, options, (nint)count, (int)dimension, headed: true, binary, progress, cancellationToken);
    }

    private static KeyedVectors ReadRows(
        FormatReader reader,
        Word2VecReadOptions options,
        nint claimed,
        int dimension,
        bool headed,
        bool binary,
        IProgress<double>? progress,
        CancellationToken cancellationToken)
    {
        nint wanted = Math.Min(claimed, options.Limit);
        bool ended = headed && wanted == claimed;
        WordIndex words = new();
        using VectorRows rows = new(reader, wanted, dimension, headed && reader.LengthIsExact, options.AllowNonFinite);
        for (long row = 0; row < wanted; row++)
        {
            if (row % RowsPerReport == 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
                progress?.Report(reader.Progress);
            }

            string word;
            if (binary)
            {
                word = ReadWord(reader, row);
                reader.ReadExactly(MemoryMarshal.AsBytes(rows.Next()), $"the vector of '{word}'", row);
                if (!BitConverter.IsLittleEndian)
                    MemoryMarshal.AsBytes(rows.Next()).Reverse();
            }
            else
            {
                if (!reader.TryReadLine(MaximumLineBytes, out ReadOnlySpan<byte> line, row) || (!headed && line.IsEmpty))
                {
                    ended = !headed;
                    if (ended)
                        break;
                    throw reader.Fail($"the data ends after {row} of {claimed} words", row);
                }

                line = line.TrimEnd((byte)' ');
                int length = WordLength(line, dimension);
                if (length <= 0)
                    reader.Throw($"the line '{VectorRows.Printable(line)}' is not a word and {dimension} numbers", row);
                word = WordEncoding.Decode(line[..length]);
                rows.ParseNext(line[length..], (byte)' ', row, $"'{word}'");
            }

            if (words.TryAdd(word))
                rows.Commit(row, $"'{word}'");
        }

        if (ended)
            ExpectEnd(reader, headed, claimed);
        progress?.Report(1);
        return new KeyedVectors(words, rows.Detach());
    }

    private static string ReadWord(FormatReader reader, long row)
    {
        while (true)
        {
            ReadOnlySpan<byte> word = reader.PeekTo((byte)' ', MaximumWordBytes, out bool found);
            int newlines = word.Length - word.TrimStart((byte)'\n').Length;
            if (newlines > 0)
            {
                reader.Advance(newlines); // the one that word2vec.c puts behind the row before
                continue;
            }

            if (!found)
                reader.Throw(word.Length < MaximumWordBytes ? "the data ends inside a word" : $"the word does not end within {MaximumWordBytes} bytes", row);
            if (word.IsEmpty)
                reader.Throw("the word is empty", row);
            string text = WordEncoding.Decode(word);
            reader.Advance(word.Length + 1);
            return text;
        }
    }

    private static void ExpectEnd(FormatReader reader, bool headed, nint claimed)
    {
        while (reader.TryReadLine(MaximumLineBytes, out ReadOnlySpan<byte> line))
        {
            if (!line.IsEmpty)
                reader.Throw(headed ? $"more data follows after the {claimed} words that the first line claims" : "more data follows after an empty line");
        }
    }

    /// <summary>Two whole numbers and nothing else.</summary>
    private static bool TryParseHeader(ReadOnlySpan<byte> line, out long count, out long dimension)
    {
        count = dimension = 0;
        line = line.Trim(" \t\r"u8);
        int length = line.IndexOfAny((byte)' ', (byte)'\t');
        if (length <= 0)
            return false;
        ReadOnlySpan<byte> second = line[length..].TrimStart(" \t"u8);
        return long.TryParse(line[..length], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out count)
            && long.TryParse(second, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out dimension);
    }

    /// <summary>
    /// Whether the first row is binary: its numbers are no text. A float's bytes can pass for digits, but not a whole row of them.
    /// </summary>
    private static bool IsBinary(FormatReader reader, int dimension)
    {
        const int Convincing = 8;
        ReadOnlySpan<byte> line = reader.PeekTo((byte)'\n', MaximumWordBytes, out bool whole);
        line = line.TrimEnd((byte)'\r').TrimEnd((byte)' ');
        int length = WordLength(line, dimension);
        if (whole && length > 0 && CountFields(line[length..]) == dimension && line[length..].IndexOfAnyExcept(NumberBytes) < 0)
            return false;
        int space = line.IndexOf((byte)' ');
        ReadOnlySpan<byte> numbers = space < 0 ? [] : line[(space + 1)..];
        return numbers.Length < Convincing || numbers.IndexOfAnyExcept(NumberBytes) >= 0;
    }

    private static readonly SearchValues<byte> NumberBytes = SearchValues.Create("0123456789+-.eE nNaAiIfFtTyY"u8);

    /// <summary>
    /// The length of the word at the start of a line: up to the first space, or further where there are more fields than
    /// numbers are wanted and the further ones are no numbers.
    /// </summary>
    private static int WordLength(ReadOnlySpan<byte> line, int dimension)
    {
        int length = line.IndexOf((byte)' ');
        if (length <= 0)
            return length;
        for (int surplus = CountFields(line) - 1 - dimension; surplus > 0; surplus--)
        {
            ReadOnlySpan<byte> rest = line[length..];
            ReadOnlySpan<byte> trimmed = rest.TrimStart((byte)' ');
            int end = trimmed.IndexOf((byte)' ');
            if (end < 0 || TextNumbers.TryParse(trimmed[..end], out _))
                break;
            length += rest.Length - trimmed.Length + end;
        }

        return length;
    }

    private static int CountFields(ReadOnlySpan<byte> line)
    {
        int fields = 0;
        bool inside = false;
        foreach (byte character in line)
        {
            bool now = character is not ((byte)' ' or (byte)'\r');
            if (now && !inside)
                fields++;
            inside = now;
        }

        return fields;
    }

    /// <summary>A bound on the rows of a file without a first line: each needs two bytes a number and two for the word.</summary>
    private static nint RowsAtMost(FormatReader reader, long dimension) =>
        (nint)Math.Min((reader.RemainingAtMost ?? long.MaxValue) / (2 * (dimension + 1)) + 1, Math.Min(int.MaxValue, nint.MaxValue / sizeof(float) / dimension));

    private static void Write(string path, KeyedVectors vectors, bool binary, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(vectors);
        ArrayBufferWriter<byte> line = new();
        CheckWords(vectors, line);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{vectors.Count} {vectors.Dimension}\n")));
            for (int i = 0; i < vectors.Count; i++)
            {
                if (i % RowsPerReport == 0)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    progress?.Report((double)i / vectors.Count);
                }

                line.ResetWrittenCount();
                WordEncoding.TryEncode(vectors.Words[i], line);
                if (binary)
                    AppendBinary(vectors.Vectors.Row(i), line);
                else
                    AppendText(vectors.Vectors.Row(i), line);
                line.Write("\n"u8);
                stream.Write(line.WrittenSpan);
            }
        });
        progress?.Report(1);
    }

    private static void CheckWords(KeyedVectors vectors, ArrayBufferWriter<byte> scratch)
    {
        for (int i = 0; i < vectors.Count; i++)
        {
            string word = vectors.Words[i];
            scratch.ResetWrittenCount();
            if (word.Length == 0 || word.AsSpan().ContainsAny(' ', '\n', '\r') || !WordEncoding.TryEncode(word, scratch))
            {
                throw new ArgumentException(
                    $"Word {i}, '{word}', cannot be written: a word must not be empty, must not contain a space or a line break, and must be valid text.",
                    nameof(vectors));
            }

            if (scratch.WrittenCount >= MaximumWordBytes)
                throw new ArgumentException($"Word {i} has {scratch.WrittenCount} bytes, and at most {MaximumWordBytes - 1} can be read again.", nameof(vectors));
        }
    }

    private static void AppendBinary(ReadOnlySpan<float> vector, ArrayBufferWriter<byte> line)
    {
        line.Write(" "u8);
        Span<byte> bytes = line.GetSpan(vector.Length * sizeof(float));
        for (int i = 0; i < vector.Length; i++)
            BinaryPrimitives.WriteSingleLittleEndian(bytes[(i * sizeof(float))..], vector[i]);
        line.Advance(vector.Length * sizeof(float));
    }

    private static void AppendText(ReadOnlySpan<float> vector, ArrayBufferWriter<byte> line)
    {
        foreach (float value in vector)
        {
            line.Write(" "u8);
            line.Advance(TextNumbers.Format(value, line.GetSpan(TextNumbers.MaximumBytes)));
        }
    }
}
