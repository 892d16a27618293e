using System.CommandLine;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed cluster DATA -k 10 -o labels.npy</c>.</summary>
internal static class ClusterCommand
{
    /// <summary>Words shown for each cluster of word vectors.</summary>
    private const int ShownWords = 8;

    public static Command Create(Session session, CommonOptions common)
    {
        KMeansOptions defaults = new();
        Argument<string> file = new("DATA") { Description = $"Rows to divide: {VectorFile.Kinds}" };
        Option<int> clusters = new("-k") { Description = "Clusters", DefaultValueFactory = _ => defaults.Clusters };
        Option<string?> output = new("--output", "-o") { Description = "File of the cluster number of each row, if wanted (.npy, int64)" };
        Option<string?> centers = new("--centers") { Description = "File of the centres, if wanted: .npy or .fvecs" };
        Option<string> init = new("--init") { Description = "First centres: k-means++, random, or a file of k rows", DefaultValueFactory = _ => "k-means++" };
        Option<int> runs = new("--n-init") { Description = "Runs with other first centres, of which the best is kept", DefaultValueFactory = _ => defaults.Initializations };
        Option<int> iterations = new("--max-iter") { Description = "Most iterations of a run", DefaultValueFactory = _ => defaults.MaxIterations };
        Option<double> tolerance = new("--tol") { Description = "End a run when the centres' squared moves sum up to this share of the mean variance", DefaultValueFactory = _ => defaults.Tolerance };
        Option<bool> spherical = new("--spherical") { Description = "Compare by angle alone (cosine), as word vectors are" };
        Command command = new("cluster", "Divide rows into k clusters (k-means) and say how large they are.")
        {
            file, clusters, output, centers, init, runs, iterations, tolerance, spherical,
        };
        command.SetAction(common.Action(parsed =>
        {
            ResultFile.Check(parsed.GetValue(output), VecsKind.Integers);
            ResultFile.Check(parsed.GetValue(centers), VecsKind.Floats);
            string start = parsed.GetValue(init)!;
            bool random = start.Equals("random", StringComparison.OrdinalIgnoreCase);
            bool named = random || start.Equals("k-means++", StringComparison.OrdinalIgnoreCase);
            KMeansOptions options = new()
            {
                Clusters = parsed.GetValue(clusters),
                Start = random ? KMeansStart.Random : KMeansStart.KMeansPlusPlus,
                Initializations = parsed.GetValue(runs),
                MaxIterations = parsed.GetValue(iterations),
                Tolerance = parsed.GetValue(tolerance),
                Spherical = parsed.GetValue(spherical),
                Seed = common.Seed(parsed),
            };
            options.Validate();
            using VectorFile? given = named ? null : VectorFile.Open(start);
            using VectorFile rows = VectorFile.Open(parsed.GetValue(file)!);
            using WorkerPool pool = new(common.Threads(parsed));
            KMeans found = session.Step("clustered", "iterations", step => KMeans.Fit(
                rows.Rows, options with { InitialCenters = given?.Matrix }, pool, new DirectProgress<KMeansProgress>(p => Report(step, p)), session.Interrupt));
            Print(session, found, rows.Vectors, pool);
            if (parsed.GetValue(output) is string labelPath)
                WriteLabels(session, labelPath, found.Labels);
            if (parsed.GetValue(centers) is string centerPath)
                ResultFile.Write(session, centerPath, found.Centers);
        }));
        return command;
    }

    private static void Report(StepProgress step, KMeansProgress progress)
    {
        string run = progress.Runs > 1 ? $"run {progress.Run} of {progress.Runs}, " : "";
        if (progress.Stage == KMeansStage.Start)
        {
            step.Note = $"{run}centre {progress.Step} of {progress.Steps}";
            return;
        }

        step.Note = string.Create(CultureInfo.InvariantCulture, $"{run}inertia {progress.Inertia:G7}");
        step.Report(progress.Step, progress.Steps);
    }

    private static void Print(Session session, KMeans found, KeyedVectors? vectors, WorkerPool pool)
    {
        int[] sizes = new int[found.Centers.Rows];
        foreach (int label in found.Labels)
            sizes[label]++;
        for (int c = 0; c < sizes.Length; c++)
        {
            string words = vectors is null ? "" : "   " + string.Join(", ", vectors.MostSimilar(found.Centers.Row(c), ShownWords, pool: pool).Select(w => w.Word));
            session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"cluster {c,-5} {sizes[c],9} rows{words}"));
        }

        session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"inertia {found.Inertia:G9} after {found.Iterations} iterations"));
    }

    private static unsafe void WriteLabels(Session session, string path, ReadOnlySpan<int> labels)
    {
        long[] numbers = new long[labels.Length];
        for (int i = 0; i < numbers.Length; i++)
            numbers[i] = labels[i];
        if (Vecs.KindOf(path) is null)
        {
            Npy.Write(path, numbers);
            session.Say($"wrote {path}");
            return;
        }

        fixed (long* first = numbers)
            ResultFile.Write(session, path, new MatrixView<long>(first, numbers.Length, 1));
    }
}
