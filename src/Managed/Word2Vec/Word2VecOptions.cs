using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// Options of <see cref="Word2Vec"/>. Names and defaults follow gensim's Word2Vec with <c>sg=1</c>; word2vec.c's names are
/// given where they differ.
/// </summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>gensim; word2vec.c</description></listheader>
/// <item><term><see cref="VectorSize"/></term><description>vector_size; -size</description></item>
/// <item><term><see cref="Window"/></term><description>window; -window</description></item>
/// <item><term><see cref="MinCount"/></term><description>min_count; -min-count</description></item>
/// <item><term><see cref="Negative"/></term><description>negative; -negative</description></item>
/// <item><term><see cref="Sample"/></term><description>sample; -sample</description></item>
/// <item><term><see cref="NsExponent"/></term><description>ns_exponent; fixed at 0.75</description></item>
/// <item><term><see cref="Epochs"/></term><description>epochs; -iter</description></item>
/// <item><term><see cref="Alpha"/></term><description>alpha; -alpha</description></item>
/// <item><term><see cref="MinAlpha"/></term><description>min_alpha; fixed at alpha * 0.0001</description></item>
/// <item><term><see cref="ShrinkWindows"/></term><description>shrink_windows; always true</description></item>
/// <item><term><see cref="Threads"/></term><description>workers; -threads</description></item>
/// <item><term><see cref="Seed"/></term><description>seed; fixed</description></item>
/// <item><term><see cref="SharedNegatives"/> = false</term><description>their only way of drawing negatives</description></item>
/// </list>
/// </remarks>
public sealed record Word2VecOptions
{
    /// <summary>Components of a word vector.</summary>
    public int VectorSize { get; init; } = 100;

    /// <inheritdoc cref="SkipGramParameters.Window"/>
    public int Window { get; init; } = 5;

    /// <summary>Words that occur less often are left out.</summary>
    public int MinCount { get; init; } = 5;

    /// <inheritdoc cref="SkipGramParameters.Negative"/>
    public int Negative { get; init; } = 5;

    /// <inheritdoc cref="SkipGramParameters.Sample"/>
    public double Sample { get; init; } = 1e-3;

    /// <inheritdoc cref="SkipGramParameters.NsExponent"/>
    public double NsExponent { get; init; } = 0.75;

    /// <summary>Passes over the corpus.</summary>
    public int Epochs { get; init; } = 5;

    /// <summary>Learning rate at the start; it falls linearly with the words trained.</summary>
    public double Alpha { get; init; } = 0.025;

    /// <summary>Learning rate at the end.</summary>
    public double MinAlpha { get; init; } = 0.0001;

    /// <inheritdoc cref="SkipGramParameters.ShrinkWindows"/>
    public bool ShrinkWindows { get; init; } = true;

    /// <inheritdoc cref="SkipGramParameters.SharedNegatives"/>
    public bool SharedNegatives { get; init; } = true;

    /// <summary>
    /// Threads that train. With 1 a run gives the same bytes each time for one seed and instruction-set level; with more,
    /// threads update the same vectors without locks (Hogwild) and runs differ slightly.
    /// </summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Seed of the initial vectors, the windows, the sub-sampling and the negatives.</summary>
    public long Seed { get; init; } = 1;

    internal SkipGramParameters SkipGram => new()
    {
        Window = Window,
        Negative = Negative,
        Sample = Sample,
        NsExponent = NsExponent,
        ShrinkWindows = ShrinkWindows,
        SharedNegatives = SharedNegatives,
    };

    /// <summary>Checks every value.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        SkipGram.Validate();
        if (VectorSize is < 1 or > 65_536)
            throw new ArgumentOutOfRangeException(nameof(VectorSize), VectorSize, "The vector size must be 1 to 65536.");
        if (MinCount < 1)
            throw new ArgumentOutOfRangeException(nameof(MinCount), MinCount, "The minimal count must be at least 1.");
        if (Epochs is < 1 or > 100_000)
            throw new ArgumentOutOfRangeException(nameof(Epochs), Epochs, "The number of epochs must be 1 to 100000.");
        if (!(Alpha > 0) || !double.IsFinite(Alpha))
            throw new ArgumentOutOfRangeException(nameof(Alpha), Alpha, "The learning rate must be positive and finite.");
        if (!(MinAlpha >= 0) || MinAlpha > Alpha)
            throw new ArgumentOutOfRangeException(nameof(MinAlpha), MinAlpha, $"The final learning rate must be 0 to the first one, {Alpha}.");
        if (Threads is < 1 or > 1024)
            throw new ArgumentOutOfRangeException(nameof(Threads), Threads, "The number of threads must be 1 to 1024.");
    }
}

/// <summary>How far a training is.</summary>
/// <param name="Epoch">The pass under way, from 1.</param>
/// <param name="Epochs">Passes in all.</param>
/// <param name="Words">Words of the vocabulary trained so far, over all passes, before sub-sampling.</param>
/// <param name="TotalWords">Words that the whole training has.</param>
/// <param name="Alpha">The learning rate.</param>
public readonly record struct Word2VecProgress(int Epoch, int Epochs, long Words, long TotalWords, double Alpha);
