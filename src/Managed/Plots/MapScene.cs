using System.Globalization;
using System.Text;

namespace EmbeddingKernels;

/// <summary>Checked input and what both writers derive from it: places in -1..1, the order of importance, colours.</summary>
internal sealed class MapScene
{
    // Far more than colours can tell apart, yet few enough for a legend.
    private const int MostGroups = 1000;

    private MapScene(MapData data, MapOptions options)
    {
        Data = data;
        Options = options;
        Count = data.X.Length;
        (X, Y, Width, Height) = Centre(data.X.Span, data.Y.Span);
        Order = ByWeight(data.Weights.Span, Count);
        (GroupNames, ColourOf) = data.Groups is { } groups ? NameGroups(groups) : ([], ColourRegions(X, Y));
        Colours = Math.Max(GroupNames.Length, Count == 0 ? 0 : ColourOf.Max() + 1);
        Named = HasNames(data, GroupNames.Length);
        Anchors = Written ? [] : MapAnchors.Find(X, Y, ColourOf, GroupNames.Length);
    }

    public MapData Data { get; }

    public MapOptions Options { get; }

    public int Count { get; }

    /// <summary>Whether points have names of their own; if not, a point goes by its row.</summary>
    public bool Named { get; }

    /// <summary>Whether the names stand on the map; if not, it is labelled by its classes.</summary>
    public bool Written => Named && Options.WriteNames;

    /// <summary>Where each class's name stands on a map that does not show the names of points.</summary>
    public MapAnchor[] Anchors { get; }

    /// <summary>Neighbours per point.</summary>
    public int NeighbourCount => Count == 0 ? 0 : Data.Neighbours.Length / Count;

    /// <summary>Positions moved and scaled so that the longer side of their box spans -1..1.</summary>
    public float[] X { get; }

    /// <inheritdoc cref="X"/>
    public float[] Y { get; }

    /// <summary>Half the extent in x: 1 or less.</summary>
    public double Width { get; }

    /// <summary>Half the extent in y: 1 or less.</summary>
    public double Height { get; }

    /// <summary>Point indices, the most important first.</summary>
    public int[] Order { get; }

    /// <summary>The classes in the order of the legend; empty where there are none.</summary>
    public string[] GroupNames { get; }

    /// <summary>The colour of each point, which is its group's index where there are groups.</summary>
    public int[] ColourOf { get; }

    /// <summary>The number of colours.</summary>
    public int Colours { get; }

    /// <exception cref="ArgumentException">Something in <paramref name="data"/> is missing, not finite or of another length.</exception>
    public static MapScene Create(MapData data, MapOptions? options)
    {
        ArgumentNullException.ThrowIfNull(data);
        options ??= new MapOptions();
        Check(data);
        foreach ((string? text, string name) in new[]
        {
            (options.Title, nameof(options.Title)), (options.Subtitle, nameof(options.Subtitle)), (options.Noun, nameof(options.Noun)),
            (options.NounPlural, nameof(options.NounPlural)), (options.WeightName, nameof(options.WeightName)),
            (options.ScoreName, nameof(options.ScoreName)),
        })
        {
            if (text is null)
                throw new ArgumentException($"{name} is null.", nameof(options));
        }

        if (!Enum.IsDefined(options.Paper))
            throw new ArgumentException($"Paper is {options.Paper}; it must be A4 or A3.", nameof(options));
        return new MapScene(data, options);
    }

    /// <summary>
    /// Text for one line: control characters and white space become single spaces, broken surrogate pairs U+FFFD, and what is
    /// longer than <paramref name="most"/> characters ends in an ellipsis.
    /// </summary>
    public static string Line(string text, int most = int.MaxValue)
    {
        StringBuilder line = new(Math.Min(text.Length, 64));
        int length = 0, cut = 0;
        bool space = false;
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (Rune.IsWhiteSpace(rune) || Rune.IsControl(rune))
            {
                space = length > 0;
                continue;
            }

            if (space)
                Add(new Rune(' '));
            Add(rune.Value is 0xFFFE or 0xFFFF ? Rune.ReplacementChar : rune);
            space = false;
            if (length > most)
                return line.Remove(cut, line.Length - cut).Append('…').ToString();
        }

        return line.ToString();

        void Add(Rune rune)
        {
            line.Append(rune.ToString());
            if (++length == most - 1)
                cut = line.Length;
        }
    }

    private static void Check(MapData data)
    {
        if (data.Labels is null)
            throw Bad("Labels is null.");

        bool labelled = data.Labels.Count > 0;
        int count = labelled ? data.Labels.Count : data.X.Length;
        string points = labelled ? "labels" : "points";
        CheckLength(nameof(data.X), data.X.Length, count, points);
        CheckLength(nameof(data.Y), data.Y.Length, count, points);
        CheckFinite(nameof(data.X), data.X.Span);
        CheckFinite(nameof(data.Y), data.Y.Span);
        CheckTexts(nameof(data.Labels), data.Labels);
        if (!data.Weights.IsEmpty)
        {
            CheckLength(nameof(data.Weights), data.Weights.Length, count, points);
            CheckFinite(nameof(data.Weights), data.Weights.Span);
            int negative = data.Weights.Span.IndexOfAnyInRange(float.MinValue, -float.Epsilon);
            if (negative >= 0)
                throw Bad($"Weights[{negative}] is {Text(data.Weights.Span[negative])}; it must not be negative.");
        }

        if (data.Groups is not null)
        {
            CheckLength(nameof(data.Groups), data.Groups.Count, count, points);
            CheckTexts(nameof(data.Groups), data.Groups);
            int groups = data.Groups.Distinct(StringComparer.Ordinal).Count();
            if (groups > MostGroups)
                throw Bad($"Groups has {groups} different names; at most {MostGroups} can be shown.");
        }

        if (data.Pictures is not null)
            CheckLength(nameof(data.Pictures), data.Pictures.Count, count, points);

        ReadOnlySpan<int> neighbours = data.Neighbours.Span;
        if (count == 0 ? !neighbours.IsEmpty : neighbours.Length % count != 0)
        {
            throw Bad(
                $"Neighbours has {neighbours.Length} values for {count} {points}; the same number for each is needed.");
        }

        for (int i = 0; i < neighbours.Length; i++)
        {
            if ((uint)neighbours[i] >= (uint)count)
                throw Bad($"Neighbours[{i}] is {neighbours[i]}; it must be in 0..{count - 1}.");
        }

        if (!data.NeighbourScores.IsEmpty)
        {
            CheckLength(nameof(data.NeighbourScores), data.NeighbourScores.Length, neighbours.Length, "neighbours");
            CheckFinite(nameof(data.NeighbourScores), data.NeighbourScores.Span);
        }
    }

    private static void CheckLength(string name, int length, int wanted, string of)
    {
        if (length != wanted)
            throw Bad($"{name} has {length} values for {wanted} {of}; one for each is needed.");
    }

    private static void CheckFinite(string name, ReadOnlySpan<float> values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
                throw Bad($"{name}[{i}] is {Text(values[i])}; it must be finite.");
        }
    }

    private static void CheckTexts(string name, IReadOnlyList<string> texts)
    {
        for (int i = 0; i < texts.Count; i++)
        {
            if (texts[i] is null)
                throw Bad($"{name}[{i}] is null.");
        }
    }

    private static ArgumentException Bad(string message, string parameter = "data") => new(message, parameter);

    private static string Text(float value) => value.ToString(CultureInfo.InvariantCulture);

    private static (float[] X, float[] Y, double Width, double Height) Centre(ReadOnlySpan<float> x, ReadOnlySpan<float> y)
    {
        (double x0, double x1) = Range(x);
        (double y0, double y1) = Range(y);
        double half = Math.Max(x1 - x0, y1 - y0) / 2;
        double scale = half > 0 ? 1 / half : 0; // one point, or all in one place: the middle
        return (Map(x, (x0 + x1) / 2, scale), Map(y, (y0 + y1) / 2, scale), (x1 - x0) / 2 * scale, (y1 - y0) / 2 * scale);

        static (double, double) Range(ReadOnlySpan<float> v)
        {
            float low = float.MaxValue, high = float.MinValue;
            foreach (float f in v)
            {
                low = Math.Min(low, f);
                high = Math.Max(high, f);
            }

            return v.IsEmpty ? (0, 0) : (low, high);
        }

        static float[] Map(ReadOnlySpan<float> v, double middle, double scale)
        {
            float[] mapped = new float[v.Length];
            for (int i = 0; i < mapped.Length; i++)
                mapped[i] = (float)((v[i] - middle) * scale);
            return mapped;
        }
    }

    /// <summary>Labels that only repeat the classes, several points to each, are no names.</summary>
    private static bool HasNames(MapData data, int groups)
    {
        if (data.Labels.Count == 0)
            return false;
        if (data.Groups is null || groups == data.Labels.Count)
            return true;
        for (int i = 0; i < data.Labels.Count; i++)
        {
            if (!string.Equals(data.Labels[i], data.Groups[i], StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    private static int[] ByWeight(ReadOnlySpan<float> weights, int count)
    {
        int[] order = new int[count];
        for (int i = 0; i < count; i++)
            order[i] = i;
        if (!weights.IsEmpty)
        {
            float[] keys = weights.ToArray();
            Array.Sort(order, (a, b) => keys[a] != keys[b] ? keys[b].CompareTo(keys[a]) : a - b);
        }

        return order;
    }

    // Digits in the order of their value, other names by the alphabet.
    private static (string[] Names, int[] ColourOf) NameGroups(IReadOnlyList<string> groups)
    {
        string[] names = [.. groups.Distinct(StringComparer.Ordinal)];
        if (names.All(n => double.TryParse(n, NumberStyles.Float, CultureInfo.InvariantCulture, out _)))
            Array.Sort([.. names.Select(n => double.Parse(n, NumberStyles.Float, CultureInfo.InvariantCulture))], names);
        else
            names = [.. names.OrderBy(n => n, StringComparer.OrdinalIgnoreCase).ThenBy(n => n, StringComparer.Ordinal)];

        Dictionary<string, int> index = new(StringComparer.Ordinal);
        for (int i = 0; i < names.Length; i++)
            index[names[i]] = i;
        return (names, [.. groups.Select(g => index[g])]);
    }

    // Regions that lie side by side get hues far apart: the largest first, each the free colour that clashes least.
    private static int[] ColourRegions(float[] x, float[] y)
    {
        int[] regions = MapRegions.Find(x, y, MapColours.Distinct);
        if (regions.Length == 0)
            return regions;

        int count = regions.Max() + 1;
        double[] sumX = new double[count], sumY = new double[count];
        int[] size = new int[count];
        for (int i = 0; i < regions.Length; i++)
        {
            sumX[regions[i]] += x[i];
            sumY[regions[i]] += y[i];
            size[regions[i]]++;
        }

        int[] colour = new int[count];
        bool[] taken = new bool[MapColours.Distinct];
        for (int r = 0; r < count; r++)
        {
            int best = -1;
            double least = double.MaxValue;
            for (int c = 0; c < taken.Length; c++)
            {
                if (taken[c])
                    continue;

                double clash = 0;
                for (int other = 0; other < r; other++)
                {
                    double dx = sumX[r] / size[r] - sumX[other] / size[other], dy = sumY[r] / size[r] - sumY[other] / size[other];
                    double turn = Math.Abs(MapColours.Hue(c) - MapColours.Hue(colour[other])) % 360;
                    clash += (1 + Math.Cos(turn * Math.PI / 180)) / (0.05 + dx * dx + dy * dy);
                }

                if (clash < least)
                    (least, best) = (clash, c);
            }

            taken[best] = true;
            colour[r] = best;
        }

        return [.. regions.Select(r => colour[r])];
    }
}
