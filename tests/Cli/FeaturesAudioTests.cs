using System.Buffers.Binary;
using System.Text;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Cli.Tests;

public sealed class FeaturesAudioTests
{
    private string _folder = "";

    [SetUp]
    public void MakeSounds()
    {
        _folder = Directory.CreateTempSubdirectory("embed-sound-").FullName;
        Directory.CreateDirectory(At("sounds"));
        for (int i = 0; i < 3; i++)
            File.WriteAllBytes(At($"sounds/{i}.wav"), Sine(16000, 200 * (i + 1), 8000));
        File.WriteAllText(At("sounds/notes.txt"), "no sound");
    }

    [TearDown]
    public void RemoveSounds() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void AFolderGivesARowForEachSound()
    {
        (int code, string output, string error) = Embed.Run("features", "audio", At("sounds"), "-o", At("mel.npy"));
        Assert.That(code, Is.Zero, error);
        Assert.That(output, Is.Empty);
        using FloatMatrix rows = Npy.ReadMatrix(At("mel.npy"));
        Assert.That((rows.Rows, rows.Columns), Is.EqualTo(((nint)3, (nint)256)));
        Assert.That(List("mel.files.txt"), Is.EqualTo(new[] { At("sounds/0.wav"), At("sounds/1.wav"), At("sounds/2.wav") }));

        // Mean and deviation over time, recomputed.
        using WavFile wav = WavFile.Load(At("sounds/1.wav"));
        using AudioFeatures features = new(AudioFeatureOptions.Librosa(AudioFeatureKind.Mel, 16000));
        using FloatMatrix frames = features.Compute(wav);
        for (int m = 0; m < 128; m++)
        {
            float[] column = [.. Enumerable.Range(0, (int)frames.Rows).Select(f => frames[f, m])];
            double mean = column.Average(x => (double)x), deviation = Math.Sqrt(column.Average(x => (x - mean) * (x - mean)));
            Assert.That(rows[1, m], Is.EqualTo(mean).Within(1e-6 * (mean + 1)));
            Assert.That(rows[1, 128 + m], Is.EqualTo(deviation).Within(1e-6 * (deviation + 1)));
        }
    }

    [TestCase("spectrogram", "kaldi", 257)]
    [TestCase("mel", "torchaudio", 128)]
    [TestCase("mfcc", "tensorflow", 13)]
    [TestCase("MFCC", "Librosa", 20)]
    public void FramesAreListedByNumber(string kind, string convention, int columns)
    {
        (int code, _, string error) = Embed.Run("features", "audio", At("sounds/0.wav"), At("sounds/2.wav"), "-o", At("all.npy"), "--frames", "--kind", kind, "--convention", convention);
        Assert.That(code, Is.Zero, error);
        using FloatMatrix rows = Npy.ReadMatrix(At("all.npy"));
        string[] list = List("all.files.txt");
        Assert.That(rows.Columns, Is.EqualTo((nint)columns));
        Assert.That(list, Has.Length.EqualTo((int)rows.Rows));
        Assert.That((list[0], list[^1]), Is.EqualTo((At("sounds/0.wav") + "#0", At("sounds/2.wav") + $"#{(rows.Rows / 2) - 1}")));
    }

    [Test]
    public void OptionsReachTheirPlaces()
    {
        (int code, _, string error) = Embed.Run(
            "features", "audio", At("sounds/0.wav"), "-o", At("m.npy"), "--frames", "--convention", "tensorflow", "--kind", "mfcc", "--window-length", "640", "--hop-length", "320", "--coefficients", "10",
            "--mels", "40", "--min-frequency", "20", "--max-frequency", "4000", "--log", "natural");
        Assert.That(code, Is.Zero, error);
        using FloatMatrix rows = Npy.ReadMatrix(At("m.npy"));
        Assert.That((rows.Rows, rows.Columns), Is.EqualTo(((nint)(1 + ((8000 - 640) / 320)), (nint)10)));
        AudioFeatureOptions options = AudioFeatureOptions.TensorFlow(AudioFeatureKind.Mfcc);
        using AudioFeatures features = new(options with { Spectrogram = options.Spectrogram with { FftLength = 1024, WindowLength = 640, HopLength = 320 }, Mfcc = options.Mfcc with { Coefficients = 10 } });
        using WavFile wav = WavFile.Load(At("sounds/0.wav"));
        using FloatMatrix wanted = features.Compute(wav);
        for (nint f = 0; f < rows.Rows; f++)
            Assert.That(rows.Row(f).ToArray(), Is.EqualTo(wanted.Row(f).ToArray()));
    }

    /// <summary>The key-word network from the command line: sounds shorter and longer than its second too.</summary>
    [Test]
    public void ANetworkIsFedCoefficients()
    {
        EmbeddingKernels.Tests.KeywordNetwork.Write(At("ds_cnn.onnx"));
        string[] common = ["--convention", "tensorflow", "--kind", "mfcc", "--window-length", "640", "--hop-length", "320", "--coefficients", "10", "--model", At("ds_cnn.onnx")];
        string[] sounds = ["yes", "no", "silence", "noise"];
        string[] files = [.. sounds.Select(sound => SharedData.Path($"audio/kws_wav/{sound}_1000ms.wav"))];
        (int code, _, string error) = Embed.Run(["features", "audio", .. files, At("sounds"), "-o", At("words.npy"), .. common, "--layer", "labels_softmax"]);
        Assert.That(code, Is.Zero, error);
        using FloatMatrix words = Npy.ReadMatrix(At("words.npy"));
        Assert.That((words.Rows, words.Columns), Is.EqualTo(((nint)7, (nint)12)));
        float[] named = [words[0, 2], words[1, 3], words[2, 0], words[3, 0]];
        Assert.That(named, Is.EqualTo(new[] { 0.99978656f, 0.9929471f, 0.99226224f, 0.5114595f }).Within(1e-4f));

        (code, _, error) = Embed.Run(["features", "audio", .. files, "-o", At("vectors.npy"), .. common]);
        Assert.That(code, Is.Zero, error);
        using FloatMatrix vectors = Npy.ReadMatrix(At("vectors.npy"));
        Assert.That((vectors.Rows, vectors.Columns), Is.EqualTo(((nint)4, (nint)64)));

        Embed.AssertOneLine(Embed.Run(["features", "audio", .. files, "-o", At("no.npy"), .. common, "--layer", "nonsense"]), 2);
        Embed.AssertOneLine(Embed.Run(["features", "audio", .. files, "-o", At("no.npy"), .. common, "--frames"]), 2);
        Embed.AssertOneLine(Embed.Run(["features", "audio", .. files, "-o", At("no.npy"), "--layer", "embedding"]), 2);
        Embed.AssertOneLine(Embed.Run(["features", "audio", .. files, "-o", At("no.npy"), "--model", At("ds_cnn.onnx")]), 2);
        Assert.That(File.Exists(At("no.npy")), Is.False);
    }

    [Test]
    public void UnreadableSoundsAreLeftOutAndCounted()
    {
        File.WriteAllText(At("sounds/broken.wav"), "RIFF and nothing else");
        File.WriteAllBytes(At("sounds/other rate.wav"), Sine(8000, 100, 8000));
        File.WriteAllBytes(At("sounds/short.wav"), Sine(16000, 100, 10));
        (int code, _, string error) = Embed.Run("features", "audio", At("sounds"), At("missing.wav"), "-o", At("k.npy"), "--convention", "kaldi");
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error, Does.Contain("warning: ").And.Contain("broken.wav").And.Contain("not a WAV file"));
        Assert.That(error, Does.Contain("8000 samples per second").And.Contain("10 samples are less than a frame").And.Contain("missing.wav"));
        Assert.That(error, Does.Contain("embed: 4 of 7 files could not be read; the others are done."));
        using FloatMatrix rows = Npy.ReadMatrix(At("k.npy"));
        Assert.That((rows.Rows, rows.Columns), Is.EqualTo(((nint)3, (nint)46)));
        Assert.That(List("k.files.txt"), Has.Length.EqualTo(3));
    }

    [TestCase("--fft-length", "441")]
    [TestCase("--mels", "0")]
    [TestCase("--hop-length", "-1")]
    [TestCase("--kind", "cepstrum")]
    [TestCase("--max-frequency", "-5")]
    public void WrongOptionsAreRefusedBeforeAnyWork(string option, string value)
    {
        Embed.AssertOneLine(Embed.Run("features", "audio", At("sounds"), "-o", At("no.npy"), option, value), 2);
        Assert.That(File.Exists(At("no.npy")), Is.False);
    }

    [Test]
    public void AFolderWithoutSoundsIsNamed()
    {
        Directory.CreateDirectory(At("empty"));
        (int Code, string Output, string Error) result = Embed.Run("features", "audio", At("empty"), "-o", At("no.npy"));
        Embed.AssertOneLine(result, 1);
        Assert.That(result.Error, Does.Contain("no sounds in"));
    }

    private string At(string name) => Path.Combine(_folder, name);

    private string[] List(string name) => [.. File.ReadAllLines(At(name)).Where(line => line != "file")];

    private static byte[] Sine(int sampleRate, double hertz, int samples)
    {
        byte[] file = new byte[44 + (2 * samples)];
        "RIFF"u8.CopyTo(file);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(4), file.Length - 8);
        Encoding.ASCII.GetBytes("WAVEfmt ").CopyTo(file, 8);
        int[] header = [16, 1 | (1 << 16), sampleRate, 2 * sampleRate, 2 | (16 << 16)];
        for (int i = 0; i < header.Length; i++)
            BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(16 + (4 * i)), header[i]);
        "data"u8.CopyTo(file.AsSpan(36));
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(40), 2 * samples);
        for (int i = 0; i < samples; i++)
            BinaryPrimitives.WriteInt16LittleEndian(file.AsSpan(44 + (2 * i)), (short)(8000 * Math.Sin(2 * Math.PI * hertz * i / sampleRate)));
        return file;
    }
}
