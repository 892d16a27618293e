using System.Runtime.CompilerServices;

namespace EmbeddingKernels;

/// <summary>
/// A hash table from words in UTF-8 bytes to ids 0, 1, 2, ... in the order of adding: open addressing over 8-byte slots
/// and one arena of bytes, so that a look-up costs two cache lines and no string.
/// </summary>
internal sealed unsafe class WordTable
{
    private Slot[] _slots;
    private byte[] _arena;
    private long[] _ends;
    private int _mask;

    public WordTable(int capacity = 1024)
    {
        int slots = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(capacity, 16) * 2);
        _slots = NewSlots(slots);
        _mask = slots - 1;
        _ends = new long[Math.Max(capacity, 16)];
        _arena = new byte[Math.Max(capacity, 16) * 8];
    }

    public int Count { get; private set; }

    public ReadOnlySpan<byte> this[int id]
    {
        get
        {
            long start = id == 0 ? 0 : _ends[id - 1];
            return _arena.AsSpan((int)start, (int)(_ends[id] - start));
        }
    }

    /// <summary>The id of a word, or -1. Eight bytes behind the word must be readable.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Find(byte* word, int length)
    {
        ulong hash = Hash(word, length);
        uint tag = (uint)(hash >> 32);
        int mask = _mask;
        Slot[] slots = _slots;
        for (int i = (int)hash & mask; ; i = (i + 1) & mask)
        {
            Slot slot = slots[i];
            if (slot.Id < 0)
                return -1;
            if (slot.Tag == tag && this[slot.Id].SequenceEqual(new ReadOnlySpan<byte>(word, length)))
                return slot.Id;
        }
    }

    public int Find(ReadOnlySpan<byte> word)
    {
        byte[] padded = new byte[word.Length + 8];
        word.CopyTo(padded);
        fixed (byte* p = padded)
            return Find(p, word.Length);
    }

    /// <summary>The id of a word, which is added if it is new. Eight bytes behind the word must be readable.</summary>
    public int FindOrAdd(byte* word, int length)
    {
        int id = Find(word, length);
        if (id >= 0)
            return id;

        if (Count * 2 >= _slots.Length)
            Grow();
        long start = Count == 0 ? 0 : _ends[Count - 1];
        if (start + length > Array.MaxLength)
            throw new InvalidOperationException($"The vocabulary's words take more than {Array.MaxLength} bytes.");
        if (start + length > _arena.Length)
            Array.Resize(ref _arena, (int)Math.Min(Math.Max((long)_arena.Length * 2, start + length), Array.MaxLength));
        if (Count == _ends.Length)
            Array.Resize(ref _ends, _ends.Length * 2);
        new ReadOnlySpan<byte>(word, length).CopyTo(_arena.AsSpan((int)start));
        _ends[Count] = start + length;
        Insert(Hash(word, length), Count);
        return Count++;
    }

    public int FindOrAdd(ReadOnlySpan<byte> word)
    {
        byte[] padded = new byte[word.Length + 8];
        word.CopyTo(padded);
        fixed (byte* p = padded)
            return FindOrAdd(p, word.Length);
    }

    private static Slot[] NewSlots(int count)
    {
        Slot[] slots = new Slot[count];
        Array.Fill(slots, new Slot(0, -1));
        return slots;
    }

    private void Grow()
    {
        int slots = checked(_slots.Length * 2);
        _slots = NewSlots(slots);
        _mask = slots - 1;
        byte[] padded = new byte[TextCorpus.LongestWord + 8];
        for (int id = 0; id < Count; id++)
        {
            ReadOnlySpan<byte> word = this[id];
            if (padded.Length < word.Length + 8)
                padded = new byte[word.Length + 8];
            word.CopyTo(padded);
            fixed (byte* p = padded)
                Insert(Hash(p, word.Length), id);
        }
    }

    private void Insert(ulong hash, int id)
    {
        int i = (int)hash & _mask;
        while (_slots[i].Id >= 0)
            i = (i + 1) & _mask;
        _slots[i] = new Slot((uint)(hash >> 32), id);
    }

    /// <summary>A multiplicative hash, eight bytes at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Hash(byte* word, int length)
    {
        ulong hash = (ulong)length * 0x9E3779B97F4A7C15;
        int i = 0;
        for (; i + 8 <= length; i += 8)
            hash = Mix(hash ^ Unsafe.ReadUnaligned<ulong>(word + i));
        int rest = length - i;
        if (rest > 0)
            hash = Mix(hash ^ (Unsafe.ReadUnaligned<ulong>(word + i) << (64 - (8 * rest))));
        return hash ^ (hash >> 29);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Mix(ulong value)
    {
        ulong high = Math.BigMul(value, 0xD6E8FEB86659FD93, out ulong low);
        return high ^ low;
    }

    private readonly record struct Slot(uint Tag, int Id);
}
