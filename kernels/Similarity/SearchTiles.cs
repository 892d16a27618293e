using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>A block of rows of the data as the tile's rows, with the terms of their scores.</summary>
/// <param name="Rows">The rows as floats.</param>
/// <param name="Stride">Floats from row to row.</param>
/// <param name="First">The number of the first row in the data.</param>
/// <param name="Count">Rows.</param>
/// <param name="Starts">For each row what its sums begin at: minus half its squared norm for distances, else 0; NaN where it has no bounds.</param>
/// <param name="Scales">For each row what the thresholds are multiplied by: its norm for cosines, else 1.</param>
/// <param name="LargestNorm">X of <see cref="SearchBounds"/>.</param>
/// <param name="AllBounded">No row is without bounds.</param>
internal unsafe record struct SearchBlock(
    nint Rows, nint Stride, nint First, nint Count, nint Starts, nint Scales, float LargestNorm, bool AllBounded);

/// <summary>The sums of a block of depth that is not the last: kept for the next.</summary>
/// <typeparam name="TContinues">Whether there was a block before, whose sums these go on from; else from the rows' starts.</typeparam>
/// <param name="sums">A float for each row and column, tiles in the order of <see cref="GemmBlock"/>.</param>
/// <param name="starts">What the sums of each row begin at.</param>
internal unsafe struct SearchSums<TContinues>(float* sums, float* starts) : ITileEpilogue
    where TContinues : struct, IFlag
{
    private float* _next = sums;
    private float* _tile;
    private float* _starts;
    private nint _columns;

    public static bool Starts => true;

    public readonly bool FromRegisters => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Begin<TWide, TShape>(nint row, nint column)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        _tile = _next;
        _next += TShape.Rows<TWide>() * TShape.Columns<TWide>();
        _columns = TShape.Columns<TWide>();
        _starts = starts + row;
    }

    public readonly byte* Fetch(nint depth, out nint step)
    {
        step = 0;
        return null;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Start<TWide>(int i, int v)
        where TWide : unmanaged, IWide<TWide> =>
        TContinues.Value ? TWide.Load(_tile + (i * _columns) + (v * TWide.Lanes)) : TWide.BroadcastFrom(_starts + i);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Take<TWide>(int i, int v, TWide sums, TWide picked)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide.Store(_tile + (i * _columns) + (v * TWide.Lanes), sums);
        return picked;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Finish<TWide, TShape>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        for (int i = 0; i < TShape.Rows<TWide>() * TShape.Columns<TWide>(); i += TWide.Lanes)
            TWide.Store(_tile + i, TWide.Load(tile + i));
    }
}

/// <summary>
/// The epilogue of a search: compares the scores in the registers with the queries' cuts, keeps what passes, and forgets
/// the rest. Rows of the tile are rows of the data, columns are queries.
/// </summary>
/// <typeparam name="TScaled">Whether cuts are multiplied by the rows' scales.</typeparam>
/// <typeparam name="TContinues">Whether the sums go on from those of earlier blocks of depth.</typeparam>
/// <param name="search">The search.</param>
/// <param name="worker">The worker's own memory.</param>
/// <param name="lists">The lists of the first column's query and those after it.</param>
/// <param name="shared">The thresholds that all workers share, likewise.</param>
/// <param name="cuts">For each column the score above which a row passes: the threshold less <paramref name="widths"/>.</param>
/// <param name="widths">For each column how far a score of this block may be off.</param>
/// <param name="block">The rows.</param>
/// <param name="sums">Sums of earlier blocks of depth.</param>
/// <param name="ahead">Bytes from a row to the one that is fetched while it is used, 0 for none.</param>
internal unsafe struct SearchTiles<TScaled, TContinues>(
    SearchProblem* search, SearchWorker* worker, CandidateList* lists, float* shared, float* cuts, float* widths, SearchBlock block, float* sums, nint ahead)
    : ITileEpilogue
    where TScaled : struct, IFlag
    where TContinues : struct, IFlag
{
    private readonly SearchBlock _block = block;
    private float* _next = sums;
    private float* _tile;
    private float* _starts;
    private float* _scales;
    private float* _cuts;
    private nint _columns;
    private byte* _fetch;
    private nint _fetchBytes;

    public static bool Starts => true;

    public static bool Picks => true;

    public static bool Fetches => true;

    public readonly bool FromRegisters => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Begin<TWide, TShape>(nint row, nint column)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        _starts = (float*)_block.Starts + row;
        _scales = (float*)_block.Scales + row;
        _cuts = cuts + column;
        if (TContinues.Value)
        {
            _tile = _next;
            _next += TShape.Rows<TWide>() * TShape.Columns<TWide>();
            _columns = TShape.Columns<TWide>();
        }

        _fetch = (byte*)((float*)_block.Rows + (row * _block.Stride));
        _fetchBytes = 0;
        if (column == 0 && ahead != 0)
        {
            _fetch += ahead;
            _fetchBytes = TShape.Rows<TWide>() * _block.Stride * sizeof(float);
        }
    }

    // As many of the rows that come later as the tile has rows: by the time they are used they are in L2.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly byte* Fetch(nint depth, out nint step)
    {
        step = _fetchBytes == 0 || depth == 0 ? 0 : GemmBlocking.Panels(_fetchBytes, depth);
        return _fetch;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Start<TWide>(int i, int v)
        where TWide : unmanaged, IWide<TWide> =>
        TContinues.Value ? TWide.Load(_tile + (i * _columns) + (v * TWide.Lanes)) : TWide.BroadcastFrom(_starts + i);

    // The larger comes out positive; of NaN, a row or query without bounds, nothing is picked.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Take<TWide>(int i, int v, TWide sums, TWide picked)
        where TWide : unmanaged, IWide<TWide> =>
        TWide.Max(Above(_scales + i, sums, TWide.Load(_cuts + (v * TWide.Lanes))), picked);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TWide Above<TWide>(float* scale, TWide sums, TWide cut)
        where TWide : unmanaged, IWide<TWide> =>
        TScaled.Value ? TWide.NegatedMultiplyAdd(TWide.BroadcastFrom(scale), cut, sums) : sums - cut;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Finish<TWide, TShape>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        for (int i = 0; i < rows; i++, tile += TShape.Columns<TWide>())
        {
            uint passed = TWide.GreaterThan(Above(_scales + i, TWide.Load(tile), TWide.Load(_cuts)), TWide.Zero);
            if (TShape.Vectors == 2)
                passed |= TWide.GreaterThan(Above(_scales + i, TWide.Load(tile + TWide.Lanes), TWide.Load(_cuts + TWide.Lanes)), TWide.Zero) << TWide.Lanes;
            if (passed != 0)
                Pass(passed, tile, row + i, column);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void Pass(uint passed, float* scores, nint row, nint column)
    {
        float scale = TScaled.Value ? 1f / ((float*)_block.Scales)[row] : 1f;
        for (; passed != 0; passed &= passed - 1)
        {
            int lane = System.Numerics.BitOperations.TrailingZeroCount(passed);
            nint query = column + lane;
            float score = scores[lane] * scale, width = widths[query];
            CandidateList* list = lists + query;
            float before = list->Threshold;
            list->Add(*search, worker, _block.First + row, score - width, score + width);
            float threshold = list->Threshold;
            if (threshold == before)
                continue;
            cuts[query] = threshold - width;

            // A race between workers may keep the lower one, which is as valid.
            if (threshold > Volatile.Read(ref shared[query]))
                Volatile.Write(ref shared[query], threshold);
        }
    }
}
