namespace EmbeddingKernels.Tests;

public sealed class ProjectorTsvTests
{
    [Test]
    public void WritesTheProjectorsFilesAndReadsThemAgain()
    {
        using TemporaryFolder folder = new();
        using KeyedVectors vectors = new(["new york", "é", "x\uDCFF"], FloatMatrix.FromArray(new float[,] { { 1, -0.1f }, { 1e-9f, 3 }, { 0, 5 } }));
        ProjectorTsv.Write(folder["vectors.tsv"], folder["metadata.tsv"], vectors);
        Assert.That(File.ReadAllText(folder["vectors.tsv"]), Is.EqualTo("1\t-0.1\n1E-09\t3\n0\t5\n"));
        Assert.That(File.ReadAllBytes(folder["metadata.tsv"]), Is.EqualTo((byte[])[.. "new york\né\nx"u8, 0xff, .. "\n"u8]));

        using KeyedVectors back = ProjectorTsv.Read(folder["vectors.tsv"], folder["metadata.tsv"]);
        Assert.That(back.Words, Is.EqualTo(vectors.Words));
        for (int i = 0; i < 3; i++)
            Assert.That(back.Vectors.Row(i).SequenceEqual(vectors.Vectors.Row(i)));
        using FloatMatrix matrix = ProjectorTsv.ReadVectors(folder["vectors.tsv"]);
        Assert.That((matrix.Rows, matrix.Columns), Is.EqualTo(((nint)3, (nint)2)));
    }

    [Test]
    public void SeveralColumnsHaveAHeader()
    {
        using TemporaryFolder folder = new();
        ProjectorTsv.WriteMetadata(folder["m.tsv"], ("word", ["a", "b"]), ("class", ["1", "2"]));
        Assert.That(File.ReadAllText(folder["m.tsv"]), Is.EqualTo("word\tclass\na\t1\nb\t2\n"));
        Assert.That(ProjectorTsv.ReadMetadata(folder["m.tsv"])[2], Is.EqualTo(new[] { "b", "2" }));
        File.WriteAllText(folder["v.tsv"], "1\t2\r\n3\t4");
        using KeyedVectors vectors = ProjectorTsv.Read(folder["v.tsv"], folder["m.tsv"]);
        Assert.That(vectors["b"].ToArray(), Is.EqualTo(new float[] { 3, 4 }));
    }

    [Test]
    public void RefusesValuesWithTabsAndColumnsOfDifferentLength()
    {
        using TemporaryFolder folder = new();
        Assert.That(() => ProjectorTsv.WriteMetadata(folder["m.tsv"], ("word", ["a\tb"])), Throws.ArgumentException.With.Message.Contains("Value 0"));
        Assert.That(() => ProjectorTsv.WriteMetadata(folder["m.tsv"], ("word", ["a"]), ("class", [])), Throws.ArgumentException.With.Message.Contains("'class'"));
        Assert.That(() => ProjectorTsv.WriteMetadata(folder["m.tsv"]), Throws.ArgumentException);
        Assert.That(Directory.GetFiles(folder.Path), Is.Empty);
    }

    [TestCase("", "a\n", "empty")]
    [TestCase("1\t2\n3\n", "a\nb\n", "row 1")]
    [TestCase("1\t2\n3\t4\t5\n", "a\nb\n", "more than 2")]
    [TestCase("1\tx\n", "a\n", "'x'")]
    [TestCase("1\tnan\n", "a\n", "not finite")]
    [TestCase("1\t2\n", "a\nb\n", "1 vectors for the 2 labels")]
    [TestCase("1\t2\n3\t4\n", "a\n", "more vectors than the 1 labels")]
    [TestCase("1\t2\n", "a\tb\nc\n", "1 columns")]
    public void RefusesDamagedFiles(string vectors, string metadata, string reason)
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder["v.tsv"], vectors);
        File.WriteAllText(folder["m.tsv"], metadata);
        Assert.That(() => ProjectorTsv.Read(folder["v.tsv"], folder["m.tsv"]), Throws.TypeOf<DataFormatException>().With.Message.Contains(reason));
    }

    [Test]
    public void ReadsMoreRowsThanTheFirstStepHolds()
    {
        using TemporaryFolder folder = new();
        const int Rows = 2_100;
        const int Columns = 2_000; // 16.8 MB, just beyond the first step of 16 MiB
        using FloatMatrix matrix = new(Rows, Columns);
        for (int i = 0; i < Rows; i++)
            matrix.Row(i).Fill(i % 10);
        ProjectorTsv.WriteVectors(folder["v.tsv"], matrix.View);
        using FloatMatrix back = ProjectorTsv.ReadVectors(folder["v.tsv"]);
        Assert.That(back.Rows, Is.EqualTo((nint)Rows));
        for (int i = 0; i < Rows; i++)
            Assert.That(back.Row(i).SequenceEqual(matrix.Row(i)));
    }
}
