using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed class IsaTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void TheForcedLevelIsInForce() => Assert.That(Isa.Level, Is.EqualTo(Level));
}
