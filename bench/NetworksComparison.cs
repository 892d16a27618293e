using System.Globalization;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>Whole networks with random weights against ncnn and PyTorch, one image and eight; beside a busy core; and the memory of VGG16.</summary>
public static class NetworksComparison
{
    private const int LargeBatch = 8;

    /// <summary>Prints the comparison as Markdown; some ten minutes, less than one if quick.</summary>
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        List<INetworkPeer> peers = [];
        output.WriteLine("### Convolutional networks, single precision");
        output.WriteLine();
        output.WriteLine($"Level {Isa.Level}. All compute the same random weights, batch normalisation already multiplied in; we read them from ONNX. ms per image: medians over rounds in turn; in brackets how many times faster ours was, by wall clock and by CPU time (above 1: ours is faster). ncnn computes the images of a batch one by one. Difference: the largest from our first image's outputs, relative to their largest.");
        Add(NcnnNetwork.TryStart(out string missing), missing);
        Add(TorchNetwork.TryStart(out missing), missing);
        try
        {
            Head(output, "Quiet", peers, "batch | ");
            foreach (Func<NetworkModel> make in NetworkModels.All(quick))
                Measure(output, make(), peers, quick);
            if (Environment.ProcessorCount > 1)
            {
                Head(output, "2 threads while another program keeps core 0 busy; the last column: the share of our speed without it", peers, "batch | ");
                foreach (NetworkModel model in quick ? [NetworkModels.SqueezeNet()] : (NetworkModel[])[NetworkModels.Vgg16(), NetworkModels.ResNet50()])
                    BesideBusyCore(output, model, peers, quick);
            }

            NetworkMemory.Write(output, quick ? NetworkModels.SqueezeNet() : NetworkModels.Vgg16());
        }
        finally
        {
            foreach (INetworkPeer peer in peers)
                peer.Dispose();
        }

        void Add(INetworkPeer? peer, string how)
        {
            if (peer is null)
                output.WriteLine(how);
            else
                peers.Add(peer);
        }
    }

    private static void Head(TextWriter output, string title, List<INetworkPeer> peers, string more)
    {
        output.WriteLine();
        output.WriteLine($"#### {title}");
        output.WriteLine();
        output.WriteLine($"| network | threads | {more}ours ms | CPU ms | {string.Concat(peers.Select(peer => $"{peer.Name} | "))}difference |");
        output.WriteLine($"|---|---|---|---|---|{string.Concat(peers.Select(_ => "---|"))}---|");
        output.Flush();
    }

    private static void Measure(TextWriter output, NetworkModel model, List<INetworkPeer> peers, bool quick)
    {
        using Problem problem = new(model);
        foreach (int threads in Environment.ProcessorCount > 1 ? (int[])[1, 2] : [1])
        {
            using WorkerPool pool = new(threads);
            problem.Load(peers, threads);
            foreach (int batch in (int[])[1, LargeBatch])
                Row(output, problem, problem.Duel(peers, batch, pool, quick), peers, batch, threads, problem.Differences(peers, pool));
        }
    }

    private static void BesideBusyCore(TextWriter output, NetworkModel model, List<INetworkPeer> peers, bool quick)
    {
        using Problem problem = new(model);
        using WorkerPool pool = new(2);
        problem.Load(peers, 2);
        Duel quiet = problem.Duel([], 1, pool, quick), busy;
        using (new BusyCore(0))
            busy = problem.Duel(peers, 1, pool, quick);
        Row(output, problem, busy, peers, 1, 2, string.Create(CultureInfo.InvariantCulture, $"{100 * quiet.Wall() / busy.Wall():F0}%"));
    }

    private static void Row(TextWriter output, Problem problem, Duel duel, List<INetworkPeer> peers, int batch, int threads, string last)
    {
        string cells = string.Concat(peers.Select((_, i) => string.Create(
            CultureInfo.InvariantCulture, $" {1e3 * duel.Wall(i + 1) / batch:F2} ({duel.Ratio(i + 1):F2}; {duel.CpuRatio(i + 1):F2}) |")));
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"| {problem.Model.Name} | {threads} | {batch} | {1e3 * duel.Wall() / batch:F2} | {1e3 * duel.Cpu() / batch:F2} |{cells} {last} |"));
        output.Flush();
    }

    /// <summary>A network and its files, loaded by all.</summary>
    private sealed class Problem : IDisposable
    {
        private readonly NetworkFiles _files;
        private readonly Network _ours;
        private readonly float[] _input;
        private readonly float[] _output;

        public Problem(NetworkModel model)
        {
            Model = model;
            _files = new(model);
            using AlignedBuffer<float> input = BenchData.Random((nint)LargeBatch * model.InputLength, 5);
            _input = input.AsSpan().ToArray();
            File.WriteAllBytes(_files.File("input"), MemoryMarshal.AsBytes<float>(_input));
            _output = new float[LargeBatch * model.FeatureLength];
            _ours = Network.LoadOnnx(_files.Onnx);
        }

        public NetworkModel Model { get; }

        public void Load(List<INetworkPeer> peers, int threads)
        {
            foreach (INetworkPeer peer in peers)
                peer.Load(Model, _files, _files.File("input"), threads);
        }

        public Duel Duel(List<INetworkPeer> peers, int batch, WorkerPool pool, bool quick) => new(
            quick ? new(Budget: 1, Rounds: 3, Turn: 0.01, Fewest: 2) : new(Budget: 12, Rounds: 15, Turn: 0.2, Fewest: 3),
            [
                new Contestant("ours", () => Ours(batch, pool)),
                .. peers.Select(peer => new Contestant(peer.Name, calls => peer.Run(batch, calls))),
            ]);

        /// <summary>How far each peer's outputs are from ours.</summary>
        public string Differences(List<INetworkPeer> peers, WorkerPool pool)
        {
            Ours(1, pool);
            float largest = _output.Take(Model.FeatureLength).Max(Math.Abs);
            return string.Join(", ", peers.Select(peer =>
            {
                float[] theirs = peer.Output();
                return theirs.Length == Model.FeatureLength
                    ? string.Create(CultureInfo.InvariantCulture, $"{theirs.Select((value, i) => Math.Abs(value - _output[i])).Max() / largest:0.0E+0}")
                    : $"{theirs.Length} numbers instead of {Model.FeatureLength}";
            }));
        }

        public void Dispose()
        {
            _ours.Dispose();
            _files.Dispose();
        }

        private void Ours(int batch, WorkerPool pool) =>
            _ours.Run(_input.AsSpan(0, batch * Model.InputLength), batch, Model.Feature, _output.AsSpan(0, batch * Model.FeatureLength), pool);
    }
}
