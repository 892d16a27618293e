using System.Globalization;
using System.Numerics;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>
/// The matrix product and the top-k search against OpenBLAS on the same memory, in turn, one thread each. The peer of the
/// search is what libraries do with a BLAS: scores of a block of rows by one product, then a heap per query.
/// </summary>
public static unsafe class SimilarityComparison
{
    private const int SearchRows = 100_000;
    private const int SearchDimension = 128;

    /// <summary>Prints the comparison as Markdown; about a minute, some seconds if quick.</summary>
    public static void Run(TextWriter output, bool quick)
    {
        ArgumentNullException.ThrowIfNull(output);
        OpenBlas? blas = OpenBlas.TryLoad(out string peer);
        blas?.SetThreads(1);
        double peak = Limits.FmaPeak(quick: quick);
        int rounds = quick ? 3 : 7;
        output.WriteLine("### Matrix product and similarity search");
        output.WriteLine();
        Line(output, $"One thread, level {Isa.Level}. Measured peak of multiply-adds in registers: {peak:F1} GFLOP/s. Peer: {peer}. Ours and the peer in turn, {rounds} rounds: medians of wall clock, totals of CPU time, and the median of the rounds' ratios (above 1: ours is faster).");
        output.WriteLine();
        Products(output, blas, peak, rounds, quick ? [256, 512, 1024] : [256, 512, 1024, 2048]);
        output.WriteLine();
        Searches(output, blas, peak, rounds, quick);
    }

    private static void Products(TextWriter output, OpenBlas? blas, double peak, int rounds, int[] sizes)
    {
        output.WriteLine("| C = A B, n x n | ours, GFLOP/s | of the peak | peer, GFLOP/s | ratio | ours, GFLOP/CPU s | peer, GFLOP/CPU s |");
        output.WriteLine("|---|---|---|---|---|---|---|");
        foreach (int n in sizes)
        {
            nint length = (nint)n * n;
            using AlignedBuffer<float> a = new(length), b = new(length), ours = new(length), theirs = new(length);
            Fill(a, 1);
            Fill(b, 2);
            MatrixView<float> viewA = new(a.Pointer, n, n), viewB = new(b.Pointer, n, n), c = new(ours.Pointer, n, n), d = new(theirs.Pointer, n, n);
            double work = 2e-9 * n * n * n;
            Duel duel = new(rounds, Math.Max(1, (int)(5 / work)), () => Gemm.Multiply(viewA, viewB, c), blas is null ? null : () => blas.Multiply(viewA, viewB, false, d));
            Line(output, $"| {n} | {work / duel.Ours:F1} | {100 * work / duel.Ours / peak:F0}% | {work / duel.Peer:F1} | {duel.Ratio:F2} | {work / duel.OurCpu:F1} | {work / duel.PeerCpu:F1} |");
        }
    }

    private static void Searches(TextWriter output, OpenBlas? blas, double peak, int rounds, bool quick)
    {
        output.WriteLine($"| top-k of {SearchRows:N0} x {SearchDimension} | ours, queries/s | GFLOP/s of the peak | peer, queries/s | ratio | ours, queries/CPU s | peer, queries/CPU s | same ids |");
        output.WriteLine("|---|---|---|---|---|---|---|---|");
        using AlignedBuffer<float> data = new((nint)SearchRows * SearchDimension);
        Fill(data, 3);
        (int Queries, int K)[] cases = quick ? [(1, 10), (1000, 10)] : [(1, 10), (10, 10), (100, 10), (1000, 10), (1000, 100)];
        foreach ((int queries, int k) in cases)
        {
            foreach (SimilarityMetric metric in new[] { SimilarityMetric.Dot, SimilarityMetric.SquaredEuclidean })
            {
                using Problem problem = new(data, queries, k, metric, blas);
                Duel duel = new(rounds, Math.Max(1, (quick ? 100 : 400) / queries), problem.Ours, blas is null ? null : problem.Peers);
                double work = 2e-9 * SearchRows * SearchDimension * queries;
                Line(output, $"| {metric}, {queries} queries, k = {k} | {queries / duel.Ours:F0} | {100 * work / duel.Ours / peak:F0}% | {queries / duel.Peer:F0} | {duel.Ratio:F2} | {queries / duel.OurCpu:F0} | {queries / duel.PeerCpu:F0} | {problem.SameIds} |");
            }
        }
    }

    private static void Fill(AlignedBuffer<float> buffer, int seed)
    {
        Random random = new(seed);
        for (nint i = 0; i < buffer.Length; i++)
            buffer[i] = random.NextSingle() + random.NextSingle() + random.NextSingle() - 1.5f;
    }

    private static void Line(TextWriter output, FormattableString line) => output.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    /// <summary>One search, by us and by the peer.</summary>
    private sealed class Problem : IDisposable
    {
        private const int BlockRows = 1024;

        private readonly OpenBlas? _blas;
        private readonly SimilarityMetric _metric;
        private readonly int _k;
        private readonly MatrixView<float> _data;
        private readonly MatrixView<float> _queries;
        private readonly AlignedBuffer<float> _queryMemory;
        private readonly AlignedBuffer<float> _norms;
        private readonly AlignedBuffer<float> _block;
        private readonly AlignedBuffer<long> _ids;
        private readonly AlignedBuffer<float> _scores;
        private readonly AlignedBuffer<long> _peerIds;
        private readonly AlignedBuffer<float> _peerScores;
        private readonly TopKHeap[] _heaps;

        public Problem(AlignedBuffer<float> data, int queries, int k, SimilarityMetric metric, OpenBlas? blas)
        {
            _blas = blas;
            _metric = metric;
            _k = k;
            _queryMemory = new((nint)queries * SearchDimension);
            Fill(_queryMemory, 4);
            _data = new(data.Pointer, SearchRows, SearchDimension);
            _queries = new(_queryMemory.Pointer, queries, SearchDimension);
            _norms = new(SearchRows);
            _block = new((nint)queries * BlockRows);
            _ids = new((nint)queries * k);
            _scores = new((nint)queries * k);
            _peerIds = new((nint)queries * k);
            _peerScores = new((nint)queries * k);
            _heaps = new TopKHeap[queries];

            // The peer is given the norms of the data for nothing, as an index would keep them.
            for (nint j = 0; j < SearchRows; j++)
                _norms[j] = metric == SimilarityMetric.Dot ? 0f : RowKernels.One<Wide128, SquareSum>(_data.Row(j), _data.Row(j), SearchDimension) / 2;
        }

        public void Ours() => Similarity.TopK(_queries, _data, _k, _metric, new(_ids.Pointer, _queries.Rows, _k), new(_scores.Pointer, _queries.Rows, _k));

        public void Peers()
        {
            for (int i = 0; i < _heaps.Length; i++)
                _heaps[i] = new(_peerScores.Pointer + (i * _k), _peerIds.Pointer + (i * _k), _k);
            for (nint start = 0; start < SearchRows; start += BlockRows)
            {
                nint count = Math.Min(BlockRows, SearchRows - start);
                MatrixView<float> scores = new(_block.Pointer, _queries.Rows, count, BlockRows);
                _blas!.Multiply(_queries, _data.Slice(start, count), true, scores);
                for (int i = 0; i < _heaps.Length; i++)
                    Collect(ref _heaps[i], scores.Row(i), _norms.Pointer + start, (int)count, start);
            }

            for (int i = 0; i < _heaps.Length; i++)
                _heaps[i].SortBestFirst();
        }

        /// <summary>How many of our ids the peer also found; single precision may swap near-equal ones.</summary>
        public string SameIds
        {
            get
            {
                if (_blas is null)
                    return "";
                int same = 0;
                for (nint i = 0; i < _queries.Rows; i++)
                    same += new Span<long>(_ids.Pointer + (i * _k), _k).ToArray().Intersect(new Span<long>(_peerIds.Pointer + (i * _k), _k).ToArray()).Count();
                return string.Create(CultureInfo.InvariantCulture, $"{100.0 * same / (_queries.Rows * _k):F2}%");
            }
        }

        public void Dispose()
        {
            _queryMemory.Dispose();
            _norms.Dispose();
            _block.Dispose();
            _ids.Dispose();
            _scores.Dispose();
            _peerIds.Dispose();
            _peerScores.Dispose();
        }

        private static void Collect(ref TopKHeap heap, float* scores, float* halfNorms, int count, nint start)
        {
            int i = 0;
            for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector<float> closeness = Vector.Load(scores + i) - Vector.Load(halfNorms + i);
                if (heap.IsFull && !Vector.GreaterThanAny(closeness, new Vector<float>(heap.Worst)))
                    continue;
                for (int lane = 0; lane < Vector<float>.Count; lane++)
                    heap.Push(closeness[lane], start + i + lane);
            }

            for (; i < count; i++)
                heap.Push(scores[i] - halfNorms[i], start + i);
        }
    }
}
