using System.Buffers;
using System.Text;

namespace EmbeddingKernels;

/// <summary>
/// Words as UTF-8. Bytes that are not UTF-8 (word2vec.c cuts long words in the middle of a character) become the lone
/// surrogates U+DC80 to U+DCFF, as Python's "surrogateescape" does, and become the same bytes again when written.
/// </summary>
internal static class WordEncoding
{
    private const char EscapeBase = '\uDC00';

    public static string Decode(ReadOnlySpan<byte> bytes)
    {
        if (System.Text.Unicode.Utf8.IsValid(bytes))
            return Encoding.UTF8.GetString(bytes);

        StringBuilder word = new(bytes.Length);
        Span<char> pair = stackalloc char[2];
        while (!bytes.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(bytes, out Rune rune, out int used) == OperationStatus.Done)
            {
                word.Append(pair[..rune.EncodeToUtf16(pair)]);
            }
            else
            {
                used = 1;
                word.Append((char)(EscapeBase + bytes[0]));
            }

            bytes = bytes[used..];
        }

        return word.ToString();
    }

    /// <summary>Appends a word's bytes; false, with nothing appended, where it has a lone surrogate that stands for no byte.</summary>
    public static bool TryEncode(string word, ArrayBufferWriter<byte> destination)
    {
        Span<byte> bytes = destination.GetSpan((word.Length * 3) + 1);
        int written = 0;
        ReadOnlySpan<char> rest = word;
        while (!rest.IsEmpty)
        {
            OperationStatus status = System.Text.Unicode.Utf8.FromUtf16(rest, bytes[written..], out int read, out int now, replaceInvalidSequences: false);
            written += now;
            rest = rest[read..];
            if (status == OperationStatus.Done)
                break;
            if (rest[0] - EscapeBase is < 0x80 or > 0xFF)
                return false;
            bytes[written++] = (byte)(rest[0] - EscapeBase);
            rest = rest[1..];
        }

        destination.Advance(written);
        return true;
    }
}
