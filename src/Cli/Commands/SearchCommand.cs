using System.CommandLine;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed search BASE QUERIES -k 10 -o ids.npy</c>.</summary>
internal static class SearchCommand
{
    public static Command Create(Session session, CommonOptions common)
    {
        Argument<string> data = new("BASE") { Description = "Vectors to search: .npy (rows) or word2vec" };
        Argument<string> queries = new("QUERIES") { Description = "Vectors to search for: .npy (rows) or word2vec" };
        Option<int> count = new("-k") { Description = "Results for each query", DefaultValueFactory = _ => 10 };
        Option<string> metric = new("--metric") { Description = "cosine, dot or l2 (Euclidean)", DefaultValueFactory = _ => "cosine" };
        metric.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "cosine", "dot", "l2");
        Option<string> output = new("--output", "-o") { Description = "File of row numbers (int64, a row for each query, best first, -1 where there is none)", DefaultValueFactory = _ => "ids.npy" };
        Option<string?> scoreFile = new("--scores") { Description = "File of scores (float32), if wanted" };
        Command command = new("search", "Find the k best rows of BASE for each row of QUERIES, exactly.") { data, queries, count, metric, output, scoreFile };
        command.SetAction(common.Action(parsed =>
        {
            int k = parsed.GetValue(count);
            if (k < 1)
                throw new UsageException($"-k must be at least 1, not {k}.");
            using VectorFile baseRows = VectorFile.Load(parsed.GetValue(data)!);
            using VectorFile queryRows = VectorFile.Load(parsed.GetValue(queries)!);
            if (baseRows.Matrix.Columns != queryRows.Matrix.Columns)
                throw new InvalidDataException($"BASE has {baseRows.Matrix.Columns} columns and QUERIES {queryRows.Matrix.Columns}; they must be the same.");
            MatrixView<float> wanted = queryRows.Matrix.View;
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
                    Similarity.TopK(wanted.Slice(start, rows), baseRows.Matrix.View, k, chosen, idView.Slice(start, rows), scores.View.Slice(start, rows), pool: pool);
                    step.Report(start + rows, wanted.Rows);
                }

                return true;
            });
            Npy.Write(parsed.GetValue(output)!, idView);
            session.Say($"wrote {parsed.GetValue(output)}");
            if (parsed.GetValue(scoreFile) is string path)
            {
                Npy.Write(path, scores);
                session.Say($"wrote {path}");
            }
        }));
        return command;
    }

    private static SimilarityMetric Metric(string name) => name.ToLowerInvariant() switch
    {
        "dot" => SimilarityMetric.Dot,
        "l2" => SimilarityMetric.Euclidean,
        _ => SimilarityMetric.Cosine,
    };

    private static unsafe MatrixView<long> View(AlignedBuffer<long> buffer, nint rows, nint columns) => new(buffer.Pointer, rows, columns);
}
