using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

public sealed unsafe class FloatMatrixTests
{
    [Test]
    public void IsZeroedAlignedAndWithoutGaps()
    {
        using FloatMatrix matrix = new(3, 5);
        MatrixView<float> view = matrix.View;
        Assert.That((view.Rows, view.Columns, view.Stride, matrix.Stride), Is.EqualTo(((nint)3, (nint)5, (nint)5, (nint)5)));
        Assert.That((long)view.Data % 64, Is.Zero);
        Assert.That(new Span<float>(view.Data, 15).IndexOfAnyExcept(0f), Is.EqualTo(-1));
        matrix[1, 2] = 7;
        Assert.That((matrix.Row(1)[2], view.Row(1)[2]), Is.EqualTo((7f, 7f)));
    }

    [Test]
    public void CopiesAreIndependent()
    {
        using FloatMatrix matrix = FloatMatrix.FromArray(new float[,] { { 1, 2, 3 }, { 4, 5, 6 } });
        using FloatMatrix copy = matrix.Copy();
        matrix[0, 0] = 9;
        Assert.That(copy.Row(0).ToArray(), Is.EqualTo(new float[] { 1, 2, 3 }));
        Assert.That(copy.Row(1).ToArray(), Is.EqualTo(new float[] { 4, 5, 6 }));
        using FloatMatrix empty = FloatMatrix.FromArray(new float[0, 4]);
        using FloatMatrix emptyCopy = empty.Copy();
        Assert.That((emptyCopy.Rows, emptyCopy.Columns), Is.EqualTo(((nint)0, (nint)4)));
    }

    [Test]
    public void ElementsBeyond2To31AreReached()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("skipped: only Linux gives out address space that is not backed by memory until it is touched");
        FloatMatrix? reserved = null;
        try
        {
            reserved = new FloatMatrix(1_500_000, 2_000); // 12 GB, of which two pages are touched
        }
        catch (OutOfMemoryException)
        {
            Assert.Ignore("skipped: this machine gives out no address space beyond its memory");
        }

        using FloatMatrix matrix = reserved!;
        matrix[1_499_999, 1_999] = 3;
        Assert.That(matrix.Row(1_499_999)[1_999], Is.EqualTo(3f));
        Assert.That(matrix[0, 0], Is.Zero);
    }

    [TestCase(-1, 2, "rows")]
    [TestCase(2, -1, "columns")]
    public void NegativeSizesAreRefused(int rows, int columns, string parameter) =>
        Assert.That(() => new FloatMatrix(rows, columns), Throws.TypeOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo(parameter));

    [Test]
    public void OverflowingSizesAreRefused() =>
        Assert.That(() => new FloatMatrix(nint.MaxValue / 4, 8), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("overflow"));

    [Test]
    public void UseAfterDisposalIsRefused()
    {
        FloatMatrix matrix = new(1, 1);
        matrix.Dispose();
        matrix.Dispose();
        Assert.That(() => matrix.View, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => matrix[0, 0], Throws.TypeOf<ObjectDisposedException>());
    }
}
