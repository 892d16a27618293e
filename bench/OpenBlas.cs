using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>The OpenBLAS library of this machine, if it has one: the peer of the matrix product.</summary>
internal sealed unsafe class OpenBlas
{
    private const int RowMajor = 101;
    private const int NoTranspose = 111;
    private const int Transpose = 112;

    private readonly delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int, void> _sgemm;
    private readonly delegate* unmanaged<int, void> _setThreads;

    private OpenBlas(nint library)
    {
        _sgemm = (delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int, void>)
            NativeLibrary.GetExport(library, "cblas_sgemm");
        _setThreads = (delegate* unmanaged<int, void>)NativeLibrary.GetExport(library, "openblas_set_num_threads");
        string config = "OpenBLAS";
        if (NativeLibrary.TryGetExport(library, "openblas_get_config", out nint getConfig))
            config = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)getConfig)()) ?? config;
        Description = config.Trim();
    }

    /// <summary>What the library says of its version and the processor it was made for.</summary>
    public string Description { get; }

    /// <summary>The library, or null with the reason.</summary>
    public static OpenBlas? TryLoad(out string reason)
    {
        foreach (string name in new[] { "libopenblas.so.0", "libopenblas.dylib", "libopenblas.dll" })
        {
            if (NativeLibrary.TryLoad(name, out nint library))
            {
                OpenBlas blas = new(library);
                reason = blas.Description;
                return blas;
            }
        }

        reason = "OpenBLAS is not on this machine";
        return null;
    }

    public void SetThreads(int threads) => _setThreads(threads);

    /// <summary>C = A * op(B).</summary>
    public void Multiply(MatrixView<float> a, MatrixView<float> b, bool transposeB, MatrixView<float> c) => _sgemm(
        RowMajor, NoTranspose, transposeB ? Transpose : NoTranspose, (int)c.Rows, (int)c.Columns, (int)a.Columns,
        1f, a.Data, (int)a.Stride, b.Data, (int)b.Stride, 0f, c.Data, (int)c.Stride);
}
