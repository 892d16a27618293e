using System.Runtime.CompilerServices;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// The largest eigenvalues of A'A and their vectors, for centred data A: the two ways of <see cref="PcaSolver"/>. A is seen only in
/// blocks along its longer side, multiplied by <see cref="Gemm"/> in single precision and added up in double.
/// </summary>
internal sealed unsafe class PrincipalAxes(CentredData data, nint rows, nint columns, WorkerPool pool)
{
    // Of the first eigenvalue: below, a direction is rounding error.
    private const double Nothing = 1e-12;

    // Growth of the variance in the subspace that is worth another pass. On MNIST the 50 largest variances are then right to
    // 5e-4, where scikit-learn's fixed 7 iterations leave 1.6e-3; a tenth of it gives 1e-6 for twice the passes.
    private const double Growth = 1e-3;
    private const int MostIterations = 30;

    private readonly bool _wide = rows < columns;
    private readonly int _side = checked((int)Math.Min(rows, columns));

    /// <summary>By all eigenvectors of the matrix of products along the shorter side.</summary>
    public (double[] Values, FloatMatrix Axes) Exact(int count)
    {
        using AlignedBuffer<double> sums = new((nint)_side * _side);
        using FloatMatrix product = new(_side, _side);
        foreach ((MatrixView<float> block, _) in Blocks())
        {
            Gemm.Multiply(1f, block, !_wide, block, _wide, 0f, product.View, pool);
            Add(product.View, sums);
        }

        (double[] values, FloatMatrix vectors) = SymmetricEigen.Largest(new MatrixView<double>(sums.Pointer, _side, _side), count);
        if (!_wide)
            return (values, vectors);

        // The Gram matrix has the eigenvectors u; those wanted are A'u, scaled to length 1.
        using (vectors)
        {
            FloatMatrix axes = new(count, columns);
            foreach ((MatrixView<float> block, nint start) in Blocks())
                Gemm.Multiply(1f, vectors.View, false, block, false, 0f, new MatrixView<float>(axes.View.Data + start, count, block.Columns, columns), pool);
            return (values, Orthonormal(axes, values));
        }
    }

    /// <summary>By a random subspace (Halko, Martinsson, Tropp 2011, algorithm 4.4, on the side where its basis is shorter).</summary>
    public (double[] Values, FloatMatrix Axes) Randomized(PcaOptions options)
    {
        int count = options.Components;
        int width = (int)Math.Min((long)count + options.Oversampling, _side);
        using AlignedBuffer<double> sums = new((nint)width * _side);
        using FloatMatrix basis = new(width, _side);
        MatrixView<double> sumRows = new(sums.Pointer, width, _side);
        SplitMix64 random = new(options.Seed);
        for (nint i = 0; i < sums.Length; i++)
            sums.Pointer[i] = random.NextGaussian();
        GramSchmidt.Orthonormalize(sumRows, pool);
        Round(sums, basis);

        // One pass more than power iterations: the first only finds the range of the data.
        int least = 1 + (options.PowerIterations ?? (count < 0.1 * _side ? 7 : 4));
        int most = options.PowerIterations is null ? 1 + MostIterations : least;
        double captured = 0;
        for (int pass = 1; pass <= most; pass++)
        {
            Apply(basis.View, sums);
            double now = GramSchmidt.Orthonormalize(sumRows, pool).Take(count).Sum();
            Round(sums, basis);
            if (pass >= least && now - captured <= Growth * now)
                break;
            captured = now;
        }

        return Within(basis, count);
    }

    private IEnumerable<(MatrixView<float> Block, nint Start)> Blocks() => _wide ? data.Columns() : data.Rows();

    /// <summary>sums = basis * A'A (or basis * AA' where A is wide); the basis has vectors as rows.</summary>
    private void Apply(MatrixView<float> basis, AlignedBuffer<double> sums)
    {
        for (nint i = 0; i < sums.Length; i++)
            sums.Pointer[i] = 0;
        using FloatMatrix product = new(basis.Rows, _side);
        FloatMatrix? image = null;
        foreach ((MatrixView<float> block, _) in Blocks())
        {
            nint length = _wide ? block.Columns : block.Rows;
            image ??= new FloatMatrix(length, basis.Rows);
            MatrixView<float> part = image.View.Slice(0, length);
            Gemm.Multiply(1f, block, _wide, basis, true, 0f, part, pool);
            Gemm.Multiply(1f, part, true, block, _wide, 0f, product.View, pool);
            Add(product.View, sums);
        }

        image?.Dispose();
    }

    /// <summary>The best approximation within the span of the basis (Rayleigh and Ritz).</summary>
    private (double[] Values, FloatMatrix Axes) Within(FloatMatrix basis, int count)
    {
        int width = (int)basis.Rows;
        using AlignedBuffer<double> sums = new((nint)width * width);
        using FloatMatrix product = new(width, width);

        // The images of the basis along the longer side: the axes of a wide A are made of them.
        using FloatMatrix images = new(_wide ? columns : Math.Min(rows, CentredData.LongestBlock), width);
        foreach ((MatrixView<float> block, nint start) in Blocks())
        {
            MatrixView<float> part = images.View.Slice(_wide ? start : 0, _wide ? block.Columns : block.Rows);
            Gemm.Multiply(1f, block, _wide, basis.View, true, 0f, part, pool);
            Gemm.Multiply(1f, part, true, part, false, 0f, product.View, pool);
            Add(product.View, sums);
        }

        (double[] values, FloatMatrix turn) = SymmetricEigen.Largest(new MatrixView<double>(sums.Pointer, width, width), count);
        using (turn)
        {
            FloatMatrix axes = new(count, columns);
            if (_wide)
                Gemm.Multiply(1f, turn.View, false, images.View, true, 0f, axes.View, pool);
            else
                Gemm.Multiply(turn.View, basis.View, axes.View, pool);
            return (values, Orthonormal(axes, values));
        }
    }

    /// <summary>Scales to length 1 and takes off what single precision left of one direction in another; 0 where there is no variance.</summary>
    private FloatMatrix Orthonormal(FloatMatrix axes, double[] values)
    {
        using AlignedBuffer<double> exact = new(axes.Rows * axes.Columns);
        for (nint i = 0; i < exact.Length; i++)
            exact.Pointer[i] = values[i / axes.Columns] > Nothing * values[0] ? axes.View.Data[i] : 0;
        GramSchmidt.Orthonormalize(new MatrixView<double>(exact.Pointer, axes.Rows, axes.Columns), pool);
        Round(exact, axes);
        return axes;
    }

    private static void Round(AlignedBuffer<double> values, FloatMatrix destination)
    {
        for (nint i = 0; i < values.Length; i++)
            destination.View.Data[i] = (float)values.Pointer[i];
        GC.KeepAlive(destination);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add(MatrixView<float> product, AlignedBuffer<double> sums)
    {
        double* sum = sums.Pointer;
        float* element = product.Data;
        nint count = sums.Length;
        for (nint i = 0; i < count; i++)
            sum[i] += element[i];
    }
}
