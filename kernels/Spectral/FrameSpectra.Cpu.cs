using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

internal readonly unsafe struct FrameSpectraAction(
    FrameSpectra spectra, float* samples, nint count, nint hop, MatrixView<float> destination, float* energies, WorkerPool pool) : IWideAction
{
    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        switch (spectra.Options.Value)
        {
            case SpectrumValue.Complex:
                Run<TWide, ComplexFrequency>();
                break;
            case SpectrumValue.Magnitude:
                Run<TWide, MagnitudeFrequency>();
                break;
            default:
                Run<TWide, PowerFrequency>();
                break;
        }
    }

    private void Run<TWide, TFrequency>()
        where TWide : unmanaged, IWide<TWide>
        where TFrequency : struct, IFrequency
    {
        using Scratch<float> scratch = new(pool.Threads * FrameBlocks<TWide, TFrequency>.ScratchLength(spectra));
        FrameBlocks<TWide, TFrequency> body = new(spectra, samples, count, hop, destination, energies, scratch.Pointer);
        pool.For((destination.Rows + TWide.Lanes - 1) / TWide.Lanes, FrameBlocks<TWide, TFrequency>.Grain, ref body);
    }
}

/// <summary>Takes as many frames as a vector has lanes through all steps.</summary>
/// <param name="spectra">The constants.</param>
/// <param name="samples">The signal.</param>
/// <param name="count">Its length.</param>
/// <param name="hop">Samples from frame to frame.</param>
/// <param name="destination">A row for each frame.</param>
/// <param name="energies">A number for each frame, or null.</param>
/// <param name="scratch"><see cref="ScratchLength"/> floats for each worker.</param>
internal readonly unsafe struct FrameBlocks<TWide, TFrequency>(
    FrameSpectra spectra, float* samples, nint count, nint hop, MatrixView<float> destination, float* energies, float* scratch) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TFrequency : struct, IFrequency
{
    /// <summary>Blocks that a worker takes at a time: some 20 to 50 us.</summary>
    public const int Grain = 8;

    private const int MostLanes = 16;

    private static nint Lanes => TWide.Lanes;

    /// <summary>The line that is transformed, the values of its frequencies, the sums over bands, and frames that reach past an end of the signal.</summary>
    public static nint ScratchLength(FrameSpectra spectra) =>
        LineLength(spectra) + ValuesLength(spectra) + (Lanes * (spectra.Columns + EdgeStride(spectra)));

    public void Invoke(int worker, nint start, nint end)
    {
        float* line = scratch + (worker * ScratchLength(spectra)), values = line + LineLength(spectra);
        float* columns = values + ValuesLength(spectra), edges = columns + (Lanes * spectra.Columns);
        float** rows = stackalloc float*[MostLanes];
        for (nint block = start; block < end; block++)
        {
            nint frame = block * Lanes;
            int frames = (int)Math.Min(Lanes, destination.Rows - frame);
            Locate(frame, frames, rows, edges);
            Load(rows, line, frame, frames);
            Transform(line, values);
            float* result = values;
            if (spectra.Bands is { } bands)
            {
                Sum(bands, values, columns);
                result = columns;
            }

            if (spectra.Options.LogFactor != 0)
                Logarithms(result, spectra.Columns);
            FrameRows<TWide>.Scatter(result, spectra.Columns, destination.Row(frame), destination.Stride, frames);
        }
    }

    // A transform of odd length is a complex one.
    private static nint LineLength(FrameSpectra spectra) => Lanes * spectra.Options.FftLength * (spectra.RealPlan is null ? 2 : 1);

    private static nint ValuesLength(FrameSpectra spectra) => Lanes * spectra.Frequencies * TFrequency.Vectors;

    private static nint EdgeStride(FrameSpectra spectra) => (spectra.WindowLength + 15) & ~15;

    /// <summary>Where the samples of each frame stand: in the signal, or copied where a frame reaches past its ends.</summary>
    private void Locate(nint frame, int frames, float** rows, float* edges)
    {
        nint length = spectra.WindowLength;
        for (int lane = 0; lane < Lanes; lane++)
        {
            // Lanes past the last frame repeat it, and their results are dropped.
            nint first = (nint)spectra.Options.FirstSample + ((frame + Math.Min(lane, frames - 1)) * hop);
            if (first >= 0 && first <= count - length)
            {
                rows[lane] = samples + first;
                continue;
            }

            rows[lane] = edges + (lane * EdgeStride(spectra));
            for (nint n = 0; n < length; n++)
            {
                nint sample = FrameSpectra.SampleAt(first + n, count, spectra.Options.Padding);
                rows[lane][n] = sample < 0 ? 0f : samples[sample];
            }
        }
    }

    /// <summary>Frames side by side, windowed, with the zeros around them.</summary>
    private void Load(float** rows, float* line, nint frame, int frames)
    {
        nint step = spectra.RealPlan is null ? 2 * Lanes : Lanes;
        nint offset = spectra.Options.WindowOffset, end = offset + spectra.WindowLength;
        float* inside = line + (offset * step);
        if (spectra.RealPlan is null)
            new Span<float>(line, checked((int)(spectra.Options.FftLength * step))).Clear();
        else
            Clear(line, inside, line + (end * step), line + (spectra.Options.FftLength * step));
        FrameRows<TWide>.Gather(rows, spectra.Factors, spectra.WindowLength, inside, step);
        FrameSpectraOptions options = spectra.Options;
        nint length = spectra.WindowLength;
        if (!spectra.IsPlain)
        {
            TWide mean = options.RemoveMean ? Mean(inside, step, length) : TWide.Zero;
            Prepare(inside, step, length, mean, options.PreEmphasis, spectra.Window, out TWide raw, out TWide windowed);
            if (options.Energy != FrameEnergy.None)
                TWide.StoreFirst(energies + frame, options.Energy == FrameEnergy.Raw ? raw : windowed, frames);
        }
        else if (options.Energy != FrameEnergy.None)
        {
            TWide.StoreFirst(energies + frame, SumOfSquares(inside, step, length), frames);
        }
    }

    private static void Clear(float* begin, float* beginEnd, float* end, float* endEnd)
    {
        for (; begin < beginEnd; begin += Lanes)
            TWide.Store(begin, TWide.Zero);
        for (; end < endEnd; end += Lanes)
            TWide.Store(end, TWide.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static TWide Mean(float* line, nint step, nint length)
    {
        float* end = line + (length * step);
        TWide even = TWide.Zero, odd = TWide.Zero;
        for (; line < end - step; line += 2 * step)
        {
            even += TWide.Load(line);
            odd += TWide.Load(line + step);
        }

        if (line < end)
            even += TWide.Load(line);
        return (even + odd) * TWide.Broadcast(1f / length);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static TWide SumOfSquares(float* line, nint step, nint length)
    {
        TWide sum = TWide.Zero;
        for (float* end = line + (length * step); line < end; line += step)
        {
            TWide x = TWide.Load(line);
            sum = TWide.MultiplyAdd(x, x, sum);
        }

        return sum;
    }

    /// <summary>Takes the mean off, then pre-emphasis and window, and both energies on the way.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Prepare(float* line, nint step, nint length, TWide mean, float emphasis, float* window, out TWide raw, out TWide windowed)
    {
        TWide before = TWide.Zero, after = TWide.Zero, factor = TWide.Broadcast(emphasis), previous = TWide.Load(line) - mean;
        for (float* end = line + (length * step); line < end; line += step, window++)
        {
            TWide x = TWide.Load(line) - mean, y = TWide.NegatedMultiplyAdd(factor, previous, x) * TWide.BroadcastFrom(window);
            previous = x;
            before = TWide.MultiplyAdd(x, x, before);
            after = TWide.MultiplyAdd(y, y, after);
            TWide.Store(line, y);
        }

        (raw, windowed) = (before, after);
    }

    private void Transform(float* line, float* values)
    {
        if (spectra.RealPlan is { } real)
        {
            RealLineFft<TWide>.Forward<TFrequency>(real, line, values);
            return;
        }

        FftPlan plan = spectra.ComplexPlan!;
        LineFft<TWide>.Forward(plan, line);
        for (int k = 0; k < spectra.Frequencies; k++)
        {
            float* element = line + (plan.Places[k] * 2 * Lanes);
            TFrequency.Store(values + (k * TFrequency.Vectors * Lanes), TWide.Load(element), TWide.Load(element + Lanes));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Sum(BandFilters bands, float* values, float* sums)
    {
        nint lanes = TWide.Lanes;
        float* weight = bands.Weights;
        int filters = bands.Count;
        fixed (int* firsts = bands.First, lengths = bands.Length)
        {
            for (int m = 0; m < filters; m++, sums += lanes)
            {
                float* value = values + (firsts[m] * lanes), end = weight + lengths[m];
                TWide even = TWide.Zero, odd = TWide.Zero;
                for (; weight < end - 1; weight += 2, value += 2 * lanes)
                {
                    TWide.Accumulate(ref even, TWide.BroadcastFrom(weight), TWide.Load(value));
                    TWide.Accumulate(ref odd, TWide.BroadcastFrom(weight + 1), TWide.Load(value + lanes));
                }

                if (weight < end)
                    TWide.Accumulate(ref even, TWide.BroadcastFrom(weight++), TWide.Load(value));
                TWide.Store(sums, even + odd);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Logarithms(float* values, nint vectors)
    {
        TWide factor = TWide.Broadcast(spectra.Options.LogFactor), offset = TWide.Broadcast(spectra.Options.LogOffset);
        TWide floor = TWide.Broadcast(spectra.Options.LogFloor), infinity = TWide.Broadcast(float.PositiveInfinity);
        for (float* end = values + (vectors * TWide.Lanes); values < end; values += TWide.Lanes)
        {
            // In this order NaN passes, and it and infinity go around the logarithm, which is for finite numbers.
            TWide x = TWide.Max(floor, TWide.Load(values) + offset);
            TWide.Store(values, TWide.SelectLess(x, infinity, WideMath.Log(x), x) * factor);
        }
    }
}
