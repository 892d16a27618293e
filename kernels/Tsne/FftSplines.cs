using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>A B-spline that spreads a point over neighbouring nodes: 4 weights at most, which are one vector on every processor.</summary>
internal interface IFftSpline
{
    /// <summary>Number of nodes, 3 or 4.</summary>
    static abstract int Order { get; }

    /// <summary>The weights of the nodes from the one at or below the point on, of which the point lies <paramref name="t"/> spacings beyond (0 to 1).</summary>
    static abstract Vector128<float> Weights(float t);
}

internal readonly struct CubicSpline : IFftSpline
{
    public static int Order => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Weights(float t)
    {
        Vector128<float> x = Vector128.Create(t);
        Vector128<float> w = Vector128.MultiplyAddEstimate(Vector128.Create(-1 / 6f, 1 / 2f, -1 / 2f, 1 / 6f), x, Vector128.Create(1 / 2f, -1f, 1 / 2f, 0f));
        w = Vector128.MultiplyAddEstimate(w, x, Vector128.Create(-1 / 2f, 0f, 1 / 2f, 0f));
        return Vector128.MultiplyAddEstimate(w, x, Vector128.Create(1 / 6f, 2 / 3f, 1 / 6f, 0f));
    }
}

internal readonly struct QuadraticSpline : IFftSpline
{
    public static int Order => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Weights(float t)
    {
        Vector128<float> x = Vector128.Create(t);
        Vector128<float> w = Vector128.MultiplyAddEstimate(Vector128.Create(1 / 2f, -1f, 1 / 2f, 0f), x, Vector128.Create(-1f, 1f, 0f, 0f));
        return Vector128.MultiplyAddEstimate(w, x, Vector128.Create(1 / 2f, 1 / 2f, 0f, 0f));
    }
}

/// <summary>
/// Adds the points of tiles to the density. Tiles of one colour are a tile apart and a point's nodes reach 3 into the next
/// one, so threads that work on tiles of one colour never meet, and each node is added to in one order.
/// </summary>
internal readonly unsafe struct FftSpread<TMap, TSpline>(FftPoints points, float* density, nint stride, int colour) : IRangeBody
    where TMap : struct, IMapDimensions
    where TSpline : struct, IFftSpline
{
    /// <summary>Colours in which all tiles are done.</summary>
    public static int Colours => TMap.Count == 1 ? 2 : 4;

    /// <summary>Tiles of a colour.</summary>
    public nint Tiles => ColumnsOfColour * (nint)((points.TilesY - (colour >> 1) + 1) / 2);

    private int ColumnsOfColour => (points.TilesX - (colour & 1) + 1) / 2;

    public void Invoke(int worker, nint start, nint end)
    {
        int columns = ColumnsOfColour;
        for (nint index = start; index < end; index++)
        {
            nint tile = ((2 * (index / columns)) + (colour >> 1)) * points.TilesX + (2 * (index % columns)) + (colour & 1);
            Tile(points.X, points.Y, points.Starts[tile], points.Starts[tile + 1], density, stride);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile(float* x, float* y, nint start, nint end, float* density, nint stride)
    {
        for (nint i = start; i < end; i++)
        {
            int column = (int)x[i];
            Vector128<float> weights = TSpline.Weights(x[i] - column);
            float* node = density + column;
            if (TMap.Count == 1)
            {
                (Vector128.Load(node) + weights).Store(node);
                continue;
            }

            int row = (int)y[i];
            Vector128<float> rows = TSpline.Weights(y[i] - row);
            node += row * stride;
            Add(node, weights, Vector128.Shuffle(rows, Vector128.Create(0)));
            Add(node + stride, weights, Vector128.Shuffle(rows, Vector128.Create(1)));
            Add(node + (2 * stride), weights, Vector128.Shuffle(rows, Vector128.Create(2)));
            if (TSpline.Order > 3)
                Add(node + (3 * stride), weights, Vector128.Shuffle(rows, Vector128.Create(3)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(float* node, Vector128<float> weights, Vector128<float> row) =>
        Vector128.MultiplyAddEstimate(weights, row, Vector128.Load(node)).Store(node);
}

/// <summary>Gathers forces, and sums of w where there is a field of them, at the points.</summary>
internal readonly unsafe struct FftGather<TMap, TSpline>(FftPoints points, FftFields fields, MatrixView<float> force, double* sums) : IRangeBody
    where TMap : struct, IMapDimensions
    where TSpline : struct, IFftSpline
{
    /// <summary>Points per range.</summary>
    public const int Grain = 2048;

    public void Invoke(int worker, nint start, nint end) =>
        Points(points.X, points.Y, points.Order, fields, force.Data, force.Stride, sums, start, end);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Points(float* x, float* y, int* order, FftFields fields, float* force, nint forceStride, double* sums, nint start, nint end)
    {
        nint stride = fields.Stride;
        for (nint i = start; i < end; i++)
        {
            int column = (int)x[i];
            nint node = column;
            Vector128<float> weights = TSpline.Weights(x[i] - column), rows = default;
            if (TMap.Count > 1)
            {
                int row = (int)y[i];
                rows = TSpline.Weights(y[i] - row);
                node += row * stride;
            }

            Vector128<float> fx = weights * Rows(fields.X + node, stride, rows);
            Vector128<float> fy = TMap.Count > 1 ? weights * Rows(fields.Y + node, stride, rows) : fx;
            Vector128<float> sum = sums is not null ? weights * Rows(fields.Sum + node, stride, rows) : fx;
            Vector128<float> all = Transpose4.Sum(fx, fy, sum, sum);
            nint point = order[i];
            force[point] = all[0];
            if (TMap.Count > 1)
                force[forceStride + point] = all[1];
            if (sums is not null)
                sums[point] = all[2];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Rows(float* node, nint stride, Vector128<float> rows)
    {
        if (TMap.Count == 1)
            return Vector128.Load(node);
        Vector128<float> sum = Vector128.Load(node) * Vector128.Shuffle(rows, Vector128.Create(0));
        sum = Vector128.MultiplyAddEstimate(Vector128.Load(node + stride), Vector128.Shuffle(rows, Vector128.Create(1)), sum);
        sum = Vector128.MultiplyAddEstimate(Vector128.Load(node + (2 * stride)), Vector128.Shuffle(rows, Vector128.Create(2)), sum);
        return TSpline.Order > 3
            ? Vector128.MultiplyAddEstimate(Vector128.Load(node + (3 * stride)), Vector128.Shuffle(rows, Vector128.Create(3)), sum)
            : sum;
    }
}

/// <summary>The convolved fields on the grid: the force along each axis, and the sums of w where they were asked for.</summary>
internal readonly unsafe struct FftFields(float* x, float* y, float* sum, nint stride)
{
    /// <summary>Force along x.</summary>
    public readonly float* X = x;

    /// <summary>Force along y.</summary>
    public readonly float* Y = y;

    /// <summary>Sums of w.</summary>
    public readonly float* Sum = sum;

    /// <summary>Floats from row to row.</summary>
    public readonly nint Stride = stride;
}
