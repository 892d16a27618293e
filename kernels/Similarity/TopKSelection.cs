using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// Keeps the best <c>capacity</c> of the (score, id) pairs that it is shown, in memory of the caller: the larger score is
/// better, of equal scores the lower id. NaN is refused. What it keeps does not depend on the order of the pairs.
/// </summary>
/// <remarks>A binary heap whose root is the worst pair kept, so that most pairs are refused by one comparison.</remarks>
internal unsafe struct TopKHeap(float* scores, long* ids, nint capacity)
{
    private readonly float* _scores = scores;
    private readonly long* _ids = ids;
    private readonly nint _capacity = capacity;

    /// <summary>Pairs kept.</summary>
    public nint Count { get; private set; }

    /// <summary>Forgets all pairs.</summary>
    public void Clear() => Count = 0;

    public readonly bool IsFull => Count == _capacity;

    /// <summary>The worst score kept; only where <see cref="Count"/> is above 0.</summary>
    public readonly float Worst => _scores[0];

    public readonly float Score(nint position) => _scores[position];

    public readonly long Id(nint position) => _ids[position];

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Push(float score, long id)
    {
        if (float.IsNaN(score))
            return;

        nint hole;
        if (Count < _capacity)
        {
            hole = Count++;
            while (hole > 0)
            {
                nint parent = (hole - 1) / 2;
                if (!IsWorse(score, id, _scores[parent], _ids[parent]))
                    break;
                _scores[hole] = _scores[parent];
                _ids[hole] = _ids[parent];
                hole = parent;
            }
        }
        else
        {
            if (_capacity == 0 || IsWorse(score, id, _scores[0], _ids[0]))
                return;
            hole = SinkHole(0, Count, score, id);
        }

        _scores[hole] = score;
        _ids[hole] = id;
    }

    /// <summary>Puts the pairs in order, best first. It is no heap afterwards.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void SortBestFirst()
    {
        for (nint last = Count - 1; last > 0; last--)
        {
            (float score, long id) = (_scores[last], _ids[last]);
            (_scores[last], _ids[last]) = (_scores[0], _ids[0]);
            nint hole = SinkHole(0, last, score, id);
            _scores[hole] = score;
            _ids[hole] = id;
        }
    }

    /// <summary>Writes the pairs, best first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void WriteBestFirst(Span<long> ids, Span<float> scores)
    {
        // Numbers with the score above and the place below are sorted faster than pairs; where there are too many for
        // the stack, or few, the heap's own way.
        const int Fewest = 12, Most = 1024;
        int count = (int)Count;
        if (count is < Fewest or > Most)
        {
            SortBestFirst();
            new ReadOnlySpan<long>(_ids, count).CopyTo(ids);
            new ReadOnlySpan<float>(_scores, count).CopyTo(scores);
            return;
        }

        ulong* memory = stackalloc ulong[count];
        for (int i = 0; i < count; i++)
        {
            // -0 equals 0. Larger scores get smaller numbers.
            uint bits = BitConverter.SingleToUInt32Bits(_scores[i] + 0f);
            memory[i] = ((ulong)((bits & 0x80000000) != 0 ? bits : ~bits & 0x7FFFFFFF) << 32) | (uint)i;
        }

        new Span<ulong>(memory, count).Sort();
        int equal = 0; // where the present run of equal scores began
        for (int i = 0; i < count; i++)
        {
            int place = (int)(uint)memory[i];
            float score = _scores[place];
            long id = _ids[place];
            if (i > 0 && score != scores[i - 1])
                equal = i;
            int hole = i;
            for (; hole > equal && ids[hole - 1] > id; hole--)
                ids[hole] = ids[hole - 1];
            ids[hole] = id;
            scores[i] = score;
        }
    }

    // Moves the worse child up until the pair fits at the hole.
    private readonly nint SinkHole(nint hole, nint count, float score, long id)
    {
        while (true)
        {
            nint child = (2 * hole) + 1;
            if (child >= count)
                return hole;
            if (child + 1 < count && IsWorse(_scores[child + 1], _ids[child + 1], _scores[child], _ids[child]))
                child++;
            if (!IsWorse(_scores[child], _ids[child], score, id))
                return hole;
            _scores[hole] = _scores[child];
            _ids[hole] = _ids[child];
            hole = child;
        }
    }

    private static bool IsWorse(float score, long id, float otherScore, long otherId) =>
        score < otherScore || (score == otherScore && id > otherId);
}

/// <summary>Selection without sorting.</summary>
internal static unsafe class Selection
{
    // Each round halves the interval; what is left of it after these is lost, which only means that a candidate more passes.
    private const int Rounds = 14;

    /// <summary>
    /// A number as large as it is cheap to find that at least <paramref name="k"/> of the values reach: at most the k-th
    /// largest, and near it.
    /// </summary>
    /// <remarks>
    /// Bisection between the smallest and the largest value, counting with vectors: for 250 values a fifth of a
    /// microsecond, where a quickselect takes more than one.
    /// </remarks>
    /// <param name="values">Finite numbers.</param>
    /// <param name="count">How many.</param>
    /// <param name="k">1 to <paramref name="count"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float NearKthLargest(float* values, nint count, nint k)
    {
        float low = values[0], high = values[0];
        nint i = 0;
        if (count >= Vector256<float>.Count)
        {
            Vector256<float> lows = Vector256.Load(values), highs = lows;
            for (i = Vector256<float>.Count; i <= count - Vector256<float>.Count; i += Vector256<float>.Count)
            {
                Vector256<float> next = Vector256.Load(values + i);
                lows = Vector256.MinNative(lows, next);
                highs = Vector256.MaxNative(highs, next);
            }

            for (int lane = 0; lane < Vector256<float>.Count; lane++)
                (low, high) = (Math.Min(low, lows[lane]), Math.Max(high, highs[lane]));
        }

        for (; i < count; i++)
        {
            low = values[i] < low ? values[i] : low;
            high = values[i] > high ? values[i] : high;
        }

        if (CountReaching(values, count, high) >= k)
            return high;
        for (int round = 0; round < Rounds; round++)
        {
            float middle = (low / 2) + (high / 2);
            if (!(middle > low))
                break;
            nint reaching = CountReaching(values, count, middle);
            if (reaching < k)
            {
                high = middle;
                continue;
            }

            low = middle;
            if (reaching == k)
                break;
        }

        return low;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static nint CountReaching(float* values, nint count, float least)
    {
        Vector256<float> wide = Vector256.Create(least);
        Vector256<int> sums = Vector256<int>.Zero;
        nint i = 0;
        for (; i <= count - 8; i += 8)
            sums -= Vector256.GreaterThanOrEqual(Vector256.Load(values + i), wide).AsInt32(); // true is -1
        nint reaching = Vector256.Sum(sums);
        for (; i < count; i++)
            reaching += values[i] >= least ? 1 : 0;
        return reaching;
    }
}
