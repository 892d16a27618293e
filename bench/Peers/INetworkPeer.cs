namespace EmbeddingKernels.Bench;

/// <summary>A whole network computed by somebody else.</summary>
internal interface INetworkPeer : IDisposable
{
    /// <summary>Name and version, short enough for the head of a column.</summary>
    string Name { get; }

    /// <summary>Loads a network and one input, rows of an image's floats.</summary>
    void Load(NetworkModel model, NetworkFiles files, string input, int threads);

    /// <summary>Computes the asked layer for the first images of the input so many times.</summary>
    Seconds Run(int batch, int calls);

    /// <summary>The asked layer of the first image.</summary>
    float[] Output();
}
