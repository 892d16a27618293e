using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Numbers the runs of pixels of a batch of maps, for operators that treat each pixel by itself: the rows of all maps, or,
/// where no operand has a halo beside its rows, pieces of whole maps.
/// </summary>
internal readonly struct MapRows
{
    // 32 KiB of a block: what stands in L1 when an operator passes over it more than once.
    private const int LongestPiece = 512;

    private readonly int _blocks;
    private readonly int _runs; // of a map
    private readonly nint _pixels; // of a run but for the last of a map
    private readonly nint _last;
    private readonly bool _joined;

    /// <summary>The runs of maps of the given shape.</summary>
    /// <param name="images">The shape.</param>
    /// <param name="joined">Whether the rows of all operands follow each other without a halo between, see <see cref="AreJoined"/>.</param>
    public MapRows(in BlockedImages images, bool joined)
    {
        nint all = (nint)images.Height * images.Width;
        _joined = joined;
        _blocks = images.Images == 0 ? 0 : images.Blocks;
        _runs = joined ? (int)((all + LongestPiece - 1) / LongestPiece) : images.Height;
        _pixels = joined ? LongestPiece : images.Width;
        _last = joined ? all - ((_runs - 1) * _pixels) : _pixels;
        Count = (nint)images.Images * _blocks * _runs;
        Grain = Math.Max(1, 32768 / (_pixels * BlockedImages.Block));
    }

    /// <summary>Runs of all maps.</summary>
    public nint Count { get; }

    /// <summary>Runs that make a job worth a thread's while.</summary>
    public nint Grain { get; }

    /// <summary>Whether rows follow each other without a halo between.</summary>
    public static bool AreJoined(in BlockedImages images) => images.RowStride == (nint)images.Width * images.Lanes;

    /// <summary>The place of run <paramref name="index"/>.</summary>
    public MapRun this[nint index]
    {
        get
        {
            (nint map, nint run) = Math.DivRem(index, _runs);
            (nint image, nint block) = Math.DivRem(map, _blocks);
            nint first = run * _pixels;
            return new((int)image, (int)block, _joined ? 0 : run, _joined ? first : 0, run == _runs - 1 ? _last : _pixels);
        }
    }
}

/// <summary>Pixels that stand one after another.</summary>
/// <param name="Image">Their image.</param>
/// <param name="Block">Their block of channels.</param>
/// <param name="Row">The row of the first.</param>
/// <param name="Column">The column of the first; past the width where rows are joined.</param>
/// <param name="Pixels">How many.</param>
internal readonly record struct MapRun(int Image, int Block, nint Row, nint Column, nint Pixels)
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public unsafe float* In(in BlockedImages images) => images.At(Image, Block, Row, Column);

    /// <summary>Where the first pixel of a channel stands in an array in the order NCHW.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public nint InNchw(in BlockedImages images) =>
        (((((nint)Image * images.Channels) + ((nint)Block * images.Lanes)) * images.Height) + Row) * images.Width + Column;

    /// <summary>Where the first pixel's first channel of the block stands in an array in the order NHWC.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public nint InNhwc(in BlockedImages images) =>
        ((((((nint)Image * images.Height) + Row) * images.Width) + Column) * images.Channels) + ((nint)Block * images.Lanes);

    /// <summary>Channels of the block that are no surplus.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ChannelsOf(in BlockedImages images) => Math.Min(images.Lanes, images.Channels - (Block * images.Lanes));
}

/// <summary>What operators on maps do before their work.</summary>
internal static class MapChecks
{
    /// <summary>Runs an action whose vectors hold lanes of one pixel: interleaved maps have too few for one.</summary>
    public static void Dispatch<TAction>(ref TAction action, int lanes)
        where TAction : struct, IWideAction
    {
        if (lanes == BlockedImages.Block)
            Isa.Dispatch(ref action);
        else
            action.Run<WideScalar>();
    }

    /// <summary>Throws where two batches differ in images, channels, rows, columns or lanes.</summary>
    public static void SameShape(in BlockedImages of, in BlockedImages as_, string name)
    {
        if (of.Images != as_.Images || of.Channels != as_.Channels || of.Height != as_.Height || of.Width != as_.Width || of.Lanes != as_.Lanes)
            throw new ArgumentException($"The shape must be {Shape(as_)} and is {Shape(of)}.", name);
    }

    /// <summary>Throws where the number of elements is not that of the batch.</summary>
    public static void SameCount(int count, in BlockedImages images, string name)
    {
        if (count != (Int128)images.Images * images.Channels * images.Height * images.Width)
            throw new ArgumentException($"There are {count} numbers and {images.Images} x {images.Channels} x {images.Height} x {images.Width} in the maps.", name);
    }

    public static string Shape(in BlockedImages images) =>
        $"{images.Images} x {images.Channels} x {images.Height} x {images.Width} ({images.Lanes} lanes)";
}
