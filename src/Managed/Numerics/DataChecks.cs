using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>Checks of data that several algorithms make.</summary>
internal static unsafe class DataChecks
{
    /// <summary>Throws where an element is NaN or infinite, naming the first one.</summary>
    public static void Finite(MatrixView<float> data, string name)
    {
        for (nint i = 0; i < data.Rows; i++)
        {
            float* row = data.Row(i);
            for (nint j = 0; j < data.Columns; j++)
            {
                if (!float.IsFinite(row[j]))
                    throw new ArgumentException($"The element in row {i} and column {j} is {row[j]}; the data must be finite.", name);
            }
        }
    }

    /// <summary>Throws unless the number of threads is one that a pool takes.</summary>
    public static void Threads(int threads, string name)
    {
        if (threads is < 1 or > 1024)
            throw new ArgumentOutOfRangeException(name, threads, "The number of threads must be 1 to 1024.");
    }

    /// <summary>Throws unless a value is a named one of its enumeration.</summary>
    public static void Defined<TEnum>(TEnum value, string name)
        where TEnum : struct, Enum
    {
        if (!Enum.IsDefined(value))
            throw new ArgumentOutOfRangeException(name, value, $"Not a value of {typeof(TEnum).Name}.");
    }
}
