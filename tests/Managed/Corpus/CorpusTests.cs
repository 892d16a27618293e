using System.IO.Compression;
using System.Text;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

public sealed class CorpusTests
{
    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("corpus").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    /// <summary>A text over many blocks: every word is counted once, however it is split among threads.</summary>
    [Test]
    public void EveryWordIsCountedOnce([Values(1, 2, 7)] int threads, [Values] bool gzip, [Values(" ", "\n", "\r\n", " \t \n\n")] string separator)
    {
        Random random = new(threads);
        StringBuilder text = new();
        Dictionary<string, long> expected = [];
        while (text.Length < 1_500_000)
        {
            string word = new string((char)('a' + random.Next(26)), 1 + random.Next(40)) + random.Next(30) + (random.Next(5) == 0 ? "é世" : "");
            expected[word] = expected.GetValueOrDefault(word) + 1;
            text.Append(word).Append(random.Next(10) == 0 ? separator : " ");
        }

        TextCorpus corpus = new(Write(text.ToString(), gzip));
        Assert.That(corpus.IsCompressed, Is.EqualTo(gzip));
        using WorkerPool pool = new(threads);
        Vocabulary vocabulary = Vocabulary.Build(corpus, minCount: 3, pool);

        var known = expected.Where(pair => pair.Value >= 3).ToArray();
        Assert.That(vocabulary.Count, Is.EqualTo(known.Length));
        Assert.That(vocabulary.TextWords, Is.EqualTo(expected.Values.Sum()));
        Assert.That(vocabulary.TotalWords, Is.EqualTo(known.Sum(pair => pair.Value)));
        foreach ((string word, long count) in known)
            Assert.That(vocabulary.Counts[vocabulary.IndexOf(word)], Is.EqualTo(count), word);
        for (int id = 1; id < vocabulary.Count; id++)
            Assert.That(vocabulary.Counts[id], Is.LessThanOrEqualTo(vocabulary.Counts[id - 1]));
    }

    [Test]
    public void AWordOnEveryBlockBorderIsWhole()
    {
        // Words of 7 bytes and a space: borders of 256 KiB blocks fall at every place of a word and of the gap.
        for (int shift = 0; shift < 8; shift++)
        {
            string text = new string('x', shift) + " " + string.Concat(Enumerable.Repeat("abcdefg ", 100_000));
            Vocabulary vocabulary = Vocabulary.Build(new TextCorpus(Write(text, gzip: false)), minCount: 1);
            Assert.That(vocabulary.Counts[vocabulary.IndexOf("abcdefg")], Is.EqualTo(100_000), $"shift {shift}");
            Assert.That(vocabulary.Count, Is.EqualTo(shift == 0 ? 1 : 2));
        }
    }

    [Test]
    public void OverlongWordsAreIgnored([Values] bool gzip, [Values(1025, 300_000, 2_000_000)] int length)
    {
        string text = "before " + new string('z', length) + " after\n" + new string('y', 1024) + " end";
        Vocabulary vocabulary = Vocabulary.Build(new TextCorpus(Write(text, gzip)), minCount: 1);
        Assert.That(vocabulary.ToArray(), Is.EquivalentTo(new[] { "before", "after", new string('y', 1024), "end" }));
    }

    [Test]
    public void TheRarestWordsAreDroppedWhenThereAreTooMany([Values(1, 2)] int threads)
    {
        // 300,000 words that come once each, and one that comes between all of them.
        using WorkerPool pool = new(threads);
        string text = string.Concat(Enumerable.Range(0, 300_000).Select(i => $"word{i} often "));
        Vocabulary vocabulary = Vocabulary.Build(new TextCorpus(Write(text, gzip: false)), minCount: 1, mostDifferentWords: 1000, pool);
        Assert.That(vocabulary.Count, Is.LessThan(60_000), "what one block brings, and not all");
        Assert.That(vocabulary.Counts[vocabulary.IndexOf("often")], Is.EqualTo(300_000));
        Assert.That(vocabulary.TextWords, Is.EqualTo(600_000));
    }

    [Test]
    public void EmptyTextsGiveAnEmptyVocabulary([Values("", " ", "\n\n \t")] string text, [Values] bool gzip) =>
        Assert.That(Vocabulary.Build(new TextCorpus(Write(text, gzip)), minCount: 1).Count, Is.Zero);

    [Test]
    public void ATruncatedGzipFileIsAnError()
    {
        string path = Write(string.Concat(Enumerable.Range(0, 200_000).Select(i => $"word{i * 7919 % 100_003} ")), gzip: true);
        byte[] bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);
        Assert.That(() => Vocabulary.Build(new TextCorpus(path)), Throws.TypeOf<InvalidDataException>());
        bytes[bytes.Length / 2] ^= 0xFF;
        File.WriteAllBytes(path, bytes);
        Assert.That(() => Vocabulary.Build(new TextCorpus(path)), Throws.TypeOf<InvalidDataException>());
    }

    [Test]
    public void MissingFilesAndFoldersAreErrors()
    {
        Assert.That(() => new TextCorpus(Path.Combine(_folder, "none.txt")), Throws.InstanceOf<IOException>());
        Assert.That(() => new TextCorpus(_folder), Throws.InstanceOf<UnauthorizedAccessException>());
        Assert.That(() => new TextCorpus(""), Throws.ArgumentException);
    }

    [Test]
    public void CountingCanBeCancelled()
    {
        TextCorpus corpus = new(Write("a b c", gzip: false));
        Assert.That(() => Vocabulary.Build(corpus, cancellationToken: new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void VocabularyFromCounts()
    {
        Vocabulary vocabulary = Vocabulary.FromCounts(new Dictionary<string, long> { ["rare"] = 1, ["b"] = 5, ["a"] = 5, ["top"] = 9 }, minCount: 2);
        Assert.That(vocabulary.ToArray(), Is.EqualTo(new[] { "top", "a", "b" }));
        Assert.That(vocabulary.IndexOf("rare"), Is.EqualTo(-1));
        Assert.That(() => vocabulary[3], Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Vocabulary.FromCounts([new("a", 1), new("a", 2)]), Throws.ArgumentException);
        Assert.That(() => Vocabulary.FromCounts([new("a", -1)]), Throws.ArgumentException);
    }

    private string Write(string text, bool gzip)
    {
        string path = Path.Combine(_folder, Guid.NewGuid().ToString("N"));
        using Stream file = File.Create(path);
        using Stream target = gzip ? new GZipStream(file, CompressionLevel.Fastest) : file;
        target.Write(Encoding.UTF8.GetBytes(text));
        return path;
    }
}
