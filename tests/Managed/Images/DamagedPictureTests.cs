namespace EmbeddingKernels.Tests.Images;

/// <summary>Files cut short anywhere, and with bytes changed: an exception of one kind or a picture, soon and without much memory.</summary>
public sealed class DamagedPictureTests
{
    private static readonly (string Name, Func<byte[]> Make)[] Files =
    [
        .. JpegSamples.All.Select(s => (s.Name, (Func<byte[]>)(() => s.File))),
        ("png", () => new PngMaker(19, 11, 8, 2, false, (x, y, c) => x * y + 40 * c).Make()),
        ("interlaced palette", () => new PngMaker(19, 11, 4, 3, true, (x, y, _) => (x * y) & 15) { Palette = new byte[48] }.Make()),
        ("bmp", () => [.. "BM"u8, 0, 0, 0, 0, 0, 0, 0, 0, 62, 0, 0, 0, 40, 0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 1, 0, 1, 0, .. new byte[24], 0, 0, 0, 0, 255, 255, 255, 0, .. new byte[12]]),
        ("rle", () => [.. "BM"u8, 0, 0, 0, 0, 0, 0, 0, 0, 62, 0, 0, 0, 40, 0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0, .. new byte[12], 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 0, 9, 1, 0, 0, 0, 2, 1, 1, 0, 3, 1, 1, 1, 0, 0, 1]),
        ("pgm", () => [.. "P5\n# it\n7 5\n255\n"u8, .. new byte[35]]),
        ("text", () => "P3 2 2 9 1 2 3 4 5 6 7 8 9 1 2 3 "u8.ToArray()),
    ];

    private static IEnumerable<string> Names => Files.Select(f => f.Name);

    [TestCaseSource(nameof(Names))]
    public void EveryCutIsAnExceptionOrAPicture(string name)
    {
        byte[] file = Array.Find(Files, f => f.Name == name).Make();
        Picture whole = Picture.Decode(file);
        int refused = 0;
        for (int length = 0; length < file.Length; length++)
        {
            if (Try(file[..length]) is Picture picture)
                Assert.That((picture.Width, picture.Height), Is.EqualTo((whole.Width, whole.Height)));
            else
                refused++;
        }

        Assert.That(refused, Is.GreaterThan(file.Length * 3 / 4));
    }

    [TestCaseSource(nameof(Names))]
    public void ChangedBytesAreAnExceptionOrAPicture(string name)
    {
        byte[] file = Array.Find(Files, f => f.Name == name).Make();
        Random random = new(name.Length);
        long most = 0;
        for (int round = 0; round < 3000; round++)
        {
            byte[] changed = [.. file];
            for (int i = random.Next(4); i >= 0; i--)
                changed[random.Next(2, file.Length)] = (byte)random.Next(256);
            long before = GC.GetAllocatedBytesForCurrentThread();
            _ = Try(changed);
            most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        // A JPEG of a thousand bytes may hold 8,000 blocks of up to 64 samples, as bytes and coefficients and as RGB.
        Assert.That(most, Is.LessThan(32 << 20));
    }

    private static Picture? Try(byte[] file)
    {
        try
        {
            return Picture.Decode(file);
        }
        catch (DataFormatException)
        {
            return null;
        }
    }
}
