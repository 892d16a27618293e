namespace EmbeddingKernels.Core.Tests;

public sealed class SimilarityContractTests
{
    // Two axes, a diagonal and the origin: every score is known by hand.
    private static readonly float[] Points = [1, 0, 0, 2, 3, 4, 0, 0];

    [TestCase(SimilarityMetric.Dot, new long[] { 2, 0, 1 }, new float[] { 3, 1, 0 })]
    [TestCase(SimilarityMetric.Cosine, new long[] { 0, 2, 1 }, new float[] { 1, 0.6f, 0 })]
    [TestCase(SimilarityMetric.SquaredEuclidean, new long[] { 0, 3, 1 }, new float[] { 0, 1, 5 })]
    [TestCase(SimilarityMetric.Euclidean, new long[] { 0, 3, 1 }, new float[] { 0, 1, 2.2360679f })]
    public void TopKOfPointsKnownByHand(SimilarityMetric metric, long[] wantedIds, float[] wantedScores)
    {
        long[] ids = new long[3];
        float[] scores = new float[3];
        Similarity.TopK([1, 0], Points, 2, 3, metric, ids, scores);
        Assert.Multiple(() =>
        {
            Assert.That(ids, Is.EqualTo(wantedIds));
            Assert.That(scores, Is.EqualTo(wantedScores));
        });
    }

    [Test]
    public void MissingCandidatesArePadded()
    {
        long[] ids = new long[6];
        float[] scores = new float[6];
        Similarity.TopK([1, 0], Points, 2, 6, SimilarityMetric.Euclidean, ids, scores);
        Assert.Multiple(() =>
        {
            Assert.That(ids[4..], Is.EqualTo(new long[] { -1, -1 }));
            Assert.That(scores[4..], Is.All.EqualTo(float.PositiveInfinity));
        });
        Similarity.TopK([1, 0], [], 2, 6, SimilarityMetric.Dot, ids, scores);
        Assert.Multiple(() =>
        {
            Assert.That(ids, Is.All.EqualTo(-1));
            Assert.That(scores, Is.All.EqualTo(float.NegativeInfinity));
        });
        long[] manyIds = new long[40];
        float[] manyScores = new float[40];
        Similarity.TopK(new float[40], [], 2, 2, SimilarityMetric.SquaredEuclidean, manyIds, manyScores);
        Assert.Multiple(() =>
        {
            Assert.That(manyIds, Is.All.EqualTo(-1));
            Assert.That(manyScores, Is.All.EqualTo(float.PositiveInfinity));
        });
        Assert.That(() => Similarity.TopK([], Points, 2, 2, SimilarityMetric.Dot, [], []), Throws.Nothing);
    }

    [Test]
    public void MoreNeighboursThanMemoryForABlockOfQueries()
    {
        // A list of 100,000 candidates takes 4 MiB, so few queries are searched at a time.
        const int N = 100_000, M = 30;
        float[] data = new float[N], queries = new float[M], scores = new float[M * N];
        long[] ids = new long[M * N];
        for (int i = 0; i < N; i++)
            data[i] = i;
        for (int i = 0; i < M; i++)
            queries[i] = i % 2 == 0 ? 1 : -1;
        Similarity.TopK(queries, data, 1, N, SimilarityMetric.Dot, ids, scores);
        for (int i = 0; i < M; i++)
        {
            Assert.That(ids[(long)i * N], Is.EqualTo(i % 2 == 0 ? N - 1 : 0));
            Assert.That(ids[(((long)i + 1) * N) - 1], Is.EqualTo(i % 2 == 0 ? 0 : N - 1));
        }
    }

    [Test]
    public void ArgumentsAreNamed()
    {
        float[] scores = new float[4];
        long[] ids = new long[4];
        Assert.Multiple(() =>
        {
            Assert.That(() => Similarity.TopK([1, 0], Points, 2, 0, SimilarityMetric.Dot, ids, scores), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("k"));
            Assert.That(() => Similarity.TopK([1, 0], Points, 2, 3, SimilarityMetric.Dot, ids, scores), Throws.ArgumentException.With.Property("ParamName").EqualTo("ids"));
            Assert.That(() => Similarity.TopK([1, 0], Points, 2, 4, SimilarityMetric.Dot, ids, new float[3]), Throws.ArgumentException.With.Property("ParamName").EqualTo("scores"));
            Assert.That(() => Similarity.TopK([1, 0, 1], Points, 2, 4, SimilarityMetric.Dot, ids, scores), Throws.ArgumentException.With.Property("ParamName").EqualTo("queries"));
            Assert.That(() => Similarity.TopK([1, 0], Points, 0, 4, SimilarityMetric.Dot, ids, scores), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("dimension"));
            Assert.That(() => Similarity.Scores([1, 0], Points, 2, (SimilarityMetric)9, scores), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("metric"));
            Assert.That(() => Similarity.Scores([1, 0], Points, 2, SimilarityMetric.Dot, new float[5]), Throws.ArgumentException.With.Property("ParamName").EqualTo("scores"));
        });
    }
}
