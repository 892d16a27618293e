using System.Runtime.CompilerServices;

namespace EmbeddingKernels.Core;

/// <summary>
/// The SplitMix64 generator (Steele, Lea and Flood, 2014): 64 random bits from one addition and two multiplications, any
/// seed good, period 2^64, the same sequence for a seed for good. For sampling; not for secrets.
/// </summary>
internal struct SplitMix64(long seed)
{
    private ulong _state = (ulong)seed;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Next()
    {
        ulong z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>Uniform in [0, 1) with 24 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float NextSingle() => (Next() >> 40) * (1f / (1 << 24));

    /// <summary>Uniform in 0 to <paramref name="bound"/> - 1; the bias is below bound / 2^32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint NextBelow(uint bound) => (uint)(((Next() >> 32) * bound) >> 32);

    /// <summary>Uniform in (0, 1) with 52 bits.</summary>
    public double NextDouble() => ((Next() >> 12) + 0.5) * (1.0 / (1L << 52));

    /// <summary>Normally distributed, mean 0, standard deviation 1 (Box and Muller).</summary>
    public double NextGaussian() => Math.Sqrt(-2 * Math.Log(NextDouble())) * Math.Cos(2 * Math.PI * NextDouble());
}
