namespace EmbeddingKernels.Tests;

public sealed class NeighborRecallTests
{
    private static readonly long[] Truth = [5, 1, 2, 7, 8, 9, 4, -1, -1, -1, -1, -1];
    private static readonly long[] Found = [1, 5, 8, 7, 4, 4, 3, 2];

    [Test]
    public void BothMeasuresByHand()
    {
        Assert.Multiple(() =>
        {
            // Three true of each of four queries, two found: the third query has one true neighbour, the fourth none.
            Assert.That(NeighborRecall.AtK(Found, 2, Truth, 3, 1), Is.EqualTo((0 + 0 + 1) / 3.0));
            Assert.That(NeighborRecall.AtK(Found, 2, Truth, 3, 2), Is.EqualTo((1 + 1 + 1) / 3.0));
            Assert.That(NeighborRecall.FirstWithin(Found, 2, Truth, 3, 1), Is.EqualTo(1 / 3.0));
            Assert.That(NeighborRecall.FirstWithin(Found, 2, Truth, 3, 2), Is.EqualTo(1));
            Assert.That(NeighborRecall.AtK([1], 1, [-1], 1, 1), Is.NaN);
            Assert.That(NeighborRecall.FirstWithin([], 1, [], 1, 1), Is.NaN);
        });
    }

    [Test]
    public void BadArgumentsAreNamed()
    {
        Assert.Multiple(() =>
        {
            Assert.That(() => NeighborRecall.AtK(Found, 2, Truth, 3, 3), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("1 to 2"));
            Assert.That(() => NeighborRecall.AtK(Found, 2, Truth, 3, 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => NeighborRecall.AtK(Found, 3, Truth, 3, 1), Throws.ArgumentException.With.Message.Contains("8 numbers"));
            Assert.That(() => NeighborRecall.FirstWithin(Found, 2, Truth, 4, 1), Throws.ArgumentException.With.Message.Contains("4 queries"));
            Assert.That(() => NeighborRecall.FirstWithin(Found, 0, Truth, 4, 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
    }
}
