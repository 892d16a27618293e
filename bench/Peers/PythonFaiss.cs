using System.Globalization;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>FAISS as Debian packs it, in a Python process; rows and queries go there as files.</summary>
internal sealed unsafe class PythonFaiss : ISearchPeer
{
    private readonly PeerProcess _process;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("faiss-peer-");

    private PythonFaiss(PeerProcess process) => _process = process;

    public string Name => $"{_process.Name} (Python)";

    public long[] Ids
    {
        get
        {
            string file = Path.Combine(_folder.FullName, "ids");
            _process.Send("ids", file);
            return MemoryMarshal.Cast<byte, long>(File.ReadAllBytes(file)).ToArray();
        }
    }

    /// <summary>The process, or null and how to bring it in.</summary>
    public static PythonFaiss? TryStart(out string missing)
    {
        PeerProcess? process = PythonPeer.TryStart("faiss", out string why);
        missing = $"FAISS in Python: not found ({why}); `apt-get install python3-faiss`, or name a Python that has it in PYTHON";
        return process is null ? null : new(process);
    }

    public void Load(MatrixView<float> data, MatrixView<float> queries)
    {
        Send("data", data);
        Send("queries", queries);
    }

    public void SetThreads(int threads) => _process.Send(string.Create(CultureInfo.InvariantCulture, $"threads {threads}"));

    public Contestant Contestant(SimilarityMetric metric, int count, int k)
    {
        string command = string.Create(CultureInfo.InvariantCulture, $"search {(metric == SimilarityMetric.Dot ? "IP" : "L2")} {count} {k}");
        return new(Name, calls => _process.Time(string.Create(CultureInfo.InvariantCulture, $"{command} {calls}")));
    }

    public void Dispose()
    {
        _process.Dispose();
        _folder.Delete(recursive: true);
    }

    /// <summary>The rows as a file that is gone again when the process has copied them.</summary>
    private void Send(string command, MatrixView<float> rows)
    {
        string file = Path.Combine(_folder.FullName, command);
        using (FileStream stream = File.Create(file))
        {
            for (nint i = 0; i < rows.Rows; i++)
                stream.Write(new ReadOnlySpan<byte>(rows.Row(i), checked((int)rows.Columns * sizeof(float))));
        }

        _process.Send(string.Create(CultureInfo.InvariantCulture, $"{command} {rows.Rows}"), file);
        File.Delete(file);
    }
}
