using Microsoft.Win32.SafeHandles;

namespace EmbeddingKernels;

/// <summary>
/// A text on disk that is read in passes, never held in memory: UTF-8, words between ASCII white space, a sentence on each
/// line (or one endless line), plain or gzip (by the file's first bytes, whatever its name).
/// </summary>
/// <remarks>
/// A pass hands out blocks of about 256 KiB, by byte range from a plain file and in order from a gzip stream, to as many
/// threads as ask. A word belongs to the block in which it begins; a sentence that runs over a block's end is cut there.
/// Words of more than 1,024 bytes are ignored.
/// </remarks>
public sealed class TextCorpus
{
    internal const int BlockBytes = 256 * 1024;

    /// <summary>Longer words are ignored: a file without white space is no reason for unbounded memory.</summary>
    internal const int LongestWord = 1024;

    /// <summary>Readable bytes behind a block's last word, so that scanners may load whole vectors.</summary>
    internal const int Slack = 64;

    /// <summary>Checks that the file can be read.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is empty.</exception>
    /// <exception cref="IOException">The file is missing or cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read, or is a folder.</exception>
    public TextCorpus(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Path = path;
        using FileStream file = File.OpenRead(path);
        Length = file.Length;
        IsCompressed = file.ReadByte() == 0x1F && file.ReadByte() == 0x8B;
    }

    /// <summary>The file's path as it was given.</summary>
    public string Path { get; }

    /// <summary>The file's size in bytes (compressed, if it is).</summary>
    public long Length { get; }

    /// <summary>Whether the file is gzip.</summary>
    public bool IsCompressed { get; }

    /// <summary>Starts a pass. Any number of threads may take blocks from it.</summary>
    internal TextPass OpenPass() => IsCompressed ? new GzipPass(Path) : new FilePass(Path);

    internal static bool IsSpace(byte value) => value <= (byte)' ';
}

/// <summary>One reading of a corpus from beginning to end.</summary>
internal abstract class TextPass : IDisposable
{
    /// <summary>Bytes of the file (compressed, if it is) that have been taken so far.</summary>
    public abstract long Position { get; }

    /// <summary>
    /// Fills <paramref name="block"/> with the next whole words; false at the end. A block may hold no word.
    /// </summary>
    public abstract bool TryRead(TextBlock block);

    public abstract void Dispose();
}

/// <summary>Memory for one block of text; each thread has its own.</summary>
internal sealed class TextBlock
{
    public byte[] Bytes { get; } = GC.AllocateUninitializedArray<byte>(
        1 + TextCorpus.BlockBytes + (2 * TextCorpus.LongestWord) + TextCorpus.Slack, pinned: true);

    public int Start { get; set; }

    public int End { get; set; }
}

/// <summary>A plain file: block i is the words that begin in its i-th 256 KiB, so threads need no common state but i.</summary>
internal sealed class FilePass : TextPass
{
    private readonly SafeFileHandle _file;
    private readonly long _length;
    private long _nextBlock = -1;

    public FilePass(string path)
    {
        _file = File.OpenHandle(path);
        _length = RandomAccess.GetLength(_file);
    }

    public override long Position => Math.Min((Interlocked.Read(ref _nextBlock) + 1) * TextCorpus.BlockBytes, _length);

    public override bool TryRead(TextBlock block)
    {
        long offset = Interlocked.Increment(ref _nextBlock) * TextCorpus.BlockBytes;
        if (offset >= _length)
            return false;

        // One byte before tells whether a word runs in from the block before; a longest word behind lets the last one end.
        int before = offset == 0 ? 0 : 1;
        byte[] bytes = block.Bytes;
        int wanted = (int)Math.Min(before + TextCorpus.BlockBytes + TextCorpus.LongestWord + 1, _length - offset + before);
        int read = ReadFully(bytes.AsSpan(0, wanted), offset - before);
        int end = Math.Min(before + TextCorpus.BlockBytes, read);
        int start = before;
        if (before == 1 && !TextCorpus.IsSpace(bytes[0]))
        {
            while (start < end && !TextCorpus.IsSpace(bytes[start]))
                start++;
        }

        if (start < end)
        {
            while (end < read && !TextCorpus.IsSpace(bytes[end - 1]))
                end++;
        }

        block.Start = start;
        block.End = end;
        return true;
    }

    public override void Dispose() => _file.Dispose();

    private int ReadFully(Span<byte> destination, long offset)
    {
        int total = 0;
        while (total < destination.Length)
        {
            int read = RandomAccess.Read(_file, destination[total..], offset + total);
            if (read == 0)
                break; // the file shrank meanwhile
            total += read;
        }

        return total;
    }
}

/// <summary>A gzip stream: blocks in order, unpacked by whichever thread asks, while the others train.</summary>
internal sealed class GzipPass : TextPass
{
    private readonly FileStream _file;
    private readonly GunzipStream _stream;
    private readonly Lock _lock = new();
    private readonly byte[] _carried = new byte[TextCorpus.LongestWord + 1];
    private int _carriedBytes;
    private bool _inIgnoredWord;
    private bool _ended;

    public GzipPass(string path)
    {
        _file = File.OpenRead(path);
        _stream = new GunzipStream(_file);
    }

    public override long Position => _file.Position;

    public override bool TryRead(TextBlock block)
    {
        lock (_lock)
        {
            if (_ended)
                return false;

            byte[] bytes = block.Bytes;
            _carried.AsSpan(0, _carriedBytes).CopyTo(bytes);
            int length = _carriedBytes + _stream.ReadAtLeast(
                bytes.AsSpan(_carriedBytes, TextCorpus.BlockBytes), TextCorpus.BlockBytes, throwOnEndOfStream: false);
            _ended = length - _carriedBytes < TextCorpus.BlockBytes;
            int start = 0;
            if (_inIgnoredWord)
            {
                while (start < length && !TextCorpus.IsSpace(bytes[start]))
                    start++;
                _inIgnoredWord = start == length;
            }

            int end = length;
            while (!_ended && end > start && !TextCorpus.IsSpace(bytes[end - 1]))
                end--;
            _carriedBytes = length - end;
            if (_carriedBytes > TextCorpus.LongestWord)
            {
                _inIgnoredWord = true;
                _carriedBytes = 0;
            }

            bytes.AsSpan(end, _carriedBytes).CopyTo(_carried);
            block.Start = start;
            block.End = end;
            return true;
        }
    }

    public override void Dispose()
    {
        _stream.Dispose();
        _file.Dispose();
    }
}
