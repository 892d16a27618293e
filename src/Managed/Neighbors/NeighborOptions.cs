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

/// <summary>Options of <see cref="NeighborGraph"/>.</summary>
public sealed record NeighborOptions
{
    /// <summary>Threads that work. The graph is the same for any number of them.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Checks every value that can be checked without the data.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate() => DataChecks.Threads(Threads, nameof(Threads));
}
