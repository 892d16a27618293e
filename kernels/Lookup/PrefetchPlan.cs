namespace EmbeddingKernels.Core;

/// <summary>The cache level that rows are brought to before they are wanted.</summary>
internal enum PrefetchTarget
{
    None = 0,
    L1 = 1,
    L2 = 2,
}

/// <summary>How a look-up reads ahead: <paramref name="Distance"/> rows, to <paramref name="Target"/>.</summary>
/// <remarks>
/// The defaults come from the sweeps of bench's lookup comparison. Zen 3, 1 thread, uniform rows of 64 to 1,024 bytes:
/// <list type="bullet">
/// <item>Target: L2 is as fast as L1 or up to 10% faster (Zen 4: 1.6 times), as a core can wait for more lines behind L2 than
/// behind L1. Without prefetching the loop lost 10 to 40%.</item>
/// <item>Distance: rows of 64 to 256 bytes are best 24 to 32 ahead, of 512 bytes 8 to 16, of 1,024 bytes 4 to 8, each within 5%
/// of its neighbours. That is 8 KiB ahead, for memory answers after about so much has been read; with shorter rows 32,
/// because then the rows, not the bytes, are what there are too many of; never under 8.</item>
/// <item>Threshold: a table within L2 lost up to a third by prefetching and one of 1 to 16 MiB, from L3, gained a third.</item>
/// </list>
/// </remarks>
internal readonly record struct PrefetchPlan(PrefetchTarget Target, int Distance)
{
    private const int BytesAhead = 8 << 10;

    public static PrefetchPlan Off => new(PrefetchTarget.None, 0);

    /// <summary>The plan for a table of <paramref name="tableBytes"/> with rows of <paramref name="rowBytes"/>, at least 1.</summary>
    public static PrefetchPlan For(nint tableBytes, nint rowBytes) =>
        tableBytes <= CacheSizes.L2 ? Off : new(PrefetchTarget.L2, (int)Math.Clamp(BytesAhead / rowBytes, 8, 32));
}
