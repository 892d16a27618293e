using System.Diagnostics;

namespace EmbeddingKernels.Tests;

/// <summary>Runs Debian's Python with the modules that a comparison needs; skips the test, with the reason, where they are missing.</summary>
internal static class Python
{
    private const string Interpreter = "/usr/bin/python3";

    public static string Run(string modules, string script, params string[] arguments)
    {
        if (!File.Exists(Interpreter) || Start($"import {modules}", []).ExitCode != 0)
            Assert.Ignore($"skipped: {Interpreter} with {modules} is not on this machine");
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
