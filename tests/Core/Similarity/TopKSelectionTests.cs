namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class TopKSelectionTests
{
    [Test]
    public void TheHeapKeepsTheBestWhateverTheOrder([Values(0, 1, 2, 7, 100, 1000)] int capacity)
    {
        Random random = new(capacity);
        (float Score, long Id)[] pairs = Enumerable.Range(0, 500).Select(i => (random.Next(0, 30) / 4f, (long)i)).ToArray();
        (float Score, long Id)[] wanted = pairs.OrderByDescending(p => p.Score).ThenBy(p => p.Id).Take(capacity).ToArray();
        float* scores = stackalloc float[capacity + 1];
        long* ids = stackalloc long[capacity + 1];
        for (int round = 0; round < 5; round++)
        {
            random.Shuffle(pairs);
            TopKHeap heap = new(scores, ids, capacity);
            foreach ((float score, long id) in pairs)
            {
                heap.Push(score, id);
                heap.Push(float.NaN, id);
            }

            Assert.That(heap.IsFull, Is.EqualTo(capacity <= 500));
            if (heap.Count > 0)
                Assert.That(heap.Worst, Is.EqualTo(wanted[^1].Score));
            heap.SortBestFirst();
            Assert.That(Enumerable.Range(0, (int)heap.Count).Select(i => (heap.Score(i), heap.Id(i))), Is.EqualTo(wanted));
        }
    }

    [Test]
    public void InfiniteScoresAreScores()
    {
        float* scores = stackalloc float[3];
        long* ids = stackalloc long[3];
        TopKHeap heap = new(scores, ids, 3);
        heap.Push(float.NegativeInfinity, 9);
        heap.Push(float.NegativeInfinity, 4);
        heap.Push(float.PositiveInfinity, 7);
        heap.Push(float.NegativeInfinity, 5);
        heap.SortBestFirst();
        Assert.That(new[] { heap.Id(0), heap.Id(1), heap.Id(2) }, Is.EqualTo(new long[] { 7, 4, 5 }));
    }

    [TestCase("random")]
    [TestCase("few values")]
    [TestCase("ascending")]
    [TestCase("descending")]
    [TestCase("pipes")]
    public void TheNearKthLargestIsReachedByKAndNear(string kind)
    {
        Random random = new(4);
        foreach (int count in new[] { 1, 2, 3, 10, 257 })
        {
            float[] values = Enumerable.Range(0, count).Select(i => kind switch
            {
                "random" => random.NextSingle() - 0.5f,
                "few values" => random.Next(3),
                "ascending" => i,
                "descending" => -i,
                _ => i < count / 2 ? i : count - i,
            }).ToArray();
            float[] sorted = [.. values.OrderDescending()];
            for (int k = 1; k <= count; k++)
            {
                float[] copy = [.. values];
                fixed (float* p = copy)
                {
                    float near = Selection.NearKthLargest(p, count, k);
                    float most = sorted[k - 1];
                    bool exactlyKReachIt = k == count || near > sorted[k];
                    Assert.That(near, Is.LessThanOrEqualTo(most), $"{k} of {count}");
                    Assert.That(exactlyKReachIt || near >= most - ((sorted[0] - sorted[^1]) / 8192f), Is.True, $"{k} of {count}");
                }
            }
        }
    }
}
