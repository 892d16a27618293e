using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>What one worker of an NN-descent has to itself.</summary>
internal sealed unsafe class DescentWorker : IDisposable
{
    private readonly Scratch<float> _floats;
    private readonly Scratch<int> _ints;
    private readonly Scratch<ulong> _keys;
    private readonly nint _mostKeys;

    public DescentWorker(nint columns, nint rows, nint candidates, int k)
    {
        _floats = new(((rows + candidates) * columns) + candidates + (rows * candidates) + 16);
        Rows = _floats.Pointer;
        Candidates = Rows + (rows * columns);
        Starts = Candidates + (candidates * columns);
        Products = Starts + candidates;
        _ints = new(rows);
        Own = _ints.Pointer;
        _mostKeys = (3 * (nint)k) + 256;
        _keys = new(k + _mostKeys);
    }

    public float* Rows { get; }

    public float* Candidates { get; }

    public float* Starts { get; }

    public float* Products { get; }

    public int* Own { get; }

    /// <summary>Candidates of the block at hand.</summary>
    public NumberSet Places { get; } = new();

    /// <summary>Samples of the block's rows, with their flags.</summary>
    public NumberSet Steps { get; } = new();

    public void Dispose()
    {
        _floats.Dispose();
        _ints.Dispose();
        _keys.Dispose();
    }

    /// <summary>Puts those candidates into a list that are better than its worst entries and not there yet.</summary>
    /// <param name="list">Entries, 2 * place + flag, the best first, -1 after the last.</param>
    /// <param name="listScores">Their scores, negative infinity after the last.</param>
    /// <param name="k">The list's places.</param>
    /// <param name="self">The list's own place.</param>
    /// <param name="candidates">Different places.</param>
    /// <param name="scores">Their scores, finite; the same bits for the same pair at all times.</param>
    /// <param name="count">How many.</param>
    /// <returns>Entries that are new.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int Take(int* list, float* listScores, int k, int self, int* candidates, float* scores, nint count)
    {
        // At -infinity all pass; a candidate at exactly the worst score stays out.
        float worst = listScores[k - 1];
        nint found = Collect(candidates, scores, count, self, worst);
        if (found > _mostKeys)
        {
            // The k-th best of the candidates (one may be the row itself) bounds what can get in; ties with it may have to.
            worst = MathF.Max(worst, MathF.BitDecrement(Selection.NearKthLargest(scores, count, k + 1)));
            found = Collect(candidates, scores, count, self, worst);
            if (found > _mostKeys)
                found = _mostKeys; // hundreds of equal scores at the edge: the first of them do
        }

        if (found == 0)
            return 0;
        ulong* keys = _keys.Pointer;
        new Span<ulong>(keys, (int)found).Sort();
        ulong* old = keys + _mostKeys;
        int before = 0, added = 0;
        for (; before < k && list[before] != -1; before++)
            old[before] = Key(listScores[before]) | (uint)list[before];

        // An entry of the list and a candidate of the same place have the same score, so they come one after the other.
        nint next = 0;
        int kept = 0;
        ulong last = ulong.MaxValue;
        for (int written = 0; written < k && (kept < before || next < found);)
        {
            bool fromList = next == found || (kept < before && old[kept] >> 1 <= keys[next] >> 1);
            ulong key = fromList ? old[kept++] : keys[next++];
            if (key >> 1 == last)
                continue;
            last = key >> 1;
            list[written] = (int)(uint)key;
            listScores[written++] = Score(key);
            added += fromList ? 0 : 1;
        }

        return added;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private nint Collect(int* candidates, float* scores, nint count, int self, float worst)
    {
        ulong* keys = _keys.Pointer;
        nint found = 0;
        Vector256<float> least = Vector256.Create(worst);
        nint i = 0;
        for (; i <= count - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            uint passed = Vector256.GreaterThan(Vector256.Load(scores + i), least).ExtractMostSignificantBits();
            for (; passed != 0; passed &= passed - 1)
            {
                nint place = i + System.Numerics.BitOperations.TrailingZeroCount(passed);
                if (candidates[place] == self)
                    continue;
                if (found < _mostKeys)
                    keys[found] = Key(scores[place]) | ((uint)candidates[place] << 1) | 1;
                found++;
            }
        }

        for (; i < count; i++)
        {
            if (!(scores[i] > worst) || candidates[i] == self)
                continue;
            if (found < _mostKeys)
                keys[found] = Key(scores[i]) | ((uint)candidates[i] << 1) | 1;
            found++;
        }

        return found;
    }

    // Larger scores make smaller keys; -0 is 0.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Key(float score)
    {
        uint bits = BitConverter.SingleToUInt32Bits(score + 0f);
        return (ulong)((bits & 0x80000000) != 0 ? bits : ~bits & 0x7FFFFFFF) << 32;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Score(ulong key)
    {
        uint bits = (uint)(key >> 32);
        return BitConverter.UInt32BitsToSingle((bits & 0x80000000) != 0 ? bits : ~bits & 0x7FFFFFFF);
    }
}

/// <summary>A set of numbers that can be walked in the order in which they came.</summary>
/// <remarks>Open addressing; numbers are 0 or more, below int.MaxValue; grows as it fills.</remarks>
internal sealed unsafe class NumberSet
{
    private int[] _table = new int[1 << 12];
    private int[] _values = GC.AllocateUninitializedArray<int>(1 << 11, pinned: true);

    public int Count { get; private set; }

    /// <summary>The numbers; moves when a number is added.</summary>
    public int* Values => (int*)System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(_values, 0);

    public int this[int index] => _values[index];

    public void Clear()
    {
        if (Count > 0)
            Array.Clear(_table);
        Count = 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(int number)
    {
        uint mask = (uint)_table.Length - 1;
        uint slot = ((uint)number * 2654435769u >> 7) & mask;
        while (_table[slot] != 0)
        {
            if (_table[slot] == number + 1)
                return;
            slot = (slot + 1) & mask;
        }

        if (Count == _values.Length)
        {
            Grow();
            Add(number);
            return;
        }

        _table[slot] = number + 1;
        _values[Count++] = number;
    }

    private void Grow()
    {
        int[] values = GC.AllocateUninitializedArray<int>(2 * _values.Length, pinned: true);
        Array.Copy(_values, values, Count);
        _values = values;
        _table = new int[2 * _table.Length];
        int count = Count;
        Count = 0;
        for (int i = 0; i < count; i++)
            Add(_values[i]);
    }
}
