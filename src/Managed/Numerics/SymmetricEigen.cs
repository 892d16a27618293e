using EmbeddingKernels.Core;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.LinearAlgebra.Double;

namespace EmbeddingKernels;

/// <summary>The largest eigenvalues of a symmetric positive semi-definite matrix and their vectors.</summary>
internal static class SymmetricEigen
{
    // Up to here the whole decomposition takes a fraction of a second; its time grows with the cube.
    private const int WholeUpTo = 512;

    // A spectrum so flat that this does not converge goes to the whole decomposition.
    private const int MostRounds = 60;

    // Of the largest eigenvalue; the matrix itself comes from single-precision data.
    private const double ResidualTolerance = 1e-9;

    /// <summary>The <paramref name="count"/> largest eigenvalues, largest first, and their unit vectors as columns.</summary>
    /// <remarks>The signs of the vectors are arbitrary, but the same in each run.</remarks>
    /// <param name="matrix">Symmetric; n x n.</param>
    /// <param name="count">1 to n.</param>
    public static (double[] Values, Matrix<double> Vectors) Largest(Matrix<double> matrix, int count)
    {
        int n = matrix.RowCount;

        // A wider block than wanted turns the last wanted vectors as fast as the first.
        int block = (2 * count) + 16;
        return n <= WholeUpTo || block > n / 4 ? Whole(matrix, count) : Iterate(matrix, count, block) ?? Whole(matrix, count);
    }

    private static (double[] Values, Matrix<double> Vectors) Whole(Matrix<double> matrix, int count)
    {
        var decomposition = matrix.Evd(Symmetricity.Symmetric); // ascending
        int n = matrix.RowCount;
        double[] values = new double[count];
        Matrix<double> vectors = DenseMatrix.Create(n, count, 0);
        for (int i = 0; i < count; i++)
        {
            values[i] = decomposition.EigenValues[n - 1 - i].Real;
            vectors.SetColumn(i, decomposition.EigenVectors.Column(n - 1 - i));
        }

        return (values, vectors);
    }

    /// <summary>Subspace iteration: multiply a block of vectors by the matrix, make them orthonormal, and again.</summary>
    private static (double[] Values, Matrix<double> Vectors)? Iterate(Matrix<double> matrix, int count, int block)
    {
        SplitMix64 random = new(1);
        Matrix<double> basis = DenseMatrix.Create(matrix.RowCount, block, (_, _) => random.NextGaussian());
        for (int round = 0; round < MostRounds; round++)
        {
            basis = matrix.Multiply(basis).QR(MathNet.Numerics.LinearAlgebra.Factorization.QRMethod.Thin).Q;
            if (round % 5 != 4)
                continue;

            // The best approximation within the block, and whether its vectors are left in their direction.
            Matrix<double> image = matrix.Multiply(basis);
            (double[] values, Matrix<double> turn) = Whole(basis.TransposeThisAndMultiply(image), block);
            basis = basis.Multiply(turn);
            image = image.Multiply(turn);
            double worst = 0;
            for (int i = 0; i < count; i++)
                worst = Math.Max(worst, (image.Column(i) - (basis.Column(i) * values[i])).L2Norm());
            if (worst <= ResidualTolerance * values[0])
                return (values[..count], basis.SubMatrix(0, matrix.RowCount, 0, count));
        }

        return null;
    }
}
