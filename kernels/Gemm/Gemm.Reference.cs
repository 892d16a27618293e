namespace EmbeddingKernels.Core;

/// <summary>The formula of <see cref="Gemm"/> in double precision.</summary>
internal static unsafe class GemmReference
{
    /// <summary>
    /// alpha * op(A) * op(B) + beta * C for one element, and in <paramref name="magnitude"/> the same with absolute values:
    /// the scale of its rounding error.
    /// </summary>
    public static double Element(
        float alpha, MatrixView<float> a, bool transposeA, MatrixView<float> b, bool transposeB, float beta, float c, nint i, nint j, out double magnitude)
    {
        nint depth = transposeA ? a.Rows : a.Columns;
        double sum = 0;
        magnitude = 0;
        for (nint k = 0; k < depth; k++)
        {
            double product = (double)(transposeA ? a.Row(k)[i] : a.Row(i)[k]) * (transposeB ? b.Row(j)[k] : b.Row(k)[j]);
            sum += product;
            magnitude += Math.Abs(product);
        }

        double kept = beta == 0 ? 0 : (double)beta * c;
        magnitude = (Math.Abs(alpha) * magnitude) + Math.Abs(kept);
        return (alpha == 0 ? 0 : alpha * sum) + kept;
    }
}
