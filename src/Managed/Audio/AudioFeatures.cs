using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// Features of sound, a row for each frame: spectrograms, mel spectrograms and mel-frequency cepstral coefficients, with the
/// formulas of librosa, Kaldi, torchaudio or TensorFlow.
/// </summary>
/// <remarks>
/// <para>Arithmetic is in single precision; on the reference files the results differ from those projects' own by less than
/// their tests allow (see <see cref="FrameSpectra"/> for the bounds). The result does not depend on the number of threads.</para>
/// <para>An instance holds the window, the filters and the transform of one set of options, and serves any number of calls, at
/// the same time too.</para>
/// <example><code>
/// using WavFile wav = WavFile.Load("speech.wav");
/// using AudioFeatures mel = new(AudioFeatureOptions.Kaldi(AudioFeatureKind.Mel, wav.SampleRate));
/// using FloatMatrix frames = mel.Compute(wav.ToMono());
/// </code></example>
/// </remarks>
public sealed unsafe class AudioFeatures : IDisposable
{
    /// <summary>The least energy that a logarithm is taken of: the distance from 1 to the next float, as Kaldi has it.</summary>
    internal const float LeastEnergy = 1.1920929e-7f;

    private readonly BandFilters? _bands;
    private readonly FrameSpectra _spectra;
    private readonly FloatMatrix? _cosines;

    /// <summary>Prepares window, filters and transform.</summary>
    /// <exception cref="ArgumentException">A value of <paramref name="options"/> is out of its range, or values do not go together.</exception>
    public AudioFeatures(AudioFeatureOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        Options = options;
        if (options.Kind != AudioFeatureKind.Spectrogram)
        {
            using FloatMatrix filters = MelFilterbank.Create(options.Mel, options.SampleRate, options.Spectrogram.FftLength);
            _bands = new BandFilters(filters.View);
        }

        if (options.Kind == AudioFeatureKind.Mfcc)
            _cosines = Cosines(options.Mfcc, options.Mel.Bins);
        double decibels = (options.Spectrogram.Value == SpectrumValue.Power ? 10 : 20) / Math.Log(10);
        _spectra = new FrameSpectra(
            options.Spectrogram.ToKernel() with
            {
                Energy = !options.UseEnergy ? FrameEnergy.None : options.RawEnergy ? FrameEnergy.Raw : FrameEnergy.Windowed,
                LogFactor = options.Logarithm.Kind switch { SpectrumLogarithm.None => 0f, SpectrumLogarithm.Natural => 1f, _ => (float)decibels },
                LogFloor = options.Logarithm.Floor,
                LogOffset = options.Logarithm.Offset,
            },
            options.Spectrogram.CreateWindow(),
            _bands);
    }

    /// <summary>What is computed.</summary>
    public AudioFeatureOptions Options { get; }

    /// <summary>Numbers for each frame.</summary>
    public int Columns => Options.Kind switch
    {
        AudioFeatureKind.Mfcc => Options.Mfcc.Coefficients,
        AudioFeatureKind.Mel => Options.Mel.Bins + EnergyColumns,
        _ => _spectra.Columns,
    };

    // Mel sums keep their places and the energy gets one of its own.
    private int EnergyColumns => Options.UseEnergy && Options.Kind == AudioFeatureKind.Mel ? 1 : 0;

    /// <summary>Frames of a sound of so many samples; none where it is shorter than a frame and not padded, or empty.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="samples"/> is negative.</exception>
    public nint FrameCount(nint samples)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(samples);
        return Options.Spectrogram.FrameCount(samples);
    }

    /// <summary>The least number of samples that gives so many frames: what a sound is cut or filled up to for a network of fixed extents.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="frames"/> is negative, or the samples are more than an address can tell.</exception>
    public nint SampleCount(nint frames)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(frames);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(frames, nint.MaxValue / 2 / Options.Spectrogram.HopLength);
        return Options.Spectrogram.SampleCount(frames);
    }

    /// <summary>The features of a sound: <see cref="FrameCount"/> rows of <see cref="Columns"/>.</summary>
    /// <param name="samples">One channel, at the options' sample rate.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ObjectDisposedException">The instance was disposed.</exception>
    public FloatMatrix Compute(ReadOnlySpan<float> samples, WorkerPool? pool = null)
    {
        nint frames = FrameCount(samples.Length);
        float[] energies = Options.UseEnergy ? new float[frames] : [];
        FloatMatrix result = new(frames, Columns);
        try
        {
            if (_cosines is null)
            {
                bool energyFirst = EnergyColumns > 0 && !Options.HtkCompatible;
                MatrixView<float> values = frames == 0 ? default : new(result.View.Data + (energyFirst ? 1 : 0), frames, _spectra.Columns, result.Stride);
                Spectra(samples, values, energies, pool);
            }
            else
            {
                using FloatMatrix mel = new(frames, _spectra.Columns);
                Spectra(samples, mel.View, energies, pool);
                Gemm.Multiply(1f, mel.View, false, _cosines.View, true, 0f, result.View, pool);
                GC.KeepAlive(_cosines);
            }

            for (nint f = 0; f < frames; f++)
                Finish(result.Row(f), Options.UseEnergy ? energies[f] : 0f);
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    /// <summary>The features of a sound's mean over its channels.</summary>
    /// <param name="sound">The sound.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The sound has another sample rate.</exception>
    public FloatMatrix Compute(WavFile sound, WorkerPool? pool = null)
    {
        ArgumentNullException.ThrowIfNull(sound);
        if (sound.SampleRate != Options.SampleRate)
            throw new ArgumentException($"The sound has {sound.SampleRate} samples per second and the options say {Options.SampleRate}.", nameof(sound));
        return Compute(sound.Channels == 1 ? sound.Channel(0) : sound.ToMono(), pool);
    }

    /// <summary>
    /// How features change from frame to frame: d[t] = sum over n of n (c[t + n] - c[t - n]) / (2 sum over n of n^2), n from 1 to
    /// width / 2, where the first and the last frame are repeated (torchaudio's compute_deltas, Kaldi's add-deltas of order 1).
    /// </summary>
    /// <param name="features">A row for each frame.</param>
    /// <param name="width">Frames that count: odd, 3 or more.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="width"/> is even, below 3, or above 1001.</exception>
    public static FloatMatrix Deltas(FloatMatrix features, int width = 5)
    {
        ArgumentNullException.ThrowIfNull(features);
        if (width < 3 || width > 1001 || width % 2 == 0)
            throw new ArgumentOutOfRangeException(nameof(width), width, "The width must be an odd number from 3 to 1001.");
        int half = width / 2;
        float divisor = 2f * half * (half + 1) * ((2 * half) + 1) / 6f;
        FloatMatrix deltas = new(features.Rows, features.Columns);
        for (nint t = 0; t < features.Rows; t++)
        {
            Span<float> to = deltas.Row(t);
            for (int n = 1; n <= half; n++)
            {
                ReadOnlySpan<float> after = features.Row(nint.Min(t + n, features.Rows - 1)), before = features.Row(nint.Max(t - n, 0));
                for (int j = 0; j < to.Length; j++)
                    to[j] += n / divisor * (after[j] - before[j]);
            }
        }

        return deltas;
    }

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose()
    {
        _spectra.Dispose();
        _bands?.Dispose();
        _cosines?.Dispose();
    }

    private void Spectra(ReadOnlySpan<float> samples, MatrixView<float> values, float[] energies, WorkerPool? pool)
    {
        if (values.Rows == 0)
            return;
        _spectra.Run(samples, values, energies, pool);
        if (Options.Logarithm is { Kind: SpectrumLogarithm.Decibel, TopDecibels: float range })
            DynamicRange.Limit(values, range);
    }

    /// <summary>The energy's place, and HTK's order.</summary>
    private void Finish(Span<float> row, float energy)
    {
        float log = MathF.Log(MathF.Max(energy, LeastEnergy));
        if (Options.EnergyFloor > 0)
            log = MathF.Max(log, MathF.Log(Options.EnergyFloor));
        bool last = Options.HtkCompatible && Options.Kind != AudioFeatureKind.Spectrogram;
        if (last && Options.Kind == AudioFeatureKind.Mfcc)
        {
            float lowest = row[0] * 1.41421356f;
            row[1..].CopyTo(row);
            row[^1] = lowest;
        }

        if (Options.UseEnergy)
            row[last ? ^1 : 0] = log;
    }

    /// <summary>A row for each coefficient: the cosine transform's, times the lifter's factor.</summary>
    private static FloatMatrix Cosines(MfccOptions options, int bins)
    {
        FloatMatrix cosines = new(options.Coefficients, bins);
        for (int k = 0; k < options.Coefficients; k++)
        {
            double factor = Math.Sqrt((k == 0 && options.Orthonormal ? 1.0 : 2.0) / bins);
            if (options.Lifter > 0)
                factor *= 1 + (options.Lifter / 2 * Math.Sin(Math.PI * (k + options.LifterStart) / options.Lifter));
            for (int n = 0; n < bins; n++)
                cosines[k, n] = (float)(factor * Math.Cos(Math.PI * k * (n + 0.5) / bins));
        }

        return cosines;
    }
}
