using EmbeddingKernels.Bench;

namespace EmbeddingKernels.Core.Tests;

/// <summary>
/// The test assembly as a program of its own: what a test starts as a child process to see the effect of environment
/// variables that are read once.
/// </summary>
internal static class ChildProgram
{
    private static int Main(string[] arguments)
    {
        switch (arguments)
        {
            case ["level"]:
                Console.WriteLine($"{Isa.Level}; {Isa.Detected}; {Isa.Reason}");
                return 0;
            case ["demo"]:
                Console.WriteLine(WideDemo.Run());
                return 0;
            default:
                Console.Error.WriteLine("This is a test library: run it by dotnet test.");
                return 2;
        }
    }

    /// <summary>Runs this assembly's Main in a new process and gives what it wrote.</summary>
    public static string Run(string argument, params (string Name, string Value)[] environment) =>
        MachineCode.Dotnet(typeof(ChildProgram).Assembly.Location, [argument], environment.ToDictionary(pair => pair.Name, pair => pair.Value));
}
