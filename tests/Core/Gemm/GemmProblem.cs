namespace EmbeddingKernels.Core.Tests;

/// <summary>A product to test: op(A) is M x K, op(B) is K x N; rows of all three have a gap after them.</summary>
public sealed record GemmShape(int M, int N, int K, bool TransposeA, bool TransposeB, float Alpha, float Beta, int Gap, int Seed)
{
    public override string ToString() =>
        $"{M} x {N} x {K}, A{(TransposeA ? "'" : "")} B{(TransposeB ? "'" : "")}, alpha {Alpha}, beta {Beta}, gap {Gap}, seed {Seed}";
}

/// <summary>A product in rows with gaps between them, whose contents must survive.</summary>
internal sealed unsafe class GemmProblem : IDisposable
{
    private const float Untouched = 77f;
    private readonly GemmShape _shape;
    private readonly AlignedBuffer<float> _a;
    private readonly AlignedBuffer<float> _b;
    private readonly float[] _before;

    public GemmProblem(GemmShape shape)
    {
        _shape = shape;
        Random random = new(shape.Seed);
        (int rowsA, int columnsA) = shape.TransposeA ? (shape.K, shape.M) : (shape.M, shape.K);
        (int rowsB, int columnsB) = shape.TransposeB ? (shape.N, shape.K) : (shape.K, shape.N);
        _a = new((nint)rowsA * (columnsA + shape.Gap));
        _b = new((nint)rowsB * (columnsB + shape.Gap));
        C = new((nint)shape.M * (shape.N + shape.Gap));
        ViewA = new(_a.Pointer, rowsA, columnsA, columnsA + shape.Gap);
        ViewB = new(_b.Pointer, rowsB, columnsB, columnsB + shape.Gap);
        ViewC = new(C.Pointer, shape.M, shape.N, shape.N + shape.Gap);
        Fill(random, _a.AsSpan());
        Fill(random, _b.AsSpan());
        C.AsSpan().Fill(Untouched);
        for (int i = 0; i < shape.M; i++)
            Fill(random, ViewC.RowSpan(i));
        Bias = new float[shape.N];
        Fill(random, Bias);
        _before = C.AsSpan().ToArray();
    }

    public AlignedBuffer<float> C { get; }

    public MatrixView<float> ViewA { get; }

    public MatrixView<float> ViewB { get; }

    public MatrixView<float> ViewC { get; }

    public float[] Bias { get; }

    public static void Fill(Random random, Span<float> values)
    {
        foreach (ref float value in values)
            value = (random.NextSingle() * 4f) - 2f;
    }

    public void Multiply(WorkerPool? pool) =>
        Gemm.Multiply(_shape.Alpha, ViewA, _shape.TransposeA, ViewB, _shape.TransposeB, _shape.Beta, ViewC, pool);

    public void Multiply(bool withBias, GemmActivation activation, WorkerPool? pool) =>
        Gemm.Multiply(_shape.Alpha, ViewA, _shape.TransposeA, ViewB, _shape.TransposeB, withBias ? Bias : default, activation, ViewC, pool);

    /// <summary>C as it was.</summary>
    public void Restore() => _before.CopyTo(C.AsSpan());

    /// <summary>All gaps, and every <paramref name="step"/>-th element against the formula, to the bound of the docstring.</summary>
    public void AssertClose(int step = 1) => AssertClose(_shape.Beta, false, GemmActivation.None, step);

    /// <summary>The same for a product with bias and activation.</summary>
    public void AssertClose(bool withBias, GemmActivation activation, int step = 1) => AssertClose(0f, withBias, activation, step);

    public void Dispose()
    {
        _a.Dispose();
        _b.Dispose();
        C.Dispose();
    }

    private void AssertClose(float beta, bool withBias, GemmActivation activation, int step)
    {
        // Double's own rounding is far below the bound. A bias is another addition, as C is.
        double bound = (Math.Min(_shape.K, 256) + (_shape.K / 256) + 4) / (double)(1 << 24);
        int number = 0;
        for (int i = 0; i < C.Length; i++)
        {
            int row = i / (_shape.N + _shape.Gap), column = i % (_shape.N + _shape.Gap);
            if (column >= _shape.N)
            {
                if (C[i] != Untouched)
                    Assert.Fail($"gap of row {row} of {_shape}: {C[i]}");
                continue;
            }

            if (number++ % step != 0)
                continue;
            double sum = GemmReference.Element(
                _shape.Alpha, ViewA, _shape.TransposeA, ViewB, _shape.TransposeB, beta, _before[i], row, column, out double magnitude);
            double bias = withBias ? Bias[column] : 0;
            double error = ((magnitude + Math.Abs(bias)) * bound) + 1e-37;
            (double wanted, double allowed) = Activated(activation, sum + bias, error);
            if (!(Math.Abs(C[i] - wanted) <= allowed))
                Assert.Fail($"({row}, {column}) of {_shape}, {activation}: {C[i]:R} instead of {wanted:R} within {allowed:R}");
        }
    }

    private static (double Value, double Error) Activated(GemmActivation activation, double x, double error) => activation switch
    {
        GemmActivation.None => (x, error),
        GemmActivation.Relu => (Math.Max(x, 0), error),
        GemmActivation.Sigmoid => (1 / (1 + Math.Exp(-x)), (error / 4) + 3.5e-7),
        _ => (Math.Exp(x), (Math.Exp(x) * Math.Exp(error) * (error + 1.5e-7)) + 1e-37),
    };
}
