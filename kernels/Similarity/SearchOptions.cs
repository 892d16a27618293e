namespace EmbeddingKernels.Core;

/// <summary>Further choices of a top-k search.</summary>
public sealed record SearchOptions
{
    internal static readonly SearchOptions Default = new();
    internal static readonly SearchOptions NotSelf = new() { ExcludeSelf = true };

    /// <summary>Never return row i of the data for query i: the neighbours of a set within itself.</summary>
    public bool ExcludeSelf { get; init; }

    /// <summary>What the cosine with a zero vector is taken for.</summary>
    public ZeroVectorRule ZeroVectors { get; init; }

    /// <summary>
    /// The Euclidean norm of each row of the data, if they are known already: they then need not be computed, which
    /// saves up to a tenth of a search of few queries. Only for rows of floats. They must be right to 2^-20 of their size;
    /// results are undefined (but nothing is read or written out of place) where they are not.
    /// </summary>
    public ReadOnlyMemory<float> Norms { get; init; }
}

/// <summary>The rows that a range search found, query after query, each query's closest first, ties by the lower index.</summary>
public sealed class RangeResult
{
    private readonly long[] _ids;
    private readonly float[] _scores;
    private readonly int[] _offsets;

    internal RangeResult(int queries, List<RangeHit> hits, bool distance)
    {
        _offsets = new int[queries + 1];
        _ids = new long[hits.Count];
        _scores = new float[hits.Count];
        for (int i = 0; i < hits.Count; i++)
        {
            _offsets[hits[i].Query + 1]++;
            _ids[i] = hits[i].Id;
            _scores[i] = distance ? -hits[i].Closeness : hits[i].Closeness;
        }

        for (int i = 0; i < queries; i++)
            _offsets[i + 1] += _offsets[i];
    }

    /// <summary>Where each query's rows begin, and after the last one their number: m + 1 places.</summary>
    public ReadOnlySpan<int> Offsets => _offsets;

    /// <summary>The row indices of all queries.</summary>
    public ReadOnlySpan<long> Ids => _ids;

    /// <summary>The scores of those rows.</summary>
    public ReadOnlySpan<float> Scores => _scores;

    /// <summary>The rows of one query.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="query"/> is none.</exception>
    public (ReadOnlyMemory<long> Ids, ReadOnlyMemory<float> Scores) OfQuery(int query)
    {
        if ((uint)query >= (uint)(_offsets.Length - 1))
            throw new ArgumentOutOfRangeException(nameof(query), query, $"There are {_offsets.Length - 1} queries.");
        Range rows = _offsets[query].._offsets[query + 1];
        return (_ids.AsMemory(rows), _scores.AsMemory(rows));
    }
}
