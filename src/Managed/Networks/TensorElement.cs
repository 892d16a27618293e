namespace EmbeddingKernels;

/// <summary>What a tensor of a network holds; ONNX's numbers.</summary>
internal enum TensorElement
{
    Undefined = 0,
    Float = 1,
    UInt8 = 2,
    Int8 = 3,
    UInt16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    UInt32 = 12,
    UInt64 = 13,
    BFloat16 = 16,
}

internal static class TensorElements
{
    /// <summary>Whether the element is computed as a float; all others are computed as 64-bit integers.</summary>
    public static bool IsFloating(this TensorElement element) =>
        element is TensorElement.Float or TensorElement.Float16 or TensorElement.BFloat16 or TensorElement.Double;

    /// <summary>Bytes of a stored element; 0 for what is not supported (strings, complex numbers, 4 and 8 bit floats).</summary>
    public static int Bytes(this TensorElement element) => element switch
    {
        TensorElement.UInt8 or TensorElement.Int8 or TensorElement.Bool => 1,
        TensorElement.UInt16 or TensorElement.Int16 or TensorElement.Float16 or TensorElement.BFloat16 => 2,
        TensorElement.Float or TensorElement.Int32 or TensorElement.UInt32 => 4,
        TensorElement.Double or TensorElement.Int64 or TensorElement.UInt64 => 8,
        _ => 0,
    };

    /// <summary>The number that <paramref name="value"/> is in an integer type: bits beyond its width are dropped.</summary>
    public static long Wrap(this TensorElement element, long value) => element switch
    {
        TensorElement.UInt8 => (byte)value,
        TensorElement.Int8 => (sbyte)value,
        TensorElement.UInt16 => (ushort)value,
        TensorElement.Int16 => (short)value,
        TensorElement.Int32 => (int)value,
        TensorElement.UInt32 => (uint)value,
        TensorElement.Bool => value == 0 ? 0 : 1,
        _ => value,
    };

    /// <summary>As what it is computed: halves, bfloat16 and doubles become floats when they are read.</summary>
    public static TensorElement Computed(this TensorElement element) => element.IsFloating() ? TensorElement.Float : element;
}
