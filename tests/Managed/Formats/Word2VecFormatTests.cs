using System.IO.Compression;
using System.Text;

namespace EmbeddingKernels.Tests;

public sealed class Word2VecFormatTests
{
    private static readonly byte[] One = [0, 0, 0x80, 0x3f];
    private static readonly byte[] MinusTwo = [0, 0, 0, 0xc0];
    private static readonly byte[] Half = [0, 0, 0, 0x3f];
    private static readonly byte[] Three = [0, 0, 0x40, 0x40];

    private static byte[] BinaryFile(bool newlines) =>
        newlines
            ? [.. "2 2\n"u8, .. "a "u8, .. One, .. MinusTwo, .. "\nbé "u8, .. Half, .. Three, .. "\n"u8]
            : [.. "2 2\n"u8, .. "a "u8, .. One, .. MinusTwo, .. "bé "u8, .. Half, .. Three];

    private static KeyedVectors Sample() => new(["a", "bé"], FloatMatrix.FromArray(new float[,] { { 1, -2 }, { 0.5f, 3 } }));

    private static KeyedVectors Read(byte[] file, Word2VecReadOptions? options = null) => Word2VecFormat.Read(new MemoryStream(file), options);

    private static KeyedVectors Read(string file, Word2VecReadOptions? options = null) => Read(Encoding.UTF8.GetBytes(file), options);

    private static void ExpectSample(KeyedVectors vectors)
    {
        Assert.That(vectors.Words, Is.EqualTo(new[] { "a", "bé" }));
        Assert.That(vectors["a"].ToArray(), Is.EqualTo(new float[] { 1, -2 }));
        Assert.That(vectors["bé"].ToArray(), Is.EqualTo(new[] { 0.5f, 3 }));
    }

    [Test]
    public void WritesTheBytesOfWord2VecC()
    {
        using TemporaryFolder folder = new();
        using KeyedVectors vectors = Sample();
        Word2VecFormat.WriteBinary(folder["v.bin"], vectors);
        Assert.That(File.ReadAllBytes(folder["v.bin"]), Is.EqualTo(BinaryFile(newlines: true)));
        Word2VecFormat.WriteText(folder["v.txt"], vectors);
        Assert.That(File.ReadAllText(folder["v.txt"]), Is.EqualTo("2 2\na 1 -2\nbé 0.5 3\n"));
    }

    [Test]
    public void ReadsBinaryWithAndWithoutNewlines([Values] bool newlines, [Values] bool seekable)
    {
        byte[] file = BinaryFile(newlines);
        using KeyedVectors vectors = Word2VecFormat.Read(seekable ? new MemoryStream(file) : new OneWayStream(file, atMost: 3));
        ExpectSample(vectors);
    }

    [TestCase("2 2\na 1 -2\nbé 0.5 3\n")]
    [TestCase("2 2\na 1 -2\nbé 0.5 3", Description = "no newline at the end")]
    [TestCase("2 2\r\na 1 -2\r\nbé 0.5 3\r\n")]
    [TestCase("2 2\na 1.000000 -2.000000 \nbé 0.500000 3.000000 \n", Description = "word2vec.c")]
    [TestCase("2 2\na 1.0 -2.0\nbé 0.5 3e+00\n\n", Description = "gensim")]
    [TestCase("2\t2 \na  +1   -2\nbé 5e-1 3.\n")]
    [TestCase("a 1 -2\nbé 0.5 3\n", Description = "GloVe")]
    public void ReadsText(string file)
    {
        using KeyedVectors vectors = Read(file);
        ExpectSample(vectors);
        using KeyedVectors piped = Word2VecFormat.Read(new OneWayStream(Encoding.UTF8.GetBytes(file), atMost: 3));
        ExpectSample(piped);
    }

    [Test]
    public void RoundTripsChangeNoBit([Values("v.bin", "v.txt", "v.bin.gz", "v.vec.gz")] string name, [Values(0, 1, 7, 130)] int count)
    {
        using TemporaryFolder folder = new();
        Random random = new(count);
        using FloatMatrix matrix = new(count, 33);
        for (int i = 0; i < count; i++)
        {
            foreach (ref float value in matrix.Row(i))
            {
                do
                    value = BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue));
                while (!float.IsFinite(value));
            }
        }

        using KeyedVectors vectors = new(Enumerable.Range(0, count).Select(i => $"w{i}"), matrix);
        vectors.Save(folder[name]);
        byte[] bytes = File.ReadAllBytes(folder[name]);
        Assert.That(bytes[..2], name.EndsWith(".gz", StringComparison.Ordinal) ? Is.EqualTo(new byte[] { 0x1f, 0x8b }) : Is.Not.EqualTo(new byte[] { 0x1f, 0x8b }));
        using KeyedVectors back = KeyedVectors.Load(folder[name]);
        Assert.That((back.Count, back.Dimension), Is.EqualTo((count, 33)));
        Assert.That(back.Words, Is.EqualTo(vectors.Words));
        for (int i = 0; i < count; i++)
            Assert.That(back.Vectors.Row(i).SequenceEqual(matrix.Row(i)));
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1), "no temporary file is left");
    }

    [Test]
    public void BytesThatAreNotUtf8Survive()
    {
        byte[] file = [.. "2 2\n"u8, 0xc3, .. " "u8, .. One, .. Half, .. "\n"u8, (byte)'x', 0xff, 0xe2, 0x82, .. " "u8, .. One, .. Three, .. "\n"u8];
        using TemporaryFolder folder = new();
        using KeyedVectors vectors = KeyedVectors.Load(folder.Write("v.bin", file));
        Assert.That(vectors.Words, Is.EqualTo(new[] { "\uDCC3", "x\uDCFF\uDCE2\uDC82" }));
        vectors.Save(folder["w.bin"]);
        Assert.That(File.ReadAllBytes(folder["w.bin"]), Is.EqualTo(file));
    }

    [Test]
    public void FirstOfTwoEqualWordsIsKept()
    {
        using KeyedVectors vectors = Read("3 2\na 1 2\na 3 4\nb 5 6\n");
        Assert.That(vectors.Words, Is.EqualTo(new[] { "a", "b" }));
        Assert.That((vectors["a"][0], vectors["b"][0], vectors.Vectors.Rows), Is.EqualTo((1f, 5f, (nint)2)));
    }

    [Test]
    public void WordsWithSpacesAreReadWhereTheyCannotBeNumbers()
    {
        using KeyedVectors vectors = Read("the 1 2\n. . . 3 4\n10 5 6\nat name@domain.com 7 8\n");
        Assert.That(vectors.Words, Is.EqualTo(new[] { "the", ". . .", "10", "at name@domain.com" }));
        Assert.That(vectors[". . ."].ToArray(), Is.EqualTo(new float[] { 3, 4 }));
    }

    [TestCase("3 2\na 1 2\nb 3 4\nc 5 6\n")]
    [TestCase("a 1 2\nb 3 4\nc 5 6\n")]
    public void ALimitReadsTheFirstWords(string file)
    {
        using KeyedVectors vectors = Read(file, new Word2VecReadOptions { Limit = 2 });
        Assert.That(vectors.Words, Is.EqualTo(new[] { "a", "b" }));
        using KeyedVectors none = Read(file, new Word2VecReadOptions { Limit = 0 });
        Assert.That(none.Count, Is.Zero);
        Assert.That(() => Read(file, new Word2VecReadOptions { Limit = -1 }), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [TestCase("nan")]
    [TestCase("-inf")]
    [TestCase("1e39")]
    public void ValuesThatAreNotFiniteNeedLeave(string value)
    {
        string file = $"2 2\na 1 2\nb 3 {value}\n";
        DataFormatException? error = Assert.Throws<DataFormatException>(() => Read(file).Dispose());
        Assert.That((error!.Row, error.FileName, error.Message), Is.EqualTo((1L, "stream", error.Message)));
        Assert.That(error.Message, Does.Contain("'b'").And.Contain("number 2").And.Contain("row 1"));
        using KeyedVectors vectors = Read(file, new Word2VecReadOptions { AllowNonFinite = true });
        Assert.That(float.IsFinite(vectors["b"][1]), Is.False);
    }

    [TestCase("", "empty")]
    [TestCase("\n", "first line")]
    [TestCase("hello\n", "first line")]
    [TestCase("2x 2\na 1 2\n", "first line")]
    [TestCase("2 2", "ends in the first line")]
    [TestCase("-1 2\n", "claims -1 words")]
    [TestCase("2 0\n", "dimension 0")]
    [TestCase("2 -5\n", "dimension -5")]
    [TestCase("1000000000000 300\na 1 2\n", "claims 1000000000000 words")]
    [TestCase("2000000000 300\na 1 2\n", "2000000000 words of dimension 300 need")]
    [TestCase("1 2000000000\na 1 2\n", "dimension 2000000000")]
    [TestCase("99999999999999999999 2\na 1 2\n", "first line")]
    [TestCase("2 2\na 1.5 2.5\nb 3 x4\n", "'x4'")]
    [TestCase("2 2\na 1.5 2.5\nb 33333\n", "has 1 numbers")]
    [TestCase("2 2\na 1.5 2.5\nb 3 4 5\n", "more than 2")]
    [TestCase("2 2\na 1.5 2.5\nbbbbbbbb\n", "not a word and 2 numbers")]
    [TestCase("2 2\na 1.5 2.5\n 1 2 3\n", "not a word and 2 numbers")]
    [TestCase("3 2\na 1.5 2.5000000\nb 3.5 4.5\n", "ends after 2 of 3")]
    [TestCase("1 2\na 1.5 2.5\nb 3 4\n", "more data")]
    [TestCase("2 3\na 1.000 2.000\nb 1.000 2.000\n", "has 2 numbers")]
    [TestCase("a 1 2\n\nb 3 4\n", "more data follows after an empty line")]
    [TestCase("a 1 2\nb 3 4 5\n", "more than 2")]
    public void RefusesDamagedText(string file, string reason)
    {
        Assert.That(() => Read(file), Throws.TypeOf<DataFormatException>().With.Message.Contains(reason));
        Assert.That(() => Word2VecFormat.Read(new OneWayStream(Encoding.UTF8.GetBytes(file))), Throws.TypeOf<DataFormatException>());
    }

    [Test]
    public void EveryTruncationIsRefused([Values] bool binary, [Values] bool seekable)
    {
        byte[] whole = binary ? BinaryFile(newlines: false) : "2 2\na 1 -2\nbb 0.5 3.5"u8.ToArray();
        // "3." and "3.5" are numbers alike: text that is cut inside its last number cannot be told from whole text
        int surelyCut = binary ? whole.Length : whole.Length - 2;
        for (int length = 0; length < surelyCut; length++)
        {
            byte[] cut = whole[..length];
            Assert.That(() => Word2VecFormat.Read(seekable ? new MemoryStream(cut) : new OneWayStream(cut)), Throws.TypeOf<DataFormatException>(), $"cut at {length}");
        }
    }

    [Test]
    public void EveryFlippedByteIsReadOrRefused([Values] bool binary, [Values] bool seekable)
    {
        byte[] whole = binary ? BinaryFile(newlines: true) : "2 2\na 1 -2\nbb 0.5 3.5\n"u8.ToArray();
        for (int at = 0; at < whole.Length; at++)
        {
            for (int flip = 1; flip < 256; flip++)
            {
                byte[] damaged = [.. whole];
                damaged[at] ^= (byte)flip;
                try
                {
                    using KeyedVectors vectors = Word2VecFormat.Read(seekable ? new MemoryStream(damaged) : new OneWayStream(damaged));
                    Assert.That(vectors.Count * vectors.Dimension, Is.LessThanOrEqualTo(damaged.Length));
                }
                catch (DataFormatException error)
                {
                    Assert.That(error.Message, Does.StartWith("stream: "));
                }
            }
        }
    }

    [Test]
    public void AWordWithoutEndIsRefusedEarly([Values] bool binary)
    {
        byte[] file = [.. "1 2\n"u8, .. Enumerable.Repeat((byte)'w', 1 << 20)];
        Assert.That(() => Read(file, new Word2VecReadOptions { Binary = binary }), Throws.TypeOf<DataFormatException>());
        Assert.That(() => Read(file), Throws.TypeOf<DataFormatException>().With.Message.Contains("does not end within 65536 bytes"));
    }

    [Test]
    public void APackedFileMayNotPromiseMoreThanItCanHold()
    {
        using TemporaryFolder folder = new();
        using (GZipStream stream = new(File.Create(folder["v.bin.gz"]), CompressionLevel.Fastest))
            stream.Write("2000000000 1000\na "u8);
        Assert.That(() => KeyedVectors.Load(folder["v.bin.gz"]), Throws.TypeOf<DataFormatException>().With.Message.Contains("no more than"));

        // GloVe's form has no counts: only the packing shows that the end is missing
        byte[] text = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 5000).Select(i => $"w{i} 0.25 {i}\n")));
        using (GZipStream stream = new(File.Create(folder["g.txt.gz"]), CompressionLevel.Fastest))
            stream.Write(text);
        byte[] packed = File.ReadAllBytes(folder["g.txt.gz"]);
        using (KeyedVectors whole = KeyedVectors.Load(folder["g.txt.gz"]))
            Assert.That((whole.Count, whole["w4999"][1]), Is.EqualTo((5000, 4999f)));
        for (int length = 1; length < packed.Length; length += length < packed.Length - 40 ? 997 : 1)
        {
            string cut = folder.Write("cut.txt.gz", packed[..length]);
            Assert.That(() => KeyedVectors.Load(cut), Throws.TypeOf<DataFormatException>(), $"cut at {length} of {packed.Length}");
        }
    }

    [Test]
    public void AFileOfSeveralPackedMembersIsRead()
    {
        using TemporaryFolder folder = new();
        using MemoryStream packed = new();
        foreach (string part in (string[])["2 2\na 1 -2\nb", "é 0.5 3\n"])
        {
            using GZipStream stream = new(packed, CompressionLevel.Optimal, leaveOpen: true);
            stream.Write(Encoding.UTF8.GetBytes(part));
        }

        using KeyedVectors vectors = KeyedVectors.Load(folder.Write("v.txt.gz", packed.ToArray()));
        ExpectSample(vectors);
    }

    // not test cases: the compiler stores strings of attributes as UTF-8, which has no lone surrogate
    private static readonly TestCaseData[] Unwritable =
    [
        new TestCaseData("a b"), new TestCaseData("a\nb"), new TestCaseData("a\r"), new TestCaseData(""),
        new TestCaseData("\uD800").SetArgDisplayNames("lone surrogate"), new TestCaseData(new string('w', 70_000)).SetArgDisplayNames("70,000 w"),
    ];

    [TestCaseSource(nameof(Unwritable))]
    public void WordsThatTheFormatCannotHoldAreRefusedBeforeWriting(string word)
    {
        using TemporaryFolder folder = new();
        using KeyedVectors vectors = new(["x", word], FloatMatrix.FromArray(new float[,] { { 1 }, { 2 } }));
        Assert.That(() => vectors.Save(folder["v.txt"]), Throws.ArgumentException.With.Message.Contains("Word 1"));
        Assert.That(Directory.GetFiles(folder.Path), Is.Empty);
    }

    [Test]
    public void CancellingLeavesTheOldFileAlone()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder["v.txt"], "old");
        using KeyedVectors vectors = Sample();
        CancellationToken cancelled = new(canceled: true);
        Assert.That(() => vectors.Save(folder["v.txt"], cancellationToken: cancelled), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(File.ReadAllText(folder["v.txt"]), Is.EqualTo("old"));
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1));
        vectors.Save(folder["v.txt"]);
        Assert.That(() => KeyedVectors.Load(folder["v.txt"], cancellationToken: cancelled), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void ProgressEndsAtOne()
    {
        using TemporaryFolder folder = new();
        using KeyedVectors vectors = Sample();
        Reports reports = new();
        vectors.Save(folder["v.bin"], progress: reports);
        Assert.That(reports.Values, Is.Ordered.And.Some.EqualTo(1.0).And.All.InRange(0, 1));
        reports.Values.Clear();
        KeyedVectors.Load(folder["v.bin"], progress: reports).Dispose();
        Assert.That(reports.Values, Is.Ordered.And.Some.EqualTo(1.0).And.All.InRange(0, 1));
    }

    [Test]
    public void ExchangesFilesWithGensim()
    {
        using TemporaryFolder folder = new();
        Random random = new(5);
        using FloatMatrix matrix = new(50, 9);
        for (int i = 0; i < 50; i++)
        {
            foreach (ref float value in matrix.Row(i))
                value = (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-8, 3)));
        }

        using KeyedVectors vectors = new(Enumerable.Range(0, 50).Select(i => $"wörd{i}"), matrix);
        vectors.Save(folder["a.bin"]);
        vectors.Save(folder["a.txt"]);
        string answer = Python.Run("gensim", """
            import sys, numpy as np
            from gensim.models import KeyedVectors
            f = sys.argv[1]
            b = KeyedVectors.load_word2vec_format(f + '/a.bin', binary=True)
            t = KeyedVectors.load_word2vec_format(f + '/a.txt', binary=False)
            print(len(b), (b.vectors == t.vectors).all(), b.index_to_key == t.index_to_key, end='')
            b.save_word2vec_format(f + '/g.bin', binary=True)
            b.save_word2vec_format(f + '/g.txt.gz', binary=False)
            """, folder.Path);
        Assert.That(answer, Is.EqualTo("50 True True"));
        foreach (string name in (string[])["g.bin", "g.txt.gz"])
        {
            using KeyedVectors back = KeyedVectors.Load(folder[name]);
            Assert.That(back.Words, Is.EqualTo(vectors.Words));
            for (int i = 0; i < 50; i++)
                Assert.That(back.Vectors.Row(i).SequenceEqual(matrix.Row(i)), name);
        }
    }

    private sealed class Reports : IProgress<double>
    {
        public List<double> Values { get; } = [];

        public void Report(double value) => Values.Add(value);
    }
}
