using System.IO.Compression;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests.Images;

/// <summary>The network inputs that came with the reference activations: 224 x 224 pixels, blue first.</summary>
internal static class ReferenceCrops
{
    public static byte[] Read(string name)
    {
        using ZipArchive archive = ZipFile.OpenRead(SharedData.Path("images/squeezenet/squeezenet_ref.npz"));
        using Stream entry = archive.GetEntry($"{name}.input_bgr_u8_hwc.npy")!.Open();
        using FloatMatrix pixels = Npy.ReadMatrix(entry);
        return [.. Enumerable.Range(0, (int)pixels.Rows).SelectMany(y => pixels.Row(y).ToArray().Select(v => (byte)v))];
    }
}
