using System.Runtime.Intrinsics;

namespace EmbeddingKernels.Core;

/// <summary>
/// A vector of <see cref="Lanes"/> floats. Kernels are written once over it and compiled for each width; every member is
/// inlined to one instruction or a few, so loops over it have no call and no vector on the stack
/// (<c>dotnet run -c Release --project bench -- disasm</c> shows it).
/// </summary>
/// <remarks>
/// Methods with hot loops over it carry <c>AggressiveOptimization</c>: they are called once and run long, so tiering would
/// leave them in unoptimised code. What the abstraction does cost: where both factors of a
/// <see cref="MultiplyAdd"/> are fresh loads, the compiler loads both into registers and copies the result, two
/// instructions more than for a bare Vector256 (7% of a dot product that runs from L1). Comparisons give a bit mask, lane 0
/// in bit 0; a comparison with NaN is false.
/// </remarks>
internal unsafe interface IWide<TSelf>
    where TSelf : unmanaged, IWide<TSelf>
{
    /// <summary>Floats per vector: 1, 4, 8 or 16.</summary>
    static abstract int Lanes { get; }

    /// <summary>Architectural vector registers, which bounds how many accumulators a loop can keep.</summary>
    static abstract int Registers { get; }

    static abstract TSelf Zero { get; }

    /// <summary>0, 1, 2, ... in lane order.</summary>
    static abstract TSelf Ramp { get; }

    static abstract TSelf Broadcast(float value);

    /// <summary>The float at <paramref name="source"/> in all lanes: one instruction, where a float that was loaded before takes another.</summary>
    static abstract TSelf BroadcastFrom(float* source);

    static abstract TSelf Load(float* source);

    static abstract void Store(float* destination, TSelf value);

    /// <summary>
    /// Stores past the caches, to an address that is a multiple of the vector's size: for results larger than the caches,
    /// which are then written without being read first. Follow the last one by a full fence (<see cref="Interlocked.MemoryBarrier"/>).
    /// </summary>
    static abstract void StoreStreaming(float* destination, TSelf value);

    /// <summary>The first <paramref name="count"/> (0 to Lanes) floats, zeros after them; memory past them is not touched.</summary>
    static abstract TSelf LoadFirst(float* source, int count);

    /// <summary>Stores the first <paramref name="count"/> (0 to Lanes) floats; memory past them is not touched.</summary>
    static abstract void StoreFirst(float* destination, TSelf value, int count);

    /// <summary>Half-precision numbers (IEEE binary16, as bits) as floats; every one of them is exact, NaN stays NaN.</summary>
    static abstract TSelf LoadHalf(ushort* source);

    /// <summary>The upper halves of floats as floats.</summary>
    static abstract TSelf LoadBFloat16(ushort* source);

    /// <summary>Signed bytes as floats.</summary>
    static abstract TSelf LoadInt8(sbyte* source);

    /// <summary>Unsigned bytes as floats.</summary>
    static abstract TSelf LoadUInt8(byte* source);

    /// <summary>source[indices[0]], source[indices[1]], ... for Lanes indices.</summary>
    static abstract TSelf Gather(float* source, int* indices);

    /// <summary>
    /// Pairs that stand together: x is pairs[2 * indices[0]], ..., and y the float after each. Twice as fast as two gathers
    /// on Zen 3 (0.5 against 1 ns a pair), whose gather instruction takes each lane apart.
    /// </summary>
    static abstract void GatherPairs(float* pairs, int* indices, out TSelf x, out TSelf y);

    static abstract TSelf operator +(TSelf a, TSelf b);

    static abstract TSelf operator -(TSelf a, TSelf b);

    static abstract TSelf operator *(TSelf a, TSelf b);

    static abstract TSelf operator /(TSelf a, TSelf b);

    /// <summary>a*b + c, fused where the hardware fuses at no cost.</summary>
    static abstract TSelf MultiplyAdd(TSelf a, TSelf b, TSelf c);

    /// <summary>
    /// sum += a*b as <see cref="MultiplyAdd"/> has it. For the tightest loops: the compiler then sees that the result replaces
    /// the sum, and keeps it in its register instead of moving it there afterwards.
    /// </summary>
    static abstract void Accumulate(ref TSelf sum, TSelf a, TSelf b);

    /// <summary>c - a*b, fused where the hardware fuses at no cost.</summary>
    static abstract TSelf NegatedMultiplyAdd(TSelf a, TSelf b, TSelf c);

    /// <summary>Lane-wise a &lt; b ? a : b, which gives b where either is NaN (the x86 rule, the same on all widths).</summary>
    static abstract TSelf Min(TSelf a, TSelf b);

    /// <summary>Lane-wise a &gt; b ? a : b, which gives b where either is NaN (the x86 rule, the same on all widths).</summary>
    static abstract TSelf Max(TSelf a, TSelf b);

    /// <summary>Lane-wise maximum that is NaN where either is NaN; of +0 and -0 it gives either.</summary>
    static abstract TSelf MaxOrNaN(TSelf a, TSelf b);

    static abstract TSelf Abs(TSelf a);

    static abstract TSelf Sqrt(TSelf a);

    /// <summary>Nearest integer, ties to even.</summary>
    static abstract TSelf Round(TSelf a);

    /// <summary>
    /// 1/a for a or -a in [2^-126, 2^125], relative error below 2^-21: hardware estimate and one Newton step, or a
    /// division where there is no estimate (measured 2^-22.4 for AVX on a Zen 3, 2^-24 for the division). Beyond 2^125 the
    /// result may be 0 instead of a number below 2^-125; 0 and infinity may give NaN. NaN gives NaN.
    /// </summary>
    static abstract TSelf Reciprocal(TSelf a);

    /// <summary>a * 2^n for integral n in -126..127, rounded once.</summary>
    static abstract TSelf ScaleByPowerOfTwo(TSelf a, TSelf n);

    /// <summary>Splits normal positive a into m * 2^e with m in [0.5, 1).</summary>
    static abstract TSelf SplitExponent(TSelf a, out TSelf e);

    static abstract uint GreaterThan(TSelf a, TSelf b);

    /// <summary>Lane-wise a &lt; b ? x : y.</summary>
    static abstract TSelf SelectLess(TSelf a, TSelf b, TSelf x, TSelf y);

    /// <summary>Sum of all lanes, added pairwise.</summary>
    static abstract float Sum(TSelf a);

    /// <summary>The four sums of the lanes of a, b, c and d: one transposing reduction instead of four horizontal ones.</summary>
    static abstract Vector128<float> Sum4(TSelf a, TSelf b, TSelf c, TSelf d);
}
