using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

internal readonly unsafe struct ScaleShiftAction(
    in BlockedImages source, float* scale, float* shift, Activation activation, in BlockedImages destination, WorkerPool pool) : IWideAction
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        ScaleShiftBody<TWide> body = new(_source, scale, shift, activation, _destination);
        pool.For(body.Rows.Count, body.Rows.Grain, ref body);
    }
}

internal readonly unsafe struct ScaleShiftBody<TWide>(
    in BlockedImages source, float* scale, float* shift, Activation activation, in BlockedImages destination) : IRangeBody
    where TWide : unmanaged, IWide<TWide>
{
    private readonly BlockedImages _source = source;
    private readonly BlockedImages _destination = destination;

    public MapRows Rows { get; } = new(destination, MapRows.AreJoined(source) && MapRows.AreJoined(destination));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        float* factors = stackalloc float[BlockedImages.Block];
        float* terms = stackalloc float[BlockedImages.Block];
        int lanes = _source.Lanes;
        for (nint index = start; index < end; index++)
        {
            MapRun run = Rows[index];
            float* from = run.In(_source), to = run.In(_destination);
            int channels = run.ChannelsOf(_source);
            if (scale is null && shift is null)
            {
                ActivationRows.Apply<TWide>(activation, from, to, run.Pixels * lanes);
            }
            else
            {
                for (int lane = 0; lane < lanes; lane++)
                {
                    factors[lane] = lane >= channels ? 0f : scale is null ? 1f : scale[(run.Block * lanes) + lane];
                    terms[lane] = lane >= channels || shift is null ? 0f : shift[(run.Block * lanes) + lane];
                }

                Run(from, factors, terms, activation.Bounds, to, lanes, run.Pixels);
                if (!activation.IsClip)
                    ActivationRows.Apply<TWide>(activation, to, run.Pixels * lanes);
            }

            LayoutKernels<TWide>.ClearLanes(to, lanes, channels, run.Pixels);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run(float* from, float* factors, float* terms, (float Low, float High) bounds, float* to, nint lanes, nint count)
    {
        TWide low = TWide.Broadcast(bounds.Low), high = TWide.Broadcast(bounds.High);
        float* end = from + (count * lanes);
        if (lanes == 2 * TWide.Lanes)
        {
            // Both halves of a pixel at once: the pass over memory is one.
            TWide factor0 = TWide.Load(factors), factor1 = TWide.Load(factors + TWide.Lanes);
            TWide term0 = TWide.Load(terms), term1 = TWide.Load(terms + TWide.Lanes);
            for (; from < end; from += lanes, to += lanes)
            {
                TWide.Store(to, ClipFunction.Apply(TWide.MultiplyAdd(TWide.Load(from), factor0, term0), low, high));
                TWide.Store(to + TWide.Lanes, ClipFunction.Apply(TWide.MultiplyAdd(TWide.Load(from + TWide.Lanes), factor1, term1), low, high));
            }

            return;
        }

        for (nint lane = 0; lane < lanes; lane += TWide.Lanes)
        {
            TWide factor = TWide.Load(factors + lane), term = TWide.Load(terms + lane);
            float* target = to + lane;
            for (float* source = from + lane; source < end; source += lanes, target += lanes)
                TWide.Store(target, ClipFunction.Apply(TWide.MultiplyAdd(TWide.Load(source), factor, term), low, high));
        }
    }
}

/// <summary>A function of two numbers.</summary>
internal interface IPairFunction
{
    static abstract TWide Apply<TWide>(TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide>;
}

internal readonly struct SumFunction : IPairFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> => a + b;
}

internal readonly struct DifferenceFunction : IPairFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> => a - b;
}

internal readonly struct ProductFunction : IPairFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> => a * b;
}

internal readonly struct QuotientFunction : IPairFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TWide Apply<TWide>(TWide a, TWide b)
        where TWide : unmanaged, IWide<TWide> => a / b;
}

internal readonly struct PairAction<TFunction>(
    in BlockedImages a, in BlockedImages b, in BlockedImages destination, Activation activation, WorkerPool pool) : IWideAction
    where TFunction : struct, IPairFunction
{
    private readonly BlockedImages _a = a;
    private readonly BlockedImages _b = b;
    private readonly BlockedImages _destination = destination;

    public void Run<TWide>()
        where TWide : unmanaged, IWide<TWide>
    {
        PairBody<TWide, TFunction> body = new(_a, _b, activation, _destination);
        pool.For(body.Rows.Count, body.Rows.Grain, ref body);
    }
}

internal readonly unsafe struct PairBody<TWide, TFunction> : IRangeBody
    where TWide : unmanaged, IWide<TWide>
    where TFunction : struct, IPairFunction
{
    private readonly BlockedImages _a;
    private readonly BlockedImages _b;
    private readonly BlockedImages _destination;
    private readonly Activation _activation;
    private readonly bool _oneA;
    private readonly bool _oneB;

    public PairBody(in BlockedImages a, in BlockedImages b, Activation activation, in BlockedImages destination)
    {
        (_a, _b, _activation, _destination) = (a, b, activation, destination);
        _oneA = HasOnePixel(a, destination);
        _oneB = HasOnePixel(b, destination);
        Rows = new(
            destination,
            MapRows.AreJoined(destination) && (_oneA || MapRows.AreJoined(a)) && (_oneB || MapRows.AreJoined(b)));
    }

    public MapRows Rows { get; }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Invoke(int worker, nint start, nint end)
    {
        int lanes = _destination.Lanes;
        for (nint index = start; index < end; index++)
        {
            MapRun run = Rows[index];
            float* from = Operand(_a, run, _oneA), with = Operand(_b, run, _oneB), to = run.In(_destination);
            if (_oneA == _oneB)
            {
                // Both whole, or both one pixel: then there is but one in a run's place to compute and to repeat.
                if (!_oneA)
                    Whole(from, with, _activation.Bounds, to, run.Pixels * lanes);
                else
                    Repeat(from, with, to, lanes, run.Pixels);
            }
            else
            {
                if (_oneA)
                    One<Swapped>(with, from, _activation.Bounds, to, lanes, run.Pixels);
                else
                    One<TFunction>(from, with, _activation.Bounds, to, lanes, run.Pixels);
            }

            // Surplus lanes first: an activation of what their products and quotients became could be anything.
            LayoutKernels<TWide>.ClearLanes(to, lanes, run.ChannelsOf(_destination), run.Pixels);
            if (!_activation.IsClip)
                ActivationRows.Apply<TWide>(_activation, to, run.Pixels * lanes);
        }
    }

    private static bool HasOnePixel(in BlockedImages operand, in BlockedImages destination) =>
        operand.Height == 1 && operand.Width == 1 && (destination.Height > 1 || destination.Width > 1);

    private static float* Operand(in BlockedImages operand, in MapRun run, bool one) =>
        operand.At(operand.Images == 1 ? 0 : run.Image, run.Block, one ? 0 : run.Row, one ? 0 : run.Column);

    private void Repeat(float* from, float* with, float* to, int lanes, nint pixels)
    {
        Whole(from, with, _activation.Bounds, to, lanes);
        for (nint x = 1; x < pixels; x++)
            Unsafe.CopyBlockUnaligned(to + (x * lanes), to, (uint)lanes * sizeof(float));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Whole(float* a, float* b, (float Low, float High) bounds, float* to, nint count)
    {
        TWide low = TWide.Broadcast(bounds.Low), high = TWide.Broadcast(bounds.High);
        nint i = 0;
        for (nint end = count - TWide.Lanes; i <= end; i += TWide.Lanes)
            TWide.Store(to + i, ClipFunction.Apply(TFunction.Apply(TWide.Load(a + i), TWide.Load(b + i)), low, high));
        int left = (int)(count - i);
        if (left > 0)
            TWide.StoreFirst(to + i, ClipFunction.Apply(TFunction.Apply(TWide.LoadFirst(a + i, left), TWide.LoadFirst(b + i, left)), low, high), left);
    }

    /// <summary>Of each pixel in turn and one that is the same for all.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One<TPair>(float* from, float* pixel, (float Low, float High) bounds, float* to, nint lanes, nint count)
        where TPair : struct, IPairFunction
    {
        TWide low = TWide.Broadcast(bounds.Low), high = TWide.Broadcast(bounds.High);
        float* end = from + (count * lanes);
        if (lanes == 2 * TWide.Lanes)
        {
            TWide first = TWide.Load(pixel), second = TWide.Load(pixel + TWide.Lanes);
            for (; from < end; from += lanes, to += lanes)
            {
                TWide.Store(to, ClipFunction.Apply(TPair.Apply(TWide.Load(from), first), low, high));
                TWide.Store(to + TWide.Lanes, ClipFunction.Apply(TPair.Apply(TWide.Load(from + TWide.Lanes), second), low, high));
            }

            return;
        }

        for (nint lane = 0; lane < lanes; lane += TWide.Lanes)
        {
            TWide other = TWide.Load(pixel + lane);
            float* target = to + lane;
            for (float* source = from + lane; source < end; source += lanes, target += lanes)
                TWide.Store(target, ClipFunction.Apply(TPair.Apply(TWide.Load(source), other), low, high));
        }
    }

    private readonly struct Swapped : IPairFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Apply<TVector>(TVector a, TVector b)
            where TVector : unmanaged, IWide<TVector> => TFunction.Apply(b, a);
    }
}
