using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// The joint affinities of t-SNE from conditional ones: p_ij = (p_j|i + p_i|j) / S, with S such that all p_ij add up to 1
/// (2N where every point's conditional affinities add up to 1).
/// </summary>
/// <remarks>
/// The result has a symmetric pattern, no diagonal, and columns that ascend within each row. It does not depend on the
/// number of threads. Source: van der Maaten and Hinton, JMLR 9 (2008), section 3.1.
/// </remarks>
public static unsafe class JointAffinities
{
    private const int RowGrain = 512;

    /// <summary>Joint affinities of a graph of k neighbours per point.</summary>
    /// <param name="ids">N x k: the neighbours of each point, 0 to N - 1, in any order. A neighbour listed twice counts twice.</param>
    /// <param name="conditional">N x k: p_j|i for those neighbours, 0 or more and finite.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <returns>N x N.</returns>
    /// <exception cref="ArgumentException">
    /// The shapes differ, an id is no other point of the graph, an affinity is negative or not finite, or all are 0.
    /// </exception>
    public static CsrMatrix Symmetrize(MatrixView<long> ids, MatrixView<float> conditional, WorkerPool? pool = null)
    {
        if (conditional.Rows != ids.Rows || conditional.Columns != ids.Columns)
            throw new ArgumentException($"The shape must be that of the ids, {ids.Rows} x {ids.Columns}, and is {conditional.Rows} x {conditional.Columns}.", nameof(conditional));
        if (ids.Columns > 0 && ids.Rows > CsrMatrix.MostNonZeros / ids.Columns)
            throw new ArgumentException($"{ids.Rows} x {ids.Columns} neighbours are more than a sparse matrix holds ({CsrMatrix.MostNonZeros}).", nameof(ids));
        CheckIds(ids);

        int n = (int)ids.Rows, k = (int)ids.Columns;
        CsrMatrix graph = new(n, n, (long)n * k);
        for (int i = 0; i <= n; i++)
            graph.OffsetsPointer[i] = (long)i * k;
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < k; j++)
                graph.ColumnsPointer[((long)i * k) + j] = (int)ids.Row(i)[j];
            Buffer.MemoryCopy(conditional.Row(i), graph.ValuesPointer + ((long)i * k), (long)k * sizeof(float), (long)k * sizeof(float));
        }

        return Symmetrize(graph, nameof(conditional), pool);
    }

    /// <summary>Joint affinities of any graph; a matrix that is symmetric already is only scaled.</summary>
    /// <param name="conditional">N x N, elements 0 or more and finite. A diagonal is left out; elements given twice count twice.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <returns>N x N.</returns>
    /// <exception cref="ArgumentException">The matrix is not square, an element is negative or not finite, or all are 0.</exception>
    public static CsrMatrix Symmetrize(CsrMatrix conditional, WorkerPool? pool = null)
    {
        ArgumentNullException.ThrowIfNull(conditional);
        return Symmetrize(conditional, nameof(conditional), pool);
    }

    private static CsrMatrix Symmetrize(CsrMatrix graph, string name, WorkerPool? pool)
    {
        if (graph.Rows != graph.Columns)
            throw new ArgumentException($"The matrix must be square and is {graph.Rows} x {graph.Columns}.", name);
        for (int i = 0; i < graph.Count; i++)
        {
            // NaN fails both comparisons.
            if (!(graph.Values[i] >= 0 && graph.Values[i] <= float.MaxValue))
                throw new ArgumentException($"Affinity {i} is {graph.Values[i]}; affinities are finite and 0 or more.", name);
        }

        pool ??= WorkerPool.Serial;
        CsrMatrix backward = graph.Transpose(pool);
        CsrMatrix forward = backward.Transpose(pool); // the graph itself, with columns in order
        int n = graph.Rows;
        using Scratch<long> counts = new(n);
        using Scratch<double> sums = new(n);
        MergeBody body = new() { Forward = forward, Backward = backward, Counts = counts.Pointer, Sums = sums.Pointer };
        pool.For(n, RowGrain, ref body);

        long count = 0;
        double sum = 0;
        for (int i = 0; i < n; i++)
        {
            count += counts.Pointer[i];
            sum += sums.Pointer[i];
        }

        if (n > 0 && !(sum > 0))
            throw new ArgumentException($"All affinities between different points are 0 ({graph.Count} elements, {n} points).", name);
        CsrMatrix joint = new(n, n, count);
        for (int i = 0; i < n; i++)
            joint.OffsetsPointer[i + 1] = joint.OffsetsPointer[i] + counts.Pointer[i];
        body.Joint = joint;
        body.Scale = 1 / sum;
        pool.For(n, RowGrain, ref body);
        return joint;
    }

    private static void CheckIds(MatrixView<long> ids)
    {
        for (nint i = 0; i < ids.Rows; i++)
        {
            for (nint j = 0; j < ids.Columns; j++)
            {
                long id = ids.Row(i)[j];
                if ((ulong)id >= (ulong)ids.Rows)
                    throw new ArgumentException($"Neighbour {j} of point {i} is {id}, outside 0..{ids.Rows - 1}.", nameof(ids));
                if (id == i)
                    throw new ArgumentException($"Neighbour {j} of point {i} is the point itself; leave points out of their own lists.", nameof(ids));
            }
        }
    }

    /// <summary>
    /// Merges each row of the graph with that of its transpose, both in order of columns: at first counting, then, where
    /// there is a result to fill, writing.
    /// </summary>
    private struct MergeBody : IRangeBody
    {
        public CsrMatrix Forward;
        public CsrMatrix Backward;
        public long* Counts;
        public double* Sums;
        public CsrMatrix? Joint;
        public double Scale;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Invoke(int worker, nint start, nint end)
        {
            int* forwardColumns = Forward.ColumnsPointer, backwardColumns = Backward.ColumnsPointer;
            float* forwardValues = Forward.ValuesPointer, backwardValues = Backward.ValuesPointer;
            for (nint row = start; row < end; row++)
            {
                long a = Forward.OffsetsPointer[row], aEnd = Forward.OffsetsPointer[row + 1];
                long b = Backward.OffsetsPointer[row], bEnd = Backward.OffsetsPointer[row + 1];
                long place = Joint is null ? 0 : Joint.OffsetsPointer[row];
                long count = 0;
                double sum = 0;
                while (a < aEnd || b < bEnd)
                {
                    int column = Math.Min(a < aEnd ? forwardColumns[a] : int.MaxValue, b < bEnd ? backwardColumns[b] : int.MaxValue);

                    // The two sides are added up apart, so that p_ij and p_ji are the same bits.
                    double forward = 0, backward = 0;
                    for (; a < aEnd && forwardColumns[a] == column; a++)
                        forward += forwardValues[a];
                    for (; b < bEnd && backwardColumns[b] == column; b++)
                        backward += backwardValues[b];
                    if (column == row)
                        continue;
                    if (Joint is not null)
                    {
                        Joint.ColumnsPointer[place + count] = column;
                        Joint.ValuesPointer[place + count] = (float)((forward + backward) * Scale);
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
