using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// An order of rows in which near ones stand together: the leaves of a balanced tree, each of its nodes cut at the median
/// along the direction in which a sample of its rows varies most (or, for a forest of different trees, a random one).
/// </summary>
/// <remarks>
/// All leaves but the last have the same number of rows. The order depends on the rows, the seed and the vector width, not on
/// the number of threads. Costs two operations per element and level: less than a hundredth of comparing all pairs of rows.
/// </remarks>
internal static unsafe class RowTree
{
    // Rows that tell a node's direction; more would cut no better.
    private const int SampledRows = 128;

    // Multiplications by the sample's covariance: the direction need not be the best one.
    private const int PowerSteps = 3;

    private const int RowGrain = 2048;

    /// <param name="rows">The rows, finite; their squared norms do not overflow.</param>
    /// <param name="scales">A factor of each row, or null.</param>
    /// <param name="leafRows">Rows of a leaf, a multiple of <paramref name="finestRows"/>.</param>
    /// <param name="finestRows">Leaves are cut on, in the same way, down to so many rows; as many as a leaf's for none of this.</param>
    /// <param name="seed">Of the sample and the direction.</param>
    /// <param name="spread">Whether directions are those in which rows vary most, else from one random row to another.</param>
    /// <param name="order">Gets the rows' numbers, as many as there are rows.</param>
    /// <param name="pool">Threads.</param>
    /// <param name="cancellationToken">Looked at once per level.</param>
    public static void Order<TWide>(
        MatrixView<float> rows, float* scales, nint leafRows, nint finestRows, long seed, bool spread, int* order, WorkerPool pool, CancellationToken cancellationToken)
        where TWide : unmanaged, IWide<TWide>
    {
        nint n = rows.Rows;
        for (nint i = 0; i < n; i++)
            order[i] = (int)i;
        nint perLeaf = leafRows / finestRows;
        using Scratch<ulong> keys = new(n);
        List<Node> nodes = [];
        AddIfWhole(nodes, new(0, GemmBlocking.Panels(n, finestRows)));
        for (int level = 0; nodes.Count > 0; level++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using Scratch<float> directions = new(nodes.Count * rows.Columns);
            using Scratch<float> samples = new(pool.Threads * SampledRows * (rows.Columns + 1));
            Node[] cut = [.. nodes];
            LevelBody<TWide> body = new()
            {
                Rows = rows,
                Scales = scales,
                CellRows = finestRows,
                LeafCells = perLeaf,
                Seed = seed + ((long)level << 40),
                Spread = spread,
                Order = order,
                Keys = keys.Pointer,
                Directions = directions.Pointer,
                Samples = samples.Pointer,
                Nodes = cut,
            };
            body.Step = LevelStep.Directions;
            pool.For(cut.Length, 1, ref body);
            body.Step = LevelStep.Keys;
            pool.For(n, RowGrain, ref body);
            body.Step = LevelStep.Cut;
            pool.For(cut.Length, 1, ref body);
            nodes.Clear();
            foreach (Node node in cut)
            {
                nint left = node.Left(perLeaf);
                AddIfWhole(nodes, new(node.First, left));
                AddIfWhole(nodes, new(node.First + left, node.Cells - left));
            }
        }
    }

    private static void AddIfWhole(List<Node> nodes, Node node)
    {
        if (node.Cells > 1)
            nodes.Add(node);
    }

    private enum LevelStep
    {
        Directions,
        Keys,
        Cut,
    }

    /// <summary>A stretch of the order, in cells of the finest size.</summary>
    private readonly record struct Node(nint First, nint Cells)
    {
        /// <summary>Cells left of the cut: about half, whole leaves as long as there are more than one.</summary>
        public nint Left(nint leafCells)
        {
            nint leaves = GemmBlocking.Panels(Cells, leafCells);
            return leaves > 1 ? leaves / 2 * leafCells : Cells / 2;
        }
    }

    private struct LevelBody<TWide> : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        public MatrixView<float> Rows;
        public float* Scales;
        public nint CellRows;
        public nint LeafCells;
        public long Seed;
        public bool Spread;
        public int* Order;
        public ulong* Keys;
        public float* Directions;
        public float* Samples;
        public Node[] Nodes;
        public LevelStep Step;

        public readonly void Invoke(int worker, nint start, nint end)
        {
            if (Step == LevelStep.Keys)
            {
                Project(start, end);
                return;
            }

            for (nint i = start; i < end; i++)
            {
                if (Step == LevelStep.Cut)
                    Cut(Nodes[i]);
                else
                    Direction(Nodes[i], Directions + (i * Rows.Columns), Samples + (worker * SampledRows * (Rows.Columns + 1)));
            }
        }

        private readonly (nint First, nint Count) RowsOf(Node node)
        {
            nint first = node.First * CellRows;
            return (first, Math.Min(node.Cells * CellRows, Rows.Rows - first));
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Direction(Node node, float* direction, float* samples)
        {
            (nint first, nint count) = RowsOf(node);
            nint d = Rows.Columns;
            SplitMix64 random = new(Seed + first);
            if (!Spread)
            {
                nint a = (nint)random.NextBelow((uint)count), b = (nint)random.NextBelow((uint)(count - 1));
                b += b >= a ? 1 : 0;
                Scaled(first + a, direction);
                Scaled(first + b, samples);
                for (nint j = 0; j < d; j++)
                    direction[j] -= samples[j];
                return;
            }

            // Rows of the sample less their mean, then w <- S'(S w).
            nint sampled = Math.Min(count, SampledRows);
            float* products = samples + (SampledRows * d);
            new Span<float>(direction, (int)d).Clear();
            for (nint s = 0; s < sampled; s++)
            {
                Scaled(first + (nint)((Int128)s * count / sampled), samples + (s * d));
                AddScaled(samples + (s * d), 1f / sampled, direction, d);
            }

            for (nint s = 0; s < sampled; s++)
                AddScaled(direction, -1f, samples + (s * d), d);
            Buffer.MemoryCopy(samples + (random.NextBelow((uint)sampled) * d), direction, d * sizeof(float), d * sizeof(float));
            for (int step = 0; step < PowerSteps; step++)
            {
                float norm = MathF.Sqrt(RowKernels.SquaredNorm<TWide>(direction, d));
                if (!(norm > 0 && norm < float.MaxValue))
                    return;
                for (nint s = 0; s < sampled; s++)
                    products[s] = RowKernels.One<TWide, Float32Element, ProductSum>(direction, (byte*)(samples + (s * d)), d) / norm;
                float largest = 0;
                for (nint s = 0; s < sampled; s++)
                    largest = MathF.Max(largest, MathF.Abs(products[s]));
                if (!(largest > 0))
                    return;
                new Span<float>(direction, (int)d).Clear();
                for (nint s = 0; s < sampled; s++)
                    AddScaled(samples + (s * d), products[s] / largest, direction, d);
            }
        }

        private readonly void Scaled(nint position, float* target)
        {
            nint row = Order[position];
            float scale = Scales is null ? 1f : Scales[row];
            float* source = Rows.Row(row);
            for (nint j = 0; j < Rows.Columns; j++)
                target[j] = scale * source[j];
        }

        private static void AddScaled(float* x, float factor, float* sum, nint d)
        {
            TWide wide = TWide.Broadcast(factor);
            nint j = 0;
            for (; j <= d - TWide.Lanes; j += TWide.Lanes)
                TWide.Store(sum + j, TWide.MultiplyAdd(wide, TWide.Load(x + j), TWide.Load(sum + j)));
            for (; j < d; j++)
                sum[j] += factor * x[j];
        }

        // A key has the projection above, so that whole keys are in its order, and the row below, which decides ties.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Project(nint start, nint end)
        {
            int node = FirstAt(start / CellRows);
            for (nint i = start; i < end; i++)
            {
                nint cell = i / CellRows;
                while (node < Nodes.Length && Nodes[node].First + Nodes[node].Cells <= cell)
                    node++;
                if (node == Nodes.Length)
                    return;
                if (cell < Nodes[node].First)
                    continue;
                if (i + 4 < end)
                    Prefetch.ToL1(Rows.Row(Order[i + 4]));
                int row = Order[i];
                float value = RowKernels.One<TWide, Float32Element, ProductSum>(Directions + (node * Rows.Columns), (byte*)Rows.Row(row), Rows.Columns);
                if (Scales is not null)
                    value *= Scales[row];
                uint bits = BitConverter.SingleToUInt32Bits(value);
                bits = (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
                Keys[i] = ((ulong)bits << 32) | (uint)row;
            }
        }

        // The first node that ends after a cell.
        private readonly int FirstAt(nint cell)
        {
            int low = 0, high = Nodes.Length;
            while (low < high)
            {
                int middle = (low + high) / 2;
                if (Nodes[middle].First + Nodes[middle].Cells <= cell)
                    low = middle + 1;
                else
                    high = middle;
            }

            return low;
        }

        private readonly void Cut(Node node)
        {
            (nint first, nint count) = RowsOf(node);
            Partition(Keys + first, count, node.Left(LeafCells) * CellRows);
            for (nint i = first; i < first + count; i++)
                Order[i] = (int)(uint)Keys[i];
        }
    }

    /// <summary>Brings the <paramref name="wanted"/> smallest of different numbers to the front, in any order (Hoare's selection).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Partition(ulong* values, nint count, nint wanted)
    {
        // Selection with bad luck at every turn is quadratic; sorting is not.
        const int MostRounds = 96;
        nint low = 0, high = count - 1;
        for (int round = 0; low < high; round++)
        {
            if (round == MostRounds)
            {
                new Span<ulong>(values + low, checked((int)(high - low + 1))).Sort();
                return;
            }

            ulong a = values[low], b = values[low + ((high - low) / 2)], c = values[high];
            ulong pivot = Math.Max(Math.Min(a, b), Math.Min(Math.Max(a, b), c));
            nint i = low, j = high;
            while (i <= j)
            {
                while (values[i] < pivot)
                    i++;
                while (values[j] > pivot)
                    j--;
                if (i > j)
                    break;
                (values[i], values[j]) = (values[j], values[i]);
                i++;
                j--;
            }

            if (wanted - 1 <= j)
                high = j;
            else if (wanted - 1 >= i)
                low = i;
            else
                return;
        }
    }
}
