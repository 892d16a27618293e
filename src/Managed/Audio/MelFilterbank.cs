namespace EmbeddingKernels;

/// <summary>The axis of pitch on which mel filters stand evenly.</summary>
public enum MelScale
{
    /// <summary>2595 log10(1 + f / 700), of HTK (and Kaldi and TensorFlow, who write 1127 ln(1 + f / 700)).</summary>
    Htk = 0,

    /// <summary>Linear up to 1000 Hz (15 mel), logarithmic above, of Slaney's Auditory Toolbox; librosa's default.</summary>
    Slaney = 1,
}

/// <summary>What the triangles of mel filters are triangles of.</summary>
public enum MelFilterShape
{
    /// <summary>Their flanks are straight over the frequency in hertz: librosa and torchaudio.</summary>
    Hertz = 0,

    /// <summary>Their flanks are straight over mel, and the frequency at half the sample rate has no weight: Kaldi.</summary>
    Mel = 1,

    /// <summary>
    /// As <see cref="Mel"/>, but which frequencies count is rounded as TensorFlow's Mfcc operator does, never the lowest one, and
    /// half the sample rate counts.
    /// </summary>
    TensorFlow = 2,
}

/// <summary>Options of mel filters.</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>librosa · torchaudio · Kaldi · TensorFlow</description></listheader>
/// <item><term><see cref="Bins"/></term><description>n_mels · n_mels · num-mel-bins · filterbank_channel_count</description></item>
/// <item><term><see cref="MinFrequency"/></term><description>fmin · f_min · low-freq · lower_frequency_limit</description></item>
/// <item><term><see cref="MaxFrequency"/></term><description>fmax · f_max · high-freq · upper_frequency_limit</description></item>
/// <item><term><see cref="Scale"/></term><description>htk · mel_scale · (Htk) · (Htk)</description></item>
/// <item><term><see cref="AreaNormalized"/></term><description>norm="slaney" · norm="slaney" · (no) · (no)</description></item>
/// </list>
/// </remarks>
public sealed record MelOptions
{
    /// <summary>Number of filters.</summary>
    public int Bins { get; init; } = 128;

    /// <summary>Where the first filter begins, in hertz.</summary>
    public double MinFrequency { get; init; }

    /// <summary>Where the last filter ends, in hertz; null for half the sample rate.</summary>
    public double? MaxFrequency { get; init; }

    /// <summary>The axis on which they stand evenly.</summary>
    public MelScale Scale { get; init; } = MelScale.Slaney;

    /// <summary>What they are triangles of.</summary>
    public MelFilterShape Shape { get; init; }

    /// <summary>Divides each filter by half its width in hertz, so that all have the area 1 (2 / (right - left) at their tops); else their tops are 1.</summary>
    public bool AreaNormalized { get; init; } = true;

    /// <summary>Checks every value that can be checked without the sample rate.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        if (Bins is < 1 or > 1 << 16)
            throw new ArgumentOutOfRangeException(nameof(Bins), Bins, "The number of mel filters must be 1 to 65536.");
        if (!(MinFrequency >= 0 && double.IsFinite(MinFrequency)))
            throw new ArgumentOutOfRangeException(nameof(MinFrequency), MinFrequency, "The lowest frequency must be 0 Hz or more.");
        if (MaxFrequency is double most && !(most > MinFrequency && double.IsFinite(most)))
            throw new ArgumentOutOfRangeException(nameof(MaxFrequency), most, $"The highest frequency must be above the lowest, {MinFrequency} Hz.");
        DataChecks.Defined(Scale, nameof(Scale));
        DataChecks.Defined(Shape, nameof(Shape));
    }
}

/// <summary>Mel filterbanks: triangles that stand evenly on a scale of pitch.</summary>
/// <remarks>
/// Sources: S. Young and others, The HTK Book; M. Slaney, Auditory Toolbox, technical report 1998-010; librosa's filters.mel;
/// Kaldi's mel-computations; TensorFlow's mfcc_mel_filterbank.
/// </remarks>
public static unsafe class MelFilterbank
{
    // Slaney's scale: linear below the knee, and 27 steps for each factor of 6.4 above.
    private const double SlaneyHertzPerMel = 200.0 / 3, SlaneyKnee = 1000, SlaneyKneeMel = SlaneyKnee / SlaneyHertzPerMel;

    private static readonly double SlaneyLogStep = Math.Log(6.4) / 27;

    /// <summary>The pitch of a frequency.</summary>
    public static double HertzToMel(double hertz, MelScale scale)
    {
        if (scale == MelScale.Htk)
            return 2595 * Math.Log10(1 + (hertz / 700));
        return hertz < SlaneyKnee ? hertz / SlaneyHertzPerMel : SlaneyKneeMel + (Math.Log(hertz / SlaneyKnee) / SlaneyLogStep);
    }

    /// <summary>The frequency of a pitch.</summary>
    public static double MelToHertz(double mel, MelScale scale)
    {
        if (scale == MelScale.Htk)
            return 700 * (Math.Pow(10, mel / 2595) - 1);
        return mel < SlaneyKneeMel ? mel * SlaneyHertzPerMel : SlaneyKnee * Math.Exp((mel - SlaneyKneeMel) * SlaneyLogStep);
    }

    /// <summary>The filters' weights: a row for each filter, a column for each of the fftLength / 2 + 1 frequencies of a spectrum.</summary>
    /// <remarks>A filter that is narrower than the distance of two frequencies may have no weight other than zero.</remarks>
    /// <param name="options">The filters.</param>
    /// <param name="sampleRate">Samples per second.</param>
    /// <param name="fftLength">Elements of a transform.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range, or a filter begins above half the sample rate.</exception>
    public static FloatMatrix Create(MelOptions options, int sampleRate, int fftLength)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        ArgumentOutOfRangeException.ThrowIfLessThan(sampleRate, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(fftLength, 1);
        double most = options.MaxFrequency ?? (sampleRate / 2.0);
        if (options.MinFrequency >= most)
            throw new ArgumentOutOfRangeException(nameof(options), options.MinFrequency, $"The lowest frequency must be below the highest, {most} Hz.");

        double low = HertzToMel(options.MinFrequency, options.Scale), high = HertzToMel(most, options.Scale);
        double[] mels = [.. Enumerable.Range(0, options.Bins + 2).Select(i => low + (i * (high - low) / (options.Bins + 1)))];
        double[] hertz = [.. mels.Select(mel => MelToHertz(mel, options.Scale))];
        double[] corners = options.Shape == MelFilterShape.Hertz ? hertz : mels;
        int frequencies = (fftLength / 2) + 1;
        double hertzPerBin = (double)sampleRate / fftLength;
        (int first, int last) = options.Shape switch
        {
            MelFilterShape.TensorFlow => ((int)(1.5 + (options.MinFrequency / hertzPerBin)), Math.Min((int)(most / hertzPerBin), frequencies - 1)),
            MelFilterShape.Mel => (0, ((fftLength + 1) / 2) - 1),
            _ => (0, frequencies - 1),
        };

        FloatMatrix weights = new(options.Bins, frequencies);
        for (int m = 0; m < options.Bins; m++)
        {
            Span<float> row = weights.Row(m);
            double norm = options.AreaNormalized ? 2 / (hertz[m + 2] - hertz[m]) : 1;
            for (int k = first; k <= last; k++)
            {
                double frequency = k * hertzPerBin, at = options.Shape == MelFilterShape.Hertz ? frequency : HertzToMel(frequency, options.Scale);
                double rise = (at - corners[m]) / (corners[m + 1] - corners[m]), fall = (corners[m + 2] - at) / (corners[m + 2] - corners[m + 1]);
                row[k] = (float)(Math.Max(0, Math.Min(rise, fall)) * norm);
            }
        }

        return weights;
    }
}
