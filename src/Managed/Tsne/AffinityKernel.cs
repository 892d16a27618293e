using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// How the distances from a point to its neighbours become affinities p_j|i that add up to 1: what openTSNE has a class of
/// affinities for. scikit-learn knows the first kind only.
/// </summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>openTSNE</description></listheader>
/// <item><term><see cref="Perplexity(double)"/></term><description>affinity.PerplexityBasedNN (scikit-learn: perplexity)</description></item>
/// <item><term><see cref="Multiscale(double[])"/></term><description>affinity.Multiscale</description></item>
/// <item><term><see cref="MultiscaleMixture(double[])"/></term><description>affinity.MultiscaleMixture</description></item>
/// <item><term><see cref="Uniform(int, AffinitySymmetry)"/></term><description>affinity.Uniform</description></item>
/// <item><term><see cref="FixedSigma(double, int)"/></term><description>affinity.FixedSigmaNN</description></item>
/// </list>
/// <para>A perplexity that the number of points does not allow is an error here; openTSNE lowers it and warns.</para>
/// </remarks>
public abstract record AffinityKernel
{
    private protected AffinityKernel()
    {
    }

    /// <summary>A Gaussian per point whose width gives its affinities this perplexity: roughly how many neighbours count.</summary>
    /// <param name="perplexity">At least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="perplexity"/> is below 1 or not finite.</exception>
    public static AffinityKernel Perplexity(double perplexity) => new PerplexityKernel([perplexity], false);

    /// <summary>The mean of the affinities at several perplexities: near and far neighbours both count.</summary>
    /// <param name="perplexities">Each at least 1.</param>
    /// <exception cref="ArgumentException">There is none.</exception>
    /// <exception cref="ArgumentOutOfRangeException">One is below 1 or not finite.</exception>
    public static AffinityKernel Multiscale(params double[] perplexities) => new PerplexityKernel(perplexities, false);

    /// <summary>
    /// A mixture of the Gaussian densities whose widths give the perplexities: sum over h of sqrt(beta_h) exp(-beta_h d^2),
    /// which weighs narrow ones more than <see cref="Multiscale(double[])"/>.
    /// </summary>
    /// <param name="perplexities">Each at least 1.</param>
    /// <exception cref="ArgumentException">There is none.</exception>
    /// <exception cref="ArgumentOutOfRangeException">One is below 1 or not finite.</exception>
    public static AffinityKernel MultiscaleMixture(params double[] perplexities) => new PerplexityKernel(perplexities, true);

    /// <summary>The same affinity for each of the nearest neighbours.</summary>
    /// <param name="neighbors">Neighbours per point, at least 1; openTSNE: k_neighbors.</param>
    /// <param name="symmetry">What the joint affinity of two points is where only one is a neighbour of the other.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    public static AffinityKernel Uniform(int neighbors = 30, AffinitySymmetry symmetry = AffinitySymmetry.Max)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(neighbors, 1);
        DataChecks.Defined(symmetry, nameof(symmetry));
        return new UniformKernel(neighbors, symmetry);
    }

    /// <summary>A Gaussian of the same width for all points: exp(-d^2 / (2 sigma^2)) over the nearest neighbours.</summary>
    /// <param name="sigma">The width, above 0, in units of the distance.</param>
    /// <param name="neighbors">Neighbours per point, at least 1; openTSNE: k.</param>
    /// <exception cref="ArgumentOutOfRangeException">An argument is out of its range.</exception>
    public static AffinityKernel FixedSigma(double sigma, int neighbors = 30)
    {
        if (!(sigma > 0 && double.IsFinite(sigma)))
            throw new ArgumentOutOfRangeException(nameof(sigma), sigma, "The width must be above 0.");
        ArgumentOutOfRangeException.ThrowIfLessThan(neighbors, 1);
        return new FixedSigmaKernel(sigma, neighbors);
    }

    /// <summary>The perplexity of a kernel of one; NaN for others.</summary>
    internal virtual double OnlyPerplexity => double.NaN;

    /// <summary>Whether joint affinities are all the same.</summary>
    internal virtual bool AllEqual => false;

    /// <summary>Throws where that many other points are too few.</summary>
    /// <param name="others">Points that may be neighbours of one.</param>
    /// <param name="points">What the message tells: the points there are.</param>
    internal abstract void CheckPoints(long others, long points);

    /// <summary>Throws where that many neighbours per point are too few.</summary>
    internal abstract void CheckNeighbors(long neighbors);

    /// <summary>How many neighbours to look for among that many others.</summary>
    internal abstract int Neighbors(long others);

    /// <summary>Overwrites the distances of some points, finite and 0 or more, with affinities.</summary>
    internal abstract void Conditional(MatrixView<float> distances, WorkerPool pool);

    /// <summary>The error of an argument of the method that made the kernel.</summary>
    private protected static ArgumentOutOfRangeException OutOfRange(string name, object value, string message) => new(name, value, message);

    /// <summary>Throws where a number of neighbours is more than there are other points.</summary>
    private protected static void CheckCount(int count, long others, long points)
    {
        if (count > others)
            throw OutOfRange("neighbors", count, $"{count} neighbours per point need more than {count} points, and there are {points}.");
    }
}

/// <summary>The joint affinity of two points of which one alone is a neighbour of the other, with <see cref="AffinityKernel.Uniform"/>.</summary>
public enum AffinitySymmetry
{
    /// <summary>That of two that are neighbours of each other: all joint affinities are equal (openTSNE's "max").</summary>
    Max = 0,

    /// <summary>Half of that (openTSNE's "mean").</summary>
    Mean = 1,
}

internal sealed record PerplexityKernel : AffinityKernel
{
    // Neighbours beyond this multiple of the perplexity have next to no weight.
    private const double NeighborsPerPerplexity = 3;

    private readonly double[] _perplexities;
    private readonly bool _mixture;

    public PerplexityKernel(double[] perplexities, bool mixture)
    {
        ArgumentNullException.ThrowIfNull(perplexities);
        if (perplexities.Length == 0)
            throw new ArgumentException("There must be a perplexity at least.", nameof(perplexities));
        foreach (double perplexity in perplexities)
        {
            if (!(perplexity >= 1 && double.IsFinite(perplexity)))
                throw OutOfRange("perplexity", perplexity, "The perplexity must be at least 1.");
        }

        _perplexities = [.. perplexities];
        _mixture = mixture;
    }

    internal override double OnlyPerplexity => _perplexities.Length == 1 ? _perplexities[0] : double.NaN;

    public bool Equals(PerplexityKernel? other) =>
        other is not null && other._mixture == _mixture && other._perplexities.AsSpan().SequenceEqual(_perplexities);

    public override int GetHashCode() => HashCode.Combine(_mixture, _perplexities.Length, _perplexities[0]);

    internal override void CheckPoints(long others, long points)
    {
        foreach (double perplexity in _perplexities)
        {
            if (perplexity > others)
            {
                string advice = others > 0
                    ? $"use {others} at most; {Math.Max(1, others / NeighborsPerPerplexity):F1} leaves 3 neighbours for each that counts."
                    : "a map needs 2 points at least.";
                throw OutOfRange(
                    "perplexity", perplexity, $"A perplexity of {perplexity} needs more than {perplexity} points, and there are {points}: {advice}");
            }
        }
    }

    internal override void CheckNeighbors(long neighbors)
    {
        foreach (double perplexity in _perplexities)
        {
            if (perplexity > neighbors)
            {
                throw OutOfRange(
                    "perplexity", perplexity, $"The perplexity must be at least 1 and at most the number of neighbours per point, {neighbors}; a third of that is usual.");
            }
        }
    }

    internal override int Neighbors(long others) => (int)Math.Min(others, NeighborsPerPerplexity * _perplexities.Max());

    internal override unsafe void Conditional(MatrixView<float> distances, WorkerPool pool)
    {
        pool.For(distances.Rows, 64, (_, start, end) =>
        {
            for (nint i = start; i < end; i++)
                Square(distances.RowSpan(i));
        });
        if (_perplexities.Length == 1)
        {
            PerplexitySearch.Conditional(distances, _perplexities[0], distances, pool: pool);
            return;
        }

        using FloatMatrix part = new(distances.Rows, distances.Columns), sum = new(distances.Rows, distances.Columns);
        MatrixView<float> parts = part.View, sums = sum.View;
        float[] betas = new float[distances.Rows];
        double[] logScales = new double[distances.Rows];
        Array.Fill(logScales, double.NegativeInfinity);
        foreach (double perplexity in _perplexities)
        {
            PerplexitySearch.Conditional(distances, perplexity, parts, betas, pool);
            pool.For(distances.Rows, 64, (_, start, end) =>
            {
                for (nint i = start; i < end; i++)
                {
                    if (_mixture)
                        AddDensity(distances.RowSpan(i), betas[i], parts.RowSpan(i), sums.RowSpan(i), ref logScales[i]);
                    else
                        Add(parts.RowSpan(i), sums.RowSpan(i));
                }
            });
        }

        pool.For(distances.Rows, 64, (_, start, end) =>
        {
            for (nint i = start; i < end; i++)
                Normalize(sums.RowSpan(i), distances.RowSpan(i));
        });
    }

    /// <summary>Squares in a unit in which they do not overflow: affinities depend on ratios of distances alone.</summary>
    private static void Square(Span<float> row)
    {
        float largest = 0;
        foreach (float distance in row)
            largest = Math.Max(largest, distance);
        int exponent = largest > 0 ? -Math.ILogB(largest) : 0;

        // A power of two at most 2^127 and at least 2^-127 as two factors that are floats.
        float first = MathF.ScaleB(1f, exponent / 2), second = MathF.ScaleB(1f, exponent - (exponent / 2));
        for (int j = 0; j < row.Length; j++)
        {
            float scaled = row[j] * first * second;
            row[j] = scaled * scaled;
        }
    }

    private static void Add(Span<float> part, Span<float> sum)
    {
        for (int j = 0; j < sum.Length; j++)
            sum[j] += part[j];
    }

    /// <summary>
    /// Adds sqrt(beta) exp(-beta d^2), which is the normalised part times some scale; sums are kept in units of the largest
    /// scale so far, whose logarithm is <paramref name="logScale"/>.
    /// </summary>
    private static void AddDensity(Span<float> squared, float beta, Span<float> part, Span<float> sum, ref double logScale)
    {
        int nearest = 0;
        for (int j = 1; j < squared.Length; j++)
            nearest = squared[j] < squared[nearest] ? j : nearest;

        // Duplicates make a density without width, which outweighs every other.
        double log = float.IsPositiveInfinity(beta)
            ? double.MaxValue
            : (0.5 * Math.Log(beta)) - ((double)beta * squared[nearest]) - Math.Log(part[nearest]);
        if (double.IsNegativeInfinity(logScale) && double.IsNegativeInfinity(log))
        {
            Add(part, sum);
            return;
        }

        double most = Math.Max(logScale, log);
        double before = double.IsNegativeInfinity(logScale) ? 0 : Math.Exp(logScale - most), now = Math.Exp(log - most);
        for (int j = 0; j < sum.Length; j++)
            sum[j] = (float)((sum[j] * before) + (part[j] * now));
        logScale = most;
    }

    private static void Normalize(Span<float> weights, Span<float> destination)
    {
        double sum = 0;
        foreach (float weight in weights)
            sum += weight;
        for (int j = 0; j < weights.Length; j++)
            destination[j] = (float)(weights[j] / sum);
    }
}

internal sealed record UniformKernel(int Count, AffinitySymmetry Symmetry) : AffinityKernel
{
    internal override bool AllEqual => Symmetry == AffinitySymmetry.Max;

    internal override void CheckPoints(long others, long points) => CheckCount(Count, others, points);

    internal override void CheckNeighbors(long neighbors)
    {
    }

    internal override int Neighbors(long others) => Count;

    internal override void Conditional(MatrixView<float> distances, WorkerPool pool)
    {
        for (nint i = 0; i < distances.Rows; i++)
            distances.RowSpan(i).Fill(1f / distances.Columns);
    }
}

internal sealed record FixedSigmaKernel(double Sigma, int Count) : AffinityKernel
{
    internal override void CheckPoints(long others, long points) => CheckCount(Count, others, points);

    internal override void CheckNeighbors(long neighbors)
    {
    }

    internal override int Neighbors(long others) => Count;

    internal override void Conditional(MatrixView<float> distances, WorkerPool pool) =>
        pool.For(distances.Rows, 64, (_, start, end) =>
        {
            for (nint i = start; i < end; i++)
                Row(distances.RowSpan(i));
        });

    private void Row(Span<float> row)
    {
        double nearest = double.MaxValue, sum = 0;
        foreach (float distance in row)
            nearest = Math.Min(nearest, distance);

        // The nearest has weight 1, so that the sum is never 0; the factor cancels.
        for (int j = 0; j < row.Length; j++)
        {
            double beyond = (row[j] - nearest) / Sigma;
            double weight = beyond == 0 ? 1 : Math.Exp(-0.5 * beyond * ((row[j] + nearest) / Sigma));
            sum += weight;
            row[j] = (float)weight;
        }

        for (int j = 0; j < row.Length; j++)
            row[j] = (float)(row[j] / sum);
    }
}
