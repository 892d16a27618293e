using System.ComponentModel;
using System.Diagnostics;

namespace EmbeddingKernels.Bench;

/// <summary>Python programs of this machine.</summary>
internal static class Python
{
    /// <summary>The first interpreter that has the module: what PYTHON names, else python3, else the system's own.</summary>
    /// <param name="module">A module to import.</param>
    /// <param name="why">Why there is none.</param>
    public static string? Find(string module, out string why)
    {
        why = "";
        string? told = Environment.GetEnvironmentVariable("PYTHON");
        foreach (string program in string.IsNullOrEmpty(told) ? ["python3", "/usr/bin/python3"] : (string[])[told])
        {
            if (Run(program, ["-c", $"import {module}"], out string error) is not null)
                return program;
            why = error.Trim().Split('\n')[^1].Trim();
        }

        return null;
    }

    /// <summary>What the program writes, or null where there is none or it fails.</summary>
    public static string? Run(string program, string[] arguments, out string error)
    {
        try
        {
            ProcessStartInfo info = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
            using Process process = Process.Start(info)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string text = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            error = errors.GetAwaiter().GetResult();
            return process.ExitCode == 0 ? text.Trim() : null;
        }
        catch (Win32Exception exception)
        {
            error = exception.Message;
            return null;
        }
    }
}
