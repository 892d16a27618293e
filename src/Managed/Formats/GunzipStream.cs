using System.IO.Compression;

namespace EmbeddingKernels;

/// <summary>
/// Unpacks gzip and notices a missing end. GZipStream takes data that is cut short for its end, so a member of our own is
/// appended to the packed data: only if it comes out whole at the end did everything before it end properly.
/// </summary>
internal sealed class GunzipStream : ForwardStream
{
    private const int BufferBytes = 64 << 10;

    private static readonly byte[] Seal = "b7f0c1e95d3a4826"u8.ToArray();
    private static readonly byte[] PackedSeal = Pack(Seal);

    private readonly GZipStream _unpacked;
    private readonly byte[] _buffer = new byte[BufferBytes];
    private int _start;
    private int _filled;
    private bool _ended;

    /// <summary>Takes over <paramref name="packed"/>.</summary>
    public GunzipStream(Stream packed) => _unpacked = new GZipStream(new SealedStream(packed), CompressionMode.Decompress);

    /// <exception cref="InvalidDataException">The packed data is damaged or cut short.</exception>
    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty)
            return 0;

        while (_filled - _start <= Seal.Length && !_ended)
        {
            _buffer.AsSpan(_start, _filled - _start).CopyTo(_buffer);
            _filled -= _start;
            _start = 0;
            int read = _unpacked.Read(_buffer, _filled, _buffer.Length - _filled);
            _filled += read;
            _ended = read == 0;
            if (_ended && !_buffer.AsSpan(0, _filled).SequenceEqual(Seal))
                throw new InvalidDataException("it is cut short, or followed by something else");
        }

        int now = Math.Min(buffer.Length, _filled - _start - Seal.Length);
        _buffer.AsSpan(_start, now).CopyTo(buffer);
        _start += now;
        return now;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _unpacked.Dispose();
        base.Dispose(disposing);
    }

    private static byte[] Pack(byte[] bytes)
    {
        using MemoryStream packed = new();
        using (GZipStream stream = new(packed, CompressionLevel.Fastest))
            stream.Write(bytes);
        return packed.ToArray();
    }

    /// <summary>The packed data and then the seal.</summary>
    private sealed class SealedStream(Stream packed) : ForwardStream
    {
        private int _sealed;

        public override int Read(Span<byte> buffer)
        {
            int read = _sealed == 0 ? packed.Read(buffer) : 0;
            if (read > 0 || buffer.IsEmpty)
                return read;
            int now = Math.Min(buffer.Length, PackedSeal.Length - _sealed);
            PackedSeal.AsSpan(_sealed, now).CopyTo(buffer);
            _sealed += now;
            return now;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                packed.Dispose();
            base.Dispose(disposing);
        }
    }
}
