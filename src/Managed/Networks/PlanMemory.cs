using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Memory for the values between layers, kept between runs: as many pieces as ran at one time.</summary>
internal sealed class PlanMemory : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<AlignedBuffer<float>> _free = [];
    private bool _disposed;

    /// <summary>Takes memory of at least <paramref name="floats"/> floats, whatever they hold.</summary>
    public AlignedBuffer<float> Rent(nint floats)
    {
        lock (_lock)
        {
            int best = _free.FindIndex(buffer => buffer.Length >= floats);
            if (best < 0 && _free.Count > 0)
            {
                // Too small for this: one that is large enough takes its place.
                _free[^1].Dispose();
                _free.RemoveAt(_free.Count - 1);
            }

            if (best >= 0)
            {
                AlignedBuffer<float> taken = _free[best];
                _free.RemoveAt(best);
                return taken;
            }
        }

        return new AlignedBuffer<float>(floats);
    }

    public void Return(AlignedBuffer<float> buffer)
    {
        lock (_lock)
        {
            if (!_disposed)
            {
                _free.Add(buffer);
                return;
            }
        }

        buffer.Dispose();
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _free.ForEach(buffer => buffer.Dispose());
            _free.Clear();
        }
    }
}
