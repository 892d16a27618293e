namespace EmbeddingKernels.Core;

/// <summary>
/// The Fourier transform of real rows: X[k] = sum over n of x[n] exp(-2 pi i k n / length) for k = 0 to length / 2 (NumPy's rfft).
/// </summary>
/// <remarks>
/// In single precision; the root mean square of the error is below 2e-7 (sqrt(log2 length) + 1) of that of the result. As many
/// rows as a vector has lanes are transformed at once, so batches are what this is fast for. The result does not depend on the
/// number of threads. An instance serves any number of calls, at the same time too.
/// </remarks>
public sealed unsafe class RealFft : IDisposable
{
    // Rows are frames without a window, as far apart as they stand in memory.
    private readonly FrameSpectra _frames;

    /// <summary>Computes the constants for rows of one length.</summary>
    /// <param name="length">2^a 3^b 5^c.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is not supported.</exception>
    public RealFft(int length)
    {
        if (!FftLength.IsSupported(length))
            throw new ArgumentOutOfRangeException(nameof(length), length, $"A length must be 2^a 3^b 5^c, from 1 to {FftLength.Most}.");
        float[] ones = new float[length];
        Array.Fill(ones, 1f);
        _frames = new FrameSpectra(new FrameSpectraOptions { FftLength = length, HopLength = length, Value = SpectrumValue.Complex }, ones);
    }

    /// <summary>Elements of a row.</summary>
    public int Length => _frames.Options.FftLength;

    /// <summary>Frequencies of a row: length / 2 + 1.</summary>
    public int Frequencies => _frames.Frequencies;

    /// <summary>From rows to spectra.</summary>
    /// <param name="rows">Rows of <see cref="Length"/> elements.</param>
    /// <param name="spectra">As many rows of 2 <see cref="Frequencies"/> floats, overwritten: real and imaginary part of each frequency together.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">A shape is another.</exception>
    /// <exception cref="ObjectDisposedException">The instance was disposed.</exception>
    public void Forward(MatrixView<float> rows, MatrixView<float> spectra, WorkerPool? pool = null)
    {
        if (rows.Columns != Length)
            throw new ArgumentException($"The rows must have {Length} elements and have {rows.Columns}.", nameof(rows));
        if (spectra.Rows != rows.Rows || spectra.Columns != 2 * (nint)Frequencies)
            throw new ArgumentException($"The shape must be {rows.Rows} x {2 * (nint)Frequencies} and is {spectra.Rows} x {spectra.Columns}.", nameof(spectra));
        _frames.Run(rows, spectra, pool ?? WorkerPool.Serial);
    }

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose() => _frames.Dispose();
}
