namespace EmbeddingKernels;

/// <summary>
/// A tensor of the interpreter: row-major, floating elements as floats, all others as 64-bit integers.
/// </summary>
internal sealed class PlainTensor
{
    /// <summary>A tensor of zeros.</summary>
    public PlainTensor(TensorElement element, int[] shape)
        : this(element, shape, element.IsFloating() ? new float[TensorShape.Count(shape)] : null, element.IsFloating() ? null : new long[TensorShape.Count(shape)])
    {
    }

    private PlainTensor(TensorElement element, int[] shape, float[]? floats, long[]? integers)
    {
        Element = element;
        Shape = shape;
        Floats = floats ?? [];
        Integers = integers ?? [];
    }

    public TensorElement Element { get; }

    public int[] Shape { get; }

    /// <summary>The elements of a floating tensor; empty for others.</summary>
    public float[] Floats { get; }

    /// <summary>The elements of a tensor that is not floating; empty for others.</summary>
    public long[] Integers { get; }

    public int Count => Element.IsFloating() ? Floats.Length : Integers.Length;

    public static PlainTensor Of(int[] shape, float[] values, TensorElement element = TensorElement.Float) => new(element, shape, values, null);

    public static PlainTensor Of(int[] shape, long[] values, TensorElement element = TensorElement.Int64) => new(element, shape, null, values);

    public static PlainTensor Of(params long[] values) => Of([values.Length], values);

    /// <summary>The same elements in another shape of as many.</summary>
    public PlainTensor As(int[] shape) => new(Element, shape, Element.IsFloating() ? Floats : null, Element.IsFloating() ? null : Integers);

    /// <summary>Element <paramref name="index"/>, whatever the type.</summary>
    public double this[int index] => Element.IsFloating() ? Floats[index] : Integers[index];

    /// <summary>The elements as integers; floats are cut off towards zero.</summary>
    public long[] ToIntegers() => Element.IsFloating() ? Array.ConvertAll(Floats, x => (long)x) : Integers;

    /// <summary>The elements as floats.</summary>
    public float[] ToFloats() => Element.IsFloating() ? Floats : Array.ConvertAll(Integers, x => (float)x);
}
