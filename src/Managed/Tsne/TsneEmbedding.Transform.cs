using System.Diagnostics;
using EmbeddingKernels.Core;

namespace EmbeddingKernels;

/// <content>New points into the finished map.</content>
public sealed unsafe partial class TsneEmbedding
{
    // Queries between two looks at the cancellation token.
    private const int SearchRows = 2048;

    /// <summary>
    /// Places new points into this map, which does not move: openTSNE's transform. Needs <see cref="Data"/>, so a map that
    /// <see cref="Tsne.Fit(FloatMatrix, TsneOptions?, IProgress{TsneProgress}?, CancellationToken)"/> made of a matrix that is not disposed of.
    /// </summary>
    /// <inheritdoc cref="Transform(MatrixView{float}, MatrixView{float}, TsneTransformOptions?, IProgress{TsneProgress}?, CancellationToken)"/>
    /// <exception cref="InvalidOperationException">The map does not know its data; give it by the other overload.</exception>
    public TsnePartialEmbedding Transform(
        FloatMatrix points, TsneTransformOptions? options = null, IProgress<TsneProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(points);
        TsnePartialEmbedding embedding = Transform(points.View, options, progress, cancellationToken);
        GC.KeepAlive(points);
        return embedding;
    }

    /// <inheritdoc cref="Transform(FloatMatrix, TsneTransformOptions?, IProgress{TsneProgress}?, CancellationToken)"/>
    public TsnePartialEmbedding Transform(
        MatrixView<float> points, TsneTransformOptions? options = null, IProgress<TsneProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        if (Data is null)
        {
            throw new InvalidOperationException(
                "The map does not know the data that it was made of (Tsne.Fit of a FloatMatrix keeps it): give the data as the first argument.");
        }

        TsnePartialEmbedding embedding = Transform(Data.View, points, options, progress, cancellationToken);
        GC.KeepAlive(this);
        return embedding;
    }

    /// <summary>Places new points into this map, which does not move, by the data that it was made of.</summary>
    /// <remarks>
    /// The nearest reference rows of each new one are found exactly: work grows with new rows times reference rows times
    /// columns. Then the steps of <see cref="TsnePartialEmbedding"/>. The new points may be optimised further.
    /// </remarks>
    /// <param name="reference">N x D: the data of the map.</param>
    /// <param name="points">m x D: the new rows, finite.</param>
    /// <param name="options">The settings; null for the defaults.</param>
    /// <param name="progress">Is told of blocks of rows in the search for neighbours, then of every 50th step.</param>
    /// <param name="cancellationToken">Stops the work soon.</param>
    /// <exception cref="ArgumentException">The shapes do not fit, the data is not finite, or a setting is out of its range.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public TsnePartialEmbedding Transform(
        MatrixView<float> reference,
        MatrixView<float> points,
        TsneTransformOptions? options = null,
        IProgress<TsneProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        options ??= new TsneTransformOptions();
        TsnePartialEmbedding embedding = PreparePartial(reference, points, options, progress, cancellationToken);
        int early = Math.Min(options.EarlyExaggerationIterations, options.Iterations);
        TsnePartialOptimization phase = options.Phase(early, options.EarlyExaggeration, options.InitialMomentum);
        if (embedding.Optimize(phase, progress, cancellationToken) == TsneStop.Callback)
            return embedding;
        embedding.Optimize(options.Phase(options.Iterations - early, options.Exaggeration, options.FinalMomentum), progress, cancellationToken);
        return embedding;
    }

    /// <summary>New points at their start in this map: openTSNE's prepare_partial. Iterations and exaggeration of the options are not used.</summary>
    /// <inheritdoc cref="Transform(MatrixView{float}, MatrixView{float}, TsneTransformOptions?, IProgress{TsneProgress}?, CancellationToken)"/>
    public TsnePartialEmbedding PreparePartial(
        MatrixView<float> reference,
        MatrixView<float> points,
        TsneTransformOptions? options = null,
        IProgress<TsneProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        options ??= new TsneTransformOptions();
        options.Validate();
        if (reference.Rows != Points)
            throw new ArgumentException($"The map has {Points} points and the reference {reference.Rows} rows.", nameof(reference));
        if (points.Columns != reference.Columns)
            throw new ArgumentException($"The points must have the {reference.Columns} columns of the reference and have {points.Columns}.", nameof(points));
        if (points.Rows > int.MaxValue)
            throw new ArgumentException($"There may be {int.MaxValue} rows at most and there are {points.Rows}.", nameof(points));
        FloatMatrix? given = options.InitialPositions;
        if (given is not null && (given.Rows != points.Rows || given.Columns != Dimensions))
        {
            throw new ArgumentException(
                $"The {nameof(options.InitialPositions)} must be {points.Rows} x {Dimensions} and are {given.Rows} x {given.Columns}.", nameof(options));
        }

        AffinityKernel kernel = options.Affinities ?? AffinityKernel.Perplexity(options.Perplexity);
        kernel.CheckPoints(Points, Points);
        DataChecks.Finite(reference, nameof(reference));
        DataChecks.Finite(points, nameof(points));

        using WorkerPool pool = TsneAffinities.Pool(options.Threads);
        int affine = kernel.Neighbors(Points), starting = Math.Min(options.StartNeighbors, Points);
        int k = Math.Max(affine, given is null && options.Initialization != TsnePartialStart.Random ? starting : 1);
        using AlignedBuffer<long> idMemory = new(points.Rows * k);
        using FloatMatrix scoreMemory = new(points.Rows, k), weightMemory = new(points.Rows, affine);
        MatrixView<long> ids = new(idMemory.Pointer, points.Rows, k);
        MatrixView<float> scores = scoreMemory.View, weights = weightMemory.View;
        SimilarityMetric metric = TsneAffinities.SearchMetric(options.Metric ?? Metric);
        Search(reference, points, metric, ids, scores, pool, progress, cancellationToken);
        TsneAffinities.Distances(Columns(scores, affine), metric, weights, 0, nameof(points), pool);
        kernel.Conditional(weights, pool);
        CsrMatrix affinities = Affine(ids, weights, Points);
        using FloatMatrix start = given?.Copy() ?? options.Initialization switch
        {
            TsnePartialStart.Random => TsneInitialization.Random((int)points.Rows, Dimensions, options.Seed),
            TsnePartialStart.Weighted => Weighted(Columns(ids, Math.Min(starting, affine)), weights),
            _ => Median(Columns(ids, starting)),
        };
        return new TsnePartialEmbedding(this, affinities, start.View, options.Method, options.Threads, options.Theta);
    }

    private static MatrixView<T> Columns<T>(MatrixView<T> matrix, nint count)
        where T : unmanaged => new(matrix.Data, matrix.Rows, count, matrix.Stride);

    private static void Search(
        MatrixView<float> reference,
        MatrixView<float> points,
        SimilarityMetric metric,
        MatrixView<long> ids,
        MatrixView<float> scores,
        WorkerPool pool,
        IProgress<TsneProgress>? progress,
        CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        for (nint start = 0; start < points.Rows; start += SearchRows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            nint rows = Math.Min(SearchRows, points.Rows - start);
            Similarity.TopK(points.Slice(start, rows), reference, (int)ids.Columns, metric, ids.Slice(start, rows), scores.Slice(start, rows), pool: pool);
            double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            progress?.Report(new TsneProgress(
                TsneStage.Neighbors, (int)(start + rows), (int)points.Rows, double.NaN, double.NaN, seconds > 0 ? (start + rows) / seconds : 0));
        }
    }

    private static CsrMatrix Affine(MatrixView<long> ids, MatrixView<float> weights, int referencePoints)
    {
        CsrMatrix affinities = new(referencePoints, (int)weights.Rows, (long)weights.Rows * weights.Columns);
        for (nint i = 0; i < weights.Rows; i++)
        {
            nint offset = i * weights.Columns;
            affinities.OffsetsPointer[i + 1] = offset + weights.Columns;
            for (nint j = 0; j < weights.Columns; j++)
                affinities.ColumnsPointer[offset + j] = (int)ids.Row(i)[j];
            weights.RowSpan(i).CopyTo(new Span<float>(affinities.ValuesPointer + offset, (int)weights.Columns));
        }

        return affinities;
    }

    private FloatMatrix Median(MatrixView<long> neighbors)
    {
        using FloatMatrix map = ToMatrix();
        return TsneInitialization.Median(map.View, neighbors);
    }

    private FloatMatrix Weighted(MatrixView<long> neighbors, MatrixView<float> weights)
    {
        using FloatMatrix map = ToMatrix();
        return TsneInitialization.WeightedMean(map.View, neighbors, Columns(weights, neighbors.Columns));
    }
}
