using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// Reference data (the folder that EMBEDDING_KERNELS_DATA names, or shared/data beside the repository), and made-up data.
/// </summary>
internal static class BenchData
{
    private static string Folder { get; } = Environment.GetEnvironmentVariable("EMBEDDING_KERNELS_DATA") ?? BesideRepository();

    public static string Path(string relative) => System.IO.Path.Combine(Folder, relative);

    /// <summary>Values between -1.5 and 1.5, sums of three uniform ones, the same for the same seed.</summary>
    public static AlignedBuffer<float> Random(nint length, int seed)
    {
        AlignedBuffer<float> buffer = new(length);
        Random random = new(seed);
        for (nint start = 0; start < length; start += 1 << 20)
        {
            foreach (ref float value in buffer.AsSpan(start, (int)Math.Min(1 << 20, length - start)))
                value = random.NextSingle() + random.NextSingle() + random.NextSingle() - 1.5f;
        }

        return buffer;
    }

    private static string BesideRepository()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "Kernels.sln")) && folder.Parent is not null)
                return System.IO.Path.Combine(folder.Parent.FullName, "shared", "data");
        }

        return System.IO.Path.Combine("..", "shared", "data");
    }
}
