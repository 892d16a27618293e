namespace EmbeddingKernels.Core;

/// <summary>How windows and negatives are made. Names and defaults follow gensim's Word2Vec.</summary>
public sealed record SkipGramParameters
{
    /// <summary>Words on each side of the target (word2vec.c: <c>-window</c>).</summary>
    public int Window { get; init; } = 5;

    /// <summary>Noise words for each target (word2vec.c: <c>-negative</c>).</summary>
    public int Negative { get; init; } = 5;

    /// <summary>
    /// Frequent words are dropped at random: a word with share f of the text is kept with probability
    /// (sqrt(f / Sample) + 1) * Sample / f; 0 keeps all (word2vec.c: <c>-sample</c>).
    /// </summary>
    public double Sample { get; init; } = 1e-3;

    /// <summary>The noise distribution's exponent over counts (0.75 in word2vec.c).</summary>
    public double NsExponent { get; init; } = 0.75;

    /// <summary>Draw each target's window uniformly from 1 to <see cref="Window"/>; else always the whole (word2vec.c: always true).</summary>
    public bool ShrinkWindows { get; init; } = true;

    /// <summary>
    /// All contexts of a target share its negatives, as in pWord2Vec (Ji et al., 2016): several times faster, equal
    /// quality. False draws negatives anew for each (context, target) pair: gensim's and word2vec.c's way.
    /// </summary>
    public bool SharedNegatives { get; init; } = true;

    /// <summary>Checks every value.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        if (Window is < 1 or > 10_000)
            throw new ArgumentOutOfRangeException(nameof(Window), Window, "The window must be 1 to 10000.");
        if (Negative is < 1 or > 1_000)
            throw new ArgumentOutOfRangeException(nameof(Negative), Negative, "The number of negatives must be 1 to 1000.");
        if (!(Sample >= 0) || !double.IsFinite(Sample))
            throw new ArgumentOutOfRangeException(nameof(Sample), Sample, "The sub-sampling threshold must be 0 or positive and finite.");
        if (!double.IsFinite(NsExponent))
            throw new ArgumentOutOfRangeException(nameof(NsExponent), NsExponent, "The noise exponent must be finite.");
    }
}

/// <summary>
/// Skip-gram with negative sampling over word ids (Mikolov et al., 2013): two matrices of word vectors, as input (context)
/// and as output (target), trained so that sigmoid(input . output) tells the words that occur together from noise.
/// </summary>
/// <remarks>
/// Train it through <see cref="CreateWorker"/>, one worker for each thread. Workers update the shared matrices without
/// locks (Hogwild, Niu et al., 2011): with one worker and one seed the result is the same bits every time at one
/// instruction-set level, with several it is not.
/// </remarks>
public sealed unsafe class SkipGramModel : IDisposable
{
    /// <summary>
    /// Rows begin on cache lines and hold whole vectors of the widest level: with zeros behind the dimension no kernel has
    /// a tail.
    /// </summary>
    private const int RowMultiple = 16;

    private AlignedBuffer<float> _input;
    private readonly AlignedBuffer<float> _output;

    /// <summary>Allocates both matrices: input uniform in (-0.5, 0.5) / dimension, output zero, as word2vec.c and gensim do.</summary>
    /// <param name="counts">How often each word occurs; a word's id is its position.</param>
    /// <param name="dimension">Components of a word vector.</param>
    /// <param name="parameters">Windows and negatives.</param>
    /// <param name="seed">Seed of the initial vectors.</param>
    /// <exception cref="ArgumentException">There is no word or a count is negative.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="dimension"/> is not in 1..65536, or a parameter is out of range.</exception>
    public SkipGramModel(ReadOnlySpan<long> counts, int dimension, SkipGramParameters parameters, long seed = 1)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        parameters.Validate();
        if (dimension is < 1 or > 65_536)
            throw new ArgumentOutOfRangeException(nameof(dimension), dimension, "The dimension must be 1 to 65536.");

        Noise = new NoiseDistribution(counts, parameters.NsExponent);
        KeepThresholds = KeepThresholdsOf(counts, parameters.Sample);
        Parameters = parameters;
        Words = counts.Length;
        Dimension = dimension;
        Stride = (dimension + RowMultiple - 1) / RowMultiple * RowMultiple;
        _input = new AlignedBuffer<float>((nint)Words * Stride);
        _output = new AlignedBuffer<float>((nint)Words * Stride);
        SplitMix64 random = new(seed);
        for (nint word = 0; word < Words; word++)
        {
            float* row = _input.Pointer + (word * Stride);
            for (int d = 0; d < dimension; d++)
                row[d] = (random.NextSingle() - 0.5f) / dimension;
        }
    }

    /// <summary>Number of words.</summary>
    public int Words { get; }

    /// <summary>Components of a word vector.</summary>
    public int Dimension { get; }

    /// <summary>Floats from row to row in both matrices; zeros stand behind the dimension.</summary>
    public int Stride { get; }

    /// <summary>Windows and negatives.</summary>
    public SkipGramParameters Parameters { get; }

    /// <summary>Where negatives come from.</summary>
    public NoiseDistribution Noise { get; }

    /// <summary>The word vectors (gensim's <c>wv</c>, word2vec.c's <c>syn0</c>).</summary>
    public MatrixView<float> Input => new(_input.Pointer, Words, Dimension, Stride);

    /// <summary>The output vectors (gensim's <c>syn1neg</c>).</summary>
    public MatrixView<float> Output => new(_output.Pointer, Words, Dimension, Stride);

    /// <summary>For each word the 32-bit random number from which on an occurrence is dropped.</summary>
    internal uint[] KeepThresholds { get; }

    /// <summary>A worker for one thread, with random numbers of its own.</summary>
    /// <param name="seed">Seed of its sub-sampling, windows and negatives.</param>
    public SkipGramWorker CreateWorker(long seed) => new(this, seed);

    /// <summary>
    /// Ends training: frees the output vectors and hands over the word vectors without gaps between rows, in the same memory.
    /// The model must not be used any more.
    /// </summary>
    internal AlignedBuffer<float> DetachInput()
    {
        _output.Dispose();
        float* data = _input.Pointer;
        long bytes = (long)Dimension * sizeof(float);
        for (nint word = 1; word < Words; word++)
            Buffer.MemoryCopy(data + (word * Stride), data + (word * Dimension), bytes, bytes);
        AlignedBuffer<float> input = _input;
        _input = new AlignedBuffer<float>(0);
        return input;
    }

    /// <summary>Frees both matrices. Workers must have stopped.</summary>
    public void Dispose()
    {
        _input.Dispose();
        _output.Dispose();
    }

    private static uint[] KeepThresholdsOf(ReadOnlySpan<long> counts, double sample)
    {
        double total = 0;
        foreach (long count in counts)
            total += count;

        uint[] thresholds = new uint[counts.Length];
        for (int i = 0; i < counts.Length; i++)
        {
            double share = counts[i] / total;
            double keep = sample == 0 || share == 0 ? 1 : (Math.Sqrt(share / sample) + 1) * sample / share;
            thresholds[i] = (uint)Math.Min(keep * 4294967296.0, uint.MaxValue);
        }

        return thresholds;
    }
}
