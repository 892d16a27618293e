using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class FrameSpectraTests(IsaLevel level) : IsaFixture(level)
{
    private static readonly FrameSpectraOptions Plain = new() { FftLength = 32, HopLength = 10 };

    /// <summary>Even and odd transforms, windows shorter than they, frames before and behind the signal, every step switched on and off.</summary>
    private static IEnumerable<(FrameSpectraOptions Options, int Window, int Samples, int Frames)> Cases()
    {
        foreach (int length in new[] { 1, 2, 3, 4, 5, 8, 15, 16, 20, 25, 30, 45, 64, 75, 100, 128 })
            yield return (Plain with { FftLength = length, HopLength = Math.Max(length / 3, 1) }, length, 3 * length, 6);
        foreach (SpectrumValue value in Enum.GetValues<SpectrumValue>())
        {
            foreach (FramePadding padding in Enum.GetValues<FramePadding>())
                yield return (Plain with { Value = value, Padding = padding, FirstSample = -25, WindowOffset = 3 }, 21, 90, 19);
        }

        foreach (FrameEnergy energy in Enum.GetValues<FrameEnergy>())
        {
            yield return (Plain with { Energy = energy }, 32, 200, 17);
            yield return (Plain with { Energy = energy, RemoveMean = true, SampleScale = 7 }, 25, 200, 17);
            yield return (Plain with { Energy = energy, PreEmphasis = 0.97f }, 24, 200, 16);
            yield return (Plain with { Energy = energy, PreEmphasis = 0.97f, RemoveMean = true, FftLength = 45, WindowOffset = 9 }, 31, 200, 15);
        }

        yield return (Plain with { LogFactor = 1 }, 32, 200, 17);
        yield return (Plain with { LogFactor = 4.34f, LogOffset = 1e-3f, LogFloor = 1f, Value = SpectrumValue.Magnitude }, 32, 200, 33);
        yield return (Plain with { HopLength = 1000 }, 32, 200, 3); // frames behind the signal are zeros
    }

    [Test]
    public void FramesFollowTheFormula([Values] bool filtered)
    {
        foreach ((FrameSpectraOptions options, int windowLength, int count, int frames) in Cases())
        {
            if (filtered && options.Value == SpectrumValue.Complex)
                continue;
            float[] window = Noise(windowLength, 1, 0.5f), samples = Noise(count, 2);
            float[,]? filters = filtered ? Filters(9, (options.FftLength / 2) + 1) : null;
            (double[,] wanted, double[] energies) = FrameSpectraReference.Run(options, window, filters, samples, frames);
            using BandFilters? bands = filtered ? Bands(filters!) : null;
            using FrameSpectra spectra = new(options, window, bands);
            float[,] values = Run(spectra, samples, frames, out float[] energy);
            string what = $"{options}, window {windowLength}";
            Assert.That(spectra.Columns, Is.EqualTo(wanted.GetLength(1)), what);
            for (int f = 0; f < frames; f++)
            {
                double largest = Enumerable.Range(0, spectra.Columns).Max(m => Math.Abs(wanted[f, m]));
                double bound = options.LogFactor != 0 ? 2e-5 : 4e-6 * largest;
                for (int m = 0; m < spectra.Columns; m++)
                    Assert.That(values[f, m], Is.EqualTo(wanted[f, m]).Within(bound), $"{what}: frame {f}, column {m}");
                if (options.Energy != FrameEnergy.None)
                    Assert.That(energy[f], Is.EqualTo(energies[f]).Within(2e-6 * energies[f]), $"{what}: energy of frame {f}");
            }
        }
    }

    /// <summary>The stated accuracy, at the lengths that are used.</summary>
    [Test]
    public void TheErrorIsBelowItsBound([Values(200, 256, 375, 400, 512, 1024, 2048)] int length)
    {
        FrameSpectraOptions options = new() { FftLength = length, HopLength = length / 2, Value = SpectrumValue.Complex };
        float[] window = Noise(length, 3, 0.5f), samples = Noise(2 * length, 4);
        (double[,] wanted, _) = FrameSpectraReference.Run(options, window, null, samples, 3);
        using FrameSpectra spectra = new(options, window);
        float[,] values = Run(spectra, samples, 3, out _);
        double error = 0, power = 0;
        for (int f = 0; f < 3; f++)
        {
            for (int m = 0; m < spectra.Columns; m++)
            {
                error += Math.Pow(values[f, m] - wanted[f, m], 2);
                power += Math.Pow(wanted[f, m], 2);
            }
        }

        Assert.That(Math.Sqrt(error / power), Is.LessThan(2e-7 * (Math.Sqrt(Math.Log2(length)) + 1)));
    }

    [Test]
    public void EveryNumberOfFramesIsTheSameAsEachAlone()
    {
        const int Most = 50;
        float[] window = Noise(30, 5, 0.5f), samples = Noise(400, 6);
        using BandFilters bands = Bands(Filters(7, 17));
        FrameSpectraOptions options = Plain with { FirstSample = -20, Padding = FramePadding.Reflect, LogFactor = 1, RemoveMean = true, Energy = FrameEnergy.Raw };
        using FrameSpectra spectra = new(options, window, bands);
        float[,] all = Run(spectra, samples, Most, out float[] energies);
        for (int frames = 0; frames <= Most; frames++)
        {
            float[,] some = Run(spectra, samples, frames, out float[] energy);
            Assert.That(energy, Is.EqualTo(energies[..frames]));
            for (int f = 0; f < frames; f++)
            {
                for (int m = 0; m < spectra.Columns; m++)
                    Assert.That(some[f, m], Is.EqualTo(all[f, m]), $"{frames} frames: frame {f}, column {m}");
            }
        }
    }

    [Test]
    public void ThreadsDoNotChangeTheBits()
    {
        float[] window = Noise(30, 5, 0.5f), samples = Noise(20_000, 6);
        using BandFilters bands = Bands(Filters(7, 17));
        using FrameSpectra spectra = new(Plain with { FirstSample = -15, Padding = FramePadding.Symmetric }, window, bands);
        float[,] one = Run(spectra, samples, 2000, out _);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            using WorkerPool pool = new(threads);
            Assert.That(Run(spectra, samples, 2000, out _, pool), Is.EqualTo(one), $"{threads} threads");
        }
    }

    [Test]
    public void NothingOutsideTheSignalAndTheRowsIsTouched()
    {
        for (int count = 0; count <= 256; count += 1 + (count / 40))
        {
            using GuardedBuffer<float> samples = new(count), window = new(29);
            samples.Span.Fill(0.25f);
            window.Span.Fill(1f);
            using FrameSpectra spectra = new(Plain with { FirstSample = -14, Energy = FrameEnergy.Windowed, FftLength = 30 }, window.Span);
            int frames = (count / 10) + 1;
            using GuardedBuffer<float> rows = new(frames * spectra.Columns), energies = new(frames);
            spectra.Run(samples.Pointer, count, new(rows.Pointer, frames, spectra.Columns), energies.Pointer);
            Assert.That(energies.Span[0], Is.EqualTo(Math.Min(count, 15) * 0.0625f).Within(1e-5f));
        }
    }

    [Test]
    public void NonNumbersStayInTheirFrames([Values(float.NaN, float.PositiveInfinity)] float bad, [Values(0f, 1f)] float log)
    {
        float[] window = Noise(32, 5, 0.5f), samples = Noise(640, 6);
        samples[325] = bad;
        using FrameSpectra spectra = new(Plain with { HopLength = 32, LogFactor = log }, window);
        float[,] values = Run(spectra, samples, 20, out _);
        for (int f = 0; f < 20; f++)
        {
            for (int m = 0; m < spectra.Columns; m++)
                Assert.That(float.IsFinite(values[f, m]), Is.EqualTo(f != 10), $"frame {f}, column {m}: {values[f, m]}");
        }
    }

    [Test]
    public void LoudSoundsDoNotOverflowBelowTheSquareRootOfAll()
    {
        float[] window = Noise(32, 5, 0.5f), samples = [.. Noise(320, 6).Select(x => x * 1e17f)];
        using FrameSpectra power = new(Plain with { LogFactor = 1 }, window);
        foreach (float value in Run(power, samples, 20, out _))
            Assert.That(float.IsFinite(value));
    }

    [Test]
    public void BadArgumentsAreNamed()
    {
        float[] window = new float[32];
        using BandFilters wrong = Bands(Filters(3, 16)), right = Bands(Filters(3, 17));
        using FrameSpectra spectra = new(Plain, window), measured = new(Plain with { Energy = FrameEnergy.Raw }, window);
        float[] rows = new float[34], signal = new float[32];
        Assert.Multiple(() =>
        {
            Named(() => new FrameSpectra(Plain with { FftLength = 28 }, window), "FftLength");
            Named(() => new FrameSpectra(Plain with { HopLength = 0 }, window), "HopLength");
            Named(() => new FrameSpectra(Plain with { WindowOffset = 1 }, window), "window");
            Named(() => new FrameSpectra(Plain, new float[33]), "window");
            Named(() => new FrameSpectra(Plain, []), "window");
            Named(() => new FrameSpectra(Plain with { WindowOffset = 32 }, window), "WindowOffset");
            Named(() => new FrameSpectra(Plain with { Padding = (FramePadding)9 }, window), "Padding");
            Named(() => new FrameSpectra(Plain with { Energy = (FrameEnergy)9 }, window), "Energy");
            Named(() => new FrameSpectra(Plain with { Value = (SpectrumValue)9 }, window), "Value");
            Named(() => new FrameSpectra(Plain with { FirstSample = long.MinValue }, window), "FirstSample");
            Named(() => new FrameSpectra(Plain with { PreEmphasis = float.NaN }, window), "PreEmphasis");
            Named(() => new FrameSpectra(Plain with { LogFactor = 1, LogFloor = 0 }, window), "LogFloor");
            Named(() => new FrameSpectra(Plain with { LogFactor = 1, Value = SpectrumValue.Complex }, window), "LogFactor");
            Named(() => new FrameSpectra(Plain, window, wrong), "bands");
            Named(() => new FrameSpectra(Plain with { Value = SpectrumValue.Complex }, window, right), "bands");
            Named(() => Run(spectra, signal, 2, out _, columns: 16), "destination");
            fixed (float* pointer = rows)
            {
                float* p = pointer;
                Named(() => measured.Run(signal, new(p, 2, 17)), "energies");
                Named(() => measured.Run(signal, new(p, 2, 17), new float[3]), "energies");
                Named(() => spectra.Run(null, 3, new(p, 2, 17)), "samples");
            }

            Assert.That(() => Bands(new float[,] { { 1, float.NaN } }), Throws.ArgumentException.With.Message.Contains("filter 0"));
            Assert.That(() => Bands(new float[0, 5]), Throws.ArgumentException);
        });
    }

    [Test]
    public void RowsAreTransformedByThemselves([Values(1, 2, 9, 40, 75)] int length)
    {
        const int Rows = 21;
        using RealFft fft = new(length);
        using AlignedBuffer<float> rows = new(Rows * (length + 3)), spectra = new(Rows * 2 * fft.Frequencies);
        MatrixView<float> from = new(rows.Pointer, Rows, length, length + 3), to = new(spectra.Pointer, Rows, 2 * fft.Frequencies);
        Noise((int)rows.Length, 9).CopyTo(rows.AsSpan());
        fft.Forward(from, to);
        for (int i = 0; i < Rows; i++)
        {
            float[] row = from.RowSpan(i).ToArray();
            for (int k = 0; k < fft.Frequencies; k++)
            {
                (double re, double im) = RealFft2DReference.Sum(length, k, n => (row[n], 0));
                Assert.That(to.Row(i)[2 * k], Is.EqualTo(re).Within(2e-6 * Math.Sqrt(length)), $"row {i}, frequency {k}");
                Assert.That(to.Row(i)[(2 * k) + 1], Is.EqualTo(im).Within(2e-6 * Math.Sqrt(length)), $"row {i}, frequency {k}");
            }
        }

        Assert.That(() => fft.Forward(to, from), Throws.ArgumentException);
        Assert.That(() => new RealFft(7), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("length"));
    }

    [Test]
    public void TheRangeBelowThePeakIsLimited()
    {
        for (int columns = 1; columns <= 40; columns++)
        {
            float[] values = Noise(3 * columns, columns);
            values[columns] = float.NaN;
            float peak = values.Where(x => !float.IsNaN(x)).DefaultIfEmpty().Max();
            float[] limited = [.. values];
            fixed (float* pointer = limited)
                DynamicRange.Limit(new(pointer, 3, columns), 0.3f);
            for (int i = 0; i < values.Length; i++)
                Assert.That(limited[i], Is.EqualTo(float.IsNaN(values[i]) ? float.NaN : Math.Max(values[i], peak - 0.3f)), $"{columns} columns, element {i}");
        }

        Assert.That(() => DynamicRange.Limit(default, -1), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("range"));
    }

    [Test]
    public void SignalsContinueAsThePaddingSays()
    {
        string At(FramePadding padding, int count) =>
            string.Concat(Enumerable.Range(-7, 17).Select(i => FrameSpectra.SampleAt(i, count, padding) is var s && s < 0 ? '.' : (char)('a' + s)));
        Assert.Multiple(() =>
        {
            Assert.That(At(FramePadding.Zeros, 4), Is.EqualTo(".......abcd......"));
            Assert.That(At(FramePadding.Edge, 4), Is.EqualTo("aaaaaaaabcddddddd"));
            Assert.That(At(FramePadding.Reflect, 4), Is.EqualTo("babcdcbabcdcbabcd"));
            Assert.That(At(FramePadding.Symmetric, 4), Is.EqualTo("bcddcbaabcddcbaab"));
            Assert.That(At(FramePadding.Reflect, 1), Is.EqualTo(new string('a', 17)));
            Assert.That(At(FramePadding.Symmetric, 0), Is.EqualTo(new string('.', 17)));
        });
    }

    private static void Named(Func<object?> call, string parameter) => Named(() => { _ = call(); }, parameter);

    private static void Named(Action call, string parameter) =>
        Assert.That(call, Throws.InstanceOf<ArgumentException>().With.Property("ParamName").EqualTo(parameter));

    private static float[] Noise(int count, int seed, float offset = 0f)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f + offset)];
    }

    /// <summary>Bands of several widths, one of them empty and one with zeros inside.</summary>
    private static float[,] Filters(int count, int frequencies)
    {
        float[,] filters = new float[count, frequencies];
        for (int m = 0; m < count; m++)
        {
            int first = m * frequencies / count;
            for (int k = first; k < Math.Min(frequencies, first + m); k++)
                filters[m, k] = k == first + 2 ? 0 : (0.3f * m) - (0.1f * k) + 0.05f;
        }

        return filters;
    }

    private static BandFilters Bands(float[,] filters)
    {
        fixed (float* weights = filters)
            return new BandFilters(new(weights, filters.GetLength(0), filters.GetLength(1)));
    }

    /// <summary>Into rows with a gap behind them.</summary>
    private static float[,] Run(FrameSpectra spectra, float[] samples, int frames, out float[] energies, WorkerPool? pool = null, int columns = 0)
    {
        int wide = columns > 0 ? columns : spectra.Columns;
        using AlignedBuffer<float> rows = new((frames * (wide + 3)) + 1);
        energies = spectra.Options.Energy == FrameEnergy.None ? [] : new float[frames];
        MatrixView<float> view = new(rows.Pointer + 1, frames, wide, wide + 3);
        spectra.Run(samples, view, energies, pool);
        float[,] result = new float[frames, wide];
        for (int f = 0; f < frames; f++)
        {
            for (int m = 0; m < wide; m++)
                result[f, m] = view.Row(f)[m];
        }

        return result;
    }
}
