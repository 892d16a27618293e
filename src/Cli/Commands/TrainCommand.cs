using System.CommandLine;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed train CORPUS -o vectors.bin</c>.</summary>
internal static class TrainCommand
{
    private static readonly Word2VecOptions Defaults = new();

    public static Command Create(Session session, CommonOptions common)
    {
        Argument<string> corpus = new("CORPUS") { Description = "Text: UTF-8, a sentence on each line or one endless line, plain or gzip" };
        Option<string> output = new("--output", "-o") { Description = "File to write: .bin (word2vec binary), .txt (word2vec text)", DefaultValueFactory = _ => "vectors.bin" };
        Option<int> dim = new("--dim") { Description = "Components of a vector", DefaultValueFactory = _ => Defaults.VectorSize };
        Option<int> window = new("--window") { Description = "Words on each side", DefaultValueFactory = _ => Defaults.Window };
        Option<int> negative = new("--negative") { Description = "Noise words for each target", DefaultValueFactory = _ => Defaults.Negative };
        Option<int> minCount = new("--min-count") { Description = "Rarer words are left out", DefaultValueFactory = _ => Defaults.MinCount };
        Option<double> sample = new("--sample") { Description = "Sub-sampling threshold of frequent words; 0 for none", DefaultValueFactory = _ => Defaults.Sample };
        Option<int> epochs = new("--epochs") { Description = "Passes over the text", DefaultValueFactory = _ => Defaults.Epochs };
        Option<double> alpha = new("--alpha") { Description = "Learning rate at the start", DefaultValueFactory = _ => Defaults.Alpha };
        Option<bool> perPair = new("--per-pair") { Description = "Draw negatives for each pair of words, as gensim and word2vec.c do (slower)" };
        Command command = new("train", "Train skip-gram word vectors from a text.") { corpus, output, dim, window, negative, minCount, sample, epochs, alpha, perPair };
        command.SetAction(common.Action(parsed =>
        {
            Word2VecOptions options = new()
            {
                VectorSize = parsed.GetValue(dim),
                Window = parsed.GetValue(window),
                Negative = parsed.GetValue(negative),
                MinCount = parsed.GetValue(minCount),
                Sample = parsed.GetValue(sample),
                Epochs = parsed.GetValue(epochs),
                Alpha = parsed.GetValue(alpha),
                MinAlpha = Math.Min(Defaults.MinAlpha, Math.Max(parsed.GetValue(alpha), 0)),
                SharedNegatives = !parsed.GetValue(perPair),
                Threads = common.Threads(parsed),
                Seed = common.Seed(parsed),
            };
            string path = parsed.GetValue(output)!;
            using KeyedVectors vectors = Train(session, new TextCorpus(parsed.GetValue(corpus)!), options, out bool complete);
            vectors.Save(path);
            session.Say($"wrote {path}");
            if (!complete)
                throw new OperationCanceledException();
        }));
        return command;
    }

    /// <summary>Counts and trains with progress. An interrupted training gives the vectors as far as they came.</summary>
    public static KeyedVectors Train(Session session, TextCorpus corpus, Word2VecOptions options, out bool complete)
    {
        options.Validate();
        Vocabulary vocabulary = session.Step("counted the text's words", "words", step =>
        {
            using WorkerPool pool = new(options.Threads);
            Vocabulary counted = Vocabulary.Build(
                corpus, options.MinCount, pool, new DirectProgress<CorpusProgress>(p => step.Report(p.Words, p.Words / Math.Max((double)p.Position, 1) * p.Length)), session.Interrupt);
            step.Report(counted.TextWords, counted.TextWords);
            step.Note = $"{counted.Count:N0} different words of {options.MinCount} or more occurrences";
            return counted;
        });
        using Word2Vec model = new(vocabulary, options);
        complete = session.Step($"trained {options.VectorSize}-dimensional vectors", "words", step =>
        {
            try
            {
                model.Train(corpus, new DirectProgress<Word2VecProgress>(p => step.Report(p.Words, p.TotalWords)), session.Interrupt);
                return true;
            }
            catch (OperationCanceledException)
            {
                return false;
            }
        });
        return model.Finish();
    }
}
