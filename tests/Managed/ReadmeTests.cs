using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

public sealed class ReadmeTests
{
    /// <summary>The README's C# example is the code below, which the compiler has seen.</summary>
    [Test]
    public void TheExampleCompiles()
    {
        string readme = Between(File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "README.md")), "```csharp\nusing EmbeddingKernels;\n", "```");
        string source = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "tests", "Managed", "ReadmeTests.cs"));
        string compiled = Between(source, "// README begins\n", "// README ends");
        Assert.That(Lines(compiled), Is.EqualTo(Lines(readme)));
    }

    /// <summary>Never called: what counts is that it compiles.</summary>
    internal static void Example()
    {
        // README begins
        using KeyedVectors vectors = Word2Vec.Fit("corpus.txt", new Word2VecOptions { VectorSize = 100, Epochs = 5 });
        foreach (SimilarWord neighbour in vectors.MostSimilar("stream", 5))
            Console.WriteLine($"{neighbour.Similarity:F3} {neighbour.Word}");
        vectors.Save("vectors.bin");

        TsneEmbedding map = Tsne.Fit(vectors.Vectors, new TsneOptions { Metric = TsneMetric.Cosine });
        MapHtml.Write("map.html", new MapData(map.Axis(0).ToArray(), map.Axis(1).ToArray(), vectors.Words));

        // README ends
    }

    private static string Between(string text, string begin, string end)
    {
        int start = text.IndexOf(begin, StringComparison.Ordinal) + begin.Length;
        return text[start..text.IndexOf(end, start, StringComparison.Ordinal)];
    }

    private static string[] Lines(string text) =>
        [.. text.Split('\n', StringSplitOptions.TrimEntries).Where(line => line.Length > 0)];
}
