using System.CommandLine;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed features images|audio ...</c>: files to vectors.</summary>
internal static class FeaturesCommand
{
    public static Command Create(Session session, CommonOptions common)
    {
        Command command = new("features", "Turn files into vectors, a row for each, with the list of the files beside them.");
        command.Add(FeaturesImagesCommand.Create(session, common));
        command.Add(FeaturesAudioCommand.Create(session, common));
        return command;
    }

    /// <summary>The <c>--output</c> option of all kinds of features.</summary>
    public static Option<string> Output() => new("--output", "-o")
    {
        Description = "File of the vectors: .npy or .fvecs; NAME.files.txt beside it lists the files, a line for each row",
        DefaultValueFactory = _ => "features.npy",
    };
}
