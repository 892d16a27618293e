using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace EmbeddingKernels;

/// <summary>Walks through a block's words, about ten cycles each for words of up to 16 bytes.</summary>
internal unsafe ref struct WordScanner
{
    private readonly byte* _end;
    private byte* _position;

    /// <param name="start">The first byte. <see cref="TextCorpus.Slack"/> bytes behind <paramref name="end"/> must be readable.</param>
    /// <param name="end">One past the last byte.</param>
    public WordScanner(byte* start, byte* end)
    {
        _position = start;
        _end = end;
        Word = start;
        Length = 0;
    }

    /// <summary>The current word's first byte.</summary>
    public byte* Word { get; private set; }

    /// <summary>The current word's bytes; 0 for the end of a sentence.</summary>
    public int Length { get; private set; }

    /// <summary>The next word or end of a sentence (line feed); false at the block's end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Next()
    {
        byte* p = _position;
        byte* end = _end;
        while (true)
        {
            if (p >= end)
                return false;
            if (*p > ' ')
                break;
            if (*p++ == '\n')
            {
                Length = 0;
                _position = p;
                return true;
            }
        }

        Word = p;
        while (true)
        {
            uint spaces = Vector128.LessThanOrEqual(Vector128.Load(p), Vector128.Create((byte)' ')).ExtractMostSignificantBits();
            if (spaces != 0)
            {
                p += BitOperations.TrailingZeroCount(spaces);
                break;
            }

            p += 16;
            if (p >= end)
                break;
        }

        if (p > end)
            p = end;
        Length = (int)(p - Word);
        _position = p;
        return true;
    }
}
