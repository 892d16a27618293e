using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// Memory for data of a claimed length that the source may not have: all of it at once where the source is known to be
/// long enough, otherwise in steps that follow what has really arrived.
/// </summary>
internal sealed unsafe class GrowingBuffer<T> : IDisposable
    where T : unmanaged
{
    private const nint FirstStepBytes = 16 << 20;

    private readonly nint _claimed;
    private AlignedBuffer<T>? _buffer;

    public GrowingBuffer(nint claimed, bool trusted)
    {
        _claimed = claimed;
        _buffer = new AlignedBuffer<T>(trusted ? claimed : Math.Min(claimed, FirstStepBytes / sizeof(T)));
    }

    /// <summary>The first element; changes when <see cref="Reserve"/> grows the buffer.</summary>
    public T* Pointer => _buffer!.Pointer;

    /// <summary>Elements that the buffer holds now, at most the claimed length.</summary>
    public nint Capacity => _buffer!.Length;

    /// <summary>Makes room for <paramref name="count"/> elements in all, at most the claimed length, keeping what is there.</summary>
    public void Reserve(nint count)
    {
        if (count <= Capacity)
            return;
        AlignedBuffer<T> old = _buffer!;
        AlignedBuffer<T> larger = new(Math.Min(_claimed, Math.Max(count, old.Length * 2)));
        long bytes = (long)old.Length * sizeof(T);
        Buffer.MemoryCopy(old.Pointer, larger.Pointer, bytes, bytes);
        _buffer = larger;
        old.Dispose();
    }

    /// <summary>Hands the memory over.</summary>
    public AlignedBuffer<T> Detach()
    {
        AlignedBuffer<T> buffer = _buffer!;
        _buffer = null;
        return buffer;
    }

    public void Dispose() => _buffer?.Dispose();
}
