using System.CommandLine;
using System.CommandLine.Parsing;
using EmbeddingKernels.Cli.Commands;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli;

/// <summary>The whole command line; <see cref="Run"/> is one call of it.</summary>
internal static class CommandLine
{
    public const int Success = 0;
    public const int Failure = 1;
    public const int Usage = 2;
    public const int Interrupted = 130;

    /// <summary>Parses and runs. Errors are one line on <paramref name="error"/>; the exit code tells their kind.</summary>
    /// <param name="args">The arguments.</param>
    /// <param name="output">Results.</param>
    /// <param name="error">Progress and errors.</param>
    /// <param name="interactive">Whether <paramref name="error"/> is a terminal that can show progress bars.</param>
    /// <param name="interrupt">Ends long work in order.</param>
    public static int Run(string[] args, TextWriter output, TextWriter error, bool interactive, CancellationToken interrupt)
    {
        Session session = new(output, error, interactive, interrupt);
        ParseResult parsed = Root(session).Parse(args);
        if (parsed.Errors.Count > 0)
            return Complain(error, parsed.Errors[0].Message + " See 'embed --help'.", Usage);

        try
        {
            return parsed.Invoke(new InvocationConfiguration
            {
                Output = output,
                Error = error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            });
        }
        catch (OperationCanceledException)
        {
            return Complain(error, "interrupted", Interrupted);
        }
        catch (UsageException exception)
        {
            return Complain(error, exception.Message, Usage);
        }
        catch (ArgumentOutOfRangeException exception)
        {
            // The options reach the library as they were typed, so a value that it refuses was typed wrongly.
            return Complain(error, exception.Message, Usage);
        }
        catch (Exception exception) when (exception is ArgumentException or IOException or UnauthorizedAccessException or InvalidDataException
            or DataFormatException or KeyNotFoundException or PlatformNotSupportedException or OutOfMemoryException or InvalidOperationException or NotSupportedException)
        {
            return Complain(error, exception.Message, Failure);
        }
    }

    private static RootCommand Root(Session session)
    {
        RootCommand root = new(
            "Embeddings on the CPU: train word vectors, search them, draw their map. Without a command: the main job, from the .NET SDK's own documentation to a map of its words.");
        CommonOptions common = new(root);
        MainJob.Configure(root, session, common);
        root.Add(TrainCommand.Create(session, common));
        root.Add(NeighborsCommand.Create(session, common));
        root.Add(AnalogyCommand.Create(session, common));
        root.Add(EvalCommand.Create(session, common));
        root.Add(SearchCommand.Create(session, common));
        root.Add(ClusterCommand.Create(session, common));
        root.Add(PcaCommand.Create(session, common));
        root.Add(MapCommand.Create(session, common));
        root.Add(FeaturesCommand.Create(session, common));
        root.Add(InfoCommand.Create(session, common));
        return root;
    }

    private static int Complain(TextWriter error, string message, int code)
    {
        error.WriteLine("embed: " + message.ReplaceLineEndings(" "));
        return code;
    }
}

/// <summary>The arguments are each right but do not go together.</summary>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>The options that every command has.</summary>
internal sealed class CommonOptions
{
    private readonly Option<int> _threads = new("--threads")
    {
        Description = "Threads that work; 1 gives the same bytes each time",
        DefaultValueFactory = _ => Environment.ProcessorCount,
        Recursive = true,
    };

    private readonly Option<long> _seed = new("--seed")
    {
        Description = "Seed of all random numbers",
        DefaultValueFactory = _ => 1,
        Recursive = true,
    };

    private readonly Option<string> _isa = new("--isa")
    {
        Description = "Instruction-set level: auto, scalar, portable, avx2 or avx512",
        DefaultValueFactory = _ => "auto",
        Recursive = true,
    };

    private readonly Option<string> _device = new("--device")
    {
        Description = "Where kernels run: auto or cpu (this build has no GPU kernels)",
        DefaultValueFactory = _ => "auto",
        Recursive = true,
    };

    public CommonOptions(RootCommand root)
    {
        _isa.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "auto", "scalar", "portable", "avx2", "avx512");
        _device.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "auto", "cpu");
        _threads.Validators.Add(result => RequireRange(result, 1, 1024));
        root.Add(_threads);
        root.Add(_seed);
        root.Add(_isa);
        root.Add(_device);
    }

    public int Threads(ParseResult parsed) => parsed.GetValue(_threads);

    public long Seed(ParseResult parsed) => parsed.GetValue(_seed);

    /// <summary>Makes a command's action: its work with the level of <c>--isa</c> in force.</summary>
    public Func<ParseResult, int> Action(Action<ParseResult> work) => parsed =>
    {
        string isa = parsed.GetValue(_isa)!;
        if (isa.Equals("auto", StringComparison.OrdinalIgnoreCase))
        {
            work(parsed);
            return CommandLine.Success;
        }

        using IsaScope scope = Isa.Use(Enum.Parse<IsaLevel>(isa, ignoreCase: true));
        work(parsed);
        return CommandLine.Success;
    };

    private static void RequireRange(OptionResult result, int least, int most)
    {
        if (result.GetValueOrDefault<int>() is int value && (value < least || value > most))
            result.AddError($"{result.Option.Name} must be {least} to {most}, not {value}.");
    }
}
