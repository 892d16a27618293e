using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Stored rows as floats.</summary>
internal static unsafe class RowConversion
{
    /// <summary>Whether the rows are floats that can be used where they lie.</summary>
    public static bool AreFloats(RowsView rows) => rows.Type == ElementType.Float32 && rows.StrideBytes % sizeof(float) == 0;

    /// <summary>The rows where they lie; only where <see cref="AreFloats"/>.</summary>
    public static MatrixView<float> Floats(RowsView rows) => new((float*)rows.Data, rows.Rows, rows.Columns, rows.StrideBytes / sizeof(float));

    /// <summary>The rows where they lie if they are floats, else converted into <paramref name="buffer"/>.</summary>
    /// <param name="rows">Rows of any type.</param>
    /// <param name="buffer">At least as many rows, with as many columns, unless they are floats.</param>
    /// <param name="pool">Threads to work on.</param>
    public static MatrixView<float> Floats(RowsView rows, FloatMatrix? buffer, WorkerPool pool)
    {
        if (AreFloats(rows))
            return Floats(rows);
        MatrixView<float> destination = buffer!.View.Slice(0, rows.Rows);
        pool.For(rows.Rows, 64, (_, start, end) =>
        {
            for (nint i = start; i < end; i++)
                ToFloats(rows, i, destination.Row(i));
        });
        return destination;
    }

    /// <summary>One row: where it lies if the rows are floats, else converted into <paramref name="buffer"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float* Row(RowsView rows, nint index, float* buffer)
    {
        if (AreFloats(rows))
            return (float*)rows.Row(index);
        ToFloats(rows, index, buffer);
        return buffer;
    }

    /// <summary>One row as floats, times its scale where there is one.</summary>
    public static void ToFloats(RowsView rows, nint index, float* destination) =>
        RowElements.ToFloats<Wide128>(rows, index, 1, null, scaled: true, destination);
}
