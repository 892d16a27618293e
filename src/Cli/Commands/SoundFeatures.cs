using EmbeddingKernels.Core;

namespace EmbeddingKernels.Cli.Commands;

/// <summary>Features of one file after another. The first sets the sample rate; others of another rate are refused, as nothing is resampled.</summary>
internal sealed class SoundFeatures(Func<int, AudioFeatureOptions> options, WorkerPool pool) : IDisposable
{
    private AudioFeatures? _features;
    private string _first = "";

    /// <summary>A row for each frame.</summary>
    /// <param name="file">The sound.</param>
    /// <param name="frames">Given the numbers of a frame, how many frames are wanted, to which the sound is cut or filled up with silence; null for all.</param>
    /// <exception cref="DataFormatException">The file is damaged.</exception>
    /// <exception cref="InvalidDataException">The sound has another sample rate, or is shorter than a frame.</exception>
    public FloatMatrix Compute(string file, Func<int, int?> frames)
    {
        using WavFile sound = WavFile.Load(file);
        AudioFeatures features = For(file, sound.SampleRate);
        float[] samples = sound.ToMono();
        if (frames(features.Columns) is int wanted)
            Array.Resize(ref samples, checked((int)features.SampleCount(wanted)));
        if (features.FrameCount(samples.Length) == 0)
            throw new InvalidDataException($"{file}: {sound.Length} samples are less than a frame.");
        return features.Compute(samples, pool);
    }

    /// <summary>The mean of each column, then the standard deviation of each.</summary>
    public static float[] MeanAndDeviation(FloatMatrix features)
    {
        int columns = (int)features.Columns;
        double[] mean = new double[columns], squares = new double[columns];
        for (nint f = 0; f < features.Rows; f++)
        {
            ReadOnlySpan<float> row = features.Row(f);
            for (int j = 0; j < columns; j++)
                mean[j] += row[j] / (double)features.Rows;
        }

        for (nint f = 0; f < features.Rows; f++)
        {
            ReadOnlySpan<float> row = features.Row(f);
            for (int j = 0; j < columns; j++)
                squares[j] += (row[j] - mean[j]) * (row[j] - mean[j]);
        }

        return [.. mean.Select(m => (float)m), .. squares.Select(s => (float)Math.Sqrt(s / features.Rows))];
    }

    public void Dispose() => _features?.Dispose();

    private AudioFeatures For(string file, int sampleRate)
    {
        if (_features is null)
        {
            try
            {
                _features = new AudioFeatures(options(sampleRate));
            }
            catch (ArgumentException exception)
            {
                // The options are right for most sounds, so it is this one's sample rate that they do not suit.
                throw new InvalidDataException($"{file}: {sampleRate} samples per second: {exception.Message}", exception);
            }

            _first = file;
        }

        if (_features.Options.SampleRate != sampleRate)
            throw new InvalidDataException($"{file}: {sampleRate} samples per second, and {_first} has {_features.Options.SampleRate}; sounds are not resampled.");
        return _features;
    }
}
