using EmbeddingKernels.Core;

namespace EmbeddingKernels.Tests;

public sealed unsafe class RowConversionTests
{
    [TestCase(ElementType.Float32, false)]
    [TestCase(ElementType.Float16, false)]
    [TestCase(ElementType.BFloat16, false)]
    [TestCase(ElementType.Int8, false)]
    [TestCase(ElementType.Int8, true)]
    [TestCase(ElementType.UInt8, false)]
    [TestCase(ElementType.UInt8, true)]
    public void EveryTypeBecomesFloats(ElementType type, bool scaled)
    {
        const int Rows = 70, Columns = 5;
        int size = RowsView.SizeOf(type), stride = (Columns * size) + 3; // odd, so no row but the first is aligned
        byte[] memory = new byte[Rows * stride];
        float[] scales = [.. Enumerable.Range(0, Rows).Select(i => 1 + (i / 8f))];
        float[,] wanted = new float[Rows, Columns];
        for (int i = 0; i < Rows; i++)
        {
            for (int j = 0; j < Columns; j++)
            {
                float value = type == ElementType.UInt8 ? (i + (40 * j)) % 256 : (i - 35) * (j + 1) % 128;
                byte[] stored = type switch
                {
                    ElementType.Float32 => BitConverter.GetBytes(value),
                    ElementType.Float16 => BitConverter.GetBytes((Half)value),
                    ElementType.BFloat16 => BitConverter.GetBytes(value)[2..],
                    ElementType.Int8 => [(byte)(sbyte)value],
                    _ => [(byte)value],
                };
                stored.CopyTo(memory, (i * stride) + (j * size));
                wanted[i, j] = value * (scaled ? scales[i] : 1);
            }
        }

        using WorkerPool pool = new(2);
        using FloatMatrix buffer = new(Rows, Columns);
        fixed (byte* data = memory)
        fixed (float* scale = scales)
        {
            RowsView rows = new(data, type, Rows, Columns, stride, scaled ? scale : null);
            Assert.That(RowConversion.AreFloats(rows), Is.False);
            MatrixView<float> found = RowConversion.Floats(rows, buffer, pool);
            for (int i = 0; i < Rows; i++)
            {
                for (int j = 0; j < Columns; j++)
                    Assert.That(found.Row(i)[j], Is.EqualTo(wanted[i, j]), $"{type}, row {i}, column {j}");
            }
        }
    }

    [Test]
    public void FloatsAreUsedWhereTheyLie()
    {
        using FloatMatrix matrix = FloatMatrix.FromRows([1, 2, 3, 4, 5, 6], 3);
        RowsView rows = new(matrix.View.Data, ElementType.Float32, 2, 2, 12);
        MatrixView<float> found = RowConversion.Floats(rows, null, WorkerPool.Serial);
        Assert.That((found.Rows, found.Columns, found.Stride, (nint)found.Data), Is.EqualTo(((nint)2, (nint)2, (nint)3, (nint)matrix.View.Data)));
    }
}
