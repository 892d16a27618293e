namespace EmbeddingKernels;

/// <summary>
/// A file does not hold what its format promises: it is cut short, claims sizes that it does not have, or holds something
/// that cannot be read as asked. The message names the file, the place and the reason.
/// </summary>
public sealed class DataFormatException : FormatException
{
    /// <summary>An exception without a place.</summary>
    public DataFormatException()
        : this("The data is malformed.")
    {
    }

    /// <summary>An exception without a place.</summary>
    public DataFormatException(string message)
        : base(message)
    {
    }

    /// <summary>An exception without a place.</summary>
    public DataFormatException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    internal DataFormatException(string source, long offset, long? row, string reason, Exception? inner = null)
        : base(row is null ? $"{source}: at byte {offset}: {reason}" : $"{source}: row {row}, at byte {offset}: {reason}", inner)
    {
        FileName = source;
        Offset = offset;
        Row = row;
    }

    /// <summary>The file's path as it was given, or a word for a stream; null where unknown.</summary>
    public string? FileName { get; }

    /// <summary>Bytes from the start of the (unpacked) data to the place, or to shortly after it; null where unknown.</summary>
    public long? Offset { get; }

    /// <summary>The row or line number, from 0, as the message names it; null where the format has none or it is unknown.</summary>
    public long? Row { get; }
}
