using System.Net;
using System.Text.Json;
using static EmbeddingKernels.Cli.Tests.Embed;

namespace EmbeddingKernels.Cli.Tests;

/// <summary><c>embed map</c>: what it writes, what its options do, what it says.</summary>
public sealed class MapCommandTests
{
    private const int Rows = 90;
    private const int Columns = 120;

    private string _folder = "";

    [OneTimeSetUp]
    public void MakeData()
    {
        _folder = Directory.CreateTempSubdirectory("embed-map").FullName;
        Random random = new(2);
        byte[] bytes = new byte[Rows * Columns];
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] = (byte)(random.Next(40) + (i % 3 == i / Columns % 3 ? 150 : 0));
        float[] values = Array.ConvertAll(bytes, b => (float)b);
        using FloatMatrix wide = FloatMatrix.FromRows(values, Columns);
        Npy.Write(In("wide.npy"), wide);
        WriteBytes(In("bytes.npy"), bytes);
        using FloatMatrix narrow = FloatMatrix.FromRows([.. Enumerable.Range(0, Rows).SelectMany(i => values[(i * Columns)..((i * Columns) + 5)])], 5);
        Npy.Write(In("x.npy"), narrow);
        using KeyedVectors words = new(Enumerable.Range(0, Rows).Select(i => $"kind{i % 3}word{i}"), narrow.Copy());
        words.Save(In("words.bin"));
        File.WriteAllLines(In("labels.txt"), Enumerable.Range(0, Rows).Select(i => $"class {i % 3}"));
        WriteIntegers(In("labels.npy"), [.. Enumerable.Range(0, Rows).Select(i => i % 3)]);
    }

    [OneTimeTearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void WordsGiveAPageAndADrawing()
    {
        (int code, string output, string error) = Map("words.bin", "words.html");
        Assert.That(code, Is.Zero, error);
        Assert.That(output, Is.Empty);
        Assert.That(error, Does.Contain("iterations/s").And.Contain("KL").And.Contain("points/s"));
        JsonElement page = Page("words.html");
        Assert.That(page.GetProperty("labels").GetArrayLength(), Is.EqualTo(Rows));
        Assert.That(page.GetProperty("scoreName").GetString(), Is.EqualTo("cosine"));
        Assert.That(page.GetProperty("k").GetInt32(), Is.EqualTo(10));
        Assert.That(Subtitle("words.html"), Does.StartWith($"{Rows} words, 5 dimensions · t-SNE (exact), perplexity 8, 60 iterations, KL divergence"));
        Assert.That(File.ReadAllText(In("words.svg")), Does.Contain("<svg").And.Contain("kind0word"));
    }

    [TestCase("labels.txt", "class 0")]
    [TestCase("labels.npy", "0")]
    public void RowsTakeClasses(string labels, string first)
    {
        (int code, _, string error) = Map("x.npy", "classes.html", "--labels", In(labels));
        Assert.That(code, Is.Zero, error);
        JsonElement page = Page("classes.html");
        Assert.That(page.GetProperty("labels").GetArrayLength(), Is.Zero, "rows have no names");
        Assert.That(page.GetProperty("groups").GetArrayLength(), Is.EqualTo(3));
        Assert.That(page.GetProperty("groups")[0].GetString(), Is.EqualTo(first));
        Assert.That(page.GetProperty("scoreName").GetString(), Is.EqualTo("distance"));
        Assert.That(File.ReadAllText(In("classes.svg")), Does.Contain($">{first}</text>"));

        File.WriteAllLines(In("few.txt"), ["a", "b"]);
        AssertOneLine(Map("x.npy", "no.html", "--labels", In("few.txt")), 1);
        Assert.That(File.Exists(In("no.html")), Is.False);
    }

    [TestCase("--method", "exact")]
    [TestCase("--method", "bh", "--theta", "0.2")]
    [TestCase("--method", "FFT")]
    [TestCase("--init", "random")]
    [TestCase("--init", "spectral")]
    [TestCase("--metric", "cosine")]
    [TestCase("--metric", "dot")]
    [TestCase("--neighbors", "exact")]
    [TestCase("--neighbors", "approx")]
    [TestCase("--dof", "0.6")]
    [TestCase("--learning-rate", "12.5")]
    [TestCase("--early-exaggeration", "4", "--early-iterations", "20", "--exaggeration", "1.5")]
    public void EveryOptionIsTaken(params string[] options)
    {
        (int code, _, string error) = Map("x.npy", "option.html", options);
        Assert.That(code, Is.Zero, error);
        Assert.That(error, Does.Contain("60 iterations").And.Contain("KL"));
        JsonElement page = Page("option.html");
        float[] places = [.. Floats(page, "x"), .. Floats(page, "y")];
        Assert.That(places, Has.Length.EqualTo(2 * Rows));
        Assert.That(places.Max(Math.Abs), Is.EqualTo(1f).Within(1e-6f), "finite, and the longer side fills the frame");
        string score = options[^1] switch { "cosine" => "cosine", "dot" => "dot product", _ => "distance" };
        Assert.That(page.GetProperty("scoreName").GetString(), Is.EqualTo(score));
    }

    /// <summary>An option that is ignored would give the same map.</summary>
    [TestCase("--init", "random")]
    [TestCase("--init", "spectral")]
    [TestCase("--metric", "cosine")]
    [TestCase("--metric", "dot")]
    [TestCase("--dof", "0.6")]
    [TestCase("--learning-rate", "12.5")]
    [TestCase("--early-exaggeration", "4")]
    [TestCase("--early-iterations", "20")]
    [TestCase("--exaggeration", "1.5")]
    [TestCase("--perplexity", "8,20")]
    [TestCase("--pca", "2")]
    [TestCase("--iterations", "61")]
    public void EveryOptionChangesTheMap(params string[] options)
    {
        Assert.That(Map("x.npy", "plain.npy", "--early-iterations", "30").Code, Is.Zero);
        Assert.That(Map("x.npy", "changed.npy", [.. options[0] == "--early-iterations" ? [] : (string[])["--early-iterations", "30"], .. options]).Code, Is.Zero);
        using FloatMatrix plain = Npy.ReadMatrix(In("plain.npy")), changed = Npy.ReadMatrix(In("changed.npy"));
        Assert.That(Enumerable.Range(0, Rows).Any(i => plain[i, 0] != changed[i, 0]), Is.True);
    }

    [Test]
    public void SeveralPerplexitiesAreNamed()
    {
        (int code, _, string error) = Run("map", In("x.npy"), "-o", In("scales.html"), "--perplexity", "5,20.5", "--iterations", "30");
        Assert.That(code, Is.Zero, error);
        Assert.That(Subtitle("scales.html"), Does.Contain("perplexity 5 and 20.5,"));
    }

    [TestCase("wide.npy", null, 50)]
    [TestCase("bytes.npy", null, 50)]
    [TestCase("bytes.npy", "7", 7)]
    [TestCase("wide.npy", "0", 0)]
    [TestCase("wide.npy", "500", 0)]
    [TestCase("x.npy", null, 0)]
    [TestCase("x.npy", "3", 3)]
    public void WideRowsAreReducedFirst(string data, string? components, int expected)
    {
        (int code, _, string error) = Map(data, "reduced.html", components is null ? [] : ["--pca", components]);
        Assert.That(code, Is.Zero, error);
        int columns = data == "x.npy" ? 5 : Columns;
        if (expected == 0)
            Assert.That(error, Does.Not.Contain("reduced the columns"));
        else
            Assert.That(error, Does.Contain($"{columns} to {expected}, ").And.Contain("of the variance"));
        string subtitle = expected == 0 ? $"{columns} dimensions ·" : $"{columns} dimensions, {expected} by PCA ·";
        Assert.That(Subtitle("reduced.html"), Does.Contain(subtitle));
    }

    [Test]
    public void AnglesAreNotReducedUnasked()
    {
        Assert.That(Map("wide.npy", "angles.npy", "--metric", "cosine").Error, Does.Not.Contain("reduced the columns"));
        Assert.That(Map("wide.npy", "angles.npy", "--metric", "cosine", "--pca", "9").Error, Does.Contain($"{Columns} to 9,"));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public void PositionsOfAnyDimensionAreWritten(int dimensions)
    {
        (int code, _, string error) = Map("x.npy", "positions.npy", "--dimensions", $"{dimensions}");
        Assert.That(code, Is.Zero, error);
        using FloatMatrix positions = Npy.ReadMatrix(In("positions.npy"));
        Assert.That((positions.Rows, positions.Columns), Is.EqualTo(((nint)Rows, (nint)dimensions)));
        if (dimensions != 2)
            AssertOneLine(Map("x.npy", "no.html", "--dimensions", $"{dimensions}"), 2);
    }

    [TestCase("4", 4)]
    [TestCase("0", 0)]
    [TestCase("1000", 24)] // three times the perplexity are searched for
    public void TheListOfNeighboursIsAsLongAsWanted(string wanted, int expected)
    {
        (int code, _, string error) = Map("x.npy", "list.html", "--list-neighbors", wanted);
        Assert.That(code, Is.Zero, error);
        JsonElement page = Page("list.html");
        Assert.That(page.GetProperty("k").GetInt32(), Is.EqualTo(expected));
        float[] scores = Floats(page, "scores");
        Assert.That(scores, Has.Length.EqualTo(Rows * expected));
        for (int i = 0; i < Rows && expected > 0; i++)
            Assert.That(scores[(i * expected)..((i + 1) * expected)], Is.Ordered, "the nearest first");
    }

    [TestCase("--perplexity", "many")]
    [TestCase("--perplexity", "5,")]
    [TestCase("--perplexity", "0.5")]
    [TestCase("--perplexity", "1000")]
    [TestCase("--metric", "hamming")]
    [TestCase("--init", "umap")]
    [TestCase("--method", "guess")]
    [TestCase("--neighbors", "most")]
    [TestCase("--learning-rate", "quick")]
    [TestCase("--learning-rate", "-1")]
    [TestCase("--theta", "-0.1")]
    [TestCase("--dof", "0")]
    [TestCase("--exaggeration", "0")]
    [TestCase("--early-exaggeration", "NaN")]
    [TestCase("--iterations", "-1")]
    [TestCase("--dimensions", "4")]
    [TestCase("--pca", "-1")]
    [TestCase("--list-neighbors", "-1")]
    [TestCase("--limit", "-1")]
    [TestCase("--method", "fft", "--dimensions", "3")]
    [TestCase("--method", "bh", "--dimensions", "1")]
    public void WrongUsageIsOneLineAndCode2(params string[] options)
    {
        AssertOneLine(Run(["map", In("x.npy"), "-o", In("no.npy"), .. options]), 2);
        Assert.That(File.Exists(In("no.npy")), Is.False);
    }

    [Test]
    public void DataThatIsNotFiniteIsAFailure()
    {
        using FloatMatrix holes = FloatMatrix.FromRows([.. Enumerable.Repeat(1f, 99), float.NaN], 2);
        Npy.Write(In("holes.npy"), holes);
        AssertOneLine(Run("map", In("holes.npy"), "--perplexity", "5", "-o", In("no.html")), 1);
        Assert.That(File.Exists(In("no.html")), Is.False);
    }

    [Test]
    public void AnInterruptKeepsTheMapSoFar()
    {
        Random random = new(1);
        using FloatMatrix cloud = FloatMatrix.FromRows([.. Enumerable.Range(0, 3_000 * 4).Select(_ => random.NextSingle())], 4);
        Npy.Write(In("cloud.npy"), cloud);
        using CancellationTokenSource interrupt = new();
        using StringWriter output = new();
        using LayoutWatcher error = new(interrupt);
        string[] args = ["map", In("cloud.npy"), "--method", "exact", "--iterations", "100000000", "--early-iterations", "100000000", "-o", In("partial.html")];
        int code = CommandLine.Run(args, output, error, interactive: false, interrupt.Token);
        Assert.That(code, Is.EqualTo(130), error.ToString());
        Assert.That(error.ToString(), Does.Contain("wrote").And.EndsWith("embed: interrupted\n"));
        Assert.That(Floats(Page("partial.html"), "x"), Has.Length.EqualTo(3_000));
    }

    [Test]
    public void AnInterruptBeforeTheMapLeavesNoFile()
    {
        using CancellationTokenSource interrupt = new();
        interrupt.Cancel();
        using StringWriter output = new();
        using StringWriter error = new();
        int code = CommandLine.Run(["map", In("x.npy"), "--perplexity", "8", "-o", In("never.html")], output, error, interactive: false, interrupt.Token);
        Assert.That(code, Is.EqualTo(130));
        Assert.That(File.Exists(In("never.html")), Is.False);
    }

    private (int Code, string Output, string Error) Map(string data, string output, params string[] options) =>
        Run([
            "map", In(data), "-o", In(output), .. options.Contains("--perplexity") ? [] : (string[])["--perplexity", "8"],
            .. options.Contains("--iterations") ? [] : (string[])["--iterations", "60"], .. options]);

    private JsonElement Page(string name)
    {
        const string Before = "<script id=\"data\" type=\"application/json\">";
        string html = File.ReadAllText(In(name));
        int start = html.IndexOf(Before, StringComparison.Ordinal) + Before.Length;
        using JsonDocument document = JsonDocument.Parse(html[start..html.IndexOf("</script>", start, StringComparison.Ordinal)]);
        return document.RootElement.Clone();
    }

    private string Subtitle(string name)
    {
        const string Before = "<p id=\"subtitle\">";
        string html = File.ReadAllText(In(name));
        int start = html.IndexOf(Before, StringComparison.Ordinal) + Before.Length;
        return WebUtility.HtmlDecode(html[start..html.IndexOf("</p>", start, StringComparison.Ordinal)]);
    }

    private static float[] Floats(JsonElement page, string name) =>
        [.. page.GetProperty(name).GetBytesFromBase64().Chunk(4).Select(b => BitConverter.ToSingle(b))];

    private static void WriteBytes(string path, byte[] elements) => WriteNpy(path, $"'|u1', 'fortran_order': False, 'shape': ({Rows}, {Columns})", elements);

    private static void WriteIntegers(string path, int[] elements) =>
        WriteNpy(path, $"'<i4', 'fortran_order': False, 'shape': ({elements.Length},)", [.. elements.SelectMany(BitConverter.GetBytes)]);

    private static void WriteNpy(string path, string description, byte[] elements)
    {
        string header = $"{{'descr': {description}, }}".PadRight(117) + "\n";
        File.WriteAllBytes(path, [0x93, .. "NUMPY"u8, 1, 0, (byte)header.Length, 0, .. System.Text.Encoding.ASCII.GetBytes(header), .. elements]);
    }

    private string In(string name) => Path.Combine(_folder, name);

    /// <summary>Interrupts soon after the affinities stand, when the layout has begun.</summary>
    private sealed class LayoutWatcher(CancellationTokenSource interrupt) : StringWriter
    {
        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            if (value is not null && value.StartsWith("found neighbours", StringComparison.Ordinal))
                interrupt.CancelAfter(300);
        }
    }
}
