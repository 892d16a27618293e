namespace EmbeddingKernels.Core;

/// <summary>
/// The attractive half of the t-SNE gradient and the divergence that it minimises, over the non-zero affinities. The
/// repulsive half runs over all pairs and stands behind <see cref="ITsneRepulsion"/>.
/// </summary>
/// <remarks>
/// <para>With q_ij = 1 / (1 + |y_i - y_j|^2) and Z the sum of q_ij over i != j, the gradient of KL(P || Q) with respect to
/// y_i is 4 (attraction_i - repulsion_i / Z).</para>
/// <para>A map is a matrix of one row per axis and one column per point. Coordinates are finite and below 1e12 in
/// magnitude; NaN gives NaN. Thread-safe. The results do not depend on the number of threads; they depend on the
/// instruction-set level in the last bits.</para>
/// <para>Source: van der Maaten and Hinton, JMLR 9 (2008), equations 3 to 5.</para>
/// </remarks>
public static unsafe class TsneGradient
{
    /// <summary>force[:, i] = sum over j of p_ij q_ij (y_i - y_j).</summary>
    /// <remarks>The error is below (row length + 8) * 2^-23 of the sum of the magnitudes of its terms.</remarks>
    /// <param name="affinities">N x N, symmetric.</param>
    /// <param name="map">1 to 3 axes x N.</param>
    /// <param name="force">The shape of <paramref name="map"/>, overwritten. Must not overlap it.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    public static void Attraction(CsrMatrix affinities, MatrixView<float> map, MatrixView<float> force, WorkerPool? pool = null)
    {
        CheckShapes(affinities, map);
        MapDimensions.CheckSame(map, force, nameof(force));
        AttractionAction action = new(affinities, map, force, pool ?? WorkerPool.Serial);
        MapDimensions.Dispatch((int)map.Rows, ref action);
        GC.KeepAlive(affinities);
    }

    /// <summary>
    /// The Kullback-Leibler divergence KL(P || Q) = sum of p_ij ln(p_ij / (q_ij / Z)) of a map, in nats, from Z and the sum
    /// of p_ij ln p_ij.
    /// </summary>
    /// <remarks>
    /// It is <paramref name="negativeEntropy"/> + ln Z + sum of p_ij ln(1 + |y_i - y_j|^2): the logarithms in single
    /// precision (error below 2e-7 each), the sums over rows in double, so the result is exact to 1e-6 (1 + KL).
    /// </remarks>
    /// <param name="affinities">N x N, symmetric, sum 1.</param>
    /// <param name="map">1 to 3 axes x N.</param>
    /// <param name="sumQ">Z, as <see cref="ITsneRepulsion.Compute"/> returns it for this map.</param>
    /// <param name="negativeEntropy">The sum of p_ij ln p_ij: <see cref="NegativeEntropy"/>, which does not change with the map.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    public static double KullbackLeibler(CsrMatrix affinities, MatrixView<float> map, double sumQ, double negativeEntropy, WorkerPool? pool = null)
    {
        CheckShapes(affinities, map);
        DivergenceAction action = new(affinities, map, pool ?? WorkerPool.Serial);
        MapDimensions.Dispatch((int)map.Rows, ref action);
        GC.KeepAlive(affinities);
        return sumQ > 0 ? negativeEntropy + Math.Log(sumQ) + action.Sum : 0;
    }

    /// <summary>Sum of p ln p over the elements, in double; zeros count as 0.</summary>
    /// <param name="affinities">Elements 0 or more.</param>
    public static double NegativeEntropy(CsrMatrix affinities)
    {
        ArgumentNullException.ThrowIfNull(affinities);
        double sum = 0;
        foreach (float p in affinities.Values)
            sum += p > 0 ? p * Math.Log(p) : 0;
        return sum;
    }

    private static void CheckShapes(CsrMatrix affinities, MatrixView<float> map)
    {
        ArgumentNullException.ThrowIfNull(affinities);
        MapDimensions.Check(map, nameof(map));
        if (affinities.Rows != map.Columns || affinities.Columns != map.Columns)
        {
            throw new ArgumentException(
                $"The affinities of {map.Columns} points must be {map.Columns} x {map.Columns} and are {affinities.Rows} x {affinities.Columns}.", nameof(affinities));
        }
    }
}
