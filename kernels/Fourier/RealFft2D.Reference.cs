namespace EmbeddingKernels.Core;

/// <summary>The definition of the transform in double precision, one axis after the other.</summary>
internal static class RealFft2DReference
{
    /// <summary>The spectrum of all frequencies, rows x columns.</summary>
    public static (double Re, double Im)[,] Forward(double[,] grid)
    {
        int rows = grid.GetLength(0), columns = grid.GetLength(1);
        (double Re, double Im)[,] alongRows = new (double, double)[rows, columns], result = new (double, double)[rows, columns];
        for (int y = 0; y < rows; y++)
        {
            for (int l = 0; l < columns; l++)
                alongRows[y, l] = Sum(columns, l, x => (grid[y, x], 0));
        }

        for (int k = 0; k < rows; k++)
        {
            for (int l = 0; l < columns; l++)
                result[k, l] = Sum(rows, k, y => alongRows[y, l]);
        }

        return result;
    }

    /// <summary>sum over n of x_n exp(-2 pi i n k / N).</summary>
    public static (double Re, double Im) Sum(int length, int k, Func<int, (double Re, double Im)> element)
    {
        double re = 0, im = 0;
        for (int n = 0; n < length; n++)
        {
            (double sin, double cos) = Math.SinCos(-2 * Math.PI * ((long)n * k % length) / length);
            (double a, double b) = element(n);
            re += (a * cos) - (b * sin);
            im += (a * sin) + (b * cos);
        }

        return (re, im);
    }
}
