namespace EmbeddingKernels.Core;

/// <summary>The matrix product in single precision.</summary>
public static class Gemm
{
    /// <summary>C = alpha * op(A) * op(B) + beta * C, where op transposes or leaves as it is.</summary>
    /// <remarks>
    /// <para>The sum over k is taken in an order that depends on k alone, so the result is the same for any number of threads:
    /// in blocks of 256 products, each block in ascending order with fused multiply-adds (where the level has them), the
    /// blocks' sums added in ascending order; k beyond 2,048 is added into C in passes of 2,048. Against the exact product
    /// of the stored floats the error of an element is below (min(k, 256) + k/256 + 4) * 2^-24 * |alpha| * sum |a||b|, and
    /// the rounding of the last addition of beta * C.</para>
    /// <para>As in BLAS, C is not read where <paramref name="beta"/> is 0, and A and B are not read where
    /// <paramref name="alpha"/> is 0. C must not overlap A or B. Thread-safe; scratch memory is pooled and bounded.</para>
    /// </remarks>
    /// <param name="alpha">Factor of the product.</param>
    /// <param name="a">m x k, or k x m where transposed.</param>
    /// <param name="transposeA">Use the transpose of <paramref name="a"/>.</param>
    /// <param name="b">k x n, or n x k where transposed.</param>
    /// <param name="transposeB">Use the transpose of <paramref name="b"/>.</param>
    /// <param name="beta">Factor of what stands in <paramref name="c"/>.</param>
    /// <param name="c">m x n.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    public static void Multiply(
        float alpha,
        MatrixView<float> a,
        bool transposeA,
        MatrixView<float> b,
        bool transposeB,
        float beta,
        MatrixView<float> c,
        WorkerPool? pool = null)
    {
        GemmOperand rows = transposeA ? GemmOperand.OfColumns(a) : GemmOperand.OfRows(a);
        GemmOperand columns = transposeB ? GemmOperand.OfRows(b) : GemmOperand.OfColumns(b);
        if (columns.Depth != rows.Depth)
            throw new ArgumentException($"op(B) has {columns.Depth} rows and op(A) has {rows.Depth} columns.", nameof(b));
        if (c.Rows != rows.Lanes || c.Columns != columns.Lanes)
            throw new ArgumentException($"The shape must be {rows.Lanes} x {columns.Lanes} and is {c.Rows} x {c.Columns}.", nameof(c));
        if (c.Rows == 0 || c.Columns == 0)
            return;

        GemmAction action = new(alpha, rows, columns, beta, c, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
    }

    /// <summary>C = A * B.</summary>
    /// <param name="a">m x k.</param>
    /// <param name="b">k x n.</param>
    /// <param name="c">m x n, overwritten.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <inheritdoc cref="Multiply(float, MatrixView{float}, bool, MatrixView{float}, bool, float, MatrixView{float}, WorkerPool?)"/>
    public static void Multiply(MatrixView<float> a, MatrixView<float> b, MatrixView<float> c, WorkerPool? pool = null) =>
        Multiply(1f, a, false, b, false, 0f, c, pool);
}
