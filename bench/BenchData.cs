namespace EmbeddingKernels.Bench;

/// <summary>Reference data: the folder that EMBEDDING_KERNELS_DATA names, or shared/data beside the repository.</summary>
internal static class BenchData
{
    private static string Folder { get; } = Environment.GetEnvironmentVariable("EMBEDDING_KERNELS_DATA") ?? BesideRepository();

    public static string Path(string relative) => System.IO.Path.Combine(Folder, relative);

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
