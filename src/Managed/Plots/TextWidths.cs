using System.Globalization;
using System.Text;

namespace EmbeddingKernels;

/// <summary>
/// About how wide a text is set in Helvetica or Arial: the widths of the printable ASCII characters from Adobe's metrics of
/// Helvetica, a typical width for each other script. An SVG states these widths, so that another font is fitted to them.
/// </summary>
internal static class TextWidths
{
    /// <summary>Ascender to descender in units of the font size, as lower-case labels fill it.</summary>
    public const double Height = 1.0;

    // Thousandths of the font size, from the space (U+0020) to the tilde (U+007E).
    private static ReadOnlySpan<short> Ascii =>
    [
        278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
        556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
        1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
        667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
        333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
        556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
    ];

    /// <summary>The width in units of the font size.</summary>
    public static double Of(string text)
    {
        int thousandths = 0;
        foreach (Rune rune in text.EnumerateRunes())
            thousandths += Of(rune);
        return thousandths / 1000.0;
    }

    private static int Of(Rune rune)
    {
        int c = rune.Value;
        if (c is >= 0x20 and < 0x7F)
            return Ascii[c - 0x20];

        return Rune.GetUnicodeCategory(rune) switch
        {
            UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format => 0,
            _ when c == '…' => 1000,
            _ when c is >= 0x1100 and < 0x1160 or >= 0x2E80 and < 0xD7B0 or >= 0xF900 and < 0xFB00 or >= 0xFE30 and < 0xFE70
                or >= 0xFF00 and < 0xFF61 => 1000, // Hangul, CJK, full-width forms
            _ when c >= 0x1F000 => 1150, // emoji
            UnicodeCategory.UppercaseLetter => 690,
            _ when c is >= 0x0590 and < 0x0900 => 550, // Hebrew, Arabic
            _ => 580,
        };
    }
}
