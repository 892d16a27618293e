namespace EmbeddingKernels;

/// <summary>
/// A sound from a WAV file, its samples between -1 and 1: RIFF, RF64 and BW64; PCM of 8, 16, 24 and 32 bits, 32- and 64-bit
/// floats, A-law and mu-law, plain or under the "extensible" header; any number of channels. A path that ends in .gz is unpacked.
/// </summary>
/// <remarks>
/// <para>Integers are divided by the power of two that they reach (16 bits: 32768), as librosa, torchaudio and libsndfile do;
/// floats are as they stand, and must be finite.</para>
/// <para>Sizes that a file claims are compared with its length before memory is taken: 4 bytes for each sample that is there,
/// twice that for a moment where there are several channels. A data chunk that ends inside a sample loses that sample; one
/// whose size was never filled in (0xFFFFFFFF, from programs that write to a pipe) reaches to the end of the file.</para>
/// </remarks>
public sealed unsafe class WavFile : IDisposable
{
    internal WavFile(FloatMatrix samples, int sampleRate)
    {
        Samples = samples;
        SampleRate = sampleRate;
    }

    /// <summary>A row for each channel.</summary>
    public FloatMatrix Samples { get; }

    /// <summary>Samples per second and channel.</summary>
    public int SampleRate { get; }

    /// <summary>Number of channels, at least 1.</summary>
    public int Channels => (int)Samples.Rows;

    /// <summary>Samples of a channel.</summary>
    public int Length => (int)Samples.Columns;

    /// <summary>How long it sounds.</summary>
    public TimeSpan Duration => TimeSpan.FromSeconds((double)Length / SampleRate);

    /// <summary>Reads a file.</summary>
    /// <exception cref="DataFormatException">The file is damaged, or holds sound in a coding that is not read.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static WavFile Load(string path)
    {
        using FormatReader reader = new(path);
        return new WavReader(reader).Read();
    }

    /// <inheritdoc cref="Load(string)"/>
    /// <param name="stream">Is left open, standing somewhere behind the samples.</param>
    public static WavFile Load(Stream stream)
    {
        using FormatReader reader = new(stream);
        return new WavReader(reader).Read();
    }

    /// <summary>One channel.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such channel.</exception>
    public ReadOnlySpan<float> Channel(int index) => Samples.Row(index);

    /// <summary>The mean of all channels.</summary>
    public float[] ToMono()
    {
        float[] mono = Channel(0).ToArray();
        for (int channel = 1; channel < Channels; channel++)
        {
            ReadOnlySpan<float> other = Channel(channel);
            for (int i = 0; i < mono.Length; i++)
                mono[i] += other[i];
        }

        for (int i = 0; i < mono.Length && Channels > 1; i++)
            mono[i] /= Channels;
        GC.KeepAlive(Samples);
        return mono;
    }

    /// <summary>Frees the memory; spans of the samples must not be used any more.</summary>
    public void Dispose() => Samples.Dispose();
}
