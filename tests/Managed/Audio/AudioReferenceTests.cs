using System.Globalization;
using EmbeddingKernels.Core;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

/// <summary>Features against the numbers of the projects whose formulas they follow, within the tolerances of those projects' tests.</summary>
public sealed class AudioReferenceTests
{
    private const string TorchaudioFile = "audio/fsdd30_torchaudio013.npz";

    private static readonly AudioFeatureOptions TorchaudioMel = AudioFeatureOptions.Torchaudio(AudioFeatureKind.Mel, 8000) with
    {
        Spectrogram = new() { FftLength = 256, WindowLength = 200, HopLength = 80, Padding = FramePadding.Reflect },
        Mel = new() { Bins = 40, MaxFrequency = 4000, Scale = MelScale.Htk, AreaNormalized = false },
    };

    private static IEnumerable<TestCaseData> TorchaudioCases() =>
    [
        new("mel_htk", TorchaudioMel, true, 1e-4, 1e-7),
        new("mel_slaney", TorchaudioMel with { Mel = new() { Bins = 40, MaxFrequency = 4000 } }, true, 1e-4, 1e-7),
        new("mfcc_log", TorchaudioMel with { Kind = AudioFeatureKind.Mfcc, Logarithm = AudioFeatureOptions.Torchaudio(AudioFeatureKind.Mfcc).Logarithm, Mfcc = new() { Coefficients = 13 } }, true, 1e-4, 1e-3),
        new("kaldi_fbank", Fbank(40), false, 1e-4, 1e-4),
        new("kaldi_mfcc", AudioFeatureOptions.Kaldi(AudioFeatureKind.Mfcc, 8000) with { UseEnergy = false }, false, 1e-4, 1e-3),
    ];

    private static AudioFeatureOptions Fbank(int bins)
    {
        AudioFeatureOptions kaldi = AudioFeatureOptions.Kaldi(AudioFeatureKind.Mel, 8000);
        return kaldi with { Mel = kaldi.Mel with { Bins = bins } };
    }

    /// <summary>
    /// torchaudio's own tolerances are rtol 1e-5 and atol 5e-3 against librosa, rtol 1e-4 and atol 1e-5 against Kaldi, the latter in
    /// double precision; its filters are of single precision and 3e-5 off.
    /// </summary>
    [TestCaseSource(nameof(TorchaudioCases))]
    public void Torchaudio(string name, AudioFeatureOptions options, bool transposed, double relative, double absolute)
    {
        using Npz file = new(TorchaudioFile);
        string[] sounds = [.. file.Names.Where(entry => entry.EndsWith(".pcm", StringComparison.Ordinal)).Select(entry => entry[..^".pcm".Length])];
        Assert.That(sounds, Has.Length.EqualTo(30));
        using AudioFeatures features = new(options);
        Worst worst = new(relative, absolute);
        foreach (string sound in sounds)
        {
            float[] samples = [.. file[sound + ".pcm"].Select(x => (float)x / 32768f)];
            double[] wanted = file[$"{sound}.{name}"];
            using FloatMatrix ours = features.Compute(samples);
            Assert.That(ours.Rows * ours.Columns, Is.EqualTo((nint)wanted.Length), sound);
            for (int f = 0; f < ours.Rows; f++)
            {
                for (int m = 0; m < ours.Columns; m++)
                    worst.Add(ours[f, m], wanted[transposed ? (m * (int)ours.Rows) + f : (f * (int)ours.Columns) + m], $"{sound}: frame {f}, column {m}");
            }
        }

        worst.Check();
    }

    private static IEnumerable<TestCaseData> KaldiCases()
    {
        AudioFeatureOptions fbank = AudioFeatureOptions.Kaldi(), mfcc = AudioFeatureOptions.Kaldi(AudioFeatureKind.Mfcc), spectrogram = AudioFeatureOptions.Kaldi(AudioFeatureKind.Spectrogram);
        AudioFeatureOptions Whole(AudioFeatureOptions options) => options with { Spectrogram = options.Spectrogram with { Framing = Framing.CentreOfHop } };
        AudioFeatureOptions Forty(AudioFeatureOptions options) => options with { Mel = options.Mel with { Bins = 40 } };
        return
        [
            new("test.txt", fbank, 23, 0.05),
            new("test-40.txt", Forty(fbank), 40, 0.05),
            new("test-40-no-snip-edges.txt", Whole(Forty(fbank)), 40, 0.05),
            new("test-with-energy.txt", fbank with { UseEnergy = true }, 24, 0.05),
            new("test-htk.txt", fbank with { UseEnergy = true, HtkCompatible = true }, 24, 0.05),
            new("test-mfcc.txt", mfcc, 13, 0.1),
            new("test-mfcc-no-snip-edges.txt", Whole(mfcc), 13, 0.1),
            new("test-spectrogram.txt", spectrogram, 257, 1.1),
            new("test-spectrogram-no-snip-edges.txt", Whole(spectrogram), 257, 1.5),
        ];
    }

    /// <summary>
    /// Real Kaldi's output for a sweep, a sound of one frequency at a time, beside which the other frequencies lie so far below that
    /// Kaldi's own rounding shows: its spectra are up to 4e-6 of the largest amplitude off (kaldifeat, whose files these are, allows
    /// 1.1 and 1.5 for the logarithms of powers, 0.1 for coefficients, and a tenth for filters). So amplitudes are compared too.
    /// </summary>
    [TestCaseSource(nameof(KaldiCases))]
    public void Kaldi(string name, AudioFeatureOptions options, int columns, double absolute)
    {
        double[][] wanted =
        [
            .. File.ReadLines(SharedData.Path("audio/kaldi_ref/" + name)).Select(line => line.Replace("]", "", StringComparison.Ordinal)).Where(line => !line.Contains('['))
                .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => double.Parse(word, CultureInfo.InvariantCulture)).ToArray()),
        ];
        using WavFile wav = WavFile.Load(SharedData.Path("audio/kaldi_ref/test.wav"));
        using AudioFeatures features = new(options);
        using FloatMatrix ours = features.Compute(wav);
        Assert.That(ours.Rows, Is.EqualTo((nint)wanted.Length));
        Assert.That(ours.Columns, Is.EqualTo((nint)columns));
        Worst worst = new(0, absolute), amplitudes = new(0, 1e-5);
        for (int f = 0; f < wanted.Length; f++)
        {
            Assert.That(wanted[f], Has.Length.EqualTo(columns));
            double largest = Math.Exp(wanted[f].Skip(1).Max() / 2);
            for (int m = 0; m < columns; m++)
            {
                worst.Add(ours[f, m], wanted[f][m], $"frame {f}, column {m}");
                if (options.Kind != AudioFeatureKind.Mfcc && m > 0)
                    amplitudes.Add(Math.Exp(ours[f, m] / 2) / largest, Math.Exp(wanted[f][m] / 2) / largest, $"frame {f}, column {m}, amplitude");
            }
        }

        amplitudes.Check();

        worst.Check();
    }

    /// <summary>librosa's own tolerance, that of numpy.allclose.</summary>
    [TestCase("001"), TestCase("002"), TestCase("003"), TestCase("007"), TestCase("010"), TestCase("014"), TestCase("018")]
    public void MelFilters(string number)
    {
        MatFile file = new($"audio/librosa/feature-melfb-{number}.mat");
        MelOptions options = new()
        {
            Bins = file.Integer("nfilts"),
            MinFrequency = file.Integer("fmin"),
            MaxFrequency = file.Integer("fmax"),
            Scale = file.Integer("htk") != 0 ? MelScale.Htk : MelScale.Slaney,
        };
        int length = file.Integer("nfft");
        using FloatMatrix filters = MelFilterbank.Create(options, file.Integer("sr"), length);
        double[] wanted = file.Real("wts");
        Worst worst = new(1e-5, 1e-8);
        for (int m = 0; m < options.Bins; m++)
        {
            for (int k = 0; k < length; k++)
                worst.Add(k <= length / 2 ? filters[m, k] : 0, wanted[(k * options.Bins) + m], $"filter {m}, frequency {k}");
        }

        worst.Check();
    }

    [TestCase("feature-hz_to_mel-001"), TestCase("feature-hz_to_mel-002"), TestCase("feature-mel_to_hz-001"), TestCase("feature-mel_to_hz-002")]
    public void Pitch(string name)
    {
        MatFile file = new($"audio/librosa/{name}.mat");
        MelScale scale = file.Integer("htk") != 0 ? MelScale.Htk : MelScale.Slaney;
        double given = file.Real("f")[0], wanted = file.Real("result")[0];
        double mine = name.Contains("hz_to_mel", StringComparison.Ordinal) ? MelFilterbank.HertzToMel(given, scale) : MelFilterbank.MelToHertz(given, scale);
        Assert.That(mine, Is.EqualTo(wanted).Within(1e-8 + (1e-5 * Math.Abs(wanted))));
    }

    /// <summary>MATLAB's spectra of a stereo sound, some with a window and some without; as in librosa's test they are the conjugates.</summary>
    [TestCase("001"), TestCase("002"), TestCase("003")]
    public void ComplexSpectra(string number)
    {
        MatFile file = new($"audio/librosa/core-stft-{number}.mat");
        int window = file.Integer("hann_w");
        AudioFeatureOptions options = AudioFeatureOptions.Librosa(AudioFeatureKind.Spectrogram) with
        {
            Spectrogram = new()
            {
                FftLength = file.Integer("nfft"),
                HopLength = file.Integer("hop_length"),
                WindowLength = window == 0 ? null : window,
                Window = window == 0 ? WindowFunction.Rectangular : WindowFunction.Hann,
                Framing = Framing.Snip,
                Value = SpectrumValue.Complex,
            },
        };
        using WavFile wav = WavFile.Load(SharedData.Path("audio/librosa/test1_22050.wav"));
        Assert.That(wav.Channels, Is.EqualTo(2));
        using AudioFeatures features = new(options);
        using FloatMatrix ours = features.Compute(wav);
        double[] real = file.Real("D"), imaginary = file.Imaginary("D");
        int rows = file.Rows("D");
        Assert.That((ours.Rows, ours.Columns), Is.EqualTo(((nint)(real.Length / rows), (nint)(2 * rows))));
        Worst worst = new(1e-5, 2e-6);
        for (int f = 0; f < ours.Rows; f++)
        {
            for (int k = 0; k < rows; k++)
            {
                worst.Add(ours[f, 2 * k], real[(f * rows) + k], $"frame {f}, frequency {k}");
                worst.Add(-ours[f, (2 * k) + 1], imaginary[(f * rows) + k], $"frame {f}, frequency {k}, imaginary");
            }
        }

        worst.Check();
    }

    /// <summary>The first steps of the key-word network: 40 ms frames every 20 ms, 10 coefficients.</summary>
    [TestCase("yes"), TestCase("no"), TestCase("silence"), TestCase("noise")]
    public void TensorFlow(string sound)
    {
        using Npz file = new("audio/ds_cnn/ref_outputs.npz");
        double[] wanted = file[$"S.{sound}.mfcc"];
        using WavFile wav = WavFile.Load(SharedData.Path($"audio/kws_wav/{sound}_1000ms.wav"));
        using AudioFeatures features = new(KeywordFeatures);
        using FloatMatrix ours = features.Compute(wav);
        Assert.That((ours.Rows, ours.Columns), Is.EqualTo(((nint)49, (nint)10)));
        Worst worst = new(1e-4, 1e-3);
        for (int i = 0; i < wanted.Length; i++)
            worst.Add(ours[i / 10, i % 10], wanted[i], $"frame {i / 10}, coefficient {i % 10}");
        worst.Check();
    }

    internal static AudioFeatureOptions KeywordFeatures
    {
        get
        {
            AudioFeatureOptions options = AudioFeatureOptions.TensorFlow(AudioFeatureKind.Mfcc);
            return options with
            {
                Spectrogram = options.Spectrogram with { FftLength = 1024, WindowLength = 640, HopLength = 320 },
                Mfcc = options.Mfcc with { Coefficients = 10 },
            };
        }
    }

    /// <summary>The largest |ours - wanted| / (absolute + relative |wanted|), which must not be above 1.</summary>
    internal sealed class Worst(double relative, double absolute)
    {
        private double _worst;
        private string _place = "nowhere";

        public void Add(double ours, double wanted, string place)
        {
            double ratio = Math.Abs(ours - wanted) / (absolute + (relative * Math.Abs(wanted)));
            if (ratio > _worst || double.IsNaN(ratio))
                (_worst, _place) = (double.IsNaN(ratio) ? double.PositiveInfinity : ratio, $"{place}: {ours} instead of {wanted}");
        }

        public void Check()
        {
            TestContext.Out.WriteLine($"worst: {_worst:G3} of the tolerance, at {_place}");
            Assert.That(_worst, Is.LessThanOrEqualTo(1), _place);
        }
    }
}
