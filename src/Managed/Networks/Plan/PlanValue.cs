namespace EmbeddingKernels;

/// <summary>Where the elements of values are: feature maps, rows, or both, as readers want; or elements that are no floats.</summary>
internal sealed class PlanStorage
{
    /// <summary>Blocked maps, once there are some.</summary>
    public PlanSlot? Maps { get; set; }

    /// <summary>Rows in NCHW order, once there are some.</summary>
    public PlanSlot? Rows { get; set; }

    /// <summary>Whether it is what the network is fed.</summary>
    public bool IsInput { get; init; }

    /// <summary>A number among the values that are no floats; -1 for floats.</summary>
    public int Object { get; init; } = -1;
}

/// <summary>A value of a plan. Several may share a storage.</summary>
internal sealed class PlanValue(int[] shape, PlanStorage storage)
{
    /// <summary>Its extents.</summary>
    public int[] Shape { get; } = shape;

    /// <summary>Images, channels, rows and columns; null where it has no such form.</summary>
    public (int Images, int Channels, int Height, int Width)? Images { get; } = Form(shape);

    public PlanStorage Storage { get; } = storage;

    private static (int Images, int Channels, int Height, int Width)? Form(int[] shape) => shape.Length switch
    {
        2 => (shape[0], shape[1], 1, 1),
        3 => (shape[0], shape[1], 1, shape[2]),
        4 => (shape[0], shape[1], shape[2], shape[3]),
        _ => null,
    };
}
