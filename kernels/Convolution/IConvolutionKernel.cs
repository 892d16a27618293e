namespace EmbeddingKernels.Core;

/// <summary>One algorithm with one layer's weights, packed for it. Shapes were checked by <see cref="Convolution2D"/>.</summary>
internal interface IConvolutionKernel : IDisposable
{
    /// <summary>Bytes of packed weights.</summary>
    long WeightBytes { get; }

    /// <summary>destination = activation(convolution(source) + bias + residual).</summary>
    /// <param name="source">The input; its halo covers the padding.</param>
    /// <param name="residual">What is added before the activation, of the destination's shape; may be the destination itself.</param>
    /// <param name="destination">The output. Its halo is left alone.</param>
    /// <param name="pool">Threads to work on.</param>
    void Run(in BlockedImages source, in BlockedImages? residual, in BlockedImages destination, WorkerPool pool);
}
