using System.CommandLine;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed neighbors VECTORS WORD...</c>.</summary>
internal static class NeighborsCommand
{
    public static Command Create(Session session, CommonOptions common)
    {
        Argument<string> file = new("VECTORS") { Description = "Word vectors: word2vec binary or text" };
        Argument<string[]> words = new("WORD") { Description = "Words to look up", Arity = ArgumentArity.OneOrMore };
        Option<int> count = new("-k") { Description = "Neighbours for each word", DefaultValueFactory = _ => 10 };
        Command command = new("neighbors", "Print the words nearest to each word, by cosine.") { file, words, count };
        command.SetAction(common.Action(parsed =>
        {
            using KeyedVectors vectors = KeyedVectors.Load(parsed.GetValue(file)!);
            string[] asked = parsed.GetValue(words)!;
            using WorkerPool pool = new(common.Threads(parsed));
            SimilarWord[][] found = vectors.MostSimilarToEach(asked, parsed.GetValue(count), pool: pool);
            for (int i = 0; i < asked.Length; i++)
            {
                session.Output.WriteLine(asked[i]);
                foreach (SimilarWord neighbour in found[i])
                    session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {neighbour.Similarity:F4}  {neighbour.Word}"));
            }
        }));
        return command;
    }

    /// <summary>One line of neighbours for each word that is in the vocabulary.</summary>
    public static void PrintLines(Session session, KeyedVectors vectors, IEnumerable<string> words, int count)
    {
        foreach (string word in words)
        {
            if (vectors.TryGetIndex(word, out _))
                session.Output.WriteLine($"  {word,-12} {string.Join(", ", vectors.MostSimilar(word, count).Select(n => n.Word))}");
        }
    }
}

/// <summary><c>embed analogy VECTORS A B C</c>.</summary>
internal static class AnalogyCommand
{
    public static Command Create(Session session, CommonOptions common)
    {
        Argument<string> file = new("VECTORS") { Description = "Word vectors: word2vec binary or text" };
        Argument<string> a = new("A") { Description = "As A is to B..." };
        Argument<string> b = new("B") { Description = "(man king ...)" };
        Argument<string> c = new("C") { Description = "...so is C to the answer (... woman)" };
        Option<int> count = new("-k") { Description = "Answers", DefaultValueFactory = _ => 10 };
        Command command = new("analogy", "Print the words that are to C as B is to A.") { file, a, b, c, count };
        command.SetAction(common.Action(parsed =>
        {
            using KeyedVectors vectors = KeyedVectors.Load(parsed.GetValue(file)!);
            foreach (SimilarWord answer in vectors.Analogy(parsed.GetValue(a)!, parsed.GetValue(b)!, parsed.GetValue(c)!, parsed.GetValue(count)))
                session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{answer.Similarity:F4}  {answer.Word}"));
        }));
        return command;
    }
}
