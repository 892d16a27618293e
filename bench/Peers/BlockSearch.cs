using System.Numerics;
using System.Numerics.Tensors;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// A search as one writes it around somebody's products: the scores of a block of rows, then a heap for each query. One
/// thread but for the product's own. Distances come from products and norms, which the rows bring with them.
/// </summary>
internal abstract unsafe class BlockSearch : ISearchPeer
{
    private const int BlockRows = 1024;

    private MatrixView<float> _data;
    private MatrixView<float> _queries;
    private float[] _halfNorms = [];

    public abstract string Name { get; }

    public long[] Ids { get; private set; } = [];

    public void Load(MatrixView<float> data, MatrixView<float> queries)
    {
        _data = data;
        _queries = queries;
        _halfNorms = new float[data.Rows];
        for (int i = 0; i < _halfNorms.Length; i++)
            _halfNorms[i] = TensorPrimitives.SumOfSquares(data.RowSpan(i)) / 2;
    }

    public abstract void SetThreads(int threads);

    public Contestant Contestant(SimilarityMetric metric, int count, int k) => new(Name, () => Search(metric, count, k));

    public virtual void Dispose()
    {
    }

    /// <summary>scores[i, j] = queries[i] . data[j].</summary>
    protected abstract void Products(MatrixView<float> queries, MatrixView<float> data, MatrixView<float> scores);

    private void Search(SimilarityMetric metric, int count, int k)
    {
        PriorityQueue<long, float>[] heaps = [.. Enumerable.Range(0, count).Select(_ => new PriorityQueue<long, float>(k + 1))];
        float[] block = new float[(nint)count * BlockRows];
        fixed (float* memory = block)
        {
            for (nint start = 0; start < _data.Rows; start += BlockRows)
            {
                nint rows = Math.Min(BlockRows, _data.Rows - start);
                MatrixView<float> scores = new(memory, count, rows, BlockRows);
                Products(_queries.Slice(0, count), _data.Slice(start, rows), scores);
                for (int i = 0; i < count; i++)
                {
                    Span<float> row = scores.RowSpan(i);
                    if (metric != SimilarityMetric.Dot)
                        TensorPrimitives.Subtract(row, _halfNorms.AsSpan((int)start, row.Length), row);
                    Collect(heaps[i], row, k, start);
                }
            }
        }

        Ids = [.. heaps.SelectMany(heap => Enumerable.Range(0, k).Select(_ => heap.Dequeue()).Reverse())];
    }

    private static void Collect(PriorityQueue<long, float> heap, ReadOnlySpan<float> scores, int k, nint start)
    {
        for (int i = 0; i < scores.Length; i++)
        {
            if (heap.Count < k)
            {
                heap.Enqueue(start + i, scores[i]);
                continue;
            }

            heap.TryPeek(out _, out float worst);
            Vector<float> bar = new(worst);
            while (i <= scores.Length - Vector<float>.Count && !Vector.GreaterThanAny(new Vector<float>(scores[i..]), bar))
                i += Vector<float>.Count;
            for (int end = Math.Min(scores.Length, i + Vector<float>.Count); i < end; i++)
            {
                if (scores[i] > worst)
                {
                    heap.EnqueueDequeue(start + i, scores[i]);
                    heap.TryPeek(out _, out worst);
                }
            }

            i--; // the loop's own step
        }
    }
}

/// <summary>OpenBLAS and heaps.</summary>
internal sealed unsafe class OpenBlasSearch(OpenBlas blas) : BlockSearch
{
    public override string Name => $"{blas.Name} and heaps";

    public override void SetThreads(int threads) => blas.SetThreads(threads);

    protected override void Products(MatrixView<float> queries, MatrixView<float> data, MatrixView<float> scores) =>
        blas.Multiply(queries, false, data, true, scores);
}

/// <summary>The dot product of System.Numerics.Tensors for every pair, and heaps: one thread, whatever is asked.</summary>
internal sealed class TensorsSearch : BlockSearch
{
    public override string Name => $"{new TensorsProduct().Name} and heaps";

    public override void SetThreads(int threads)
    {
    }

    protected override void Products(MatrixView<float> queries, MatrixView<float> data, MatrixView<float> scores)
    {
        for (nint i = 0; i < scores.Rows; i++)
        {
            Span<float> row = scores.RowSpan(i);
            for (int j = 0; j < row.Length; j++)
                row[j] = TensorPrimitives.Dot(queries.RowSpan(i), data.RowSpan(j));
        }
    }
}
