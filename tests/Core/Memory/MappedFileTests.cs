namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class MappedFileTests
{
    private string _path = "";

    [SetUp]
    public void MakePath() => _path = Path.Combine(Path.GetTempPath(), $"mapped-{Guid.NewGuid():N}");

    [TearDown]
    public void Delete() => File.Delete(_path);

    [Test]
    public void AMatrixStandsAnywhereInTheFile()
    {
        byte[] bytes = new byte[3 + (6 * sizeof(float))];
        Buffer.BlockCopy(new[] { 1f, 2f, 3f, 4f, 5f, 6f }, 0, bytes, 3, 24);
        File.WriteAllBytes(_path, bytes);
        using MappedFile file = new(_path);
        Assert.That(file.Length, Is.EqualTo((nint)27));
        MatrixView<float> matrix = file.Matrix<float>(3, 2, 3);
        Assert.That((matrix.Rows, matrix.Columns, matrix.Stride), Is.EqualTo(((nint)2, (nint)3, (nint)3)));
        Assert.That(matrix.RowSpan(0).ToArray(), Is.EqualTo(new[] { 1f, 2f, 3f }));
        Assert.That(matrix.RowSpan(1).ToArray(), Is.EqualTo(new[] { 4f, 5f, 6f }));
        Assert.That(file.Matrix<byte>(27, 0, 5).Rows, Is.EqualTo((nint)0), "an empty matrix may stand at the end");
    }

    [Test]
    public void RowsMayHaveGapsBetweenThem()
    {
        File.WriteAllBytes(_path, [.. Enumerable.Range(0, 23).Select(i => (byte)i)]);
        using MappedFile file = new(_path);
        RowsView rows = file.Rows(4, ElementType.UInt8, 3, 5, 7);
        Assert.That((rows.Rows, rows.Columns, rows.StrideBytes, rows.Type), Is.EqualTo(((nint)3, (nint)5, (nint)7, ElementType.UInt8)));
        Assert.That(new[] { rows.Row(0)[0], rows.Row(1)[1], rows.Row(2)[4] }, Is.EqualTo(new byte[] { 4, 12, 22 }));
        Assert.That(file.Rows(23, ElementType.Float32, 0, 100, 404).Rows, Is.EqualTo((nint)0));
        Assert.That(Refused(5, 3, 5, 7), Is.EqualTo("rows"), "one byte too many");
        Assert.That(Refused(4, 4, 5, 7), Is.EqualTo("rows"));
        Assert.That(Refused(4, 1, 20, 20), Is.EqualTo("rows"));
        Assert.That(Refused(24, 0, 1, 1), Is.EqualTo("offset"));
        Assert.That(Refused(-1, 0, 1, 1), Is.EqualTo("offset"));
        Assert.That(Refused(0, nint.MaxValue / 8, 1, 8), Is.EqualTo("rows"));
        Assert.That(Refused(0, 2, 5, 4), Is.EqualTo("strideBytes"));
        Assert.That(Refused(0, -1, 5, 5), Is.EqualTo("rows"));

        string? Refused(nint offset, nint rows, nint columns, nint stride) =>
            Assert.Throws<ArgumentOutOfRangeException>(() => file.Rows(offset, ElementType.UInt8, rows, columns, stride))!.ParamName;
    }

    [Test]
    public void AnEmptyFileHoldsEmptyMatricesOnly()
    {
        File.WriteAllBytes(_path, []);
        using MappedFile file = new(_path);
        Assert.That(file.Length, Is.EqualTo((nint)0));
        Assert.That(file.Matrix<float>(0, 0, 300).Rows, Is.EqualTo((nint)0));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Matrix<float>(0, 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Matrix<float>(1, 0, 0));
    }

    [Test]
    public void AMatrixBeyondTheFileIsRefused()
    {
        File.WriteAllBytes(_path, new byte[100]);
        using MappedFile file = new(_path);
        Assert.That(Refused(-1, 1, 1), Is.EqualTo("offset"));
        Assert.That(Refused(101, 0, 0), Is.EqualTo("offset"));
        Assert.That(Refused(0, -1, 1), Is.EqualTo("rows"));
        Assert.That(Refused(0, 1, -1), Is.EqualTo("columns"));
        Assert.That(Refused(0, 1, 26), Is.EqualTo("rows"));
        Assert.That(Refused(1, 5, 5), Is.EqualTo("rows"));
        Assert.That(Refused(0, nint.MaxValue, 2), Is.EqualTo("rows"));
        Assert.That(Refused(0, nint.MaxValue / 2, nint.MaxValue / 2), Is.EqualTo("rows"));
        Assert.DoesNotThrow(() => file.Matrix<float>(0, 5, 5));

        string? Refused(nint offset, nint rows, nint columns) =>
            Assert.Throws<ArgumentOutOfRangeException>(() => file.Matrix<float>(offset, rows, columns))!.ParamName;
    }

    [Test]
    public void DisposeUnmapsAndLetsTheFileGo([Values(0, 100_000)] int length)
    {
        File.WriteAllBytes(_path, new byte[length]);
        MappedFile file = new(_path);
        nint address = (nint)file.Matrix<byte>(0, 1, length).Data;
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Matrix<byte>(0, 0, 0));
        if (OperatingSystem.IsLinux() && length > 0)
            Assert.That(ProcMaps.IsMapped(address), Is.False);
        using FileStream writable = new(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        Assert.That(writable.Length, Is.EqualTo(length));
    }

    [Test]
    public void FilesThatCannotBeOpenedSayWhy()
    {
        Assert.Throws<FileNotFoundException>(() => new MappedFile(_path));
        Assert.Throws<ArgumentNullException>(() => new MappedFile(null!));
        Assert.Throws<ArgumentException>(() => new MappedFile(""));
        Assert.Throws<UnauthorizedAccessException>(() => new MappedFile(Path.GetTempPath()));
    }

    /// <summary>A file of 8 GiB with a hole for nearly all of it.</summary>
    [Test]
    public void MoreElementsThanAnIntCounts()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("skipped: files with holes are made on Linux");
        const long Rows = (1L << 31) / 16 + 1;
        using (FileStream file = new(_path, FileMode.CreateNew))
        {
            try
            {
                file.SetLength(Rows * 16 * sizeof(float));
            }
            catch (IOException exception)
            {
                Assert.Ignore($"skipped: no file of 8 GiB on this file system: {exception.Message}");
            }

            file.Seek(-sizeof(float), SeekOrigin.End);
            file.Write(BitConverter.GetBytes(42f));
        }

        using MappedFile mapped = new(_path);
        MatrixView<float> matrix = mapped.Matrix<float>(0, (nint)Rows, 16);
        Assert.That(matrix.RowSpan((nint)Rows - 1)[15], Is.EqualTo(42f));
        Assert.That(matrix.RowSpan((nint)Rows - 1)[14], Is.Zero);
        Assert.That(matrix.RowSpan((nint)Rows / 2).ContainsAnyExcept(0f), Is.False);
        Assert.Throws<ArgumentOutOfRangeException>(() => mapped.Matrix<float>(0, (nint)Rows + 1, 16));
    }
}
