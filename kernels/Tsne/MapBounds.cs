using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>The box that holds a map's points.</summary>
internal static unsafe class MapBounds
{
    private const int Grain = 16_384;

    /// <summary>
    /// The least and the greatest coordinate of each axis in turn. NaN is passed over; where there is nothing else the least is
    /// infinity and the greatest its negative.
    /// </summary>
    public static void Compute(MatrixView<float> map, float* bounds, WorkerPool pool)
    {
        nint blocks = (map.Columns + Grain - 1) / Grain, length = 2 * map.Rows;
        using Scratch<float> parts = new(blocks * length);
        Body body = new() { Map = map, Parts = parts.Pointer };
        pool.For(map.Columns, Grain, ref body);
        for (nint axis = 0; axis < map.Rows; axis++)
        {
            float least = float.PositiveInfinity, most = float.NegativeInfinity;
            for (nint block = 0; block < blocks; block++)
            {
                float* part = parts.Pointer + (block * length) + (2 * axis);
                least = Math.Min(least, part[0]);
                most = Math.Max(most, part[1]);
            }

            (bounds[2 * axis], bounds[(2 * axis) + 1]) = (least, most);
        }
    }

    private struct Body : IRangeBody
    {
        public MatrixView<float> Map;
        public float* Parts;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Invoke(int worker, nint start, nint end)
        {
            for (int axis = 0; axis < Map.Rows; axis++)
            {
                // A comparison with NaN is false, so NaN widens nothing.
                float* row = Map.Row(axis);
                Vector256<float> least = Vector256.Create(float.PositiveInfinity), most = -least;
                nint i = start;
                for (; i + Vector256<float>.Count <= end; i += Vector256<float>.Count)
                {
                    Vector256<float> value = Vector256.Load(row + i);
                    least = Vector256.ConditionalSelect(Vector256.LessThan(value, least), value, least);
                    most = Vector256.ConditionalSelect(Vector256.GreaterThan(value, most), value, most);
                }

                float low = float.PositiveInfinity, high = float.NegativeInfinity;
                for (int lane = 0; lane < Vector256<float>.Count; lane++)
                {
                    low = Math.Min(low, least.GetElement(lane));
                    high = Math.Max(high, most.GetElement(lane));
                }

                for (; i < end; i++)
                {
                    low = row[i] < low ? row[i] : low;
                    high = row[i] > high ? row[i] : high;
                }

                float* part = Parts + (start / Grain * 2 * Map.Rows) + (2 * axis);
                (part[0], part[1]) = (low, high);
            }
        }
    }
}
