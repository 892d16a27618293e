namespace EmbeddingKernels.Bench;

/// <summary>One way to compute convolutions and fully connected layers.</summary>
internal interface IConvolutionPeer
{
    /// <summary>Name, version and algorithm, short enough for the head of a column.</summary>
    string Name { get; }

    /// <summary>
    /// A layer made ready in the layout that the peer likes best, so that only the layer itself is timed; null where the peer
    /// does not have it.
    /// </summary>
    IConvolutionRun? Prepare(ConvolutionProblem problem, int threads);
}

/// <summary>A layer with one peer's memory.</summary>
internal interface IConvolutionRun : IDisposable
{
    /// <summary>What it says of the code that it chose; empty where it says nothing.</summary>
    string Detail { get; }

    /// <summary>Computes the layer.</summary>
    void Run();

    /// <summary>Copies the output as NCHW.</summary>
    unsafe void CopyTo(float* output);
}
