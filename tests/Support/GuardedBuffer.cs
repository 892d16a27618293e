using System.Runtime.InteropServices;

namespace EmbeddingKernels.TestSupport;

/// <summary>
/// Memory whose last element ends at an unreadable page and whose first begins after one, as far as the length allows:
/// a kernel that reads or writes one byte past its end crashes the test run.
/// </summary>
public sealed unsafe class GuardedBuffer<T> : IDisposable
    where T : unmanaged
{
    private readonly nint _mapping;
    private readonly nuint _mapped;

    public GuardedBuffer(int length)
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("skipped: guarded pages are made with Linux's mmap");

        nuint page = (nuint)Environment.SystemPageSize;
        nuint bytes = (nuint)length * (nuint)sizeof(T);
        nuint body = ((bytes + page - 1) / page) * page;
        _mapped = body + (2 * page);
        _mapping = GuardedPages.Map(0, _mapped, 3, 0x22, -1, 0);
        if (_mapping == -1 || GuardedPages.Protect(_mapping, page, 0) != 0 || GuardedPages.Protect(_mapping + (nint)(page + body), page, 0) != 0)
            throw new InvalidOperationException("mmap or mprotect failed");
        Length = length;
        Pointer = (T*)(_mapping + (nint)(page + body - bytes));
    }

    public int Length { get; }

    public T* Pointer { get; }

    public Span<T> Span => new(Pointer, Length);

    public void Dispose() => _ = GuardedPages.Unmap(_mapping, _mapped);
}

internal static partial class GuardedPages
{
    [LibraryImport("libc", EntryPoint = "mmap")]
    public static partial nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    public static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    public static partial int Protect(nint address, nuint length, int protection);
}
