using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// Read-only rows in a file that is mapped into memory: they are read from the file when they are touched, so the file may
/// be larger than memory. It must not be shortened while it is mapped.
/// </summary>
public sealed unsafe class MappedRows : IDisposable
{
    private readonly MappedFile _file;
    private readonly RowsView _view;
    private bool _disposed;

    private MappedRows(MappedFile file, RowsView view)
    {
        _file = file;
        _view = view;
    }

    /// <summary>Number of rows.</summary>
    public nint Rows => _view.Rows;

    /// <summary>Number of columns.</summary>
    public nint Columns => _view.Columns;

    /// <summary>How the file stores elements.</summary>
    public ElementType Type => _view.Type;

    /// <summary>The rows as kernels take them, for reading only: writing through the view ends the process. Valid until <see cref="Dispose"/>.</summary>
    /// <exception cref="ObjectDisposedException">The file was unmapped.</exception>
    public RowsView View
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _view;
        }
    }

    /// <summary>Copies row <paramref name="index"/> as floats.</summary>
    /// <param name="index">0 to <see cref="Rows"/> - 1.</param>
    /// <param name="destination">As long as <see cref="Columns"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="index"/> is no row.</exception>
    /// <exception cref="ArgumentException">The destination has another length.</exception>
    /// <exception cref="ObjectDisposedException">The file was unmapped.</exception>
    public void CopyRow(nint index, Span<float> destination)
    {
        RowsView view = View;
        if ((nuint)index >= (nuint)Rows)
            throw new ArgumentOutOfRangeException(nameof(index), index, $"There are {Rows} rows.");
        if (destination.Length != Columns)
            throw new ArgumentException($"The length must be {Columns} and is {destination.Length}.", nameof(destination));
        fixed (float* first = destination)
            RowConversion.ToFloats(view, index, first);
    }

    /// <summary>A matrix in memory with the same elements.</summary>
    public FloatMatrix Copy()
    {
        FloatMatrix copy = new(Rows, Columns);
        for (nint i = 0; i < Rows; i++)
            CopyRow(i, copy.Row(i));
        return copy;
    }

    /// <summary>Unmaps the file; views of it must not be used any more.</summary>
    public void Dispose()
    {
        _disposed = true;
        _file.Dispose();
    }

    /// <summary>Maps rows whose place in the file is known.</summary>
    /// <exception cref="DataFormatException">They are not all there: the file was shortened since its length was looked at.</exception>
    internal static MappedRows Open(string path, nint offset, ElementType type, nint rows, nint columns, nint strideBytes)
    {
        MappedFile file = new(path);
        try
        {
            return new MappedRows(file, file.Rows(offset, type, rows, columns, strideBytes));
        }
        catch (ArgumentOutOfRangeException exception)
        {
            file.Dispose();
            throw new DataFormatException(path, offset, null, "the file shrank while it was opened", exception);
        }
    }
}
