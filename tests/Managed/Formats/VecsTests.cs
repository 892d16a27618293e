using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

public sealed unsafe class VecsTests
{
    [Test]
    public void FloatsGoThereAndBackAndAreMapped([Values("a.fvecs", "a.fvecs.gz")] string name)
    {
        using TemporaryFolder folder = new();
        using FloatMatrix matrix = FloatMatrix.FromArray(new float[,] { { 1, -2, 3.5f }, { float.NaN, float.NegativeInfinity, 1e-40f } });
        Vecs.Write(folder[name], matrix);
        using FloatMatrix back = Vecs.ReadMatrix(folder[name]);
        AssertSame(back, matrix);
        if (AtomicFile.IsGzip(name))
        {
            Assert.That(() => Vecs.Map(folder[name]), Throws.TypeOf<DataFormatException>().With.Message.Contains("packed"));
            return;
        }

        Assert.That(File.ReadAllBytes(folder[name])[..8], Is.EqualTo(new byte[] { 3, 0, 0, 0, 0, 0, 0x80, 0x3f }));
        using MappedRows mapped = Vecs.Map(folder[name]);
        Assert.That((mapped.Type, mapped.Rows, mapped.Columns, mapped.View.StrideBytes), Is.EqualTo((ElementType.Float32, (nint)2, (nint)3, (nint)16)));
        using FloatMatrix copy = mapped.Copy();
        AssertSame(copy, matrix);
    }

    [Test]
    public void BytesGoThereAndBackAndAreMapped()
    {
        using TemporaryFolder folder = new();
        byte* values = stackalloc byte[] { 0, 1, 255, 99, 128, 127, 3, 99 };
        Vecs.Write(folder["a.bvecs"], new MatrixView<byte>(values, 2, 3, 4));
        Assert.That(File.ReadAllBytes(folder["a.bvecs"]), Is.EqualTo(new byte[] { 3, 0, 0, 0, 0, 1, 255, 3, 0, 0, 0, 128, 127, 3 }));
        using FloatMatrix wanted = FloatMatrix.FromArray(new float[,] { { 0, 1, 255 }, { 128, 127, 3 } });
        using FloatMatrix back = Vecs.ReadMatrix(folder["a.bvecs"]);
        AssertSame(back, wanted);
        using MappedRows mapped = Vecs.Map(folder["a.bvecs"]);
        Assert.That((mapped.Type, mapped.View.StrideBytes), Is.EqualTo((ElementType.UInt8, (nint)7)));
        using FloatMatrix copy = mapped.Copy();
        AssertSame(copy, wanted);
    }

    [Test]
    public void IntegersGoThereAndBack()
    {
        using TemporaryFolder folder = new();
        long* values = stackalloc long[] { 1, -1, int.MaxValue, int.MinValue, 0, 7 };
        Vecs.Write(folder["a.ivecs"], new MatrixView<long>(values, 3, 2));
        Assert.That(Vecs.ReadInt64(folder["a.ivecs"], out int columns), Is.EqualTo(new long[] { 1, -1, int.MaxValue, int.MinValue, 0, 7 }));
        Assert.That(columns, Is.EqualTo(2));
        int* same = stackalloc int[] { 1, -1, int.MaxValue, int.MinValue, 0, 7 };
        Vecs.Write(folder["b.ivecs"], new MatrixView<int>(same, 3, 2));
        Assert.That(File.ReadAllBytes(folder["b.ivecs"]), Is.EqualTo(File.ReadAllBytes(folder["a.ivecs"])));
        values[3] = 1L << 31;
        Assert.That(() => Vecs.Write(folder["c.ivecs"], new MatrixView<long>(values, 3, 2)), Throws.ArgumentException.With.Message.Contains("row 1"));
        Assert.That(File.Exists(folder["c.ivecs"]), Is.False);
        Assert.That(() => Vecs.Write(folder["c.ivecs"], new MatrixView<long>(values, 3, 0)), Throws.ArgumentException);
    }

    [Test]
    public void ManyRowsFromAPipe([Values(1, 3, 5000)] int atMost)
    {
        using FloatMatrix matrix = new(3000, 17);
        for (int i = 0; i < 3000 * 17; i++)
            matrix.View.Data[i] = i;
        using TemporaryFolder folder = new();
        Vecs.Write(folder["a.fvecs"], matrix);
        using FloatMatrix back = Vecs.ReadMatrix(new OneWayStream(File.ReadAllBytes(folder["a.fvecs"]), atMost), VecsKind.Floats);
        AssertSame(back, matrix);
    }

    /// <summary>Cut anywhere, the file is refused, but where a whole number of rows is left.</summary>
    [Test]
    public void FilesCutShortAreRefused()
    {
        using TemporaryFolder folder = new();
        byte* values = stackalloc byte[] { 1, 2, 3, 4, 5, 6 };
        Vecs.Write(folder["a.bvecs"], new MatrixView<byte>(values, 2, 3));
        byte[] whole = File.ReadAllBytes(folder["a.bvecs"]);
        for (int length = 0; length < whole.Length; length++)
        {
            if (length == 7)
                continue;
            string path = folder.Write("cut.bvecs", whole[..length]);
            DataFormatException read = Assert.Throws<DataFormatException>(() => Vecs.ReadMatrix(path))!;
            Assert.That(read.Row, Is.EqualTo(length / 7), $"cut at {length}");
            Assert.That(() => Vecs.Map(path), Throws.TypeOf<DataFormatException>(), $"cut at {length}");
            Assert.That(() => Vecs.ReadMatrix(new OneWayStream(whole[..length]), VecsKind.Bytes), Throws.TypeOf<DataFormatException>());
        }
    }

    [TestCase(0)]
    [TestCase(-1)]
    [TestCase(int.MinValue)]
    [TestCase(int.MaxValue)]
    [TestCase(Vecs.MaximumDimension + 1)]
    public void ADimensionThatCannotBeIsRefused(int dimension)
    {
        using TemporaryFolder folder = new();
        byte[] bytes = [.. BitConverter.GetBytes(dimension), .. new byte[100]];
        foreach (string name in (string[])["a.fvecs", "a.bvecs"])
        {
            string path = folder.Write(name, bytes);
            Assert.That(() => Vecs.ReadMatrix(path), Throws.TypeOf<DataFormatException>().With.Message.Contains($"dimension {dimension}"));
            Assert.That(() => Vecs.Map(path), Throws.TypeOf<DataFormatException>().With.Message.Contains($"dimension {dimension}"));
        }

        Assert.That(() => Vecs.ReadInt64(folder.Write("a.ivecs", bytes), out _), Throws.TypeOf<DataFormatException>());
    }

    /// <summary>A claim of 4 MiB a row in a short pipe takes no more than one row's memory.</summary>
    [Test]
    public void AClaimedDimensionTakesNoMemoryBeyondTheSource()
    {
        byte[] bytes = [.. BitConverter.GetBytes(Vecs.MaximumDimension), .. new byte[100]];
        long before = GC.GetTotalAllocatedBytes();
        Assert.That(() => Vecs.ReadMatrix(new OneWayStream(bytes), VecsKind.Floats), Throws.TypeOf<DataFormatException>().With.Message.Contains("the data ends inside the row"));
        Assert.That(GC.GetTotalAllocatedBytes() - before, Is.LessThan(32 << 20));
    }

    [Test]
    public void RowsThatDisagreeAreNamed()
    {
        using TemporaryFolder folder = new();
        byte[] bytes = [2, 0, 0, 0, 1, 2, 2, 0, 0, 0, 3, 4, 3, 0, 0, 0, 5, 6, 2, 0, 0, 0, 7, 8];
        string path = folder.Write("a.bvecs", bytes);
        DataFormatException read = Assert.Throws<DataFormatException>(() => Vecs.ReadMatrix(path))!;
        DataFormatException mapped = Assert.Throws<DataFormatException>(() => Vecs.Map(path))!;
        Assert.That((read.Row, mapped.Row, mapped.Offset), Is.EqualTo(((long?)2, (long?)2, (long?)12)));
        Assert.That(read.Message, Does.Contain("dimension 3").And.Contain("first row has 2"));
        Assert.That(mapped.Message, Does.Contain("dimension 3"));
    }

    [Test]
    public void TheNameSaysTheKind()
    {
        Assert.That(Vecs.KindOf("x/A.FVECS.gz"), Is.EqualTo(VecsKind.Floats));
        Assert.That(Vecs.KindOf("a.bvecs"), Is.EqualTo(VecsKind.Bytes));
        Assert.That(Vecs.KindOf("a.ivecs"), Is.EqualTo(VecsKind.Integers));
        Assert.That(Vecs.KindOf("a.npy"), Is.Null);
        Assert.That(() => Vecs.ReadMatrix("a.npy"), Throws.ArgumentException.With.Message.Contains(".fvecs"));
        Assert.That(() => Vecs.Map("a.ivecs"), Throws.ArgumentException);
        Assert.That(() => Vecs.ReadMatrix(Stream.Null, VecsKind.Integers), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    /// <summary>NumPy reads the files in the way that everybody reads them.</summary>
    [Test]
    public void AgreesWithNumPy()
    {
        using TemporaryFolder folder = new();
        using FloatMatrix matrix = FloatMatrix.FromRows([.. Enumerable.Range(0, 60).Select(i => i / 7f)], 12);
        Vecs.Write(folder["a.fvecs"], matrix);
        string shape = Python.Run("numpy", """
            import numpy as np, sys
            a = np.fromfile(sys.argv[1] + '/a.fvecs', dtype='<i4')
            d = a[0]
            x = a.reshape(-1, d + 1)[:, 1:].copy().view('<f4')
            print(x.shape, np.abs(x.ravel() - np.arange(60, dtype='f4') / np.float32(7)).max() < 1e-6, end='')
            g = np.arange(20, dtype='<i4').reshape(4, 5)
            np.hstack([np.full((4, 1), 5, '<i4'), g]).tofile(sys.argv[1] + '/g.ivecs')
            """, folder.Path);
        Assert.That(shape, Is.EqualTo("(5, 12) True"));
        Assert.That(Vecs.ReadInt64(folder["g.ivecs"], out int columns), Is.EqualTo(Enumerable.Range(0, 20).Select(i => (long)i)));
        Assert.That(columns, Is.EqualTo(5));
    }

    private static void AssertSame(FloatMatrix matrix, FloatMatrix wanted)
    {
        Assert.That((matrix.Rows, matrix.Columns), Is.EqualTo((wanted.Rows, wanted.Columns)));
        for (nint i = 0; i < wanted.Rows; i++)
            Assert.That(matrix.Row(i).SequenceEqual(wanted.Row(i)), $"row {i}");
    }
}
