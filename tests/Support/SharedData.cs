using System.IO.Compression;
using System.Reflection;

namespace EmbeddingKernels.TestSupport;

/// <summary>
/// Reference data from systems that this project did not write: the folder <c>shared/data</c> beside the repository, or the
/// one that EMBEDDING_KERNELS_DATA names. Tests that need it are skipped, with the reason, where it is missing.
/// </summary>
public static class SharedData
{
    public static string RepositoryRoot { get; } = typeof(SharedData).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().First(a => a.Key == "RepositoryRoot").Value!;

    private static string Folder { get; } = Environment.GetEnvironmentVariable("EMBEDDING_KERNELS_DATA")
        ?? System.IO.Path.GetFullPath(System.IO.Path.Combine(RepositoryRoot, "..", "shared", "data"));

    /// <summary>The full path of a data file; skips the test where it is missing.</summary>
    public static string Path(string relative)
    {
        string path = System.IO.Path.Combine(Folder, relative);
        if (!File.Exists(path))
            Assert.Ignore($"skipped: reference data '{relative}' is not on this machine (looked in {Folder})");
        return path;
    }

    /// <summary>Opens a data file, unpacking it if its name ends in .gz; skips the test where it is missing.</summary>
    public static Stream Open(string relative)
    {
        FileStream file = File.OpenRead(Path(relative));
        return relative.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionMode.Decompress) : file;
    }
}
