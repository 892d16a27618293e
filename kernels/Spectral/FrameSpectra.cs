namespace EmbeddingKernels.Core;

/// <summary>
/// Spectra of the frames of a signal (the short-time Fourier transform), their magnitudes or powers, weighted sums of these
/// over bands (mel filterbanks) and their logarithms, all of it in one pass over the signal.
/// </summary>
/// <remarks>
/// <para>Sample n under the window w in frame f is s[n] = SampleScale x[FirstSample + f HopLength + n], with x continued past its
/// ends as <see cref="FrameSpectraOptions.Padding"/> says. From s its mean is taken off, if asked for; then pre-emphasis; then
/// X[k] = sum over n of w[n] s[n] exp(-2 pi i k (n + WindowOffset) / FftLength) for k = 0 to FftLength / 2; v[k] is X, |X| or
/// |X|^2; with filters y[m] = sum over k of weight[m, k] v[k]; and last LogFactor ln(max(y + LogOffset, LogFloor)).</para>
/// <para>Accuracy: single precision. The root mean square of the error of X over a frame is below 2e-7 (sqrt(log2 FftLength) + 1)
/// times that of X; sums over bands add a relative 2^-24 for each frequency of the band, the logarithm 1e-7 of its value. A
/// NaN or an infinity spoils the frames that it stands in and no others. The result does not depend on the number of threads.</para>
/// <para>How: as many frames as a vector has lanes are worked on side by side, so nothing is ever added across a vector; a
/// block of frames goes through all steps in the first two caches.</para>
/// <para>An instance serves any number of calls, at the same time too.</para>
/// </remarks>
public sealed unsafe class FrameSpectra : IDisposable
{
    private readonly AlignedBuffer<float> _window;
    private readonly AlignedBuffer<float> _factors;

    /// <summary>Prepares the transform.</summary>
    /// <param name="options">What is computed; checked.</param>
    /// <param name="window">The window's elements, at most FftLength.</param>
    /// <param name="bands">Filters over the FftLength / 2 + 1 frequencies, or none. Not owned: dispose them after this.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value of <paramref name="options"/> is out of its range.</exception>
    /// <exception cref="ArgumentException">The window does not fit the transform, or the filters are for another number of frequencies, or for complex values.</exception>
    public FrameSpectra(FrameSpectraOptions options, ReadOnlySpan<float> window, BandFilters? bands = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (window.Length < 1 || window.Length > options.FftLength - options.WindowOffset)
            throw new ArgumentException($"The window's length must be 1 to {options.FftLength - options.WindowOffset}, where the transform ends, and is {window.Length}.", nameof(window));
        Frequencies = (options.FftLength / 2) + 1;
        if (bands is not null && bands.Frequencies != Frequencies)
            throw new ArgumentException($"The filters are for {bands.Frequencies} frequencies; a transform of {options.FftLength} has {Frequencies}.", nameof(bands));
        if (bands is not null && options.Value == SpectrumValue.Complex)
            throw new ArgumentException("Filters are for magnitudes or powers, not for complex values.", nameof(bands));
        (Options, Bands, WindowLength) = (options, bands, window.Length);
        Columns = bands?.Count ?? (options.Value == SpectrumValue.Complex ? 2 * Frequencies : Frequencies);
        _window = new AlignedBuffer<float>(window.Length);
        _factors = new AlignedBuffer<float>(window.Length);
        for (int n = 0; n < window.Length; n++)
        {
            _window[n] = window[n];
            _factors[n] = options.SampleScale * (IsPlain ? window[n] : 1f);
        }

        if (options.FftLength % 2 == 0)
            RealPlan = new RealFftPlan(options.FftLength);
        else
            ComplexPlan = new FftPlan(options.FftLength);
    }

    /// <summary>What is computed.</summary>
    public FrameSpectraOptions Options { get; }

    /// <summary>Samples under the window.</summary>
    public int WindowLength { get; }

    /// <summary>Frequencies of a frame: FftLength / 2 + 1.</summary>
    public int Frequencies { get; }

    /// <summary>Numbers for each frame: filters, or frequencies, or twice these where they are complex.</summary>
    public int Columns { get; }

    internal BandFilters? Bands { get; }

    /// <summary>The transform of an even length.</summary>
    internal RealFftPlan? RealPlan { get; }

    /// <summary>The transform of an odd length.</summary>
    internal FftPlan? ComplexPlan { get; }

    internal float* Window => _window.Pointer;

    /// <summary>What the samples are multiplied by when they are gathered: the scale, with the window where nothing comes between.</summary>
    internal float* Factors => _factors.Pointer;

    /// <summary>Whether samples only meet the window, so that both can be multiplied at once.</summary>
    internal bool IsPlain => !Options.RemoveMean && Options.PreEmphasis == 0 && Options.Energy != FrameEnergy.Raw;

    /// <summary>Computes all frames.</summary>
    /// <param name="samples">The signal.</param>
    /// <param name="count">Samples.</param>
    /// <param name="destination">A row of <see cref="Columns"/> for each frame that is wanted, overwritten. Must not overlap the signal.</param>
    /// <param name="energies">The sum of squares of each frame, overwritten; null where the options want none.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The rows have another length.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is negative.</exception>
    /// <exception cref="ObjectDisposedException">The instance was disposed.</exception>
    public void Run(float* samples, nint count, MatrixView<float> destination, float* energies = null, WorkerPool? pool = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (samples is null && count > 0)
            throw new ArgumentNullException(nameof(samples));
        if (destination.Columns != Columns)
            throw new ArgumentException($"A frame has {Columns} numbers and a row {destination.Columns}.", nameof(destination));
        if ((energies is null) != (Options.Energy == FrameEnergy.None) && destination.Rows > 0)
            throw new ArgumentException($"Energies must be given exactly where the options want them, and these want {Options.Energy}.", nameof(energies));
        if (destination.Rows > nint.MaxValue / 2 / Options.HopLength)
            throw new ArgumentException($"{destination.Rows} frames reach past the address space.", nameof(destination));
        FrameSpectraAction action = new(this, samples, count, Options.HopLength, destination, energies, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
        GC.KeepAlive(this);
        GC.KeepAlive(Bands);
    }

    /// <inheritdoc cref="Run(float*, nint, MatrixView{float}, float*, WorkerPool?)"/>
    /// <param name="samples">The signal.</param>
    /// <param name="destination">A row of <see cref="Columns"/> for each frame that is wanted, overwritten. Must not overlap the signal.</param>
    /// <param name="energies">The sum of squares of each frame, overwritten; empty where the options want none.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    public void Run(ReadOnlySpan<float> samples, MatrixView<float> destination, Span<float> energies = default, WorkerPool? pool = null)
    {
        if (!energies.IsEmpty && energies.Length != destination.Rows)
            throw new ArgumentException($"There are {energies.Length} energies and {destination.Rows} frames.", nameof(energies));
        fixed (float* pointer = samples, energy = energies)
            Run(pointer, samples.Length, destination, energy, pool);
    }

    /// <summary>Frames that stand in rows already; the options' hop does not count.</summary>
    internal void Run(MatrixView<float> frames, MatrixView<float> destination, WorkerPool pool)
    {
        if (frames.Rows == 0)
            return;
        FrameSpectraAction action = new(this, frames.Data, ((frames.Rows - 1) * frames.Stride) + frames.Columns, frames.Stride, destination, null, pool);
        Isa.Dispatch(ref action);
        GC.KeepAlive(this);
    }

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose()
    {
        _window.Dispose();
        _factors.Dispose();
        RealPlan?.Dispose();
        ComplexPlan?.Dispose();
    }

    /// <summary>The sample that stands at <paramref name="index"/> of the signal continued past its ends; -1 for a zero.</summary>
    internal static nint SampleAt(nint index, nint count, FramePadding padding)
    {
        if ((nuint)index < (nuint)count)
            return index;
        if (count == 0 || padding == FramePadding.Zeros)
            return -1;
        if (padding == FramePadding.Edge || count == 1)
            return index < 0 ? 0 : count - 1;
        nint period = padding == FramePadding.Reflect ? 2 * (count - 1) : 2 * count;
        nint place = index % period;
        place = place < 0 ? place + period : place;
        return place < count ? place : period - place - (padding == FramePadding.Reflect ? 0 : 1);
    }
}
