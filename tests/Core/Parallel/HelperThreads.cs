using System.Diagnostics;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Counts the helper threads of pools in this process by the name that the operating system shows (15 characters).</summary>
internal static class HelperThreads
{
    public static int Count()
    {
        int count = 0;
        foreach (string task in Directory.GetDirectories("/proc/self/task"))
        {
            try
            {
                count += File.ReadAllText(Path.Combine(task, "comm")).StartsWith("EmbeddingKernel", StringComparison.Ordinal) ? 1 : 0;
            }
            catch (IOException)
            {
                // The thread ended between the two calls.
            }
        }

        return count;
    }

    /// <summary>The count once it is <paramref name="expected"/>, or what it still is after some seconds: a thread's end takes a moment after Join.</summary>
    public static int CountWithin(int expected)
    {
        Stopwatch clock = Stopwatch.StartNew();
        while (Count() != expected && clock.Elapsed < TimeSpan.FromSeconds(10))
            Thread.Sleep(5);
        return Count();
    }
}
