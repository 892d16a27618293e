using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>What <see cref="AudioFeatures"/> computes of each frame.</summary>
public enum AudioFeatureKind
{
    /// <summary>Its spectrum: a number for each frequency from 0 to half the sample rate.</summary>
    Spectrogram = 0,

    /// <summary>The sums of its spectrum under mel filters.</summary>
    Mel = 1,

    /// <summary>Mel-frequency cepstral coefficients: the cosine transform of the logarithms of those sums.</summary>
    Mfcc = 2,
}

/// <summary>Whose defaults and formulas <see cref="AudioFeatureOptions.For"/> takes.</summary>
public enum AudioConvention
{
    /// <summary>librosa 0.10: feature.melspectrogram and feature.mfcc.</summary>
    Librosa = 0,

    /// <summary>Kaldi: compute-spectrogram-feats, compute-fbank-feats and compute-mfcc-feats, without dither.</summary>
    Kaldi = 1,

    /// <summary>torchaudio: transforms.Spectrogram, MelSpectrogram and MFCC.</summary>
    Torchaudio = 2,

    /// <summary>TensorFlow's operators AudioSpectrogram and Mfcc, with the frames of its speech commands example.</summary>
    TensorFlow = 3,
}

/// <summary>Logarithms of spectra.</summary>
public enum SpectrumLogarithm
{
    /// <summary>The values as they are.</summary>
    None = 0,

    /// <summary>ln(max(x + Offset, Floor)).</summary>
    Natural = 1,

    /// <summary>10 log10(max(x + Offset, Floor)) of powers, 20 log10 of magnitudes.</summary>
    Decibel = 2,
}

/// <summary>Options of logarithms.</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>librosa's power_to_db · torchaudio · Kaldi · TensorFlow</description></listheader>
/// <item><term><see cref="Floor"/></term><description>amin · (1e-10) · (1.19e-7) · (1e-12)</description></item>
/// <item><term><see cref="Offset"/></term><description>(0) · 1e-6 with log_mels · (0) · (0)</description></item>
/// <item><term><see cref="TopDecibels"/></term><description>top_db · top_db · (none) · (none)</description></item>
/// </list>
/// </remarks>
public sealed record LogarithmOptions
{
    /// <summary>Which logarithm.</summary>
    public SpectrumLogarithm Kind { get; init; }

    /// <summary>The least number that it is taken of.</summary>
    public float Floor { get; init; } = 1e-10f;

    /// <summary>Added to each number first.</summary>
    public float Offset { get; init; }

    /// <summary>Decibels: how far below the largest number of the whole sound another may lie; null for any.</summary>
    public float? TopDecibels { get; init; }

    /// <summary>Checks every value.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        DataChecks.Defined(Kind, nameof(Kind));
        if (!(float.IsNormal(Floor) && Floor > 0))
            throw new ArgumentOutOfRangeException(nameof(Floor), Floor, "The floor of a logarithm must be positive and at least 1.18e-38.");
        if (!float.IsFinite(Offset))
            throw new ArgumentOutOfRangeException(nameof(Offset), Offset, "The offset must be finite.");
        if (TopDecibels is float top && !(top >= 0))
            throw new ArgumentOutOfRangeException(nameof(TopDecibels), top, "The range must be 0 or more.");
        if (TopDecibels is not null && Kind == SpectrumLogarithm.Natural)
            throw new ArgumentOutOfRangeException(nameof(TopDecibels), TopDecibels, "The range is one of decibels, and the logarithm is the natural one.");
    }
}

/// <summary>Options of cepstral coefficients.</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>librosa · torchaudio · Kaldi · TensorFlow</description></listheader>
/// <item><term><see cref="Coefficients"/></term><description>n_mfcc · n_mfcc · num-ceps · dct_coefficient_count</description></item>
/// <item><term><see cref="Orthonormal"/></term><description>norm="ortho" · norm="ortho" · (yes) · (no)</description></item>
/// <item><term><see cref="Lifter"/></term><description>lifter · (no) · cepstral-lifter · (no)</description></item>
/// </list>
/// </remarks>
public sealed record MfccOptions
{
    /// <summary>Number of coefficients, the lowest first; at most the mel filters.</summary>
    public int Coefficients { get; init; } = 20;

    /// <summary>
    /// The cosine transform (type II) is orthonormal: sqrt(2 / N) sum over n of x[n] cos(pi k (n + 1/2) / N), and sqrt(1 / N) for
    /// k = 0. Else the factor is sqrt(2 / N) for k = 0 as well, as HTK and TensorFlow have it.
    /// </summary>
    public bool Orthonormal { get; init; } = true;

    /// <summary>L of the factors 1 + L/2 sin(pi k / L) of the coefficients; 0 for none.</summary>
    public double Lifter { get; init; }

    /// <summary>The number of the first coefficient in that formula: 0 for Kaldi and HTK, 1 for librosa.</summary>
    public int LifterStart { get; init; }

    /// <summary>Checks every value that can be checked without the filters.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        if (Coefficients < 1)
            throw new ArgumentOutOfRangeException(nameof(Coefficients), Coefficients, "There must be at least one coefficient.");
        if (!(Lifter >= 0 && double.IsFinite(Lifter)))
            throw new ArgumentOutOfRangeException(nameof(Lifter), Lifter, "The lifter must be 0 or more.");
        if (LifterStart is < 0 or > 1)
            throw new ArgumentOutOfRangeException(nameof(LifterStart), LifterStart, "The first coefficient's number must be 0 or 1.");
    }
}

/// <summary>
/// Options of <see cref="AudioFeatures"/>: what is computed, and how each step does it. Begin with a preset and change what is
/// wanted: <c>AudioFeatureOptions.Librosa(AudioFeatureKind.Mel, 16000) with { Mel = new() { Bins = 80 } }</c>.
/// </summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>Kaldi</description></listheader>
/// <item><term><see cref="UseEnergy"/></term><description>use-energy</description></item>
/// <item><term><see cref="RawEnergy"/></term><description>raw-energy</description></item>
/// <item><term><see cref="EnergyFloor"/></term><description>energy-floor</description></item>
/// <item><term><see cref="HtkCompatible"/></term><description>htk-compat</description></item>
/// </list>
/// </remarks>
public sealed record AudioFeatureOptions
{
    /// <summary>What is computed.</summary>
    public AudioFeatureKind Kind { get; init; } = AudioFeatureKind.Mel;

    /// <summary>Samples per second of the sounds.</summary>
    public int SampleRate { get; init; } = 22050;

    /// <summary>Frames, windows, transforms.</summary>
    public SpectrogramOptions Spectrogram { get; init; } = new();

    /// <summary>Mel filters.</summary>
    public MelOptions Mel { get; init; } = new();

    /// <summary>What is taken of the spectrum or of the filters' sums; cepstral coefficients should have one.</summary>
    public LogarithmOptions Logarithm { get; init; } = new();

    /// <summary>Cepstral coefficients.</summary>
    public MfccOptions Mfcc { get; init; } = new();

    /// <summary>
    /// Gives the logarithm of each frame's energy (the sum of its squares, at least 1.19e-7): in place of the lowest frequency or
    /// coefficient, or, with mel filters, in a column of its own before them.
    /// </summary>
    public bool UseEnergy { get; init; }

    /// <summary>The energy before pre-emphasis and window; else after.</summary>
    public bool RawEnergy { get; init; } = true;

    /// <summary>The least energy whose logarithm is given; 0 for no such bound.</summary>
    public float EnergyFloor { get; init; }

    /// <summary>
    /// HTK's order: the energy, or the lowest coefficient, stands last; a lowest coefficient is multiplied by sqrt(2).
    /// </summary>
    public bool HtkCompatible { get; init; }

    /// <summary>The preset of a convention, with its defaults for sounds of that sample rate.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The convention is unknown, or the sample rate below 1000 or above 2^24.</exception>
    public static AudioFeatureOptions For(AudioConvention convention, AudioFeatureKind kind, int sampleRate) => convention switch
    {
        AudioConvention.Librosa => Librosa(kind, sampleRate),
        AudioConvention.Kaldi => Kaldi(kind, sampleRate),
        AudioConvention.Torchaudio => Torchaudio(kind, sampleRate),
        AudioConvention.TensorFlow => TensorFlow(kind, sampleRate),
        _ => throw new ArgumentOutOfRangeException(nameof(convention), convention, "Not a value of AudioConvention."),
    };

    /// <summary>
    /// librosa 0.10: transforms of 2048 every 512 samples in the middle of a signal padded by zeros, periodic Hann window, powers;
    /// 128 mel filters of Slaney's scale and area; of them 20 orthonormal coefficients of decibels within 80 of the largest.
    /// Spectrograms and mel sums are powers without a logarithm.
    /// </summary>
    public static AudioFeatureOptions Librosa(AudioFeatureKind kind = AudioFeatureKind.Mel, int sampleRate = 22050) => new()
    {
        Kind = kind,
        SampleRate = CheckRate(sampleRate),
        Logarithm = kind == AudioFeatureKind.Mfcc ? Decibels : new(),
        Mfcc = new() { LifterStart = 1 },
    };

    /// <summary>
    /// torchaudio: transforms of 400 every 200 samples, the signal mirrored at its ends, periodic Hann window, powers; 128 mel
    /// filters of HTK's scale with tops of 1; of them 40 orthonormal coefficients of decibels within 80 of the largest.
    /// Spectrograms and mel sums are powers without a logarithm.
    /// </summary>
    public static AudioFeatureOptions Torchaudio(AudioFeatureKind kind = AudioFeatureKind.Mel, int sampleRate = 16000) => new()
    {
        Kind = kind,
        SampleRate = CheckRate(sampleRate),
        Spectrogram = new() { FftLength = 400, HopLength = 200, Padding = FramePadding.Reflect },
        Mel = new() { Scale = MelScale.Htk, AreaNormalized = false },
        Logarithm = kind == AudioFeatureKind.Mfcc ? Decibels : new(),
        Mfcc = new() { Coefficients = 40 },
    };

    /// <summary>
    /// Kaldi, without dither: frames of 25 ms every 10 ms that lie inside the signal, samples as 16-bit numbers, mean taken off,
    /// pre-emphasis 0.97, Povey window, the next power of two, powers; 23 mel filters from 20 Hz; natural logarithms; 13 orthonormal
    /// coefficients, lifter 22. The lowest frequency and coefficient are the energy's logarithm.
    /// </summary>
    public static AudioFeatureOptions Kaldi(AudioFeatureKind kind = AudioFeatureKind.Mel, int sampleRate = 16000)
    {
        int window = (int)(CheckRate(sampleRate) * 0.025);
        return new()
        {
            Kind = kind,
            SampleRate = sampleRate,
            Spectrogram = new()
            {
                FftLength = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)window),
                WindowLength = window,
                HopLength = (int)(sampleRate * 0.010),
                Window = WindowFunction.Povey,
                SymmetricWindow = true,
                Placement = WindowPlacement.Start,
                Framing = Framing.Snip,
                Padding = FramePadding.Symmetric,
                SampleScale = 32768f,
                RemoveMean = true,
                PreEmphasis = 0.97f,
            },
            Mel = new() { Bins = 23, MinFrequency = 20, Scale = MelScale.Htk, Shape = MelFilterShape.Mel, AreaNormalized = false },
            Logarithm = new() { Kind = SpectrumLogarithm.Natural, Floor = AudioFeatures.LeastEnergy },
            Mfcc = new() { Coefficients = 13, Lifter = 22 },
            UseEnergy = kind != AudioFeatureKind.Mel,
        };
    }

    /// <summary>
    /// TensorFlow's AudioSpectrogram and Mfcc: frames of 30 ms every 10 ms that lie inside the signal (the speech commands example's),
    /// periodic Hann window, the next power of two, magnitudes; 40 mel filters from 20 to 4000 Hz; of their natural logarithms 13
    /// coefficients, not orthonormal. Mel sums are given as logarithms, spectrograms without.
    /// </summary>
    public static AudioFeatureOptions TensorFlow(AudioFeatureKind kind = AudioFeatureKind.Mel, int sampleRate = 16000)
    {
        int window = (int)(CheckRate(sampleRate) * 0.030);
        return new()
        {
            Kind = kind,
            SampleRate = sampleRate,
            Spectrogram = new()
            {
                FftLength = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)window),
                WindowLength = window,
                HopLength = (int)(sampleRate * 0.010),
                Placement = WindowPlacement.Start,
                Framing = Framing.Snip,
                Value = SpectrumValue.Magnitude,
            },
            Mel = new() { Bins = 40, MinFrequency = 20, MaxFrequency = 4000, Scale = MelScale.Htk, Shape = MelFilterShape.TensorFlow, AreaNormalized = false },
            Logarithm = kind == AudioFeatureKind.Spectrogram ? new() : new() { Kind = SpectrumLogarithm.Natural, Floor = 1e-12f },
            Mfcc = new() { Coefficients = 13, Orthonormal = false },
        };
    }

    /// <summary>Checks every value.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    /// <exception cref="ArgumentException">Values do not go together.</exception>
    public void Validate()
    {
        DataChecks.Defined(Kind, nameof(Kind));
        CheckRate(SampleRate);
        ArgumentNullException.ThrowIfNull(Spectrogram);
        ArgumentNullException.ThrowIfNull(Mel);
        ArgumentNullException.ThrowIfNull(Logarithm);
        ArgumentNullException.ThrowIfNull(Mfcc);
        Spectrogram.Validate();
        Mel.Validate();
        Logarithm.Validate();
        Mfcc.Validate();
        if (!(EnergyFloor >= 0 && float.IsFinite(EnergyFloor)))
            throw new ArgumentOutOfRangeException(nameof(EnergyFloor), EnergyFloor, "The floor must be 0 or more.");
        if (Spectrogram.Value == SpectrumValue.Complex && (Kind != AudioFeatureKind.Spectrogram || Logarithm.Kind != SpectrumLogarithm.None || UseEnergy))
            throw new ArgumentException("Complex values are given as they are: they have no mel filters, logarithms or energies.");
        if (Kind == AudioFeatureKind.Mfcc && Mfcc.Coefficients > Mel.Bins)
            throw new ArgumentException($"There can be at most as many coefficients as mel filters, {Mel.Bins}, not {Mfcc.Coefficients}.");
    }

    private static LogarithmOptions Decibels => new() { Kind = SpectrumLogarithm.Decibel, Floor = 1e-10f, TopDecibels = 80 };

    private static int CheckRate(int sampleRate)
    {
        // Below it a frame of 10 ms has too few samples for anything.
        if (sampleRate is < 1000 or > 1 << 24)
            throw new ArgumentOutOfRangeException(nameof(sampleRate), sampleRate, $"The sample rate must be 1000 to {1 << 24}.");
        return sampleRate;
    }
}
