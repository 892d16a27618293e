using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

public sealed class AudioFeatureTests
{
    private static readonly float[] Chirp = [.. Enumerable.Range(0, 16000).Select(i => 0.3f * MathF.Sin(i * (0.05f + (i * 2e-5f))))];

    private static IEnumerable<(AudioConvention Convention, AudioFeatureKind Kind)> Presets() =>
        from convention in Enum.GetValues<AudioConvention>() from kind in Enum.GetValues<AudioFeatureKind>() select (convention, kind);

    [TestCaseSource(nameof(Presets))]
    public void PresetsGiveTheirShapes((AudioConvention Convention, AudioFeatureKind Kind) preset)
    {
        AudioFeatureOptions options = AudioFeatureOptions.For(preset.Convention, preset.Kind, 16000);
        (int frames, int frequencies, int mels, int coefficients) = preset.Convention switch
        {
            AudioConvention.Librosa => (32, 1025, 128, 20),
            AudioConvention.Kaldi => (98, 257, 23, 13),
            AudioConvention.Torchaudio => (81, 201, 128, 40),
            _ => (98, 257, 40, 13),
        };
        using AudioFeatures features = new(options);
        using FloatMatrix ours = features.Compute(Chirp);
        Assert.That(ours.Rows, Is.EqualTo((nint)frames));
        Assert.That(features.FrameCount(Chirp.Length), Is.EqualTo((nint)frames));
        Assert.That(ours.Columns, Is.EqualTo((nint)(preset.Kind switch { AudioFeatureKind.Mel => mels, AudioFeatureKind.Mfcc => coefficients, _ => frequencies })));
        Assert.That(features.Columns, Is.EqualTo((int)ours.Columns));
        for (nint f = 0; f < ours.Rows; f++)
        {
            foreach (float value in ours.Row(f))
                Assert.That(float.IsFinite(value));
        }

        using FloatMatrix none = features.Compute([]);
        Assert.That(none.Rows, Is.EqualTo((nint)0));
        using WorkerPool pool = new(3);
        using FloatMatrix threaded = features.Compute(Chirp, pool);
        Assert.That(threaded.Row(frames - 1).ToArray(), Is.EqualTo(ours.Row(frames - 1).ToArray()));
    }

    [Test]
    public void SoundsShorterThanAFrameHaveFramesOnlyWherePadded([Values(1, 2, 50, 159, 399)] int samples)
    {
        AudioFeatureOptions kaldi = AudioFeatureOptions.Kaldi();
        using AudioFeatures snipped = new(kaldi), whole = new(kaldi with { Spectrogram = kaldi.Spectrogram with { Framing = Framing.CentreOfHop } }), centred = new(AudioFeatureOptions.Torchaudio());
        float[] sound = Chirp[..samples];
        using FloatMatrix none = snipped.Compute(sound), some = whole.Compute(sound), one = centred.Compute(sound);
        Assert.That(((int)none.Rows, (int)some.Rows, (int)one.Rows), Is.EqualTo((0, (samples + 80) / 160, 1 + (samples / 200))));
    }

    [Test]
    public void SampleCountsAreTheLeastThatGiveTheirFrames([Values] AudioConvention convention, [Values] Framing framing, [Values(240, 375)] int length)
    {
        AudioFeatureOptions options = AudioFeatureOptions.For(convention, AudioFeatureKind.Mel, 8000);
        using AudioFeatures features = new(options with { Spectrogram = options.Spectrogram with { Framing = framing, FftLength = length, WindowLength = 200 } });
        Assert.That(features.SampleCount(0), Is.EqualTo((nint)0));
        for (nint frames = 1; frames < 40; frames++)
        {
            nint samples = features.SampleCount(frames);
            Assert.That(features.FrameCount(samples), Is.EqualTo(frames));
            Assert.That(features.FrameCount(samples - 1), Is.EqualTo(frames - 1));
        }
    }

    [Test]
    public void ASineHasItsFrequency([Values] AudioConvention convention)
    {
        float[] sine = [.. Enumerable.Range(0, 16000).Select(i => (float)Math.Sin(2 * Math.PI * 1000 * i / 16000))];
        AudioFeatureOptions options = AudioFeatureOptions.For(convention, AudioFeatureKind.Spectrogram, 16000);
        using AudioFeatures features = new(options);
        using FloatMatrix spectra = features.Compute(sine);
        float[] middle = spectra.Row(spectra.Rows / 2).ToArray();
        if (options.UseEnergy)
            middle[0] = float.NegativeInfinity;
        Assert.That(Array.IndexOf(middle, middle.Max()), Is.EqualTo(1000 * options.Spectrogram.FftLength / 16000));
    }

    [Test]
    public void DecibelsAreLimitedBelowTheLargest()
    {
        AudioFeatureOptions options = AudioFeatureOptions.Librosa(AudioFeatureKind.Mel, 16000) with { Logarithm = new() { Kind = SpectrumLogarithm.Decibel, TopDecibels = 60 } };
        using AudioFeatures limited = new(options), free = new(options with { Logarithm = new() { Kind = SpectrumLogarithm.Decibel } }), powers = new(options with { Logarithm = new() });
        using FloatMatrix a = limited.Compute(Chirp), b = free.Compute(Chirp), c = powers.Compute(Chirp);
        float largest = Enumerable.Range(0, (int)b.Rows).Max(f => b.Row(f).ToArray().Max());
        int raised = 0;
        for (nint f = 0; f < b.Rows; f++)
        {
            for (nint m = 0; m < b.Columns; m++)
            {
                Assert.That(b[f, m], Is.EqualTo(10 * Math.Log10(Math.Max(c[f, m], 1e-10))).Within(1e-4));
                Assert.That(a[f, m], Is.EqualTo(Math.Max(b[f, m], largest - 60)));
                raised += b[f, m] < largest - 60 ? 1 : 0;
            }
        }

        Assert.That(raised, Is.Positive);
    }

    [Test]
    public void LiftersScaleCoefficients()
    {
        AudioFeatureOptions options = AudioFeatureOptions.Kaldi(AudioFeatureKind.Mfcc) with { UseEnergy = false };
        using AudioFeatures lifted = new(options), plain = new(options with { Mfcc = options.Mfcc with { Lifter = 0 } });
        using AudioFeatures librosa = new(options with { Mfcc = options.Mfcc with { LifterStart = 1 } }), htk = new(options with { HtkCompatible = true });
        using FloatMatrix a = lifted.Compute(Chirp), b = plain.Compute(Chirp), c = librosa.Compute(Chirp), d = htk.Compute(Chirp);
        for (int k = 0; k < 13; k++)
        {
            Assert.That(a[5, k], Is.EqualTo(b[5, k] * (1 + (11 * Math.Sin(Math.PI * k / 22)))).Within(1e-3));
            Assert.That(c[5, k], Is.EqualTo(b[5, k] * (1 + (11 * Math.Sin(Math.PI * (k + 1) / 22)))).Within(1e-3));
            Assert.That(d[5, k], Is.EqualTo(k < 12 ? a[5, k + 1] : a[5, 0] * Math.Sqrt(2)).Within(1e-4));
        }
    }

    [Test]
    public void EnergiesAreThoseOfTheFrames([Values] bool raw)
    {
        AudioFeatureOptions options = AudioFeatureOptions.Kaldi() with { UseEnergy = true, RawEnergy = raw, EnergyFloor = 1e4f };
        using AudioFeatures features = new(options);
        float[] sound = [.. Chirp, .. new float[4000]];
        using FloatMatrix ours = features.Compute(sound);
        float[] frame = [.. sound.Skip(3 * 160).Take(400).Select(x => x * 32768)], window = options.Spectrogram.CreateWindow();
        float mean = frame.Average();
        double energy = frame.Select((x, n) => raw ? x - mean : ((x - mean) - (0.97 * (frame[Math.Max(n - 1, 0)] - mean))) * window[n]).Sum(x => x * x);
        Assert.That(ours[3, 0], Is.EqualTo(Math.Log(energy)).Within(1e-4));
        Assert.That(ours[ours.Rows - 1, 0], Is.EqualTo(Math.Log(1e4)).Within(1e-5));
    }

    /// <summary>Those of 0, 1, 4, 9, ... are 2 t but for the ends.</summary>
    [Test]
    public void DeltasAreSlopes()
    {
        using FloatMatrix features = FloatMatrix.FromRows([0, 5, 1, 5, 4, 5, 9, 5, 16, 5, 25, 5], 2);
        using FloatMatrix deltas = AudioFeatures.Deltas(features), single = AudioFeatures.Deltas(features, 3);
        Assert.That((deltas[2, 0], deltas[3, 0], single[1, 0], single[5, 0]), Is.EqualTo((4f, 6f, 2f, 4.5f)));
        Assert.That(deltas[0, 0], Is.EqualTo((1 + (2 * 4)) / 10f).Within(1e-6f));
        Assert.That(deltas[5, 0], Is.EqualTo((25 - 16 + (2 * (25 - 9))) / 10f).Within(1e-6f));
        Assert.That(Enumerable.Range(0, 6).Select(t => deltas[t, 1]), Is.All.Zero);
        Assert.That(() => AudioFeatures.Deltas(features, 4), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("width"));
    }

    [Test]
    public void WindowsHaveTheirShapes([Values] WindowFunction function, [Values] bool symmetric)
    {
        float[] window = new SpectrogramOptions { FftLength = 16, WindowLength = 9, Window = function, SymmetricWindow = symmetric }.CreateWindow();
        int period = symmetric ? 8 : 9;
        Assert.That(window, Has.Length.EqualTo(9));
        for (int n = 1; n < window.Length; n++)
            Assert.That(window[n], Is.EqualTo(period - n < window.Length ? window[period - n] : 0).Within(1e-6f), $"element {n}");
        if (symmetric)
            Assert.That(window[4], Is.EqualTo(1).Within(1e-6f));
        Assert.That(window[0], Is.EqualTo(function switch { WindowFunction.Hamming => 0.08f, WindowFunction.Rectangular => 1f, _ => 0f }).Within(1e-6f));
    }

    [Test]
    public void FiltersOfUnitTopsAddUpToOneBetweenTheirMiddles([Values] MelFilterShape shape)
    {
        MelOptions options = new() { Bins = 30, MinFrequency = 100, MaxFrequency = 7000, Scale = MelScale.Htk, Shape = shape, AreaNormalized = false };
        using FloatMatrix filters = MelFilterbank.Create(options, 16000, 1024);
        int summed = 0;
        for (int k = 0; k <= 512; k++)
        {
            double sum = Enumerable.Range(0, 30).Sum(m => (double)filters[m, k]), hertz = k * 15.625;
            if (hertz is < 100 or > 7000)
                Assert.That(sum, Is.Zero);
            if (hertz is > 250 and < 6000)
            {
                Assert.That(sum, Is.EqualTo(1).Within(shape == MelFilterShape.Hertz ? 1e-5 : 1e-6));
                summed++;
            }
        }

        Assert.That(summed, Is.GreaterThan(300));
    }

    [Test]
    public void BadOptionsAreNamed()
    {
        AudioFeatureOptions good = AudioFeatureOptions.Librosa();
        Assert.Multiple(() =>
        {
            Named(good with { Kind = (AudioFeatureKind)9 }, "Kind");
            Named(good with { SampleRate = 999 }, "sampleRate");
            Named(good with { EnergyFloor = -1 }, "EnergyFloor");
            Named(good with { Spectrogram = new() { FftLength = 441 } }, "FftLength");
            Named(good with { Spectrogram = new() { WindowLength = 2049 } }, "WindowLength");
            Named(good with { Spectrogram = new() { HopLength = 0 } }, "HopLength");
            Named(good with { Spectrogram = new() { PreEmphasis = float.NaN } }, "PreEmphasis");
            Named(good with { Spectrogram = new() { SampleScale = float.PositiveInfinity } }, "SampleScale");
            Named(good with { Spectrogram = new() { Window = (WindowFunction)9 } }, "Window");
            Named(good with { Mel = new() { Bins = 0 } }, "Bins");
            Named(good with { Mel = new() { MinFrequency = -1 } }, "MinFrequency");
            Named(good with { Mel = new() { MinFrequency = 500, MaxFrequency = 400 } }, "MaxFrequency");
            Named(good with { Mel = new() { MinFrequency = 12000 } }, "options");
            Named(good with { Logarithm = new() { Floor = 0 } }, "Floor");
            Named(good with { Logarithm = new() { Kind = SpectrumLogarithm.Natural, TopDecibels = 80 } }, "TopDecibels");
            Named(good with { Mfcc = new() { Coefficients = 0 } }, "Coefficients");
            Named(good with { Mfcc = new() { Lifter = -1 } }, "Lifter");
            Named(good with { Spectrogram = new() { Value = SpectrumValue.Complex } }, null);
            Named(good with { Kind = AudioFeatureKind.Mfcc, Mfcc = new() { Coefficients = 129 } }, null);
            Assert.That(() => AudioFeatureOptions.For((AudioConvention)9, AudioFeatureKind.Mel, 16000), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
        using AudioFeatures features = new(good);
        using MemoryStream stream = new(WavFileTests.Sound(16000, [1, 2, 3]));
        using WavFile wav = WavFile.Load(stream);
        Assert.That(() => features.Compute(wav), Throws.ArgumentException.With.Message.Contains("16000").And.Message.Contains("22050"));
    }

    private static void Named(AudioFeatureOptions options, string? parameter) =>
        Assert.That(() => { new AudioFeatures(options).Dispose(); }, Throws.InstanceOf<ArgumentException>().With.Property("ParamName").EqualTo(parameter));
}
