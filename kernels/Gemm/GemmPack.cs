using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// One operand of a product as the register tile sees it: lanes (rows of op(A), columns of op(B)) and depth (k). Element
/// (lane, k) stands at Data[lane * LaneStride + k * DepthStride]; one of the strides is 1.
/// </summary>
internal readonly unsafe struct GemmOperand(float* data, nint lanes, nint depth, nint laneStride, nint depthStride)
{
    public readonly float* Data = data;
    public readonly nint Lanes = lanes;
    public readonly nint Depth = depth;
    public readonly nint LaneStride = laneStride;
    public readonly nint DepthStride = depthStride;

    /// <summary>The lanes are the matrix's rows.</summary>
    public static GemmOperand OfRows(MatrixView<float> matrix) => new(matrix.Data, matrix.Rows, matrix.Columns, matrix.Stride, 1);

    /// <summary>The lanes are the matrix's columns.</summary>
    public static GemmOperand OfColumns(MatrixView<float> matrix) => new(matrix.Data, matrix.Columns, matrix.Rows, 1, matrix.Stride);

    public GemmOperand Slice(nint lane, nint lanes, nint k, nint depth) =>
        new(Data + (lane * LaneStride) + (k * DepthStride), lanes, depth, LaneStride, DepthStride);
}

/// <summary>Copies operands into panels: <c>width</c> lanes side by side for each k, so that the tile reads straight on.</summary>
internal static unsafe class GemmPack
{
    // Lines of the source that are asked for this many k ahead: each k starts a new row, which the processor does not foresee.
    private const int Ahead = 4;

    // Panels of columns that are filled at one time.
    private const int PanelsAtOnce = 8;

    /// <summary>Packs panels <paramref name="first"/> to <paramref name="end"/> - 1, padding lanes past the operand's end with zeros.</summary>
    /// <param name="source">The operand.</param>
    /// <param name="width">Lanes of a panel.</param>
    /// <param name="first">The first panel.</param>
    /// <param name="end">The panel after the last.</param>
    /// <param name="panels">Where panel 0 begins.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack(in GemmOperand source, int width, nint first, nint end, float* panels)
    {
        for (nint p = first; p < end; p++)
        {
            nint together = Math.Min(PanelsAtOnce, Math.Min(end, source.Lanes / width) - p);
            if (source.LaneStride == 1 && together > 1)
            {
                CopyPanels(source.Data + (p * width), source.DepthStride, source.Depth, panels + (p * width * source.Depth), width, (int)together);
                p += together - 1;
                continue;
            }

            int lanes = (int)Math.Min(width, source.Lanes - (p * width));
            float* target = panels + (p * width * source.Depth);
            float* origin = source.Data + (p * width * source.LaneStride);
            if (lanes < width)
                Pad(target, width, lanes, source.Depth);
            if (source.LaneStride == 1)
                CopyLanes(origin, source.DepthStride, lanes, source.Depth, target, width);
            else
                Transpose(origin, source.LaneStride, lanes, source.Depth, target, width);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pad(float* target, int width, int from, nint depth)
    {
        for (nint k = 0; k < depth; k++)
        {
            for (int lane = from; lane < width; lane++)
                target[(k * width) + lane] = 0f;
        }
    }

    // Several panels at once: more lines of each row, which the processor's prefetching and the memory's pages favour.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CopyPanels(float* source, nint stride, nint depth, float* target, int width, int panels)
    {
        nint panelFloats = width * depth;
        for (nint k = 0; k < depth; k++, source += stride, target += width)
        {
            float* from = source;
            float* to = target;
            for (int p = 0; p < panels; p++, from += width, to += panelFloats)
            {
                for (int lane = 0; lane < width; lane += 16)
                    Prefetch.ToL1(from + (Ahead * stride) + lane);
                Copy(from, width, to);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CopyLanes(float* source, nint stride, int lanes, nint depth, float* target, int width)
    {
        for (nint k = 0; k < depth; k++)
        {
            if (k + Ahead < depth)
                Prefetch.ToL1(source + (Ahead * stride));
            Copy(source, lanes, target);
            source += stride;
            target += width;
        }
    }

    // Widths are those of tiles: 6 and 12 rows, one or two vectors.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Copy(float* from, int count, float* to)
    {
        int lane = 0;
        for (; lane <= count - 8; lane += 8)
            Vector256.Load(from + lane).Store(to + lane);
        if (lane <= count - 4)
        {
            Vector128.Load(from + lane).Store(to + lane);
            lane += 4;
        }

        if (lane <= count - 2)
        {
            *(double*)(to + lane) = *(double*)(from + lane);
            lane += 2;
        }

        if (lane < count)
            to[lane] = from[lane];
    }

    // Blocks of 4 lanes x 4 k are turned in registers, a pair of lanes that remains likewise; the last lane goes one by one.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(float* source, nint stride, int lanes, nint depth, float* target, int width)
    {
        nint nextPanel = width * stride;
        int lane = 0;
        for (; lane <= lanes - 4; lane += 4)
        {
            float* row0 = source + (lane * stride);
            float* row1 = row0 + stride;
            float* row2 = row1 + stride;
            float* row3 = row2 + stride;
            float* out0 = target + lane;
            nint k = 0;
            for (; k <= depth - 4; k += 4)
            {
                // The same stretch of the next panel's rows, a line of one of them at each step.
                Prefetch.ToL1(row0 + (((k >> 2) & 3) * stride) + nextPanel + k);
                Vector128<float> a = Vector128.Load(row0 + k);
                Vector128<float> b = Vector128.Load(row1 + k);
                Vector128<float> c = Vector128.Load(row2 + k);
                Vector128<float> d = Vector128.Load(row3 + k);
                Transpose4.Rows(ref a, ref b, ref c, ref d);
                a.Store(out0);
                b.Store(out0 + width);
                c.Store(out0 + (2 * width));
                d.Store(out0 + (3 * width));
                out0 += 4 * width;
            }

            for (; k < depth; k++)
            {
                out0[0] = row0[k];
                out0[1] = row1[k];
                out0[2] = row2[k];
                out0[3] = row3[k];
                out0 += width;
            }
        }

        for (; lane <= lanes - 2; lane += 2)
        {
            float* row0 = source + (lane * stride);
            float* row1 = row0 + stride;
            float* out0 = target + lane;
            nint k = 0;
            for (; k <= depth - 4; k += 4)
            {
                Prefetch.ToL1(row0 + (((k >> 2) & 1) * stride) + nextPanel + k);
                Vector128<float> a = Vector128.Load(row0 + k), b = Vector128.Load(row1 + k), none = a;
                Vector128<float> c = b;
                Transpose4.Rows(ref a, ref b, ref none, ref c);
                *(double*)out0 = a.AsDouble().ToScalar();
                *(double*)(out0 + width) = b.AsDouble().ToScalar();
                *(double*)(out0 + (2 * width)) = none.AsDouble().ToScalar();
                *(double*)(out0 + (3 * width)) = c.AsDouble().ToScalar();
                out0 += 4 * width;
            }

            for (; k < depth; k++)
            {
                out0[0] = row0[k];
                out0[1] = row1[k];
                out0 += width;
            }
        }

        for (; lane < lanes; lane++)
        {
            float* row = source + (lane * stride);
            float* column = target + lane;
            for (nint k = 0; k < depth; k++)
                column[k * width] = row[k];
        }
    }
}
