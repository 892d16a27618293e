using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace EmbeddingKernels.Bench;

/// <summary>A peer that is a program: runs it in a folder of its own and takes its time.</summary>
internal static class PeerProgram
{
    /// <summary>What the variable names, or the command where the PATH has it; null and the reason where there is neither.</summary>
    public static string? Find(string variable, string command, out string why)
    {
        string program = Environment.GetEnvironmentVariable(variable) is { Length: > 0 } told ? told : command;
        why = $"set {variable} to the program, or put {command} on the PATH";
        if (program.Contains('/', StringComparison.Ordinal))
            return File.Exists(program) ? program : null;
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);
    }

    /// <summary>Runs a program to its end; its time is that of the whole process.</summary>
    /// <param name="program">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="folder">Where it works.</param>
    /// <param name="threads">For those who take their number from the environment.</param>
    /// <exception cref="InvalidOperationException">It did not start or ended with another code than 0.</exception>
    public static (string Text, Seconds Time) Run(string program, IEnumerable<string> arguments, string folder, int threads)
    {
        ProcessStartInfo info = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = folder };
        foreach (string variable in (string[])["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"])
            info.Environment[variable] = threads.ToString(CultureInfo.InvariantCulture);
        double cpu = CpuTime.OfChildren;
        long start = Stopwatch.GetTimestamp();
        try
        {
            using Process process = Process.Start(info)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string text = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Seconds time = new(Stopwatch.GetElapsedTime(start).TotalSeconds, CpuTime.OfChildren - cpu);
            if (process.ExitCode == 0)
                return (text, time);
            string error = errors.GetAwaiter().GetResult().Trim();
            throw new InvalidOperationException($"{program} ended with code {process.ExitCode}: {(error.Length > 0 ? error : text.Trim()).Split('\n')[^1]}");
        }
        catch (Win32Exception exception)
        {
            throw new InvalidOperationException($"{program} did not start: {exception.Message}", exception);
        }
    }

    /// <summary>The numbers of the last line.</summary>
    public static double[] LastLine(string text) =>
        [.. text.Trim().Split('\n')[^1].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(field => double.Parse(field, CultureInfo.InvariantCulture))];

    /// <summary>A map that a program wrote, which is deleted.</summary>
    public static FloatMatrix TakeMap(string file)
    {
        FloatMatrix map = Npy.ReadMatrix(file);
        File.Delete(file);
        return map;
    }
}
