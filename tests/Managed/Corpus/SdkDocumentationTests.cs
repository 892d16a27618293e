using System.Text;

namespace EmbeddingKernels.Tests;

public sealed class SdkDocumentationTests
{
    private static string Doc(string members) =>
        $"<?xml version=\"1.0\"?><doc><assembly><name>The.Assembly</name></assembly><members>{members}</members></doc>";

    private static string[] Sentences(string member, Action<string, Exception>? skipped = null)
    {
        using TemporaryFolder folder = new();
        string file = folder.Write("a.xml", Encoding.UTF8.GetBytes(Doc($"<member name=\"T:A\">{member}</member>")));
        return [.. SdkDocumentation.ReadSentences([file], skipped)];
    }

    private static string AddPack(TemporaryFolder folder, string pack, string version, string file, string content)
    {
        string path = Path.Combine(folder.Path, "packs", pack, version, "ref", "net10.0", file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, content);
        return path;
    }

    [TestCase("<summary>Reads a byte. Returns it!</summary>", "reads a byte", "returns it")]
    [TestCase("<summary>The <see cref=\"T:System.IO.Stream\" /> to read.</summary>", "the stream to read")]
    [TestCase("<summary>A <see cref=\"T:System.Collections.Generic.List`1\"/>s count</summary>", "a list s count")]
    [TestCase("<summary>See <see cref=\"F:System.Int32.MaxValue\">Int32.MaxValue</see> too</summary>", "see int32 maxvalue too")]
    [TestCase("<param name=\"x\">If <paramref name=\"byteCount\" /> is <see langword=\"null\" />.</param>", "if bytecount is null")]
    [TestCase("<returns>The <typeparamref name=\"T\"/> or <c>NaN</c></returns>", "the t or nan")]
    [TestCase("<summary>Uses <xref uid=\"System.IO.Stream.Read(System.Byte[])\"></xref> inside.</summary>", "uses read inside")]
    [TestCase("<summary>One <para>two three</para> four five</summary>", "two three", "four five")]
    [TestCase("<summary>Some, e.g. this; i.e. that. Next one?</summary>", "some e g this i e that", "next one")]
    [TestCase("<summary>The object's value doesn't change</summary>", "the object value doesn't change")]
    [TestCase("<summary>It’s the user’s, isn’t it</summary>", "it the user isn't it")]
    [TestCase("<summary>__m256i _mm256_add_epi8 (__m256i a)</summary>", "m256i mm256_add_epi8 m256i a")]
    [TestCase("<summary>Version 4.5.1 of GetHashCode, 100 %</summary>", "version 4 5 1 of gethashcode 100")]
    [TestCase("<summary>The value <code>x</code> is kept</summary>", "the value x is kept")]
    [TestCase("<remarks>Text before <code>\nint x = 1;\nfoo(x);\n</code> after it</remarks>", "text before after it")]
    [TestCase("<remarks>Left <format><![CDATA[# Skipped markdown]]></format> right</remarks>", "left right")]
    [TestCase("<summary>Größe ändern &amp; ÉTÉ</summary>", "größe ändern été")]
    [TestCase("<summary>Same words.</summary><remarks>same WORDS</remarks>", "same words")]
    [TestCase("<summary>Word. ... - </summary>")]
    [TestCase("<summary/>")]
    public void CutsTextIntoSentencesOfWords(string member, params string[] expected) =>
        Assert.That(Sentences(member), Is.EqualTo(expected));

    [TestCase("T:System.IO.Stream", "Stream")]
    [TestCase("M:System.IO.Stream.Read(System.Byte[],System.Int32)", "Read")]
    [TestCase("M:System.IO.Stream.#ctor", "Stream")]
    [TestCase("M:System.IO.Stream.#ctor(System.String)", "Stream")]
    [TestCase("T:System.Collections.Generic.Dictionary`2", "Dictionary")]
    [TestCase("M:System.Linq.Enumerable.Where``1(System.Func{``0,System.Boolean})", "Where")]
    [TestCase("T:System.Func{System.Int32}", "Func")]
    [TestCase("M:A.B.op_Implicit(A.B)~System.Int32", "op_Implicit")]
    [TestCase("P:A.List.System#Collections#ICollection#Count", "Count")]
    [TestCase("Overload:System.Type.GetTypeFromProgID", "GetTypeFromProgID")]
    [TestCase("N:System", "System")]
    [TestCase("!:Stream", "Stream")]
    [TestCase("", "")]
    public void TakesTheLastPartOfAName(string reference, string expected) =>
        Assert.That(SdkDocumentation.LastNamePart(reference).ToString(), Is.EqualTo(expected));

    [Test]
    public void TakesTheNewestVersionAndOneFilePerAssembly()
    {
        using TemporaryFolder folder = new();
        AddPack(folder, "A.Ref", "9.0.12", "System.Old.xml", Doc(""));
        string second = AddPack(folder, "A.Ref", "10.0.2", "System.B.xml", Doc(""));
        AddPack(folder, "A.Ref", "10.0.2-rc.1", "System.Rc.xml", Doc(""));
        string first = AddPack(folder, "B.Ref", "8.0.0", "System.A.xml", Doc(""));
        AddPack(folder, "B.Ref", "8.0.0", "System.B.xml", Doc(""));
        AddPack(folder, "B.Host.linux-x64", "8.0.0", "System.C.xml", Doc(""));
        Directory.CreateDirectory(Path.Combine(folder.Path, "packs", "B.Ref", "11.0.0", "data"));

        Assert.That(SdkDocumentation.Find([folder["missing"], folder.Path]), Is.EqualTo(new[] { first, second }));
    }

    [Test]
    public void SaysWhereItLookedForPacks()
    {
        using TemporaryFolder folder = new();
        FileNotFoundException error = Assert.Throws<FileNotFoundException>(() => SdkDocumentation.Find([folder.Path, folder["other"]]))!;
        Assert.That(error.Message, Does.Contain(folder.Path).And.Contain(folder["other"]).And.Contain("packs").And.Contain("corpus"));
    }

    [Test]
    public void WritesOneSentencePerLineAndSkipsBrokenFiles()
    {
        using TemporaryFolder folder = new();
        string good = folder.Write("good.xml", Encoding.UTF8.GetBytes(
            Doc("<member><summary>First words. More words here.</summary></member>")));
        string broken = folder.Write("broken.xml", Encoding.UTF8.GetBytes(
            "<doc><members><member><summary>Half of it.</summary></member><mem"));
        string typed = folder.Write("typed.xml", Encoding.UTF8.GetBytes(
            "<!DOCTYPE doc [<!ENTITY a \"boom\">]><doc><members><member><summary>The &a; word</summary></member></members></doc>"));
        string last = folder.Write("last.xml", Encoding.UTF8.GetBytes(
            Doc("<member><summary>Half of it. first words. The end</summary></member>")));

        using StringWriter text = new();
        SdkCorpus corpus = SdkDocumentation.WriteCorpus(text, [good, broken, typed, folder["none.xml"], last]);

        Assert.That(text.ToString(), Is.EqualTo("first words\nmore words here\nhalf of it\nthe end\n"));
        (long sentences, long tokens) = corpus;
        Assert.That((sentences, tokens), Is.EqualTo((4L, 10L)));
        Assert.That(corpus.SkippedFiles, Has.Count.EqualTo(3));
        Assert.That(corpus.SkippedFiles[0], Does.StartWith(broken + ": "));
        Assert.That(corpus.SkippedFiles[1], Does.StartWith(typed + ": "));
        Assert.That(corpus.SkippedFiles[2], Does.StartWith(folder["none.xml"] + ": "));
    }

    [Test]
    public void ACancelledCorpusLeavesNoFile()
    {
        using TemporaryFolder folder = new();
        string file = folder.Write("a.xml", Encoding.UTF8.GetBytes(Doc("<member><summary>Some words</summary></member>")));
        using CancellationTokenSource cancelled = new();
        cancelled.Cancel();
        Assert.That(
            () => SdkDocumentation.WriteCorpus(folder["corpus.txt"], [file], cancelled.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Directory.GetFiles(folder.Path), Is.EqualTo(new[] { file }));

        SdkDocumentation.WriteCorpus(folder["corpus.txt"], [file]);
        Assert.That(File.ReadAllBytes(folder["corpus.txt"]), Is.EqualTo("some words\n"u8.ToArray()));
        Assert.That(() => SdkDocumentation.WriteCorpus((TextWriter)null!), Throws.ArgumentNullException);
        Assert.That(() => SdkDocumentation.WriteCorpus(""), Throws.ArgumentException.With.Property("ParamName").EqualTo("path"));
    }

    [Test]
    public void ThisMachinesDocumentationIsACorpus()
    {
        IReadOnlyList<string> files;
        try
        {
            files = SdkDocumentation.Find();
        }
        catch (FileNotFoundException e)
        {
            Assert.Ignore($"skipped: {e.Message}");
            return;
        }

        using StringWriter text = new();
        SdkCorpus corpus = SdkDocumentation.WriteCorpus(text, files);
        Assert.That(files.Select(Path.GetFileName), Is.Unique.And.Ordered.Using((IComparer<string>)StringComparer.Ordinal));
        Assert.That(corpus.SkippedFiles, Is.Empty);
        Assert.That(corpus.Sentences, Is.InRange(50_000, 1_000_000));
        Assert.That(corpus.Tokens / (double)corpus.Sentences, Is.InRange(6, 20));

        string[] lines = text.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.Length.EqualTo(corpus.Sentences).And.Unique);
        Assert.That(lines.Count(l => l.Any(char.IsAsciiLetterUpper) || l.Contains("  ") || l.Trim() != l), Is.Zero);
        string[] words = [.. lines.SelectMany(l => l.Split(' '))];
        Assert.That(words, Has.Length.EqualTo(corpus.Tokens));
        Assert.That(words.CountBy(w => w).Count(w => w.Value >= 5), Is.InRange(4_000, 20_000));
        Assert.That(words.CountBy(w => w).MaxBy(w => w.Value).Key, Is.EqualTo("the"));
    }
}
