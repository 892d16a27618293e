namespace EmbeddingKernels;

/// <summary>A place for the name of a class.</summary>
/// <param name="X">In -1..1.</param>
/// <param name="Y">In -1..1.</param>
/// <param name="Points">How many points the class has.</param>
internal readonly record struct MapAnchor(float X, float Y, int Points);

/// <summary>
/// Finds where each class of points is densest. A mean would often lie outside: classes are bent, or come in several pieces.
/// </summary>
internal static class MapAnchors
{
    // Cells of 3% of the map under a tent of seven: wide enough to find the middle of a clump, not its thickest corner.
    private const int Side = 32;
    private const int Reach = 3;
    private const int Stride = Side + 2 * Reach;

    /// <summary>
    /// The middle of the points around the cell with the highest smoothed count, for each class. Of equal counts the first
    /// point's cell wins. O(points).
    /// </summary>
    /// <param name="x">Coordinates in -1..1.</param>
    /// <param name="y">Coordinates in -1..1.</param>
    /// <param name="groupOf">Each point's class, in 0..<paramref name="groups"/>-1; unused where there are no groups.</param>
    /// <param name="groups">The number of classes; each has a point.</param>
    public static MapAnchor[] Find(float[] x, float[] y, int[] groupOf, int groups)
    {
        MapAnchor[] anchors = new MapAnchor[groups];
        if (groups == 0)
            return anchors;

        int[] start = new int[groups + 1];
        foreach (int g in groupOf)
            start[g + 1]++;
        for (int g = 0; g < groups; g++)
            start[g + 1] += start[g];
        int[] points = new int[groupOf.Length];
        int[] next = start[..^1];
        for (int i = 0; i < groupOf.Length; i++)
            points[next[groupOf[i]]++] = i;

        int[] density = new int[Stride * Stride];
        for (int g = 0; g < groups; g++)
            anchors[g] = Find(x, y, points.AsSpan(start[g]..start[g + 1]), density);
        return anchors;
    }

    /// <param name="x">Coordinates of all points.</param>
    /// <param name="y">Coordinates of all points.</param>
    /// <param name="points">The points of one class.</param>
    /// <param name="density">Zeros, before and after.</param>
    private static MapAnchor Find(float[] x, float[] y, ReadOnlySpan<int> points, int[] density)
    {
        foreach (int i in points)
            AddTent(density, Cell(x[i], y[i]), 1);

        int peak = -1;
        foreach (int i in points)
        {
            int cell = Cell(x[i], y[i]);
            if (peak < 0 || density[cell] > density[peak])
                peak = cell;
        }

        double sumX = 0, sumY = 0;
        int near = 0;
        foreach (int i in points)
        {
            int cell = Cell(x[i], y[i]);
            AddTent(density, cell, -1);
            if (Math.Abs(cell % Stride - peak % Stride) > 1 || Math.Abs(cell / Stride - peak / Stride) > 1)
                continue;

            sumX += x[i];
            sumY += y[i];
            near++;
        }

        return new MapAnchor((float)(sumX / near), (float)(sumY / near), points.Length);
    }

    private static void AddTent(int[] density, int cell, int sign)
    {
        for (int dy = -Reach; dy <= Reach; dy++)
        {
            int wy = sign * (Reach + 1 - Math.Abs(dy));
            int row = cell + dy * Stride;
            for (int dx = -Reach; dx <= Reach; dx++)
                density[row + dx] += wy * (Reach + 1 - Math.Abs(dx));
        }
    }

    private static int Cell(float x, float y) => (Reach + Index(y)) * Stride + Reach + Index(x);

    private static int Index(float v) => Math.Clamp((int)((v + 1) * 0.5f * Side), 0, Side - 1);
}
