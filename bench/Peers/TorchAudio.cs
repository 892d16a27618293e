using System.Globalization;
using System.Runtime.InteropServices;

namespace EmbeddingKernels.Bench;

/// <summary>torchaudio in a Python process: features of one sound at 16 kHz.</summary>
internal sealed class TorchAudio : IDisposable
{
    private const string Functions = """
        import torch, torchaudio
        print("torchaudio", torchaudio.__version__, flush=True)

        spectrum = dict(n_fft=400, hop_length=160)
        works = {
            "spectrogram": torchaudio.transforms.Spectrogram(power=2, **spectrum),
            "mel": torchaudio.transforms.MelSpectrogram(16000, n_mels=80, **spectrum),
            "mfcc": torchaudio.transforms.MFCC(16000, n_mfcc=13, melkwargs=dict(n_mels=80, **spectrum)),
            "fbank": lambda x: torchaudio.compliance.kaldi.fbank(x.unsqueeze(0) * 32768, num_mel_bins=80, sample_frequency=16000).T,
        }

        def threads(count):
            torch.set_num_threads(int(count))

        def sound(file):
            state["sound"] = torch.from_numpy(numpy.fromfile(file, dtype=numpy.float32))

        def run(name, calls):
            with torch.inference_mode():
                return timed(calls, lambda: works[name](state["sound"]))

        def output(name, file):
            with torch.inference_mode():
                works[name](state["sound"]).T.contiguous().numpy().tofile(file)

        """;

    private readonly PeerProcess _process;

    private TorchAudio(PeerProcess process) => _process = process;

    public string Name => _process.Name;

    /// <summary>The process, or null and how to bring it in.</summary>
    public static TorchAudio? TryStart(out string missing)
    {
        PeerProcess? process = PythonPeer.TryStart("torchaudio", Functions, out string why);
        missing = $"torchaudio: not found ({why}); `apt-get install python3-torchaudio`, or name a Python that has it in PYTHON";
        return process is null ? null : new(process);
    }

    /// <summary>Takes the sound, raw floats.</summary>
    public void Load(string file, int threads)
    {
        _process.Send(string.Create(CultureInfo.InvariantCulture, $"threads {threads}"));
        _process.Send("sound", file);
    }

    /// <summary>Computes "spectrogram", "mel", "mfcc" or "fbank" so many times.</summary>
    public Seconds Run(string what, int calls) => _process.Time(string.Create(CultureInfo.InvariantCulture, $"run {what} {calls}"));

    /// <summary>Its numbers, frame by frame.</summary>
    public float[] Output(string what, string file)
    {
        _process.Send($"output {what}", file);
        return MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(file)).ToArray();
    }

    public void Dispose() => _process.Dispose();
}
