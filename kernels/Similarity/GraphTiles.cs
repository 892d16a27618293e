using System.Numerics;
using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>A worker's group of queries and the leaf that they meet, for the epilogue.</summary>
internal unsafe struct GraphJob
{
    public SearchProblem* Search;

    public SearchWorker* Worker;

    /// <summary>The lists of the group's queries.</summary>
    public CandidateList* Lists;

    /// <summary>For each query the threshold of its list.</summary>
    public float* Thresholds;

    /// <summary>For each query the score above which a row of this leaf passes: the threshold less <see cref="Widths"/>.</summary>
    public float* Cuts;

    /// <summary>For each query how far a score of this leaf may be off.</summary>
    public float* Widths;

    /// <summary>Packed columns of the group, stage after stage.</summary>
    public fixed long Panels[GraphData.MostStages];

    /// <summary>For each query the norm of the columns after a stage.</summary>
    public fixed long QueryRests[GraphData.MostStages];

    /// <summary>The leaf's rows, columns of a stage.</summary>
    public fixed long Rows[GraphData.MostStages];

    /// <summary>For each of the leaf's rows the norm of the columns after a stage.</summary>
    public fixed long Rests[GraphData.MostStages];

    /// <summary>The leaf's starts.</summary>
    public float* Starts;

    /// <summary>The numbers of the leaf's rows.</summary>
    public int* Order;

    /// <summary>Whether the first stage tests its bounds: not worth it where nearly all tiles go on.</summary>
    public bool Tests;

    /// <summary>Tiles that went on after the first stage.</summary>
    public nint GoneOn;
}

/// <summary>
/// The epilogue of a stage of a graph search: a tile goes on to the next stage if any of its bounds is above the cut of its
/// query, and what is above after the last stage is kept. Rows of the tile are rows of a leaf, columns are queries.
/// </summary>
/// <typeparam name="TContinues">Whether the sums go on from an earlier stage's, else from the rows' starts.</typeparam>
/// <param name="job">The group and the leaf.</param>
/// <param name="stages">The stages.</param>
/// <param name="stage">This one.</param>
/// <param name="sums">The tile of the earlier stage.</param>
internal unsafe struct GraphTiles<TContinues>(GraphJob* job, GraphStages stages, int stage, float* sums) : ITileEpilogue
    where TContinues : struct, IFlag
{
    private float* _starts;
    private float* _rests;
    private float* _queryRests;
    private float* _cuts;
    private nint _columns;

    public static bool Starts => true;

    public static bool Picks => true;

    public readonly bool FromRegisters => job->Tests || stage == stages.Count - 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Begin<TWide, TShape>(nint row, nint column)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        _starts = job->Starts + row;
        _rests = (float*)job->Rests[stage] + row;
        _queryRests = (float*)job->QueryRests[stage] + column;
        _cuts = job->Cuts + column;
        _columns = TShape.Columns<TWide>();
    }

    public readonly byte* Fetch(nint depth, out nint step)
    {
        step = 0;
        return null;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Start<TWide>(int i, int v)
        where TWide : unmanaged, IWide<TWide> =>
        TContinues.Value ? TWide.Load(sums + (i * _columns) + (v * TWide.Lanes)) : TWide.BroadcastFrom(_starts + i);

    // Where the bound is above the cut the difference is positive. Of NaN, a place without a row, nothing is picked.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly TWide Take<TWide>(int i, int v, TWide sums, TWide picked)
        where TWide : unmanaged, IWide<TWide>
    {
        TWide bound = TWide.MultiplyAdd(TWide.BroadcastFrom(_rests + i), TWide.Load(_queryRests + (v * TWide.Lanes)), sums);
        return TWide.Max(bound - TWide.Load(_cuts + (v * TWide.Lanes)), picked);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Finish<TWide, TShape>(float* tile, nint row, nint column, int rows, int columns)
        where TWide : unmanaged, IWide<TWide>
        where TShape : struct, ITileShape
    {
        job->GoneOn++;
        for (int s = 1; s < stages.Count; s++)
        {
            nint width = stages.Width(s);
            TileOperands operands = new()
            {
                Depth = width,
                A = (float*)job->Rows[s] + (row * width),
                Stride = width,
                B = (float*)job->Panels[s] + (column * width),
                Step = TShape.Columns<TWide>(),
            };
            GraphTiles<Yes> next = new(job, stages, s, tile);
            if (!GemmTile.Multiply<TWide, TShape, PlainTileRows, GraphTiles<Yes>>(operands, row, column, true, tile, ref next))
                return;
        }

        for (int i = 0; i < rows; i++, tile += TShape.Columns<TWide>())
        {
            uint passed = TWide.GreaterThan(TWide.Load(tile), TWide.Load(_cuts));
            if (TShape.Vectors == 2)
                passed |= TWide.GreaterThan(TWide.Load(tile + TWide.Lanes), TWide.Load(_cuts + TWide.Lanes)) << TWide.Lanes;
            if (passed != 0)
                Pass(passed, tile, row + i, column);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private readonly void Pass(uint passed, float* scores, nint row, nint column)
    {
        nint id = job->Order[row];
        for (; passed != 0; passed &= passed - 1)
        {
            int lane = BitOperations.TrailingZeroCount(passed);
            nint query = column + lane;
            float score = scores[lane], width = job->Widths[query];
            CandidateList* list = job->Lists + query;
            list->Add(*job->Search, job->Worker, id, score - width, score + width);
            float threshold = list->Threshold;
            job->Thresholds[query] = threshold;
            job->Cuts[query] = threshold - width;
        }
    }
}
