using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class SkipGramTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly int[] Dimensions = [1, 3, 8, 16, 17, 31, 100, 128, 300];

    /// <summary>
    /// The whole worker against a plain loop in double that draws the same random numbers: sub-sampling, windows, noise,
    /// blocks of outputs, padding, multiplicities.
    /// </summary>
    [Test]
    public void TrainingFollowsTheReferenceLoop(
        [ValueSource(nameof(Dimensions))] int dimension, [Values(1, 5, 13)] int negative, [Values] bool shared, [Values] bool shrink)
    {
        const int Words = 60;
        const int Passes = 3;
        SkipGramParameters parameters = new() { Window = 4, Negative = negative, SharedNegatives = shared, ShrinkWindows = shrink, Sample = 0.01 };
        long[] counts = Enumerable.Range(0, Words).Select(i => 2000L / (i + 1)).ToArray();
        using SkipGramModel model = new(counts, dimension, parameters, seed: 7);
        double[][] input = Rows(model.Input);
        double[][] output = Rows(model.Output);
        using SkipGramWorker worker = model.CreateWorker(seed: 11);
        ReferenceLoop reference = new(model, 11, input, output);
        Random random = new(3);
        for (int pass = 0; pass < Passes; pass++)
        {
            // A permutation: no word twice in a window, where order of updates would matter.
            int[] sentence = Enumerable.Range(0, Words).OrderBy(_ => random.Next()).ToArray();
            worker.Train(sentence, 0.05f);
            reference.Train(sentence, (double)0.05f);
        }

        AssertClose(Rows(model.Input), input);
        AssertClose(Rows(model.Output), output);
        AssertPaddingIsZero(model);
    }

    [Test]
    public void OneSeedGivesTheSameBits()
    {
        Assert.That(Trained(5), Is.EqualTo(Trained(5)));
        Assert.That(Trained(5), Is.Not.EqualTo(Trained(6)));

        static float[] Trained(long seed)
        {
            using SkipGramModel model = new([50, 40, 30, 20, 10], 20, new SkipGramParameters(), seed: 1);
            using SkipGramWorker worker = model.CreateWorker(seed);
            for (int i = 0; i < 20; i++)
                worker.Train([0, 1, 2, 3, 4, 3, 2, 1, 0, 0, 1], 0.05f);
            return Enumerable.Range(0, 5).SelectMany(w => model.Input.RowSpan(w).ToArray()).ToArray();
        }
    }

    [Test]
    public void TrainingLowersTheLoss()
    {
        // Words 0-4 occur together, and so do 5-9: a context must score its own group above the other.
        using SkipGramModel model = new(Enumerable.Repeat(100L, 10).ToArray(), 24, new SkipGramParameters { Sample = 0 }, seed: 1);
        using SkipGramWorker worker = model.CreateWorker(1);
        Random random = new(1);
        for (int i = 0; i < 2000; i++)
        {
            int group = 5 * (i % 2);
            worker.Train(Enumerable.Range(0, 8).Select(_ => group + random.Next(5)).ToArray(), 0.05f);
        }

        double[][] input = Rows(model.Input);
        double[][] output = Rows(model.Output);
        double Score(int a, int b) => input[a].Zip(output[b], (x, y) => x * y).Sum();
        for (int a = 0; a < 5; a++)
        {
            for (int b = 0; b < 5; b++)
                Assert.That(Score(a, b), Is.GreaterThan(Score(a, b + 5) + 0.5));
        }
    }

    [Test]
    public void HugeVectorsSaturateAndStayFinite()
    {
        using SkipGramModel model = new([10, 10, 10], 16, new SkipGramParameters { Sample = 0 }, seed: 1);
        for (int word = 0; word < 3; word++)
        {
            model.Input.RowSpan(word).Fill(word == 1 ? -1e15f : 1e15f);
            model.Output.RowSpan(word).Fill(1e15f);
        }

        using SkipGramWorker worker = model.CreateWorker(1);
        worker.Train([0, 1, 2, 1, 0], 0.025f);
        for (int word = 0; word < 3; word++)
        {
            Assert.That(model.Input.RowSpan(word).ToArray(), Has.All.Matches<float>(float.IsFinite));
            Assert.That(model.Output.RowSpan(word).ToArray(), Has.All.Matches<float>(float.IsFinite));
        }
    }

    [Test]
    public void ANaNRowSpoilsOnlyWhatItMeets()
    {
        using SkipGramModel model = new([10, 10, 10, 10], 9, new SkipGramParameters { Window = 1, Negative = 1, Sample = 0 }, seed: 1);
        model.Input.RowSpan(3).Fill(float.NaN);
        using SkipGramWorker worker = model.CreateWorker(1);
        worker.Train([0, 1, 0, 1], 0.025f);
        for (int word = 0; word < 3; word++)
            Assert.That(model.Input.RowSpan(word).ToArray(), Has.All.Matches<float>(float.IsFinite));
    }

    [Test]
    public void ShortSentencesChangeNothing()
    {
        using SkipGramModel model = new([10, 10, 10], 8, new SkipGramParameters { Sample = 0 }, seed: 1);
        double[][] before = Rows(model.Input);
        using SkipGramWorker worker = model.CreateWorker(1);
        worker.Train([], 0.1f);
        worker.Train([2], 0.1f);
        Assert.That(Rows(model.Input), Is.EqualTo(before));
        Assert.That(Rows(model.Output).SelectMany(r => r), Has.All.Zero);
    }

    [Test]
    public void BadInputIsNamedBeforeAnythingIsWritten()
    {
        using SkipGramModel model = new([10, 10, 10], 8, new SkipGramParameters { Sample = 0 }, seed: 1);
        double[][] before = Rows(model.Input);
        using SkipGramWorker worker = model.CreateWorker(1);
        Assert.That(() => worker.Train([0, 1, 2, 3], 0.1f), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("position 3"));
        Assert.That(() => worker.Train([0, -1], 0.1f), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("position 1"));
        Assert.That(() => worker.Train([0, 1], float.NaN), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("alpha"));
        Assert.That(Rows(model.Input), Is.EqualTo(before));
    }

    [Test]
    public void ParametersAreChecked()
    {
        static void Refused(SkipGramParameters parameters, string name) => Assert.That(
            parameters.Validate, Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo(name));
        Refused(new() { Window = 0 }, "Window");
        Refused(new() { Negative = 0 }, "Negative");
        Refused(new() { Sample = -1 }, "Sample");
        Refused(new() { Sample = double.NaN }, "Sample");
        Refused(new() { NsExponent = double.PositiveInfinity }, "NsExponent");
        Assert.That(() => new SkipGramModel([1], 0, new()), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new SkipGramModel([], 4, new()), Throws.ArgumentException);
    }

    /// <summary>Tolerance: 1e-5 of the largest value, for a few thousand steps of rate 0.05.</summary>
    private static void AssertClose(double[][] actual, double[][] expected)
    {
        double scale = expected.Max(row => row.Max(Math.Abs));
        for (int i = 0; i < expected.Length; i++)
        {
            for (int d = 0; d < expected[i].Length; d++)
                Assert.That(actual[i][d], Is.EqualTo(expected[i][d]).Within(1e-5 * scale), $"row {i}, column {d}");
        }
    }

    private static void AssertPaddingIsZero(SkipGramModel model)
    {
        for (nint word = 0; word < model.Words; word++)
        {
            for (int d = model.Dimension; d < model.Stride; d++)
            {
                Assert.That(model.Input.Row(word)[d], Is.Zero);
                Assert.That(model.Output.Row(word)[d], Is.Zero);
            }
        }
    }

    private static double[][] Rows(MatrixView<float> matrix) =>
        Enumerable.Range(0, (int)matrix.Rows).Select(i => matrix.RowSpan(i).ToArray().Select(v => (double)v).ToArray()).ToArray();

    private sealed class ReferenceLoop(SkipGramModel model, long seed, double[][] input, double[][] output)
    {
        private SplitMix64 _random = new(seed);

        public void Train(int[] sentence, double alpha)
        {
            SkipGramParameters p = model.Parameters;
            int[] words = sentence.Where(word =>
                model.KeepThresholds[word] == uint.MaxValue || (uint)(_random.Next() >> 32) < model.KeepThresholds[word]).ToArray();
            if (words.Length == 0)
                return;
            (List<int> Words, List<int> Times) next = Draw(words[0]);
            for (int i = 0; i < words.Length; i++)
            {
                (List<int> Words, List<int> Times) current = next;
                if (i + 1 < words.Length)
                    next = Draw(words[i + 1]);
                int reach = p.ShrinkWindows ? 1 + (int)_random.NextBelow((uint)p.Window) : p.Window;
                int[] contexts = Enumerable.Range(i - reach, (2 * reach) + 1).Where(c => c >= 0 && c < words.Length && c != i).Select(c => words[c]).ToArray();
                if (p.SharedNegatives)
                {
                    Step(contexts, current, alpha);
                    continue;
                }

                for (int c = 0; c < contexts.Length; c++)
                {
                    if (c > 0)
                        current = Draw(words[i]);
                    Step([contexts[c]], current, alpha);
                }
            }
        }

        private void Step(int[] contexts, (List<int> Words, List<int> Times) sampled, double alpha) => SkipGramReference.Step(
            contexts.Select(c => input[c]).ToArray(), sampled.Words.Select(w => output[w]).ToArray(), sampled.Times.ToArray(), alpha);

        private (List<int> Words, List<int> Times) Draw(int target)
        {
            List<int> words = [target];
            List<int> times = [1];
            for (int i = 0; i < model.Parameters.Negative; i++)
            {
                int word = model.Noise.Draw(ref _random);
                int seen = words.IndexOf(word);
                if (seen < 0)
                {
                    words.Add(word);
                    times.Add(1);
                }
                else if (seen > 0)
                {
                    times[seen]++;
                }
            }

            return (words, times);
        }
    }
}
