using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>Somebody else's matrix product in single precision.</summary>
internal interface IProductPeer
{
    /// <summary>Name and version, short enough for the head of a column.</summary>
    string Name { get; }

    /// <summary>What it says of its version and the processor it was made for.</summary>
    string Description { get; }

    /// <summary>Threads of the calls that follow.</summary>
    /// <returns>False from one that knows one thread only and was asked for more.</returns>
    bool SetThreads(int threads);

    /// <summary>C = op(A) * op(B) as one who takes part in a duel; null where it has no such product.</summary>
    Contestant? Contestant(MatrixView<float> a, bool transposeA, MatrixView<float> b, bool transposeB, MatrixView<float> c);
}
