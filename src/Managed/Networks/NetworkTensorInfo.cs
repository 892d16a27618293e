namespace EmbeddingKernels;

/// <summary>What a network takes or gives.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Shape">Extents, the batch first; -1 where any will do.</param>
public sealed record NetworkTensorInfo(string Name, IReadOnlyList<int> Shape);
