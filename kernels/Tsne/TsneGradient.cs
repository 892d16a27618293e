namespace EmbeddingKernels.Core;

/// <summary>
/// The attractive half of the t-SNE gradient and the divergence that it minimises, over the non-zero affinities. The
/// repulsive half runs over all pairs and stands behind <see cref="ITsneRepulsion"/>.
/// </summary>
/// <remarks>
/// <para>With t_ij = 1 + |y_i - y_j|^2 / nu, w_ij = t_ij^(-(nu+1)/2), Z the sum of w_ij over i != j and q_ij = w_ij / Z, the
/// gradient of KL(P || Q) with respect to y_i is (2 (nu + 1) / nu) (attraction_i - repulsion_i / Z). At the usual nu = 1 the
/// factor is 4 and w_ij is 1 / (1 + |y_i - y_j|^2). openTSNE calls nu dof.</para>
/// <para>A map is a matrix of one row per axis and one column per point. Coordinates are finite and below 1e12 in
/// magnitude; NaN gives NaN. Thread-safe. The results do not depend on the number of threads; they depend on the
/// instruction-set level in the last bits.</para>
/// <para>Source: van der Maaten and Hinton, JMLR 9 (2008), equations 3 to 5; van der Maaten, AISTATS 2009, equation 4.</para>
/// </remarks>
public static unsafe class TsneGradient
{
    /// <summary>force[:, i] = sum over j of p_ij t_ij^-1 (y_i - y_j).</summary>
    /// <remarks>The error is below (row length + 8) * 2^-23 of the sum of the magnitudes of its terms.</remarks>
    /// <param name="affinities">N x N, symmetric.</param>
    /// <param name="map">1 to 3 axes x N.</param>
    /// <param name="force">The shape of <paramref name="map"/>, overwritten. Must not overlap it.</param>
    /// <param name="degreesOfFreedom">nu, 1e-6 to 1e6.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="degreesOfFreedom"/> is out of its range.</exception>
    public static void Attraction(CsrMatrix affinities, MatrixView<float> map, MatrixView<float> force, double degreesOfFreedom = 1, WorkerPool? pool = null)
    {
        CheckShapes(affinities, map);
        MapDimensions.CheckSame(map, force, nameof(force));
        Attract(affinities, map, map, force, degreesOfFreedom, pool);
    }

    /// <summary>
    /// The attraction of other points to a finished map: force[:, i] = sum over j of p_ij t_ij^-1 (y_i - r_j) for new points
    /// y and reference points r.
    /// </summary>
    /// <inheritdoc cref="Attraction(CsrMatrix, MatrixView{float}, MatrixView{float}, double, WorkerPool?)"/>
    /// <param name="affinities">m x n: a row for each new point, a column for each reference point.</param>
    /// <param name="reference">1 to 3 axes x n: the finished map.</param>
    /// <param name="points">The same axes x m: the new points.</param>
    /// <param name="force">The shape of <paramref name="points"/>, overwritten. Must not overlap the others.</param>
    /// <param name="degreesOfFreedom">nu, 1e-6 to 1e6.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    public static void Attraction(
        CsrMatrix affinities,
        MatrixView<float> reference,
        MatrixView<float> points,
        MatrixView<float> force,
        double degreesOfFreedom = 1,
        WorkerPool? pool = null)
    {
        ArgumentNullException.ThrowIfNull(affinities);
        MapDimensions.Check(reference, nameof(reference));
        MapDimensions.Check(points, nameof(points));
        if (points.Rows != reference.Rows)
            throw new ArgumentException($"The points must have the {reference.Rows} axes of the reference and have {points.Rows}.", nameof(points));
        if (affinities.Rows != points.Columns || affinities.Columns != reference.Columns)
        {
            throw new ArgumentException(
                $"The affinities of {points.Columns} points to {reference.Columns} must be {points.Columns} x {reference.Columns} and are {affinities.Rows} x {affinities.Columns}.",
                nameof(affinities));
        }

        MapDimensions.CheckSame(points, force, nameof(force));
        Attract(affinities, reference, points, force, degreesOfFreedom, pool);
    }

    private static void Attract(
        CsrMatrix affinities, MatrixView<float> reference, MatrixView<float> points, MatrixView<float> force, double degreesOfFreedom, WorkerPool? pool)
    {
        float degrees = (float)TsneKernel.CheckDegrees(degreesOfFreedom, nameof(degreesOfFreedom));
        AttractionAction action = new(affinities, null, reference, points, force, degrees, pool ?? WorkerPool.Serial);
        MapDimensions.Dispatch((int)points.Rows, ref action);
        GC.KeepAlive(affinities);
    }

    /// <summary>
    /// The Kullback-Leibler divergence KL(P || Q) = sum of p_ij ln(p_ij / q_ij) of a map, in nats, from Z and the sum of
    /// p_ij ln p_ij.
    /// </summary>
    /// <remarks>
    /// It is <paramref name="negativeEntropy"/> + ln Z + ((nu + 1) / 2) sum of p_ij ln t_ij: the logarithms in single
    /// precision (error below 2e-7 each), the sums over rows in double, so the result is exact to 1e-6 (1 + KL) at nu = 1
    /// and to 1e-6 (1 + |ln Z| + KL) otherwise.
    /// </remarks>
    /// <param name="affinities">N x N, symmetric, sum 1.</param>
    /// <param name="map">1 to 3 axes x N.</param>
    /// <param name="sumQ">Z, as <see cref="ITsneRepulsion.Compute"/> returns it for this map.</param>
    /// <param name="negativeEntropy">The sum of p_ij ln p_ij: <see cref="NegativeEntropy"/>, which does not change with the map.</param>
    /// <param name="degreesOfFreedom">nu, 1e-6 to 1e6.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="degreesOfFreedom"/> is out of its range.</exception>
    public static double KullbackLeibler(
        CsrMatrix affinities, MatrixView<float> map, double sumQ, double negativeEntropy, double degreesOfFreedom = 1, WorkerPool? pool = null)
    {
        CheckShapes(affinities, map);
        TsneKernel.CheckDegrees(degreesOfFreedom, nameof(degreesOfFreedom));
        DivergenceAction action = new(affinities, map, pool ?? WorkerPool.Serial);
        TsneKernel.Dispatch((int)map.Rows, degreesOfFreedom, ref action);
        GC.KeepAlive(affinities);
        return sumQ > 0 ? negativeEntropy + Math.Log(sumQ) + ((degreesOfFreedom + 1) / 2 * action.Sum) : 0;
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
