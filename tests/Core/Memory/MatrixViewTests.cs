namespace EmbeddingKernels.Core.Tests;

public sealed unsafe class MatrixViewTests : IDisposable
{
    private readonly AlignedBuffer<int> _numbers = new(100);

    [OneTimeSetUp]
    public void Count()
    {
        for (int i = 0; i < 100; i++)
            _numbers[i] = i;
    }

    public void Dispose() => _numbers.Dispose();

    [Test]
    public void RowsAreAStrideApart()
    {
        MatrixView<int> view = new(_numbers.Pointer, 9, 7, 11);
        Assert.That((view.Rows, view.Columns, view.Stride), Is.EqualTo(((nint)9, (nint)7, (nint)11)));
        Assert.That(view.RowSpan(8).ToArray(), Is.EqualTo(new[] { 88, 89, 90, 91, 92, 93, 94 }));
        Assert.That(view.Row(3)[2], Is.EqualTo(35));
        Assert.That(new MatrixView<int>(_numbers.Pointer, 10, 10).Stride, Is.EqualTo((nint)10));
    }

    [Test]
    public void SlicesKeepTheStride()
    {
        MatrixView<int> view = new(_numbers.Pointer, 9, 7, 11);
        MatrixView<int> part = view.Slice(4, 3);
        Assert.That((part.Rows, part.Columns, part.Stride), Is.EqualTo(((nint)3, (nint)7, (nint)11)));
        Assert.That(part.RowSpan(2)[0], Is.EqualTo(66));
        Assert.That(view.Slice(9, 0).Rows, Is.EqualTo((nint)0));
        Assert.That(view.Slice(0, 9).Row(0) == view.Data);
    }

    [Test]
    public void RowsAndSlicesOutsideAreRefused()
    {
        MatrixView<int> view = new(_numbers.Pointer, 9, 7, 11);
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => view.RowSpan(9))!.ActualValue, Is.EqualTo((nint)9));
        Assert.Throws<ArgumentOutOfRangeException>(() => view.RowSpan(-1));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => view.Slice(-1, 1))!.ParamName, Is.EqualTo("start"));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => view.Slice(10, 0))!.ParamName, Is.EqualTo("start"));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => view.Slice(4, 6))!.ParamName, Is.EqualTo("count"));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => view.Slice(4, -1))!.ParamName, Is.EqualTo("count"));
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => view.Slice(1, nint.MaxValue))!.ParamName, Is.EqualTo("count"));
    }

    [Test]
    public void BadShapesAreRefused()
    {
        Assert.That(Refused(-1, 1, 1), Is.EqualTo("rows"));
        Assert.That(Refused(1, -1, 1), Is.EqualTo("columns"));
        Assert.That(Refused(1, 5, 4), Is.EqualTo("stride"));
        Assert.That(Refused(0, 0, -1), Is.EqualTo("stride"));
        Assert.That(Refused(nint.MaxValue / 8, 3, 3), Is.EqualTo("rows"));
        Assert.That(Refused(2, 1, nint.MaxValue / sizeof(int)), Is.EqualTo("rows"));
        Assert.DoesNotThrow(() => _ = new MatrixView<int>(_numbers.Pointer, 1, 1, nint.MaxValue / sizeof(int)));

        string? Refused(nint rows, nint columns, nint stride) =>
            Assert.Throws<ArgumentOutOfRangeException>(() => _ = new MatrixView<int>(_numbers.Pointer, rows, columns, stride))!.ParamName;
    }

    [Test]
    public void NullIsForEmptyMatricesOnly()
    {
        Assert.That(Assert.Throws<ArgumentNullException>(() => _ = new MatrixView<int>(null, 1, 1))!.ParamName, Is.EqualTo("data"));
        Assert.DoesNotThrow(() => _ = new MatrixView<int>(null, 0, 5));
        Assert.DoesNotThrow(() => _ = new MatrixView<int>(null, 5, 0));
        MatrixView<int> empty = default;
        Assert.That((empty.Rows, empty.Columns, empty.Stride), Is.EqualTo(((nint)0, (nint)0, (nint)0)));
        Assert.Throws<ArgumentOutOfRangeException>(() => empty.RowSpan(0));
    }

    [Test]
    public void ARowTooLongForASpanSaysSo() =>
        Assert.Throws<OverflowException>(() => new MatrixView<int>(_numbers.Pointer, 1, unchecked((nint)(1L + int.MaxValue))).RowSpan(0));
}
