using System.Buffers.Binary;
using System.Text.Json;

namespace EmbeddingKernels;

/// <summary>
/// The tensors of a .safetensors file: 8 bytes of length, a JSON header of that length with each tensor's type, shape and
/// place, then the data. Tensors are read when they are wanted.
/// </summary>
internal static class Safetensors
{
    // The format's own limit.
    private const long MaximumHeader = 100_000_000;

    /// <summary>All tensors by name.</summary>
    public static Dictionary<string, GraphTensor> Read(WeightFile file)
    {
        Span<byte> start = stackalloc byte[8];
        if (file.Length < start.Length)
            throw Fail(file, 0, "the file is too short for a header");
        file.Read(0, start);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(start);
        if (length > MaximumHeader || length > (ulong)(file.Length - 8))
            throw Fail(file, 0, $"the header claims {length} bytes of a file of {file.Length}");
        byte[] header = new byte[length];
        file.Read(8, header);
        long data = 8 + (long)length;
        try
        {
            using JsonDocument document = JsonDocument.Parse(header);
            Dictionary<string, GraphTensor> tensors = new(StringComparer.Ordinal);
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (property.Name == "__metadata__")
                    continue;
                if (!tensors.TryAdd(property.Name, Tensor(file, data, property)))
                    throw Fail(file, 8, $"tensor '{property.Name}' is there twice");
            }

            return tensors;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException and not DataFormatException)
        {
            throw new DataFormatException(file.Path, 8, null, $"the header is no JSON of tensors: {exception.Message}", exception);
        }
    }

    private static GraphTensor Tensor(WeightFile file, long data, JsonProperty property)
    {
        string name = property.Name;
        TensorElement element = property.Value.GetProperty("dtype").GetString() switch
        {
            "F32" => TensorElement.Float,
            "F16" => TensorElement.Float16,
            "BF16" => TensorElement.BFloat16,
            "F64" => TensorElement.Double,
            "I64" => TensorElement.Int64,
            "I32" => TensorElement.Int32,
            "I16" => TensorElement.Int16,
            "I8" => TensorElement.Int8,
            "U8" => TensorElement.UInt8,
            "BOOL" => TensorElement.Bool,
            string other => throw new NotSupportedException($"{file.Path}: tensor '{name}' has elements of type {other}, which is not supported."),
            null => throw Fail(file, 8, $"tensor '{name}' has no type"),
        };
        int[] shape = [.. property.Value.GetProperty("shape").EnumerateArray().Select(extent => extent.GetInt32())];
        if (shape.Length > 16 || Array.Exists(shape, extent => extent < 0))
            throw Fail(file, 8, $"tensor '{name}' has shape {TensorShape.Text(shape)}");
        long[] place = [.. property.Value.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt64())];
        if (place.Length != 2 || place[0] < 0 || place[1] < place[0] || place[1] > file.Length - data)
            throw Fail(file, 8, $"tensor '{name}' should stand at bytes [{string.Join(", ", place)}] of {file.Length - data}");
        long bytes = place[1] - place[0];
        if (bytes / element.Bytes() != TensorShape.LongCount(shape) || bytes % element.Bytes() != 0)
            throw Fail(file, 8, $"tensor '{name}' of shape {TensorShape.Text(shape)} has {bytes} bytes");
        return new GraphTensor(element, shape, file, data + place[0]);
    }

    private static DataFormatException Fail(WeightFile file, long offset, string reason) => new(file.Path, offset, null, reason);
}
