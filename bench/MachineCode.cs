using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>The machine code of one method as the just-in-time compiler prints it, and what matters in it.</summary>
internal sealed partial class MethodListing
{
    private readonly bool[] _inLoop;
    private readonly Regex _stack;

    public MethodListing(string name, IReadOnlyList<string> lines)
    {
        Name = name;
        Lines = lines;
        // Without a frame pointer rbp is a register like any other.
        _stack = lines.Any(line => line.StartsWith("; rbp based frame", StringComparison.Ordinal)) ? EitherPointer() : StackPointer();
        _inLoop = MarkLoops(lines);
    }

    public string Name { get; }

    public IReadOnlyList<string> Lines { get; }

    /// <summary>Number of backward jumps.</summary>
    public int Loops { get; private set; }

    /// <summary>Instructions in loops whose widest register has <paramref name="bits"/> (128, 256, 512) bits; scalar ones count as none.</summary>
    public int VectorInstructions(int bits) => Instructions(loopsOnly: true).Count(line => Width(line) == bits);

    /// <summary>Calls in loops.</summary>
    public int CallsInLoops => Instructions(loopsOnly: true).Count(line => line.StartsWith("call", StringComparison.Ordinal));

    /// <summary>Instructions in loops that move a vector to or from the stack, or take one from there as an operand.</summary>
    public int StackVectorsInLoops => Instructions(loopsOnly: true).Count(TouchesStack);

    /// <summary>The same in the whole method.</summary>
    public int StackVectors => Instructions(loopsOnly: false).Count(TouchesStack);

    public string Summary => string.Create(
        CultureInfo.InvariantCulture,
        $"{Name}: {Loops} loops; in them {VectorInstructions(512)} zmm, {VectorInstructions(256)} ymm, {VectorInstructions(128)} xmm instructions, {CallsInLoops} calls, {StackVectorsInLoops} vectors on the stack ({StackVectors} in the whole method)");

    private IEnumerable<string> Instructions(bool loopsOnly) =>
        Enumerable.Range(0, Lines.Count).Where(i => !loopsOnly || _inLoop[i]).Select(i => Lines[i])
            .Where(line => line.StartsWith("       ", StringComparison.Ordinal)).Select(line => line.Trim());

    private bool TouchesStack(string instruction) => VectorRegister().IsMatch(instruction) && _stack.IsMatch(instruction);

    private static int Width(string instruction)
    {
        string mnemonic = instruction.Split(' ', 2)[0];
        if (mnemonic.EndsWith("ss", StringComparison.Ordinal) || mnemonic.EndsWith("sd", StringComparison.Ordinal))
            return 0;
        return VectorRegister().Matches(instruction).Select(match => match.Value[0] switch { 'z' => 512, 'y' => 256, _ => 128 }).DefaultIfEmpty().Max();
    }

    /// <summary>Marks the lines between a label and a later jump back to it.</summary>
    private bool[] MarkLoops(IReadOnlyList<string> lines)
    {
        bool[] marked = new bool[lines.Count];
        Dictionary<string, int> labels = [];
        for (int i = 0; i < lines.Count; i++)
        {
            Match label = Label().Match(lines[i]);
            if (label.Success)
                labels[label.Groups[1].Value] = i;
            Match jump = Jump().Match(lines[i]);
            if (jump.Success && labels.TryGetValue(jump.Groups[1].Value, out int target))
            {
                Loops++;
                Array.Fill(marked, true, target, i - target + 1);
            }
        }

        return marked;
    }

    [GeneratedRegex(@"^(G_M\w+):")]
    private static partial Regex Label();

    [GeneratedRegex(@"^\s+j\w+\s+(?:SHORT\s+)?(G_M\w+)")]
    private static partial Regex Jump();

    [GeneratedRegex(@"\b[xyz]mm\d+\b")]
    private static partial Regex VectorRegister();

    [GeneratedRegex(@"\[r[sb]p\b")]
    private static partial Regex EitherPointer();

    [GeneratedRegex(@"\[rsp\b")]
    private static partial Regex StackPointer();
}

/// <summary>Reads the machine code of methods by running them in a child process that has the compiler's listing on.</summary>
internal static class MachineCode
{
    /// <summary>
    /// Runs the program <paramref name="assembly"/> with <paramref name="arguments"/> at <paramref name="level"/> and gives the
    /// listings of the methods that match <paramref name="pattern"/>, as <c>DOTNET_JitDisasm</c> understands it
    /// (<c>Dot*</c>, <c>*WideDemo:*</c>).
    /// </summary>
    /// <exception cref="InvalidOperationException">The child fails.</exception>
    public static IReadOnlyList<MethodListing> Capture(string assembly, IReadOnlyList<string> arguments, string pattern, IsaLevel level)
    {
        string file = Path.GetTempFileName();
        try
        {
            // Without tiering every method is compiled once and fully, as the kernels' hot methods are in any case.
            string output = Dotnet(assembly, arguments, new Dictionary<string, string>
            {
                ["DOTNET_JitDisasm"] = pattern,
                ["DOTNET_JitStdOutFile"] = file,
                ["DOTNET_JitDisasmDiffable"] = "1",
                ["DOTNET_TieredCompilation"] = "0",
                [Isa.EnvironmentVariable] = level.ToString(),
            });
            IReadOnlyList<MethodListing> methods = Parse(File.ReadAllLines(file));
            return methods.Count > 0 ? methods : throw new InvalidOperationException($"No method matches {pattern}. The program wrote: {output}");
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Splits a listing into methods.</summary>
    public static IReadOnlyList<MethodListing> Parse(IReadOnlyList<string> lines)
    {
        const string Head = "; Assembly listing for method ";
        List<MethodListing> methods = [];
        for (int start = 0; start < lines.Count;)
        {
            int end = start + 1;
            while (end < lines.Count && !lines[end].StartsWith(Head, StringComparison.Ordinal))
                end++;
            if (lines[start].StartsWith(Head, StringComparison.Ordinal))
                methods.Add(new MethodListing(lines[start][Head.Length..], lines.Skip(start).Take(end - start).ToArray()));
            start = end;
        }

        return methods;
    }

    /// <summary>Runs a .NET program on the runtime that runs this one and gives what it wrote.</summary>
    /// <exception cref="InvalidOperationException">It ends with an error; the message has its output.</exception>
    public static string Dotnet(string assembly, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> environment)
    {
        string host = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
        ProcessStartInfo start = new(host, ["exec", assembly, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        using Process child = Process.Start(start)!;
        Task<string> error = child.StandardError.ReadToEndAsync();
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        output += error.Result;
        return child.ExitCode == 0 ? output : throw new InvalidOperationException($"{Path.GetFileName(assembly)} {string.Join(' ', arguments)} ended with {child.ExitCode}: {output}");
    }
}
