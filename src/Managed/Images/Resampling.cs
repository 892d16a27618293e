using System.Runtime.CompilerServices;

namespace EmbeddingKernels;

/// <summary>The arithmetic of <see cref="Picture.Resize"/>.</summary>
internal static unsafe class Resampling
{
    // Weights have 22 bits behind the point: 32 less 8 of a pixel, less 2 for sums beyond one. As Pillow, in Resample.c.
    private const int Bits = 22;

    /// <summary>Columns, then rows, each pass rounded to bytes; only the rows that the second pass asks for are made by the first.</summary>
    public static Picture Antialiased(Picture source, int width, int height)
    {
        Weights across = Weights.Create(source.Width, width), down = Weights.Create(source.Height, height);
        int top = down.From[0], bottom = down.From[^1] + down.Count[^1];
        Picture narrow = source;
        if (width != source.Width)
        {
            narrow = new Picture(width, bottom - top);
            for (int y = top; y < bottom; y++)
                Across(source.Row(y), across, narrow.Row(y - top));
        }
        else
        {
            top = 0;
        }

        if (height == source.Height)
            return narrow;
        Picture result = new(width, height);
        int[] sums = new int[3 * width];
        for (int y = 0; y < height; y++)
        {
            sums.AsSpan().Fill(1 << (Bits - 1));
            for (int k = 0; k < down.Count[y]; k++)
                AddRow(narrow.Row(down.From[y] - top + k), down.Values[y * down.Most + k], sums);
            Span<byte> row = result.Row(y);
            for (int i = 0; i < row.Length; i++)
                row[i] = Clamp(sums[i]);
        }

        return result;
    }

    /// <summary>Between four pixels, rounded to bytes.</summary>
    public static Picture Bilinear(Picture source, int width, int height)
    {
        Picture result = new(width, height);
        float[] row = new float[3 * width];
        Places across = Places.Create(source.Width, width), down = Places.Create(source.Height, height);
        for (int y = 0; y < height; y++)
        {
            BilinearRow(source, across, down, y, row);
            Span<byte> bytes = result.Row(y);
            for (int i = 0; i < row.Length; i++)
                bytes[i] = (byte)(row[i] + 0.5f);
        }

        return result;
    }

    /// <summary>One row between four pixels each, without rounding.</summary>
    public static void BilinearRow(Picture source, Places across, Places down, int y, Span<float> row)
    {
        ReadOnlySpan<byte> upper = source.Row(down.Lower[y]), lower = source.Row(down.Upper[y]);
        float ty = down.Share[y];
        for (int x = 0, i = 0; i + 2 < row.Length; x++, i += 3)
        {
            int left = 3 * across.Lower[x], right = 3 * across.Upper[x];
            float tx = across.Share[x];
            for (int c = 0; c < 3; c++)
            {
                float a = upper[left + c] + (upper[right + c] - upper[left + c]) * tx;
                float b = lower[left + c] + (lower[right + c] - lower[left + c]) * tx;
                row[i + c] = a + (b - a) * ty;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Across(ReadOnlySpan<byte> source, Weights weights, Span<byte> row)
    {
        fixed (byte* pixels = source)
        fixed (int* values = weights.Values)
        {
            for (int x = 0, i = 0; i < row.Length; x++, i += 3)
            {
                int* w = values + (nint)x * weights.Most;
                byte* p = pixels + (nint)3 * weights.From[x];
                int r = 1 << (Bits - 1), g = r, b = r;
                for (int k = weights.Count[x]; k > 0; k--, p += 3, w++)
                {
                    r += p[0] * *w;
                    g += p[1] * *w;
                    b += p[2] * *w;
                }

                (row[i], row[i + 1], row[i + 2]) = (Clamp(r), Clamp(g), Clamp(b));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddRow(ReadOnlySpan<byte> row, int weight, Span<int> sums)
    {
        for (int i = 0; i < row.Length && i < sums.Length; i++)
            sums[i] += row[i] * weight;
    }

    private static byte Clamp(int sum) => (byte)Math.Clamp(sum >> Bits, 0, 255);

    /// <summary>For each pixel of a row of the result: where its pixels of the source begin, how many they are, and their weights.</summary>
    private sealed record Weights(int[] From, int[] Count, int[] Values, int Most)
    {
        public static Weights Create(int source, int size)
        {
            double scale = (double)source / size, reach = Math.Max(scale, 1);
            int most = (int)Math.Ceiling(reach) * 2 + 1;
            Weights weights = new(new int[size], new int[size], new int[(long)size * most], most);
            double[] real = new double[most];
            for (int x = 0; x < size; x++)
            {
                double middle = (x + 0.5) * scale, sum = 0;
                int from = Math.Max(0, (int)(middle - reach + 0.5)), to = Math.Min(source, (int)(middle + reach + 0.5));
                for (int k = 0; k < to - from; k++)
                {
                    real[k] = Math.Max(0, 1 - Math.Abs((k + from - middle + 0.5) * (1 / reach)));
                    sum += real[k];
                }

                for (int k = 0; k < to - from; k++)
                    weights.Values[(long)x * most + k] = (int)(0.5 + (sum == 0 ? real[k] : real[k] / sum) * (1 << Bits));
                weights.From[x] = from;
                weights.Count[x] = to - from;
            }

            return weights;
        }
    }

    /// <summary>For each pixel of a row of the result the two of the source around it and the share of the second one.</summary>
    internal sealed record Places(int[] Lower, int[] Upper, float[] Share)
    {
        public static Places Create(int source, int size)
        {
            Places places = new(new int[size], new int[size], new float[size]);
            float scale = (float)source / size;
            for (int x = 0; x < size; x++)
            {
                float middle = (x + 0.5f) * scale - 0.5f, floor = MathF.Floor(middle);
                places.Lower[x] = Math.Clamp((int)floor, 0, source - 1);
                places.Upper[x] = Math.Clamp((int)floor + 1, 0, source - 1);
                places.Share[x] = middle - floor;
            }

            return places;
        }
    }
}
