using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>What a reader must know to believe a figure: the machine, the runtime, the commit and how busy it was.</summary>
internal static partial class MachineInfo
{
    public static string Cpu { get; } = FindCpu();

    /// <summary>The processor's name as a folder name.</summary>
    public static string CpuFolder => NotPlain().Replace(Cpu.ToLowerInvariant(), "-").Trim('-');

    /// <summary>Runnable threads over the last 1, 5 and 15 minutes; above 0 before a measurement means that others disturb it.</summary>
    public static string LoadAverage =>
        FirstLine("/proc/loadavg") is { } line ? string.Join(' ', line.Split(' ').Take(3)) : "unknown";

    public static string Header(string title, bool quick)
    {
        StringBuilder text = new();
        text.AppendLine(CultureInfo.InvariantCulture, $"# {title}{(quick ? " (quick: too short to quote)" : "")}").AppendLine();
        text.AppendLine("| | |").AppendLine("|---|---|");
        Row("processor", $"{Cpu}, {Environment.ProcessorCount} logical cores, {Caches()}");
        Row("memory", $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 20:N0} MiB; huge pages {FirstLine("/sys/kernel/mm/transparent_hugepage/enabled") ?? "unknown"}");
        Row("level", $"{Isa.Level}: {Isa.Reason}");
        Row("system", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.RuntimeIdentifier}");
        Row(".NET", Environment.Version.ToString());
        Row("date", DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture));
        Row("commit", Commit());
        Row("load average at the start", LoadAverage);
        return text.ToString();

        void Row(string name, string value) => text.AppendLine(CultureInfo.InvariantCulture, $"| {name} | {value.Replace("|", "\\|", StringComparison.Ordinal)} |");
    }

    private static string FindCpu()
    {
        if (OperatingSystem.IsWindows())
            return Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? "unknown";
        if (OperatingSystem.IsMacOS())
            return Output("sysctl", "-n", "machdep.cpu.brand_string") ?? "unknown";

        // Virtual machines shorten the name; family and model tell the generations apart.
        string[] lines = File.Exists("/proc/cpuinfo") ? File.ReadAllLines("/proc/cpuinfo") : [];
        return Field("model name") is { } name
            ? $"{name} (family {Field("cpu family")} model {Field("model")})"
            : $"unknown {RuntimeInformation.ProcessArchitecture}";

        string? Field(string key) => lines.FirstOrDefault(line => line.Split('\t', ':')[0].Trim() == key)?.Split(':', 2)[1].Trim();
    }

    private static string Caches()
    {
        List<string> caches = [];
        for (int i = 0; FirstLine($"/sys/devices/system/cpu/cpu0/cache/index{i}/size") is { } size; i++)
        {
            string folder = $"/sys/devices/system/cpu/cpu0/cache/index{i}";
            if (FirstLine($"{folder}/type") != "Instruction")
                caches.Add($"L{FirstLine($"{folder}/level")} {size}");
        }

        return caches.Count > 0 ? string.Join(", ", caches) : "caches unknown";
    }

    private static string Commit()
    {
        string? commit = Output("git", "rev-parse", "--short=12", "HEAD");
        if (commit is null)
            return "unknown";
        return string.IsNullOrEmpty(Output("git", "status", "--porcelain")) ? commit : $"{commit} with local changes";
    }

    private static string? FirstLine(string path)
    {
        try
        {
            return File.ReadLines(path).FirstOrDefault();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string? Output(string program, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            string text = process.StandardOutput.ReadToEnd().Trim();
            process.WaitForExit();
            return process.ExitCode == 0 ? text : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null; // not installed
        }
    }

    [GeneratedRegex("[^a-z0-9]+")]
    private static partial Regex NotPlain();
}
