using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Functions that frames are multiplied by. N is the window's length, or one less where it is symmetric.</summary>
public enum WindowFunction
{
    /// <summary>0.5 - 0.5 cos(2 pi n / N).</summary>
    Hann = 0,

    /// <summary>0.54 - 0.46 cos(2 pi n / N).</summary>
    Hamming = 1,

    /// <summary>Kaldi's: the Hann window to the power 0.85.</summary>
    Povey = 2,

    /// <summary>0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N).</summary>
    Blackman = 3,

    /// <summary>1.</summary>
    Rectangular = 4,
}

/// <summary>Where frames lie in a signal.</summary>
public enum Framing
{
    /// <summary>The first begins with the signal, and only frames that lie wholly inside count (center=False; snip-edges=true).</summary>
    Snip = 0,

    /// <summary>The middle of frame f is sample f HopLength, as far as the signal goes (center=True): 1 + samples / HopLength frames.</summary>
    Centre = 1,

    /// <summary>The middle of frame f is (f + 1/2) HopLength (Kaldi's snip-edges=false): samples / HopLength frames, rounded.</summary>
    CentreOfHop = 2,
}

/// <summary>Where a window shorter than the transform stands in it.</summary>
public enum WindowPlacement
{
    /// <summary>In the middle, and a frame is as long as the transform: librosa and torchaudio.</summary>
    Centre = 0,

    /// <summary>At the beginning, and a frame is as long as the window: Kaldi and TensorFlow.</summary>
    Start = 1,
}

/// <summary>Options of spectrograms: frames, windows and transforms.</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>Here</term><description>librosa · torchaudio · Kaldi · TensorFlow</description></listheader>
/// <item><term><see cref="FftLength"/></term><description>n_fft · n_fft · round-to-power-of-two · (the next power of two)</description></item>
/// <item><term><see cref="WindowLength"/></term><description>win_length · win_length · frame-length (in ms) · window_size</description></item>
/// <item><term><see cref="HopLength"/></term><description>hop_length · hop_length · frame-shift (in ms) · stride</description></item>
/// <item><term><see cref="Window"/></term><description>window · window_fn · window-type · (Hann)</description></item>
/// <item><term><see cref="Framing"/></term><description>center · center · snip-edges · (Snip)</description></item>
/// <item><term><see cref="Padding"/></term><description>pad_mode · pad_mode · (Symmetric) · (none)</description></item>
/// <item><term><see cref="Value"/></term><description>power · power · use-power · magnitude_squared</description></item>
/// <item><term><see cref="RemoveMean"/></term><description>(no) · (no) · remove-dc-offset · (no)</description></item>
/// <item><term><see cref="PreEmphasis"/></term><description>(no) · (no) · preemphasis-coefficient · (no)</description></item>
/// </list>
/// </remarks>
public sealed record SpectrogramOptions
{
    /// <summary>Elements of a transform: 2^a 3^b 5^c.</summary>
    public int FftLength { get; init; } = 2048;

    /// <summary>Samples under the window, at most <see cref="FftLength"/>; null for as many.</summary>
    public int? WindowLength { get; init; }

    /// <summary>Samples from frame to frame.</summary>
    public int HopLength { get; init; } = 512;

    /// <summary>The window.</summary>
    public WindowFunction Window { get; init; }

    /// <summary>A window that ends as it begins; else a periodic one, whose next element would be its first.</summary>
    public bool SymmetricWindow { get; init; }

    /// <summary>Where a shorter window stands.</summary>
    public WindowPlacement Placement { get; init; }

    /// <summary>Where the frames lie.</summary>
    public Framing Framing { get; init; } = Framing.Centre;

    /// <summary>What surrounds the signal.</summary>
    public FramePadding Padding { get; init; }

    /// <summary>What is kept of each frequency.</summary>
    public SpectrumValue Value { get; init; } = SpectrumValue.Power;

    /// <summary>Factor of the samples. Kaldi takes samples of 16 bits as they are: 32768 times those of <see cref="WavFile"/>.</summary>
    public float SampleScale { get; init; } = 1f;

    /// <summary>Takes its mean off each frame.</summary>
    public bool RemoveMean { get; init; }

    /// <summary>c of x'[n] = x[n] - c x[n - 1] in each frame; 0 for none.</summary>
    public float PreEmphasis { get; init; }

    /// <summary>Samples that a frame must have inside the signal where frames are not padded.</summary>
    private int Extent => Placement == WindowPlacement.Centre ? FftLength : WindowLength ?? FftLength;

    /// <summary>The window's elements.</summary>
    public float[] CreateWindow()
    {
        int length = WindowLength ?? FftLength, period = Math.Max(SymmetricWindow ? length - 1 : length, 1);
        float[] window = new float[length];
        for (int n = 0; n < length; n++)
        {
            double cos = Math.Cos(2 * Math.PI * n / period);
            window[n] = (float)(Window switch
            {
                WindowFunction.Hann => 0.5 - (0.5 * cos),
                WindowFunction.Hamming => 0.54 - (0.46 * cos),
                WindowFunction.Povey => Math.Pow(0.5 - (0.5 * cos), 0.85),
                WindowFunction.Blackman => 0.42 - (0.5 * cos) + (0.08 * Math.Cos(4 * Math.PI * n / period)),
                _ => 1,
            });
        }

        return window;
    }

    /// <summary>Checks every value.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        if (!Core.FftLength.IsSupported(FftLength))
            throw new ArgumentOutOfRangeException(nameof(FftLength), FftLength, $"A transform's length must be 2^a 3^b 5^c, from 1 to {Core.FftLength.Most}; a longer one with the same window gives more frequencies of the same sound.");
        if (WindowLength is int window && (window < 1 || window > FftLength))
            throw new ArgumentOutOfRangeException(nameof(WindowLength), window, $"The window must have 1 to {FftLength} samples, as many as the transform.");
        if (HopLength < 1)
            throw new ArgumentOutOfRangeException(nameof(HopLength), HopLength, "There must be at least one sample from frame to frame.");
        DataChecks.Defined(Window, nameof(Window));
        DataChecks.Defined(Framing, nameof(Framing));
        DataChecks.Defined(Placement, nameof(Placement));
        DataChecks.Defined(Padding, nameof(Padding));
        DataChecks.Defined(Value, nameof(Value));
        if (!float.IsFinite(SampleScale))
            throw new ArgumentOutOfRangeException(nameof(SampleScale), SampleScale, "The factor must be finite.");
        if (!float.IsFinite(PreEmphasis))
            throw new ArgumentOutOfRangeException(nameof(PreEmphasis), PreEmphasis, "The coefficient must be finite.");
    }

    /// <summary>Frames of a signal of so many samples; none where it is empty.</summary>
    internal nint FrameCount(nint samples) => Framing switch
    {
        _ when samples == 0 => 0,
        Framing.Snip => samples < Extent ? 0 : 1 + ((samples - Extent) / HopLength),
        Framing.Centre => 1 + (nint.Max(0, samples - (Extent % 2)) / HopLength),
        _ => (samples + (HopLength / 2)) / HopLength,
    };

    /// <summary>The least number of samples that gives so many frames.</summary>
    internal nint SampleCount(nint frames) => Framing switch
    {
        _ when frames == 0 => 0,
        Framing.Snip => Extent + ((frames - 1) * HopLength),
        Framing.Centre => nint.Max(1, (Extent % 2) + ((frames - 1) * HopLength)),
        _ => (frames * HopLength) - (HopLength / 2),
    };

    /// <summary>The kernel's options, without energies and logarithms.</summary>
    internal FrameSpectraOptions ToKernel()
    {
        int length = WindowLength ?? FftLength, offset = Placement == WindowPlacement.Centre ? (FftLength - length) / 2 : 0;
        return new FrameSpectraOptions
        {
            FftLength = FftLength,
            HopLength = HopLength,
            WindowOffset = offset,
            FirstSample = Framing switch
            {
                Framing.Snip => offset,
                Framing.Centre => offset - (Extent / 2),
                _ => (HopLength / 2) - (length / 2),
            },
            Padding = Padding,
            Value = Value,
            SampleScale = SampleScale,
            RemoveMean = RemoveMean,
            PreEmphasis = PreEmphasis,
        };
    }
}
