namespace EmbeddingKernels.Core;

/// <summary>
/// A finished map that pushes other points: the repulsive half of the gradient by which new points are placed into it
/// (openTSNE's transform). The reference map does not move, and the new points do not see each other.
/// </summary>
/// <remarks>
/// A new point has a distribution of its own over the reference points, as in openTSNE's transform: p_ij sum to 1 over j,
/// q_ij = w_ij / sums[i], and the gradient of KL(P_i || Q_i) is ((nu + 1) / nu) (attraction_i - force_i / sums[i]).
/// An instance holds a copy of what it needs of the map and is not thread-safe: one call at a time.
/// </remarks>
public interface ITsneReferenceField : IDisposable
{
    /// <summary>Number of points of the reference map.</summary>
    int ReferencePoints { get; }

    /// <summary>Number of axes of the reference map and of the points.</summary>
    int Dimensions { get; }

    /// <summary>nu of the kernel, as in <see cref="ITsneRepulsion"/>.</summary>
    double DegreesOfFreedom { get; }

    /// <summary>
    /// force[:, i] = sum over reference points j of w_ij (1 + d_ij^2 / nu)^-1 (y_i - r_j) and sums[i] = sum over j of w_ij,
    /// where d_ij = |y_i - r_j| and w_ij = (1 + d_ij^2 / nu)^(-(nu+1)/2).
    /// </summary>
    /// <param name="points">dimensions x any number of new points: one row per axis. Coordinates are finite and below 1e12 in magnitude.</param>
    /// <param name="force">The shape of <paramref name="points"/>, overwritten. Must not overlap it.</param>
    /// <param name="sums">One number per point, overwritten.</param>
    /// <param name="pool">Threads to work on; none means the caller's only. The result does not depend on their number.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ObjectDisposedException">The instance was disposed.</exception>
    void Compute(MatrixView<float> points, MatrixView<float> force, Span<double> sums, WorkerPool? pool = null);
}
