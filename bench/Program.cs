using System.CommandLine;
using System.Globalization;
using BenchmarkDotNet.Running;
using EmbeddingKernels.Bench;
using EmbeddingKernels.Core;

RootCommand root = new("Benchmarks of EmbeddingKernels.")
{
    CompareCommand(),
    LimitsCommand(),
    MicroCommand(),
    DisasmCommand(),
    AccuracyCommand(),
    WorkloadCommand(),
    GrowthCommand(),
    NetworkMemoryCommand(),
};
return root.Parse(args).Invoke();

static Command CompareCommand()
{
    string[] names = [.. Comparisons.All.Keys];
    Argument<string[]> families = new("family") { Description = $"What to compare: {string.Join(", ", names.DefaultIfEmpty("(none in this build)"))} or all.", DefaultValueFactory = _ => ["all"] };
    families.AcceptOnlyFromAmong(["all", .. names]);
    Option<bool> quick = new("--quick") { Description = "Small sizes and few repetitions: shows that it runs." };
    Option<FileInfo?> file = OutputOption();
    Option<bool> save = SaveOption("FAMILY.md, or compare.md for several families,");
    Command command = new("compare", "Our kernels, the peers found on this machine and the limits, as Markdown tables. Libraries and programs outside the system's folders are named by FAISS_C, USEARCH_C, NUMKONG, PYTHON, WORD2VEC, PWORD2VEC, FIT_SNE, ONEDAL_TSNE, XNNPACK and NCNN_NETWORK.") { families, quick, file, save };
    command.SetAction(result =>
    {
        string[] chosen = result.GetValue(families)!;
        if (chosen.Contains("all"))
            chosen = names;
        if (chosen.Length == 0)
            return Fail("This build has no comparison.");
        return WithOutput(result.GetValue(file), result.GetValue(save), chosen.Length == 1 ? $"{chosen[0]}.md" : "compare.md", output =>
            Comparisons.Run($"Comparison: {string.Join(", ", chosen)}", chosen.Select(name => (name, Comparisons.All[name])), result.GetValue(quick), output));
    });
    return command;
}

static Command LimitsCommand()
{
    Option<bool> quick = new("--quick") { Description = "Short runs: shows that it runs." };
    Option<FileInfo?> file = OutputOption();
    Option<bool> save = SaveOption("limits.md");
    Command command = new("limits", "What this machine allows: arithmetic in registers, streams from memory.") { quick, file, save };
    command.SetAction(result => Comparisons.Limits is { } limits
        ? WithOutput(result.GetValue(file), result.GetValue(save), "limits.md", output =>
            Comparisons.Run("Limits of this machine", [("limits", limits)], result.GetValue(quick), output))
        : Fail("This build has no class Limits."));
    return command;
}

static Command MicroCommand()
{
    Argument<string[]> rest = new("arguments") { Description = "Passed on to BenchmarkDotNet, such as --filter '*Dot*' or --list flat.", Arity = ArgumentArity.ZeroOrMore };
    Command command = new("micro", "BenchmarkDotNet's switcher over the benchmark classes.") { rest };
    command.TreatUnmatchedTokensAsErrors = false;
    command.SetAction(result =>
    {
        // Everything after the command's name, as it was typed: the options are BenchmarkDotNet's own.
        string[] all = Environment.GetCommandLineArgs();
        BenchmarkSwitcher.FromAssembly(typeof(Comparisons).Assembly).Run(all[(Array.IndexOf(all, "micro") + 1)..]);
    });
    return command;
}

static Command DisasmCommand()
{
    Argument<string> pattern = new("pattern") { Description = "Methods as DOTNET_JitDisasm takes them: 'Dot*', '*WideDemo:Dot*', 'Namespace.Class:Method'.", DefaultValueFactory = _ => "*WideDemo:*" };
    Option<IsaLevel> level = new("--level") { Description = "The instruction-set level to compile for; it must run here.", DefaultValueFactory = _ => Isa.Level };
    Option<string> workload = new("--workload") { Description = "What the child process runs so that the method is compiled: demo, or a comparison (its quick form).", DefaultValueFactory = _ => "demo" };
    workload.AcceptOnlyFromAmong(["demo", .. Comparisons.All.Keys]);
    Option<bool> summary = new("--summary") { Description = "Only the counts, without the listings." };
    Command command = new("disasm", "The machine code of hot loops, from a child process, with counts of calls and stack traffic in loops.") { pattern, level, workload, summary };
    command.SetAction(result =>
    {
        IReadOnlyList<MethodListing> methods;
        try
        {
            methods = MachineCode.Capture(
                typeof(Comparisons).Assembly.Location, ["workload", result.GetValue(workload)!], result.GetValue(pattern)!, result.GetValue(level));
        }
        catch (InvalidOperationException exception)
        {
            return Fail(exception.Message);
        }

        foreach (MethodListing method in result.GetValue(summary) ? [] : methods)
            Console.WriteLine(string.Join(Environment.NewLine, method.Lines));
        foreach (MethodListing method in methods)
            Console.WriteLine(method.Summary);
        return 0;
    });
    return command;
}

static Command WorkloadCommand()
{
    Argument<string> name = new("name");
    Command command = new("workload", "What disasm runs in its child process.") { name };
    command.Hidden = true;
    command.SetAction(result =>
    {
        string? asked = Environment.GetEnvironmentVariable(Isa.EnvironmentVariable);
        if (asked is not null && !Isa.Level.ToString().Equals(asked, StringComparison.OrdinalIgnoreCase))
            return Fail($"Level {asked} is not in force: {Isa.Reason}");
        string workload = result.GetValue(name)!;
        if (workload == "demo")
            Console.WriteLine(WideDemo.Run());
        else
            Comparisons.All[workload](TextWriter.Null, true);
        return 0;
    });
    return command;
}

static Command GrowthCommand()
{
    Argument<int[]> numbers = new("numbers") { Description = "Points, threads, steps with exaggeration, all steps.", Arity = new ArgumentArity(4, 4) };
    Command command = new("growth", "What tsnegrowth runs in a child process for each size.") { numbers };
    command.Hidden = true;
    command.SetAction(result =>
    {
        int[] given = result.GetValue(numbers)!;
        TsneGrowthComparison.RunOne(given[0], given[1], given[2], given[3]);
    });
    return command;
}

static Command NetworkMemoryCommand()
{
    Argument<string> path = new("path"), layer = new("layer");
    Argument<int[]> lengths = new("lengths") { Description = "Floats of the input and of the layer's output.", Arity = new ArgumentArity(2, 2) };
    Command command = new("network-memory", "What networks runs in a child process to see its memory.") { path, layer, lengths };
    command.Hidden = true;
    command.SetAction(result =>
    {
        int[] given = result.GetValue(lengths)!;
        NetworkMemory.RunOne(result.GetValue(path)!, result.GetValue(layer)!, given[0], given[1]);
    });
    return command;
}

static Command AccuracyCommand()
{
    Option<int> stride = new("--stride") { Description = "Visit every n-th float; 1 visits all 2^32 and takes minutes.", DefaultValueFactory = _ => 1 };
    Option<int> threads = new("--threads") { DefaultValueFactory = _ => Environment.ProcessorCount };
    Option<string?> only = new("--function") { Description = "One function instead of all." };
    only.AcceptOnlyFromAmong("exp", "sigmoid", "tanh", "log", "reciprocal");
    Command command = new("accuracy", "The largest error of the elementary functions at each level, over all floats.") { stride, threads, only };
    command.SetAction(result =>
    {
        // 512 bits run on AVX2 too, as pairs: slower, and with a division for the reciprocal.
        IsaLevel[] levels = Isa.Detected == IsaLevel.Avx2 ? [.. Isa.Available, IsaLevel.Avx512] : [.. Isa.Available];
        using WorkerPool pool = new(result.GetValue(threads));
        int step = Math.Max(1, result.GetValue(stride));
        Console.WriteLine(MachineInfo.Header(step == 1 ? "Largest errors over all floats" : $"Largest errors over every {step}th float", quick: false));
        Console.WriteLine("| function | error | level | largest | at | inputs |");
        Console.WriteLine("|---|---|---|---|---|---|");
        string? function = result.GetValue(only);
        Report<ExpRelative>(function, levels, step, pool);
        Report<SigmoidAbsolute>(function, levels, step, pool);
        Report<TanhRelative>(function, levels, step, pool);
        Report<SigmoidRelative>(function, levels, step, pool);
        Report<LogRelative>(function, levels, step, pool);
        Report<ReciprocalRelative>(function, levels, step, pool);
    });
    return command;
}

static void Report<TFunction>(string? only, IsaLevel[] levels, int stride, WorkerPool pool)
    where TFunction : struct, IApproximation
{
    if (only is not null && !TFunction.Name.Equals(only, StringComparison.OrdinalIgnoreCase))
        return;

    WorstError[] worst = AccuracySweep.Run<TFunction>(levels, stride, pool);
    for (int i = 0; i < levels.Length; i++)
    {
        string level = levels[i] > Isa.Detected ? $"{levels[i]} (emulated)" : levels[i].ToString();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {TFunction.Name} | {TFunction.Measure} | {level} | {worst[i].Error:E2} | {worst[i].At:R} | {worst[i].Inputs:N0} |"));
    }
}

static Option<FileInfo?> OutputOption() => new("--output", "-o") { Description = "Also write the Markdown to this file." };

static Option<bool> SaveOption(string name) => new("--save") { Description = $"Also write it to {name} in bench/results/{MachineInfo.CpuFolder} under the current folder." };

static int WithOutput(FileInfo? file, bool save, string name, Func<TextWriter, int> measure)
{
    List<string> targets = [];
    if (file is not null)
        targets.Add(file.FullName);
    if (save)
        targets.Add(Path.Combine("bench", "results", MachineInfo.CpuFolder, name));
    using TeeWriter output = new(Console.Out, targets);
    return measure(output);
}

static int Fail(string reason)
{
    Console.Error.WriteLine(reason);
    return 1;
}
