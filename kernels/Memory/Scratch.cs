namespace EmbeddingKernels.Core;

/// <summary>
/// Memory that a kernel needs for the length of one call: aligned to 64 bytes, not zeroed, and kept for the next call when
/// disposed, so a kernel called in a loop allocates once.
/// </summary>
/// <remarks>At most <see cref="ScratchPool.MaxKeptBytes"/> are kept for the whole process. Dispose exactly once.</remarks>
/// <typeparam name="T">The element type.</typeparam>
internal readonly unsafe struct Scratch<T> : IDisposable
    where T : unmanaged
{
    private readonly AlignedBuffer<byte> _buffer;

    /// <summary>Takes room for <paramref name="length"/> elements, whatever they hold.</summary>
    public Scratch(nint length)
    {
        _buffer = ScratchPool.Rent(checked(length * sizeof(T)));
        Pointer = (T*)_buffer.Pointer;
    }

    public T* Pointer { get; }

    public void Dispose() => ScratchPool.Return(_buffer);
}

/// <summary>The buffers behind <see cref="Scratch{T}"/>.</summary>
internal static class ScratchPool
{
    /// <summary>Enough for the packed panels of one large matrix product; more is given back to the system at once.</summary>
    public const nint MaxKeptBytes = 64 << 20;

    // Sizes are rounded up so that calls of slightly growing size reuse one buffer.
    private const nint SmallestBytes = 4096;

    private static readonly AlignedBuffer<byte>?[] Slots = new AlignedBuffer<byte>?[32];
    private static long _kept;
    private static int _hand;

    public static AlignedBuffer<byte> Rent(nint bytes)
    {
        // The smallest that is large enough, so that a call which takes several finds the same ones again; one much larger
        // than asked for is left to whoever needs it.
        while (true)
        {
            int best = -1;
            nint length = Math.Max(bytes, SmallestBytes) * 8;
            for (int i = 0; i < Slots.Length; i++)
            {
                AlignedBuffer<byte>? seen = Volatile.Read(ref Slots[i]);
                if (seen is not null && seen.Length >= bytes && seen.Length < length)
                    (best, length) = (i, seen.Length);
            }

            if (best < 0)
                break;
            AlignedBuffer<byte>? taken = Interlocked.Exchange(ref Slots[best], null);
            if (taken is null)
                continue;
            Interlocked.Add(ref _kept, -taken.Length);
            if (taken.Length >= bytes)
                return taken;
            Return(taken); // another thread had changed the slot
        }

        nint rounded = bytes <= MaxKeptBytes ? (nint)System.Numerics.BitOperations.RoundUpToPowerOf2((nuint)Math.Max(bytes, SmallestBytes)) : bytes;
        return new AlignedBuffer<byte>(rounded);
    }

    public static void Return(AlignedBuffer<byte> buffer)
    {
        if (buffer.Length > MaxKeptBytes)
        {
            buffer.Dispose();
            return;
        }

        // The newest is the likeliest to be wanted again, so where there is no room others go, each slot in its turn.
        Interlocked.Add(ref _kept, buffer.Length);
        AlignedBuffer<byte>? homeless = buffer;
        for (int i = 0; i < Slots.Length && homeless is not null; i++)
        {
            if (Slots[i] is null && Interlocked.CompareExchange(ref Slots[i], homeless, null) is null)
                homeless = null;
        }

        while (homeless is not null || Interlocked.Read(ref _kept) > MaxKeptBytes)
        {
            uint slot = (uint)Interlocked.Increment(ref _hand) % (uint)Slots.Length;
            if (homeless is null && Slots[slot] == buffer)
                continue;
            AlignedBuffer<byte>? evicted = Interlocked.Exchange(ref Slots[slot], homeless);
            homeless = null;
            if (evicted is not null)
            {
                Interlocked.Add(ref _kept, -evicted.Length);
                evicted.Dispose();
            }
        }
    }
}
