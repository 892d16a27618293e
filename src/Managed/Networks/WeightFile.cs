using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace EmbeddingKernels;

/// <summary>
/// A file of which parts are read when they are wanted. Weights stay in it until a plan packs them, so that they are in
/// memory once.
/// </summary>
internal sealed class WeightFile : IDisposable
{
    private readonly SafeFileHandle _handle;

    public WeightFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Path = path;
        _handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        Length = RandomAccess.GetLength(_handle);
    }

    public string Path { get; }

    public long Length { get; }

    /// <summary>Fills <paramref name="destination"/> from <paramref name="offset"/> on.</summary>
    public void Read(long offset, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            int read = RandomAccess.Read(_handle, destination, offset);
            if (read == 0)
                throw new DataFormatException(Path, offset, null, $"the file ends {destination.Length} bytes early: it was shortened since it was opened");
            destination = destination[read..];
            offset += read;
        }
    }

    public void Dispose() => _handle.Dispose();
}

/// <summary>A constant of a graph: its elements stand in a file, or in memory where they are few or were computed.</summary>
internal sealed unsafe class GraphTensor
{
    private const int ChunkBytes = 1 << 20;

    private readonly PlainTensor? _plain;
    private readonly WeightFile? _file;
    private readonly long _offset;
    private readonly TensorElement _stored;

    public GraphTensor(PlainTensor plain)
    {
        _plain = plain;
        Element = plain.Element;
        Shape = plain.Shape;
    }

    /// <summary>Little-endian elements from <paramref name="offset"/> on; the caller has checked that the file holds them.</summary>
    public GraphTensor(TensorElement element, int[] shape, WeightFile file, long offset)
    {
        _stored = element;
        Element = element.Computed();
        Shape = shape;
        _file = file;
        _offset = offset;
    }

    /// <summary>As what it is computed.</summary>
    public TensorElement Element { get; }

    public int[] Shape { get; }

    public long Count => TensorShape.LongCount(Shape);

    /// <summary>All elements.</summary>
    public PlainTensor Load()
    {
        if (_plain is not null)
            return _plain;
        PlainTensor tensor = new(Element, Shape);
        if (Element.IsFloating())
            ReadFloats(tensor.Floats);
        else
            ReadIntegers(tensor.Integers);
        return tensor;
    }

    /// <summary>All elements of a floating tensor, to memory that holds <see cref="Count"/> of them.</summary>
    public void ReadFloats(float* destination)
    {
        long done = 0;
        for (long left = Count; left > 0;)
        {
            int count = (int)Math.Min(left, 1 << 28);
            ReadFloats(new Span<float>(destination + done, count), done);
            done += count;
            left -= count;
        }
    }

    private void ReadFloats(Span<float> destination, long first = 0)
    {
        if (_plain is not null)
        {
            _plain.ToFloats().AsSpan((int)first, destination.Length).CopyTo(destination);
            return;
        }

        int size = _stored.Bytes();
        if (_stored == TensorElement.Float)
        {
            _file!.Read(_offset + (first * size), MemoryMarshal.AsBytes(destination));
            return;
        }

        byte[] chunk = new byte[Math.Min((long)ChunkBytes, (long)destination.Length * size)];
        for (int done = 0; done < destination.Length;)
        {
            int count = Math.Min(chunk.Length / size, destination.Length - done);
            ReadOnlySpan<byte> bytes = chunk.AsSpan(0, count * size);
            _file!.Read(_offset + ((first + done) * size), chunk.AsSpan(0, count * size));
            Span<float> part = destination.Slice(done, count);
            for (int i = 0; i < count; i++)
            {
                part[i] = _stored switch
                {
                    TensorElement.Float16 => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes[(i * 2)..]),
                    TensorElement.BFloat16 => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(bytes[(i * 2)..]) << 16),
                    _ => (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes[(i * 8)..]),
                };
            }

            done += count;
        }
    }

    private void ReadIntegers(Span<long> destination)
    {
        int size = Element.Bytes();
        byte[] chunk = new byte[Math.Min((long)ChunkBytes, (long)destination.Length * size)];
        for (int done = 0; done < destination.Length;)
        {
            int count = Math.Min(chunk.Length / size, destination.Length - done);
            _file!.Read(_offset + ((long)done * size), chunk.AsSpan(0, count * size));
            for (int i = 0; i < count; i++)
                destination[done + i] = Integer(chunk.AsSpan(i * size, size));
            done += count;
        }
    }

    private long Integer(ReadOnlySpan<byte> bytes) => Element switch
    {
        TensorElement.UInt8 => bytes[0],
        TensorElement.Bool => bytes[0] == 0 ? 0 : 1,
        TensorElement.Int8 => (sbyte)bytes[0],
        TensorElement.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        TensorElement.Int16 => BinaryPrimitives.ReadInt16LittleEndian(bytes),
        TensorElement.Int32 => BinaryPrimitives.ReadInt32LittleEndian(bytes),
        TensorElement.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        _ => BinaryPrimitives.ReadInt64LittleEndian(bytes),
    };
}
