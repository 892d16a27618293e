namespace EmbeddingKernels;

/// <summary>How many of the true neighbours a search has found, by the two measures in use.</summary>
/// <remarks>
/// Both take row numbers, a row for each query, the nearest first; negative numbers stand for nothing, as where there are
/// fewer neighbours than asked for. Ties at the last place count as the files have them.
/// </remarks>
public static class NeighborRecall
{
    /// <summary>
    /// recall@k: of the first k true neighbours of each query the share that is among the first k found, averaged over
    /// queries (those without true neighbours left out). NaN where there are none at all.
    /// </summary>
    /// <param name="found">What a search has found.</param>
    /// <param name="foundColumns">Numbers per row of <paramref name="found"/>.</param>
    /// <param name="truth">True neighbours of the same queries.</param>
    /// <param name="truthColumns">Numbers per row of <paramref name="truth"/>.</param>
    /// <param name="k">1 to the smaller number of columns.</param>
    /// <exception cref="ArgumentException">The lengths are no whole rows, or the numbers of rows differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="k"/> is below 1 or above the columns.</exception>
    public static double AtK(ReadOnlySpan<long> found, int foundColumns, ReadOnlySpan<long> truth, int truthColumns, int k)
    {
        int queries = Check(found, foundColumns, truth, truthColumns, Math.Min(foundColumns, truthColumns), k);
        double sum = 0;
        int counted = 0;
        HashSet<long> wanted = [];
        for (int i = 0; i < queries; i++)
        {
            wanted.Clear();
            foreach (long id in truth.Slice(i * truthColumns, k))
            {
                if (id >= 0)
                    wanted.Add(id);
            }

            if (wanted.Count == 0)
                continue;
            int all = wanted.Count;
            foreach (long id in found.Slice(i * foundColumns, k))
                wanted.Remove(id);
            sum += (double)(all - wanted.Count) / all;
            counted++;
        }

        return counted == 0 ? double.NaN : sum / counted;
    }

    /// <summary>
    /// R@k of the texmex benchmarks ("1-recall at k"): the share of queries whose nearest true neighbour is among the first k
    /// found. NaN where no query has one.
    /// </summary>
    /// <param name="found">What a search has found.</param>
    /// <param name="foundColumns">Numbers per row of <paramref name="found"/>.</param>
    /// <param name="truth">True neighbours of the same queries; only the first of each counts.</param>
    /// <param name="truthColumns">Numbers per row of <paramref name="truth"/>.</param>
    /// <param name="k">1 to <paramref name="foundColumns"/>.</param>
    /// <inheritdoc cref="AtK(ReadOnlySpan{long}, int, ReadOnlySpan{long}, int, int)" path="/exception"/>
    public static double FirstWithin(ReadOnlySpan<long> found, int foundColumns, ReadOnlySpan<long> truth, int truthColumns, int k)
    {
        int queries = Check(found, foundColumns, truth, truthColumns, foundColumns, k);
        int hits = 0, counted = 0;
        for (int i = 0; i < queries; i++)
        {
            long nearest = truth[i * truthColumns];
            if (nearest < 0)
                continue;
            hits += found.Slice(i * foundColumns, k).Contains(nearest) ? 1 : 0;
            counted++;
        }

        return counted == 0 ? double.NaN : (double)hits / counted;
    }

    private static int Check(ReadOnlySpan<long> found, int foundColumns, ReadOnlySpan<long> truth, int truthColumns, int most, int k)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(foundColumns, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(truthColumns, 1);
        if (k < 1 || k > most)
            throw new ArgumentOutOfRangeException(nameof(k), k, $"k must be 1 to {most}.");
        if (found.Length % foundColumns != 0)
            throw new ArgumentException($"{found.Length} numbers do not make whole rows of {foundColumns}.", nameof(found));
        if (truth.Length % truthColumns != 0 || truth.Length / truthColumns != found.Length / foundColumns)
            throw new ArgumentException($"There are {found.Length / foundColumns} queries, and {truth.Length} true neighbours in rows of {truthColumns}.", nameof(truth));
        return found.Length / foundColumns;
    }
}
