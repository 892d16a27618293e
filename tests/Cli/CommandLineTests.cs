using System.Text;
using static EmbeddingKernels.Cli.Tests.Embed;

namespace EmbeddingKernels.Cli.Tests;

public sealed class CommandLineTests
{
    private string _folder = "";
    private string _corpus = "";

    [OneTimeSetUp]
    public void MakeCorpus()
    {
        _folder = Directory.CreateTempSubdirectory("embed").FullName;
        _corpus = Path.Combine(_folder, "corpus.txt");
        Random random = new(1);
        StringBuilder text = new();
        for (int sentence = 0; sentence < 2000; sentence++)
        {
            int topic = random.Next(3);
            for (int i = 0; i < 10; i++)
                text.Append("topic").Append(topic).Append("word").Append(random.Next(20)).Append(' ');
            text.Append('\n');
        }

        File.WriteAllText(_corpus, text.ToString());
        Assert.That(Run("train", _corpus, "-o", In("vectors.bin"), "--dim", "16", "--epochs", "5", "--sample", "0", "--threads", "1").Code, Is.Zero);
    }

    [OneTimeTearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void TrainSaysWhatItDidAndHowFast()
    {
        (int code, string output, string error) = Run("train", _corpus, "-o", In("again.txt"), "--dim", "8", "--epochs", "1");
        Assert.That(code, Is.Zero);
        Assert.That(output, Is.Empty, "results only");
        Assert.That(error, Does.Contain("words/s").And.Contain("60 different words").And.Contain("again.txt"));
        Assert.That(error, Does.Not.Contain("\u001b"), "no terminal codes in a pipe");
        using KeyedVectors vectors = KeyedVectors.Load(In("again.txt"));
        Assert.That((vectors.Count, vectors.Dimension), Is.EqualTo((60, 8)));
    }

    [Test]
    public void OneThreadAndOneSeedGiveTheSameFile()
    {
        string[] args = ["train", _corpus, "--dim", "8", "--epochs", "1", "--threads", "1", "--seed", "5", "-o"];
        Assert.That(Run([.. args, In("a.bin")]).Code, Is.Zero);
        Assert.That(Run([.. args, In("b.bin")]).Code, Is.Zero);
        Assert.That(File.ReadAllBytes(In("a.bin")), Is.EqualTo(File.ReadAllBytes(In("b.bin"))));
    }

    [Test]
    public void NeighborsAreOfTheSameTopic()
    {
        (int code, string output, _) = Run("neighbors", In("vectors.bin"), "topic1word3", "topic2word0", "-k", "5");
        Assert.That(code, Is.Zero);
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.Length.EqualTo(12));
        Assert.That(lines[0], Is.EqualTo("topic1word3"));
        Assert.That(lines[1..6], Has.All.Contains("topic1"));
        Assert.That(lines[7..], Has.All.Contains("topic2"));
    }

    [Test]
    public void AnalogyPrintsAnswers()
    {
        (int code, string output, _) = Run("analogy", In("vectors.bin"), "topic1word3", "topic1word4", "topic2word0", "-k", "3");
        Assert.That(code, Is.Zero);
        Assert.That(output.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(3));
    }

    [Test]
    public void EvalPrintsBothMeasures()
    {
        File.WriteAllText(In("questions.txt"), ": topics\ntopic1word3 topic1word4 topic2word0 topic2word1\n");
        File.WriteAllText(In("pairs.tsv"), "topic1word1\ttopic1word2\t9\ntopic1word1\ttopic2word2\t1\ntopic0word1\ttopic2word9\t2\nnobody\ttopic1word2\t5\n");
        (int code, string output, _) = Run("eval", In("vectors.bin"), "--analogies", In("questions.txt"), "--similarity", In("pairs.tsv"));
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Contain("topics").And.Contain("of 1)").And.Contain("Spearman").And.Contain("pairs 3"));
    }

    [Test]
    public void InfoNamesTheLevelInForce()
    {
        Assert.That(Run("info").Output, Does.Contain("isa").And.Contain("available"));
        Assert.That(Run("info", "--isa", "scalar").Output, Does.Contain("Scalar").And.Contain("forced"));
    }

    [TestCase("train", Description = "a missing argument")]
    [TestCase("train", "corpus.txt", "--dim", "many")]
    [TestCase("train", "corpus.txt", "--threads", "0")]
    [TestCase("neighbors", "vectors.bin")]
    [TestCase("unknown-command")]
    [TestCase("info", "--isa", "mmx")]
    [TestCase("info", "--device", "gpu")]
    [TestCase("eval", "vectors.bin")]
    [TestCase("map", "vectors.bin", "--method", "guess")]
    public void WrongUsageIsOneLineAndCode2(params string[] args) => AssertOneLine(Run(args), 2);

    [Test]
    public void OptionsOutOfRangeAreUsageErrors()
    {
        AssertOneLine(Run("train", _corpus, "--dim", "0", "-o", In("no.bin")), 2);
        AssertOneLine(Run("train", _corpus, "--alpha", "-1", "-o", In("no.bin")), 2);
        Assert.That(File.Exists(In("no.bin")), Is.False);
    }

    [Test]
    public void FailuresAreOneLineAndCode1()
    {
        AssertOneLine(Run("train", In("missing.txt")), 1);
        AssertOneLine(Run("neighbors", In("missing.bin"), "word"), 1);
        AssertOneLine(Run("neighbors", In("vectors.bin"), "nobody"), 1);
        File.WriteAllText(In("broken.bin"), "1000000000000 300\n");
        AssertOneLine(Run("neighbors", In("broken.bin"), "word"), 1);
        File.WriteAllText(In("empty.txt"), "too few words");
        AssertOneLine(Run("train", In("empty.txt"), "-o", In("no.bin")), 1);
    }

    [Test]
    public void AnInterruptKeepsTheVectorsAndGives130()
    {
        using CancellationTokenSource interrupt = new(TimeSpan.FromSeconds(1));
        using StringWriter output = new();
        using StringWriter error = new();
        int code = CommandLine.Run(["train", _corpus, "--epochs", "50000", "-o", In("partial.bin")], output, error, interactive: false, interrupt.Token);
        Assert.That(code, Is.EqualTo(130));
        using KeyedVectors vectors = KeyedVectors.Load(In("partial.bin"));
        Assert.That(vectors.Count, Is.EqualTo(60));
    }

    [Test]
    public void HelpNamesEveryCommand()
    {
        (int code, string output, _) = Run("--help");
        Assert.That(code, Is.Zero);
        foreach (string command in (string[])["train", "neighbors", "analogy", "eval", "search", "cluster", "pca", "map", "info"])
            Assert.That(output, Does.Contain(command));
    }

    private string In(string name) => Path.Combine(_folder, name);
}
