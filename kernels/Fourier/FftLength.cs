namespace EmbeddingKernels.Core;

/// <summary>Lengths 2^a 3^b 5^c, which the transforms take, and what each costs.</summary>
public static class FftLength
{
    /// <summary>The longest line that a transform takes.</summary>
    public const int Most = 1 << 24;

    // Arithmetic operations for each element of one stage with twiddles: (additions + multiplications) / radix, with a fused
    // multiply-add as one.
    private const double Radix2Cost = 4, Radix3Cost = 8, Radix4Cost = 7, Radix5Cost = 11.2;

    /// <summary>Whether a transform of this length exists: 2^a 3^b 5^c from 1 to <see cref="Most"/>.</summary>
    /// <param name="length">Elements of a line.</param>
    public static bool IsSupported(int length)
    {
        if (length is < 1 or > Most)
            return false;
        foreach (int prime in (ReadOnlySpan<int>)[2, 3, 5])
        {
            while (length % prime == 0)
                length /= prime;
        }

        return length == 1;
    }

    /// <summary>The supported multiple of <paramref name="multiple"/> that is at least <paramref name="least"/> and cheapest to transform.</summary>
    /// <remarks>Longer than needed where that is cheaper: 1,024 instead of 1,000.</remarks>
    /// <param name="least">The shortest length that will do.</param>
    /// <param name="multiple">What the length must be divisible by; itself a supported length.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such length, or <paramref name="multiple"/> is not supported.</exception>
    public static int Cheapest(int least, int multiple = 1)
    {
        if (!IsSupported(multiple))
            throw new ArgumentOutOfRangeException(nameof(multiple), multiple, "A factor must be 2^a 3^b 5^c.");
        if (least > Most)
            throw new ArgumentOutOfRangeException(nameof(least), least, $"A transform has at most {Most} elements.");
        int best = 0;
        double bestCost = double.PositiveInfinity;
        long first = ((Math.Max(least, 1) + (long)multiple - 1) / multiple) * multiple;
        for (long length = first; length <= Most && (best == 0 || length <= first * 1.3); length += multiple)
        {
            if (IsSupported((int)length) && Cost((int)length) < bestCost)
                (best, bestCost) = ((int)length, Cost((int)length));
        }

        return best > 0 ? best : throw new ArgumentOutOfRangeException(nameof(least), least, $"There is no multiple of {multiple} up to {Most}.");
    }

    /// <summary>The stages of a length, the first the one over the whole line.</summary>
    internal static int[] Radices(int length)
    {
        List<int> radices = [];
        for (; length % 4 == 0; length /= 4)
            radices.Add(4);
        for (; length % 2 == 0; length /= 2)
            radices.Add(2);
        for (; length % 3 == 0; length /= 3)
            radices.Add(3);
        for (; length % 5 == 0; length /= 5)
            radices.Add(5);
        return [.. radices];
    }

    private static double Cost(int length)
    {
        double cost = 0;
        foreach (int radix in Radices(length))
            cost += radix switch { 2 => Radix2Cost, 3 => Radix3Cost, 4 => Radix4Cost, _ => Radix5Cost };
        return cost * length;
    }
}
