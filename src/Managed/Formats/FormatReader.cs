using System.Diagnostics.CodeAnalysis;

namespace EmbeddingKernels;

/// <summary>
/// Reads a file or stream of one of the formats: unpacks .gz, counts bytes, knows how much there can be at most, and
/// turns every defect into a <see cref="DataFormatException"/> that says where.
/// </summary>
internal sealed class FormatReader : IDisposable
{
    // The best that deflate can do: 258 bytes for a quarter of a byte.
    private const long MaximumInflation = 1032;
    private const int BufferBytes = 256 << 10;

    private readonly Stream _stream;
    private readonly FileStream? _file;
    private readonly long? _end;
    private byte[] _buffer = [];
    private int _start;
    private int _filled;
    private long _consumed;

    /// <summary>Opens a file; unpacks it if its name ends in .gz.</summary>
    public FormatReader(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        bool gzip = AtomicFile.IsGzip(path);
        Name = path;
        _file = file;
        _stream = gzip ? new GunzipStream(file) : file;
        if (!file.CanSeek)
            return;
        _end = gzip ? file.Length * MaximumInflation : file.Length;
        LengthIsExact = !gzip;
    }

    /// <summary>Reads on from where <paramref name="stream"/> stands and leaves it open.</summary>
    public FormatReader(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (!stream.CanRead)
            throw new ArgumentException("The stream cannot be read.", nameof(stream));
        Name = stream is FileStream { Name.Length: > 0 } file ? file.Name : "stream";
        _stream = stream;
        if (!stream.CanSeek)
            return;
        _end = stream.Length - stream.Position;
        LengthIsExact = true;
    }

    public string Name { get; }

    /// <summary>Unpacked bytes that were taken so far.</summary>
    public long Position => _consumed;

    /// <summary>Whether <see cref="RemainingAtMost"/> is the true number and not only a bound.</summary>
    public bool LengthIsExact { get; }

    /// <summary>No more than this many bytes can follow; null where that is unknown.</summary>
    public long? RemainingAtMost => _end - _consumed;

    /// <summary>How much of the source was read, 0 to 1; 0 where its length is unknown.</summary>
    public double Progress =>
        _file is { CanSeek: true, Length: > 0 } ? (double)_file.Position / _file.Length
        : _file is null && _end > 0 ? (double)_consumed / _end.Value
        : 0;

    /// <summary>The bytes that are buffered and not taken yet.</summary>
    public ReadOnlySpan<byte> Buffered => _buffer.AsSpan(_start, _filled - _start);

    /// <summary>Takes <paramref name="count"/> bytes of <see cref="Buffered"/>.</summary>
    public void Advance(int count)
    {
        _start += count;
        _consumed += count;
    }

    /// <summary>Adds to <see cref="Buffered"/>; false at the end of the data, or where the buffer is full.</summary>
    public bool Fill()
    {
        if (_buffer.Length == 0)
            _buffer = new byte[(int)Math.Clamp(RemainingAtMost + 1 ?? BufferBytes, 1, BufferBytes)];
        if (_start > 0)
        {
            Buffered.CopyTo(_buffer);
            _filled -= _start;
            _start = 0;
        }

        int read = _filled < _buffer.Length ? Read(_buffer.AsSpan(_filled)) : 0;
        _filled += read;
        return read > 0;
    }

    /// <summary>Takes exactly as many bytes as <paramref name="destination"/> holds, past the buffer where it can.</summary>
    public void ReadExactly(Span<byte> destination, string what, long? row = null)
    {
        int had = Math.Min(destination.Length, _filled - _start);
        _buffer.AsSpan(_start, had).CopyTo(destination);
        Advance(had);
        int wanted = destination.Length;
        int done = had;
        while (done < wanted)
        {
            int read = Read(destination[done..]);
            if (read == 0)
                throw Fail($"the data ends inside {what}: {wanted - done} of {wanted} bytes are missing", row);
            done += read;
            _consumed += read;
        }
    }

    /// <summary>
    /// Shows what follows up to <paramref name="end"/> without taking it; to the end of the data where it does not come.
    /// </summary>
    /// <param name="end">The byte to look for.</param>
    /// <param name="maximum">Stop looking after this many bytes.</param>
    /// <param name="found">Whether <paramref name="end"/> follows the returned bytes.</param>
    /// <returns>At most <paramref name="maximum"/> bytes, valid until the next call.</returns>
    public ReadOnlySpan<byte> PeekTo(byte end, int maximum, out bool found)
    {
        int searched = 0;
        while (true)
        {
            int length = Buffered[searched..].IndexOf(end);
            found = length >= 0 && searched + length <= maximum;
            if (found)
                return Buffered[..(searched + length)];
            searched = Buffered.Length;
            if (searched >= maximum)
                return Buffered[..maximum];
            if (searched == _buffer.Length && searched > 0)
                Array.Resize(ref _buffer, (int)Math.Min(2L * searched, Array.MaxLength));
            if (!Fill())
                return Buffered;
        }
    }

    /// <summary>Takes a line without its end ("\n", "\r\n", or the end of the data); false where nothing follows.</summary>
    /// <param name="maximum">A longer line is an error.</param>
    /// <param name="line">Valid until the next call.</param>
    /// <param name="row">The line's number for the message.</param>
    public bool TryReadLine(int maximum, out ReadOnlySpan<byte> line, long? row = null)
    {
        line = PeekTo((byte)'\n', maximum, out bool found);
        if (!found && line.Length >= maximum)
            Throw($"the line does not end within {maximum} bytes", row);
        Advance(line.Length + (found ? 1 : 0));
        bool any = found || line.Length > 0;
        if (line.Length > 0 && line[^1] == '\r')
            line = line[..^1];
        return any;
    }

    /// <summary>Throws if data follows.</summary>
    public void ExpectEnd(string after)
    {
        if (Buffered.IsEmpty && !Fill())
            return;
        throw Fail($"more data follows after {after}");
    }

    /// <summary>Throws if <paramref name="bytes"/> bytes cannot follow.</summary>
    public void ExpectAtLeast(UInt128 bytes, string what)
    {
        if (RemainingAtMost is long most && bytes > (UInt128)Math.Max(most, 0))
            throw Fail($"{what} need {bytes} bytes, but {(LengthIsExact ? "only" : "no more than")} {most} follow");
    }

    public DataFormatException Fail(string reason, long? row = null, Exception? inner = null) => new(Name, Position, row, reason, inner);

    [DoesNotReturn]
    public void Throw(string reason, long? row = null) => throw Fail(reason, row);

    public void Dispose()
    {
        if (_file is not null)
            _stream.Dispose();
    }

    private int Read(Span<byte> destination)
    {
        try
        {
            return _stream.Read(destination);
        }
        catch (InvalidDataException exception)
        {
            throw Fail($"the packed data is damaged: {exception.Message}", null, exception);
        }
    }
}
