using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

public sealed class WavFileTests
{
    private static readonly byte[] PcmGuid = [1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

    private static IEnumerable<TestCaseData> Codings() =>
    [
        new(1, 8, new byte[] { 0, 128, 255, 192 }, new[] { -1f, 0f, 127 / 128f, 0.5f }),
        new(1, 16, new byte[] { 0, 0x80, 0, 0, 0xFF, 0x7F, 0, 0x40 }, new[] { -1f, 0f, 32767 / 32768f, 0.5f }),
        new(1, 12, new byte[] { 0, 0x80, 0, 0, 0xF0, 0x7F, 0, 0x40 }, new[] { -1f, 0f, 2047 / 2048f, 0.5f }),
        new(1, 24, new byte[] { 0, 0, 0x80, 0, 0, 0, 0xFF, 0xFF, 0x7F, 0, 0, 0x40 }, new[] { -1f, 0f, 8388607 / 8388608f, 0.5f }),
        new(1, 32, new byte[] { 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0x40 }, new[] { -1f, 0f, -0.5f, 0.5f }),
        new(3, 32, Bytes(BitConverter.GetBytes(-1f), BitConverter.GetBytes(0f), BitConverter.GetBytes(0.1f), BitConverter.GetBytes(2.5f)), new[] { -1f, 0f, 0.1f, 2.5f }),
        new(3, 64, Bytes(BitConverter.GetBytes(-1.0), BitConverter.GetBytes(0.0), BitConverter.GetBytes(0.1), BitConverter.GetBytes(2.5)), new[] { -1f, 0f, 0.1f, 2.5f }),

        // ITU-T G.711's extremes and its smallest steps.
        new(6, 8, new byte[] { 0xD5, 0x55, 0xAA, 0x2A }, new[] { 8 / 32768f, -8 / 32768f, 32256 / 32768f, -32256 / 32768f }),
        new(7, 8, new byte[] { 0xFF, 0x7F, 0x80, 0x00 }, new[] { 0f, 0f, 32124 / 32768f, -32124 / 32768f }),
    ];

    [TestCaseSource(nameof(Codings))]
    public void EveryCodingIsRead(int code, int bits, byte[] data, float[] wanted)
    {
        foreach (int channels in new[] { 1, 2, 4 })
        {
            byte[] header = Format(code, channels, 8000, bits, data.Length / 4);
            using WavFile wav = Read(Riff(Chunk("fmt ", header), Chunk("LIST", [1, 2, 3]), Chunk("data", data), Chunk("tail", [9])));
            Assert.That((wav.Channels, wav.Length, wav.SampleRate), Is.EqualTo((channels, 4 / channels, 8000)));
            Assert.That(wav.Duration, Is.EqualTo(TimeSpan.FromSeconds(4.0 / channels / 8000)));
            for (int i = 0; i < 4; i++)
                Assert.That(wav.Channel(i % channels)[i / channels], Is.EqualTo(wanted[i]), $"sample {i}");
            for (int i = 0; i < wav.Length; i++)
                Assert.That(wav.ToMono()[i], Is.EqualTo(wanted.Skip(i * channels).Take(channels).Average()).Within(1e-7f));
        }
    }

    [Test]
    public void ExtensibleHeadersAreRead()
    {
        byte[] header = Bytes(Format(0xFFFE, 1, 44100, 24, 4), [22, 0, 20, 0, 4, 0, 0, 0], PcmGuid);
        using WavFile wav = Read(Riff(Chunk("fmt ", header), Chunk("data", [0, 0, 0, 0x40, 0, 0, 0, 0xC0])));
        Assert.That(wav.Channel(0).ToArray(), Is.EqualTo(new[] { 0.5f, -0.5f }));
    }

    [Test]
    public void WideFilesAreRead([Values("RF64", "BW64")] string kind, [Values] bool seekable)
    {
        byte[] sizes = new byte[28];
        BinaryPrimitives.WriteUInt64LittleEndian(sizes.AsSpan(8), 4);
        byte[] file = Bytes(Encoding.ASCII.GetBytes(kind), [255, 255, 255, 255], "WAVE"u8.ToArray(), Chunk("ds64", sizes), Chunk("fmt ", Format(1, 1, 8000, 16, 2)), Chunk("data", [0, 0x40, 0, 0xC0], uint.MaxValue), Chunk("more", [5, 6]));
        using Stream stream = seekable ? new MemoryStream(file) : new OneWayStream(file);
        using WavFile wav = WavFile.Load(stream);
        Assert.That(wav.Channel(0).ToArray(), Is.EqualTo(new[] { 0.5f, -0.5f }));
    }

    /// <summary>As programs write them that cannot go back to the header.</summary>
    [Test]
    public void SizesThatWereNeverFilledInReachToTheEnd([Values] bool seekable)
    {
        byte[] file = Riff(Chunk("fmt ", Format(1, 1, 8000, 16, 2)), Chunk("data", [0, 0x40, 0, 0xC0, 7], uint.MaxValue));
        using Stream stream = seekable ? new MemoryStream(file) : new OneWayStream(file);
        using WavFile wav = WavFile.Load(stream);
        Assert.That(wav.Channel(0).ToArray(), Is.EqualTo(new[] { 0.5f, -0.5f }));
    }

    [Test]
    public void LongSoundsArriveWhole([Values(1, 3)] int channels, [Values] bool packed)
    {
        short[] samples = [.. Enumerable.Range(0, 300_000).Select(i => (short)(i * 7))];
        byte[] data = new byte[samples.Length * 2];
        Buffer.BlockCopy(samples, 0, data, 0, data.Length);
        byte[] file = Riff(Chunk("fmt ", Format(1, channels, 8000, 16, 2)), Chunk("data", data));
        using TemporaryFolder folder = new();
        string path = folder[packed ? "sound.wav.gz" : "sound.wav"];
        using (Stream stream = packed ? new GZipStream(File.Create(path), CompressionLevel.Fastest) : File.Create(path))
            stream.Write(file);
        using WavFile wav = WavFile.Load(path);
        Assert.That(wav.Length, Is.EqualTo(samples.Length / channels));
        for (int c = 0; c < channels; c++)
        {
            ReadOnlySpan<float> channel = wav.Channel(c);
            for (int i = 0; i < wav.Length; i++)
            {
                if (channel[i] != samples[(i * channels) + c] / 32768f)
                    Assert.Fail($"channel {c}, sample {i}");
            }
        }
    }

    private static IEnumerable<TestCaseData> DamagedFiles()
    {
        byte[] format = Chunk("fmt ", Format(1, 1, 8000, 16, 2)), data = Chunk("data", [1, 2, 3, 4]);
        return
        [
            new(Array.Empty<byte>(), "the signature"),
            new("RIFF"u8.ToArray(), "the signature"),
            new("RIFX0000WAVE"u8.ToArray(), "big-endian"),
            new("RIFF0000AVI "u8.ToArray(), "not a WAV file"),
            new(Riff(), "no data chunk"),
            new(Riff(format), "no data chunk"),
            new(Riff(data), "before a format chunk"),
            new(Riff(Chunk("fmt ", new byte[14])), "14 bytes"),
            new(Riff(Chunk("fmt ", new byte[5000])), "5000 bytes"),
            new(Riff(Chunk("fmt ", Format(1, 0, 8000, 16, 2)), data), "0 channels"),
            new(Riff(Chunk("fmt ", Format(1, 1, 0, 16, 2)), data), "sample rate is 0"),
            new(Riff(Chunk("fmt ", Format(1, 2, 8000, 16, 0)), data), "2 channels cannot take 0 bytes"),
            new(Riff(Chunk("fmt ", Format(1, 1, 8000, 0, 2)), data), "0 bits"),
            new(Riff(Chunk("fmt ", Format(1, 1, 8000, 17, 2)), data), "17 bits cannot stand in 2 bytes"),
            new(Riff(Chunk("fmt ", Format(3, 1, 8000, 16, 2)), data), "coding 3 with 16 bits"),
            new(Riff(Chunk("fmt ", Format(0x55, 1, 8000, 16, 2)), data), "coding 85"),
            new(Riff(Chunk("fmt ", Format(0xFFFE, 1, 8000, 16, 2)), data), "40 bytes"),
            new(Riff(Chunk("fmt ", Bytes(Format(0xFFFE, 1, 8000, 16, 2), new byte[24])), data), "maker's own"),
            new(Riff(format, Chunk("data", [1, 2], 100)), "need 100 bytes"),
            new(Riff(format, Chunk("data", [1, 2], 0xFFFFFFF0)), "need 4294967280 bytes"),
            new(Riff(format, Chunk("LIST", [1, 2], 0x7FFFFFFF)), "chunk 'LIST' need 2147483647 bytes"),
            new(Riff(Chunk("fmt ", Format(3, 2, 8000, 32, 4)), Chunk("data", Bytes(new byte[12], BitConverter.GetBytes(float.NaN)))), "sample 1 of channel 1 is NaN"),
            new(Riff(Chunk("fmt ", Format(3, 1, 8000, 64, 8)), Chunk("data", BitConverter.GetBytes(1e300))), "sample 0 of channel 0 is Infinity"),
            new(Bytes("RF64"u8.ToArray(), new byte[4], "WAVE"u8.ToArray(), Chunk("ds64", new byte[8])), "ds64 chunk has 8 bytes"),
        ];
    }

    [TestCaseSource(nameof(DamagedFiles))]
    public void DamagedFilesAreNamed(byte[] file, string message) =>
        Assert.That(() => Read(file).Dispose(), Throws.InstanceOf<DataFormatException>().With.Message.Contains(message));

    /// <summary>Whatever is cut off or changed: a sound, or the one exception, and no more memory than the file pays for.</summary>
    [Test]
    public void NoFileDoesAnythingElse()
    {
        byte[] data = new byte[400];
        new Random(1).NextBytes(data);
        byte[] file = Riff(Chunk("fmt ", Format(1, 2, 8000, 16, 2)), Chunk("odd ", [1]), Chunk("data", data));
        Random random = new(2);
        int read = 0;
        for (int i = 0; i < 20_000; i++)
        {
            byte[] hostile = file[..(i < file.Length ? i : file.Length)];
            for (int n = i < file.Length ? 0 : random.Next(1, 5); n > 0; n--)
                hostile[random.Next(60)] = (byte)(random.Next(2) == 0 ? random.Next(256) : 255 * random.Next(2));
            try
            {
                using Stream stream = i % 2 == 0 ? new MemoryStream(hostile) : new OneWayStream(hostile);
                using WavFile wav = WavFile.Load(stream);
                Assert.That((long)wav.Length * wav.Channels, Is.LessThanOrEqualTo(file.Length));
                read++;
            }
            catch (DataFormatException)
            {
            }
        }

        Assert.That(read, Is.GreaterThan(1000));
    }

    [Test]
    public void TheReferenceSoundsAreRead()
    {
        using WavFile stereo = WavFile.Load(SharedData.Path("audio/librosa/test1_22050.wav"));
        using WavFile word = WavFile.Load(SharedData.Path("audio/kws_wav/yes_1000ms.wav"));
        Assert.That((stereo.Channels, stereo.SampleRate), Is.EqualTo((2, 22050)));
        Assert.That((word.Channels, word.SampleRate, word.Length), Is.EqualTo((1, 16000, 16000)));
    }

    internal static byte[] Sound(int sampleRate, ReadOnlySpan<short> samples)
    {
        byte[] data = new byte[2 * samples.Length];
        for (int i = 0; i < samples.Length; i++)
            BinaryPrimitives.WriteInt16LittleEndian(data.AsSpan(2 * i), samples[i]);
        return Riff(Chunk("fmt ", Format(1, 1, sampleRate, 16, 2)), Chunk("data", data));
    }

    private static WavFile Read(byte[] file)
    {
        using MemoryStream stream = new(file);
        return WavFile.Load(stream);
    }

    private static byte[] Format(int code, int channels, int rate, int bits, int sampleBytes)
    {
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)code);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), (ushort)channels);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), rate);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), rate * channels * sampleBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(12), (ushort)(channels * sampleBytes));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(14), (ushort)bits);
        return bytes;
    }

    private static byte[] Chunk(string name, byte[] data, uint? claimed = null)
    {
        byte[] size = BitConverter.GetBytes(claimed ?? (uint)data.Length);
        return Bytes(Encoding.ASCII.GetBytes(name), size, data, data.Length % 2 == 1 && claimed is null ? [0] : []);
    }

    private static byte[] Riff(params byte[][] chunks)
    {
        byte[] body = Bytes(chunks);
        return Bytes("RIFF"u8.ToArray(), BitConverter.GetBytes(body.Length + 4), "WAVE"u8.ToArray(), body);
    }

    private static byte[] Bytes(params byte[][] parts) => [.. parts.SelectMany(part => part)];
}
