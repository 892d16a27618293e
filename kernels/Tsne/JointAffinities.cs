using System.Numerics;

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
    private const int RowGrain = 256;

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
        CheckIds(ids, 0, ids.Rows);
        CheckValues(conditional);
        pool ??= WorkerPool.Serial;
        using WeightedGraph graph = new((int)ids.Rows, (int)ids.Columns);
        pool.For(ids.Rows, RowGrain, (_, start, end) =>
        {
            for (nint i = start; i < end; i++)
                graph.SetRow(i, ids.Row(i), conditional.Row(i));
        });
        return graph.Symmetrize(nameof(conditional), pool);
    }

    /// <summary>Joint affinities of any graph; a matrix that is symmetric already is only scaled.</summary>
    /// <param name="conditional">N x N, elements 0 or more and finite. A diagonal is left out; elements given twice count twice.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <returns>N x N.</returns>
    /// <exception cref="ArgumentException">The matrix is not square, an element is negative or not finite, or all are 0.</exception>
    public static CsrMatrix Symmetrize(CsrMatrix conditional, WorkerPool? pool = null)
    {
        ArgumentNullException.ThrowIfNull(conditional);
        if (conditional.Rows != conditional.Columns)
            throw new ArgumentException($"The matrix must be square and is {conditional.Rows} x {conditional.Columns}.", nameof(conditional));
        fixed (float* values = conditional.Values)
            CheckValues(new MatrixView<float>(values, 1, conditional.Count));
        pool ??= WorkerPool.Serial;
        using WeightedGraph graph = new(conditional, pool);
        return graph.Symmetrize(nameof(conditional), pool);
    }

    /// <summary>Checks that every neighbour of the points from <paramref name="start"/> to before <paramref name="end"/> is another point of the graph.</summary>
    internal static void CheckIds<TId>(MatrixView<TId> ids, nint start, nint end)
        where TId : unmanaged, IBinaryInteger<TId>
    {
        for (nint i = start; i < end; i++)
        {
            TId* row = ids.Row(i);
            for (nint j = 0; j < ids.Columns; j++)
            {
                long id = long.CreateTruncating(row[j]);
                if ((ulong)id >= (ulong)ids.Rows)
                    throw new ArgumentException($"Neighbour {j} of point {i} is {id}, outside 0..{ids.Rows - 1}.", nameof(ids));
                if (id == i)
                    throw new ArgumentException($"Neighbour {j} of point {i} is the point itself; leave points out of their own lists.", nameof(ids));
            }
        }
    }

    private static void CheckValues(MatrixView<float> conditional)
    {
        for (nint i = 0; i < conditional.Rows; i++)
        {
            float* row = conditional.Row(i);
            for (nint j = 0; j < conditional.Columns; j++)
            {
                // NaN fails both comparisons.
                if (!(row[j] >= 0 && row[j] <= float.MaxValue))
                    throw new ArgumentException($"Affinity {(i * conditional.Columns) + j} is {row[j]}; affinities are finite and 0 or more.", nameof(conditional));
            }
        }
    }
}
