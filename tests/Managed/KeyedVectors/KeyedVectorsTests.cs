using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

public sealed class KeyedVectorsTests
{
    // kings and queens: one axis for royalty, one for gender, one for nothing of the kind
    private static KeyedVectors Royals() => new(
        ["man", "woman", "king", "queen", "apple", "zero"],
        FloatMatrix.FromArray(new float[,] { { 0, 1, 0.1f }, { 0, -1, 0.1f }, { 2, 2, 0 }, { 3, -3, 0 }, { 0.1f, 0, 4 }, { 0, 0, 0 } }));

    private static KeyedVectors RandomVectors(int count, int dimension, int seed)
    {
        Random random = new(seed);
        FloatMatrix matrix = new(count, dimension);
        for (int i = 0; i < count; i++)
        {
            foreach (ref float value in matrix.Row(i))
                value = random.NextSingle() - 0.5f;
        }

        return new KeyedVectors(Enumerable.Range(0, count).Select(i => $"w{i}"), matrix);
    }

    [Test]
    public void AnswersTheWellKnownAnalogy()
    {
        using KeyedVectors vectors = Royals();
        SimilarWord[] answer = vectors.Analogy("man", "king", "woman", k: 2);
        Assert.That(answer[0].Word, Is.EqualTo("queen"));
        Assert.That(answer[0].Index, Is.EqualTo(3));
        Assert.That(answer, Has.Length.EqualTo(2));
        Assert.That(answer, Is.EqualTo(vectors.MostSimilar(["king", "woman"], ["man"], 2)));
    }

    [Test]
    public void SimilarityIsTheCosine()
    {
        using KeyedVectors vectors = Royals();
        Assert.That(vectors.Similarity("king", "queen"), Is.EqualTo(0f).Within(1e-7f));
        Assert.That(vectors.Similarity("man", "king"), Is.EqualTo(1 / Math.Sqrt(1.01 * 2)).Within(1e-6));
        Assert.That(vectors.Similarity("man", "man"), Is.EqualTo(1f).Within(1e-6f));
        Assert.That(vectors.Similarity("man", "zero"), Is.Zero);
    }

    [Test]
    public void MostSimilarAgreesWithASort([Values(1, 5, 39, 40, 1000)] int k, [Values(int.MaxValue, 17)] int restrict)
    {
        using KeyedVectors vectors = RandomVectors(40, 7, 1);
        SimilarWord[] answer = vectors.MostSimilar("w3", k, restrict);
        string[] expected = [.. vectors.Words.Take(Math.Min(restrict, 40)).Where(w => w != "w3").OrderByDescending(w => vectors.Similarity("w3", w)).Take(k)];
        Assert.That(answer.Select(a => a.Word), Is.EqualTo(expected));
        foreach (SimilarWord similar in answer)
            Assert.That(similar.Similarity, Is.EqualTo(vectors.Similarity("w3", similar.Word)).Within(1e-6f));
    }

    [Test]
    public void AVectorExcludesNothing()
    {
        using KeyedVectors vectors = RandomVectors(40, 7, 2);
        SimilarWord[] answer = vectors.MostSimilar(vectors["w9"], k: 1);
        Assert.That(answer[0].Word, Is.EqualTo("w9"));
        Assert.That(() => vectors.MostSimilar(new float[6]), Throws.ArgumentException.With.Message.Contains("6"));
    }

    [Test]
    public void ManyAtOnceAnswerAsOneByOne([Values(1, 3)] int threads)
    {
        using KeyedVectors vectors = RandomVectors(60, 5, 3);
        using WorkerPool pool = new(threads);
        string[] words = [.. Enumerable.Range(0, 2500).Select(i => $"w{i * 7 % 60}")];
        SimilarWord[][] answers = vectors.MostSimilarToEach(words, k: 4, pool: pool);
        Assert.That(answers, Has.Length.EqualTo(words.Length));
        for (int i = 0; i < words.Length; i += 50)
            Assert.That(answers[i], Is.EqualTo(vectors.MostSimilar(words[i], k: 4)));
        Assert.That(vectors.MostSimilarToEach([]), Is.Empty);
        Assert.That(vectors.MostSimilarToEach(["w1"], k: 1000)[0], Has.Length.EqualTo(59));
    }

    [Test]
    public void UnknownWordsAreNamedWithTheClosestSpellings()
    {
        using KeyedVectors vectors = new(["color", "colour", "Paris", "dollar", "xy"], new FloatMatrix(5, 2));
        Assert.That(() => vectors.MostSimilar("colur"), Throws.TypeOf<KeyNotFoundException>().With.Message.EqualTo(
            "The word 'colur' is not among the 5 words. Closest spellings: 'color', 'colour'."));
        Assert.That(() => vectors["paris"].Length, Throws.TypeOf<KeyNotFoundException>().With.Message.Contains("'Paris'"));
        Assert.That(() => vectors.Similarity("color", "umbrella"), Throws.TypeOf<KeyNotFoundException>().With.Message.EqualTo("The word 'umbrella' is not among the 5 words."));
        Assert.That(() => vectors.Analogy("color", "colour", "dolar"), Throws.TypeOf<KeyNotFoundException>().With.Message.Contains("'dollar'"));
        Assert.That(vectors.TryGetIndex("dollar", out int index) && index == 3);
        Assert.That(vectors.Contains("dolar"), Is.False);
    }

    [Test]
    public void BadArgumentsAreNamed()
    {
        using KeyedVectors vectors = Royals();
        Assert.That(() => vectors.MostSimilar("man", k: 0), Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("k"));
        Assert.That(() => vectors.MostSimilar("man", restrictVocabulary: 0), Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("restrictVocabulary"));
        Assert.That(() => vectors.MostSimilarToEach(["man"], k: -1), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => vectors.MostSimilar([], []), Throws.ArgumentException.With.Property("ParamName").EqualTo("positive"));
        Assert.That(() => vectors.Save("x", (WordVectorFormat)9), Throws.TypeOf<ArgumentOutOfRangeException>());
        using FloatMatrix two = new(2, 2);
        Assert.That(() => new KeyedVectors(["a"], two), Throws.ArgumentException.With.Message.Contains("1 words and 2 rows"));
        Assert.That(() => new KeyedVectors(["a", "a"], two), Throws.ArgumentException.With.Message.Contains("'a', comes twice"));
    }

    [Test]
    public void AnEmptyTableAnswersNothing()
    {
        using KeyedVectors vectors = new([], new FloatMatrix(0, 3));
        Assert.That(vectors.MostSimilar(new float[3]), Is.Empty);
        Assert.That(() => vectors.MostSimilar("a"), Throws.TypeOf<KeyNotFoundException>());
    }

    [Test]
    public void RowsAreTheMemoryItself()
    {
        FloatMatrix matrix = FloatMatrix.FromRows([1, 2, 3, 4], columns: 2);
        using KeyedVectors vectors = new(["a", "b"], matrix);
        matrix[1, 0] = 9;
        Assert.That(vectors["b"].ToArray(), Is.EqualTo(new float[] { 9, 4 }));
        Assert.That(() => matrix[2, 0], Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => FloatMatrix.FromRows([1, 2, 3], columns: 2), Throws.ArgumentException);
        vectors.Dispose();
        Assert.That(() => vectors["b"].Length, Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void AgreesWithGensim()
    {
        using TemporaryFolder folder = new();
        using KeyedVectors vectors = RandomVectors(300, 20, 4);
        vectors.Save(folder["v.bin"]);
        string[] lines = Python.Run("gensim", """
            import sys
            from gensim.models import KeyedVectors
            v = KeyedVectors.load_word2vec_format(sys.argv[1], binary=True)
            def show(found): print(' '.join(f'{w} {s:.7f}' for w, s in found))
            show(v.most_similar('w17', topn=10))
            show(v.most_similar(positive=['w1', 'w2', 'w5'], negative=['w3', 'w250'], topn=10, restrict_vocab=100))
            show(v.similar_by_vector(v['w8'], topn=10))
            """, folder["v.bin"]).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        SimilarWord[][] answers =
        [
            vectors.MostSimilar("w17"),
            vectors.MostSimilar(["w1", "w2", "w5"], ["w3", "w250"], restrictVocabulary: 100),
            vectors.MostSimilar(vectors["w8"]),
        ];
        for (int i = 0; i < answers.Length; i++)
        {
            string[] fields = lines[i].Split(' ');
            Assert.That(answers[i].Select(a => a.Word), Is.EqualTo(fields.Where((_, j) => j % 2 == 0)));
            for (int j = 0; j < answers[i].Length; j++)
                Assert.That(answers[i][j].Similarity, Is.EqualTo(double.Parse(fields[(2 * j) + 1])).Within(1e-6));
        }
    }
}
