using EmbeddingKernels.Cli.Commands;

namespace EmbeddingKernels.Cli.Tests;

/// <summary>Pictures that are read ahead on several threads.</summary>
public sealed class ImageFeedTests
{
    private const int Files = 60;

    private string _folder = "";
    private string[] _files = [];

    [OneTimeSetUp]
    public void MakePictures()
    {
        _folder = Directory.CreateTempSubdirectory("embed-feed").FullName;
        _files = [.. Enumerable.Range(0, Files).Select(i => Path.Combine(_folder, $"{i}.png"))];
        for (int i = 0; i < Files; i++)
        {
            Picture picture = new(1 + i % 5 * 40, 1 + i % 3); // some take longer than others
            picture.Pixels.Fill((byte)i);
            picture.SavePng(_files[i]);
            if (i % 7 == 3)
                File.WriteAllText(_files[i], "no picture");
        }
    }

    [OneTimeTearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void PicturesComeInTheOrderOfTheFiles([Values(1, 2, 7)] int threads, [Values(1, 2, 5, 100)] int window)
    {
        using ImageFeed feed = new(_files, ImagePreset.Raw255Rgb, 2, 3, window, threads, CancellationToken.None);
        Assert.That(feed.Window, Is.EqualTo(Math.Min(window, Files)));
        float[] input = new float[18];
        for (int i = 0; i < Files; i++)
        {
            Exception? problem = feed.Take(input);
            if (i % 7 == 3)
                Assert.That(problem, Is.TypeOf<DataFormatException>().With.Message.Contains($"{i}.png"));
            else
                Assert.That((problem, input.AsSpan().IndexOfAnyExcept(i)), Is.EqualTo(((Exception?)null, -1)), $"{i}");
        }
    }

    [Test]
    public void AFeedEndsEarly([Values(1, 4)] int threads)
    {
        ImageFeed feed = new(_files, ImagePreset.Raw255Rgb, 2, 3, 4, threads, CancellationToken.None);
        Assert.That(feed.Take(new float[18]), Is.Null);
        Assert.That(feed.Dispose, Throws.Nothing);
    }

    [Test]
    public void AnInterruptEndsTheWaiting()
    {
        using CancellationTokenSource stop = new();
        using ImageFeed feed = new(_files, ImagePreset.Raw255Rgb, 2, 3, 4, 2, stop.Token);
        Assert.That(feed.Take(new float[18]), Is.Null);
        stop.Cancel();
        Assert.That(() => feed.Take(new float[18]), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void MistakesOfTheProgramAreNotTakenForBadFiles()
    {
        using ImageFeed feed = new(_files, ImagePreset.Raw255Rgb with { Scale = double.NaN }, 2, 3, 4, 2, CancellationToken.None);
        Assert.That(() => feed.Take(new float[18]), Throws.TypeOf<ArgumentOutOfRangeException>());
    }
}
