namespace EmbeddingKernels.Core;

/// <summary>
/// The push of a cloud of points on any place near it: a density on a grid, convolved with the kernels of t-SNE. What
/// <see cref="FftRepulsion"/> and <see cref="FftReferenceField"/> share.
/// </summary>
internal sealed unsafe class FftField : IDisposable
{
    private RealFftPlan? _columnPlan;
    private FftPlan? _rowPlan;
    private AlignedBuffer<float> _spectra = new(1);
    private AlignedBuffer<float> _twiddles = new(1);
    private AlignedBuffer<float> _density = new(1);
    private AlignedBuffer<float> _fields = new(1);
    private FftGrid _grid;
    private readonly int _longest;
    private int _lanes;

    /// <param name="dimensions">1 or 2.</param>
    /// <param name="degreesOfFreedom">nu.</param>
    /// <param name="interpolation">The splines.</param>
    /// <param name="points">How many points it will serve, which bounds how fine a wide grid may be.</param>
    public FftField(int dimensions, double degreesOfFreedom, FftInterpolation interpolation, int points)
    {
        if (dimensions is < 1 or > 2)
            throw new ArgumentOutOfRangeException(nameof(dimensions), dimensions, "Interpolation on a grid takes maps of 1 or 2 axes.");
        if (!Enum.IsDefined(interpolation))
            throw new ArgumentOutOfRangeException(nameof(interpolation), interpolation, $"Not a value of {nameof(FftInterpolation)}.");
        Dimensions = dimensions;
        DegreesOfFreedom = TsneKernel.CheckDegrees(degreesOfFreedom, nameof(degreesOfFreedom));
        Interpolation = interpolation;
        _longest = FftGrid.Longest(dimensions, points);
    }

    public int Dimensions { get; }

    public double DegreesOfFreedom { get; }

    public FftInterpolation Interpolation { get; }

    /// <summary>Nodes that a point is spread over, along each axis.</summary>
    public int Order => Interpolation == FftInterpolation.Cubic ? CubicSpline.Order : QuadraticSpline.Order;

    /// <summary>The grid of the last <see cref="Place"/>.</summary>
    public FftGrid Grid => _grid;

    /// <summary>Where the grid's first node stands.</summary>
    public (float X, float Y) Origin { get; private set; }

    /// <summary>The density, <see cref="FftGrid.UsedRows"/> rows.</summary>
    public float* Density => _density.Pointer;

    public FftFields Fields(bool sums)
    {
        nint length = GridLength(_grid);
        return new(_fields.Pointer, _fields.Pointer + (Dimensions == 1 ? 0 : length), sums ? _fields.Pointer + (Dimensions * length) : null, _grid.Stride);
    }

    /// <summary>Lays a grid under these bounds, and makes its spectra unless they stand already.</summary>
    public void Place<TWide, TKernel>(in FftBounds bounds, TKernel kernel, WorkerPool pool)
        where TWide : unmanaged, IWide<TWide>
        where TKernel : struct, ITsneKernel
    {
        double extentX = (double)bounds.MostX - bounds.LeastX, extentY = (double)bounds.MostY - bounds.LeastY;
        FftGrid grid = FftGrid.For(Dimensions, DegreesOfFreedom, extentX, extentY, Order, _longest, _grid);
        Origin = (
            (float)(bounds.LeastX + ((extentX - ((grid.NodesX - Order) * (double)grid.Spacing)) / 2)),
            (float)(bounds.LeastY + ((extentY - ((grid.NodesY - Order) * (double)grid.Spacing)) / 2)));
        if (grid == _grid && _lanes == TWide.Lanes)
            return;

        if (grid.Rows != _grid.Rows || grid.Columns != _grid.Columns)
        {
            _columnPlan?.Dispose();
            _rowPlan?.Dispose();
            _columnPlan = new RealFftPlan(grid.Rows);
            _rowPlan = new FftPlan(grid.Columns);
        }

        _lanes = 0; // nothing stands until all of it does
        _grid = grid;
        GridLines layout = new(TWide.Lanes, (grid.Rows / 2) + 1, grid.Columns);
        Reserve(ref _spectra, (Dimensions + 1) * SpectrumLength(layout, TWide.Lanes));
        Reserve(ref _density, GridLength(grid));
        if (Dimensions == 1)
        {
            Reserve(ref _twiddles, layout.Groups * (nint)grid.Columns * 2 * TWide.Lanes);
            FftSpectra.FillTwiddles(grid, TWide.Lanes, layout.Groups, _twiddles.Pointer);
        }

        FftSpectra.Fill<TWide, TKernel>(grid, Order, kernel, _columnPlan!, _rowPlan!, Dimensions == 1 ? _twiddles.Pointer : null, _spectra.Pointer, pool);
        _lanes = TWide.Lanes;
    }

    /// <summary>w at the greatest distance within a region: no pair of its points has less.</summary>
    public double LeastWeight(in FftBounds bounds)
    {
        double x = bounds.Width, y = Dimensions == 1 ? 0 : bounds.Height;
        return Math.Pow(1 + (((x * x) + (y * y)) / DegreesOfFreedom), -(DegreesOfFreedom + 1) / 2);
    }

    /// <summary>Convolves the density with the kernels.</summary>
    /// <param name="sums">Whether the sums of w are wanted as a field, too.</param>
    /// <param name="pool">Threads.</param>
    /// <returns>The sum of w over all ordered pairs of points, each with itself included.</returns>
    public double Convolve<TWide>(bool sums, WorkerPool pool)
        where TWide : unmanaged, IWide<TWide>
    {
        int fields = Dimensions + (sums ? 1 : 0);
        GridLines layout = new(TWide.Lanes, (_grid.Rows / 2) + 1, _grid.UsedColumns);
        Reserve(ref _fields, fields * GridLength(_grid));
        using Scratch<float> lines = new(fields * layout.Length);
        using Scratch<float> columnScratch = new(pool.Threads * GridForwardColumns<TWide>.ScratchLength(_columnPlan!));
        using Scratch<float> lineScratch = new(pool.Threads * FftFieldLines<TWide>.ScratchLength(_rowPlan!));
        using Scratch<double> powers = new(layout.Groups);

        GridForwardColumns<TWide> forward = new(_columnPlan!, GridView(_density.Pointer), layout, lines.Pointer, columnScratch.Pointer);
        pool.For(layout.ColumnBlocks, GridLines.BlockGrain, ref forward);
        FftFieldLines<TWide> along = new()
        {
            Plan = _rowPlan!,
            Layout = layout,
            Columns = _grid.UsedColumns,
            Rows = _grid.Rows,
            Lines = lines.Pointer,
            Spectra = _spectra.Pointer,
            SpectrumLength = SpectrumLength(layout, TWide.Lanes),
            Twiddles = Dimensions == 1 ? _twiddles.Pointer : null,
            Axes = Dimensions,
            Sums = sums,
            Scratch = lineScratch.Pointer,
            Powers = powers.Pointer,
        };
        pool.For(layout.Groups, 1, ref along);
        for (int field = 0; field < fields; field++)
        {
            GridBackwardColumns<TWide> backward = new(
                _columnPlan!, layout, lines.Pointer + (field * layout.Length), GridView(_fields.Pointer + (field * GridLength(_grid))), columnScratch.Pointer);
            pool.For(layout.ColumnBlocks, GridLines.BlockGrain, ref backward);
        }

        double sum = 0;
        for (int group = 0; group < layout.Groups; group++)
            sum += powers.Pointer[group];
        return sum;
    }

    public void Dispose()
    {
        _columnPlan?.Dispose();
        _rowPlan?.Dispose();
        _spectra.Dispose();
        _twiddles.Dispose();
        _density.Dispose();
        _fields.Dispose();
    }

    private static nint GridLength(in FftGrid grid) => (grid.UsedRows * (nint)grid.Stride) + 16;

    private nint SpectrumLength(in GridLines layout, int lanes) => layout.Groups * (nint)_grid.Columns * lanes;

    private MatrixView<float> GridView(float* data) => new(data, _grid.UsedRows, _grid.UsedColumns, _grid.Stride);

    /// <summary>Room that grows by more than is asked for, so that a growing map does not take new memory at every step.</summary>
    private static void Reserve(ref AlignedBuffer<float> buffer, nint length)
    {
        if (buffer.Length >= length)
            return;
        buffer.Dispose();
        buffer = new AlignedBuffer<float>(length + (length / 4));
    }
}
