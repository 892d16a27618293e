using System.Runtime.InteropServices;

namespace EmbeddingKernels.Core;

/// <summary>Zeroed pages straight from the operating system, on 2 MiB boundaries with huge pages where the size pays.</summary>
internal static unsafe partial class Pages
{
    /// <summary>
    /// From here on memory comes as pages of its own. Below, the allocator's pooled pages are cheaper and a huge page
    /// would be mostly waste.
    /// </summary>
    public const nuint HugePageBytes = 2u << 20;

    private const int ProtReadWrite = 0x3;
    private const int MapPrivate = 0x02;
    private const int MadvHugePage = 14;
    private static readonly nint MapFailed = -1;

    /// <summary>Reserves without committing: a page costs memory from its first touch on, so sparse mappings may exceed memory.</summary>
    public static void* Map(nuint bytes)
    {
        nuint padded = checked(bytes + HugePageBytes);
        nint address = mmap(0, padded, ProtReadWrite, MapPrivate | MapAnonymous | MapNoReserve, -1, 0);
        if (address == MapFailed)
            throw new InsufficientMemoryException($"The operating system refused a mapping of {bytes} bytes.");

        nuint start = ((nuint)address + HugePageBytes - 1) & ~(HugePageBytes - 1);
        nuint before = start - (nuint)address;
        if (before > 0)
            _ = munmap(address, before);
        nuint end = RoundUpToPage(start + bytes);
        nuint after = (nuint)address + padded - end;
        if (after > 0)
            _ = munmap((nint)end, after);
        if (OperatingSystem.IsLinux())
            _ = madvise((nint)start, end - start, MadvHugePage); // advice: a kernel without huge pages may refuse
        return (void*)start;
    }

    public static void Unmap(void* address, nuint bytes) => _ = munmap((nint)address, RoundUpToPage((nuint)address + bytes) - (nuint)address);

    public static bool Supported => OperatingSystem.IsLinux() || OperatingSystem.IsMacOS();

    private static int MapAnonymous => OperatingSystem.IsMacOS() ? 0x1000 : 0x20;

    private static int MapNoReserve => OperatingSystem.IsMacOS() ? 0x40 : 0x4000;

    private static nuint RoundUpToPage(nuint value) => (value + (nuint)Environment.SystemPageSize - 1) & ~((nuint)Environment.SystemPageSize - 1);

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int munmap(nint address, nuint length);

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int madvise(nint address, nuint length, int advice);
}
