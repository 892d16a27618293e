using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace EmbeddingKernels;

/// <summary>The element type of an array in a .npy file.</summary>
internal enum NpyKind
{
    /// <summary>One byte, 0 or 1.</summary>
    Boolean,

    /// <summary>Two's complement.</summary>
    Signed,

    /// <summary>Unsigned.</summary>
    Unsigned,

    /// <summary>IEEE 754 binary.</summary>
    Float,
}

/// <summary>What stands before the data of a .npy file: element type, order and shape (numpy.lib.format, versions 1 to 3).</summary>
internal sealed record NpyHeader(NpyKind Kind, int ItemBytes, bool BigEndian, bool FortranOrder, long[] Shape)
{
    private const int Alignment = 64;

    // Sixteen times what a plain array needs; only tables of named fields have longer headers.
    private const int MaximumBytes = 4096;

    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    /// <summary>The type as NumPy writes it, as '&lt;f4'.</summary>
    public string Description =>
        $"{(ItemBytes == 1 ? '|' : BigEndian ? '>' : '<')}{Kind switch { NpyKind.Boolean => 'b', NpyKind.Signed => 'i', NpyKind.Unsigned => 'u', _ => 'f' }}{ItemBytes}";

    /// <summary>Whether the elements stand in the file as this machine has them in memory.</summary>
    public bool NativeOrder => ItemBytes == 1 || BigEndian != BitConverter.IsLittleEndian;

    /// <summary>The length of the first axis; 1 for a single number.</summary>
    public nint Rows { get; private init; }

    /// <summary>The product of the other axes.</summary>
    public nint Columns { get; private init; }

    /// <summary>Reads a header and checks that the data that it claims can follow.</summary>
    public static NpyHeader Read(FormatReader reader)
    {
        Span<byte> prefix = stackalloc byte[8];
        reader.ReadExactly(prefix, "the signature");
        if (!prefix[..6].SequenceEqual(Magic))
            reader.Throw("not a NumPy array: the signature \\x93NUMPY is missing");

        int version = prefix[6];
        if (version is < 1 or > 3 || prefix[7] != 0)
            reader.Throw($"version {version}.{prefix[7]} of the format is unknown; 1.0, 2.0 and 3.0 are read");
        Span<byte> lengthBytes = stackalloc byte[4];
        lengthBytes.Clear();
        reader.ReadExactly(version == 1 ? lengthBytes[..2] : lengthBytes, "the header's length");
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(lengthBytes);
        if (length > MaximumBytes)
            reader.Throw($"the header claims {length} bytes, above the {MaximumBytes} of any plain array: a table of named fields, or damaged");

        byte[] text = new byte[length];
        reader.ReadExactly(text, "the header");
        NpyHeader header = new Parser(reader, Encoding.Latin1.GetString(text)).Parse();
        return header.Checked(reader);
    }

    /// <summary>The header's bytes as NumPy writes them (version 1.0), data beginning at a multiple of 64.</summary>
    public byte[] ToBytes()
    {
        string shape = string.Join(", ", Shape.Select(n => n.ToString(CultureInfo.InvariantCulture)));
        string text = $"{{'descr': '{Description}', 'fortran_order': {(FortranOrder ? "True" : "False")}, 'shape': ({shape}{(Shape.Length == 1 ? "," : "")}), }}";
        int prefix = Magic.Length + 4;
        int total = (prefix + text.Length + 1 + Alignment - 1) / Alignment * Alignment;
        // NumPy leaves room for the shape to grow in place, which makes small headers 128 bytes.
        total = Math.Max(total, 2 * Alignment);
        byte[] bytes = new byte[total];
        Magic.CopyTo(bytes);
        bytes[6] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), (ushort)(total - prefix));
        bytes.AsSpan(prefix).Fill((byte)' ');
        Encoding.ASCII.GetBytes(text, bytes.AsSpan(prefix));
        bytes[^1] = (byte)'\n';
        return bytes;
    }

    private NpyHeader Checked(FormatReader reader)
    {
        UInt128 rows = Shape.Length == 0 ? 1 : (UInt128)Shape[0];
        UInt128 columns = 1;
        foreach (long axis in Shape.Skip(1))
        {
            columns *= (UInt128)axis;
            if (columns > long.MaxValue)
                reader.Throw($"the shape {Described()} overflows");
        }

        // An empty array may still claim 10^18 rows, over which a caller's loop would never end.
        if (columns == 0 && rows > int.MaxValue)
            reader.Throw($"the shape {Described()} claims {rows} rows without elements");
        UInt128 bytes = rows * columns * (UInt128)ItemBytes;
        if (rows * columns > (UInt128)(nint.MaxValue / sizeof(double)))
            reader.Throw($"the shape {Described()} is larger than this machine's address space");
        reader.ExpectAtLeast(bytes, $"{Described()} elements of type {Description}");
        return this with { Rows = (nint)rows, Columns = (nint)columns };
    }

    private string Described() => $"({string.Join(", ", Shape)})";

    /// <summary>Reads the header's one Python dictionary: keys and values are strings, truth values and tuples of numbers.</summary>
    private sealed class Parser(FormatReader reader, string text)
    {
        private int _at;

        public NpyHeader Parse()
        {
            string? description = null;
            bool? fortran = null;
            long[]? shape = null;
            Expect('{');
            while (Peek() != '}')
            {
                string key = Quoted();
                Expect(':');
                switch (key)
                {
                    case "descr" when description is null:
                        if (Peek() == '[')
                            reader.Throw("the array is a table of named fields, which is not read; store its columns one by one");
                        description = Quoted();
                        break;
                    case "fortran_order" when fortran is null:
                        fortran = Truth();
                        break;
                    case "shape" when shape is null:
                        shape = Tuple();
                        break;
                    default:
                        reader.Throw($"the header's key '{key}' is unknown or comes twice");
                        break;
                }

                if (Peek() == ',')
                    _at++;
                else if (Peek() != '}')
                    throw Malformed("',' or '}'");
            }

            _at++;
            if (Peek() != '\0')
                throw Malformed("nothing more");
            if (description is null || fortran is null || shape is null)
                throw reader.Fail("the header lacks 'descr', 'fortran_order' or 'shape'");
            (NpyKind kind, int bytes, bool bigEndian) = ElementType(description);
            return new NpyHeader(kind, bytes, bigEndian, fortran.Value, shape);
        }

        private (NpyKind Kind, int Bytes, bool BigEndian) ElementType(string description)
        {
            string type = description.TrimStart('<', '>', '|', '=');
            NpyKind? kind = type switch
            {
                "b1" => NpyKind.Boolean,
                "i1" or "i2" or "i4" or "i8" => NpyKind.Signed,
                "u1" or "u2" or "u4" or "u8" => NpyKind.Unsigned,
                "f2" or "f4" or "f8" => NpyKind.Float,
                _ => null,
            };
            int bytes = kind is null ? 0 : type[1] - '0';
            if (kind is null || description.Length - type.Length > 1 || (description.Length == type.Length && bytes > 1))
                throw reader.Fail($"elements of type '{description}' are not read; b1, i1 to i8, u1 to u8, f2, f4 and f8 are");
            bool bigEndian = description[0] == '>' || (description[0] == '=' && !BitConverter.IsLittleEndian);
            return (kind.Value, bytes, bigEndian);
        }

        private char Peek()
        {
            while (_at < text.Length && text[_at] is ' ' or '\n' or '\t' or '\r')
                _at++;
            return _at < text.Length ? text[_at] : '\0';
        }

        private void Expect(char wanted)
        {
            if (Peek() != wanted)
                throw Malformed($"'{wanted}'");
            _at++;
        }

        private string Quoted()
        {
            char quote = Peek();
            int end = quote is '\'' or '"' ? text.IndexOf(quote, _at + 1) : -1;
            if (end < 0)
                throw Malformed("a quoted string");
            string value = text[(_at + 1)..end];
            _at = end + 1;
            return value;
        }

        private bool Truth()
        {
            Peek();
            foreach (string word in (string[])["True", "False"])
            {
                if (string.CompareOrdinal(text, _at, word, 0, word.Length) != 0)
                    continue;
                _at += word.Length;
                return word == "True";
            }

            throw Malformed("True or False");
        }

        private long[] Tuple()
        {
            List<long> values = [];
            Expect('(');
            while (Peek() != ')')
            {
                int start = _at;
                while (_at < text.Length && char.IsAsciiDigit(text[_at]))
                    _at++;
                if (!long.TryParse(text.AsSpan(start, _at - start), NumberStyles.None, CultureInfo.InvariantCulture, out long value))
                {
                    _at = start;
                    throw Malformed("a length between 0 and 2^63 - 1");
                }

                values.Add(value);
                if (_at < text.Length && text[_at] == 'L')
                    _at++; // Python 2 wrote long integers so
                if (Peek() == ',')
                    _at++;
                else if (Peek() != ')')
                    throw Malformed("',' or ')'");
            }

            _at++;
            return [.. values];
        }

        private DataFormatException Malformed(string wanted) =>
            reader.Fail($"the header is malformed: {wanted} is expected at its character {_at}");
    }
}
