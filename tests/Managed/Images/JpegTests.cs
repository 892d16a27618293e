using System.Security.Cryptography;
using EmbeddingKernels.TestSupport;
using static EmbeddingKernels.Tests.Images.PngTests;

namespace EmbeddingKernels.Tests.Images;

public sealed class JpegTests
{
    [TestCaseSource(typeof(JpegSamples), nameof(JpegSamples.All))]
    public void PixelsAreThoseOfLibjpeg(object sample)
    {
        JpegSample jpeg = (JpegSample)sample;
        Picture picture = Picture.Decode(jpeg.File);
        Assert.That((picture.Width, picture.Height), Is.EqualTo((jpeg.Width, jpeg.Height)));
        Assert.That(Convert.ToHexStringLower(SHA256.HashData(picture.Pixels))[..32], Is.EqualTo(jpeg.Hash));
    }

    [Test]
    public void APhotographIsCloseToItsCopyAsPng()
    {
        // The middle squares of these, scaled down by another program with another filter, came with the reference activations.
        foreach ((string file, string name, double tolerance) in (ReadOnlySpan<(string, string, double)>)
            [("images/cat.jpg", "cat", 1.2), ("images/bald_eagle.jpeg", "eagle", 0.3), ("images/pelican.jpeg", "pelican", 1)])
        {
            Picture picture = Picture.Load(SharedData.Path(file));
            float[] given = new float[3 * 224 * 224];
            ImagePreset.Raw255Bgr.ToTensor(picture, 224, 224, given);
            byte[] wanted = ReferenceCrops.Read(name);
            double sum = 0;
            for (int p = 0; p < 224 * 224; p++)
            {
                for (int c = 0; c < 3; c++)
                    sum += Math.Abs(given[c * 224 * 224 + p] - wanted[3 * p + c]);
            }

            Assert.That(sum / given.Length, Is.LessThan(tolerance), name);
        }
    }

    [Test]
    public void AMissingEndMarkerAndStrayBytesDoNoHarm()
    {
        JpegSample sample = JpegSamples.All[2];
        byte[] file = sample.File;
        Picture whole = Picture.Decode(file);
        Assert.That(Picture.Decode(file.AsSpan(0, file.Length - 2)).Pixels.SequenceEqual(whole.Pixels));
        Assert.That(Picture.Decode([.. file, 1, 2, 3]).Pixels.SequenceEqual(whole.Pixels));
        Assert.That(Picture.Decode([.. file.AsSpan(0, file.Length - 2), 7, 7, 0xFF, 0xFF, 0xD9]).Pixels.SequenceEqual(whole.Pixels));
    }

    [Test]
    public void DefectsAreNamed()
    {
        byte[] good = JpegSamples.All.Single(s => s.Name == "Baseline420").File;
        byte[] progressive = JpegSamples.All.Single(s => s.Name == "Progressive420").File;
        byte[] restarts = JpegSamples.All.Single(s => s.Name == "Restarts420").File;
        int frame = Find(good, 0xC0), huffman = Find(good, 0xC4), steps = Find(good, 0xDB), scan = Find(good, 0xDA), restart = Find(restarts, 0xD0);
        int secondScan = Find(progressive, 0xDA, Find(progressive, 0xDA) + 2);
        Assert.Multiple(() =>
        {
            Fails(good[..(scan + 40)], "ends too early");
            Fails(good[..(frame + 6)], "ends inside a segment");
            Fails(good[..frame], "before its end marker");
            Fails([.. good[..frame], 0xFF, 0xD9], "before the picture begins");
            Fails([.. good[..scan], 0xFF, 0xD9], "before the data of component 1");
            Fails(Changed(good, frame + 1, 0xC3), "lossless");
            Fails(Changed(good, frame + 1, 0xC9), "arithmetic");
            Fails(Changed(good, frame + 4, 12), "12 bits");
            Fails(Changed(good, frame + 6, 0), "DNL");
            Fails(Changed(good, frame + 7, 0xFF), "bytes or more");
            Fails(Changed(good, frame + 11, 0x52), "sampling 5 x 2");
            Fails(Changed(Changed(good, frame + 11, 0x32), frame + 14, 0x21), "no whole ratios");
            Fails(Changed(good, frame + 12, 7), "table 7");
            Fails(Changed(good, frame + 12, 3), "quantisation table 3 is missing");
            Fails(Changed(good, huffman + 5, 200), "Huffman table");
            Fails(Changed(good, steps + 4, 0x27), "quantisation table 7");
            Fails(Changed(good, scan + 5, 99), "which the frame has not");
            Fails(Changed(good, scan + 7, 1), "twice");
            Fails(Changed(good, scan + 6, 0x33), "not all there");
            Fails(Changed(restarts, restart + 1, 0xD5), "in place of restart marker");
            Fails([.. progressive[..secondScan], 0xFF, 0xDA, .. progressive[(Find(progressive, 0xDA) + 2)..]], "a second time");
            Fails([.. progressive[..secondScan]], "before its end marker");
        });
    }

    [Test]
    public void AClaimOfManyPixelsCostsNothing()
    {
        byte[] good = JpegSamples.All.Single(s => s.Name == "Progressive420").File;
        int frame = Find(good, 0xC2);
        for (int i = 5; i < 9; i++)
            good[frame + i] = 0x30; // 12,336 pixels each way
        long before = GC.GetAllocatedBytesForCurrentThread();
        Fails(good, "bytes or more");
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 16));
    }

    private static int Find(byte[] file, byte marker, int from = 2)
    {
        int at = file.AsSpan(from).IndexOf((ReadOnlySpan<byte>)[0xFF, marker]);
        Assert.That(at, Is.Not.Negative, $"marker {marker:X2}");
        return from + at;
    }
}
