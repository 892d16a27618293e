using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>Rows of floats to and from vectors of which each lane belongs to another row, by transpositions of 4 x 4.</summary>
internal static unsafe class FrameRows<TWide>
    where TWide : unmanaged, IWide<TWide>
{
    /// <summary>line[n step + lane] = rows[lane][n] factors[n].</summary>
    /// <param name="rows">A row for each lane.</param>
    /// <param name="factors">A factor for each element.</param>
    /// <param name="count">Elements.</param>
    /// <param name="line">Where they go.</param>
    /// <param name="step">Floats from element to element: a vector, or more.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Gather(float** rows, float* factors, nint count, float* line, nint step)
    {
        if (TWide.Lanes == 1)
        {
            float* row = rows[0];
            for (nint n = 0; n < count; n++, line += step)
                *line = row[n] * factors[n];
            return;
        }

        for (int lane = 0; lane < TWide.Lanes; lane += 4)
        {
            float* first = rows[lane], second = rows[lane + 1], third = rows[lane + 2], fourth = rows[lane + 3], to = line + lane;
            nint n = 0;
            for (; n <= count - 4; n += 4)
            {
                Vector128<float> factor = Vector128.Load(factors + n);
                Vector128<float> a = Vector128.Load(first + n) * factor, b = Vector128.Load(second + n) * factor;
                Vector128<float> c = Vector128.Load(third + n) * factor, d = Vector128.Load(fourth + n) * factor;
                Transpose4.Rows(ref a, ref b, ref c, ref d);
                a.Store(to);
                b.Store(to + step);
                to += 2 * step;
                c.Store(to);
                d.Store(to + step);
                to += 2 * step;
            }

            for (; n < count; n++, to += step)
            {
                to[0] = first[n] * factors[n];
                to[1] = second[n] * factors[n];
                to[2] = third[n] * factors[n];
                to[3] = fourth[n] * factors[n];
            }
        }
    }

    /// <summary>rows[lane stride + n] = line[n Lanes + lane] for the first lanes.</summary>
    /// <param name="line">Vectors, one after the other.</param>
    /// <param name="count">Elements of a row.</param>
    /// <param name="rows">Where they go.</param>
    /// <param name="stride">Floats from row to row.</param>
    /// <param name="lanes">Rows that are wanted, at most Lanes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scatter(float* line, nint count, float* rows, nint stride, int lanes)
    {
        int lane = 0;
        for (; TWide.Lanes >= 4 && lane <= lanes - 4; lane += 4)
        {
            float* from = line + lane, first = rows + (lane * stride), second = first + stride, third = second + stride, fourth = third + stride;
            nint n = 0;
            for (; n <= count - 4; n += 4)
            {
                Vector128<float> a = Vector128.Load(from), b = Vector128.Load(from + TWide.Lanes);
                from += 2 * TWide.Lanes;
                Vector128<float> c = Vector128.Load(from), d = Vector128.Load(from + TWide.Lanes);
                from += 2 * TWide.Lanes;
                Transpose4.Rows(ref a, ref b, ref c, ref d);
                a.Store(first + n);
                b.Store(second + n);
                c.Store(third + n);
                d.Store(fourth + n);
            }

            for (; n < count; n++, from += TWide.Lanes)
            {
                first[n] = from[0];
                second[n] = from[1];
                third[n] = from[2];
                fourth[n] = from[3];
            }
        }

        for (; lane < lanes; lane++)
        {
            float* from = line + lane, row = rows + (lane * stride);
            for (nint n = 0; n < count; n++, from += TWide.Lanes)
                row[n] = *from;
        }
    }
}
