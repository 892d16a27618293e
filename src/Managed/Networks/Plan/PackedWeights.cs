using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Weights as the kernels want them, shared by all plans of a network.</summary>
internal sealed class PackedWeights : IDisposable
{
    private readonly Dictionary<string, IDisposable> _packed = new(StringComparer.Ordinal);

    /// <summary>Packs what is not packed yet, several at a time.</summary>
    public void Prepare(IEnumerable<(string Name, Func<IDisposable> Pack)> wanted, WorkerPool pool)
    {
        (string Name, Func<IDisposable> Pack)[] missing = [.. wanted.Where(item => !_packed.ContainsKey(item.Name)).DistinctBy(item => item.Name)];
        IDisposable?[] packed = new IDisposable?[missing.Length];
        try
        {
            pool.For(missing.Length, 1, (_, start, end) =>
            {
                for (nint i = start; i < end; i++)
                    packed[i] = missing[i].Pack();
            });
        }
        finally
        {
            for (int i = 0; i < missing.Length; i++)
            {
                if (packed[i] is { } item)
                    _packed.Add(missing[i].Name, item);
            }
        }
    }

    /// <summary>What was packed under a name, or is now.</summary>
    public T Get<T>(string name, Func<T> pack)
        where T : IDisposable
    {
        if (_packed.TryGetValue(name, out IDisposable? found))
            return (T)found;
        T packed = pack();
        _packed.Add(name, packed);
        return packed;
    }

    public void Dispose()
    {
        foreach (IDisposable packed in _packed.Values)
            packed.Dispose();
        _packed.Clear();
    }
}

/// <summary>A fully connected layer: y = f(alpha x op(W) + bias).</summary>
internal sealed unsafe class PackedProduct(AlignedBuffer<float> weights, int rows, int columns, bool transposed, float alpha, float[] bias, Activation activation) : IDisposable
{
    public void Run(float* x, float* y, nint images, WorkerPool pool)
    {
        int inputs = transposed ? columns : rows;
        int outputs = transposed ? rows : columns;
        GemmActivation fused = activation.Kind == ActivationKind.Sigmoid ? GemmActivation.Sigmoid
            : activation == Activation.Relu ? GemmActivation.Relu
            : GemmActivation.None;
        MatrixView<float> product = new(y, images, outputs);
        Gemm.Multiply(alpha, new(x, images, inputs), false, new(weights.Pointer, rows, columns), transposed, bias, fused, product, pool);
        if (fused == GemmActivation.None && activation.Kind != ActivationKind.None)
            ActivationKernel.Apply(activation, y, images * outputs, pool);
    }

    public void Dispose() => weights.Dispose();
}
