namespace EmbeddingKernels.Core;

/// <summary>
/// The repulsive half of the t-SNE gradient: the part that runs over all pairs of points, and the seam behind which exact
/// and approximate methods and other devices stand.
/// </summary>
/// <remarks>
/// An instance serves maps of one shape, holds the memory that this takes, and is not thread-safe: one call at a time.
/// </remarks>
public interface ITsneRepulsion : IDisposable
{
    /// <summary>Number of points of the maps that this instance serves.</summary>
    int Points { get; }

    /// <summary>Number of axes of the maps that this instance serves.</summary>
    int Dimensions { get; }

    /// <summary>nu of the kernel, above 0: 1 is Student's t with one degree of freedom, which is t-SNE's; below 1 tails are heavier.</summary>
    double DegreesOfFreedom { get; }

    /// <summary>
    /// force[:, i] = sum over j of w_ij (1 + d_ij^2 / nu)^-1 (y_i - y_j), and the sum of w_ij over all ordered pairs i != j,
    /// where d_ij = |y_i - y_j| and w_ij = (1 + d_ij^2 / nu)^(-(nu+1)/2), nu being <see cref="DegreesOfFreedom"/>.
    /// </summary>
    /// <param name="map">dimensions x points: one row per axis. Coordinates are finite and below 1e12 in magnitude.</param>
    /// <param name="force">dimensions x points, overwritten. Must not overlap <paramref name="map"/>.</param>
    /// <param name="pool">Threads to work on; none means the caller's only. The result does not depend on their number.</param>
    /// <returns>Z, the sum of w_ij over i != j.</returns>
    /// <exception cref="ArgumentException">A shape is not <see cref="Dimensions"/> x <see cref="Points"/>.</exception>
    /// <exception cref="ObjectDisposedException">The instance was disposed.</exception>
    double Compute(MatrixView<float> map, MatrixView<float> force, WorkerPool? pool = null);
}
