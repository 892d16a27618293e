using System.Text;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

public sealed class Word2VecTests
{
    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("word2vec").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void WordsOfOneTopicBecomeNeighbours([Values(1, 2)] int threads, [Values] bool shared, [Values] bool oneLine)
    {
        string path = Topics(oneLine);
        using KeyedVectors vectors = Word2Vec.Fit(path, new Word2VecOptions { VectorSize = 16, Epochs = 8, Threads = threads, SharedNegatives = shared, Sample = 0 });
        Assert.That(vectors.Count, Is.EqualTo(30));
        for (int topic = 0; topic < 3; topic++)
        {
            var neighbours = vectors.MostSimilar($"topic{topic}word0", 9).ToArray();
            Assert.That(neighbours.Select(n => n.Word), Has.All.StartsWith($"topic{topic}"));
        }
    }

    [Test]
    public void OneThreadAndOneSeedGiveTheSameBytes()
    {
        string path = Topics(oneLine: false);
        Word2VecOptions options = new() { VectorSize = 20, Epochs = 2, Threads = 1, Seed = 3 };
        Assert.That(Train(options), Is.EqualTo(Train(options)));
        Assert.That(Train(options), Is.Not.EqualTo(Train(options with { Seed = 4 })));

        byte[] Train(Word2VecOptions options)
        {
            using KeyedVectors vectors = Word2Vec.Fit(path, options);
            string file = Path.Combine(_folder, "vectors.bin");
            vectors.Save(file);
            return File.ReadAllBytes(file);
        }
    }

    [Test]
    public void ProgressCountsEveryWordOfEveryEpoch()
    {
        TextCorpus corpus = new(Topics(oneLine: false));
        Vocabulary vocabulary = Vocabulary.Build(corpus);
        using Word2Vec model = new(vocabulary, new Word2VecOptions { VectorSize = 8, Epochs = 3, Threads = 1 });
        List<Word2VecProgress> reports = [];
        model.Train(corpus, new Recorder(reports));
        Assert.That(reports[^1].Words, Is.EqualTo(3 * vocabulary.TotalWords));
        Assert.That(reports[^1].TotalWords, Is.EqualTo(3 * vocabulary.TotalWords));
        Assert.That(reports[^1].Alpha, Is.EqualTo(0.0001).Within(1e-9));
        Assert.That(reports.Select(r => r.Words), Is.Ordered);
    }

    [Test]
    public void ACancelledTrainingKeepsItsVectors()
    {
        TextCorpus corpus = new(Topics(oneLine: false));
        using Word2Vec model = new(Vocabulary.Build(corpus), new Word2VecOptions { VectorSize = 8, Epochs = 10_000, Threads = 2 });
        using CancellationTokenSource cancel = new(TimeSpan.FromMilliseconds(200));
        Assert.That(() => model.Train(corpus, cancellationToken: cancel.Token), Throws.InstanceOf<OperationCanceledException>());
        using KeyedVectors vectors = model.Finish();
        Assert.That(vectors.Count, Is.EqualTo(30));
        Assert.That(() => model.Train(corpus), Throws.InvalidOperationException);
    }

    [Test]
    public void OptionsAreChecked()
    {
        static void Refused(Word2VecOptions options, string name) => Assert.That(
            options.Validate, Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo(name));
        Refused(new() { VectorSize = 0 }, "VectorSize");
        Refused(new() { MinCount = 0 }, "MinCount");
        Refused(new() { Epochs = 0 }, "Epochs");
        Refused(new() { Alpha = double.NaN }, "Alpha");
        Refused(new() { MinAlpha = 1 }, "MinAlpha");
        Refused(new() { Threads = 0 }, "Threads");
        Refused(new() { Window = -1 }, "Window");
        string empty = Path.Combine(_folder, "empty.txt");
        File.WriteAllText(empty, "too few words");
        Assert.That(() => Word2Vec.Fit(empty), Throws.ArgumentException.With.Message.Contains("no word"));
    }

    /// <summary>One epoch over 17 million words of Wikipedia: peers reach a WordSim-353 correlation of 0.52 to 0.54.</summary>
    [Test]
    public void RealTextGivesVectorsOfKnownQuality()
    {
        string pairs = SharedData.Path("eval/wordsim353.tsv");
        using KeyedVectors vectors = Word2Vec.Fit(SharedData.Path("corpus/wiki17m.txt.gz"), new Word2VecOptions { Epochs = 1, Threads = 2 });
        Assert.That(vectors.Count, Is.EqualTo(69_443));
        Assert.That(WordEvaluation.WordPairs(vectors, pairs).Spearman, Is.GreaterThan(0.48));
    }

    /// <summary>Three topics of ten words; a sentence keeps to one of them.</summary>
    private string Topics(bool oneLine)
    {
        Random random = new(1);
        StringBuilder text = new();
        for (int sentence = 0; sentence < 3000; sentence++)
        {
            int topic = random.Next(3);
            for (int i = 0; i < 12; i++)
                text.Append("topic").Append(topic).Append("word").Append(random.Next(10)).Append(' ');
            text.Append(oneLine ? "" : "\n");
        }

        string path = Path.Combine(_folder, "topics.txt");
        File.WriteAllText(path, text.ToString());
        return path;
    }

    private sealed class Recorder(List<Word2VecProgress> reports) : IProgress<Word2VecProgress>
    {
        public void Report(Word2VecProgress value) => reports.Add(value);
    }
}
