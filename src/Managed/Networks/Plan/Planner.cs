using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// Turns a graph with known shapes into a list of kernel calls for one wanted value: what can be fused is, images stay in
/// blocked maps from operator to operator, and all memory is laid out at once.
/// </summary>
internal sealed unsafe partial class Planner
{
    private readonly GraphShapes _shapes;
    private readonly string _wanted;
    private readonly PackedWeights _weights;
    private readonly NetworkOptions _options;
    private readonly Dictionary<string, PlanValue> _values = new(StringComparer.Ordinal);
    private readonly List<PlanStep> _steps = [];
    private readonly HashSet<PlanSlot> _interleaved = [];
    private int _objects;

    public Planner(GraphShapes shapes, string input, string wanted, PackedWeights weights, NetworkOptions options)
    {
        _shapes = shapes;
        _wanted = wanted;
        _weights = weights;
        _options = options;
        _values.Add(input, new PlanValue(shapes.Fact(input).Shape, new PlanStorage { IsInput = true }));
    }

    /// <summary>Whether all values are floats of at least one element, which plans are for.</summary>
    public static bool CanPlan(GraphShapes shapes, string input, string wanted) =>
        !shapes.Fact(wanted).IsConstant && TensorShape.LongCount(shapes.Fact(input).Shape) > 0
        && shapes.Calls.All(call => call.Outputs.All(output => TensorShape.LongCount(output.Shape) > 0) || shapes.Fact(call.Node.Outputs[0]).IsConstant);

    public PlannedRun Build(PlanMemory memory, WorkerPool pool)
    {
        List<FusedNode> nodes = new Fusion(_shapes, _wanted).Nodes();
        _weights.Prepare(
            nodes.Where(node => node.Call.Node.Operator == "Conv").Select(ConvolutionWeights).OfType<(string Name, Func<Convolution2D> Pack)>()
                .Select(weights => (weights.Name, (Func<IDisposable>)weights.Pack)),
            pool);
        foreach (FusedNode node in nodes)
        {
            if (Plan(node))
                continue;

            // One after another, where no kernel does them together.
            foreach (FusedNode member in node.Members.Select(call => new FusedNode(call)))
            {
                if (node.Members.Count == 1 || !Plan(member))
                    Interpret(member);
            }
        }

        PlanValue result = _values[_wanted];
        PlanSlot last = result.Storage is { Maps: { } maps, Rows: null } ? maps : RowsOf(result);
        Lay(last, out nint floats);
        if (floats > _options.MaximumMemory / sizeof(float))
            throw new DataFormatException($"{_shapes.Graph.Source}: the values between layers take {(Int128)floats * sizeof(float)} bytes, more than the limit of {_options.MaximumMemory}.");
        return new PlannedRun(_shapes.Fact(_wanted).Shape, _steps, last, floats, _objects, memory);
    }

    /// <summary>One kernel call; false where no kernel does it.</summary>
    private bool Plan(FusedNode node)
    {
        OperatorCall call = node.Call;
        if (call.Outputs[0].Element != TensorElement.Float || (call.Node.Inputs.Length > 0 && call.Has(0) && call.Input(0).Element != TensorElement.Float))
            return false;
        if (Array.Exists(call.Node.Outputs[1..], output => output.Length > 0 && _shapes.Calls.Any(other => other.Node.Inputs.Contains(output))) && call.Node.Operator != "Split")
            return false;
        if (ShapeOperators.KeepsOrder(call.Node.Operator) || (call.Node.Operator == "Cast" && call.Input(0).Element == TensorElement.Float))
            return Rename(node);
        switch (call.Node.Operator)
        {
            case "Conv":
                return Convolution(node);
            case "ConvTranspose":
                return Transposed(node);
            case "Gemm" or "MatMul":
                return Product(node);
            case "BatchNormalization":
                return ScaleShift(node);
            case "Add" or "Sub" or "Mul" or "Div" or "Sum":
                return Fusion.Combines(call) ? Combine(node) : node.Scale is not null && ScaleShift(node);
            case "MaxPool" or "AveragePool":
                return Pool(node);
            case "GlobalAveragePool" or "GlobalMaxPool":
                return GlobalPool(node, call.Node.Operator == "GlobalMaxPool");
            case "ReduceMean":
                return ReducesMaps(call) && GlobalPool(node, largest: false);
            case "Concat":
                return Join(node);
            case "Pad":
                return Pad(node);
            case "Transpose":
                return Transpose(node);
            case "Softmax":
                return Softmax(node);
            case "LRN":
                return LocalNormalisation(node);
            case "InstanceNormalization":
                return InstanceNormalisation(node);
            default:
                return Fusion.ActivationOf(call) is { } activation && Activate(node, activation);
        }
    }

    private PlanValue Value(string name) => _values[name];

    private PlanValue Define(string name) => Define(name, new PlanStorage());

    private PlanValue Define(string name, PlanStorage storage)
    {
        PlanValue value = new(_shapes.Fact(name).Shape, storage);
        _values.Add(name, value);
        return value;
    }

    private void Emit(string name, PlanAction run, params PlanSlot[] slots) => _steps.Add(new KernelStep(run) { Name = name, Slots = slots });

    /// <summary>A value as maps; converted once where it is rows.</summary>
    private PlanSlot MapsOf(PlanValue value, bool interleaved = false)
    {
        PlanStorage storage = value.Storage;
        if (storage.Maps is null)
        {
            (int images, int channels, int height, int width) = value.Images!.Value;
            PlanSlot maps = PlanSlot.OfMaps(images, channels, height, width);
            if (storage.IsInput)
            {
                Emit("to blocks", (in PlanData data) => ImageLayout.FromNchw(data.Input, maps.Maps(data.Memory), data.Pool), maps);
            }
            else
            {
                PlanSlot rows = storage.Rows!;
                Emit("to blocks", (in PlanData data) => ImageLayout.FromNchw(rows.Rows(data.Memory), maps.Maps(data.Memory), data.Pool), rows, maps);
            }

            storage.Maps = maps;
            if (channels <= BlockedImages.MostInterleaved)
                _interleaved.Add(maps);
        }

        if (!interleaved)
            _interleaved.Remove(storage.Maps);
        return storage.Maps;
    }

    /// <summary>A value as rows; converted once where it is maps.</summary>
    private PlanSlot RowsOf(PlanValue value)
    {
        PlanStorage storage = value.Storage;
        if (storage.Rows is null)
        {
            PlanSlot rows = PlanSlot.OfRows(TensorShape.LongCount(value.Shape));
            if (storage.IsInput)
            {
                Emit("copy", (in PlanData data) => Buffer.MemoryCopy(data.Input, rows.Rows(data.Memory), rows.Count * sizeof(float), rows.Count * sizeof(float)), rows);
            }
            else
            {
                PlanSlot maps = storage.Maps!;
                _interleaved.Remove(maps);
                Emit("to rows", (in PlanData data) => ImageLayout.ToNchw(maps.Maps(data.Memory), rows.Rows(data.Memory), data.Pool), maps, rows);
            }

            storage.Rows = rows;
        }

        return storage.Rows;
    }

    private static PlanSlot NewMaps(PlanValue value)
    {
        (int images, int channels, int height, int width) = value.Images!.Value;
        return value.Storage.Maps = PlanSlot.OfMaps(images, channels, height, width);
    }

    private static PlanSlot NewRows(PlanValue value) => value.Storage.Rows = PlanSlot.OfRows(TensorShape.LongCount(value.Shape));

    /// <summary>The same elements under another name, and maybe in another shape.</summary>
    private bool Rename(FusedNode node)
    {
        PlanValue from = Value(node.Call.Node.Inputs[0]);
        PlanValue value = new(node.Call.Outputs[0].Shape, from.Storage);
        if (value.Images != from.Images)
            value = new PlanValue(value.Shape, from.Storage.IsInput ? new PlanStorage { IsInput = true } : new PlanStorage { Rows = RowsOf(from) });
        _values.Add(node.Output, value);
        return true;
    }

    /// <summary>The interpreter's loops, on rows.</summary>
    private void Interpret(FusedNode node)
    {
        OperatorCall call = node.Call;
        List<PlanSlot> slots = [];
        PlainPlace[] inputs = Array.ConvertAll(call.Node.Inputs, name =>
        {
            if (name.Length == 0)
                return new PlainPlace([]);
            if (_shapes.Fact(name).IsConstant)
                return new PlainPlace([], Constant: _shapes.Constant(name));
            PlanValue value = Value(name);
            if (value.Storage.Object >= 0)
                return new PlainPlace(value.Shape, Object: value.Storage.Object);
            slots.Add(RowsOf(value));
            return new PlainPlace(value.Shape, slots[^1]);
        });
        PlainPlace[] outputs = Array.ConvertAll(call.Node.Outputs, name =>
        {
            if (name.Length == 0)
                return new PlainPlace([]);
            GraphFact fact = _shapes.Fact(name);
            if (fact.Element != TensorElement.Float)
                return new PlainPlace(fact.Shape, Object: Define(name, new PlanStorage { Object = _objects++ }).Storage.Object);
            slots.Add(NewRows(Define(name)));
            return new PlainPlace(fact.Shape, slots[^1]);
        });
        _steps.Add(new PlainStep
        {
            Name = call.Node.Operator,
            Slots = [.. slots],
            Shapes = _shapes,
            Call = call,
            Inputs = inputs,
            Outputs = outputs,
            MaximumElements = _options.MaximumMemory / sizeof(float),
        });
    }

    /// <summary>Lets a step write over what it reads last, which halves what passes through the caches.</summary>
    private static void Reuse(PlanStep step, int index)
    {
        if (step.Reusable is not { Whole: null, CanJoin: true, Lanes: BlockedImages.Block } read || read.Life.Last != index)
            return;
        PlanSlot written = step.Slots[^1];
        bool alone = step.Slots.Count(slot => slot.Root() == read) == 1;
        if (alone && written.Images == read.Images && written.Channels == read.Channels && written.Height == read.Height && written.Width == read.Width)
            read.Join(written, 0);
    }

    /// <summary>Lifetimes, shared channels, halos and offsets of all slots.</summary>
    private void Lay(PlanSlot last, out nint floats)
    {
        foreach (PlanSlot maps in _interleaved)
            maps.Lanes = maps.Channels;
        for (int i = 0; i < _steps.Count; i++)
        {
            foreach (PlanSlot slot in _steps[i].Slots)
                slot.Use(i);
        }

        last.Use(_steps.Count);
        foreach (JoinStep join in _steps.OfType<JoinStep>())
            join.Join();
        for (int i = 0; i < _steps.Count; i++)
            Reuse(_steps[i], i);
        List<PlanSlot> roots = [.. _steps.SelectMany(step => step.Slots).Append(last).Select(slot => slot.Root()).Distinct()];
        floats = PlanLayout.Place(roots);
        foreach (PlanSlot root in roots)
        {
            if (root.IsMaps && root.Halo != default)
                _steps[root.Life.First].ToClear.Add(root);
        }
    }
}
