namespace EmbeddingKernels.Tests;

/// <summary>A stream as from a pipe: its length is unknown, and it delivers a few bytes at a time.</summary>
internal sealed class OneWayStream(byte[] bytes, int atMost = 4096) : ForwardStream
{
    private int _position;

    public override int Read(Span<byte> buffer)
    {
        int now = Math.Min(Math.Min(buffer.Length, atMost), bytes.Length - _position);
        bytes.AsSpan(_position, now).CopyTo(buffer);
        _position += now;
        return now;
    }
}
