using System.Globalization;
using System.Runtime.InteropServices;

namespace EmbeddingKernels.Bench;

/// <summary>PyTorch in a Python process: its functions one after another, without gradients, batch normalisation already in the weights.</summary>
internal sealed class TorchNetwork : INetworkPeer
{
    private const string Functions = """
        import json, torch
        import torch.nn.functional as F
        print("PyTorch", torch.__version__, flush=True)

        def threads(count):
            torch.set_num_threads(int(count))

        def network(file):
            with open(file) as f:
                model = json.load(f)
            values, at, last = numpy.fromfile(model["bin"], dtype=numpy.float32), 0, {}
            for number, layer in enumerate(model["layers"]):
                for name in layer["inputs"]:
                    last[name] = number
                if layer["kind"] in ("Convolution", "FullyConnected"):
                    outputs, inputs, kernel = layer["channels"], layer["group_inputs"], layer["kernel"]
                    shape = (outputs, inputs, kernel, kernel) if layer["kind"] == "Convolution" else (outputs, inputs)
                    count = int(numpy.prod(shape))
                    at += 1
                    layer["weight"] = torch.from_numpy(values[at:at + count].reshape(shape).copy())
                    layer["bias"] = torch.from_numpy(values[at + count:at + count + outputs].copy())
                    at += count + outputs
            for number, layer in enumerate(model["layers"]):
                layer["forget"] = [name for name in set(layer["inputs"]) if last[name] == number]
            state["model"] = model

        def input(file):
            size = state["model"]["size"]
            state["input"] = torch.from_numpy(numpy.fromfile(file, dtype=numpy.float32).reshape(-1, 3, size, size))

        def forward(x):
            model = state["model"]
            known = {"data": x}
            for layer in model["layers"]:
                a, kind = [known[name] for name in layer["inputs"]], layer["kind"]
                if kind == "Convolution":
                    y = F.conv2d(a[0], layer["weight"], layer["bias"], layer["stride"], layer["padding"], 1, layer["groups"])
                elif kind == "FullyConnected":
                    y = F.linear(a[0].flatten(1), layer["weight"], layer["bias"])
                elif kind == "MaxPool":
                    y = F.max_pool2d(a[0], layer["kernel"], layer["stride"], layer["padding"], 1, layer["ceiling"])
                elif kind == "GlobalAverage":
                    y = F.adaptive_avg_pool2d(a[0], 1)
                elif kind == "Add":
                    y = a[0] + a[1]
                else:
                    y = torch.cat(a, 1)
                known[layer["name"]] = F.relu_(y) if layer["relu"] else y
                if layer["name"] == model["feature"]:
                    return known[layer["name"]]
                a = None
                for name in layer["forget"]:
                    del known[name]

        def run(batch, calls):
            x = state["input"][:int(batch)]
            with torch.inference_mode():
                return timed(calls, lambda: forward(x))

        def output(file):
            with torch.inference_mode():
                forward(state["input"][:1]).numpy().tofile(file)

        """;

    private readonly PeerProcess _process;
    private NetworkFiles? _files;

    private TorchNetwork(PeerProcess process) => _process = process;

    public string Name => _process.Name;

    /// <summary>The process, or null and how to bring it in.</summary>
    public static TorchNetwork? TryStart(out string missing)
    {
        PeerProcess? process = PythonPeer.TryStart("torch", Functions, out string why);
        missing = $"PyTorch: not found ({why}); `apt-get install python3-torch`, or name a Python that has it in PYTHON";
        return process is null ? null : new(process);
    }

    public void Load(NetworkModel model, NetworkFiles files, string input, int threads)
    {
        _files = files;
        _process.Send(string.Create(CultureInfo.InvariantCulture, $"threads {threads}"));
        _process.Send("network", files.Layers);
        _process.Send("input", input);
    }

    public Seconds Run(int batch, int calls) => _process.Time(string.Create(CultureInfo.InvariantCulture, $"run {batch} {calls}"));

    public float[] Output()
    {
        string file = _files!.File("torch.out");
        _process.Send("output", file);
        return MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(file)).ToArray();
    }

    public void Dispose() => _process.Dispose();
}
