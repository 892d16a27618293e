using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// The distribution that negative samples come from: P(w) proportional to count(w)^exponent, drawn in constant time from
/// Walker's alias table (8 bytes a word, so the table stays in cache where word2vec.c's takes 400 MB).
/// </summary>
/// <remarks>Sources: Mikolov et al., 2013 (exponent 0.75); Walker, 1977; Vose, 1991. Immutable, so safe for any thread.</remarks>
public sealed class NoiseDistribution
{
    private readonly Cell[] _cells;

    /// <summary>Builds the table.</summary>
    /// <param name="counts">How often each word occurs; the word's id is its position.</param>
    /// <param name="exponent">1 draws by frequency, 0 uniformly; gensim's <c>ns_exponent</c>.</param>
    /// <exception cref="ArgumentException">There is no word, a count is negative, or no word has a positive probability.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="exponent"/> is not finite.</exception>
    public NoiseDistribution(ReadOnlySpan<long> counts, double exponent = 0.75)
    {
        if (counts.IsEmpty)
            throw new ArgumentException("There must be at least one word.", nameof(counts));
        if (!double.IsFinite(exponent))
            throw new ArgumentOutOfRangeException(nameof(exponent), exponent, "The exponent must be finite.");

        double[] weights = new double[counts.Length];
        double total = 0;
        for (int i = 0; i < counts.Length; i++)
        {
            if (counts[i] < 0)
                throw new ArgumentException($"The count of word {i} is {counts[i]}; counts must not be negative.", nameof(counts));
            weights[i] = counts[i] == 0 ? 0 : Math.Pow(counts[i], exponent);
            total += weights[i];
        }

        if (!(total > 0) || !double.IsFinite(total))
            throw new ArgumentException($"The counts give a total weight of {total}; it must be positive and finite.", nameof(counts));

        _cells = BuildAliasTable(weights, total);
    }

    /// <summary>Number of words.</summary>
    public int Count => _cells.Length;

    /// <summary>The probability that a draw gives <paramref name="word"/>, as the table has it.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="word"/> is no word.</exception>
    public double Probability(int word)
    {
        if ((uint)word >= (uint)_cells.Length)
            throw new ArgumentOutOfRangeException(nameof(word), word, $"There are {_cells.Length} words.");

        const double Whole = 4294967296.0;
        double sum = 0;
        for (int i = 0; i < _cells.Length; i++)
        {
            double own = _cells[i].Alias == i ? 1 : _cells[i].Threshold / Whole;
            sum += (i == word ? own : 0) + (_cells[i].Alias == word && i != word ? 1 - own : 0);
        }

        return sum / _cells.Length;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal int Draw(ref SplitMix64 random)
    {
        ulong bits = random.Next();
        int cell = (int)(((bits >> 32) * (uint)_cells.Length) >> 32);
        Cell chosen = _cells[cell];
        return (uint)bits < chosen.Threshold ? cell : chosen.Alias;
    }

    private static Cell[] BuildAliasTable(double[] weights, double total)
    {
        int n = weights.Length;
        double[] scaled = new double[n];
        int[] small = new int[n];
        int[] large = new int[n];
        int smallCount = 0;
        int largeCount = 0;
        for (int i = 0; i < n; i++)
        {
            scaled[i] = weights[i] / total * n;
            if (scaled[i] < 1)
                small[smallCount++] = i;
            else
                large[largeCount++] = i;
        }

        // A cell that no step below fills has all of its probability for itself.
        Cell[] cells = new Cell[n];
        for (int i = 0; i < n; i++)
            cells[i] = new Cell(uint.MaxValue, i);

        while (smallCount > 0 && largeCount > 0)
        {
            int less = small[--smallCount];
            int more = large[largeCount - 1];
            cells[less] = new Cell((uint)Math.Min(scaled[less] * 4294967296.0, uint.MaxValue), more);
            scaled[more] -= 1 - scaled[less];
            if (scaled[more] < 1)
            {
                largeCount--;
                small[smallCount++] = more;
            }
        }

        return cells;
    }

    private readonly record struct Cell(uint Threshold, int Alias);
}
