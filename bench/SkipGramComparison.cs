using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// Skip-gram training of the 17-million-word corpus against word2vec.c and pWord2Vec, whole runs in turn: counting,
/// training and writing, five epochs, the same parameters, with the quality of the vectors beside the speed.
/// </summary>
/// <remarks>
/// Peers are programs that take word2vec.c's arguments, named by the environment variables WORD2VEC and PWORD2VEC or found
/// on the PATH as word2vec and pword2vec. A word counts once an epoch if it is in the vocabulary, before sub-sampling.
/// </remarks>
public static class SkipGramComparison
{
    private const int Dimension = 100;
    private const int QuickBytes = 4 << 20;

    public static void Run(TextWriter output, bool quick)
    {
        string packed = BenchData.Path("corpus/wiki17m.txt.gz");
        if (!File.Exists(packed))
        {
            output.WriteLine($"Skip-gram: skipped, the corpus {packed} is not on this machine.");
            return;
        }

        string folder = Directory.CreateTempSubdirectory("skipgram").FullName;
        try
        {
            string text = System.IO.Path.Combine(folder, "corpus.txt");
            using (GZipStream source = new(File.OpenRead(packed), CompressionMode.Decompress))
            using (FileStream target = File.Create(text))
            {
                source.CopyTo(target);
                if (quick)
                    target.SetLength(QuickBytes);
            }

            Compare(output, text, folder, epochs: quick ? 1 : 5);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Compare(TextWriter output, string text, string folder, int epochs)
    {
        long words;
        using (WorkerPool pool = new(Environment.ProcessorCount))
            words = Vocabulary.Build(new TextCorpus(text), pool: pool).TotalWords * epochs;

        output.WriteLine($"### Skip-gram with negative sampling: {words / epochs / 1e6:F1} M words, {epochs} epochs, dimension {Dimension}, window 5, negative 5, min-count 5, sample 1e-3");
        output.WriteLine();
        output.WriteLine("Whole runs: counting, training, writing. Analogies: share right of Google's questions over the 30,000 most frequent words.");
        output.WriteLine();
        output.WriteLine("| run | threads | wall s | CPU s | M words per CPU s | M words/s | analogies % | WordSim-353 |");
        output.WriteLine("|---|---|---|---|---|---|---|---|");

        // One thread, then two; each peer right beside ours.
        foreach (int threads in new[] { 1, 2 })
        {
            Ours(shared: true);
            Peer("PWORD2VEC", "pword2vec", "pWord2Vec");
            Ours(shared: true);
            if (threads == 2)
            {
                Peer("WORD2VEC", "word2vec", "word2vec.c");
                Ours(shared: false);
            }

            void Ours(bool shared)
            {
                double cpu = CpuTime.OfThisProcess;
                Stopwatch clock = Stopwatch.StartNew();
                string file = System.IO.Path.Combine(folder, "ours.bin");
                using (KeyedVectors vectors = Word2Vec.Fit(text, new Word2VecOptions { VectorSize = Dimension, Epochs = epochs, Threads = threads, SharedNegatives = shared }))
                    vectors.Save(file);
                Row(shared ? "ours" : "ours, negatives per pair", clock.Elapsed.TotalSeconds, CpuTime.OfThisProcess - cpu, file);
            }

            void Peer(string variable, string command, string name)
            {
                string program = Environment.GetEnvironmentVariable(variable) ?? command;
                string file = System.IO.Path.Combine(folder, command + ".bin");
                File.Delete(file); // else a run that breaks off would be judged by the one before
                ProcessStartInfo start = new(program) { RedirectStandardOutput = true, RedirectStandardError = true };
                foreach (string argument in (string[])["-train", text, "-output", file, "-size", "100", "-window", "5", "-negative", "5", "-min-count", "5",
                    "-sample", "1e-3", "-iter", epochs.ToString(CultureInfo.InvariantCulture), "-alpha", "0.025",
                    "-threads", threads.ToString(CultureInfo.InvariantCulture), "-binary", "1", "-cbow", "0"])
                    start.ArgumentList.Add(argument);
                double cpu = CpuTime.OfChildren;
                Stopwatch clock = Stopwatch.StartNew();
                try
                {
                    using Process process = Process.Start(start)!;
                    process.OutputDataReceived += (_, _) => { };
                    process.ErrorDataReceived += (_, _) => { };
                    process.BeginOutputReadLine();
                    process.BeginErrorReadLine();
                    process.WaitForExit();
                    if (process.ExitCode != 0 || !File.Exists(file))
                    {
                        output.WriteLine($"| {name} | {threads} | broke off with exit code {process.ExitCode} | | | | | |");
                        return;
                    }
                }
                catch (System.ComponentModel.Win32Exception)
                {
                    output.WriteLine($"| {name} | | not found: set {variable} or put {command} on the PATH | | | | | |");
                    return;
                }

                Row(name, clock.Elapsed.TotalSeconds, CpuTime.OfChildren - cpu, file);
            }

            void Row(string name, double wall, double cpu, string file)
            {
                using KeyedVectors vectors = KeyedVectors.Load(file);
                double analogies = WordEvaluation.Analogies(vectors, BenchData.Path("eval/questions-words.txt")).Total.Accuracy;
                double similarity = WordEvaluation.WordPairs(vectors, BenchData.Path("eval/wordsim353.tsv")).Spearman;
                output.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {name} | {threads} | {wall:F1} | {cpu:F1} | {words / cpu / 1e6:F3} | {words / wall / 1e6:F3} | {analogies * 100:F1} | {similarity:F3} |"));
                output.Flush();
            }
        }

        output.WriteLine();
    }
}
