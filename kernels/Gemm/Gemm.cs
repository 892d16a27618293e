namespace EmbeddingKernels.Core;

/// <summary>A function that is applied to each element of a product before it leaves the core: a short one in the register, a long one in L1.</summary>
public enum GemmActivation
{
    /// <summary>x.</summary>
    None = 0,

    /// <summary>max(x, 0); NaN stays NaN.</summary>
    Relu = 1,

    /// <summary>1 / (1 + e^-x), within 3.5e-7.</summary>
    Sigmoid = 2,

    /// <summary>e^x, relative error below 1e-7 for x in [-87.33, 88.37]; beyond it stays at the values of the ends.</summary>
    Exp = 3,
}

/// <summary>The matrix product in single precision.</summary>
public static unsafe class Gemm
{
    /// <summary>C = alpha * op(A) * op(B) + beta * C, where op transposes or leaves as it is.</summary>
    /// <remarks>
    /// <para>The sum over k is taken in an order that depends on the shape alone, so the result is the same for any number of
    /// threads: in blocks of 256 products, each block in ascending order with fused multiply-adds (where the level has
    /// them), alpha times the blocks' sums added to beta * C in ascending order. Where m or n is 1 the order is another, of
    /// no larger error. Against the exact product of the stored floats the error of an element is below
    /// (min(k, 256) + k/256 + 4) * 2^-24 * |alpha| * sum |a||b| + (k/256 + 2) * 2^-24 * |beta| |c|.</para>
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
        WorkerPool? pool = null) => Run(alpha, a, transposeA, b, transposeB, beta, null, GemmActivation.None, c, pool);

    /// <summary>
    /// C = f(alpha * op(A) * op(B) + bias): a fully connected layer. The bias and f are applied before the sums leave the
    /// core.
    /// </summary>
    /// <param name="alpha">Factor of the product.</param>
    /// <param name="a">m x k, or k x m where transposed.</param>
    /// <param name="transposeA">Use the transpose of <paramref name="a"/>.</param>
    /// <param name="b">k x n, or n x k where transposed.</param>
    /// <param name="transposeB">Use the transpose of <paramref name="b"/>.</param>
    /// <param name="bias">A number for each column of C, or nothing for none.</param>
    /// <param name="activation">f.</param>
    /// <param name="c">m x n, overwritten.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <inheritdoc cref="Multiply(float, MatrixView{float}, bool, MatrixView{float}, bool, float, MatrixView{float}, WorkerPool?)" path="/remarks"/>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="activation"/> is undefined.</exception>
    public static void Multiply(
        float alpha,
        MatrixView<float> a,
        bool transposeA,
        MatrixView<float> b,
        bool transposeB,
        ReadOnlySpan<float> bias,
        GemmActivation activation,
        MatrixView<float> c,
        WorkerPool? pool = null)
    {
        if (!bias.IsEmpty && bias.Length != c.Columns)
            throw new ArgumentException($"There are {bias.Length} numbers and {c.Columns} columns of C.", nameof(bias));
        fixed (float* pointer = bias)
            Run(alpha, a, transposeA, b, transposeB, 0f, pointer, activation, c, pool);
    }

    /// <summary>C = A * B.</summary>
    /// <param name="a">m x k.</param>
    /// <param name="b">k x n.</param>
    /// <param name="c">m x n, overwritten.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <inheritdoc cref="Multiply(float, MatrixView{float}, bool, MatrixView{float}, bool, float, MatrixView{float}, WorkerPool?)"/>
    public static void Multiply(MatrixView<float> a, MatrixView<float> b, MatrixView<float> c, WorkerPool? pool = null) =>
        Multiply(1f, a, false, b, false, 0f, c, pool);

    private static void Run(
        float alpha,
        MatrixView<float> a,
        bool transposeA,
        MatrixView<float> b,
        bool transposeB,
        float beta,
        float* bias,
        GemmActivation activation,
        MatrixView<float> c,
        WorkerPool? pool)
    {
        GemmOperand rows = transposeA ? GemmOperand.OfColumns(a) : GemmOperand.OfRows(a);
        GemmOperand columns = transposeB ? GemmOperand.OfRows(b) : GemmOperand.OfColumns(b);
        if (columns.Depth != rows.Depth)
            throw new ArgumentException($"op(B) has {columns.Depth} rows and op(A) has {rows.Depth} columns.", nameof(b));
        if (c.Rows != rows.Lanes || c.Columns != columns.Lanes)
            throw new ArgumentException($"The shape must be {rows.Lanes} x {columns.Lanes} and is {c.Rows} x {c.Columns}.", nameof(c));
        if (!Enum.IsDefined(activation))
            throw new ArgumentOutOfRangeException(nameof(activation), activation, "Not an activation.");
        if (c.Rows == 0 || c.Columns == 0)
            return;

        GemmTarget target = new(alpha, beta, bias, last: true, c);
        switch (activation)
        {
            case GemmActivation.None:
                Dispatch<IdentityActivation>(rows, columns, target, pool);
                break;
            case GemmActivation.Relu:
                Dispatch<ReluActivation>(rows, columns, target, pool);
                break;
            case GemmActivation.Sigmoid:
                Dispatch<SigmoidActivation>(rows, columns, target, pool);
                break;
            default:
                Dispatch<ExpActivation>(rows, columns, target, pool);
                break;
        }
    }

    private static void Dispatch<TActivation>(GemmOperand rows, GemmOperand columns, GemmTarget target, WorkerPool? pool)
        where TActivation : struct, IActivation
    {
        GemmAction<TActivation> action = new(rows, columns, target, pool ?? WorkerPool.Serial);
        Isa.Dispatch(ref action);
    }
}
