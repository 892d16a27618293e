using System.Globalization;
using System.Runtime.InteropServices;

namespace EmbeddingKernels.Bench;

/// <summary>ncnn by the driver program <c>Native/ncnn-network.cpp</c>, in single precision; it has no batches.</summary>
internal sealed class NcnnNetwork : INetworkPeer
{
    private readonly PeerProcess _process;
    private NetworkModel? _model;
    private NetworkFiles? _files;

    private NcnnNetwork(PeerProcess process) => _process = process;

    public string Name => _process.Name;

    /// <summary>The program, or null and how to bring it in.</summary>
    public static NcnnNetwork? TryStart(out string missing)
    {
        PeerProcess? process = PeerProgram.Find("NCNN_NETWORK", "ncnn-network", out string why) is { } program ? PeerProcess.TryStart(program, [], out why) : null;
        missing = $"ncnn: not found ({why}); bench/Native/ncnn-network.cpp is its source";
        return process is null ? null : new(process);
    }

    public void Load(NetworkModel model, NetworkFiles files, string input, int threads)
    {
        (_model, _files) = (model, files);
        _process.Send(string.Create(CultureInfo.InvariantCulture, $"load {files.Param} {files.Bin} {threads} {model.InputSize}"));
        _process.Send($"input {input}");
    }

    public Seconds Run(int batch, int calls) => _process.Time(string.Create(CultureInfo.InvariantCulture, $"run {_model!.Feature} {calls} {batch}"));

    public float[] Output()
    {
        string file = _files!.File("ncnn.out");
        _process.Send($"output {_model!.Feature} {file}");
        return MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(file)).ToArray();
    }

    public void Dispose() => _process.Dispose();
}
