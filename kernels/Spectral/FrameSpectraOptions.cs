namespace EmbeddingKernels.Core;

/// <summary>What is kept of each frequency X of a frame.</summary>
public enum SpectrumValue
{
    /// <summary>Real and imaginary part, one after the other.</summary>
    Complex = 0,

    /// <summary>|X|.</summary>
    Magnitude = 1,

    /// <summary>|X|^2.</summary>
    Power = 2,
}

/// <summary>What stands before the first and behind the last sample, where a frame reaches there.</summary>
public enum FramePadding
{
    /// <summary>Zeros.</summary>
    Zeros = 0,

    /// <summary>The signal mirrored at its first and last sample, which are not repeated: c b | a b c d | c b.</summary>
    Reflect = 1,

    /// <summary>The signal mirrored beside its first and last sample, which are repeated: b a | a b c d | d c.</summary>
    Symmetric = 2,

    /// <summary>The first and the last sample.</summary>
    Edge = 3,
}

/// <summary>Which samples of a frame its energy is the sum of squares of.</summary>
public enum FrameEnergy
{
    /// <summary>No energy is wanted.</summary>
    None = 0,

    /// <summary>Before pre-emphasis and window, after the mean was taken off.</summary>
    Raw = 1,

    /// <summary>After the window.</summary>
    Windowed = 2,
}

/// <summary>What <see cref="FrameSpectra"/> computes of each frame.</summary>
public sealed record FrameSpectraOptions
{
    /// <summary>Elements of a transform: 2^a 3^b 5^c.</summary>
    public required int FftLength { get; init; }

    /// <summary>Samples from frame to frame.</summary>
    public required int HopLength { get; init; }

    /// <summary>The sample under the window's first element in frame 0; below 0 where frames begin before the signal.</summary>
    public long FirstSample { get; init; }

    /// <summary>Zeros before the window in each transform. It turns phases, nothing else.</summary>
    public int WindowOffset { get; init; }

    /// <summary>What surrounds the signal.</summary>
    public FramePadding Padding { get; init; }

    /// <summary>Factor of the samples.</summary>
    public float SampleScale { get; init; } = 1f;

    /// <summary>Takes the mean of its samples off each frame.</summary>
    public bool RemoveMean { get; init; }

    /// <summary>c of x'[n] = x[n] - c x[n - 1] inside each frame, where x[0] counts as its own predecessor; 0 for none.</summary>
    public float PreEmphasis { get; init; }

    /// <summary>Which energy is given.</summary>
    public FrameEnergy Energy { get; init; }

    /// <summary>What is kept of each frequency.</summary>
    public SpectrumValue Value { get; init; } = SpectrumValue.Power;

    /// <summary>Result = LogFactor ln(max(value + LogOffset, LogFloor)); 0 leaves the values as they are.</summary>
    public float LogFactor { get; init; }

    /// <summary>Added before the logarithm.</summary>
    public float LogOffset { get; init; }

    /// <summary>The least number that the logarithm is taken of: normal and positive.</summary>
    public float LogFloor { get; init; } = 1e-10f;

    /// <summary>Checks every value.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of its range; the exception names it.</exception>
    public void Validate()
    {
        if (!Core.FftLength.IsSupported(FftLength))
            throw new ArgumentOutOfRangeException(nameof(FftLength), FftLength, $"A transform's length must be 2^a 3^b 5^c, from 1 to {Core.FftLength.Most}.");
        if (HopLength < 1)
            throw new ArgumentOutOfRangeException(nameof(HopLength), HopLength, "There must be at least one sample from frame to frame.");
        if (WindowOffset < 0 || WindowOffset >= FftLength)
            throw new ArgumentOutOfRangeException(nameof(WindowOffset), WindowOffset, $"A window may begin at 0 to {FftLength - 1}.");
        if (FirstSample is < -(1L << 40) or > 1L << 40)
            throw new ArgumentOutOfRangeException(nameof(FirstSample), FirstSample, "The first frame must begin within 2^40 samples of the signal's beginning.");
        if (!Enum.IsDefined(Padding))
            throw new ArgumentOutOfRangeException(nameof(Padding), Padding, "Not a value of FramePadding.");
        if (!Enum.IsDefined(Energy))
            throw new ArgumentOutOfRangeException(nameof(Energy), Energy, "Not a value of FrameEnergy.");
        if (!Enum.IsDefined(Value))
            throw new ArgumentOutOfRangeException(nameof(Value), Value, "Not a value of SpectrumValue.");
        Finite(SampleScale, nameof(SampleScale));
        Finite(PreEmphasis, nameof(PreEmphasis));
        Finite(LogFactor, nameof(LogFactor));
        Finite(LogOffset, nameof(LogOffset));
        Finite(LogFloor, nameof(LogFloor));
        if (LogFactor != 0 && !(float.IsNormal(LogFloor) && LogFloor > 0))
            throw new ArgumentOutOfRangeException(nameof(LogFloor), LogFloor, "The floor of a logarithm must be positive and at least 1.18e-38.");
        if (LogFactor != 0 && Value == SpectrumValue.Complex)
            throw new ArgumentOutOfRangeException(nameof(LogFactor), LogFactor, "Complex values have no logarithm here.");
    }

    private static void Finite(float value, string name)
    {
        if (!float.IsFinite(value))
            throw new ArgumentOutOfRangeException(name, value, "The value must be finite.");
    }
}
