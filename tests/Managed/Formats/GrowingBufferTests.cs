namespace EmbeddingKernels.Tests;

public sealed unsafe class GrowingBufferTests
{
    [Test]
    public void TakesAClaimOnTrustOnlyWhereToldSo()
    {
        using GrowingBuffer<float> doubtful = new(claimed: nint.MaxValue / 8, trusted: false);
        Assert.That(doubtful.Capacity, Is.EqualTo((nint)(4 << 20)));
        using GrowingBuffer<float> small = new(claimed: 100, trusted: false);
        Assert.That(small.Capacity, Is.EqualTo((nint)100));
        using GrowingBuffer<float> trusted = new(claimed: 10_000_000, trusted: true);
        Assert.That(trusted.Capacity, Is.EqualTo((nint)10_000_000));
    }

    [Test]
    public void KeepsItsContentAsItGrowsAndNeverPassesTheClaim()
    {
        using GrowingBuffer<int> buffer = new(claimed: 9_000_000, trusted: false);
        nint first = buffer.Capacity;
        for (nint i = 0; i < first; i++)
            buffer.Pointer[i] = (int)i;
        buffer.Reserve(first + 1);
        Assert.That(buffer.Capacity, Is.EqualTo(2 * first));
        for (nint i = 0; i < first; i += 101)
            Assert.That(buffer.Pointer[i], Is.EqualTo((int)i));
        Assert.That(buffer.Pointer[first], Is.Zero);
        buffer.Reserve(9_000_000);
        Assert.That(buffer.Capacity, Is.EqualTo((nint)9_000_000));
    }
}
