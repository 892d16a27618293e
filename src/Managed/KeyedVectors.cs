using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>A word and how similar it is.</summary>
/// <param name="Word">The word.</param>
/// <param name="Similarity">The cosine of the angle to what was asked for, -1 to 1.</param>
/// <param name="Index">The word's row in <see cref="KeyedVectors.Vectors"/>.</param>
public readonly record struct SimilarWord(string Word, float Similarity, int Index);

/// <summary>The form of a file that <see cref="KeyedVectors.Save"/> writes.</summary>
public enum WordVectorFormat
{
    /// <summary>A path that ends in .bin or .bin.gz is <see cref="Word2VecBinary"/>, any other <see cref="Word2VecText"/>.</summary>
    ByName = 0,

    /// <summary>See <see cref="Word2VecFormat.WriteText"/>.</summary>
    Word2VecText = 1,

    /// <summary>See <see cref="Word2VecFormat.WriteBinary"/>.</summary>
    Word2VecBinary = 2,
}

/// <summary>Words and their vectors, with questions about which words are alike. gensim's class of that name.</summary>
/// <remarks>
/// <para>Words are compared as they are written: "Paris" and "paris" are two words.</para>
/// <para>Searches compare with every vector (exact), by cosine; words with equal similarity come in the order of the table.
/// A search runs on the caller's thread unless it is given a <see cref="WorkerPool"/>; the answer does not depend on that.</para>
/// <para>Safe for any number of threads as long as nobody writes to the vectors. Dispose it to free the vectors; spans and
/// views into them are valid until then.</para>
/// </remarks>
public sealed unsafe partial class KeyedVectors : IDisposable
{
    private readonly WordIndex _words;

    /// <summary>Words with one row each.</summary>
    /// <param name="words">Distinct words.</param>
    /// <param name="vectors">Row i belongs to word i. It is now owned by this object, which disposes it.</param>
    /// <exception cref="ArgumentException">A word is null or comes twice, or the numbers of words and rows differ.</exception>
    public KeyedVectors(IEnumerable<string> words, FloatMatrix vectors)
        : this(ToIndex(words), vectors)
    {
    }

    internal KeyedVectors(WordIndex words, FloatMatrix vectors)
    {
        ArgumentNullException.ThrowIfNull(vectors);
        if (vectors.Rows != words.Count)
            throw new ArgumentException($"There are {words.Count} words and {vectors.Rows} rows.", nameof(vectors));
        _words = words;
        Vectors = vectors;
        Dimension = checked((int)vectors.Columns);
    }

    /// <summary>The words, in the order of the rows; in files of most programs the most frequent first.</summary>
    public IReadOnlyList<string> Words => _words.Words;

    /// <summary>The vectors, one row for each word.</summary>
    public FloatMatrix Vectors { get; }

    /// <summary>Number of words.</summary>
    public int Count => _words.Count;

    /// <summary>Length of a vector.</summary>
    public int Dimension { get; }

    /// <summary>The vector of <paramref name="word"/>.</summary>
    /// <exception cref="KeyNotFoundException">The word is unknown; the message gives the closest spellings.</exception>
    public ReadOnlySpan<float> this[string word] => Vectors.Row(_words.Number(word));

    /// <summary>Reads vectors from a file of word2vec, gensim, fastText (.vec) or GloVe, text or binary, packed (.gz) or not.</summary>
    /// <inheritdoc cref="Word2VecFormat.Read(string, Word2VecReadOptions?, IProgress{double}?, CancellationToken)"/>
    public static KeyedVectors Load(
        string path, Word2VecReadOptions? options = null, IProgress<double>? progress = null, CancellationToken cancellationToken = default) =>
        Word2VecFormat.Read(path, options, progress, cancellationToken);

    /// <summary>Writes the vectors to a file that <see cref="Load"/>, gensim and word2vec's tools read.</summary>
    /// <param name="path">The file; it appears under its name only when it is complete, and is packed if the name ends in .gz.</param>
    /// <param name="format">Text or binary.</param>
    /// <param name="progress">Gets the part that was written, 0 to 1, now and then.</param>
    /// <param name="cancellationToken">Ends the writing early; no file is left.</param>
    /// <exception cref="ArgumentException">A word is empty, or contains a space or a line break, which the format cannot hold.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The writing was cancelled.</exception>
    public void Save(
        string path, WordVectorFormat format = WordVectorFormat.ByName, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        bool binary = format switch
        {
            WordVectorFormat.ByName =>
                path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".bin.gz", StringComparison.OrdinalIgnoreCase),
            WordVectorFormat.Word2VecText => false,
            WordVectorFormat.Word2VecBinary => true,
            _ => throw new ArgumentOutOfRangeException(nameof(format), format, "Not a format."),
        };
        if (binary)
            Word2VecFormat.WriteBinary(path, this, progress, cancellationToken);
        else
            Word2VecFormat.WriteText(path, this, progress, cancellationToken);
    }

    /// <summary>Whether there is a vector for <paramref name="word"/>.</summary>
    public bool Contains(string word) => TryGetIndex(word, out _);

    /// <summary>Finds the row of <paramref name="word"/>; false where there is none.</summary>
    public bool TryGetIndex(string word, out int index)
    {
        ArgumentNullException.ThrowIfNull(word);
        return _words.TryGetNumber(word, out index);
    }

    /// <summary>Frees the vectors.</summary>
    public void Dispose() => Vectors.Dispose();

    private static WordIndex ToIndex(IEnumerable<string> words)
    {
        ArgumentNullException.ThrowIfNull(words);
        WordIndex index = new();
        foreach (string word in words)
        {
            if (word is null)
                throw new ArgumentException($"Word {index.Count} is null.", nameof(words));
            if (!index.TryAdd(word))
                throw new ArgumentException($"Word {index.Count}, '{word}', comes twice.", nameof(words));
        }

        return index;
    }
}
