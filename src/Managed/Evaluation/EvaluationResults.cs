namespace EmbeddingKernels;

/// <summary>How many analogy questions of one kind were answered rightly.</summary>
/// <param name="Name">The section's name.</param>
/// <param name="Correct">Questions answered rightly.</param>
/// <param name="Total">Questions that count.</param>
/// <param name="Skipped">Questions left out because a word is unknown; they are not in <paramref name="Total"/>.</param>
public sealed record AnalogySection(string Name, int Correct, int Total, int Skipped)
{
    /// <summary>Correct / Total; NaN without questions.</summary>
    public double Accuracy => Total == 0 ? double.NaN : (double)Correct / Total;
}

/// <summary>The result of <see cref="WordEvaluation.Analogies(KeyedVectors, string, int, bool, bool, IProgress{double}?, Core.WorkerPool?, CancellationToken)"/>.</summary>
/// <param name="Sections">One entry for each section, in the file's order.</param>
/// <param name="InvalidLines">Lines that are neither a section nor four words; they were passed over.</param>
public sealed record AnalogyResult(IReadOnlyList<AnalogySection> Sections, int InvalidLines)
{
    /// <summary>All sections together.</summary>
    public AnalogySection Total => Sum("total", _ => true);

    /// <summary>The sections about meaning: those whose names do not begin with "gram".</summary>
    public AnalogySection Semantic => Sum("semantic", s => !IsSyntactic(s));

    /// <summary>The sections about grammar: those whose names begin with "gram", as in the Google set.</summary>
    public AnalogySection Syntactic => Sum("syntactic", IsSyntactic);

    private static bool IsSyntactic(AnalogySection section) => section.Name.StartsWith("gram", StringComparison.Ordinal);

    private AnalogySection Sum(string name, Func<AnalogySection, bool> which) =>
        Sections.Where(which).Aggregate(
            new AnalogySection(name, 0, 0, 0),
            (sum, s) => sum with { Correct = sum.Correct + s.Correct, Total = sum.Total + s.Total, Skipped = sum.Skipped + s.Skipped });
}

/// <summary>The result of <see cref="WordEvaluation.WordPairs(KeyedVectors, string, int, bool, bool, CancellationToken)"/>.</summary>
/// <param name="Spearman">Rank correlation of the people's scores and the cosines; equal values share their mean rank. NaN where it is not defined.</param>
/// <param name="Pearson">Linear correlation of the two. NaN where it is not defined.</param>
/// <param name="Pairs">Pairs that count.</param>
/// <param name="Unknown">Pairs with a word that has no vector.</param>
/// <param name="InvalidLines">Lines that are no pair with a score, as headings; they were passed over.</param>
public sealed record WordPairResult(double Spearman, double Pearson, int Pairs, int Unknown, int InvalidLines);
