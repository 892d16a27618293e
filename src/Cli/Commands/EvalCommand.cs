using System.CommandLine;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed eval VECTORS [--analogies FILE] [--similarity FILE]</c>.</summary>
internal static class EvalCommand
{
    public static Command Create(Session session, CommonOptions common)
    {
        Argument<string> file = new("VECTORS") { Description = "Word vectors: word2vec binary or text" };
        Option<string?> analogies = new("--analogies") { Description = "Questions in the format of Google's questions-words.txt" };
        Option<string?> similarity = new("--similarity") { Description = "Lines of two words and a score, by tabs or spaces" };
        Option<int> restrict = new("--restrict") { Description = "Analogies over this many of the most frequent words; 0 for all", DefaultValueFactory = _ => 30_000 };
        Command command = new("eval", "Measure word vectors: analogies answered, correlation with human similarity scores.") { file, analogies, similarity, restrict };
        command.SetAction(common.Action(parsed =>
        {
            string? questions = parsed.GetValue(analogies);
            string? pairs = parsed.GetValue(similarity);
            if (questions is null && pairs is null)
                throw new UsageException("There is nothing to evaluate: give --analogies FILE, --similarity FILE or both.");
            using KeyedVectors vectors = KeyedVectors.Load(parsed.GetValue(file)!);
            if (questions is not null)
                Analogies(session, vectors, questions, parsed.GetValue(restrict), common.Threads(parsed));
            if (pairs is not null)
                Similarity(session, vectors, pairs);
        }));
        return command;
    }

    private static void Analogies(Session session, KeyedVectors vectors, string path, int restrict, int threads)
    {
        AnalogyResult result = session.Step("answered analogies", "questions", step =>
        {
            using WorkerPool pool = new(threads);
            AnalogyResult answered = WordEvaluation.Analogies(
                vectors, path, restrict == 0 ? int.MaxValue : restrict, progress: new DirectProgress<double>(part => step.Report(part, 1)), pool: pool, cancellationToken: session.Interrupt);
            step.Report(answered.Total.Total, answered.Total.Total);
            return answered;
        });
        foreach (AnalogySection section in (AnalogySection[])[.. result.Sections, result.Semantic, result.Syntactic, result.Total])
        {
            session.Output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{section.Name,-30} {(section.Total == 0 ? 0 : 100 * section.Accuracy),6:F1} %  ({section.Correct} of {section.Total})"));
        }

        session.Output.WriteLine($"left out, with an unknown word: {result.Total.Skipped}");
    }

    private static void Similarity(Session session, KeyedVectors vectors, string path)
    {
        WordPairResult result = WordEvaluation.WordPairs(vectors, path);
        session.Output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"Spearman {result.Spearman:F4}   Pearson {result.Pearson:F4}   pairs {result.Pairs}   with an unknown word {result.Unknown}"));
    }
}
