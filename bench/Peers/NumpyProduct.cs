using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>numpy's product, in a Python process, of random matrices of its own.</summary>
internal sealed class NumpyProduct(PeerProcess process) : IProductPeer, IDisposable
{
    public string Name => process.Name;

    public string Description => $"{Name} (in a process of its own)";

    /// <summary>The process, or null and how to bring it in.</summary>
    public static NumpyProduct? TryStart(out string missing)
    {
        PeerProcess? process = PythonPeer.TryStart("numpy", out string why);
        missing = $"numpy: not found ({why}); `apt-get install python3-numpy`, or name a Python that has it in PYTHON";
        return process is null ? null : new(process);
    }

    public bool SetThreads(int threads)
    {
        process.Send(string.Create(CultureInfo.InvariantCulture, $"threads {threads}"));
        return true;
    }

    public Contestant Contestant(MatrixView<float> a, bool transposeA, MatrixView<float> b, bool transposeB, MatrixView<float> c)
    {
        nint depth = transposeA ? a.Rows : a.Columns;
        string command = string.Create(
            CultureInfo.InvariantCulture, $"product {c.Rows} {c.Columns} {depth} {(transposeA ? 'T' : 'N')} {(transposeB ? 'T' : 'N')}");
        return new(Name, calls => process.Time(string.Create(CultureInfo.InvariantCulture, $"{command} {calls}")));
    }

    public void Dispose() => process.Dispose();
}
