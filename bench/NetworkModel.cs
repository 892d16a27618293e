using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>What a layer of a compared network does.</summary>
internal enum NetworkLayerKind
{
    Convolution,
    FullyConnected,
    MaxPool,
    GlobalAverage,
    Add,
    Concat,
}

/// <summary>A layer, with batch normalisation already in its weights and the ReLU that follows it.</summary>
internal sealed record NetworkLayer(NetworkLayerKind Kind, string Name, string[] Inputs, int InputChannels, int InputSize, int Channels, int Size)
{
    /// <summary>Rows and columns of the window.</summary>
    public int Kernel { get; init; } = 1;

    public int Stride { get; init; } = 1;

    public int Padding { get; init; }

    public int Groups { get; init; } = 1;

    /// <summary>Whether the last window may reach beyond the map.</summary>
    public bool Ceiling { get; init; }

    public bool Relu { get; init; }

    /// <summary>Products of an output; 0 where there are no weights.</summary>
    public int Depth => Kind switch
    {
        NetworkLayerKind.Convolution => InputChannels / Groups * Kernel * Kernel,
        NetworkLayerKind.FullyConnected => InputChannels * InputSize * InputSize,
        _ => 0,
    };

    public nint WeightLength => (nint)Channels * Depth;

    /// <summary>The weights, the same each time: outputs keep the size of their inputs.</summary>
    public AlignedBuffer<float> Weights()
    {
        AlignedBuffer<float> weights = BenchData.Random(WeightLength, Seed);
        float scale = MathF.Sqrt((Relu ? 2f : 1f) / Depth) / 0.5f; // the deviation of what Random gives
        for (nint i = 0; i < weights.Length; i++)
            weights[i] *= scale;
        return weights;
    }

    public AlignedBuffer<float> Bias()
    {
        AlignedBuffer<float> bias = BenchData.Random(Channels, Seed + 1);
        for (nint i = 0; i < bias.Length; i++)
            bias[i] *= 0.1f;
        return bias;
    }

    // string.GetHashCode differs from run to run.
    private int Seed => Name.Aggregate(17, (seed, character) => unchecked((seed * 31) + character)) & 0xffffff;
}

/// <summary>A network that is compared, with random weights: from it come the files that each contestant reads.</summary>
internal sealed class NetworkModel
{
    /// <summary>What the input is called.</summary>
    public const string Data = "data";

    private readonly Dictionary<string, (int Channels, int Size)> _shapes;
    private readonly List<NetworkLayer> _layers = [];

    public NetworkModel(string name, int inputSize)
    {
        (Name, InputSize) = (name, inputSize);
        _shapes = new() { [Data] = (3, inputSize) };
    }

    public string Name { get; }

    public int InputSize { get; }

    /// <summary>Floats of an input image.</summary>
    public int InputLength => 3 * InputSize * InputSize;

    /// <summary>The layer whose outputs are asked for: the last one if nothing else was said.</summary>
    public string Feature { get => field ?? _layers[^1].Name; set; }

    /// <summary>Outputs of that layer for an image.</summary>
    public int FeatureLength => _shapes[Feature] is var (channels, size) ? channels * size * size : 0;

    public IReadOnlyList<NetworkLayer> Layers => _layers;

    public (int Channels, int Size) Shape(string layer) => _shapes[layer];

    public string Convolution(string name, string input, int channels, int kernel, int stride = 1, int padding = 0, int groups = 1, bool relu = true)
    {
        int size = _shapes[input].Size;
        return Add(NetworkLayerKind.Convolution, name, [input], channels, ((size + (2 * padding) - kernel) / stride) + 1) is var layer
            ? Keep(layer with { Kernel = kernel, Stride = stride, Padding = padding, Groups = groups, Relu = relu })
            : name;
    }

    public string FullyConnected(string name, string input, int channels, bool relu = false) =>
        Keep(Add(NetworkLayerKind.FullyConnected, name, [input], channels, 1) with { Relu = relu });

    public string MaxPool(string name, string input, int kernel, int stride, int padding = 0, bool ceiling = false)
    {
        (int channels, int size) = _shapes[input];
        int room = size + (2 * padding) - kernel;
        int output = (ceiling ? (room + stride - 1) / stride : room / stride) + 1;
        return Keep(Add(NetworkLayerKind.MaxPool, name, [input], channels, output) with { Kernel = kernel, Stride = stride, Padding = padding, Ceiling = ceiling });
    }

    public string GlobalAverage(string name, string input) => Keep(Add(NetworkLayerKind.GlobalAverage, name, [input], _shapes[input].Channels, 1));

    /// <summary>The sum of both, and then ReLU.</summary>
    public string Sum(string name, string one, string other) =>
        Keep(Add(NetworkLayerKind.Add, name, [one, other], _shapes[one].Channels, _shapes[one].Size) with { Relu = true });

    public string Concat(string name, params string[] inputs) =>
        Keep(Add(NetworkLayerKind.Concat, name, inputs, inputs.Sum(input => _shapes[input].Channels), _shapes[inputs[0]].Size));

    private NetworkLayer Add(NetworkLayerKind kind, string name, string[] inputs, int channels, int size) =>
        new(kind, name, inputs, _shapes[inputs[0]].Channels, _shapes[inputs[0]].Size, channels, size);

    private string Keep(NetworkLayer layer)
    {
        _layers.Add(layer);
        _shapes.Add(layer.Name, (layer.Channels, layer.Size));
        return layer.Name;
    }
}
