using System.IO.Compression;

namespace EmbeddingKernels;

/// <summary>
/// Writes a file so that its name holds either the old content or the whole new one: under a temporary name in the same
/// folder, then renamed. A name that ends in .gz is packed.
/// </summary>
internal static class AtomicFile
{
    // One system call for a quarter megabyte: past this larger buffers gain nothing.
    private const int BufferBytes = 256 << 10;

    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string full = Path.GetFullPath(path);
        bool gzip = IsGzip(full);
        if (IsDevice(full))
        {
            using FileStream device = new(full, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, BufferBytes);
            WriteTo(device, gzip, write);
            return;
        }

        // Renaming over a symbolic link would put a file in the link's place.
        if (new FileInfo(full).LinkTarget is not null)
            full = File.ResolveLinkTarget(full, returnFinalTarget: true)!.FullName;
        string temporary = Path.Combine(Path.GetDirectoryName(full)!, $".{Path.GetRandomFileName()}.tmp");
        try
        {
            using (FileStream file = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, BufferBytes))
            {
                WriteTo(file, gzip, write);
                file.Flush(flushToDisk: true); // else a power failure after the rename may leave an empty file
            }

            if (!OperatingSystem.IsWindows() && File.Exists(full))
                File.SetUnixFileMode(temporary, File.GetUnixFileMode(full));
            File.Move(temporary, full, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    public static bool IsGzip(string path) => path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase);

    // /dev/stdout, /dev/null and a shell's >(command) are written to, never replaced; /dev/shm is a plain folder.
    private static bool IsDevice(string path) =>
        !OperatingSystem.IsWindows()
        && ((path.StartsWith("/dev/", StringComparison.Ordinal) && !path.StartsWith("/dev/shm/", StringComparison.Ordinal))
            || path.StartsWith("/proc/", StringComparison.Ordinal));

    private static void WriteTo(Stream file, bool gzip, Action<Stream> write)
    {
        if (!gzip)
        {
            write(file);
            return;
        }

        using GZipStream packed = new(file, CompressionLevel.Optimal, leaveOpen: true);
        using BufferedStream buffered = new(packed, BufferBytes); // many small writes into the packer are slow
        write(buffered);
    }
}
