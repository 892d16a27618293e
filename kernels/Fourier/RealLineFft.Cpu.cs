using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>The constants of transforms of real lines of one even length.</summary>
internal sealed unsafe class RealFftPlan : IDisposable
{
    private readonly AlignedBuffer<float> _factors;

    public RealFftPlan(int length)
    {
        if (length % 2 != 0 || !FftLength.IsSupported(length))
            throw new ArgumentOutOfRangeException(nameof(length), length, $"A real line's length must be an even number 2^a 3^b 5^c, up to {FftLength.Most}.");
        Half = new FftPlan(length / 2);
        _factors = new AlignedBuffer<float>(2 * ((length / 4) + 1));
        for (int k = 0; k <= length / 4; k++)
        {
            (double sin, double cos) = Math.SinCos(-2 * Math.PI * k / length);
            _factors[2 * k] = (float)cos;
            _factors[(2 * k) + 1] = (float)sin;
        }
    }

    public int Length => 2 * Half.Length;

    /// <summary>The transform of half the length: neighbouring reals taken as one complex number.</summary>
    public FftPlan Half { get; }

    /// <summary>exp(-2 pi i k / Length) for k up to a quarter of the length.</summary>
    public float* Factors => _factors.Pointer;

    public void Dispose()
    {
        Half.Dispose();
        _factors.Dispose();
    }
}

/// <summary>
/// Fourier transforms of real lines, one in each lane, in the layout of <see cref="LineFft{TWide}"/>: a transform of half the
/// length over pairs of neighbours, and one pass that takes the spectra of even and odd elements apart.
/// </summary>
internal static unsafe class RealLineFft<TWide>
    where TWide : unmanaged, IWide<TWide>
{
    /// <summary>The frequencies 0 to length / 2 in order.</summary>
    /// <param name="plan">The length.</param>
    /// <param name="data">length vectors; overwritten.</param>
    /// <param name="spectrum">length / 2 + 1 elements of two vectors.</param>
    public static void Forward(RealFftPlan plan, float* data, float* spectrum) => Forward<ComplexFrequency>(plan, data, spectrum);

    /// <summary>What <typeparamref name="TFrequency"/> makes of the frequencies 0 to length / 2, in order.</summary>
    /// <param name="plan">The length.</param>
    /// <param name="data">length vectors; overwritten.</param>
    /// <param name="spectrum">length / 2 + 1 elements.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Forward<TFrequency>(RealFftPlan plan, float* data, float* spectrum)
        where TFrequency : struct, IFrequency
    {
        LineFft<TWide>.Forward(plan.Half, data);
        int half = plan.Half.Length;
        nint step = 2 * TWide.Lanes, lanes = TWide.Lanes, size = TFrequency.Vectors * lanes;
        TWide re = TWide.Load(data), im = TWide.Load(data + lanes);
        TFrequency.Store(spectrum, re + im, TWide.Zero);
        TFrequency.Store(spectrum + (half * size), re - im, TWide.Zero);
        float* factor = plan.Factors;
        TWide scale = TWide.Broadcast(0.5f);
        fixed (int* places = plan.Half.Places)
        {
            for (int k = 1; k <= half / 2; k++)
            {
                factor += 2;
                float* a = data + (places[k] * step), b = data + (places[half - k] * step);
                TWide ar = TWide.Load(a) * scale, ai = TWide.Load(a + lanes) * scale;
                TWide br = TWide.Load(b) * scale, bi = TWide.Load(b + lanes) * scale;
                TWide evenRe = ar + br, evenIm = ai - bi, oddRe = ai + bi, oddIm = br - ar;
                TWide cos = TWide.BroadcastFrom(factor), sin = TWide.BroadcastFrom(factor + 1);
                TWide turnedRe = TWide.NegatedMultiplyAdd(oddIm, sin, oddRe * cos), turnedIm = TWide.MultiplyAdd(oddIm, cos, oddRe * sin);
                TFrequency.Store(spectrum + (k * size), evenRe + turnedRe, evenIm + turnedIm);
                TFrequency.Store(spectrum + ((half - k) * size), evenRe - turnedRe, turnedIm - evenIm);
            }
        }
    }

    /// <summary>The real lines from their frequencies 0 to length / 2, times the length.</summary>
    /// <param name="plan">The length.</param>
    /// <param name="spectrum">length / 2 + 1 elements of two vectors; the imaginary parts of the first and last count as 0.</param>
    /// <param name="data">length vectors, overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Backward(RealFftPlan plan, float* spectrum, float* data)
    {
        int half = plan.Half.Length;
        nint step = 2 * TWide.Lanes, lanes = TWide.Lanes;
        TWide first = TWide.Load(spectrum), last = TWide.Load(spectrum + (half * step));
        ComplexFrequency.Store(data, first + last, first - last);
        float* factor = plan.Factors;
        fixed (int* places = plan.Half.Places)
        {
            for (int k = 1; k <= half / 2; k++)
            {
                factor += 2;
                float* a = spectrum + (k * step), b = spectrum + ((half - k) * step);
                TWide ar = TWide.Load(a), ai = TWide.Load(a + lanes), br = TWide.Load(b), bi = TWide.Load(b + lanes);
                TWide evenRe = ar + br, evenIm = ai - bi, turnedRe = ar - br, turnedIm = ai + bi;
                TWide cos = TWide.BroadcastFrom(factor), sin = TWide.BroadcastFrom(factor + 1);
                TWide oddRe = TWide.MultiplyAdd(turnedIm, sin, turnedRe * cos), oddIm = TWide.NegatedMultiplyAdd(turnedRe, sin, turnedIm * cos);
                ComplexFrequency.Store(data + (places[k] * step), evenRe - oddIm, evenIm + oddRe);
                ComplexFrequency.Store(data + (places[half - k] * step), evenRe + oddIm, oddRe - evenIm);
            }
        }

        LineFft<TWide>.Backward(plan.Half, data);
    }
}
