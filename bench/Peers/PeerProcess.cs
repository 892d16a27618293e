using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace EmbeddingKernels.Bench;

/// <summary>
/// A program that stays for the whole comparison: it says its name in its first line, then reads one command a line, does it,
/// and answers with one line. It times its calls itself, so neither its start nor the pipe counts.
/// </summary>
internal sealed class PeerProcess : IDisposable
{
    private readonly Process _process;

    private PeerProcess(Process process, string name)
    {
        _process = process;
        Name = name;
    }

    /// <summary>What it calls itself.</summary>
    public string Name { get; }

    /// <summary>Starts a program; null and the reason where that fails.</summary>
    public static PeerProcess? TryStart(string program, string[] arguments, out string why)
    {
        why = "";
        try
        {
            Process process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            })!;
            if (process.StandardOutput.ReadLine() is { } name)
                return new(process, name);
            why = "it ended at once";
            process.Dispose();
        }
        catch (Win32Exception exception)
        {
            why = exception.Message;
        }

        return null;
    }

    /// <summary>Sends a command and waits for the answer.</summary>
    /// <param name="command">A name and its arguments.</param>
    /// <param name="file">The last argument where it is a file, which may have blanks in its name: it gets a line of its own.</param>
    /// <exception cref="InvalidOperationException">The command failed or the process ended.</exception>
    public string[] Send(string command, string? file = null)
    {
        _process.StandardInput.WriteLine(file is null ? command : $"{command} FILE\n{file}");
        _process.StandardInput.Flush();
        string answer = _process.StandardOutput.ReadLine() ?? "the process ended";
        return answer.StartsWith("ok", StringComparison.Ordinal)
            ? answer.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..]
            : throw new InvalidOperationException($"{Name}, {command}: {answer}");
    }

    /// <summary>Sends a command that answers with wall and CPU seconds.</summary>
    public Seconds Time(string command)
    {
        string[] answer = Send(command);
        return new(double.Parse(answer[0], CultureInfo.InvariantCulture), double.Parse(answer[1], CultureInfo.InvariantCulture));
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(5000))
            _process.Kill();
        _process.Dispose();
    }
}
