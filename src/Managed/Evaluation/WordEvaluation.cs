using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// How good word vectors are, by the usual two measures: analogy questions and the similarity of word pairs. The rules are
/// those of gensim 4's <c>evaluate_word_analogies</c> and <c>evaluate_word_pairs</c>, so that results can be compared.
/// </summary>
/// <remarks>
/// Files are UTF-8, packed if the name ends in .gz. Case is put aside by upper-casing, one character for one (Python turns
/// "ß" into "SS"); of words that differ in case only, the first of the table stands for all.
/// </remarks>
public static class WordEvaluation
{
    private const int MaximumLineBytes = 1 << 20;
    private const int QuestionsPerCall = 512;

    // gensim looks at five answers: the best may differ from a given word in case only, and does not count then.
    private const int AnswersSeen = 5;
    private const int WordsGiven = 3;

    /// <summary>
    /// Asks the questions of a file in the format of Google's questions-words.txt: lines ": section" and lines of four words
    /// "a b c d", where d should come out for <c>Analogy(a, b, c)</c>.
    /// </summary>
    /// <remarks>
    /// The answer is the word with the highest cosine to the mean of b, c and -a as unit vectors (3CosAdd) among the first
    /// <paramref name="restrictVocabulary"/> words, a, b and c excluded. A question with a word outside them is skipped.
    /// </remarks>
    /// <param name="vectors">What to test.</param>
    /// <param name="path">The file of questions.</param>
    /// <param name="restrictVocabulary">Use only this many words, from the start of the table. word2vec's scripts use 30,000, gensim 300,000.</param>
    /// <param name="caseInsensitive">Put case aside.</param>
    /// <param name="countUnknownAsWrong">Count questions with unknown words as answered wrongly. gensim's <c>dummy4unknown</c>.</param>
    /// <param name="progress">Gets the part that is done, 0 to 1, now and then.</param>
    /// <param name="pool">Threads to work on; null for the caller's only.</param>
    /// <param name="cancellationToken">Ends the test early.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="restrictVocabulary"/> is below 1.</exception>
    /// <exception cref="DataFormatException">A question comes before the first section, or there is no question.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">The test was cancelled.</exception>
    public static AnalogyResult Analogies(
        KeyedVectors vectors,
        string path,
        int restrictVocabulary = 30_000,
        bool caseInsensitive = true,
        bool countUnknownAsWrong = false,
        IProgress<double>? progress = null,
        WorkerPool? pool = null,
        CancellationToken cancellationToken = default) =>
        Analogies(vectors, Lines(path), path, restrictVocabulary, caseInsensitive, countUnknownAsWrong, progress, pool, cancellationToken);

    /// <inheritdoc cref="Analogies(KeyedVectors, string, int, bool, bool, IProgress{double}?, WorkerPool?, CancellationToken)"/>
    /// <param name="vectors">What to test.</param>
    /// <param name="reader">The questions.</param>
    /// <param name="restrictVocabulary">Use only this many words, from the start of the table.</param>
    /// <param name="caseInsensitive">Put case aside.</param>
    /// <param name="countUnknownAsWrong">Count questions with unknown words as answered wrongly.</param>
    /// <param name="progress">Gets the part that is done, 0 to 1, now and then.</param>
    /// <param name="pool">Threads to work on; null for the caller's only.</param>
    /// <param name="cancellationToken">Ends the test early.</param>
    public static AnalogyResult Analogies(
        KeyedVectors vectors,
        TextReader reader,
        int restrictVocabulary = 30_000,
        bool caseInsensitive = true,
        bool countUnknownAsWrong = false,
        IProgress<double>? progress = null,
        WorkerPool? pool = null,
        CancellationToken cancellationToken = default) =>
        Analogies(vectors, Lines(reader), "the questions", restrictVocabulary, caseInsensitive, countUnknownAsWrong, progress, pool, cancellationToken);

    /// <summary>
    /// Compares cosines with people's judgements, for a file of lines "word word score" separated by tabs or spaces, as
    /// WordSim-353, MEN and RG-65 have them.
    /// </summary>
    /// <remarks>
    /// Lines that begin with # are comments. Headings and other lines without a score in third place are passed over. A line
    /// with a tab is split at tabs, others at spaces; fields beyond the third are ignored (gensim passes over such lines).
    /// </remarks>
    /// <param name="vectors">What to test.</param>
    /// <param name="path">The file of pairs.</param>
    /// <param name="restrictVocabulary">Use only this many words, from the start of the table. gensim uses 300,000.</param>
    /// <param name="caseInsensitive">Put case aside.</param>
    /// <param name="countUnknownAsZero">Take pairs with unknown words as having cosine 0 instead of leaving them out. gensim's <c>dummy4unknown</c>.</param>
    /// <param name="cancellationToken">Ends the test early.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="restrictVocabulary"/> is below 1.</exception>
    /// <exception cref="DataFormatException">There is no line with a pair and a score.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">The test was cancelled.</exception>
    public static WordPairResult WordPairs(
        KeyedVectors vectors,
        string path,
        int restrictVocabulary = int.MaxValue,
        bool caseInsensitive = true,
        bool countUnknownAsZero = false,
        CancellationToken cancellationToken = default) =>
        WordPairs(vectors, Lines(path), path, restrictVocabulary, caseInsensitive, countUnknownAsZero, cancellationToken);

    /// <inheritdoc cref="WordPairs(KeyedVectors, string, int, bool, bool, CancellationToken)"/>
    /// <param name="vectors">What to test.</param>
    /// <param name="reader">The pairs.</param>
    /// <param name="restrictVocabulary">Use only this many words, from the start of the table.</param>
    /// <param name="caseInsensitive">Put case aside.</param>
    /// <param name="countUnknownAsZero">Take pairs with unknown words as having cosine 0 instead of leaving them out.</param>
    /// <param name="cancellationToken">Ends the test early.</param>
    public static WordPairResult WordPairs(
        KeyedVectors vectors,
        TextReader reader,
        int restrictVocabulary = int.MaxValue,
        bool caseInsensitive = true,
        bool countUnknownAsZero = false,
        CancellationToken cancellationToken = default) =>
        WordPairs(vectors, Lines(reader), "the pairs", restrictVocabulary, caseInsensitive, countUnknownAsZero, cancellationToken);

    private static AnalogyResult Analogies(
        KeyedVectors vectors,
        IEnumerable<string> lines,
        string source,
        int restrictVocabulary,
        bool caseInsensitive,
        bool countUnknownAsWrong,
        IProgress<double>? progress,
        WorkerPool? pool,
        CancellationToken cancellationToken)
    {
        Vocabulary vocabulary = new(vectors, restrictVocabulary, caseInsensitive);
        List<SectionCounts> sections = [];
        List<Question> questions = [];
        int asked = 0;
        int invalid = 0;
        long number = -1;
        foreach (string line in lines)
        {
            number++;
            if (line.StartsWith(':'))
            {
                sections.Add(new SectionCounts(line.TrimStart(':', ' ').Trim()));
                continue;
            }

            string[] words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == WordsGiven + 1 && sections.Count == 0)
                throw new DataFormatException($"{source}: line {number + 1} has a question before the first section (a line ': name').");
            if (words.Length != WordsGiven + 1)
            {
                invalid += words.Length == 0 ? 0 : 1;
                continue;
            }

            asked++;
            SectionCounts section = sections[^1];
            if (vocabulary.TryFind(words[0], out int a) && vocabulary.TryFind(words[1], out int b)
                && vocabulary.TryFind(words[2], out int c) && vocabulary.TryFind(words[3], out int d))
            {
                questions.Add(new Question(section, a, b, c, d));
                section.Total++;
            }
            else
            {
                section.Skipped += countUnknownAsWrong ? 0 : 1;
                section.Total += countUnknownAsWrong ? 1 : 0;
            }
        }

        if (asked == 0)
            throw new DataFormatException($"{source}: there is no question; a question is a line of four words.");
        Ask(vectors, vocabulary, questions, progress, pool, cancellationToken);
        return new AnalogyResult([.. sections.Select(s => new AnalogySection(s.Name, s.Correct, s.Total, s.Skipped))], invalid);
    }

    private static void Ask(
        KeyedVectors vectors, Vocabulary vocabulary, List<Question> questions, IProgress<double>? progress, WorkerPool? pool, CancellationToken cancellationToken)
    {
        int k = Math.Min(AnswersSeen + WordsGiven, vocabulary.Size);
        double[] sum = new double[vectors.Dimension];
        for (int start = 0; start < questions.Count; start += QuestionsPerCall)
        {
            cancellationToken.ThrowIfCancellationRequested();
            progress?.Report((double)start / questions.Count);
            int count = Math.Min(QuestionsPerCall, questions.Count - start);
            using FloatMatrix queries = new(count, vectors.Dimension);
            for (int i = 0; i < count; i++)
            {
                Question question = questions[start + i];
                Array.Clear(sum);
                KeyedVectors.AddUnit(vectors.Vectors.Row(question.B), 1, sum);
                KeyedVectors.AddUnit(vectors.Vectors.Row(question.C), 1, sum);
                KeyedVectors.AddUnit(vectors.Vectors.Row(question.A), -1, sum);
                Span<float> query = queries.Row(i);
                for (int j = 0; j < query.Length; j++)
                    query[j] = (float)(sum[j] / WordsGiven);
            }

            using KeyedVectors.TopRows top = vectors.FindTop(queries.View, k, vocabulary.Size, pool);
            for (int i = 0; i < count; i++)
            {
                if (IsRight(questions[start + i], top.Ids.RowSpan(i), vocabulary))
                    questions[start + i].Section.Correct++;
            }

            GC.KeepAlive(queries);
        }

        progress?.Report(1);
    }

    private static bool IsRight(Question question, ReadOnlySpan<long> answers, Vocabulary vocabulary)
    {
        int seen = 0;
        int answer = -1;
        foreach (long id in answers)
        {
            if (id < 0 || id == question.A || id == question.B || id == question.C)
                continue;
            answer = vocabulary.Same((int)id);
            if (answer != question.A && answer != question.B && answer != question.C)
                break;
            if (++seen == AnswersSeen)
                break;
        }

        return answer == question.D;
    }

    private static WordPairResult WordPairs(
        KeyedVectors vectors,
        IEnumerable<string> lines,
        string source,
        int restrictVocabulary,
        bool caseInsensitive,
        bool countUnknownAsZero,
        CancellationToken cancellationToken)
    {
        Vocabulary vocabulary = new(vectors, restrictVocabulary, caseInsensitive);
        List<double> people = [];
        List<double> cosines = [];
        int unknown = 0;
        int invalid = 0;
        foreach (string line in lines)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (line.StartsWith('#') || string.IsNullOrWhiteSpace(line))
                continue;
            string[] fields = line.Contains('\t')
                ? line.Split('\t', StringSplitOptions.TrimEntries)
                : line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 3 || !double.TryParse(fields[2], NumberStyles.Float, CultureInfo.InvariantCulture, out double score) || !double.IsFinite(score))
            {
                invalid++;
                continue;
            }

            if (vocabulary.TryFind(fields[0], out int first) && vocabulary.TryFind(fields[1], out int second))
            {
                people.Add(score);
                cosines.Add(vectors.Cosine(first, second));
                continue;
            }

            unknown++;
            if (countUnknownAsZero)
            {
                people.Add(score);
                cosines.Add(0);
            }
        }

        if (people.Count == 0 && unknown == 0)
            throw new DataFormatException($"{source}: there is no line with two words and a score.");
        double[] x = [.. people];
        double[] y = [.. cosines];
        return new WordPairResult(Correlation.Spearman(x, y), Correlation.Pearson(x, y), x.Length, unknown, invalid);
    }

    private static IEnumerable<string> Lines(string path)
    {
        using FormatReader reader = new(path);
        for (long number = 0; ; number++)
        {
            if (!reader.TryReadLine(MaximumLineBytes, out ReadOnlySpan<byte> line, number))
                yield break;
            string text = WordEncoding.Decode(line);
            yield return number == 0 ? text.TrimStart('\uFEFF') : text; // editors on Windows put a byte order mark first
        }
    }

    private static IEnumerable<string> Lines(TextReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        while (reader.ReadLine() is string line)
            yield return line;
    }

    private sealed class SectionCounts(string name)
    {
        public string Name => name;

        public int Correct { get; set; }

        public int Total { get; set; }

        public int Skipped { get; set; }
    }

    private readonly record struct Question(SectionCounts Section, int A, int B, int C, int D);

    /// <summary>The first words of a table, with or without regard to case.</summary>
    private sealed class Vocabulary
    {
        private readonly bool _caseInsensitive;
        private readonly Dictionary<string, int> _rows = new(StringComparer.Ordinal);
        private readonly int[] _same;

        public Vocabulary(KeyedVectors vectors, int size, bool caseInsensitive)
        {
            ArgumentNullException.ThrowIfNull(vectors);
            ArgumentOutOfRangeException.ThrowIfLessThan(size, 1, "restrictVocabulary");
            Size = Math.Min(size, vectors.Count);
            _caseInsensitive = caseInsensitive;
            _same = new int[Size];
            for (int i = 0; i < Size; i++)
            {
                string word = Fold(vectors.Words[i]);
                _rows.TryAdd(word, i);
                _same[i] = _rows[word];
            }
        }

        public int Size { get; }

        public bool TryFind(string word, out int row) => _rows.TryGetValue(Fold(word), out row);

        /// <summary>The first row whose word is the same but for case.</summary>
        public int Same(int row) => _same[row];

        private string Fold(string word) => _caseInsensitive ? word.ToUpperInvariant() : word;
    }
}
