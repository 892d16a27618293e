using System.Buffers.Binary;
using System.IO.Compression;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

/// <summary>The numeric matrices of a MATLAB file of version 5, little-endian, packed or not; columns one after another.</summary>
internal sealed class MatFile
{
    private const int Compressed = 15, Matrix = 14;

    private readonly Dictionary<string, (double[] Real, double[] Imaginary, int Rows)> _matrices = [];

    public MatFile(string relative)
    {
        byte[] bytes = File.ReadAllBytes(SharedData.Path(relative));
        for (ReadOnlySpan<byte> rest = bytes.AsSpan(128); rest.Length >= 8;)
        {
            (int type, ReadOnlySpan<byte> data) = Element(ref rest, padded: false);
            if (type == Compressed)
            {
                using ZLibStream packed = new(new MemoryStream(data.ToArray()), CompressionMode.Decompress);
                using MemoryStream unpacked = new();
                packed.CopyTo(unpacked);
                ReadOnlySpan<byte> whole = unpacked.ToArray();
                (type, data) = Element(ref whole);
            }

            if (type == Matrix)
                Add(data);
        }
    }

    public double[] Real(string name) => _matrices[name].Real;

    public double[] Imaginary(string name) => _matrices[name].Imaginary;

    public int Rows(string name) => _matrices[name].Rows;

    public int Integer(string name) => (int)_matrices[name].Real[0];

    private void Add(ReadOnlySpan<byte> data)
    {
        (_, ReadOnlySpan<byte> flags) = Element(ref data);
        (_, ReadOnlySpan<byte> dimensions) = Element(ref data);
        (_, ReadOnlySpan<byte> name) = Element(ref data);
        if (flags[0] is < 6 or > 15)
            return; // text and the like
        double[] real = Numbers(Element(ref data));
        double[] imaginary = (flags[1] & 8) != 0 ? Numbers(Element(ref data)) : [];
        _matrices[System.Text.Encoding.ASCII.GetString(name)] = (real, imaginary, BinaryPrimitives.ReadInt32LittleEndian(dimensions));
    }

    private static double[] Numbers((int Type, byte[] Data) element)
    {
        (int type, byte[] data) = element;
        int size = type switch { 1 or 2 => 1, 3 or 4 => 2, 5 or 6 or 7 => 4, _ => 8 };
        double[] numbers = new double[data.Length / size];
        for (int i = 0; i < numbers.Length; i++)
        {
            ReadOnlySpan<byte> at = data.AsSpan(i * size);
            numbers[i] = type switch
            {
                1 => (sbyte)at[0],
                2 => at[0],
                3 => BinaryPrimitives.ReadInt16LittleEndian(at),
                4 => BinaryPrimitives.ReadUInt16LittleEndian(at),
                5 => BinaryPrimitives.ReadInt32LittleEndian(at),
                6 => BinaryPrimitives.ReadUInt32LittleEndian(at),
                7 => BinaryPrimitives.ReadSingleLittleEndian(at),
                9 => BinaryPrimitives.ReadDoubleLittleEndian(at),
                _ => throw new NotSupportedException($"MATLAB element type {type}"),
            };
        }

        return numbers;
    }

    /// <summary>A tag of two integers, or, for up to four bytes of data, one of two short ones with the data behind; then zeros up to a multiple of 8.</summary>
    private static (int Type, byte[] Data) Element(ref ReadOnlySpan<byte> from, bool padded = true)
    {
        uint tag = BinaryPrimitives.ReadUInt32LittleEndian(from);
        if (tag >> 16 != 0)
        {
            byte[] small = from.Slice(4, (int)(tag >> 16)).ToArray();
            from = from[8..];
            return ((int)(tag & 0xFFFF), small);
        }

        int length = BinaryPrimitives.ReadInt32LittleEndian(from[4..]);
        byte[] data = from.Slice(8, length).ToArray();
        from = from[Math.Min(from.Length, 8 + (padded ? (length + 7) / 8 * 8 : length))..];
        return ((int)tag, data);
    }
}
