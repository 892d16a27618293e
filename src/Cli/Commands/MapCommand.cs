using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed map VECTORS|X.npy -o map.html</c>.</summary>
internal static class MapCommand
{
    /// <summary>Neighbours that a click on a point of the map lists.</summary>
    private const int ListedNeighbours = 10;

    public static Command Create(Session session, CommonOptions common)
    {
        TsneOptions defaults = new();
        Argument<string> file = new("VECTORS") { Description = "Word vectors (word2vec) or any rows (.npy, .fvecs, .bvecs)" };
        Option<string> output = new("--output", "-o") { Description = "map.html (and map.svg beside it), map.svg, or map.npy for the positions", DefaultValueFactory = _ => "map.html" };
        Option<string?> labels = new("--labels") { Description = "A class for each row, which colours it: a text file with one on each line, or a .npy of class numbers" };
        Option<int?> limit = new("--limit") { Description = $"Rows to map, from the first one; 0 for all [default: {MainJob.MapWords} words, all rows of other files]" };
        Option<double> perplexity = new("--perplexity") { Description = "Effective number of neighbours", DefaultValueFactory = _ => defaults.Perplexity };
        Option<int> iterations = new("--iterations") { Description = "Gradient steps", DefaultValueFactory = _ => defaults.Iterations };
        Option<string> method = new("--method") { Description = "How repulsion is computed: auto or exact", DefaultValueFactory = _ => "auto" };
        method.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "auto", "exact");
        Option<string> init = new("--init") { Description = "pca or random", DefaultValueFactory = _ => "pca" };
        init.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "pca", "random");
        Command command = new("map", "Draw a t-SNE map as a self-contained web page and a printable SVG.") { file, output, labels, limit, perplexity, iterations, method, init };
        command.SetAction(common.Action(parsed =>
        {
            if (parsed.GetValue(limit) is < 0 and int negative)
                throw new UsageException($"--limit must be 0 or more, not {negative}.");
            string path = parsed.GetValue(file)!;
            using VectorFile rows = VectorFile.Open(path);
            int wanted = parsed.GetValue(limit) ?? (rows.Words is null ? 0 : MainJob.MapWords);
            nint count = wanted == 0 ? rows.Rows.Rows : Math.Min(rows.Rows.Rows, wanted);
            TsneOptions options = new()
            {
                Perplexity = parsed.GetValue(perplexity),
                Iterations = parsed.GetValue(iterations),
                Initialization = Enum.Parse<TsneStart>(parsed.GetValue(init)!, ignoreCase: true),
                Method = Enum.Parse<TsneMethod>(parsed.GetValue(method)!, ignoreCase: true),
                Metric = rows.Words is null ? TsneMetric.Euclidean : TsneMetric.Cosine,
                Threads = common.Threads(parsed),
                Seed = common.Seed(parsed),
            };
            MapLabels names = MapLabels.Read(parsed.GetValue(labels), rows.Words, count);
            Draw(session, rows.Floats.Slice(0, count), names, Path.GetFileNameWithoutExtension(path), options, parsed.GetValue(output)!);
        }));
        return command;
    }

    /// <summary>Lays out the rows and writes the files. An interrupted layout is written as far as it came.</summary>
    public static void Draw(Session session, MatrixView<float> rows, MapLabels labels, string title, TsneOptions options, string path)
    {
        options.Validate();
        Stopwatch clock = Stopwatch.StartNew();
        TsneAffinities affinities = session.Step("found neighbours and affinities", "points", step => TsneAffinities.FromData(
            rows, options.Perplexity, options.Metric, options.Threads, new DirectProgress<TsneProgress>(p => step.Report(p.Iteration, p.Iterations)), session.Interrupt));
        using FloatMatrix start = Tsne.Initialize(rows, options);
        TsneEmbedding embedding = new(affinities, start, options.Method, options.Threads);
        bool complete = session.Step("laid out the map", "iterations", step => LayOut(session, embedding, options, step));
        string made = string.Create(
            CultureInfo.InvariantCulture,
            $"{rows.Rows:N0} {labels.Noun(rows.Rows)}, {rows.Columns} dimensions · t-SNE, perplexity {options.Perplexity:0.#}, {embedding.Iteration} iterations, KL divergence {embedding.KlDivergence:F3} · {clock.Elapsed.TotalSeconds:F1} s");
        Write(session, rows, labels, embedding, title, made, options, path);
        if (!complete)
            throw new OperationCanceledException();
    }

    private static bool LayOut(Session session, TsneEmbedding embedding, TsneOptions options, StepProgress step)
    {
        DirectProgress<TsneProgress> progress = new(p =>
        {
            step.Note = string.Create(CultureInfo.InvariantCulture, $"KL {p.KlDivergence:F3}");
            step.Report(p.Iteration, p.Iterations);
        });
        try
        {
            Tsne.Optimize(embedding, options, progress, session.Interrupt);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private static void Write(
        Session session, MatrixView<float> rows, MapLabels labels, TsneEmbedding embedding, string title, string made, TsneOptions options, string path)
    {
        if (path.EndsWith(".npy", StringComparison.OrdinalIgnoreCase))
        {
            using FloatMatrix positions = embedding.ToMatrix();
            Npy.Write(path, positions);
            session.Say($"wrote {path}");
            return;
        }

        bool cosine = options.Metric == TsneMetric.Cosine;
        (int[] neighbours, float[] scores) = Neighbours(rows, cosine ? SimilarityMetric.Cosine : SimilarityMetric.Euclidean, options.Threads);
        MapData data = new(embedding.Axis(0).ToArray(), embedding.Axis(1).ToArray(), labels.Labels)
        {
            Groups = labels.Groups,
            Neighbours = neighbours,
            NeighbourScores = scores,
        };
        MapOptions page = new()
        {
            Title = title,
            Subtitle = made,
            Noun = labels.Noun(1),
            NounPlural = labels.Noun(2),
            ScoreName = cosine ? "cosine" : "distance",
        };
        if (path.EndsWith(".svg", StringComparison.OrdinalIgnoreCase))
        {
            MapSvg.Write(path, data, page);
            session.Say($"wrote {path}");
            return;
        }

        MapHtml.Write(path, data, page);
        string drawing = Path.ChangeExtension(path, ".svg");
        MapSvg.Write(drawing, data, page);
        session.Say($"wrote {path} (open it in a browser) and {drawing} (for print)");
    }

    private static unsafe (int[] Ids, float[] Scores) Neighbours(MatrixView<float> rows, SimilarityMetric metric, int threads)
    {
        int k = (int)Math.Min(ListedNeighbours, rows.Rows - 1);
        long[] ids = new long[rows.Rows * k];
        float[] scores = new float[ids.Length];
        using WorkerPool pool = new(threads);
        fixed (long* id = ids)
        fixed (float* score = scores)
            Similarity.NeighborGraph(rows, k, metric, new MatrixView<long>(id, rows.Rows, k), new MatrixView<float>(score, rows.Rows, k), pool);
        return (Array.ConvertAll(ids, value => (int)value), scores);
    }
}
