namespace EmbeddingKernels;

/// <summary>
/// What a map shows: labelled points in the plane, such as words at their t-SNE positions. Lengths and values are checked when
/// a map is written.
/// </summary>
/// <param name="X">The first coordinate of each point; finite, in any unit.</param>
/// <param name="Y">The second coordinate of each point; finite, upwards.</param>
/// <param name="Labels">
/// A label per point. Any text will do; long ones are shortened where they are drawn. Empty where points have no names of their
/// own: a point then goes by its row number, and the map is labelled by its classes, each name once where the class is densest.
/// Labels that only repeat <see cref="Groups"/> count as none.
/// </param>
public sealed record MapData(ReadOnlyMemory<float> X, ReadOnlyMemory<float> Y, IReadOnlyList<string> Labels)
{
    /// <summary>
    /// How important each point is, such as its word's frequency: the larger, the sooner its label is shown. Finite and not
    /// negative. If empty, the points stand in the order of their importance.
    /// </summary>
    public ReadOnlyMemory<float> Weights { get; init; }

    /// <summary>
    /// The name of each point's class, shown by colour and in a legend; null where points have none. They are then coloured by
    /// the dense regions of the map. At most 1,000 different names; the 12 hues repeat in other shades.
    /// </summary>
    public IReadOnlyList<string>? Groups { get; init; }

    /// <summary>
    /// A picture of each point, shown on hover on the web page; null where a point, or all, have none. They lie in the page, reduced so that
    /// it does not become large: to 48 pixels up to 500 points, 32 up to 2,000, 24 up to 5,000; a page of more points shows none.
    /// </summary>
    public IReadOnlyList<Picture?>? Pictures { get; init; }

    /// <summary>
    /// For each point the indices of its nearest neighbours in the original space, best first: row by row, the same number k
    /// for each point. Empty where they are unknown.
    /// </summary>
    public ReadOnlyMemory<int> Neighbours { get; init; }

    /// <summary>The score of each of <see cref="Neighbours"/>, such as the cosine; empty or as many as there are neighbours.</summary>
    public ReadOnlyMemory<float> NeighbourScores { get; init; }

    /// <summary>Takes the positions from rows of two coordinates each, as dimension reductions give them.</summary>
    /// <param name="positions">x0, y0, x1, y1, ...</param>
    /// <param name="labels">A label per point.</param>
    /// <exception cref="ArgumentException"><paramref name="positions"/> has not two values per label.</exception>
    /// <exception cref="ArgumentNullException"><paramref name="labels"/> is null.</exception>
    public static MapData FromPairs(ReadOnlySpan<float> positions, IReadOnlyList<string> labels)
    {
        ArgumentNullException.ThrowIfNull(labels);
        if (positions.Length != 2L * labels.Count)
        {
            throw new ArgumentException(
                $"positions has {positions.Length} values for {labels.Count} labels; two per label are needed.", nameof(positions));
        }

        float[] x = new float[labels.Count];
        float[] y = new float[labels.Count];
        for (int i = 0; i < x.Length; i++)
        {
            x[i] = positions[2 * i];
            y[i] = positions[2 * i + 1];
        }

        return new MapData(x, y, labels);
    }
}
