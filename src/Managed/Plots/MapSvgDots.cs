using System.Globalization;
using System.Text;
using System.Xml;

namespace EmbeddingKernels;

/// <summary>
/// The dots of an SVG map: a circle each while they are few; else paths of zero-length strokes with round caps, which are dots
/// of the stroke's width, at about 8 bytes for each instead of 50.
/// </summary>
internal static class MapSvgDots
{
    /// <summary>Up to here each dot is an element, which a person can edit.</summary>
    public const int MostCircles = 5_000;

    // Dots of larger maps lie on a grid of a tenth of a point (0.035 mm), an eighth of the smallest dot's width.
    private const int Grid = 10;

    // A path is painted as one shape, however often it covers a place. Several for each class, the classes in turn, let dense
    // places grow darker and no class cover the others.
    private const int Layers = 5;

    public static void Write(XmlWriter xml, MapScene scene, Func<int, double> x, Func<int, double> y, double radius)
    {
        if (scene.Count <= MostCircles)
            WriteCircles(xml, scene, x, y, radius);
        else
            WritePaths(xml, scene, x, y, radius);
    }

    private static void WriteCircles(XmlWriter xml, MapScene scene, Func<int, double> x, Func<int, double> y, double radius)
    {
        int[] rank = new int[scene.Count];
        for (int r = 0; r < rank.Length; r++)
            rank[scene.Order[r]] = scene.Written ? r : int.MaxValue;

        MapSvg.Start(xml, "g", ("id", "dots"), ("fill-opacity", "0.8"));
        int[] byColour = [.. Enumerable.Range(0, scene.Count).OrderBy(i => scene.ColourOf[i])];
        for (int k = 0; k < byColour.Length;)
        {
            int colour = scene.ColourOf[byColour[k]];
            MapSvg.Start(xml, "g", ("fill", MapColours.Of(colour).Light));
            for (; k < byColour.Length && scene.ColourOf[byColour[k]] == colour; k++)
            {
                int i = byColour[k];
                MapSvg.Start(
                    xml, "circle", ("cx", MapSvg.Number(x(i))), ("cy", MapSvg.Number(y(i))), ("r", MapSvg.Number(MapSvg.Radius(radius, rank[i]))));
                xml.WriteEndElement();
            }

            xml.WriteEndElement();
        }

        xml.WriteEndElement();
    }

    private static void WritePaths(XmlWriter xml, MapScene scene, Func<int, double> x, Func<int, double> y, double radius)
    {
        // The layer in the upper half of a key, the place along a curve in the lower: what is close on paper is close in the
        // path, so that steps from dot to dot have few digits.
        int paths = Layers * scene.Colours;
        ulong[] keys = new ulong[scene.Count];
        (int X, int Y)[] places = new (int X, int Y)[scene.Count];
        for (int i = 0; i < keys.Length; i++)
        {
            places[i] = ((int)Math.Round(Grid * x(i)), (int)Math.Round(Grid * y(i)));
            uint layer = (uint)i * 0x9E3779B1 / (uint.MaxValue / Layers + 1);
            keys[i] = ((ulong)(layer * (uint)scene.Colours + (uint)scene.ColourOf[i]) << 32) | Hilbert(places[i].X, places[i].Y);
        }

        Array.Sort(keys, places);

        double area = Overlap(places, Grid * radius);
        MapSvg.Start(
            xml, "g", ("id", "dots"), ("transform", "scale(0.1)"), ("fill", "none"), ("stroke-linecap", "round"),
            ("stroke-width", MapSvg.Number(2 * Grid * radius)), ("stroke-opacity", MapSvg.Number(Math.Clamp(1 - Math.Pow(0.08, 1 / area), 0.3, 0.8))));
        StringBuilder path = new();
        int from = 0;
        for (int p = 0; p < paths; p++)
        {
            path.Clear();
            (int X, int Y) last = default;
            for (; from < keys.Length && (int)(keys[from] >> 32) == p; from++)
            {
                (int px, int py) = places[from];
                if (path.Length == 0)
                    path.Append(CultureInfo.InvariantCulture, $"M{px} {py}h0");
                else if ((px, py) != last)
                    path.Append(CultureInfo.InvariantCulture, $"m{px - last.X}{(py < last.Y ? "" : " ")}{py - last.Y}h0");
                last = (px, py);
            }

            if (path.Length == 0)
                continue;

            MapSvg.Start(xml, "path", ("stroke", MapColours.Of(p % scene.Colours).Light), ("d", path.ToString()));
            xml.WriteEndElement();
        }

        xml.WriteEndElement();
    }

    /// <summary>How many dots cover a place where a typical dot lies.</summary>
    private static double Overlap((int X, int Y)[] places, double radius)
    {
        int cell = Math.Max(1, (int)(4 * radius));
        Dictionary<(int, int), int> counts = [];
        foreach ((int x, int y) in places)
        {
            (int, int) key = (x / cell, y / cell);
            counts[key] = counts.GetValueOrDefault(key) + 1;
        }

        double squares = counts.Values.Sum(n => (double)n * n);
        return Math.Max(0.1, squares / places.Length * Math.PI * radius * radius / ((double)cell * cell));
    }

    /// <summary>A point's place along the Hilbert curve of order 14 (16,384 a side, which holds an A3 page's 11,906).</summary>
    private static uint Hilbert(int x, int y)
    {
        const int Side = 1 << 14;
        (uint hx, uint hy) = ((uint)Math.Clamp(x, 0, Side - 1), (uint)Math.Clamp(y, 0, Side - 1));
        uint place = 0;
        for (uint s = Side / 2; s > 0; s /= 2)
        {
            uint rx = (hx & s) > 0 ? 1u : 0, ry = (hy & s) > 0 ? 1u : 0;
            place += s * s * ((3 * rx) ^ ry);
            if (ry == 1)
                continue;
            if (rx == 1)
                (hx, hy) = (Side - 1 - hx, Side - 1 - hy);
            (hx, hy) = (hy, hx);
        }

        return place;
    }
}
