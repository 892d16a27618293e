using System.Diagnostics;

namespace EmbeddingKernels.Tests;

/// <summary>Runs Debian's Python with the module that a comparison needs; skips the test, with the reason, where it is missing.</summary>
internal static class Python
{
    private const string Interpreter = "/usr/bin/python3";

    /// <param name="module">The module to look for; looking is much faster than importing.</param>
    /// <param name="script">The program.</param>
    /// <param name="arguments">Its <c>sys.argv[1:]</c>.</param>
    /// <returns>What it prints.</returns>
    public static string Run(string module, string script, params string[] arguments)
    {
        string find = $"import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)";
        if (!File.Exists(Interpreter) || Start(find, []).ExitCode != 0)
            Assert.Ignore($"skipped: {Interpreter} with {module} is not on this machine");
        (int exitCode, string output, string error) = Start(script, arguments);
        Assert.That(exitCode, Is.Zero, error);
        return output;
    }

    private static (int ExitCode, string Output, string Error) Start(string script, string[] arguments)
    {
        ProcessStartInfo start = new(Interpreter) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])["-c", script, .. arguments])
            start.ArgumentList.Add(argument);
        start.Environment["OPENBLAS_NUM_THREADS"] = "1";
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }
}
