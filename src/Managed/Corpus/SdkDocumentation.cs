using System.Runtime.InteropServices;
using System.Text;
using System.Xml;

namespace EmbeddingKernels;

/// <summary>What <see cref="SdkDocumentation.WriteCorpus(TextWriter, IEnumerable{string}?, CancellationToken)"/> wrote.</summary>
/// <param name="Sentences">Lines written: different sentences of at least two words.</param>
/// <param name="Tokens">Words in them.</param>
/// <param name="SkippedFiles">Files that could not be read to their end, each with the reason; nothing of them was written.</param>
public sealed record SdkCorpus(long Sentences, long Tokens, IReadOnlyList<string> SkippedFiles)
{
    /// <summary>Takes the two counts apart.</summary>
    public void Deconstruct(out long sentences, out long tokens) => (sentences, tokens) = (Sentences, Tokens);
}

/// <summary>
/// Real English text that every machine with the .NET SDK has: the XML documentation of the reference packs, as one
/// sentence per line, lower-case words separated by one space.
/// </summary>
/// <remarks>
/// A word is a run of letters, digits and inner underscores and apostrophes; identifiers stay whole
/// (<c>GetHashCode</c> gives <c>gethashcode</c>), a possessive <c>'s</c> goes. A reference to a type or member contributes the
/// last part of its name, a reference to a parameter or key word the name itself. Program samples are left out, sentences
/// that occurred before as well: the same order on every run.
/// </remarks>
public static class SdkDocumentation
{
    /// <summary>
    /// The documentation files of the reference packs, one per assembly, ordered by file name. Of several installed versions of
    /// a pack the newest counts.
    /// </summary>
    /// <exception cref="FileNotFoundException">No reference pack with documentation is on this machine; the message lists
    /// where it was looked for.</exception>
    public static IReadOnlyList<string> Find() => Find(CandidateFolders());

    /// <summary>The distinct sentences of <paramref name="files"/>, in their order.</summary>
    /// <param name="files">XML documentation files; those of <see cref="Find()"/> if null.</param>
    /// <param name="skipped">Told the name of a file that cannot be read to its end, and why.</param>
    /// <exception cref="FileNotFoundException"><paramref name="files"/> is null and there is no reference pack.</exception>
    public static IEnumerable<string> ReadSentences(IEnumerable<string>? files = null, Action<string, Exception>? skipped = null)
    {
        IEnumerable<string> sources = files ?? Find();
        return Read(sources, skipped);

        static IEnumerable<string> Read(IEnumerable<string> files, Action<string, Exception>? skipped)
        {
            HashSet<string> seen = new(StringComparer.Ordinal);
            List<string> sentences = [];
            foreach (string file in files)
            {
                sentences.Clear();
                try
                {
                    using FileStream stream = new(file, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
                    ReadDocument(stream, new SentenceSplitter(seen, sentences));
                }
                catch (Exception e) when (e is XmlException or IOException or UnauthorizedAccessException)
                {
                    foreach (string sentence in sentences)
                        seen.Remove(sentence); // a file counts whole or not at all
                    sentences.Clear();
                    skipped?.Invoke(file, e);
                }

                foreach (string sentence in sentences)
                    yield return sentence;
            }
        }
    }

    /// <summary>Writes the sentences of the documentation, one per line, each line ended by a line feed.</summary>
    /// <param name="destination">Gets the text; stays open.</param>
    /// <param name="files">XML documentation files; those of <see cref="Find()"/> if null.</param>
    /// <param name="cancellationToken">Stops between two sentences.</param>
    /// <exception cref="ArgumentNullException"><paramref name="destination"/> is null.</exception>
    /// <exception cref="FileNotFoundException"><paramref name="files"/> is null and there is no reference pack.</exception>
    public static SdkCorpus WriteCorpus(
        TextWriter destination, IEnumerable<string>? files = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(destination);
        List<string> skipped = [];
        long sentences = 0, tokens = 0;
        foreach (string sentence in ReadSentences(files, (file, reason) => skipped.Add($"{file}: {reason.Message}")))
        {
            cancellationToken.ThrowIfCancellationRequested();
            destination.Write(sentence);
            destination.Write('\n');
            sentences++;
            tokens += 1 + sentence.AsSpan().Count(' ');
        }

        return new SdkCorpus(sentences, tokens, skipped);
    }

    /// <summary>Writes the corpus to a UTF-8 file, which appears under its name only when it is whole.</summary>
    /// <param name="path">The file; one whose name ends in .gz is packed.</param>
    /// <param name="files">XML documentation files; those of <see cref="Find()"/> if null.</param>
    /// <param name="cancellationToken">Stops between two sentences; the file is then not written.</param>
    /// <exception cref="ArgumentException"><paramref name="path"/> is null or empty.</exception>
    /// <exception cref="FileNotFoundException"><paramref name="files"/> is null and there is no reference pack.</exception>
    public static SdkCorpus WriteCorpus(string path, IEnumerable<string>? files = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        files ??= Find();
        SdkCorpus? corpus = null;
        AtomicFile.Write(path, stream =>
        {
            using StreamWriter writer = new(stream, new UTF8Encoding(false), 1 << 16, leaveOpen: true);
            corpus = WriteCorpus(writer, files, cancellationToken);
        });
        return corpus!;
    }

    /// <summary><see cref="Find()"/> over the given installation folders (those that hold <c>packs</c>).</summary>
    internal static IReadOnlyList<string> Find(IReadOnlyList<string> folders)
    {
        foreach (string folder in folders)
        {
            string packs = Path.Combine(folder, "packs");
            if (!Directory.Exists(packs))
                continue;

            // One file per assembly: the packs overlap, and the copies are the same.
            SortedDictionary<string, string> byName = new(StringComparer.Ordinal);
            foreach (string pack in Directory.GetDirectories(packs, "*.Ref").Order(StringComparer.Ordinal))
            {
                foreach (string file in NewestDocumentation(pack))
                    byName.TryAdd(Path.GetFileName(file), file);
            }

            if (byName.Count > 0)
                return [.. byName.Values];
        }

        throw new FileNotFoundException(
            "No XML documentation of .NET reference packs was found: looked for packs/*.Ref/<version>/ref/*/*.xml in "
            + string.Join(", ", folders)
            + ". Install the .NET SDK (a runtime alone has no packs), set DOTNET_ROOT to its folder, or give a text file as the corpus.");
    }

    private static string[] NewestDocumentation(string pack)
    {
        IEnumerable<string> versions = Directory.GetDirectories(pack)
            .OrderByDescending(VersionOf)
            .ThenBy(folder => Path.GetFileName(folder).Contains('-')) // a release before its previews
            .ThenByDescending(folder => folder, StringComparer.Ordinal);
        foreach (string version in versions)
        {
            string references = Path.Combine(version, "ref");
            if (!Directory.Exists(references))
                continue;

            string[] files = Directory.GetFiles(references, "*.xml", SearchOption.AllDirectories);
            if (files.Length > 0)
            {
                Array.Sort(files, StringComparer.Ordinal);
                return files;
            }
        }

        return [];
    }

    private static Version VersionOf(string folder)
    {
        string name = Path.GetFileName(folder).Split('-')[0];
        return Version.TryParse(name, out Version? version) ? version : new Version();
    }

    private static List<string> CandidateFolders()
    {
        List<string> folders = [];
        Add(Environment.GetEnvironmentVariable("DOTNET_ROOT"));
        string runtime = RuntimeEnvironment.GetRuntimeDirectory(); // .../shared/Microsoft.NETCore.App/<version>/
        if (!string.IsNullOrEmpty(runtime))
            Add(Path.Combine(runtime, "..", "..", ".."));
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator))
        {
            // The command is often a link into the installation.
            FileInfo command = new(Path.Combine(folder, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
            if (folder.Length > 0 && command.Exists)
                Add(Path.GetDirectoryName(ResolveLink(command)));
        }

        if (OperatingSystem.IsWindows())
        {
            Add(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ProgramFiles), "dotnet"));
        }
        else
        {
            Add("/usr/share/dotnet");
            Add("/usr/lib/dotnet");
            Add("/usr/local/share/dotnet");
            Add("/opt/homebrew/opt/dotnet/libexec");
            Add(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".dotnet"));
        }

        return folders;

        void Add(string? folder)
        {
            if (string.IsNullOrEmpty(folder))
                return;

            string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
            if (!folders.Contains(full))
                folders.Add(full);
        }
    }

    private static string ResolveLink(FileInfo file)
    {
        try
        {
            return file.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? file.FullName;
        }
        catch (IOException)
        {
            return file.FullName; // a circle of links; the other folders remain
        }
    }

    private static void ReadDocument(Stream stream, SentenceSplitter text)
    {
        XmlReaderSettings settings = new()
        {
            DtdProcessing = DtdProcessing.Prohibit,
            XmlResolver = null,
            IgnoreComments = true,
            IgnoreProcessingInstructions = true,
        };
        using XmlReader reader = XmlReader.Create(stream, settings);
        int memberDepth = -1; // outside of <member>: the assembly's name and the like
        int codeStart = -1;
        while (reader.Read())
        {
            switch (reader.NodeType)
            {
                case XmlNodeType.Element when memberDepth < 0:
                    if (reader.Name == "member" && !reader.IsEmptyElement)
                        memberDepth = reader.Depth;
                    break;
                case XmlNodeType.Element:
                    if (reader.Name is "format" or "script")
                    {
                        if (!reader.IsEmptyElement)
                            SkipContent(reader);
                    }
                    else if (!IsInline(reader.Name))
                    {
                        text.EndBlock();
                    }
                    else if (reader.IsEmptyElement)
                    {
                        AppendReference(reader, text);
                    }
                    else if (reader.Name == "code" && codeStart < 0)
                    {
                        codeStart = text.Length;
                    }
                    else if (reader.GetAttribute("uid") is string uid)
                    {
                        text.AppendWord(LastNamePart(uid)); // <xref uid="..."></xref> has no text of its own
                    }

                    break;
                case XmlNodeType.EndElement when reader.Depth == memberDepth:
                    text.EndBlock();
                    memberDepth = -1;
                    break;
                case XmlNodeType.EndElement when memberDepth >= 0:
                    if (!IsInline(reader.Name))
                    {
                        text.EndBlock();
                        codeStart = -1;
                    }
                    else if (reader.Name == "code" && codeStart >= 0)
                    {
                        text.RemoveSample(codeStart);
                        codeStart = -1;
                    }

                    break;
                case XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace
                    when memberDepth >= 0:
                    text.Append(reader.Value);
                    break;
            }
        }
    }

    // Leaves the reader on the end tag.
    private static void SkipContent(XmlReader reader)
    {
        int depth = reader.Depth;
        while (reader.Read() && reader.Depth > depth)
        {
        }
    }

    private static bool IsInline(string element) =>
        element is "see" or "seealso" or "paramref" or "typeparamref" or "c" or "code" or "xref" or "a"
            or "b" or "i" or "em" or "strong" or "u" or "sup" or "sub" or "span" or "tt";

    private static void AppendReference(XmlReader reader, SentenceSplitter text)
    {
        if ((reader.GetAttribute("cref") ?? reader.GetAttribute("uid")) is string reference)
            text.AppendWord(LastNamePart(reference));
        else if ((reader.GetAttribute("name") ?? reader.GetAttribute("langword")) is string name)
            text.AppendWord(name);
    }

    /// <summary><c>M:System.IO.Stream.Read(System.Byte[])</c> gives <c>Read</c>, a constructor its type's name.</summary>
    internal static ReadOnlySpan<char> LastNamePart(string reference)
    {
        ReadOnlySpan<char> name = reference;
        int end = name.IndexOfAny("({~");
        if (end >= 0)
            name = name[..end];
        name = name[(name.IndexOf(':') + 1)..];
        if (name.EndsWith("ctor") && name.LastIndexOf(".#") is > 0 and int constructor)
            name = name[..constructor];
        name = name[(name.LastIndexOfAny('.', '#') + 1)..];
        int arity = name.IndexOf('`');
        return arity >= 0 ? name[..arity] : name;
    }

    /// <summary>Collects the text of one block (a paragraph, a parameter's description) and cuts it into sentences of words.</summary>
    private sealed class SentenceSplitter(HashSet<string> seen, List<string> sentences)
    {
        private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> _seen = seen.GetAlternateLookup<ReadOnlySpan<char>>();
        private readonly StringBuilder _block = new();
        private char[] _text = new char[4096];
        private char[] _line = new char[4096];
        private int _lineLength;
        private int _words;

        public int Length => _block.Length;

        public void Append(string text) => _block.Append(text);

        public void AppendWord(ReadOnlySpan<char> word) => _block.Append(' ').Append(word).Append(' ');

        // <code> on one line is a word of the sentence, on several lines a program.
        public void RemoveSample(int start)
        {
            for (int i = start; i < _block.Length; i++)
            {
                if (_block[i] == '\n')
                {
                    _block.Length = start;
                    _block.Append(' ');
                    return;
                }
            }
        }

        public void EndBlock()
        {
            int length = _block.Length;
            if (length == 0)
                return;

            if (_text.Length < length)
            {
                _text = new char[2 * length];
                _line = new char[2 * length];
            }

            _block.CopyTo(0, _text, length);
            _block.Clear();
            Split(_text.AsSpan(0, length));
        }

        private void Split(ReadOnlySpan<char> text)
        {
            int i = 0;
            while (i < text.Length)
            {
                char c = text[i];
                if (char.IsLetterOrDigit(c) || c == '_')
                {
                    int start = i;
                    while (i < text.Length && IsInWord(text, i))
                        i++;
                    AddWord(text[start..i]);
                    continue;
                }

                if (c is '.' or '!' or '?' && (i + 1 == text.Length || char.IsWhiteSpace(text[i + 1])) && !IsAbbreviation(text[..i]))
                    EndSentence();
                i++;
            }

            EndSentence();
        }

        private static bool IsInWord(ReadOnlySpan<char> text, int i) =>
            char.IsLetterOrDigit(text[i]) || text[i] == '_'
            || (text[i] is '\'' or '\u2019' && i + 1 < text.Length && char.IsLetter(text[i + 1]));

        private static bool IsAbbreviation(ReadOnlySpan<char> before) =>
            before.EndsWith("e.g", StringComparison.OrdinalIgnoreCase)
            || before.EndsWith("i.e", StringComparison.OrdinalIgnoreCase)
            || before.EndsWith(" vs", StringComparison.OrdinalIgnoreCase);

        private void AddWord(ReadOnlySpan<char> word)
        {
            word = word.Trim('_');
            if (word.EndsWith("'s", StringComparison.OrdinalIgnoreCase) || word.EndsWith("\u2019s", StringComparison.OrdinalIgnoreCase))
                word = word[..^2];
            if (word.IsEmpty)
                return;

            if (_words++ > 0)
                _line[_lineLength++] = ' ';
            foreach (char c in word)
                _line[_lineLength++] = c == '\u2019' ? '\'' : char.ToLowerInvariant(c);
        }

        // A single word has no context to learn from.
        private void EndSentence()
        {
            ReadOnlySpan<char> line = _line.AsSpan(0, _lineLength);
            if (_words > 1 && !_seen.Contains(line))
            {
                string sentence = line.ToString();
                seen.Add(sentence);
                sentences.Add(sentence);
            }

            _lineLength = 0;
            _words = 0;
        }
    }
}
