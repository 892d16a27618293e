using System.Numerics.Tensors;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// What System.Numerics.Tensors offers towards a matrix product: a dot product for each element where the rows of both
/// matrices meet, else a multiply-add of a row of B to a row of C for each element of A.
/// </summary>
internal sealed class TensorsProduct : IProductPeer
{
    public string Name => $"Tensors {typeof(TensorPrimitives).Assembly.GetName().Version?.ToString(2)}";

    public string Description => $"System.Numerics.{Name}";

    public bool SetThreads(int threads) => threads == 1;

    public Contestant? Contestant(MatrixView<float> a, bool transposeA, MatrixView<float> b, bool transposeB, MatrixView<float> c)
    {
        if (transposeA)
            return null;
        return new(Name, transposeB ? Dots : Sums);

        void Dots()
        {
            for (nint i = 0; i < c.Rows; i++)
            {
                Span<float> row = c.RowSpan(i);
                for (int j = 0; j < row.Length; j++)
                    row[j] = TensorPrimitives.Dot(a.RowSpan(i), b.RowSpan(j));
            }
        }

        void Sums()
        {
            for (nint i = 0; i < c.Rows; i++)
            {
                Span<float> row = c.RowSpan(i);
                ReadOnlySpan<float> factors = a.RowSpan(i);
                row.Clear();
                for (int p = 0; p < factors.Length; p++)
                    TensorPrimitives.MultiplyAdd(b.RowSpan(p), factors[p], row, row);
            }
        }
    }
}
