using System.Globalization;
using System.Text.RegularExpressions;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// FIt-SNE (KlugerLab), the program fast_tsne 1.2.1 in its own file format: a header of settings, the data, and three files
/// of affinities that it would write itself.
/// </summary>
internal sealed partial class FitSne(string program) : ITsnePeer
{
    private const string Version = "1.2.1";

    public string Name => $"FIt-SNE {Version}";

    public static FitSne? TryFind(out string why) =>
        PeerProgram.Find("FIT_SNE", "fast_tsne", out why) is { } program ? new(program) : null;

    public TsneRun Run(TsneProblem problem, TsneTask task)
    {
        string folder = Directory.CreateTempSubdirectory("fit-sne-").FullName;
        try
        {
            WriteSettings(Path.Combine(folder, "data.dat"), problem, task);
            if (task.Given)
                WriteAffinities(folder, problem.Affinities.Joint);
            (string text, Seconds time) = PeerProgram.Run(
                program, [Version, "data.dat", "result.dat", task.Threads.ToString(CultureInfo.InvariantCulture)], folder, task.Threads);

            // It says the seconds of every 50 steps, with two decimals.
            double early = 0, all = 0;
            foreach (Match match in Progress().Matches(text))
            {
                double seconds = double.Parse(match.Groups[2].ValueSpan, CultureInfo.InvariantCulture);
                all += seconds;
                if (int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) <= task.Early)
                    early += seconds;
            }

            // Outside of its steps and the search it reads and writes, with one thread.
            double others = time.Wall - all;
            Seconds steps = new(all, task.Given ? time.Cpu - others : double.NaN);
            return new(
                task.Given ? 0 : others, 1e3 * early / task.Early, 1e3 * (all - early) / (task.Steps - task.Early), steps, task.Given ? steps : time,
                ReadMap(Path.Combine(folder, "result.dat")));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [GeneratedRegex(@"Iteration (\d+) \(\d+ iterations in ([\d.]+) seconds\)")]
    private static partial Regex Progress();

    // The order and types of fields that fast_tsne reads; the values are the defaults of its Python wrapper.
    private static void WriteSettings(string file, TsneProblem problem, TsneTask task)
    {
        using BinaryWriter writer = new(new BufferedStream(File.Create(file), 1 << 20));
        int n = problem.Points, d = task.Given ? 1 : (int)problem.Data.Columns;
        writer.Write(n);
        writer.Write(d);
        writer.Write(0.5); // theta, which FFT does not use
        writer.Write(TsneProblem.Perplexity);
        writer.Write(2); // dimensions of the map
        writer.Write(task.Steps);
        writer.Write(task.Early);
        writer.Write(task.Early); // momentum switches here
        writer.Write(0.5);
        writer.Write(0.8);
        writer.Write(TsneTask.LearningRate(n, factorInGradient: false));
        writer.Write(5.0); // longest step
        writer.Write(-1); // neighbours, from the perplexity
        writer.Write(-1.0); // bandwidth, from the perplexity
        writer.Write(2); // FFT
        writer.Write(1); // neighbours by Annoy
        writer.Write(TsneTask.Exaggeration);
        writer.Write(0); // momentum from the start
        writer.Write(50); // trees of Annoy
        writer.Write((int)(3 * TsneProblem.Perplexity * 50)); // nodes it looks at
        writer.Write(-1); // no late exaggeration
        writer.Write(1.0);
        writer.Write(3); // interpolation points per interval
        writer.Write(1.0); // intervals per unit
        writer.Write(50); // intervals at least
        for (int i = 0; i < n; i++)
        {
            for (int axis = 0; axis < d; axis++)
                writer.Write((double)problem.Data[i, axis]);
        }

        writer.Write(1); // seed
        writer.Write(1.0); // degrees of freedom
        writer.Write(task.Given ? 1 : 0); // load affinities
        for (int i = 0; i < n; i++)
        {
            for (int axis = 0; axis < 2; axis++)
                writer.Write((double)problem.Start[i, axis]);
        }
    }

    private static void WriteAffinities(string folder, CsrMatrix joint)
    {
        using BinaryWriter rows = Open("P_row.dat"), columns = Open("P_col.dat"), values = Open("P_val.dat");
        foreach (long offset in joint.RowOffsets)
            rows.Write((uint)offset);
        foreach (int column in joint.ColumnIndices)
            columns.Write((uint)column);
        foreach (float value in joint.Values)
            values.Write((double)value);

        BinaryWriter Open(string name) => new(new BufferedStream(File.Create(Path.Combine(folder, name)), 1 << 20));
    }

    private static FloatMatrix ReadMap(string file)
    {
        using BinaryReader reader = new(new BufferedStream(File.OpenRead(file), 1 << 20));
        FloatMatrix map = new(reader.ReadInt32(), reader.ReadInt32());
        for (nint i = 0; i < map.Rows; i++)
        {
            for (nint axis = 0; axis < map.Columns; axis++)
                map[i, axis] = (float)reader.ReadDouble();
        }

        return map;
    }
}
