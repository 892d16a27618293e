using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;

namespace EmbeddingKernels.Tests;

public sealed class MapSvgTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    private static byte[] Bytes(MapData data, MapOptions? options = null)
    {
        using MemoryStream stream = new();
        MapSvg.Write(stream, data, options);
        return stream.ToArray();
    }

    private static XElement Page(MapData data, MapOptions? options = null)
    {
        using XmlReader reader = XmlReader.Create(
            new MemoryStream(Bytes(data, options)), new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit });
        return XElement.Load(reader);
    }

    private static XElement Group(XElement page, string id) => page.Elements(Svg + "g").Single(g => (string?)g.Attribute("id") == id);

    private static XElement[] Labels(XElement page) => [.. Group(page, "labels").Elements(Svg + "text")];

    private static double Number(XElement element, string name) =>
        double.Parse(element.Attribute(name)!.Value, CultureInfo.InvariantCulture);

    /// <summary>The box that a label states: its line from descender to ascender, its width.</summary>
    private static MapBox Box(XElement text)
    {
        double x = Number(text, "x"), y = Number(text, "y"), size = Number(text, "font-size");
        return new MapBox(x, y - 0.76 * size, x + Number(text, "textLength"), y + 0.24 * size);
    }

    [TestCase(2_000, 9, 1, MapPaper.A4)]
    [TestCase(2_000, 1, 2, MapPaper.A3)]
    [TestCase(20_000, 40, 3, MapPaper.A4)]
    [TestCase(60, 5, 4, MapPaper.A4)]
    public void LabelsNeitherOverlapNorLeaveThePage(int count, int clusters, int seed, MapPaper paper)
    {
        MapData map = PlotData.Clustered(count, clusters, seed);
        XElement page = Page(map, new MapOptions { Title = "Words", Subtitle = "made here", Paper = paper });
        string[] viewBox = page.Attribute("viewBox")!.Value.Split(' ');
        MapBox sheet = new(
            0, 0, double.Parse(viewBox[2], CultureInfo.InvariantCulture), double.Parse(viewBox[3], CultureInfo.InvariantCulture));
        MapBox[] boxes = [.. Labels(page).Select(Box)];

        Assert.That(boxes, Has.Length.GreaterThan(Math.Min(count, 200) / 2));
        Assert.That(boxes.Where(b => !sheet.Contains(b)), Is.Empty);
        List<string> overlaps = [];
        for (int i = 0; i < boxes.Length; i++)
        {
            for (int j = i + 1; j < boxes.Length; j++)
            {
                if (boxes[i].Grow(-0.01, -0.01).Overlaps(boxes[j])) // numbers are rounded to hundredths
                    overlaps.Add($"{i} and {j}: {boxes[i]} {boxes[j]}");
            }
        }

        Assert.That(overlaps, Is.Empty);
    }

    [Test]
    public void TheMostImportantPointsGetTheirLabels()
    {
        MapData map = PlotData.Clustered(2_000, 9, 1);
        string[] labels = [.. Labels(Page(map)).Select(t => t.Value)];
        Assert.That(labels[0], Is.EqualTo(map.Labels[0]));

        float[] reversed = [.. map.Weights.ToArray().Reverse()];
        string[] others = [.. Labels(Page(map with { Weights = reversed })).Select(t => t.Value)];
        Assert.That(others[0], Is.EqualTo(map.Labels[^1]));
    }

    [Test]
    public void DrawsADotForEachPointInsideTheFrame()
    {
        MapData map = PlotData.Clustered(3_000, 4, 8);
        XElement[] dots = [.. Group(Page(map), "dots").Descendants(Svg + "circle")];
        Assert.That(dots, Has.Length.EqualTo(3_000));
        Assert.That(dots.Select(d => Number(d, "cx")), Is.All.InRange(30, 812));
        Assert.That(dots.Select(d => Number(d, "cy")), Is.All.InRange(30, 566));
    }

    /// <summary>The dots of a path: its places in tenths of a point, each a zero-length stroke.</summary>
    private static List<(int X, int Y)> PathDots(XElement path)
    {
        List<(int X, int Y)> dots = [];
        foreach (Match move in Regex.Matches(path.Attribute("d")!.Value, "([Mm])(-?[0-9]+) ?(-?[0-9]+)h0"))
        {
            (int x, int y) = (int.Parse(move.Groups[2].Value, CultureInfo.InvariantCulture), int.Parse(move.Groups[3].Value, CultureInfo.InvariantCulture));
            dots.Add(move.Groups[1].Value == "M" ? (x, y) : (dots[^1].X + x, dots[^1].Y + y));
        }

        Assert.That(Regex.Replace(path.Attribute("d")!.Value, "[Mm]-?[0-9]+ ?-?[0-9]+h0", ""), Is.Empty, "nothing else is in the path");
        return dots;
    }

    [Test]
    public void ManyDotsAreAFewCompactPaths()
    {
        const int Count = 70_000;
        MapData map = PlotData.Clustered(Count, 10, 8);
        map = map with { Labels = [], Groups = [.. Enumerable.Range(0, Count).Select(i => $"{i % 10}")] };
        byte[] bytes = Bytes(map);
        Assert.That(bytes, Has.Length.LessThan(800_000));

        XElement page = Page(map);
        XElement dots = Group(page, "dots");
        Assert.That(page.Descendants(Svg + "circle").Count(), Is.EqualTo(10), "of the legend");
        Assert.That(dots.Attribute("transform")!.Value, Is.EqualTo("scale(0.1)"));
        Assert.That(dots.Attribute("stroke-linecap")!.Value, Is.EqualTo("round"));
        XElement[] paths = [.. dots.Elements(Svg + "path")];
        Assert.That(paths, Has.Length.EqualTo(50));

        // Each point is there, to a rounding, in its colour; only those that fall on the same place of one path are merged.
        MapScene scene = MapScene.Create(map, null);
        Dictionary<string, HashSet<(int, int)>> byColour = [];
        int written = 0;
        foreach (XElement path in paths)
        {
            string colour = path.Attribute("stroke")!.Value;
            List<(int X, int Y)> places = PathDots(path);
            written += places.Count;
            if (!byColour.TryGetValue(colour, out HashSet<(int, int)>? all))
                byColour[colour] = all = [];
            all.UnionWith(places);
        }

        Assert.That(written, Is.InRange(Count * 0.97, Count));
        Assert.That(byColour, Has.Count.EqualTo(10));
        (double left, double right) = (byColour.Values.SelectMany(s => s).Min(p => p.Item1), byColour.Values.SelectMany(s => s).Max(p => p.Item1));
        (double top, double bottom) = (byColour.Values.SelectMany(s => s).Min(p => p.Item2), byColour.Values.SelectMany(s => s).Max(p => p.Item2));
        Assert.That((left > 300, right < 8120, top > 300, bottom < 5660), Is.EqualTo((true, true, true, true)), "inside the margins");
        double scale = (right - left) / 2 / scene.Width, middleX = (left + right) / 2, middleY = (top + bottom) / 2;
        for (int i = 0; i < Count; i += 7)
        {
            (int x, int y) = ((int)Math.Round(middleX + scale * scene.X[i]), (int)Math.Round(middleY - scale * scene.Y[i]));
            HashSet<(int, int)> own = byColour[MapColours.Of(scene.ColourOf[i]).Light];
            Assert.That(Enumerable.Range(0, 25).Any(d => own.Contains((x - 2 + d % 5, y - 2 + d / 5))), $"point {i} at {x} {y}");
        }
    }

    [TestCase(MapPaper.A4)]
    [TestCase(MapPaper.A3)]
    public void ClassesOfUnnamedPointsAreNamedOnceEach(MapPaper paper)
    {
        MapData map = PlotData.Clustered(20_000, 6, 8);
        map = map with { Labels = [.. Enumerable.Range(0, 20_000).Select(i => $"class {i % 6}")], Groups = [.. Enumerable.Range(0, 20_000).Select(i => $"class {i % 6}")] };
        XElement[] labels = Labels(Page(map, new MapOptions { Paper = paper }));
        Assert.That(labels.Select(t => t.Value).Order(), Is.EqualTo(Enumerable.Range(0, 6).Select(i => $"class {i}")));
        MapBox[] boxes = [.. labels.Select(Box)];
        for (int i = 0; i < boxes.Length; i++)
        {
            for (int j = i + 1; j < boxes.Length; j++)
                Assert.That(boxes[i].Overlaps(boxes[j]), Is.False);
        }

        Assert.That(Labels(Page(map with { Labels = [], Groups = null })), Is.Empty, "neither names nor classes");
    }

    [Test]
    public void KeepsTheShapeOfTheMap()
    {
        MapData map = MapData.FromPairs([0, 0, 3, 0, 0, 4], ["o", "right", "up"]) with { Groups = ["g", "g", "g"] };
        XElement[] dots = [.. Group(Page(map), "dots").Descendants(Svg + "circle")];
        double right = Math.Abs(Number(dots[1], "cx") - Number(dots[0], "cx"));
        double up = Number(dots[0], "cy") - Number(dots[2], "cy");
        Assert.That(up / right, Is.EqualTo(4.0 / 3).Within(1e-3), "y goes upwards, on the scale of x");
    }

    [Test]
    public void StaysWellFormedWithHostileLabels()
    {
        XElement page = Page(PlotData.Hostile(), PlotData.HostileOptions);
        Assert.That(page.Element(Svg + "title")!.Value, Is.EqualTo(PlotData.HostileOptions.Title));
        Assert.That(page.Descendants().Select(e => e.Name.LocalName).Distinct(), Is.SubsetOf(
            new[] { "title", "desc", "rect", "text", "g", "circle" }));
        string[] labels = [.. Labels(page).Select(t => t.Value)];
        Assert.That(labels, Does.Contain("<img src=x onerror=alert(1)>").And.Contain("]]>").And.Contain("line break tab"));
        Assert.That(labels, Does.Contain("half \uFFFD pair").And.Contain(new string('x', 35) + "…").And.Contain("nul"));
        Assert.That(labels, Is.All.Length.LessThanOrEqualTo(40).And.All.Not.Empty);
    }

    [Test]
    public void TheLegendNamesTheGroups()
    {
        MapData map = PlotData.Clustered(100, 4, 1);
        XElement legend = Group(Page(map with { Groups = [.. map.Labels.Select((_, i) => $"class {i % 3}")] }), "legend");
        Assert.That(legend.Elements(Svg + "text").Select(t => t.Value), Is.EqualTo(new[] { "class 0", "class 1", "class 2" }));
        Assert.That(
            legend.Elements(Svg + "circle").Select(c => c.Attribute("fill")!.Value),
            Is.EqualTo(Enumerable.Range(0, 3).Select(i => MapColours.Of(i).Light)));

        XElement crowded = Group(Page(map with { Groups = [.. map.Labels.Select((_, i) => $"a long name of a class {i}")] }), "legend");
        XElement last = crowded.Elements(Svg + "text").Last();
        int named = crowded.Elements(Svg + "circle").Count();
        Assert.That(last.Value, Is.EqualTo($"and {100 - named} more"));
        Assert.That(Number(last, "x") + Number(last, "textLength"), Is.LessThan(812));
    }

    [Test]
    public void IsDeterministicAndOfTheSizeAskedFor()
    {
        MapData map = PlotData.Clustered(500, 5, 2);
        Assert.That(Bytes(map), Is.EqualTo(Bytes(map)));
        Assert.That(Page(map).Attribute("width")!.Value, Is.EqualTo("297mm"));
        XElement large = Page(map, new MapOptions { Paper = MapPaper.A3 });
        Assert.That(large.Attribute("width")!.Value, Is.EqualTo("420mm"));
        Assert.That(Labels(large), Has.Length.GreaterThan(Labels(Page(map)).Length));
    }

    [TestCaseSource(typeof(PlotData), nameof(PlotData.Degenerate))]
    public void DrawsDegenerateMaps(MapData map)
    {
        XElement page = Page(map);
        Assert.That(Group(page, "dots").Descendants(Svg + "circle").Count(), Is.EqualTo(map.Labels.Count));
        Assert.That(Labels(page), map.Labels.Count > 0 ? Is.Not.Empty : Is.Empty);
        Assert.That(page.ToString(), Does.Not.Contain("NaN").And.Not.Contain("Infinity").And.Not.Contain("∞"));
    }

    [TestCaseSource(typeof(PlotData), nameof(PlotData.Wrong))]
    public void RefusesWrongInputBeforeTouchingTheFile(MapData map, string message)
    {
        using TemporaryFolder folder = new();
        string path = folder.Write("map.svg", [42]);
        ArgumentException error = Assert.Throws<ArgumentException>(() => MapSvg.Write(path, map))!;
        Assert.That(error.ParamName, Is.EqualTo("data"));
        Assert.That(error.Message, Does.Contain(message));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(new byte[] { 42 }));
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1));
    }

    [Test]
    public void RefusesMissingArgumentsAndUnknownPaper()
    {
        MapData map = PlotData.Clustered(3, 1, 1);
        Assert.That(() => MapSvg.Write("", map), Throws.ArgumentException.With.Property("ParamName").EqualTo("path"));
        Assert.That(() => MapSvg.Write((Stream)null!, map), Throws.ArgumentNullException.With.Property("ParamName").EqualTo("stream"));
        Assert.That(() => MapSvg.Write(Stream.Null, null!), Throws.ArgumentNullException.With.Property("ParamName").EqualTo("data"));
        Assert.That(
            () => MapSvg.Write(Stream.Null, map, new MapOptions { Paper = (MapPaper)9 }),
            Throws.ArgumentException.With.Property("ParamName").EqualTo("options").And.Message.Contains("9"));
    }

    [Test]
    public void WritesAFileOfItsOwn()
    {
        using TemporaryFolder folder = new();
        MapData map = PlotData.Clustered(20, 2, 1);
        MapSvg.Write(folder["map.svg"], map);
        Assert.That(File.ReadAllBytes(folder["map.svg"]), Is.EqualTo(Bytes(map)));
        Assert.That(Encoding.UTF8.GetString(Bytes(map)), Does.StartWith("<?xml version=\"1.0\" encoding=\"utf-8\"?>"));
    }
}
