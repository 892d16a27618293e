using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>One layer of a network, ready for inputs of one shape.</summary>
internal abstract class NetworkRun(int[] shape) : IDisposable
{
    /// <summary>The layer's extents.</summary>
    public int[] Shape { get; } = shape;

    public abstract void Run(ReadOnlySpan<float> input, Span<float> output, WorkerPool pool);

    public virtual void Dispose()
    {
    }
}

/// <summary>Operator by operator as plain loops.</summary>
internal sealed class InterpretedRun(GraphShapes shapes, string feed, int[] inputShape, string value, long maximumElements)
    : NetworkRun(shapes.Fact(value).Shape)
{
    public override void Run(ReadOnlySpan<float> input, Span<float> output, WorkerPool pool)
    {
        Dictionary<string, PlainTensor> feeds = new() { [feed] = PlainTensor.Of(inputShape, input.ToArray()) };
        PlainTensor result = Interpreter.Run(shapes.Graph, feeds, [value], maximumElements, shapes.Batch, pool)[0];
        result.ToFloats().CopyTo(output);
    }
}

/// <summary>Image by image, for networks that cannot take several at a time.</summary>
internal sealed class ImageByImageRun(NetworkRun one, int batch) : NetworkRun(Together(one.Shape, batch))
{
    public override void Run(ReadOnlySpan<float> input, Span<float> output, WorkerPool pool)
    {
        int from = input.Length / batch;
        int to = output.Length / batch;
        for (int i = 0; i < batch; i++)
            one.Run(input.Slice(i * from, from), output.Slice(i * to, to), pool);
    }

    /// <summary>The extents of all images' values together.</summary>
    public static int[] Together(int[] one, int batch) => one.Length > 0 && one[0] == 1 ? [batch, .. one[1..]] : [batch, .. one];
}
