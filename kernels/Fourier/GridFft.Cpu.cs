using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// Where the half-transformed grid stands between the transforms along columns and those along rows: for each group of Lanes
/// frequencies of the columns one line of elements, element x being the vectors of real and imaginary parts at x of those
/// frequencies.
/// </summary>
/// <remarks>
/// So both passes work on whole vectors, and the transposition between them is one of small tiles in the first-level cache.
/// </remarks>
internal readonly struct GridLines
{
    /// <summary>Vectors of columns that one thread takes at a time: neighbours share cache lines.</summary>
    public const int BlockGrain = 4;

    /// <param name="lanes">Lanes of a vector.</param>
    /// <param name="frequencies">Frequencies of a column: half the rows and one.</param>
    /// <param name="columns">Columns of the grid.</param>
    public GridLines(int lanes, int frequencies, int columns)
    {
        Groups = (frequencies + lanes - 1) / lanes;
        ColumnBlocks = (columns + lanes - 1) / lanes;

        // An odd number of tiles: lines a multiple of large powers of two apart would share a few sets of each cache.
        Stride = 2 * (nint)lanes * lanes * (ColumnBlocks | 1);
    }

    /// <summary>Number of lines: groups of frequencies.</summary>
    public int Groups { get; }

    /// <summary>Vectors across the columns.</summary>
    public int ColumnBlocks { get; }

    /// <summary>Floats from line to line.</summary>
    public nint Stride { get; }

    /// <summary>Floats of all lines.</summary>
    public nint Length => Groups * Stride;
}

/// <summary>Transforms the columns of a real grid into <see cref="GridLines"/>, a vector of columns at a time.</summary>
/// <param name="plan">The length of a column with the zeros behind it.</param>
/// <param name="grid">The rows that are not zero.</param>
/// <param name="layout">Where the result goes.</param>
/// <param name="lines">The result.</param>
/// <param name="scratch"><see cref="ScratchLength"/> floats for each worker.</param>
internal readonly unsafe struct GridForwardColumns<TWide>(RealFftPlan plan, MatrixView<float> grid, GridLines layout, float* lines, float* scratch) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    public static nint ScratchLength(RealFftPlan plan) => TWide.Lanes * (nint)(2 * plan.Length + 4 * TWide.Lanes);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        int lanes = TWide.Lanes, rows = (int)Math.Min(grid.Rows, plan.Length);
        float* line = scratch + (worker * ScratchLength(plan)), spectrum = line + ((nint)plan.Length * lanes);
        float* spectrumEnd = spectrum + ((plan.Length + 2) * (nint)lanes);
        float* groupsEnd = spectrum + (layout.Groups * 2 * (nint)lanes * lanes);
        for (nint block = start; block < end; block++)
        {
            float* source = grid.Data + (block * lanes);
            int columns = (int)Math.Min(lanes, grid.Columns - (block * lanes));
            if (columns == lanes)
            {
                for (int y = 0; y < rows; y++, source += grid.Stride)
                    TWide.Store(line + (y * lanes), TWide.Load(source));
            }
            else
            {
                for (int y = 0; y < rows; y++, source += grid.Stride)
                    TWide.Store(line + (y * lanes), TWide.LoadFirst(source, columns));
            }

            for (int y = rows; y < plan.Length; y++)
                TWide.Store(line + (y * lanes), TWide.Zero);
            RealLineFft<TWide>.Forward(plan, line, spectrum);
            for (float* beyond = spectrumEnd; beyond < groupsEnd; beyond += lanes)
                TWide.Store(beyond, TWide.Zero);

            float* destination = lines + (block * 2 * lanes * lanes);
            for (int group = 0; group < layout.Groups; group++, spectrum += 2 * lanes * lanes, destination += layout.Stride)
            {
                LaneTiles.Transpose<TWide>(spectrum, destination);
                LaneTiles.Transpose<TWide>(spectrum + lanes, destination + lanes);
            }

            spectrum = line + ((nint)plan.Length * lanes);
        }
    }
}

/// <summary>The way back: the rows of a real grid from <see cref="GridLines"/>.</summary>
/// <param name="plan">The length of a column.</param>
/// <param name="layout">How the lines stand.</param>
/// <param name="lines">The lines.</param>
/// <param name="grid">The rows that are wanted, overwritten.</param>
/// <param name="scratch"><see cref="GridForwardColumns{TWide}.ScratchLength"/> floats for each worker.</param>
internal readonly unsafe struct GridBackwardColumns<TWide>(RealFftPlan plan, GridLines layout, float* lines, MatrixView<float> grid, float* scratch) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        int lanes = TWide.Lanes, rows = (int)Math.Min(grid.Rows, plan.Length);
        float* line = scratch + (worker * GridForwardColumns<TWide>.ScratchLength(plan)), spectrum = line + ((nint)plan.Length * lanes);
        for (nint block = start; block < end; block++)
        {
            float* source = lines + (block * 2 * lanes * lanes);
            float* element = spectrum;
            for (int group = 0; group < layout.Groups; group++, source += layout.Stride, element += 2 * lanes * lanes)
            {
                LaneTiles.Transpose<TWide>(source, element);
                LaneTiles.Transpose<TWide>(source + lanes, element + lanes);
            }

            RealLineFft<TWide>.Backward(plan, spectrum, line);
            float* destination = grid.Data + (block * lanes);
            int columns = (int)Math.Min(lanes, grid.Columns - (block * lanes));
            if (columns == lanes)
            {
                for (int y = 0; y < rows; y++, destination += grid.Stride)
                    TWide.Store(destination, TWide.Load(line + (y * lanes)));
            }
            else
            {
                for (int y = 0; y < rows; y++, destination += grid.Stride)
                    TWide.StoreFirst(destination, TWide.Load(line + (y * lanes)), columns);
            }
        }
    }
}

/// <summary>Tiles of Lanes elements of Lanes floats, elements two vectors apart.</summary>
internal static unsafe class LaneTiles
{
    /// <summary>Row i of the tile becomes column i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Transpose<TWide>(float* source, float* destination)
        where TWide : unmanaged, IWide<TWide>
    {
        if (TWide.Lanes == 1)
        {
            *destination = *source;
            return;
        }

        nint step = 2 * TWide.Lanes;
        for (int i = 0; i < TWide.Lanes; i += 4)
        {
            for (int j = 0; j < TWide.Lanes; j += 4)
            {
                float* from = source + (i * step) + j, to = destination + (j * step) + i;
                Vector128<float> a = Vector128.Load(from), b = Vector128.Load(from + step);
                Vector128<float> c = Vector128.Load(from + (2 * step)), d = Vector128.Load(from + (3 * step));
                Transpose4.Rows(ref a, ref b, ref c, ref d);
                a.Store(to);
                b.Store(to + step);
                c.Store(to + (2 * step));
                d.Store(to + (3 * step));
            }
        }
    }
}
