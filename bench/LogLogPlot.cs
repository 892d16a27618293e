using System.Globalization;
using System.Xml.Linq;

namespace EmbeddingKernels.Bench;

/// <summary>One line of a plot.</summary>
internal sealed record PlotSeries(string Name, (double X, double Y)[] Points);

/// <summary>Lines over two logarithmic axes as one SVG picture: whole decades, a faint line for a slope of 1, names at the lines' ends.</summary>
internal static class LogLogPlot
{
    private const int Width = 820, Height = 560, Left = 74, Right = 176, Top = 52, Bottom = 58;
    private const double LabelGap = 15;
    private const string Ink = "#1f2227", Muted = "#6b6f76", Grid = "#e3e5e8", FineGrid = "#f1f2f4";
    private static readonly string[] Colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00"];
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    /// <summary>The picture; points that are not above 0 are left out.</summary>
    public static string Draw(string title, string xName, string yName, IReadOnlyList<PlotSeries> series)
    {
        PlotSeries[] shown = [.. series.Select(one => one with { Points = [.. one.Points.Where(point => point.X > 0 && point.Y > 0)] }).Where(one => one.Points.Length > 0)];
        if (shown.Length == 0)
            throw new ArgumentException("There is no point above 0.", nameof(series));
        (double low, double high) x = Decades(shown.SelectMany(one => one.Points.Select(point => point.X)));
        (double low, double high) y = Decades(shown.SelectMany(one => one.Points.Select(point => point.Y)));
        XElement picture = new(
            Svg + "svg", new XAttribute("width", Width), new XAttribute("height", Height), new XAttribute("viewBox", $"0 0 {Width} {Height}"),
            new XAttribute("font-family", "Helvetica, Arial, 'Liberation Sans', sans-serif"), new XAttribute("font-size", 12),
            new XElement(Svg + "title", title),
            Rectangle(0, 0, Width, Height),
            Label(title, Left, 26, "start", Ink, 15),
            Label(xName, (Left + Width - Right) / 2.0, Height - 14, "middle", Ink, 13));
        XElement vertical = Label(yName, 0, 0, "middle", Ink, 13);
        vertical.SetAttributeValue("transform", $"translate(20 {Text((Top + Height - Bottom) / 2.0)}) rotate(-90)");
        picture.Add(vertical);
        for (double decade = x.low; decade <= x.high; decade++)
            AddGrid(decade, x.high, value => Line(PlaceX(value), Top, PlaceX(value), Height - Bottom), at => Label(Power(decade), PlaceX(at), Height - Bottom + 20, "middle", Muted, 12));
        for (double decade = y.low; decade <= y.high; decade++)
            AddGrid(decade, y.high, value => Line(Left, PlaceY(value), Width - Right, PlaceY(value)), at => Label(Power(decade), Left - 8, PlaceY(at) + 4, "end", Muted, 12));
        AddSlope();

        double[] ends = Spread([.. shown.Select(one => PlaceY(one.Points[^1].Y))]);
        for (int i = 0; i < shown.Length; i++)
        {
            string colour = Colours[i % Colours.Length];
            picture.Add(new XElement(
                Svg + "polyline", new XAttribute("fill", "none"), new XAttribute("stroke", colour), new XAttribute("stroke-width", 2),
                new XAttribute("points", string.Join(' ', shown[i].Points.Select(point => $"{Text(PlaceX(point.X))},{Text(PlaceY(point.Y))}")))));
            foreach ((double px, double py) in shown[i].Points)
            {
                picture.Add(new XElement(
                    Svg + "circle", new XAttribute("cx", Text(PlaceX(px))), new XAttribute("cy", Text(PlaceY(py))), new XAttribute("r", 3.5), new XAttribute("fill", colour),
                    new XElement(Svg + "title", string.Create(CultureInfo.InvariantCulture, $"{shown[i].Name}: {px:N0}, {py:G4}"))));
            }

            picture.Add(Label(shown[i].Name, PlaceX(shown[i].Points[^1].X) + 10, ends[i] + 4, "start", colour, 12));
        }

        return picture.ToString();

        double PlaceX(double value) => Left + ((Math.Log10(value) - x.low) / (x.high - x.low) * (Width - Left - Right));
        double PlaceY(double value) => Height - Bottom - ((Math.Log10(value) - y.low) / (y.high - y.low) * (Height - Top - Bottom));

        void AddGrid(double decade, double last, Func<double, XElement> line, Func<double, XElement> label)
        {
            double start = Math.Pow(10, decade);
            for (int step = 1; step < 10 && (step == 1 || decade < last); step++)
            {
                XElement one = line(step * start);
                one.SetAttributeValue("stroke", step == 1 ? Grid : FineGrid);
                picture.Add(one);
            }

            picture.Add(label(start));
        }

        // What grows in proportion runs along this line.
        void AddSlope()
        {
            double decades = Math.Min(x.high - x.low, y.high - y.low);
            XElement line = Line(PlaceX(Math.Pow(10, x.low)), PlaceY(Math.Pow(10, y.low)), PlaceX(Math.Pow(10, x.low + decades)), PlaceY(Math.Pow(10, y.low + decades)));
            line.SetAttributeValue("stroke", Muted);
            line.SetAttributeValue("stroke-dasharray", "4 5");
            picture.Add(line, Label("slope 1", PlaceX(Math.Pow(10, x.low + 0.12)) + 4, PlaceY(Math.Pow(10, y.low + 0.12)) + 14, "start", Muted, 11));
        }
    }

    private static (double Low, double High) Decades(IEnumerable<double> values)
    {
        double[] logs = [.. values.Select(Math.Log10)];
        double low = Math.Floor(logs.Min() + 1e-9), high = Math.Ceiling(logs.Max() - 1e-9);
        return (low, Math.Max(high, low + 1));
    }

    // Names that would lie on each other move down, the highest first.
    private static double[] Spread(double[] places)
    {
        double[] spread = [.. places];
        int[] order = [.. Enumerable.Range(0, places.Length).OrderBy(i => places[i])];
        for (int i = 1; i < order.Length; i++)
            spread[order[i]] = Math.Max(spread[order[i]], spread[order[i - 1]] + LabelGap);
        return spread;
    }

    private static string Power(double decade) => decade switch
    {
        >= 0 and < 7 => Math.Pow(10, decade).ToString("N0", CultureInfo.InvariantCulture),
        < 0 and > -4 => Math.Pow(10, decade).ToString("0.###", CultureInfo.InvariantCulture),
        _ => "10" + string.Concat(decade.ToString("0", CultureInfo.InvariantCulture).Select(digit => digit == '-' ? '⁻' : "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit - '0'])),
    };

    private static XElement Line(double x1, double y1, double x2, double y2) => new(
        Svg + "line", new XAttribute("x1", Text(x1)), new XAttribute("y1", Text(y1)), new XAttribute("x2", Text(x2)), new XAttribute("y2", Text(y2)));

    private static XElement Rectangle(double x, double y, double width, double height) => new(
        Svg + "rect", new XAttribute("x", Text(x)), new XAttribute("y", Text(y)), new XAttribute("width", Text(width)), new XAttribute("height", Text(height)), new XAttribute("fill", "#ffffff"));

    private static XElement Label(string text, double x, double y, string anchor, string colour, double size) => new(
        Svg + "text", new XAttribute("x", Text(x)), new XAttribute("y", Text(y)), new XAttribute("text-anchor", anchor), new XAttribute("fill", colour), new XAttribute("font-size", Text(size)), text);

    private static string Text(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
