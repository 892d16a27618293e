using System.Buffers.Binary;
using System.Text;

namespace EmbeddingKernels;

/// <summary>Reads one WAV file: chunks up to the first "data", which must follow a "fmt ".</summary>
/// <remarks>Source: Microsoft's multimedia programming interface 1.0 (1991) and WAVEFORMATEXTENSIBLE; EBU Tech 3306 (RF64); ITU-T G.711 (A-law, mu-law).</remarks>
internal sealed unsafe class WavReader(FormatReader reader)
{
    private const uint Unknown = 0xFFFFFFFF;
    private const int MostFormatBytes = 1 << 12;
    private const int BlockBytes = 64 << 10;

    private static readonly float[] ALaw = Table(DecodeALaw), MuLaw = Table(DecodeMuLaw);

    private enum Coding
    {
        Unsigned8,
        Signed16,
        Signed24,
        Signed32,
        Float32,
        Float64,
        ALaw,
        MuLaw,
    }

    /// <summary>What the "fmt " chunk says.</summary>
    private readonly record struct Format(Coding Coding, int Channels, int SampleRate, int SampleBytes)
    {
        public int FrameBytes => Channels * SampleBytes;
    }

    // The rest of the GUID of an extensible header's coding, behind the number that a plain header has.
    private static ReadOnlySpan<byte> SubformatTail => [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71];

    public WavFile Read()
    {
        Span<byte> head = stackalloc byte[12];
        reader.ReadExactly(head, "the signature");
        string kind = Encoding.ASCII.GetString(head[..4]);
        if (kind == "RIFX")
            reader.Throw("a big-endian WAV file (RIFX), which is not read");
        if (kind is not ("RIFF" or "RF64" or "BW64") || !head[8..].SequenceEqual("WAVE"u8))
            reader.Throw("not a WAV file: it does not begin with RIFF, a size and WAVE");

        Format? format = null;
        ulong? wideData = null;
        Span<byte> chunk = stackalloc byte[8];
        while (true)
        {
            if (reader.Buffered.IsEmpty && !reader.Fill())
                reader.Throw("there is no data chunk");
            reader.ReadExactly(chunk, "a chunk's header");
            uint size = BinaryPrimitives.ReadUInt32LittleEndian(chunk[4..]);
            if (chunk[..4].SequenceEqual("data"u8))
            {
                if (format is null)
                    reader.Throw("the data chunk comes before a format chunk");
                return ReadData(format.Value, size == Unknown ? wideData : size);
            }

            reader.ExpectAtLeast(size, $"chunk '{Name(chunk)}'");
            if (chunk[..4].SequenceEqual("fmt "u8))
                format = ReadFormat(size);
            else if (chunk[..4].SequenceEqual("ds64"u8) && kind != "RIFF")
                wideData = ReadWideSize(size);
            else
                Skip(size);
            if (size % 2 == 1)
                Skip(1);
        }
    }

    private static string Name(ReadOnlySpan<byte> chunk) =>
        string.Concat(chunk[..4].ToArray().Select(c => c is >= 32 and < 127 ? ((char)c).ToString() : $"\\x{c:X2}"));

    private void Skip(long count)
    {
        while (count > 0)
        {
            if (reader.Buffered.IsEmpty && !reader.Fill())
            {
                if (count == 1)
                    return; // the padding behind the last chunk, which many programs leave out
                reader.Throw($"the data ends inside a chunk: {count} bytes are missing");
            }

            int step = (int)Math.Min(count, reader.Buffered.Length);
            reader.Advance(step);
            count -= step;
        }
    }

    private ulong ReadWideSize(uint size)
    {
        if (size < 24)
            reader.Throw($"the ds64 chunk has {size} bytes and must have 28 or more");
        Span<byte> sizes = stackalloc byte[24];
        reader.ReadExactly(sizes, "the ds64 chunk");
        Skip(size - 24);
        return BinaryPrimitives.ReadUInt64LittleEndian(sizes[8..]);
    }

    private Format ReadFormat(uint size)
    {
        if (size is < 16 or > MostFormatBytes)
            reader.Throw($"the format chunk has {size} bytes and must have 16 to {MostFormatBytes}");
        byte[] bytes = new byte[size];
        reader.ReadExactly(bytes, "the format chunk");
        int code = BinaryPrimitives.ReadUInt16LittleEndian(bytes), channels = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(2));
        uint rate = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(4));
        int frameBytes = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(12)), bits = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(14));
        if (code == 0xFFFE)
        {
            if (size < 40)
                reader.Throw($"an extensible format chunk has 40 bytes or more and this has {size}");
            if (!bytes.AsSpan(26, 14).SequenceEqual(SubformatTail))
                reader.Throw("the sound's coding is known by a number of its maker's own only");
            code = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(24));
        }

        if (channels == 0)
            reader.Throw("there are 0 channels");
        if (rate is 0 or > int.MaxValue)
            reader.Throw($"the sample rate is {rate}");
        if (frameBytes == 0 || frameBytes % channels != 0)
            reader.Throw($"{channels} channels cannot take {frameBytes} bytes together");
        int sampleBytes = frameBytes / channels;
        if (bits == 0 || bits > 8 * sampleBytes)
            reader.Throw($"a sample of {bits} bits cannot stand in {sampleBytes} bytes");

        // Samples of fewer bits stand in the upper ones of their bytes, so only the bytes count.
        Coding? coding = (code, sampleBytes) switch
        {
            (1, 1) => Coding.Unsigned8,
            (1, 2) => Coding.Signed16,
            (1, 3) => Coding.Signed24,
            (1, 4) => Coding.Signed32,
            (3, 4) when bits == 32 => Coding.Float32,
            (3, 8) when bits == 64 => Coding.Float64,
            (6, 1) => Coding.ALaw,
            (7, 1) => Coding.MuLaw,
            _ => null,
        };
        if (coding is null)
            reader.Throw($"sound of coding {code} with {bits} bits is not read; PCM of 8 to 32 bits, floats of 32 and 64, A-law and mu-law are");
        return new Format(coding!.Value, channels, (int)rate, sampleBytes);
    }

    /// <param name="format">How the samples stand.</param>
    /// <param name="size">Bytes, or null for all that follow.</param>
    private WavFile ReadData(Format format, ulong? size)
    {
        if (size is not null)
            reader.ExpectAtLeast(size.Value, "the samples");
        UInt128 most = (size ?? (ulong?)reader.RemainingAtMost ?? (ulong)long.MaxValue) / (ulong)format.FrameBytes;
        if (size is not null && most > int.MaxValue)
            reader.Throw($"{most} samples of each channel are more than the {int.MaxValue} that are read");
        nint frames = (nint)UInt128.Min(most, int.MaxValue);
        using GrowingBuffer<float> samples = new(frames * format.Channels, reader.LengthIsExact);
        frames = Decode(format, samples, frames, mayEnd: size is null);
        if (format.Channels == 1)
            return new WavFile(new FloatMatrix(samples.Detach(), 1, frames), format.SampleRate);

        FloatMatrix channels = new(format.Channels, frames);
        float* from = samples.Pointer;
        for (nint channel = 0; channel < format.Channels; channel++)
        {
            float* row = channels.View.Row(channel);
            for (nint i = 0; i < frames; i++)
                row[i] = from[(i * format.Channels) + channel];
        }

        return new WavFile(channels, format.SampleRate);
    }

    /// <summary>Samples of all channels, interleaved; how many of each there are.</summary>
    private nint Decode(Format format, GrowingBuffer<float> samples, nint frames, bool mayEnd)
    {
        int step = Math.Max(BlockBytes / format.FrameBytes, 1);
        byte[] bytes = new byte[step * format.FrameBytes];
        nint done = 0;
        while (done < frames)
        {
            int count = (int)Math.Min(step, frames - done);
            if (mayEnd)
                count = ReadUpTo(bytes.AsSpan(0, count * format.FrameBytes)) / format.FrameBytes;
            else
                reader.ReadExactly(bytes.AsSpan(0, count * format.FrameBytes), "the samples");
            if (count == 0)
                break;
            samples.Reserve((done + count) * format.Channels);
            Span<float> block = new(samples.Pointer + (done * format.Channels), count * format.Channels);
            Convert(format.Coding, bytes, block);
            if (format.Coding is Coding.Float32 or Coding.Float64)
                CheckFinite(block, format.Channels, done);
            done += count;
        }

        return done;
    }

    private int ReadUpTo(Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length && (!reader.Buffered.IsEmpty || reader.Fill()))
        {
            int step = Math.Min(reader.Buffered.Length, destination.Length - done);
            reader.Buffered[..step].CopyTo(destination[done..]);
            reader.Advance(step);
            done += step;
        }

        return done;
    }

    private void CheckFinite(ReadOnlySpan<float> block, int channels, nint first)
    {
        for (int i = 0; i < block.Length; i++)
        {
            if (!float.IsFinite(block[i]))
                reader.Throw($"sample {first + (i / channels)} of channel {i % channels} is {block[i]}");
        }
    }

    private static void Convert(Coding coding, ReadOnlySpan<byte> bytes, Span<float> to)
    {
        switch (coding)
        {
            case Coding.Unsigned8:
                for (int i = 0; i < to.Length; i++)
                    to[i] = (bytes[i] - 128) / 128f;
                break;
            case Coding.Signed16:
                for (int i = 0; i < to.Length; i++)
                    to[i] = BinaryPrimitives.ReadInt16LittleEndian(bytes[(2 * i)..]) / 32768f;
                break;
            case Coding.Signed24:
                for (int i = 0; i < to.Length; i++)
                    to[i] = (bytes[3 * i] | (bytes[(3 * i) + 1] << 8) | ((sbyte)bytes[(3 * i) + 2] << 16)) / 8388608f;
                break;
            case Coding.Signed32:
                for (int i = 0; i < to.Length; i++)
                    to[i] = BinaryPrimitives.ReadInt32LittleEndian(bytes[(4 * i)..]) / 2147483648f;
                break;
            case Coding.Float32:
                for (int i = 0; i < to.Length; i++)
                    to[i] = BinaryPrimitives.ReadSingleLittleEndian(bytes[(4 * i)..]);
                break;
            case Coding.Float64:
                for (int i = 0; i < to.Length; i++)
                    to[i] = (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes[(8 * i)..]);
                break;
            default:
                float[] table = coding == Coding.ALaw ? ALaw : MuLaw;
                for (int i = 0; i < to.Length; i++)
                    to[i] = table[bytes[i]];
                break;
        }
    }

    private static float[] Table(Func<int, int> decode) => [.. Enumerable.Range(0, 256).Select(code => decode(code) / 32768f)];

    /// <summary>A sample of 16 bits: sign, exponent of 3 bits, mantissa of 4, every second bit inverted.</summary>
    private static int DecodeALaw(int code)
    {
        code ^= 0x55;
        int exponent = (code >> 4) & 7, mantissa = ((code & 15) << 4) + 8;
        int size = exponent == 0 ? mantissa : (mantissa + 0x100) << (exponent - 1);
        return (code & 0x80) != 0 ? size : -size;
    }

    /// <summary>A sample of 16 bits: sign, exponent of 3 bits, mantissa of 4, all inverted.</summary>
    private static int DecodeMuLaw(int code)
    {
        code = ~code;
        int size = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
        return (code & 0x80) != 0 ? -size : size;
    }
}
