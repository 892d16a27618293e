namespace EmbeddingKernels;

/// <summary>Words around a map, and its paper. The defaults suit a map of word vectors.</summary>
public sealed record MapOptions
{
    /// <summary>The heading.</summary>
    public string Title { get; init; } = "Map";

    /// <summary>One line under the heading: how the map was made (points, dimensions, divergence, time).</summary>
    public string Subtitle { get; init; } = "";

    /// <summary>What one point is.</summary>
    public string Noun { get; init; } = "word";

    /// <summary>What several points are.</summary>
    public string NounPlural { get; init; } = "words";

    /// <summary>
    /// Whether names of points are written on the map. If not, as suits names of files, they show on hover and in the search, and the map
    /// is labelled by its classes.
    /// </summary>
    public bool WriteNames { get; init; } = true;

    /// <summary>What <see cref="MapData.Weights"/> are; shown with each point.</summary>
    public string WeightName { get; init; } = "frequency";

    /// <summary>What <see cref="MapData.NeighbourScores"/> are; shown above the list of neighbours.</summary>
    public string ScoreName { get; init; } = "cosine";

    /// <summary>The size of the SVG page.</summary>
    public MapPaper Paper { get; init; }
}

/// <summary>The page of an SVG map, in landscape.</summary>
public enum MapPaper
{
    /// <summary>297 x 210 mm.</summary>
    A4,

    /// <summary>420 x 297 mm: the same type size, so about twice as many labels.</summary>
    A3,
}
