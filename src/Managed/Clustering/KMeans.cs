using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <summary>
/// k-means: divides rows into k clusters so that the squared distances of the rows from the means of their clusters sum up
/// to little. scikit-learn's <c>KMeans</c> with Lloyd's algorithm.
/// </summary>
/// <remarks>
/// <para>Each iteration finds the nearest centre of every row exactly (<see cref="Core.Similarity"/>: distances in double rounded to
/// float; of equal ones the centre with the lower number) and moves the centres to the means of their rows, added up in
/// double in the order of the rows. A cluster that loses all rows gets the row that is farthest from its centre. A run ends
/// when no row changes its cluster, when the centres have come to rest (<see cref="KMeansOptions.Tolerance"/>), or after
/// <see cref="KMeansOptions.MaxIterations"/>; labels and inertia belong to the centres that are left.</para>
/// <para>The result is the same in each run, for any number of threads and at every instruction-set level, but that the
/// choice of first centres by k-means++ depends on the last bits of single-precision distances, which levels may round
/// differently.</para>
/// <para>Rows may be floats, halves or bytes, in memory or in a mapped file larger than it (<see cref="MappedRows"/>): they are
/// read once in an iteration, in blocks. Further memory: 8 bytes for each row, and 4 * (2 + log k) while k-means++ chooses.</para>
/// <para>Names in scikit-learn: <see cref="Centers"/> cluster_centers_, <see cref="Labels"/> labels_, <see cref="Inertia"/>
/// inertia_, <see cref="Iterations"/> n_iter_; for the options see <see cref="KMeansOptions"/>. Immutable and thread-safe.</para>
/// </remarks>
public sealed unsafe class KMeans
{
    private readonly int[] _labels;
    private readonly bool _spherical;

    private KMeans(Lloyd run, bool spherical)
    {
        Centers = run.Centers;
        _labels = run.Labels;
        Inertia = run.Inertia;
        Iterations = run.Iterations;
        _spherical = spherical;
    }

    /// <summary>The centres, one for each row. Not to be written to.</summary>
    public FloatMatrix Centers { get; }

    /// <summary>The number of the cluster of each row.</summary>
    public ReadOnlySpan<int> Labels => _labels;

    /// <summary>
    /// The sum of the squared distances of the rows from their centres; in spherical clustering of both scaled to length 1,
    /// which is 2 (1 - cosine), a zero row counting as at right angles to everything.
    /// </summary>
    public double Inertia { get; }

    /// <summary>Iterations of the run that was kept.</summary>
    public int Iterations { get; }

    /// <summary>Finds clusters.</summary>
    /// <param name="data">N x D, finite, at least one column.</param>
    /// <param name="options">The settings; null for the defaults.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <param name="progress">Is told of each centre that is chosen and of each iteration.</param>
    /// <param name="cancellationToken">Ends the work within a block of rows; nothing is returned then.</param>
    /// <exception cref="ArgumentException">
    /// The data has no columns, too many rows for an array, or an element that is not finite; or the given centres do not fit.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">A setting is out of its range, as more clusters than rows.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static KMeans Fit(
        RowsView data, KMeansOptions? options = null, WorkerPool? pool = null, IProgress<KMeansProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        options ??= new KMeansOptions();
        options.Validate();
        CheckData(data, options);
        pool ??= WorkerPool.Serial;
        ColumnStatistics statistics = ColumnStatistics.Of(data, nameof(data), pool);
        double? variance = options.Spherical ? null : statistics.Squares(data, pool) / data.Rows / data.Columns;
        using KMeansData rows = new(data, options.Spherical, pool, cancellationToken);
        SplitMix64 random = new(options.Seed);
        int runs = options.InitialCenters is null ? options.Initializations : 1;
        Lloyd? best = null;
        for (int number = 1; number <= runs; number++)
        {
            using Lloyd run = new(rows, options.Clusters);
            int which = number;
            Start(rows, options, run, ref random, chosen => progress?.Report(new(which, runs, KMeansStage.Start, chosen, options.Clusters, double.NaN)));
            run.Run(options, variance, (done, inertia) => progress?.Report(new(which, runs, KMeansStage.Iterations, done, options.MaxIterations, inertia)));
            Lloyd? worse = run;
            if (best is null || run.Inertia < best.Inertia)
                (best, worse) = (run, best);
            worse?.Centers.Dispose();
        }

        return new KMeans(best!, options.Spherical);
    }

    /// <inheritdoc cref="Fit(RowsView, KMeansOptions?, WorkerPool?, IProgress{KMeansProgress}?, CancellationToken)"/>
    public static KMeans Fit(
        FloatMatrix data, KMeansOptions? options = null, WorkerPool? pool = null, IProgress<KMeansProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        KMeans result = Fit(data.View, options, pool, progress, cancellationToken);
        GC.KeepAlive(data);
        return result;
    }

    /// <summary>The number of the nearest centre of each row; of equally near ones the lowest; 0 where a row has a NaN.</summary>
    /// <param name="data">Any number of rows with as many columns as the data of the fit.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <param name="cancellationToken">Ends the work within a block of rows.</param>
    /// <exception cref="ArgumentException">The number of columns is another, or there are more rows than an array holds.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public int[] Predict(RowsView data, WorkerPool? pool = null, CancellationToken cancellationToken = default)
    {
        CheckColumns(data);
        CheckRows(data);
        int[] labels = new int[data.Rows];
        using KMeansData rows = new(data, _spherical, pool ?? WorkerPool.Serial, cancellationToken);
        using AlignedBuffer<long> ids = new(rows.BlockRows);
        using AlignedBuffer<float> distances = new(rows.BlockRows);
        for (int b = 0; b < rows.Blocks; b++)
        {
            MatrixView<float> block = rows.Block(b);
            rows.Nearest(block, Centers.View, ids.Pointer, distances.Pointer);
            for (nint i = 0; i < block.Rows; i++)
                labels[((nint)b * rows.BlockRows) + i] = (int)Math.Max(ids.Pointer[i], 0); // -1 where the row has a NaN
        }

        GC.KeepAlive(Centers);
        return labels;
    }

    /// <inheritdoc cref="Predict(RowsView, WorkerPool?, CancellationToken)"/>
    public int[] Predict(FloatMatrix data, WorkerPool? pool = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        int[] labels = Predict(data.View, pool, cancellationToken);
        GC.KeepAlive(data);
        return labels;
    }

    /// <summary>The distances of each row from all centres (not squared), in single precision; see <see cref="Inertia"/> for spherical ones.</summary>
    /// <param name="data">Any number of rows with as many columns as the data of the fit.</param>
    /// <param name="distances">As many rows, one column for each centre; overwritten. Must not overlap <paramref name="data"/>.</param>
    /// <param name="pool">Threads to work on; none means the caller's only.</param>
    /// <param name="cancellationToken">Ends the work within a block of rows.</param>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public void Transform(RowsView data, MatrixView<float> distances, WorkerPool? pool = null, CancellationToken cancellationToken = default)
    {
        CheckColumns(data);
        if (distances.Rows != data.Rows || distances.Columns != Centers.Rows)
            throw new ArgumentException($"The shape must be {data.Rows} x {Centers.Rows} and is {distances.Rows} x {distances.Columns}.", nameof(distances));
        using KMeansData rows = new(data, _spherical, pool ?? WorkerPool.Serial, cancellationToken);
        for (int b = 0; b < rows.Blocks; b++)
        {
            MatrixView<float> block = rows.Block(b);
            MatrixView<float> part = distances.Slice((nint)b * rows.BlockRows, block.Rows);
            rows.Distances(block, Centers.View, part);
            for (nint i = 0; i < part.Rows; i++)
            {
                foreach (ref float distance in part.RowSpan(i))
                    distance = MathF.Sqrt(distance);
            }
        }

        GC.KeepAlive(Centers);
    }

    /// <inheritdoc cref="Transform(RowsView, MatrixView{float}, WorkerPool?, CancellationToken)"/>
    public FloatMatrix Transform(FloatMatrix data, WorkerPool? pool = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        FloatMatrix distances = new(data.Rows, Centers.Rows);
        Transform(data.View, distances.View, pool, cancellationToken);
        GC.KeepAlive(data);
        return distances;
    }

    private static void Start(KMeansData rows, KMeansOptions options, Lloyd run, ref SplitMix64 random, Action<int> chosen)
    {
        MatrixView<float> centers = run.Centers.View;
        if (options.InitialCenters is FloatMatrix given)
        {
            for (nint c = 0; c < centers.Rows; c++)
                given.Row(c).CopyTo(run.Centers.Row(c));
        }
        else if (options.Start == KMeansStart.KMeansPlusPlus)
        {
            using KMeansPlusPlus start = new(rows, options.Clusters);
            start.Choose(centers, ref random, chosen);
        }
        else
        {
            // Floyd's way to draw k of n different numbers.
            HashSet<uint> drawn = [];
            uint n = (uint)rows.Rows.Rows;
            for (nint c = 0; c < centers.Rows; c++)
            {
                uint last = (uint)(n - centers.Rows + c);
                uint row = random.NextBelow(last + 1);
                if (!drawn.Add(row))
                    drawn.Add(row = last);
                rows.CopyRow((nint)row, centers.Row(c));
            }
        }
    }

    private static void CheckData(RowsView data, KMeansOptions options)
    {
        if (data.Columns == 0)
            throw new ArgumentException($"There is nothing to divide in a matrix of {data.Rows} x {data.Columns}.", nameof(data));
        CheckRows(data);
        if (options.Clusters > data.Rows)
            throw new ArgumentOutOfRangeException(nameof(options), options.Clusters, $"The number of clusters must be 1 to the {data.Rows} rows.");
        if (options.InitialCenters is not FloatMatrix given)
            return;
        if (given.Rows != options.Clusters || given.Columns != data.Columns)
            throw new ArgumentException($"The initial centres must be {options.Clusters} x {data.Columns} and are {given.Rows} x {given.Columns}.", nameof(options));
        DataChecks.Finite(given.View, nameof(options));
    }

    private static void CheckRows(RowsView data)
    {
        if (data.Rows > Array.MaxLength)
            throw new ArgumentException($"There are {data.Rows} rows, and an array of labels holds {Array.MaxLength}.", nameof(data));
    }

    private void CheckColumns(RowsView data)
    {
        if (data.Columns != Centers.Columns)
            throw new ArgumentException($"The data must have the {Centers.Columns} columns of the fit and has {data.Columns}.", nameof(data));
    }
}
