using EmbeddingKernels.Core;

namespace EmbeddingKernels.TestSupport;

/// <summary>The levels that a fixture runs at, in one process.</summary>
public static class IsaLevels
{
    /// <summary>
    /// Every level of this processor, and 512 bits also where it has only AVX2: there they run as pairs of 256-bit operations.
    /// </summary>
    public static IEnumerable<IsaLevel> All =>
        Isa.Detected == IsaLevel.Avx2 ? [.. Isa.Available, IsaLevel.Avx512] : Isa.Available;
}

/// <summary>Runs each test of a derived fixture with one level in force.</summary>
[TestFixtureSource(typeof(IsaLevels), nameof(IsaLevels.All))]
public abstract class IsaFixture(IsaLevel level)
{
    protected IsaLevel Level { get; } = level;

    [SetUp]
    public void ForceLevel() => Isa.Override = Level;

    [TearDown]
    public void ReleaseLevel() => Isa.Override = null;
}
