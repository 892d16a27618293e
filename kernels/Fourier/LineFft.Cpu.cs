using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// Complex Fourier transforms of as many lines at once as a vector has lanes, in place. Element e of the lines is a vector
/// of real parts at <c>data[2 * e * Lanes]</c> and a vector of imaginary parts behind it, so no lane ever meets another.
/// </summary>
/// <remarks>
/// Forward: X_k = sum over n of x_n exp(-2 pi i n k / N), in the order of <see cref="FftPlan.Places"/>. Backward: the same with
/// +i and from that order, not divided by N. The backward transform is the transpose of the forward one with real and
/// imaginary parts exchanged, so one set of butterflies does both. Error (root mean square, relative to the result's): below
/// 2e-7 sqrt(log2 N). Stages of radix 4 keep their 8 values and 6 factors in the 16 registers of AVX2; radix 8 would not.
/// </remarks>
internal static unsafe class LineFft<TWide>
    where TWide : unmanaged, IWide<TWide>
{
    private const float Sin60 = 0.866025403784438647f;
    private const float Cos72 = 0.309016994374947424f, Sin72 = 0.951056516295153572f;
    private const float Cos144 = -0.809016994374947424f, Sin144 = 0.587785252292473129f;

    // Floats per element.
    private static nint Step
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2 * TWide.Lanes;
    }

    public static void Forward(FftPlan plan, float* data)
    {
        float* twiddles = plan.Twiddles;
        int block = plan.Length, blocks = 1;
        foreach (int radix in plan.Radices)
        {
            int span = block / radix;
            if (span > 1)
                Stage<Frequency>(radix, data, TWide.Lanes, blocks, span, twiddles);
            else
                Stage<Plain>(radix, data, TWide.Lanes, blocks, span, twiddles);
            twiddles += 2 * (nint)span * (radix - 1);
            blocks *= radix;
            block = span;
        }
    }

    public static void Backward(FftPlan plan, float* data)
    {
        ReadOnlySpan<int> radices = plan.Radices;
        float* twiddles = plan.TwiddlesEnd;
        int span = 1;
        for (int stage = radices.Length - 1; stage >= 0; stage--)
        {
            int radix = radices[stage];
            twiddles -= 2 * (nint)span * (radix - 1);

            // Imaginary parts as real ones and the other way round: the conjugate transform.
            int blocks = plan.Length / (span * radix);
            if (span > 1)
                Stage<Time>(radix, data + TWide.Lanes, -TWide.Lanes, blocks, span, twiddles);
            else
                Stage<Plain>(radix, data + TWide.Lanes, -TWide.Lanes, blocks, span, twiddles);
            span *= radix;
        }
    }

    private static void Stage<TOrder>(int radix, float* data, nint imaginary, int blocks, int span, float* twiddles)
        where TOrder : struct, IStageOrder
    {
        switch (radix)
        {
            case 2:
                Radix2<TOrder>(data, imaginary, blocks, span, twiddles);
                break;
            case 3:
                Radix3<TOrder>(data, imaginary, blocks, span, twiddles);
                break;
            case 4:
                Radix4<TOrder>(data, imaginary, blocks, span, twiddles);
                break;
            default:
                Radix5<TOrder>(data, imaginary, blocks, span, twiddles);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Radix2<TOrder>(float* data, nint imaginary, int blocks, int span, float* twiddles)
        where TOrder : struct, IStageOrder
    {
        nint distance = span * Step;
        for (int block = 0; block < blocks; block++, data += 2 * distance)
        {
            float* factor = twiddles, end = data + distance;
            for (float* a = data; a < end; a += Step, factor += 2)
            {
                float* b = a + distance;
                Load<TOrder>(b, imaginary, factor, out TWide br, out TWide bi);
                TWide ar = TWide.Load(a), ai = TWide.Load(a + imaginary);
                TWide.Store(a, ar + br);
                TWide.Store(a + imaginary, ai + bi);
                Store<TOrder>(b, imaginary, factor, ar - br, ai - bi);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Radix3<TOrder>(float* data, nint imaginary, int blocks, int span, float* twiddles)
        where TOrder : struct, IStageOrder
    {
        nint distance = span * Step;
        TWide half = TWide.Broadcast(0.5f), sin = TWide.Broadcast(Sin60);
        for (int block = 0; block < blocks; block++, data += 3 * distance)
        {
            float* factor = twiddles, end = data + distance;
            for (float* a = data; a < end; a += Step, factor += 4)
            {
                float* b = a + distance, c = b + distance;
                Load<TOrder>(b, imaginary, factor, out TWide br, out TWide bi);
                Load<TOrder>(c, imaginary, factor + 2, out TWide cr, out TWide ci);
                TWide sr = br + cr, si = bi + ci;
                TWide dr = (br - cr) * sin, di = (bi - ci) * sin;
                TWide ar = TWide.Load(a), ai = TWide.Load(a + imaginary);
                TWide.Store(a, ar + sr);
                TWide.Store(a + imaginary, ai + si);
                TWide mr = TWide.NegatedMultiplyAdd(sr, half, ar), mi = TWide.NegatedMultiplyAdd(si, half, ai);
                Store<TOrder>(b, imaginary, factor, mr + di, mi - dr);
                Store<TOrder>(c, imaginary, factor + 2, mr - di, mi + dr);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Radix4<TOrder>(float* data, nint imaginary, int blocks, int span, float* twiddles)
        where TOrder : struct, IStageOrder
    {
        nint distance = span * Step;
        for (int block = 0; block < blocks; block++, data += 4 * distance)
        {
            float* factor = twiddles, end = data + distance;
            for (float* a = data; a < end; a += Step, factor += 6)
            {
                float* b = a + distance, c = b + distance, d = c + distance;
                Load<TOrder>(c, imaginary, factor + 2, out TWide cr, out TWide ci);
                TWide ar = TWide.Load(a), ai = TWide.Load(a + imaginary);
                TWide sr = ar + cr, si = ai + ci, tr = ar - cr, ti = ai - ci;
                Load<TOrder>(b, imaginary, factor, out TWide br, out TWide bi);
                Load<TOrder>(d, imaginary, factor + 4, out TWide dr, out TWide di);
                TWide ur = br + dr, ui = bi + di, vr = br - dr, vi = bi - di;
                TWide.Store(a, sr + ur);
                TWide.Store(a + imaginary, si + ui);
                Store<TOrder>(c, imaginary, factor + 2, sr - ur, si - ui);
                Store<TOrder>(b, imaginary, factor, tr + vi, ti - vr);
                Store<TOrder>(d, imaginary, factor + 4, tr - vi, ti + vr);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Radix5<TOrder>(float* data, nint imaginary, int blocks, int span, float* twiddles)
        where TOrder : struct, IStageOrder
    {
        nint distance = span * Step;
        for (int block = 0; block < blocks; block++, data += 5 * distance)
        {
            float* factor = twiddles, end = data + distance;
            for (float* a = data; a < end; a += Step, factor += 8)
            {
                float* b = a + distance, c = b + distance, d = c + distance, e = d + distance;
                Load<TOrder>(b, imaginary, factor, out TWide br, out TWide bi);
                Load<TOrder>(e, imaginary, factor + 6, out TWide er, out TWide ei);
                TWide s1r = br + er, s1i = bi + ei, d1r = br - er, d1i = bi - ei;
                Load<TOrder>(c, imaginary, factor + 2, out TWide cr, out TWide ci);
                Load<TOrder>(d, imaginary, factor + 4, out TWide dr, out TWide di);
                TWide s2r = cr + dr, s2i = ci + di, d2r = cr - dr, d2i = ci - di;
                TWide ar = TWide.Load(a), ai = TWide.Load(a + imaginary);
                TWide.Store(a, ar + s1r + s2r);
                TWide.Store(a + imaginary, ai + s1i + s2i);

                TWide cos72 = TWide.Broadcast(Cos72), cos144 = TWide.Broadcast(Cos144);
                TWide sin72 = TWide.Broadcast(Sin72), sin144 = TWide.Broadcast(Sin144);
                TWide mr = TWide.MultiplyAdd(s2r, cos144, TWide.MultiplyAdd(s1r, cos72, ar));
                TWide mi = TWide.MultiplyAdd(s2i, cos144, TWide.MultiplyAdd(s1i, cos72, ai));
                TWide nr = TWide.MultiplyAdd(d2r, sin144, d1r * sin72), ni = TWide.MultiplyAdd(d2i, sin144, d1i * sin72);
                Store<TOrder>(b, imaginary, factor, mr + ni, mi - nr);
                Store<TOrder>(e, imaginary, factor + 6, mr - ni, mi + nr);

                mr = TWide.MultiplyAdd(s2r, cos72, TWide.MultiplyAdd(s1r, cos144, ar));
                mi = TWide.MultiplyAdd(s2i, cos72, TWide.MultiplyAdd(s1i, cos144, ai));
                nr = TWide.NegatedMultiplyAdd(d2r, sin72, d1r * sin144);
                ni = TWide.NegatedMultiplyAdd(d2i, sin72, d1i * sin144);
                Store<TOrder>(c, imaginary, factor + 2, mr + ni, mi - nr);
                Store<TOrder>(d, imaginary, factor + 4, mr - ni, mi + nr);
            }
        }
    }

    /// <summary>An input of a butterfly, turned by its factor where the stage turns its inputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Load<TOrder>(float* source, nint imaginary, float* factor, out TWide re, out TWide im)
        where TOrder : struct, IStageOrder
    {
        re = TWide.Load(source);
        im = TWide.Load(source + imaginary);
        if (TOrder.TurnsInputs)
        {
            TWide cos = TWide.BroadcastFrom(factor), sin = TWide.BroadcastFrom(factor + 1), real = re;
            re = TWide.NegatedMultiplyAdd(im, sin, real * cos);
            im = TWide.MultiplyAdd(im, cos, real * sin);
        }
    }

    /// <summary>An output of a butterfly, turned by its factor where the stage turns its outputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TOrder>(float* destination, nint imaginary, float* factor, TWide re, TWide im)
        where TOrder : struct, IStageOrder
    {
        if (TOrder.TurnsOutputs)
        {
            TWide cos = TWide.BroadcastFrom(factor), sin = TWide.BroadcastFrom(factor + 1);
            TWide.Store(destination, TWide.NegatedMultiplyAdd(im, sin, re * cos));
            TWide.Store(destination + imaginary, TWide.MultiplyAdd(im, cos, re * sin));
            return;
        }

        TWide.Store(destination, re);
        TWide.Store(destination + imaginary, im);
    }

    /// <summary>Where a stage turns by its twiddle factors: before its butterflies, behind them, or, with butterflies of neighbours, nowhere.</summary>
    private interface IStageOrder
    {
        static abstract bool TurnsInputs { get; }

        static abstract bool TurnsOutputs { get; }
    }

    private readonly struct Frequency : IStageOrder
    {
        public static bool TurnsInputs => false;

        public static bool TurnsOutputs => true;
    }

    private readonly struct Time : IStageOrder
    {
        public static bool TurnsInputs => true;

        public static bool TurnsOutputs => false;
    }

    private readonly struct Plain : IStageOrder
    {
        public static bool TurnsInputs => false;

        public static bool TurnsOutputs => false;
    }
}
