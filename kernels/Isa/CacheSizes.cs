using System.Globalization;

namespace EmbeddingKernels.Core;

/// <summary>
/// The data caches that the first core sees, in bytes: read once from Linux's description of it, elsewhere the sizes of a
/// common server core. Kernels use them as thresholds, where a factor of two is no matter.
/// </summary>
internal static class CacheSizes
{
    private const string Description = "/sys/devices/system/cpu/cpu0/cache";

    private static readonly (nint L1, nint L2, nint L3) Sizes = Read(Description);

    /// <summary>First-level data cache.</summary>
    public static nint L1 => Sizes.L1;

    /// <summary>Second-level cache.</summary>
    public static nint L2 => Sizes.L2;

    /// <summary>Last-level cache, whole, though other cores may share it. At least <see cref="L2"/>.</summary>
    public static nint L3 => Sizes.L3;

    /// <summary>Reads the <c>index*</c> folders in <paramref name="folder"/>; a level that is not described gets a default.</summary>
    internal static (nint L1, nint L2, nint L3) Read(string folder)
    {
        nint l1 = 0;
        nint l2 = 0;
        nint l3 = 0;
        try
        {
            foreach (string index in Directory.Exists(folder) ? Directory.GetDirectories(folder, "index*") : [])
            {
                if (Line(index, "type") == "Instruction")
                    continue;
                nint bytes = ParseSize(Line(index, "size"));
                switch (Line(index, "level"))
                {
                    case "1":
                        l1 = Math.Max(l1, bytes);
                        break;
                    case "2":
                        l2 = Math.Max(l2, bytes);
                        break;
                    case "3" or "4":
                        l3 = Math.Max(l3, bytes);
                        break;
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // A sandbox may hide the description, whole or in part: what was not read gets its default.
        }

        l1 = l1 > 0 ? l1 : 32 << 10;
        l2 = l2 > 0 ? l2 : 1 << 20;
        l3 = l3 > 0 ? l3 : 32 << 20;
        return (l1, l2, Math.Max(l2, l3));
    }

    /// <summary>Bytes of a size like <c>512K</c>, <c>32768K</c>, <c>1M</c> or <c>64</c>; 0 where it is none.</summary>
    internal static nint ParseSize(string text)
    {
        int shift = 0;
        if (text.EndsWith('K'))
            shift = 10;
        else if (text.EndsWith('M'))
            shift = 20;
        else if (text.EndsWith('G'))
            shift = 30;
        string digits = shift > 0 ? text[..^1] : text;
        return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? (nint)number << shift : 0;
    }

    private static string Line(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? File.ReadAllText(path).Trim() : "";
    }
}
