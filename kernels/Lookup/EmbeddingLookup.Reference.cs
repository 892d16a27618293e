namespace EmbeddingKernels.Core;

/// <summary>What <see cref="EmbeddingLookup"/> computes, in double and as plainly as it can be said. For valid arguments only.</summary>
internal static class EmbeddingLookupReference
{
    /// <summary>Row i of the result is row indices[i] of the table, or zeros for the padding index (-1 for none).</summary>
    public static double[,] Gather(MatrixView<float> table, long[] indices, long padding)
    {
        double[,] result = new double[indices.Length, table.Columns];
        for (int i = 0; i < indices.Length; i++)
        {
            for (int c = 0; c < table.Columns; c++)
                result[i, c] = indices[i] == padding ? 0 : Element(table, indices[i], c);
        }

        return result;
    }

    /// <summary>Bag b holds positions ends[b-1] (0 for b = 0) to ends[b] - 1; entries equal to the padding index (-1 for none) do not count.</summary>
    public static double[,] Bag(MatrixView<float> table, long[] indices, long[] ends, BagMode mode, long padding)
    {
        double[,] result = new double[ends.Length, table.Columns];
        for (int b = 0; b < ends.Length; b++)
        {
            long start = b == 0 ? 0 : ends[b - 1];
            long[] rows = [.. indices[(int)start..(int)ends[b]].Where(index => index != padding)];
            for (int c = 0; c < table.Columns; c++)
            {
                double sum = 0;
                double maximum = double.NegativeInfinity;
                foreach (long row in rows)
                {
                    double value = Element(table, row, c);
                    sum += value;
                    maximum = Math.Max(maximum, value);
                }

                result[b, c] = rows.Length == 0 ? 0
                    : mode == BagMode.Sum ? sum
                    : mode == BagMode.Mean ? sum / rows.Length
                    : maximum;
            }
        }

        return result;
    }

    private static unsafe double Element(MatrixView<float> table, long row, int column) => table.Row((nint)row)[column];
}
