namespace EmbeddingKernels.Core;

/// <summary>
/// A uniform grid over a map: node i of an axis stands at <c>Origin + i * Spacing</c>. A convolution over it is a cyclic one
/// over about twice as many nodes, the rest of them empty, so that no point meets another round the edge.
/// </summary>
internal readonly record struct FftGrid
{
    /// <summary>
    /// Distance of nodes where the map is not small, for 1 degree of freedom. The spectrum of 1 / (1 + d^2) falls off by e^-k
    /// at wave number k: a quarter leaves e^(-4 pi) of it beyond what the grid carries.
    /// </summary>
    private const double WidestSpacing = 0.25;

    /// <summary>
    /// Nodes that an axis at least has across a map, whose spacing is halved until it does: forces within a tiny map are tiny
    /// differences, which nodes far apart would lose in rounding.
    /// </summary>
    private const int LeastNodes = 40;

    /// <summary>
    /// Empty distances on either side of the sharp edge that a kernel has where it is cut off, over which it is faded out:
    /// an edge would ring through the whole grid.
    /// </summary>
    private const int Fade = 12;

    /// <summary>Room to move before a larger grid is needed.</summary>
    private const double Headroom = 1.06;

    // Spacings that a small map can have: below this one it is as good as one point.
    private const float LeastSpacing = 1e-12f;

    /// <summary>The longest transform of an axis: 400 MB of grids and spectra in the plane.</summary>
    private const int MostPlane = 4096, MostLine = 1 << 20;

    /// <summary>The longest that few points get: a map is rarely wider than this, and if it is, by outliers.</summary>
    private const int LeastPlane = 1024, LeastLine = 1 << 16;

    private FftGrid(int dimensions, float spacing, int columns, int rows)
    {
        (Dimensions, Spacing, Columns, Rows) = (dimensions, spacing, columns, rows);
        NodesX = dimensions == 1 ? (columns * rows / 2) - Fade : (columns / 2) - Fade;
        NodesY = dimensions == 1 ? 1 : (rows / 2) - Fade;
    }

    /// <summary>1 or 2.</summary>
    public int Dimensions { get; }

    /// <summary>Distance of neighbouring nodes.</summary>
    public float Spacing { get; }

    /// <summary>Lengths of the transforms: columns and rows of the cyclic grid; a line is cut into rows.</summary>
    public int Columns { get; }

    /// <summary>See <see cref="Columns"/>; even.</summary>
    public int Rows { get; }

    /// <summary>Nodes along x that points may use.</summary>
    public int NodesX { get; }

    /// <summary>Nodes along y that points may use.</summary>
    public int NodesY { get; }

    /// <summary>Rows of the density and of the fields: those that are not empty.</summary>
    public int UsedRows => Dimensions == 1 ? (NodesX + Columns - 1) / Columns : NodesY;

    /// <summary>Columns of the density and of the fields.</summary>
    public int UsedColumns => Dimensions == 1 ? Columns : NodesX;

    /// <summary>Floats from row to row of the density and of the fields.</summary>
    public int Stride => Dimensions == 1 ? Columns : PaddedStride(NodesX);

    /// <summary>
    /// Floats from row to row of a grid whose columns are read: whole cache lines, and an odd number of them, so that a column's
    /// elements do not share a few sets of each cache.
    /// </summary>
    public static int PaddedStride(int columns) => (((columns + 15) / 16) | 1) * 16;

    /// <summary>
    /// The longest transform that is worth its time for so many points: maps grow with the square root of their number, and a
    /// few points with a far outlier must not cost as much as a million.
    /// </summary>
    public static int Longest(int dimensions, int points) => dimensions == 1
        ? (int)Math.Clamp(64L * points, LeastLine, MostLine)
        : (int)Math.Clamp(24 * Math.Sqrt(points), LeastPlane, MostPlane);

    /// <summary>
    /// The grid for a map of this extent, or <paramref name="current"/> where that will do: its spectra stand already.
    /// </summary>
    public static FftGrid For(int dimensions, double degreesOfFreedom, double extentX, double extentY, int order, int most, FftGrid current)
    {
        double extent = Math.Max(extentX, dimensions == 1 ? 0 : extentY);

        // w's spectrum falls off by e^(-k sqrt(nu)) while nu is small; with many degrees of freedom by e^(-k^2 / 2).
        double spacing = WidestSpacing * Math.Min(Math.Sqrt(degreesOfFreedom), 1.25);
        if (extent < LeastNodes * spacing)
            spacing = Math.Max(spacing * Math.Pow(2, -Math.Ceiling(2 * Math.Log2(LeastNodes * spacing / Math.Max(extent, 1e-30))) / 2), LeastSpacing);
        double widest = extent * Headroom / ((most / 2) - Fade - order - 2);
        if (widest > spacing)
            spacing = current.Dimensions == dimensions && current.Spacing >= widest / Headroom && current.Spacing <= 2 * widest ? current.Spacing : widest;

        int nodesX = Nodes(extentX, spacing, order), nodesY = dimensions == 1 ? 1 : Nodes(extentY, spacing, order);
        if (current.Dimensions == dimensions && current.Spacing == (float)spacing && Fits(nodesX, current.NodesX) && (dimensions == 1 || Fits(nodesY, current.NodesY)))
            return current;
        if (dimensions == 1)
        {
            // Rows and columns of about the same number make the cheapest transform.
            int length = Length(nodesX, most);
            int columns = FftLength.Cheapest((int)Math.Sqrt(length), 16);
            return new FftGrid(1, (float)spacing, columns, FftLength.Cheapest((length + columns - 1) / columns, 2));
        }

        return new FftGrid(2, (float)spacing, FftLength.Cheapest(Length(nodesX, most), 2), FftLength.Cheapest(Length(nodesY, most), 2));
    }

    private static int Nodes(double extent, double spacing, int order) => (int)Math.Min(Math.Ceiling(extent / spacing), 1e9) + order + 1;

    /// <summary>Enough nodes, and not twice the work that is needed.</summary>
    private static bool Fits(int needed, int nodes) => needed <= nodes && nodes <= (needed * 1.3) + LeastNodes;

    private static int Length(int nodes, int most) => (int)Math.Min(2 * ((nodes * Headroom) + Fade), most);
}
