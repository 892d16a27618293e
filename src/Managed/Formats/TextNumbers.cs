using System.Globalization;

namespace EmbeddingKernels;

/// <summary>Numbers in text: the nearest float to a decimal, and the shortest decimal that reads back as the same float.</summary>
internal static class TextNumbers
{
    /// <summary>Bytes that <see cref="Format"/> writes at most: sign, 9 digits, point, exponent, and "-Infinity" besides.</summary>
    public const int MaximumBytes = 32;

    private const int ExactPowers = 22; // 10^22 is the largest power of ten that a double holds exactly
    private const ulong ExactIntegers = 1UL << 53;

    private static readonly double[] Powers = [.. Enumerable.Range(0, ExactPowers + 1).Select(n => double.Parse($"1e{n}", CultureInfo.InvariantCulture))];

    /// <summary>
    /// Reads a decimal number as the nearest float (ties to even), or one of nan, inf, infinity with an optional sign in
    /// any case, as C and Python print them. No white space.
    /// </summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out float value) => TryParseSimple(text, out value) || TryParseAny(text, out value);

    /// <summary>Writes the shortest decimal that reads back as <paramref name="value"/>; returns the bytes written.</summary>
    public static int Format(float value, Span<byte> destination)
    {
        _ = value.TryFormat(destination, out int written, provider: CultureInfo.InvariantCulture);
        return written;
    }

    /// <summary>
    /// The usual case: at most 53 bits of digits times a small power of ten is one correctly rounded double operation, and
    /// rounding that to float is right unless the double lies exactly between two floats.
    /// </summary>
    private static bool TryParseSimple(ReadOnlySpan<byte> text, out float value)
    {
        value = 0;
        int at = 0;
        bool negative = text.Length > 0 && text[0] == '-';
        if (negative || (text.Length > 0 && text[0] == '+'))
            at++;

        ulong digits = 0;
        int exponent = 0;
        int count = 0;
        bool point = false;
        for (; at < text.Length; at++)
        {
            uint digit = (uint)(text[at] - '0');
            if (digit <= 9)
            {
                if (digits >= ExactIntegers / 10)
                    return false;
                digits = (digits * 10) + digit;
                count++;
                if (point)
                    exponent--;
            }
            else if (text[at] == '.' && !point)
            {
                point = true;
            }
            else
            {
                break;
            }
        }

        if (count == 0)
            return false;
        if (at < text.Length)
        {
            if ((text[at] | 0x20) != 'e' || !TryParseExponent(text[(at + 1)..], out int written))
                return false;
            exponent += written;
        }

        if (exponent is < -ExactPowers or > ExactPowers)
            return false;
        double result = exponent < 0 ? digits / Powers[-exponent] : digits * Powers[exponent];
        const long BelowFloat = (1L << 29) - 1;
        const long Halfway = 1L << 28;
        bool normal = result is >= 1.1754943508222875e-38 and < float.MaxValue;
        if ((!normal && digits != 0) || (BitConverter.DoubleToInt64Bits(result) & BelowFloat) == Halfway)
            return false;
        value = (float)(negative ? -result : result);
        return true;
    }

    private static bool TryParseExponent(ReadOnlySpan<byte> text, out int exponent)
    {
        exponent = 0;
        bool negative = text.Length > 0 && text[0] == '-';
        if (negative || (text.Length > 0 && text[0] == '+'))
            text = text[1..];
        if (text.Length is < 1 or > 3)
            return false;
        foreach (byte character in text)
        {
            uint digit = (uint)(character - '0');
            if (digit > 9)
                return false;
            exponent = (exponent * 10) + (int)digit;
        }

        if (negative)
            exponent = -exponent;
        return true;
    }

    private static bool TryParseAny(ReadOnlySpan<byte> text, out float value)
    {
        const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        value = 0;
        if (text.IsEmpty)
            return false;
        if (char.IsAsciiDigit((char)text[^1]) || text[^1] == '.')
            return float.TryParse(text, Style, CultureInfo.InvariantCulture, out value);

        bool negative = text[0] == '-';
        ReadOnlySpan<byte> name = text[0] is (byte)'-' or (byte)'+' ? text[1..] : text;
        if (System.Text.Ascii.EqualsIgnoreCase(name, "nan"u8))
            value = float.NaN;
        else if (System.Text.Ascii.EqualsIgnoreCase(name, "inf"u8) || System.Text.Ascii.EqualsIgnoreCase(name, "infinity"u8))
            value = negative ? float.NegativeInfinity : float.PositiveInfinity;
        else
            return false;
        return true;
    }
}
