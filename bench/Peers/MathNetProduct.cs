using EmbeddingKernels.Core;
using MathNet.Numerics;
using MathNet.Numerics.Providers.LinearAlgebra;

namespace EmbeddingKernels.Bench;

/// <summary>MathNet.Numerics' own, managed product.</summary>
internal sealed class MathNetProduct : IProductPeer
{
    public string Name => $"MathNet {typeof(Control).Assembly.GetName().Version?.ToString(2)}";

    public string Description => $"{Name}, managed";

    public bool SetThreads(int threads)
    {
        Control.UseManaged();
        Control.MaxDegreeOfParallelism = threads;
        return true;
    }

    public Contestant Contestant(MatrixView<float> a, bool transposeA, MatrixView<float> b, bool transposeB, MatrixView<float> c)
    {
        // Its arrays go by columns: what we call A is its transpose of A, and C = A B comes as the transposes' B A.
        float[] left = ToArray(b), right = ToArray(a), result = ToArray(c);
        return new(Name, () =>
        {
            LinearAlgebraControl.Provider.MatrixMultiplyWithUpdate(
                transposeB ? Transpose.Transpose : Transpose.DontTranspose,
                transposeA ? Transpose.Transpose : Transpose.DontTranspose,
                1f, left, (int)b.Columns, (int)b.Rows, right, (int)a.Columns, (int)a.Rows, 0f, result);
            for (int i = 0; i < c.Rows; i++)
                result.AsSpan(i * (int)c.Columns, (int)c.Columns).CopyTo(c.RowSpan(i));
        });
    }

    private static float[] ToArray(MatrixView<float> matrix)
    {
        float[] array = new float[matrix.Rows * matrix.Columns];
        for (int i = 0; i < matrix.Rows; i++)
            matrix.RowSpan(i).CopyTo(array.AsSpan(i * (int)matrix.Columns));
        return array;
    }
}
