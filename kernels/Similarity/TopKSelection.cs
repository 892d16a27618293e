using System.Runtime.CompilerServices;

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
    /// <summary>
    /// The k-th largest of <paramref name="count"/> values (k from 1 to count), none of them NaN. Reorders them.
    /// </summary>
    /// <remarks>Quickselect with the median of three as pivot: linear on average; a sort when the pivots turn out badly.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float KthLargest(float* values, nint count, nint k)
    {
        nint wanted = k - 1; // position in descending order
        nint low = 0, high = count - 1;
        int patience = 2 * System.Numerics.BitOperations.Log2((nuint)count + 1);
        while (low < high)
        {
            if (patience-- == 0 && high - low < int.MaxValue)
            {
                Span<float> rest = new(values + low, (int)(high - low + 1));
                rest.Sort();
                return rest[rest.Length - 1 - (int)(wanted - low)];
            }

            float a = values[low], b = values[low + ((high - low) / 2)], c = values[high];
            float pivot = Math.Max(Math.Min(a, b), Math.Min(Math.Max(a, b), c));
            nint i = low, j = high;
            while (i <= j)
            {
                while (values[i] > pivot)
                    i++;
                while (values[j] < pivot)
                    j--;
                if (i <= j)
                {
                    (values[i], values[j]) = (values[j], values[i]);
                    i++;
                    j--;
                }
            }

            if (wanted <= j)
                high = j;
            else if (wanted >= i)
                low = i;
            else
                return pivot;
        }

        return values[wanted];
    }
}
