using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>
/// A batch of blocked maps for tests, in memory between unreadable pages. As a source its halo is zero, its surplus lanes
/// are large numbers of no meaning and the readable memory after it is NaN; as a destination its maps are NaN until they are
/// written, and what an operator must not write holds a number that must survive.
/// </summary>
internal sealed unsafe class TestImages : IDisposable
{
    private const float Untouched = -77.25f;
    private readonly GuardedBuffer<float> _memory;
    private readonly float _around;

    private TestImages(int images, int channels, int height, int width, Margins halo, int lanes, float around)
    {
        nint length = BlockedImages.Length(images, channels, height, width, halo, lanes);
        _memory = new(checked((int)((length + 15) / 16 * 16))); // so that the start is aligned as well as the end
        _around = around;
        View = new(_memory.Pointer, images, channels, height, width, halo, lanes);
        _memory.Span.Fill(around);
        if (around == 0)
            _memory.Span[(int)(length - BlockedImages.Slack)..].Fill(float.NaN);
    }

    public BlockedImages View { get; }

    public int Count => View.Images * View.Channels * View.Height * View.Width;

    /// <summary>A source of the given numbers, which are in the order NCHW.</summary>
    public static TestImages Of(ReadOnlySpan<float> nchw, int images, int channels, int height, int width, Margins halo = default, int lanes = BlockedImages.Block)
    {
        TestImages result = new(images, channels, height, width, halo, lanes, around: 0f);
        Random random = new(channels);
        result.ForEachRow(
            (row, _) =>
            {
                for (int i = 0; i < result.View.Width; i++)
                    row[i * lanes] = random.NextSingle() < 0.5f ? 1e30f : -1e30f;
            },
            surplus: true);
        float[] values = nchw.ToArray();
        Assert.That(values, Has.Length.EqualTo(result.Count));
        result.ForEachRow(
            (row, index) =>
            {
                for (int i = 0; i < result.View.Width; i++)
                    row[i * lanes] = values[index + i];
            },
            surplus: false);
        return result;
    }

    /// <summary>A source of numbers between -2 and 2.</summary>
    public static TestImages Random(int images, int channels, int height, int width, Margins halo = default, int lanes = BlockedImages.Block, int seed = 1) =>
        Of(Floats(images * channels * height * width, seed), images, channels, height, width, halo, lanes);

    /// <summary>A destination.</summary>
    public static TestImages Destination(int images, int channels, int height, int width, Margins halo = default, int lanes = BlockedImages.Block)
    {
        TestImages result = new(images, channels, height, width, halo, lanes, Untouched);
        foreach (bool surplus in new[] { false, true })
        {
            result.ForEachRow(
                (row, _) =>
                {
                    for (int i = 0; i < result.View.Width; i++)
                        row[i * lanes] = float.NaN;
                },
                surplus);
        }

        return result;
    }

    /// <summary>Numbers between -2 and 2.</summary>
    public static float[] Floats(int count, int seed)
    {
        Random random = new(seed);
        float[] values = new float[count];
        foreach (ref float value in values.AsSpan())
            value = (random.NextSingle() * 4f) - 2f;
        return values;
    }

    /// <summary>The maps in the order NCHW.</summary>
    public float[] ToNchw()
    {
        float[] values = new float[Count];
        ForEachRow(
            (row, index) =>
            {
                for (int i = 0; i < View.Width; i++)
                    values[index + i] = row[i * View.Lanes];
            },
            surplus: false);
        return values;
    }

    /// <summary>Fails where the halo or the memory after the batch changed, or a surplus lane is not finite.</summary>
    public void AssertNothingElseWritten()
    {
        bool[] mapped = new bool[_memory.Length];
        float* start = _memory.Pointer;
        int infinite = 0;
        foreach (bool surplus in new[] { false, true })
        {
            ForEachRow(
                (row, _) =>
                {
                    for (int i = 0; i < View.Width; i++)
                    {
                        mapped[row + (i * View.Lanes) - start] = true;
                        infinite += surplus && !float.IsFinite(row[i * View.Lanes]) ? 1 : 0;
                    }
                },
                surplus);
        }

        Assert.That(infinite, Is.Zero, "surplus lanes that are not finite");
        nint slack = BlockedImages.Length(View.Images, View.Channels, View.Height, View.Width, View.Halo, View.Lanes) - BlockedImages.Slack;
        for (int i = 0; i < mapped.Length; i++)
        {
            float expected = _around == 0 && i >= slack ? float.NaN : _around;
            if (!mapped[i] && !start[i].Equals(expected))
                Assert.Fail($"Float {i} of the halo or after the batch is {start[i]}.");
        }
    }

    /// <summary>
    /// Fails where a number is further than <paramref name="tolerance"/> times <paramref name="scale"/> (default: the larger
    /// of 1 and the expected number's magnitude) from the expected one, both in the order NCHW, or where
    /// <see cref="AssertNothingElseWritten"/> does. NaN is expected where NaN is.
    /// </summary>
    public void AssertClose(ReadOnlySpan<double> expected, double tolerance, double[]? scale = null, string? what = null)
    {
        Images.AssertClose(ToNchw(), expected, tolerance, scale, what);
        AssertNothingElseWritten();
    }

    public void Dispose() => _memory.Dispose();

    private delegate void Visit(float* row, int nchw);

    // The rows of all channels, or of the surplus lanes, whose index is -1.
    private void ForEachRow(Visit visit, bool surplus)
    {
        for (int image = 0; image < View.Images; image++)
        {
            for (int channel = surplus ? View.Channels : 0; channel < (surplus ? View.Blocks * View.Lanes : View.Channels); channel++)
            {
                for (int y = 0; y < View.Height; y++)
                {
                    float* row = View.At(image, channel / View.Lanes, y, 0) + (channel % View.Lanes);
                    visit(row, surplus ? -1 : ((((image * View.Channels) + channel) * View.Height) + y) * View.Width);
                }
            }
        }
    }
}

/// <summary>Comparisons for tests of maps.</summary>
internal static class Images
{
    /// <summary>Fails where a number differs; NaN is NaN.</summary>
    public static void AssertSame(ReadOnlySpan<float> actual, ReadOnlySpan<float> expected)
    {
        if (!actual.SequenceEqual(expected))
            Assert.That(actual.ToArray(), Is.EqualTo(expected.ToArray())); // slow, but says where
    }

    /// <summary>
    /// Fails where a number is further than <paramref name="tolerance"/> times <paramref name="scale"/> (default: the larger
    /// of 1 and the expected number's magnitude) from the expected one. NaN is expected where NaN is, infinity where infinity is.
    /// </summary>
    public static void AssertClose(ReadOnlySpan<float> actual, ReadOnlySpan<double> expected, double tolerance, double[]? scale = null, string? what = null)
    {
        Assert.That(actual.Length, Is.EqualTo(expected.Length), what);
        double worst = 0;
        int at = -1;
        for (int i = 0; i < actual.Length; i++)
        {
            double error = Error(actual[i], expected[i]);
            if (error == 0)
                continue;
            error /= scale is null ? Math.Max(1, Math.Abs(expected[i])) : Math.Max(scale[i], 1e-30);
            if (double.IsNaN(error))
                error = double.PositiveInfinity;
            if (error > worst)
                (worst, at) = (error, i);
        }

        if (worst > tolerance)
            Assert.Fail($"{what} element {at} of {actual.Length}: {actual[at]:R} where {expected[at]:R} was expected, error {worst:G3} of the scale, {tolerance:G3} allowed");
    }

    /// <summary>The largest error and the root of the mean square error, both relative to the root of the expected numbers' mean square.</summary>
    public static (double Max, double Rms) Errors(ReadOnlySpan<float> actual, ReadOnlySpan<double> expected)
    {
        double squares = 0, errors = 0, max = 0;
        for (int i = 0; i < actual.Length; i++)
        {
            double error = Math.Abs(actual[i] - expected[i]);
            (squares, errors, max) = (squares + (expected[i] * expected[i]), errors + (error * error), Math.Max(max, error));
        }

        double rms = Math.Sqrt(squares / actual.Length);
        return (max / rms, Math.Sqrt(errors / actual.Length) / rms);
    }

    private static double Error(float actual, double expected)
    {
        if (double.IsNaN(expected))
            return float.IsNaN(actual) ? 0 : double.NaN;
        return (double)actual == expected ? 0 : Math.Abs(actual - expected);
    }
}
