namespace EmbeddingKernels.Core;

/// <summary>What <see cref="EmbeddingLookup"/> makes of the rows of a bag; the modes of torch.nn.EmbeddingBag.</summary>
public enum BagMode
{
    /// <summary>Their sum (mode="sum").</summary>
    Sum = 0,

    /// <summary>Their sum divided by their number (mode="mean").</summary>
    Mean = 1,

    /// <summary>Their column-wise maximum (mode="max").</summary>
    Max = 2,
}
