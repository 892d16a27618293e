namespace EmbeddingKernels.Tests;

/// <summary>A stream as from a pipe: its length is unknown, and it delivers a few bytes at a time.</summary>
internal sealed class OneWayStream(byte[] bytes, int atMost = 4096) : Stream
{
    private int _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        int now = Math.Min(Math.Min(count, atMost), bytes.Length - _position);
        bytes.AsSpan(_position, now).CopyTo(buffer.AsSpan(offset));
        _position += now;
        return now;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
