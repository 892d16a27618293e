namespace EmbeddingKernels.Tests;

/// <summary>Points to draw: words in clusters, and labels that try to break out of a page.</summary>
internal static class PlotData
{
    public static readonly string[] HostileLabels =
    [
        "<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "<!-- <script>", "]]>", "\"quoted\" 'single' & more",
        "{{data}}", "\u202Eoverride", "שלום עולם", "\U0001F468\u200D\U0001F469\u200D\U0001F467", "日本語",
        "line\nbreak\ttab", "\0\u0001nul", "",
        "__proto__", "\uFFFF", "half \uD800 pair", new string('x', 10_000), "\u2028",
    ];

    public static MapData Clustered(int count, int clusters, int seed)
    {
        Random random = new(seed);
        float[] x = new float[count], y = new float[count], weights = new float[count];
        string[] labels = new string[count];
        for (int i = 0; i < count; i++)
        {
            double angle = 2 * Math.PI * (i % clusters) / clusters;
            x[i] = (float)(100 * Math.Cos(angle) + 9 * Normal());
            y[i] = (float)(60 * Math.Sin(angle) + 9 * Normal());
            labels[i] = string.Concat(Enumerable.Range(0, 2 + random.Next(11)).Select(_ => (char)('a' + random.Next(26))));
            weights[i] = 100_000f / (1 + i);
        }

        return new MapData(x, y, labels) { Weights = weights };

        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
    }

    public static MapData Hostile() => new(
        HostileLabels.Select((_, i) => (float)(i % 5)).ToArray(), HostileLabels.Select((_, i) => (float)(i / 5)).ToArray(), HostileLabels)
    {
        Groups = HostileLabels,
        Neighbours = Enumerable.Range(0, 2 * HostileLabels.Length).Select(i => (i / 2 + 1 + i % 2) % HostileLabels.Length).ToArray(),
        NeighbourScores = Enumerable.Range(0, 2 * HostileLabels.Length).Select(i => 1f / (1 + i % 2)).ToArray(),
    };

    public static MapOptions HostileOptions { get; } = new()
    {
        Title = "</title><script>alert(3)</script>{{script}}",
        Subtitle = "<img src=x onerror=alert(4)>",
        Noun = "</script>",
        ScoreName = "<b>",
    };

    /// <summary>Every way in which input can be wrong, with what the message must name.</summary>
    public static IEnumerable<TestCaseData> Wrong()
    {
        MapData good = new(new float[] { 1, 2 }, new float[] { 3, 4 }, ["a", "b"]);
        yield return Case("nan", good with { X = new[] { 1, float.NaN } }, "X[1] is NaN");
        yield return Case("infinite", good with { Y = new[] { float.PositiveInfinity, 0 } }, "Y[0] is Infinity");
        yield return Case("short x", good with { X = new float[] { 1 } }, "X has 1 values for 2 labels");
        yield return Case("long y", good with { Y = new float[3] }, "Y has 3 values for 2 labels");
        yield return Case("no labels", good with { Labels = null! }, "Labels is null");
        yield return Case("null label", good with { Labels = ["a", null!] }, "Labels[1] is null");
        yield return Case("short weights", good with { Weights = new float[1] }, "Weights has 1 values");
        yield return Case("nan weight", good with { Weights = new[] { 1, float.NaN } }, "Weights[1] is NaN");
        yield return Case("negative weight", good with { Weights = new[] { 1, -2f } }, "Weights[1] is -2");
        yield return Case("short groups", good with { Groups = ["g"] }, "Groups has 1 values");
        yield return Case("short pictures", good with { Pictures = [null] }, "Pictures has 1 values");
        yield return Case("null group", good with { Groups = ["g", null!] }, "Groups[1] is null");
        yield return Case(
            "too many groups",
            new MapData(new float[1001], new float[1001], [.. Enumerable.Repeat("a", 1001)])
            {
                Groups = [.. Enumerable.Range(0, 1001).Select(i => $"{i}")],
            },
            "Groups has 1001 different names");
        yield return Case("odd neighbours", good with { Neighbours = new[] { 1, 0, 1 } }, "Neighbours has 3 values");
        yield return Case("no such neighbour", good with { Neighbours = new[] { 1, 2 } }, "Neighbours[1] is 2");
        yield return Case("negative neighbour", good with { Neighbours = new[] { -1, 0 } }, "Neighbours[0] is -1");
        yield return Case(
            "short scores", good with { Neighbours = new[] { 1, 0 }, NeighbourScores = new float[1] }, "NeighbourScores has 1");
        yield return Case(
            "nan score", good with { Neighbours = new[] { 1, 0 }, NeighbourScores = new[] { 0, float.NaN } }, "NeighbourScores[1] is NaN");

        static TestCaseData Case(string name, MapData data, string message) => new TestCaseData(data, message).SetArgDisplayNames(name);
    }

    public static IEnumerable<TestCaseData> Degenerate()
    {
        yield return new TestCaseData(new MapData(default, default, [])).SetArgDisplayNames("no point");
        yield return new TestCaseData(new MapData(new float[] { 7 }, new float[] { -3 }, ["alone"])).SetArgDisplayNames("one point");
        yield return new TestCaseData(new MapData(new float[50], new float[50], [.. Enumerable.Range(0, 50).Select(i => $"w{i}")]))
            .SetArgDisplayNames("all in one place");
        yield return new TestCaseData(new MapData(new float[] { -3e38f, 3e38f, 0 }, new float[] { 0, 0, 0 }, ["a", "b", "c"]))
            .SetArgDisplayNames("huge, on a line");
        yield return new TestCaseData(new MapData(new float[] { 0, 1e-44f }, new float[] { 0, 0 }, ["a", "b"])).SetArgDisplayNames("tiny");
    }
}
