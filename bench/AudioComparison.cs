using System.Globalization;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>Spectrograms, mel filters and cepstral coefficients of a minute at 16 kHz against torchaudio.</summary>
public static class AudioComparison
{
    private const int SampleRate = 16_000;

    /// <summary>Prints the comparison as Markdown; seconds.</summary>
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        int seconds = quick ? 5 : 60;
        using AlignedBuffer<float> sound = Sound(seconds);
        using TorchAudio? torch = TorchAudio.TryStart(out string missing);
        DirectoryInfo folder = Directory.CreateTempSubdirectory("audio-bench-");
        string file = Path.Combine(folder.FullName, "sound"), answer = Path.Combine(folder.FullName, "answer");
        output.WriteLine($"### Features of {seconds} s of sound at 16 kHz");
        output.WriteLine();
        output.WriteLine($"Level {Isa.Level}. Medians over rounds in turn; in brackets how many times faster ours was, by wall clock and by CPU time (above 1: ours is faster). Difference: root mean square over the range of the values.");
        if (torch is null)
            output.WriteLine(missing);
        output.WriteLine();
        output.WriteLine($"| features | threads | ours ms | CPU ms | times real time | {torch?.Name ?? "torchaudio"} ms | difference |");
        output.WriteLine("|---|---|---|---|---|---|---|");
        try
        {
            File.WriteAllBytes(file, MemoryMarshal.AsBytes(sound.AsSpan()).ToArray());
            foreach (int threads in Environment.ProcessorCount > 1 ? (int[])[1, 2] : [1])
            {
                using WorkerPool pool = new(threads);
                torch?.Load(file, threads);
                foreach ((string name, string what, AudioFeatureOptions options) in Features())
                {
                    using AudioFeatures ours = new(options);
                    Duel duel = new(
                        quick ? new(Budget: 0.5, Rounds: 3, Turn: 0.01, Fewest: 2) : new(Budget: 4, Rounds: 9, Turn: 0.2, Fewest: 5),
                        new Contestant("ours", () => ours.Compute(sound.AsSpan(), pool).Dispose()),
                        torch is null ? null : new(torch.Name, calls => torch.Run(what, calls)));
                    using FloatMatrix features = ours.Compute(sound.AsSpan(), pool);
                    string cells = torch is null
                        ? " | |"
                        : string.Create(CultureInfo.InvariantCulture, $" {1e3 * duel.Wall(1):F2} ({duel.Ratio(1):F2}; {duel.CpuRatio(1):F2}) | {Difference(features, torch.Output(what, answer))} |");
                    output.WriteLine(string.Create(
                        CultureInfo.InvariantCulture, $"| {name} | {threads} | {1e3 * duel.Wall():F2} | {1e3 * duel.Cpu():F2} | {seconds / duel.Wall():N0} |{cells}"));
                    output.Flush();
                }
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Frames of 25 ms every 10 ms.</summary>
    private static IEnumerable<(string Name, string What, AudioFeatureOptions Options)> Features()
    {
        SpectrogramOptions spectrum = AudioFeatureOptions.Torchaudio(AudioFeatureKind.Spectrogram, SampleRate).Spectrogram with { HopLength = 160 };
        yield return ("power spectrogram, 400 points", "spectrogram", AudioFeatureOptions.Torchaudio(AudioFeatureKind.Spectrogram, SampleRate) with { Spectrogram = spectrum });
        AudioFeatureOptions mel = AudioFeatureOptions.Torchaudio(AudioFeatureKind.Mel, SampleRate), mfcc = AudioFeatureOptions.Torchaudio(AudioFeatureKind.Mfcc, SampleRate);
        yield return ("80 mel filters", "mel", mel with { Spectrogram = spectrum, Mel = mel.Mel with { Bins = 80 } });
        yield return ("13 coefficients of 80 mel filters", "mfcc", mfcc with { Spectrogram = spectrum, Mel = mfcc.Mel with { Bins = 80 }, Mfcc = mfcc.Mfcc with { Coefficients = 13 } });
        AudioFeatureOptions kaldi = AudioFeatureOptions.Kaldi(AudioFeatureKind.Mel, SampleRate);
        yield return ("80 log mel filters as Kaldi's", "fbank", kaldi with { Mel = kaldi.Mel with { Bins = 80 } });
    }

    /// <summary>Voices of a few partials that glide, and noise.</summary>
    private static AlignedBuffer<float> Sound(int seconds)
    {
        AlignedBuffer<float> sound = BenchData.Random((nint)seconds * SampleRate, 6);
        for (nint i = 0; i < sound.Length; i++)
        {
            double time = i / (double)SampleRate, pitch = 2 * Math.PI * ((150 * time) + (20 * Math.Sin(3 * time)));
            sound[i] = (float)((0.02 * sound[i]) + (0.3 * Math.Sin(pitch)) + (0.15 * Math.Sin(3 * pitch)) + (0.05 * Math.Sin(11 * pitch)));
        }

        return sound;
    }

    private static string Difference(FloatMatrix ours, float[] theirs)
    {
        long count = (long)ours.Rows * ours.Columns;
        if (count != theirs.Length)
            return $"{theirs.Length} numbers instead of {count}";
        double squares = 0, low = double.PositiveInfinity, high = double.NegativeInfinity;
        for (int i = 0; i < ours.Rows; i++)
        {
            Span<float> row = ours.Row(i);
            for (int j = 0; j < row.Length; j++)
            {
                double value = theirs[((long)i * row.Length) + j];
                (low, high) = (Math.Min(low, value), Math.Max(high, value));
                squares += (row[j] - value) * (row[j] - value);
            }
        }

        return (Math.Sqrt(squares / count) / (high - low)).ToString("0.0E+0", CultureInfo.InvariantCulture);
    }
}
