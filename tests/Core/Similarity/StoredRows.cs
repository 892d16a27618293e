using EmbeddingKernels.TestSupport;

namespace EmbeddingKernels.Core.Tests;

/// <summary>
/// Rows of any element type for tests: they end at an unreadable page, and the gaps between them hold bytes that spoil any
/// sum that touches them.
/// </summary>
internal sealed unsafe class StoredRows : IDisposable
{
    private readonly GuardedBuffer<byte> _memory;
    private readonly GuardedBuffer<float>? _scales;

    public StoredRows(ElementType type, int rows, int columns, int gapBytes = 0, bool scaled = false)
    {
        // No gap after the last row.
        int rowBytes = columns * RowsView.SizeOf(type);
        _memory = new(Math.Max((rows * (rowBytes + gapBytes)) - gapBytes, 0));
        _memory.Span.Fill(0xFF);
        _scales = scaled ? new(rows) : null;
        _scales?.Span.Fill(1f);
        View = new(_memory.Pointer, type, rows, columns, rowBytes + gapBytes, scaled ? _scales!.Pointer : null);
        Fill(_ => 0f);
    }

    public RowsView View { get; }

    public void SetScale(int row, float scale) => _scales!.Span[row] = scale;

    /// <summary>Stores a number that the type holds exactly.</summary>
    public void Set(int row, int column, float value)
    {
        byte* place = View.Row(row) + (column * RowsView.SizeOf(View.Type));
        switch (View.Type)
        {
            case ElementType.Float32:
                *(float*)place = value;
                break;
            case ElementType.Float16:
                *(Half*)place = (Half)value;
                break;
            case ElementType.BFloat16:
                *(ushort*)place = (ushort)(BitConverter.SingleToInt32Bits(value) >> 16);
                break;
            case ElementType.Int8:
                *(sbyte*)place = checked((sbyte)value);
                break;
            default:
                *place = checked((byte)value);
                break;
        }

        if (Stored(row, column) != value && !float.IsNaN(value))
            throw new InvalidOperationException($"{View.Type} does not hold {value:R}");
    }

    public void Fill(Func<int, float> ofRow)
    {
        for (int i = 0; i < View.Rows; i++)
        {
            for (int j = 0; j < View.Columns; j++)
                Set(i, j, ofRow(i));
        }
    }

    /// <summary>The numbers as double precision has them, scales applied.</summary>
    public double[][] Decoded()
    {
        double[][] rows = new double[View.Rows][];
        for (int i = 0; i < rows.Length; i++)
        {
            rows[i] = new double[View.Columns];
            for (int j = 0; j < rows[i].Length; j++)
                rows[i][j] = Stored(i, j) * (_scales is null ? 1.0 : _scales.Span[i]);
        }

        return rows;
    }

    public void Dispose()
    {
        _memory.Dispose();
        _scales?.Dispose();
    }

    private double Stored(int row, int column)
    {
        byte* place = View.Row(row) + (column * RowsView.SizeOf(View.Type));
        return View.Type switch
        {
            ElementType.Float32 => *(float*)place,
            ElementType.Float16 => (double)*(Half*)place,
            ElementType.BFloat16 => BitConverter.Int32BitsToSingle(*(ushort*)place << 16),
            ElementType.Int8 => *(sbyte*)place,
            _ => *place,
        };
    }
}
