using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

/// <summary>From a WAV file to a word: our coefficients, our network, TensorFlow's weights and probabilities.</summary>
public sealed class KeywordNetworkTests
{
    private static readonly string[] Sounds = ["yes", "no", "silence", "noise"];
    private static readonly string[] Words = ["yes", "no", "_silence_", "_silence_"];

    [Test]
    public void TheFourSoundsAreNamedRight()
    {
        using TemporaryFolder folder = new();
        KeywordNetwork.Write(folder["ds_cnn.onnx"]);
        using Network network = Network.LoadOnnx(folder["ds_cnn.onnx"]);
        using AudioFeatures features = new(AudioReferenceTests.KeywordFeatures);
        using Npz file = new("audio/ds_cnn/ref_outputs.npz");
        string[] labels = File.ReadAllLines(SharedData.Path("audio/ds_cnn/labels.txt"));
        float[] batch = new float[4 * 490];
        for (int i = 0; i < 4; i++)
        {
            using WavFile wav = WavFile.Load(SharedData.Path($"audio/kws_wav/{Sounds[i]}_1000ms.wav"));
            using FloatMatrix mfcc = features.Compute(wav);
            for (int f = 0; f < 49; f++)
                mfcc.Row(f).CopyTo(batch.AsSpan((i * 490) + (f * 10)));
        }

        using FloatMatrix probabilities = network.Features(batch, 4);
        for (int i = 0; i < 4; i++)
        {
            double[] wanted = file[$"S.{Sounds[i]}.prob"];
            float[] ours = probabilities.Row(i).ToArray();
            Assert.That(ours, Has.Length.EqualTo(12));
            for (int k = 0; k < 12; k++)
                Assert.That(ours[k], Is.EqualTo(wanted[k]).Within(1e-4), $"{Sounds[i]}: {labels[k]}");
            Assert.That(labels[Array.IndexOf(ours, ours.Max())], Is.EqualTo(Words[i]));
        }
    }
}
