using System.CommandLine;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>
/// <c>embed</c> without a command: reads the documentation that the .NET SDK brings, trains word vectors, prints neighbours
/// and draws the map.
/// </summary>
internal static class MainJob
{
    /// <summary>Words on the map of a vocabulary: as many as a person can look through.</summary>
    public const int MapWords = 2000;

    /// <summary>The most frequent words, "the" and "of" and their like, belong to every topic and would only crowd the map.</summary>
    private const int SkippedWords = 50;

    private static readonly string[] Examples = ["async", "stream", "certificate", "exception", "thread", "json"];

    public static void Configure(RootCommand root, Session session, CommonOptions common) => root.SetAction(common.Action(parsed =>
    {
        session.Say("No command: the main job. 'embed --help' lists the commands.");
        string corpus = Path.Combine(Path.GetTempPath(), $"embed-{Path.GetRandomFileName()}.txt");
        try
        {
            session.Step("read the SDK's documentation", "words", step =>
            {
                SdkCorpus written = SdkDocumentation.WriteCorpus(corpus, cancellationToken: session.Interrupt);
                step.Report(written.Tokens, written.Tokens);
                step.Note = $"{written.Sentences:N0} sentences";
                return true;
            });

            // A small text needs more passes than gensim's five to settle, and its few frequent words thinned out more.
            Word2VecOptions options = new() { Epochs = 20, Sample = 1e-4, Threads = common.Threads(parsed), Seed = common.Seed(parsed) };
            using KeyedVectors vectors = TrainCommand.Train(session, new TextCorpus(corpus), options, out bool complete);
            vectors.Save("vectors.bin");
            session.Say("wrote vectors.bin");
            if (!complete)
                throw new OperationCanceledException();

            session.Output.WriteLine();
            session.Output.WriteLine("Nearest words:");
            NeighborsCommand.PrintLines(session, vectors, Examples, 6);
            session.Output.WriteLine();
            int first = Math.Min(SkippedWords, vectors.Count / 2);
            int count = Math.Min(vectors.Count - first, MapWords);
            TsneOptions map = new() { Metric = TsneMetric.Cosine, Threads = options.Threads, Seed = options.Seed };
            MapLabels labels = MapLabels.Read(null, [.. vectors.Words.Skip(first)], count);
            MapCommand.Draw(session, vectors.Vectors.View.Slice(first, count), labels, "Words of the .NET documentation", new MapSettings(map), "map.html");
        }
        finally
        {
            File.Delete(corpus);
        }
    }));
}
