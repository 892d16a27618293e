using System.Globalization;

namespace EmbeddingKernels;

/// <summary>
/// Reads ONNX models and tensors (onnx.proto, IR versions 3 and later). Weights are not read but noted, where they stand as
/// little-endian bytes; the memory taken is bounded by the file's length.
/// </summary>
internal sealed class OnnxReader
{
    private const int OldestOpset = 6;
    private const int NewestOpset = 25;

    private readonly WireReader _wire;
    private readonly Dictionary<string, WeightFile> _files;
    private readonly List<NetworkNode> _nodes = [];
    private readonly List<GraphValue> _inputs = [];
    private readonly List<GraphValue> _outputs = [];
    private readonly Dictionary<string, GraphTensor> _constants = new(StringComparer.Ordinal);

    private OnnxReader(WeightFile file, Dictionary<string, WeightFile> files)
    {
        _wire = new WireReader(file);
        _files = files;
    }

    /// <summary>Reads a model.</summary>
    /// <param name="file">The file, which the graph's constants keep using.</param>
    /// <param name="files">Gets the files of weights that the model names, by path; the caller disposes them.</param>
    /// <param name="fixedInputs">Inputs that become constants.</param>
    public static NetworkGraph Read(WeightFile file, Dictionary<string, WeightFile> files, IReadOnlyDictionary<string, GraphTensor>? fixedInputs = null)
    {
        OnnxReader reader = new(file, files);
        foreach ((string name, GraphTensor tensor) in fixedInputs ?? new Dictionary<string, GraphTensor>())
            reader._constants.Add(name, tensor);
        return reader.Model();
    }

    /// <summary>Reads a file that holds one tensor (TensorProto).</summary>
    public static GraphTensor ReadTensor(WeightFile file) => new OnnxReader(file, []).Tensor().Tensor;

    private NetworkGraph Model()
    {
        int opset = 0;
        bool found = false;
        while (_wire.Next(out int field, out WireKind kind))
        {
            if (field is not (7 or 8))
            {
                _wire.Skip(kind);
                continue;
            }

            long outer = _wire.Enter(kind);
            if (field == 7)
            {
                if (found)
                    _wire.Throw("the model has two graphs");
                found = true;
                Graph();
            }
            else
            {
                (string domain, long version) = OperatorSet();
                if (domain is "" or "ai.onnx")
                    opset = version is >= OldestOpset and <= NewestOpset ? (int)version
                        : throw new NotSupportedException($"{_wire.File.Path}: operator set {version} is not supported; {OldestOpset} to {NewestOpset} are.");
            }

            _wire.Leave(outer);
        }

        if (!found)
            _wire.Throw("there is no graph in it: this is no ONNX model");
        if (opset == 0)
            _wire.Throw("the model does not say which operator set it uses");
        return new NetworkGraph(_wire.File.Path, opset, _nodes, _inputs, _outputs, _constants);
    }

    private (string Domain, long Version) OperatorSet()
    {
        (string domain, long version) = ("", 0);
        while (_wire.Next(out int field, out WireKind kind))
        {
            if (field == 1)
                domain = _wire.Text(kind);
            else if (field == 2 && kind == WireKind.Varint)
                version = (long)_wire.Varint();
            else
                _wire.Skip(kind);
        }

        return (domain, version);
    }

    private void Graph()
    {
        while (_wire.Next(out int field, out WireKind kind))
        {
            if (field == 15)
                throw new NotSupportedException($"{_wire.File.Path}: sparse weights are not supported.");
            if (field is not (1 or 5 or 11 or 12))
            {
                _wire.Skip(kind);
                continue;
            }

            long outer = _wire.Enter(kind);
            switch (field)
            {
                case 1:
                    _nodes.Add(Node());
                    break;
                case 5:
                    (string name, GraphTensor tensor) = Tensor();
                    if (!_constants.TryAdd(name, tensor))
                        _wire.Throw($"weight '{name}' is there twice");
                    break;
                case 11:
                    _inputs.Add(Value());
                    break;
                default:
                    _outputs.Add(Value());
                    break;
            }

            _wire.Leave(outer);
        }
    }

    private NetworkNode Node()
    {
        List<string> inputs = [];
        List<string> outputs = [];
        (string name, string type, string domain) = ("", "", "");
        Dictionary<string, NodeAttribute> attributes = new(StringComparer.Ordinal);
        while (_wire.Next(out int field, out WireKind kind))
        {
            switch (field)
            {
                case 1:
                    inputs.Add(_wire.Text(kind));
                    break;
                case 2:
                    outputs.Add(_wire.Text(kind));
                    break;
                case 3:
                    name = _wire.Text(kind);
                    break;
                case 4:
                    type = _wire.Text(kind);
                    break;
                case 5:
                    long outer = _wire.Enter(kind);
                    (string key, NodeAttribute attribute) = Attribute();
                    if (!attributes.TryAdd(key, attribute))
                        _wire.Throw($"attribute '{key}' of '{name}' is there twice");
                    _wire.Leave(outer);
                    break;
                case 7:
                    domain = _wire.Text(kind);
                    break;
                default:
                    _wire.Skip(kind);
                    break;
            }
        }

        return new NetworkNode
        {
            Name = name,
            Operator = type,
            Domain = domain == "ai.onnx" ? "" : domain,
            Inputs = [.. inputs],
            Outputs = [.. outputs],
            Attributes = attributes,
        };
    }

    private (string Name, NodeAttribute Attribute) Attribute()
    {
        string name = "";
        long? integer = null;
        float? number = null;
        string? text = null;
        GraphTensor? tensor = null;
        List<long> integers = [];
        List<float> floats = [];
        long type = 0;
        while (_wire.Next(out int field, out WireKind kind))
        {
            switch (field)
            {
                case 1:
                    name = _wire.Text(kind);
                    break;
                case 2 when kind == WireKind.Fixed32:
                    number = BitConverter.UInt32BitsToSingle(_wire.Fixed32());
                    break;
                case 3 when kind == WireKind.Varint:
                    integer = (long)_wire.Varint();
                    break;
                case 4:
                    text = _wire.Text(kind);
                    break;
                case 5:
                    long outer = _wire.Enter(kind);
                    tensor = Tensor().Tensor;
                    _wire.Leave(outer);
                    break;
                case 7:
                    Floats(kind, floats);
                    break;
                case 8:
                    Varints(kind, integers);
                    break;
                case 20 when kind == WireKind.Varint:
                    type = (long)_wire.Varint();
                    break;
                default:
                    _wire.Skip(kind);
                    break;
            }
        }

        // Values of 0 may be left out of the file, so the type says what is meant; files older than it have none.
        return (name, new NodeAttribute
        {
            Integer = type == 2 ? integer ?? 0 : integer,
            Float = type == 1 ? number ?? 0 : number,
            Text = type == 3 ? text ?? "" : text,
            Tensor = tensor,
            Integers = type == 7 || integers.Count > 0 ? [.. integers] : null,
            Floats = type == 6 || floats.Count > 0 ? [.. floats] : null,
        });
    }

    private GraphValue Value()
    {
        string name = "";
        TensorElement element = TensorElement.Undefined;
        List<int>? shape = null;
        while (_wire.Next(out int field, out WireKind kind))
        {
            if (field == 1)
            {
                name = _wire.Text(kind);
                continue;
            }

            if (field != 2)
            {
                _wire.Skip(kind);
                continue;
            }

            long type = _wire.Enter(kind);
            while (_wire.Next(out int typeField, out WireKind typeKind))
            {
                if (typeField != 1)
                {
                    _wire.Skip(typeKind);
                    continue;
                }

                long tensor = _wire.Enter(typeKind);
                TensorType(ref element, ref shape);
                _wire.Leave(tensor);
            }

            _wire.Leave(type);
        }

        return new GraphValue(name, element == TensorElement.Undefined ? TensorElement.Float : element.Computed(), shape?.ToArray());
    }

    private void TensorType(ref TensorElement element, ref List<int>? shape)
    {
        while (_wire.Next(out int field, out WireKind kind))
        {
            if (field == 1 && kind == WireKind.Varint)
            {
                element = (TensorElement)(int)_wire.Varint();
                continue;
            }

            if (field != 2)
            {
                _wire.Skip(kind);
                continue;
            }

            shape = [];
            long outer = _wire.Enter(kind);
            while (_wire.Next(out int dimension, out WireKind dimensionKind))
            {
                if (dimension != 1)
                {
                    _wire.Skip(dimensionKind);
                    continue;
                }

                long inner = _wire.Enter(dimensionKind);
                shape.Add(Dimension());
                _wire.Leave(inner);
            }

            _wire.Leave(outer);
        }
    }

    private int Dimension()
    {
        int extent = -1;
        while (_wire.Next(out int field, out WireKind kind))
        {
            if (field == 1 && kind == WireKind.Varint)
                extent = (long)_wire.Varint() is >= 0 and <= int.MaxValue and long value ? (int)value : -1;
            else
                _wire.Skip(kind);
        }

        return extent == 0 ? -1 : extent; // some exporters write an open extent as 0
    }

    private (string Name, GraphTensor Tensor) Tensor()
    {
        string name = "";
        List<long> extents = [];
        TensorElement element = TensorElement.Undefined;
        (long offset, long length) raw = (-1, 0);
        List<long>? integers = null;
        List<float>? floats = null;
        (long offset, long length) packed = (-1, 0);
        Dictionary<string, string> external = new(StringComparer.Ordinal);
        bool isExternal = false;
        while (_wire.Next(out int field, out WireKind kind))
        {
            switch (field)
            {
                case 1:
                    Varints(kind, extents);
                    break;
                case 2 when kind == WireKind.Varint:
                    element = (TensorElement)(int)_wire.Varint();
                    break;
                case 4 when kind == WireKind.Bytes && packed.offset < 0 && floats is null:
                    packed = Place(kind);
                    break;
                case 4:
                    if (packed.offset >= 0)
                        _wire.Throw("the numbers of a tensor are in several parts");
                    Floats(kind, floats ??= []);
                    break;
                case 5 or 7 or 11:
                    Varints(kind, integers ??= []);
                    break;
                case 8:
                    name = _wire.Text(kind);
                    break;
                case 9:
                    raw = Place(kind);
                    break;
                case 10 when kind == WireKind.Bytes && packed.offset < 0:
                    packed = Place(kind);
                    break;
                case 13:
                    long outer = _wire.Enter(kind);
                    (string key, string value) = Entry();
                    external[key] = value;
                    _wire.Leave(outer);
                    break;
                case 14 when kind == WireKind.Varint:
                    isExternal = _wire.Varint() == 1;
                    break;
                default:
                    _wire.Skip(kind);
                    break;
            }
        }

        int[] shape = Shape(name, extents);
        long count = TensorShape.LongCount(shape);
        int size = element.Bytes();
        if (size == 0)
            throw new NotSupportedException($"{_wire.File.Path}: tensor '{name}' has elements of type {(int)element}, which is not supported.");
        if (isExternal)
            return (name, External(name, element, shape, count, size, external));
        if (raw.offset < 0 && element is TensorElement.Float or TensorElement.Double)
            raw = packed;
        if (raw.offset >= 0 && integers is null && floats is null)
        {
            if (count != raw.length / size || raw.length % size != 0)
                _wire.Throw($"tensor '{name}' of shape {TensorShape.Text(shape)} has {raw.length} bytes");
            return (name, new GraphTensor(element, shape, _wire.File, raw.offset));
        }

        int given = element == TensorElement.Float ? floats?.Count ?? 0 : integers?.Count ?? 0;
        if (given != count)
            _wire.Throw($"tensor '{name}' of shape {TensorShape.Text(shape)} has {given} elements");
        if (element == TensorElement.Float)
            return (name, new GraphTensor(PlainTensor.Of(shape, [.. floats ?? []])));
        if (element == TensorElement.Float16)
            return (name, new GraphTensor(PlainTensor.Of(shape, [.. (integers ?? []).Select(x => (float)BitConverter.UInt16BitsToHalf((ushort)x))])));
        if (element == TensorElement.BFloat16)
            return (name, new GraphTensor(PlainTensor.Of(shape, [.. (integers ?? []).Select(x => BitConverter.UInt32BitsToSingle((uint)x << 16))])));
        if (element.IsFloating())
            _wire.Throw($"tensor '{name}' has its numbers in a form that is not that of {element}");
        return (name, new GraphTensor(PlainTensor.Of(shape, [.. (integers ?? []).Select(x => element.Wrap(x))], element)));
    }

    private int[] Shape(string name, List<long> extents)
    {
        if (extents.Count > 16)
            _wire.Throw($"tensor '{name}' has {extents.Count} axes");
        foreach (long extent in extents)
        {
            if (extent is < 0 or > int.MaxValue)
                _wire.Throw($"tensor '{name}' has an extent of {extent}");
        }

        return [.. extents.Select(extent => (int)extent)];
    }

    private GraphTensor External(string name, TensorElement element, int[] shape, long count, int size, Dictionary<string, string> external)
    {
        if (!external.TryGetValue("location", out string? location))
            _wire.Throw($"tensor '{name}' stands in another file, but which one is not said");
        if (location.Length == 0 || location is "." or ".." || location.AsSpan().IndexOfAny('/', '\\', ':') >= 0 || location.Contains('\0', StringComparison.Ordinal))
            _wire.Throw($"tensor '{name}' stands in '{location}'; only files in the model's own folder are read");
        string path = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(_wire.File.Path)) ?? "", location);
        if (!_files.TryGetValue(path, out WeightFile? file))
        {
            if (!File.Exists(path))
                _wire.Throw($"tensor '{name}' stands in '{location}', which is not beside the model");
            if (new FileInfo(path).LinkTarget is not null)
                _wire.Throw($"tensor '{name}' stands in '{location}', which is a link");
            file = new WeightFile(path);
            _files.Add(path, file);
        }

        long offset = Number(name, external, "offset", 0);
        long length = Number(name, external, "length", count <= long.MaxValue / size ? count * size : long.MaxValue);
        if (offset > file.Length || length > file.Length - offset)
            _wire.Throw($"tensor '{name}' should stand at byte {offset} of '{location}', {length} bytes long, but that file has {file.Length}");
        if (length / size != count || length % size != 0)
            _wire.Throw($"tensor '{name}' of shape {TensorShape.Text(shape)} has {length} bytes");
        return new GraphTensor(element, shape, file, offset);
    }

    private long Number(string name, Dictionary<string, string> external, string key, long missing)
    {
        if (!external.TryGetValue(key, out string? text))
            return missing;
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number))
            _wire.Throw($"the {key} of tensor '{name}' is '{text}'");
        return number;
    }

    private (string Key, string Value) Entry()
    {
        (string key, string value) = ("", "");
        while (_wire.Next(out int field, out WireKind kind))
        {
            if (field == 1)
                key = _wire.Text(kind);
            else if (field == 2)
                value = _wire.Text(kind);
            else
                _wire.Skip(kind);
        }

        return (key, value);
    }

    private (long Offset, long Length) Place(WireKind kind)
    {
        long outer = _wire.Enter(kind);
        (long, long) place = (_wire.Position, _wire.Remaining);
        _wire.Leave(outer);
        return place;
    }

    private void Varints(WireKind kind, List<long> numbers)
    {
        if (kind == WireKind.Varint)
        {
            numbers.Add((long)_wire.Varint());
            return;
        }

        long outer = _wire.Enter(kind);
        while (_wire.Remaining > 0)
            numbers.Add((long)_wire.Varint());
        _wire.Leave(outer);
    }

    private void Floats(WireKind kind, List<float> numbers)
    {
        if (kind == WireKind.Fixed32)
        {
            numbers.Add(BitConverter.UInt32BitsToSingle(_wire.Fixed32()));
            return;
        }

        long outer = _wire.Enter(kind);
        while (_wire.Remaining > 0)
            numbers.Add(BitConverter.UInt32BitsToSingle(_wire.Fixed32()));
        _wire.Leave(outer);
    }
}
