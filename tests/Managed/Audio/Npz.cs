using System.IO.Compression;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

/// <summary>NumPy's .npz files: a zip of .npy files.</summary>
internal sealed class Npz : IDisposable
{
    private readonly ZipArchive _zip;

    public Npz(string relative) => _zip = new ZipArchive(SharedData.Open(relative), ZipArchiveMode.Read);

    public IEnumerable<string> Names => _zip.Entries.Select(entry => entry.FullName[..^".npy".Length]);

    /// <summary>An array of up to two axes, row after row.</summary>
    public double[] this[string name]
    {
        get
        {
            using Stream entry = _zip.GetEntry(name + ".npy")!.Open();
            return Npy.ReadDouble(entry);
        }
    }

    public void Dispose() => _zip.Dispose();
}
