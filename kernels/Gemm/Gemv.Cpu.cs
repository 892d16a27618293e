using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Products with a vector, which read the matrix once and are bound by memory: rows against the vector (sums along the row),
/// or rows scaled by the vector's elements and added up.
/// </summary>
internal static unsafe class Gemv
{
    // Elements of the vector, or of the result, that stay in L1 while rows of the matrix pass.
    private const int Strip = 2048;

    // Bytes of the matrix that make a job: some 50 us.
    private const nint JobBytes = 1 << 20;

    // Rows that are read side by side. Long ones from end to end, so that the processor's prefetching is not interrupted.
    private const int RowStreams = 4;

    // Rows, each no longer than a chain of sums may be, that are taken in one call.
    private const int NarrowRows = 256;

    // Rows that are added at once: each element of the result is loaded and stored once for so many multiply-adds.
    private const int RowsAtOnce = 4;

    /// <summary>target = a * b where one of them has a single lane.</summary>
    public static void Multiply<TWide, TActivation>(GemmOperand a, GemmOperand b, in GemmTarget target, WorkerPool pool)
        where TWide : unmanaged, IWide<TWide>
        where TActivation : struct, IActivation
    {
        bool rowVector = a.Lanes == 1;
        GemmOperand matrix = rowVector ? b : a, vector = rowVector ? a : b;
        nint depth = matrix.Depth, lanes = matrix.Lanes;
        using Scratch<float> x = new(depth + lanes);
        float* sums = x.Pointer + depth;
        for (nint k = 0; k < depth; k++)
            x.Pointer[k] = vector.Data[k * vector.DepthStride];

        if (matrix.DepthStride == 1)
        {
            RowSumsBody<TWide> body = new(new(matrix.Data, lanes, depth, Math.Max(matrix.LaneStride, depth)), x.Pointer, sums);
            nint grain = Math.Clamp(JobBytes / (sizeof(float) * depth), 1, Math.Max(lanes / (4 * pool.Threads), 1));
            pool.For(lanes, GemmBlocking.RoundUp(grain, RowStreams), ref body);
        }
        else
        {
            AddRows<TWide>(new(matrix.Data, depth, lanes, Math.Max(matrix.DepthStride, lanes)), x.Pointer, sums, pool);
        }

        float* tile = stackalloc float[TWide.Lanes];
        for (nint j = 0; j < lanes; j += TWide.Lanes)
        {
            int count = (int)Math.Min(TWide.Lanes, lanes - j);
            TWide.Store(tile, TWide.LoadFirst(sums + j, count));
            if (rowVector)
                target.Store<TWide, TActivation>(tile, 0, j, count);
            for (int i = 0; !rowVector && i < count; i++)
                target.Store<WideScalar, TActivation>(tile + i, j + i, 0, 1);
        }
    }

    private static void AddRows<TWide>(MatrixView<float> rows, float* factors, float* sums, WorkerPool pool)
        where TWide : unmanaged, IWide<TWide>
    {
        // Parts of the rows have sums of their own, so that threads share even a narrow matrix; how many depends on the
        // matrix alone, and they are added in their order.
        nint strip = Math.Min(rows.Columns, Strip);
        nint partRows = GemmBlocking.RoundUp(Math.Max(JobBytes / (sizeof(float) * strip), 1), GemmBlocking.Depth);
        nint parts = GemmBlocking.Panels(rows.Rows, partRows);
        using Scratch<float> partial = new(parts > 1 ? parts * rows.Columns : 1);
        AddRowsBody<TWide> body = new(rows, factors, strip, partRows, parts > 1 ? partial.Pointer : sums);
        pool.For(body.Count, 1, ref body);
        if (parts == 1)
            return;
        Buffer.MemoryCopy(partial.Pointer, sums, rows.Columns * sizeof(float), rows.Columns * sizeof(float));
        for (nint part = 1; part < parts; part++)
            Add<TWide>(partial.Pointer + (part * rows.Columns), rows.Columns, sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add<TWide>(float* source, nint count, float* sums)
        where TWide : unmanaged, IWide<TWide>
    {
        nint j = 0;
        for (; j <= count - TWide.Lanes; j += TWide.Lanes)
            TWide.Store(sums + j, TWide.Load(sums + j) + TWide.Load(source + j));
        for (; j < count; j++)
            sums[j] += source[j];
    }

    /// <summary>sums[i] = rows[i] . x, in strips whose chains are at most 256 products long.</summary>
    private readonly struct RowSumsBody<TWide>(MatrixView<float> rows, float* x, float* sums) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        private readonly MatrixView<float> _rows = rows;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Invoke(int worker, nint start, nint end)
        {
            float* part = stackalloc float[NarrowRows];
            nint strip = GemmBlocking.Depth * TWide.Lanes;
            int block = _rows.Columns > strip ? RowStreams : NarrowRows;
            for (nint row = start; row < end; row += block)
            {
                int count = (int)Math.Min(block, end - row);
                for (nint k = 0; k < _rows.Columns; k += strip)
                {
                    float* to = k == 0 ? sums + row : part;
                    RowKernels.Many<TWide, Float32Element, ProductSum, No>(x + k, (byte*)(_rows.Row(row) + k), _rows.Stride * sizeof(float), count, Math.Min(strip, _rows.Columns - k), to, to);
                    for (int i = 0; k > 0 && i < count; i++)
                        sums[row + i] += part[i];
                }
            }
        }
    }

    /// <summary>Sums of factors[k] * rows[k] over the rows of each part and the columns of each strip.</summary>
    private readonly struct AddRowsBody<TWide>(MatrixView<float> rows, float* factors, nint strip, nint partRows, float* sums) : IRangeBody
        where TWide : unmanaged, IWide<TWide>
    {
        private readonly MatrixView<float> _rows = rows;

        public nint Count => GemmBlocking.Panels(_rows.Rows, partRows) * Strips;

        private nint Strips => GemmBlocking.Panels(_rows.Columns, strip);

        public void Invoke(int worker, nint start, nint end)
        {
            float* block = stackalloc float[Strip];
            for (nint job = start; job < end; job++)
            {
                nint part = job / Strips, column = job % Strips * strip;
                nint count = Math.Min(strip, _rows.Columns - column);
                nint endRow = Math.Min((part + 1) * partRows, _rows.Rows);
                float* target = sums + (part * _rows.Columns) + column;
                for (nint row = part * partRows; row < endRow; row += GemmBlocking.Depth)
                {
                    // Each block of 256 products from zero, so that the error stays that of the other products.
                    bool first = row == part * partRows;
                    float* to = first ? target : block;
                    new Span<float>(to, (int)count).Clear();
                    Block(row, Math.Min(row + GemmBlocking.Depth, endRow), column, count, to);
                    if (!first)
                        Add<TWide>(block, count, target);
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Block(nint row, nint end, nint column, nint count, float* to)
        {
            for (; row <= end - RowsAtOnce; row += RowsAtOnce)
            {
                TWide f0 = TWide.Broadcast(factors[row]), f1 = TWide.Broadcast(factors[row + 1]);
                TWide f2 = TWide.Broadcast(factors[row + 2]), f3 = TWide.Broadcast(factors[row + 3]);
                float* row0 = _rows.Row(row) + column;
                float* row1 = row0 + _rows.Stride;
                float* row2 = row1 + _rows.Stride;
                float* row3 = row2 + _rows.Stride;
                nint j = 0;
                for (; j <= count - TWide.Lanes; j += TWide.Lanes)
                {
                    TWide sum = TWide.MultiplyAdd(f0, TWide.Load(row0 + j), TWide.Load(to + j));
                    sum = TWide.MultiplyAdd(f1, TWide.Load(row1 + j), sum);
                    sum = TWide.MultiplyAdd(f2, TWide.Load(row2 + j), sum);
                    TWide.Store(to + j, TWide.MultiplyAdd(f3, TWide.Load(row3 + j), sum));
                }

                if (j < count)
                {
                    int rest = (int)(count - j);
                    TWide sum = TWide.MultiplyAdd(f0, TWide.LoadFirst(row0 + j, rest), TWide.LoadFirst(to + j, rest));
                    sum = TWide.MultiplyAdd(f1, TWide.LoadFirst(row1 + j, rest), sum);
                    sum = TWide.MultiplyAdd(f2, TWide.LoadFirst(row2 + j, rest), sum);
                    TWide.StoreFirst(to + j, TWide.MultiplyAdd(f3, TWide.LoadFirst(row3 + j, rest), sum), rest);
                }
            }

            for (; row < end; row++)
            {
                TWide factor = TWide.Broadcast(factors[row]);
                float* row0 = _rows.Row(row) + column;
                nint j = 0;
                for (; j <= count - TWide.Lanes; j += TWide.Lanes)
                    TWide.Store(to + j, TWide.MultiplyAdd(factor, TWide.Load(row0 + j), TWide.Load(to + j)));
                if (j < count)
                    TWide.StoreFirst(to + j, TWide.MultiplyAdd(factor, TWide.LoadFirst(row0 + j, (int)(count - j)), TWide.LoadFirst(to + j, (int)(count - j))), (int)(count - j));
            }
        }
    }
}
