namespace EmbeddingKernels.Core.Tests;

/// <summary>A matrix for tests; the gaps between its rows hold NaN, which spoils any sum that touches them.</summary>
internal sealed unsafe class Rows : IDisposable
{
    private readonly AlignedBuffer<float> _memory;

    public Rows(int rows, int columns, int gap = 0)
    {
        _memory = new((nint)rows * (columns + gap));
        _memory.AsSpan().Fill(float.NaN);
        View = new(_memory.Pointer, rows, columns, columns + gap);
        Fill(() => 0f);
    }

    public MatrixView<float> View { get; }

    public void Fill(Func<float> value)
    {
        for (int i = 0; i < View.Rows; i++)
        {
            foreach (ref float x in View.RowSpan(i))
                x = value();
        }
    }

    public void Fill(ReadOnlySpan<float> row)
    {
        for (int i = 0; i < View.Rows; i++)
            row.CopyTo(View.RowSpan(i));
    }

    public void Dispose() => _memory.Dispose();
}
