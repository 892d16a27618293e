using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>A library with the C interface of BLAS.</summary>
internal abstract unsafe class Cblas(nint library) : IProductPeer
{
    private const int RowMajor = 101;
    private const int NoTranspose = 111;
    private const int Transposed = 112;

    private readonly delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int, void> _sgemm =
        (delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int, void>)
            NativeLibrary.GetExport(library, "cblas_sgemm");

    private readonly delegate* unmanaged<int, int, int, int, float, float*, int, float*, int, float, float*, int, void> _sgemv =
        (delegate* unmanaged<int, int, int, int, float, float*, int, float*, int, float, float*, int, void>)
            NativeLibrary.GetExport(library, "cblas_sgemv");

    public abstract string Name { get; }

    public abstract string Description { get; }

    public abstract bool SetThreads(int threads);

    public Contestant Contestant(MatrixView<float> a, bool transposeA, MatrixView<float> b, bool transposeB, MatrixView<float> c) =>
        new(Name, () => Multiply(a, transposeA, b, transposeB, c));

    /// <summary>C = op(A) * op(B).</summary>
    public void Multiply(MatrixView<float> a, bool transposeA, MatrixView<float> b, bool transposeB, MatrixView<float> c)
    {
        // A product with one row is what BLAS has a function of its own for.
        if (c.Rows == 1 && !transposeA)
            _sgemv(RowMajor, transposeB ? NoTranspose : Transposed, (int)b.Rows, (int)b.Columns, 1f, b.Data, (int)b.Stride, a.Data, 1, 0f, c.Data, 1);
        else
            _sgemm(
                RowMajor, transposeA ? Transposed : NoTranspose, transposeB ? Transposed : NoTranspose, (int)c.Rows, (int)c.Columns,
                (int)(transposeA ? a.Rows : a.Columns), 1f, a.Data, (int)a.Stride, b.Data, (int)b.Stride, 0f, c.Data, (int)c.Stride);
    }
}
