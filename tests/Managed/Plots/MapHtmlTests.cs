using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace EmbeddingKernels.Tests;

public sealed class MapHtmlTests
{
    private static string Html(MapData data, MapOptions? options = null)
    {
        using MemoryStream stream = new();
        MapHtml.Write(stream, data, options);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static string Between(string text, string before, string after)
    {
        int start = text.IndexOf(before, StringComparison.Ordinal) + before.Length;
        Assert.That(start, Is.GreaterThanOrEqualTo(before.Length), $"'{before}' is missing");
        return text[start..text.IndexOf(after, start, StringComparison.Ordinal)];
    }

    private static JsonElement Data(string html)
    {
        using JsonDocument document = JsonDocument.Parse(Between(html, "<script id=\"data\" type=\"application/json\">", "</script>"));
        return document.RootElement.Clone();
    }

    private static T[] Numbers<T>(JsonElement data, string name)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(data.GetProperty(name).GetBytesFromBase64()).ToArray();

    [Test]
    public void HoldsTheData()
    {
        MapData map = new(new float[] { 0, 4, 2 }, new float[] { 1, 1, 3 }, ["one", "two", "three"])
        {
            Weights = new float[] { 5, 7, 6 },
            Groups = ["10", "9", "10"],
            Neighbours = new[] { 1, 2, 0, 2, 0, 1 },
            NeighbourScores = new[] { 0.5f, 0.25f, 1, 2, 3, 4 },
        };
        JsonElement data = Data(Html(map, new MapOptions { Title = "The title", ScoreName = "dot" }));

        Assert.That(data.GetProperty("title").GetString(), Is.EqualTo("The title"));
        Assert.That(data.GetProperty("scoreName").GetString(), Is.EqualTo("dot"));
        Assert.That(data.GetProperty("labels").EnumerateArray().Select(l => l.GetString()), Is.EqualTo(new[] { "one", "two", "three" }));
        Assert.That(Numbers<float>(data, "x"), Is.EqualTo(new float[] { -1, 1, 0 }));
        Assert.That(Numbers<float>(data, "y"), Is.EqualTo(new[] { -0.5f, -0.5f, 0.5f }));
        Assert.That(data.GetProperty("height").GetDouble(), Is.EqualTo(0.5));
        Assert.That(Numbers<float>(data, "weights"), Is.EqualTo(new float[] { 5, 7, 6 }));
        Assert.That(data.GetProperty("groups").EnumerateArray().Select(l => l.GetString()), Is.EqualTo(new[] { "9", "10" }), "by value");
        Assert.That(Numbers<ushort>(data, "colours"), Is.EqualTo(new ushort[] { 1, 0, 1 }));
        Assert.That(data.GetProperty("palette").GetArrayLength(), Is.EqualTo(2));
        Assert.That(data.GetProperty("k").GetInt32(), Is.EqualTo(2));
        Assert.That(data.GetProperty("wide").GetBoolean(), Is.False);
        Assert.That(Numbers<ushort>(data, "neighbours"), Is.EqualTo(new ushort[] { 1, 2, 0, 2, 0, 1 }));
        Assert.That(Numbers<float>(data, "scores"), Is.EqualTo(new[] { 0.5f, 0.25f, 1, 2, 3, 4 }));
    }

    [Test]
    public void TakesIndicesBeyondSixteenBits()
    {
        const int Count = 65_537;
        MapData map = new(new float[Count], new float[Count], [.. Enumerable.Repeat("a", Count)])
        {
            Neighbours = Enumerable.Range(0, Count).Select(i => Count - 1 - i).ToArray(),
        };
        JsonElement data = Data(Html(map));
        Assert.That(data.GetProperty("wide").GetBoolean(), Is.True);
        Assert.That(Numbers<int>(data, "neighbours")[..2], Is.EqualTo(new[] { Count - 1, Count - 2 }));
    }

    [Test]
    public void PointsWithoutNamesCarryNone([Values] bool repeated)
    {
        string[] classes = [.. Enumerable.Range(0, 90).Select(i => i % 3 == 0 ? "</script>" : i % 3 == 1 ? "b" : "c")];
        MapData map = PlotData.Clustered(90, 3, 1) with { Labels = repeated ? [.. classes] : [], Groups = classes, Weights = default };
        string html = Html(map);
        JsonElement data = Data(html);
        Assert.That(data.GetProperty("labels").GetArrayLength(), Is.Zero);
        Assert.That(Numbers<float>(data, "x"), Has.Length.EqualTo(90));
        Assert.That(data.GetProperty("groups").EnumerateArray().Select(g => g.GetString()), Is.EqualTo(new[] { "</script>", "b", "c" }));
        Assert.That(Regex.Matches(html, "</script"), Has.Count.EqualTo(2));

        // Each class lies around an angle of its own, and so does its name.
        float[] anchors = Numbers<float>(data, "anchors");
        float[] x = Numbers<float>(data, "x"), y = Numbers<float>(data, "y");
        Assert.That(anchors, Has.Length.EqualTo(6));
        for (int g = 0; g < 3; g++)
        {
            int[] own = [.. Enumerable.Range(0, 90).Where(i => i % 3 == g)];
            Assert.That(anchors[2 * g], Is.EqualTo(own.Average(i => x[i])).Within(0.15f));
            Assert.That(anchors[2 * g + 1], Is.EqualTo(own.Average(i => y[i])).Within(0.15f));
        }
    }

    [Test]
    public void PointsWithNamesKeepThemBesideTheirClasses()
    {
        string[] classes = [.. Enumerable.Range(0, 90).Select(i => $"{i % 3}")];
        JsonElement data = Data(Html(PlotData.Clustered(90, 3, 1) with { Groups = classes }));
        Assert.That(data.GetProperty("labels").GetArrayLength(), Is.EqualTo(90));
        Assert.That(data.GetProperty("anchors").GetString(), Is.Empty);
        data = Data(Html(PlotData.Clustered(3, 3, 1) with { Labels = ["a", "b", "c"], Groups = ["a", "b", "c"] }));
        Assert.That(data.GetProperty("labels").GetArrayLength(), Is.EqualTo(3), "one point to a class: the labels are names");
        data = Data(Html(new MapData(new float[3], new float[3], [])));
        Assert.That(data.GetProperty("labels").GetArrayLength() + data.GetProperty("groups").GetArrayLength(), Is.Zero);
    }

    [Test]
    public void APageOfManyPointsIsSmall()
    {
        const int Count = 70_000;
        string[] classes = [.. Enumerable.Range(0, Count).Select(i => $"{i % 10}")];
        string html = Html(PlotData.Clustered(Count, 10, 1) with { Labels = [], Groups = classes, Weights = default });
        JsonElement data = Data(html);
        Assert.That(html.Length, Is.LessThan(1_100_000));
        Assert.That(Numbers<ushort>(data, "colours").Take(20), Is.EqualTo(Enumerable.Range(0, 20).Select(i => (ushort)(i % 10))));
        Assert.That(Numbers<float>(data, "y"), Has.Length.EqualTo(Count).And.All.InRange(-1f, 1f));
    }

    [Test]
    public void NeedsNothingFromOutside()
    {
        string html = Html(PlotData.Clustered(100, 3, 1));
        Assert.That(Regex.Matches(html, @"https?:|\bsrc=|\burl\(|@import|\bfetch\(|XMLHttpRequest|import\("), Is.Empty);
        Assert.That(Regex.Matches(html, @"href=""(?!data:,"")"), Is.Empty);
        string policy = Between(html, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
        Assert.That(policy, Does.StartWith("default-src 'none'; script-src 'sha256-"));
        Assert.That(policy, Does.Not.Contain("unsafe"));
    }

    [Test]
    public void PolicyAllowsItsOwnScriptAndStyleOnly()
    {
        string html = Html(PlotData.Hostile(), PlotData.HostileOptions);
        string policy = Between(html, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
        Assert.That(policy, Does.Contain($"script-src '{Sha(Between(html, "<script>", "</script>"))}'"));
        Assert.That(policy, Does.Contain($"style-src '{Sha(Between(html, "<style>", "</style>"))}'"));
        Assert.That(html, Does.Not.Contain("\r"), "a browser would read a line feed, and the hash would differ");

        static string Sha(string content) => "sha256-" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(content)));
    }

    [Test]
    public void LabelsCannotBreakOut()
    {
        string html = Html(PlotData.Hostile(), PlotData.HostileOptions);
        Assert.That(Regex.Matches(html, "<script", RegexOptions.IgnoreCase), Has.Count.EqualTo(2));
        Assert.That(Regex.Matches(html, "</script", RegexOptions.IgnoreCase), Has.Count.EqualTo(2));
        Assert.That(Regex.Matches(html, "<img", RegexOptions.IgnoreCase), Is.Empty);
        Assert.That(Regex.Matches(html, "<!--"), Is.Empty);
        string json = Between(html, "<script id=\"data\" type=\"application/json\">", "</script>");
        Assert.That(json, Does.Not.Contain("<").And.Not.Contain("&"));
        Assert.That(Between(html, "<title>", "</title>"), Does.StartWith("&lt;/title&gt;&lt;script&gt;").And.EndsWith("{{script}}"));

        string[] labels = [.. Data(html).GetProperty("labels").EnumerateArray().Select(l => l.GetString()!)];
        string[] expected = [.. PlotData.HostileLabels.Select(l => l.Replace('\uD800', '\uFFFD'))];
        Assert.That(labels, Is.EqualTo(expected));
    }

    [Test]
    public void IsDeterministic()
    {
        MapData map = PlotData.Clustered(2_000, 7, 5);
        Assert.That(Html(map), Is.EqualTo(Html(map)));
    }

    [TestCaseSource(typeof(PlotData), nameof(PlotData.Degenerate))]
    public void DrawsDegenerateMaps(MapData map)
    {
        JsonElement data = Data(Html(map));
        foreach (string axis in new[] { "x", "y" })
        {
            float[] values = Numbers<float>(data, axis);
            Assert.That(values, Has.Length.EqualTo(map.Labels.Count));
            Assert.That(values, Is.All.InRange(-1f, 1f));
        }
    }

    [TestCaseSource(typeof(PlotData), nameof(PlotData.Wrong))]
    public void RefusesWrongInputBeforeTouchingTheFile(MapData map, string message)
    {
        using TemporaryFolder folder = new();
        string path = folder.Write("map.html", [42]);
        ArgumentException error = Assert.Throws<ArgumentException>(() => MapHtml.Write(path, map))!;
        Assert.That(error.ParamName, Is.EqualTo("data"));
        Assert.That(error.Message, Does.Contain(message));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(new byte[] { 42 }));
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1));
    }

    [Test]
    public void RefusesMissingArguments()
    {
        MapData map = PlotData.Clustered(3, 1, 1);
        Assert.That(() => MapHtml.Write((string)null!, map), Throws.ArgumentNullException.With.Property("ParamName").EqualTo("path"));
        Assert.That(() => MapHtml.Write((Stream)null!, map), Throws.ArgumentNullException.With.Property("ParamName").EqualTo("stream"));
        Assert.That(() => MapHtml.Write(Stream.Null, null!), Throws.ArgumentNullException.With.Property("ParamName").EqualTo("data"));
        Assert.That(
            () => MapHtml.Write(Stream.Null, map, new MapOptions { Title = null! }),
            Throws.ArgumentException.With.Property("ParamName").EqualTo("options").And.Message.Contains("Title"));
        Assert.That(
            () => MapData.FromPairs([1, 2, 3], ["a"]), Throws.ArgumentException.With.Property("ParamName").EqualTo("positions"));
        Assert.That(() => MapData.FromPairs([], null!), Throws.ArgumentNullException.With.Property("ParamName").EqualTo("labels"));
    }

    [Test]
    public void WritesAFileOfItsOwn()
    {
        using TemporaryFolder folder = new();
        MapData map = MapData.FromPairs([1, 2, 3, 4], ["a", "b"]);
        Assert.That(map.X.ToArray(), Is.EqualTo(new float[] { 1, 3 }));
        Assert.That(map.Y.ToArray(), Is.EqualTo(new float[] { 2, 4 }));
        MapHtml.Write(folder["map.html"], map);
        Assert.That(File.ReadAllText(folder["map.html"]), Is.EqualTo(Html(map)));
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1));
    }

    /// <summary>A real browser runs the page to its end: the script sets the map's name and fills the legend.</summary>
    [Test]
    public void RunsInABrowser()
    {
        string page = Run(PlotData.Hostile(), PlotData.HostileOptions with { NounPlural = "things" });
        Assert.That(page, Does.Contain($"a map of {PlotData.HostileLabels.Length} things"), "the script did not run to its end");
        Assert.That(page, Does.Contain("<bdi>&lt;img src=x onerror=alert(1)&gt;</bdi><span>1</span>"), "the legend with its counts");
        Assert.That(page, Does.Contain($">{PlotData.HostileLabels.Length} classes<"), "the legend's heading");
        Assert.That(Regex.Matches(page, "<img"), Is.Empty);
    }

    [Test]
    public void RunsInABrowserWithManyPointsAndNoNames()
    {
        const int Count = 30_000;
        MapData map = PlotData.Clustered(Count, 8, 1) with { Labels = [], Weights = default, Groups = [.. Enumerable.Range(0, Count).Select(i => i % 3 == 0 ? "often" : "seldom")] };
        string page = Run(map, new MapOptions { Noun = "point", NounPlural = "points" });
        Assert.That(page, Does.Contain("a map of 30,000 points"), "the script did not run to its end");
        Assert.That(page, Does.Contain("<bdi>often</bdi><span>10,000</span>").And.Contain("<bdi>seldom</bdi><span>20,000</span>"));
        string elements = Regex.Replace(page, "<script id=\"data\".*?</script>", "", RegexOptions.Singleline);
        Assert.That(Regex.Matches(elements, "<[a-z]"), Has.Count.LessThan(200), "no element per point");
    }

    [Test]
    public void PicturesLieInOneSheet()
    {
        Picture wide = new(100, 50), small = new(5, 9);
        wide.Pixels.Fill(200);
        for (int i = 0; i < small.Pixels.Length; i++)
            small.Pixels[i] = (byte)i;
        MapData map = new(new float[] { 0, 1, 2 }, new float[] { 0, 1, 0 }, ["a", "b", "c"]) { Pictures = [wide, null, small] };
        JsonElement pictures = Data(Html(map, new MapOptions { WriteNames = false })).GetProperty("pictures");
        Assert.That(pictures.GetProperty("side").GetInt32(), Is.EqualTo(48));
        Assert.That(pictures.GetProperty("columns").GetInt32(), Is.EqualTo(2));
        Assert.That(pictures.GetProperty("sizes").GetBytesFromBase64(), Is.EqualTo(new byte[] { 48, 24, 0, 0, 5, 9 }));
        Picture sheet = Picture.Decode(pictures.GetProperty("sheet").GetBytesFromBase64());
        Assert.That((sheet.Width, sheet.Height), Is.EqualTo((96, 96)));
        Assert.That(sheet.Crop(0, 0, 48, 24).Pixels.IndexOfAnyExcept((byte)200), Is.Negative);
        Assert.That(sheet.Crop(48, 0, 48, 48).Pixels.IndexOfAnyExcept((byte)0), Is.Negative);
        Assert.That(sheet.Crop(0, 48, 5, 9).Pixels.SequenceEqual(small.Pixels));
    }

    [Test]
    public void NamesNeedNotBeWritten()
    {
        MapData map = new(new float[] { 0, 1, 2 }, new float[] { 0, 1, 0 }, ["a", "b", "c"]) { Groups = ["x", "y", "x"] };
        JsonElement written = Data(Html(map)), hidden = Data(Html(map, new MapOptions { WriteNames = false }));
        Assert.That((written.GetProperty("written").GetBoolean(), Numbers<float>(written, "anchors").Length), Is.EqualTo((true, 0)));
        Assert.That((hidden.GetProperty("written").GetBoolean(), Numbers<float>(hidden, "anchors").Length), Is.EqualTo((false, 4)));
        Assert.That(hidden.GetProperty("labels").GetArrayLength(), Is.EqualTo(3));
        Assert.That(written.TryGetProperty("pictures", out _), Is.False);
    }

    [Test]
    public void PicturesAreBounded([Values(500, 501, 2000, 2001, 5000, 5001)] int count)
    {
        Picture one = new(60, 60);
        MapData map = new(new float[count], new float[count], []) { Pictures = [.. Enumerable.Repeat(one, count)] };
        JsonElement data = Data(Html(map));
        if (count > 5000)
            Assert.That(data.TryGetProperty("pictures", out _), Is.False);
        else
            Assert.That(data.GetProperty("pictures").GetProperty("side").GetInt32(), Is.EqualTo(count <= 500 ? 48 : count <= 2000 ? 32 : 24));
    }

    [Test]
    public void RunsInABrowserWithPictures()
    {
        MapData map = PlotData.Clustered(40, 4, 1) with { Pictures = [.. Enumerable.Range(0, 40).Select(i => i % 7 == 0 ? null : new Picture(8 + i, 20))] };
        string page = Run(map, new MapOptions { WriteNames = false, Noun = "picture", NounPlural = "pictures" });
        Assert.That(page, Does.Contain("a map of 40 pictures"), "the script did not run to its end");
    }

    /// <summary>The page as it stands after its script ran.</summary>
    private static string Run(MapData map, MapOptions options)
    {
        string? browser = new[] { "chromium", "chromium-browser", "google-chrome", "google-chrome-stable" }
            .SelectMany(name => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
                .Select(folder => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);
        if (browser is null)
            Assert.Ignore("skipped: no Chromium on this machine's PATH");

        using TemporaryFolder folder = new();
        MapHtml.Write(folder["map.html"], map, options);
        ProcessStartInfo start = new(browser!)
        {
            ArgumentList =
            {
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", $"--user-data-dir={folder["profile"]}", "--virtual-time-budget=1000",
                "--dump-dom", new Uri(folder["map.html"]).AbsoluteUri,
            },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        process.ErrorDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
        Task<string> reading = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(60_000))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail("the browser did not end within a minute");
        }

        string page = reading.Result;
        if (process.ExitCode != 0 && page.Length == 0)
            Assert.Ignore($"skipped: {browser} does not start here");
        return page;
    }
}
