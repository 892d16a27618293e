using System.IO.MemoryMappedFiles;

namespace EmbeddingKernels.Core;

/// <summary>A file mapped into memory for reading: pages come in as they are touched, so it may be larger than memory.</summary>
/// <remarks>
/// The file must not shrink meanwhile: reading pages that it lost ends the process. It stays mapped until
/// <see cref="Dispose"/>, or else until the process ends, because views do not keep this object alive.
/// </remarks>
public sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile? _file;
    private readonly MemoryMappedViewAccessor? _view;
    private byte* _pointer;
    private bool _disposed;

    /// <summary>Maps the whole of the file at <paramref name="path"/>.</summary>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read, or is a folder.</exception>
    public MappedFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        Length = checked((nint)stream.Length);
        if (Length == 0)
            return; // the operating system refuses to map nothing

        _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _pointer);
        _pointer += _view.PointerOffset;
    }

    /// <summary>The file's length in bytes when it was mapped.</summary>
    public nint Length { get; }

    /// <summary>A read-only matrix in the file. Writing through the view faults.</summary>
    /// <param name="offset">Bytes before the first element.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns, without gaps between rows.</param>
    /// <typeparam name="T">The element type, in the machine's byte order.</typeparam>
    /// <exception cref="ArgumentOutOfRangeException">The matrix does not lie inside the file.</exception>
    /// <exception cref="ObjectDisposedException">The file was unmapped.</exception>
    public MatrixView<T> Matrix<T>(nint offset, nint rows, nint columns)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (offset < 0 || offset > Length)
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"The file has {Length} bytes.");
        if (columns > 0 && rows > (Length - offset) / sizeof(T) / columns)
            throw new ArgumentOutOfRangeException(nameof(rows), rows, $"{rows} x {columns} elements of {sizeof(T)} bytes do not fit into {Length - offset} bytes.");
        return new MatrixView<T>((T*)(_pointer + offset), rows, columns);
    }

    /// <summary>Read-only rows in the file. Writing through the view faults.</summary>
    /// <param name="offset">Bytes before the first element.</param>
    /// <param name="type">How elements are stored, in the machine's byte order.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns.</param>
    /// <param name="strideBytes">Bytes from row to row, at least those of the columns; the last row may end without its gap.</param>
    /// <exception cref="ArgumentOutOfRangeException">The rows do not lie inside the file, or a size is no size.</exception>
    /// <exception cref="ObjectDisposedException">The file was unmapped.</exception>
    public RowsView Rows(nint offset, ElementType type, nint rows, nint columns, nint strideBytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (offset < 0 || offset > Length)
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"The file has {Length} bytes.");
        RowsView view = new(_pointer + offset, type, rows, columns, strideBytes);
        nint rowBytes = columns * RowsView.SizeOf(type);
        if (rows > 0 && (rowBytes > Length - offset || (strideBytes > 0 && rows - 1 > (Length - offset - rowBytes) / strideBytes)))
        {
            throw new ArgumentOutOfRangeException(
                nameof(rows), rows, $"{rows} rows of {rowBytes} bytes, {strideBytes} apart, do not fit into {Length - offset} bytes.");
        }

        return view;
    }

    /// <summary>Unmaps the file; views into it must not be used any more.</summary>
    public void Dispose()
    {
        _disposed = true;
        if (_pointer is not null)
            _view!.SafeMemoryMappedViewHandle.ReleasePointer();
        _pointer = null;
        _view?.Dispose();
        _file?.Dispose();
    }
}
