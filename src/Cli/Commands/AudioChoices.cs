using System.CommandLine;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>The options that say which features of sound are wanted. What is not given is the convention's default.</summary>
internal sealed class AudioChoices
{
    private readonly Option<string> _kind = new("--kind") { Description = "spectrogram, mel or mfcc", DefaultValueFactory = _ => "mel" };
    private readonly Option<string> _convention = new("--convention") { Description = "Whose defaults and formulas: librosa, kaldi, torchaudio or tensorflow", DefaultValueFactory = _ => "librosa" };
    private readonly Option<string?> _log = new("--log") { Description = "none, natural or decibel" };
    private readonly Option<int?> _fftLength = new("--fft-length") { Description = "Samples of a transform (n_fft)" };
    private readonly Option<int?> _windowLength = new("--window-length") { Description = "Samples under the window (win_length)" };
    private readonly Option<int?> _hopLength = new("--hop-length") { Description = "Samples from frame to frame (hop_length)" };
    private readonly Option<int?> _mels = new("--mels") { Description = "Mel filters (n_mels)" };
    private readonly Option<double?> _minFrequency = new("--min-frequency") { Description = "Where the first mel filter begins, in hertz (f_min)" };
    private readonly Option<double?> _maxFrequency = new("--max-frequency") { Description = "Where the last mel filter ends, in hertz (f_max)" };
    private readonly Option<int?> _coefficients = new("--coefficients") { Description = "Cepstral coefficients (n_mfcc)" };

    public AudioChoices()
    {
        _kind.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "spectrogram", "mel", "mfcc");
        _convention.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "librosa", "kaldi", "torchaudio", "tensorflow");
        _log.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, "none", "natural", "decibel");
    }

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_kind, _convention, _log, _fftLength, _windowLength, _hopLength, _mels, _minFrequency, _maxFrequency, _coefficients])
            command.Add(option);
    }

    /// <summary>The options for sounds of one sample rate.</summary>
    public AudioFeatureOptions Options(ParseResult parsed, int sampleRate)
    {
        AudioFeatureOptions options = AudioFeatureOptions.For(
            Enum.Parse<AudioConvention>(parsed.GetValue(_convention)!, ignoreCase: true), Enum.Parse<AudioFeatureKind>(parsed.GetValue(_kind)!, ignoreCase: true), sampleRate);
        SpectrogramOptions spectrogram = options.Spectrogram;
        int window = parsed.GetValue(_windowLength) ?? spectrogram.WindowLength ?? 0, length = parsed.GetValue(_fftLength) ?? spectrogram.FftLength;

        // A window that is asked for and does not fit makes the transform longer where its length was not asked for.
        if (parsed.GetValue(_fftLength) is null && window > length)
            length = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)window);
        SpectrumLogarithm? log = parsed.GetValue(_log) is string name ? Enum.Parse<SpectrumLogarithm>(name, ignoreCase: true) : null;
        return options with
        {
            Spectrogram = spectrogram with { FftLength = length, WindowLength = window > 0 ? window : parsed.GetValue(_windowLength), HopLength = parsed.GetValue(_hopLength) ?? spectrogram.HopLength },
            Mel = options.Mel with
            {
                Bins = parsed.GetValue(_mels) ?? options.Mel.Bins,
                MinFrequency = parsed.GetValue(_minFrequency) ?? options.Mel.MinFrequency,
                MaxFrequency = parsed.GetValue(_maxFrequency) ?? options.Mel.MaxFrequency,
            },
            Logarithm = log is null ? options.Logarithm : options.Logarithm with { Kind = log.Value, TopDecibels = log == SpectrumLogarithm.Decibel ? options.Logarithm.TopDecibels : null },
            Mfcc = options.Mfcc with { Coefficients = parsed.GetValue(_coefficients) ?? options.Mfcc.Coefficients },
        };
    }
}
