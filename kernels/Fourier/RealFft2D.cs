namespace EmbeddingKernels.Core;

/// <summary>
/// The Fourier transform of a real grid: X[k, l] = sum over y, x of g[y, x] exp(-2 pi i (k y / rows + l x / columns)) for
/// k from 0 to rows / 2, which is half of the spectrum; the other half is its conjugate, X[rows - k, columns - l].
/// </summary>
/// <remarks>
/// <para>Sizes are 2^a 3^b 5^c, the number of rows even. In single precision; the root mean square of the error is below 2e-7
/// sqrt(log2(rows * columns)) of that of the result. The result does not depend on the number of threads.</para>
/// <para>The half that is left out is that of the first axis. NumPy's rfft2 and FFTW's r2c leave out that of the last: they give
/// this spectrum, transposed, for the transposed grid.</para>
/// <para>An instance serves grids of one size, and any number of calls at the same time.</para>
/// </remarks>
public sealed unsafe class RealFft2D : IDisposable
{
    private readonly RealFftPlan _columnPlan;
    private readonly FftPlan _rowPlan;

    /// <summary>Computes the constants for grids of one size.</summary>
    /// <param name="rows">Rows of a grid: even, 2^a 3^b 5^c.</param>
    /// <param name="columns">Columns of a grid: 2^a 3^b 5^c.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is not supported.</exception>
    public RealFft2D(int rows, int columns)
    {
        if (rows % 2 != 0 || !FftLength.IsSupported(rows))
            throw new ArgumentOutOfRangeException(nameof(rows), rows, $"The rows must be an even number 2^a 3^b 5^c, up to {FftLength.Most}.");
        if (!FftLength.IsSupported(columns))
            throw new ArgumentOutOfRangeException(nameof(columns), columns, $"The columns must be a number 2^a 3^b 5^c, up to {FftLength.Most}.");
        _columnPlan = new RealFftPlan(rows);
        _rowPlan = new FftPlan(columns);
    }

    /// <summary>Rows of a grid.</summary>
    public int Rows => _columnPlan.Length;

    /// <summary>Columns of a grid.</summary>
    public int Columns => _rowPlan.Length;

    /// <summary>Frequencies along the first axis: rows / 2 + 1.</summary>
    public int Frequencies => (Rows / 2) + 1;

    /// <summary>From grid to spectrum.</summary>
    /// <param name="grid">rows x columns.</param>
    /// <param name="spectrum">(rows / 2 + 1) x (2 columns), overwritten: real and imaginary part of each element together.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">A shape is another.</exception>
    /// <exception cref="ObjectDisposedException">The instance was disposed.</exception>
    public void Forward(MatrixView<float> grid, MatrixView<float> spectrum, WorkerPool? pool = null)
    {
        CheckShapes(grid, spectrum);
        RealFft2DAction action = new(_columnPlan, _rowPlan, grid, spectrum, forward: true, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
        GC.KeepAlive(this);
    }

    /// <summary>From spectrum to grid, divided by rows * columns: the inverse of <see cref="Forward"/>.</summary>
    /// <param name="spectrum">
    /// (rows / 2 + 1) x (2 columns). The first and the last row are taken as those of a real grid: each element together with
    /// its partner of the opposite frequency.
    /// </param>
    /// <param name="grid">rows x columns, overwritten.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">A shape is another.</exception>
    /// <exception cref="ObjectDisposedException">The instance was disposed.</exception>
    public void Inverse(MatrixView<float> spectrum, MatrixView<float> grid, WorkerPool? pool = null)
    {
        CheckShapes(grid, spectrum);
        RealFft2DAction action = new(_columnPlan, _rowPlan, grid, spectrum, forward: false, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
        GC.KeepAlive(this);
    }

    /// <summary>Frees the memory. Further calls do nothing.</summary>
    public void Dispose()
    {
        _columnPlan.Dispose();
        _rowPlan.Dispose();
    }

    private void CheckShapes(MatrixView<float> grid, MatrixView<float> spectrum)
    {
        if (grid.Rows != Rows || grid.Columns != Columns)
            throw new ArgumentException($"The shape must be {Rows} x {Columns} and is {grid.Rows} x {grid.Columns}.", nameof(grid));
        if (spectrum.Rows != Frequencies || spectrum.Columns != 2 * (nint)Columns)
            throw new ArgumentException($"The shape must be {Frequencies} x {2 * (nint)Columns} and is {spectrum.Rows} x {spectrum.Columns}.", nameof(spectrum));
    }
}
