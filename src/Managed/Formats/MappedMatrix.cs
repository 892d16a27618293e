using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// A read-only matrix of floats in a file that is mapped into memory: rows are read from the file when they are touched.
/// The file must not be shortened while it is mapped.
/// </summary>
public sealed unsafe class MappedMatrix : IDisposable
{
    private readonly MappedFile _file;
    private readonly MatrixView<float> _view;
    private bool _disposed;

    internal MappedMatrix(MappedFile file, MatrixView<float> view)
    {
        _file = file;
        _view = view;
    }

    /// <summary>Number of rows.</summary>
    public nint Rows => _view.Rows;

    /// <summary>Number of columns.</summary>
    public nint Columns => _view.Columns;

    /// <summary>The matrix as kernels take it, for reading only: writing through it ends the process. Valid until <see cref="Dispose"/>.</summary>
    /// <exception cref="ObjectDisposedException">The file was unmapped.</exception>
    public MatrixView<float> View
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _view;
        }
    }

    /// <summary>Row <paramref name="index"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="index"/> is no row.</exception>
    /// <exception cref="ObjectDisposedException">The file was unmapped.</exception>
    public ReadOnlySpan<float> Row(nint index) => View.RowSpan(index);

    /// <summary>A matrix in memory with the same elements.</summary>
    public FloatMatrix Copy()
    {
        MatrixView<float> view = View;
        FloatMatrix copy = new(view.Rows, view.Columns);
        long bytes = (long)view.Rows * view.Columns * sizeof(float);
        Buffer.MemoryCopy(view.Data, copy.View.Data, bytes, bytes);
        return copy;
    }

    /// <summary>Unmaps the file; views and rows of it must not be used any more.</summary>
    public void Dispose()
    {
        _disposed = true;
        _file.Dispose();
    }
}
