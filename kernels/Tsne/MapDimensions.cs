namespace EmbeddingKernels.Core;

/// <summary>
/// The number of axes of a map as a type, so that kernels are written once and the compiler drops what an axis less does
/// not need.
/// </summary>
internal interface IMapDimensions
{
    /// <summary>1, 2 or 3.</summary>
    static abstract int Count { get; }

    /// <summary>Points whose coordinates and sums are kept in registers at once: three axes leave room for one.</summary>
    static abstract int RowsAtOnce { get; }
}

internal readonly struct Map1 : IMapDimensions
{
    public static int Count => 1;

    public static int RowsAtOnce => 2;
}

internal readonly struct Map2 : IMapDimensions
{
    public static int Count => 2;

    public static int RowsAtOnce => 2;
}

internal readonly struct Map3 : IMapDimensions
{
    public static int Count => 3;

    public static int RowsAtOnce => 1;
}

/// <summary>Checks and dispatch that the kernels over maps share.</summary>
internal static class MapDimensions
{
    /// <summary>The most axes that a map may have.</summary>
    public const int Most = 3;

    /// <summary>Checks that <paramref name="map"/> has 1 to 3 rows, one per axis.</summary>
    public static void Check(MatrixView<float> map, string name)
    {
        if (map.Rows is < 1 or > Most)
            throw new ArgumentException($"A map has 1 to {Most} axes, one per row, and this matrix has {map.Rows} rows.", name);
        if (map.Columns > int.MaxValue)
            throw new ArgumentException($"A map has at most {int.MaxValue} points and this one has {map.Columns}.", name);
    }

    /// <summary>Checks that <paramref name="other"/> has the shape of <paramref name="map"/>.</summary>
    public static void CheckSame(MatrixView<float> map, MatrixView<float> other, string name)
    {
        if (other.Rows != map.Rows || other.Columns != map.Columns)
            throw new ArgumentException($"The shape must be that of the map, {map.Rows} x {map.Columns}, and is {other.Rows} x {other.Columns}.", name);
    }

    /// <summary>Checks what a call of <see cref="ITsneReferenceField.Compute"/> is given.</summary>
    public static void CheckReferenceCall(int dimensions, MatrixView<float> points, MatrixView<float> force, int sums)
    {
        Check(points, nameof(points));
        if (points.Rows != dimensions)
            throw new ArgumentException($"The points must have the {dimensions} axes of the reference and have {points.Rows}.", nameof(points));
        CheckSame(points, force, nameof(force));
        if (sums != points.Columns)
            throw new ArgumentException($"There must be a sum for each of the {points.Columns} points and there are {sums}.", nameof(sums));
    }

    /// <summary>Runs <paramref name="action"/> for the level in force and <paramref name="axes"/> axes.</summary>
    public static void Dispatch<TAction>(int axes, ref TAction action)
        where TAction : struct, IMapAction
    {
        WidthDispatch<TAction> inner = new() { Axes = axes, Action = action };
        Isa.Dispatch(ref inner);
        action = inner.Action;
    }

    private struct WidthDispatch<TAction> : IWideAction
        where TAction : struct, IMapAction
    {
        public int Axes;
        public TAction Action;

        public void Run<TWide>()
            where TWide : unmanaged, IWide<TWide>
        {
            switch (Axes)
            {
                case 1:
                    Action.Run<TWide, Map1>();
                    break;
                case 2:
                    Action.Run<TWide, Map2>();
                    break;
                default:
                    Action.Run<TWide, Map3>();
                    break;
            }
        }
    }
}

/// <summary>Work that is compiled once for each vector width and number of axes.</summary>
internal interface IMapAction
{
    void Run<TWide, TMap>()
        where TWide : unmanaged, IWide<TWide>
        where TMap : struct, IMapDimensions;
}
