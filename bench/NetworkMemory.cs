using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>The memory of a network at batch 1, in a process of its own.</summary>
internal static class NetworkMemory
{
    /// <summary>Prints a table with the network's row.</summary>
    public static void Write(TextWriter output, NetworkModel model)
    {
        if (!OperatingSystem.IsLinux())
            return;
        using NetworkFiles files = new(model);
        double weights = 4e-6 * model.Layers.TakeWhile((_, i) => i == 0 || model.Layers[i - 1].Name != model.Feature).Sum(layer => (double)layer.WeightLength + layer.Channels);
        string answer = MachineCode.Dotnet(
            typeof(NetworkMemory).Assembly.Location,
            ["network-memory", files.Onnx, model.Feature, .. new[] { model.InputLength, model.FeatureLength }.Select(number => number.ToString(CultureInfo.InvariantCulture))],
            new Dictionary<string, string>());
        double[] megabytes = PeerProgram.LastLine(answer);
        output.WriteLine();
        output.WriteLine("#### Memory at batch 1, in a process of its own: MB that it had more than before the network was loaded");
        output.WriteLine();
        output.WriteLine("Its own pages, not those of the file. Weights: those up to the asked layer, as the file has them; what is kept of them for Winograd's algorithms is larger.");
        output.WriteLine();
        output.WriteLine("| network | weights in the file | loaded | after a run | highest in runs, pages of the file with it |");
        output.WriteLine("|---|---|---|---|---|");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {model.Name} | {weights:F0} | {megabytes[0]:F0} | {megabytes[1]:F0} | {megabytes[2]:F0} |"));
        output.Flush();
    }

    /// <summary>What the process does; its last line is what <see cref="Write"/> reads.</summary>
    public static void RunOne(string path, string layer, int inputLength, int outputLength)
    {
        using AlignedBuffer<float> input = BenchData.Random(inputLength, 5);
        float[] output = new float[outputLength];
        double before = Status("RssAnon"), all = Status("VmRSS");
        using Network network = Network.LoadOnnx(path);
        Collect();
        double loaded = Status("RssAnon");
        File.WriteAllText("/proc/self/clear_refs", "5"); // the highest begins anew
        for (int run = 0; run < 3; run++)
            network.Run(input.AsSpan(), 1, layer, output);
        double highest = Status("VmHWM");
        Collect();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{loaded - before} {Status("RssAnon") - before} {highest - all}"));
    }

    private static void Collect()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
    }

    /// <summary>A line of the process's status, in MB.</summary>
    private static double Status(string name) =>
        1.024e-3 * double.Parse(
            File.ReadLines("/proc/self/status").First(line => line.StartsWith(name + ":", StringComparison.Ordinal)).Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1],
            CultureInfo.InvariantCulture);
}
