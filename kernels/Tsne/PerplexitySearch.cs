namespace EmbeddingKernels.Core;

/// <summary>
/// The conditional affinities of t-SNE: for each row of squared distances d_j the precision beta at which
/// p_j = exp(-beta d_j) / sum over m of exp(-beta d_m) has the entropy ln(perplexity), and those p_j.
/// </summary>
/// <remarks>
/// <para>The entropy of each row meets ln(perplexity) within 1e-5 nats (scikit-learn's tolerance; Newton's steps usually end
/// near 1e-7), wherever some beta does so. Where none does, p_j is the limit: if at least perplexity neighbours share the
/// smallest distance (duplicates), they get equal shares and the rest 0; if the perplexity is the number of neighbours, all
/// get equal shares. Affinities below exp(-87) of the largest are 0. No finite input gives NaN.</para>
/// <para>The result does not depend on the number of threads; it depends on the instruction-set level in the last bits.
/// Source: van der Maaten and Hinton, JMLR 9 (2008), section 2.</para>
/// </remarks>
public static unsafe class PerplexitySearch
{
    /// <summary>Conditional affinities of all rows.</summary>
    /// <param name="squaredDistances">N x k: squared distances of each point to its k neighbours, finite, 0 or more, in any order.</param>
    /// <param name="perplexity">The wanted perplexity, 1 to k: roughly how many neighbours count.</param>
    /// <param name="conditional">N x k, overwritten; may be <paramref name="squaredDistances"/> itself.</param>
    /// <param name="betas">N precisions, overwritten, or empty where they are not wanted. Infinite where duplicates take all.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes do not fit, or a distance is negative, infinite or NaN.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="perplexity"/> is not in 1..k.</exception>
    public static void Conditional(
        MatrixView<float> squaredDistances, double perplexity, MatrixView<float> conditional, Span<float> betas = default, WorkerPool? pool = null)
    {
        if (conditional.Rows != squaredDistances.Rows || conditional.Columns != squaredDistances.Columns)
        {
            throw new ArgumentException(
                $"The shape must be that of the distances, {squaredDistances.Rows} x {squaredDistances.Columns}, and is {conditional.Rows} x {conditional.Columns}.",
                nameof(conditional));
        }

        if (!betas.IsEmpty && betas.Length != squaredDistances.Rows)
            throw new ArgumentException($"There must be a place for each of the {squaredDistances.Rows} rows, and there are {betas.Length}.", nameof(betas));
        if (squaredDistances.Rows == 0)
            return;
        if (!(perplexity >= 1 && perplexity <= squaredDistances.Columns))
        {
            throw new ArgumentOutOfRangeException(
                nameof(perplexity), perplexity, $"The perplexity must be 1 to the number of neighbours, {squaredDistances.Columns}.");
        }

        CheckDistances(squaredDistances, nameof(squaredDistances));
        fixed (float* beta = betas)
        {
            PerplexityAction action = new(squaredDistances, perplexity, conditional, beta, pool ?? WorkerPool.Serial);
            Isa.Dispatch(ref action);
        }
    }

    private static void CheckDistances(MatrixView<float> distances, string name)
    {
        for (nint i = 0; i < distances.Rows; i++)
        {
            float* row = distances.Row(i);
            for (nint j = 0; j < distances.Columns; j++)
            {
                if (!(row[j] >= 0 && row[j] <= float.MaxValue))
                    throw new ArgumentException($"Squared distance {j} of row {i} is {row[j]}; distances are finite and 0 or more.", name);
            }
        }
    }
}
