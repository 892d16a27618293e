using System.CommandLine;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary><c>embed info</c>.</summary>
internal static class InfoCommand
{
    public static Command Create(Session session, CommonOptions common)
    {
        Command command = new("info", "Say what this machine offers and which instruction-set level is in force, and why.");
        command.SetAction(common.Action(_ =>
        {
            TextWriter output = session.Output;
            output.WriteLine($"version     {typeof(Word2Vec).Assembly.GetName().Version?.ToString(3)}");
            output.WriteLine($"runtime     {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}, {Environment.ProcessorCount} processors");
            output.WriteLine($"features    {Isa.Features}");
            output.WriteLine($"isa         {Isa.Level} ({Isa.Reason})");
            output.WriteLine($"available   {string.Join(", ", Isa.Available)} (force one by --isa or {Isa.EnvironmentVariable})");
            output.WriteLine("gpu         left out of this build: the ILGPU kernels are not part of it");
        }));
        return command;
    }
}
