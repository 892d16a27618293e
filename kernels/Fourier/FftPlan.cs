namespace EmbeddingKernels.Core;

/// <summary>
/// The constants of transforms of one length: its stages, their twiddle factors, and where each frequency stands after a
/// forward transform.
/// </summary>
/// <remarks>
/// Forward transforms go from the whole line to short ones (decimation in frequency) and leave the frequencies in
/// digit-reversed order; backward transforms take them in that order. A convolution never needs another one, so nothing is
/// ever sorted.
/// </remarks>
internal sealed unsafe class FftPlan : IDisposable
{
    private readonly int[] _radices;
    private readonly AlignedBuffer<float> _twiddles;

    public FftPlan(int length)
    {
        if (!FftLength.IsSupported(length))
            throw new ArgumentOutOfRangeException(nameof(length), length, $"A length must be 2^a 3^b 5^c, from 1 to {FftLength.Most}.");
        Length = length;
        _radices = FftLength.Radices(length);
        nint count = 0;
        for (int stage = 0, block = length; stage < _radices.Length; block /= _radices[stage++])
            count += 2 * (nint)(block / _radices[stage]) * (_radices[stage] - 1);
        _twiddles = new AlignedBuffer<float>(count);
        float* next = _twiddles.Pointer;
        for (int stage = 0, block = length; stage < _radices.Length; block /= _radices[stage++])
        {
            for (int j = 0; j < block / _radices[stage]; j++)
            {
                for (int q = 1; q < _radices[stage]; q++)
                {
                    (double sin, double cos) = Math.SinCos(-2 * Math.PI * ((long)j * q % block) / block);
                    *next++ = (float)cos;
                    *next++ = (float)sin;
                }
            }
        }

        Places = new int[length];
        for (int frequency = 0; frequency < length; frequency++)
            Places[frequency] = Place(frequency);
    }

    public int Length { get; }

    public ReadOnlySpan<int> Radices => _radices;

    /// <summary>For each stage in turn and each j: the powers 1 to radix - 1 of exp(-2 pi i j / block), each as cosine and sine.</summary>
    public float* Twiddles => _twiddles.Pointer;

    /// <summary>Behind the last of <see cref="Twiddles"/>.</summary>
    public float* TwiddlesEnd => _twiddles.Pointer + _twiddles.Length;

    /// <summary>Where each frequency stands after a forward transform.</summary>
    public int[] Places { get; }

    public void Dispose() => _twiddles.Dispose();

    private int Place(int frequency)
    {
        int place = 0;
        for (int stage = 0, block = Length; stage < _radices.Length; stage++)
        {
            block /= _radices[stage];
            place += frequency % _radices[stage] * block;
            frequency /= _radices[stage];
        }

        return place;
    }
}
