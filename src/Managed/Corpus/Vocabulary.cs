using System.Buffers;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The words that a model knows, most frequent first (ties in byte order), with how often each occurs. A word's id is its
/// position. Immutable.
/// </summary>
public sealed class Vocabulary
{
    /// <summary>
    /// Different words that are counted at a time, about 50 bytes each; word2vec.c begins to drop the rarest at 21 million.
    /// </summary>
    private const int MostDifferentWords = 20_000_000;

    private readonly WordTable _table;
    private readonly long[] _counts;

    private Vocabulary(WordTable table, long[] counts, long textWords)
    {
        _table = table;
        _counts = counts;
        TextWords = textWords;
        foreach (long count in counts)
            TotalWords += count;
    }

    /// <summary>Number of words.</summary>
    public int Count => _counts.Length;

    /// <summary>How often each word occurs.</summary>
    public ReadOnlySpan<long> Counts => _counts;

    /// <summary>Occurrences of all words of the vocabulary.</summary>
    public long TotalWords { get; }

    /// <summary>Occurrences of all words of the text, the rare ones included.</summary>
    public long TextWords { get; }

    /// <summary>The word with id <paramref name="id"/>; bytes that are no UTF-8 come as lone surrogates, and go back to the same bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="id"/> is no id.</exception>
    public string this[int id]
    {
        get
        {
            if ((uint)id >= (uint)Count)
                throw new ArgumentOutOfRangeException(nameof(id), id, $"The vocabulary has {Count} words.");
            return WordEncoding.Decode(_table[id]);
        }
    }

    /// <summary>The id of <paramref name="word"/>, or -1.</summary>
    public int IndexOf(string word)
    {
        ArgumentNullException.ThrowIfNull(word);
        return TryEncode(word, out ReadOnlySpan<byte> bytes) ? _table.Find(bytes) : -1;
    }

    /// <summary>All words in the order of their ids.</summary>
    public string[] ToArray()
    {
        string[] words = new string[Count];
        for (int id = 0; id < words.Length; id++)
            words[id] = this[id];
        return words;
    }

    /// <summary>Counts the words of a corpus in one pass.</summary>
    /// <remarks>
    /// A thread that holds more than 20 million different words drops those that it has seen once, the next time those that
    /// it has seen twice, and so on, as word2vec.c does: memory stays bounded whatever the text.
    /// </remarks>
    /// <param name="corpus">The text.</param>
    /// <param name="minCount">Rarer words are left out (gensim's and word2vec.c's <c>min_count</c>).</param>
    /// <param name="pool">The threads that count; null for the caller's only.</param>
    /// <param name="progress">Gets the words counted so far.</param>
    /// <param name="cancellationToken">Stops the pass.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="minCount"/> is below 1.</exception>
    /// <exception cref="InvalidDataException">A gzip file is damaged or truncated.</exception>
    /// <exception cref="OperationCanceledException">The pass was cancelled.</exception>
    public static Vocabulary Build(
        TextCorpus corpus,
        int minCount = 5,
        WorkerPool? pool = null,
        IProgress<CorpusProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        Build(corpus, minCount, MostDifferentWords, pool, progress, cancellationToken);

    internal static Vocabulary Build(
        TextCorpus corpus,
        int minCount,
        int mostDifferentWords,
        WorkerPool? pool = null,
        IProgress<CorpusProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(corpus);
        ArgumentOutOfRangeException.ThrowIfLessThan(minCount, 1);
        pool ??= WorkerPool.Serial;
        WordCounter[] counters = new WordCounter[pool.Threads];
        ProgressGate gate = new();
        long counted = 0;
        using TextPass pass = corpus.OpenPass();
        pool.Run(worker =>
        {
            WordCounter counter = counters[worker] = new WordCounter(mostDifferentWords);
            TextBlock block = new();
            while (!cancellationToken.IsCancellationRequested && pass.TryRead(block))
            {
                long before = counter.TextWords;
                counter.Add(block);
                long now = Interlocked.Add(ref counted, counter.TextWords - before);
                if (progress is not null && gate.IsDue())
                    progress.Report(new CorpusProgress(now, pass.Position, corpus.Length));
            }
        });
        cancellationToken.ThrowIfCancellationRequested();
        WordCounter all = counters[0];
        foreach (WordCounter other in counters.AsSpan(1))
            all.Merge(other);
        return all.ToVocabulary(minCount);
    }

    /// <summary>Makes a vocabulary from words and their counts.</summary>
    /// <exception cref="ArgumentException">A word occurs twice or has a negative count.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="minCount"/> is below 1.</exception>
    public static Vocabulary FromCounts(IEnumerable<KeyValuePair<string, long>> counts, int minCount = 1)
    {
        ArgumentNullException.ThrowIfNull(counts);
        ArgumentOutOfRangeException.ThrowIfLessThan(minCount, 1);
        WordCounter counter = new(int.MaxValue);
        foreach ((string word, long count) in counts)
        {
            if (count < 0)
                throw new ArgumentException($"The count of '{word}' is {count}; counts must not be negative.", nameof(counts));
            if (!TryEncode(word, out ReadOnlySpan<byte> bytes))
                throw new ArgumentException($"The word '{word}' has a surrogate that belongs to no character.", nameof(counts));
            if (!counter.TryAdd(bytes, count))
                throw new ArgumentException($"The word '{word}' occurs twice.", nameof(counts));
        }

        return counter.ToVocabulary(minCount);
    }

    private static bool TryEncode(string word, out ReadOnlySpan<byte> bytes)
    {
        ArrayBufferWriter<byte> encoded = new();
        bool valid = WordEncoding.TryEncode(word, encoded);
        bytes = encoded.WrittenSpan;
        return valid;
    }

    internal unsafe int Find(byte* word, int length) => _table.Find(word, length);

    /// <summary>Counts words in whatever order they come.</summary>
    private sealed class WordCounter(int mostDifferentWords)
    {
        private WordTable _table = new();
        private long[] _counts = new long[1024];
        private long _dropped;

        public long TextWords { get; private set; }

        public unsafe void Add(TextBlock block)
        {
            fixed (byte* bytes = block.Bytes)
            {
                WordScanner scanner = new(bytes + block.Start, bytes + block.End);
                while (scanner.Next())
                {
                    if (scanner.Length is > 0 and <= TextCorpus.LongestWord)
                        Count(_table.FindOrAdd(scanner.Word, scanner.Length), 1);
                }
            }

            if (_table.Count > mostDifferentWords)
                DropRarest();
        }

        public bool TryAdd(ReadOnlySpan<byte> word, long count)
        {
            int known = _table.Count;
            Count(_table.FindOrAdd(word), count);
            return _table.Count > known;
        }

        public void Merge(WordCounter other)
        {
            long words = TextWords + other.TextWords; // of dropped words too
            for (int id = 0; id < other._table.Count; id++)
                Count(_table.FindOrAdd(other._table[id]), other._counts[id]);
            TextWords = words;
        }

        public Vocabulary ToVocabulary(int minCount)
        {
            int[] order = Enumerable.Range(0, _table.Count).Where(id => _counts[id] >= minCount).ToArray();
            Array.Sort(order, (a, b) => _counts[a] != _counts[b]
                ? _counts[b].CompareTo(_counts[a])
                : _table[a].SequenceCompareTo(_table[b]));

            // Added by frequency, so that the words that are looked up most share the arena's first cache lines.
            WordTable sorted = new(order.Length);
            long[] counts = new long[order.Length];
            for (int id = 0; id < order.Length; id++)
            {
                sorted.FindOrAdd(_table[order[id]]);
                counts[id] = _counts[order[id]];
            }

            return new Vocabulary(sorted, counts, TextWords);
        }

        private void DropRarest()
        {
            _dropped++;
            WordTable kept = new(mostDifferentWords / 2);
            int count = 0;
            for (int id = 0; id < _table.Count; id++)
            {
                if (_counts[id] <= _dropped)
                    continue;
                kept.FindOrAdd(_table[id]);
                _counts[count++] = _counts[id];
            }

            Array.Clear(_counts, count, _counts.Length - count);
            _table = kept;
        }

        private void Count(int id, long times)
        {
            if (id >= _counts.Length)
                Array.Resize(ref _counts, Math.Max(_counts.Length * 2, id + 1));
            _counts[id] += times;
            TextWords += times;
        }
    }
}

/// <summary>How far a pass over a corpus is.</summary>
/// <param name="Words">Words so far.</param>
/// <param name="Position">Bytes of the file so far (compressed, if it is).</param>
/// <param name="Length">Bytes of the file.</param>
public readonly record struct CorpusProgress(long Words, long Position, long Length);

/// <summary>Lets about ten reports a second through, whichever threads ask.</summary>
internal sealed class ProgressGate
{
    private const long IntervalMilliseconds = 100;
    private long _next;

    public bool IsDue()
    {
        long now = Environment.TickCount64;
        long next = Interlocked.Read(ref _next);
        return now >= next && Interlocked.CompareExchange(ref _next, now + IntervalMilliseconds, next) == next;
    }
}
