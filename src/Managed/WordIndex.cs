using System.Diagnostics.CodeAnalysis;

namespace EmbeddingKernels;

/// <summary>Distinct words and their numbers, in order of arrival.</summary>
internal sealed class WordIndex
{
    // A look through more words than this takes longer than a message is worth.
    private const int SpellingsSearched = 200_000;
    private const int SpellingsShown = 3;
    private const int MaximumEdits = 2;

    private readonly List<string> _words = [];
    private readonly Dictionary<string, int> _numbers = new(StringComparer.Ordinal);

    public IReadOnlyList<string> Words => _words;

    public int Count => _words.Count;

    /// <summary>Appends a word; false where it is there already.</summary>
    public bool TryAdd(string word)
    {
        if (!_numbers.TryAdd(word, _words.Count))
            return false;
        _words.Add(word);
        return true;
    }

    public bool TryGetNumber(string word, out int number) => _numbers.TryGetValue(word, out number);

    /// <summary>The number of a word that should be there.</summary>
    /// <exception cref="KeyNotFoundException">It is not; the message names it and the closest spellings.</exception>
    public int Number(string word)
    {
        ArgumentNullException.ThrowIfNull(word);
        if (!_numbers.TryGetValue(word, out int number))
            ThrowUnknown(word);
        return number;
    }

    [DoesNotReturn]
    private void ThrowUnknown(string word)
    {
        List<string> close = ClosestSpellings(word);
        string advice = close.Count == 0 ? "" : $" Closest spellings: {string.Join(", ", close.Select(w => $"'{w}'"))}.";
        throw new KeyNotFoundException($"The word '{word}' is not among the {Count} words.{advice}");
    }

    /// <summary>The words within two edits, case aside; the closest first, then the earliest.</summary>
    private List<string> ClosestSpellings(string word)
    {
        List<(int Edits, int Number)> found = [];
        string wanted = word.ToUpperInvariant();
        int[] row = new int[wanted.Length + 1];
        for (int i = 0; i < Math.Min(Count, SpellingsSearched); i++)
        {
            string candidate = _words[i];
            if (Math.Abs(candidate.Length - wanted.Length) > MaximumEdits)
                continue;
            int edits = Edits(wanted, candidate, row);
            if (edits <= MaximumEdits && edits < Math.Max(wanted.Length, 2))
                found.Add((edits, i));
        }

        return [.. found.Order().Take(SpellingsShown).Select(f => _words[f.Number])];
    }

    /// <summary>Levenshtein's distance, or more than <see cref="MaximumEdits"/> as soon as it must be more.</summary>
    private static int Edits(string wanted, string candidate, int[] row)
    {
        for (int j = 0; j <= wanted.Length; j++)
            row[j] = j;
        foreach (char original in candidate)
        {
            char character = char.ToUpperInvariant(original);
            int diagonal = row[0];
            int best = ++row[0];
            for (int j = 1; j <= wanted.Length; j++)
            {
                int replaced = diagonal + (wanted[j - 1] == character ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, 1 + Math.Min(row[j], row[j - 1]));
                best = Math.Min(best, row[j]);
            }

            if (best > MaximumEdits)
                return best;
        }

        return row[wanted.Length];
    }
}
