using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>The spectra of the kernels on a grid.</summary>
internal static unsafe class FftSpectra
{
    /// <summary>
    /// Fills the spectra of w and of the push along each axis, in the order of forward transforms, so that
    /// density x spectrum is ready for the way back. w is even and its spectrum real; a push is odd and its imaginary.
    /// </summary>
    public static void Fill<TWide, TKernel>(
        in FftGrid grid, int order, TKernel kernel, RealFftPlan columnPlan, FftPlan rowPlan, float* twiddles, float* spectra, WorkerPool pool)
        where TWide : unmanaged, IWide<TWide>
        where TKernel : struct, ITsneKernel
    {
        GridLines layout = new(TWide.Lanes, (grid.Rows / 2) + 1, grid.Columns);
        int length = grid.Dimensions == 1 ? grid.Rows * grid.Columns : grid.Columns;
        int stride = grid.Dimensions == 1 ? grid.Columns : FftGrid.PaddedStride(grid.Columns);
        using Scratch<float> values = new((nint)grid.Rows * stride);
        using Scratch<float> lines = new(layout.Length);
        using Scratch<float> columnScratch = new(pool.Threads * GridForwardColumns<TWide>.ScratchLength(columnPlan));
        using Scratch<float> distances = new(2 * (nint)(length + grid.Rows));
        using Scratch<float> deconvolution = new(length + grid.Rows);
        FillAxis(length, grid.NodesX, grid.Spacing, order, distances.Pointer, deconvolution.Pointer);
        if (grid.Dimensions > 1)
            FillAxis(grid.Rows, grid.NodesY, grid.Spacing, order, distances.Pointer + (2 * (nint)length), deconvolution.Pointer + length);

        for (int field = 0; field <= grid.Dimensions; field++)
        {
            KernelBody<TWide, TKernel> fill = new()
            {
                Kernel = kernel,
                Field = field,
                Rows = grid.Rows,
                Columns = grid.Columns,
                Stride = stride,
                Line = grid.Dimensions == 1,
                Distances = distances.Pointer,
                Values = values.Pointer,
            };
            pool.For(grid.Rows, 8, ref fill);
            GridForwardColumns<TWide> forward = new(
                columnPlan, new MatrixView<float>(values.Pointer, grid.Rows, grid.Columns, stride), layout, lines.Pointer, columnScratch.Pointer);
            pool.For(layout.ColumnBlocks, GridLines.BlockGrain, ref forward);
            TakeBody<TWide> take = new()
            {
                Plan = rowPlan,
                Layout = layout,
                Rows = grid.Rows,
                Columns = grid.Columns,
                Lines = lines.Pointer,
                Twiddles = twiddles,
                Deconvolution = deconvolution.Pointer,
                Odd = field > 0,
                Spectrum = spectra + (field * layout.Groups * (nint)grid.Columns * TWide.Lanes),
            };
            pool.For(layout.Groups, 1, ref take);
        }
    }

    /// <summary>
    /// exp(-2 pi i x k / length) for element x of the line of frequency k: a long line is transformed as a matrix, first its
    /// columns, then, turned by these, its rows (Gentleman and Sande, 1966).
    /// </summary>
    public static void FillTwiddles(in FftGrid grid, int lanes, int groups, float* twiddles)
    {
        long length = (long)grid.Rows * grid.Columns;
        for (int group = 0; group < groups; group++)
        {
            for (int x = 0; x < grid.Columns; x++, twiddles += 2 * lanes)
            {
                for (int lane = 0; lane < lanes; lane++)
                {
                    (double sin, double cos) = Math.SinCos(-2 * Math.PI * (((long)group * lanes) + lane) * x / length);
                    twiddles[lane] = (float)cos;
                    twiddles[lanes + lane] = (float)sin;
                }
            }
        }
    }

    /// <summary>
    /// For each node of a cyclic axis its distance from the first and how much of a kernel is left there: all of it between
    /// points, then less until the far side, which no pair of points spans. For each frequency what divides the splines out.
    /// </summary>
    private static void FillAxis(int length, int nodes, float spacing, int order, float* distances, float* deconvolution)
    {
        for (int i = 0; i < length; i++)
        {
            int offset = i <= length / 2 ? i : i - length;
            double u = Math.Clamp((Math.Abs(offset) - nodes) / ((length / 2.0) - nodes), 0, 1);
            distances[i] = offset * spacing;
            distances[length + i] = (float)(1 - (u * u * u * u * (35 - (84 * u) + (70 * u * u) - (20 * u * u * u))));

            // The spectrum of a B-spline of that order, squared: it is passed on the way in and on the way out.
            double angle = Math.PI * offset / length;
            deconvolution[i] = (float)(offset == 0 ? 1 : Math.Pow(angle / Math.Sin(angle), 2 * order));
        }
    }

    /// <summary>A kernel on the cyclic grid: field 0 is w, 1 and 2 the push along x and y.</summary>
    private struct KernelBody<TWide, TKernel> : IRangeBody
        where TWide : unmanaged, IWide<TWide>
        where TKernel : struct, ITsneKernel
    {
        public TKernel Kernel;
        public int Field;
        public int Rows;
        public int Columns;
        public int Stride;
        public bool Line;
        public float* Distances;
        public float* Values;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Invoke(int worker, nint start, nint end)
        {
            nint length = Line ? (nint)Rows * Columns : Columns;
            float* rowDistances = Distances + (2 * length);
            TWide one = TWide.Broadcast(1f);
            for (nint row = start; row < end; row++)
            {
                float* x = Distances + (Line ? row * Columns : 0), destination = Values + (row * Stride);
                TWide dy = TWide.Broadcast(Line ? 0 : rowDistances[row]), kept = TWide.Broadcast(Line ? 1 : rowDistances[Rows + row]);
                for (int column = 0; column < Columns; column += TWide.Lanes)
                {
                    int count = Math.Min(TWide.Lanes, Columns - column);
                    TWide dx = TWide.LoadFirst(x + column, count);
                    TWide distance = TWide.MultiplyAdd(dy, dy, TWide.MultiplyAdd(dx, dx, TKernel.Start<TWide>()));
                    TWide weight = Kernel.Weight(one, distance, out TWide push);
                    TWide value = Field == 0 ? weight : push * (Field == 1 ? dx : dy);
                    TWide.StoreFirst(destination + column, value * kept * TWide.LoadFirst(x + length + column, count), count);
                }
            }
        }
    }

    /// <summary>The transforms along rows, and of the result the part that is not zero.</summary>
    private struct TakeBody<TWide> : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        public FftPlan Plan;
        public GridLines Layout;
        public int Rows;
        public int Columns;
        public float* Lines;
        public float* Twiddles;
        public float* Deconvolution;
        public bool Odd;
        public float* Spectrum;

        public readonly void Invoke(int worker, nint start, nint end)
        {
            int lanes = TWide.Lanes;
            float* factors = stackalloc float[lanes];
            for (nint group = start; group < end; group++)
            {
                // Lanes beyond the last frequency hold nothing.
                for (int lane = 0; lane < lanes; lane++)
                    factors[lane] = (group * lanes) + lane <= Rows / 2 ? Factor((group * lanes) + lane) : 0;
                float* line = Lines + (group * Layout.Stride), spectrum = Spectrum + (group * Columns * lanes);
                if (Twiddles is not null)
                    FftFieldLines<TWide>.Turn(line, Twiddles + (group * 2 * lanes * Columns), line, Columns, back: false);
                LineFft<TWide>.Forward(Plan, line);
                Take(line + (Odd ? lanes : 0), spectrum, factors);
                if (Twiddles is not null)
                    DivideLine(spectrum, group * lanes);
            }
        }

        /// <summary>
        /// What a frequency along columns is multiplied by: the transforms there and back multiply by the number of nodes. A long
        /// line's frequencies are not products of two; see <see cref="DivideLine"/>.
        /// </summary>
        private readonly float Factor(nint frequency) => (Twiddles is null ? Deconvolution[Columns + frequency] : 1) / ((float)Rows * Columns);

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Take(float* part, float* spectrum, float* factors)
        {
            TWide factor = TWide.Load(factors), one = TWide.Broadcast(1f);
            float* deconvolution = Deconvolution;
            fixed (int* places = Plan.Places)
            {
                for (nint l = 0; l < Columns; l++)
                {
                    nint place = places[l] * TWide.Lanes;
                    TWide along = Twiddles is null ? TWide.BroadcastFrom(deconvolution + l) : one;
                    TWide.Store(spectrum + place, TWide.Load(part + (2 * place)) * factor * along);
                }
            }
        }

        private readonly void DivideLine(float* spectrum, nint first)
        {
            for (nint l = 0; l < Columns; l++)
            {
                for (nint lane = 0; lane < TWide.Lanes && first + lane <= Rows / 2; lane++)
                    spectrum[(Plan.Places[l] * TWide.Lanes) + lane] *= Deconvolution[first + lane + (Rows * l)];
            }
        }
    }
}

/// <summary>
/// Between the column transforms: along rows forward, the products with the spectra, and back, one line of
/// <see cref="GridLines"/> at a time, which stays in the second-level cache meanwhile.
/// </summary>
internal unsafe struct FftFieldLines<TWide> : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    public FftPlan Plan;
    public GridLines Layout;
    public int Columns;
    public int Rows;

    /// <summary>The half-transformed density, overwritten by the first field; the others behind it.</summary>
    public float* Lines;

    /// <summary>w, then the push along each axis.</summary>
    public float* Spectra;
    public nint SpectrumLength;

    /// <summary>Where the grid is one long line; else null.</summary>
    public float* Twiddles;
    public int Axes;
    public bool Sums;
    public float* Scratch;

    /// <summary>Each group's part of the sum of |density|^2 w over all frequencies.</summary>
    public double* Powers;

    public static nint ScratchLength(FftPlan plan) => 6 * TWide.Lanes * (nint)plan.Length;

    public readonly void Invoke(int worker, nint start, nint end)
    {
        nint lanes = TWide.Lanes, size = 2 * lanes * Plan.Length, used = 2 * lanes * Columns;
        float* density = Scratch + (worker * ScratchLength(Plan)), x = density + size, y = x + size;
        for (nint group = start; group < end; group++)
        {
            float* line = Lines + (group * Layout.Stride);
            float* twiddles = Twiddles + (group * 2 * lanes * Plan.Length);
            if (Twiddles is null)
                new Span<float>(line, (int)used).CopyTo(new Span<float>(density, (int)used));
            else
                Turn(line, twiddles, density, Columns, back: false);
            new Span<float>(density + used, (int)(size - used)).Clear();
            LineFft<TWide>.Forward(Plan, density);

            nint spectrum = group * lanes * Plan.Length;
            float* w = Spectra + spectrum, pushX = w + SpectrumLength, pushY = Axes > 1 ? pushX + SpectrumLength : null;
            TWide power = Product(density, w, pushX, pushY, Plan.Length, x, y);
            Powers[group] = Total(power, group);
            Back(x, line, twiddles, used);
            if (Axes > 1)
                Back(y, line + Layout.Length, twiddles, used);
            if (Sums)
            {
                Scale(density, w, Plan.Length);
                Back(density, line + (Axes * Layout.Length), twiddles, used);
            }
        }
    }

    /// <summary>Each element of a line times its twiddle factor, or its conjugate on the way back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Turn(float* source, float* twiddles, float* destination, int elements, bool back)
    {
        nint lanes = TWide.Lanes, end = 2 * lanes * elements;
        TWide sign = TWide.Broadcast(back ? -1f : 1f);
        for (nint i = 0; i < end; i += 2 * lanes)
        {
            TWide re = TWide.Load(source + i), im = TWide.Load(source + i + lanes);
            TWide cos = TWide.Load(twiddles + i), sin = TWide.Load(twiddles + i + lanes) * sign;
            TWide.Store(destination + i, TWide.NegatedMultiplyAdd(im, sin, re * cos));
            TWide.Store(destination + i + lanes, TWide.MultiplyAdd(im, cos, re * sin));
        }
    }

    private readonly void Back(float* data, float* line, float* twiddles, nint used)
    {
        LineFft<TWide>.Backward(Plan, data);
        if (Twiddles is null)
            new Span<float>(data, (int)used).CopyTo(new Span<float>(line, (int)used));
        else
            Turn(data, twiddles, line, Columns, back: true);
    }

    /// <summary>The pushes' spectra, which are i times the given numbers, times the density's; returns the sum of |density|^2 w.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static TWide Product(float* density, float* w, float* pushX, float* pushY, int elements, float* x, float* y)
    {
        TWide power = TWide.Zero;
        nint lanes = TWide.Lanes;
        for (int i = 0; i < elements; i++, density += 2 * lanes, w += lanes, pushX += lanes, x += 2 * lanes)
        {
            TWide re = TWide.Load(density), im = TWide.Load(density + lanes);
            power = TWide.MultiplyAdd(TWide.MultiplyAdd(im, im, re * re), TWide.Load(w), power);
            TWide factor = TWide.Load(pushX);
            TWide.Store(x, TWide.Zero - (im * factor));
            TWide.Store(x + lanes, re * factor);
            if (pushY is null)
                continue;
            factor = TWide.Load(pushY);
            TWide.Store(y, TWide.Zero - (im * factor));
            TWide.Store(y + lanes, re * factor);
            pushY += lanes;
            y += 2 * lanes;
        }

        return power;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale(float* density, float* w, int elements)
    {
        nint lanes = TWide.Lanes;
        for (int i = 0; i < elements; i++, density += 2 * lanes, w += lanes)
        {
            TWide factor = TWide.Load(w);
            TWide.Store(density, TWide.Load(density) * factor);
            TWide.Store(density + lanes, TWide.Load(density + lanes) * factor);
        }
    }

    /// <summary>The lanes' sum; frequencies other than the first and the last stand for their conjugates, too.</summary>
    private readonly double Total(TWide power, nint group)
    {
        float* lanes = stackalloc float[TWide.Lanes];
        TWide.Store(lanes, power);
        double sum = 0;
        for (int lane = 0; lane < TWide.Lanes; lane++)
        {
            nint k = (group * TWide.Lanes) + lane;
            if (k <= Rows / 2)
                sum += k == 0 || k == Rows / 2 ? lanes[lane] : 2.0 * lanes[lane];
        }

        return sum;
    }
}
