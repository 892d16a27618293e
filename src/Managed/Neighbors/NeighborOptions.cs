namespace EmbeddingKernels;

/// <summary>How the neighbours are found.</summary>
public enum NeighborMethod
{
    /// <summary>Exact up to where that is fastest, approximate beyond.</summary>
    Auto = 0,

    /// <summary>All true neighbours; time grows with the square of the number of points.</summary>
    Exact = 1,

    /// <summary>Most of the true neighbours, by NN-descent; time grows little faster than the number of points.</summary>
    Approximate = 2,
}

/// <summary>Where the making of a <see cref="NeighborGraph"/> stands.</summary>
/// <param name="Method">How the neighbours are being found; never <see cref="NeighborMethod.Auto"/>.</param>
/// <param name="Fraction">The share of the work that is done, 0 to 1; never falls. Rounds of NN-descent end early, so it may leap.</param>
public readonly record struct NeighborProgress(NeighborMethod Method, double Fraction);

/// <summary>Options of <see cref="NeighborGraph"/>. All but the threads concern approximate graphs only.</summary>
/// <remarks>
/// Names in PyNNDescent: <see cref="Trees"/> n_trees, <see cref="Samples"/> max_candidates (where 60 are usual: here the rows
/// of a block share their candidates, so that few are enough), <see cref="Iterations"/> n_iters, <see cref="Delta"/> delta,
/// <see cref="Seed"/> random_state, <see cref="Threads"/> n_jobs.
/// </remarks>
public sealed record NeighborOptions
{
    /// <summary>Threads that work. The graph is the same for any number of them, the approximate one too.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>
    /// Trees that the first lists come from, at least 2, because the leaves of one have no neighbours beyond themselves: the first
    /// cuts along directions of large variance, the others along random ones.
    /// </summary>
    public int Trees { get; init; } = 4;

    /// <summary>
    /// Neighbours of each row that take part in one round, 1 to 64: so many new ones, so many old ones, and so many rows of
    /// which it is a neighbour. More find more, at a cost that grows with the square.
    /// </summary>
    public int Samples { get; init; } = 6;

    /// <summary>Rounds at most, 0 or more.</summary>
    public int Iterations { get; init; } = 3;

    /// <summary>The rounds end when one has changed no more than this share of all entries.</summary>
    public double Delta { get; init; } = 0.001;

    /// <summary>Seed of the trees and samples.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>Rows whose neighbours are searched for exactly to measure <see cref="NeighborGraph.Recall"/>; 0 for none.</summary>
    public int RecallSample { get; init; } = 500;

    /// <summary>Checks every value that can be checked without the data.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        DataChecks.Threads(Threads, nameof(Threads));
        ArgumentOutOfRangeException.ThrowIfLessThan(Trees, 2);
        if (Samples is < 1 or > 64)
            throw new ArgumentOutOfRangeException(nameof(Samples), Samples, "The samples must be 1 to 64.");
        ArgumentOutOfRangeException.ThrowIfNegative(Iterations);
        if (!(Delta >= 0 && Delta < 1))
            throw new ArgumentOutOfRangeException(nameof(Delta), Delta, "Delta must be at least 0 and below 1.");
        ArgumentOutOfRangeException.ThrowIfNegative(RecallSample);
    }
}
