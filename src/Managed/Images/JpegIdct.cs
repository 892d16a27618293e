using System.Runtime.CompilerServices;

namespace EmbeddingKernels;

/// <summary>
/// The inverse cosine transform of 8 x 8 blocks in integers: C. Loeffler, A. Ligtenberg and G. Moschytz, "Practical fast 1-D DCT
/// algorithms with 11 multiplications" (1989), with 13 bits behind the point and two more kept between the passes. That is the
/// arithmetic of libjpeg's default ("islow"), so that decoded pixels, and features taken from them, are the same to the last bit.
/// </summary>
internal static unsafe class JpegIdct
{
    private const int Bits = 13, Kept = 2;

    // cos and sin of multiples of pi/16, times sqrt 2, and sums of them, times 2^13.
    private const int F0298 = 2446, F0390 = 3196, F0541 = 4433, F0765 = 6270, F0899 = 7373, F1175 = 9633;
    private const int F1501 = 12299, F1847 = 15137, F1961 = 16069, F2053 = 16819, F2562 = 20995, F3072 = 25172;

    /// <summary>Transforms one block and writes it as bytes.</summary>
    /// <param name="block">64 coefficients, row after row.</param>
    /// <param name="steps">What they are multiplied by.</param>
    /// <param name="output">The upper left pixel.</param>
    /// <param name="stride">Bytes from one row of pixels to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(short* block, ushort* steps, byte* output, nint stride)
    {
        int* passed = stackalloc int[64];
        for (int x = 0; x < 8; x++)
        {
            short* c = block + x;
            ushort* s = steps + x;
            int* p = passed + x;
            int c1 = c[8], c2 = c[16], c3 = c[24], c4 = c[32], c5 = c[40], c6 = c[48], c7 = c[56];
            if ((c1 | c2 | c3 | c4 | c5 | c6 | c7) == 0)
            {
                int same = (c[0] * s[0]) << Kept;
                p[0] = p[8] = p[16] = p[24] = p[32] = p[40] = p[48] = p[56] = same;
                continue;
            }

            Transform(
                c[0] * s[0], c1 * s[8], c2 * s[16], c3 * s[24], c4 * s[32], c5 * s[40], c6 * s[48], c7 * s[56],
                p, 8, 1 << (Bits - Kept - 1), Bits - Kept);
        }

        int* r = stackalloc int[8];
        for (int y = 0; y < 8; y++, output += stride)
        {
            int* p = passed + 8 * y;
            if ((p[1] | p[2] | p[3] | p[4] | p[5] | p[6] | p[7]) == 0)
            {
                new Span<byte>(output, 8).Fill(Clamp((p[0] + (1 << (Kept + 2))) >> (Kept + 3)));
                continue;
            }

            Transform(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], r, 1, 1 << (Bits + Kept + 2), Bits + Kept + 3);
            for (int x = 0; x < 8; x++)
                output[x] = Clamp(r[x]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transform(int c0, int c1, int c2, int c3, int c4, int c5, int c6, int c7, int* to, int step, int half, int shift)
    {
        int z = (c2 + c6) * F0541;
        int even2 = z - c6 * F1847, even3 = z + c2 * F0765;
        int even0 = ((c0 + c4) << Bits) + half, even1 = ((c0 - c4) << Bits) + half;
        int a0 = even0 + even3, a3 = even0 - even3, a1 = even1 + even2, a2 = even1 - even2;

        int z1 = (c7 + c1) * -F0899, z2 = (c5 + c3) * -F2562, z3 = c7 + c3, z4 = c5 + c1;
        int z5 = (z3 + z4) * F1175;
        z3 = z3 * -F1961 + z5;
        z4 = z4 * -F0390 + z5;
        int b0 = c7 * F0298 + z1 + z3, b1 = c5 * F2053 + z2 + z4, b2 = c3 * F3072 + z2 + z3, b3 = c1 * F1501 + z1 + z4;

        to[0] = (a0 + b3) >> shift;
        to[7 * step] = (a0 - b3) >> shift;
        to[step] = (a1 + b2) >> shift;
        to[6 * step] = (a1 - b2) >> shift;
        to[2 * step] = (a2 + b1) >> shift;
        to[5 * step] = (a2 - b1) >> shift;
        to[3 * step] = (a3 + b0) >> shift;
        to[4 * step] = (a3 - b0) >> shift;
    }

    /// <summary>Samples are coded around 128.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte Clamp(int value) => (byte)Math.Clamp(value + 128, 0, 255);
}
