namespace EmbeddingKernels.Core;

/// <summary>The cache level that rows are brought to before they are wanted.</summary>
internal enum PrefetchTarget
{
    None = 0,
    L1 = 1,
    L2 = 2,
}

/// <summary>How a look-up reads ahead: <paramref name="Distance"/> rows, to <paramref name="Target"/>.</summary>
internal readonly record struct PrefetchPlan(PrefetchTarget Target, int Distance)
{
    public static PrefetchPlan Off => new(PrefetchTarget.None, 0);

    /// <summary>The plan for a table of <paramref name="tableBytes"/> with rows of <paramref name="rowBytes"/>.</summary>
    public static PrefetchPlan For(nint tableBytes, nint rowBytes) =>
        tableBytes <= CacheSizes.L2 ? Off : new(PrefetchTarget.L2, 32);
}
