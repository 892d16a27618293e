using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

public sealed class ReadmeTests
{
    /// <summary>The README's C# examples are the code below, which the compiler has seen.</summary>
    [TestCase("```csharp\nusing EmbeddingKernels;\n", "// README begins\n", "// README ends")]
    [TestCase("```csharp\nusing WavFile sound", "// README's sound begins\nusing WavFile sound", "// README's sound ends")]
    [TestCase("```csharp\nTsneEmbedding large", "// README's map begins\nTsneEmbedding large", "// README's map ends")]
    [TestCase("```csharp\nusing Network network", "// README's network begins\nusing Network network", "// README's network ends")]
    public void TheExamplesCompile(string begin, string codeBegin, string codeEnd)
    {
        string readme = Between(File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "README.md")), begin, "```");
        string source = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "tests", "Managed", "ReadmeTests.cs"));
        string compiled = Between(string.Join('\n', Lines(source)) + "\n", codeBegin, codeEnd);
        Assert.That(Lines(compiled), Is.EqualTo(Lines(readme)));
        Assert.That(Lines(compiled), Is.Not.Empty);
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

    /// <summary>Never called, as above.</summary>
    internal static void MapExample(FloatMatrix data, FloatMatrix newData)
    {
        // README's map begins
        TsneEmbedding large = Tsne.Fit(data, new TsneOptions { Perplexity = 30, Exaggeration = 1.5f });
        TsnePartialEmbedding placed = large.Transform(newData);
        using FloatMatrix positions = large.ToMatrix();
        double kept = MapQuality.NeighborPreservation(data, positions, neighbors: 10, sample: 5000);
        Console.WriteLine($"divergence {large.KlDivergence:F3}, neighbours kept {kept:P0}, first new point at {placed[0, 0]}, {placed[0, 1]}");

        // README's map ends
    }

    /// <summary>Never called, as above.</summary>
    internal static void SoundExample()
    {
        // README's sound begins
        using WavFile sound = WavFile.Load("speech.wav");
        using AudioFeatures fbank = new(AudioFeatureOptions.Kaldi(AudioFeatureKind.Mel, sound.SampleRate) with { UseEnergy = true });
        using FloatMatrix frames = fbank.Compute(sound); // a row for each 10 ms

        // README's sound ends
    }

    /// <summary>Never called, as above.</summary>
    internal static void NetworkExample()
    {
        // README's network begins
        using Network network = Network.Load("model.onnx");
        float[] input = new float[3 * 224 * 224];
        ImagePreset.Torchvision.ToTensor(Picture.Load("cat.jpg"), 224, 224, input);
        using FloatMatrix features = network.Features(input, batch: 1, layer: "embedding");

        // README's network ends
    }

    private static string Between(string text, string begin, string end)
    {
        int start = text.IndexOf(begin, StringComparison.Ordinal) + begin.Length;
        return text[start..text.IndexOf(end, start, StringComparison.Ordinal)];
    }

    private static string[] Lines(string text) =>
        [.. text.Split('\n', StringSplitOptions.TrimEntries).Where(line => line.Length > 0)];
}
