using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>Somebody else's exact search among rows of floats.</summary>
internal interface ISearchPeer : IDisposable
{
    /// <summary>Name and version, short enough for the head of a column.</summary>
    string Name { get; }

    /// <summary>The ids that the latest search found, a row for each query.</summary>
    long[] Ids { get; }

    /// <summary>Takes in the rows to search, in place of those before, and the queries.</summary>
    void Load(MatrixView<float> data, MatrixView<float> queries);

    /// <summary>Threads of the calls that follow.</summary>
    void SetThreads(int threads);

    /// <summary>The search for the first <paramref name="count"/> queries as one who takes part in a duel.</summary>
    /// <param name="metric">Dot product or squared distance.</param>
    /// <param name="count">Queries.</param>
    /// <param name="k">Rows wanted for each.</param>
    Contestant Contestant(SimilarityMetric metric, int count, int k);
}
