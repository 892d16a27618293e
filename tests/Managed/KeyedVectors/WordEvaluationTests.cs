using System.Globalization;
using System.Text;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

public sealed class WordEvaluationTests
{
    private static KeyedVectors Royals() => new(
        ["man", "woman", "king", "queen", "prince", "princess", "KING"],
        FloatMatrix.FromArray(new float[,] { { 0, 1, 0.1f }, { 0, -1, 0.1f }, { 2, 2, 0 }, { 3, -3, 0 }, { 2, 2, 2 }, { 2, -2, 2 }, { 2, 2, 0.01f } }));

    [Test]
    public void CountsBySection()
    {
        const string Questions = """
            : family
            man king woman queen
            Man King Woman QUEEN
            man king woman princess
            man king woman duchess
            man king woman
            : gram1-test
            man prince woman princess

            """;
        using KeyedVectors vectors = Royals();
        AnalogyResult result = WordEvaluation.Analogies(vectors, new StringReader(Questions));
        Assert.That(result.Sections, Is.EqualTo(new[] { new AnalogySection("family", 2, 3, 1), new AnalogySection("gram1-test", 1, 1, 0) }));
        Assert.That(result.Total, Is.EqualTo(new AnalogySection("total", 3, 4, 1)));
        Assert.That(result.Semantic, Is.EqualTo(new AnalogySection("semantic", 2, 3, 1)));
        Assert.That(result.Syntactic, Is.EqualTo(new AnalogySection("syntactic", 1, 1, 0)));
        Assert.That(result.InvalidLines, Is.EqualTo(1));
        Assert.That(result.Total.Accuracy, Is.EqualTo(0.75));

        result = WordEvaluation.Analogies(vectors, new StringReader(Questions), caseInsensitive: false, countUnknownAsWrong: true);
        Assert.That(result.Sections[0], Is.EqualTo(new AnalogySection("family", 1, 4, 0)));
        result = WordEvaluation.Analogies(vectors, new StringReader(Questions), restrictVocabulary: 3);
        Assert.That(result.Total, Is.EqualTo(new AnalogySection("total", 0, 0, 5)));
        Assert.That(result.Total.Accuracy, Is.NaN);
    }

    [Test]
    public void ReadsPairsAsTheFilesHaveThem()
    {
        const string Pairs = "# comment\nWord 1\tWord 2\tHuman (mean)\nman\tking\t7.5\nMan woman 2\nking\tqueen\t4\textra\nking\tduke\t9\n\nman king\n";
        using KeyedVectors vectors = Royals();
        WordPairResult result = WordEvaluation.WordPairs(vectors, new StringReader(Pairs));
        Assert.That((result.Pairs, result.Unknown, result.InvalidLines), Is.EqualTo((3, 1, 2)));
        Assert.That(result.Spearman, Is.EqualTo(1).Within(1e-12));
        result = WordEvaluation.WordPairs(vectors, new StringReader(Pairs), countUnknownAsZero: true);
        Assert.That((result.Pairs, result.Unknown), Is.EqualTo((4, 1)));
        result = WordEvaluation.WordPairs(vectors, new StringReader(Pairs), restrictVocabulary: 1);
        Assert.That((result.Pairs, result.Unknown), Is.EqualTo((0, 4)));
        Assert.That(result.Spearman, Is.NaN);
    }

    [Test]
    public void RefusesFilesWithoutQuestions()
    {
        using KeyedVectors vectors = Royals();
        Assert.That(() => WordEvaluation.Analogies(vectors, new StringReader("man king woman queen")), Throws.TypeOf<DataFormatException>().With.Message.Contains("line 1"));
        Assert.That(() => WordEvaluation.Analogies(vectors, new StringReader(": empty")), Throws.TypeOf<DataFormatException>().With.Message.Contains("no question"));
        Assert.That(() => WordEvaluation.WordPairs(vectors, new StringReader("a b c")), Throws.TypeOf<DataFormatException>());
        Assert.That(() => WordEvaluation.WordPairs(vectors, new StringReader("a b 1"), restrictVocabulary: 0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(
            () => WordEvaluation.Analogies(vectors, new StringReader(": a\nman king woman queen"), cancellationToken: new CancellationToken(canceled: true)),
            Throws.InstanceOf<OperationCanceledException>());
        using TemporaryFolder folder = new();
        string path = folder.Write("long.txt", new byte[2 << 20]);
        Assert.That(() => WordEvaluation.Analogies(vectors, path), Throws.TypeOf<DataFormatException>().With.Message.Contains("does not end"));
    }

    [TestCase(new double[] { 1, 2, 3, 4, 5 }, new double[] { 5, 6, 7, 8, 7 }, 0.8320502943378437, 0.8207826816681233)]
    [TestCase(new double[] { 1, 1, 2, 2, 3 }, new double[] { 3, 1, 1, 4, 4 }, 0.5122717640554154, 0.5833333333333334)]
    [TestCase(new double[] { 1, 2 }, new double[] { 2, 1 }, -1, -1)]
    [TestCase(new double[] { 1, 1, 1 }, new double[] { 1, 2, 3 }, double.NaN, double.NaN)]
    [TestCase(new double[] { }, new double[] { }, double.NaN, double.NaN)]
    public void CorrelationsAreThoseOfSciPy(double[] x, double[] y, double pearson, double spearman)
    {
        Assert.That(Correlation.Pearson(x, y), Is.EqualTo(pearson).Within(1e-12));
        Assert.That(Correlation.Spearman(x, y), Is.EqualTo(spearman).Within(1e-12));
    }

    [Test]
    public void EqualNumbersShareTheirRank() =>
        Assert.That(Correlation.Ranks([3, 1, 3, 0, 3, 1]), Is.EqualTo(new[] { 5, 2.5, 5, 1, 5, 2.5 }));

    [Test]
    public void AgreesWithGensim()
    {
        using TemporaryFolder folder = new();
        (KeyedVectors vectors, string questions, string pairs) = Relations();
        using KeyedVectors table = vectors;
        vectors.Save(folder["v.bin"]);
        File.WriteAllText(folder["q.txt"], questions);
        File.WriteAllText(folder["p.tsv"], pairs);
        string[] answers = Python.Run("gensim", """
            import sys
            from gensim.models import KeyedVectors
            folder = sys.argv[1]
            v = KeyedVectors.load_word2vec_format(folder + '/v.bin', binary=True)
            for case in (False, True):
                for unknown in (False, True):
                    _, sections = v.evaluate_word_analogies(folder + '/q.txt', restrict_vocab=350, case_insensitive=case, dummy4unknown=unknown)
                    for s in sections[:-1]: print(s['section'], len(s['correct']), len(s['correct']) + len(s['incorrect']))
                    pearson, spearman, oov = v.evaluate_word_pairs(folder + '/p.tsv', restrict_vocab=350, case_insensitive=case, dummy4unknown=unknown)
                    print(repr(float(pearson[0])), repr(float(spearman[0])), repr(oov))
                    print('--')
            """, folder.Path).Split("--\n", StringSplitOptions.RemoveEmptyEntries);

        for (int i = 0; i < 4; i++)
        {
            (bool caseInsensitive, bool unknownCounts) = (i >= 2, i % 2 == 1);
            string[] lines = answers[i].Split('\n', StringSplitOptions.RemoveEmptyEntries);
            AnalogyResult analogies = WordEvaluation.Analogies(vectors, folder["q.txt"], 350, caseInsensitive, unknownCounts);
            Assert.That(analogies.Sections.Select(s => $"{s.Name} {s.Correct} {s.Total}"), Is.EqualTo(lines[..^1]));
            Assert.That(analogies.Total.Accuracy, Is.InRange(0.1, 0.9), "the comparison needs right and wrong answers");

            WordPairResult result = WordEvaluation.WordPairs(vectors, folder["p.tsv"], 350, caseInsensitive, unknownCounts);
            double[] expected = [.. lines[^1].Split(' ').Select(f => double.Parse(f, CultureInfo.InvariantCulture))];
            Assert.That(result.Pearson, Is.EqualTo(expected[0]).Within(1e-6));
            Assert.That(result.Spearman, Is.EqualTo(expected[1]).Within(1e-4));
            Assert.That(100.0 * result.Unknown / (unknownCounts ? result.Pairs : result.Pairs + result.Unknown), Is.EqualTo(expected[2]).Within(1e-9));
        }
    }

    [Test]
    public void ReadsTheRealFiles()
    {
        string questions = SharedData.Path("eval/questions-words.txt");
        string[] words = [.. File.ReadLines(questions).Where(l => !l.StartsWith(':')).SelectMany(l => l.Split(' ')).Distinct()];
        using KeyedVectors vectors = new(words, new FloatMatrix(words.Length, 1));
        AnalogyResult result = WordEvaluation.Analogies(vectors, questions, restrictVocabulary: 10);
        Assert.That((result.Sections.Count, result.InvalidLines), Is.EqualTo((14, 0)));
        Assert.That(result.Semantic.Total + result.Semantic.Skipped, Is.EqualTo(8869));
        Assert.That(result.Syntactic.Total + result.Syntactic.Skipped, Is.EqualTo(10675));
        WordPairResult pairs = WordEvaluation.WordPairs(vectors, SharedData.Path("eval/wordsim353.tsv"));
        Assert.That((pairs.Pairs + pairs.Unknown, pairs.InvalidLines), Is.EqualTo((353, 0)));
    }

    /// <summary>Words in pairs that differ by one vector and noise; some words come in two cases, some are unknown.</summary>
    private static (KeyedVectors Vectors, string Questions, string Pairs) Relations()
    {
        const int Pairs = 180;
        const int Dimension = 16;
        Random random = new(7);
        float[] relation = [.. Enumerable.Range(0, Dimension).Select(_ => random.NextSingle() - 0.5f)];
        List<string> words = [];
        List<float> values = [];
        for (int i = 0; i < Pairs; i++)
        {
            float[] start = [.. Enumerable.Range(0, Dimension).Select(_ => random.NextSingle() - 0.5f)];
            Add($"from{i}", start, 0, 0);
            Add($"to{i}", start, 1, 0.55f);
            if (i % 3 == 0)
                Add($"To{i}", start, 1, 0.5f);
            if (i % 7 == 0)
                Add($"From{i}", start, 0, 0.1f);
        }

        StringBuilder questions = new();
        StringBuilder pairs = new("# words\nfirst\tsecond\tscore\n");
        for (int section = 0; section < 3; section++)
        {
            questions.Append(CultureInfo.InvariantCulture, $": part {section}\n");
            for (int i = 0; i < 150; i++)
            {
                (int x, int y) = (random.Next(Pairs), random.Next(Pairs));
                questions.Append(CultureInfo.InvariantCulture, $"from{x} to{x} {(i % 5 == 0 ? "FROM" : "from")}{y} {(i % 11 == 0 ? $"from{x}" : $"to{y}")}\n");
                pairs.Append(CultureInfo.InvariantCulture, $"from{x}\t{(i % 5 == 0 ? "TO" : "to")}{y}\t{random.Next(20) / 2.0 + (x == y ? 5 : 0)}\n");
            }
        }

        return (new KeyedVectors(words, FloatMatrix.FromRows(values.ToArray(), Dimension)), questions.ToString(), pairs.ToString());

        void Add(string word, float[] start, float share, float noise)
        {
            words.Add(word);
            for (int j = 0; j < Dimension; j++)
                values.Add(start[j] + (share * relation[j]) + (noise * (random.NextSingle() - 0.5f)));
        }
    }
}
