using System.CommandLine;
using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed features images MODEL FILES|FOLDER... -o features.npy</c>.</summary>
internal static class FeaturesImagesCommand
{
    /// <summary>The name that networks give to what their classifier is fed.</summary>
    private const string BeforeClassifier = "embedding";

    public static Command Create(Session session, CommonOptions common)
    {
        Argument<string> model = new("MODEL") { Description = "Network: .onnx, or .safetensors of a built-in architecture" };
        Argument<string[]> paths = new("FILES") { Description = "Pictures (PNG, JPEG, BMP, PPM, PGM, PBM) and folders of them, searched deep", Arity = ArgumentArity.ZeroOrMore };
        Option<string> output = FeaturesCommand.Output();
        Option<string?> layer = new("--layer") { Description = $"Layer whose values are the vector [default: '{BeforeClassifier}', the classifier's input, where there is one; else the output]" };
        Option<bool> list = new("--layers") { Description = "Only list the layers that --layer may name" };
        Option<string> preset = new("--preset") { Description = $"How pictures are cut, resized and scaled: {string.Join(", ", ImagePreset.Names)}", DefaultValueFactory = _ => ImagePreset.Torchvision.Name };
        preset.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, [.. ImagePreset.Names]);
        Option<int> batch = new("--batch") { Description = "Pictures that go through the network at once", DefaultValueFactory = _ => 16 };
        Option<int?> size = new("--size") { Description = "Rows and columns of the input, where the network leaves them open" };
        Command command = new("images", "Turn pictures into vectors: the values of a layer of a trained network.") { model, paths, output, layer, list, preset, batch, size };
        command.SetAction(common.Action(parsed =>
        {
            Settings settings = new(parsed.GetValue(layer), ImagePreset.Parse(parsed.GetValue(preset)!), parsed.GetValue(batch), parsed.GetValue(size), common.Threads(parsed));
            if (settings.Batch is < 1 or > 4096)
                throw new UsageException($"--batch must be 1 to 4096, not {settings.Batch}.");
            if (settings.Size is < 1 or > 16384)
                throw new UsageException($"--size must be 1 to 16384, not {settings.Size}.");
            using Network network = Network.Load(parsed.GetValue(model)!);
            if (parsed.GetValue(list))
            {
                List(session, network, settings);
                return;
            }

            if (parsed.GetValue(paths) is not { Length: > 0 } named)
                throw new UsageException("Name the pictures, or a folder of them, behind the network.");
            List<string> files = ImageFiles.Find(named);
            using FeaturesWriter writer = new(parsed.GetValue(output)!, files.Count);
            bool complete = session.Step("computed the features", "pictures", step => Compute(session, network, files, settings, writer, step));
            writer.Finish(session, complete);
        }));
        return command;
    }

    /// <summary>False after an interrupt.</summary>
    private static bool Compute(Session session, Network network, List<string> files, Settings settings, FeaturesWriter writer, StepProgress step)
    {
        int[] shape = InputShape(network, settings.Size);
        string? layer = settings.Layer ?? (network.Layers.Contains(BeforeClassifier) ? BeforeClassifier : null);
        int length = shape[1] * shape[2] * shape[3], done = 0, filled = 0;
        step.Note = $"layer {layer ?? network.Outputs[0].Name}, {settings.Preset.Name}";
        using WorkerPool pool = new(settings.Threads);
        using ImageFeed feed = new(files, settings.Preset, shape[2], shape[3], 2 * settings.Batch, settings.Threads, session.Interrupt);
        float[] inputs = new float[checked(length * Math.Min(settings.Batch, files.Count))];
        List<string> names = [];
        try
        {
            foreach (string file in files)
            {
                Exception? problem = feed.Take(inputs.AsSpan(filled * length, length));
                done++;
                if (problem is not null)
                {
                    writer.Fail(file, problem);
                }
                else
                {
                    filled++;
                    names.Add(file);
                }

                if (filled * length < inputs.Length && done < files.Count)
                    continue;
                Run(network, inputs.AsSpan(0, filled * length), [filled, .. shape[1..]], layer, names, writer, pool);
                names.Clear();
                filled = 0;
                step.Report(done, files.Count);
            }

            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private static unsafe void Run(Network network, ReadOnlySpan<float> inputs, int[] shape, string? layer, List<string> names, FeaturesWriter writer, WorkerPool pool)
    {
        if (names.Count == 0)
            return;
        IReadOnlyList<int> given = network.LayerShape(layer, shape);
        long length = 1;
        foreach (int extent in given)
            length *= extent;
        if (length % names.Count != 0)
            throw new InvalidDataException($"The layer '{layer}' has the shape {string.Join(" x ", given)}, which is no row for each picture.");
        using FloatMatrix features = new(names.Count, (nint)(length / names.Count));
        network.Run(inputs, shape, layer, new Span<float>(features.View.Data, checked((int)length)), pool);
        for (int i = 0; i < names.Count; i++)
            writer.Add(names[i], features.Row(i));
    }

    /// <summary>1 x 3 x rows x columns.</summary>
    private static int[] InputShape(Network network, int? size)
    {
        IReadOnlyList<int> declared = network.Inputs.Count == 1 ? network.Inputs[0].Shape : [];
        if (declared.Count != 4 || declared[1] is not (3 or -1))
            throw new InvalidDataException($"The network's input is {string.Join(" x ", declared)}, not a batch of pictures with three colours.");
        return [1, 3, Extent(declared[2]), Extent(declared[3])];

        int Extent(int extent) => size ?? (extent > 0 ? extent : throw new UsageException("The network leaves the size of its input open: give it by --size."));
    }

    private static void List(Session session, Network network, Settings settings)
    {
        int[]? shape = network.Inputs.Count == 1 && network.Inputs[0].Shape is { Count: 4 } declared && (settings.Size is not null || (declared[2] > 0 && declared[3] > 0))
            ? InputShape(network, settings.Size)
            : null;
        foreach (string name in network.Layers)
            session.Output.WriteLine(shape is null ? name : string.Create(CultureInfo.InvariantCulture, $"{name,-40} {string.Join(" x ", network.LayerShape(name, shape).Skip(1))}"));
    }

    private sealed record Settings(string? Layer, ImagePreset Preset, int Batch, int? Size, int Threads);
}
