using EmbeddingKernels.Core;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.LinearAlgebra.Double;

namespace EmbeddingKernels;

/// <summary>The largest eigenvalues of a symmetric positive semi-definite matrix and their vectors.</summary>
internal static unsafe class SymmetricEigen
{
    /// <summary>The <paramref name="count"/> largest eigenvalues, largest first and none below 0, and their unit vectors as rows.</summary>
    /// <remarks>The signs of the vectors are arbitrary, but the same in each run. Time grows with the cube of n: a second at some 600.</remarks>
    /// <param name="matrix">n x n; symmetric but for rounding.</param>
    /// <param name="count">1 to n.</param>
    public static (double[] Values, FloatMatrix Vectors) Largest(MatrixView<double> matrix, int count)
    {
        // The order of additions in a product may differ between an element and its mirror image.
        int n = checked((int)matrix.Rows);
        var decomposition = DenseMatrix.Create(n, n, (i, j) => (matrix.Row(i)[j] + matrix.Row(j)[i]) / 2).Evd(Symmetricity.Symmetric); // ascending
        double[] values = new double[count];
        FloatMatrix vectors = new(count, n);
        for (int i = 0; i < count; i++)
        {
            values[i] = Math.Max(decomposition.EigenValues[n - 1 - i].Real, 0);
            Span<float> row = vectors.Row(i);
            for (int j = 0; j < n; j++)
                row[j] = (float)decomposition.EigenVectors[j, n - 1 - i];
        }

        return (values, vectors);
    }
}
