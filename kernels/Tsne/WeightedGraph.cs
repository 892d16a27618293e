using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// A directed graph on its way to joint affinities: 8 bytes per edge, which hold the target above the bits of the weight, so
/// that a row is put in order by sorting whole numbers.
/// </summary>
/// <remarks>
/// Symmetrising takes this memory, as much again for the edges that come in, and the result: 3 GB at most for a million
/// points of 90 neighbours.
/// </remarks>
internal sealed unsafe class WeightedGraph : IDisposable
{
    private const int RowGrain = 256;

    // Parts that count and place incoming edges on their own; each costs 4 bytes per point.
    private const int MostParts = 8;
    private const long EdgesPerPart = 100_000;

    private readonly AlignedBuffer<long> _offsets;
    private readonly AlignedBuffer<ulong> _edges;

    /// <summary>Room for <paramref name="degree"/> edges from each point, which the caller sets by <see cref="SetRow"/>.</summary>
    public WeightedGraph(int points, int degree)
        : this(points, (long)points * degree)
    {
        for (int i = 0; i <= points; i++)
            _offsets.Pointer[i] = (long)i * degree;
    }

    /// <summary>The elements of a square matrix.</summary>
    public WeightedGraph(CsrMatrix matrix, WorkerPool pool)
        : this(matrix.Rows, matrix.Count)
    {
        matrix.RowOffsets.CopyTo(_offsets.AsSpan());
        pool.For(matrix.Rows, RowGrain, (_, start, end) =>
        {
            for (long t = _offsets.Pointer[start]; t < _offsets.Pointer[end]; t++)
                _edges.Pointer[t] = Edge(matrix.ColumnsPointer[t], matrix.ValuesPointer[t]);
        });
        GC.KeepAlive(matrix);
    }

    private WeightedGraph(int points, long edges)
    {
        Points = points;
        _offsets = new AlignedBuffer<long>(points + 1);
        _edges = new AlignedBuffer<ulong>((nint)edges);
    }

    public int Points { get; }

    public long Edges => _offsets.Pointer[Points];

    /// <summary>Sets the edges from a point. Targets are points of the graph, weights 0 or more and finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void SetRow<TId>(nint point, TId* targets, float* weights)
        where TId : unmanaged, IBinaryInteger<TId>
    {
        ulong* row = _edges.Pointer + _offsets.Pointer[point];
        long degree = _offsets.Pointer[point + 1] - _offsets.Pointer[point];
        for (long j = 0; j < degree; j++)
            row[j] = Edge(int.CreateTruncating(targets[j]), weights[j]);
    }

    /// <summary>
    /// The joint affinities (p_j|i + p_i|j) / S; the graph is of no use afterwards. Columns ascend, there is no diagonal, an
    /// edge given twice counts twice.
    /// </summary>
    /// <exception cref="ArgumentException">All weights between different points are 0, or the result has too many elements.</exception>
    public CsrMatrix Symmetrize(string name, WorkerPool pool)
    {
        using AlignedBuffer<long> incomingOffsets = new(Points + 1);
        using AlignedBuffer<ulong> incoming = new((nint)Edges);
        SortRows(pool);
        Transpose(incomingOffsets.Pointer, incoming.Pointer, pool);

        using Scratch<long> counts = new(Points);
        using Scratch<double> sums = new(Points);
        MergeBody body = new()
        {
            Offsets = _offsets.Pointer,
            Edges = _edges.Pointer,
            IncomingOffsets = incomingOffsets.Pointer,
            Incoming = incoming.Pointer,
            Counts = counts.Pointer,
            Sums = sums.Pointer,
        };
        pool.For(Points, RowGrain, ref body);
        long count = 0;
        double sum = 0;
        for (int i = 0; i < Points; i++)
        {
            count += counts.Pointer[i];
            sum += sums.Pointer[i];
        }

        if (Points > 0 && !(sum > 0))
            throw new ArgumentException($"All affinities between different points are 0 ({Edges} elements, {Points} points).", name);
        if (count > CsrMatrix.MostNonZeros)
            throw new ArgumentException($"The graph has {count} joint affinities, and a sparse matrix holds {CsrMatrix.MostNonZeros}.", name);
        CsrMatrix joint = new(Points, Points, count);
        for (int i = 0; i < Points; i++)
            joint.OffsetsPointer[i + 1] = joint.OffsetsPointer[i] + counts.Pointer[i];
        body.Joint = joint;
        body.Scale = 1 / sum;
        pool.For(Points, RowGrain, ref body);
        GC.KeepAlive(this);
        return joint;
    }

    public void Dispose()
    {
        _offsets.Dispose();
        _edges.Dispose();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Edge(int target, float weight) => ((ulong)(uint)target << 32) | BitConverter.SingleToUInt32Bits(weight);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Weight(ulong edge) => BitConverter.UInt32BitsToSingle((uint)edge);

    private void SortRows(WorkerPool pool)
    {
        long* offsets = _offsets.Pointer;
        ulong* edges = _edges.Pointer;
        pool.For(Points, RowGrain, (_, start, end) =>
        {
            for (nint i = start; i < end; i++)
                new Span<ulong>(edges + offsets[i], checked((int)(offsets[i + 1] - offsets[i]))).Sort();
        });
    }

    /// <summary>The edges that come into each point, in order of where they come from.</summary>
    private void Transpose(long* incomingOffsets, ulong* incoming, WorkerPool pool)
    {
        // Each part of the rows counts its edges per target, gets its own places there, and scatters.
        int parts = (int)Math.Clamp(Edges / EdgesPerPart, 1, MostParts);
        using Scratch<int> places = new((nint)parts * Points);
        NativeMemory.Clear(places.Pointer, (nuint)parts * (nuint)Points * sizeof(int));
        TransposeBody body = new()
        {
            Offsets = _offsets.Pointer,
            Edges = _edges.Pointer,
            Places = places.Pointer,
            Points = Points,
            Parts = parts,
        };
        pool.For(parts, 1, ref body);
        long place = 0;
        for (int target = 0; target < Points; target++)
        {
            incomingOffsets[target] = place;
            for (int part = 0; part < parts; part++)
            {
                int* slot = places.Pointer + ((nint)part * Points) + target;
                int count = *slot;
                *slot = (int)place;
                place += count;
            }
        }

        incomingOffsets[Points] = place;
        body.Incoming = incoming;
        pool.For(parts, 1, ref body);
    }

    private struct TransposeBody : IRangeBody
    {
        public long* Offsets;
        public ulong* Edges;
        public ulong* Incoming;
        public int* Places;
        public int Points;
        public int Parts;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Invoke(int worker, nint start, nint end)
        {
            for (nint part = start; part < end; part++)
            {
                int* mine = Places + (part * Points);
                int first = (int)(Points * (long)part / Parts), last = (int)(Points * (long)(part + 1) / Parts);
                if (Incoming is null)
                {
                    for (long t = Offsets[first]; t < Offsets[last]; t++)
                        mine[Edges[t] >> 32]++;
                    continue;
                }

                for (int row = first; row < last; row++)
                {
                    for (long t = Offsets[row]; t < Offsets[row + 1]; t++)
                    {
                        ulong edge = Edges[t];
                        Incoming[mine[edge >> 32]++] = ((ulong)(uint)row << 32) | (uint)edge;
                    }
                }
            }
        }
    }

    /// <summary>
    /// Merges the edges from each point with those into it, both in order: at first counting, then, where there is a result
    /// to fill, writing.
    /// </summary>
    private struct MergeBody : IRangeBody
    {
        public long* Offsets;
        public ulong* Edges;
        public long* IncomingOffsets;
        public ulong* Incoming;
        public long* Counts;
        public double* Sums;
        public CsrMatrix? Joint;
        public double Scale;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Invoke(int worker, nint start, nint end)
        {
            long* places = Joint is null ? null : Joint.OffsetsPointer;
            int* columns = Joint is null ? null : Joint.ColumnsPointer;
            float* values = Joint is null ? null : Joint.ValuesPointer;
            for (nint row = start; row < end; row++)
            {
                ulong* a = Edges + Offsets[row], aEnd = Edges + Offsets[row + 1];
                ulong* b = Incoming + IncomingOffsets[row], bEnd = Incoming + IncomingOffsets[row + 1];
                long place = places is null ? 0 : places[row], count = 0;
                double sum = 0;
                while (a < aEnd || b < bEnd)
                {
                    // No edge has this target, so a side that has ended never comes first.
                    ulong columnA = a < aEnd ? *a >> 32 : uint.MaxValue, columnB = b < bEnd ? *b >> 32 : uint.MaxValue;
                    ulong column = Math.Min(columnA, columnB);

                    // The two sides are added up apart, so that p_ij and p_ji are the same bits.
                    double forward = 0, backward = 0;
                    if (columnA == column)
                    {
                        forward = Weight(*a++);
                        for (; a < aEnd && *a >> 32 == column; a++)
                            forward += Weight(*a);
                    }

                    if (columnB == column)
                    {
                        backward = Weight(*b++);
                        for (; b < bEnd && *b >> 32 == column; b++)
                            backward += Weight(*b);
                    }

                    if (column == (ulong)row)
                        continue;
                    if (places is not null)
                    {
                        columns[place + count] = (int)column;
                        values[place + count] = (float)((forward + backward) * Scale);
                    }

                    sum += forward + backward;
                    count++;
                }

                Counts[row] = count;
                Sums[row] = sum;
            }
        }
    }
}
