using System.Globalization;
using EmbeddingKernels.Core;
using static EmbeddingKernels.Cli.Tests.Embed;

namespace EmbeddingKernels.Cli.Tests;

/// <summary>The commands that take rows of any kind: search, cluster, pca.</summary>
public sealed class RowCommandTests
{
    private string _folder = "";

    [OneTimeSetUp]
    public void MakeData()
    {
        _folder = Directory.CreateTempSubdirectory("embed-rows").FullName;
        Random random = new(1);
        float[] values = new float[400 * 6];
        for (int i = 0; i < values.Length; i++)
            values[i] = random.Next(20) + (60 * ((i / 6 % 4) == (i % 4) ? 1 : 0));
        using FloatMatrix rows = FloatMatrix.FromRows(values, 6);
        using FloatMatrix queries = FloatMatrix.FromRows(values.AsSpan(0, 40 * 6), 6);
        Npy.Write(In("base.npy"), rows);
        Vecs.Write(In("base.fvecs"), rows);
        WriteBytes(In("base.bvecs"), values);
        using (KeyedVectors words = new(Enumerable.Range(0, 400).Select(i => $"kind{i % 4}word{i}"), rows.Copy()))
            words.Save(In("base.bin"));
        Npy.Write(In("queries.npy"), queries);
        Vecs.Write(In("queries.fvecs"), queries);
        WriteBytes(In("queries.bvecs"), values[..(40 * 6)]);
        Npy.Write(In("half.npy.gz"), rows);
        WriteNpy(In("f2.npy"), "<f2", [.. values.SelectMany(x => BitConverter.GetBytes((Half)x))]);
        WriteNpy(In("i1.npy"), "|i1", [.. values.Select(x => (byte)x)]);
        WriteNpy(In("u1.npy"), "|u1", [.. values.Select(x => (byte)x)]);
        File.Copy(In("base.npy"), In("base.array"));
    }

    [OneTimeTearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void SearchWritesIdsAndScores([Values("cosine", "dot", "l2", "sqeuclidean")] string metric)
    {
        using FloatMatrix rows = FloatMatrix.FromRows([1, 0, 0, 1, -1, 0, 3, 0.1f], 2);
        Npy.Write(In("few.npy"), rows);
        using FloatMatrix query = FloatMatrix.FromRows([1, 0], 2);
        Npy.Write(In("query.npy"), query);
        (int code, _, string error) = Run("search", In("few.npy"), In("query.npy"), "-k", "5", "--metric", metric, "-o", In("ids.npy"), "--scores", In("scores.npy"));
        Assert.That(code, Is.Zero, error);
        long[] ids = Npy.ReadInt64(In("ids.npy"));
        Assert.That(ids, Is.EqualTo(metric switch
        {
            "dot" => new long[] { 3, 0, 1, 2, -1 },
            "l2" or "sqeuclidean" => [0, 1, 2, 3, -1],
            _ => [0, 3, 1, 2, -1],
        }));
        using FloatMatrix scores = Npy.ReadMatrix(In("scores.npy"));
        Assert.That((scores.Rows, scores.Columns), Is.EqualTo(((nint)1, (nint)5)));
        Assert.That(scores[0, 1], Is.EqualTo(metric switch { "dot" => 1f, "l2" => MathF.Sqrt(2), "sqeuclidean" => 2f, _ => scores[0, 1] }));
    }

    [Test]
    public void EveryKindOfFileIsSearched(
        [Values("base.npy", "base.fvecs", "base.bvecs", "base.bin", "half.npy.gz", "base.array", "f2.npy", "i1.npy", "u1.npy")] string data,
        [Values("queries.npy", "queries.fvecs", "queries.bvecs")] string queries,
        [Values("l2", "cosine")] string metric)
    {
        string ids = In($"{data}-{queries}-{metric}.ivecs"), scores = In($"{data}-{queries}-{metric}.fvecs");
        (int code, _, string error) = Run("search", In(data), In(queries), "-k", "7", "--metric", metric, "-o", ids, "--scores", scores);
        Assert.That(code, Is.Zero, error);
        Assert.That(Run("search", In("base.npy"), In("queries.npy"), "-k", "7", "--metric", metric, "-o", In("plain.npy"), "--scores", In("plain-scores.npy")).Code, Is.Zero);
        Assert.That(Vecs.ReadInt64(ids, out int columns), Is.EqualTo(Npy.ReadInt64(In("plain.npy"))));
        Assert.That(columns, Is.EqualTo(7));
        using FloatMatrix found = Vecs.ReadMatrix(scores), wanted = Npy.ReadMatrix(In("plain-scores.npy"));
        for (int i = 0; i < 40; i++)
            Assert.That(found.Row(i).ToArray(), Is.EqualTo(wanted.Row(i).ToArray()));
    }

    [Test]
    public void RecallIsPrinted()
    {
        Assert.That(Run("search", In("base.npy"), In("queries.npy"), "-k", "20", "--metric", "l2", "-o", In("truth.ivecs")).Code, Is.Zero);
        (int code, string output, string error) = Run("search", In("base.npy"), In("queries.npy"), "-k", "10", "--metric", "l2", "-o", In("found.npy"), "--recall", In("truth.ivecs"));
        Assert.That(code, Is.Zero, error);
        Assert.That(Lines(output), Is.EqualTo(new[] { "recall@10    1.0000", "R@1          1.0000", "R@10         1.0000" }));

        // Another metric finds others; the measures are the library's.
        (_, output, _) = Run("search", In("base.npy"), In("queries.npy"), "-k", "10", "--metric", "dot", "-o", In("found.npy"), "--recall", In("truth.ivecs"));
        long[] found = Npy.ReadInt64(In("found.npy")), truth = Vecs.ReadInt64(In("truth.ivecs"), out int columns);
        double share = NeighborRecall.AtK(found, 10, truth, columns, 10);
        Assert.That(share, Is.LessThan(1));
        Assert.That(Lines(output)[0], Is.EqualTo(string.Create(CultureInfo.InvariantCulture, $"recall@10    {share:F4}")));
        AssertOneLine(Run("search", In("base.npy"), In("base.npy"), "--recall", In("truth.ivecs"), "-o", In("no.npy")), 1);
        Assert.That(File.Exists(In("no.npy")), Is.False);
    }

    [TestCase("base.npy")]
    [TestCase("base.fvecs")]
    [TestCase("base.bvecs")]
    public void ClusterSaysSizesAndWritesLabels(string data)
    {
        (int code, string output, string error) = Run("cluster", In(data), "-k", "4", "-o", In("labels.npy"), "--centers", In("centers.fvecs"), "--n-init", "3");
        Assert.That(code, Is.Zero, error);
        string[] lines = Lines(output);
        Assert.That(lines, Has.Length.EqualTo(5));
        Assert.That(lines[..4], Has.All.Contains(" 100 rows"));
        Assert.That(lines[4], Does.StartWith("inertia ").And.Contain("iterations"));
        Assert.That(error, Does.Contain("clustered").And.Contain("run 3 of 3"));
        long[] labels = Npy.ReadInt64(In("labels.npy"));
        for (int i = 0; i < 400; i++)
            Assert.That(labels[i], Is.EqualTo(labels[i % 4]));
        using FloatMatrix centers = Vecs.ReadMatrix(In("centers.fvecs"));
        Assert.That((centers.Rows, centers.Columns), Is.EqualTo(((nint)4, (nint)6)));

        // From those centres nothing moves any more.
        (_, output, _) = Run("cluster", In(data), "-k", "4", "--init", In("centers.fvecs"), "-o", In("again.npy"));
        Assert.That(Npy.ReadInt64(In("again.npy")), Is.EqualTo(labels));
        Assert.That(Lines(output)[4], Is.EqualTo(lines[4].Split(" after")[0] + " after 1 iterations"));
    }

    [Test]
    public void ClustersOfWordsAreShownByTheirWords()
    {
        (int code, string output, string error) = Run("cluster", In("base.bin"), "-k", "4", "--spherical", "--init", "random", "--n-init", "10");
        Assert.That(code, Is.Zero, error);
        foreach (string line in Lines(output)[..4])
        {
            string[] kinds = [.. line.Split("rows   ")[1].Split(", ").Select(word => word.Split("word")[0]).Distinct()];
            Assert.That(kinds, Has.Length.EqualTo(1), line);
        }
    }

    [TestCase("auto")]
    [TestCase("exact")]
    [TestCase("randomized")]
    public void PcaPrintsSharesAndWritesCoordinates(string solver)
    {
        (int code, string output, string error) = Run(
            "pca", In("base.bvecs"), "-n", "3", "-o", In("x.npy"), "--components", In("c.npy"), "--whiten", "--solver", solver);
        Assert.That(code, Is.Zero, error);
        string[] lines = Lines(output);
        Assert.That(lines, Has.Length.EqualTo(4));
        using FloatMatrix rows = Vecs.ReadMatrix(In("base.bvecs"));
        Pca pca = Pca.Fit(rows, 3);
        for (int k = 0; k < 3; k++)
        {
            string[] numbers = lines[k + 1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            Assert.That(double.Parse(numbers[2], CultureInfo.InvariantCulture), Is.EqualTo(pca.ExplainedVarianceRatio[k]).Within(1e-5));
        }

        using FloatMatrix coordinates = Npy.ReadMatrix(In("x.npy")), components = Npy.ReadMatrix(In("c.npy"));
        Assert.That((coordinates.Rows, coordinates.Columns, components.Rows, components.Columns), Is.EqualTo(((nint)400, (nint)3, (nint)3, (nint)6)));
        Assert.That(Enumerable.Range(0, 400).Sum(i => coordinates[i, 0] * coordinates[i, 0]) / 399, Is.EqualTo(1).Within(1e-3));
    }

    [TestCase("search", "base.npy", "queries.npy", "-k", "0")]
    [TestCase("search", "base.npy", "queries.npy", "--metric", "hamming")]
    [TestCase("search", "base.npy", "queries.npy", "-o", "ids.fvecs")]
    [TestCase("search", "base.npy", "queries.npy", "--scores", "scores.ivecs")]
    [TestCase("cluster", "base.npy", "-k", "0")]
    [TestCase("cluster", "base.npy", "-k", "401")]
    [TestCase("cluster", "base.npy", "--n-init", "0")]
    [TestCase("cluster", "base.npy", "--max-iter", "none")]
    [TestCase("cluster", "base.npy", "-o", "labels.bvecs")]
    [TestCase("pca", "base.npy", "-n", "0")]
    [TestCase("pca", "base.npy", "-n", "7")]
    [TestCase("pca", "base.npy", "--solver", "arpack")]
    [TestCase("pca", "base.npy", "-o", "x.bvecs")]
    public void WrongUsageIsOneLineAndCode2(params string[] args) =>
        AssertOneLine(Run([.. args.Select(a => a.StartsWith("base.", StringComparison.Ordinal) || a.StartsWith("queries.", StringComparison.Ordinal) ? In(a) : a)]), 2);

    [Test]
    public void FailuresAreOneLineAndCode1()
    {
        File.WriteAllText(In("broken.npy"), "no array");
        File.WriteAllBytes(In("broken.fvecs"), [6, 0, 0, 0, 1, 2, 3]);
        foreach (string broken in (string[])["broken.npy", "broken.fvecs", "missing.bvecs", "missing"])
        {
            AssertOneLine(Run("search", In(broken), In("queries.npy"), "-o", In("no.npy")), 1);
            AssertOneLine(Run("cluster", In(broken), "-o", In("no.npy")), 1);
            AssertOneLine(Run("pca", In(broken), "-o", In("no.npy")), 1);
        }

        using FloatMatrix holes = FloatMatrix.FromRows([1, 2, float.NaN, 4], 2);
        Npy.Write(In("holes.npy"), holes);
        AssertOneLine(Run("cluster", In("holes.npy"), "-k", "2", "-o", In("no.npy")), 1);
        AssertOneLine(Run("pca", In("holes.npy"), "-n", "1", "-o", In("no.npy")), 1);
        AssertOneLine(Run("search", In("holes.npy"), In("queries.npy"), "-o", In("no.npy")), 1);
        AssertOneLine(Run("cluster", In("base.npy"), "-k", "3", "--init", In("holes.npy"), "-o", In("no.npy")), 1);
        Assert.That(Run("search", In("base.npy"), In("queries.npy"), "-o", In("ids.ivecs")).Code, Is.Zero);
        AssertOneLine(Run("search", In("base.npy"), In("ids.ivecs"), "-o", In("no.npy")), 1);
        Assert.That(File.Exists(In("no.npy")), Is.False);
    }

    [TestCase("cluster", "-k", "50")]
    [TestCase("pca", "-n", "2")]
    public void AnInterruptGives130AndLeavesNoFile(params string[] args)
    {
        using CancellationTokenSource interrupt = new();
        interrupt.Cancel();
        using StringWriter output = new();
        using StringWriter error = new();
        int code = CommandLine.Run([args[0], In("base.npy"), .. args[1..], "-o", In("interrupted.npy")], output, error, interactive: false, interrupt.Token);
        Assert.That(code, Is.EqualTo(130));
        Assert.That(File.Exists(In("interrupted.npy")), Is.False);
    }

    private static string[] Lines(string output) => output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static unsafe void WriteBytes(string path, float[] values)
    {
        byte[] bytes = Array.ConvertAll(values, value => (byte)value);
        fixed (byte* first = bytes)
            Vecs.Write(path, new MatrixView<byte>(first, bytes.Length / 6, 6));
    }

    private static void WriteNpy(string path, string type, byte[] elements)
    {
        int columns = 6, rows = elements.Length / columns / (type == "<f2" ? 2 : 1);
        string header = $"{{'descr': '{type}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}".PadRight(117) + "\n";
        File.WriteAllBytes(path, [0x93, .. "NUMPY"u8, 1, 0, (byte)header.Length, 0, .. System.Text.Encoding.ASCII.GetBytes(header), .. elements]);
    }

    private string In(string name) => Path.Combine(_folder, name);
}
