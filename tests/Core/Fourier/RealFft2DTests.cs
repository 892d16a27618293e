using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class RealFft2DTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly (int Rows, int Columns)[] Sizes =
        [(2, 1), (2, 2), (4, 3), (6, 5), (8, 8), (10, 15), (12, 20), (16, 27), (30, 25), (50, 40), (60, 64), (2, 75), (128, 1), (90, 9)];

    [Test]
    public void SpectraFollowTheDefinition()
    {
        foreach ((int rows, int columns) in Sizes)
        {
            using Grid grid = Grid.Random(rows, columns, rows + columns);
            using RealFft2D fft = new(rows, columns);
            using Grid spectrum = new(fft.Frequencies, 2 * columns);
            fft.Forward(grid.View, spectrum.View);
            (double Re, double Im)[,] wanted = RealFft2DReference.Forward(grid.ToDouble());
            double error = 0, power = 0;
            for (int k = 0; k < fft.Frequencies; k++)
            {
                for (int l = 0; l < columns; l++)
                {
                    error += Square(spectrum[k, 2 * l] - wanted[k, l].Re) + Square(spectrum[k, (2 * l) + 1] - wanted[k, l].Im);
                    power += Square(wanted[k, l].Re) + Square(wanted[k, l].Im);
                }
            }

            Assert.That(Math.Sqrt(error / power), Is.LessThan(2e-7 * Math.Sqrt(Math.Log2(rows * columns) + 1)), $"{rows} x {columns}");
        }
    }

    [Test]
    public void TheInverseGivesTheGridBack()
    {
        foreach ((int rows, int columns) in Sizes)
        {
            using Grid grid = Grid.Random(rows, columns, rows), back = new(rows, columns);
            using RealFft2D fft = new(rows, columns);
            using Grid spectrum = new(fft.Frequencies, 2 * columns);
            fft.Forward(grid.View, spectrum.View);
            fft.Inverse(spectrum.View, back.View);
            for (int y = 0; y < rows; y++)
            {
                for (int x = 0; x < columns; x++)
                    Assert.That(back[y, x], Is.EqualTo(grid[y, x]).Within(1e-6f), $"{rows} x {columns} at {y}, {x}");
            }
        }
    }

    [Test]
    public void AWaveHasOneFrequency()
    {
        const int Rows = 48, Columns = 60, K = 7, L = 11;
        using Grid grid = new(Rows, Columns), spectrum = new((Rows / 2) + 1, 2 * Columns);
        for (int y = 0; y < Rows; y++)
        {
            for (int x = 0; x < Columns; x++)
                grid[y, x] = (float)Math.Cos(2 * Math.PI * (((double)K * y / Rows) + ((double)L * x / Columns)));
        }

        using RealFft2D fft = new(Rows, Columns);
        fft.Forward(grid.View, spectrum.View);
        for (int k = 0; k <= Rows / 2; k++)
        {
            for (int l = 0; l < Columns; l++)
            {
                Assert.That(spectrum[k, 2 * l], Is.EqualTo(k == K && l == L ? Rows * Columns / 2f : 0f).Within(2e-3f), $"{k}, {l}");
                Assert.That(spectrum[k, (2 * l) + 1], Is.EqualTo(0f).Within(2e-3f), $"{k}, {l}");
            }
        }
    }

    [Test]
    public void ThreadsDoNotChangeTheBits()
    {
        const int Rows = 160, Columns = 150;
        using Grid grid = Grid.Random(Rows, Columns, 3), one = new((Rows / 2) + 1, 2 * Columns), many = new((Rows / 2) + 1, 2 * Columns);
        using RealFft2D fft = new(Rows, Columns);
        fft.Forward(grid.View, one.View);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            fft.Forward(grid.View, many.View, pool);
            Assert.That(many.Values(), Is.EqualTo(one.Values()));
        }
    }

    [Test]
    public void NothingOutsideTheGridIsTouched()
    {
        foreach ((int rows, int columns) in Sizes)
        {
            using GuardedBuffer<float> grid = new(rows * columns), spectrum = new(((rows / 2) + 1) * 2 * columns);
            for (int i = 0; i < grid.Length; i++)
                grid.Pointer[i] = i % 7;
            using RealFft2D fft = new(rows, columns);
            fft.Forward(new(grid.Pointer, rows, columns), new(spectrum.Pointer, fft.Frequencies, 2 * columns));
            fft.Inverse(new(spectrum.Pointer, fft.Frequencies, 2 * columns), new(grid.Pointer, rows, columns));
            Assert.That(grid.Pointer[0], Is.EqualTo(0f).Within(1e-5f));
        }
    }

    [Test]
    public void BadSizesAndShapesAreNamed()
    {
        using RealFft2D fft = new(8, 5);
        using Grid grid = new(8, 5), spectrum = new(5, 10), wrong = new(8, 6);
        Assert.Multiple(() =>
        {
            Assert.That(() => new RealFft2D(7, 5), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("rows"));
            Assert.That(() => new RealFft2D(14, 5), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("rows"));
            Assert.That(() => new RealFft2D(8, 7), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("columns"));
            Assert.That(() => new RealFft2D(8, 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => fft.Forward(wrong.View, spectrum.View), Throws.ArgumentException.With.Message.Contains("8 x 5 and is 8 x 6"));
            Assert.That(() => fft.Inverse(grid.View, grid.View), Throws.ArgumentException.With.Property("ParamName").EqualTo("spectrum"));
        });
    }

    private static double Square(double value) => value * value;

    /// <summary>A matrix whose rows have a gap behind them and are not aligned.</summary>
    private sealed class Grid(int rows, int columns) : IDisposable
    {
        private readonly AlignedBuffer<float> _buffer = new((rows * (columns + 3)) + 1);

        public MatrixView<float> View => new(_buffer.Pointer + 1, rows, columns, columns + 3);

        public ref float this[int y, int x] => ref View.Row(y)[x];

        public static Grid Random(int rows, int columns, int seed)
        {
            Grid grid = new(rows, columns);
            Random random = new(seed);
            for (int y = 0; y < rows; y++)
            {
                for (int x = 0; x < columns; x++)
                    grid[y, x] = random.NextSingle() - 0.5f;
            }

            return grid;
        }

        public double[,] ToDouble()
        {
            double[,] values = new double[rows, columns];
            for (int y = 0; y < rows; y++)
            {
                for (int x = 0; x < columns; x++)
                    values[y, x] = this[y, x];
            }

            return values;
        }

        public float[] Values() => [.. Enumerable.Range(0, rows).SelectMany(y => View.RowSpan(y).ToArray())];

        public void Dispose() => _buffer.Dispose();
    }
}

public sealed unsafe class LineFftTests(IsaLevel level) : IsaFixture(level)
{
    [Test]
    public void EveryLengthFollowsTheDefinition()
    {
        for (int length = 1; length <= 256; length++)
        {
            if (!FftLength.IsSupported(length))
                continue;
            Action action = new(length);
            Isa.Dispatch(ref action);
            Assert.That(action.ForwardError, Is.LessThan(1e-6), $"forward {length}");
            Assert.That(action.BackwardError, Is.LessThan(1e-6), $"there and back {length}");
        }
    }

    private struct Action(int length) : IWideAction
    {
        public double ForwardError { get; private set; }

        public double BackwardError { get; private set; }

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            // Another signal in each lane.
            int lanes = TWide.Lanes;
            using FftPlan plan = new(length);
            using AlignedBuffer<float> data = new(2 * lanes * length);
            Random random = new(length);
            float[] signal = new float[2 * lanes * length];
            for (int i = 0; i < signal.Length; i++)
                data.Pointer[i] = signal[i] = random.NextSingle() - 0.5f;
            LineFft<TWide>.Forward(plan, data.Pointer);
            double error = 0, power = 0;
            for (int lane = 0; lane < lanes; lane++)
            {
                for (int k = 0; k < length; k++)
                {
                    (double re, double im) = RealFft2DReference.Sum(length, k, n => (signal[(2 * n * lanes) + lane], signal[(((2 * n) + 1) * lanes) + lane]));
                    float* element = data.Pointer + (2 * plan.Places[k] * lanes) + lane;
                    error += Math.Pow(element[0] - re, 2) + Math.Pow(element[lanes] - im, 2);
                    power += (re * re) + (im * im);
                }
            }

            ForwardError = Math.Sqrt(error / power);
            LineFft<TWide>.Backward(plan, data.Pointer);
            for (int i = 0; i < signal.Length; i++)
                BackwardError = Math.Max(BackwardError, Math.Abs((data.Pointer[i] / length) - signal[i]));
        }
    }
}

public sealed class FftLengthTests
{
    [Test]
    public void SupportedLengthsHaveNoOtherFactors([Values(1, 2, 3, 4, 5, 6, 60, 1000, 1 << 24)] int length) => Assert.That(FftLength.IsSupported(length));

    [Test]
    public void OthersAreRefused([Values(-4, 0, 7, 11, 14, 1001, 1 << 25)] int length) => Assert.That(FftLength.IsSupported(length), Is.False);

    [Test]
    public void TheCheapestLengthIsLongEnoughAndNotFarFromIt([Values(1, 2, 16)] int multiple)
    {
        for (int least = 1; least < 3000; least += 13)
        {
            int length = FftLength.Cheapest(least, multiple);
            Assert.That(FftLength.IsSupported(length) && length >= least && length % multiple == 0 && length <= Math.Max(1.3 * least, least + (4 * multiple)), $"{least}: {length}");
            Assert.That(FftLength.Radices(length).Aggregate(1, (a, b) => a * b), Is.EqualTo(length));
        }
    }

    [Test]
    public void LengthsBeyondAllAreNamed() => Assert.Multiple(() =>
    {
        Assert.That(() => FftLength.Cheapest(FftLength.Most + 1), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("least"));
        Assert.That(() => FftLength.Cheapest(5, 7), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("multiple"));
    });
}
