using System.Globalization;
using System.Text;
using System.Xml;

namespace EmbeddingKernels;

/// <summary>Draws a map of labelled points as an SVG page that prints well: vector text on a light ground, A4 or A3 landscape.</summary>
/// <remarks>
/// Labels are chosen by importance and never overlap; which of them fit is decided by the metrics of Helvetica, and each text
/// states its width, so a viewer with another font fits it to the same place. The same input gives the same file.
/// </remarks>
public static class MapSvg
{
    private const int LongestLabel = 36;
    private const double Margin = 30;

    // Tried this many labels, a page is full; the rest of a large map would only be refused.
    private const int MostRefusals = 20_000;

    private const string Namespace = "http://www.w3.org/2000/svg";
    private const string Ink = "#1f2227";
    private const string Muted = "#6b6f76";
    private const string FontFamily = "Helvetica, Arial, 'Liberation Sans', 'Noto Sans', sans-serif";

    // Points; the labels of the most important points are the largest.
    private static readonly (int UpTo, double Size)[] LabelSizes = [(20, 9.5), (100, 8), (400, 7), (int.MaxValue, 6)];

    /// <summary>Writes the page to a file, which appears under its name only when it is whole.</summary>
    /// <param name="path">The file; one whose name ends in .gz is packed.</param>
    /// <param name="data">The points.</param>
    /// <param name="options">Heading and paper; the defaults if null.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is null or empty, or something in <paramref name="data"/>
    /// is missing, not finite or of another length; nothing is written.</exception>
    public static void Write(string path, MapData data, MapOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        MapScene scene = MapScene.Create(data, options);
        AtomicFile.Write(path, stream => Write(stream, scene));
    }

    /// <summary>Writes the page to a stream as UTF-8; the stream stays open.</summary>
    /// <inheritdoc cref="Write(string, MapData, MapOptions?)"/>
    public static void Write(Stream stream, MapData data, MapOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        Write(stream, MapScene.Create(data, options));
    }

    private static void Write(Stream stream, MapScene scene)
    {
        XmlWriterSettings settings = new() { Encoding = new UTF8Encoding(false), Indent = true, IndentChars = " ", NewLineChars = "\n" };
        using XmlWriter xml = XmlWriter.Create(stream, settings);
        bool a3 = scene.Options.Paper == MapPaper.A3;
        (int millimetresWide, int millimetresHigh) = a3 ? (420, 297) : (297, 210);
        double width = millimetresWide * 72 / 25.4, height = millimetresHigh * 72 / 25.4;

        xml.WriteStartDocument();
        xml.WriteStartElement("svg", Namespace);
        xml.WriteAttributeString("width", $"{millimetresWide}mm");
        xml.WriteAttributeString("height", $"{millimetresHigh}mm");
        xml.WriteAttributeString("viewBox", $"0 0 {Number(width)} {Number(height)}");
        xml.WriteAttributeString("font-family", FontFamily);
        xml.WriteAttributeString("role", "img");
        string title = MapScene.Line(scene.Options.Title, 200);
        xml.WriteElementString("title", Namespace, title);
        string points = $"{scene.Count.ToString("N0", CultureInfo.InvariantCulture)} {MapScene.Line(scene.Options.NounPlural, 40)}";
        xml.WriteElementString("desc", Namespace, $"A map of {points}. {MapScene.Line(scene.Options.Subtitle, 300)}");

        Start(xml, "rect", ("width", "100%"), ("height", "100%"), ("fill", "#ffffff"));
        xml.WriteEndElement();
        double top = WriteHeading(xml, scene, title, width);
        double bottom = WriteLegend(xml, scene, width, height);
        WriteMap(xml, scene, new MapBox(Margin, top, width - Margin, bottom));
        xml.WriteEndElement();
        xml.WriteEndDocument();
    }

    private static double WriteHeading(XmlWriter xml, MapScene scene, string title, double width)
    {
        double y = Margin + 12;
        if (title.Length > 0)
        {
            WriteText(xml, title, Margin, y, 17, Ink, width - 2 * Margin, false, ("font-weight", "600"));
            y += 13;
        }

        string subtitle = MapScene.Line(scene.Options.Subtitle, 300);
        if (subtitle.Length > 0)
        {
            WriteText(xml, subtitle, Margin, y, 8, Muted, width - 2 * Margin, false);
            y += 10;
        }

        return y;
    }

    /// <summary>One row of dots and names along the bottom; what does not fit is counted. Returns the map's lower edge.</summary>
    private static double WriteLegend(XmlWriter xml, MapScene scene, double width, double height)
    {
        const double Size = 7.5;
        double bottom = height - Margin;
        if (scene.GroupNames.Length == 0)
            return bottom;

        Start(xml, "g", ("id", "legend"));
        double x = Margin;
        for (int i = 0; i < scene.GroupNames.Length; i++)
        {
            string name = MapScene.Line(scene.GroupNames[i], LongestLabel);
            double advance = 8 + Size * TextWidths.Of(name) + 14;
            bool last = i == scene.GroupNames.Length - 1;
            if (x + advance > width - Margin - (last ? 0 : 60))
            {
                WriteText(xml, $"and {scene.GroupNames.Length - i} more", x, bottom, Size, Muted, 60, true);
                break;
            }

            Start(xml, "circle", ("cx", Number(x + 2.5)), ("cy", Number(bottom - 2.6)), ("r", "2.5"), ("fill", MapColours.Of(i).Light));
            xml.WriteEndElement();
            WriteText(xml, name, x + 8, bottom, Size, Ink, advance, true);
            x += advance;
        }

        xml.WriteEndElement();
        return bottom - 14;
    }

    private static void WriteMap(XmlWriter xml, MapScene scene, MapBox frame)
    {
        // Room for the labels of the outermost points.
        const double Inset = 12;
        double radius = Math.Clamp(3.4 - 0.62 * Math.Log10(Math.Max(1, scene.Count)), 0.6, 2.6);
        double scale = Math.Min(
            ((frame.Right - frame.Left) / 2 - 3 * Inset) / Math.Max(scene.Width, 1e-9),
            ((frame.Bottom - frame.Top) / 2 - Inset) / Math.Max(scene.Height, 1e-9));
        if (scene.Width == 0 && scene.Height == 0)
            scale = 0;
        double middleX = (frame.Left + frame.Right) / 2, middleY = (frame.Top + frame.Bottom) / 2;
        double X(int i) => middleX + scale * scene.X[i];
        double Y(int i) => middleY - scale * scene.Y[i];

        MapSvgDots.Write(xml, scene, X, Y, radius);

        // The halo keeps a label readable where it lies on dots.
        Start(
            xml, "g", ("id", "labels"), ("stroke", "#ffffff"), ("stroke-width", "1.6"), ("stroke-linejoin", "round"),
            ("paint-order", "stroke"));
        if (scene.Written)
            WriteLabels(xml, scene, frame, X, Y, radius);
        else
            WriteClassNames(xml, scene, frame, a => (middleX + scale * a.X, middleY - scale * a.Y));
        xml.WriteEndElement();
    }

    private static void WriteLabels(XmlWriter xml, MapScene scene, MapBox frame, Func<int, double> x, Func<int, double> y, double radius)
    {
        LabelPlacement placement = new(frame, Enumerable.Range(0, scene.Count).Select(i => (x(i), y(i))));
        int refused = 0;
        for (int r = 0; r < scene.Count && refused < MostRefusals; r++)
        {
            int i = scene.Order[r];
            string label = MapScene.Line(scene.Data.Labels[i], LongestLabel);
            double size = Array.Find(LabelSizes, s => r < s.UpTo).Size;
            double textWidth = size * TextWidths.Of(label);
            if (label.Length == 0
                || !placement.TryPlace(x(i), y(i), Radius(radius, r), textWidth, size * TextWidths.Height, 1.2, out MapBox box))
            {
                refused++;
                continue;
            }

            string colour = MapColours.Of(scene.ColourOf[i]).LightText;
            WriteText(xml, label, box.Left, box.Bottom - 0.24 * size, size, colour, textWidth, true);
        }
    }

    /// <summary>The name of each class in the middle of its densest part, the largest class first; what finds no place is in the legend.</summary>
    private static void WriteClassNames(XmlWriter xml, MapScene scene, MapBox frame, Func<MapAnchor, (double X, double Y)> place)
    {
        double size = scene.GroupNames.Length switch { <= 20 => 15, <= 60 => 11, _ => 8 };
        List<MapBox> taken = [];
        foreach (int g in Enumerable.Range(0, scene.GroupNames.Length).OrderByDescending(g => scene.Anchors[g].Points))
        {
            string name = MapScene.Line(scene.GroupNames[g], LongestLabel);
            (double x, double y) = place(scene.Anchors[g]);
            double width = size * TextWidths.Of(name), height = size * TextWidths.Height;
            double left = Math.Clamp(x - width / 2, frame.Left, Math.Max(frame.Left, frame.Right - width));
            foreach (double step in (ReadOnlySpan<double>)[0, -1, 1])
            {
                double top = Math.Clamp(y - height / 2 + step * height, frame.Top, frame.Bottom - height);
                MapBox box = new(left, top, left + width, top + height);
                if (name.Length == 0 || !frame.Contains(box) || taken.Exists(t => t.Overlaps(box)))
                    continue;

                taken.Add(box);
                WriteText(xml, name, left, box.Bottom - 0.24 * size, size, MapColours.Of(g).LightText, width, true, ("font-weight", "600"));
                break;
            }
        }
    }

    internal static double Radius(double radius, int rank) => radius * (rank < 20 ? 1.5 : rank < 100 ? 1.25 : 1);

    /// <summary>A line of text, shrunk to <paramref name="most"/> where it would be longer; a fitted one states its width.</summary>
    private static void WriteText(
        XmlWriter xml, string text, double x, double y, double size, string fill, double most, bool fit,
        params ReadOnlySpan<(string Name, string Value)> more)
    {
        double width = size * TextWidths.Of(text);
        Start(xml, "text", ("x", Number(x)), ("y", Number(y)), ("font-size", Number(size)), ("fill", fill));
        foreach ((string name, string value) in more)
            xml.WriteAttributeString(name, value);
        if (fit || width > most)
        {
            xml.WriteAttributeString("textLength", Number(Math.Min(width, most)));
            xml.WriteAttributeString("lengthAdjust", "spacingAndGlyphs");
        }

        xml.WriteString(text);
        xml.WriteEndElement();
    }

    internal static void Start(XmlWriter xml, string element, params ReadOnlySpan<(string Name, string Value)> attributes)
    {
        xml.WriteStartElement(element, Namespace);
        foreach ((string name, string value) in attributes)
            xml.WriteAttributeString(name, value);
    }

    internal static string Number(double value) => Math.Round(value, 2).ToString(CultureInfo.InvariantCulture);
}
