namespace EmbeddingKernels;

/// <summary>Arithmetic on shapes. Extents are 0 or more; a scalar has no extents.</summary>
internal static class TensorShape
{
    /// <summary>Number of elements; throws where they do not fit an array.</summary>
    public static int Count(ReadOnlySpan<int> shape)
    {
        long count = LongCount(shape);
        return count <= Array.MaxLength ? (int)count : throw new DataFormatException($"A tensor of shape {Text(shape)} is larger than the interpreter can hold.");
    }

    /// <summary>Number of elements; long.MaxValue where the product overflows.</summary>
    public static long LongCount(ReadOnlySpan<int> shape)
    {
        long count = 1;
        foreach (int extent in shape)
        {
            if (extent == 0)
                return 0;
            count = count > long.MaxValue / extent ? long.MaxValue : count * extent;
        }

        return count;
    }

    /// <summary>Number of elements of the axes from <paramref name="first"/> up to but without <paramref name="end"/>.</summary>
    public static int Count(int[] shape, int first, int end) => Count(shape.AsSpan(first, end - first));

    public static string Text(ReadOnlySpan<int> shape)
    {
        List<string> extents = [];
        foreach (int extent in shape)
            extents.Add(extent < 0 ? "?" : extent.ToString(System.Globalization.CultureInfo.InvariantCulture));
        return $"[{string.Join(", ", extents)}]";
    }

    /// <summary>Elements from index to index of each axis.</summary>
    public static int[] Strides(int[] shape)
    {
        int[] strides = new int[shape.Length];
        int stride = 1;
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride *= Math.Max(shape[i], 1);
        }

        return strides;
    }

    /// <summary>The shape that two broadcast to as in numpy; null where they do not.</summary>
    public static int[]? Broadcast(int[] a, int[] b)
    {
        int[] shape = new int[Math.Max(a.Length, b.Length)];
        for (int i = 1; i <= shape.Length; i++)
        {
            int x = i <= a.Length ? a[^i] : 1;
            int y = i <= b.Length ? b[^i] : 1;
            if (x != y && x != 1 && y != 1)
                return null;
            shape[^i] = x == 1 ? y : x;
        }

        return shape;
    }

    /// <summary>Strides of a tensor of shape <paramref name="from"/> when it is walked in shape <paramref name="to"/>: 0 where it repeats.</summary>
    public static int[] BroadcastStrides(int[] from, int[] to)
    {
        int[] own = Strides(from);
        int[] strides = new int[to.Length];
        for (int i = 1; i <= from.Length; i++)
            strides[^i] = from[^i] == 1 ? 0 : own[^i];
        return strides;
    }
}
