namespace EmbeddingKernels.Core.Tests;

public sealed class SkipGramReferenceTests
{
    /// <summary>The reference step is minus alpha times the gradient of the loss, by central differences.</summary>
    [Test]
    public void TheStepIsTheGradient()
    {
        const double H = 1e-5;
        Random random = new(5);
        double[][] contexts = Random(3);
        double[][] outputs = Random(6);
        int[] times = [1, 1, 2, 1, 3, 1];
        double[][] newContexts = contexts.Select(r => (double[])r.Clone()).ToArray();
        double[][] newOutputs = outputs.Select(r => (double[])r.Clone()).ToArray();
        SkipGramReference.Step(newContexts, newOutputs, times, 1);
        foreach ((double[][] rows, double[][] stepped) in new[] { (contexts, newContexts), (outputs, newOutputs) })
        {
            for (int i = 0; i < rows.Length; i++)
            {
                for (int d = 0; d < rows[i].Length; d++)
                {
                    double value = rows[i][d];
                    rows[i][d] = value + H;
                    double above = SkipGramReference.Loss(contexts, outputs, times);
                    rows[i][d] = value - H;
                    double below = SkipGramReference.Loss(contexts, outputs, times);
                    rows[i][d] = value;
                    Assert.That(stepped[i][d] - value, Is.EqualTo(-(above - below) / (2 * H)).Within(1e-8));
                }
            }
        }

        double[][] Random(int rows) => Enumerable.Range(0, rows).Select(_ => Enumerable.Range(0, 7).Select(_ => random.NextDouble() - 0.5).ToArray()).ToArray();
    }
}

public sealed class NoiseDistributionTests
{
    [Test]
    public void ProbabilitiesFollowTheCounts([Values(0.0, 0.75, 1.0, -0.5)] double exponent)
    {
        long[] counts = [1000, 1, 0, 17, 17, 250, 3];
        NoiseDistribution noise = new(counts, exponent);
        double total = counts.Where(c => c > 0).Sum(c => Math.Pow(c, exponent));
        for (int word = 0; word < counts.Length; word++)
        {
            double expected = counts[word] == 0 ? 0 : Math.Pow(counts[word], exponent) / total;
            Assert.That(noise.Probability(word), Is.EqualTo(expected).Within(1e-8));
        }
    }

    [Test]
    public void DrawsFollowTheProbabilities()
    {
        const int Draws = 2_000_000;
        long[] counts = Enumerable.Range(1, 300).Select(i => 100_000L / i).ToArray();
        NoiseDistribution noise = new(counts);
        SplitMix64 random = new(9);
        double[] seen = new double[counts.Length];
        for (int i = 0; i < Draws; i++)
            seen[noise.Draw(ref random)]++;
        double chiSquare = 0;
        for (int word = 0; word < counts.Length; word++)
        {
            double expected = Draws * noise.Probability(word);
            chiSquare += (seen[word] - expected) * (seen[word] - expected) / expected;
        }

        // 299 degrees of freedom: mean 299, standard deviation 24.5; six of them above.
        Assert.That(chiSquare, Is.LessThan(299 + (6 * 24.5)));
    }

    [Test]
    public void BadCountsAreRefused()
    {
        Assert.That(() => new NoiseDistribution([]), Throws.ArgumentException);
        Assert.That(() => new NoiseDistribution([0, 0]), Throws.ArgumentException);
        Assert.That(() => new NoiseDistribution([3, -1]), Throws.ArgumentException.With.Message.Contains("word 1"));
        Assert.That(() => new NoiseDistribution([3], double.NaN), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new NoiseDistribution([3]).Probability(1), Throws.TypeOf<ArgumentOutOfRangeException>());
    }
}
