namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class ScratchTests
{
    [Test]
    public void TwoAtATimeDoNotOverlapAndBothAreAligned()
    {
        using Scratch<float> a = new(100);
        using Scratch<double> b = new(100);
        long distance = Math.Abs((long)a.Pointer - (long)b.Pointer);
        Assert.Multiple(() =>
        {
            Assert.That((long)a.Pointer % 64, Is.Zero);
            Assert.That((long)b.Pointer % 64, Is.Zero);
            Assert.That(distance, Is.GreaterThanOrEqualTo(400));
        });
    }

    [Test]
    public void ManyThreadsNeverShareABuffer()
    {
        using WorkerPool pool = new(4);
        int clashes = 0;
        pool.For(2000, 1, (worker, start, _) =>
        {
            using Scratch<int> mine = new(512 + (worker * 700));
            new Span<int>(mine.Pointer, 512).Fill((int)start);
            Thread.Yield();
            if (new Span<int>(mine.Pointer, 512).IndexOfAnyExcept((int)start) >= 0)
                Interlocked.Increment(ref clashes);
        });
        Assert.That(clashes, Is.Zero);
    }

    [Test]
    public void NothingAndMuchAreAllowed()
    {
        using Scratch<float> none = new(0);
        Assert.That((long)none.Pointer, Is.Not.Zero);
        using Scratch<byte> much = new(ScratchPool.MaxKeptBytes + 1);
        much.Pointer[ScratchPool.MaxKeptBytes] = 1;
        Assert.That(much.Pointer[ScratchPool.MaxKeptBytes], Is.EqualTo(1));
    }
}
