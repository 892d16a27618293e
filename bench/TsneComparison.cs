using System.Diagnostics;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// t-SNE of 10,000 MNIST digits against scikit-learn where Python has it: the same data, start, perplexity and number of
/// steps, judged by the exact divergence on one set of affinities.
/// </summary>
public static unsafe class TsneComparison
{
    private const double Perplexity = 30;
    private const int NeighborsPerPoint = 90;

    // Reads the data and the start, writes the map and the seconds. Versions before 1.5 call max_iter n_iter.
    private const string Peer = """
        import sys, time, numpy, sklearn, inspect
        from sklearn.manifold import TSNE
        data, start, iterations, threads, output = sys.argv[1:]
        x = numpy.load(data).astype(numpy.float32)
        y = numpy.load(start).astype(numpy.float32)
        name = "max_iter" if "max_iter" in inspect.signature(TSNE.__init__).parameters else "n_iter"
        model = TSNE(n_components=2, perplexity=30, init=y, learning_rate="auto", early_exaggeration=12, method="barnes_hut",
                     n_jobs=int(threads), **{name: int(iterations)})
        wall, cpu = time.perf_counter(), time.process_time()
        result = model.fit_transform(x)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        numpy.save(output, result.astype(numpy.float32))
        print(sklearn.__version__, wall, cpu, model.kl_divergence_)
        """;

    /// <summary>Measures and writes a Markdown table.</summary>
    /// <param name="output">Where to write.</param>
    /// <param name="quick">2,000 points and 200 steps instead of 10,000 and 750.</param>
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        output.WriteLine("## t-SNE: MNIST, 50 principal components, perplexity 30, exaggeration 12 for 250 steps, start by PCA");
        output.WriteLine();
        if (!File.Exists(BenchData.Path("tsne/mnist_pca50_10k.npy.gz")))
        {
            output.WriteLine($"Left out: there is no {BenchData.Path("tsne/mnist_pca50_10k.npy.gz")}. Set EMBEDDING_KERNELS_DATA to the folder with the reference data.");
            return;
        }

        int points = quick ? 2000 : 10_000, iterations = quick ? 300 : 750;
        using FloatMatrix all = Npy.ReadMatrix(BenchData.Path("tsne/mnist_pca50_10k.npy.gz"));
        using FloatMatrix starts = Npy.ReadMatrix(BenchData.Path("tsne/init_10k.npy"));
        using FloatMatrix data = First(all, points), start = First(starts, points);

        // The judge: for all points the affinities that were made elsewhere, so that nobody is judged by his own.
        TsneAffinities judge = quick ? TsneAffinities.FromData(data, Perplexity) : TsneAffinities.FromSparse(
            Npy.ReadInt64(BenchData.Path("tsne/P_10k_indptr.npy")),
            Array.ConvertAll(Npy.ReadInt64(BenchData.Path("tsne/P_10k_indices.npy.gz")), i => (int)i),
            Array.ConvertAll(Npy.ReadDouble(BenchData.Path("tsne/P_10k_data.npy.gz")), p => (float)p));

        output.WriteLine(FormattableString.Invariant($"{points:N0} points, {iterations} steps. The divergence is exact, in double, on the same affinities for all."));
        output.WriteLine();
        output.WriteLine("| | threads | total s | neighbours s | perplexity s | steps s | CPU s | ms per step | KL |");
        output.WriteLine("|---|---|---|---|---|---|---|---|---|");
        Warm(data, start);
        double ours = Ours(output, data, start, judge, iterations, 2);
        Ours(output, data, start, judge, iterations, 1);
        string? why = null;
        double? peer = ScikitLearn(data, start, judge, iterations, 2, output, ref why);
        output.WriteLine();
        output.WriteLine(peer is { } seconds
            ? FormattableString.Invariant($"EmbeddingKernels with 2 threads takes {ours / seconds:P1} of scikit-learn's time: {seconds / ours:F1} times as fast.")
            : $"scikit-learn was left out: {why}");
    }

    /// <summary>The whole chain, timed part by part; the total seconds.</summary>
    private static double Ours(TextWriter output, FloatMatrix data, FloatMatrix start, TsneAffinities judge, int iterations, int threads)
    {
        int n = (int)data.Rows;
        TimeSpan cpu = CpuTime();
        Stopwatch clock = Stopwatch.StartNew();
        using AlignedBuffer<long> ids = new((nint)n * NeighborsPerPoint);
        using FloatMatrix distances = new(n, NeighborsPerPoint);
        MatrixView<long> idView = new(ids.Pointer, n, NeighborsPerPoint);
        using (WorkerPool pool = new(threads))
            Similarity.TopK(data.View, data.View, NeighborsPerPoint, SimilarityMetric.Euclidean, idView, distances.View, excludeSelf: true, pool: pool);
        double search = clock.Elapsed.TotalSeconds;
        TsneAffinities affinities = TsneAffinities.FromNeighbors(idView, distances.View, Perplexity, threads);
        double calibrated = clock.Elapsed.TotalSeconds;
        TsneEmbedding map = new(affinities, start, TsneMethod.Exact, threads);
        map.Optimize(Math.Min(250, iterations), 12f, 0.5f);
        map.Optimize(iterations - Math.Min(250, iterations));
        double total = clock.Elapsed.TotalSeconds;
        double cpuSeconds = (CpuTime() - cpu).TotalSeconds;
        using FloatMatrix result = map.ToMatrix();
        Row(output, "EmbeddingKernels, exact", threads, total, search, calibrated - search, total - calibrated, cpuSeconds, iterations, Divergence(judge, result));
        return total;
    }

    /// <summary>Compiles what will be measured.</summary>
    private static void Warm(FloatMatrix data, FloatMatrix start)
    {
        using FloatMatrix few = First(data, 500), origin = First(start, 500);
        new TsneEmbedding(TsneAffinities.FromData(few, Perplexity), origin).Optimize(20);
    }

    private static double? ScikitLearn(
        FloatMatrix data, FloatMatrix start, TsneAffinities judge, int iterations, int threads, TextWriter output, ref string? why)
    {
        if (Python.Find("sklearn", out string reason) is not { } python)
        {
            why = $"no Python here can import sklearn ({reason}).";
            return null;
        }

        DirectoryInfo folder = Directory.CreateTempSubdirectory("tsne-peer-");
        try
        {
            string x = Path.Combine(folder.FullName, "x.npy"), y = Path.Combine(folder.FullName, "y.npy"), map = Path.Combine(folder.FullName, "map.npy");
            Npy.Write(x, data);
            Npy.Write(y, start);
            string? answer = Python.Run(python, ["-c", Peer, x, y, Text(iterations), Text(threads), map], out string error);
            if (answer is null)
            {
                why = $"it failed: {LastLine(error)}";
                return null;
            }

            string[] fields = answer.Split(' ', StringSplitOptions.TrimEntries);
            double wall = double.Parse(fields[1], CultureInfo.InvariantCulture), cpu = double.Parse(fields[2], CultureInfo.InvariantCulture);
            using FloatMatrix result = Npy.ReadMatrix(map);
            Row(output, $"scikit-learn {fields[0]}, Barnes-Hut", threads, wall, null, null, null, cpu, iterations, Divergence(judge, result));
            return wall;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Row(
        TextWriter output, string name, int threads, double total, double? search, double? perplexity, double? steps, double cpu, int iterations, double divergence) =>
        output.WriteLine(FormattableString.Invariant(
            $"| {name} | {threads} | {total:F2} | {search:F2} | {perplexity:F2} | {steps:F2} | {cpu:F2} | {(steps ?? total) * 1000 / iterations:F2} | {divergence:F4} |"));

    /// <summary>KL(P || Q) from all pairs in double.</summary>
    private static double Divergence(TsneAffinities judge, FloatMatrix map)
    {
        int n = (int)map.Rows;
        double sumQ = 0, divergence = 0;
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < i; j++)
                sumQ += 2 * Q(i, j);
        }

        for (int i = 0; i < n; i++)
        {
            for (int t = (int)judge.Joint.RowOffsets[i]; t < judge.Joint.RowOffsets[i + 1]; t++)
            {
                double p = judge.Joint.Values[t];
                if (p > 0)
                    divergence += p * Math.Log(p * sumQ / Q(i, judge.Joint.ColumnIndices[t]));
            }
        }

        return divergence;

        double Q(int i, int j)
        {
            double dx = (double)map[i, 0] - map[j, 0], dy = (double)map[i, 1] - map[j, 1];
            return 1 / (1 + (dx * dx) + (dy * dy));
        }
    }

    private static FloatMatrix First(FloatMatrix matrix, int rows)
    {
        FloatMatrix first = new(rows, matrix.Columns);
        for (int i = 0; i < rows; i++)
            matrix.Row(i).CopyTo(first.Row(i));
        return first;
    }

    private static TimeSpan CpuTime()
    {
        using Process process = Process.GetCurrentProcess();
        return process.TotalProcessorTime;
    }

    private static string LastLine(string text) => text.Trim().Split('\n')[^1].Trim();

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
