using System.CommandLine;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed search BASE QUERIES -k 10 -o ids.npy</c>.</summary>
internal static class SearchCommand
{
    public static Command Create(Session session, CommonOptions common)
    {
        Argument<string> data = new("BASE") { Description = $"Vectors to search: {VectorFile.Kinds}; .npy of f4, f2, i1, u1 and .fvecs, .bvecs may be larger than memory" };
        Argument<string> queries = new("QUERIES") { Description = $"Vectors to search for: {VectorFile.Kinds}" };
        Option<int> count = new("-k") { Description = "Results for each query", DefaultValueFactory = _ => 10 };
        Option<string> metric = new("--metric") { Description = "cosine, dot, l2 (Euclidean) or sqeuclidean", DefaultValueFactory = _ => "cosine" };
        metric.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "cosine", "dot", "l2", "sqeuclidean");
        Option<string> output = new("--output", "-o") { Description = "File of row numbers, a row for each query, best first, -1 where there is none: .npy (int64) or .ivecs", DefaultValueFactory = _ => "ids.npy" };
        Option<string?> scoreFile = new("--scores") { Description = "File of scores, if wanted: .npy (float32) or .fvecs" };
        Option<string?> truthFile = new("--recall")
        {
            Description = "True neighbours, a row for each query, nearest first (.ivecs or .npy). Prints recall@k, the share of the k true nearest that is among the k found, "
                + "and R@1, R@10, R@100 as far as k goes, the share of queries whose true nearest is among the first 1, 10, 100 found",
        };
        Option<bool> named = new("--print")
        {
            Description = "Also print the results by name: words, or the lines of X.files.txt beside X.npy, as 'embed features' writes it; else row numbers",
        };
        Command command = new("search", "Find the k best rows of BASE for each row of QUERIES, exactly.") { data, queries, count, metric, output, scoreFile, truthFile, named };
        command.SetAction(common.Action(parsed =>
        {
            int k = parsed.GetValue(count);
            if (k < 1)
                throw new UsageException($"-k must be at least 1, not {k}.");
            ResultFile.Check(parsed.GetValue(output), VecsKind.Integers);
            ResultFile.Check(parsed.GetValue(scoreFile), VecsKind.Floats);
            (long[] Ids, int Columns)? truth = parsed.GetValue(truthFile) is string path ? ReadIds(path) : null;
            using VectorFile baseRows = VectorFile.Open(parsed.GetValue(data)!);
            using VectorFile queryRows = VectorFile.Open(parsed.GetValue(queries)!);
            if (baseRows.Rows.Columns != queryRows.Rows.Columns)
                throw new InvalidDataException($"BASE has {baseRows.Rows.Columns} columns and QUERIES {queryRows.Rows.Columns}; they must be the same.");
            MatrixView<float> wanted = queryRows.Floats;
            if (truth is { } known && known.Ids.Length != wanted.Rows * known.Columns)
                throw new InvalidDataException($"{parsed.GetValue(truthFile)} has {known.Ids.Length / Math.Max(known.Columns, 1)} rows for {wanted.Rows} queries.");
            using AlignedBuffer<long> ids = new(wanted.Rows * k);
            using FloatMatrix scores = new(wanted.Rows, k);
            MatrixView<long> idView = View(ids, wanted.Rows, k);
            session.Step("searched", "queries", step =>
            {
                using WorkerPool pool = new(common.Threads(parsed));
                SimilarityMetric chosen = Metric(parsed.GetValue(metric)!);

                // In batches, so that a long search can say how far it is and be stopped.
                const int Batch = 4096;
                for (nint start = 0; start < wanted.Rows; start += Batch)
                {
                    session.Interrupt.ThrowIfCancellationRequested();
                    nint rows = Math.Min(Batch, wanted.Rows - start);
                    Similarity.TopK(wanted.Slice(start, rows), baseRows.Rows, k, chosen, idView.Slice(start, rows), scores.View.Slice(start, rows), pool: pool);
                    step.Report(start + rows, wanted.Rows);
                }

                return true;
            });
            ResultFile.Write(session, parsed.GetValue(output)!, idView);
            if (parsed.GetValue(named))
                PrintNames(session, idView, scores, NamesOf(baseRows, parsed.GetValue(data)!), NamesOf(queryRows, parsed.GetValue(queries)!));
            if (parsed.GetValue(scoreFile) is string scorePath)
                ResultFile.Write(session, scorePath, scores);
            if (truth is { } neighbours)
                PrintRecall(session, ids.AsSpan(), k, neighbours.Ids, neighbours.Columns);
        }));
        return command;
    }

    /// <summary>A line for each result: the query, what was found, its score, separated by tabs.</summary>
    private static unsafe void PrintNames(Session session, MatrixView<long> ids, FloatMatrix scores, Func<long, string> found, Func<long, string> query)
    {
        for (nint i = 0; i < ids.Rows; i++)
        {
            for (nint j = 0; j < ids.Columns && ids.Row(i)[j] is >= 0 and long id; j++)
                session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{query(i)}\t{found(id)}\t{scores[i, j]:G6}"));
        }
    }

    private static Func<long, string> NamesOf(VectorFile rows, string path)
    {
        if (rows.Words is { } words)
            return row => words[(int)row];
        string list = FeaturesWriter.ListPath(path);
        if (!File.Exists(list))
            return row => row.ToString(CultureInfo.InvariantCulture);
        string[] names = MapLabels.ReadLines(list, rows.Rows.Rows, "names");
        return row => names[row];
    }

    private static void PrintRecall(Session session, ReadOnlySpan<long> found, int k, long[] truth, int truthColumns)
    {
        if (truthColumns < 1)
            throw new InvalidDataException("The file of true neighbours has no columns.");
        int both = Math.Min(k, truthColumns);
        Print($"recall@{both}", NeighborRecall.AtK(found, k, truth, truthColumns, both));
        foreach (int within in (int[])[1, 10, 100])
        {
            if (within <= k)
                Print($"R@{within}", NeighborRecall.FirstWithin(found, k, truth, truthColumns, within));
        }

        void Print(string name, double value) => session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-12} {value:F4}"));
    }

    private static (long[] Ids, int Columns) ReadIds(string path)
    {
        long[] ids = Vecs.KindOf(path) == VecsKind.Integers ? Vecs.ReadInt64(path, out int columns) : Npy.ReadInt64(path, out columns);
        return (ids, columns);
    }

    private static SimilarityMetric Metric(string name) => name.ToLowerInvariant() switch
    {
        "dot" => SimilarityMetric.Dot,
        "l2" => SimilarityMetric.Euclidean,
        "sqeuclidean" => SimilarityMetric.SquaredEuclidean,
        _ => SimilarityMetric.Cosine,
    };

    private static unsafe MatrixView<long> View(AlignedBuffer<long> buffer, nint rows, nint columns) => new(buffer.Pointer, rows, columns);
}
