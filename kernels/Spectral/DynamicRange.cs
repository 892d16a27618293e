using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>Limits how far values lie below the largest of them (top_db of librosa and torchaudio).</summary>
public static unsafe class DynamicRange
{
    /// <summary>x = max(x, peak - range), where peak is the largest element of the matrix. NaN stays NaN and is no peak.</summary>
    /// <param name="values">The elements, changed in place.</param>
    /// <param name="range">How far below the peak an element may lie, 0 or more.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="range"/> is negative or NaN.</exception>
    public static void Limit(MatrixView<float> values, float range)
    {
        if (!(range >= 0))
            throw new ArgumentOutOfRangeException(nameof(range), range, "The range must be 0 or more.");
        DynamicRangeAction action = new(values, range);
        Isa.Dispatch(ref action);
    }
}

internal readonly unsafe struct DynamicRangeAction(MatrixView<float> values, float range) : IWideAction
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        // The peak stands second: it is what Max gives where an element is NaN.
        TWide peaks = TWide.Broadcast(float.NegativeInfinity);
        nint lanes = TWide.Lanes, whole = values.Columns - (values.Columns % lanes);
        float peak = float.NegativeInfinity;
        for (nint i = 0; i < values.Rows; i++)
        {
            float* row = values.Row(i);
            for (nint j = 0; j < whole; j += lanes)
                peaks = TWide.Max(TWide.Load(row + j), peaks);
            for (nint j = whole; j < values.Columns; j++)
                peak = row[j] > peak ? row[j] : peak;
        }

        float* each = stackalloc float[16];
        TWide.Store(each, peaks);
        for (int lane = 0; lane < lanes; lane++)
            peak = each[lane] > peak ? each[lane] : peak;
        float least = peak - range;
        TWide floor = TWide.Broadcast(least);
        for (nint i = 0; i < values.Rows; i++)
        {
            float* row = values.Row(i);
            for (nint j = 0; j < whole; j += lanes)
                TWide.Store(row + j, TWide.Max(floor, TWide.Load(row + j)));
            for (nint j = whole; j < values.Columns; j++)
                row[j] = least > row[j] ? least : row[j];
        }
    }
}
