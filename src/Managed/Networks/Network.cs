using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// A trained network that turns pictures (or other tensors) into vectors: the values of any of its layers. It is read from
/// an ONNX file, or from the .safetensors weights of a built-in architecture.
/// </summary>
/// <remarks>
/// <para>Batch normalisation is folded into the weights, activations and additions are fused into the convolutions, and only
/// what a layer needs is computed. A file that was exported for one image runs with any number.</para>
/// <para>Thread-safe; two calls at a time take the memory of both. The file must stay as it is until <see cref="Dispose"/>.</para>
/// </remarks>
public sealed class Network : IDisposable
{
    private readonly NetworkGraph _graph;
    private readonly NetworkOptions _options;
    private readonly List<WeightFile> _files;
    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<string, NetworkRun> _runs = new(StringComparer.Ordinal);
    private readonly PlanMemory _memory = new();
    private readonly PackedWeights _weights = new();
    private readonly Lock _lock = new();
    private readonly long _maximumElements;
    private bool _disposed;

    private Network(NetworkGraph graph, NetworkOptions options, List<WeightFile> files)
    {
        _graph = graph;
        _options = options;
        _files = files;
        _maximumElements = options.MaximumMemory / sizeof(float);
        Inputs = [.. graph.Inputs.Select(value => new NetworkTensorInfo(value.Name, value.Shape ?? []))];
        Outputs = [.. graph.Outputs.Select(value => new NetworkTensorInfo(value.Name, value.Shape ?? []))];
        Layers = ListLayers();
        if (graph.Inputs.Count == 1 && graph.Inputs[0].Shape is { Length: > 0 } shape && shape.AsSpan(1).IndexOf(-1) < 0)
            Shapes([Batch(shape).From, .. shape[1..]], graph.Outputs.Select(output => output.Name)); // to fail now and not at the first run
    }

    /// <summary>What the network is fed.</summary>
    public IReadOnlyList<NetworkTensorInfo> Inputs { get; }

    /// <summary>What it was made to give.</summary>
    public IReadOnlyList<NetworkTensorInfo> Outputs { get; }

    /// <summary>
    /// The names that features can be taken from, in the order in which they are computed: names of tensors, then of the nodes
    /// that give them where they have names of their own, and the well-known names "fc1", "fc2" and so on (fully connected
    /// layers) and "embedding" (what the last of them, the classifier, is fed).
    /// </summary>
    public IReadOnlyList<string> Layers { get; }

    /// <summary>Loads a network: an ONNX file, or the weights of a built-in architecture in a .safetensors file.</summary>
    /// <param name="path">A file whose name ends in .onnx or .safetensors.</param>
    /// <param name="options">Limits, and the architecture.</param>
    /// <exception cref="ArgumentException">The name has another ending, or the architecture is unknown.</exception>
    /// <exception cref="DataFormatException">The file is damaged, or its parts do not fit each other.</exception>
    /// <exception cref="NotSupportedException">The network has an operator, or a form of one, that is not supported; the message names it.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Network Load(string path, NetworkOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string extension = Path.GetExtension(path);
        if (extension.Equals(".onnx", StringComparison.OrdinalIgnoreCase))
            return LoadOnnx(path, options);
        if (extension.Equals(".safetensors", StringComparison.OrdinalIgnoreCase))
            return LoadSafetensors(path, options);
        throw new ArgumentException($"'{path}' ends neither in .onnx nor in .safetensors.", nameof(path));
    }

    /// <summary>Loads an ONNX file (operator sets 6 to 25), with weights of its own or in files beside it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">Limits.</param>
    /// <exception cref="DataFormatException">The file is damaged, or its parts do not fit each other.</exception>
    /// <exception cref="NotSupportedException">The network has an operator, or a form of one, that is not supported; the message names it.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Network LoadOnnx(string path, NetworkOptions? options = null) => LoadOnnx(path, options, null);

    /// <summary>The extents of a layer's values for an input of given extents.</summary>
    /// <param name="layer">One of <see cref="Layers"/>, or null for the first output.</param>
    /// <param name="inputShape">The input's extents, the batch first.</param>
    /// <exception cref="ArgumentException">There is no such layer, or the shape does not suit the network.</exception>
    /// <exception cref="DataFormatException">A window does not fit an image so small, or the values take more than <see cref="NetworkOptions.MaximumMemory"/>.</exception>
    public IReadOnlyList<int> LayerShape(string? layer, ReadOnlySpan<int> inputShape)
    {
        string value = Resolve(layer);
        return Describe(value, CheckShape(inputShape)).Shape;
    }

    /// <summary>Computes a layer for a batch of inputs of the extents that the file gives.</summary>
    /// <param name="input">The batch, image after image; each [channel][row][column].</param>
    /// <param name="batch">Number of images.</param>
    /// <param name="layer">One of <see cref="Layers"/>, or null for the first output.</param>
    /// <param name="output">The layer's values, image after image; each [channel][row][column] where it has these.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">A length is wrong, there is no such layer, or the file leaves extents of the input open.</exception>
    /// <exception cref="ObjectDisposedException">The network was disposed.</exception>
    public void Run(ReadOnlySpan<float> input, int batch, string? layer, Span<float> output, WorkerPool? pool = null) =>
        Run(input, DeclaredShape(batch), layer, output, pool);

    /// <summary>Computes a layer for inputs of any extents that the network can take.</summary>
    /// <param name="input">The batch, image after image; each [channel][row][column].</param>
    /// <param name="inputShape">Extents, the batch first.</param>
    /// <param name="layer">One of <see cref="Layers"/>, or null for the first output.</param>
    /// <param name="output">The layer's values, image after image.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">A length is wrong, there is no such layer, or the shape does not suit the network.</exception>
    /// <exception cref="DataFormatException">A window does not fit an image so small, or the values take more than <see cref="NetworkOptions.MaximumMemory"/>.</exception>
    /// <exception cref="ObjectDisposedException">The network was disposed.</exception>
    public void Run(ReadOnlySpan<float> input, ReadOnlySpan<int> inputShape, string? layer, Span<float> output, WorkerPool? pool = null)
    {
        string value = Resolve(layer);
        int[] shape = CheckShape(inputShape);
        if (input.Length != TensorShape.LongCount(shape))
            throw new ArgumentException($"{input.Length} numbers for an input of shape {TensorShape.Text(shape)}.", nameof(input));
        NetworkRun run = Find(value, shape, pool);
        if (output.Length != TensorShape.LongCount(run.Shape))
            throw new ArgumentException($"Room for {output.Length} numbers, but '{layer ?? value}' gives {TensorShape.LongCount(run.Shape)}: shape {TensorShape.Text(run.Shape)}.", nameof(output));
        run.Run(input, output, pool ?? WorkerPool.Serial);
    }

    /// <summary>Computes a layer for a batch and gives one flat row for each image.</summary>
    /// <param name="input">The batch, image after image; each [channel][row][column].</param>
    /// <param name="batch">Number of images.</param>
    /// <param name="layer">One of <see cref="Layers"/>, or null for the first output.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">A length is wrong, there is no such layer, or the file leaves extents of the input open.</exception>
    /// <exception cref="ObjectDisposedException">The network was disposed.</exception>
    public FloatMatrix Features(ReadOnlySpan<float> input, int batch, string? layer = null, WorkerPool? pool = null)
    {
        int[] shape = DeclaredShape(batch);
        NetworkRun run = Find(Resolve(layer), shape, pool);
        long count = TensorShape.LongCount(run.Shape);
        if (count % batch != 0)
            throw new ArgumentException($"Layer '{layer}' has shape {TensorShape.Text(run.Shape)}, which is no row per image.", nameof(layer));
        FloatMatrix features = new(batch, (nint)(count / batch));
        try
        {
            Run(input, shape, layer, features.View.Rows == 0 ? [] : AllOf(features), pool);
            return features;
        }
        catch
        {
            features.Dispose();
            throw;
        }
    }

    /// <summary>Frees the weights and closes the file.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed)
                return;
            _disposed = true;
            foreach (NetworkRun run in _runs.Values)
                run.Dispose();
            _memory.Dispose();
            _weights.Dispose();
            _files.ForEach(file => file.Dispose());
        }
    }

    /// <summary>An ONNX file some inputs of which are constants.</summary>
    internal static Network LoadOnnx(string path, NetworkOptions? options, IReadOnlyDictionary<string, GraphTensor>? fixedInputs)
    {
        Dictionary<string, WeightFile> beside = new(StringComparer.Ordinal);
        return Open(path, options, (file, _) => OnnxReader.Read(file, beside, fixedInputs), () => beside.Values);
    }

    internal static Network LoadSafetensors(string path, NetworkOptions? options = null) =>
        Open(path, options, Architectures.Read, () => []);

    internal static Network Of(NetworkGraph graph, NetworkOptions? options = null) => new(graph, options ?? new NetworkOptions(), []);

    /// <summary>What runs a layer for inputs of a shape.</summary>
    internal NetworkRun Prepared(string? layer, ReadOnlySpan<int> inputShape) => Find(Resolve(layer), CheckShape(inputShape), null);

    /// <summary>Computes values by the plain interpreter: any inputs, any types.</summary>
    internal PlainTensor[] Interpret(IReadOnlyDictionary<string, PlainTensor> feeds, IReadOnlyList<string> wanted, WorkerPool? pool = null) =>
        Interpreter.Run(_graph, feeds, [.. wanted.Select(Resolve)], _maximumElements, (1, 1), pool ?? WorkerPool.Serial);

    private static Network Open(string path, NetworkOptions? options, Func<WeightFile, NetworkOptions, NetworkGraph> read, Func<IEnumerable<WeightFile>> more)
    {
        options ??= new NetworkOptions();
        ArgumentOutOfRangeException.ThrowIfNegative(options.MaximumMemory, nameof(options));
        WeightFile file = new(path);
        try
        {
            NetworkGraph graph = read(file, options);
            return new Network(graph, options, [file, .. more()]);
        }
        catch
        {
            foreach (WeightFile opened in more())
                opened.Dispose();
            file.Dispose();
            throw;
        }
    }

    private static unsafe Span<float> AllOf(FloatMatrix matrix) => new(matrix.View.Data, checked((int)(matrix.Rows * matrix.Columns)));

    private static (int From, int To) Batch(int[] declared, int to = 0)
    {
        int from = declared[0] > 0 ? declared[0] : 1;
        return (from, to > 0 ? to : from);
    }

    /// <summary>All values that depend on the input, with their nodes' names, and the well-known names.</summary>
    private List<string> ListLayers()
    {
        HashSet<string> fed = new(_graph.Inputs.Select(input => input.Name), StringComparer.Ordinal);
        List<string> names = [];
        Dictionary<string, string> nodeNames = new(StringComparer.Ordinal);
        List<NetworkNode> products = [];
        foreach (NetworkNode node in _graph.Nodes)
        {
            if (node.Operator is "Shape" or "Size" || !Array.Exists(node.Inputs, fed.Contains))
                continue;
            fed.UnionWith(node.Outputs.Where(output => output.Length > 0));
            foreach (string output in node.Outputs)
            {
                if (output.Length > 0 && !(output != node.Outputs[0] && node.Operator is "Dropout" or "MaxPool"))
                    names.Add(output);
            }

            if (node.Operator is "Gemm" or "MatMul" && _graph.Constants.ContainsKey(node.Inputs[1]))
                products.Add(node);
        }

        names.ForEach(name => _names.Add(name, name));
        List<string> listed = [];
        HashSet<string> own = new(names, StringComparer.Ordinal);
        foreach (NetworkNode node in _graph.Nodes)
        {
            listed.AddRange(node.Outputs.Where(own.Contains));
            if (own.Contains(node.Outputs[0]) && node.Name.Length > 0 && _names.TryAdd(node.Name, node.Outputs[0]))
                listed.Add(node.Name);
        }

        foreach ((string alias, string value) in _graph.Aliases)
        {
            if (_names.TryAdd(alias, value))
                listed.Add(alias);
        }

        for (int i = 0; i < products.Count; i++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"fc{i + 1}");
            if (_names.TryAdd(name, products[i].Outputs[0]))
                listed.Add(name);
        }

        if (products.Count > 0 && own.Contains(products[^1].Inputs[0]) && _names.TryAdd("embedding", products[^1].Inputs[0]))
            listed.Add("embedding");
        return listed;
    }

    private string Resolve(string? layer)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (layer is null)
            return _graph.Outputs.Count > 0 ? _graph.Outputs[0].Name : throw new ArgumentException("The network has no output; name a layer.", nameof(layer));
        if (_names.TryGetValue(layer, out string? value))
            return value;
        return _graph.Outputs.Any(output => output.Name == layer) ? layer
            : throw new ArgumentException($"There is no layer '{layer}'. Layers: {string.Join(", ", Layers.Take(20))}{(Layers.Count > 20 ? ", ..." : "")}.", nameof(layer));
    }

    private int[] DeclaredShape(int batch)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batch);
        int[] shape = [.. Input().Shape ?? []];
        if (shape.Length == 0 || shape.AsSpan(1).IndexOf(-1) >= 0)
            throw new ArgumentException($"The file leaves the input's extents open ({TensorShape.Text(shape)}): give them.", nameof(batch));
        shape[0] = batch;
        return shape;
    }

    private GraphValue Input() =>
        _graph.Inputs.Count == 1 ? _graph.Inputs[0]
        : throw new NotSupportedException($"{_graph.Source} takes {_graph.Inputs.Count} inputs ({string.Join(", ", _graph.Inputs.Select(input => input.Name))}); only networks of one input can be run.");

    private int[] CheckShape(ReadOnlySpan<int> inputShape)
    {
        int[] shape = inputShape.ToArray();
        GraphValue input = Input();
        int[]? declared = input.Shape;
        if (!input.Element.IsFloating())
            throw new NotSupportedException($"{_graph.Source} is fed {input.Element} and not floats.");
        bool suits = shape.Length > 0 && !Array.Exists(shape, extent => extent < 1) && (declared is null || declared.Length == shape.Length);
        for (int i = 1; suits && declared is not null && i < shape.Length; i++)
            suits = declared[i] < 0 || declared[i] == shape[i] || (i >= 2 && _graph.AnyExtent);
        return suits ? shape : throw new ArgumentException($"An input of shape {TensorShape.Text(shape)}; the network takes {TensorShape.Text(declared)}.", nameof(inputShape));
    }

    private GraphShapes Shapes(int[] shape, IEnumerable<string> wanted)
    {
        GraphValue input = Input();
        return new GraphShapes(
            _graph,
            new Dictionary<string, (TensorElement, int[])> { [input.Name] = (input.Element, shape) },
            wanted,
            _maximumElements,
            Batch(input.Shape ?? shape, shape[0]),
            WorkerPool.Serial);
    }

    private NetworkRun Find(string value, int[] shape, WorkerPool? pool)
    {
        string key = $"{value}\n{string.Join(',', shape)}";
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (!_runs.TryGetValue(key, out NetworkRun? run))
            {
                run = Prepare(value, shape, pool ?? WorkerPool.Serial);
                _runs.Add(key, run);
            }

            return run;
        }
    }

    /// <summary>A run of the whole batch; image by image where the graph cannot take it at once, or the memory does not suffice for it.</summary>
    private NetworkRun Prepare(string value, int[] shape, WorkerPool pool)
    {
        try
        {
            if (Describe(value, shape).Whole is { } shapes)
                return Prepare(value, shape, shapes, pool);
        }
        catch (DataFormatException) when (shape[0] > 1)
        {
        }

        return new ImageByImageRun(Find(value, [1, .. shape[1..]], pool), shape[0]);
    }

    /// <summary>A layer's extents, and what is known of the graph where the whole batch runs at once.</summary>
    private (GraphShapes? Whole, int[] Shape) Describe(string value, int[] shape)
    {
        int[]? declared = Input().Shape;
        bool isOpen = declared is null || declared[0] < 0;
        try
        {
            GraphShapes shapes = Shapes(shape, [value]);
            if (shape[0] == 1 || shapes.Batch.From == shape[0] || isOpen || BatchRules.KeepImagesApart(shapes))
                return (shapes, shapes.Fact(value).Shape);
        }
        catch (DataFormatException) when (shape[0] > 1)
        {
        }

        return (null, ImageByImageRun.Together(Describe(value, [1, .. shape[1..]]).Shape, shape[0]));
    }

    private NetworkRun Prepare(string value, int[] shape, GraphShapes shapes, WorkerPool pool)
    {
        if (!shapes.Fact(value).Element.IsFloating())
            throw new NotSupportedException($"{_graph.Source}: '{value}' holds {shapes.Fact(value).Element} and not floats.");
        string input = Input().Name;
        return _options.Optimize && Planner.CanPlan(shapes, input, value)
            ? new Planner(shapes, input, value, _weights, _options).Build(_memory, pool)
            : new InterpretedRun(shapes, input, shape, value, _maximumElements);
    }
}
