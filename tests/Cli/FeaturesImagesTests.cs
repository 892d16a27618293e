using System.Text.Json;
using EmbeddingKernels.TestSupport;
using static EmbeddingKernels.Cli.Tests.Embed;

namespace EmbeddingKernels.Cli.Tests;

/// <summary><c>embed features images</c>, and maps of what it writes.</summary>
public sealed class FeaturesImagesTests
{
    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("embed-images").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void CifarPicturesGiveTheLogitsOfPyTorch([Values(1, 2)] int threads, [Values(1, 7, 64)] int batch)
    {
        string model = SharedData.Path("images/resnet20.safetensors");
        string[] classes = Classes();
        (int code, string output, string error) = Run(
            ["features", "images", model, .. classes, "-o", In("f.npy"), "--layer", LastLayer(model), "--threads", $"{threads}", "--batch", $"{batch}"]);
        Assert.That(code, Is.Zero, error);
        Assert.That(output, Is.Empty);
        Assert.That(error, Does.Contain("pictures/s").And.Contain("torchvision").And.Contain("wrote"));
        using FloatMatrix features = Npy.ReadMatrix(In("f.npy")), wanted = Npy.ReadMatrix(SharedData.Path("images/resnet20_logits_1000.npy"));
        string[] files = File.ReadAllLines(In("f.files.txt"));
        Assert.That((files.Length, features.Rows, features.Columns), Is.EqualTo((200, (nint)200, (nint)10)));
        for (int i = 0; i < 200; i++)
        {
            Assert.That(Path.GetDirectoryName(files[i]), Is.EqualTo(classes[i / 20]));
            for (int c = 0; c < 10; c++)
                Assert.That(features[i, c], Is.EqualTo(wanted[100 * (i / 20) + i % 20, c]).Within(2e-3), $"{files[i]}, class {c}");
        }
    }

    [Test]
    public void ThePicturesOfSqueezeNetAreNamedRight()
    {
        string model = SharedData.Path("images/squeezenet/SqueezeNet_fp16.onnx");
        string[] labels = File.ReadAllLines(SharedData.Path("images/squeezenet/Labels.txt"));
        string[] pictures =
        [
            SharedData.Path("images/squeezenet/fish.png"), SharedData.Path("images/squeezenet/kitten_224.png"), SharedData.Path("images/cat.jpg"),
            SharedData.Path("images/bald_eagle.jpeg"), SharedData.Path("images/pelican.jpeg"),
        ];
        (int code, _, string error) = Run(["features", "images", model, .. pictures, "-o", In("p.npy"), "--preset", "raw255-bgr"]);
        Assert.That(code, Is.Zero, error);
        using FloatMatrix found = Npy.ReadMatrix(In("p.npy"));
        Assert.That((found.Rows, found.Columns), Is.EqualTo(((nint)5, (nint)1000)));
        string[] names = ["tench", "tabby", "tabby", "albatross", "pelican"];
        double[] shares = [0.7377, 0.931, 0.781, 0.521, 0.392];
        for (int i = 0; i < 5; i++)
        {
            float[] row = found.Row(i).ToArray();
            int[] best = [.. Enumerable.Range(0, 1000).OrderByDescending(c => row[c]).Take(2)];
            int named = Array.Find(best, c => labels[c].Contains(names[i], StringComparison.Ordinal));

            // The two PNG files are the reference's pixels. The photographs were scaled there by another filter, which is enough for
            // the pelican, at 0.392 the least certain of them, to come second to a ladle.
            Assert.That(labels[named], Does.Contain(names[i]));
            if (names[i] == "pelican")
                continue;
            Assert.That(named, Is.EqualTo(best[0]));
            Assert.That(row[named], Is.EqualTo(shares[i]).Within(i < 2 ? 2e-3 : 0.06), names[i]);
        }
    }

    [Test]
    public void WhatCannotBeReadIsLeftOutAndCounted()
    {
        string model = SharedData.Path("images/resnet20.safetensors");
        Directory.CreateDirectory(In("mixed/deep"));
        string[] good = [.. Directory.GetFiles(Classes()[3]).Order(StringComparer.Ordinal).Take(3)];
        File.Copy(good[0], In("mixed/a.png"));
        File.Copy(good[1], In("mixed/deep/c.png"));
        File.WriteAllText(In("mixed/b.png"), "this is no picture");
        File.WriteAllBytes(In("mixed/cut.png"), File.ReadAllBytes(good[2])[..500]);
        File.WriteAllText(In("mixed/readme.txt"), "not looked at");
        (int code, _, string error) = Run("features", "images", model, In("mixed"), In("missing.jpg"), good[2], "-o", In("f.npy"));
        Assert.That(code, Is.EqualTo(1), error);
        Assert.That(error, Does.Contain("warning: ").And.Contain("b.png").And.Contain("cut.png").And.Contain("missing.jpg"));
        Assert.That(error.TrimEnd(), Does.EndWith("embed: 3 of 6 files could not be read; the others are done."));
        Assert.That(File.ReadAllLines(In("f.files.txt")), Is.EqualTo(new[] { In("mixed/a.png"), In("mixed/deep/c.png"), good[2] }));
        using FloatMatrix features = Npy.ReadMatrix(In("f.npy"));
        Assert.That(features.Rows, Is.EqualTo((nint)3));
        Assert.That(features.Row(0).ToArray(), Is.Not.EqualTo(features.Row(1).ToArray()));
    }

    [Test]
    public void NothingIsWrittenWhereNothingCanBeRead()
    {
        string model = SharedData.Path("images/resnet20.safetensors");
        File.WriteAllText(In("b.png"), "this is no picture");
        (int code, _, string error) = Run("features", "images", model, In("b.png"), "-o", In("f.npy"));
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error, Does.Contain("1 of 1 files could not be read."));
        Assert.That(File.Exists(In("f.npy")), Is.False);
    }

    [Test]
    public void AnInterruptKeepsWhatIsDone()
    {
        string model = SharedData.Path("images/resnet20.safetensors");
        using CancellationTokenSource stop = new();
        stop.Cancel();
        using StringWriter output = new(), error = new();
        int code = CommandLine.Run(["features", "images", model, .. Classes(), "-o", In("f.npy")], output, error, interactive: false, stop.Token);
        Assert.That(code, Is.EqualTo(CommandLine.Interrupted), error.ToString());
        Assert.That(File.Exists(In("f.npy")), Is.False, "not one picture was done");
    }

    [Test]
    public void LayersAreListed()
    {
        (int code, string output, string error) = Run("features", "images", SharedData.Path("images/resnet20.safetensors"), "--layers");
        Assert.That(code, Is.Zero, error);
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.Length.GreaterThan(20));
        Assert.That(lines, Has.Some.StartsWith("embedding ").And.Some.EndsWith(" 64"));
    }

    [Test]
    public void WrongCallsSayWhy()
    {
        string model = SharedData.Path("images/resnet20.safetensors"), picture = Directory.GetFiles(Classes()[0])[0];
        Directory.CreateDirectory(In("empty"));
        Assert.Multiple(() =>
        {
            AssertOneLine(Run("features", "images", model), 2);
            AssertOneLine(Run("features", "images", model, picture, "--batch", "0"), 2);
            AssertOneLine(Run("features", "images", model, picture, "--preset", "imagenet"), 2);
            AssertOneLine(Run("features", "images", model, picture, "-o", In("x.ivecs")), 2);
            AssertOneLine(Run("features", "images", model, In("empty")), 1);
            AssertOneLine(Run("features", "images", In("none.onnx"), picture), 1);
            AssertOneLine(Run("features", "images", model, picture, "--layer", "fc99", "-o", In("x.npy")), 1);
        });
    }

    [Test]
    public void AMapShowsPicturesAndClasses()
    {
        (int code, _, string error) = Run(["features", "images", SharedData.Path("images/resnet20.safetensors"), .. Classes(), "-o", In("f.npy")]);
        Assert.That(code, Is.Zero, error);
        (code, _, error) = Run("map", In("f.npy"), "-o", In("m.html"), "--classes", "folder", "--iterations", "60", "--perplexity", "10");
        Assert.That(code, Is.Zero, error);
        JsonElement page = Page("m.html");
        Assert.That(page.GetProperty("groups").EnumerateArray().Select(g => g.GetString()), Is.EqualTo(Classes().Select(Path.GetFileName)));
        Assert.That(page.GetProperty("labels").GetArrayLength(), Is.EqualTo(200));
        Assert.That(page.GetProperty("written").GetBoolean(), Is.False);
        Assert.That(page.GetProperty("noun").GetString(), Is.EqualTo("picture"));
        JsonElement pictures = page.GetProperty("pictures");
        Picture sheet = Picture.Decode(pictures.GetProperty("sheet").GetBytesFromBase64());
        int side = pictures.GetProperty("side").GetInt32(), columns = pictures.GetProperty("columns").GetInt32();
        Assert.That((side, columns, sheet.Width, sheet.Height), Is.EqualTo((32, 15, 480, 448)));
        string[] files = File.ReadAllLines(In("f.files.txt"));
        for (int i = 0; i < files.Length; i += 37)
            Assert.That(sheet.Crop(i % columns * side, i / columns * side, side, side).Pixels.SequenceEqual(Picture.Load(files[i]).Pixels), files[i]);

        (code, _, error) = Run("map", In("f.npy"), "-o", In("n.html"), "--no-pictures", "--iterations", "60", "--perplexity", "10", "--classes", "prefix");
        Assert.That(code, Is.Zero, error);
        Assert.That(Page("n.html").TryGetProperty("pictures", out _), Is.False);
        Assert.That(Page("n.html").GetProperty("groups").EnumerateArray().Select(g => g.GetString()), Has.Some.EqualTo("ambulance"));
    }

    [Test]
    public void ASearchNamesFiles()
    {
        string[] pictures = [.. Directory.GetFiles(Classes()[8]).Order(StringComparer.Ordinal).Take(4)];
        (int code, _, string error) = Run(["features", "images", SharedData.Path("images/resnet20.safetensors"), .. pictures, "-o", In("f.npy")]);
        Assert.That(code, Is.Zero, error);
        (code, string output, error) = Run("search", In("f.npy"), In("f.npy"), "-k", "2", "--print", "-o", In("ids.npy"));
        Assert.That(code, Is.Zero, error);
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.Length.EqualTo(8));
        for (int i = 0; i < 4; i++)
        {
            string[] first = lines[2 * i].Split('\t');
            Assert.That(first[..2], Is.EqualTo(new[] { pictures[i], pictures[i] }));
            Assert.That(first[2], Is.EqualTo("1"));
            Assert.That(lines[2 * i + 1], Does.StartWith(pictures[i] + "\t"));
        }

        using FloatMatrix bare = new(2, 2);
        bare[0, 0] = bare[1, 1] = 1;
        Npy.Write(In("bare.npy"), bare);
        Assert.That(Run("search", In("bare.npy"), In("bare.npy"), "-k", "1", "--print", "-o", In("ids.npy")).Output.ReplaceLineEndings("\n"), Is.EqualTo("0\t0\t1\n1\t1\t1\n"));
    }

    [Test]
    public void ClassesNeedNamesAndOneSource()
    {
        using FloatMatrix rows = new(9, 3);
        Npy.Write(In("x.npy"), rows);
        File.WriteAllLines(In("names.txt"), Enumerable.Range(0, 9).Select(i => $"kind{i % 3}/part{i % 2}_{i}.wav"));
        AssertOneLine(Run("map", In("x.npy"), "--classes", "folder", "-o", In("m.html")), 2);
        AssertOneLine(Run("map", In("x.npy"), "--names", In("names.txt"), "--labels", In("names.txt"), "--classes", "folder", "-o", In("m.html")), 2);
        File.WriteAllLines(In("few.txt"), ["one"]);
        AssertOneLine(Run("map", In("x.npy"), "--names", In("few.txt"), "-o", In("m.html")), 1);
    }

    private static string[] Classes()
    {
        string images = Path.GetDirectoryName(SharedData.Path("images/resnet20.safetensors"))!;
        return [.. Directory.GetDirectories(Path.Combine(images, "cifar_png")).Order(StringComparer.Ordinal)];
    }

    private static string LastLayer(string model)
    {
        using Network network = Network.Load(model);
        return network.Outputs[0].Name;
    }

    private string In(string name) => Path.Combine(_folder, name);

    private JsonElement Page(string name)
    {
        string html = File.ReadAllText(In(name));
        const string Open = "<script id=\"data\" type=\"application/json\">";
        int start = html.IndexOf(Open, StringComparison.Ordinal) + Open.Length;
        using JsonDocument document = JsonDocument.Parse(html[start..html.IndexOf("</script>", start, StringComparison.Ordinal)]);
        return document.RootElement.Clone();
    }
}
