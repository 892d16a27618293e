using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace EmbeddingKernels;

/// <summary>How a field of a protocol buffer is encoded.</summary>
internal enum WireKind
{
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// <summary>
/// Walks the fields of a protocol buffer in a file. Written here because what ONNX needs is this much, and because a
/// general reader would copy weights of gigabytes, or stop at 2 GiB, where this one notes their place and skips them.
/// </summary>
/// <remarks>A message is entered and left by hand, so that nesting in the file is no recursion here.</remarks>
internal sealed class WireReader(WeightFile file)
{
    // A name longer than this is no name.
    private const int MaximumText = 1 << 16;

    private readonly byte[] _buffer = new byte[1 << 16];
    private long _bufferStart;
    private int _filled;

    public WeightFile File { get; } = file;

    /// <summary>Bytes from the start of the file.</summary>
    public long Position { get; private set; }

    /// <summary>Where the message that is being read ends.</summary>
    public long End { get; private set; } = file.Length;

    /// <summary>Bytes of the field that <see cref="Enter"/> entered, or of the message.</summary>
    public long Remaining => End - Position;

    /// <summary>Takes the tag of the next field; false at the end of the message.</summary>
    public bool Next(out int field, out WireKind kind)
    {
        (field, kind) = (0, default);
        if (Position >= End)
            return false;
        ulong tag = Varint();
        kind = (WireKind)(tag & 7);
        if (tag >> 3 is 0 or > int.MaxValue || kind is not (WireKind.Varint or WireKind.Fixed64 or WireKind.Bytes or WireKind.Fixed32))
            Throw($"{tag} is no tag of a field");
        field = (int)(tag >> 3);
        return true;
    }

    public ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte b = Byte();
            value |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80)
                return value;
        }

        Throw("a number is longer than 10 bytes");
        return 0;
    }

    public uint Fixed32()
    {
        Span<byte> bytes = stackalloc byte[4];
        ReadExactly(bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    public ulong Fixed64()
    {
        Span<byte> bytes = stackalloc byte[8];
        ReadExactly(bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    /// <summary>Goes into a field of bytes, which then is all that is seen; the result is for <see cref="Leave"/>.</summary>
    public long Enter(WireKind kind)
    {
        if (kind != WireKind.Bytes)
            Throw("a message or text is encoded as a number");
        ulong length = Varint();
        if (length > (ulong)Remaining)
            Throw($"a field claims {length} bytes, but only {Remaining} follow");
        long outer = End;
        End = Position + (long)length;
        return outer;
    }

    /// <summary>Goes behind the field that was entered.</summary>
    public void Leave(long outer)
    {
        Position = End;
        End = outer;
    }

    public string Text(WireKind kind)
    {
        long outer = Enter(kind);
        if (Remaining > MaximumText)
            Throw($"a name has {Remaining} bytes");
        byte[] bytes = new byte[Remaining];
        ReadExactly(bytes);
        Leave(outer);
        return Encoding.UTF8.GetString(bytes);
    }

    public void Skip(WireKind kind)
    {
        switch (kind)
        {
            case WireKind.Varint:
                Varint();
                break;
            case WireKind.Fixed64:
                Fixed64();
                break;
            case WireKind.Fixed32:
                Fixed32();
                break;
            default:
                Leave(Enter(kind));
                break;
        }
    }

    [DoesNotReturn]
    public void Throw(string reason) => throw new DataFormatException(File.Path, Position, null, reason);

    private byte Byte()
    {
        if (Position >= End)
            Throw("the data ends inside a field");
        int index = Index();
        Position++;
        return _buffer[index];
    }

    private void ReadExactly(Span<byte> destination)
    {
        if (destination.Length > Remaining)
            Throw("the data ends inside a field");
        while (destination.Length > 0)
        {
            int index = Index();
            int count = Math.Min(_filled - index, destination.Length);
            _buffer.AsSpan(index, count).CopyTo(destination);
            destination = destination[count..];
            Position += count;
        }
    }

    /// <summary>Where in the buffer the byte at <see cref="Position"/> stands.</summary>
    private int Index()
    {
        if (Position < _bufferStart || Position >= _bufferStart + _filled)
        {
            _bufferStart = Position;
            _filled = (int)Math.Min(_buffer.Length, File.Length - Position);
            File.Read(_bufferStart, _buffer.AsSpan(0, _filled));
        }

        return (int)(Position - _bufferStart);
    }
}
