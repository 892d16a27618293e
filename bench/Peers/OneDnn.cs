using System.Globalization;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>The oneDNN library of this machine, if it has one.</summary>
internal sealed unsafe class OneDnn : IProductPeer
{
    private readonly delegate* unmanaged<byte, byte, long, long, long, float, float*, long, float*, long, float, float*, long, int> _sgemm;

    private OneDnn(nint library)
    {
        _sgemm = (delegate* unmanaged<byte, byte, long, long, long, float, float*, long, float*, long, float, float*, long, int>)
            NativeLibrary.GetExport(library, "dnnl_sgemm");
        Name = Version(library);
    }

    /// <summary>How to bring it in.</summary>
    public static string Missing => "oneDNN: not found; `apt-get install libdnnl2`";

    public string Name { get; }

    public string Description => Name;

    /// <summary>The library, or null.</summary>
    public static OneDnn? TryLoad() =>
        PeerLibrary.Find(null, ["libdnnl.so.3", "libdnnl.so.2", "libdnnl.dylib"], "dnnl_sgemm") is not 0 and nint library ? new(library) : null;

    /// <summary>What the library calls itself.</summary>
    public static string Version(nint library)
    {
        // struct dnnl_version_t: major, minor, patch, then the hash.
        int* version = ((delegate* unmanaged<int*>)NativeLibrary.GetExport(library, "dnnl_version"))();
        return string.Create(CultureInfo.InvariantCulture, $"oneDNN {version[0]}.{version[1]}.{version[2]}");
    }

    public bool SetThreads(int threads)
    {
        OpenMp.SetThreads(threads);
        return true;
    }

    public Contestant Contestant(MatrixView<float> a, bool transposeA, MatrixView<float> b, bool transposeB, MatrixView<float> c) =>
        new(Name, () => Multiply(a, transposeA, b, transposeB, c));

    private void Multiply(MatrixView<float> a, bool transposeA, MatrixView<float> b, bool transposeB, MatrixView<float> c)
    {
        int status = _sgemm(
            (byte)(transposeA ? 'T' : 'N'), (byte)(transposeB ? 'T' : 'N'), c.Rows, c.Columns, transposeA ? a.Rows : a.Columns,
            1f, a.Data, a.Stride, b.Data, b.Stride, 0f, c.Data, c.Stride);
        if (status != 0)
            throw new InvalidOperationException($"dnnl_sgemm gave status {status}.");
    }
}
