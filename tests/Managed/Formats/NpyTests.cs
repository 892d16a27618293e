using System.Text;
using EmbeddingKernels.Core;
using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Tests;

public sealed class NpyTests
{
    private static byte[] Npy1(string header, params byte[] data)
    {
        byte[] text = Encoding.Latin1.GetBytes(header);
        return [0x93, .. "NUMPY"u8, 1, 0, (byte)text.Length, (byte)(text.Length >> 8), .. text, .. data];
    }

    private static byte[] Bytes<T>(params T[] values)
        where T : unmanaged => System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    private static FloatMatrix Read(byte[] file) => Npy.ReadMatrix(new MemoryStream(file));

    private static float[] Elements(FloatMatrix matrix)
    {
        List<float> all = [];
        for (nint i = 0; i < matrix.Rows; i++)
            all.AddRange(matrix.Row(i));
        return [.. all];
    }

    [Test]
    public void WritesTheBytesThatNumPyWrites()
    {
        using TemporaryFolder folder = new();
        using FloatMatrix matrix = FloatMatrix.FromArray(new float[,] { { 1, 2 }, { 3, -4 } });
        Npy.Write(folder["a.npy"], matrix);

        byte[] expected = [0x93, .. "NUMPY"u8, 1, 0, 118, 0, .. "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"u8,
            .. Enumerable.Repeat((byte)' ', 58), (byte)'\n',
            0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40, 0, 0, 0x80, 0xc0];
        Assert.That(File.ReadAllBytes(folder["a.npy"]), Is.EqualTo(expected));

        Npy.Write(folder["b.npy"], (ReadOnlySpan<long>)[1, -1]);
        expected = [0x93, .. "NUMPY"u8, 1, 0, 118, 0, .. "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }"u8,
            .. Enumerable.Repeat((byte)' ', 60), (byte)'\n', 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255];
        Assert.That(File.ReadAllBytes(folder["b.npy"]), Is.EqualTo(expected));
    }

    [TestCase("'<f4', 'fortran_order': False, 'shape': (2, 3), }", 2, 3, new float[] { 1, 2, 3, 4, 5, 6 })]
    [TestCase("'<f4', 'fortran_order': True, 'shape': (2, 3), }", 2, 3, new float[] { 1, 3, 5, 2, 4, 6 })]
    [TestCase("'<f4', 'fortran_order': False, 'shape': (6,)}", 6, 1, new float[] { 1, 2, 3, 4, 5, 6 })]
    [TestCase("'<f4', 'fortran_order': True, 'shape': (6,)}", 6, 1, new float[] { 1, 2, 3, 4, 5, 6 })]
    [TestCase("\"<f4\", \"fortran_order\" : False,\"shape\":( 3L , 1L,2L ) , }  \n", 3, 2, new float[] { 1, 2, 3, 4, 5, 6 })]
    public void ReadsShapesAndOrders(string rest, int rows, int columns, float[] expected)
    {
        using FloatMatrix matrix = Read(Npy1("{'descr': " + rest, Bytes<float>(1, 2, 3, 4, 5, 6)));
        Assert.That((matrix.Rows, matrix.Columns), Is.EqualTo(((nint)rows, (nint)columns)));
        Assert.That(Elements(matrix), Is.EqualTo(expected));
    }

    [Test]
    public void ReadsEmptyAndSingleNumber()
    {
        using FloatMatrix empty = Read(Npy1("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 5)}"));
        Assert.That((empty.Rows, empty.Columns), Is.EqualTo(((nint)0, (nint)5)));
        using FloatMatrix number = Read(Npy1("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", Bytes(2.5)));
        Assert.That(Elements(number), Is.EqualTo(new[] { 2.5f }));
    }

    [TestCase("|b1", new byte[] { 0, 1 }, new float[] { 0, 1 })]
    [TestCase("|u1", new byte[] { 200, 1 }, new float[] { 200, 1 })]
    [TestCase("|i1", new byte[] { 200, 1 }, new float[] { -56, 1 })]
    [TestCase("<u2", new byte[] { 1, 2, 255, 255 }, new float[] { 513, 65535 })]
    [TestCase(">i2", new byte[] { 1, 2, 255, 255 }, new float[] { 258, -1 })]
    [TestCase("<i4", new byte[] { 1, 2, 0, 0, 255, 255, 255, 255 }, new float[] { 513, -1 })]
    [TestCase(">u4", new byte[] { 0, 0, 1, 2, 255, 255, 255, 255 }, new float[] { 258, 4294967295f })]
    [TestCase(">i8", new byte[] { 0, 0, 0, 0, 0, 0, 1, 2, 255, 255, 255, 255, 255, 255, 255, 255 }, new float[] { 258, -1 })]
    [TestCase("<u8", new byte[] { 1, 2, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255 }, new float[] { 513, 18446744073709551615f })]
    [TestCase("<f2", new byte[] { 0, 0x3c, 0, 0xfc }, new float[] { 1, float.NegativeInfinity })]
    [TestCase(">f4", new byte[] { 0x3f, 0x80, 0, 0, 0x7f, 0xc0, 0, 0 }, new float[] { 1, float.NaN })]
    [TestCase("<f8", new byte[] { 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f }, new float[] { 1, float.PositiveInfinity })]
    public void ReadsElementTypes(string type, byte[] data, float[] expected)
    {
        using FloatMatrix matrix = Read(Npy1($"{{'descr': '{type}', 'fortran_order': False, 'shape': (2,), }}", data));
        Assert.That(Elements(matrix), Is.EqualTo(expected));
    }

    [Test]
    public void ReadsVersionsTwoAndThree([Values(2, 3)] int version)
    {
        byte[] text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}"u8.ToArray();
        byte[] file = [0x93, .. "NUMPY"u8, (byte)version, 0, (byte)text.Length, 0, 0, 0, .. text, .. Bytes(7f)];
        using FloatMatrix matrix = Read(file);
        Assert.That(Elements(matrix), Is.EqualTo(new[] { 7f }));
    }

    [Test]
    public void IntegersAreReadExactlyAndFloatsRefused()
    {
        byte[] file = Npy1("{'descr': '<i8', 'fortran_order': True, 'shape': (2, 2)}", Bytes(1L, long.MinValue, long.MaxValue, 4L));
        Assert.That(Npy.ReadInt64(new MemoryStream(file)), Is.EqualTo(new[] { 1, long.MaxValue, long.MinValue, 4 }));
        Assert.That(Npy.ReadDouble(new MemoryStream(file))[3], Is.EqualTo(4.0));

        file = Npy1("{'descr': '<u8', 'fortran_order': False, 'shape': (2,)}", Bytes(1UL, 1UL << 63));
        Assert.That(() => Npy.ReadInt64(new MemoryStream(file)), Throws.TypeOf<DataFormatException>().With.Message.Contains("2^63"));
        file = Npy1("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", Bytes(1f));
        Assert.That(() => Npy.ReadInt64(new MemoryStream(file)), Throws.TypeOf<DataFormatException>().With.Message.Contains("<f4"));
    }

    [TestCase("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 300)}", "need 1200000000000000 bytes")]
    [TestCase("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807, 9223372036854775807)}", "overflows")]
    [TestCase("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807)}", "address space")]
    [TestCase("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "2^63")]
    [TestCase("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "malformed")]
    [TestCase("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 0)}", "without elements")]
    [TestCase("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1, 1)}", "column-major")]
    [TestCase("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "'<c8'")]
    [TestCase("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "'|O'")]
    [TestCase("{'descr': 'f4', 'fortran_order': False, 'shape': (1,)}", "'f4'")]
    [TestCase("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "named fields")]
    [TestCase("{'fortran_order': False, 'shape': (1,)}", "lacks")]
    [TestCase("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}", "twice")]
    [TestCase("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}", "True or False")]
    [TestCase("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", "nothing more")]
    [TestCase("", "malformed")]
    public void RefusesHeaders(string header, string reason)
    {
        byte[] file = Npy1(header, Bytes(1f));
        Assert.That(() => Read(file), Throws.TypeOf<DataFormatException>().With.Message.Contains(reason));
        Assert.That(() => Npy.ReadInt64(new MemoryStream(file)), Throws.TypeOf<DataFormatException>());
    }

    [Test]
    public void RefusesALongHeaderBeforeItTakesMemory()
    {
        byte[] file = [0x93, .. "NUMPY"u8, 2, 0, 255, 255, 255, 255, 0];
        Assert.That(() => Read(file), Throws.TypeOf<DataFormatException>().With.Message.Contains("4294967295"));
    }

    [Test]
    public void EveryTruncationAndEveryFlippedHeaderByteIsReadOrRefused([Values] bool seekable)
    {
        byte[] whole = Npy1("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", Bytes<float>(1, 2, 3, 4));
        int headerEnd = whole.Length - 16;
        for (int length = 0; length < whole.Length; length++)
            Assert.That(() => Open(whole[..length]).Dispose(), Throws.TypeOf<DataFormatException>(), $"cut at {length}");

        for (int at = 0; at < headerEnd; at++)
        {
            for (int flip = 1; flip < 256; flip++)
            {
                byte[] damaged = [.. whole];
                damaged[at] ^= (byte)flip;
                try
                {
                    using FloatMatrix matrix = Open(damaged);
                    Assert.That(matrix.Rows * matrix.Columns, Is.LessThanOrEqualTo((nint)8), "16 bytes hold no more than 8 halves");
                }
                catch (DataFormatException)
                {
                    // refused, as it should be
                }
            }
        }

        FloatMatrix Open(byte[] file) => Npy.ReadMatrix(seekable ? new MemoryStream(file) : new OneWayStream(file));
    }

    [Test]
    public void AStreamOfUnknownLengthTakesNoMoreMemoryThanItDelivers()
    {
        byte[] file = Npy1("{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000, 100)}", new byte[1000]);
        Assert.That(() => Npy.ReadMatrix(new OneWayStream(file)), Throws.TypeOf<DataFormatException>().With.Message.Contains("missing"));
    }

    [Test]
    public void GrowsWhereTheLengthIsUnknown()
    {
        const int Count = 5_000_000; // beyond the first step of 16 MiB
        byte[] data = new byte[Count * 4];
        Random random = new(1);
        random.NextBytes(data);
        byte[] file = Npy1($"{{'descr': '<i4', 'fortran_order': False, 'shape': ({Count},)}}", data);
        long[] values = Npy.ReadInt64(new OneWayStream(file));
        Assert.That(values, Has.Length.EqualTo(Count));
        for (int i = 0; i < Count; i += 999)
            Assert.That(values[i], Is.EqualTo(BitConverter.ToInt32(data, i * 4)));
    }

    [Test]
    public void SeveralArraysInOneStreamAreReadInTurnButAFileHoldsOne()
    {
        byte[] one = Npy1("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", Bytes(1f));
        byte[] two = Npy1("{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}", Bytes(2L));
        using MemoryStream stream = new([.. one, .. two]);
        using FloatMatrix first = Npy.ReadMatrix(stream);
        Assert.That((first[0, 0], Npy.ReadInt64(stream)[0]), Is.EqualTo((1f, 2L)));

        using TemporaryFolder folder = new();
        string path = folder.Write("a.npy", [.. one, .. two]);
        Assert.That(() => Npy.ReadMatrix(path), Throws.TypeOf<DataFormatException>().With.Message.Contains("more data follows"));
    }

    [Test]
    public void PackedFilesAreReadAndWrittenAndDamageIsFound()
    {
        using TemporaryFolder folder = new();
        using FloatMatrix matrix = FloatMatrix.FromArray(new float[,] { { 1, 2, 3 } });
        Npy.Write(folder["a.npy.gz"], matrix);
        byte[] packed = File.ReadAllBytes(folder["a.npy.gz"]);
        Assert.That(packed[..2], Is.EqualTo(new byte[] { 0x1f, 0x8b }));
        using FloatMatrix back = Npy.ReadMatrix(folder["a.npy.gz"]);
        Assert.That(Elements(back), Is.EqualTo(new float[] { 1, 2, 3 }));

        for (int length = 0; length < packed.Length; length++)
        {
            string path = folder.Write("cut.npy.gz", packed[..length]);
            if (length > 0)
                Assert.That(() => Npy.ReadMatrix(path), Throws.TypeOf<DataFormatException>().With.Message.Contains("packed data"), $"cut at {length}");
        }

        for (int at = packed.Length - 60; at < packed.Length; at++)
        {
            byte[] damaged = [.. packed];
            damaged[at] ^= 0x55;
            string path = folder.Write("bad.npy.gz", damaged);
            Assert.That(() => Npy.ReadMatrix(path), Throws.TypeOf<DataFormatException>(), $"damaged at {at}");
        }
    }

    [Test]
    public void MapsFloatsWithoutCopying()
    {
        using TemporaryFolder folder = new();
        using FloatMatrix matrix = FloatMatrix.FromArray(new float[,] { { 1, 2 }, { 3, 4 } });
        Npy.Write(folder["a.npy"], matrix);
        using (MappedRows mapped = Npy.Map(folder["a.npy"]))
        {
            Assert.That((mapped.Rows, mapped.Columns, mapped.Type), Is.EqualTo(((nint)2, (nint)2, ElementType.Float32)));
            float[] row = new float[2];
            mapped.CopyRow(1, row);
            Assert.That(row, Is.EqualTo(new float[] { 3, 4 }));
            Assert.That(() => mapped.CopyRow(2, row), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => mapped.CopyRow(1, new float[3]), Throws.ArgumentException);
            using FloatMatrix copy = mapped.Copy();
            Assert.That(Elements(copy), Is.EqualTo(new float[] { 1, 2, 3, 4 }));
            mapped.Dispose();
            Assert.That(() => mapped.View, Throws.TypeOf<ObjectDisposedException>());
        }

        Npy.Write(folder["d.npy"], (ReadOnlySpan<double>)[1.0]);
        Assert.That(Npy.TryMap(folder["d.npy"], out MappedRows? none), Is.False);
        Assert.That(none, Is.Null);
        Assert.That(() => Npy.TryMap(folder.Write("z.npy", [1, 2, 3]), out _), Throws.TypeOf<DataFormatException>());
        Assert.That(() => Npy.Map(folder["d.npy"]), Throws.TypeOf<DataFormatException>().With.Message.Contains("<f8"));
        Npy.Write(folder["e.npy.gz"], matrix);
        Assert.That(() => Npy.Map(folder["e.npy.gz"]), Throws.TypeOf<DataFormatException>().With.Message.Contains("packed"));
    }

    [TestCase("<f2", ElementType.Float16)]
    [TestCase("|i1", ElementType.Int8)]
    [TestCase("|u1", ElementType.UInt8)]
    public void MapsShortTypesAsTheyAre(string description, ElementType type)
    {
        using TemporaryFolder folder = new();
        Python.Run("numpy", """
            import numpy as np, sys
            a = np.arange(35).reshape(5, 7) * 3
            np.save(sys.argv[1] + '/a.npy', (-a if sys.argv[2] == '|i1' else a).astype(sys.argv[2]))
            np.save(sys.argv[1] + '/f.npy', np.asfortranarray(a).astype(sys.argv[2]))
            """, folder.Path, description);
        using MappedRows mapped = Npy.Map(folder["a.npy"]);
        Assert.That((mapped.Type, mapped.Rows, mapped.Columns), Is.EqualTo((type, (nint)5, (nint)7)));
        using FloatMatrix copy = mapped.Copy();
        int sign = type == ElementType.Int8 ? -1 : 1;
        Assert.That(Elements(copy), Is.EqualTo(Enumerable.Range(0, 35).Select(i => sign * 3f * i)));
        Assert.That(() => Npy.Map(folder["f.npy"]), Throws.TypeOf<DataFormatException>().With.Message.Contains("column order"));
    }

    [Test]
    public unsafe void IntegersKeepTheirShape()
    {
        using TemporaryFolder folder = new();
        long* whole = stackalloc long[] { 1, 2, 3, 4, 5, 1L << 40 };
        Npy.Write(folder["a.npy"], new MatrixView<long>(whole, 3, 2));
        Assert.That(Npy.ReadInt64(folder["a.npy"], out int columns), Is.EqualTo(new long[] { 1, 2, 3, 4, 5, 1L << 40 }));
        Assert.That(columns, Is.EqualTo(2));
    }

    [Test]
    public unsafe void WritesViewsWithGapsBetweenRows()
    {
        using TemporaryFolder folder = new();
        double* data = stackalloc double[] { 1, 2, -1, 3, 4, -1 };
        Npy.Write(folder["a.npy"], new MatrixView<double>(data, 2, 2, 3));
        Assert.That(Npy.ReadDouble(folder["a.npy"]), Is.EqualTo(new double[] { 1, 2, 3, 4 }));
        long* whole = stackalloc long[] { 1, 2, 3 };
        Npy.Write(folder["b.npy"], new MatrixView<long>(whole, 3, 1));
        Assert.That(Npy.ReadInt64(folder["b.npy"]), Is.EqualTo(new long[] { 1, 2, 3 }));
    }

    [Test]
    public void AgreesWithNumPy()
    {
        using TemporaryFolder folder = new();
        Python.Run("numpy", """
            import numpy as np, sys
            a = (np.arange(60).reshape(5, 12) * 37 % 101).astype('<i8')
            for t in '|u1 <i2 >i4 <u8 <f2 >f4 <f8 <f4'.split():
                for n, o in (('c', a), ('f', np.asfortranarray(a)), ('t', a.reshape(5, 3, 4))):
                    np.save(f'{sys.argv[1]}/{n}{t.strip("<|")}.npy', o.astype(t))
            """, folder.Path);
        foreach (string file in Directory.GetFiles(folder.Path))
        {
            using FloatMatrix matrix = Npy.ReadMatrix(file);
            Assert.That(Elements(matrix), Is.EqualTo(Enumerable.Range(0, 60).Select(i => (float)(i * 37 % 101))), file);
            Npy.Write(file + ".copy", matrix);
        }

        Assert.That(File.ReadAllBytes(folder["cf4.npy.copy"]), Is.EqualTo(File.ReadAllBytes(folder["cf4.npy"])));
        string agreement = Python.Run("numpy", """
            import numpy as np, sys, glob
            files = glob.glob(sys.argv[1] + '/*.npy')
            pairs = [(np.load(f), np.load(open(f + '.copy', 'rb'))) for f in files]
            print(len(pairs), all((a.reshape(5, 12) == b).all() and b.dtype == np.float32 for a, b in pairs), end='')
            """, folder.Path);
        Assert.That(agreement, Is.EqualTo("24 True"));
    }

    [Test]
    public void ReadsTheReferenceData()
    {
        using FloatMatrix points = Npy.ReadMatrix(SharedData.Path("tsne/mnist_pca50_10k.npy.gz"));
        Assert.That((points.Rows, points.Columns), Is.EqualTo(((nint)10_000, (nint)50)));
        long[] labels = Npy.ReadInt64(SharedData.Path("tsne/y_10k.npy"));
        Assert.That(labels, Has.Length.EqualTo(10_000).And.All.InRange(0, 9));
        double[] affinities = Npy.ReadDouble(SharedData.Path("tsne/P_10k_data.npy.gz"));
        Assert.That(affinities.Sum(), Is.EqualTo(1.0).Within(1e-6));
    }
}
