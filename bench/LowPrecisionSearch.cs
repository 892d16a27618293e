using System.Globalization;
using EmbeddingKernels.Core;

namespace EmbeddingKernels.Bench;

/// <summary>Search among rows stored as floats, halves or bytes: one query, where reading the rows is all, and batches.</summary>
internal static unsafe class LowPrecisionSearch
{
    private const int K = 10;

    private static readonly ElementType[] Types = [ElementType.Float32, ElementType.BFloat16, ElementType.Float16, ElementType.Int8];

    public static void Run(TextWriter output, SearchProblem problem, List<ISearchPeer> peers, USearch? usearch, NumKong? numKong, bool quick)
    {
        int few = quick ? 10 : 100, many = quick ? 100 : 1000;
        StoredRows[] stored = [.. Types.Select(type => new StoredRows(problem, type, many))];
        try
        {
            One(output, problem, stored, peers.FirstOrDefault(), usearch, quick);
            Batch(output, stored, few, usearch, quick);
            Products(output, stored, many, numKong, quick);
        }
        finally
        {
            foreach (StoredRows rows in stored)
                rows.Dispose();
        }
    }

    private static void One(TextWriter output, SearchProblem problem, StoredRows[] stored, ISearchPeer? peer, USearch? usearch, bool quick)
    {
        using TensorsSearch tensors = new();
        tensors.Load(problem.Data, problem.Queries.Slice(0, 1));
        foreach (int threads in Environment.ProcessorCount > 1 ? (int[])[1, 2] : [1])
        {
            using WorkerPool pool = new(threads);
            double bandwidth = Limits.ReadBandwidth(pool, quick);
            peer?.SetThreads(threads);
            string?[] names = [usearch?.Name, tensors.Name, peer?.Name];
            bool[] there = [threads == 1 && usearch is not null, threads == 1, peer is not null];
            int[] shown = [.. Enumerable.Range(0, 3).Where(i => there[i])];
            output.WriteLine();
            Line(output, $"#### One query, {problem.Data.Rows:N0} x {problem.Data.Columns}, dot product, k = {K}, {threads} thread{(threads > 1 ? "s" : "")}: ms; read bandwidth {bandwidth:F1} GB/s");
            output.WriteLine();
            output.WriteLine($"| rows | ours | GB/s | of the bandwidth |{string.Concat(shown.Select(i => $" {names[i]} | ratio |"))}");
            output.WriteLine($"|---|---|---|---|{string.Concat(shown.Select(_ => "---|---|"))}");
            foreach (StoredRows rows in stored)
            {
                bool floats = rows.Data.Type == ElementType.Float32;
                Duel duel = new(
                    quick ? new(Budget: 0.3, Rounds: 3) : new(Budget: 3, Rounds: 15, Turn: 0.1),
                    rows.Ours(1, pool),
                    there[0] ? usearch!.Contestant(rows.Queries.Slice(0, 1), rows.Data, K) : null,
                    there[1] && floats ? tensors.Contestant(SimilarityMetric.Dot, 1, K) : null,
                    there[2] && floats ? peer!.Contestant(SimilarityMetric.Dot, 1, K) : null);
                double gigabytes = 1e-9 * rows.Data.Rows * rows.Data.StrideBytes;
                Line(output, $"| {rows.Data.Type} | {duel.Wall() * 1e3:F2} | {gigabytes / duel.Wall():F1} | {100 * gigabytes / duel.Wall() / bandwidth:F0}% |{string.Concat(shown.Select(i => Cells(duel, i + 1, 1e3)))}");
            }
        }
    }

    private static void Batch(TextWriter output, StoredRows[] stored, int queries, USearch? usearch, bool quick)
    {
        output.WriteLine();
        Line(output, $"#### {queries} queries, the same rows, 1 thread: ms");
        output.WriteLine();
        output.WriteLine($"| rows | ours | Gop/s |{(usearch is null ? "" : $" {usearch.Name} | ratio | same ids |")}");
        output.WriteLine($"|---|---|---|{(usearch is null ? "" : "---|---|---|")}");
        foreach (StoredRows rows in stored)
        {
            Duel duel = new(
                quick ? new(Budget: 0.3, Rounds: 2) : new(Budget: 6, Rounds: 5, Fewest: 2),
                rows.Ours(queries, WorkerPool.Serial),
                usearch?.Contestant(rows.Queries.Slice(0, queries), rows.Data, K));
            Line(output, $"| {rows.Data.Type} | {duel.Wall() * 1e3:F0} | {rows.Work(queries) / duel.Wall():F1} |{(usearch is null ? "" : $"{Cells(duel, 1, 1e3)} {rows.SameIds(usearch.Ids)} |")}");
        }
    }

    private static void Products(TextWriter output, StoredRows[] stored, int queries, NumKong? numKong, bool quick)
    {
        foreach (int threads in Environment.ProcessorCount > 1 ? (int[])[1, 2] : [1])
        {
            using WorkerPool pool = new(threads);
            double peak = Limits.FmaPeak(pool, quick);
            output.WriteLine();
            Line(output, $"#### {queries:N0} queries, the same rows, {threads} thread{(threads > 1 ? "s" : "")}: Gop/s; peak of single precision {peak:F1} GFLOP/s");
            output.WriteLine();
            output.WriteLine($"| rows | ours, with selection |{(numKong is null ? "" : $" {numKong.Name}, scores only | ratio |")}");
            output.WriteLine($"|---|---|{(numKong is null ? "" : "---|---|")}");
            foreach (StoredRows rows in stored)
            {
                Duel duel = new(
                    quick ? new(Budget: 0.3, Rounds: 2) : new(Budget: 10, Rounds: 3, Fewest: 2, Warm: false),
                    rows.Ours(queries, pool),
                    numKong?.Contestant(rows.Queries.Slice(0, queries), rows.Data, pool));
                double work = rows.Work(queries);
                Line(output, $"| {rows.Data.Type} | {work / duel.Wall():F1} |{(numKong is null ? "" : string.Create(CultureInfo.InvariantCulture, $" {work / duel.Wall(1):F1} | {duel.Ratio(1):F2} |"))}");
            }
        }
    }

    private static string Cells(Duel duel, int contestant, double factor) => double.IsNaN(duel.Wall(contestant))
        ? " | |"
        : string.Create(CultureInfo.InvariantCulture, $" {duel.Wall(contestant) * factor:F2} | {duel.Ratio(contestant):F2} |");

    private static void Line(TextWriter output, FormattableString line)
    {
        output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
        output.Flush();
    }

    /// <summary>The rows of a problem and its first queries in one type of element, and the queries as the floats that those stand for.</summary>
    private sealed class StoredRows : IDisposable
    {
        private readonly AlignedBuffer<byte> _data;
        private readonly AlignedBuffer<byte> _queries;
        private readonly AlignedBuffer<float> _floats;
        private readonly AlignedBuffer<long> _ids;
        private readonly AlignedBuffer<float> _scores;

        public StoredRows(SearchProblem problem, ElementType type, int queries)
        {
            MatrixView<float> wanted = problem.Queries.Slice(0, queries);
            _data = Convert(problem.Data, type);
            _queries = Convert(wanted, type);
            _floats = new(wanted.Rows * wanted.Columns);
            for (nint i = 0; i < _floats.Length; i++)
                _floats[i] = Value(_queries.Pointer, type, i);
            _ids = new((nint)queries * K);
            _scores = new((nint)queries * K);
            nint stride = problem.Data.Columns * RowsView.SizeOf(type);
            Data = new(_data.Pointer, type, problem.Data.Rows, problem.Data.Columns, stride);
            Queries = new(_queries.Pointer, type, queries, wanted.Columns, stride);
        }

        public RowsView Data { get; }

        public RowsView Queries { get; }

        /// <summary>Billions of multiplications and additions for so many queries.</summary>
        public double Work(int queries) => 2e-9 * queries * Data.Rows * Data.Columns;

        public Contestant Ours(int queries, WorkerPool pool)
        {
            MatrixView<float> wanted = new(_floats.Pointer, queries, Data.Columns);
            MatrixView<long> ids = new(_ids.Pointer, queries, K);
            MatrixView<float> scores = new(_scores.Pointer, queries, K);
            return new("ours", () => Similarity.TopK(wanted, Data, K, SimilarityMetric.Dot, ids, scores, excludeSelf: false, pool));
        }

        /// <summary>How many of our latest ids the peer found too.</summary>
        public string SameIds(long[] peers) => SearchProblem.SameIds(_ids, peers, K);

        public void Dispose()
        {
            _data.Dispose();
            _queries.Dispose();
            _floats.Dispose();
            _ids.Dispose();
            _scores.Dispose();
        }

        private static AlignedBuffer<byte> Convert(MatrixView<float> rows, ElementType type)
        {
            nint length = rows.Rows * rows.Columns;
            AlignedBuffer<byte> buffer = new(length * RowsView.SizeOf(type));
            byte* target = buffer.Pointer;
            for (nint i = 0; i < length; i++)
            {
                float value = rows.Data[i];
                switch (type)
                {
                    case ElementType.Float32:
                        ((float*)target)[i] = value;
                        break;
                    case ElementType.Float16:
                        ((Half*)target)[i] = (Half)value;
                        break;
                    case ElementType.BFloat16:
                        uint bits = BitConverter.SingleToUInt32Bits(value);
                        ((ushort*)target)[i] = (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16); // to the nearest, ties to even
                        break;
                    case ElementType.Int8:
                        ((sbyte*)target)[i] = (sbyte)MathF.Round(value * (127 / 1.5f)); // values lie between -1.5 and 1.5
                        break;
                    default:
                        throw new ArgumentOutOfRangeException(nameof(type), type, "Not compared.");
                }
            }

            return buffer;
        }

        private static float Value(byte* data, ElementType type, nint index) => type switch
        {
            ElementType.Float32 => ((float*)data)[index],
            ElementType.Float16 => (float)((Half*)data)[index],
            ElementType.BFloat16 => BitConverter.UInt32BitsToSingle((uint)((ushort*)data)[index] << 16),
            ElementType.Int8 => ((sbyte*)data)[index],
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not compared."),
        };
    }
}
