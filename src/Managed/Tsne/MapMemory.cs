using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The matrices of a map and its optimiser: each one row per axis, and each row at a cache line. Pinned memory of the garbage
/// collector, so that nobody has to dispose of a map; whoever uses a view keeps this object alive.
/// </summary>
internal sealed unsafe class MapMemory
{
    private const int FloatsPerLine = 16;

    private readonly float[] _memory;
    private readonly int _offset;
    private readonly int _stride;
    private readonly int _points;
    private readonly int _dimensions;

    /// <summary>Takes zeroed memory.</summary>
    /// <param name="parts">Number of matrices.</param>
    /// <param name="dimensions">Rows of each.</param>
    /// <param name="points">Columns of each.</param>
    public MapMemory(int parts, int dimensions, int points)
    {
        _points = points;
        _dimensions = dimensions;
        _stride = checked((points + FloatsPerLine - 1) / FloatsPerLine * FloatsPerLine);
        _memory = GC.AllocateArray<float>(checked((parts * dimensions * _stride) + FloatsPerLine), pinned: true);
        _offset = (int)((ulong)-(long)Pointer / sizeof(float) % FloatsPerLine);
    }

    private float* Pointer => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_memory));

    /// <summary>A matrix.</summary>
    public MatrixView<float> this[int part] => new(Pointer + _offset + ((nint)part * _dimensions * _stride), _dimensions, _points, _stride);

    /// <summary>A row of the first matrix.</summary>
    public ReadOnlySpan<float> Axis(int axis) => _memory.AsSpan(_offset + (axis * _stride), _points);

    /// <summary>Copies a matrix of a row per point into one of a row per axis.</summary>
    public static void Fill(MatrixView<float> axes, MatrixView<float> points)
    {
        for (nint axis = 0; axis < axes.Rows; axis++)
        {
            float* destination = axes.Row(axis), source = points.Data + axis;
            for (nint i = 0; i < points.Rows; i++)
                destination[i] = source[i * points.Stride];
        }
    }

    /// <summary>A copy of a matrix with a row per point.</summary>
    public FloatMatrix Rows(int part)
    {
        FloatMatrix rows = new(_points, _dimensions);
        MatrixView<float> axes = this[part], view = rows.View;
        for (nint axis = 0; axis < _dimensions; axis++)
        {
            float* source = axes.Row(axis), destination = view.Data + axis;
            for (nint i = 0; i < _points; i++)
                destination[i * view.Stride] = source[i];
        }

        GC.KeepAlive(this);
        return rows;
    }

    /// <summary>Copies the first matrix, point after point.</summary>
    /// <exception cref="ArgumentException">The length is not points x axes.</exception>
    public void CopyTo(Span<float> destination)
    {
        if (destination.Length != (long)_points * _dimensions)
            throw new ArgumentException($"The length must be {(long)_points * _dimensions} and is {destination.Length}.", nameof(destination));
        for (int axis = 0; axis < _dimensions; axis++)
        {
            ReadOnlySpan<float> source = Axis(axis);
            for (int i = 0; i < source.Length; i++)
                destination[(i * _dimensions) + axis] = source[i];
        }
    }
}
