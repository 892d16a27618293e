using System.Text.RegularExpressions;

namespace EmbeddingKernels.Tests;

/// <summary>The parts that both maps are made of: regions, colours, widths, placement, one-line texts.</summary>
public sealed class MapPartsTests
{
    [Test]
    public void RegionsFollowSeparateClusters()
    {
        Random random = new(4);
        float[] x = new float[1_200], y = new float[1_200];
        for (int i = 0; i < x.Length; i++)
        {
            double angle = 2 * Math.PI * (i % 8) / 8;
            x[i] = (float)(0.85 * Math.Cos(angle) + 0.12 * (random.NextDouble() - 0.5));
            y[i] = (float)(0.85 * Math.Sin(angle) + 0.12 * (random.NextDouble() - 0.5));
        }

        int[] regions = MapRegions.Find(x, y, 8);
        Assert.That(regions.Distinct().Order(), Is.EqualTo(Enumerable.Range(0, 8)));
        for (int i = 8; i < regions.Length; i++)
            Assert.That(regions[i], Is.EqualTo(regions[i % 8]), "a cluster has one colour");
        Assert.That(MapRegions.Find(x, y, 8), Is.EqualTo(regions));
        Assert.That(MapRegions.Find(x, y, 3).Max(), Is.EqualTo(2));
    }

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(5)]
    [TestCase(3_000)]
    public void RegionsAreNumberedBySizeAndFew(int count)
    {
        Random random = new(count);
        float[] x = [.. Enumerable.Range(0, count).Select(_ => 2 * random.NextSingle() - 1)];
        float[] y = [.. Enumerable.Range(0, count).Select(_ => 2 * random.NextSingle() - 1)];
        int[] regions = MapRegions.Find(x, y, 12);
        Assert.That(regions, Has.Length.EqualTo(count));
        int[] sizes = [.. regions.GroupBy(r => r).OrderBy(g => g.Key).Select(g => g.Count())];
        Assert.That(sizes, Has.Length.LessThanOrEqualTo(12));
        Assert.That(sizes, Is.Ordered.Descending);
        if (count == 3_000)
            Assert.That(sizes, Has.Length.EqualTo(12).And.All.GreaterThan(60), "an even cloud is cut into parts of similar extent");
    }

    [Test]
    public void NamesOfClassesStandWhereTheClassIsDensest()
    {
        // A ring with one dense arc, whose mean lies in its empty middle; a class of two clumps; a single point.
        Random random = new(2);
        List<(float X, float Y, int Class)> points = [];
        for (int i = 0; i < 2_000; i++)
        {
            double angle = i < 1_200 ? 2 * Math.PI * random.NextDouble() : 0.4 * (random.NextDouble() - 0.5);
            points.Add(((float)(0.5 * Math.Cos(angle)), (float)(0.5 * Math.Sin(angle)), 0));
            points.Add((i % 3 == 0 ? 0.9f : -0.9f, 0.02f * random.NextSingle() - 0.9f, 1));
        }

        points.Add((-1, 1, 2));
        MapAnchor[] anchors = MapAnchors.Find([.. points.Select(p => p.X)], [.. points.Select(p => p.Y)], [.. points.Select(p => p.Class)], 3);
        Assert.That(anchors.Select(a => a.Points), Is.EqualTo(new[] { 2_000, 2_000, 1 }));
        Assert.That((anchors[0].X, anchors[0].Y), Is.EqualTo((0.49f, 0f)).Using<(float, float)>((a, b) => Math.Abs(a.Item1 - b.Item1) < 0.05 && Math.Abs(a.Item2 - b.Item2) < 0.1));
        Assert.That(anchors[1].X, Is.EqualTo(-0.9f).Within(1e-5f));
        Assert.That(anchors[2], Is.EqualTo(new MapAnchor(-1, 1, 1)));
        Assert.That(MapAnchors.Find([0.5f], [0.5f], [0], 0), Is.Empty);
    }

    // The reference values are those of the CSS Color 4 specification for these colours.
    [TestCase(1, 0, 0, "#ffffff")]
    [TestCase(0, 0, 0, "#000000")]
    [TestCase(0.627955, 0.257683, 29.2339, "#ff0000")]
    [TestCase(0.519752, 0.176858, 142.495, "#008000")]
    [TestCase(0.452014, 0.313214, 264.052, "#0000ff")]
    public void ColoursAreThoseOfOklch(double lightness, double chroma, double hue, string expected) =>
        Assert.That(MapColours.Hex(lightness, chroma, hue), Is.EqualTo(expected));

    [Test]
    public void ColoursOfClassesDiffer()
    {
        MapColour[] colours = [.. Enumerable.Range(0, 36).Select(MapColours.Of)];
        Assert.That(colours.Select(c => c.Light), Is.Unique);
        Assert.That(colours.Select(c => c.Dark), Is.Unique);
        Assert.That(colours.SelectMany(c => new[] { c.Light, c.Dark, c.LightText, c.DarkText }), Is.All.Match("^#[0-9a-f]{6}$"));
        Assert.That(colours[..12].Select(c => Contrast(c.LightText, 1)), Is.All.GreaterThan(4.5), "text on white, WCAG AA");
        Assert.That(colours[..12].Select(c => Contrast(c.DarkText, 0.008)), Is.All.GreaterThan(4.5), "text on #14161a");
        Assert.That(MapColours.Of(1_000_000).Light, Does.Match("^#[0-9a-f]{6}$"));
    }

    private static double Contrast(string colour, double ground)
    {
        double Channel(int at)
        {
            double v = Convert.ToInt32(colour.Substring(at, 2), 16) / 255.0;
            return v <= 0.04045 ? v / 12.92 : Math.Pow((v + 0.055) / 1.055, 2.4);
        }

        double luminance = 0.2126 * Channel(1) + 0.7152 * Channel(3) + 0.0722 * Channel(5);
        return (Math.Max(luminance, ground) + 0.05) / (Math.Min(luminance, ground) + 0.05);
    }

    [TestCase("", 0)]
    [TestCase("Hello", 2.278)] // Helvetica: H 722, e 556, l 222, l 222, o 556
    [TestCase("~", 0.584)]
    [TestCase("日本", 2.0)]
    [TestCase("e\u0301", 0.556)]
    public void WidthsAreHelveticas(string text, double width) => Assert.That(TextWidths.Of(text), Is.EqualTo(width).Within(1e-12));

    [Test]
    public void PlacementKeepsBoxesApartAndInside()
    {
        MapBox frame = new(10, 20, 410, 320);
        Random random = new(3);
        (double X, double Y)[] dots = [.. Enumerable.Range(0, 800).Select(_ => (random.NextDouble() * 420, random.NextDouble() * 340))];
        LabelPlacement placement = new(frame, dots);
        List<MapBox> placed = [];
        foreach ((double x, double y) in dots)
        {
            if (placement.TryPlace(x, y, 1.5, 5 + 60 * random.NextDouble(), 8, 1, out MapBox box))
                placed.Add(box);
            else
                Assert.That(box, Is.EqualTo(default(MapBox)));
        }

        Assert.That(placed, Has.Count.GreaterThan(60));
        Assert.That(placed.Where(b => !frame.Contains(b)), Is.Empty);
        for (int i = 0; i < placed.Count; i++)
        {
            for (int j = i + 1; j < placed.Count; j++)
                Assert.That(placed[i].Grow(0.999, 0.499).Overlaps(placed[j]), Is.False, "the gap is kept");
        }
    }

    [Test]
    public void PlacementTakesTheSideWithFewestDots()
    {
        MapBox frame = new(0, 0, 200, 100);
        (double, double)[] dots = [(100, 50), (110, 50), (115, 52), (90, 51), (100, 44)];
        LabelPlacement placement = new(frame, dots);
        Assert.That(placement.TryPlace(100, 50, 1, 30, 8, 1, out MapBox box), Is.True);
        Assert.That(box.Top, Is.GreaterThan(50), "below: right, left and above hide other dots");
    }

    [TestCase("plain", 40, "plain")]
    [TestCase("  a \t\r\n b\u0000c ", 40, "a b c")]
    [TestCase("abcdef", 6, "abcdef")]
    [TestCase("abcdefg", 6, "abcde…")]
    [TestCase("ab cd ef", 5, "ab c…")]
    [TestCase("\uD83D\uDE00\uD83D\uDE01\uD83D\uDE02", 2, "\uD83D\uDE00…")]
    [TestCase("", 40, "")]
    [TestCase(" \n ", 40, "")]
    public void LinesAreFoldedAndShortened(string text, int most, string expected) =>
        Assert.That(MapScene.Line(text, most), Is.EqualTo(expected));

    // Not a case of the test above: attributes are stored as UTF-8, which cannot hold a lone surrogate.
    [Test]
    public void WhatXmlCannotHoldIsReplaced() => Assert.That(MapScene.Line("a\uDC00b\uFFFF", 40), Is.EqualTo("a\uFFFDb\uFFFD"));

    [Test]
    public void TheTemplateAndItsPartsFit()
    {
        string html = MapHtml.Resource("map.html");
        string script = string.Concat(MapHtml.Scripts.Select(MapHtml.Resource));
        Assert.That(script, Does.Not.Contain("</").And.Not.Contain("<!--"), "would end or confuse the script element");
        Assert.That(MapHtml.Resource("map.css"), Does.Not.Contain("</"));
        Assert.That(script, Does.Not.Contain("innerHTML").And.Not.Contain("insertAdjacentHTML").And.Not.Contain("document.write"));
        string[] used = [.. Regex.Matches(script, @"element\('([a-z-]+)'\)").Select(m => m.Groups[1].Value).Distinct()];
        Assert.That(used, Is.Not.Empty);
        foreach (string id in used)
            Assert.That(html, Does.Contain($"id=\"{id}\""));
    }
}
