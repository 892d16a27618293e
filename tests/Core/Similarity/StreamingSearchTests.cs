using EmbeddingKernels.TestSupport;
using FsCheck;
using FsCheck.Fluent;

namespace EmbeddingKernels.Core.Tests;

/// <summary>Data that comes in blocks gives the bits that TopK gives for all of it.</summary>
public sealed unsafe class StreamingSearchTests(IsaLevel level) : IsaFixture(level)
{
    public sealed record Setting(
        int M, int Dimension, int[] Blocks, ElementType[] Types, int K, SimilarityMetric Metric, bool ExcludeSelf, ZeroVectorRule Zeros, int Least, int Threads, int Seed);

    private static readonly Gen<Setting> Cases =
        from m in Gen.Frequency((1, Gen.Choose(0, 4)), (2, Gen.Choose(5, 40)))
        from d in Gen.Frequency((4, Gen.Choose(0, 40)), (1, Gen.Choose(250, 300)))
        from count in Gen.Choose(0, 6)
        from blocks in Gen.Frequency((1, Gen.Constant(0)), (3, Gen.Choose(1, 30)), (1, Gen.Choose(100, 400))).ArrayOf(count)
        from types in Gen.Elements(Enum.GetValues<ElementType>()).ArrayOf(count)
        from k in Gen.Frequency((4, Gen.Choose(1, 12)), (1, Gen.Choose(13, 300)))
        from metric in Gen.Elements(Enum.GetValues<SimilarityMetric>())
        from self in Gen.Elements(false, true)
        from zeros in Gen.Elements(Enum.GetValues<ZeroVectorRule>())
        from least in Gen.Elements(0, 0, 55)
        from threads in Gen.Elements(1, 1, 1, 3)
        from seed in Gen.Choose(0, int.MaxValue)
        select new Setting(m, d, blocks, types, k, metric, self, zeros, least, threads, seed);

    [Test]
    public void AnySplitGivesTheBitsOfTheWhole() =>
        Prop.ForAll(Cases.ToArbitrary(), c =>
        {
            // Integers up to 60, which every type holds; bytes as doubles of them with a scale of a half.
            Random random = new(c.Seed);
            using Rows queries = new(c.M, c.Dimension), whole = new(c.Blocks.Sum(), c.Dimension, 1);
            queries.Fill(() => random.Next(c.Least, 61));
            using WorkerPool pool = new(c.Threads);
            SearchOptions options = new() { ExcludeSelf = c.ExcludeSelf, ZeroVectors = c.Zeros };
            using StreamingSearch search = new(queries.View, c.K, c.Metric, options, pool);
            int rows = 0;
            for (int b = 0; b < c.Blocks.Length; b++)
            {
                bool scaled = c.Types[b] is ElementType.Int8 or ElementType.UInt8;
                StoredRows block = new(c.Types[b], c.Blocks[b], c.Dimension, b, scaled);
                for (int i = 0; i < c.Blocks[b]; i++, rows++)
                {
                    bool zero = random.Next(12) == 0;
                    for (int j = 0; j < c.Dimension; j++)
                    {
                        float value = zero ? 0 : random.Next(c.Least, 61);
                        whole.View.Row(rows)[j] = value;
                        block.Set(i, j, scaled ? 2 * value : value);
                    }

                    if (scaled)
                        block.SetScale(i, 0.5f);
                }

                search.Add(block.View);
                block.Dispose(); // its memory is unmapped: whoever came back to it would crash
                Assert.That(search.Rows, Is.EqualTo((nint)rows));
            }

            Searches.AssertSame(Searches.Finish(search, c.M, c.K), Searches.TopK(queries.View, whole.View, c.K, c.Metric, options, pool), c.ToString());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(100));

    [Test]
    public void OrdinaryFloatsInBlocksOfEverySize([Values] SimilarityMetric metric, [Values(3, 30)] int m)
    {
        Random random = new(31);
        using Rows queries = new(m, 30), data = new(700, 30);
        queries.Fill(() => 3f + (float)random.NextDouble());
        data.Fill(() => 3f + (float)random.NextDouble());
        (long[], float[]) wanted = Searches.TopK(queries.View, data.View, 20, metric);
        foreach (int size in new[] { 1, 7, 64, 333, 699, 700 })
        {
            foreach (int threads in new[] { 1, 2, 3, 7 })
            {
                using WorkerPool pool = new(threads);
                using StreamingSearch search = new(queries.View, 20, metric, pool: pool);
                for (int start = 0; start < 700; start += size)
                    search.Add(data.View.Slice(start, Math.Min(size, 700 - start)));
                Searches.AssertSame(Searches.Finish(search, m, 20), wanted, $"blocks of {size}, {threads} threads");
                if (size is 1 or 7)
                    break;
            }
        }
    }

    [Test]
    public void WithoutDataThereIsPaddingAlone([Values] SimilarityMetric metric, [Values(0, 2, 30)] int m)
    {
        using Rows queries = new(m, 5);
        using StreamingSearch search = new(queries.View, 4, metric);
        (long[] ids, float[] scores) = Searches.Finish(search, m, 4);
        Assert.That(ids, Is.All.EqualTo(Similarity.NoId));
        Assert.That(scores, Is.All.EqualTo(SimilarityReference.WorstScore(metric)));
    }

    [Test]
    public void AfterTheEndNothingWorks()
    {
        using Rows queries = new(2, 3), data = new(5, 3);
        StreamingSearch finished = new(queries.View, 1, SimilarityMetric.Dot);
        finished.Add(data.View);
        Searches.Finish(finished, 2, 1);
        StreamingSearch disposed = new(queries.View, 1, SimilarityMetric.Dot);
        disposed.Dispose();
        disposed.Dispose();
        foreach (StreamingSearch search in new[] { finished, disposed })
        {
            Assert.That(() => search.Add(data.View), Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => Searches.Finish(search, 2, 1), Throws.InstanceOf<ObjectDisposedException>());
        }
    }

    [Test]
    public void ArgumentsAreNamed()
    {
        using Rows queries = new(2, 3), data = new(5, 3), other = new(5, 4);
        using StreamingSearch search = new(queries.View, 2, SimilarityMetric.Dot);
        search.Add(data.View);
        Assert.Multiple(() =>
        {
            Assert.That(() => new StreamingSearch(queries.View, 0, SimilarityMetric.Dot), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("k"));
            Assert.That(() => new StreamingSearch(queries.View, 1, (SimilarityMetric)7), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("metric"));
            Assert.That(
                () => new StreamingSearch(queries.View, 1, SimilarityMetric.Cosine, new SearchOptions { Norms = new float[2] }),
                Throws.ArgumentException.With.Property("ParamName").EqualTo("options"));
            Assert.That(
                () => new StreamingSearch(queries.View, 1, SimilarityMetric.Cosine, new SearchOptions { ZeroVectors = (ZeroVectorRule)2 }),
                Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("options"));
            Assert.That(() => search.Add(other.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("block"));
            Assert.That(() => search.Finish(default, default), Throws.ArgumentException.With.Property("ParamName").EqualTo("ids"));
        });

        // None of that spoilt the search.
        Assert.That(search.Rows, Is.EqualTo((nint)5));
        Assert.That(Searches.Finish(search, 2, 2).Ids, Is.EqualTo(new long[] { 0, 1, 0, 1 }));
    }
}
