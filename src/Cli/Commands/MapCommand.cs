using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed map VECTORS|X.npy -o map.html</c>.</summary>
internal static class MapCommand
{
    /// <summary>Neighbours that a click on a point of the map lists.</summary>
    public const int ListedNeighbours = 10;

    /// <summary>Points up to which they are listed; each takes about 100 bytes of the page.</summary>
    public const int ListedPoints = 20_000;

    /// <summary>Principal components that stand for the columns of wide data.</summary>
    public const int Components = 50;

    /// <summary>Columns above which data is wide.</summary>
    public const int ManyColumns = 100;

    public static Command Create(Session session, CommonOptions common)
    {
        Argument<string> file = new("VECTORS") { Description = "Word vectors (word2vec) or any rows (.npy, .fvecs, .bvecs)" };
        Option<string> output = new("--output", "-o") { Description = "map.html (and map.svg beside it), map.svg, or map.npy for the positions", DefaultValueFactory = _ => "map.html" };
        Option<string?> labels = new("--labels") { Description = "A class for each row, which colours it: a text file with one on each line, or a .npy of class numbers" };
        Option<int?> limit = new("--limit") { Description = $"Rows to map, from the first one; 0 for all [default: {MainJob.MapWords} words, all rows of other files]" };
        MapFiles files = new();
        MapArguments arguments = new();
        Command command = new("map", "Draw a t-SNE map as a self-contained web page and a printable SVG.") { file, output, labels, limit };
        files.AddTo(command);
        arguments.AddTo(command);
        command.SetAction(common.Action(parsed =>
        {
            if (parsed.GetValue(limit) is < 0 and int negative)
                throw new UsageException($"--limit must be 0 or more, not {negative}.");
            string path = parsed.GetValue(file)!;
            using VectorFile rows = VectorFile.Open(path);
            MapSettings settings = arguments.Read(parsed, common, rows.Words is not null);
            string target = parsed.GetValue(output)!;
            CheckOutput(target, settings.Tsne.Dimensions);
            int wanted = parsed.GetValue(limit) ?? (rows.Words is null ? 0 : MainJob.MapWords);
            nint count = wanted == 0 ? rows.Rows.Rows : Math.Min(rows.Rows.Rows, wanted);
            MapLabels known = files.Read(parsed, MapLabels.Read(parsed.GetValue(labels), rows.Words, count), path, count, out string[] named);
            known = files.ReadPictures(session, parsed, known, named, target, settings.Tsne.Threads);
            string title = Path.GetFileNameWithoutExtension(path);

            // What is reduced need not be floats first: bytes are read where they lie.
            int components = ComponentsFor(settings, rows.Rows.Columns);
            if (components == 0)
            {
                Draw(session, rows.Floats.Slice(0, count), known, title, settings, target);
                return;
            }

            using FloatMatrix reduced = Reduce(session, rows.Rows.Slice(0, count), components, settings.Tsne);
            Draw(session, reduced.View, known, title, settings, target, $"{rows.Rows.Columns} dimensions, {components} by PCA");
        }));
        return command;
    }

    /// <summary>Lays out the rows and writes the files. An interrupted layout is written as far as it came.</summary>
    /// <param name="session">Where progress goes.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="labels">What stands at them.</param>
    /// <param name="title">The heading.</param>
    /// <param name="settings">How the map is made.</param>
    /// <param name="path">The file to write; its name says of which kind.</param>
    /// <param name="dimensions">What the rows were; null where they are the data itself.</param>
    public static void Draw(Session session, MatrixView<float> rows, MapLabels labels, string title, MapSettings settings, string path, string? dimensions = null)
    {
        TsneOptions options = settings.Tsne;
        options.Validate();
        Stopwatch clock = Stopwatch.StartNew();
        TsneAffinities affinities = Attract(session, rows, settings, path, out Listed listed);
        using FloatMatrix start = options.Initialization == TsneStart.Spectral
            ? session.Step("found the spectral start", "points", _ => Tsne.Initialize(affinities, options, session.Interrupt))
            : Tsne.Initialize(rows, options);
        TsneEmbedding embedding = new(affinities, start, options.Method, options.Threads, options.DegreesOfFreedom, options.Theta);
        bool complete = session.Step("laid out the map", "iterations", step => LayOut(session, embedding, options, step));
        string made = string.Create(
            CultureInfo.InvariantCulture,
            $"{rows.Rows:N0} {labels.Noun(rows.Rows)}, {dimensions ?? $"{rows.Columns} dimensions"} · t-SNE ({Name(embedding.Method)}), perplexity {Perplexities(settings)}, {embedding.Iteration} iterations, KL divergence {embedding.KlDivergence:F3} · {clock.Elapsed.TotalSeconds:F1} s");
        Write(session, labels, embedding, listed, title, made, options, path);
        if (!complete)
            throw new OperationCanceledException();
    }

    /// <summary>A page or a drawing is flat.</summary>
    private static void CheckOutput(string path, int dimensions)
    {
        if (dimensions != 2 && !IsNpy(path))
            throw new UsageException($"--dimensions {dimensions} gives positions only: --output must end in .npy, not '{path}'.");
    }

    private static bool IsNpy(string path) =>
        path.EndsWith(".npy", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".npy.gz", StringComparison.OrdinalIgnoreCase);

    /// <summary>How many components stand for the columns; 0 where they stay as they are.</summary>
    private static int ComponentsFor(MapSettings settings, nint columns)
    {
        // Components keep distances, not angles or dot products, so nothing is reduced unasked under those metrics.
        int wanted = settings.Components ?? (columns > ManyColumns && settings.Tsne.Metric == TsneMetric.Euclidean ? Components : 0);
        return wanted < columns ? wanted : 0;
    }

    private static FloatMatrix Reduce(Session session, RowsView rows, int components, TsneOptions options) =>
        session.Step("reduced the columns", "rows", step =>
        {
            using WorkerPool pool = new(options.Threads);
            components = (int)Math.Min(components, rows.Rows);
            Pca pca = Pca.Fit(rows, new PcaOptions { Components = components, Seed = options.Seed }, pool, session.Interrupt);
            FloatMatrix reduced = pca.Transform(rows, pool);
            step.Note = string.Create(CultureInfo.InvariantCulture, $"{rows.Columns} to {components}, {100 * pca.ExplainedVarianceRatio.Sum():F1}% of the variance (--pca 0 keeps all)");
            step.Report(rows.Rows, rows.Rows);
            return reduced;
        });

    /// <summary>Neighbours and affinities. The list for the page is taken from the same search.</summary>
    private static TsneAffinities Attract(Session session, MatrixView<float> rows, MapSettings settings, string path, out Listed listed)
    {
        TsneOptions options = settings.Tsne;
        int most = settings.Listed ?? (rows.Rows <= ListedPoints ? ListedNeighbours : 0);
        if (IsNpy(path) || path.EndsWith(".svg", StringComparison.OrdinalIgnoreCase))
            most = 0;
        else if (most == 0 && settings.Listed is null)
            session.Say(string.Create(CultureInfo.InvariantCulture, $"the page lists no neighbours: more than {ListedPoints:N0} rows (--list-neighbors {ListedNeighbours} for them)"));
        (TsneAffinities affinities, listed) = session.Step("found neighbours and affinities", "points", step =>
        {
            (TsneAffinities, Listed) found = Attract(rows, settings, most, step, session.Interrupt);
            double recall = found.Item1.Recall;
            if (recall < 1)
                step.Note = string.Create(CultureInfo.InvariantCulture, $"approximate, recall {recall:F3} (sampled)");
            return found;
        });
        return affinities;
    }

    private static (TsneAffinities, Listed) Attract(MatrixView<float> rows, MapSettings settings, int most, StepProgress step, CancellationToken interrupt)
    {
        TsneOptions options = settings.Tsne;
        if (most == 0)
        {
            DirectProgress<TsneProgress> told = new(p => step.Report(p.Iteration, p.Iterations));
            return (TsneAffinities.FromData(rows, settings.Kernel, options.Metric, options.Neighbors, options.Threads, told, interrupt), Listed.None);
        }

        SimilarityMetric metric = options.Metric switch
        {
            TsneMetric.Cosine => SimilarityMetric.Cosine,
            TsneMetric.Dot => SimilarityMetric.Dot,
            _ => SimilarityMetric.Euclidean,
        };
        double total = rows.Rows;
        using NeighborGraph graph = NeighborGraph.Build(
            rows,
            settings.NeighborCount(rows.Rows),
            metric,
            options.Neighbors,
            new NeighborOptions { Threads = options.Threads },
            new DirectProgress<NeighborProgress>(p => step.Report(p.Fraction * total, total)),
            interrupt);
        return (TsneAffinities.FromGraph(graph, settings.Kernel, options.Threads), Listed.Of(graph, most));
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
            if (embedding.Iteration < options.Iterations)
                step.Note += embedding.Stop == TsneStop.NoProgress ? ", which falls no further" : ", a phase ended where there was no gradient left";
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private static void Write(
        Session session, MapLabels labels, TsneEmbedding embedding, Listed listed, string title, string made, TsneOptions options, string path)
    {
        if (IsNpy(path))
        {
            using FloatMatrix positions = embedding.ToMatrix();
            Npy.Write(path, positions);
            session.Say($"wrote {path}");
            return;
        }

        MapData data = new(embedding.Axis(0).ToArray(), embedding.Axis(1).ToArray(), labels.Labels)
        {
            Groups = labels.Groups,
            Pictures = labels.Pictures,
            Neighbours = listed.Ids,
            NeighbourScores = listed.Scores,
        };
        MapOptions page = new()
        {
            Title = title,
            Subtitle = made,
            Noun = labels.Noun(1),
            NounPlural = labels.Noun(2),
            WriteNames = labels.Written,
            ScoreName = options.Metric switch { TsneMetric.Cosine => "cosine", TsneMetric.Dot => "dot product", _ => "distance" },
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

    private static string Name(TsneMethod method) => method switch
    {
        TsneMethod.BarnesHut => "Barnes-Hut",
        TsneMethod.Fft => "FFT",
        _ => "exact",
    };

    private static string Perplexities(MapSettings settings) =>
        string.Join(" and ", settings.Perplexities.Select(p => p.ToString("0.#", CultureInfo.InvariantCulture)));

    /// <summary>The first neighbours of each point, row by row.</summary>
    private sealed record Listed(int[] Ids, float[] Scores)
    {
        public static Listed None { get; } = new([], []);

        public static Listed Of(NeighborGraph graph, int most)
        {
            int k = Math.Min(most, graph.Neighbors);
            Listed listed = new(new int[(long)graph.Points * k], new float[(long)graph.Points * k]);
            for (int i = 0; i < graph.Points; i++)
            {
                graph.IdsOf(i)[..k].CopyTo(listed.Ids.AsSpan(i * k, k));
                graph.ScoresOf(i)[..k].CopyTo(listed.Scores.AsSpan(i * k, k));
            }

            return listed;
        }
    }
}
