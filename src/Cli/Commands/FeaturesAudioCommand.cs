using System.CommandLine;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed features audio WAV|FOLDER... -o features.npy</c>.</summary>
internal static class FeaturesAudioCommand
{
    private static readonly HashSet<string> Endings = new(StringComparer.OrdinalIgnoreCase) { ".wav", ".wave", ".bwf", ".rf64" };

    public static Command Create(Session session, CommonOptions common)
    {
        Argument<string[]> paths = new("FILES") { Description = "WAV files, and folders that are searched for them", Arity = ArgumentArity.OneOrMore };
        Option<string> output = FeaturesCommand.Output();
        AudioChoices choices = new();
        Option<bool> frames = new("--frames") { Description = "A row for each frame, listed as FILE#FRAME, instead of one for each file" };
        Option<string?> model = new("--model") { Description = "A network (.onnx) that is fed the features; a sound is cut, or filled up with silence, to the frames that it takes" };
        Option<string?> layer = new("--layer") { Description = "The network's layer that is wanted; without: what its classifier is fed, or its output" };
        Command command = new(
            "audio",
            "Sounds to vectors. Each file gives a row: the mean of its spectrogram, mel spectrogram or cepstral coefficients over time, then the standard deviation over time; or a layer of a network that is fed them.")
        {
            paths, output, frames, model, layer,
        };
        choices.AddTo(command);
        command.SetAction(common.Action(parsed =>
        {
            AudioFeatureOptions Options(int sampleRate) => choices.Options(parsed, sampleRate);
            Options(16000).Validate(); // so that a wrong option is not taken for a wrong file
            if (parsed.GetValue(layer) is not null && parsed.GetValue(model) is null)
                throw new UsageException("--layer needs --model.");
            if (parsed.GetValue(frames) && parsed.GetValue(model) is not null)
                throw new UsageException("--frames and --model do not go together: a network gives a row for each file.");
            List<string> files = FeatureFiles.Find(parsed.GetValue(paths)!, Endings, "sounds");
            using FeaturesWriter writer = new(parsed.GetValue(output)!, files.Count);
            using WorkerPool pool = new(common.Threads(parsed));
            using SoundNetwork? network = parsed.GetValue(model) is string path ? new(path, parsed.GetValue(layer), pool) : null;
            using SoundFeatures sounds = new(Options, pool);
            bool complete = session.Step("computed the features", "files", step =>
            {
                for (int i = 0; i < files.Count; i++)
                {
                    if (session.Interrupt.IsCancellationRequested)
                        return false;
                    try
                    {
                        using FloatMatrix features = sounds.Compute(files[i], columns => network?.Frames(columns));
                        if (parsed.GetValue(frames))
                            AddFrames(writer, files[i], features);
                        else
                            writer.Add(files[i], network is null ? SoundFeatures.MeanAndDeviation(features) : network.Compute(features));
                    }
                    catch (Exception exception) when (FeaturesWriter.IsFileProblem(exception))
                    {
                        writer.Fail(files[i], exception);
                    }

                    step.Report(i + 1, files.Count);
                }

                return true;
            });
            writer.Finish(session, complete);
        }));
        return command;
    }

    private static void AddFrames(FeaturesWriter writer, string file, FloatMatrix features)
    {
        for (nint frame = 0; frame < features.Rows; frame++)
            writer.Add($"{file}#{frame}", features.Row(frame));
    }
}
