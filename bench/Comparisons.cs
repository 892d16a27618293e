using System.Diagnostics;
using System.Reflection;

namespace EmbeddingKernels.Bench;

/// <summary>
/// The measurements that the families bring: static classes with a method <c>Run(TextWriter, bool quick)</c> that writes
/// Markdown. <c>XComparison</c> is the comparison "x"; <c>Limits</c> measures what the machine allows.
/// </summary>
internal static class Comparisons
{
    private const string Suffix = "Comparison";

    public delegate void Measurement(TextWriter output, bool quick);

    /// <summary>The comparisons by lower-case name, sorted.</summary>
    public static SortedDictionary<string, Measurement> All { get; } = new(
        typeof(Comparisons).Assembly.GetTypes()
            .Where(type => type.Name.EndsWith(Suffix, StringComparison.Ordinal) && Find(type) is not null)
            .ToDictionary(type => type.Name[..^Suffix.Length].ToLowerInvariant(), type => Find(type)!),
        StringComparer.Ordinal);

    /// <summary>The measurement of the machine's limits, if there is one.</summary>
    public static Measurement? Limits { get; } =
        typeof(Comparisons).Assembly.GetType("EmbeddingKernels.Bench.Limits") is { } type ? Find(type) : null;

    /// <summary>Writes the header and then each measurement; one that fails says so and does not stop the rest.</summary>
    /// <returns>The number of failures.</returns>
    public static int Run(string title, IEnumerable<(string Name, Measurement Measure)> measurements, bool quick, TextWriter output)
    {
        output.WriteLine(MachineInfo.Header(title, quick));
        int failures = 0;
        foreach ((string name, Measurement measure) in measurements)
        {
            Stopwatch clock = Stopwatch.StartNew();
            try
            {
                measure(output, quick);
            }
            catch (Exception exception)
            {
                failures++;
                output.WriteLine($"{name} failed: {exception}");
            }

            output.WriteLine();
            output.WriteLine(FormattableString.Invariant($"_{name}: {clock.Elapsed.TotalSeconds:F0} s in all; load average at the end {MachineInfo.LoadAverage}._"));
            output.WriteLine();
            output.Flush();
        }

        return failures;
    }

    private static Measurement? Find(Type type) =>
        type.IsAbstract && type.IsSealed
            ? type.GetMethod("Run", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic, [typeof(TextWriter), typeof(bool)])?.CreateDelegate<Measurement>()
            : null;
}
