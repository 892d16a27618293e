using System.Buffers.Binary;

namespace EmbeddingKernels;

/// <summary>The bytes of one picture's file, and where a defect is said to be.</summary>
internal sealed class ImageBytes(string name, byte[] data, long maximumPixels)
{
    public byte[] Data { get; } = data;

    public int Length => Data.Length;

    public DataFormatException Fail(int offset, string reason, Exception? inner = null) => new(name, offset, null, reason, inner);

    /// <summary>The bytes from <paramref name="offset"/> on, or an error that names what they should have been.</summary>
    public ReadOnlySpan<byte> Slice(int offset, int count, string what) =>
        offset <= Length - count
            ? Data.AsSpan(offset, count)
            : throw Fail(Length, $"the file ends inside {what}: {count - Math.Max(0, Length - offset)} of {count} bytes are missing");

    public int U16Big(int offset, string what) => BinaryPrimitives.ReadUInt16BigEndian(Slice(offset, 2, what));

    /// <summary>Refuses sizes of nothing and sizes above the caller's limit, before memory is taken for them.</summary>
    public void CheckSize(int offset, long width, long height)
    {
        if (width < 1 || height < 1)
            throw Fail(offset, $"a picture of {width} x {height} pixels");
        if (width > int.MaxValue || height > int.MaxValue || width > maximumPixels / height || width * height > Picture.MostPixels)
            throw Fail(offset, $"{width} x {height} pixels are more than the limit of {Math.Min(maximumPixels, Picture.MostPixels):N0}");
    }

    /// <summary>Refuses a picture whose coded data, even packed as well as the format can, would be longer than what is there.</summary>
    public void CheckPossible(int offset, long least, long available)
    {
        if (least > available)
            throw Fail(offset, $"a picture of this size takes {least} bytes or more, and {available} are there");
    }
}
