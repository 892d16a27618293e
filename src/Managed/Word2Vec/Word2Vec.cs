using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// Word vectors by skip-gram with negative sampling (Mikolov et al., 2013), trained from a text on disk that is read once
/// an epoch and never held in memory.
/// </summary>
public sealed class Word2Vec : IDisposable
{
    /// <summary>Longer sentences are trained in pieces of this many words, as in gensim.</summary>
    private const int LongestSentence = 10_000;

    private readonly SkipGramModel _model;
    private bool _finished;

    /// <summary>A model with initial vectors; <see cref="Train"/> it.</summary>
    /// <param name="vocabulary">The words, for instance from <see cref="EmbeddingKernels.Vocabulary.Build(TextCorpus, int, WorkerPool?, IProgress{CorpusProgress}?, CancellationToken)"/>.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <exception cref="ArgumentException">The vocabulary has no word.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public Word2Vec(Vocabulary vocabulary, Word2VecOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(vocabulary);
        Options = options ?? new Word2VecOptions();
        Options.Validate();
        if (vocabulary.Count == 0)
            throw new ArgumentException("The vocabulary has no word: the text is empty, or every word is rarer than the minimal count.", nameof(vocabulary));
        Vocabulary = vocabulary;
        _model = new SkipGramModel(vocabulary.Counts, Options.VectorSize, Options.SkipGram, Options.Seed);
    }

    /// <summary>The options in force.</summary>
    public Word2VecOptions Options { get; }

    /// <summary>The words.</summary>
    public Vocabulary Vocabulary { get; }

    /// <summary>Counts the corpus's words, trains, and gives the vectors.</summary>
    /// <param name="path">A text: UTF-8, plain or gzip; see <see cref="TextCorpus"/>.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <param name="progress">Gets reports about ten times a second, from the threads that train.</param>
    /// <param name="cancellationToken">Stops within milliseconds.</param>
    /// <exception cref="ArgumentException">The text has no word that is frequent enough.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    /// <exception cref="IOException">The file is missing or cannot be read.</exception>
    /// <exception cref="InvalidDataException">A gzip file is damaged or truncated.</exception>
    /// <exception cref="OperationCanceledException">The training was cancelled.</exception>
    public static KeyedVectors Fit(
        string path,
        Word2VecOptions? options = null,
        IProgress<Word2VecProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        options ??= new Word2VecOptions();
        options.Validate();
        TextCorpus corpus = new(path);
        Vocabulary vocabulary;
        using (WorkerPool pool = new(options.Threads))
            vocabulary = Vocabulary.Build(corpus, options.MinCount, pool, cancellationToken: cancellationToken);
        using Word2Vec model = new(vocabulary, options);
        model.Train(corpus, progress, cancellationToken);
        return model.Finish();
    }

    /// <summary>Trains for <see cref="Word2VecOptions.Epochs"/> passes over the corpus.</summary>
    /// <remarks>After a cancellation the model is as far as it came, and <see cref="Finish"/> gives its vectors.</remarks>
    /// <inheritdoc cref="Fit"/>
    /// <param name="corpus">The text. Words outside the vocabulary are passed over before windows are made.</param>
    /// <param name="progress">Gets reports about ten times a second, from the threads that train.</param>
    /// <param name="cancellationToken">Stops within milliseconds.</param>
    /// <exception cref="InvalidOperationException">The model is finished.</exception>
    public void Train(TextCorpus corpus, IProgress<Word2VecProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(corpus);
        if (_finished)
            throw new InvalidOperationException("The model is finished; make a new one to train again.");

        Schedule schedule = new(Options, Vocabulary.TotalWords, progress);
        SkipGramWorker[] workers = new SkipGramWorker[Options.Threads];
        for (int i = 0; i < workers.Length; i++)
            workers[i] = _model.CreateWorker(unchecked((Options.Seed + 1) * 1_000_003 + i));
        using WorkerPool pool = new(Options.Threads);
        try
        {
            for (int epoch = 1; epoch <= Options.Epochs; epoch++)
            {
                schedule.Epoch = epoch;
                using TextPass pass = corpus.OpenPass();
                pool.Run(worker => TrainBlocks(pass, workers[worker], schedule, cancellationToken));
                cancellationToken.ThrowIfCancellationRequested();
            }

            schedule.ReportEnd();
        }
        finally
        {
            foreach (SkipGramWorker worker in workers)
                worker.Dispose();
        }
    }

    /// <summary>Ends the training: frees what only training needs, and gives the word vectors.</summary>
    /// <returns>The vectors of all words, most frequent first.</returns>
    /// <exception cref="InvalidOperationException">The model is finished.</exception>
    public KeyedVectors Finish()
    {
        if (_finished)
            throw new InvalidOperationException("The model is finished; its vectors were handed out.");
        _finished = true;
        return new KeyedVectors(Vocabulary.ToArray(), new FloatMatrix(_model.DetachInput(), _model.Words, _model.Dimension));
    }

    /// <summary>Frees the model.</summary>
    public void Dispose()
    {
        _finished = true;
        _model.Dispose();
    }

    private unsafe void TrainBlocks(TextPass pass, SkipGramWorker worker, Schedule schedule, CancellationToken cancellationToken)
    {
        TextBlock block = new();
        int[] sentence = new int[LongestSentence];
        while (!cancellationToken.IsCancellationRequested && pass.TryRead(block))
        {
            fixed (byte* bytes = block.Bytes)
            {
                WordScanner scanner = new(bytes + block.Start, bytes + block.End);
                bool more = true;
                while (more)
                {
                    int length = 0;
                    while ((more = scanner.Next()) && scanner.Length > 0)
                    {
                        int word = scanner.Length <= TextCorpus.LongestWord ? Vocabulary.Find(scanner.Word, scanner.Length) : -1;
                        if (word >= 0)
                            sentence[length++] = word;
                        if (length == sentence.Length)
                            break;
                    }

                    if (length == 0)
                        continue;
                    worker.Train(sentence.AsSpan(0, length), schedule.Alpha);
                    schedule.Advance(length);
                    if (cancellationToken.IsCancellationRequested)
                        return;
                }
            }
        }
    }

    /// <summary>The learning rate, which falls with the words that all threads have trained.</summary>
    private sealed class Schedule(Word2VecOptions options, long wordsPerEpoch, IProgress<Word2VecProgress>? progress)
    {
        private readonly ProgressGate _gate = new();
        private readonly long _total = wordsPerEpoch * options.Epochs;
        private long _trained;

        public int Epoch { get; set; }

        public float Alpha
        {
            get
            {
                double done = Math.Min((double)Interlocked.Read(ref _trained) / Math.Max(_total, 1), 1);
                return (float)(options.Alpha - ((options.Alpha - options.MinAlpha) * done));
            }
        }

        public void Advance(int words)
        {
            long trained = Interlocked.Add(ref _trained, words);
            if (progress is not null && _gate.IsDue())
                progress.Report(new Word2VecProgress(Epoch, options.Epochs, trained, _total, Alpha));
        }

        public void ReportEnd() => progress?.Report(new Word2VecProgress(options.Epochs, options.Epochs, Interlocked.Read(ref _trained), _total, Alpha));
    }
}
