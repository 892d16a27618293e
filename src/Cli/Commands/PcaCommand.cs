using System.CommandLine;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed pca DATA -n 50 -o out.npy</c>.</summary>
internal static class PcaCommand
{
    public static Command Create(Session session, CommonOptions common)
    {
        PcaOptions defaults = new();
        Argument<string> file = new("DATA") { Description = $"Rows: {VectorFile.Kinds}" };
        Option<int> count = new("-n") { Description = "Components", DefaultValueFactory = _ => defaults.Components };
        Option<string?> output = new("--output", "-o") { Description = "File of the rows' coordinates along the components, if wanted: .npy or .fvecs" };
        Option<string?> components = new("--components") { Description = "File of the components, a row for each, if wanted: .npy or .fvecs" };
        Option<bool> whiten = new("--whiten") { Description = "Scale the coordinates to variance 1" };
        Option<string> solver = new("--solver") { Description = "auto, exact or randomized", DefaultValueFactory = _ => "auto" };
        solver.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "auto", "exact", "randomized");
        Command command = new("pca", "Find the directions of largest variance, and print the share that each has.") { file, count, output, components, whiten, solver };
        command.SetAction(common.Action(parsed =>
        {
            ResultFile.Check(parsed.GetValue(output), VecsKind.Floats);
            ResultFile.Check(parsed.GetValue(components), VecsKind.Floats);
            PcaOptions options = new()
            {
                Components = parsed.GetValue(count),
                Solver = Enum.Parse<PcaSolver>(parsed.GetValue(solver)!, ignoreCase: true),
                Whiten = parsed.GetValue(whiten),
                Seed = common.Seed(parsed),
            };
            options.Validate();
            using VectorFile rows = VectorFile.Open(parsed.GetValue(file)!);
            using WorkerPool pool = new(common.Threads(parsed));
            Pca pca = session.Step("found the components", "rows", step =>
            {
                Pca found = Pca.Fit(rows.Rows, options, pool, session.Interrupt);
                step.Report(rows.Rows.Rows, rows.Rows.Rows);
                return found;
            });
            Print(session, pca);
            if (parsed.GetValue(output) is string path)
            {
                using FloatMatrix coordinates = pca.Transform(rows.Rows, pool);
                ResultFile.Write(session, path, coordinates);
            }

            if (parsed.GetValue(components) is string componentPath)
                ResultFile.Write(session, componentPath, pca.Components);
        }));
        return command;
    }

    private static void Print(Session session, Pca pca)
    {
        double[] ratios = pca.ExplainedVarianceRatio;
        double sum = 0;
        session.Output.WriteLine("component   variance      share   sum of shares");
        for (int k = 0; k < ratios.Length; k++)
        {
            sum += ratios[k];
            session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{k + 1,-9} {pca.ExplainedVariance[k],10:G6} {ratios[k],10:F6} {sum,10:F6}"));
        }
    }
}
