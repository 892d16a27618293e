namespace EmbeddingKernels.Core;

/// <summary>
/// A window over maps of any number of dimensions: along each axis, window i covers i stride + u dilation - before for u from 0
/// to kernel - 1.
/// </summary>
/// <param name="Kernel">Extents of the window, one for each axis.</param>
internal sealed record WindowNd(IReadOnlyList<int> Kernel)
{
    /// <summary>From window to window; none means 1.</summary>
    public IReadOnlyList<int> Strides { get; init; } = [];

    /// <summary>Within the window; none means 1.</summary>
    public IReadOnlyList<int> Dilations { get; init; } = [];

    /// <summary>Padding before the map; none means 0.</summary>
    public IReadOnlyList<int> Before { get; init; } = [];

    /// <summary>Padding behind the map; none means 0.</summary>
    public IReadOnlyList<int> After { get; init; } = [];

    /// <summary>Windows along each axis of a map; 0 where the window does not fit.</summary>
    /// <param name="extents">Of the map.</param>
    /// <param name="ceilMode">See <see cref="PoolingShape.Outputs"/>.</param>
    /// <exception cref="ArgumentException">The numbers of axes differ, or a number is out of range.</exception>
    public int[] Outputs(IReadOnlyList<int> extents, bool ceilMode = false)
    {
        Check(extents);
        int[] outputs = new int[Kernel.Count];
        for (int axis = 0; axis < outputs.Length; axis++)
        {
            outputs[axis] = PoolingShape.Outputs(
                extents[axis], At(Before, axis, 0), At(After, axis, 0), Kernel[axis], At(Strides, axis, 1), At(Dilations, axis, 1), ceilMode);
        }

        return outputs;
    }

    /// <summary>Throws where the numbers of axes differ, or a number is out of range.</summary>
    internal void Check(IReadOnlyList<int> extents)
    {
        ArgumentNullException.ThrowIfNull(extents);
        if (extents.Count != Kernel.Count)
            throw new ArgumentException($"There are {extents.Count} axes and {Kernel.Count} of the window.", nameof(extents));
        CheckList(extents, 1, nameof(extents));
        CheckList(Kernel, 1, nameof(Kernel));
        CheckList(Strides, 1, nameof(Strides));
        CheckList(Dilations, 1, nameof(Dilations));
        CheckList(Before, 0, nameof(Before));
        CheckList(After, 0, nameof(After));
    }

    internal static int At(IReadOnlyList<int> values, int axis, int none) => values.Count == 0 ? none : values[axis];

    private void CheckList(IReadOnlyList<int> values, int least, string name)
    {
        if (values.Count != Kernel.Count && (values.Count != 0 || Kernel.Count == 0))
            throw new ArgumentException($"There are {values.Count} numbers and {Kernel.Count} axes.", name);
        foreach (int value in values)
        {
            if (value < least || value > 1 << 24)
                throw new ArgumentOutOfRangeException(name, value, $"Must be {least} or more (and at most {1 << 24}).");
        }
    }
}

/// <summary>Where the numbers of a window stand.</summary>
internal sealed class WindowWalk
{
    private readonly Axis[] _axes;

    /// <summary>The windows of a map.</summary>
    /// <param name="window">The window, checked.</param>
    /// <param name="extents">Of the map.</param>
    /// <param name="outputs">Windows along each axis.</param>
    public WindowWalk(WindowNd window, IReadOnlyList<int> extents, int[] outputs)
    {
        _axes = new Axis[outputs.Length];
        (int taps, Windows, Pixels) = (1, 1, 1);
        for (int axis = 0; axis < outputs.Length; axis++)
        {
            _axes[axis] = new(
                extents[axis],
                outputs[axis],
                window.Kernel[axis],
                WindowNd.At(window.Strides, axis, 1),
                WindowNd.At(window.Dilations, axis, 1),
                WindowNd.At(window.Before, axis, 0),
                WindowNd.At(window.After, axis, 0));
            checked
            {
                taps *= window.Kernel[axis];
                Windows *= outputs[axis];
                Pixels *= extents[axis];
            }
        }

        Taps = taps;
    }

    /// <summary>Numbers of a window.</summary>
    public int Taps { get; }

    /// <summary>Windows of a map.</summary>
    public long Windows { get; }

    /// <summary>Numbers of a map.</summary>
    public long Pixels { get; }

    /// <summary>The numbers of a window that lie inside the map.</summary>
    /// <param name="index">The window's number.</param>
    /// <param name="taps">Gets their places in the window.</param>
    /// <param name="pixels">Gets their places in the map.</param>
    /// <param name="counted">How many lie inside the map and its padding.</param>
    /// <returns>How many lie inside the map.</returns>
    public int Inside(long index, Span<int> taps, Span<long> pixels, out int counted)
    {
        int inside = 0;
        counted = 0;
        for (int tap = 0; tap < Taps; tap++)
        {
            long place = 0, scale = 1, i = index;
            int t = tap;
            bool isInside = true, isCounted = true;
            for (int axis = _axes.Length - 1; axis >= 0; axis--)
            {
                Axis along = _axes[axis];
                (i, long at) = Math.DivRem(i, along.Outputs);
                (t, int u) = Math.DivRem(t, along.Kernel);
                long x = (at * along.Stride) + ((long)u * along.Dilation) - along.Before;
                isInside &= x >= 0 && x < along.Extent;
                isCounted &= x < (long)along.Extent + along.After;
                place += x * scale;
                scale *= along.Extent;
            }

            counted += isCounted ? 1 : 0;
            if (isInside)
                (taps[inside], pixels[inside++]) = (tap, place);
        }

        return inside;
    }

    private readonly record struct Axis(int Extent, int Outputs, int Kernel, int Stride, int Dilation, int Before, int After);
}
