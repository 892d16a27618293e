using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

#pragma warning disable RS0030 // This is the one place that asks what the processor has.

namespace EmbeddingKernels.Core;

/// <summary>Hints that a cache line will be wanted; they do nothing where the processor has none, and never fault.</summary>
internal static unsafe class Prefetch
{
    public const int LineBytes = 64;

    /// <summary>Into all levels. For what is used within a few hundred cycles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ToL1(void* address)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(address);
    }

    /// <summary>
    /// Into the second level. A core has few line-fill buffers between L1 and L2 and many more behind L2, so streams of
    /// random rows from memory run up to 1.6 times faster this way on Zen 4, and as fast as by L1 on Zen 3.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ToL2(void* address)
    {
        if (Sse.IsSupported)
            Sse.Prefetch1(address);
    }

    /// <summary>All lines that <paramref name="bytes"/> bytes from <paramref name="address"/> touch, into all levels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void RowToL1(void* address, nint bytes)
    {
        // From the start of the line that holds the first byte: a row that is not aligned touches one line more.
        byte* end = (byte*)address + bytes;
        for (byte* line = (byte*)((nuint)address & ~(nuint)(LineBytes - 1)); line < end; line += LineBytes)
            ToL1(line);
    }

    /// <summary>All lines that <paramref name="bytes"/> bytes from <paramref name="address"/> touch, into the second level.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void RowToL2(void* address, nint bytes)
    {
        // From the start of the line that holds the first byte: a row that is not aligned touches one line more.
        byte* end = (byte*)address + bytes;
        for (byte* line = (byte*)((nuint)address & ~(nuint)(LineBytes - 1)); line < end; line += LineBytes)
            ToL2(line);
    }
}
