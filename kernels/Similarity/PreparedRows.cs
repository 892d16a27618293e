using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace EmbeddingKernels.Core;

/// <summary>What single precision carries safely.</summary>
internal static class Prepared
{
    /// <summary>Squared norms above risk overflow in a sum of products.</summary>
    public const float LargestSquare = 1e30f;

    /// <summary>Squared norms below have lost bits to underflow, which matters where they divide.</summary>
    public const float SmallestSquare = 1e-30f;

    public static bool IsDistance(this SimilarityMetric metric) => metric is SimilarityMetric.SquaredEuclidean or SimilarityMetric.Euclidean;
}

/// <summary>
/// Rows packed for the register tile so that every metric becomes a dot product and one term per row: as they are for dot
/// products, scaled to norm 1 for cosines, with the data's centre taken off for distances.
/// </summary>
/// <remarks>
/// <para>|q - x|^2 = |q'|^2 + |x'|^2 - 2 q'.x' for rows with any common centre taken off; near the data's middle the three
/// terms are smallest and least is lost by cancellation. (x - centre) rounds relative to itself, so taking it off costs no
/// more than one more rounding.</para>
/// <para>A row's term is its norm after preparation (distances: its squared norm times a factor). It is NaN for rows that
/// single precision cannot carry: norms that are NaN or above 10^15, and for cosines nonzero ones below 10^-15. They
/// lose every comparison, and the callers score them one by one in double precision.</para>
/// </remarks>
internal readonly unsafe struct PrepareBody<TWide>(
    SimilarityMetric metric, MatrixView<float> rows, float* centre, int width, float factor, float* panels, float* terms) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    private readonly MatrixView<float> _rows = rows;

    public nint Count => GemmPack.Panels(_rows.Rows, width);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        float* scales = stackalloc float[width];
        nint depth = _rows.Columns;
        GemmOperand operand = GemmOperand.OfRows(_rows);
        for (nint p = start; p < end; p++)
        {
            int lanes = (int)Math.Min(width, _rows.Rows - (p * width));
            float* term = terms + (p * width);
            float* row = _rows.Row(p * width);
            if (metric.IsDistance())
                RowKernels.Many<TWide, SquaredDifferenceSum, No>(centre, row, _rows.Stride, lanes, depth, term, term);
            else
                RowKernels.Many<TWide, SquareSum, No>(row, row, _rows.Stride, lanes, depth, term, term);
            for (int lane = 0; lane < width; lane++)
            {
                scales[lane] = 0;
                term[lane] = lane < lanes ? Term(term[lane], _rows.Row((p * width) + lane), ref scales[lane]) : float.NaN;
            }

            GemmPack.Pack(operand, width, p, p + 1, panels);
            float* panel = panels + (p * width * depth);
            if (metric.IsDistance())
                Centre(panel, depth);
            else if (metric == SimilarityMetric.Cosine)
                Scale(panel, depth, scales);
        }
    }

    private float Term(float square, float* row, ref float scale)
    {
        if (!(square <= Prepared.LargestSquare))
            return float.NaN;
        if (metric.IsDistance())
            return factor * square;
        if (metric == SimilarityMetric.Dot)
            return MathF.Sqrt(square);
        if (square >= Prepared.SmallestSquare)
        {
            scale = 1f / MathF.Sqrt(square);
            return 1f;
        }

        return new ReadOnlySpan<float>(row, checked((int)_rows.Columns)).ContainsAnyExcept(0f) ? float.NaN : 0f;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Centre(float* panel, nint depth)
    {
        for (nint k = 0; k < depth; k++, panel += width)
        {
            TWide wide = TWide.Broadcast(centre[k]);
            int lane = 0;
            for (; lane <= width - TWide.Lanes; lane += TWide.Lanes)
                TWide.Store(panel + lane, TWide.Load(panel + lane) - wide);
            for (; lane < width; lane++)
                panel[lane] -= centre[k];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Scale(float* panel, nint depth, float* scales)
    {
        for (nint k = 0; k < depth; k++, panel += width)
        {
            int lane = 0;
            for (; lane <= width - TWide.Lanes; lane += TWide.Lanes)
                TWide.Store(panel + lane, TWide.Load(panel + lane) * TWide.Load(scales + lane));
            for (; lane < width; lane++)
                panel[lane] *= scales[lane];
        }
    }
}

/// <summary>A point near the middle of a set of rows.</summary>
internal static unsafe class Centre
{
    private const int Groups = 3;
    private const int SampledRows = 64 * Groups;

    /// <summary>
    /// The median of the means of three samples, coordinate by coordinate: near the mean, but one outlier (which may be
    /// infinite) moves one mean only. Rows with NaN are left out. Any point is valid as a centre; it depends on the rows alone.
    /// </summary>
    /// <param name="rows">The rows; at most 192 of them, evenly spread, are looked at.</param>
    /// <param name="centre">Gets as many coordinates as the rows have.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Find<TWide>(MatrixView<float> rows, float* centre)
        where TWide : unmanaged, IWide<TWide>
    {
        nint dimension = rows.Columns;
        using Scratch<float> sums = new(Groups * dimension);
        NativeMemory.Clear(sums.Pointer, (nuint)(Groups * dimension) * sizeof(float));
        int* counts = stackalloc int[Groups];
        new Span<int>(counts, Groups).Clear();
        nint sampled = Math.Min(rows.Rows, SampledRows);
        for (nint s = 0; s < sampled; s++)
        {
            float* row = rows.Row((nint)((Int128)s * rows.Rows / sampled));
            if (float.IsNaN(RowKernels.One<TWide, SquareSum>(row, row, dimension)))
                continue;
            nint group = s % Groups;
            float* sum = sums.Pointer + (group * dimension);
            for (nint k = 0; k < dimension; k++)
                sum[k] += row[k];
            counts[group]++;
        }

        for (nint k = 0; k < dimension; k++)
        {
            float a = sums.Pointer[k] / counts[0];
            float b = sums.Pointer[dimension + k] / counts[1];
            float c = sums.Pointer[(2 * dimension) + k] / counts[2];
            float median = MathF.Max(MathF.Min(a, b), MathF.Min(MathF.Max(a, b), c));
            centre[k] = float.IsFinite(median) ? median : 0f;
        }
    }
}
