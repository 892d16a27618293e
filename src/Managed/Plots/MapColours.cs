using System.Globalization;

namespace EmbeddingKernels;

/// <summary>
/// The colours of a map's classes: hues of equal lightness and strength in OKLCH (B. Ottosson, "A perceptual color space for
/// image processing", 2020), so that no class shouts; for dots and, darker or lighter, for text, on light and on dark ground.
/// </summary>
internal static class MapColours
{
    // Chosen by eye so that neighbours in this order differ as much as they can.
    private static readonly int[] Hues = [255, 45, 150, 12, 300, 195, 85, 340, 225, 122, 275, 28];

    /// <summary>Colours before they begin to repeat with another lightness.</summary>
    public static int Distinct => Hues.Length;

    public static double Hue(int colour) => Hues[colour % Hues.Length] + 9.0 * (colour / Hues.Length);

    public static MapColour Of(int colour)
    {
        double hue = Hue(colour);
        // Each further round of hues is a step darker, then lighter.
        double shift = (colour / Hues.Length % 3) switch { 0 => 0, 1 => -0.12, _ => 0.1 };
        // Yellow to green of the common lightness looks muddy.
        double lift = hue is > 75 and < 135 ? 0.05 : 0;
        return new MapColour(
            Hex(0.62 + shift + lift, 0.125, hue),
            Hex(0.75 + shift / 2 + lift / 2, 0.115, hue),
            Hex(0.44 + shift / 2, 0.095, hue),
            Hex(0.885, 0.055, hue));
    }

    /// <summary>#rrggbb of an OKLCH colour; the strength is lowered until the colour exists in sRGB.</summary>
    internal static string Hex(double lightness, double chroma, double hueDegrees)
    {
        (double Sin, double Cos) angle = Math.SinCos(hueDegrees * Math.PI / 180);
        for (double c = chroma; ; c -= 0.005)
        {
            (double r, double g, double b) = ToLinear(lightness, Math.Max(c, 0) * angle.Cos, Math.Max(c, 0) * angle.Sin);
            if (c <= 0 || (InRange(r) && InRange(g) && InRange(b)))
                return string.Create(CultureInfo.InvariantCulture, $"#{Byte(r):x2}{Byte(g):x2}{Byte(b):x2}");
        }

        static bool InRange(double v) => v is >= -1e-4 and <= 1.0001;
        static int Byte(double v)
        {
            double u = Math.Clamp(v, 0, 1);
            double s = u <= 0.0031308 ? 12.92 * u : 1.055 * Math.Pow(u, 1 / 2.4) - 0.055;
            return (int)Math.Round(255 * s);
        }
    }

    private static (double R, double G, double B) ToLinear(double lightness, double a, double b)
    {
        double l = Cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
        double m = Cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
        double s = Cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
        return (
            4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s);
    }

    private static double Cube(double v) => v * v * v;
}

/// <summary>One class's colours as #rrggbb.</summary>
internal readonly record struct MapColour(string Light, string Dark, string LightText, string DarkText);
