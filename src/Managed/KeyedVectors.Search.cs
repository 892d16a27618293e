using EmbeddingKernels.Core;

namespace EmbeddingKernels;

public sealed unsafe partial class KeyedVectors
{
    private const int QueriesPerCall = 1024;
    private const int ResultsPerCall = 1 << 22;

    /// <summary>The words that are most similar to <paramref name="word"/>, itself excluded.</summary>
    /// <param name="word">A word with a vector.</param>
    /// <param name="k">Words wanted, at least 1; there are fewer where the table has fewer.</param>
    /// <param name="restrictVocabulary">Look only among this many words, from the start of the table. gensim's <c>restrict_vocab</c>.</param>
    /// <param name="pool">Threads to work on; null for the caller's only.</param>
    /// <returns>The most similar first.</returns>
    /// <exception cref="KeyNotFoundException">A word is unknown; the message gives the closest spellings.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="k"/> or <paramref name="restrictVocabulary"/> is below 1.</exception>
    public SimilarWord[] MostSimilar(string word, int k = 10, int restrictVocabulary = int.MaxValue, WorkerPool? pool = null)
    {
        int number = _words.Number(word);
        return Search(Vectors.Row(number), [number], k, restrictVocabulary, pool);
    }

    /// <summary>
    /// The words that are most similar to all of <paramref name="positive"/> and dissimilar to <paramref name="negative"/>:
    /// those with the highest cosine to the mean of the unit vectors of the words, negative ones with the sign turned. The
    /// words given are excluded. gensim's <c>most_similar</c>.
    /// </summary>
    /// <param name="positive">Words that count for.</param>
    /// <param name="negative">Words that count against.</param>
    /// <param name="k">Words wanted, at least 1; there are fewer where the table has fewer.</param>
    /// <param name="restrictVocabulary">Look only among this many words, from the start of the table.</param>
    /// <param name="pool">Threads to work on; null for the caller's only.</param>
    /// <returns>The most similar first.</returns>
    /// <exception cref="KeyNotFoundException">A word is unknown; the message gives the closest spellings.</exception>
    /// <exception cref="ArgumentException">No word was given.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="k"/> or <paramref name="restrictVocabulary"/> is below 1.</exception>
    public SimilarWord[] MostSimilar(
        IReadOnlyList<string> positive,
        IReadOnlyList<string> negative,
        int k = 10,
        int restrictVocabulary = int.MaxValue,
        WorkerPool? pool = null)
    {
        ArgumentNullException.ThrowIfNull(positive);
        ArgumentNullException.ThrowIfNull(negative);
        if (positive.Count + negative.Count == 0)
            throw new ArgumentException("At least one word is needed.", nameof(positive));

        int[] given = [.. positive.Select(_words.Number), .. negative.Select(_words.Number)];
        double[] mean = new double[Dimension];
        for (int i = 0; i < given.Length; i++)
            AddUnit(Vectors.Row(given[i]), i < positive.Count ? 1 : -1, mean);
        float[] query = new float[Dimension];
        for (int j = 0; j < query.Length; j++)
            query[j] = (float)(mean[j] / given.Length);
        return Search(query, given, k, restrictVocabulary, pool);
    }

    /// <summary>The words whose vectors are most similar to <paramref name="vector"/>; none is excluded.</summary>
    /// <param name="vector">As long as <see cref="Dimension"/>.</param>
    /// <param name="k">Words wanted, at least 1; there are fewer where the table has fewer.</param>
    /// <param name="restrictVocabulary">Look only among this many words, from the start of the table.</param>
    /// <param name="pool">Threads to work on; null for the caller's only.</param>
    /// <returns>The most similar first.</returns>
    /// <exception cref="ArgumentException">The length is not <see cref="Dimension"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="k"/> or <paramref name="restrictVocabulary"/> is below 1.</exception>
    public SimilarWord[] MostSimilar(ReadOnlySpan<float> vector, int k = 10, int restrictVocabulary = int.MaxValue, WorkerPool? pool = null)
    {
        if (vector.Length != Dimension)
            throw new ArgumentException($"The vector has {vector.Length} numbers and the words have {Dimension}.", nameof(vector));
        return Search(vector, [], k, restrictVocabulary, pool);
    }

    /// <summary>
    /// Answers "<paramref name="a"/> is to <paramref name="b"/> as <paramref name="c"/> is to what?": the words most similar
    /// to b and c and dissimilar to a (3CosAdd), as in <c>Analogy("man", "king", "woman")</c>.
    /// </summary>
    /// <param name="a">The first word of the pair that shows the relation.</param>
    /// <param name="b">The second word of that pair.</param>
    /// <param name="c">The first word of the pair to complete.</param>
    /// <param name="k">Answers wanted, at least 1.</param>
    /// <param name="restrictVocabulary">Look only among this many words, from the start of the table.</param>
    /// <param name="pool">Threads to work on; null for the caller's only.</param>
    /// <returns>The best answer first.</returns>
    /// <exception cref="KeyNotFoundException">A word is unknown; the message gives the closest spellings.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="k"/> or <paramref name="restrictVocabulary"/> is below 1.</exception>
    public SimilarWord[] Analogy(string a, string b, string c, int k = 10, int restrictVocabulary = int.MaxValue, WorkerPool? pool = null) =>
        MostSimilar([b, c], [a], k, restrictVocabulary, pool);

    /// <summary>The cosine of the angle between two words' vectors, -1 to 1; 0 where one is the zero vector.</summary>
    /// <exception cref="KeyNotFoundException">A word is unknown; the message gives the closest spellings.</exception>
    public float Similarity(string word1, string word2) => (float)Cosine(_words.Number(word1), _words.Number(word2));

    /// <summary>The neighbours of many words at once: much faster than asking for one after the other.</summary>
    /// <param name="words">Words with vectors.</param>
    /// <param name="k">Neighbours wanted for each, at least 1; there are fewer where the table has fewer.</param>
    /// <param name="restrictVocabulary">Look only among this many words, from the start of the table.</param>
    /// <param name="pool">Threads to work on; null for the caller's only.</param>
    /// <param name="cancellationToken">Ends the search early.</param>
    /// <returns>For each word what <see cref="MostSimilar(string, int, int, WorkerPool?)"/> answers.</returns>
    /// <exception cref="KeyNotFoundException">A word is unknown; the message gives the closest spellings.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="k"/> or <paramref name="restrictVocabulary"/> is below 1.</exception>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public SimilarWord[][] MostSimilarToEach(
        IReadOnlyList<string> words, int k = 10, int restrictVocabulary = int.MaxValue, WorkerPool? pool = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(words);
        CheckSearch(k, restrictVocabulary);
        int[] given = [.. words.Select(_words.Number)];
        SimilarWord[][] answers = new SimilarWord[given.Length][];
        int wanted = (int)Math.Min((long)k + 1, Math.Min(restrictVocabulary, Count));
        int step = Math.Clamp(ResultsPerCall / Math.Max(wanted, 1), 1, QueriesPerCall);
        for (int start = 0; start < given.Length; start += step)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int count = Math.Min(step, given.Length - start);
            using FloatMatrix queries = new(count, Dimension);
            for (int i = 0; i < count; i++)
                Vectors.Row(given[start + i]).CopyTo(queries.Row(i));
            using TopRows top = FindTop(queries.View, wanted, restrictVocabulary, pool);
            for (int i = 0; i < count; i++)
                answers[start + i] = ToWords(top, i, [given[start + i]], k);
        }

        return answers;
    }

    /// <summary>The rows with the highest cosine to each query, among the first <paramref name="restrictVocabulary"/>.</summary>
    internal TopRows FindTop(MatrixView<float> queries, int k, int restrictVocabulary, WorkerPool? pool)
    {
        TopRows top = new((int)queries.Rows, k);
        try
        {
            MatrixView<float> data = Vectors.View.Slice(0, Math.Min(restrictVocabulary, Count));
            Core.Similarity.TopK(queries, data, k, SimilarityMetric.Cosine, top.Ids, top.Scores, excludeSelf: false, pool);
            GC.KeepAlive(this);
            return top;
        }
        catch
        {
            top.Dispose();
            throw;
        }
    }

    /// <summary>The cosine between two rows, summed in double.</summary>
    internal double Cosine(int row1, int row2)
    {
        ReadOnlySpan<float> x = Vectors.Row(row1);
        ReadOnlySpan<float> y = Vectors.Row(row2);
        double xy = 0;
        double xx = 0;
        double yy = 0;
        for (int i = 0; i < x.Length; i++)
        {
            xy += (double)x[i] * y[i];
            xx += (double)x[i] * x[i];
            yy += (double)y[i] * y[i];
        }

        return xx == 0 || yy == 0 ? 0 : xy / (Math.Sqrt(xx) * Math.Sqrt(yy));
    }

    /// <summary>sum += sign * vector / |vector|; nothing for the zero vector.</summary>
    internal static void AddUnit(ReadOnlySpan<float> vector, int sign, Span<double> sum)
    {
        double squares = 0;
        foreach (float value in vector)
            squares += (double)value * value;
        if (squares == 0)
            return;
        double scale = sign / Math.Sqrt(squares);
        for (int i = 0; i < vector.Length; i++)
            sum[i] += scale * vector[i];
    }

    private SimilarWord[] Search(ReadOnlySpan<float> query, int[] excluded, int k, int restrictVocabulary, WorkerPool? pool)
    {
        CheckSearch(k, restrictVocabulary);
        int wanted = (int)Math.Min((long)k + excluded.Length, Math.Min(restrictVocabulary, Count));
        if (wanted == 0)
            return [];
        fixed (float* pointer = query)
        {
            using TopRows top = FindTop(new MatrixView<float>(pointer, 1, Dimension), wanted, restrictVocabulary, pool);
            return ToWords(top, 0, excluded, k);
        }
    }

    private SimilarWord[] ToWords(TopRows top, int query, ReadOnlySpan<int> excluded, int k)
    {
        List<SimilarWord> words = new(top.K);
        for (int i = 0; i < top.K && words.Count < k; i++)
        {
            long id = top.Ids.Row(query)[i];
            if (id >= 0 && !excluded.Contains((int)id))
                words.Add(new SimilarWord(Words[(int)id], top.Scores.Row(query)[i], (int)id));
        }

        return [.. words];
    }

    private static void CheckSearch(int k, int restrictVocabulary)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(restrictVocabulary, 1);
    }

    /// <summary>The result of a search: for each query k rows and their similarities, best first; -1 where there is none.</summary>
    internal sealed class TopRows(int queries, int k) : IDisposable
    {
        private readonly AlignedBuffer<long> _ids = new((nint)queries * k);
        private readonly AlignedBuffer<float> _scores = new((nint)queries * k);

        public int K => k;

        public MatrixView<long> Ids => new(_ids.Pointer, queries, k);

        public MatrixView<float> Scores => new(_scores.Pointer, queries, k);

        public void Dispose()
        {
            _ids.Dispose();
            _scores.Dispose();
        }
    }
}
